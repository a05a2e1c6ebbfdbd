//! [`Activation`] and the other functions that are applied number by number.
//!
//! # Math
//! With s(z) = 1 / (1 + e^-z), Phi and phi the distribution function and density of N(0, 1),
//! l = 1.0507..., a = 1.6732... :
//! ```text
//! silu      z s(z)                              slope  s (1 + z (1 - s))
//! gelu      z Phi(z)                            slope  Phi + z phi
//! tanh      tanh z                              slope  1 / cosh^2 z
//! relu      max(z, 0)                           slope  1 where z > 0, else 0
//! selu      l z where z > 0, else l a (e^z - 1) slope  l, else l a e^z
//! softplus  ln(1 + e^z)                         slope  s
//! ```
//!
//! What is done differently from [`super::naive`]:
//! 1. exp and its relatives are those of `math.rs`, in the type itself and not in f64.
//! 2. A number is the end of a chain of some twenty operations, each of which waits four cycles for the one before. Eight
//!    streams of numbers are taken side by side, so that a core always has one that need not wait ([`Lane::Streams`]); loops
//!    over single numbers keep the lanes full (`lane.rs`).
//! 3. SiLU divides by multiplying with a reciprocal (`math.rs`). With 2, on one AVX-512 core: value and slope 0.21 ns -> 0.18 ns
//!    a number, value alone 0.16 -> 0.15; without AVX 1.26 -> 1.06.
//! 4. Rows without padding are one long row.
//!
//! # Source
//! The definitions of PyTorch 2 (`gelu` is the exact one, not the tanh approximation; `softplus` has
//! beta = 1 and no switch to the identity at z = 20, a difference of at most 2.1e-9); SELU's constants:
//! Klambauer et al. 2017, arXiv:1706.02515.

use std::fmt;
use std::slice::from_mut;
use std::str::FromStr;

use super::dispatch::{Kernel, Simd};
use super::lane::{Lane, STREAMS};
use super::math;
use super::real::Real;
use super::rows::{Rows, RowsMut};
use crate::error::{Error, Result};

/// The function between the layers of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Activation {
    /// z s(z), s the logistic function.
    #[default]
    Silu,
    /// z Phi(z), Phi the distribution function of N(0, 1).
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
    /// max(z, 0).
    Relu,
    /// Scaled exponential linear unit.
    Selu,
    /// ln(1 + e^z).
    Softplus,
}

/// SELU's scale.
pub(super) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// SELU's scale times its alpha, 1.6732632423543772.
pub(super) const SELU_SCALE_ALPHA: f64 = 1.758_099_340_847_376_6;

impl Activation {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Silu, Self::Gelu, Self::Tanh, Self::Relu, Self::Selu, Self::Softplus];

    /// The word: `silu`, `gelu`, `tanh`, `relu`, `selu` or `softplus`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::Selu => "selu",
            Self::Softplus => "softplus",
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|a| a.word() == word).ok_or_else(|| Error::Unknown {
            what: "activation",
            word: word.into(),
            known: "silu, gelu, tanh, relu, selu, softplus",
        })
    }
}

/// Replaces each z of `y` by f(z), and writes f'(z) to `slope`; both [B, n].
///
/// # Panics
/// If the shapes differ.
pub fn activate<R: Real>(simd: Simd, activation: Activation, y: RowsMut<'_, R>, slope: RowsMut<'_, R>) {
    assert_eq!((y.rows(), y.cols()), (slope.rows(), slope.cols()), "shapes of value and slope");
    simd.run(Activate { activation, y, slope });
}

/// Replaces each z of `y`, [B, n], by f(z): the same bits as [`activate`] gives.
pub fn apply<R: Real>(simd: Simd, activation: Activation, y: RowsMut<'_, R>) {
    simd.run(Apply { activation, y });
}

struct Apply<'a, R> {
    activation: Activation,
    y: RowsMut<'a, R>,
}

impl<R: Real> Kernel<R> for Apply<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { activation, y } = self;
        match activation {
            Activation::Silu => values::<L, Silu>(y),
            Activation::Gelu => values::<L, Gelu>(y),
            Activation::Tanh => values::<L, Tanh>(y),
            Activation::Relu => values::<L, Relu>(y),
            Activation::Selu => values::<L, Selu>(y),
            Activation::Softplus => values::<L, Softplus>(y),
        }
    }
}

/// Numbers of a stream; there are [`STREAMS`] of them.
const STREAM: usize = 64;

#[inline(always)]
fn values<L: Lane, C: Curve>(mut y: RowsMut<'_, L::Real>) {
    if y.cols == y.stride {
        // Rows without padding are one long row.
        return row_values::<L, C>(y.data);
    }
    for i in 0..y.rows() {
        row_values::<L, C>(y.row_mut(i));
    }
}

/// A block cut into its streams.
#[inline(always)]
fn streams<R>(block: &mut [R; STREAM * STREAMS]) -> &mut [[R; STREAM]; STREAMS] {
    let (streams, _) = block.as_chunks_mut::<STREAM>();
    #[allow(clippy::expect_used, reason = "both lengths are constants")]
    streams.try_into().expect("a block consists of its streams")
}

#[inline(always)]
fn row_values<L: Lane, C: Curve>(y: &mut [L::Real]) {
    let (blocks, tail) = y.as_chunks_mut::<{ STREAM * STREAMS }>();
    for block in blocks {
        let block = streams(block);
        for i in 0..STREAM {
            let mut z: [L::Real; STREAMS] = std::array::from_fn(|s| block[s][i]);
            C::at(L::Streams::load(&z)).0.store(&mut z);
            for s in 0..STREAMS {
                block[s][i] = z[s];
            }
        }
    }
    for y in tail {
        C::at(L::Single::splat(*y)).0.store(from_mut(y));
    }
}

struct Activate<'a, R> {
    activation: Activation,
    y: RowsMut<'a, R>,
    slope: RowsMut<'a, R>,
}

impl<R: Real> Kernel<R> for Activate<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { activation, y, slope } = self;
        // One loop for each activation, so that the choice is made once and not for every lane.
        match activation {
            Activation::Silu => rows::<L, Silu>(y, slope),
            Activation::Gelu => rows::<L, Gelu>(y, slope),
            Activation::Tanh => rows::<L, Tanh>(y, slope),
            Activation::Relu => rows::<L, Relu>(y, slope),
            Activation::Selu => rows::<L, Selu>(y, slope),
            Activation::Softplus => rows::<L, Softplus>(y, slope),
        }
    }
}

#[inline(always)]
fn rows<L: Lane, C: Curve>(mut y: RowsMut<'_, L::Real>, mut slope: RowsMut<'_, L::Real>) {
    if y.cols == y.stride && slope.cols == slope.stride {
        return row_slopes::<L, C>(y.data, slope.data);
    }
    for i in 0..y.rows() {
        row_slopes::<L, C>(y.row_mut(i), slope.row_mut(i));
    }
}

#[inline(always)]
fn row_slopes<L: Lane, C: Curve>(y: &mut [L::Real], slope: &mut [L::Real]) {
    let (blocks, tail) = y.as_chunks_mut::<{ STREAM * STREAMS }>();
    let (slope_blocks, slope_tail) = slope.as_chunks_mut::<{ STREAM * STREAMS }>();
    for (block, slope) in blocks.iter_mut().zip(slope_blocks) {
        // Into arrays of its own: the compiler cannot know that y and slope do not overlap, and would keep a scalar loop.
        let block = streams(block);
        let mut slopes = [[L::Real::ZERO; STREAM]; STREAMS];
        for i in 0..STREAM {
            let mut z: [L::Real; STREAMS] = std::array::from_fn(|s| block[s][i]);
            let (value, derivative) = C::at(L::Streams::load(&z));
            value.store(&mut z);
            for s in 0..STREAMS {
                block[s][i] = z[s];
            }
            derivative.store(&mut z);
            for s in 0..STREAMS {
                slopes[s][i] = z[s];
            }
        }
        streams(slope).copy_from_slice(&slopes);
    }
    for (y, slope) in tail.iter_mut().zip(slope_tail) {
        let (value, derivative) = C::at(L::Single::splat(*y));
        value.store(from_mut(y));
        derivative.store(from_mut(slope));
    }
}

/// One activation over lanes. A trait and not a closure: `#[inline(always)]` must reach it, or its
/// body is compiled without the instructions of the level and calls a library for each fused product.
trait Curve {
    /// f(z) and f'(z).
    fn at<L: Lane>(z: L) -> (L, L);
}

/// z bounded from below, and from both sides, where e^-|z| is nothing beside 1: s, Phi and phi end at
/// a tiny number instead of 0, and a factor of 1e38 (or infinity) would make something of it.
#[inline(always)]
fn bounded<L: Lane>(z: L) -> (L, L) {
    let (low, high) = (L::constant(-L::Real::EXPONENT_BIAS), L::constant(L::Real::EXPONENT_BIAS));
    let above = z.select_less(low, low, z);
    (above, high.select_less(above, high, above))
}

struct Silu;
impl Curve for Silu {
    #[inline(always)]
    fn at<L: Lane>(z: L) -> (L, L) {
        let one = L::constant(1.0);
        let above = math::sigmoid_end(z);
        let s = math::sigmoid_above_end(above);
        let within = bounded(above).1;
        (above.mul(s), s.mul(within.mul_add(one.sub(s), one)))
    }
}

struct Gelu;
impl Curve for Gelu {
    #[inline(always)]
    fn at<L: Lane>(z: L) -> (L, L) {
        let (cdf, bell) = math::normal_cdf(z);
        // phi(z) = e^(-z^2 / 2) / sqrt(2 pi)
        let density = bell.mul(L::constant(0.398_942_280_401_432_7));
        let (above, within) = bounded(z);
        (above.mul(cdf), within.mul_add(density, cdf))
    }
}

struct Tanh;
impl Curve for Tanh {
    #[inline(always)]
    fn at<L: Lane>(z: L) -> (L, L) {
        // With e = e^(-2 |z|) - 1: tanh |z| = -e / (2 + e), 1 / cosh^2 z = 4 (1 + e) / (2 + e)^2.
        let (zero, one) = (L::constant(0.0), L::constant(1.0));
        let e = math::exp_m1(L::constant(-2.0).mul(z.abs()));
        let below = e.add(L::constant(2.0));
        let magnitude = zero.sub(e).div(below);
        let slope = L::constant(4.0).mul(one.add(e)).div(below.mul(below));
        (z.select_less(zero, zero.sub(magnitude), magnitude), slope)
    }
}

struct Relu;
impl Curve for Relu {
    #[inline(always)]
    fn at<L: Lane>(z: L) -> (L, L) {
        let (zero, one) = (L::constant(0.0), L::constant(1.0));
        (z.select_less(zero, zero, z), zero.select_less(z, one, zero))
    }
}

struct Selu;
impl Curve for Selu {
    #[inline(always)]
    fn at<L: Lane>(z: L) -> (L, L) {
        let zero = L::constant(0.0);
        let (scale, both) = (L::constant(SELU_SCALE), L::constant(SELU_SCALE_ALPHA));
        // The exponential is only wanted for z <= 0; NaN goes through it and stays NaN.
        let e = both.mul(math::exp_m1(zero.select_less(z, zero, z)));
        (zero.select_less(z, scale.mul(z), e), zero.select_less(z, scale, e.add(both)))
    }
}

struct Softplus;
impl Curve for Softplus {
    #[inline(always)]
    fn at<L: Lane>(z: L) -> (L, L) {
        let zero = L::constant(0.0);
        let tail = math::ln_1p(math::exp(zero.sub(z.abs())));
        (z.select_less(zero, zero, z).add(tail), math::sigmoid(z))
    }
}

/// Multiplies each row i of `y`, and each row i + k B where `y` has k times as many rows, by row i of `by`
/// (shape [B, n]), number by number.
///
/// # Panics
/// If the columns differ, or the rows of `y` are no multiple of those of `by`.
pub fn multiply<R: Real>(simd: Simd, by: Rows<'_, R>, y: RowsMut<'_, R>) {
    assert_eq!(by.cols(), y.cols(), "columns of the factors");
    assert!(y.rows().is_multiple_of(by.rows()), "whole batches of rows");
    simd.run(Multiply { by, y });
}

struct Multiply<'a, R> {
    by: Rows<'a, R>,
    y: RowsMut<'a, R>,
}

impl<R: Real> Kernel<R> for Multiply<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { by, mut y } = self;
        for i in 0..y.rows() {
            for (y, &by) in y.row_mut(i).iter_mut().zip(by.row(i % by.rows())) {
                *y *= by;
            }
        }
    }
}

/// Multiplies each row i of `by`, [B, n], into the rows i K .. (i + 1) K of `y`, [K B, n]: number by number, in place, or
/// with `from`, [K, n], in place of what `y` holds.
///
/// # Panics
/// If the columns differ, or the rows of `y` are not K times those of `by`.
pub fn multiply_each<R: Real>(simd: Simd, by: Rows<'_, R>, from: Option<Rows<'_, R>>, y: RowsMut<'_, R>) {
    assert_eq!(by.cols(), y.cols(), "columns of the factors");
    assert!(y.rows().is_multiple_of(by.rows()), "as many rows for each row");
    if let Some(from) = from {
        assert_eq!((from.rows() * by.rows(), from.cols()), (y.rows(), y.cols()), "rows of the other factor");
    }
    simd.run(MultiplyEach { by, from, y });
}

struct MultiplyEach<'a, R> {
    by: Rows<'a, R>,
    from: Option<Rows<'a, R>>,
    y: RowsMut<'a, R>,
}

impl<R: Real> Kernel<R> for MultiplyEach<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { by, from, mut y } = self;
        let times = y.rows() / by.rows().max(1);
        for i in 0..by.rows() {
            let by = by.row(i);
            for k in 0..times {
                let y = y.row_mut(i * times + k);
                if let Some(from) = from {
                    for ((y, &by), &from) in y.iter_mut().zip(by).zip(from.row(k)) {
                        *y = by * from;
                    }
                } else {
                    for (y, &by) in y.iter_mut().zip(by) {
                        *y *= by;
                    }
                }
            }
        }
    }
}
