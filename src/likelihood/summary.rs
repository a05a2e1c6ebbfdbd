//! [`Summary`]: log-densities in a few numbers.

use std::f64::consts::LN_2;

/// Mean and standard error of log-densities that are found part by part: no score need be kept.
///
/// # Example
/// ```
/// use pushforward::likelihood::Summary;
///
/// let mut summary = Summary::default();
/// summary.add(&[-1.0, -2.0]);
/// summary.add(&[-6.0]);
/// assert_eq!((summary.rows(), summary.mean()), (3, -3.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Rows of a finite log-density, their mean m and the sum of (log p - m)².
    finite: usize,
    mean: f64,
    squares: f64,
    off_support: usize,
}

impl Summary {
    /// Adds the log-densities of more rows, in nats.
    #[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^53")]
    pub fn add(&mut self, log_density: &[f64]) {
        let finite = || log_density.iter().filter(|l| !l.is_infinite());
        let added = finite().count();
        self.off_support += log_density.len() - added;
        if added == 0 {
            return;
        }
        let mean = finite().sum::<f64>() / added as f64;
        let squares: f64 = finite().map(|l| (l - mean) * (l - mean)).sum();
        if self.finite == 0 {
            *self = Self { finite: added, mean, squares, off_support: self.off_support };
            return;
        }
        // Chan, Golub and LeVeque 1979: the distance of the two means is what both sums did not see.
        let (n, distance) = ((self.finite + added) as f64, mean - self.mean);
        self.mean += distance * (added as f64 / n);
        self.squares += squares + distance * distance * (self.finite as f64 * (added as f64 / n));
        self.finite += added;
    }

    /// How many rows there were.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.finite + self.off_support
    }

    /// How many of them have the density 0.
    #[must_use]
    pub fn off_support(&self) -> usize {
        self.off_support
    }

    /// The mean log-density, in nats: minus infinity if a row has the density 0, NaN without rows.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match (self.off_support, self.finite) {
            (0, 0) => f64::NAN,
            (0, _) => self.mean,
            _ => f64::NEG_INFINITY,
        }
    }

    /// The standard error of [`Summary::mean`], in nats: s / sqrt(n) with s² = sum (log p - mean)² / (n - 1);
    /// NaN for fewer than two rows, or if a row has the density 0.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^53")]
    pub fn standard_error(&self) -> f64 {
        if self.off_support > 0 {
            return f64::NAN;
        }
        let n = self.finite as f64;
        (self.squares / (n - 1.0) / n).sqrt()
    }

    /// The mean in bits per dimension, -mean / (d ln 2), for rows of dimension d.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    pub fn bits_per_dim(&self, d: usize) -> f64 {
        -self.mean() / (d as f64 * LN_2)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scores;
    use super::*;
    use crate::ode::Stats;

    #[test]
    fn parts_sum_up_to_the_whole() {
        // Far from 0, where a sum of squares would keep no digit; roundings of 300 additions.
        const BOUND: f64 = 1e-13;
        let all: Vec<f64> = (0..301).map(|i| -1e6 + (f64::from(i) * 0.7).sin() + f64::from(i)).collect();
        let whole =
            Scores { log_density: all.clone(), standard_error: None, rows: vec![], stats: Stats::default() };
        for part in [1, 2, 100, 300, 301] {
            let mut summary = Summary::default();
            all.chunks(part).for_each(|part| summary.add(part));
            assert_eq!(summary.rows(), 301);
            assert!((summary.mean() / whole.mean() - 1.0).abs() < BOUND, "{part} {summary:?}");
            let error = summary.standard_error() / whole.standard_error() - 1.0;
            assert!(error.abs() < 1e6 * BOUND, "{part} {error}");
        }
    }

    #[test]
    fn rows_off_the_support_are_counted_and_show() {
        let mut summary = Summary::default();
        assert!(summary.mean().is_nan() && summary.standard_error().is_nan());
        summary.add(&[f64::NEG_INFINITY]);
        summary.add(&[]);
        summary.add(&[-1.0, f64::NEG_INFINITY, -2.0]);
        assert_eq!((summary.rows(), summary.off_support(), summary.mean()), (4, 2, f64::NEG_INFINITY));
        assert!(summary.standard_error().is_nan());
        summary = Summary::default();
        summary.add(&[-1.0]);
        assert!(summary.standard_error().is_nan());
    }
}
