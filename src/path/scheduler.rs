//! [`Scheduler`]: the two functions alpha and sigma that move X_t from source to target.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How alpha and sigma of the affine path X_t = alpha_t X_1 + sigma_t X_0 run in t. // E13, E14
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Scheduler {
    /// The linear, conditional-OT path: alpha = t, sigma = 1 - t (E5, E6). Singular end: t = 1, where
    /// sigma = 0; the conditional velocity (x_1 - x) / (1 - t) has no limit there, alpha, sigma and
    /// their derivatives have.
    #[default]
    CondOt,
}

/// alpha, sigma and their derivatives at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    /// Weight of x_1.
    pub alpha: f64,
    /// Weight of x_0.
    pub sigma: f64,
    /// d alpha / dt.
    pub d_alpha: f64,
    /// d sigma / dt.
    pub d_sigma: f64,
}

impl Scheduler {
    /// The word: `condot`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::CondOt => "condot",
        }
    }

    /// alpha, sigma and their derivatives at t in [0, 1]. // E14
    ///
    /// # Example
    /// ```
    /// use pushforward::Scheduler;
    ///
    /// let c = Scheduler::CondOt.coefficients(0.25);
    /// assert_eq!((c.alpha, c.sigma, c.d_alpha, c.d_sigma), (0.25, 0.75, 1.0, -1.0));
    /// ```
    #[must_use]
    pub fn coefficients(self, t: f64) -> Coefficients {
        match self {
            Self::CondOt => Coefficients { alpha: t, sigma: 1.0 - t, d_alpha: 1.0, d_sigma: -1.0 },
        }
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Scheduler {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "condot" => Ok(Self::CondOt),
            _ => Err(Error::Unknown { what: "scheduler", word: word.into(), known: "condot" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_source_and_target() {
        let (c_0, c_1) = (Scheduler::CondOt.coefficients(0.0), Scheduler::CondOt.coefficients(1.0));
        assert_eq!((c_0.alpha, c_0.sigma), (0.0, 1.0)); // E13
        assert_eq!((c_1.alpha, c_1.sigma), (1.0, 0.0));
        assert_eq!("condot".parse::<Scheduler>().unwrap(), Scheduler::CondOt);
        assert!("cond-ot".parse::<Scheduler>().is_err());
    }

    #[test]
    fn derivatives_are_those_of_the_values() {
        const STEP: f64 = 1e-6;
        // Central differences of a linear function are exact up to rounding: 2e-16 / 1e-6.
        const BOUND: f64 = 1e-9;
        for t in [0.1, 0.5, 0.9] {
            let (a, b) = (Scheduler::CondOt.coefficients(t - STEP), Scheduler::CondOt.coefficients(t + STEP));
            let c = Scheduler::CondOt.coefficients(t);
            assert!(((b.alpha - a.alpha) / (2.0 * STEP) - c.d_alpha).abs() < BOUND);
            assert!(((b.sigma - a.sigma) / (2.0 * STEP) - c.d_sigma).abs() < BOUND);
        }
    }
}
