//! Claims about paths, marginal velocities, losses and closed forms: E4 to E12, E18 to E20.
//!
//! More than 500 lines, so that each claim stands beside its faults.

use crate::closed_form::{EmpiricalField, ExactLoss, GaussianFlow, MixtureFlow};
use crate::data::toy;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::field::{FnField, VectorField};
use crate::kernel::Real;
use crate::nn::Mlp;
use crate::objective::{self, Objective};
use crate::ode::Solver;
use crate::path::{AffinePath, PathSample};
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::claim::{Claim, Finding, Place, Precision};
use super::deviations;
use super::likelihood::continuity;
use super::rounded::Rounded;

const PATH: Place = Place::of("src/path/mod.rs", include_str!("../path/mod.rs"), "pub fn sample");
const LOSS: Place = Place::of("src/objective.rs", include_str!("../objective.rs"), "pub fn loss");
const GRADIENT: Place = Place::of("src/objective.rs", include_str!("../objective.rs"), "pub fn gradient");
const GAUSSIAN: Place =
    Place::of("src/closed_form/gaussian.rs", include_str!("../closed_form/gaussian.rs"), "pub fn map");
const FLOOR: Place =
    Place::of("src/closed_form/gaussian.rs", include_str!("../closed_form/gaussian.rs"), "pub fn loss_floor");
const MIXTURE: Place = Place::of(
    "src/closed_form/mixture.rs",
    include_str!("../closed_form/mixture.rs"),
    "pub struct MixtureVelocity",
);
const EMPIRICAL: Place =
    Place::of("src/closed_form/empirical.rs", include_str!("../closed_form/empirical.rs"), "pub fn targets");
const EXACT: Place = Place::of(
    "src/closed_form/exact_loss.rs",
    include_str!("../closed_form/exact_loss.rs"),
    "pub fn measure",
);

const SEED: u64 = 9;
const ROWS: usize = 4096;
const MEAN: [f64; 2] = [1.0, -0.5];
const COVARIANCE: [[f64; 2]; 2] = [[1.2, 0.5], [0.5, 0.6]];

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E4",
            "p_t(x) = (1/n) Σ_i N(x | t x_i, (1 − t)^2 I)",
            "the density on the way to 40 points against the plain sum over them",
            EMPIRICAL,
            |_| marginal_density(|t, x| Ok(field(&points())?.targets(&[t], x)?.log_density[0])),
        )
        .always_f64(),
        Claim::new(
            "E5",
            "X_t | x_1 ~ N(t x_1, (1 − t)^2 I)",
            "mean and variance of 4096 points on the way to one row, in standard errors",
            PATH,
            |real| match real {
                Precision::F32 => conditional(path::<f32>),
                Precision::F64 => conditional(path::<f64>),
            },
        ),
        Claim::new(
            "E6",
            "X_t = t X_1 + (1 − t) X_0",
            "points of 4096 random pairs against the formula",
            PATH,
            |real| match real {
                Precision::F32 => line(path::<f32>),
                Precision::F64 => line(path::<f64>),
            },
        ),
        Claim::new(
            "E7",
            "E[X_t] = t m, Cov[X_t] = t^2 S + (1 − t)^2 I",
            "moments of 4096 points for X_1 ~ N(m, S) at three times, in standard errors",
            PATH,
            |real| match real {
                Precision::F32 => moments(path::<f32>),
                Precision::F64 => moments(path::<f64>),
            },
        ),
        Claim::new(
            "E8",
            "X_1 − X_0 = (x_1 − X_t)/(1 − t)",
            "velocities of 4096 random pairs against the formula",
            PATH,
            |real| match real {
                Precision::F32 => conditional_velocity(path::<f32>),
                Precision::F64 => conditional_velocity(path::<f64>),
            },
        ),
        Claim::new(
            "E9",
            "u_t(x) = ∫ u_t(x | x_1) p_t(x | x_1) q(x_1) dx_1 / p_t(x)",
            "the velocity to two Gaussians in one dimension against the integral",
            MIXTURE,
            |real| {
                let mixture = mixture_1d()?;
                let velocity = mixture.velocity(AffinePath::default());
                match real {
                    Precision::F32 => marginal_velocity::<f32>(&Rounded(&velocity)),
                    Precision::F64 => marginal_velocity::<f64>(&velocity),
                }
            },
        ),
        Claim::new(
            "E10",
            "E |(u_t + δ) − u_t|^2 = |δ|^2",
            "the measured distance of a field to the true one, for one that is off by δ everywhere",
            EXACT,
            |real| match real {
                Precision::F32 => distance::<f32>(measured),
                Precision::F64 => distance::<f64>(measured),
            },
        ),
        Claim::new(
            "E11",
            "L_{CFM} = (1/B) Σ_i |v(t_i, x_i) − ẋ_i|^2",
            "the loss of a network against the plain sum",
            LOSS,
            |real| match real {
                Precision::F32 => loss::<f32>(objective::loss),
                Precision::F64 => loss::<f64>(objective::loss),
            },
        ),
        Claim::new(
            "E12",
            "L_{CFM} − L_{FM} − V = 0",
            "the three losses of a random network on 300 points, in standard errors of their difference",
            EXACT,
            |real| match real {
                Precision::F32 => floor::<f32>(|measured| measured.residual),
                Precision::F64 => floor::<f64>(|measured| measured.residual),
            },
        ),
        Claim::new(
            "E12.gradient",
            "∇L_{CFM} = ∇L_{FM}",
            "both gradients of a random network along four directions, in standard errors over 256 batches",
            GRADIENT,
            |real| match real {
                Precision::F32 => same_gradient::<f32>(1.0),
                Precision::F64 => same_gradient::<f64>(1.0),
            },
        ),
        Claim::new(
            "E18",
            "ψ_1(x) = m + S^{1/2} x",
            "256 rows solved along the velocity against the map",
            GAUSSIAN,
            |real| {
                let flow = gaussian()?;
                let velocity = flow.velocity(AffinePath::default());
                match real {
                    Precision::F32 => map::<f32>(&Rounded(&velocity), |x| flow.map(x)),
                    Precision::F64 => map::<f64>(&Rounded(&velocity), |x| flow.map(x)),
                }
            },
        ),
        Claim::new(
            "E18.floor",
            "V = (π/2) tr S^{1/2}",
            "the floor of the loss in closed form against 100,000 draws of the true velocity's own loss, in standard errors",
            FLOOR,
            |real| {
                let floor = gaussian()?.loss_floor(AffinePath::default());
                match real {
                    Precision::F32 => own_loss::<f32>(floor),
                    Precision::F64 => own_loss::<f64>(floor),
                }
            },
        ),
        Claim::new(
            "E19",
            "d/dt log p_t + u·∇log p_t + ∇·u = 0",
            "the continuity equation of a mixture's velocity and density, by differences",
            MIXTURE,
            |real| {
                let mixture = mixture()?;
                let velocity = mixture.velocity(AffinePath::default());
                let log_p = |t: f64, x: &[f64; 2]| mixture_density(&mixture, t, x);
                match real {
                    Precision::F32 => continuity::<f32>(&Rounded(&velocity), log_p, 1.0),
                    Precision::F64 => continuity::<f64>(&Rounded(&velocity), log_p, 1.0),
                }
            },
        ),
        Claim::new(
            "E20",
            "u_t(x) = (Σ_i w_i x_i − x)/(1 − t)",
            "the velocity to 40 points against the plain sum over them",
            EMPIRICAL,
            |real| {
                let field = field(&points())?;
                match real {
                    Precision::F32 => plain_sum::<f32>(&Rounded(&field)),
                    Precision::F64 => plain_sum::<f64>(&Rounded(&field)),
                }
            },
        ),
        Claim::new(
            "E20.points",
            "E20 = lim E19 for S_k → 0",
            "the velocity to 40 points against a mixture of 40 Gaussians of width 1e-4",
            EMPIRICAL,
            |real| {
                let field = field(&points())?;
                match real {
                    Precision::F32 => thin_mixture::<f32>(&Rounded(&field)),
                    Precision::F64 => thin_mixture::<f64>(&field),
                }
            },
        ),
    ]
}

fn gaussian() -> Result<GaussianFlow> {
    GaussianFlow::new(&MEAN, &Tensor::from_rows(&COVARIANCE))
}

fn mixture() -> Result<MixtureFlow> {
    let other = Tensor::from_rows(&[[0.3, -0.1], [-0.1, 0.8]]);
    MixtureFlow::new(
        &[0.3, 0.7],
        &Tensor::from_rows(&[MEAN, [-1.0, 1.5]]),
        &[Tensor::from_rows(&COVARIANCE), other],
    )
}

fn mixture_1d() -> Result<MixtureFlow> {
    let width = |s: f64| Tensor::from_rows(&[[s * s]]);
    MixtureFlow::new(&[0.4, 0.6], &Tensor::from_rows(&[[-1.5], [1.0]]), &[width(0.5), width(0.3)])
}

fn mixture_density(mixture: &MixtureFlow, t: f64, x: &[f64; 2]) -> Result<f64> {
    Ok(mixture.marginal_log_density(AffinePath::default(), &[t], &Tensor::from_rows(&[*x]))?[0])
}

/// 40 points in the plane.
fn points() -> Tensor<f64> {
    toy::moons(40, &mut Rng::from_seed(SEED))
}

fn field(points: &Tensor<f64>) -> Result<EmpiricalField> {
    EmpiricalField::new(points, AffinePath::default())
}

fn normals<R: Real>(rows: usize, seed: u64) -> Tensor<R> {
    let mut x = Tensor::zeros(rows, 2);
    Source::Normal.fill(&Rng::from_seed(seed).fork(Purpose::Source), 0, &mut x);
    x
}

fn uniforms(rows: usize) -> Vec<f64> {
    let mut stream = Rng::from_seed(SEED).fork(Purpose::Batch).stream(0);
    (0..rows).map(|_| stream.uniform()).collect()
}

/// Points on the path of this crate.
fn path<R: Real>(x_0: Tensor<R>, x_1: Tensor<R>, t: Vec<f64>) -> Result<PathSample<R>> {
    AffinePath::default().sample(x_0, x_1, t)
}

fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// log N(x | t y, (1 - t)² I) for one point y.
fn log_kernel(t: f64, x: &[f64], y: &[f64]) -> f64 {
    let s = 1.0 - t;
    let square: f64 = x.iter().zip(y).map(|(x, y)| ((x - t * y) / s).powi(2)).sum();
    -0.5 * square - x.len() as f64 * (s.ln() + 0.5 * std::f64::consts::TAU.ln())
}

const TIMES: [f64; 3] = [0.2, 0.5, 0.9];

fn marginal_density(log_p: impl Fn(f64, &Tensor<f64>) -> Result<f64>) -> Result<Finding> {
    let (points, x) = (points(), normals::<f64>(16, SEED));
    let mut worst = 0.0;
    for t in TIMES {
        for i in 0..x.rows() {
            let sum: f64 = (0..points.rows()).map(|k| log_kernel(t, x.row(i), points.row(k)).exp()).sum();
            let wanted = (sum / points.rows() as f64).ln();
            worst = larger(worst, (log_p(t, &x.slice_rows(i..i + 1))? - wanted).abs() / (1.0 + wanted.abs()));
        }
    }
    Ok(Finding::new(worst, 1e-12, "rounding of sums of 40 terms and of exponents of size 100"))
}

type Sampler<'a, R> = &'a dyn Fn(Tensor<R>, Tensor<R>, Vec<f64>) -> Result<PathSample<R>>;

fn conditional<R: Real>(
    sample: impl Fn(Tensor<R>, Tensor<R>, Vec<f64>) -> Result<PathSample<R>>,
) -> Result<Finding> {
    let (t, x_1) = (0.3, [R::from_f64(2.0), R::from_f64(-1.0)]);
    let target = Tensor::from_vec(x_1.repeat(ROWS), ROWS, 2)?;
    let drawn = sample(normals(ROWS, SEED), target, vec![t; ROWS])?.x_t;
    let n = ROWS as f64;
    let (mut worst, width) = (0.0, 1.0 - t);
    for (j, x_1) in x_1.iter().enumerate() {
        let off: Vec<f64> = (0..ROWS).map(|i| drawn.row(i)[j].to_f64() - t * x_1.to_f64()).collect();
        worst = larger(worst, (off.iter().sum::<f64>() / n).abs() / (width / n.sqrt()));
        let variance = off.iter().map(|x| x * x).sum::<f64>() / n;
        worst = larger(worst, (variance / (width * width) - 1.0).abs() / (2.0 / n).sqrt());
    }
    Ok(Finding::new(worst, deviations(4), "sampling: four moments, one false alarm in a million"))
}

/// Random pairs and times.
fn pairs<R: Real>(sample: Sampler<'_, R>) -> Result<PathSample<R>> {
    sample(normals(ROWS, SEED), normals(ROWS, SEED + 1), uniforms(ROWS))
}

fn line<R: Real>(
    sample: impl Fn(Tensor<R>, Tensor<R>, Vec<f64>) -> Result<PathSample<R>>,
) -> Result<Finding> {
    let s = pairs(&sample)?;
    let mut worst = 0.0;
    for (i, t) in s.t.iter().enumerate() {
        for j in 0..2 {
            let wanted = t * s.x_1.row(i)[j].to_f64() + (1.0 - t) * s.x_0.row(i)[j].to_f64();
            worst = larger(worst, (s.x_t.row(i)[j].to_f64() - wanted).abs());
        }
    }
    Ok(Finding::new(worst, 16.0 * R::ROUNDOFF, "four roundings of numbers of size 4"))
}

fn conditional_velocity<R: Real>(
    sample: impl Fn(Tensor<R>, Tensor<R>, Vec<f64>) -> Result<PathSample<R>>,
) -> Result<Finding> {
    let s = pairs(&sample)?;
    let mut worst = 0.0;
    for (i, t) in s.t.iter().enumerate() {
        for j in 0..2 {
            // (1 - t) u = x_1 - x_t, so that nothing is divided by a time near 0.
            let gap = s.x_1.row(i)[j].to_f64() - s.x_t.row(i)[j].to_f64();
            worst = larger(worst, ((1.0 - t) * s.dx_t.row(i)[j].to_f64() - gap).abs());
        }
    }
    Ok(Finding::new(worst, 32.0 * R::ROUNDOFF, "eight roundings of numbers of size 4"))
}

fn moments<R: Real>(
    sample: impl Fn(Tensor<R>, Tensor<R>, Vec<f64>) -> Result<PathSample<R>>,
) -> Result<Finding> {
    let flow = gaussian()?;
    let x_1: Tensor<R> = flow.map(&normals(ROWS, SEED + 1))?.cast();
    let n = ROWS as f64;
    let mut worst = 0.0;
    for t in TIMES {
        let x = sample(normals(ROWS, SEED), x_1.clone(), vec![t; ROWS])?.x_t;
        let c =
            |j: usize, k: usize| t * t * COVARIANCE[j][k] + if j == k { (1.0 - t) * (1.0 - t) } else { 0.0 };
        let off = |i: usize, j: usize| x.row(i)[j].to_f64() - t * MEAN[j];
        for j in 0..2 {
            let mean = (0..ROWS).map(|i| off(i, j)).sum::<f64>() / n;
            worst = larger(worst, mean.abs() / (c(j, j) / n).sqrt());
            for k in 0..=j {
                let found = (0..ROWS).map(|i| off(i, j) * off(i, k)).sum::<f64>() / n;
                // The variance of a product of two normal numbers.
                let spread = (c(j, j) * c(k, k) + c(j, k) * c(j, k)) / n;
                worst = larger(worst, (found - c(j, k)).abs() / spread.sqrt());
            }
        }
    }
    Ok(Finding::new(worst, deviations(15), "sampling: 15 moments, one false alarm in a million"))
}

fn marginal_velocity<R: Real>(velocity: &impl VectorField<R>) -> Result<Finding> {
    const POINTS: u32 = 4000;
    let q = |y: f64| {
        let part = |w: f64, m: f64, s: f64| {
            w * (-0.5 * ((y - m) / s).powi(2)).exp() / (s * std::f64::consts::TAU.sqrt())
        };
        part(0.4, -1.5, 0.5) + part(0.6, 1.0, 0.3)
    };
    let mut worst = 0.0;
    for t in TIMES.map(R::from_f64) {
        for x in [-1.0, 0.1, 0.8].map(R::from_f64) {
            let mut u = Tensor::zeros(1, 1);
            velocity.eval(&[t], &Tensor::from_rows(&[[x]]), &mut u)?;
            let (t, x) = (t.to_f64(), x.to_f64());
            let (mut above, mut below) = (0.0, 0.0);
            for k in 0..POINTS {
                let y = -6.0 + 12.0 * (f64::from(k) + 0.5) / f64::from(POINTS);
                let weight = log_kernel(t, &[x], &[y]).exp() * q(y);
                above += (y - x) / (1.0 - t) * weight; // E8
                below += weight;
            }
            let wanted = above / below;
            worst = larger(worst, (u.row(0)[0].to_f64() - wanted).abs() / (1.0 + wanted.abs()));
        }
    }
    let from = "the midpoint rule on a smooth function that vanishes at both ends: below rounding, here of 4000 terms, and of what comes out";
    Ok(Finding::new(worst, 1e-11_f64.max(4.0 * R::ROUNDOFF), from))
}

/// A field that is off by DELTA everywhere.
const DELTA: [f64; 2] = [0.3, -0.4];

fn shifted(exact: &EmpiricalField, by: [f64; 2]) -> impl VectorField<f64> + '_ {
    FnField::new(2, move |t: f64, x: &[f64], u: &mut [f64]| {
        let mut out = Tensor::zeros(1, 2);
        let asked = Tensor::from_vec(x.to_vec(), 1, 2).and_then(|x| exact.eval(&[t], &x, &mut out));
        for j in 0..2 {
            u[j] = if asked.is_ok() { out.row(0)[j] + by[j] } else { f64::NAN };
        }
    })
}

fn measured<R: Real>(field: &dyn VectorField<R>, exact: &EmpiricalField) -> Result<ExactLoss> {
    ExactLoss::measure(field, exact, 2000, &mut Rng::from_seed(SEED))
}

fn distance<R: Real>(
    measure: impl Fn(&dyn VectorField<R>, &EmpiricalField) -> Result<ExactLoss>,
) -> Result<Finding> {
    let exact = field(&points())?;
    let found = measure(&Rounded(&shifted(&exact, DELTA)), &exact)?.excess.mean;
    let wanted: f64 = DELTA.iter().map(|d| d * d).sum();
    // In f64 velocities are differences of numbers of size 1 / (1 - t), up to 1e4 here. They are of size 16 themselves, and their
    // rounding counts twice with |δ_1| + |δ_2| = 0.7.
    let bound = 1e-9_f64.max(2.0 * 0.7 * 16.0 * R::ROUNDOFF);
    Ok(Finding::new(
        (found - wanted).abs(),
        bound,
        "rounding of differences of size 1e4, and of velocities of size 16",
    ))
}

fn network<R: Real>() -> Result<Mlp<R>> {
    Mlp::new(2, &[16], &mut Rng::from_seed(SEED))
}

fn loss<R: Real>(of: impl Fn(&Mlp<R>, &PathSample<R>) -> Result<f64>) -> Result<Finding> {
    let (network, s) = (network::<R>()?, pairs(&path::<R>)?);
    let t = s.times();
    let mut u = Tensor::zeros(ROWS, 2);
    network.eval(&t, &s.x_t, &mut u)?;
    let mut sum = 0.0;
    for i in 0..ROWS {
        for j in 0..2 {
            sum += (u.row(i)[j].to_f64() - s.dx_t.row(i)[j].to_f64()).powi(2); // E11
        }
    }
    let wanted = sum / ROWS as f64;
    let found = of(&network, &s)?;
    let bound = 100.0 * R::ROUNDOFF.max(f64::EPSILON);
    Ok(Finding::new((found - wanted).abs() / wanted, bound, "rounding of a sum"))
}

fn floor<R: Real>(residual: impl Fn(&ExactLoss) -> Estimate) -> Result<Finding> {
    let points: Tensor<f64> = toy::moons(300, &mut Rng::from_seed(SEED));
    let measured = ExactLoss::measure(&network::<R>()?, &field(&points)?, 20_000, &mut Rng::from_seed(SEED))?;
    let Estimate { mean, standard_error } = residual(&measured);
    Ok(Finding::new(
        mean.abs() / standard_error,
        deviations(1),
        "sampling: 20,000 draws, one false alarm in a million",
    ))
}

/// The gradient of |v - dX|² against that of |v - `share` u|², whose difference is 0 on average for the whole u.
fn same_gradient<R: Real>(share: f64) -> Result<Finding> {
    const BATCHES: usize = 256;
    const BATCH: usize = 64;
    let (network, exact) = (network::<R>()?, field(&points())?);
    let objective = Objective::new(network.shape(), AffinePath::default(), Source::Normal);
    let count = network.parameters().len();
    let mut stream = Rng::from_seed(SEED).fork(Purpose::Metric).stream(0);
    let directions: Vec<Vec<f64>> = (0..4).map(|_| (0..count).map(|_| stream.normal()).collect()).collect();
    let mut differences = vec![Vec::new(); 4];
    for batch in 0..BATCHES {
        let mut rng = Rng::from_seed(1000 + batch as u64);
        let mut x_0 = Tensor::<R>::zeros(BATCH, 2);
        Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x_0);
        let mut drawn = rng.fork(Purpose::Batch).stream(0);
        let rows: Vec<R> = (0..BATCH)
            .flat_map(|_| exact.points().row(drawn.below(exact.points().rows())))
            .map(|&x| R::from_f64(x))
            .collect();
        // Away from t = 1, where single velocities are huge and a mean of them is no normal number.
        let t: Vec<f64> = (0..BATCH).map(|_| 0.9 * drawn.uniform()).collect();
        let sample = AffinePath::default().sample(x_0, Tensor::from_vec(rows, BATCH, 2)?, t)?;
        let mut true_field = sample.clone();
        let t = sample.times();
        Rounded(&exact).eval(&t, &sample.x_t, &mut true_field.dx_t)?;
        true_field.dx_t.as_mut_slice().iter_mut().for_each(|u| *u = R::from_f64(share) * *u);
        let gradients = [&sample, &true_field].map(|s| objective.gradient(network.weights(), s).1);
        for (differences, direction) in differences.iter_mut().zip(&directions) {
            let along = gradients[0].iter().zip(&gradients[1]).zip(direction);
            differences.push(along.map(|((a, b), v)| (a.to_f64() - b.to_f64()) * v).sum::<f64>());
        }
    }
    let ratio = |numbers: &Vec<f64>| {
        let Estimate { mean, standard_error } = Estimate::of(numbers);
        mean.abs() / standard_error
    };
    let worst = differences.iter().map(ratio).fold(0.0, larger);
    // Student's law of 255 degrees has a tenth more at that probability.
    Ok(Finding::new(worst, 1.1 * deviations(4), "sampling: four directions, one false alarm in a million"))
}

fn map<R: Real>(
    velocity: &impl VectorField<R>,
    known: impl Fn(&Tensor<f64>) -> Result<Tensor<f64>>,
) -> Result<Finding> {
    let tolerance = if R::ROUNDOFF < 1e-10 { 1e-10 } else { 1e-5 };
    let x_0 = normals::<R>(256, SEED);
    let found = Solver::dopri5().tolerance(tolerance).solve(velocity, &x_0, 0.0..1.0)?.x;
    let wanted = known(&x_0.cast())?;
    let off = found.as_slice().iter().zip(wanted.as_slice()).map(|(a, b)| (a.to_f64() - b).abs());
    let from = format!("10 times the tolerance of dopri5, {tolerance:e}");
    Ok(Finding::new(off.fold(0.0, larger), 10.0 * tolerance, from))
}

fn own_loss<R: Real>(floor: f64) -> Result<Finding> {
    const DRAWS: usize = 100_000;
    let (flow, mut rng) = (gaussian()?, Rng::from_seed(SEED));
    let x_1 = flow.map(&normals(DRAWS, SEED + 2))?.cast();
    let mut times = rng.fork(Purpose::Batch).stream(0);
    let t = (0..DRAWS).map(|_| times.uniform()).collect();
    let sample = AffinePath::default().sample::<R>(normals(DRAWS, SEED + 3), x_1, t)?;
    let mut u = Tensor::<R>::zeros(DRAWS, 2);
    let t = sample.times();
    Rounded(&flow.velocity(AffinePath::default())).eval(&t, &sample.x_t, &mut u)?;
    let row = |i: usize| {
        let pairs = u.row(i).iter().zip(sample.dx_t.row(i));
        pairs.map(|(u, v)| (u.to_f64() - v.to_f64()).powi(2)).sum()
    };
    let Estimate { mean, standard_error } = Estimate::of(&(0..DRAWS).map(row).collect::<Vec<f64>>());
    Ok(Finding::new(
        (mean - floor).abs() / standard_error,
        deviations(1),
        "sampling: 100,000 draws, one false alarm in a million",
    ))
}

fn plain_sum<R: Real>(velocity: &impl VectorField<R>) -> Result<Finding> {
    let (points, x) = (points(), normals::<R>(16, SEED));
    let (mut worst, mut u) = (0.0, Tensor::<R>::zeros(16, 2));
    for t in TIMES {
        velocity.eval(&[R::from_f64(t); 16], &x, &mut u)?;
        let t = R::from_f64(t).to_f64();
        for i in 0..x.rows() {
            let at: Vec<f64> = x.row(i).iter().map(|x| x.to_f64()).collect();
            let weights: Vec<f64> =
                (0..points.rows()).map(|k| log_kernel(t, &at, points.row(k)).exp()).collect();
            let total: f64 = weights.iter().sum();
            for j in 0..2 {
                let mean: f64 = weights.iter().enumerate().map(|(k, w)| w * points.row(k)[j]).sum();
                let wanted = (mean / total - at[j]) / (1.0 - t);
                worst = larger(worst, (u.row(i)[j].to_f64() - wanted).abs() / (1.0 + wanted.abs()));
            }
        }
    }
    let bound = 1e-12_f64.max(16.0 * R::ROUNDOFF);
    Ok(Finding::new(worst, bound, "rounding of sums of 40 terms, and of what goes in and comes out"))
}

fn thin_mixture<R: Real>(velocity: &impl VectorField<R>) -> Result<Finding> {
    let (points, x) = (points(), normals::<R>(16, SEED));
    let n = points.rows();
    let thin = Tensor::from_rows(&[[1e-8, 0.0], [0.0, 1e-8]]);
    let mixture = MixtureFlow::new(&vec![1.0; n], &points, &vec![thin; n])?;
    let other = mixture.velocity(AffinePath::default());
    let (mut worst, mut a, mut b) = (0.0, Tensor::<R>::zeros(16, 2), Tensor::zeros(16, 2));
    for t in TIMES.map(R::from_f64) {
        velocity.eval(&[t; 16], &x, &mut a)?;
        other.eval(&[t.to_f64(); 16], &x.cast(), &mut b)?;
        for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
            worst = larger(worst, (a.to_f64() - b).abs() / (1.0 + b.abs()));
        }
    }
    let from = "the width squared over that of the path, 1e-8 t² / (1 - t)² up to 1e-6, times a distance of some units over 1 - t";
    Ok(Finding::new(worst, 1e-3, from))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;

    /// The path with something done to what comes out.
    fn changed(
        how: impl Fn(f64, f64, f64) -> [f64; 2] + Copy,
    ) -> impl Fn(Tensor<f64>, Tensor<f64>, Vec<f64>) -> Result<PathSample<f64>> {
        move |x_0, x_1, t| {
            let mut sample = path(x_0, x_1, t)?;
            for i in 0..sample.t.len() {
                for j in 0..2 {
                    let [x, dx] = how(sample.t[i], sample.x_0.row(i)[j], sample.x_1.row(i)[j]);
                    sample.x_t.row_mut(i)[j] = x;
                    sample.dx_t.row_mut(i)[j] = dx;
                }
            }
            Ok(sample)
        }
    }

    fn swapped(t: f64, a: f64, b: f64) -> [f64; 2] {
        [(1.0 - t) * b + t * a, b - a]
    }

    fn preserving(t: f64, a: f64, b: f64) -> [f64; 2] {
        [t * b + (1.0 - t * t).sqrt() * a, b - a]
    }

    fn wrong_gaussian(covariance: [[f64; 2]; 2]) -> Result<Finding> {
        let (right, wrong) = (gaussian()?, GaussianFlow::new(&MEAN, &Tensor::from_rows(&covariance))?);
        map::<f64>(&right.velocity(AffinePath::default()), |x| wrong.map(x))
    }

    fn wrong_points(change: impl Fn(f64) -> f64) -> Result<EmpiricalField> {
        let mut points = points();
        points.as_mut_slice().iter_mut().for_each(|x| *x = change(*x));
        field(&points)
    }

    pub(crate) fn faults() -> Vec<Fault> {
        vec![
            Fault::new("E4", "a mean without its 1/n", || {
                marginal_density(
                    |t, x| Ok(field(&points())?.targets(&[t], x)?.log_density[0] + 40.0_f64.ln()),
                )
            }),
            Fault::new("E4", "t and 1 - t swapped", || {
                marginal_density(|t, x| Ok(field(&points())?.targets(&[1.0 - t], x)?.log_density[0]))
            }),
            Fault::new("E5", "t and 1 - t swapped", || conditional(changed(swapped))),
            Fault::new("E5", "a width of sqrt(1 - t²)", || conditional(changed(preserving))),
            Fault::new("E6", "t and 1 - t swapped", || line(changed(swapped))),
            Fault::new("E6", "a width of sqrt(1 - t²)", || line(changed(preserving))),
            Fault::new("E7", "a path that keeps the variance", || moments(changed(preserving))),
            Fault::new("E7", "t and 1 - t swapped", || moments(changed(swapped))),
            Fault::new("E8", "the sign of the velocity", || {
                conditional_velocity(changed(|t, a, b| [t * b + (1.0 - t) * a, a - b]))
            }),
            Fault::new("E8", "the target as velocity", || {
                conditional_velocity(changed(|t, a, b| [t * b + (1.0 - t) * a, b]))
            }),
            Fault::new("E9", "components that are not weighted", || {
                let equal = MixtureFlow::new(
                    &[0.5, 0.5],
                    &Tensor::from_rows(&[[-1.5], [1.0]]),
                    &[Tensor::from_rows(&[[0.25]]), Tensor::from_rows(&[[0.09]])],
                )?;
                marginal_velocity(&equal.velocity(AffinePath::default()))
            }),
            Fault::new("E9", "the conditional velocity to the nearest mean", || {
                marginal_velocity(&FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| {
                    let mean = if x[0] < -0.25 { -1.5 } else { 1.0 };
                    u[0] = (mean - x[0]) / (1.0 - t);
                }))
            }),
            Fault::new("E10", "half of a square", || {
                distance::<f64>(|field, exact| {
                    let mut found = ExactLoss::measure(field, exact, 2000, &mut Rng::from_seed(SEED))?;
                    found.excess.mean /= 2.0;
                    Ok(found)
                })
            }),
            Fault::new("E10", "the loss that is trained in its place", || {
                distance::<f64>(|field, exact| {
                    let mut found = ExactLoss::measure(field, exact, 2000, &mut Rng::from_seed(SEED))?;
                    found.excess = found.loss;
                    Ok(found)
                })
            }),
            Fault::new("E11", "a mean over numbers, not over rows", || {
                loss::<f64>(|network, sample| Ok(objective::loss(network, sample)? / 2.0))
            }),
            Fault::new("E11", "the target in place of the velocity", || {
                loss::<f64>(|network, sample| {
                    let wrong = PathSample { dx_t: sample.x_1.clone(), ..sample.clone() };
                    objective::loss(network, &wrong)
                })
            }),
            Fault::new("E12", "no floor", || {
                floor::<f64>(|measured| Estimate {
                    mean: measured.residual.mean + measured.floor.mean,
                    ..measured.residual
                })
            }),
            Fault::new("E12", "the floor twice", || {
                floor::<f64>(|measured| Estimate {
                    mean: measured.residual.mean - measured.floor.mean,
                    ..measured.residual
                })
            }),
            Fault::new("E12.gradient", "half of the true field", || same_gradient::<f64>(0.5)),
            Fault::new("E12.gradient", "the sign of the true field", || same_gradient::<f64>(-1.0)),
            Fault::new("E18", "S in place of its root", || {
                let [[a, b], [_, c]] = COVARIANCE;
                wrong_gaussian([[a * a + b * b, a * b + b * c], [a * b + b * c, b * b + c * c]])
            }),
            Fault::new("E18", "the correlation left out", || wrong_gaussian([[1.2, 0.0], [0.0, 0.6]])),
            Fault::new("E18", "the sign of the correlation", || wrong_gaussian([[1.2, -0.5], [-0.5, 0.6]])),
            Fault::new("E18.floor", "pi for pi/2", || {
                own_loss::<f64>(2.0 * gaussian()?.loss_floor(AffinePath::default()))
            }),
            Fault::new("E18.floor", "S squared for its root", || {
                let squares: f64 = COVARIANCE.concat().iter().map(|s| s * s).sum();
                own_loss::<f64>(std::f64::consts::FRAC_PI_2 * squares)
            }),
            Fault::new("E19", "the velocity of one component alone", || {
                let mixture = mixture()?;
                continuity::<f64>(
                    &gaussian()?.velocity(AffinePath::default()),
                    |t, x| mixture_density(&mixture, t, x),
                    1.0,
                )
            }),
            Fault::new("E19", "weights exchanged", || {
                let other = mixture()?;
                let swapped = MixtureFlow::new(
                    &[0.7, 0.3],
                    &Tensor::from_rows(&[MEAN, [-1.0, 1.5]]),
                    &[Tensor::from_rows(&COVARIANCE), Tensor::from_rows(&[[0.3, -0.1], [-0.1, 0.8]])],
                )?;
                continuity::<f64>(
                    &swapped.velocity(AffinePath::default()),
                    |t, x| mixture_density(&other, t, x),
                    1.0,
                )
            }),
            Fault::new("E20", "points that are too far by a hundredth", || {
                plain_sum(&wrong_points(|x| 1.01 * x)?)
            }),
            Fault::new("E20", "a weight without its 2", || {
                // Weights of exp(-|x - t y|² / sigma²): as if sigma were smaller.
                plain_sum(&FnField::new(2, |t: f64, x: &[f64], u: &mut [f64]| {
                    let points = points();
                    let weight = |k: usize| {
                        let square: f64 =
                            x.iter().zip(points.row(k)).map(|(x, y)| ((x - t * y) / (1.0 - t)).powi(2)).sum();
                        (-square).exp()
                    };
                    let total: f64 = (0..points.rows()).map(weight).sum();
                    for j in 0..2 {
                        let mean: f64 = (0..points.rows()).map(|k| weight(k) * points.row(k)[j]).sum();
                        u[j] = (mean / total - x[j]) / (1.0 - t);
                    }
                }))
            }),
            Fault::new("E20.points", "points of the other sign", || thin_mixture(&wrong_points(|x| -x)?)),
            Fault::new("E20.points", "points that are too near by a hundredth", || {
                thin_mixture(&wrong_points(|x| 0.99 * x)?)
            }),
        ]
    }
}
