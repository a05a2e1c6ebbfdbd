//! [`Simd`]: which instructions the kernels use, chosen when the program runs.
//!
//! This is the one file of the crate that contains `unsafe`: calling a function that was compiled
//! for AVX2 or AVX-512 is undefined on a CPU without them. It is sound because a [`Simd`] of such a
//! level can only be made by asking the CPU first ([`Simd::of`], [`Simd::detect`]): its field is
//! private, so holding the value proves that the instructions exist. The other use is [`prefetch`], a hint that reads and
//! writes nothing.
//!
//! A kernel is a struct that implements [`Kernel`]: generic over the lane, `#[inline(always)]`, so
//! that its whole body is compiled inside the function that enables the instructions.

use std::fmt;
use std::str::FromStr;

use super::lane::Lane;
use super::real::Real;
use crate::error::{Error, Result};

/// A SIMD level, in the word that flags, files and models use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SimdLevel {
    /// The same bits on every CPU: products and sums are rounded one by one.
    Portable,
    /// AVX2 with fused multiply-add (x86-64 since 2013).
    Avx2,
    /// AVX-512 (x86-64, foundation set).
    Avx512,
}

impl SimdLevel {
    /// The word: `portable`, `avx2` or `avx512`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for SimdLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for SimdLevel {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "portable" => Ok(Self::Portable),
            "avx2" => Ok(Self::Avx2),
            "avx512" => Ok(Self::Avx512),
            _ => {
                Err(Error::Unknown { what: "SIMD level", word: word.into(), known: "portable, avx2, avx512" })
            }
        }
    }
}

/// The proof that this CPU can run a SIMD level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simd(SimdLevel);

impl Simd {
    /// The level that runs everywhere.
    #[must_use]
    pub fn portable() -> Self {
        Self(SimdLevel::Portable)
    }

    /// The fastest level that this CPU has.
    #[must_use]
    pub fn detect() -> Self {
        let fastest_first = [SimdLevel::Avx512, SimdLevel::Avx2];
        Self(fastest_first.into_iter().find(|&level| has(level)).unwrap_or(SimdLevel::Portable))
    }

    /// The level asked for.
    ///
    /// # Errors
    /// [`Error::Simd`] if this CPU does not have it.
    pub fn of(level: SimdLevel) -> Result<Self> {
        if has(level) {
            return Ok(Self(level));
        }
        let available = if has(SimdLevel::Avx2) { "portable, avx2" } else { "portable" };
        Err(Error::Simd { level: level.word(), available })
    }

    /// Which level this is.
    #[must_use]
    pub fn level(self) -> SimdLevel {
        self.0
    }

    /// Runs a kernel with the lanes of this level.
    #[inline]
    pub(super) fn run<R: Real, K: Kernel<R>>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            #[allow(
                unsafe_code,
                reason = "the CPU was asked when this Simd was made: see the head of the file"
            )]
            SimdLevel::Avx2 => unsafe { avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            #[allow(
                unsafe_code,
                reason = "the CPU was asked when this Simd was made: see the head of the file"
            )]
            SimdLevel::Avx512 => unsafe { avx512(kernel) },
            _ => kernel.run::<R::Portable>(),
        }
    }
}

/// Asks for the line of the cache on which a slice begins, long before it is needed. It changes nothing but the time.
#[inline(always)]
#[allow(unsafe_code, reason = "a prefetch takes a raw pointer, and never faults whatever it is")]
pub(crate) fn prefetch<R>(from: &[R]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64, and the instruction has no effect that a program could see.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Work that is written once over lanes.
pub(super) trait Kernel<R: Real> {
    /// What it returns.
    type Output;
    /// Does it. Implementations are `#[inline(always)]`.
    fn run<L: Lane<Real = R>>(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
fn has(level: SimdLevel) -> bool {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    match level {
        SimdLevel::Portable => true,
        SimdLevel::Avx2 => avx2,
        SimdLevel::Avx512 => avx2 && is_x86_feature_detected!("avx512f"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn has(level: SimdLevel) -> bool {
    level == SimdLevel::Portable
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<R: Real, K: Kernel<R>>(kernel: K) -> K::Output {
    kernel.run::<R::Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn avx512<R: Real, K: Kernel<R>>(kernel: K) -> K::Output {
    kernel.run::<R::Avx512>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for level in [SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512] {
            assert_eq!(level.word().parse::<SimdLevel>().unwrap(), level);
        }
        assert!("sse9".parse::<SimdLevel>().is_err());
        assert_eq!(Simd::of(SimdLevel::Portable).unwrap(), Simd::portable());
    }
}
