//! [`mean_and_covariance`]: the first two moments of a batch of rows.
//!
//! # Math
//! m = (1/B) sum_i x_i, S = (1/B) sum_i (x_i - m)(x_i - m)^T: the moments of the rows themselves, which are
//! also the Gaussian of highest likelihood. (An unbiased estimate has B - 1 in place of B.)
//!
//! # Limits
//! In two passes, so that an offset far larger than the spread costs no digits of S.

use crate::tensor::Tensor;

/// The mean, of length d, and the covariance, [d, d], of the rows of x, [B, d], divided by B; NaN without
/// rows. The covariance is symmetric to the last bit.
///
/// # Example
/// ```
/// use pushforward::{Tensor, closed_form::mean_and_covariance};
///
/// let (m, s) = mean_and_covariance(&Tensor::from_rows(&[[1.0, 4.0], [3.0, 0.0]]));
/// assert_eq!(m, [2.0, 2.0]);
/// assert_eq!(s, Tensor::from_rows(&[[1.0, -2.0], [-2.0, 4.0]]));
/// ```
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^53")]
pub fn mean_and_covariance(x: &Tensor<f64>) -> (Vec<f64>, Tensor<f64>) {
    let (n, d) = (x.rows() as f64, x.cols());
    let mut mean = vec![0.0; d];
    for i in 0..x.rows() {
        for j in 0..d {
            mean[j] += x.row(i)[j];
        }
    }
    for m in &mut mean {
        *m /= n;
    }
    let mut covariance = Tensor::zeros(d, d);
    let mut centred = vec![0.0; d];
    for i in 0..x.rows() {
        for j in 0..d {
            centred[j] = x.row(i)[j] - mean[j];
        }
        for j in 0..d {
            for k in 0..d {
                covariance.row_mut(j)[k] += centred[j] * centred[k];
            }
        }
    }
    for s in covariance.as_mut_slice() {
        *s /= n;
    }
    (mean, covariance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_costs_no_digits() {
        // The rows ±1 around 1e8: a single pass with squares of 1e16 would leave nothing of the variance.
        let x = Tensor::from_rows(&[[1e8 - 1.0], [1e8 + 1.0]]);
        let (m, s) = mean_and_covariance(&x);
        assert_eq!((m[0], s.row(0)[0]), (1e8, 1.0));
    }

    #[test]
    fn no_rows_have_no_moments() {
        let (m, _) = mean_and_covariance(&Tensor::zeros(0, 2));
        assert!(m.iter().all(|m| m.is_nan()));
    }
}
