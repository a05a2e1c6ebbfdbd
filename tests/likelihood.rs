//! Log-densities: E21 by E22, exact and by probes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::data::toy;
use pushforward::field::{DifferentialWorker, ProbeLaw, Worker};
use pushforward::likelihood::{log_density, log_density_rows};
use pushforward::ode::ROWS_PER_BLOCK;
use pushforward::rng::Purpose;
use pushforward::{
    AffinePath, DifferentiableField, Divergence, Flow, Mlp, Real, Result, Rng, Scores, Solver, Source,
    Tensor, Trainer, VectorField,
};

const LAWS: [ProbeLaw; 2] = [ProbeLaw::Rademacher, ProbeLaw::Gaussian];

/// u = A x in d dimensions, for any number of tangents.
struct Linear {
    a: Vec<Vec<f64>>,
}

struct LinearWorker<'a>(&'a Linear, usize);

impl Linear {
    fn new<const D: usize>(a: [[f64; D]; D]) -> Self {
        Self { a: a.iter().map(|row| row.to_vec()).collect() }
    }

    fn times<R: Real>(&self, x: &Tensor<R>, out: &mut Tensor<R>) {
        for i in 0..x.rows() {
            for (out, a) in out.row_mut(i).iter_mut().zip(&self.a) {
                *out = R::from_f64(a.iter().zip(x.row(i)).map(|(a, x)| a * x.to_f64()).sum());
            }
        }
    }

    fn trace(&self) -> f64 {
        (0..self.a.len()).map(|i| self.a[i][i]).sum()
    }

    /// The variance of eᵀ A e, with S = (A + Aᵀ)/2: 2 sum of S_ij², for Rademacher probes without the diagonal.
    fn variance(&self, law: ProbeLaw) -> f64 {
        let (d, mut sum) = (self.a.len(), 0.0);
        for i in 0..d {
            for j in 0..d {
                let s = 0.5 * (self.a[i][j] + self.a[j][i]);
                if i != j || law == ProbeLaw::Gaussian {
                    sum += 2.0 * s * s;
                }
            }
        }
        sum
    }
}

impl<R: Real> VectorField<R> for Linear {
    fn dim(&self) -> usize {
        self.a.len()
    }
    fn eval(&self, _t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.times(x, u);
        Ok(())
    }
}

impl<R: Real> DifferentiableField<R> for Linear {
    fn differential_worker(&self, _rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_> {
        Box::new(LinearWorker(self, tangents))
    }
}

impl<R: Real> Worker<R> for LinearWorker<'_> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.0.eval(t, x, u)
    }
}

impl<R: Real> DifferentialWorker<R> for LinearWorker<'_> {
    fn jvp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        d_x: &Tensor<R>,
        u: &mut Tensor<R>,
        d_u: &mut Tensor<R>,
    ) -> Result<()> {
        assert_eq!(d_x.rows(), self.1 * x.rows());
        self.0.times(d_x, d_u);
        self.0.eval(t, x, u)
    }
    fn vjp(
        &mut self,
        _t: &[R],
        _x: &Tensor<R>,
        _w: &Tensor<R>,
        _u: &mut Tensor<R>,
        _d_x: &mut Tensor<R>,
    ) -> Result<()> {
        unreachable!("a divergence is found forwards")
    }
}

/// The fields of the table of known answers, and one in three dimensions.
fn linear_fields() -> [Linear; 4] {
    [
        Linear::new([[0.5, 0.0], [0.0, 0.5]]),
        Linear::new([[-1.0, 0.0], [0.0, -1.0]]),
        Linear::new([[0.3, 1.0], [-0.2, -0.5]]),
        Linear::new([[0.2, 0.7, -0.4], [0.1, -0.6, 0.5], [0.9, -0.3, 0.8]]),
    ]
}

fn zeros_scored<F: DifferentiableField<f64>>(field: &F, rows: usize, divergence: Divergence) -> Vec<f64> {
    // The divergence does not depend on x or t: one step is exact, and x_0 = 0.
    let (x_1, solver) = (Tensor::zeros(rows, field.dim()), Solver::euler().steps(1));
    let mut rng = Rng::from_seed(0);
    log_density(field, Source::Normal, &x_1, divergence, &solver, &mut rng).unwrap().log_density
}

#[test]
fn probes_are_unbiased_and_vary_as_theory_says() {
    const ROWS: usize = 20_000;
    for field in &linear_fields() {
        let d = VectorField::<f64>::dim(field);
        let exact = Source::Normal.log_density(&vec![0.0; d]) - field.trace();
        for law in LAWS {
            let found = zeros_scored(field, ROWS, Divergence::Hutchinson { probes: 1, law });
            let n = ROWS as f64;
            let off = |log_p: &f64| log_p - exact;
            let mean = found.iter().map(off).sum::<f64>() / n;
            let (mut second, mut fourth) = (0.0, 0.0);
            for log_p in &found {
                second += off(log_p).powi(2) / n;
                fourth += off(log_p).powi(4) / n;
            }
            let wanted = field.variance(law);
            // Four standard errors of the mean, five of the variance (by the fourth moment), and rounding.
            let errors = [4.0 * (wanted / n).sqrt(), 5.0 * ((fourth - second * second).max(0.0) / n).sqrt()];
            assert!(mean.abs() <= errors[0] + 1e-12, "{law} {mean} {errors:?}");
            assert!((second - wanted).abs() <= errors[1] + 1e-12, "{law} {second} {wanted} {errors:?}");
        }
    }
}

#[test]
fn the_standard_error_says_how_far_an_estimate_is() {
    // The mean square of (estimate - exact) / error is that of Student's t with K - 1 degrees of freedom,
    // (K - 1) / (K - 3), if one estimate is normal. Gaussian probes of a large matrix come near that.
    const D: usize = 40;
    const PROBES: u32 = 24;
    const ROWS: usize = 4000;
    let a = (0..D).map(|i| (0..D).map(|j| ((7 * i + 3 * j) as f64).sin()).collect()).collect();
    let field = Linear { a };
    let exact = Source::Normal.log_density(&[0.0; D]) - field.trace();
    let (x_1, solver) = (Tensor::<f64>::zeros(ROWS, D), Solver::euler().steps(1));
    for law in LAWS {
        let (divergence, mut rng) = (Divergence::Hutchinson { probes: PROBES, law }, Rng::from_seed(1));
        let scores = log_density(&field, Source::Normal, &x_1, divergence, &solver, &mut rng).unwrap();
        let errors = scores.standard_error.unwrap();
        let ratios =
            scores.log_density.iter().zip(&errors).map(|(log_p, error)| ((log_p - exact) / error).powi(2));
        let found = ratios.sum::<f64>() / ROWS as f64;
        let wanted = f64::from(PROBES - 1) / f64::from(PROBES - 3);
        // The sampling error of a mean of 4000 squares is 2 %; a tenth leaves room for what is not normal.
        assert!((found / wanted - 1.0).abs() < 0.1, "{law} {found} {wanted}");
    }
}

/// A network and rows in three dimensions, more than two blocks.
fn case() -> (Mlp, Tensor<f32>) {
    let mut rng = Rng::from_seed(6);
    let velocity = Mlp::new(3, &[24, 24], &mut rng).unwrap();
    let mut x = Tensor::zeros(2 * ROWS_PER_BLOCK + 21, 3);
    Source::Normal.fill(&rng.fork(Purpose::Data), 0, &mut x);
    (velocity, x)
}

#[test]
fn threads_and_parts_change_no_bit_of_an_estimate() {
    let (velocity, x) = case();
    let streams = Rng::from_seed(2).fork(Purpose::Probe);
    for law in LAWS {
        let divergence = Divergence::Hutchinson { probes: 3, law };
        for solver in [Solver::midpoint().steps(8), Solver::dopri5(), Solver::bosh3().tolerance(1e-3)] {
            let part = |rows: std::ops::Range<usize>| {
                let part = x.slice_rows(rows.clone());
                let source = Source::Normal;
                log_density_rows(&velocity, source, &part, rows.start, divergence, &solver, streams).unwrap()
            };
            let of = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| part(0..x.rows()))
            };
            let all = of(1);
            assert!(all == of(2) && all == of(7), "{divergence} {solver:?}");
            for cuts in [vec![0, 1, 128, 129, 277], vec![0, 100, 200, 277], vec![0, 37, 38, 260, 277]] {
                let parts: Vec<Scores> = cuts.windows(2).map(|cut| part(cut[0]..cut[1])).collect();
                let log_density = parts.iter().flat_map(|part| part.log_density.clone());
                assert!(log_density.eq(all.log_density.iter().copied()), "{divergence} {cuts:?}");
                let errors = parts.iter().flat_map(|part| part.standard_error.clone().unwrap());
                assert!(errors.eq(all.standard_error.iter().flatten().copied()), "{divergence} {cuts:?}");
            }
            // Another number is another row: a part that is called by other numbers has other probes.
            let moved = x.slice_rows(0..5);
            let moved = log_density_rows(&velocity, Source::Normal, &moved, 1, divergence, &solver, streams);
            assert_ne!(moved.unwrap().log_density, all.log_density[..5]);
        }
    }
}

#[test]
fn estimates_are_near_the_exact_log_density_and_depend_on_the_seed() {
    let (velocity, x) = case();
    let flow = Flow::new(velocity, AffinePath::default(), Source::Normal);
    let solver = Solver::dopri5();
    let score =
        |divergence, seed| flow.log_density(&x, divergence, &solver, &mut Rng::from_seed(seed)).unwrap();
    let exact = score(Divergence::Exact, 0);
    assert_eq!(exact.standard_error, None);
    assert_eq!(score(Divergence::hutchinson(1), 0).standard_error, None);
    for law in LAWS {
        let divergence = Divergence::Hutchinson { probes: 32, law };
        let found = score(divergence, 0);
        assert_eq!(found, score(divergence, 0));
        assert_ne!(found.log_density, score(divergence, 1).log_density);
        for (i, error) in found.standard_error.unwrap().into_iter().enumerate() {
            let off = (found.log_density[i] - exact.log_density[i]).abs();
            // Six standard errors of 277 rows, with 31 degrees of freedom; and the solver.
            assert!(off < 6.0 * error + 1e-3, "{law} row {i}: {off} {error}");
        }
    }
}

#[test]
fn the_mean_of_the_probes_is_controlled() {
    // The same probes at another tolerance: what differs is the solver's error alone.
    let (velocity, x) = case();
    let (velocity, x) = (velocity.cast::<f64>(), x.cast::<f64>());
    let divergence = Divergence::hutchinson(4);
    let score = |solver: &Solver| {
        let mut rng = Rng::from_seed(3);
        log_density(&velocity, Source::Normal, &x, divergence, solver, &mut rng).unwrap()
    };
    let best = score(&Solver::dopri5().tolerance(1e-10));
    for (solver, tolerance) in [(Solver::dopri5(), 1e-4), (Solver::tsit5(), 1e-6), (Solver::bosh3(), 1e-5)] {
        let found = score(&solver.tolerance(tolerance));
        for (a, b) in found.log_density.iter().zip(&best.log_density) {
            // A few steps, each within the tolerance times 1 + |log p|.
            assert!((a - b).abs() < 20.0 * tolerance * (1.0 + b.abs()), "{tolerance} {a} {b}");
        }
    }
}

/// A small model, trained for a second.
fn trained(x_1: &Tensor<f32>) -> Flow {
    let mut rng = Rng::from_seed(7);
    let velocity = Mlp::new(x_1.cols(), &[32, 32], &mut rng).unwrap();
    Trainer::new(AffinePath::default()).batch(128).steps(1500).fit(velocity, x_1, &mut rng).unwrap()
}

/// Two bumps of unequal height at -2 and 1.
fn bumps(rows: usize) -> Tensor<f32> {
    let mut stream = Rng::from_seed(8).fork(Purpose::Data).stream(0);
    let bump =
        |_| if stream.uniform() < 0.3 { -2.0 + 0.3 * stream.normal() } else { 1.0 + 0.6 * stream.normal() };
    Tensor::from_vec((0..rows).map(bump).collect::<Vec<f64>>(), rows, 1).unwrap().cast()
}

#[test]
fn trained_densities_have_the_mass_1() {
    const BOUND: f64 = 1e-3;
    let solver = Solver::dopri5().tolerance(1e-4);
    let mass = |flow: &Flow, points: &Tensor<f64>, cell: f64| {
        let mut rng = Rng::from_seed(0);
        let scores = flow.log_density(points, Divergence::Exact, &solver, &mut rng).unwrap();
        scores.log_density.iter().map(|log_p| log_p.exp() * cell).sum::<f64>()
    };

    // The middles of 1500 cells from -6 to 6: the density is 0 at both ends, so that the sum converges fast.
    let flow = trained(&bumps(5000));
    let cell = 12.0 / 1500.0;
    let points: Vec<f64> = (0..1500).map(|k| -6.0 + (f64::from(k) + 0.5) * cell).collect();
    let found = mass(&flow, &Tensor::from_vec(points, 1500, 1).unwrap(), cell);
    assert!((found - 1.0).abs() < BOUND, "in one dimension {found}");

    let flow = trained(&toy::moons(5000, &mut Rng::from_seed(9)));
    let (low, high, n) = (-5.0, 5.0, 160);
    let cell = (high - low) / f64::from(n);
    let at = |k: i32| low + (f64::from(k) + 0.5) * cell;
    let points: Vec<f64> = (0..n * n).flat_map(|k| [at(k % n), at(k / n)]).collect();
    let found = mass(&flow, &Tensor::from_vec(points, 160 * 160, 2).unwrap(), cell * cell);
    assert!((found - 1.0).abs() < BOUND, "in two dimensions {found}");
}

#[test]
fn there_and_back_again_is_the_same() {
    let data: Tensor<f32> = toy::pinwheel(2000, &mut Rng::from_seed(4));
    let flow = trained(&data);
    let x = data.slice_rows(0..300);
    // In f32, in standardised columns: ten tolerances, which are far above the rounding of 6e-8.
    for tolerance in [1e-3, 1e-4, 1e-5] {
        let solver = Solver::dopri5().tolerance(tolerance);
        let encoded = flow.encode(&x, &solver).unwrap();
        let again = flow.decode::<f32>(&encoded.x_0, &solver).unwrap();
        let z = |x: &Tensor<f32>| flow.standardize().to_model(&x.cast()).unwrap();
        let (z, z_again) = (z(&x), z(&again.x));
        for (a, b) in z.as_slice().iter().zip(z_again.as_slice()) {
            assert!((a - b).abs() <= 10.0 * tolerance * (1.0 + a.abs()), "{tolerance} {a} {b}");
        }
        assert!(encoded.stats.nfe > 0.0 && again.stats.nfe > 0.0);
    }
    // In f64, where there is no rounding to hide behind.
    let (field, z) = (flow.velocity().cast::<f64>(), flow.standardize().to_model(&x.cast()).unwrap());
    for solver in [Solver::dopri5(), Solver::tsit5()] {
        let solver = solver.tolerance(1e-9);
        let z_0 = solver.solve(&field, &z, 1.0..0.0).unwrap().x;
        let again = solver.solve(&field, &z_0, 0.0..1.0).unwrap().x;
        for (a, b) in z.as_slice().iter().zip(again.as_slice()) {
            assert!((a - b).abs() <= 1e-8 * (1.0 + a.abs()), "{a} {b}");
        }
    }
}

#[test]
fn encoding_is_what_a_log_density_goes_through() {
    // log p(x) = log p_0(x_0) - ∫ div u dt - log det, so that without divergence it is that of x_0.
    let data: Tensor<f32> = toy::moons(1000, &mut Rng::from_seed(5));
    let flow = trained(&data);
    let solver = Solver::rk4().steps(20);
    let x_0 = flow.encode(&data, &solver).unwrap().x_0;
    // x_0 of data is near N(0, I): mean 0 and variance 1 up to what a small network has not learned.
    for j in 0..2 {
        let column: Vec<f64> = (0..1000).map(|i| f64::from(x_0.row(i)[j])).collect();
        let mean = column.iter().sum::<f64>() / 1000.0;
        let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1000.0;
        assert!(mean.abs() < 0.3 && (0.6..1.5).contains(&variance), "{j} {mean} {variance}");
    }
    // A sample is what its x_0 is pushed to, and a trajectory from x_0 ends there.
    let streams = Rng::from_seed(1).fork(Purpose::Source);
    let drawn = flow.sample_rows::<f32>(5..9, &solver, streams).unwrap();
    let mut x_0 = Tensor::zeros(4, 2);
    Source::Normal.fill(&streams, 5, &mut x_0);
    assert_eq!(flow.decode::<f32>(&x_0, &solver).unwrap(), drawn);
    let course = flow.trajectory_from::<f32>(&x_0, 5, &solver).unwrap();
    assert_eq!(course, flow.trajectory::<f32>(5..9, 5, &solver, streams).unwrap());
    assert_eq!(course.x[5], drawn.x);
}

#[test]
fn columns_that_do_not_vary_are_no_part_of_x_0() {
    let mut stream = Rng::from_seed(3).fork(Purpose::Data).stream(0);
    let data: Vec<f64> = (0..400).flat_map(|_| [stream.normal(), 7.0, 3.0 + stream.normal()]).collect();
    let data = Tensor::from_vec(data, 400, 3).unwrap().cast::<f32>();
    let mut rng = Rng::from_seed(2);
    let velocity = Mlp::new(2, &[8], &mut rng).unwrap();
    let flow = Flow::new(velocity, AffinePath::default(), Source::Normal);
    let map = pushforward::data::Standardize::fit(&data.cast()).unwrap();
    let flow = flow.with_standardize(map).unwrap();
    let solver = Solver::dopri5().tolerance(1e-6);
    let mut x = data.slice_rows(0..10);
    let encoded = flow.encode(&x, &solver).unwrap();
    assert_eq!((encoded.x_0.rows(), encoded.x_0.cols()), (10, 2));
    x.row_mut(3)[1] = 8.0; // off the support: the constant comes back
    assert_eq!(flow.encode(&x, &solver).unwrap(), encoded);
    let again = flow.decode::<f32>(&encoded.x_0, &solver).unwrap().x;
    assert!((0..10).all(|i| again.row(i)[1].to_bits() == 7.0_f32.to_bits()));
    let divergence = Divergence::Hutchinson { probes: 2, law: ProbeLaw::Gaussian };
    let scores = flow.log_density(&x, divergence, &solver, &mut rng).unwrap();
    let errors = scores.standard_error.unwrap();
    assert_eq!((scores.log_density[3], errors[3]), (f64::NEG_INFINITY, 0.0));
    assert!(errors[4] > 0.0);
    // x_0 with the columns of the data, or with NaN.
    let error = flow.decode::<f32>(&x, &solver).unwrap_err().to_string();
    assert!(error.contains("columns of x_0: found 3, expected 2"), "{error}");
    assert!(flow.decode::<f32>(&Tensor::from_rows(&[[0.0, f32::NAN]]), &solver).is_err());
    assert!(flow.trajectory_from::<f32>(&x, 4, &solver).is_err());
}
