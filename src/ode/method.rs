//! [`Method`]: which Runge-Kutta method makes the steps.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

use super::dop853::DOP853;
use super::tableau::{BOSH3, DOPRI5, EULER, HEUN, MIDPOINT, RK4, TSIT5, Tableau};

/// An explicit Runge-Kutta method: with fixed steps, or one that chooses its steps by an estimate of its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Method {
    /// Order 1, one evaluation a step.
    Euler,
    /// Order 2, two evaluations a step: the velocity in the middle of an Euler step.
    Midpoint,
    /// Order 2, two evaluations a step: the mean of the velocities at both ends of an Euler step.
    Heun,
    /// Order 4, four evaluations a step: the classic method, with weights 1/6, 1/3, 1/3, 1/6 at
    /// 0, 1/2, 1/2, 1. (The 3/8 rule has the same order and gives other digits.)
    Rk4,
    /// Bogacki and Shampine, order 3, chooses its steps: three evaluations each. For loose tolerances.
    Bosh3,
    /// Dormand and Prince, order 5, chooses its steps: six evaluations each.
    Dopri5,
    /// Tsitouras, order 5, chooses its steps: six evaluations each.
    Tsit5,
    /// Dormand and Prince, order 8, chooses its steps: twelve evaluations each. For tight tolerances.
    Dop853,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Euler,
        Self::Midpoint,
        Self::Heun,
        Self::Rk4,
        Self::Bosh3,
        Self::Dopri5,
        Self::Tsit5,
        Self::Dop853,
    ];

    /// The word: `euler`, `midpoint`, `heun`, `rk4`, `bosh3`, `dopri5`, `tsit5`, `dop853`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Euler => "euler",
            Self::Midpoint => "midpoint",
            Self::Heun => "heun",
            Self::Rk4 => "rk4",
            Self::Bosh3 => "bosh3",
            Self::Dopri5 => "dopri5",
            Self::Tsit5 => "tsit5",
            Self::Dop853 => "dop853",
        }
    }

    /// Whether it chooses its steps, for each row, so that the error stays below a tolerance.
    #[must_use]
    pub fn is_adaptive(self) -> bool {
        self.tableau().pair.is_some()
    }

    /// The coefficients.
    pub(crate) fn tableau(self) -> Tableau {
        match self {
            Self::Euler => EULER,
            Self::Midpoint => MIDPOINT,
            Self::Heun => HEUN,
            Self::Rk4 => RK4,
            Self::Bosh3 => BOSH3,
            Self::Dopri5 => DOPRI5,
            Self::Tsit5 => TSIT5,
            Self::Dop853 => DOP853,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|method| method.word() == word).ok_or_else(|| {
            let known = "euler, midpoint, heun, rk4, bosh3, dopri5, tsit5, dop853";
            Error::Unknown { what: "solver", word: word.into(), known }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        let error = "rk45".parse::<Method>().unwrap_err().to_string();
        for method in Method::ALL {
            assert_eq!(method.to_string().parse::<Method>().unwrap(), method);
            assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{method}\""));
            assert!(error.contains(method.word()), "{error}");
        }
    }
}
