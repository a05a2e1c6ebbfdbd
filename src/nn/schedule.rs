//! [`LrSchedule`]: how the learning rate runs over a training.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The shape of the learning rate after its warm-up.
///
/// # Math
/// With s = n - warmup steps done since the warm-up, S = steps - warmup of them in all and p = s / S:
/// ```text
/// n < warmup   (n + 1) / (warmup + 1)
/// constant     1
/// cosine       (1 + cos(pi p)) / 2
/// linear       1 - p
/// tail         1 for p < 4/5, then 5 (1 - p)
/// ```
/// times the learning rate. The last step, n = steps - 1, still moves: p is below 1 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LrSchedule {
    /// The same rate throughout.
    Constant,
    /// Half a cosine, from the full rate to 0.
    #[default]
    Cosine,
    /// A straight line, from the full rate to 0.
    Linear,
    /// The full rate, and in the last fifth a straight line to 0: when it starts need not be known before.
    Tail,
}

impl LrSchedule {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Constant, Self::Cosine, Self::Linear, Self::Tail];

    /// The word: `constant`, `cosine`, `linear` or `tail`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Cosine => "cosine",
            Self::Linear => "linear",
            Self::Tail => "tail",
        }
    }

    /// The factor of the learning rate at step `n` (counted from 0) of `steps`, the first `warmup` of which
    /// raise it from nearly 0.
    ///
    /// # Example
    /// ```
    /// use pushforward::nn::LrSchedule;
    ///
    /// assert_eq!(LrSchedule::Linear.factor(50, 100, 0), 0.5);
    /// assert_eq!(LrSchedule::Constant.factor(0, 100, 9), 0.1);
    /// ```
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "step counts are far below 2^53")]
    pub fn factor(self, n: u64, steps: u64, warmup: u64) -> f64 {
        if n < warmup {
            return (n + 1) as f64 / (warmup + 1) as f64;
        }
        let p = (n - warmup) as f64 / steps.saturating_sub(warmup).max(1) as f64;
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * p).cos()),
            Self::Linear => 1.0 - p,
            Self::Tail => (5.0 * (1.0 - p)).min(1.0),
        }
    }

    /// The last step of a training whose validation has stalled after `n` steps: at once, but `tail` then begins to fall, as if
    /// the n steps had been the first four fifths from the beginning, and ends with the rest; nothing if it falls already.
    ///
    /// # Example
    /// ```
    /// use pushforward::nn::LrSchedule;
    ///
    /// assert_eq!(LrSchedule::Cosine.end_after_stall(400, 1000, 0), Some(400));
    /// assert_eq!(LrSchedule::Tail.end_after_stall(400, 1000, 0), Some(500));
    /// assert_eq!(LrSchedule::Tail.end_after_stall(900, 1000, 0), None);
    /// ```
    #[must_use]
    pub fn end_after_stall(self, n: u64, steps: u64, warmup: u64) -> Option<u64> {
        let end = n + n.saturating_sub(warmup).div_ceil(4);
        match self {
            Self::Tail => (end < steps).then_some(end),
            _ => Some(n),
        }
    }
}

impl fmt::Display for LrSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for LrSchedule {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word).ok_or_else(|| Error::Unknown {
            what: "learning-rate schedule",
            word: word.into(),
            known: "constant, cosine, linear, tail",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warmup_rises_and_the_end_is_nearly_zero() {
        for schedule in LrSchedule::ALL {
            assert_eq!(schedule.word().parse::<LrSchedule>().unwrap(), schedule);
            for n in 1..10 {
                assert!(schedule.factor(n, 100, 10) > schedule.factor(n - 1, 100, 10));
            }
            assert!((schedule.factor(10, 100, 10) - 1.0).abs() < f64::EPSILON, "full rate after the warm-up");
            assert!(schedule.factor(99, 100, 10) > 0.0, "the last step moves");
        }
        assert!(LrSchedule::Cosine.factor(99, 100, 10) < 1e-3);
        let tail = |n| LrSchedule::Tail.factor(n, 110, 10);
        assert!((tail(90) - 1.0).abs() < 1e-12 && (tail(100) - 0.5).abs() < 1e-12, "the last fifth");
        assert!((LrSchedule::Cosine.factor(55, 100, 10) - 0.5).abs() < 1e-12, "half way");
    }
}
