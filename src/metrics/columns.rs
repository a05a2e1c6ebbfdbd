//! [`ColumnDistance`]: how far apart the same column of two sets of samples is, exactly.
//!
//! # Math
//! With F and G the distribution functions of the two columns:
//! ```text
//! w1   W1  = ∫ |F^-1(z) - G^-1(z)| dz                over z in (0, 1)
//! w2   W2  = (∫ (F^-1(z) - G^-1(z))² dz)^(1/2)
//! ks   sup |F(x) - G(x)|                             Kolmogorov and Smirnov
//! ```
//! All are step functions: each is a finite sum or maximum over the sorted values, whatever the two sizes are.
//!
//! # Shapes
//! a [n, d], b [m, d]; one distance for each of the d columns.
//!
//! # Limits
//! W1 and W2 are in the unit of the column; ks is a probability. They know nothing of how columns depend on each other. Two draws
//! of n and m rows of one continuous law have a ks above 1.36 sqrt((n + m)/(n m)) once in twenty times.
//!
//! # Source
//! G. Peyré, M. Cuturi, "Computational Optimal Transport", 2019, section 2.6 (one dimension).

use rayon::prelude::*;

use crate::error::Result;
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::sets::{check, finite};
use super::wasserstein::quantile_mean;

/// The distances between two samples of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnDistance {
    /// W1, in the unit of the column.
    pub w1: f64,
    /// W2, in the unit of the column.
    pub w2: f64,
    /// The largest difference between the distribution functions, from 0 to 1.
    pub ks: f64,
}

/// Computes the distances of each column of `a` [n, d] from that of `b` [m, d]: d of them.
///
/// # Errors
/// [`Error::Dimension`](crate::Error::Dimension) if the columns differ or one side is empty;
/// [`Error::NotFinite`](crate::Error::NotFinite) if a number is NaN or infinite; [`Error::Setting`](crate::Error::Setting) if the
/// squares overflow.
///
/// # Example
/// ```
/// use pushforward::{Tensor, metrics::column_distances};
///
/// let a = Tensor::from_rows(&[[0.0_f64, 5.0], [1.0, 5.0]]);
/// let b = Tensor::from_rows(&[[3.0_f64, 5.0], [2.0, 5.0]]);
/// let found = column_distances(&a, &b)?;
/// assert_eq!((found[0].w1, found[0].w2, found[0].ks), (2.0, 2.0, 1.0));
/// assert_eq!((found[1].w1, found[1].w2, found[1].ks), (0.0, 0.0, 0.0));
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn column_distances<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> Result<Vec<ColumnDistance>> {
    check(a, b)?;
    let found: Vec<Result<ColumnDistance>> = (0..a.cols())
        .into_par_iter()
        .map(|j| {
            let (a, b) = (sorted(a, j), sorted(b, j));
            let w2 = finite(quantile_mean(&a, &b, |x| x * x))?.sqrt();
            Ok(ColumnDistance { w1: quantile_mean(&a, &b, f64::abs), w2, ks: kolmogorov_smirnov(&a, &b) })
        })
        .collect();
    found.into_iter().collect()
}

/// The values of a column, sorted.
fn sorted<R: Real>(x: &Tensor<R>, column: usize) -> Vec<f64> {
    let mut values: Vec<f64> = (0..x.rows()).map(|i| x.row(i)[column].to_f64()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// sup |F - G| of two sorted sets of numbers: looked at behind each value, where all that are equal to it are counted.
#[allow(clippy::cast_precision_loss, reason = "counts, as shares")]
fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (a.len(), b.len());
    let (mut i, mut j, mut most) = (0, 0, 0_usize);
    while i < n && j < m {
        let x = a[i].min(b[j]);
        i += a[i..].iter().take_while(|&&a| a <= x).count();
        j += b[j..].iter().take_while(|&&b| b <= x).count();
        most = most.max((i * m).abs_diff(j * n)); // in units of 1 / (n m)
    }
    most as f64 / (n as f64 * m as f64)
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;
    use crate::error::Error;
    use proptest::{prop_assert, proptest};

    #[test]
    fn gaussians_come_to_their_closed_form() {
        // N(0, 1) and N(1, 1): W1 = W2 = 1, ks = 2 Phi(1/2) - 1. Means of 20,000 rows: five of sqrt(2/n) = 0.01; a share: 0.005.
        let (a, mut b) = (normals(20_000, 1, 1.0, 1), normals(20_000, 1, 1.0, 2));
        b.as_mut_slice().iter_mut().for_each(|x| *x += 1.0);
        let found = column_distances(&a, &b).unwrap()[0];
        assert!((found.w1 - 1.0).abs() < 0.05 && (found.w2 - 1.0).abs() < 0.05, "{found:?}");
        assert!((found.ks - 0.382_925).abs() < 0.025, "{found:?}");
        // Of N(0, 1) and N(0, 4): W2 = 1, W1 = E|z| = sqrt(2/pi).
        let found = column_distances(&a, &normals(20_000, 1, 2.0, 3)).unwrap()[0];
        assert!((found.w1 - 0.797_885).abs() < 0.05 && (found.w2 - 1.0).abs() < 0.05, "{found:?}");
    }

    proptest! {
        #[test]
        fn they_are_what_counting_gives(
            a in proptest::collection::vec(-3_i32..3, 1..12), b in proptest::collection::vec(-3_i32..3, 1..12),
        ) {
            // Few whole numbers: many ties.
            let set = |x: &[i32]| Tensor::from_vec(x.iter().map(|&x| f64::from(x)).collect(), x.len(), 1).unwrap();
            let found = column_distances(&set(&a), &set(&b)).unwrap()[0];
            let share = |x: &[i32], most: i32| {
                x.iter().filter(|&&x| x <= most).count() as f64 / x.len() as f64
            };
            let gaps: Vec<f64> = (-4..4).map(|x| (share(&a, x) - share(&b, x)).abs()).collect();
            prop_assert!((found.ks - gaps.iter().copied().fold(0.0, f64::max)).abs() < 1e-12);
            // W1 = ∫ |F - G| dx, here over steps of length 1.
            prop_assert!((found.w1 - gaps.iter().sum::<f64>()).abs() < 1e-12);
            prop_assert!(found.w2 >= found.w1 - 1e-12);
        }
    }

    #[test]
    fn each_column_is_its_own() {
        let (a, b) = (normals(200, 3, 1.0, 4), normals(150, 3, 2.0, 5));
        let all = column_distances(&a, &b).unwrap();
        let column = |x: &Tensor<f64>, j: usize| {
            Tensor::from_vec((0..x.rows()).map(|i| x.row(i)[j]).collect(), x.rows(), 1).unwrap()
        };
        for (j, found) in all.iter().enumerate() {
            assert_eq!(column_distances(&column(&a, j), &column(&b, j)).unwrap(), [*found]);
        }
        assert!(matches!(column_distances(&a, &Tensor::zeros(2, 2)), Err(Error::Dimension { .. })));
        let huge = normals(5, 3, 1e200, 7);
        assert!(matches!(column_distances(&a, &huge), Err(Error::Setting { .. })));
    }
}
