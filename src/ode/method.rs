//! [`Method`]: which Runge-Kutta method makes the steps.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

use super::tableau::{EULER, HEUN, MIDPOINT, RK4, Tableau};

/// An explicit Runge-Kutta method.
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
}

impl Method {
    /// The word: `euler`, `midpoint`, `heun`, `rk4`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Euler => "euler",
            Self::Midpoint => "midpoint",
            Self::Heun => "heun",
            Self::Rk4 => "rk4",
        }
    }

    /// The coefficients.
    pub(super) fn tableau(self) -> Tableau {
        match self {
            Self::Euler => EULER,
            Self::Midpoint => MIDPOINT,
            Self::Heun => HEUN,
            Self::Rk4 => RK4,
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
        match word {
            "euler" => Ok(Self::Euler),
            "midpoint" => Ok(Self::Midpoint),
            "heun" => Ok(Self::Heun),
            "rk4" => Ok(Self::Rk4),
            _ => {
                let known = "euler, midpoint, heun, rk4";
                Err(Error::Unknown { what: "solver", word: word.into(), known })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        for method in [Method::Euler, Method::Midpoint, Method::Heun, Method::Rk4] {
            assert_eq!(method.to_string().parse::<Method>().unwrap(), method);
            assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{method}\""));
        }
        assert!("rk45".parse::<Method>().is_err());
    }
}
