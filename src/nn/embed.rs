//! [`TimeEmbedding`]: the form in which the time enters the network.

use std::fmt;
use std::str::FromStr;

use crate::autodiff::{Tape, Var};
use crate::error::{Error, Result};

/// What the network sees of t.
///
/// # Example
/// ```
/// use pushforward::nn::TimeEmbedding;
///
/// assert_eq!("fourier:8".parse::<TimeEmbedding>()?, TimeEmbedding::Fourier(8));
/// assert_eq!(TimeEmbedding::Fourier(8).features(), 16);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TimeEmbedding {
    /// t itself: one feature.
    #[default]
    Raw,
    /// sin(w_k t) for k = 1 ..= K, then cos(w_k t), w_k = pi k: 2 K features.
    Fourier(u32),
}

impl TimeEmbedding {
    /// The most frequencies that make sense: the fastest then turns 128 times between source and target.
    pub const MOST_FREQUENCIES: u32 = 256;

    /// Number of features.
    #[must_use]
    pub fn features(self) -> usize {
        match self {
            Self::Raw => 1,
            Self::Fourier(k) => 2 * k as usize,
        }
    }

    /// Records the features of `t`, a variable of one column.
    pub(super) fn record(self, tape: &mut Tape, t: Var) -> Var {
        match self {
            Self::Raw => t,
            Self::Fourier(k) => tape.fourier(t, k as usize),
        }
    }

    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Fourier(k) if !(1..=Self::MOST_FREQUENCIES).contains(&k) => Err(Error::Setting {
                name: "time_embedding",
                value: self.to_string(),
                remedy: "give `raw`, or `fourier:K` with K from 1 to 256",
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for TimeEmbedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Fourier(k) => write!(f, "fourier:{k}"),
        }
    }
}

impl FromStr for TimeEmbedding {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let unknown =
            || Error::Unknown { what: "time embedding", word: word.into(), known: "raw, fourier:K" };
        let embedding = match word.split_once(':') {
            None if word == "raw" => Self::Raw,
            Some(("fourier", k)) => Self::Fourier(k.parse().map_err(|_| unknown())?),
            _ => return Err(unknown()),
        };
        embedding.check().map(|()| embedding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_and_others_do_not() {
        for word in ["raw", "fourier:1", "fourier:256"] {
            assert_eq!(word.parse::<TimeEmbedding>().unwrap().to_string(), word);
        }
        for word in ["fourier", "fourier:0", "fourier:257", "fourier:-1", "sinus", "raw:1"] {
            assert!(word.parse::<TimeEmbedding>().is_err(), "{word}");
        }
    }
}
