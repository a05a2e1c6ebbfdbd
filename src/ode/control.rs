//! [`Control`]: how long a step is, from the error of the one before.
//!
//! # Math
//! The error e of a step is the root mean square of err_j / (atol + rtol max(|x_j|, |x'_j|)) over the components j of a
//! row, x before and x' after the step. A step with e <= 1 is accepted. The next one is longer by the factor
//! ```text
//! 0.9 e^-alpha e_0^beta, kept within 0.2 and 10        alpha = 1/k - 0.75 beta, beta = 0.2/k
//! ```
//! with e_0 the error of the accepted step before and k the order of the error in h: a controller with a proportional
//! and an integral part, which damps the ups and downs that e^(-1/k) alone would make.
//!
//! # Source
//! E. Hairer, S. Nørsett, G. Wanner, "Solving Ordinary Differential Equations I", section II.4: the starting step and,
//! with their code dopri5.f, the constants; its beta is 0.04 for k = 5. The controller: K. Gustafsson, "Control theoretic
//! techniques for stepsize selection in explicit Runge-Kutta methods", ACM Trans. Math. Softw. 17 (1991).

use crate::kernel::Real;

/// The share of the longest step that would do which is taken (dopri5.f: SAFE).
const SAFETY: f64 = 0.9;
/// The least factor between two steps (dopri5.f: FAC1).
const SHORTEN: f64 = 0.2;
/// The largest factor between two steps (dopri5.f: FAC2).
const LENGTHEN: f64 = 10.0;
/// beta k: 0.04 for k = 5 (dopri5.f: BETA).
const BETA: f64 = 0.2;
/// The part of beta that alpha gives up (dopri5.f: EXPO1).
const GIVEN_UP: f64 = 0.75;
/// The least error that is remembered, so that one very good step does not hold the next ones back (dopri5.f: FACOLD).
const LEAST_BEFORE: f64 = 1e-4;
/// Multiple of the roundoff of t below which a step does not move t well (SciPy 1.x: ten times the distance to the
/// next number).
const RESOLUTION: f64 = 10.0 * f64::EPSILON;

/// The tolerances of a method and what follows from an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Control {
    pub(super) rtol: f64,
    pub(super) atol: f64,
    /// The most steps of a row, accepted and rejected.
    pub(super) max_steps: u32,
    /// k: the error of a step is of the size h^k.
    k: f64,
}

/// The sum of the squares of scaled numbers, and how many there are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Norm {
    squares: f64,
    count: u32,
}

impl Norm {
    pub(super) fn push(&mut self, scaled: f64) {
        self.squares += scaled * scaled;
        self.count += 1;
    }

    /// The root mean square; 0 of nothing.
    pub(super) fn value(self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / f64::from(self.count)).sqrt() }
    }
}

impl Control {
    /// For a method whose second weights have the order `order`.
    pub(super) fn new(rtol: f64, atol: f64, max_steps: u32, order: u32) -> Self {
        Self { rtol, atol, max_steps, k: f64::from(order + 1) }
    }

    /// The size of an error of 1 in a component that goes from `x` to `x_new`.
    pub(super) fn scale(self, x: f64, x_new: f64) -> f64 {
        self.atol + self.rtol * x.abs().max(x_new.abs())
    }

    /// ln e_0 for the step after one with the error `error`, which is 0 before the first one.
    pub(super) fn before(error: f64) -> f64 {
        error.max(LEAST_BEFORE).ln()
    }

    /// By which factor the step after one with the error `error` is longer; `before` is ln e_0.
    pub(super) fn after_accepted(self, error: f64, before: f64, just_rejected: bool) -> f64 {
        let factor = SAFETY * (BETA / self.k * before - self.alpha() * error.ln()).exp();
        factor.max(SHORTEN).min(if just_rejected { 1.0 } else { LENGTHEN })
    }

    /// By which factor the step that replaces one with the error `error` is shorter. It may be infinite.
    pub(super) fn after_rejected(self, error: f64) -> f64 {
        (SAFETY * (-self.alpha() * error.ln()).exp()).clamp(SHORTEN, 1.0)
    }

    fn alpha(self) -> f64 {
        (1.0 - GIVEN_UP * BETA) / self.k
    }

    /// Whether a step of that length does not move t any more.
    pub(super) fn is_lost(h: f64, t: f64) -> bool {
        h.abs() <= RESOLUTION * t.abs()
    }

    /// The norms of x and of its velocity; what a row carries is one more component, 0 at the start.
    pub(super) fn sizes<R: Real>(self, x: &[R], u: &[R], rate: f64) -> [f64; 2] {
        let (mut size, mut speed) = (Norm::default(), Norm::default());
        for (x, u) in x.iter().zip(u) {
            let scale = self.scale(x.to_f64(), 0.0);
            size.push(x.to_f64() / scale);
            speed.push(u.to_f64() / scale);
        }
        if rate != 0.0 {
            size.push(0.0);
            speed.push(rate / self.scale(0.0, 0.0));
        }
        [size.value(), speed.value()]
    }

    /// The norm of the change of the velocity, and of the rate of what a row carries, near x.
    pub(super) fn change<R: Real>(self, x: &[R], u: [&[R]; 2], rates: [f64; 2]) -> f64 {
        let mut change = Norm::default();
        for ((x, a), b) in x.iter().zip(u[0]).zip(u[1]) {
            change.push((b.to_f64() - a.to_f64()) / self.scale(x.to_f64(), 0.0));
        }
        if rates.iter().any(|rate| *rate != 0.0) {
            change.push((rates[1] - rates[0]) / self.scale(0.0, 0.0));
        }
        change.value()
    }

    /// A first guess of the step: with it an Euler step moves x by a hundredth of its size. `size` and `speed` are the
    /// norms of x and of its velocity.
    pub(super) fn guess(size: f64, speed: f64) -> f64 {
        let h = 0.01 * size / speed;
        if size >= 1e-5 && speed >= 1e-5 && h > 0.0 && h.is_finite() { h } else { 1e-6 }
    }

    /// The starting step after a guess, along which the velocity changes by `change`.
    pub(super) fn start(self, guess: f64, speed: f64, change: f64) -> f64 {
        let size = speed.max(change / guess);
        if !size.is_finite() {
            return guess;
        }
        let h = if size <= 1e-15 { (1e-3 * guess).max(1e-6) } else { (0.01 / size).powf(1.0 / self.k) };
        h.min(100.0 * guess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_stay_within_their_bounds() {
        let control = Control::new(1e-5, 1e-5, 100, 4);
        for error in [0.0, 1e-300, 1e-9, 0.3, 1.0] {
            let factor = control.after_accepted(error, Control::before(0.0), false);
            assert!((0.2..=10.0).contains(&factor), "{error} {factor}");
            assert!(control.after_accepted(error, 0.0, true) <= 1.0);
        }
        assert!((control.after_accepted(0.0, 0.0, false) - LENGTHEN).abs() < 1e-15);
        for error in [1.0 + 1e-9, 2.0, 1e9, f64::INFINITY] {
            let factor = control.after_rejected(error);
            assert!((0.2..=0.9).contains(&factor), "{error} {factor}");
        }
        // Two errors of 1: 0.9, whatever alpha and beta are.
        assert!((control.after_accepted(1.0, 0.0, false) - 0.9).abs() < 1e-15);
        // k = 5: alpha = 0.17, beta = 0.04, as in dopri5.f.
        let wanted = 0.9 * 0.5_f64.powf(-0.17) * 0.25_f64.powf(0.04);
        assert!((control.after_accepted(0.5, Control::before(0.25), false) - wanted).abs() < 1e-15);
    }

    #[test]
    fn a_starting_step_is_positive_and_finite() {
        let control = Control::new(1e-5, 1e-5, 100, 4);
        for x in [0.0, 1e-9, 1.0, 1e5, 1e300] {
            for u in [0.0, 1e-9, 1.0, 1e5, 1e300] {
                let guess = Control::guess(x, u);
                assert!(guess > 0.0 && guess.is_finite(), "{x} {u} {guess}");
                for change in [0.0, 1.0, 1e300, f64::INFINITY] {
                    let h = control.start(guess, u, change);
                    assert!(h > 0.0 && h <= 100.0 * guess, "{x} {u} {change} {h}");
                }
            }
        }
    }

    #[test]
    fn norms_are_root_mean_squares() {
        let mut norm = Norm::default();
        assert_eq!(norm.value().to_bits(), 0.0_f64.to_bits());
        norm.push(3.0);
        norm.push(-4.0);
        assert!((norm.value() - 12.5_f64.sqrt()).abs() < 1e-15);
    }
}
