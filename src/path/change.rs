//! [`Predicted`], [`Rescheduled`], [`Diffused`] and [`Steered`]: what a path makes of a network's answer.
//!
//! # Math
//! A prediction becomes a velocity by E15. A field that was trained with the scheduler (alpha, sigma) becomes that of another
//! one, (a, s), by E17: at r, with t(r) such that alpha_t / sigma_t = a_r / s_r and c_r = s_r / sigma_t = a_r / alpha_t,
//! ```text
//! ū_r(x) = (c'/c) x + c t' u_t(x / c)
//! t' = D̃ / (D c²)        D = alpha' sigma - alpha sigma' at t, D̃ = a' s - a s' at r
//! c'/c = a'/a - t' alpha'/alpha = s'/s - t' sigma'/sigma
//! ```
//! t' follows from the logarithm of alpha / sigma = a / s, whose derivative is D / (alpha sigma). Of the two forms of c and c'/c the
//! one is taken that does not divide by what vanishes: with sigma near the source, with alpha near the target. Where the
//! trained path never has so little signal (r near 0 for `vp`), t stays 0 and c = s / sigma_0.
//!
//! With half the score added (E30), u + (b²/2) grad log p_t is the drift of an equation with noise b dW that has the same
//! marginals; the score comes from the velocity (E16), and b_t = beta sigma_t / sigma_0 dies out at the target, where the
//! score may be infinite, as fast as the path narrows: fixed steps would blur narrow data with more.
//!
//! The gradient of a likelihood moves a velocity by k_t grad_x log p_t(y | x), k_t = (alpha' sigma - sigma' alpha) sigma / alpha (E31): by
//! E16 that is what a change of the score by this gradient means for the velocity.
//!
//! # Limits
//! Some of these fields have a limit at an end that their formula does not give: a prediction of the target is divided by sigma, one
//! of the noise by alpha; the noise, or another scheduler, is multiplied by the sigma' of `vp` and `linear-vp`, infinite at t = 1, where
//! the noise vanishes; the time of a path that starts from rest (`polynomial:2`) runs infinitely fast beside that of another. There
//! the field is that of the time at a small distance, so that it is the same smooth field forwards and backwards and its flow
//! still has an inverse and a density: within [`END`] of the end in t or, where sigma' is infinite and the distance would be felt, in
//! sigma / alpha.
//!
//! # Source
//! Lipman et al. 2024, arXiv:2412.06264 (change of scheduler); Y. Song et al. 2021, arXiv:2011.13456 (equal marginals).

use super::prediction::Prediction;
use super::scheduler::{END, Scheduler};
use super::transform::{Terms, Transform};
use crate::error::{Error, Result};

/// Reads what a network predicts as a velocity. // E15
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// What it predicts.
    pub prediction: Prediction,
    /// The scheduler that it was trained with.
    pub scheduler: Scheduler,
}

impl Transform for Predicted {
    fn terms(&self, t: f64) -> Result<Terms> {
        let t = match self.prediction {
            Prediction::Velocity => t,
            Prediction::Target => t.min(1.0 - END),
            Prediction::Noise => self.scheduler.before_infinite_rate(t.max(END)),
        };
        let linear = self.prediction.convert(Prediction::Velocity, self.scheduler.coefficients(t))?;
        Ok(Terms { of_x: linear.of_x, of_field: linear.of_y, t, of_place: 1.0 })
    }
}

/// Takes the velocity of one scheduler for that of another. // E17
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescheduled {
    /// The scheduler that the field was trained with.
    pub from: Scheduler,
    /// The one whose path its flow shall follow.
    pub to: Scheduler,
}

impl Transform for Rescheduled {
    fn terms(&self, r: f64) -> Result<Terms> {
        let mut to = self.to.coefficients(self.to.before_infinite_rate(r));
        let snr = if to.sigma > 0.0 { to.alpha / to.sigma } else { f64::INFINITY };
        let mut t = self.from.snr_inverse(snr)?;
        if t < END && self.from.coefficients(0.0).determinant() <= 0.0 {
            t = END;
            to = self.to.coefficients(self.to.snr_inverse(self.from.snr(t))?);
        }
        let from = self.from.coefficients(t);
        // The trained path has more signal than that even at its start.
        if t <= 0.0 && from.alpha > 0.0 {
            let c = to.sigma / from.sigma;
            return Ok(Terms { of_x: to.d_sigma / to.sigma, of_field: 0.0, t, of_place: 1.0 / c });
        }
        let near_target = from.alpha > from.sigma;
        let c = if near_target { to.alpha / from.alpha } else { to.sigma / from.sigma };
        // At the target of a path whose sigma' is infinite, D is: t' = 0.
        let speed = if from.determinant().is_infinite() {
            0.0
        } else {
            to.determinant() / (from.determinant() * c * c)
        };
        let growth = if near_target {
            to.d_alpha / to.alpha - speed * from.d_alpha / from.alpha
        } else {
            to.d_sigma / to.sigma - speed * from.d_sigma / from.sigma
        };
        // The speed is a factor of it.
        if !growth.is_finite() {
            return Err(Error::Setting {
                name: "scheduler",
                value: format!("{} in place of {}, at t = {r}", self.to, self.from),
                remedy: "one of them stands still there: take a fixed-step solver that does not ask at the end, or another scheduler",
            });
        }
        Ok(Terms { of_x: growth, of_field: c * speed, t, of_place: 1.0 / c })
    }
}

/// Adds the drift that keeps the marginals when noise b_t dW is added on the way. // E30
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diffused {
    /// The scheduler of the velocity.
    pub scheduler: Scheduler,
    /// beta: the noise at the source, per square root of the time.
    pub beta: f64,
}

impl Diffused {
    /// b_t, which is 0 at the target.
    #[must_use]
    pub fn noise(&self, t: f64) -> f64 {
        self.beta * (self.scheduler.coefficients(t).sigma / self.scheduler.source_std()).max(0.0)
    }
}

impl Transform for Diffused {
    fn terms(&self, t: f64) -> Result<Terms> {
        let c = self.scheduler.coefficients(t);
        let half = 0.5 * self.noise(t).powi(2);
        if half <= 0.0 {
            return Ok(Terms { of_x: 0.0, of_field: 1.0, t, of_place: 1.0 });
        }
        let score = Prediction::Velocity.score(c)?;
        Ok(Terms { of_x: half * score.of_x, of_field: 1.0 + half * score.of_y, t, of_place: 1.0 })
    }
}

/// Scales the gradient of a likelihood to what it adds to the velocity: k_t grad_x log p_t(y | x), for a Gaussian source that is
/// independent of the target. The field that is transformed says grad_x log p_t(y | x); it is joined with the velocity by
/// [`Guided::by`](crate::field::Guided::by). // E31
///
/// At t = 0, where alpha = 0 and X_0 says nothing of y, the product has a limit: it is read at [`END`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steered {
    /// The scheduler of the velocity.
    pub scheduler: Scheduler,
}

impl Transform for Steered {
    fn terms(&self, t: f64) -> Result<Terms> {
        let t = self.scheduler.before_infinite_rate(t.max(END));
        let c = self.scheduler.coefficients(t);
        Ok(Terms { of_x: 0.0, of_field: c.determinant() * c.sigma / c.alpha, t, of_place: 1.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::transform::Transformed;
    use super::*;
    use crate::field::{FnField, VectorField as _};
    use crate::tensor::Tensor;

    fn at(from: Scheduler, to: Scheduler, r: f64, x: f64) -> Result<f64> {
        let u = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| u[0] = x[0] * t * t);
        let mut out = Tensor::zeros(1, 1);
        Transformed::new(&u, Rescheduled { from, to }).eval(&[r], &Tensor::from_rows(&[[x]]), &mut out)?;
        Ok(out.row(0)[0])
    }

    #[test]
    fn a_change_of_scheduler_is_the_known_one() {
        // u = x t² from condot at x = 1.5: flow_matching 1.0.10 in f64, ten digits.
        const DIGITS: f64 = 6e-11;
        for (to, wanted) in [
            (Scheduler::Cosine, [2.356_194_490_2, 1.094_372_451_7, 0.294_524_311_3, -0.370_468_957_9]),
            (Scheduler::LinearVp, [1.5, 0.957_322_622_1, 0.588_457_268_1, -0.320_322_782_9]),
        ] {
            for (r, wanted) in [0.0, 0.25, 0.5, 0.9].into_iter().zip(wanted) {
                let found = at(Scheduler::CondOt, to, r, 1.5).unwrap();
                assert!((found - wanted).abs() < DIGITS, "{to} at {r}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn a_change_to_itself_is_none() {
        for scheduler in [
            Scheduler::CondOt,
            Scheduler::Cosine,
            Scheduler::VP,
            Scheduler::VE,
            Scheduler::Polynomial { n: 2.0 },
        ] {
            for r in [0.01, 0.3, 0.5, 0.7, 0.99] {
                let found = at(scheduler, scheduler, r, 1.5).unwrap();
                // The time comes back through the ratio, to 1e-12.
                assert!((found - 1.5 * r * r).abs() < 1e-9, "{scheduler} at {r}: {found}");
            }
        }
    }

    /// The velocity for the target N(0, STD²) at x = 1, in closed form; at t = 1 its limit, to 1e-12.
    fn gaussian(scheduler: Scheduler, t: f64) -> f64 {
        const STD: f64 = 0.7;
        let c = scheduler.coefficients(t.min(1.0 - 1e-12));
        let variance = (c.alpha * STD).powi(2) + c.sigma.powi(2);
        (c.alpha * c.d_alpha * STD * STD + c.sigma * c.d_sigma) / variance
    }

    /// How far a field that is read [`END`] before an end is from its limit there: its slopes are below 4.
    const NEAR: f64 = 4.0 * END;

    #[test]
    fn the_ends_have_their_limits() {
        let schedulers = [
            Scheduler::CondOt,
            Scheduler::Cosine,
            Scheduler::LinearVp,
            Scheduler::Polynomial { n: 2.0 },
            Scheduler::Polynomial { n: 3.0 },
        ];
        for (from, to) in schedulers.iter().flat_map(|from| schedulers.iter().map(move |to| (*from, *to))) {
            let u = FnField::new(1, move |t: f64, x: &[f64], u: &mut [f64]| u[0] = x[0] * gaussian(from, t));
            let field = Transformed::new(&u, Rescheduled { from, to });
            for r in [0.0, 1e-9, 1e-4, 0.3, 0.9, 1.0 - 1e-4, 1.0 - 1e-9, 1.0] {
                let mut out = Tensor::zeros(1, 1);
                field.eval(&[r], &Tensor::from_rows(&[[1.0]]), &mut out).unwrap();
                let (found, wanted) = (out.row(0)[0], gaussian(to, r));
                assert!((found - wanted).abs() < NEAR, "{from} to {to} at {r}: {found} {wanted}");
            }
        }
        assert!(at(Scheduler::VP, Scheduler::CondOt, 0.0, 1.5).unwrap().is_finite());
        assert!(at(Scheduler::VP, Scheduler::CondOt, 1.0, 1.5).unwrap().is_finite());
    }

    /// What a network predicts for the target N(0, 0.7²), read as a velocity, is the closed form up to the ends.
    fn is_read_up_to_the_ends(prediction: Prediction, scheduler: Scheduler) {
        let predicted = FnField::new(1, move |t: f64, x: &[f64], u: &mut [f64]| {
            let c = scheduler.coefficients(t);
            let covariance = if prediction == Prediction::Target { 0.49 * c.alpha } else { c.sigma };
            u[0] = covariance * x[0] / (0.49 * c.alpha.powi(2) + c.sigma.powi(2));
        });
        let field = Transformed::new(&predicted, Predicted { prediction, scheduler });
        for t in [0.0, 1e-4, 0.3, 0.9, 1.0 - 1e-4, 1.0 - 1e-9, 1.0] {
            let mut out = Tensor::zeros(1, 1);
            field.eval(&[t], &Tensor::from_rows(&[[1.0]]), &mut out).unwrap();
            let (found, wanted) = (out.row(0)[0], gaussian(scheduler, t));
            assert!((found - wanted).abs() < NEAR, "{prediction}, {scheduler} at {t}: {found} {wanted}");
        }
    }

    #[test]
    fn noise_becomes_a_velocity_up_to_the_ends() {
        for scheduler in [Scheduler::CondOt, Scheduler::Cosine, Scheduler::LinearVp, Scheduler::VP] {
            is_read_up_to_the_ends(Prediction::Noise, scheduler);
        }
    }

    #[test]
    fn a_target_becomes_a_velocity_up_to_the_ends() {
        for scheduler in [Scheduler::CondOt, Scheduler::Cosine] {
            is_read_up_to_the_ends(Prediction::Target, scheduler);
        }
    }

    #[test]
    fn what_divides_by_nothing_is_read_at_a_small_distance() {
        // An error of what is predicted counts 1 / sigma times near the target, 1 / alpha times near the source: at most so often.
        let terms = |prediction, t| Predicted { prediction, scheduler: Scheduler::CondOt }.terms(t).unwrap();
        for t in [1.0 - 0.5 * END, 1.0 - 1e-9, 1.0] {
            assert_eq!(terms(Prediction::Target, t), terms(Prediction::Target, 1.0 - END));
        }
        for t in [0.5 * END, 1e-9, 0.0] {
            assert_eq!(terms(Prediction::Noise, t), terms(Prediction::Noise, END));
        }
    }

    #[test]
    fn before_the_signal_of_the_trained_path_there_is_only_its_source() {
        // `vp` starts with alpha = 0.0066: a place with less signal is one of X_0 alone, which only shrinks.
        for r in [0.0, 1e-3] {
            let (to, from) = (Scheduler::CondOt.coefficients(r), Scheduler::VP.coefficients(0.0));
            assert!(to.alpha / to.sigma < from.alpha / from.sigma);
            let terms = Rescheduled { from: Scheduler::VP, to: Scheduler::CondOt }.terms(r).unwrap();
            assert!((terms.of_x + 1.0 / (1.0 - r)).abs() < 1e-15, "{terms:?}");
            assert_eq!((terms.of_field.to_bits(), terms.t.to_bits()), (0, 0), "{terms:?}");
            assert!((terms.of_place * to.sigma - from.sigma).abs() < 1e-15, "{terms:?}");
        }
    }

    #[test]
    fn noise_brings_half_its_square_times_the_score() {
        // E30: u + b²/2 score with score = -x / variance of a Gaussian.
        for scheduler in [Scheduler::CondOt, Scheduler::Cosine, Scheduler::LinearVp] {
            let u =
                FnField::new(1, move |t: f64, x: &[f64], u: &mut [f64]| u[0] = x[0] * gaussian(scheduler, t));
            let diffused = Diffused { scheduler, beta: 1.5 };
            for t in [0.2, 0.5, 0.8] {
                let c = scheduler.coefficients(t);
                let variance = 0.49 * c.alpha.powi(2) + c.sigma.powi(2);
                let mut out = Tensor::zeros(1, 1);
                Transformed::new(&u, diffused).eval(&[t], &Tensor::from_rows(&[[2.0]]), &mut out).unwrap();
                let wanted = 2.0 * (gaussian(scheduler, t) - 0.5 * diffused.noise(t).powi(2) / variance);
                assert!((out.row(0)[0] - wanted).abs() < 1e-12, "{scheduler} at {t}: {wanted}");
            }
        }
        // A source of another width: beta is the noise there too.
        let wide = Diffused { scheduler: Scheduler::Ve { sigma_max: 5.0 }, beta: 2.0 };
        assert!((wide.noise(0.0) - 2.0).abs() < 1e-15 && (wide.noise(0.5) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn what_a_likelihood_adds_is_scaled_by_the_path() {
        // E31: k_t = (alpha' sigma - alpha sigma') sigma / alpha: (1 - t) / t, and pi/2 cot(pi t / 2) for the cosine.
        let of = |scheduler, t| Steered { scheduler }.terms(t).unwrap().of_field;
        assert!((of(Scheduler::CondOt, 0.25) - 3.0).abs() < 1e-14);
        let angle = std::f64::consts::FRAC_PI_2 * 0.25;
        assert!((of(Scheduler::Cosine, 0.25) - std::f64::consts::FRAC_PI_2 / angle.tan()).abs() < 1e-14);
    }

    #[test]
    fn without_noise_nothing_is_added() {
        let terms = Diffused { scheduler: Scheduler::CondOt, beta: 0.0 }.terms(0.5).unwrap();
        assert_eq!(terms, Terms { of_x: 0.0, of_field: 1.0, t: 0.5, of_place: 1.0 });
        let diffused = Diffused { scheduler: Scheduler::CondOt, beta: 2.0 };
        for (t, wanted) in [(0.0, 2.0), (0.75, 0.5), (1.0, 0.0)] {
            assert!((diffused.noise(t) - wanted).abs() < 1e-15);
        }
        assert!(diffused.terms(1.0).is_ok());
    }
}
