//! [`Eigen`]: eigenvalues and eigenvectors of a symmetric matrix.
//!
//! # Math
//! A = V diag(l) V^T with V orthogonal. Jacobi's method: a rotation in the plane of two axes p, q makes
//! a_pq zero; one after the other they make A diagonal, and their product is V.
//!
//! ```text
//! repeat until no off-diagonal number counts:
//!     for each pair p < q:
//!         t = tan of the smaller angle that makes a_pq zero, c = cos, s = sin
//!         A = J^T A J,  V = V J        with J the rotation by that angle in the plane (p, q)
//! ```
//!
//! # Limits
//! O(d³) for each sweep over all pairs, about ten sweeps: for d up to some hundred.
//!
//! # Source
//! G. Golub, C. Van Loan, "Matrix Computations", section "Jacobi Methods" of the chapter on the symmetric
//! eigenvalue problem.

use crate::tensor::Tensor;

/// An off-diagonal number that is smaller than this share of the largest number of A does not count.
const NEGLIGIBLE: f64 = f64::EPSILON / 16.0;

/// Sweeps after which it stops in any case; convergence is quadratic and takes about ten.
const SWEEPS: usize = 60;

/// The eigenvalues and eigenvectors of a symmetric matrix, in no particular order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Eigen {
    /// l, length d.
    pub(super) values: Vec<f64>,
    /// V, [d, d]: column k belongs to value k.
    pub(super) vectors: Tensor<f64>,
}

impl Eigen {
    /// Decomposes A, [d, d], symmetric and finite; only A is read, both halves of it.
    pub(super) fn of(a: &Tensor<f64>) -> Self {
        let d = a.rows();
        let (mut a, mut v) = (a.clone(), Tensor::zeros(d, d));
        for k in 0..d {
            v.row_mut(k)[k] = 1.0;
        }
        let scale = a.as_slice().iter().fold(0.0, |largest: f64, a| largest.max(a.abs()));
        for _ in 0..SWEEPS {
            let mut off_diagonal: f64 = 0.0;
            for p in 0..d {
                for q in p + 1..d {
                    off_diagonal = off_diagonal.max(a.row(p)[q].abs());
                    rotate(&mut a, &mut v, p, q);
                }
            }
            if off_diagonal <= NEGLIGIBLE * scale {
                break;
            }
        }
        Self { values: (0..d).map(|k| a.row(k)[k]).collect(), vectors: v }
    }

    /// V diag(f(l)) V^T, [d, d]: the function f of the matrix.
    pub(super) fn function(&self, f: impl Fn(f64) -> f64) -> Tensor<f64> {
        let (d, v) = (self.values.len(), &self.vectors);
        let values: Vec<f64> = self.values.iter().map(|&l| f(l)).collect();
        let mut out = Tensor::zeros(d, d);
        for i in 0..d {
            for j in 0..d {
                out.row_mut(i)[j] = (0..d).map(|k| v.row(i)[k] * values[k] * v.row(j)[k]).sum();
            }
        }
        out
    }
}

/// Makes a_pq zero: A = J^T A J, V = V J.
fn rotate(a: &mut Tensor<f64>, v: &mut Tensor<f64>, p: usize, q: usize) {
    let a_pq = a.row(p)[q];
    if a_pq == 0.0 {
        return;
    }
    // cot of twice the angle; t is the root of t² + 2 cot t - 1 = 0 that is smaller in size.
    let cot = (a.row(q)[q] - a.row(p)[p]) / (2.0 * a_pq);
    let t = cot.signum() / (cot.abs() + cot.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = c * t;
    let d = a.rows();
    for i in 0..d {
        turn(a.row_mut(i), p, q, c, s); // A J
        turn(v.row_mut(i), p, q, c, s); // V J
    }
    for j in 0..d {
        let (x, y) = (a.row(p)[j], a.row(q)[j]); // J^T A
        a.row_mut(p)[j] = c * x - s * y;
        a.row_mut(q)[j] = s * x + c * y;
    }
    a.row_mut(p)[q] = 0.0; // what rounding has left of it
    a.row_mut(q)[p] = 0.0;
}

/// Columns p and q of one row times the rotation.
fn turn(row: &mut [f64], p: usize, q: usize, c: f64, s: f64) {
    let (x, y) = (row[p], row[q]);
    row[p] = c * x - s * y;
    row[q] = s * x + c * y;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    /// Some d rotations with rounding errors of 1e-16 each; the matrices have numbers of size 1.
    const BOUND: f64 = 1e-12;

    fn random_symmetric(d: usize, seed: u64) -> Tensor<f64> {
        let mut stream = Rng::from_seed(seed).fork(Purpose::Metric).stream(0);
        let mut a = Tensor::zeros(d, d);
        for i in 0..d {
            for j in 0..=i {
                let x = stream.normal();
                a.row_mut(i)[j] = x;
                a.row_mut(j)[i] = x;
            }
        }
        a
    }

    fn largest_difference(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
        a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn random_matrices_are_put_together_again() {
        for d in [1, 2, 3, 5, 8, 17, 30] {
            let a = random_symmetric(d, d as u64);
            let eigen = Eigen::of(&a);
            let v = &eigen.vectors;
            assert!(largest_difference(&eigen.function(|l| l), &a) < BOUND, "d = {d}");
            let ones = Eigen { values: vec![1.0; d], vectors: v.clone() }.function(|l| l); // V V^T
            for i in 0..d {
                for j in 0..d {
                    let v_t_v: f64 = (0..d).map(|k| v.row(k)[i] * v.row(k)[j]).sum();
                    let unit = if i == j { 1.0 } else { 0.0 };
                    assert!((v_t_v - unit).abs() < BOUND && (ones.row(i)[j] - unit).abs() < BOUND);
                }
            }
        }
    }

    #[test]
    fn known_matrices() {
        // [[2, 1], [1, 2]]: 3 along (1, 1), 1 along (1, -1).
        let eigen = Eigen::of(&Tensor::from_rows(&[[2.0, 1.0], [1.0, 2.0]]));
        for (k, &value) in eigen.values.iter().enumerate() {
            let (x, y) = (eigen.vectors.row(0)[k], eigen.vectors.row(1)[k]);
            let wanted = if x * y > 0.0 { 3.0 } else { 1.0 };
            assert!((value - wanted).abs() < 1e-15 && (x.abs() - y.abs()).abs() < 1e-15);
        }
        // Equal eigenvalues, a matrix that is diagonal already, and 0.
        for diagonal in [[1.0, 1.0, 1.0], [3.0, -2.0, 0.5], [0.0; 3]] {
            let mut a = Tensor::zeros(3, 3);
            for k in 0..3 {
                a.row_mut(k)[k] = diagonal[k];
            }
            assert_eq!(Eigen::of(&a).values, diagonal);
        }
        // A rank of 1 in d = 3: eigenvalues |v|² = 14, 0, 0.
        let mut values =
            Eigen::of(&Tensor::from_rows(&[[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]])).values;
        values.sort_by(f64::total_cmp);
        assert!(values[0].abs() < BOUND && values[1].abs() < BOUND && (values[2] - 14.0).abs() < BOUND);
    }

    #[test]
    fn scale_does_not_matter() {
        // Squares of these numbers are not f64 numbers any more; the eigenvalues are 3 and 1 times the scale.
        for scale in [1e200, 1e-200] {
            let eigen = Eigen::of(&Tensor::from_rows(&[[2.0 * scale, scale], [scale, 2.0 * scale]]));
            let mut values: Vec<f64> = eigen.values.iter().map(|l| l / scale).collect();
            values.sort_by(f64::total_cmp);
            assert!((values[0] - 1.0).abs() < BOUND && (values[1] - 3.0).abs() < BOUND);
        }
    }

    #[test]
    fn what_counts_as_nothing_is_a_share_of_the_matrix() {
        // As many sweeps for a matrix of size 1e-12 as for one of size 1: powers of 2 change no digit.
        let a = Tensor::from_rows(&[
            [2.0, 0.7, -0.3, 0.4],
            [0.7, 1.5, 0.9, -0.2],
            [-0.3, 0.9, 1.0, 0.6],
            [0.4, -0.2, 0.6, 3.0],
        ]);
        let scale = 2.0_f64.powi(-40);
        let small = Tensor::from_vec(a.as_slice().iter().map(|a| a * scale).collect(), 4, 4).unwrap();
        let (large, small) = (Eigen::of(&a), Eigen::of(&small));
        let back: Vec<f64> = small.values.iter().map(|l| l / scale).collect();
        assert_eq!((back, small.vectors), (large.values, large.vectors));
    }
}
