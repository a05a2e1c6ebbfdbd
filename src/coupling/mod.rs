//! [`Coupling`]: which source row is joined with which target row.
//!
//! # Math
//! A coupling is a joint law pi(x_0, x_1) whose marginals are the source p and the target q (E25):
//! the pairs (X_0, X_1) that a path joins are drawn from it. Every coupling transports p to q; they
//! differ in how long and how much crossed the conditional paths are, hence in how curved the
//! marginal velocity is and how much the objective varies. Independent: pi(x_0, x_1) = p(x_0) q(x_1).
//! Optimal transport minimises E |X_1 - X_0|² over all couplings; for two sets of n rows with equal
//! weights an optimal one is a permutation, and [`assign`] finds it.
//!
//! # Shapes
//! Both sides of a coupled batch are [B, d]; row i of one belongs to row i of the other.
//!
//! # Source
//! Tong et al. 2024, arXiv:2302.00482 (couplings); assignment: see [`assign`].

mod assignment;
mod scan;

pub use assignment::{Assignment, assign};

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How the source rows of a minibatch are paired with its target rows: a joint law pi(x_0, x_1)
/// whose marginals are the source and the target. // E25
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Coupling {
    /// pi(x_0, x_1) = p(x_0) q(x_1): each target row gets a source row drawn without looking at it.
    #[default]
    Independent,
}

impl Coupling {
    /// The word: `independent`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Independent => "independent",
        }
    }
}

impl fmt::Display for Coupling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Coupling {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "independent" => Ok(Self::Independent),
            _ => Err(Error::Unknown { what: "coupling", word: word.into(), known: "independent" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_same_everywhere() {
        let coupling = Coupling::default();
        assert_eq!(coupling.to_string().parse::<Coupling>().unwrap(), coupling);
        assert_eq!(serde_json::to_string(&coupling).unwrap(), format!("\"{coupling}\""));
        assert!("Independent".parse::<Coupling>().is_err());
    }
}
