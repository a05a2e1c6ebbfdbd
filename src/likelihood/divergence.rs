//! [`Divergence`]: how the divergence of the velocity is found.
//!
//! # Math
//! div u = tr(du/dx): by d unit tangents, or as the mean of eᵀ (du/dx) e over K random probes e (E22), whose expectation it is.
//!
//! # Limits
//! The exact way costs d products with the Jacobian at each evaluation, the other one K: it pays where K is below d. One
//! probe tells nothing of its own error.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::field::{ProbeLaw, Probes};
use crate::rng::Streams;

/// The most probes of a row: their error is then 1/64 of that of one, and memory grows with them.
const MOST_PROBES: u32 = 4096;

/// How the divergence of the velocity is found; in a file and as a flag one word: `exact`, `hutchinson:8`,
/// `hutchinson:8:gaussian`. // E22
///
/// # Example
/// ```
/// use pushforward::{Divergence, field::ProbeLaw};
///
/// let divergence: Divergence = "hutchinson:8".parse()?;
/// assert_eq!(divergence, Divergence::Hutchinson { probes: 8, law: ProbeLaw::Rademacher });
/// assert_eq!(Divergence::Hutchinson { probes: 8, law: ProbeLaw::Gaussian }.to_string(), "hutchinson:8:gaussian");
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Divergence {
    /// The trace of the Jacobian, by one forward tangent for each dimension.
    #[default]
    Exact,
    /// The mean of eᵀ (du/dx) e over random probes e, the same ones all the way of a row.
    Hutchinson {
        /// How many: K, from 1 to 4096. With one there is no standard error.
        probes: u32,
        /// Their distribution.
        law: ProbeLaw,
    },
}

impl Divergence {
    /// By K Rademacher probes: of the two laws the one with the smaller variance.
    #[must_use]
    pub fn hutchinson(probes: u32) -> Self {
        Self::Hutchinson { probes, law: ProbeLaw::Rademacher }
    }

    /// The probes of the rows from `first_row` on; none for the exact way.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number of probes that is out of range.
    pub(super) fn probes(self, first_row: usize, streams: Streams) -> Result<Option<Probes>> {
        match self {
            Self::Exact => Ok(None),
            Self::Hutchinson { probes, law } => {
                check(probes)?;
                Ok(Some(Probes { streams, first_row, count: probes as usize, law }))
            }
        }
    }
}

fn check(probes: u32) -> Result<()> {
    if (1..=MOST_PROBES).contains(&probes) {
        return Ok(());
    }
    let remedy = "take 1 to 4096 probes, or `exact`";
    Err(Error::Setting { name: "probes", value: probes.to_string(), remedy })
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Hutchinson { probes, law: ProbeLaw::Rademacher } => write!(f, "hutchinson:{probes}"),
            Self::Hutchinson { probes, law } => write!(f, "hutchinson:{probes}:{law}"),
        }
    }
}

impl FromStr for Divergence {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let unknown = || Error::Unknown {
            what: "divergence",
            word: word.into(),
            known: "exact, hutchinson:K, hutchinson:K:gaussian (K probes, such as hutchinson:8)",
        };
        let mut parts = word.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("exact"), None, None, None) => Ok(Self::Exact),
            (Some("hutchinson"), Some(probes), law, None) => {
                let probes = probes.parse().map_err(|_| unknown())?;
                check(probes)?;
                let law = law.map_or(Ok(ProbeLaw::default()), ProbeLaw::from_str)?;
                Ok(Self::Hutchinson { probes, law })
            }
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Divergence {
    type Error = Error;

    fn try_from(word: String) -> Result<Self> {
        word.parse()
    }
}

impl From<Divergence> for String {
    fn from(divergence: Divergence) -> Self {
        divergence.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for (word, divergence) in [
            ("exact", Divergence::Exact),
            ("hutchinson:1", Divergence::hutchinson(1)),
            ("hutchinson:4096", Divergence::hutchinson(4096)),
            ("hutchinson:3:gaussian", Divergence::Hutchinson { probes: 3, law: ProbeLaw::Gaussian }),
        ] {
            assert_eq!(word.parse::<Divergence>().unwrap(), divergence);
            assert_eq!(divergence.to_string(), word);
            let json = serde_json::to_string(&divergence).unwrap();
            assert_eq!(json, format!("\"{word}\""));
            assert_eq!(serde_json::from_str::<Divergence>(&json).unwrap(), divergence);
        }
        assert_eq!("hutchinson:2:rademacher".parse::<Divergence>().unwrap(), Divergence::hutchinson(2));
    }

    #[test]
    fn what_is_no_word_is_refused_with_those_that_are() {
        for (word, said) in [
            ("trace", "exact, hutchinson:K"),
            ("exact:2", "exact, hutchinson:K"),
            ("hutchinson", "exact, hutchinson:K"),
            ("hutchinson:many", "exact, hutchinson:K"),
            ("hutchinson:-1", "exact, hutchinson:K"),
            ("hutchinson:2:gaussian:3", "exact, hutchinson:K"),
            ("hutchinson:2:uniform", "rademacher, gaussian"),
            ("hutchinson:0", "`probes` is 0: take 1 to 4096"),
            ("hutchinson:4097", "`probes` is 4097: take 1 to 4096"),
        ] {
            let error = word.parse::<Divergence>().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(serde_json::from_str::<Divergence>("\"trace\"").is_err());
    }
}
