//! [`Memorisation`]: whether samples lie nearer to the training rows than fresh rows of the same law do.
//!
//! # Math
//! d(x) is the distance from x to the nearest training row. For samples s and fresh rows f of the data
//! closer = P(d(s) < d(f)) + P(d(s) = d(f))/2, over all pairs: 1/2 if samples lie as fresh rows do, 1 if every sample is nearer than
//! every fresh row. With n samples and m fresh rows of one law its standard deviation is sqrt((n + m + 1)/(12 n m)).
//!
//! # Shapes
//! samples [n, d], fresh [m, d], train [N, d].
//!
//! # Limits
//! A model whose samples keep to where the data are dense comes nearer to training rows without knowing any of them: then
//! `closer` is a little above 1/2 and the medians differ little. Fresh rows must be no training rows. The distance is
//! Euclidean: columns should be of one size. It takes (n + m) N d operations.
//!
//! # Source
//! H. Mann, D. Whitney, "On a test of whether one of two random variables is stochastically larger than the other", 1947 (the
//! share and its deviation).

use crate::error::Result;
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::pairs::{Columns, nearest};
use super::sets::{check, finite};

/// Standard deviations above 1/2 from which on `closer` is no accident.
const DEVIATIONS: f64 = 5.0;

/// The median distance of samples that are suspicious, as a share of that of fresh rows. Half of it: a law has to be
/// narrower by that much in every direction to come so near without copying.
const SUSPICIOUS: f64 = 0.5;

/// How near samples and fresh rows lie to the training rows.
///
/// # Example
/// ```
/// use pushforward::{Tensor, metrics::Memorisation};
///
/// let train = Tensor::from_rows(&[[0.0_f64], [10.0]]);
/// let (samples, fresh) = (Tensor::from_rows(&[[0.1], [9.9]]), Tensor::from_rows(&[[4.0], [5.0]]));
/// let found = Memorisation::measure(&samples, &fresh, &train)?;
/// assert_eq!((found.closer, found.median_fresh), (1.0, 4.0));
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memorisation {
    /// The median distance from a sample to the nearest training row.
    pub median_samples: f64,
    /// The same for a fresh row.
    pub median_fresh: f64,
    /// The share of pairs in which the sample is the nearer one.
    pub closer: f64,
    /// The standard deviation of that share for samples that lie as fresh rows do.
    pub deviation: f64,
}

impl Memorisation {
    /// Measures it.
    ///
    /// # Errors
    /// [`Error::Dimension`](crate::Error::Dimension) if the columns differ or a set is empty;
    /// [`Error::NotFinite`](crate::Error::NotFinite) if a number is NaN or infinite; [`Error::Setting`](crate::Error::Setting) if the
    /// squares overflow.
    #[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
    pub fn measure<R: Real>(samples: &Tensor<R>, fresh: &Tensor<R>, train: &Tensor<R>) -> Result<Self> {
        check(samples, train)?;
        check(fresh, train)?;
        let train = Columns::new(train);
        let (mut samples, mut fresh) = (nearest(samples, &train), nearest(fresh, &train));
        finite(samples.iter().chain(&fresh).sum())?;
        samples.sort_unstable_by(f64::total_cmp);
        fresh.sort_unstable_by(f64::total_cmp);
        let (n, m) = (samples.len() as f64, fresh.len() as f64);
        let nearer = |d: &f64| {
            let (below, up_to) = (fresh.partition_point(|f| f < d), fresh.partition_point(|f| f <= d));
            0.5 * ((fresh.len() - below) + (fresh.len() - up_to)) as f64
        };
        Ok(Self {
            median_samples: median(&samples),
            median_fresh: median(&fresh),
            closer: samples.iter().map(nearer).sum::<f64>() / (n * m),
            deviation: ((n + m + 1.0) / (12.0 * n * m)).sqrt(),
        })
    }

    /// Whether samples lie so near to training rows that they are copies or nearly so: `closer` is more than five deviations
    /// above 1/2, and the median distance is at most half of that of fresh rows.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.closer > 0.5 + DEVIATIONS * self.deviation
            && self.median_samples <= SUSPICIOUS * self.median_fresh
    }
}

/// The middle of sorted numbers, of which there is at least one; of an even number the lower one of two.
fn median(sorted: &[f64]) -> f64 {
    sorted[(sorted.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;
    use crate::error::Error;

    #[test]
    fn copies_are_found_and_fresh_rows_are_not() {
        let (train, fresh) = (normals(500, 2, 1.0, 1), normals(400, 2, 1.0, 2));
        let measure = |samples: &Tensor<f64>| Memorisation::measure(samples, &fresh, &train).unwrap();
        let other = measure(&normals(300, 2, 1.0, 3));
        assert!((other.closer - 0.5).abs() < 5.0 * other.deviation && !other.is_suspicious(), "{other:?}");
        let copies = measure(&train.slice_rows(100..300));
        assert!((copies.closer - 1.0).abs() < 1e-12 && copies.median_samples < 1e-12, "{copies:?}");
        assert!(copies.is_suspicious());
        // Nearly copies: off by a twentieth of what fresh rows are.
        let mut near = train.slice_rows(0..300);
        let shift = other.median_fresh / 20.0;
        near.as_mut_slice().iter_mut().for_each(|x| *x += shift);
        assert!(measure(&near).is_suspicious());
        // A law that is narrower by a third keeps to the middle, which is no copying.
        assert!(!measure(&normals(300, 2, 2.0 / 3.0, 4)).is_suspicious());
        // One that is wider is farther away.
        assert!(measure(&normals(300, 2, 2.0, 5)).closer < 0.5);
    }

    #[test]
    fn the_share_is_that_of_all_pairs() {
        let train = Tensor::from_rows(&[[0.0_f64]]);
        let (s, f) = ([1.0, 2.0, 2.0, 5.0, 9.0], [2.0, 0.5, 7.0, 9.0]);
        let set = |x: &[f64]| Tensor::from_vec(x.to_vec(), x.len(), 1).unwrap();
        let found = Memorisation::measure(&set(&s), &set(&f), &train).unwrap();
        let mut twin = 0.0;
        for s in s {
            for f in f {
                twin += if s < f {
                    1.0
                } else if s > f {
                    0.0
                } else {
                    0.5
                };
            }
        }
        assert!((found.closer - twin / 20.0).abs() < 1e-15, "{found:?}");
        assert!((found.median_samples - 2.0).abs() < 1e-15 && (found.median_fresh - 2.0).abs() < 1e-15);
        assert!((found.deviation - (10.0_f64 / 240.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn bad_input_is_named() {
        let x = normals(4, 2, 1.0, 1);
        assert!(matches!(
            Memorisation::measure(&x, &x, &normals(4, 3, 1.0, 2)),
            Err(Error::Dimension { .. })
        ));
        assert!(matches!(Memorisation::measure(&x, &Tensor::zeros(0, 2), &x), Err(Error::Dimension { .. })));
        let huge = normals(4, 2, 1e200, 3);
        assert!(matches!(Memorisation::measure(&huge, &x, &x), Err(Error::Setting { .. })));
    }
}
