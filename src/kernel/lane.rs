//! [`Lane`]: a fixed number of reals that one instruction handles together.
//!
//! Every kernel is written once over this trait. [`Wide8`] and [`Wide4`] wrap the `wide` crate and
//! serve every CPU; they multiply and add with two roundings, so the portable level gives the same
//! bits everywhere. [`Array`] is a plain array whose loops the compiler turns into AVX2 or AVX-512
//! instructions when it is inlined into a function that has them enabled ([`super::dispatch`]): `wide`
//! chooses its instructions for the whole build, an array takes those of its caller. Arrays multiply
//! and add with one rounding (`f32::mul_add` is one instruction there).
//!
//! # Limits
//! That arrays end up in whole registers is the compiler's doing. Seen in the assembly of Rust 1.95 (no `vgather`, all
//! inner loops of products and activations on `ymm` or `zmm`), it rests on three habits: the rows of a
//! tile are written out and not looped over (`tile::add_outer`); a long formula is written over single numbers
//! ([`Lane::Single`]); and everything down to the last call is `#[inline(always)]`, no closures.

use wide::{f32x8, f64x4};

use super::Real;

/// How many numbers [`Lane::Streams`] are.
pub(super) const STREAMS: usize = 8;

/// A fixed number of reals.
pub trait Lane: Copy {
    /// What the lane is made of.
    type Real: Real;
    /// One number, rounded as this lane rounds: what a loop over independent numbers is written over.
    /// The compiler turns such a loop into full registers by itself, and better than it puts the
    /// numbers of a long formula over arrays back together, where it leaves some behind as scalars.
    type Single: Lane<Real = Self::Real>;
    /// [`STREAMS`] such numbers, one of each stream: every operation stands beside the same one of the other streams, so that a long
    /// chain of operations, each of which waits for the one before, does not keep the units of a core waiting.
    type Streams: Lane<Real = Self::Real>;
    /// How many.
    const WIDTH: usize;
    /// Rows of the register tile of a matrix product: as many as the registers of this level hold
    /// with two lanes a row.
    const TILE_ROWS: usize;

    /// The same number everywhere.
    fn splat(x: Self::Real) -> Self;
    /// The first `WIDTH` numbers of a slice.
    fn load(from: &[Self::Real]) -> Self;
    /// Writes the first `WIDTH` numbers of a slice.
    fn store(self, to: &mut [Self::Real]);
    /// -self; as a factor of [`Lane::mul_add`] it costs nothing where that is fused.
    fn neg(self) -> Self;
    /// self + b.
    fn add(self, b: Self) -> Self;
    /// self - b.
    fn sub(self, b: Self) -> Self;
    /// self x b.
    fn mul(self, b: Self) -> Self;
    /// self / b.
    fn div(self, b: Self) -> Self;
    /// self x a + b, rounded once or twice as the level does.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// `yes` where self < b, else `no` (also where either is NaN).
    fn select_less(self, b: Self, yes: Self, no: Self) -> Self;
    /// See [`Real::shift_to_exponent`].
    fn shift_to_exponent(self) -> Self;
    /// See [`Real::add_bits`].
    fn add_bits(self, b: Self) -> Self;
    /// See [`Real::sub_bits`].
    fn sub_bits(self, b: Self) -> Self;

    /// The constant `x`, rounded to this type.
    #[inline(always)]
    fn constant(x: f64) -> Self {
        Self::splat(Self::Real::from_f64(x))
    }
    /// The magnitude of each number.
    #[inline(always)]
    fn abs(self) -> Self {
        let zero = Self::splat(Self::Real::ZERO);
        self.select_less(zero, self.neg(), self)
    }
}

/// An array as a lane, that multiplies and adds with one rounding if it is `FUSED`.
#[derive(Debug, Clone, Copy)]
pub struct Array<R, const N: usize, const FUSED: bool>([R; N]);

impl<R: Real, const N: usize, const FUSED: bool> Array<R, N, FUSED> {
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(R, R) -> R) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl<R: Real, const N: usize, const FUSED: bool> Lane for Array<R, N, FUSED> {
    type Real = R;
    type Single = Array<R, 1, FUSED>;
    type Streams = Array<R, STREAMS, FUSED>;
    const WIDTH: usize = N;
    // 64 bytes a lane means 32 registers of AVX-512 (8 x 2 sums), 32 bytes the 16 of AVX2 (6 x 2).
    const TILE_ROWS: usize = if N * size_of::<R>() == 64 { 8 } else { 6 };

    #[inline(always)]
    fn splat(x: R) -> Self {
        Self([x; N])
    }
    #[inline(always)]
    fn load(from: &[R]) -> Self {
        let from = &from[..N];
        Self(std::array::from_fn(|i| from[i]))
    }
    #[inline(always)]
    fn store(self, to: &mut [R]) {
        to[..N].copy_from_slice(&self.0);
    }
    #[inline(always)]
    fn neg(self) -> Self {
        Self(self.0.map(|x| -x))
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.zip(b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.zip(b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.zip(b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        self.zip(b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        if FUSED {
            Self(std::array::from_fn(|i| self.0[i].fused(a.0[i], b.0[i])))
        } else {
            self.mul(a).add(b)
        }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(Real::sqrt))
    }
    #[inline(always)]
    fn select_less(self, b: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] < b.0[i] { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    fn shift_to_exponent(self) -> Self {
        Self(self.0.map(Real::shift_to_exponent))
    }
    #[inline(always)]
    fn add_bits(self, b: Self) -> Self {
        self.zip(b, Real::add_bits)
    }
    #[inline(always)]
    fn sub_bits(self, b: Self) -> Self {
        self.zip(b, Real::sub_bits)
    }
}

macro_rules! wide_lane {
    ($name:ident, $wide:ident, $real:ident, $width:literal) => {
        #[doc = concat!("`wide::", stringify!($wide), "` as a lane that never fuses.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name($wide);

        impl Lane for $name {
            type Real = $real;
            type Single = Array<$real, 1, false>;
            type Streams = Array<$real, STREAMS, false>;
            const WIDTH: usize = $width;
            // Plain x86-64 has 16 registers of 16 bytes: 2 rows of 2 lanes are 8 sums.
            const TILE_ROWS: usize = 2;

            #[inline(always)]
            fn splat(x: $real) -> Self {
                Self($wide::splat(x))
            }
            #[inline(always)]
            fn load(from: &[$real]) -> Self {
                let from = &from[..$width];
                Self($wide::new(std::array::from_fn(|i| from[i])))
            }
            #[inline(always)]
            fn store(self, to: &mut [$real]) {
                to[..$width].copy_from_slice(&self.0.to_array());
            }
            #[inline(always)]
            fn neg(self) -> Self {
                Self(-self.0)
            }
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                Self(self.0 + b.0)
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                Self(self.0 - b.0)
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                Self(self.0 * b.0)
            }
            #[inline(always)]
            fn div(self, b: Self) -> Self {
                Self(self.0 / b.0)
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                Self(self.0 * a.0 + b.0)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(self.0.sqrt())
            }
            #[inline(always)]
            fn select_less(self, b: Self, yes: Self, no: Self) -> Self {
                Self(self.0.simd_lt(b.0).bitselect(yes.0, no.0))
            }
            #[inline(always)]
            fn shift_to_exponent(self) -> Self {
                Self($wide::new(self.0.to_array().map(Real::shift_to_exponent)))
            }
            #[inline(always)]
            fn add_bits(self, b: Self) -> Self {
                let (a, b) = (self.0.to_array(), b.0.to_array());
                Self($wide::new(std::array::from_fn(|i| a[i].add_bits(b[i]))))
            }
            #[inline(always)]
            fn sub_bits(self, b: Self) -> Self {
                let (a, b) = (self.0.to_array(), b.0.to_array());
                Self($wide::new(std::array::from_fn(|i| a[i].sub_bits(b[i]))))
            }
        }
    };
}

wide_lane!(Wide8, f32x8, f32, 8);
wide_lane!(Wide4, f64x4, f64, 4);

#[cfg(test)]
mod tests {
    use super::super::dispatch::{Kernel, Simd, SimdLevel};
    use super::*;

    /// x a + b of both lanes of a level.
    struct MulAdd<R>([R; 3]);

    impl<R: Real> Kernel<R> for MulAdd<R> {
        type Output = [R; 2];
        #[inline(always)]
        fn run<L: Lane<Real = R>>(self) -> [R; 2] {
            let [x, a, b] = self.0;
            let mut out = [[R::ZERO; 16]; 2];
            L::splat(x).mul_add(L::splat(a), L::splat(b)).store(&mut out[0]);
            L::Single::splat(x).mul_add(L::Single::splat(a), L::Single::splat(b)).store(&mut out[1]);
            out.map(|lane| lane[0])
        }
    }

    fn check<R: Real>(simd: Simd) {
        // (1 + 2u)(1 - 2u) - 1 is -4u², and 0 where the product is rounded first.
        let u = R::ROUNDOFF;
        let got = simd.run(MulAdd([1.0 + 2.0 * u, 1.0 - 2.0 * u, -1.0].map(R::from_f64)));
        let expected = if simd.level() == SimdLevel::Portable { 0.0 } else { -4.0 * u * u };
        assert_eq!(got.map(|x| x.to_f64().to_bits()), [expected; 2].map(f64::to_bits), "{}", simd.level());
    }

    #[test]
    fn every_level_fuses_but_the_portable_one() {
        for level in [SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512] {
            if let Ok(simd) = Simd::of(level) {
                check::<f32>(simd);
                check::<f64>(simd);
            }
        }
    }
}
