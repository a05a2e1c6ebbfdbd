//! The Wasserstein distance of order 2 between two sets of samples: exact, and sliced.
//!
//! # Math
//! W2² = min over couplings of E |X - Y|² (E25, without minibatches). For two sets of n equally
//! weighted points the best coupling is a permutation s: W2² = (1/n) sum_i |a_i - b_s(i)|², found by
//! [`assign_points`]. In one dimension it couples equal quantiles, whatever the two
//! sizes are: W2² = ∫ (F^-1(z) - G^-1(z))² dz over z in (0, 1), a finite sum, since both inverses are
//! step functions with steps at multiples of 1/n and 1/m.
//! Sliced: SW2² = E W2²(e·a, e·b) over directions e uniform on the unit sphere, here a mean over a
//! number of random ones. SW2² <= W2² / d, with equality for a translation: SW2² = |c|² / d.
//!
//! # Shapes
//! a [n, d], b [m, d]; exact: n = m <= 65,536.
//!
//! # Limits
//! Both are in the units of the data. The sliced one is a Monte-Carlo mean over directions. Exact:
//! the time of an assignment, a second for 10,000 rows of two columns, more with many columns.
//!
//! # Source
//! G. Peyré, M. Cuturi, "Computational Optimal Transport", 2019 (one dimension, Gaussians);
//! J. Rabin, G. Peyré, J. Delon, M. Bernot, "Wasserstein barycenter and its application to texture
//! mixing", 2011 (sliced).

use rayon::prelude::*;

use crate::coupling::assign_points;
use crate::error::{Error, Result};
use crate::kernel::{Real, Simd};
use crate::rng::{Purpose, Rng, Stream};
use crate::tensor::Tensor;

use super::sets::{check, finite};

/// Most rows that [`exact_w2`] takes.
pub const EXACT_W2_ROWS: usize = 1 << 16;

/// Estimates the sliced Wasserstein distance of order 2 over `projections` random directions.
///
/// What comes back is the root of the mean of the squared distances, in the units of the data. The
/// sizes of `a` [n, d] and `b` [m, d] may differ. Direction i depends on the seed and on i only, so
/// the number of threads changes nothing.
///
/// # Errors
/// [`Error::Dimension`] if the columns differ or one side is empty; [`Error::NotFinite`] if a number is
/// NaN or infinite; [`Error::Setting`] if `projections` is 0 or the squares overflow.
///
/// # Example
/// ```
/// use pushforward::{Rng, Tensor, metrics::sliced_w2};
///
/// let a = Tensor::from_rows(&[[0.0_f64], [1.0]]);
/// let b = Tensor::from_rows(&[[2.0_f64], [3.0]]);
/// assert!((sliced_w2(&a, &b, 10, &mut Rng::from_seed(0))? - 2.0).abs() < 1e-12);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn sliced_w2<R: Real>(a: &Tensor<R>, b: &Tensor<R>, projections: usize, rng: &mut Rng) -> Result<f64> {
    check(a, b)?;
    if projections == 0 {
        let remedy = "take at least one direction, 100 or more for a stable estimate";
        return Err(Error::Setting { name: "projections", value: "0".into(), remedy });
    }
    let streams = rng.fork(Purpose::Metric);
    let squares: Vec<f64> = (0..projections)
        .into_par_iter()
        .map_init(
            || (Vec::with_capacity(a.rows()), Vec::with_capacity(b.rows())),
            |(of_a, of_b), i| {
                let direction = direction(a.cols(), &mut streams.stream(i as u64));
                project(a, &direction, of_a);
                project(b, &direction, of_b);
                quantile_mean(of_a, of_b, |x| x * x)
            },
        )
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "a count")]
    root(squares.iter().sum::<f64>() / projections as f64)
}

/// Computes the exact Wasserstein distance of order 2 between two sets of equally many rows.
///
/// What comes back is the root of the mean squared distance under the best assignment, in the units
/// of the data.
///
/// # Errors
/// [`Error::Dimension`] if the columns or rows differ, one side is empty, or there are more than
/// [`EXACT_W2_ROWS`] rows; [`Error::NotFinite`] if a number is NaN or infinite; [`Error::Setting`] if
/// the squares overflow.
///
/// # Example
/// ```
/// use pushforward::{Tensor, metrics::exact_w2};
///
/// let a = Tensor::from_rows(&[[0.0_f64, 0.0], [1.0, 0.0]]);
/// let b = Tensor::from_rows(&[[4.0, 4.0], [3.0, 4.0]]);
/// assert_eq!(exact_w2(&a, &b)?, 5.0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn exact_w2<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> Result<f64> {
    check(a, b)?;
    let n = a.rows();
    if n > EXACT_W2_ROWS {
        return Err(Error::Dimension {
            what: "rows for the exact distance",
            expected: EXACT_W2_ROWS,
            found: n,
            remedy: "give at most so many rows, or use the sliced distance",
        });
    }
    if b.rows() != n {
        return Err(Error::Dimension {
            what: "rows of b",
            expected: n,
            found: b.rows(),
            remedy: "give as many as a has, or use the sliced distance",
        });
    }
    #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
    root(assign_points(Simd::detect(), a, b)?.cost / n as f64)
}

/// The root of a mean square that may have overflowed.
fn root(square: f64) -> Result<f64> {
    finite(square).map(f64::sqrt)
}

/// A direction uniform on the unit sphere of R^d: a normal vector over its length.
fn direction(d: usize, stream: &mut Stream) -> Vec<f64> {
    loop {
        let z: Vec<f64> = (0..d).map(|_| stream.normal()).collect();
        let length = z.iter().map(|z| z * z).sum::<f64>().sqrt();
        if length > 0.0 {
            return z.iter().map(|z| z / length).collect();
        }
    }
}

/// The coordinates of the rows along a direction, sorted.
fn project<R: Real>(x: &Tensor<R>, direction: &[f64], into: &mut Vec<f64>) {
    into.clear();
    into.extend(
        (0..x.rows()).map(|i| x.row(i).iter().zip(direction).map(|(x, e)| x.to_f64() * e).sum::<f64>()),
    );
    into.sort_unstable_by(f64::total_cmp);
}

/// The mean of a cost of x - y when the quantiles of two sorted sets of numbers are coupled: W2² for the square, W1 for the
/// modulus. In units of 1 / (n m) each of the n values of `a` weighs m and each of the m values of `b` weighs n: whole numbers,
/// so that the coupling is exact.
#[allow(clippy::cast_precision_loss, reason = "counts, as weights of a mean")]
pub(super) fn quantile_mean(a: &[f64], b: &[f64], cost: impl Fn(f64) -> f64) -> f64 {
    let (n, m) = (a.len(), b.len());
    let (mut i, mut j, mut left_a, mut left_b) = (0, 0, m, n);
    let mut sum = 0.0;
    while i < n && j < m {
        let mass = left_a.min(left_b);
        sum += mass as f64 * cost(a[i] - b[j]);
        left_a -= mass;
        left_b -= mass;
        if left_a == 0 {
            (i, left_a) = (i + 1, m);
        }
        if left_b == 0 {
            (j, left_b) = (j + 1, n);
        }
    }
    sum / (n as f64 * m as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, proptest};

    /// Rounding of sums of a few thousand numbers of order 1, and of a root.
    const ROUNDING: f64 = 1e-12;

    fn normals(n: usize, d: usize, seed: u64) -> Tensor<f64> {
        let mut stream = Rng::from_seed(seed).fork(Purpose::Metric).stream(0);
        Tensor::from_vec((0..n * d).map(|_| stream.normal()).collect(), n, d).unwrap()
    }

    fn affine(x: &Tensor<f64>, scale: f64, shift: &[f64]) -> Tensor<f64> {
        let mut y = x.clone();
        for i in 0..y.rows() {
            for (y, c) in y.row_mut(i).iter_mut().zip(shift) {
                *y = scale * *y + c;
            }
        }
        y
    }

    fn sliced(a: &Tensor<f64>, b: &Tensor<f64>, projections: usize) -> f64 {
        sliced_w2(a, b, projections, &mut Rng::from_seed(5)).unwrap()
    }

    #[test]
    fn a_translation_costs_its_length() {
        const PROJECTIONS: usize = 4000;
        let (x, c) = (normals(200, 3, 1), [2.0, -1.0, 0.5]);
        let y = affine(&x, 1.0, &c);
        let square: f64 = c.iter().map(|c| c * c).sum();
        assert!((exact_w2(&x, &y).unwrap() - square.sqrt()).abs() < ROUNDING);
        // (e·c)² / |c|² is Beta(1/2, (d-1)/2): mean 1/d, variance 2(d-1) / (d²(d+2)) = 4/45 for d = 3;
        // five standard errors of its mean.
        let error = 5.0 * (4.0_f64 / 45.0 / 4000.0).sqrt();
        assert!((sliced(&x, &y, PROJECTIONS).powi(2) / square - 1.0 / 3.0).abs() < error);
    }

    #[test]
    fn gaussians_come_to_their_closed_form() {
        // W2²(N(0, I), N(m, s² I)) = |m|² + d (s - 1)², sliced: that over d.
        let (n, d, s, m) = (2000, 2, 2.0, [3.0, 0.0]);
        let (a, b) = (normals(n, d, 2), affine(&normals(n, d, 3), s, &m));
        let square = 9.0 + 2.0 * 1.0;
        // The error of the means is about |m| sqrt((1 + s²) / n) = 0.15 in half the square; five of
        // it. The bias of the exact one, the distance between two draws, is about ln(n)/n.
        const BOUND: f64 = 1.5;
        assert!((exact_w2(&a, &b).unwrap().powi(2) - square).abs() < BOUND);
        assert!((sliced(&a, &b, 500).powi(2) - square / 2.0).abs() < BOUND);
    }

    proptest! {
        #[test]
        fn in_one_dimension_sliced_is_exact(
            a in proptest::collection::vec(-3.0..3.0, 12), b in proptest::collection::vec(-3.0..3.0, 12), n in 1..=12_usize,
        ) {
            let a = Tensor::from_vec(a[..n].to_vec(), n, 1).unwrap();
            let b = Tensor::from_vec(b[..n].to_vec(), n, 1).unwrap();
            prop_assert!((sliced(&a, &b, 3) - exact_w2(&a, &b).unwrap()).abs() < ROUNDING);
        }

        #[test]
        fn unequal_sizes_couple_quantiles(
            a in proptest::collection::vec(-3.0..3.0, 1..9), b in proptest::collection::vec(-3.0..3.0, 1..9),
        ) {
            // Twin: every value repeated until both sets have n m of them.
            let repeat = |x: &[f64], times: usize| -> Vec<f64> {
                let mut all: Vec<f64> = x.iter().flat_map(|&x| std::iter::repeat_n(x, times)).collect();
                all.sort_unstable_by(f64::total_cmp);
                all
            };
            let (many_a, many_b) = (repeat(&a, b.len()), repeat(&b, a.len()));
            let squares: f64 = many_a.iter().zip(&many_b).map(|(x, y)| (x - y) * (x - y)).sum();
            #[allow(clippy::cast_precision_loss, reason = "at most 64")]
            let twin = (squares / many_a.len() as f64).sqrt();
            let (rows_a, rows_b) = (a.len(), b.len());
            let (a, b) = (Tensor::from_vec(a, rows_a, 1).unwrap(), Tensor::from_vec(b, rows_b, 1).unwrap());
            // The root of a rounding error of 1e-15.
            prop_assert!((sliced(&a, &b, 2) - twin).abs() < 1e-7);
        }
    }

    #[test]
    fn symmetric_and_zero_on_itself() {
        let (a, b) = (normals(150, 2, 6), normals(150, 2, 7));
        assert!((exact_w2(&a, &b).unwrap() - exact_w2(&b, &a).unwrap()).abs() < ROUNDING);
        assert!((sliced(&a, &b, 50) - sliced(&b, &a, 50)).abs() < ROUNDING);
        // The same rows in another order.
        let mut c = a.clone();
        for i in 0..150 {
            c.row_mut(i).copy_from_slice(a.row(149 - i));
        }
        assert!(exact_w2(&a, &c).unwrap() == 0.0 && sliced(&a, &c, 50) == 0.0);
        // Sliced is below exact / sqrt d.
        assert!(sliced(&a, &b, 400) < exact_w2(&a, &b).unwrap() / 2.0_f64.sqrt() * 1.1);
    }

    #[test]
    fn threads_change_no_bit() {
        let (a, b) = (normals(300, 3, 8), normals(200, 3, 9));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sliced(&a, &b, 33)).to_bits()
        };
        assert!(with(1) == with(2) && with(1) == with(7));
        // Other directions at each call, the same in each run.
        let mut rng = Rng::from_seed(5);
        let (first, second) =
            (sliced_w2(&a, &b, 33, &mut rng).unwrap(), sliced_w2(&a, &b, 33, &mut rng).unwrap());
        assert!(first.to_bits() == with(1) && first.to_bits() != second.to_bits());
    }

    #[test]
    fn bad_input_is_named() {
        let mut rng = Rng::from_seed(0);
        let x = normals(4, 2, 10);
        let mut sliced = |a: &Tensor<f64>, b: &Tensor<f64>, k| sliced_w2(a, b, k, &mut rng);
        for bad in [Tensor::zeros(4, 3), Tensor::zeros(0, 2)] {
            assert!(matches!(exact_w2(&x, &bad), Err(Error::Dimension { .. })));
            assert!(matches!(sliced(&x, &bad, 5), Err(Error::Dimension { .. })));
        }
        assert!(matches!(
            sliced(&Tensor::zeros(3, 0), &Tensor::zeros(3, 0), 5),
            Err(Error::Dimension { .. })
        ));
        assert!(matches!(sliced(&x, &x, 0), Err(Error::Setting { .. })));
        let mut bad = x.clone();
        bad.row_mut(2)[1] = f64::NAN;
        assert!(matches!(exact_w2(&x, &bad), Err(Error::NotFinite { what: "b", row: 2, column: 1, .. })));
        assert!(matches!(sliced(&bad, &x, 5), Err(Error::NotFinite { what: "a", .. })));
        let huge = affine(&x, 1e200, &[0.0; 2]);
        assert!(matches!(exact_w2(&x, &huge), Err(Error::Setting { .. })));
        assert!(matches!(sliced(&x, &huge, 5), Err(Error::Setting { .. })));
        assert!(exact_w2(&x, &Tensor::zeros(3, 2)).unwrap_err().to_string().contains("sliced distance"));
        let many = Tensor::<f64>::zeros(EXACT_W2_ROWS + 1, 1);
        assert!(exact_w2(&many, &many).unwrap_err().to_string().contains("at most"));
    }
}
