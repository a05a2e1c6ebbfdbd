//! [`posteriors`]: the weights of many points around each of many queries, and the mean of the points under them.
//!
//! # Math
//! For a query x with its numbers a (alpha) and h, over all points x_i:
//! ```text
//! s_i = |a x_i - x|²        w_i = exp(-h (s_i - m)),  m = min s_i
//! total = sum w_i           mean = sum w_i x_i / total        spread = sum w_i (s_i - m) / total
//! ```
//! with pseudo code
//! ```text
//! for each block of points: for each query:
//!     s = distances; b = min s
//!     if b < m: total, sums and spread times exp(-h (m - b)); m = b
//!     w = exp(-h (s - m)); total += sum w; sums += sum w x; spread += sum w (s - m)
//! ```
//! What is done differently from [`super::naive`]:
//! 1. One pass over the points: a new least distance rescales what was summed up (a streaming log-sum-exp).
//! 2. Points stand column by column within blocks of 512, so that lanes run over points; a block stays in cache for all queries.
//! 3. exp is that of `math.rs`, eight streams side by side as in `map.rs`.
//! 4. A block whose nearest point has a weight below e^-80 of the largest so far is passed over: a billion such points change
//!    no bit of a sum.
//!
//! # Limits
//! Distances are sums of squares of differences, not expanded into products: nothing cancels for data far from 0.
//! Each query is summed over the points in their order, whatever the other queries are. Squares must not overflow.

use super::dispatch::{Kernel, Simd};
use super::lane::{Lane, STREAMS};
use super::math;
use super::rows::{Rows, RowsMut};

/// Points of a stream.
const STREAM: usize = 64;
/// Points of a block.
const BLOCK: usize = STREAM * STREAMS;
/// Lanes that are summed side by side.
const SIDE: usize = 4;
/// See 4 above.
const NEGLIGIBLE: f64 = 80.0;

/// Points in the order in which [`posteriors`] reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    data: Vec<f64>, // for each block [cols, BLOCK]; the last point fills up the last block
    rows: usize,
    cols: usize,
    space: usize,
}

impl Points {
    /// Takes n points; distances are measured in the first `space` of their columns, means are taken of all.
    ///
    /// # Panics
    /// If there are fewer columns, none, or no points.
    #[must_use]
    pub fn new(points: Rows<'_, f64>, space: usize) -> Self {
        let (rows, cols) = (points.rows(), points.cols());
        assert!(space <= cols && cols > 0 && rows > 0, "columns of the space, and a point");
        let blocks = rows.div_ceil(BLOCK);
        let mut data = Vec::with_capacity(blocks * BLOCK * cols);
        for block in 0..blocks {
            for j in 0..cols {
                data.extend((0..BLOCK).map(|i| points.row((block * BLOCK + i).min(rows - 1))[j]));
            }
        }
        Self { data, rows, cols, space }
    }

    /// How many there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns of which means are taken.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }
}

/// A query's factors, and what comes back beside its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// The factor a of the points.
    pub alpha: f64,
    /// The factor h of the squared distance.
    pub sharpness: f64,
    /// m, the least squared distance.
    pub least: f64,
    /// The sum of exp(-h (s - m)).
    pub total: f64,
    /// The weighted mean of s - m.
    pub spread: f64,
}

impl Posterior {
    /// A query that has not met a point.
    #[must_use]
    pub fn new(alpha: f64, sharpness: f64) -> Self {
        Self { alpha, sharpness, least: f64::INFINITY, total: 0.0, spread: 0.0 }
    }
}

/// Fills `means`, [B, cols], and what each query, [B, space], wants to know of all points.
///
/// # Panics
/// If the shapes do not fit.
///
/// # Example
/// ```
/// use pushforward::kernel::{Points, Posterior, Rows, RowsMut, Simd, posteriors};
///
/// let points = Points::new(Rows::new(&[0.0, 2.0], 1, 1), 1);
/// let (mut mean, mut query) = ([0.0], [Posterior::new(1.0, 0.5)]);
/// posteriors(Simd::detect(), &points, Rows::new(&[1.0], 1, 1), &mut query, RowsMut::new(&mut mean, 1, 1));
/// assert_eq!((mean[0], query[0].total, query[0].least), (1.0, 2.0, 1.0));
/// ```
pub fn posteriors(
    simd: Simd,
    points: &Points,
    x: Rows<'_, f64>,
    queries: &mut [Posterior],
    mut means: RowsMut<'_, f64>,
) {
    assert!(x.rows() == queries.len() && means.rows() == queries.len(), "a mean for each query");
    assert_eq!((x.cols(), means.cols()), (points.space, points.cols), "columns of queries and means");
    for i in 0..means.rows() {
        means.row_mut(i).fill(0.0);
    }
    simd.run(Posteriors { points, x, queries, means });
}

struct Posteriors<'a> {
    points: &'a Points,
    x: Rows<'a, f64>,
    queries: &'a mut [Posterior],
    means: RowsMut<'a, f64>,
}

impl Kernel<f64> for Posteriors<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = f64>>(self) {
        let Self { points, x, queries, mut means } = self;
        let mut s = [0.0; BLOCK];
        for (b, block) in points.data.chunks_exact(points.cols * BLOCK).enumerate() {
            let held = BLOCK.min(points.rows - b * BLOCK);
            for (i, query) in queries.iter_mut().enumerate() {
                distances::<L>(block, x.row(i), query.alpha, &mut s);
                let nearest = least::<L>(&s);
                let h = query.sharpness;
                if (nearest - query.least) * h > NEGLIGIBLE {
                    continue;
                }
                let sums = means.row_mut(i);
                if nearest < query.least {
                    if query.total > 0.0 {
                        let shrunk = (-h * (query.least - nearest)).exp();
                        query.spread = shrunk * (query.spread + query.total * (query.least - nearest));
                        query.total *= shrunk;
                        sums.iter_mut().for_each(|sum| *sum *= shrunk);
                    }
                    query.least = nearest;
                }
                let mut w = [0.0; BLOCK];
                weights::<L>(&mut s, query.least, h, &mut w);
                w[held..].fill(0.0);
                let ones = sum_of_products::<L, true>(&w, &w);
                query.total += ones;
                query.spread += sum_of_products::<L, false>(&w, &s);
                for (sum, column) in sums.iter_mut().zip(block.chunks_exact(BLOCK)) {
                    *sum += sum_of_products::<L, false>(&w, column);
                }
            }
        }
        for (i, query) in queries.iter_mut().enumerate() {
            query.spread /= query.total;
            means.row_mut(i).iter_mut().for_each(|sum| *sum /= query.total);
        }
    }
}

/// s = |alpha x_i - x|² for each point of a block.
#[inline(always)]
fn distances<L: Lane<Real = f64>>(block: &[f64], x: &[f64], alpha: f64, s: &mut [f64; BLOCK]) {
    let alpha = L::splat(alpha);
    for first in (0..BLOCK).step_by(SIDE * L::WIDTH) {
        let mut sums = [L::splat(0.0); SIDE];
        for (j, &x) in x.iter().enumerate() {
            let column = &block[j * BLOCK + first..][..SIDE * L::WIDTH];
            let minus = L::splat(-x);
            for (k, sum) in sums.iter_mut().enumerate() {
                let difference = L::load(&column[k * L::WIDTH..]).mul_add(alpha, minus);
                *sum = difference.mul_add(difference, *sum);
            }
        }
        for (k, sum) in sums.into_iter().enumerate() {
            sum.store(&mut s[first + k * L::WIDTH..]);
        }
    }
}

/// The least of a block; what is not a number is passed over.
#[inline(always)]
fn least<L: Lane<Real = f64>>(s: &[f64; BLOCK]) -> f64 {
    let mut lanes = [L::splat(f64::INFINITY); SIDE];
    for s in s.chunks_exact(SIDE * L::WIDTH) {
        for (k, least) in lanes.iter_mut().enumerate() {
            let s = L::load(&s[k * L::WIDTH..]);
            *least = s.select_less(*least, s, *least);
        }
    }
    let mut numbers = [f64::INFINITY; 16];
    let mut least = f64::INFINITY;
    for lane in lanes {
        lane.store(&mut numbers);
        least = numbers[..L::WIDTH].iter().fold(least, |a, &b| a.min(b));
    }
    least
}

/// s - m in place of s, and w = exp(-h (s - m)).
#[inline(always)]
fn weights<L: Lane<Real = f64>>(s: &mut [f64; BLOCK], least: f64, h: f64, w: &mut [f64; BLOCK]) {
    let (m, minus_h) = (L::Streams::splat(least), L::Streams::splat(-h));
    let (s, _) = s.as_chunks_mut::<STREAM>();
    let (w, _) = w.as_chunks_mut::<STREAM>();
    for i in 0..STREAM {
        let mut z: [f64; STREAMS] = std::array::from_fn(|k| s[k][i]);
        let above = L::Streams::load(&z).sub(m);
        above.store(&mut z);
        for k in 0..STREAMS {
            s[k][i] = z[k];
        }
        math::exp(above.mul(minus_h)).store(&mut z);
        for k in 0..STREAMS {
            w[k][i] = z[k];
        }
    }
}

/// The sum of w x over a block, or of w alone.
#[inline(always)]
fn sum_of_products<L: Lane<Real = f64>, const ALONE: bool>(w: &[f64], x: &[f64]) -> f64 {
    let mut lanes = [L::splat(0.0); SIDE];
    for (w, x) in w.chunks_exact(SIDE * L::WIDTH).zip(x.chunks_exact(SIDE * L::WIDTH)) {
        for (k, sum) in lanes.iter_mut().enumerate() {
            let (w, x) = (L::load(&w[k * L::WIDTH..]), L::load(&x[k * L::WIDTH..]));
            *sum = if ALONE { sum.add(w) } else { w.mul_add(x, *sum) };
        }
    }
    let mut numbers = [0.0; 16];
    let sum = lanes[0].add(lanes[1]).add(lanes[2].add(lanes[3]));
    sum.store(&mut numbers);
    numbers[..L::WIDTH].iter().sum()
}
