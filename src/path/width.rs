//! [`Width`]: noise on the way, so that a path is a tube around its line and not the line itself.
//!
//! # Math
//! X_t = alpha_t X_1 + sigma_t X_0 + g_t e, e ~ N(0, I), and dX_t = alpha'_t X_1 + sigma'_t X_0 + g'_t e (E26):
//! ```text
//! none         g = 0
//! constant:s   g = s                    g' = 0
//! bridge:s     g = s sqrt(t (1 - t))    g' = s (1 - 2 t) / (2 sqrt(t (1 - t)))
//! ```
//! With pairs from an entropic plan of the regularisation 2 s² the last one is the Schrödinger bridge; as (x - mean) is g e, its
//! velocity is (1 - 2t) / (2 t (1 - t)) (x - mean) + x_1 - x_0.
//!
//! # Limits
//! A constant width blurs both ends by s: the flow carries N(0, (1 + s²) I) to the target with noise of size s, though it is
//! started from N(0, I). The velocity of a bridge is infinite at both ends; times of a training never are the ends.
//! The score and a change of scheduler hold for the path without width only.
//!
//! # Source
//! Tong et al. 2024, arXiv:2302.00482.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The noise on the way of a path. // E26
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Width {
    /// The line itself.
    #[default]
    None,
    /// The same width at all times.
    Constant(f64),
    /// A Brownian bridge: nothing at the ends.
    Bridge(f64),
}

impl Width {
    /// g and its derivative at t.
    #[must_use]
    pub fn coefficients(self, t: f64) -> [f64; 2] {
        match self {
            Self::None => [0.0, 0.0],
            Self::Constant(s) => [s, 0.0],
            Self::Bridge(s) => {
                let root = (t * (1.0 - t)).sqrt();
                [s * root, s * (1.0 - 2.0 * t) / (2.0 * root)]
            }
        }
    }

    /// Looks for a number out of range.
    ///
    /// # Errors
    /// [`Error::Setting`] for a width that is not above 0 and at most 1000.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Constant(s) | Self::Bridge(s) if !(s > 0.0 && s <= 1e3) => Err(Error::Setting {
                name: "width",
                value: self.to_string(),
                remedy: "give a width above 0, at most 1000, in the units of the network",
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Constant(s) => write!(f, "constant:{s}"),
            Self::Bridge(s) => write!(f, "bridge:{s}"),
        }
    }
}

impl FromStr for Width {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::Unknown {
            what: "width",
            word: text.into(),
            known: "none, constant:WIDTH, bridge:WIDTH",
        };
        let number = |text: &str| text.parse().map_err(|_| unknown());
        let width = match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            Some(("constant", s)) => Ok(Self::Constant(number(s)?)),
            Some(("bridge", s)) => Ok(Self::Bridge(number(s)?)),
            _ => Err(unknown()),
        }?;
        width.check().map(|()| width)
    }
}

impl TryFrom<String> for Width {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Width> for String {
    fn from(width: Width) -> Self {
        width.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_values() {
        // Central differences: h² f''' / 6 with third derivatives below 200 there.
        const STEP: f64 = 1e-5;
        const BOUND: f64 = 1e-8;
        for width in [Width::None, Width::Constant(0.3), Width::Bridge(0.7)] {
            for t in [0.1, 0.5, 0.8] {
                let slope =
                    (width.coefficients(t + STEP)[0] - width.coefficients(t - STEP)[0]) / (2.0 * STEP);
                assert!((slope - width.coefficients(t)[1]).abs() < BOUND, "{width} {t}");
            }
        }
    }

    #[test]
    fn words_come_back_and_others_do_not() {
        for word in ["none", "constant:0.1", "bridge:1"] {
            assert_eq!(word.parse::<Width>().unwrap().to_string(), word);
        }
        for word in ["constant", "constant:0", "bridge:-1", "bridge:NaN", "wide", ""] {
            assert!(word.parse::<Width>().is_err(), "{word}");
        }
    }
}
