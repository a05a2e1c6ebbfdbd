//! [`Source`]: the distribution p = p_0 that the flow pushes forward.
//!
//! # Math
//! `normal` is N(0, I), of density p_0(x) = (2 pi)^(-d/2) exp(-|x|²/2). `data` is the law that the rows of a table come from: it has
//! no density and no rows of its own, they are given.
//!
//! # Shapes
//! x is [B, d]; row i of a tensor is row `first_row + i` of one infinite sequence of source rows.
//!
//! # Limits
//! What `data` does not have is NaN where it is asked for all the same: [`Source::check_drawn`] and [`Source::check_density`] tell
//! first. A row in the middle of a block of 64 is reached by drawing those of its block before it.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::rng::{ROWS_PER_STREAM, Stream, Streams};
use crate::tensor::Tensor;

/// The distribution of x_0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Source {
    /// N(0, I).
    #[default]
    Normal,
    /// Given rows.
    Data,
}

impl Source {
    /// The word: `normal` or `data`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Data => "data",
        }
    }

    /// Whether rows can be drawn without being given.
    ///
    /// # Errors
    /// [`Error::Setting`] for `data`.
    pub fn check_drawn(self) -> Result<()> {
        match self {
            Self::Normal => Ok(()),
            Self::Data => Err(Error::Setting {
                name: "source",
                value: "data, whose rows are not part of the model".into(),
                remedy: "give the rows to start from (`sample --source DATA`)",
            }),
        }
    }

    /// Whether there is a density p_0.
    ///
    /// # Errors
    /// [`Error::Setting`] for `data`.
    pub fn check_density(self) -> Result<()> {
        match self {
            Self::Normal => Ok(()),
            Self::Data => Err(Error::Setting {
                name: "source",
                value: "data, of which rows are known and no density".into(),
                remedy: "score with a model whose source is `normal`; `encode` works with both",
            }),
        }
    }

    /// Draws source rows `first_row`, `first_row + 1`, ... into x, [B, d]. Row i of the sequence depends
    /// on the streams, on i and on d only: not on where a call starts, nor on the number of threads. For `data` they are NaN.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Rng, Source, Tensor, rng::Purpose};
    ///
    /// let streams = Rng::from_seed(0).fork(Purpose::Source);
    /// let (mut all, mut last) = (Tensor::<f32>::zeros(1003, 2), Tensor::zeros(3, 2));
    /// Source::Normal.fill(&streams, 0, &mut all);
    /// Source::Normal.fill(&streams, 1000, &mut last);
    /// assert_eq!(all.slice_rows(1000..1003), last);
    /// ```
    pub fn fill<R: Real>(self, streams: &Streams, first_row: usize, x: &mut Tensor<R>) {
        let d = x.cols();
        if d == 0 {
            return; // no numbers to draw
        }
        let (first_block, skipped) = (first_row / ROWS_PER_STREAM, first_row % ROWS_PER_STREAM);
        let head = (ROWS_PER_STREAM - skipped).min(x.rows());
        let (head, whole) = x.as_mut_slice().split_at_mut(head * d);
        self.fill_block(streams, first_block, skipped, d, head);
        whole.par_chunks_mut(ROWS_PER_STREAM * d).enumerate().for_each(|(b, rows)| {
            self.fill_block(streams, first_block + 1 + b, 0, d, rows);
        });
    }

    /// Draws the numbers of one row, or of several, one after the other. For `data` they are NaN.
    pub fn draw<R: Real>(self, stream: &mut Stream, rows: &mut [R]) {
        match self {
            Self::Normal => rows.iter_mut().for_each(|x| *x = R::from_f64(stream.normal())),
            Self::Data => rows.fill(R::from_f64(f64::NAN)),
        }
    }

    /// The log-density ln p_0(x) of one row x, of length d, in nats. For `data` it is NaN.
    ///
    /// # Example
    /// ```
    /// // -ln 2 pi - 1, from the table of known answers for the constant field.
    /// let log_p = pushforward::Source::Normal.log_density(&[-1.0_f64, -1.0]);
    /// assert!((log_p - -2.837_877_066_4).abs() < 1e-10);
    /// ```
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    pub fn log_density<R: Real>(self, x: &[R]) -> f64 {
        match self {
            Self::Normal => {
                let square: f64 = x.iter().map(|x| x.to_f64() * x.to_f64()).sum();
                -0.5 * (x.len() as f64 * TAU.ln() + square)
            }
            Self::Data => f64::NAN,
        }
    }

    /// Draws rows of one block of [`ROWS_PER_STREAM`], after leaving out its first `skipped` rows.
    fn fill_block<R: Real>(self, streams: &Streams, block: usize, skipped: usize, d: usize, rows: &mut [R]) {
        let mut stream = streams.stream(block as u64);
        if self == Self::Normal {
            for _ in 0..skipped * d {
                stream.normal();
            }
        }
        self.draw(&mut stream, rows);
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "normal" => Ok(Self::Normal),
            "data" => Ok(Self::Data),
            _ => Err(Error::Unknown { what: "source", word: word.into(), known: "normal, data" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn rows(first: usize, n: usize, d: usize) -> Tensor<f64> {
        let mut x = Tensor::zeros(n, d);
        Source::Normal.fill(&Rng::from_seed(4).fork(Purpose::Source), first, &mut x);
        x
    }

    #[test]
    fn a_row_depends_on_its_number_only() {
        for d in [1, 3] {
            let all = rows(0, 300, d);
            // Within one block, across its end, whole blocks, no rows, one row at each side of an end.
            for range in [0..64, 10..20, 60..70, 63..64, 64..65, 64..192, 100..300, 7..7, 128..128] {
                assert_eq!(rows(range.start, range.len(), d), all.slice_rows(range));
            }
        }
        assert_eq!(rows(5, 4, 0).rows(), 4);
    }

    #[test]
    fn threads_do_not_matter() {
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| rows(33, 1000, 2))
        };
        assert_eq!(of(1), of(2));
        assert_eq!(of(1), of(7));
    }

    #[test]
    fn blocks_draw_different_rows() {
        let x = rows(0, 256, 1);
        for i in 1..x.rows() {
            assert!((0..i).all(|k| x.row(k) != x.row(i)), "row {i} is drawn twice");
        }
    }

    #[test]
    fn words_go_both_ways() {
        for source in [Source::Normal, Source::Data] {
            assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
            assert_eq!(serde_json::to_string(&source).unwrap(), format!("\"{source}\""));
        }
        assert!(Source::Normal.check_drawn().is_ok() && Source::Normal.check_density().is_ok());
        assert!(Source::Data.check_drawn().is_err() && Source::Data.check_density().is_err());
        assert!("gaussian".parse::<Source>().is_err());
    }

    #[test]
    fn what_data_does_not_have_is_no_number() {
        let mut x = Tensor::<f64>::zeros(100, 3);
        Source::Data.fill(&Rng::from_seed(4).fork(Purpose::Source), 7, &mut x);
        assert!(x.as_slice().iter().all(|x| x.is_nan()));
        assert!(Source::Data.log_density(&[0.0_f64]).is_nan());
    }
}
