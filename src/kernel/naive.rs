//! The kernels once more, each as the formula it computes: nothing here is fast, all of it can be checked by eye.
//!
//! Every tuned kernel has its twin here under the same name, and a property test that compares the two
//! over random shapes. The twins that add products do it in the same order as the tuned ones, one
//! rounding for each operation, so the portable SIMD level must give their bits. The twins of the
//! functions and of the sums work in f64 with the standard library.
//!
//! # Math
//! ```text
//! product             y = start + x w             [B, n] = [n] + [B, k] [k, n]
//! product_transposed  y = start + x wᵀ            [B, n] = [n] + [B, k] [n, k]ᵀ
//! weight_gradient     d_w += xᵀ d_y, d_b += 1ᵀ d_y
//! activate            f(z), f'(z)                 see `Activation`
//! adam                see `adam`
//! ```
//!
//! # Limits
//! erf and Phi are within 1e-15 of the truth, relative to it (tests compare with 20-digit values), as far as
//! the number they are given is exact: e^(-x²) magnifies the roundoff of x² by x².
//!
//! # Source
//! erf by its series M. Abramowitz, I. Stegun, "Handbook of Mathematical Functions", 7.1.6, erfc by the continued
//! fraction 7.1.14.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::adam::{AdamState, AdamStep};
use super::map::{Activation, SELU_SCALE, SELU_SCALE_ALPHA};
use super::matmul::Start;
use super::posterior::Posterior;
use super::real::Real;
use super::rows::{Rows, RowsMut};

/// y = start + x w: x is [B, k], `w` holds [k, n] row after row, y is [B, n].
///
/// # Panics
/// If the shapes do not agree.
pub fn product<R: Real>(x: Rows<'_, R>, w: &[R], start: Start<'_, R>, mut y: RowsMut<'_, R>) {
    let (k, n) = (x.cols(), y.cols());
    assert_eq!(w.len(), k * n, "size of w");
    for i in 0..y.rows() {
        for j in 0..n {
            let mut sum = first(start, &mut y, i, j);
            for p in 0..k {
                sum += x.row(i)[p] * w[p * n + j];
            }
            y.row_mut(i)[j] = sum;
        }
    }
}

/// y = start + x wᵀ: x is [B, k], `w` holds [n, k] row after row, y is [B, n].
///
/// # Panics
/// If the shapes do not agree.
pub fn product_transposed<R: Real>(x: Rows<'_, R>, w: &[R], start: Start<'_, R>, mut y: RowsMut<'_, R>) {
    let (k, n) = (x.cols(), y.cols());
    assert_eq!(w.len(), n * k, "size of w");
    for i in 0..y.rows() {
        for j in 0..n {
            let mut sum = first(start, &mut y, i, j);
            for p in 0..k {
                sum += x.row(i)[p] * w[j * k + p];
            }
            y.row_mut(i)[j] = sum;
        }
    }
}

/// What the sum of element (i, j) starts from.
fn first<R: Real>(start: Start<'_, R>, y: &mut RowsMut<'_, R>, i: usize, j: usize) -> R {
    match start {
        Start::Zero => R::ZERO,
        Start::Bias(bias) => bias[j],
        Start::Accumulate => y.row_mut(i)[j],
    }
}

/// d_w += xᵀ d_y and d_b += the column sums of d_y: x is [B, k], d_y is [B, n], `d_w` holds [k, n] row
/// after row, `d_b` has length n. The sums over the batch begin at zero and are added when they are done.
///
/// # Panics
/// If the shapes do not agree.
pub fn weight_gradient<R: Real>(x: Rows<'_, R>, d_y: Rows<'_, R>, d_w: &mut [R], d_b: &mut [R]) {
    let (k, n) = (x.cols(), d_y.cols());
    assert_eq!((d_w.len(), d_b.len()), (k * n, n), "sizes of d_w and d_b");
    for j in 0..n {
        for p in 0..k {
            let mut sum = R::ZERO;
            for i in 0..d_y.rows() {
                sum += x.row(i)[p] * d_y.row(i)[j];
            }
            d_w[p * n + j] += sum;
        }
        let mut sum = R::ZERO;
        for i in 0..d_y.rows() {
            sum += d_y.row(i)[j];
        }
        d_b[j] += sum;
    }
}

/// Replaces each z of `y` by f(z), and writes f'(z) to `slope`; both [B, n]. Computed in f64, rounded once.
///
/// # Panics
/// If the shapes differ.
pub fn activate<R: Real>(activation: Activation, mut y: RowsMut<'_, R>, mut slope: RowsMut<'_, R>) {
    assert_eq!((y.rows(), y.cols()), (slope.rows(), slope.cols()), "shapes of value and slope");
    for i in 0..y.rows() {
        for (y, slope) in y.row_mut(i).iter_mut().zip(slope.row_mut(i)) {
            let (value, derivative) = value_and_slope(activation, y.to_f64());
            *y = R::from_f64(value);
            *slope = R::from_f64(derivative);
        }
    }
}

/// f(z) and f'(z) of an activation, for finite z.
///
/// # Example
/// ```
/// use pushforward::kernel::{Activation, naive};
///
/// let (value, slope) = naive::value_and_slope(Activation::Silu, 0.0);
/// assert!(value.abs() < 1e-15 && (slope - 0.5).abs() < 1e-15);
/// ```
#[must_use]
pub fn value_and_slope(activation: Activation, z: f64) -> (f64, f64) {
    let s = 1.0 / (1.0 + (-z).exp());
    match activation {
        Activation::Silu => (z * s, s * (1.0 + z * (1.0 - s))),
        Activation::Gelu => (z * normal_cdf(z), normal_cdf(z) + z * (-z * z / 2.0).exp() / (2.0 * PI).sqrt()),
        Activation::Tanh => (z.tanh(), 1.0 / (z.cosh() * z.cosh())),
        Activation::Relu if z > 0.0 => (z, 1.0),
        Activation::Relu => (0.0, 0.0),
        Activation::Selu if z > 0.0 => (SELU_SCALE * z, SELU_SCALE),
        Activation::Selu => (SELU_SCALE_ALPHA * z.exp_m1(), SELU_SCALE_ALPHA * z.exp()),
        Activation::Softplus => (z.max(0.0) + (-z.abs()).exp().ln_1p(), s),
    }
}

/// Phi(x) = erfc(-x / sqrt 2) / 2, the distribution function of N(0, 1).
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// erf(x) = 2/sqrt(pi) times the integral of e^(-s²) over s from 0 to x.
#[must_use]
pub fn erf(x: f64) -> f64 {
    if x.abs() > 1.0 {
        return 1.0_f64.copysign(x) * (1.0 - erfc(x.abs()));
    }
    // 2/sqrt(pi) e^(-x²) (x + 2 x³ / 3 + 4 x⁵ / (3 · 5) + ...): all terms have the same sign.
    let (mut term, mut sum) = (x, x);
    for n in 1..40 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

/// erfc(x) = 1 - erf(x), without cancellation for large x.
#[must_use]
pub fn erfc(x: f64) -> f64 {
    if x.abs() <= 1.0 {
        return 1.0 - erf(x);
    }
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    // e^(-x²)/sqrt(pi) · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...)))), from the inside out.
    let mut below = x;
    for n in (1..200).rev() {
        below = x + 0.5 * f64::from(n) / below;
    }
    (-x * x).exp() / (PI.sqrt() * below)
}

/// Multiplies row i of `y` by row i modulo B of `by`, number by number; `by` is [B, n].
///
/// # Panics
/// If the columns differ.
pub fn multiply<R: Real>(by: Rows<'_, R>, mut y: RowsMut<'_, R>) {
    assert_eq!(by.cols(), y.cols(), "columns of the factors");
    for i in 0..y.rows() {
        for j in 0..y.cols() {
            y.row_mut(i)[j] *= by.row(i % by.rows())[j];
        }
    }
}

/// Multiplies row i of `by`, [B, n], into each row i K + k of `y`, [K B, n]; with `from` it is row k of that which is multiplied.
///
/// # Panics
/// If the columns differ.
pub fn multiply_each<R: Real>(by: Rows<'_, R>, from: Option<Rows<'_, R>>, mut y: RowsMut<'_, R>) {
    assert_eq!(by.cols(), y.cols(), "columns of the factors");
    let times = y.rows() / by.rows().max(1);
    for i in 0..y.rows() {
        for j in 0..y.cols() {
            let factor = from.map_or(y.row_mut(i)[j], |from| from.row(i % times)[j]);
            y.row_mut(i)[j] = by.row(i / times)[j] * factor;
        }
    }
}

/// |u - target|² of each row, the squares added in f64; u and target are [B, n], `squares` is [B, 1].
pub fn squared_distances<R: Real>(u: Rows<'_, R>, target: Rows<'_, R>, mut squares: RowsMut<'_, R>) {
    for i in 0..u.rows() {
        let differences = u.row(i).iter().zip(target.row(i)).map(|(&u, &v)| (u - v).to_f64());
        squares.row_mut(i)[0] = R::from_f64(differences.map(|e| e * e).sum());
    }
}

/// The sum of a.
#[must_use]
pub fn sum<R: Real>(a: &[R]) -> f64 {
    a.iter().map(|a| a.to_f64()).sum()
}

/// The sum of a².
#[must_use]
pub fn sum_squares<R: Real>(a: &[R]) -> f64 {
    a.iter().map(|a| a.to_f64() * a.to_f64()).sum()
}

/// The sum of a b.
#[must_use]
pub fn dot<R: Real>(a: &[R], b: &[R]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum()
}

/// For each i the sum of rows i K .. (i + 1) K of a times the K rows of b, number by number, in f64; a is [K B, n], b is [K, n].
///
/// # Panics
/// If the columns differ.
pub fn sum_products<R: Real>(a: Rows<'_, R>, b: Rows<'_, R>, sums: &mut [f64]) {
    assert_eq!(a.cols(), b.cols(), "columns of the factors");
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = (0..b.rows()).map(|k| dot(a.row(i * b.rows() + k), b.row(k))).sum();
    }
}

/// The plain double loop of [`super::posteriors()`]: all distances, then all weights, then the sums.
///
/// # Panics
/// If the shapes do not fit, or there are no points.
pub fn posteriors(
    points: Rows<'_, f64>,
    x: Rows<'_, f64>,
    queries: &mut [Posterior],
    mut means: RowsMut<'_, f64>,
) {
    for (i, query) in queries.iter_mut().enumerate() {
        let distance = |point: &[f64]| -> f64 {
            x.row(i).iter().zip(point).map(|(x, p)| (query.alpha * p - x) * (query.alpha * p - x)).sum()
        };
        let s: Vec<f64> = (0..points.rows()).map(|k| distance(points.row(k))).collect();
        let least = s.iter().copied().fold(f64::INFINITY, f64::min);
        let w: Vec<f64> = s.iter().map(|s| (-query.sharpness * (s - least)).exp()).collect();
        (query.least, query.total) = (least, w.iter().sum());
        query.spread = w.iter().zip(&s).map(|(w, s)| w * (s - least)).sum::<f64>() / query.total;
        for (j, mean) in means.row_mut(i).iter_mut().enumerate() {
            *mean = (0..points.rows()).map(|k| w[k] * points.row(k)[j]).sum::<f64>() / query.total;
        }
    }
}

/// One step of Adam with decoupled weight decay, number by number, as [`super::adam()`].
///
/// # Panics
/// If the lengths differ.
pub fn adam<R: Real>(step: &AdamStep, gradient: &[R], state: AdamState<'_, R>) {
    let AdamStep { lr, beta_1, beta_2, epsilon, weight_decay, .. } = *step;
    for i in 0..gradient.len() {
        let g = step.gradient_scale * gradient[i].to_f64();
        let theta = state.theta[i].to_f64();
        let m = beta_1 * state.m[i].to_f64() + (1.0 - beta_1) * g;
        let v = beta_2 * state.v[i].to_f64() + (1.0 - beta_2) * g * g;
        let direction = (m / step.correction_1) / ((v / step.correction_2).sqrt() + epsilon);
        if let Some(decay) = step.ema_decay {
            state.average[i] = R::from_f64(decay * state.average[i].to_f64() + (1.0 - decay) * theta);
        }
        state.previous[i] = state.theta[i];
        state.theta[i] = R::from_f64(theta - lr * weight_decay * theta - lr * direction);
        state.m[i] = R::from_f64(m);
        state.v[i] = R::from_f64(v);
    }
}

/// gradient = the sum of the slots in their order, number by number; returns the sum of its squares.
///
/// # Panics
/// If the lengths differ.
pub fn sum_slots<R: Real>(slots: &[&[R]], gradient: &mut [R]) -> f64 {
    for (i, gradient) in gradient.iter_mut().enumerate() {
        *gradient = R::ZERO;
        for slot in slots {
            *gradient += slot[i];
        }
    }
    sum_squares(gradient)
}
