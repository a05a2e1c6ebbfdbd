//! [`Coupling`]: which source row is joined with which target row.
//!
//! # Math
//! A coupling is a joint law pi(x_0, x_1) whose marginals are the source p and the target q (E25):
//! the pairs (X_0, X_1) that a path joins are drawn from it. Every coupling transports p to q; they
//! differ in how long and how much crossed the conditional paths are, hence in how curved the
//! marginal velocity is and how much the objective varies.
//!
//! | word | pi |
//! |---|---|
//! | `independent` | p(x_0) q(x_1) |
//! | `paired` | row i of the source belongs to row i of the target |
//! | `ot` | of N independent rows on each side the permutation of least total squared distance ([`assign_points`]) |
//! | `sinkhorn:REG` | of N rows on each side the plan P of least <P, C> - REG H(P) ([`Sinkhorn`]); for each target row a source row drawn from its column of P |
//!
//! Distances are those of the network's units. `ot` uses every row of both sides once: no row is drawn with replacement. With
//! `sinkhorn` every target row is used once, a source row once on average.
//!
//! # Shapes
//! Both sides of a coupled batch are [N, d]; row i of one belongs to row i of the other.
//!
//! # Source
//! Tong et al. 2024, arXiv:2302.00482 (couplings); the methods: see [`assign`], [`assign_points`] and [`Sinkhorn`].

mod assignment;
mod cloud;
mod conditional;
mod pairs;
mod points;
mod scan;
mod sinkhorn;
mod sparse;

pub use assignment::{Assignment, assign};
pub use conditional::Matched;
pub use pairs::{Pairing, Pairs};
pub use points::assign_points;
pub use sinkhorn::{Plan, Sinkhorn};

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::kernel::{Real, Simd};
use crate::rng::Stream;
use crate::tensor::Tensor;

/// How the source rows of a minibatch are paired with its target rows: a joint law pi(x_0, x_1)
/// whose marginals are the source and the target. // E25
///
/// # Example
/// ```
/// use pushforward::Coupling;
///
/// assert_eq!("sinkhorn:0.05".parse::<Coupling>()?, Coupling::Sinkhorn { reg: 0.05 });
/// assert_eq!(Coupling::ExactOt.to_string(), "ot");
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Coupling {
    /// pi(x_0, x_1) = p(x_0) q(x_1): each target row gets a source row drawn without looking at it.
    #[default]
    Independent,
    /// Row i of the source data belongs to row i of the target data.
    Paired,
    /// The permutation of least total squared distance inside each coupling batch.
    ExactOt,
    /// Source rows drawn from the entropic plan of each coupling batch.
    Sinkhorn {
        /// The weight of the entropy, in units of a squared distance between rows as the network sees them.
        reg: f64,
    },
}

impl Coupling {
    /// The words that [`Coupling::from_str`] knows.
    const KNOWN: &str = "independent, paired, ot, sinkhorn:REG";

    /// Refuses what has no meaning.
    ///
    /// # Errors
    /// [`Error::Setting`] if `reg` is not a positive number.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Sinkhorn { reg } if !(reg.is_finite() && reg > 0.0) => Err(Error::Setting {
                name: "coupling",
                value: self.to_string(),
                remedy: "give sinkhorn:REG with a number REG above 0, or `ot`, its limit at 0",
            }),
            _ => Ok(()),
        }
    }

    /// Joins equally many source and target rows: what comes back is the row of x_0 that belongs to each row of x_1. // E25
    ///
    /// `stream` is drawn from by `sinkhorn` alone; rows that stand in random order are already joined by `independent`.
    ///
    /// # Errors
    /// As [`assign_points`] and [`Sinkhorn::solve`].
    pub fn join<R: Real>(
        self,
        simd: Simd,
        x_0: &Tensor<R>,
        x_1: &Tensor<R>,
        stream: &mut Stream,
    ) -> Result<Vec<usize>> {
        match self {
            Self::Independent | Self::Paired => Ok((0..x_1.rows()).collect()),
            Self::ExactOt => Ok(assign_points(simd, x_1, x_0)?.columns),
            Self::Sinkhorn { reg } => Ok(Sinkhorn::new(reg).solve(simd, x_1, x_0)?.draw(stream)),
        }
    }
}

impl fmt::Display for Coupling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Independent => f.write_str("independent"),
            Self::Paired => f.write_str("paired"),
            Self::ExactOt => f.write_str("ot"),
            Self::Sinkhorn { reg } => write!(f, "sinkhorn:{reg}"),
        }
    }
}

impl FromStr for Coupling {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let unknown = || Error::Unknown { what: "coupling", word: word.into(), known: Self::KNOWN };
        let coupling = match word {
            "independent" => Self::Independent,
            "paired" => Self::Paired,
            "ot" => Self::ExactOt,
            _ => {
                let reg = word.strip_prefix("sinkhorn:").ok_or_else(unknown)?;
                Self::Sinkhorn { reg: reg.parse().map_err(|_| unknown())? }
            }
        };
        coupling.check()?;
        Ok(coupling)
    }
}

impl From<Coupling> for String {
    fn from(coupling: Coupling) -> Self {
        coupling.to_string()
    }
}

impl TryFrom<String> for Coupling {
    type Error = Error;

    fn try_from(word: String) -> Result<Self> {
        word.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_same_everywhere() {
        for word in ["independent", "paired", "ot", "sinkhorn:0.05", "sinkhorn:2"] {
            let coupling: Coupling = word.parse().unwrap();
            assert_eq!(coupling.to_string(), word);
            assert_eq!(serde_json::to_string(&coupling).unwrap(), format!("\"{word}\""));
            assert_eq!(serde_json::from_str::<Coupling>(&format!("\"{word}\"")).unwrap(), coupling);
        }
        for bad in [
            "Independent",
            "sinkhorn",
            "sinkhorn:",
            "sinkhorn:0",
            "sinkhorn:-1",
            "sinkhorn:nan",
            "sinkhorn:inf",
        ] {
            assert!(bad.parse::<Coupling>().is_err(), "{bad}");
        }
    }
}
