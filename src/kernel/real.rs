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
    /// Number of Taylor terms after the constant that exp needs on |r| <= ln 2 / 2.
    #[doc(hidden)]
    const EXP_TERMS: usize;
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
}

macro_rules! real {
    ($t:ident, $portable:ty, $avx2:literal, $avx512:literal, $mantissa:literal, $bias:literal, $ln_2:expr, $terms:expr) => {
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
            const EXP_TERMS: usize = $terms[0];
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
        }
    };
}

// Terms: the first one left out is below a quarter of the unit roundoff.
// exp:  0.3466^8 / 8! = 5e-9 (f32: 6e-8), 0.3466^14 / 14! = 4e-18 (f64: 1.1e-16).
// ln:   (1/9)^8 / 17 = 1.4e-9, (1/9)^17 / 35 = 1.7e-18, relative to the first.
// erfc: the table in math.rs: 6e-11 after 14, 5e-18 after 27.
// ln 2: 355 / 512 for f32 (9 bits), 32 bits for f64 (W. Cody, W. Waite, 1980), and what is left.
real!(f32, Wide8, 8, 16, 23, 127.0, [0.693_359_375, -2.121_944_400_546_905_8e-4], [7, 8, 15]);
real!(f64, Wide4, 4, 8, 52, 1023.0, [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10], [13, 17, 27]);
