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

use crate::error::Result;
use crate::kernel::Real;

use super::tolerance::Tolerance;

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
#[derive(Debug, Clone)]
pub(super) struct Control {
    /// One scale for each column of x.
    columns: Vec<Scale>,
    /// The one of what a row carries.
    pub(super) carry: Scale,
    /// The most steps of a row, accepted and rejected.
    pub(super) max_steps: u32,
    /// No step is shorter, but for one that ends at t_1.
    min_step: f64,
    /// k: the error of a step is of the size h^k.
    k: f64,
}

/// How large an error of 1 is in one component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    rtol: f64,
    atol: f64,
}

impl Scale {
    /// In a component that goes from `x` to `x_new`.
    pub(super) fn of(self, x: f64, x_new: f64) -> f64 {
        self.atol + self.rtol * x.abs().max(x_new.abs())
    }
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
    /// For rows of `cols` columns and a method whose second weights have the order `order`.
    ///
    /// # Errors
    /// [`Error::Dimension`](crate::Error::Dimension) for tolerances of other columns.
    pub(super) fn new(
        cols: usize,
        rtol: &Tolerance,
        atol: &Tolerance,
        max_steps: u32,
        min_step: f64,
        order: u32,
    ) -> Result<Self> {
        let (rtols, carry_rtol) = rtol.spread(cols, "numbers of `rtol`")?;
        let (atols, carry_atol) = atol.spread(cols, "numbers of `atol`")?;
        let columns = rtols.into_iter().zip(atols).map(|(rtol, atol)| Scale { rtol, atol }).collect();
        let carry = Scale { rtol: carry_rtol, atol: carry_atol };
        Ok(Self { columns, carry, max_steps, min_step, k: f64::from(order + 1) })
    }

    /// The scales of the columns of x.
    pub(super) fn columns(&self) -> &[Scale] {
        &self.columns
    }

    /// ln e_0 for the step after one with the error `error`, which is 0 before the first one.
    pub(super) fn before(error: f64) -> f64 {
        error.max(LEAST_BEFORE).ln()
    }

    /// By which factor the step after one with the error `error` is longer; `before` is ln e_0.
    pub(super) fn after_accepted(&self, error: f64, before: f64, just_rejected: bool) -> f64 {
        let factor = SAFETY * (BETA / self.k * before - self.alpha() * error.ln()).exp();
        factor.max(SHORTEN).min(if just_rejected { 1.0 } else { LENGTHEN })
    }

    /// By which factor the step that replaces one with the error `error` is shorter. It may be infinite.
    pub(super) fn after_rejected(&self, error: f64) -> f64 {
        (SAFETY * (-self.alpha() * error.ln()).exp()).clamp(SHORTEN, 1.0)
    }

    fn alpha(&self) -> f64 {
        (1.0 - GIVEN_UP * BETA) / self.k
    }

    /// The shortest step at t.
    pub(super) fn least(&self, t: f64) -> f64 {
        self.min_step.max(RESOLUTION * t.abs())
    }

    /// Whether a step of that length is not allowed, or does not move t any more.
    pub(super) fn is_lost(&self, h: f64, t: f64) -> bool {
        h.abs() < self.min_step || h.abs() <= RESOLUTION * t.abs()
    }

    /// A step that need not be shorter than is allowed.
    pub(super) fn at_least(&self, h: f64) -> f64 {
        h.abs().max(self.min_step).copysign(h)
    }

    /// The norms of x and of its velocity; what a row carries is one more component, 0 at the start.
    pub(super) fn sizes<R: Real>(&self, x: &[R], u: &[R], rate: f64) -> [f64; 2] {
        let (mut size, mut speed) = (Norm::default(), Norm::default());
        for ((x, u), scale) in x.iter().zip(u).zip(&self.columns) {
            let scale = scale.of(x.to_f64(), 0.0);
            size.push(x.to_f64() / scale);
            speed.push(u.to_f64() / scale);
        }
        if rate != 0.0 {
            size.push(0.0);
            speed.push(rate / self.carry.of(0.0, 0.0));
        }
        [size.value(), speed.value()]
    }

    /// The norm of the change of the velocity, and of the rate of what a row carries, near x.
    pub(super) fn change<R: Real>(&self, x: &[R], u: [&[R]; 2], rates: [f64; 2]) -> f64 {
        let mut change = Norm::default();
        for (((x, a), b), scale) in x.iter().zip(u[0]).zip(u[1]).zip(&self.columns) {
            change.push((b.to_f64() - a.to_f64()) / scale.of(x.to_f64(), 0.0));
        }
        if rates.iter().any(|rate| *rate != 0.0) {
            change.push((rates[1] - rates[0]) / self.carry.of(0.0, 0.0));
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
    pub(super) fn start(&self, guess: f64, speed: f64, change: f64) -> f64 {
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

    fn control() -> Control {
        Control::new(1, &1e-5.into(), &1e-5.into(), 100, 0.0, 4).unwrap()
    }

    #[test]
    fn factors_stay_within_their_bounds() {
        let control = control();
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
        let control = control();
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
    fn each_column_has_its_scale() {
        let control = Control::new(2, &[0.0, 0.5].into(), &[2.0, 3.0, 7.0].into(), 100, 0.25, 4).unwrap();
        let scales: Vec<f64> = control.columns().iter().map(|scale| scale.of(-6.0, 4.0)).collect();
        assert_eq!((scales, control.carry.of(1.0, 0.0)), (vec![2.0, 6.0], 7.0));
        // (6/8, 4/8) and (2/8, 1/8): x and u over atol + rtol |x|.
        let sizes = control.sizes(&[6.0, 10.0], &[2.0, 1.0], 0.0);
        let wanted = [(0.5 * (9.0 + 1.5625_f64)).sqrt(), (0.5 * (1.0 + 0.015_625_f64)).sqrt()];
        assert!(sizes.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-15), "{sizes:?}");
        assert!(control.is_lost(-0.2, 0.0) && !control.is_lost(-0.3, 0.0) && control.is_lost(0.3, 1e15));
        assert_eq!(vec![control.at_least(-0.1), control.at_least(0.5)], vec![-0.25, 0.5]);
        // A step as long as the least one is allowed; far from t = 0 the least is what moves t.
        assert!(!control.is_lost(0.25, 0.0));
        assert_eq!(vec![control.least(0.5), control.least(-1e17)], vec![0.25, 1e17 * RESOLUTION]);
        // (2 - 6)/2, (1 - 0)/8 and (10 - 3)/7: u and the rate, over the scales at x.
        let change = control.change(&[6.0, 10.0], [&[6.0, 0.0], &[2.0, 1.0]], [3.0, 10.0]);
        let wanted = ((4.0 + 0.015_625 + 1.0) / 3.0_f64).sqrt();
        assert!((change - wanted).abs() < 1e-15, "{change} {wanted}");
    }

    #[test]
    fn a_first_step_is_that_of_hairer_norsett_and_wanner() {
        let control = control();
        // Where x or its velocity is nearly 0 nothing can be guessed from them.
        let guesses: Vec<f64> =
            [(1.0, 0.5), (1e-6, 1.0), (1.0, 1e-6)].map(|(x, u)| Control::guess(x, u)).into();
        assert_eq!(guesses, [0.02, 1e-6, 1e-6]);
        assert_eq!(Control::guess(1.0, f64::INFINITY).to_bits(), 1e-6_f64.to_bits());
        // A velocity of 0 that stays so: a thousand times less than the guess, at most a hundred times more.
        assert_eq!(control.start(0.5, 0.0, 0.0).to_bits(), 5e-4_f64.to_bits());
        // k = 5, the larger one of the velocity and its change over the guess: (0.01 / 4)^(1/5).
        assert!((control.start(0.5, 1.0, 2.0) - 0.0025_f64.powf(0.2)).abs() < 1e-15);
        assert_eq!(control.start(1e-4, 1.0, 0.0).to_bits(), 1e-2_f64.to_bits());
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
