//! The audit: every equation beside the number that proves it.
//!
//! # Math
//! A [`Claim`] says what an equation implies that can be computed, computes how far this crate is from it, and holds that
//! against a bound whose origin it names: the order of a method, rounding, or the error of sampling. [`claims`] is the list
//! for the crate, E1 to E31; [`model_claims`] is the one for the network of a model.
//!
//! # Limits
//! A claim about random numbers draws them from a fixed seed, so that its verdict is always the same; its bound lies where a
//! right program would fail for at most one of a million seeds ([`FALSE_ALARM`]). What is not built is listed, never passed.
//! In f32 rows, networks and solvers are f32; closed forms answer in f64 and are rounded to f32, and what is f64 for every network
//! stays so and says it ([`Claim::real`]).
//!
//! # A claim
//! A family of claims is a file. Each claim is a function that takes what it proves as an argument and returns a
//! [`Finding`]: a deviation that should be 0, its bound, where the bound comes from, and a [`Chart`] where a picture says more.
//! `claims()` of the file hands it what the crate has; `tests::faults()` hands it something wrong, each time with a few words
//! that say what is wrong, and the claim must fail. So the crate has no switch for faults, and no claim is there that
//! cannot fail. The first claim about an equation has its number as its name (`E18`), others a word more (`E18.floor`).
//!
//! # Example
//! ```
//! use pushforward::audit::{self, Precision, Verdict};
//!
//! for claim in audit::claims().iter().filter(|claim| claim.is_about("E6")) {
//!     let outcome = claim.check(Precision::F64);
//!     assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
//! }
//! ```

mod baseline;
mod chart;
mod claim;
mod coupling;
mod energy;
mod equations;
mod fields;
mod guidance;
mod likelihood;
mod model;
mod network;
mod ode;
mod path;
#[cfg(feature = "plot")]
pub mod report;
mod reschedule;
mod rounded;

pub use chart::{Axis, Chart, Mark, Series};
pub use claim::{Claim, Finding, Outcome, Place, Precision, Verdict};
pub use equations::{EQUATIONS, Equation};
pub use model::model_claims;

/// The probability that a claim about random numbers fails though the crate is right, for a seed drawn at random: at most.
pub const FALSE_ALARM: f64 = 1e-6;

/// All claims about the crate, in the order of the equations. An equation without a claim of its name is listed as not built.
#[must_use]
pub fn claims() -> Vec<Claim<'static>> {
    let mut claims: Vec<Claim<'static>> = [
        ode::claims(),
        fields::claims(),
        path::claims(),
        reschedule::claims(),
        likelihood::claims(),
        coupling::claims(),
        energy::claims(),
        guidance::claims(),
        baseline::claims(),
        network::claims(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for equation in &EQUATIONS {
        if !claims.iter().any(|claim| claim.id == equation.id) {
            claims.push(Claim::not_built(equation));
        }
    }
    claims.sort_by_key(|claim| {
        let equation = EQUATIONS.iter().position(|equation| claim.is_about(equation.id));
        (equation, claim.id.contains('.'))
    });
    claims
}

/// By how much a mean of thousands of numbers may exceed a bound more often than a normal number does. Squares of normal numbers
/// are skewed: for 4096 of them the factor is 1.4 at 5.2 deviations and 1.6 at 5.4, by the chi-square law.
const SKEWED: f64 = 10.0;

/// How many standard deviations the largest of `count` means exceeds with a probability of at most [`FALSE_ALARM`]. Of normal
/// numbers P(|z| > a) <= 2 phi(a) / a (Mills), and the sum over all of them bounds their largest; means may do so [`SKEWED`] times
/// as often.
#[allow(clippy::cast_precision_loss, reason = "a count is far below 2^53")]
fn deviations(count: usize) -> f64 {
    let tail = |a: f64| 2.0 * (-0.5 * a * a).exp() / (std::f64::consts::TAU.sqrt() * a);
    let mut a = 1.0;
    while SKEWED * count as f64 * tail(a) > FALSE_ALARM {
        a += 0.01;
    }
    a
}

/// Something wrong that is handed to a claim, which has to fail.
#[cfg(test)]
struct Fault {
    claim: &'static str,
    what: &'static str,
    check: Box<dyn Fn() -> crate::error::Result<Finding> + Sync>,
}

#[cfg(test)]
impl Fault {
    fn new(
        claim: &'static str,
        what: &'static str,
        check: impl Fn() -> crate::error::Result<Finding> + Sync + 'static,
    ) -> Self {
        Self { claim, what, check: Box::new(check) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wrong things that are handed to claims, all files together: at least.
    const LEAST_FAULTS: usize = 100;

    fn faults() -> Vec<Fault> {
        [
            ode::tests::faults(),
            fields::tests::faults(),
            path::tests::faults(),
            reschedule::tests::faults(),
            likelihood::tests::faults(),
            coupling::tests::faults(),
            energy::tests::faults(),
            guidance::tests::faults(),
            baseline::tests::faults(),
            network::tests::faults(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    #[test]
    fn every_claim_holds() {
        for real in [Precision::F64, Precision::F32] {
            for claim in claims() {
                let outcome = claim.check(real);
                assert_ne!(outcome.verdict, Verdict::Fail, "{real}: {outcome:?}");
            }
        }
    }

    #[test]
    fn a_claim_is_computed_in_the_type_that_it_says() {
        for claim in claims() {
            let [wide, narrow] = [Precision::F64, Precision::F32].map(|real| claim.check(real));
            let (wide, narrow, real) = (wide.finding.unwrap(), narrow.finding.unwrap(), narrow.real);
            // A count of rows is 0 in both.
            let same = wide.measured.to_bits() == narrow.measured.to_bits() && wide.measured > 0.0;
            assert_eq!(same, real == Precision::F64, "{}: {wide:?} {narrow:?}", claim.id);
        }
    }

    #[test]
    fn every_claim_can_fail() {
        let faults = faults();
        assert!(faults.len() >= LEAST_FAULTS, "{} faults", faults.len());
        for claim in claims().iter().filter(|claim| claim.is_built()) {
            assert!(faults.iter().any(|fault| fault.claim == claim.id), "{} has no fault", claim.id);
        }
        for fault in &faults {
            assert!(claims().iter().any(|claim| claim.id == fault.claim), "{} is no claim", fault.claim);
            // Found by its number: an error on the way to it would prove nothing.
            match (fault.check)() {
                Ok(finding) => assert!(!finding.holds(), "{}: {}: {finding:?}", fault.claim, fault.what),
                Err(error) => panic!("{}: {}: {error}", fault.claim, fault.what),
            }
        }
    }

    #[test]
    fn equations_and_claims_are_numbered() {
        for (k, equation) in EQUATIONS.iter().enumerate() {
            assert_eq!(equation.id, format!("E{}", k + 1));
        }
        let claims = claims();
        for (k, claim) in claims.iter().enumerate() {
            assert!(EQUATIONS.iter().any(|equation| claim.is_about(equation.id)), "{}", claim.id);
            assert!(claims[..k].iter().all(|other| other.id != claim.id), "{} stands twice", claim.id);
        }
        // The first claim of an equation has its number alone.
        for equation in &EQUATIONS {
            let first = claims.iter().find(|claim| claim.is_about(equation.id)).unwrap();
            assert_eq!(first.id, equation.id);
        }
    }

    #[test]
    fn a_bound_on_deviations_is_that_of_the_normal_law() {
        // P(|z| > 5.3267) = 1e-7, P(|z| > 6.1094) = 1e-9; the bound of Mills is some 3 % above a tail there.
        assert!((5.32..5.35).contains(&deviations(1)), "{}", deviations(1));
        assert!((6.10..6.13).contains(&deviations(100)), "{}", deviations(100));
    }
}
