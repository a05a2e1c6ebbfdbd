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
//! # Source
//! The definitions of PyTorch 2 (`gelu` is the exact one, not the tanh approximation; `softplus` has
//! beta = 1 and no switch to the identity at z = 20, a difference of at most 2.1e-9); SELU's constants:
//! Klambauer et al. 2017, arXiv:1706.02515.

use std::fmt;
use std::str::FromStr;

use super::dispatch::{Kernel, Simd};
use super::lane::Lane;
use super::math;
use super::matmul::{Rows, RowsMut, load_part, store_part};
use super::real::Real;
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
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// SELU's scale times its alpha, 1.6732632423543772.
const SELU_SCALE_ALPHA: f64 = 1.758_099_340_847_376_6;

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

    /// f(z) and f'(z).
    #[inline(always)]
    fn value_and_slope<L: Lane>(self, z: L) -> (L, L) {
        let (zero, one) = (L::constant(0.0), L::constant(1.0));
        match self {
            Self::Silu => {
                let s = math::sigmoid(z);
                (z.mul(s), s.mul(z.mul_add(one.sub(s), one)))
            }
            Self::Gelu => {
                let (cdf, bell) = math::normal_cdf(z);
                // phi(z) = e^(-z^2 / 2) / sqrt(2 pi)
                let density = bell.mul(L::constant(0.398_942_280_401_432_7));
                (z.mul(cdf), z.mul_add(density, cdf))
            }
            Self::Tanh => {
                // With e = e^(-2 |z|) - 1: tanh |z| = -e / (2 + e), 1 / cosh^2 z = 4 (1 + e) / (2 + e)^2.
                let e = math::exp_m1(L::constant(-2.0).mul(z.abs()));
                let below = e.add(L::constant(2.0));
                let magnitude = zero.sub(e).div(below);
                let slope = L::constant(4.0).mul(one.add(e)).div(below.mul(below));
                (z.select_less(zero, zero.sub(magnitude), magnitude), slope)
            }
            Self::Relu => (z.select_less(zero, zero, z), zero.select_less(z, one, zero)),
            Self::Selu => {
                let (scale, both) = (L::constant(SELU_SCALE), L::constant(SELU_SCALE_ALPHA));
                // The exponential is only wanted for z <= 0; NaN goes through it and stays NaN.
                let e = both.mul(math::exp_m1(zero.select_less(z, zero, z)));
                (zero.select_less(z, scale.mul(z), e), zero.select_less(z, scale, e.add(both)))
            }
            Self::Softplus => {
                let tail = math::ln_1p(math::exp(zero.sub(z.abs())));
                (z.select_less(zero, zero, z).add(tail), math::sigmoid(z))
            }
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
            Activation::Silu => rows::<L>(y, slope, |z| Activation::Silu.value_and_slope(z)),
            Activation::Gelu => rows::<L>(y, slope, |z| Activation::Gelu.value_and_slope(z)),
            Activation::Tanh => rows::<L>(y, slope, |z| Activation::Tanh.value_and_slope(z)),
            Activation::Relu => rows::<L>(y, slope, |z| Activation::Relu.value_and_slope(z)),
            Activation::Selu => rows::<L>(y, slope, |z| Activation::Selu.value_and_slope(z)),
            Activation::Softplus => rows::<L>(y, slope, |z| Activation::Softplus.value_and_slope(z)),
        }
    }
}

#[inline(always)]
fn rows<L: Lane>(mut y: RowsMut<'_, L::Real>, mut slope: RowsMut<'_, L::Real>, f: impl Fn(L) -> (L, L)) {
    for i in 0..y.rows() {
        let (y, slope) = (y.row_mut(i), slope.row_mut(i));
        for (y, slope) in y.chunks_mut(L::WIDTH).zip(slope.chunks_mut(L::WIDTH)) {
            let (value, derivative) = f(load_part(y));
            store_part(value, y);
            store_part(derivative, slope);
        }
    }
}

/// Multiplies each row i of `y`, and each row i + k B where `y` has k times as many rows, by row i of `by`
/// (shape [B, n]), number by number.
///
/// # Panics
/// If the columns differ, or the rows of `y` are no multiple of those of `by`.
pub fn multiply<R: Real>(simd: Simd, by: Rows<'_, R>, y: RowsMut<'_, R>) {
    assert_eq!(by.cols(), y.cols(), "columns of the factors");
    assert!(y.rows().is_multiple_of(by.rows().max(1)), "whole batches of rows");
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
            let (by, y) = (by.row(i % by.rows()), y.row_mut(i));
            for (by, y) in by.chunks(L::WIDTH).zip(y.chunks_mut(L::WIDTH)) {
                store_part(load_part::<L>(by).mul(load_part(y)), y);
            }
        }
    }
}
