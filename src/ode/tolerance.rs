//! [`Tolerance`]: the error that a step may make, the same in all columns of x or another one in each.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// One number for all columns of x, or one for each: in a file a number or a list, as a flag `1e-5` or `1e-5,1e-3`.
///
/// What a row carries, the log-density in nats (E21), is no column of x. It has the one number, or the least of them; a
/// list of one number more than there are columns says otherwise with its last.
///
/// # Example
/// ```
/// use pushforward::{Solver, Tensor, field::FnField};
///
/// // A height in metres and a speed in kilometres a second.
/// let fall = FnField::new(2, |_t: f64, x: &[f64], u: &mut [f64]| (u[0], u[1]) = (1e3 * x[1], -9.81e-3));
/// let x_0 = Tensor::from_rows(&[[2e5, 0.0]]);
/// let solver = Solver::dopri5().rtol(0.0).atol([1e-1, 1e-4]);
/// let found = solver.solve(&fall, &x_0, 0.0..100.0)?;
/// assert!((found.x.row(0)[0] - (2e5 - 0.5 * 9.81 * 1e4)).abs() < 1e-1);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Tolerance {
    /// The same for all columns.
    All(f64),
    /// One for each column, and if there is one more, that one for what a row carries.
    Columns(Vec<f64>),
}

impl Tolerance {
    /// The numbers that are given.
    #[must_use]
    pub fn numbers(&self) -> &[f64] {
        match self {
            Self::All(number) => std::slice::from_ref(number),
            Self::Columns(numbers) => numbers,
        }
    }

    /// One for each of `cols` columns, and the one for what a row carries. `what` names them in errors.
    pub(super) fn spread(&self, cols: usize, what: &'static str) -> Result<(Vec<f64>, f64)> {
        match self {
            Self::All(number) => Ok((vec![*number; cols], *number)),
            Self::Columns(numbers) if numbers.len() == cols => {
                Ok((numbers.clone(), numbers.iter().copied().fold(f64::INFINITY, f64::min)))
            }
            Self::Columns(numbers) if numbers.len() == cols + 1 => {
                Ok((numbers[..cols].to_vec(), numbers[cols]))
            }
            Self::Columns(numbers) => Err(Error::Dimension {
                what,
                expected: cols,
                found: numbers.len(),
                remedy: "give one for all, one for each column of x, or one more for what a row carries",
            }),
        }
    }
}

impl From<f64> for Tolerance {
    fn from(number: f64) -> Self {
        Self::All(number)
    }
}

impl From<Vec<f64>> for Tolerance {
    fn from(numbers: Vec<f64>) -> Self {
        Self::Columns(numbers)
    }
}

impl<const D: usize> From<[f64; D]> for Tolerance {
    fn from(numbers: [f64; D]) -> Self {
        Self::Columns(numbers.to_vec())
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, number) in self.numbers().iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            if *number == 0.0 || (1e-4..1e16).contains(&number.abs()) {
                write!(f, "{number}")?;
            } else {
                write!(f, "{number:e}")?; // not its zeros
            }
        }
        Ok(())
    }
}

impl FromStr for Tolerance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |word: &str| {
            word.trim().parse::<f64>().map_err(|_| Error::Setting {
                name: "tolerance",
                value: word.into(),
                remedy: "give a number such as 1e-5, or one for each column with commas between them",
            })
        };
        match text.split_once(',') {
            None => number(text).map(Self::All),
            Some(_) => text.split(',').map(number).collect::<Result<_>>().map(Self::Columns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_numbers_and_lists() {
        for (tolerance, json, text) in [
            (Tolerance::from(0.5), "0.5", "0.5"),
            (Tolerance::from(vec![0.5]), "[0.5]", "0.5"),
            (Tolerance::from([1e-6, 0.25]), "[1e-6,0.25]", "1e-6,0.25"),
            (Tolerance::from([0.0, 1e-300]), "[0.0,1e-300]", "0,1e-300"),
        ] {
            assert_eq!(serde_json::to_string(&tolerance).unwrap(), json);
            assert_eq!(serde_json::from_str::<Tolerance>(json).unwrap(), tolerance);
            assert_eq!(tolerance.to_string(), text);
            assert_eq!(text.parse::<Tolerance>().unwrap().numbers(), tolerance.numbers());
        }
        for text in ["", "1e-5,", "1e-5;1e-3", "small"] {
            assert!(text.parse::<Tolerance>().unwrap_err().to_string().contains("commas"), "{text}");
        }
    }

    #[test]
    fn each_column_and_the_carry_have_theirs() {
        let of = |tolerance: Tolerance| tolerance.spread(2, "numbers of `atol`");
        assert_eq!(of(0.5.into()).unwrap(), (vec![0.5, 0.5], 0.5));
        assert_eq!(of([0.5, 0.25].into()).unwrap(), (vec![0.5, 0.25], 0.25));
        assert_eq!(of([0.5, 0.25, 4.0].into()).unwrap(), (vec![0.5, 0.25], 4.0));
        for wrong in [vec![], vec![0.5], vec![0.5; 4]] {
            let (found, error) = (wrong.len(), of(wrong.into()).unwrap_err());
            assert!(matches!(error, Error::Dimension { expected: 2, found: n, .. } if n == found), "{error}");
        }
    }
}
