//! E18: the closed-form velocity from N(0, I) to N(m, S) reproduces the target. Integrating it maps x onto
//! m + S^(1/2) x, the moments of pushed samples are m and S, and log p_1 is the log-density of N(m, S).
//!
//! S is made of what the test knows, S = Q diag(s) Q^T with Q orthogonal, so that S^(1/2), S^-1 and ln det S
//! need no decomposition, least of all the one under test.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use pushforward::closed_form::{GaussianFlow, mean_and_covariance};
use pushforward::likelihood::log_density;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Rng, Solver, Source, Tensor, VectorField};

/// Steps of rk4, whose error here is about 2e-11: h⁴ is 1.2e-10, and the velocity changes over times of size
/// sqrt(s) >= 0.44 for eigenvalues s >= 0.2.
const STEPS: u32 = 300;

/// The error of the solver with room for other seeds, in a map to numbers of size 10.
const MAP_BOUND: f64 = 1e-9;

/// The same in a log-density, whose terms are larger.
const DENSITY_BOUND: f64 = 1e-8;

/// Rows that are pushed for moments.
const ROWS: usize = 20_000;

/// Standard errors by which a moment of pushed samples may be off. At most 27 numbers in each of 32 cases,
/// a normal one beyond 7 with the probability 2.6e-12: 2.2e-9 in all, and below 1e-6 with the heavier tails
/// of sums of products.
const Z_BOUND: f64 = 7.0;

/// m, the orthonormal rows q_k of Q^T, and the eigenvalues s_k of S.
#[derive(Debug, Clone)]
struct Target {
    mean: Vec<f64>,
    axes: Vec<Vec<f64>>,
    values: Vec<f64>,
}

impl Target {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    /// sum_k f(s_k) q_k q_k^T.
    fn function(&self, f: impl Fn(f64) -> f64) -> Tensor<f64> {
        let d = self.dim();
        let mut out = Tensor::zeros(d, d);
        for (axis, &s) in self.axes.iter().zip(&self.values) {
            for i in 0..d {
                for j in 0..d {
                    out.row_mut(i)[j] += f(s) * axis[i] * axis[j];
                }
            }
        }
        out
    }

    /// m + S^(1/2) x.
    fn map(&self, x: &[f64]) -> Vec<f64> {
        let root = self.function(f64::sqrt);
        (0..self.dim()).map(|i| self.mean[i] + dot(root.row(i), x)).collect()
    }

    /// log N(x | m, S).
    fn log_density(&self, x: &[f64]) -> f64 {
        let centred: Vec<f64> = x.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        let along = |(axis, s): (&Vec<f64>, &f64)| {
            -0.5 * (std::f64::consts::TAU.ln() + s.ln() + dot(axis, &centred).powi(2) / s)
        };
        self.axes.iter().zip(&self.values).map(along).sum()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Random orthonormal axes: normal vectors made orthogonal one after the other, twice for rounding.
fn axes(d: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut stream = Rng::from_seed(seed).fork(Purpose::Metric).stream(0);
    let mut axes: Vec<Vec<f64>> = vec![];
    while axes.len() < d {
        let mut x: Vec<f64> = (0..d).map(|_| stream.normal()).collect();
        for _ in 0..2 {
            for axis in &axes {
                let along = dot(axis, &x);
                x.iter_mut().zip(axis).for_each(|(x, a)| *x -= along * a);
            }
            let length = dot(&x, &x).sqrt();
            x.iter_mut().for_each(|x| *x /= length);
        }
        axes.push(x);
    }
    axes
}

fn target() -> impl Strategy<Value = Target> {
    (1..=6_usize, any::<u64>()).prop_flat_map(|(d, seed)| {
        (prop::collection::vec(-3.0..3.0, d), prop::collection::vec(0.2..4.0, d))
            .prop_map(move |(mean, values)| Target { mean, axes: axes(d, seed), values })
    })
}

/// Source rows in d dimensions.
fn normal(rows: usize, d: usize, seed: u64) -> Tensor<f64> {
    let mut x = Tensor::zeros(rows, d);
    Source::Normal.fill(&Rng::from_seed(seed).fork(Purpose::Source), 0, &mut x);
    x
}

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(18), failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn the_flow_is_the_known_map(target in target(), seed in any::<u64>()) {
        let flow = GaussianFlow::new(&target.mean, &target.function(|s| s)).unwrap();
        let (velocity, x_0) = (flow.velocity(AffinePath::default()), normal(16, target.dim(), seed));
        let x_1 = Solver::rk4().steps(STEPS).solve(&velocity, &x_0, 0.0..1.0).unwrap().x;
        let mapped = flow.map(&x_0).unwrap();
        for i in 0..x_0.rows() {
            for (j, wanted) in target.map(x_0.row(i)).into_iter().enumerate() {
                prop_assert!((x_1.row(i)[j] - wanted).abs() < MAP_BOUND, "{} {wanted}", x_1.row(i)[j]);
                prop_assert!((mapped.row(i)[j] - wanted).abs() < MAP_BOUND);
            }
        }
    }

    #[test]
    fn the_flow_has_the_known_density(target in target(), seed in any::<u64>()) {
        let flow = GaussianFlow::new(&target.mean, &target.function(|s| s)).unwrap();
        let velocity = flow.velocity(AffinePath::default());
        let x_1 = flow.map(&normal(8, target.dim(), seed)).unwrap();
        let solver = Solver::rk4().steps(STEPS);
        let scores = log_density(&velocity, Source::Normal, &x_1, Divergence::Exact, &solver, &mut Rng::from_seed(0)).unwrap();
        let exact = flow.log_density(&x_1).unwrap();
        for i in 0..x_1.rows() {
            let wanted = target.log_density(x_1.row(i));
            prop_assert!((scores.log_density[i] - wanted).abs() < DENSITY_BOUND, "{} {wanted}", scores.log_density[i]);
            prop_assert!((exact[i] - wanted).abs() < DENSITY_BOUND);
        }
    }

    #[test]
    fn pushed_samples_have_the_moments_of_the_target(target in target(), seed in any::<u64>()) {
        let covariance = target.function(|s| s);
        let flow = GaussianFlow::new(&target.mean, &covariance).unwrap();
        let velocity = flow.velocity(AffinePath::default());
        // 40 steps of rk4 are off by less than 1e-6; the least standard error below is 1e-3.
        let x_0 = normal(ROWS, target.dim(), seed);
        let x_1 = Solver::rk4().steps(40).solve(&velocity, &x_0, 0.0..1.0).unwrap().x;
        let (found_mean, found) = mean_and_covariance(&x_1);
        let (n, s) = (ROWS as f64, &covariance);
        for i in 0..target.dim() {
            let z = (found_mean[i] - target.mean[i]) / (s.row(i)[i] / n).sqrt();
            prop_assert!(z.abs() < Z_BOUND, "mean {i}: z = {z}");
            for j in 0..=i {
                // The variance of a sample covariance of normals is (S_ii S_jj + S_ij²) / n.
                let variance = s.row(i)[i] * s.row(j)[j] + s.row(i)[j] * s.row(i)[j];
                let z = (found.row(i)[j] - s.row(i)[j]) / (variance / n).sqrt();
                prop_assert!(z.abs() < Z_BOUND, "covariance ({i}, {j}): z = {z}");
            }
        }
    }
}

#[test]
fn one_dimension_gives_the_known_numbers() -> pushforward::Result<()> {
    // N(0, 1) -> N(2, .25), condot, in f64 by flow_matching 1.0.10 and torchdiffeq 0.2.5, ten decimals:
    // u(.3, t = .25), u(1, t = .75), and from -1.4 in ten steps.
    const LAST_DIGIT: f64 = 6e-11;
    let flow = GaussianFlow::new(&[2.0], &Tensor::from_rows(&[[0.25]]))?;
    let velocity = flow.velocity(AffinePath::default());
    let (x, mut u) = (Tensor::from_rows(&[[0.3], [1.0]]), Tensor::zeros(2, 1));
    velocity.eval(&[0.25, 0.75], &x, &mut u)?;
    assert!((u.row(0)[0] - 2.237_837_837_8).abs() < LAST_DIGIT);
    assert!((u.row(1)[0] - 2.153_846_153_8).abs() < LAST_DIGIT);
    let x_0 = Tensor::from_rows(&[[-1.4]]);
    for (solver, wanted) in [(Solver::euler(), 1.396_904_353_1), (Solver::midpoint(), 1.300_161_366_3)] {
        let found = solver.steps(10).solve(&velocity, &x_0, 0.0..1.0)?.x.row(0)[0];
        assert!((found - wanted).abs() < LAST_DIGIT, "{found} {wanted}");
    }
    assert!((flow.map(&x_0)?.row(0)[0] - 1.3).abs() < 1e-15);
    Ok(())
}
