//! Claims about the energy of a way and about how straight it is: E28.
//!
//! Both ways lead from N(0, I) to N(m, S): that of independent pairs (E18), and the straight one of the best transport, on which
//! row x_0 runs to m + S^(1/2) x_0 at one speed. What is squared there is linear in x_0, so that the mean over the 2 d rows
//! ± sqrt(d) e_k, which have mean 0 and covariance I, is the expectation itself, without an error of sampling.

use std::f64::consts::FRAC_PI_2;

use crate::closed_form::GaussianFlow;
use crate::error::Result;
use crate::field::{FnField, VectorField};
use crate::kernel::Real;
use crate::metrics::PathEnergy;
use crate::ode::{Method, Solver};
use crate::path::{AffinePath, Scheduler};
use crate::tensor::Tensor;

use super::claim::{Claim, Finding, Place, Precision};
use super::rounded::Rounded;

const ENERGY: Place =
    Place::of("src/metrics/path_energy.rs", include_str!("../metrics/path_energy.rs"), "pub fn measure");

const MEAN: [f64; 2] = [1.0, -0.5];
/// The eigenvalues of S, which is diagonal: the rows are in general position to nothing that is measured.
const S: [f64; 2] = [1.6, 0.3];

/// Tolerances that an integral may be off: each of some ten steps adds one, and the field spreads them.
const TOLERANCES: f64 = 20.0;

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E28",
            "E ∫ |u_t(X_t)|^2 dt = |m|^2 + tr(S + I − (π/2) S^{1/2})",
            "the path energy from N(0, I) to N(m, S) against the closed form",
            ENERGY,
            |real| match real {
                Precision::F32 => energy::<f32>(&along::<f32>(Scheduler::CondOt, 1.0)?, Scheduler::CondOt),
                Precision::F64 => energy::<f64>(&along::<f64>(Scheduler::CondOt, 1.0)?, Scheduler::CondOt),
            },
        ),
        Claim::new(
            "E28.scheduler",
            "E ∫ |u_t(X_t)|^2 dt = ∫ α̇_t^2 |m|^2 + tr((α_t α̇_t S + σ_t σ̇_t I)^2 C_t^{−1}) dt",
            "the path energy along cosine against the integral over its closed velocity",
            ENERGY,
            |real| match real {
                Precision::F32 => energy::<f32>(&along::<f32>(Scheduler::Cosine, 1.0)?, Scheduler::Cosine),
                Precision::F64 => energy::<f64>(&along::<f64>(Scheduler::Cosine, 1.0)?, Scheduler::Cosine),
            },
        ),
        Claim::new(
            "E28.straightness",
            "E ∫ |(X_1 − X_0) − u_t(X_t)|^2 dt = (2 − π/2) tr S^{1/2}",
            "how far the same way is from straight, against the closed form",
            ENERGY,
            |real| match real {
                Precision::F32 => straightness::<f32>(&along::<f32>(Scheduler::CondOt, 1.0)?),
                Precision::F64 => straightness::<f64>(&along::<f64>(Scheduler::CondOt, 1.0)?),
            },
        ),
        Claim::new(
            "E28.transport",
            "E ∫ |u_t(X_t)|^2 dt = W_2^2(p, q) for u_t(X_t) = X_1 − X_0",
            "normalised energy and straightness of the best transport, both 0",
            ENERGY,
            |real| match real {
                Precision::F32 => transport::<f32>(&measure::<f32>(&Rounded(&best(1.0)))?, w2_squared()),
                Precision::F64 => transport::<f64>(&measure::<f64>(&best(1.0))?, w2_squared()),
            },
        ),
    ]
}

fn tolerance<R: Real>() -> f64 {
    if R::ROUNDOFF < 1e-10 { 1e-10 } else { 1e-5 }
}

fn gaussian() -> Result<GaussianFlow> {
    GaussianFlow::new(&MEAN, &Tensor::from_rows(&[[S[0], 0.0], [0.0, S[1]]]))
}

/// Rows with mean 0 and covariance I.
fn rows<R: Real>() -> Tensor<R> {
    let r = 2.0_f64.sqrt();
    Tensor::from_rows(&[[r, 0.0], [-r, 0.0], [0.0, r], [0.0, -r]]).cast()
}

fn measure<R: Real>(field: &impl VectorField<R>) -> Result<PathEnergy> {
    PathEnergy::measure(field, &rows(), &Solver::new(Method::Dop853).tolerance(tolerance::<R>()))
}

/// The way of independent pairs along a scheduler, at `speed` times its velocity.
fn along<R: Real>(scheduler: Scheduler, speed: f64) -> Result<PathEnergy> {
    let flow = gaussian()?;
    let velocity = flow.velocity(AffinePath::new(scheduler));
    let field = FnField::new(2, |t: f64, x: &[f64], u: &mut [f64]| {
        let mut out = Tensor::zeros(1, 2);
        // It answers whatever it is asked; NaN would be found by the solver.
        let answered = velocity.eval(&[t], &Tensor::from_rows(&[[x[0], x[1]]]), &mut out);
        for (u, out) in u.iter_mut().zip(out.row(0)) {
            *u = if answered.is_ok() { speed * out } else { f64::NAN };
        }
    });
    measure::<R>(&Rounded(&field))
}

/// The best transport: X_t = x_0 + t (m + (S^(1/2) - I) x_0), whose x_0 is found from X_t; `stretch` is 1.
fn best(stretch: f64) -> impl VectorField<f64> {
    FnField::new(2, move |t: f64, x: &[f64], u: &mut [f64]| {
        for k in 0..2 {
            let g = stretch * (S[k].sqrt() - 1.0);
            u[k] = MEAN[k] + g * (x[k] - t * MEAN[k]) / (1.0 + t * (S[k].sqrt() - 1.0));
        }
    })
}

/// W2² from N(0, I) to N(m, S): |m|² + tr (S^(1/2) - I)².
fn w2_squared() -> f64 {
    MEAN.iter().map(|m| m * m).sum::<f64>() + S.iter().map(|s| (s.sqrt() - 1.0).powi(2)).sum::<f64>()
}

fn bound<R: Real>() -> (f64, String) {
    (TOLERANCES * tolerance::<R>(), format!("{TOLERANCES} tolerances of {:e} of dop853", tolerance::<R>()))
}

fn energy<R: Real>(found: &PathEnergy, scheduler: Scheduler) -> Result<Finding> {
    let exact = if scheduler == Scheduler::CondOt {
        let squares: f64 = MEAN.iter().map(|m| m * m).sum();
        squares + S.iter().map(|s| s + 1.0 - FRAC_PI_2 * s.sqrt()).sum::<f64>()
    } else {
        gaussian()?.path_energy(AffinePath::new(scheduler))
    };
    let (bound, from) = bound::<R>();
    Ok(Finding::new((found.energy.mean / exact - 1.0).abs(), bound, from))
}

fn straightness<R: Real>(found: &PathEnergy) -> Result<Finding> {
    let exact = (2.0 - FRAC_PI_2) * S.iter().map(|s| s.sqrt()).sum::<f64>();
    let (bound, from) = bound::<R>();
    Ok(Finding::new((found.straightness.mean / exact - 1.0).abs(), bound, from))
}

fn transport<R: Real>(found: &PathEnergy, w2_squared: f64) -> Result<Finding> {
    let measured = found.normalised(w2_squared).max(found.straightness.mean.abs() / w2_squared);
    let (bound, from) = bound::<R>();
    Ok(Finding::new(measured, bound, from))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;
    use crate::estimate::Estimate;

    fn estimate(mean: f64) -> Estimate {
        Estimate { mean, standard_error: 0.0 }
    }

    pub(crate) fn faults() -> Vec<Fault> {
        let of = |speed: f64| along::<f64>(Scheduler::CondOt, speed);
        vec![
            Fault::new("E28", "a field that is faster by a millionth", move || {
                energy::<f64>(&of(1.0 + 1e-6)?, Scheduler::CondOt)
            }),
            Fault::new("E28", "the squared distance between the ends in place of the integral", move || {
                let found = of(1.0)?;
                energy::<f64>(&PathEnergy { energy: found.displacement, ..found }, Scheduler::CondOt)
            }),
            Fault::new("E28", "an integral that ends at t = 0.999", move || {
                let found = of(1.0)?;
                energy::<f64>(
                    &PathEnergy { energy: estimate(0.999 * found.energy.mean), ..found },
                    Scheduler::CondOt,
                )
            }),
            Fault::new("E28.scheduler", "the energy of another scheduler", || {
                energy::<f64>(&along::<f64>(Scheduler::CondOt, 1.0)?, Scheduler::Cosine)
            }),
            Fault::new("E28.scheduler", "a velocity in f32", || {
                energy::<f64>(&along::<f32>(Scheduler::Cosine, 1.0)?, Scheduler::Cosine)
            }),
            Fault::new("E28.straightness", "straightness with the energy itself", move || {
                let found = of(1.0)?;
                straightness::<f64>(&PathEnergy { straightness: found.energy, ..found })
            }),
            Fault::new("E28.straightness", "the floor V in its place", move || {
                let floor = gaussian()?.loss_floor(AffinePath::default());
                straightness::<f64>(&PathEnergy { straightness: estimate(floor), ..of(1.0)? })
            }),
            Fault::new("E28.straightness", "a field that is slower by a thousandth", move || {
                straightness::<f64>(&of(0.999)?)
            }),
            Fault::new("E28.transport", "W2 that is not squared", || {
                transport::<f64>(&measure::<f64>(&best(1.0))?, w2_squared().sqrt())
            }),
            Fault::new("E28.transport", "a transport that stretches by a thousandth too much", || {
                transport::<f64>(&measure::<f64>(&best(1.001))?, w2_squared())
            }),
            Fault::new("E28.transport", "the way of independent pairs", move || {
                transport::<f64>(&of(1.0)?, w2_squared())
            }),
        ]
    }
}
