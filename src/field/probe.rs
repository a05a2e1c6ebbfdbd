//! [`Probes`]: random directions along which a divergence is estimated.
//!
//! # Math
//! A probe e has E[e] = 0 and E[e eᵀ] = I, so that E[eᵀ A e] = tr A for every matrix A (E22). With S = (A + Aᵀ)/2 the
//! variance of one eᵀ A e is
//! ```text
//! rademacher, each number +1 or -1:    2 sum over i != j of S_ij²      (what is on the diagonal adds nothing)
//! gaussian, N(0, I):                   2 sum over all i, j of S_ij²
//! ```
//! so that the first law is never worse.
//!
//! # Shapes
//! K probes of a row are K rows of length d. They depend on the streams and on the number of the row in its table only;
//! the first ones of K + 1 probes are those of K.
//!
//! # Source
//! M. Hutchinson, "A stochastic estimator of the trace of the influence matrix", Commun. Stat. Simul. Comput. 18 (1989),
//! for +1 and -1; H. Avron, S. Toledo, "Randomized algorithms for estimating the trace of an implicit symmetric positive
//! semi-definite matrix", J. ACM 58 (2011), for both variances.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::rng::{Stream, Streams};

/// The distribution of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ProbeLaw {
    /// Each number is +1 or -1.
    #[default]
    Rademacher,
    /// N(0, I).
    Gaussian,
}

/// K probes for each row of a table.
///
/// # Example
/// ```
/// use pushforward::field::{ProbeLaw, Probes};
/// use pushforward::{Rng, rng::Purpose};
///
/// let streams = Rng::from_seed(0).fork(Purpose::Probe);
/// let probes = Probes { streams, first_row: 0, count: 2, law: ProbeLaw::Rademacher };
/// let mut e = [0.0; 6]; // two probes of length 3
/// probes.fill(7, 3, &mut e);
/// assert!(e.iter().all(|e| [-1.0, 1.0].contains(e)));
/// let mut again = [0.0; 3];
/// Probes { first_row: 5, count: 1, ..probes }.fill(2, 3, &mut again);
/// assert_eq!(e[..3], again); // row 7 of the table
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probes {
    /// Where they are drawn from: one stream for each row.
    pub streams: Streams,
    /// The number of row 0 of a batch in its table.
    pub first_row: usize,
    /// K.
    pub count: usize,
    /// Their distribution.
    pub law: ProbeLaw,
}

impl Probes {
    /// Writes the probes of row `row` of the batch, [K, d], one after the other.
    pub fn fill<R: Real>(&self, row: usize, d: usize, e: &mut [R]) {
        let mut stream = self.streams.stream(self.first_row.wrapping_add(row) as u64);
        if d > 0 {
            e.chunks_mut(d).for_each(|probe| self.law.fill(&mut stream, probe));
        }
    }
}

impl ProbeLaw {
    /// The word: `rademacher` or `gaussian`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rademacher => "rademacher",
            Self::Gaussian => "gaussian",
        }
    }

    /// Draws one probe.
    fn fill<R: Real>(self, stream: &mut Stream, probe: &mut [R]) {
        match self {
            Self::Rademacher => {
                for part in probe.chunks_mut(64) {
                    let mut bits = stream.bits();
                    for e in part {
                        *e = if bits & 1 == 1 { R::ONE } else { -R::ONE };
                        bits >>= 1;
                    }
                }
            }
            Self::Gaussian => probe.iter_mut().for_each(|e| *e = R::from_f64(stream.normal())),
        }
    }
}

impl fmt::Display for ProbeLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for ProbeLaw {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "rademacher" => Ok(Self::Rademacher),
            "gaussian" => Ok(Self::Gaussian),
            _ => Err(Error::Unknown {
                what: "law of the probes",
                word: word.into(),
                known: "rademacher, gaussian",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn probes(count: usize, law: ProbeLaw) -> Probes {
        Probes { streams: Rng::from_seed(3).fork(Purpose::Probe), first_row: 0, count, law }
    }

    #[test]
    fn probes_have_mean_0_and_covariance_1() {
        const ROWS: u32 = 40_000;
        const D: usize = 3;
        // Five standard errors: e_i and e_i e_j have the variance 1, e_i² has 2 (gaussian) or 0.
        let bound = 5.0 / f64::from(ROWS).sqrt();
        for law in [ProbeLaw::Rademacher, ProbeLaw::Gaussian] {
            let probes = probes(2, law);
            let (mut mean, mut products) = ([0.0; 2 * D], [[0.0; 2 * D]; 2 * D]);
            for row in 0..ROWS {
                let mut e = [0.0; 2 * D];
                probes.fill(row as usize, D, &mut e);
                for i in 0..2 * D {
                    mean[i] += e[i] / f64::from(ROWS);
                    (0..2 * D).for_each(|j| products[i][j] += e[i] * e[j] / f64::from(ROWS));
                }
            }
            for i in 0..2 * D {
                assert!(mean[i].abs() < bound, "{law} {mean:?}");
                for j in 0..2 * D {
                    let (wanted, spread) = match (i == j, law) {
                        (false, _) => (0.0, 1.0),
                        (true, ProbeLaw::Rademacher) => (1.0, 1e-9),
                        (true, ProbeLaw::Gaussian) => (1.0, 2.0_f64.sqrt()),
                    };
                    assert!((products[i][j] - wanted).abs() < spread * bound, "{law} {i} {j} {products:?}");
                }
            }
        }
    }

    #[test]
    fn more_probes_or_rows_change_none_of_the_others() {
        // More than 64 numbers, so that one probe takes two draws of bits.
        const D: usize = 70;
        for law in [ProbeLaw::Rademacher, ProbeLaw::Gaussian] {
            let (mut few, mut many) = ([0.0_f32; 2 * D], [0.0_f32; 5 * D]);
            probes(2, law).fill(9, D, &mut few);
            probes(5, law).fill(9, D, &mut many);
            assert_eq!(many[..2 * D], few);
            Probes { first_row: 4, ..probes(5, law) }.fill(5, D, &mut many);
            assert_eq!(many[..2 * D], few);
            assert_ne!(many[..D], many[D..2 * D]);
            probes(2, law).fill(10, D, &mut many[..2 * D]);
            assert_ne!(many[..2 * D], few);
            assert_eq!(law.word().parse::<ProbeLaw>().unwrap(), law);
        }
        assert!("uniform".parse::<ProbeLaw>().unwrap_err().to_string().contains("rademacher, gaussian"));
    }
}
