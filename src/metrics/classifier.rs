//! A classifier two-sample test: how often the nearest neighbours of a sample tell from which of two sets it is.
//!
//! # Math
//! Of n rows of each set those with an even number are known and the others are asked: the k known rows nearest to a row vote, k the
//! odd number next to the root of how many are known. What comes back is the share of votes that are right. For two sets of one
//! law it is 1/2, with the standard deviation 1 / sqrt(4 N), N the rows that are asked; for sets that do not overlap it is 1. More
//! than the share of the best classifier it is not, on average: for N(0, 1) and N(m, 1) that is Phi(m/2).
//!
//! # Shapes
//! a [n, d], b [n, d].
//!
//! # Limits
//! The rows of a set must be in random order. Neighbours are those of the Euclidean distance: columns should be of one size.
//! Of two known rows equally far away the one that stands earlier counts. It takes n² d operations.
//!
//! # Source
//! D. Lopez-Paz, M. Oquab, "Revisiting classifier two-sample tests", 2017, arXiv:1610.06545 (the test, and k).

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::pairs::{Columns, for_rows};
use super::sets::{check, finite};

/// Finds the share of rows whose nearest neighbours tell from which of the sets `a` and `b`, both [n, d], they are: 1/2 if
/// nothing tells, 1 if everything does.
///
/// # Errors
/// [`Error::Dimension`] if rows or columns differ, or there are fewer than two rows; [`Error::NotFinite`] if a number is NaN or
/// infinite; [`Error::Setting`] if the squares overflow.
///
/// # Example
/// ```
/// use pushforward::{Tensor, metrics::classifier_accuracy};
///
/// let a = Tensor::from_rows(&[[0.0_f64], [0.1], [0.2], [0.3]]);
/// let b = Tensor::from_rows(&[[5.0_f64], [5.1], [5.2], [5.3]]);
/// assert_eq!(classifier_accuracy(&a, &b)?, 1.0);
/// assert_eq!(classifier_accuracy(&a, &a)?, 0.5);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
pub fn classifier_accuracy<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> Result<f64> {
    check(a, b)?;
    let n = a.rows();
    if b.rows() != n {
        let remedy = "give as many as a has, or chance is not 1/2";
        return Err(Error::Dimension { what: "rows of b", expected: n, found: b.rows(), remedy });
    }
    if n < 2 {
        let remedy = "one row of each set is known, and one is asked";
        return Err(Error::Dimension { what: "rows of a", expected: 2, found: n, remedy });
    }
    // A row of a, the row of b of the same number, the next of a: known row r is of a if r is even.
    let (known, asked) = (joined(a, b, 0), joined(a, b, 1));
    let k = odd_root(known.rows());
    let columns = Columns::new(&known);
    let votes = for_rows(&asked, |row| {
        let mut squares = vec![0.0; known.rows()];
        columns.squares(row, &mut squares);
        let total: f64 = squares.iter().sum();
        let mut order: Vec<(f64, usize)> = squares.into_iter().zip(0..).collect();
        order.select_nth_unstable_by(k - 1, |x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
        let for_a = order[..k].iter().filter(|(_, r)| r % 2 == 0).count();
        (2 * for_a > k, total)
    });
    finite(votes.iter().map(|(_, total)| total).sum())?;
    let right = votes.iter().enumerate().filter(|(r, (of_a, _))| *of_a == (r % 2 == 0)).count();
    Ok(right as f64 / asked.rows() as f64)
}

/// Every second row of a and of b from row `first` on, in turn.
fn joined<R: Real>(a: &Tensor<R>, b: &Tensor<R>, first: usize) -> Tensor<R> {
    let numbers: Vec<usize> = (first..a.rows()).step_by(2).collect();
    let mut rows = Tensor::zeros(2 * numbers.len(), a.cols());
    for (place, i) in numbers.into_iter().enumerate() {
        rows.row_mut(2 * place).copy_from_slice(a.row(i));
        rows.row_mut(2 * place + 1).copy_from_slice(b.row(i));
    }
    rows
}

/// The odd one of the root of n, rounded down, and the number below it.
fn odd_root(n: usize) -> usize {
    let root = n.isqrt();
    if root.is_multiple_of(2) { (root - 1).max(1) } else { root }
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;

    #[test]
    fn gaussians_are_told_apart_as_often_as_can_be() {
        // Phi(1/2), Phi(1), Phi(2). Five standard errors, and what 45 neighbours miss of the best classifier: each vote is
        // decided wrongly only where both laws are nearly as dense.
        const ROWS: usize = 4000;
        const MISSED: f64 = 0.01;
        for (shift, best) in [(0.0, 0.5), (1.0, 0.691_462), (2.0, 0.841_345), (4.0, 0.977_250)] {
            let (a, mut b) = (normals(ROWS, 1, 1.0, 1), normals(ROWS, 1, 1.0, 2));
            b.as_mut_slice().iter_mut().for_each(|x| *x += shift);
            let found = classifier_accuracy(&a, &b).unwrap();
            let error = 5.0 * (best * (1.0 - best) / ROWS as f64).sqrt();
            assert!(found < best + error && found > best - error - MISSED, "{shift}: {found} {best}");
        }
    }

    #[test]
    fn it_is_the_vote_of_sorted_neighbours() {
        for (n, d) in [(2, 1), (3, 2), (50, 2), (51, 3)] {
            let (a, b) = (normals(n, d, 1.0, 3), normals(n, d, 1.6, 4));
            let square = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
            let (mut right, mut asked) = (0, 0);
            for (set, of_a) in [(&a, true), (&b, false)] {
                for i in (1..n).step_by(2) {
                    let mut known: Vec<(f64, bool)> = (0..n)
                        .step_by(2)
                        .flat_map(|j| {
                            [(square(set.row(i), a.row(j)), true), (square(set.row(i), b.row(j)), false)]
                        })
                        .collect();
                    known.sort_by(|x, y| x.0.total_cmp(&y.0));
                    let k = [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3]
                        .get(known.len())
                        .copied()
                        .unwrap_or(7);
                    let votes = known[..k].iter().filter(|(_, of_a)| *of_a).count();
                    right += usize::from((2 * votes > k) == of_a);
                    asked += 1;
                }
            }
            let twin = f64::from(u32::try_from(right).unwrap()) / f64::from(asked);
            assert!((classifier_accuracy(&a, &b).unwrap() - twin).abs() < 1e-15, "{n} {d}");
        }
        assert_eq!([1, 4, 9, 16, 24, 25, 4096].map(odd_root), [1, 1, 3, 3, 3, 5, 63]);
    }

    #[test]
    fn threads_change_no_bit_and_bad_input_is_named() {
        let (a, b) = (normals(300, 3, 1.0, 5), normals(300, 3, 1.2, 6));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| classifier_accuracy(&a, &b)).unwrap().to_bits()
        };
        assert!(with(1) == with(2) && with(1) == with(7));
        let bad = classifier_accuracy(&a, &normals(299, 3, 1.0, 7)).unwrap_err();
        assert!(bad.to_string().contains("chance is not 1/2"), "{bad}");
        let one = normals(1, 3, 1.0, 7);
        assert!(matches!(classifier_accuracy(&one, &one), Err(Error::Dimension { expected: 2, .. })));
        assert!(matches!(classifier_accuracy(&a, &normals(300, 3, 1e200, 7)), Err(Error::Setting { .. })));
    }
}
