//! The maximum mean discrepancy (MMD) between two sets of samples, with Gaussian kernels.
//!
//! # Math
//! MMD²(p, q) = E k(X, X') + E k(Y, Y') - 2 E k(X, Y), 0 only for p = q. k is the mean of three Gaussian kernels
//! exp(-|x - y|²/(2 h²)), h = w/2, w and 2 w: with e the widest of them they are e^16, e^4 and e. A mean over pairs of the same
//! set leaves a row with itself out, so that the estimate is unbiased: of samples of one law it lies around 0, on both sides.
//!
//! The width w is the median distance of a set ([`median_distance`]). What is compared must have the same w: take that of the
//! data, for the samples of each model and for the noise floor.
//!
//! # Shapes
//! a [n, d], b [m, d].
//!
//! # Limits
//! Without a unit, at most 1 but for sampling, and squared: a root of what may be negative there is none. It takes (n + m)² d
//! operations and as many exponentials. The median is that of the first 1000 rows.
//!
//! # Source
//! A. Gretton et al., "A kernel two-sample test", JMLR 13, 2012 (the unbiased estimate, the median as a width).

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::pairs::{Columns, for_rows, sum_over_pairs};
use super::sets::{check, finite};

/// Rows among which the median distance is looked for: half a million pairs, of which it is known to a thousandth.
const MEDIAN_ROWS: usize = 1000;

/// Estimates MMD² between the sets `a` [n, d] and `b` [m, d] with the width w of the kernel: without bias, so that it may be
/// below 0.
///
/// # Errors
/// [`Error::Dimension`] if the columns differ or one side has fewer than two rows; [`Error::NotFinite`] if a number is NaN or
/// infinite; [`Error::Setting`] for a width that is not positive and finite.
///
/// # Example
/// ```
/// use pushforward::{Tensor, metrics::mmd_squared};
///
/// let a = Tensor::from_rows(&[[0.0_f64], [0.0]]);
/// let b = Tensor::from_rows(&[[1e3_f64], [1e3]]);
/// assert_eq!(mmd_squared(&a, &b, 1.0)?, 2.0); // as far apart as two sets can be
/// # Ok::<(), pushforward::Error>(())
/// ```
#[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
pub fn mmd_squared<R: Real>(a: &Tensor<R>, b: &Tensor<R>, width: f64) -> Result<f64> {
    check(a, b)?;
    for (what, found) in [("rows of a", a.rows()), ("rows of b", b.rows())] {
        if found < 2 {
            let remedy = "an estimate without bias needs two samples on each side";
            return Err(Error::Dimension { what, expected: 2, found, remedy });
        }
    }
    let rate = 1.0 / (8.0 * width * width);
    if !(width > 0.0 && rate.is_finite() && rate > 0.0) {
        let remedy = "give a positive number, for example the median distance of the data";
        return Err(Error::Setting { name: "width", value: width.to_string(), remedy });
    }
    let kernel = |square: f64| {
        let wide = (-rate * square).exp();
        let middle = (wide * wide) * (wide * wide);
        (wide + middle + (middle * middle) * (middle * middle)) / 3.0
    };
    let (of_a, of_b) = (Columns::new(a), Columns::new(b));
    let (n, m) = (a.rows() as f64, b.rows() as f64);
    // k(x, x) = 1 is left out.
    let within_a = (sum_over_pairs(a, &of_a, kernel) - n) / (n * (n - 1.0));
    let within_b = (sum_over_pairs(b, &of_b, kernel) - m) / (m * (m - 1.0));
    let between = sum_over_pairs(a, &of_b, kernel) / (n * m);
    finite(within_a + within_b - 2.0 * between)
}

/// The median distance between two of the first 1000 rows of x, [n, d]: a width for [`mmd_squared`].
///
/// Where most rows are equal, so that it would be 0, it is the root of the mean square instead; 1 where all are equal.
///
/// # Errors
/// [`Error::Dimension`] if there is no row or no column; [`Error::NotFinite`] if a number is NaN or infinite;
/// [`Error::Setting`] if the squares overflow.
///
/// # Example
/// ```
/// use pushforward::{Tensor, metrics::median_distance};
///
/// assert_eq!(median_distance(&Tensor::from_rows(&[[0.0_f64], [1.0], [5.0]]))?, 4.0); // of 1, 4, 5
/// # Ok::<(), pushforward::Error>(())
/// ```
#[allow(clippy::cast_precision_loss, reason = "a number of pairs")]
pub fn median_distance<R: Real>(x: &Tensor<R>) -> Result<f64> {
    check(x, x)?;
    let x = x.slice_rows(0..x.rows().min(MEDIAN_ROWS));
    let columns = Columns::new(&x);
    let all = for_rows(&x, |row| {
        let mut squares = vec![0.0; x.rows()];
        columns.squares(row, &mut squares);
        squares
    });
    let mut squares: Vec<f64> = all.iter().enumerate().flat_map(|(i, row)| row[..i].to_vec()).collect();
    let Some(half) = squares.len().checked_sub(1).map(|last| last / 2) else { return Ok(1.0) };
    let mean = finite(squares.iter().sum::<f64>() / squares.len() as f64)?;
    let median = *squares.select_nth_unstable_by(half, f64::total_cmp).1;
    let square = [median, mean, 1.0].into_iter().find(|&square| square > 0.0).unwrap_or(1.0);
    Ok(square.sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;
    use crate::estimate::Estimate;

    const WIDTH: f64 = 1.3;

    #[test]
    fn gaussians_come_to_their_closed_form() {
        // X - Y ~ N(m, v I): E exp(-|X - Y|²/(2 h²)) = (h²/(h² + v))^(d/2) exp(-|m|²/(2 (h² + v))).
        const ROWS: usize = 100;
        let (r, shift) = (1.4_f64, 0.7_f64);
        for d in 1..4 {
            let mean = |v: f64, m: f64| {
                let of = |h: f64| {
                    let all = h * h + v;
                    (h * h / all).powf(0.5 * d as f64) * (-0.5 * d as f64 * m * m / all).exp()
                };
                (of(0.5 * WIDTH) + of(WIDTH) + of(2.0 * WIDTH)) / 3.0
            };
            let exact = mean(2.0, 0.0) + mean(2.0 * r * r, 0.0) - 2.0 * mean(1.0 + r * r, shift);
            let drawn = |seed: u64, r: f64, shift: f64| {
                let (a, mut b) = (normals(ROWS, d, 1.0, seed), normals(ROWS, d, r, seed + 1000));
                b.as_mut_slice().iter_mut().for_each(|x| *x += shift);
                mmd_squared(&a, &b, WIDTH).unwrap()
            };
            let found = Estimate::of(&(0..60).map(|seed| drawn(seed, r, shift)).collect::<Vec<_>>());
            assert!((found.mean - exact).abs() < 5.0 * found.standard_error, "{d}: {found:?} {exact}");
            assert!(found.standard_error < 0.1 * exact, "{d}: {found:?} says little about {exact}");
            // Of one law it is 0 on average, on both sides.
            let same: Vec<f64> = (0..60).map(|seed| drawn(seed, 1.0, 0.0)).collect();
            let found = Estimate::of(&same);
            assert!(found.mean.abs() < 5.0 * found.standard_error, "{d}: {found:?}");
            assert!(same.iter().any(|&x| x < 0.0) && same.iter().any(|&x| x > 0.0));
        }
    }

    #[test]
    fn it_is_the_plain_sum() {
        let (a, b) = (normals(70, 2, 1.0, 1), normals(90, 2, 1.5, 2));
        let mean = |x: &Tensor<f64>, y: &Tensor<f64>, same: bool| {
            let (mut sum, mut pairs) = (0.0, 0.0);
            for i in 0..x.rows() {
                for j in (0..y.rows()).filter(|&j| !(same && i == j)) {
                    let square: f64 = x.row(i).iter().zip(y.row(j)).map(|(x, y)| (x - y).powi(2)).sum();
                    for h in [0.5 * WIDTH, WIDTH, 2.0 * WIDTH] {
                        sum += (-square / (2.0 * h * h)).exp() / 3.0;
                    }
                    pairs += 1.0;
                }
            }
            sum / pairs
        };
        let twin = mean(&a, &a, true) + mean(&b, &b, true) - 2.0 * mean(&a, &b, false);
        assert!((mmd_squared(&a, &b, WIDTH).unwrap() - twin).abs() < 1e-12);
    }

    #[test]
    fn the_median_is_that_of_the_pairs() {
        // |N(0, 2)| has the median 0.6745 sqrt 2; half a million pairs of 1000 rows know it to 1 %.
        let found = median_distance(&normals(5000, 1, 1.0, 3)).unwrap();
        assert!((found - 0.6745 * 2.0_f64.sqrt()).abs() < 0.05, "{found}");
        let mut all = vec![0.0_f64; 7];
        assert!(
            (median_distance(&Tensor::from_vec(all.clone(), 7, 1).unwrap()).unwrap() - 1.0).abs() < 1e-15
        );
        all[0] = 3.0; // 6 of 21 pairs are 3 apart
        let root = (9.0 * 6.0 / 21.0_f64).sqrt();
        assert!((median_distance(&Tensor::from_vec(all, 7, 1).unwrap()).unwrap() - root).abs() < 1e-12);
        assert!((median_distance(&Tensor::from_rows(&[[5.0_f64]])).unwrap() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn threads_change_no_bit_and_bad_input_is_named() {
        let (a, b) = (normals(300, 3, 1.0, 5), normals(170, 3, 1.0, 6));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                (mmd_squared(&a, &b, WIDTH).unwrap().to_bits(), median_distance(&a).unwrap().to_bits())
            })
        };
        assert!(with(1) == with(2) && with(1) == with(7));
        for width in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-200] {
            assert!(
                matches!(mmd_squared(&a, &b, width), Err(Error::Setting { name: "width", .. })),
                "{width}"
            );
        }
        assert!(matches!(
            mmd_squared(&a, &Tensor::zeros(1, 3), 1.0),
            Err(Error::Dimension { expected: 2, .. })
        ));
        assert!(matches!(mmd_squared(&a, &Tensor::zeros(3, 2), 1.0), Err(Error::Dimension { .. })));
        assert!(matches!(median_distance(&Tensor::<f64>::zeros(0, 2)), Err(Error::Dimension { .. })));
    }
}
