//! The energy distance between two sets of samples.
//!
//! # Math
//! D(p, q) = 2 E|X - Y| - E|X - X'| - E|Y - Y'|, X and X' from p, Y and Y' from q, all independent: at least 0, and 0 only for
//! p = q. Here each mean is that over all pairs, a row with itself among them: of two finite sets D is then itself such a
//! distance, never negative, and above that of the laws by (E|X - X'|)/n + (E|Y - Y'|)/m on average.
//!
//! # Shapes
//! a [n, d], b [m, d].
//!
//! # Limits
//! In the units of the data, not squared, and no root taken (SciPy's `energy_distance` is the root of it, for d = 1). It takes
//! (n + m)² d operations.
//!
//! # Source
//! G. Székely, M. Rizzo, "Energy statistics: a class of statistics based on distances", 2013.

use crate::error::Result;
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::pairs::{Columns, sum_over_pairs};
use super::sets::{check, finite};

/// Computes the energy distance between the sets `a` [n, d] and `b` [m, d], in the units of the data.
///
/// # Errors
/// [`Error::Dimension`](crate::Error::Dimension) if the columns differ or one side is empty;
/// [`Error::NotFinite`](crate::Error::NotFinite) if a number is NaN or infinite; [`Error::Setting`](crate::Error::Setting) if the
/// squares overflow.
///
/// # Example
/// ```
/// use pushforward::{Tensor, metrics::energy_distance};
///
/// let a = Tensor::from_rows(&[[0.0_f64]]);
/// let b = Tensor::from_rows(&[[1.0_f64], [3.0]]);
/// assert_eq!(energy_distance(&a, &b)?, 3.0); // 2 * 2 - 0 - 1
/// # Ok::<(), pushforward::Error>(())
/// ```
#[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
pub fn energy_distance<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> Result<f64> {
    check(a, b)?;
    let (of_a, of_b) = (Columns::new(a), Columns::new(b));
    let (n, m) = (a.rows() as f64, b.rows() as f64);
    let between = sum_over_pairs(a, &of_b, f64::sqrt) / (n * m);
    let within_a = sum_over_pairs(a, &of_a, f64::sqrt) / (n * n);
    let within_b = sum_over_pairs(b, &of_b, f64::sqrt) / (m * m);
    // What is negative is rounding.
    finite(2.0 * between - within_a - within_b).map(|distance| distance.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;
    use crate::error::Error;
    use crate::estimate::Estimate;
    use std::f64::consts::{FRAC_PI_2, PI};

    #[test]
    fn gaussians_come_to_their_closed_form() {
        // E|N(0, s² I)| = s g_d with g_1 = sqrt(2/pi), g_2 = sqrt(pi/2), g_3 = 2 sqrt(2/pi): X - Y is N(0, (1 + r²) I).
        const ROWS: usize = 200;
        let r = 1.5_f64;
        for (d, g) in [(1, (2.0 / PI).sqrt()), (2, FRAC_PI_2.sqrt()), (3, 2.0 * (2.0 / PI).sqrt())] {
            let own = |s: f64| 2.0_f64.sqrt() * s * g;
            // A row is no distance away from itself: that is a share of 1/n.
            let exact = 2.0 * (1.0 + r * r).sqrt() * g - (own(1.0) + own(r)) * (1.0 - 1.0 / ROWS as f64);
            let drawn = |seed: u64| {
                let (a, b) = (normals(ROWS, d, 1.0, seed), normals(ROWS, d, r, seed + 100));
                energy_distance(&a, &b).unwrap()
            };
            let found = Estimate::of(&(0..40).map(drawn).collect::<Vec<_>>());
            assert!((found.mean - exact).abs() < 5.0 * found.standard_error, "{d}: {found:?} {exact}");
            assert!(found.standard_error < 0.1 * exact, "{d}: {found:?} says little about {exact}");
        }
    }

    #[test]
    fn in_one_dimension_it_is_the_distance_of_distribution_functions() {
        // Twin: D = 2 ∫ (F - G)² dx, a finite sum.
        for (n, m, seed) in [(7, 11, 1), (60, 60, 2), (1, 130, 3)] {
            let (a, b) = (normals(n, 1, 1.0, seed), normals(m, 1, 2.0, seed + 1));
            let mut at: Vec<f64> = [a.as_slice(), b.as_slice()].concat();
            at.sort_unstable_by(f64::total_cmp);
            let share = |x: &Tensor<f64>, most: f64| {
                x.as_slice().iter().filter(|&&x| x <= most).count() as f64 / x.rows() as f64
            };
            let step = |w: &[f64]| (w[1] - w[0]) * (share(&a, w[0]) - share(&b, w[0])).powi(2);
            let twin = 2.0 * at.windows(2).map(step).sum::<f64>();
            assert!((energy_distance(&a, &b).unwrap() - twin).abs() < 1e-12);
        }
    }

    #[test]
    fn it_is_symmetric_zero_on_itself_and_the_same_on_any_number_of_threads() {
        let (a, b) = (normals(300, 3, 1.0, 5), normals(170, 3, 1.0, 6));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| energy_distance(&a, &b)).unwrap().to_bits()
        };
        assert!(with(1) == with(2) && with(1) == with(7));
        assert!((energy_distance(&b, &a).unwrap() - f64::from_bits(with(1))).abs() < 1e-12);
        assert!(energy_distance(&a, &a).unwrap() < 1e-12);
        assert!(matches!(energy_distance(&a, &Tensor::zeros(3, 2)), Err(Error::Dimension { .. })));
        assert!(matches!(energy_distance(&a, &Tensor::zeros(0, 3)), Err(Error::Dimension { .. })));
        let huge = normals(5, 3, 1e200, 7);
        assert!(matches!(energy_distance(&a, &huge), Err(Error::Setting { .. })));
    }
}
