//! exp and its relatives over lanes: no branches, no tables, the same code for f32 and f64.
//!
//! # Math
//! ```text
//! exp x      n = round(x / ln 2), r = x - n ln 2, exp x = 2^n (1 + r q(r)), q near (e^r - 1)/r (see `Real::EXP`)
//! exp x - 1  2^n r q(r) + (2^n - 1)
//! ln(1 + y)  2 (s + s^3/3 + s^5/5 + ...), s = y / (2 + y), for y in [0, 1]
//! erfc x     t exp(-x^2) (c_0/2 + sum c_j T_j(2 t - 1)), t = 2 / (2 + x), for x >= 0
//! ```
//!
//! # Limits
//! exp saturates where its result would leave the normal numbers: at about 2^-126.5 and 2^127.5 for f32
//! (x < -87.6, x > 88.3), at 2^-1022.5 and 2^1023.5 for f64; so Phi ends at a tiny number instead of 0, and
//! 1 / (1 + e^-x) at 2^-125.5 for f32 (x < -86.98), 2^-1021.5 for f64 (x < -708.0). The NaN that arithmetic makes
//! stays NaN (one whose payload was chosen may become a number in the logistic function), the sign of a zero is not kept. Greatest errors in units in the last place at any level, against the standard library in f64: of every
//! f32 there is (Phi: of a dense grid), and over dense grids of f64 (tests/functions.rs holds them):
//! ```text
//!                 f32    f64
//! exp             1.18   1
//! exp x - 1       2.09   2
//! ln(1 + y)       2.9    3
//! 1 / (1 + e^-x)  3.06   2
//! Phi             4.2    6.9     times 1 + x² for x < 0, because e^(-x²/2) magnifies the roundoff of x²
//! ```
//!
//! # Source
//! Range reduction in two parts: W. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
//! The Chebyshev coefficients of erfc were computed for this file from its definition with 40 digits.

use super::lane::Lane;
use super::real::Real;

/// Chebyshev coefficients of erfc(x) exp(x^2) / t in 2 t - 1, t = 2 / (2 + x).
const ERFC: [f64; 27] = [
    1.154_067_477_232_939_3,
    0.355_436_921_270_498_5,
    0.065_095_158_828_786_53,
    0.003_671_142_395_836_639_6,
    -0.001_112_844_743_352_632_7,
    -0.000_160_758_299_153_780_6,
    3.278_031_574_173_116e-5,
    5.442_441_645_505_225_5e-6,
    -1.515_466_555_317_356_6e-6,
    -1.429_760_818_111_491e-7,
    8.234_608_827_398_864e-8,
    -1.296_284_685_025_690_5e-9,
    -4.154_721_631_218_711e-9,
    6.347_058_280_382_169e-10,
    1.432_082_269_223_244e-10,
    -6.160_390_085_362_664e-11,
    2.061_213_658_991_064_7e-12,
    3.571_493_443_272_341_5e-12,
    -8.586_424_765_762_349e-13,
    -6.145_581_217_623_772e-14,
    7.418_706_992_811_008e-14,
    -1.289_485_771_396_657_7e-14,
    -2.358_908_798_524_223_6e-15,
    1.573_114_612_851_367_3e-15,
    -2.280_064_907_181_152_4e-16,
    -6.294_942_905_980_879e-17,
    3.574_594_569_502_261_4e-17,
];

/// The parts of exp: 2^n and r q(r), for x between the ends of [`exp`].
#[inline(always)]
fn exp_parts<L: Lane>(x: L) -> (L, L) {
    let (shifted, r, q) = exp_pieces(x);
    (shifted.add(L::constant(L::Real::EXPONENT_BIAS)).shift_to_exponent(), r.mul(q))
}

/// The pieces of exp: a number whose lowest bits are n, r, and q(r).
#[inline(always)]
fn exp_pieces<L: Lane>(x: L) -> (L, L, L) {
    let ln_2 = std::f64::consts::LN_2;
    // Adding 1.5 x 2^mantissa leaves n in the low bits of the significand: rounding and conversion at once.
    let magic = L::constant(1.5 * f64::from(2.0_f32).powi(L::Real::MANTISSA_BITS.cast_signed()));
    let shifted = x.mul_add(L::constant(1.0 / ln_2), magic);
    let n = shifted.sub(magic);
    let r = n.mul_add(L::constant(-L::Real::LN_2[0]), x);
    let r = n.mul_add(L::constant(-L::Real::LN_2[1]), r);
    let mut terms = L::Real::EXP.iter().rev();
    let mut q = L::constant(terms.next().copied().unwrap_or_default());
    for &c in terms {
        q = q.mul_add(r, L::constant(c));
    }
    (shifted, r, q)
}

/// The x for which e^x is 2^exponent, and nearly half an octave `more`: so that n is never rounded to an exponent beyond it.
#[inline(always)]
fn end<L: Lane>(exponent: f64, more: f64) -> L {
    L::constant((exponent + more) * std::f64::consts::LN_2)
}

/// x where exp has a result.
#[inline(always)]
fn within_exp<L: Lane>(x: L) -> L {
    let bias = L::Real::EXPONENT_BIAS;
    let (low, high) = (end::<L>(1.0 - bias, -0.49), end::<L>(bias, 0.49));
    let x = x.select_less(low, low, x);
    high.select_less(x, high, x)
}

/// e^x.
#[inline(always)]
pub(super) fn exp<L: Lane>(x: L) -> L {
    let (power, rest) = exp_parts(within_exp(x));
    power.mul_add(rest, power)
}

/// e^x - 1, without cancellation near 0.
#[inline(always)]
pub(super) fn exp_m1<L: Lane>(x: L) -> L {
    let (power, rest) = exp_parts(within_exp(x));
    power.mul_add(rest, power.sub(L::splat(L::Real::ONE)))
}

/// ln(1 + y) for y in [0, 1].
#[inline(always)]
pub(super) fn ln_1p<L: Lane>(y: L) -> L {
    let s = y.div(y.add(L::constant(2.0)));
    let square = s.mul(s);
    let mut sum = L::constant(0.0);
    for k in (0..L::Real::LN_TERMS).rev() {
        #[allow(clippy::cast_precision_loss, reason = "small whole numbers")]
        let term = 2.0 / (2 * k + 1) as f64;
        sum = sum.mul_add(square, L::constant(term));
    }
    sum.mul(s)
}

/// 1 / (1 + e^-x) for x from [`sigmoid_end`] on.
#[inline(always)]
pub(super) fn sigmoid_above_end<L: Lane>(x: L) -> L {
    let (one, high) = (L::splat(L::Real::ONE), end::<L>(L::Real::EXPONENT_BIAS - 2.0, 0.49));
    let (shifted, r, q) = exp_pieces(high.select_less(x, high, x).neg());
    // The units that multiply are the busy ones: times 2^n by adding n to the exponent, which is above 1 for each n here.
    reciprocal(r.mul_add(q, one).add_bits(shifted.shift_to_exponent()).add(one))
}

/// max(x, the number from which on the logistic function is found): below it, 1 + e^-x has a reciprocal that is no normal
/// number.
#[inline(always)]
pub(super) fn sigmoid_end<L: Lane>(x: L) -> L {
    let low = end::<L>(2.0 - L::Real::EXPONENT_BIAS, -0.49);
    x.select_less(low, low, x)
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(super) fn sigmoid<L: Lane>(x: L) -> L {
    sigmoid_above_end(sigmoid_end(x))
}

/// 1 / d for d from 1 to 2^(bias - 1.5), without a division: that takes as long as all the rest of a logistic function.
///
/// ```text
/// y_0 = bits of a constant - bits of d        off by at most e = 1 - d y_0, |e| < 5.06 %
/// y_1 = y_0 (1 + e + e²)                      off by e³: 1.3e-4
/// y   = y + y (1 - d y)                       Newton's method, squares the error; once or twice
/// ```
#[inline(always)]
fn reciprocal<L: Lane>(d: L) -> L {
    let (minus, one) = (d.neg(), L::splat(L::Real::ONE));
    let y = L::splat(L::Real::RECIPROCAL).sub_bits(d);
    let e = minus.mul_add(y, one);
    let mut y = y.mul_add(e.mul_add(e, e), y);
    for _ in 0..L::Real::NEWTON_STEPS {
        y = y.mul_add(minus.mul_add(y, one), y);
    }
    y
}

/// Phi(x), the distribution function of N(0, 1), and e^(-x²/2).
#[inline(always)]
pub(super) fn normal_cdf<L: Lane>(x: L) -> (L, L) {
    let (zero, one, half) = (L::constant(0.0), L::splat(L::Real::ONE), L::constant(0.5));
    let magnitude = x.abs();
    let bell = exp(zero.sub(half).mul(x).mul(x));
    // erfc(|x| / sqrt 2), by Clenshaw's recurrence.
    let t = one.div(magnitude.mul_add(L::constant(0.5 * std::f64::consts::FRAC_1_SQRT_2), one));
    let y = t.add(t).sub(one);
    let (mut b_1, mut b_2) = (zero, zero);
    for &c in ERFC[1..L::Real::ERFC_TERMS].iter().rev() {
        let b_0 = y.add(y).mul_add(b_1, L::constant(c).sub(b_2));
        (b_1, b_2) = (b_0, b_1);
    }
    let series = y.mul_add(b_1, L::constant(0.5 * ERFC[0]).sub(b_2));
    let upper = half.mul(bell).mul(t).mul(series); // Phi(-|x|)
    (x.select_less(zero, upper, one.sub(upper)), bell)
}
