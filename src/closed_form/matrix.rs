//! Products and transposes of small matrices of f64: plain, for what is found once.

use crate::tensor::Tensor;

/// A B, [n, m], of A [n, k] and B [k, m].
pub(super) fn times(a: &Tensor<f64>, b: &Tensor<f64>) -> Tensor<f64> {
    let mut c = Tensor::zeros(a.rows(), b.cols());
    for i in 0..a.rows() {
        for (k, &a) in a.row(i).iter().enumerate() {
            for (c, b) in c.row_mut(i).iter_mut().zip(b.row(k)) {
                *c += a * b;
            }
        }
    }
    c
}

/// Aᵀ, [m, n], of A [n, m].
pub(super) fn transposed(a: &Tensor<f64>) -> Tensor<f64> {
    let mut b = Tensor::zeros(a.cols(), a.rows());
    for i in 0..a.rows() {
        for (j, &a) in a.row(i).iter().enumerate() {
            b.row_mut(j)[i] = a;
        }
    }
    b
}
