//! Passes over all pairs of rows of two sets: what energy distance, MMD, classifier and nearest rows have in common.
//!
//! # Math
//! |x_i - y_j|² as the plain sum over columns of squared differences: no product form, which would lose the digits of rows
//! that lie close together.
//!
//! # Shapes
//! x is [n, d], y is [m, d] and kept one coordinate after the other, [d, m]. A row of x meets [`BLOCK`] rows of y at a time,
//! which the compiler makes vectors of; `ROWS` rows of x are one task, and sums are added in the order of the tasks, so that
//! the number of threads changes nothing.
//!
//! # Limits
//! n m d operations.

use rayon::prelude::*;

use crate::kernel::Real;
use crate::tensor::Tensor;

/// Rows of y that are met together.
const BLOCK: usize = 64;
/// Rows of x of one task.
const ROWS: usize = 64;

/// The rows of a set, one coordinate after the other.
pub(super) struct Columns {
    rows: usize,
    /// [d, m].
    of: Vec<f64>,
}

impl Columns {
    pub(super) fn new<R: Real>(y: &Tensor<R>) -> Self {
        let (rows, cols) = (y.rows(), y.cols());
        let of = (0..cols).flat_map(|k| (0..rows).map(move |j| y.row(j)[k].to_f64())).collect();
        Self { rows, of }
    }

    /// Hands the squared distances from x to the rows of each block to `visit`, with the number of the first of them.
    fn visit(&self, x: &[f64], mut visit: impl FnMut(usize, &[f64])) {
        let mut squares = [0.0; BLOCK];
        for first in (0..self.rows).step_by(BLOCK) {
            let squares = &mut squares[..BLOCK.min(self.rows - first)];
            squares.fill(0.0);
            for (k, x) in x.iter().enumerate() {
                let y = &self.of[k * self.rows + first..];
                for (square, y) in squares.iter_mut().zip(y) {
                    *square += (x - y) * (x - y);
                }
            }
            visit(first, squares);
        }
    }

    /// The squared distances from x to all rows, into `squares` of length m.
    pub(super) fn squares(&self, x: &[f64], squares: &mut [f64]) {
        self.visit(x, |first, block| squares[first..first + block.len()].copy_from_slice(block));
    }
}

/// One number for each row of x, in order, found for `ROWS` of them at a time.
pub(super) fn for_rows<R: Real, T: Send>(x: &Tensor<R>, number: impl Fn(&[f64]) -> T + Sync) -> Vec<T> {
    let tasks: Vec<Vec<T>> = (0..x.rows().div_ceil(ROWS))
        .into_par_iter()
        .map(|task| {
            let rows = task * ROWS..x.rows().min((task + 1) * ROWS);
            rows.map(|i| number(&x.row(i).iter().map(|x| x.to_f64()).collect::<Vec<_>>())).collect()
        })
        .collect();
    tasks.into_iter().flatten().collect()
}

/// The sum of f(|x_i - y_j|²) over all pairs.
pub(super) fn sum_over_pairs<R: Real>(x: &Tensor<R>, y: &Columns, f: impl Fn(f64) -> f64 + Sync) -> f64 {
    let of_row = |x: &[f64]| {
        let mut sum = 0.0;
        y.visit(x, |_, squares| sum += squares.iter().map(|&square| f(square)).sum::<f64>());
        sum
    };
    for_rows(x, of_row).into_iter().sum()
}

/// The distance from each row of x to the nearest row of y.
pub(super) fn nearest<R: Real>(x: &Tensor<R>, y: &Columns) -> Vec<f64> {
    let of_row = |x: &[f64]| {
        let mut least = f64::INFINITY;
        y.visit(x, |_, squares| least = squares.iter().fold(least, |least, &square| least.min(square)));
        least.sqrt()
    };
    for_rows(x, of_row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, proptest};

    proptest! {
        #[test]
        fn passes_are_those_of_plain_loops(
            x in proptest::collection::vec(-3.0..3.0, 1..400), y in proptest::collection::vec(-3.0..3.0, 1..400), d in 1..4_usize,
        ) {
            let set = |x: &[f64]| Tensor::from_vec(x[..x.len() / d * d].to_vec(), x.len() / d, d).unwrap();
            let (x, y) = (set(&x), set(&y));
            let square = |i: usize, j: usize| {
                x.row(i).iter().zip(y.row(j)).map(|(x, y)| (x - y) * (x - y)).sum::<f64>()
            };
            let columns = Columns::new(&y);
            let (mut sum, near) = (0.0, nearest(&x, &columns));
            for i in 0..x.rows() {
                let mut squares = vec![0.0; y.rows()];
                columns.squares(x.row(i), &mut squares);
                let mut least = f64::INFINITY;
                for (j, found) in squares.iter().enumerate() {
                    prop_assert!((found - square(i, j)).abs() < 1e-12);
                    sum += square(i, j).sqrt();
                    least = least.min(square(i, j).sqrt());
                }
                prop_assert!(near[i].total_cmp(&least).is_eq() || (near[i] - least).abs() < 1e-12);
            }
            // Rounding of 160,000 numbers of order 1.
            prop_assert!((sum_over_pairs(&x, &columns, f64::sqrt) - sum).abs() < 1e-8);
        }
    }
}
