//! The claim that another scheduler after training leaves psi_1 as it is: E17.
//!
//! # Math
//! x̄_r = c_r x_{t(r)} solves the ODE of the new velocity if x_t solves the old one, whatever that velocity is. So psi_1 is the same
//! where both paths have the same ends: c_0 = c_1 = 1, t(0) = 0 and t(1) = 1. It is a network of fixed random weights here, in three
//! dimensions, which is the true field of nothing.
//!
//! # Limits
//! dopri5 asks at both ends: paths that stand still at t = 0 are changed to, not from, and those with an infinite velocity at
//! t = 1 from, not to.

use crate::error::Result;
use crate::field::VectorField;
use crate::kernel::Real;
use crate::path::{Rescheduled, Scheduler, Transform, Transformed};
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::claim::{Claim, Finding, Place, Precision};
use super::model::{LOOSER, solver};
use super::network::{ROUNDINGS, SEED, example};

const CHANGE: Place =
    Place::of("src/path/change.rs", include_str!("../path/change.rs"), "impl Transform for Rescheduled");

/// Rows that are carried from the source to the target.
const ROWS: usize = 64;

const PAIRS: [(Scheduler, Scheduler); 6] = [
    (Scheduler::CondOt, Scheduler::Cosine),
    (Scheduler::CondOt, Scheduler::Polynomial { n: 2.0 }),
    (Scheduler::Cosine, Scheduler::CondOt),
    (Scheduler::Cosine, Scheduler::Polynomial { n: 2.0 }),
    (Scheduler::LinearVp, Scheduler::CondOt),
    (Scheduler::LinearVp, Scheduler::Cosine),
];

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![Claim::new(
        "E17.flow",
        "ψ̄_1(x) = ψ_1(x)",
        "ψ_1 of a network after six changes of its scheduler, against ψ_1 before",
        CHANGE,
        |real| {
            let change = |from, to| Rescheduled { from, to };
            match real {
                Precision::F32 => unchanged::<f32, _>(&PAIRS, change),
                Precision::F64 => unchanged::<f64, _>(&PAIRS, change),
            }
        },
    )]
}

fn unchanged<R: Real, T: Transform>(
    pairs: &[(Scheduler, Scheduler)],
    change: impl Fn(Scheduler, Scheduler) -> T,
) -> Result<Finding> {
    let network = example::<R>()?;
    let mut x_0 = Tensor::<R>::zeros(ROWS, network.dim());
    Source::Normal.fill(&Rng::from_seed(SEED).fork(Purpose::Source), 0, &mut x_0);
    // psi_1, and how much of it a looser tolerance changes.
    let carried = |field: &dyn VectorField<R>| -> Result<(Tensor<R>, f64)> {
        let by = |times| solver::<R>(times).solve(field, &x_0, 0.0..1.0);
        let (x_1, loose) = (by(1.0)?.x, by(LOOSER)?.x);
        let error = distance(&x_1, &loose);
        Ok((x_1, error))
    };
    let (before, error) = carried(&network)?;
    let (mut worst, mut largest) = (0.0, 0.0_f64);
    for &(from, to) in pairs {
        let (after, error) = carried(&Transformed::new(&network, change(from, to)))?;
        let off = distance(&before, &after);
        if off > worst || off.is_nan() {
            worst = off;
        }
        largest = largest.max(error);
    }
    let from = format!(
        "what dopri5 with a tolerance {LOOSER} times as large changes, before and after, and {ROUNDINGS} roundings; relative to 1 + |x|"
    );
    Ok(Finding::new(worst, error + largest + ROUNDINGS * R::ROUNDOFF, from))
}

/// The largest |a - b| / (1 + |a|); NaN is the largest.
fn distance<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> f64 {
    let off = |(a, b): (&R, &R)| (a.to_f64() - b.to_f64()).abs() / (1.0 + a.to_f64().abs());
    let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
    a.as_slice().iter().zip(b.as_slice()).map(off).fold(0.0, larger)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;
    use crate::path::Terms;

    /// Another rule for the numbers of a change of scheduler.
    struct Wrong<F>(Rescheduled, F);

    impl<F: Fn(f64, Terms) -> Terms + Sync> Transform for Wrong<F> {
        fn terms(&self, t: f64) -> Result<Terms> {
            self.0.terms(t).map(|terms| (self.1)(t, terms))
        }
    }

    fn changed(how: impl Fn(f64, Terms) -> Terms + Sync + Copy) -> Result<Finding> {
        unchanged::<f64, _>(&PAIRS, |from, to| Wrong(Rescheduled { from, to }, how))
    }

    fn between(from: Scheduler, to: Scheduler) -> Result<Finding> {
        unchanged::<f64, _>(&[(from, to)], |from, to| Rescheduled { from, to })
    }

    pub(crate) fn faults() -> Vec<Fault> {
        vec![
            Fault::new("E17.flow", "a path that keeps some of the target at t = 0", || {
                between(Scheduler::Vp { beta_min: 0.1, beta_max: 5.0 }, Scheduler::CondOt)
            }),
            Fault::new("E17.flow", "a path that keeps some of the source at t = 1", || {
                between(Scheduler::CondOt, Scheduler::CondOtMin { width: 0.01 })
            }),
            Fault::new("E17.flow", "x not divided by c", || {
                changed(|_, terms| Terms { of_place: 1.0, ..terms })
            }),
            Fault::new("E17.flow", "the velocity not multiplied by c", || {
                changed(|_, terms| Terms { of_field: terms.of_field * terms.of_place, ..terms })
            }),
            Fault::new("E17.flow", "the growth of c left out", || {
                changed(|_, terms| Terms { of_x: 0.0, ..terms })
            }),
            Fault::new("E17.flow", "the old time", || changed(|r, terms| Terms { t: r, ..terms })),
        ]
    }
}
