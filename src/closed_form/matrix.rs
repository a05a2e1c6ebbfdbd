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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_transposes_are_those_of_a_hand() {
        let (a, b) = (
            Tensor::from_rows(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
            Tensor::from_rows(&[[7.0], [-1.0], [0.5]]),
        );
        assert_eq!(times(&a, &b), Tensor::from_rows(&[[6.5], [26.0]]));
        assert_eq!(transposed(&a), Tensor::from_rows(&[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]));
    }
}
