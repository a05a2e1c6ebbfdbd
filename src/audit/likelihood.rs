//! Claims about what the flow makes of a density: E2, E3, E21, E22.
//!
//! All are about the flow from N(0, I) to N(m, S) in two dimensions, of which everything is known (E18): its velocity is linear
//! in x, so that J = ∫ du/dx dt = (ln S)/2 on every trajectory, and the variance of eᵀ J e follows.

use crate::closed_form::GaussianFlow;
use crate::error::Result;
use crate::field::{DifferentiableField, ProbeLaw, VectorField};
use crate::kernel::Real;
use crate::likelihood::{Divergence, log_density, log_density_rows};
use crate::ode::Solver;
use crate::path::AffinePath;
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::chart::{Axis, Chart, Mark, Series};
use super::claim::{Claim, Finding, Place, Precision};
use super::deviations;
use super::rounded::Rounded;

const PUSH: Place = Place::of("src/flow.rs", include_str!("../flow.rs"), "// E2");
const VELOCITY: Place = Place::of(
    "src/closed_form/gaussian.rs",
    include_str!("../closed_form/gaussian.rs"),
    "pub struct GaussianVelocity",
);
const CHANGE: Place = Place::of("src/likelihood/mod.rs", include_str!("../likelihood/mod.rs"), "// E21");
const PROBES: Place = Place::of("src/field/probe.rs", include_str!("../field/probe.rs"), "pub struct Probes");

const SEED: u64 = 21;
const ROWS: usize = 4096;
/// Estimates of a divergence by one probe.
const ESTIMATES: usize = 8192;
const MEAN: [f64; 2] = [1.0, -0.5];
/// The eigenvalues of S, and the angle of its first eigenvector.
const EIGENVALUES: [f64; 2] = [1.6, 0.3];
const ANGLE: f64 = 0.6;

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E2",
            "X_0 ~ p ⇒ X_1 = ψ_1(X_0) ~ q",
            "mean and covariance of 4096 pushed rows, in standard errors",
            PUSH,
            |real| {
                let target = target()?;
                let u = target.velocity(AffinePath::default());
                match real {
                    Precision::F32 => pushed::<f32>(&Rounded(&u), 1.0),
                    Precision::F64 => pushed::<f64>(&Rounded(&u), 1.0),
                }
            },
        ),
        Claim::new(
            "E3",
            "d/dt log p_t + u·∇log p_t + ∇·u = 0",
            "the continuity equation by differences of the closed density",
            VELOCITY,
            |real| {
                let target = target()?;
                let u = target.velocity(AffinePath::default());
                match real {
                    Precision::F32 => continuity::<f32>(&Rounded(&u), density, 1.0),
                    Precision::F64 => continuity::<f64>(&Rounded(&u), density, 1.0),
                }
            },
        ),
        Claim::new(
            "E21",
            "log p_1(x) = log p_0(ψ_1^{−1}(x)) − ∫_0^1 ∇·u dt",
            "the log-density of 512 rows against that of N(m, S)",
            CHANGE,
            |real| match real {
                Precision::F32 => change::<f32>(exact::<f32>),
                Precision::F64 => change::<f64>(exact::<f64>),
            },
        ),
        Claim::new(
            "E22",
            "E[e^T J e] = tr J",
            "the mean of 8192 estimates by one probe each, in standard errors",
            PROBES,
            |real| match real {
                Precision::F32 => unbiased(&both(estimates::<f32>)?),
                Precision::F64 => unbiased(&both(estimates::<f64>)?),
            },
        ),
        Claim::new(
            "E22.variance",
            "Var[e^T J e] = 2 Σ_{i≠j} S_{ij}^2 or 2 Σ_{ij} S_{ij}^2",
            "their variance, for Rademacher and Gaussian probes that stay the same all the way",
            PROBES,
            |real| match real {
                Precision::F32 => variance(&both(estimates::<f32>)?),
                Precision::F64 => variance(&both(estimates::<f64>)?),
            },
        ),
    ]
}

fn covariance() -> Tensor<f64> {
    let ([a, b], (s, c)) = (EIGENVALUES, ANGLE.sin_cos());
    let off = s * c * (a - b);
    Tensor::from_rows(&[[c * c * a + s * s * b, off], [off, s * s * a + c * c * b]])
}

fn target() -> Result<GaussianFlow> {
    GaussianFlow::new(&MEAN, &covariance())
}

/// Tolerance of a solver for a type of number.
fn tolerance<R: Real>() -> f64 {
    if R::ROUNDOFF < 1e-10 { 1e-9 } else { 1e-5 }
}

/// The mean of some numbers.
fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The larger one; NaN if one of them is.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// That rows of `width` times N(0, I) come to have the mean m and the covariance S. // E2
fn pushed<R: Real>(field: &impl VectorField<R>, width: f64) -> Result<Finding> {
    let mut x_0 = Tensor::<R>::zeros(ROWS, 2);
    Source::Normal.fill(&Rng::from_seed(SEED).fork(Purpose::Source), 0, &mut x_0);
    x_0.as_mut_slice().iter_mut().for_each(|x| *x = R::from_f64(width * x.to_f64()));
    let solver = Solver::dopri5().tolerance(tolerance::<R>());
    let x = solver.solve(field, &x_0, 0.0..1.0)?.x.cast::<f64>();
    let (s, n) = (covariance(), ROWS as f64);
    let mut worst = 0.0;
    for j in 0..2 {
        let off: Vec<f64> = (0..ROWS).map(|i| x.row(i)[j] - MEAN[j]).collect();
        worst = larger(worst, mean(&off).abs() / (s.row(j)[j] / n).sqrt());
        for k in 0..=j {
            let products: Vec<f64> = (0..ROWS).map(|i| off[i] * (x.row(i)[k] - MEAN[k])).collect();
            // The variance of a product of two normal numbers.
            let spread = (s.row(j)[j] * s.row(k)[k] + s.row(j)[k] * s.row(j)[k]) / n;
            worst = larger(worst, (mean(&products) - s.row(j)[k]).abs() / spread.sqrt());
        }
    }
    let first: Vec<f64> = (0..ROWS).map(|i| x.row(i)[0]).collect();
    let finding = Finding::new(worst, deviations(5), "sampling: five moments, one false alarm in a million");
    Ok(finding.with_chart(Chart::histogram(&first, MEAN[0], s.row(0)[0])))
}

/// log p_t(x) of the closed form.
fn density(t: f64, x: &[f64; 2]) -> Result<f64> {
    let mut c = covariance();
    for j in 0..2 {
        c.row_mut(j).iter_mut().for_each(|c| *c *= t * t);
        c.row_mut(j)[j] += (1.0 - t) * (1.0 - t);
    }
    Ok(GaussianFlow::new(&MEAN.map(|m| t * m), &c)?.log_density(&Tensor::from_rows(&[*x]))?[0])
}

/// That a density and a velocity fit: d/dt log p + u · grad log p + `share` div u = 0, at 16 points. // E3
pub(super) fn continuity<R: Real>(
    field: &impl DifferentiableField<R>,
    log_p: impl Fn(f64, &[f64; 2]) -> Result<f64>,
    share: f64,
) -> Result<Finding> {
    const H: f64 = 1e-3;
    let slope = |f: &dyn Fn(f64) -> Result<f64>| -> Result<f64> {
        let quotient = |h: f64| -> Result<f64> { Ok((f(h)? - f(-h)?) / (2.0 * h)) };
        Ok((4.0 * quotient(H)? - quotient(2.0 * H)?) / 3.0)
    };
    let (mut worst, mut points) = (0.0, Vec::new());
    for i in 0..16_u32 {
        let t = 0.1 + 0.05 * f64::from(i);
        let x = [(1.3 * f64::from(i)).sin(), (0.7 * f64::from(i)).cos()];
        let (mut u, mut rate) = (Tensor::zeros(1, 2), [0.0]);
        let point = Tensor::from_rows(&[x.map(R::from_f64)]);
        field.divergence_worker(1).eval_carry(&[R::from_f64(t)], &point, &mut u, &mut rate)?;
        let mut sum = slope(&|h| log_p(t + h, &x))? + share * rate[0];
        for j in 0..2 {
            let along = |h: f64| {
                let mut x = x;
                x[j] += h;
                log_p(t, &x)
            };
            sum += u.row(0)[j].to_f64() * slope(&along)?;
        }
        worst = larger(worst, sum.abs());
        points.push((t, sum.abs().max(f64::EPSILON)));
    }
    let chart = Chart {
        x: Axis::linear("t"),
        y: Axis::log("residual of the continuity equation"),
        series: vec![Series { name: "16 points".into(), mark: Mark::Dot, points }],
    };
    let from = "differences of order h^4, h = 1e-3; and 1000 roundings of the velocity";
    Ok(Finding::new(worst, 1e-6 + 1000.0 * R::ROUNDOFF, from).with_chart(chart))
}

/// Rows to score.
fn points<R: Real>(rows: usize) -> Tensor<R> {
    let mut x = Tensor::zeros(rows, 2);
    Source::Normal.fill(&Rng::from_seed(SEED).fork(Purpose::Data), 0, &mut x);
    x
}

/// The log-densities that this crate finds.
fn exact<R: Real>(x: &Tensor<R>) -> Result<Vec<f64>> {
    let (target, solver) = (target()?, Solver::dopri5().tolerance(tolerance::<R>()));
    let (u, mut rng) = (target.velocity(AffinePath::default()), Rng::from_seed(SEED));
    Ok(log_density(&Rounded(&u), Source::Normal, x, Divergence::Exact, &solver, &mut rng)?.log_density)
}

/// That log-densities are those of N(m, S). // E21
fn change<R: Real>(score: impl Fn(&Tensor<R>) -> Result<Vec<f64>>) -> Result<Finding> {
    let x = points::<R>(512);
    let (found, wanted) = (score(&x)?, target()?.log_density(&x.cast())?);
    let off = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs() / (1.0 + b.abs()));
    let from = format!("100 times the tolerance of dopri5, {:e}, relative to 1 + |log p|", tolerance::<R>());
    Ok(Finding::new(off.fold(0.0, larger), 100.0 * tolerance::<R>(), from))
}

/// By how much each estimate with `probes` probes misses the log-density.
fn estimates<R: Real>(law: ProbeLaw, probes: u32) -> Result<Vec<f64>> {
    let (target, solver) = (target()?, Solver::rk4().steps(50));
    let (u, x) = (target.velocity(AffinePath::default()), points::<R>(ESTIMATES));
    let streams = Rng::from_seed(SEED).fork(Purpose::Probe);
    let divergence = Divergence::Hutchinson { probes, law };
    let found = log_density_rows(&Rounded(&u), Source::Normal, &x, 0, divergence, &solver, streams)?;
    let wanted = target.log_density(&x.cast())?;
    Ok(found.log_density.iter().zip(&wanted).map(|(a, b)| a - b).collect())
}

/// Each law with its estimates by one probe.
fn both(of: impl Fn(ProbeLaw, u32) -> Result<Vec<f64>>) -> Result<Vec<(ProbeLaw, Vec<f64>)>> {
    [ProbeLaw::Rademacher, ProbeLaw::Gaussian].into_iter().map(|law| Ok((law, of(law, 1)?))).collect()
}

/// The variance of eᵀ J e for J = (ln S)/2.
fn wanted_variance(law: ProbeLaw) -> f64 {
    let [a, b] = EIGENVALUES.map(|s| 0.5 * s.ln());
    let off = (a - b) * ANGLE.sin() * ANGLE.cos();
    match law {
        ProbeLaw::Rademacher => 4.0 * off * off,
        ProbeLaw::Gaussian => 2.0 * (a * a + b * b),
    }
}

/// The variance of (eᵀ J e - tr J)² for the same J: for signs it has one value; for normal numbers, with the eigenvalues a of J, the
/// fourth moment is 48 sum a⁴ + 12 (sum a²)².
fn variance_of_squares(law: ProbeLaw) -> f64 {
    let [a, b] = EIGENVALUES.map(|s| (0.5 * s.ln()).powi(2));
    match law {
        ProbeLaw::Rademacher => 0.0,
        ProbeLaw::Gaussian => 48.0 * (a * a + b * b) + 8.0 * (a + b).powi(2),
    }
}

/// That estimates miss by nothing on average. // E22
fn unbiased(estimates: &[(ProbeLaw, Vec<f64>)]) -> Result<Finding> {
    let ratio = |(law, off): &(ProbeLaw, Vec<f64>)| {
        mean(off).abs() / (wanted_variance(*law) / ESTIMATES as f64).sqrt()
    };
    let worst = estimates.iter().map(ratio).fold(0.0, larger);
    Ok(Finding::new(worst, deviations(2), "sampling: two laws, one false alarm in a million"))
}

/// Squares of squares of normal numbers have heavier tails than the margin of [`deviations`] is for. In 2,000,000 draws of 4096 of them
/// one mean was off by more than 6 standard deviations, and none by 6.5; means of 8192 have lighter tails, and the bound is 6.55.
const HEAVY: f64 = 1.2;

/// That they vary as theory says. // E22
fn variance(estimates: &[(ProbeLaw, Vec<f64>)]) -> Result<Finding> {
    let ratio = |(law, off): &(ProbeLaw, Vec<f64>)| {
        let wanted = wanted_variance(*law);
        let second = mean(&off.iter().map(|x| x * x).collect::<Vec<_>>());
        // Signs have no spread of their squares: there the solver's error is left, and f32.
        let spread = (variance_of_squares(*law) / ESTIMATES as f64).sqrt() + 1e-5;
        (second - wanted).abs() / spread
    };
    let worst = estimates.iter().map(ratio).fold(0.0, larger);
    Ok(Finding::new(
        worst,
        HEAVY * deviations(2),
        "sampling, by the fourth moment of the law, one false alarm in a million, and 1e-5 for the solver",
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;

    /// A field times a factor, with the rest of a linear field's faults in what is done with it.
    fn scaled(factor: f64) -> Result<GaussianFlow> {
        let mut s = covariance();
        s.as_mut_slice().iter_mut().for_each(|s| *s *= factor);
        GaussianFlow::new(&MEAN, &s)
    }

    /// log p_0 at some point, and a share of the integral.
    fn wrong(backwards: bool, at_start: bool, share: f64) -> Result<Finding> {
        change::<f64>(|x| {
            let (target, solver) = (target()?, Solver::dopri5().tolerance(1e-9));
            let u = target.velocity(AffinePath::default());
            let t = if backwards { 1.0..0.0 } else { 0.0..1.0 };
            let x_0 = solver.solve(&u, x, t)?.x;
            let integral: f64 = EIGENVALUES.iter().map(|s| 0.5 * s.ln()).sum();
            let point = |i| if at_start { x.row(i) } else { x_0.row(i) };
            Ok((0..x.rows()).map(|i| Source::Normal.log_density(point(i)) - share * integral).collect())
        })
    }

    fn off(law: ProbeLaw, change: impl Fn(f64) -> f64) -> Result<Vec<(ProbeLaw, Vec<f64>)>> {
        Ok(vec![(law, estimates::<f64>(law, 1)?.into_iter().map(change).collect())])
    }

    #[test]
    fn the_right_parts_make_the_right_sum() {
        assert!(wrong(true, false, 1.0).unwrap().holds());
    }

    pub(crate) fn faults() -> Vec<Fault> {
        let path = AffinePath::default;
        let trace: f64 = EIGENVALUES.iter().map(|s| 0.5 * s.ln()).sum();
        vec![
            Fault::new("E2", "the field of another covariance", move || {
                pushed::<f64>(&scaled(1.3)?.velocity(path()), 1.0)
            }),
            Fault::new("E2", "a source of width 1.2", move || {
                pushed::<f64>(&target()?.velocity(path()), 1.2)
            }),
            Fault::new("E2", "rows that stay where they are", || {
                pushed::<f64>(
                    &crate::field::FnField::new(2, |_: f64, _: &[f64], u: &mut [f64]| u.fill(0.0)),
                    1.0,
                )
            }),
            Fault::new("E3", "no divergence", move || {
                continuity::<f64>(&target()?.velocity(path()), density, 0.0)
            }),
            Fault::new("E3", "the sign of the divergence", move || {
                continuity::<f64>(&target()?.velocity(path()), density, -1.0)
            }),
            Fault::new("E3", "t and 1 - t swapped", move || {
                continuity::<f64>(&target()?.velocity(path()), |t, x| density(1.0 - t, x), 1.0)
            }),
            Fault::new("E3", "the field of another covariance", move || {
                continuity::<f64>(&scaled(1.01)?.velocity(path()), density, 1.0)
            }),
            Fault::new("E21", "no log-determinant", || wrong(true, false, 0.0)),
            Fault::new("E21", "the sign of the divergence", || wrong(true, false, -1.0)),
            Fault::new("E21", "p_0 at x_1", || wrong(true, true, 1.0)),
            Fault::new("E21", "forwards instead of backwards", || wrong(false, false, 1.0)),
            Fault::new("E21", "half of the divergence", || wrong(true, false, 0.5)),
            Fault::new("E22", "probes of the variance 1.5", move || {
                unbiased(&off(ProbeLaw::Gaussian, |x| 1.5 * x - 0.5 * trace)?)
            }),
            Fault::new("E22", "a trace without one dimension", move || {
                unbiased(&off(ProbeLaw::Rademacher, |x| x + 0.5 * EIGENVALUES[1].ln())?)
            }),
            Fault::new("E22.variance", "probes drawn anew four times on the way", || {
                let laws = [ProbeLaw::Rademacher, ProbeLaw::Gaussian];
                let of = |law| Ok((law, estimates::<f64>(law, 4)?));
                variance(&laws.into_iter().map(of).collect::<Result<Vec<_>>>()?)
            }),
            Fault::new("E22.variance", "Rademacher probes instead of Gaussian ones", || {
                variance(&[(ProbeLaw::Gaussian, estimates::<f64>(ProbeLaw::Rademacher, 1)?)])
            }),
        ]
    }
}
