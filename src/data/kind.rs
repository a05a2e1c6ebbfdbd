//! [`Kind`]: what the cells of a column are.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Real numbers.
    #[default]
    Numeric,
    /// Whole numbers.
    Integer,
    /// One of a few texts.
    Categorical,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Numeric => "numeric",
            Self::Integer => "integer",
            Self::Categorical => "categorical",
        })
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "numeric" => Ok(Self::Numeric),
            "integer" => Ok(Self::Integer),
            "categorical" => Ok(Self::Categorical),
            _ => Err(Error::Unknown {
                what: "kind of column",
                word: word.to_owned(),
                known: "numeric integer categorical",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_written() {
        for kind in [Kind::Numeric, Kind::Integer, Kind::Categorical] {
            assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
        }
        assert!("text".parse::<Kind>().unwrap_err().to_string().contains("numeric integer categorical"));
    }
}
