//! Products with a matrix of a few columns, as a network's last layer has: dot products, the terms in the lanes.
//!
//! # Math
//! y = start + x w with x of shape [B, k], w of shape [k, n], n at most [`NARROW`]. Term p of a sum is added to partial sum
//! p mod 16, in order; at the end partial sums 8 apart are added, then 4, 2 and 1 apart, and the result to the start:
//! ```text
//! for each row, for each column:
//!   for each p in 0 .. k: a[p mod 16] += x[p] w[p]
//!   for half in 8, 4, 2, 1: for j in 0 .. half: a[j] += a[j + half]
//!   y = start + a[0]
//! ```
//! What is done differently from [`super::matmul`], and why:
//! 1. A panel of one lane would be nearly empty: 64 multiply-adds of 16 numbers for 64 x 2, of which 14 are thrown away. Here
//!    it is 8, and the sums of 16 partial ones.
//! 2. w is packed by columns, zeros up to a multiple of 16, and x is read in lanes.
//! 3. The order of the sums is another one than that of the naive twin, the same at every level.

use super::lane::Lane;
use super::matmul::Start;
use super::panels::Panels;
use super::real::Real;
use super::rows::{Rows, RowsMut};
use super::tile::{load_part, store_lanes};

/// The most columns that are found as dot products.
pub(super) const NARROW: usize = 4;

/// Partial sums of each dot product.
pub(super) const PARTIAL: usize = 16;

/// Lanes that hold the partial sums where a lane is shortest: 4 numbers.
const MOST_LANES: usize = 4;

/// y = start + x w for narrow w.
#[inline(always)]
pub(super) fn product<L: Lane>(
    x: Rows<'_, L::Real>,
    w: &Panels<L::Real>,
    start: Start<'_, L::Real>,
    y: &mut RowsMut<'_, L::Real>,
) {
    match w.cols {
        1 => each_row::<L, 1>(x, w, start, y),
        2 => each_row::<L, 2>(x, w, start, y),
        3 => each_row::<L, 3>(x, w, start, y),
        4 => each_row::<L, 4>(x, w, start, y),
        _ => {}
    }
}

#[inline(always)]
fn each_row<L: Lane, const N: usize>(
    x: Rows<'_, L::Real>,
    w: &Panels<L::Real>,
    start: Start<'_, L::Real>,
    y: &mut RowsMut<'_, L::Real>,
) {
    let columns: [&[L::Real]; N] = std::array::from_fn(|j| w.column(j));
    for i in 0..x.rows() {
        let sums = dots::<L, N>(x.row(i), columns);
        let y = &mut y.data[i * y.stride..][..N];
        for j in 0..N {
            let sum = sums[j];
            y[j] = match start {
                Start::Zero => sum,
                Start::Bias(bias) => bias[j] + sum,
                Start::Accumulate => y[j] + sum,
            };
        }
    }
}

/// The dot products of x with N columns that are padded with zeros.
#[inline(always)]
fn dots<L: Lane, const N: usize>(x: &[L::Real], columns: [&[L::Real]; N]) -> [L::Real; N] {
    let lanes = PARTIAL / L::WIDTH;
    let mut sums = [[L::splat(L::Real::ZERO); MOST_LANES]; N];
    let whole = x.len() - x.len() % PARTIAL;
    for p in (0..whole).step_by(PARTIAL) {
        let x = &x[p..p + PARTIAL];
        for l in 0..lanes {
            let x = L::load(&x[l * L::WIDTH..]);
            for j in 0..N {
                sums[j][l] = x.mul_add(L::load(&columns[j][p + l * L::WIDTH..]), sums[j][l]);
            }
        }
    }
    if whole < x.len() {
        let x = &x[whole..];
        for l in 0..lanes {
            let x = load_part::<L>(&x[x.len().min(l * L::WIDTH)..]);
            for j in 0..N {
                sums[j][l] = x.mul_add(L::load(&columns[j][whole + l * L::WIDTH..]), sums[j][l]);
            }
        }
    }
    std::array::from_fn(|j| {
        let mut a = [L::Real::ZERO; 4 * PARTIAL];
        store_lanes::<L, MOST_LANES, true>(sums[j], &mut a);
        let mut half = PARTIAL / 2;
        while half > 0 {
            for c in 0..half {
                a[c] += a[c + half];
            }
            half /= 2;
        }
        a[0]
    })
}
