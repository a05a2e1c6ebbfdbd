//! [`TimeSampling`]: at which times the rows of a batch are looked at.
//!
//! # Math
//! The loss is a mean over t uniform in [0, 1) (E11). A batch of B rows estimates it by the mean of g_i |v - u|²(t_i), without bias
//! in each of these ways:
//! ```text
//! uniform        t_i uniform                                                   g = 1
//! stratified     t_2k = (k + U_k) / B, t_2k+1 = 1 - t_2k, U_k uniform          g = 1
//! logit-normal   t_i of density f = 1/2 + n(ln t/(1-t)) / (2 t (1-t))          g = 1 / f
//! ```
//! with n the density of N(0, 1). Stratified times fall once into each of the B intervals [i/B, (i+1)/B), in antithetic pairs, so
//! that no part of the way is missed by chance; a middle row of an odd batch stands alone. The rows of data are drawn
//! without looking at the row's number, so that it does not matter that row i has an interval of its own.
//!
//! The times of `logit-normal` are dense in the middle. Half of them are uniform: of logistic normal times alone the weight
//! 1 / f has no finite variance (the mean of its square is the integral of t (1 - t) / n, and 1 / n grows faster than the rest falls), of
//! the mixture it is at most 2.
//!
//! Measured (`examples/time_sampling.rs`: batches of 512, 3 -> 64 x 3 -> 2, standardised toys; standard deviation of a batch's loss beside
//! its mean, and of its gradient, sqrt(tr Cov g); at a network that was trained for 3000 steps):
//! ```text
//!                          uniform          stratified       logit-normal
//! checkerboard   none      0.0428  0.767    0.0425  0.766    0.0423  0.828
//!                target    0.0534  0.344    0.0408  0.342    0.0603  0.404
//!                noise     0.0672  0.382    0.0595  0.380    0.0773  0.457
//! 8gaussians     none      0.0453  0.952    0.0434  0.954    0.0426  1.028
//!                target    0.0468  0.388    0.0317  0.392    0.0505  0.460
//!                noise     0.0758  0.495    0.0652  0.491    0.0834  0.595
//! ```
//! (`none`, `target` and `noise` are weights, [`TimeWeight`](super::TimeWeight).) Strata smooth the curve of a loss that is weighted; the
//! gradient, which is what training is made of, has its noise from the rows and not from the times, and gains at most 1 %.
//! Logistic normal times cost 5 to 20 % of it. So `uniform` is the default.
//!
//! # Limits
//! A time is below 1, where some schedulers are singular.
//!
//! # Source
//! Esser et al. 2024, arXiv:2403.03206 (logistic normal times, there without their weight: another objective); Owen and Zhou 2000,
//! "Safe and effective importance sampling" (the mixture).

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::rng::Stream;

/// The last number before 1.
const LAST: f64 = 1.0_f64.next_down();

/// How the times of a batch are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TimeSampling {
    /// Each by itself.
    #[default]
    Uniform,
    /// One in each of as many intervals as there are rows.
    Stratified,
    /// Half of them in the middle, with a weight that leaves the objective as it is.
    LogitNormal,
}

/// Rows `first` to `first + rows - 1` of a batch of `batch` rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The first of them: even, unless they are all, as pairs of rows are not parted.
    pub first: usize,
    /// How many.
    pub rows: usize,
    /// The rows of the batch.
    pub batch: usize,
}

impl TimeSampling {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Uniform, Self::Stratified, Self::LogitNormal];

    /// The word: `uniform`, `stratified` or `logit-normal`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Stratified => "stratified",
            Self::LogitNormal => "logit-normal",
        }
    }

    /// The times of a share of a batch, one after the other.
    pub(super) fn times(self, share: Share) -> Times {
        Times { sampling: self, row: share.first, batch: share.batch, u: 0.0 }
    }
}

/// The times of rows that follow one another.
pub(super) struct Times {
    sampling: TimeSampling,
    row: usize,
    batch: usize,
    /// U of the last even row.
    u: f64,
}

impl Times {
    /// The next time, and what its error counts for.
    #[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    pub(super) fn next(&mut self, stream: &mut Stream) -> (f64, f64) {
        let (row, batch) = (self.row, self.batch as f64);
        self.row += 1;
        let t = match self.sampling {
            TimeSampling::Uniform => stream.uniform(),
            TimeSampling::Stratified if row.is_multiple_of(2) => {
                self.u = stream.uniform();
                ((row / 2) as f64 + self.u) / batch
            }
            // U is a multiple of 2^-53 from 0 to below 1, and so is its mirror.
            TimeSampling::Stratified => ((self.batch - 1 - row / 2) as f64 + (LAST - self.u)) / batch,
            TimeSampling::LogitNormal if stream.uniform() < 0.5 => stream.uniform(),
            TimeSampling::LogitNormal => 1.0 / (1.0 + (-stream.normal()).exp()),
        }
        .min(LAST);
        (t, if self.sampling == TimeSampling::LogitNormal { 1.0 / mixture_density(t) } else { 1.0 })
    }
}

/// f: head of this file.
fn mixture_density(t: f64) -> f64 {
    let z = (t / (1.0 - t)).ln();
    let normal = (-0.5 * z * z).exp() / TAU.sqrt();
    // At the ends the normal density falls faster than t (1 - t).
    let logistic = if normal > 0.0 { normal / (t * (1.0 - t)) } else { 0.0 };
    0.5 + 0.5 * logistic
}

impl fmt::Display for TimeSampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for TimeSampling {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word).ok_or_else(|| Error::Unknown {
            what: "sampling of times",
            word: word.into(),
            known: "uniform, stratified, logit-normal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn draw(sampling: TimeSampling, batch: usize, seed: u64) -> Vec<(f64, f64)> {
        let mut stream = Rng::from_seed(seed).fork(Purpose::Batch).stream(0);
        let mut times = sampling.times(Share { first: 0, rows: batch, batch });
        (0..batch).map(|_| times.next(&mut stream)).collect()
    }

    #[test]
    fn words_go_both_ways() {
        for sampling in TimeSampling::ALL {
            assert_eq!(sampling.to_string().parse::<TimeSampling>().unwrap(), sampling);
            assert_eq!(serde_json::to_string(&sampling).unwrap(), format!("\"{sampling}\""));
        }
        assert!("beta".parse::<TimeSampling>().is_err());
    }

    #[test]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of intervals")]
    fn each_interval_has_one_time() {
        for batch in [1, 2, 7, 64, 513] {
            let mut times: Vec<f64> =
                draw(TimeSampling::Stratified, batch, 3).into_iter().map(|(t, _)| t).collect();
            for pair in times.chunks_exact(2) {
                assert!((pair[0] + pair[1] - 1.0).abs() < 1e-15, "antithetic");
            }
            times.sort_unstable_by(f64::total_cmp);
            for (i, t) in times.iter().enumerate() {
                assert_eq!((t * batch as f64) as usize, i, "batch {batch}, t = {t}");
            }
        }
    }

    #[test]
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    fn no_way_changes_a_mean_over_time() {
        // The means of g, g t and g t² must be 1, 1/2 and 1/3.
        for sampling in TimeSampling::ALL {
            let all: Vec<(f64, f64)> = (0..200).flat_map(|seed| draw(sampling, 999, seed)).collect();
            for power in 0..3 {
                let terms: Vec<f64> = all.iter().map(|(t, g)| g * t.powi(power)).collect();
                let n = terms.len() as f64;
                let mean = terms.iter().sum::<f64>() / n;
                let error = (terms.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * n)).sqrt();
                let off = (mean - 1.0 / f64::from(power + 1)).abs();
                assert!(off <= 4.0 * error + 1e-12, "{sampling}, t^{power}: {mean} +- {error}");
            }
        }
    }

    #[test]
    fn times_are_below_one_and_weights_at_most_two() {
        for sampling in TimeSampling::ALL {
            for (t, g) in (0..100).flat_map(|seed| draw(sampling, 100, seed)) {
                assert!((0.0..1.0).contains(&t) && g > 0.0 && g <= 2.0, "{sampling}: {t}, {g}");
            }
        }
        for t in [0.0, 1e-300, 0.5, LAST] {
            assert!(mixture_density(t) >= 0.5 && mixture_density(t).is_finite(), "{t}");
        }
    }
}
