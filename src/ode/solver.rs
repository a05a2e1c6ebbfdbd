//! [`Solver`]: how an ODE is solved, as data.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::field::VectorField;
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::control::Control;
use super::method::Method;
use super::tolerance::Tolerance;

/// Steps of a method with fixed steps for which none are named.
const STEPS: u32 = 100;

/// rtol and atol where none are named. Samples of a trained velocity are wrong by far more than 1e-5, and f32 has
/// rounding of 1e-7 in x and 1e-6 in a network's answer, so that a tighter tolerance buys little. It is also what
/// flow_matching takes for `dopri5`.
const TOLERANCE: f64 = 1e-5;

/// The most steps of a row where no number is named: a hundred times what a flow takes. A row that needs more is stiff
/// or near a singular point, and should say so within a second.
const MAX_STEPS: u32 = 10_000;

/// A Runge-Kutta method and its settings. A setting that is not made has a default; one that the method has no use for is
/// an error.
///
/// | method | settings |
/// |---|---|
/// | `euler`, `midpoint`, `heun`, `rk4` | `steps` (100) |
/// | `bosh3`, `dopri5`, `tsit5`, `dop853` | `rtol`, `atol` (1e-5 each), `max_steps` (10000), `min_step` (0) |
///
/// # Example
/// ```
/// use pushforward::{Solver, Tensor, field::FnField};
///
/// let decay = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0]);
/// let x_0 = Tensor::from_rows(&[[1.0], [2.0]]);
/// let solution = Solver::rk4().steps(20).solve(&decay, &x_0, 0.0..1.0)?;
/// assert!((solution.x.row(1)[0] - 2.0 * (-1.0_f64).exp()).abs() < 1e-7);
/// assert_eq!(solution.rows[1].nfe, 80);
///
/// let solution = Solver::dopri5().tolerance(1e-8).solve(&decay, &x_0, 0.0..1.0)?;
/// assert!((solution.x.row(1)[0] - 2.0 * (-1.0_f64).exp()).abs() < 1e-7);
/// assert!(solution.stats.nfe < 80.0);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Solver {
    /// What makes the steps.
    pub method: Method,
    /// How many steps there are from t_0 to t_1, for a method with fixed steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// The error that a step may make in a component of x, as a share of its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtol: Option<Tolerance>,
    /// The error that a step may make in a component of x of size 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atol: Option<Tolerance>,
    /// The most steps, accepted and rejected, of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
    /// The shortest step, but for one that ends at t_1. A row that would need a shorter one is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_step: Option<f64>,
}

/// How a solver makes its steps, with every setting known and checked.
pub(super) enum Plan {
    /// That many.
    Fixed(u32),
    /// By the error of each.
    Adaptive(Control),
}

/// As [`Plan`], before it is known how many columns there are.
enum Settled {
    Fixed(u32),
    Adaptive { rtol: Tolerance, atol: Tolerance, max_steps: u32, min_step: f64, order: u32 },
}

impl Solver {
    /// A method with its default settings.
    #[must_use]
    pub fn new(method: Method) -> Self {
        Self { method, steps: None, rtol: None, atol: None, max_steps: None, min_step: None }
    }

    /// Euler's method, order 1, with 100 steps.
    #[must_use]
    pub fn euler() -> Self {
        Self::new(Method::Euler)
    }

    /// The midpoint method, order 2, with 100 steps.
    #[must_use]
    pub fn midpoint() -> Self {
        Self::new(Method::Midpoint)
    }

    /// Heun's method, order 2, with 100 steps.
    #[must_use]
    pub fn heun() -> Self {
        Self::new(Method::Heun)
    }

    /// The classic Runge-Kutta method, order 4, with 100 steps.
    #[must_use]
    pub fn rk4() -> Self {
        Self::new(Method::Rk4)
    }

    /// The pair of Bogacki and Shampine, order 3, that chooses its steps for the tolerance 1e-5.
    #[must_use]
    pub fn bosh3() -> Self {
        Self::new(Method::Bosh3)
    }

    /// The pair of Dormand and Prince, order 5, that chooses its steps for the tolerance 1e-5.
    #[must_use]
    pub fn dopri5() -> Self {
        Self::new(Method::Dopri5)
    }

    /// The pair of Tsitouras, order 5, that chooses its steps for the tolerance 1e-5.
    #[must_use]
    pub fn tsit5() -> Self {
        Self::new(Method::Tsit5)
    }

    /// The method of Dormand and Prince of order 8 that chooses its steps for the tolerance 1e-5.
    #[must_use]
    pub fn dop853() -> Self {
        Self::new(Method::Dop853)
    }

    /// Sets the number of steps, at least 1, of a method with fixed steps.
    #[must_use]
    pub fn steps(self, steps: u32) -> Self {
        Self { steps: Some(steps), ..self }
    }

    /// Sets `rtol` and `atol` of a method that chooses its steps: one number, or one for each column ([`Tolerance`]).
    #[must_use]
    pub fn tolerance(self, tolerance: impl Into<Tolerance>) -> Self {
        let tolerance = tolerance.into();
        self.rtol(tolerance.clone()).atol(tolerance)
    }

    /// Sets the error that a step may make as a share of x, at least 0, for a method that chooses its steps.
    #[must_use]
    pub fn rtol(self, rtol: impl Into<Tolerance>) -> Self {
        Self { rtol: Some(rtol.into()), ..self }
    }

    /// Sets the error that a step may make where x is 0, above 0, for a method that chooses its steps.
    #[must_use]
    pub fn atol(self, atol: impl Into<Tolerance>) -> Self {
        Self { atol: Some(atol.into()), ..self }
    }

    /// Sets the most steps of a row, at least 1, for a method that chooses its steps.
    #[must_use]
    pub fn max_steps(self, max_steps: u32) -> Self {
        Self { max_steps: Some(max_steps), ..self }
    }

    /// Sets the shortest step, at least 0, for a method that chooses its steps. A row that would need a shorter one, as
    /// near a singular point, ends in [`Error::StepSize`] there, instead of creeping on until t does not move any more.
    #[must_use]
    pub fn min_step(self, min_step: f64) -> Self {
        Self { min_step: Some(min_step), ..self }
    }

    /// Looks for settings that are out of range or that the method has no use for.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first of them.
    ///
    /// # Example
    /// ```
    /// use pushforward::Solver;
    ///
    /// assert!(Solver::dopri5().rtol(1e-3).check().is_ok());
    /// assert!(Solver::dopri5().steps(50).check().is_err()); // it chooses its steps
    /// ```
    pub fn check(&self) -> Result<()> {
        self.settled().map(|_| ())
    }

    /// Checks what a caller can get wrong.
    pub(super) fn plan<R, F>(&self, field: &F, x: &Tensor<R>, t: &Range<f64>) -> Result<Plan>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
    {
        let settled = self.settled()?;
        for end in [t.start, t.end] {
            if !end.is_finite() {
                let remedy = "both ends of the time interval must be finite";
                return Err(Error::Setting { name: "t", value: end.to_string(), remedy });
            }
        }
        x.check_cols("columns of x", field.dim(), "give rows of the dimension of the field")?;
        x.check_finite("x at the start of the ODE", "remove or replace that row")?;
        Ok(match settled {
            Settled::Fixed(steps) => Plan::Fixed(steps),
            Settled::Adaptive { rtol, atol, max_steps, min_step, order } => {
                Plan::Adaptive(Control::new(x.cols(), &rtol, &atol, max_steps, min_step, order)?)
            }
        })
    }

    /// The settings, with defaults where none were made.
    fn settled(&self) -> Result<Settled> {
        let refused = |name, value: &dyn ToString, remedy| {
            Err(Error::Setting { name, value: value.to_string(), remedy })
        };
        let with = |value: &dyn ToString| format!("{} with {}", value.to_string(), self.method);
        let Some(pair) = self.method.tableau().pair else {
            let remedy =
                "the steps of this method are fixed: set `steps`, or take bosh3, dopri5, tsit5 or dop853";
            let of_pairs = [
                ("rtol", self.rtol.as_ref().map(|rtol| with(rtol))),
                ("atol", self.atol.as_ref().map(|atol| with(atol))),
                ("max_steps", self.max_steps.map(|max_steps| with(&max_steps))),
                ("min_step", self.min_step.map(|min_step| with(&min_step))),
            ];
            for (name, value) in of_pairs {
                if let Some(value) = value {
                    return refused(name, &value, remedy);
                }
            }
            return match self.steps.unwrap_or(STEPS) {
                0 => refused("steps", &0, "take at least 1 step"),
                steps => Ok(Settled::Fixed(steps)),
            };
        };
        if let Some(steps) = self.steps {
            let remedy =
                "this method chooses its steps: set `rtol` and `atol`, or take euler, midpoint, heun or rk4";
            return refused("steps", &with(&steps), remedy);
        }
        let or_default = |tolerance: &Option<Tolerance>| tolerance.clone().unwrap_or(TOLERANCE.into());
        let (rtol, atol) = (or_default(&self.rtol), or_default(&self.atol));
        let max_steps = self.max_steps.unwrap_or(MAX_STEPS);
        let min_step = self.min_step.unwrap_or(0.0);
        if let Some(rtol) = rtol.numbers().iter().find(|rtol| !(**rtol >= 0.0 && rtol.is_finite())) {
            return refused("rtol", rtol, "give a number of at least 0, such as 1e-5");
        }
        if let Some(atol) = atol.numbers().iter().find(|atol| !(**atol > 0.0 && atol.is_finite())) {
            return refused("atol", atol, "give a number above 0, such as 1e-5: components of x may be 0");
        }
        if !(min_step >= 0.0 && min_step.is_finite()) {
            return refused("min_step", &min_step, "give a time of at least 0, such as 1e-9");
        }
        if max_steps == 0 {
            return refused("max_steps", &0, "allow at least 1 step");
        }
        Ok(Settled::Adaptive { rtol, atol, max_steps, min_step, order: pair.order })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AdaptiveIntegration, Integration};
    use super::*;
    use crate::field::FnField;

    #[test]
    fn a_solver_is_data() {
        let solver = Solver::midpoint().steps(40);
        let text = serde_json::to_string(&solver).unwrap();
        assert_eq!(text, r#"{"method":"midpoint","steps":40}"#);
        assert_eq!(serde_json::from_str::<Solver>(&text).unwrap(), solver);
        let solver = Solver::tsit5().tolerance(1e-4).atol([1e-6, 0.5]).max_steps(50).min_step(0.25);
        let text = serde_json::to_string(&solver).unwrap();
        let wanted = r#"{"method":"tsit5","rtol":0.0001,"atol":[1e-6,0.5],"max_steps":50,"min_step":0.25}"#;
        assert_eq!(text, wanted);
        assert_eq!(serde_json::from_str::<Solver>(&text).unwrap(), solver);
        assert_eq!(serde_json::from_str::<Solver>(r#"{"method":"dopri5"}"#).unwrap(), Solver::dopri5());
        assert!(serde_json::from_str::<Solver>(r#"{"method":"dopri5","tol":1e-3}"#).is_err());
    }

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        let still = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 0.0);
        let x = Tensor::zeros(1, 1);
        for (solver, words) in [
            (Solver::dopri5().steps(50), ["`steps` is 50 with dopri5", "midpoint"]),
            (Solver::rk4().rtol(1e-3), ["`rtol` is 0.001 with rk4", "dopri5"]),
            (Solver::heun().atol(1e-3), ["`atol` is 0.001 with heun", "dopri5"]),
            (Solver::euler().max_steps(9), ["`max_steps` is 9 with euler", "set `steps`"]),
            (Solver::bosh3().rtol(-1e-3), ["`rtol` is -0.001", "at least 0"]),
            (Solver::bosh3().rtol(f64::NAN), ["`rtol` is NaN", "at least 0"]),
            (Solver::tsit5().atol(0.0), ["`atol` is 0", "above 0"]),
            (Solver::tsit5().atol(f64::INFINITY), ["`atol` is inf", "above 0"]),
            (Solver::tsit5().max_steps(0), ["`max_steps` is 0", "at least 1"]),
            (Solver::tsit5().atol([1e-3, -2.0]), ["`atol` is -2", "above 0"]),
            (Solver::tsit5().rtol([1e-3, -3.0]), ["`rtol` is -3", "at least 0"]),
            (Solver::rk4().rtol([1e-3, 0.5]), ["`rtol` is 0.001,0.5 with rk4", "dopri5"]),
            (Solver::rk4().min_step(1e-3), ["`min_step` is 0.001 with rk4", "dopri5"]),
            (Solver::dopri5().min_step(-1.0), ["`min_step` is -1", "at least 0"]),
            (Solver::dopri5().min_step(f64::NAN), ["`min_step` is NaN", "at least 0"]),
        ] {
            let error = solver.solve(&still, &x, 0.0..1.0).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
            assert_eq!(solver.check().unwrap_err().to_string(), error);
        }
        for solver in [Solver::dopri5().atol([1.0, 1.0, 1.0]), Solver::bosh3().rtol(vec![])] {
            let error = solver.solve(&still, &x, 0.0..1.0).unwrap_err();
            assert!(matches!(error, Error::Dimension { expected: 1, .. }), "{error}");
            assert!(solver.check().is_ok(), "it does not know the columns");
        }
        let fixed = Integration::new(&Solver::dopri5(), &still, x.clone(), 0.0..1.0).unwrap_err();
        let chosen = AdaptiveIntegration::new(&Solver::rk4(), &still, x.clone(), 0.0..1.0).unwrap_err();
        assert!(
            fixed.to_string().contains("dopri5") && chosen.to_string().contains("rk4"),
            "{fixed} {chosen}"
        );
    }
}
