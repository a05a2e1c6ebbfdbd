//! [`Real`]: the two number types that everything is generic over, f32 to train and f64 to audit.
//!
//! The trait stands beside the kernels because a `Real` is exactly a number that the kernels have
//! lanes for: one bound on a generic function gives it the scalar and its SIMD forms.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use super::lane::{Array, Lane, Wide4, Wide8};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point number type: `f32` or `f64`.
pub trait Real:
    sealed::Sealed
    + Copy
    + Debug
    + Display
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
{
    /// The lanes of the portable SIMD level.
    #[doc(hidden)]
    type Portable: Lane<Real = Self>;
    /// The lanes of AVX2 with fused multiply-add.
    #[doc(hidden)]
    type Avx2: Lane<Real = Self>;
    /// The lanes of AVX-512.
    #[doc(hidden)]
    type Avx512: Lane<Real = Self>;

    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The word for this type in files: `f32` or `f64`.
    const NAME: &'static str;
    /// Unit roundoff: half the distance from 1 to the next larger number.
    const ROUNDOFF: f64;
    /// Number of explicit bits of the significand: 23 or 52.
    #[doc(hidden)]
    const MANTISSA_BITS: u32;
    /// Bias of the exponent: 127 or 1023.
    #[doc(hidden)]
    const EXPONENT_BIAS: f64;
    /// ln 2 in two parts: the first has so few bits that its product with an exponent is exact.
    #[doc(hidden)]
    const LN_2: [f64; 2];
    /// The coefficients of (e^r - 1) / r on |r| <= ln 2 / 2, from that of r^0 on.
    #[doc(hidden)]
    const EXP: &'static [f64];
    /// What the bits of d are taken from for a guess at 1 / d.
    #[doc(hidden)]
    const RECIPROCAL: Self;
    /// Steps of Newton's method that a guess needs which is right to 1.3e-4.
    #[doc(hidden)]
    const NEWTON_STEPS: usize;
    /// Number of terms that ln(1 + y), y in [0, 1], needs.
    #[doc(hidden)]
    const LN_TERMS: usize;
    /// Number of Chebyshev terms that erfc needs.
    #[doc(hidden)]
    const ERFC_TERMS: usize;

    /// Rounds to the nearest number of this type.
    fn from_f64(x: f64) -> Self;
    /// Converts without loss.
    fn to_f64(self) -> f64;
    /// Whether this is neither NaN nor infinite.
    fn is_finite(self) -> bool;
    /// The product self x a plus b, rounded once.
    #[doc(hidden)]
    fn fused(self, a: Self, b: Self) -> Self;
    /// The square root, correctly rounded.
    #[must_use]
    fn sqrt(self) -> Self;
    /// Moves the low bits of the significand into the exponent (see `kernel::math::exp`).
    #[doc(hidden)]
    #[must_use]
    fn shift_to_exponent(self) -> Self;
    /// The sum of the bits, as of whole numbers.
    #[doc(hidden)]
    #[must_use]
    fn add_bits(self, b: Self) -> Self;
    /// The difference of the bits, as of whole numbers.
    #[doc(hidden)]
    #[must_use]
    fn sub_bits(self, b: Self) -> Self;
}

macro_rules! real {
    ($t:ident, $portable:ty, $avx2:literal, $avx512:literal, $mantissa:literal, $bias:literal, $ln_2:expr, $exp:expr, $reciprocal:expr, $terms:expr) => {
        impl Real for $t {
            type Portable = $portable;
            type Avx2 = Array<$t, $avx2, true>;
            type Avx512 = Array<$t, $avx512, true>;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NAME: &'static str = stringify!($t);
            #[allow(clippy::cast_lossless, reason = "one of the two types is f64 itself")]
            const ROUNDOFF: f64 = $t::EPSILON as f64 / 2.0;
            const MANTISSA_BITS: u32 = $mantissa;
            const EXPONENT_BIAS: f64 = $bias;
            const LN_2: [f64; 2] = $ln_2;
            const EXP: &'static [f64] = &$exp;
            const RECIPROCAL: Self = $t::from_bits($reciprocal);
            const NEWTON_STEPS: usize = $terms[0];
            const LN_TERMS: usize = $terms[1];
            const ERFC_TERMS: usize = $terms[2];
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "rounding is what this is for")]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            #[allow(clippy::cast_lossless, reason = "one of the two types is f64 itself")]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            #[inline(always)]
            fn fused(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn shift_to_exponent(self) -> Self {
                $t::from_bits(self.to_bits() << $mantissa)
            }
            #[inline(always)]
            fn add_bits(self, b: Self) -> Self {
                $t::from_bits(self.to_bits().wrapping_add(b.to_bits()))
            }
            #[inline(always)]
            fn sub_bits(self, b: Self) -> Self {
                $t::from_bits(self.to_bits().wrapping_sub(b.to_bits()))
            }
        }
    };
}

// ln and erfc: the first term left out is below a quarter of the unit roundoff:
// ln:   (1/9)^8 / 17 = 1.4e-9, (1/9)^17 / 35 = 1.7e-18, relative to the first.
// erfc: the table in math.rs: 6e-11 after 14, 5e-18 after 27.
// ln 2: 355 / 512 for f32 (9 bits), 32 bits for f64 (W. Cody, W. Waite, 1980), and what is left.
// Newton: from a relative error of 1.3e-4 one step leaves 1.7e-8, two leave 2.8e-16: a quarter of the roundoff of f32, two
// of f64, and a third one nothing.
real!(
    f32,
    Wide8,
    8,
    16,
    23,
    127.0,
    [0.693_359_375, -2.121_944_400_546_905_8e-4],
    EXP_F32,
    RECIPROCAL_F32,
    [1, 8, 15]
);
real!(
    f64,
    Wide4,
    4,
    8,
    52,
    1023.0,
    [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10],
    EXP_F64,
    RECIPROCAL_F64,
    [3, 17, 27]
);

/// The polynomial of degree 5 that begins with 1 and whose error, times r / e^r, is least on |r| <= 0.3473: 3.1e-9, a
/// twentieth of the roundoff. Found by linear programming over 4000 Chebyshev points.
const EXP_F32: [f64; 6] = [
    1.0,
    0.499_999_934_035_849_3,
    0.166_665_195_120_395_4,
    0.041_668_393_444_502_53,
    0.008_368_851_122_864_156,
    0.001_381_473_527_984_707_2,
];

/// Taylor's, 1 / (k + 1)!: the first one left out is 0.3466^14 / 14! = 4e-18.
const EXP_F64: [f64; 13] = {
    let mut table = [1.0; 13];
    let mut k = 1;
    while k < 13 {
        table[k] = table[k - 1] / (k + 1) as f64;
        k += 1;
    }
    table
};

/// For bits 2^23 (127 + n) + m of d = 2^n (1 + m / 2^23), this minus the bits is about 1 / d: the logarithm is nearly linear
/// between powers of 2. The error is between -5.06 and 5.06 % with the offset that balances it, found by trying them all
/// over 40,000 numbers.
const RECIPROCAL_F32: u32 = 0x7ef3_1200;
/// The same with 52 bits and 1023.
const RECIPROCAL_F64: u64 = 0x7fde_6240_0000_0000;
