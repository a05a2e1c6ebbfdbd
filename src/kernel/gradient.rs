//! The gradient of a weight, blocked in registers as the products of [`super::matmul`] are.
//!
//! # Math
//! d_w += xᵀ d_y, d_b += the column sums of d_y, with x of shape [B, k] and d_y of shape [B, n].
//!
//! ```text
//! for each panel of columns of d_y                   (two lanes wide)
//!   for each tile of columns of x                    (TILE_ROWS of them: all sums stay in registers)
//!     for each row of the batch: sums[r] += x[first + r] * d_y[panel]
//!     add the sums to d_w
//! ```
//! What is done differently from [`super::naive`]:
//! 1. The sums over the batch begin at zero and are added when they are done.
//! 2. The numbers of d_w that a tile will be added to are asked for before its sums: a gradient of megabytes is not in the
//!    near caches (512 x 512 x 4 layers: 124 GFLOP/s without).
//! 3. Where d_y is narrow its numbers are the rows of the tile and x is in the lanes: the transpose, so that lanes
//!    are full. Every sum still runs over the rows in order: the same bits.

use super::dispatch::{Kernel, Simd, prefetch};
use super::lane::Lane;
use super::panels::panels;
use super::real::Real;
use super::rows::Rows;
use super::tile::{add_outer, load_lanes, store_lanes};

/// d_w += xᵀ d_y and d_b += the column sums of d_y: x is [B, k], d_y is [B, n], d_w holds [k, n] row
/// after row, d_b has length n. The sums over the batch begin at zero and are added when they are done.
///
/// Where n is no multiple of a lane, rows of d_y with 16 numbers of padding are read four times faster.
///
/// # Panics
/// If the shapes do not agree.
pub fn weight_gradient<R: Real>(simd: Simd, x: Rows<'_, R>, d_y: Rows<'_, R>, d_w: &mut [R], d_b: &mut [R]) {
    assert_eq!(x.rows(), d_y.rows(), "rows of x against rows of d_y");
    assert_eq!(d_w.len(), x.cols * d_y.cols, "size of d_w");
    assert_eq!(d_b.len(), d_y.cols, "size of d_b");
    simd.run(WeightGradient { x, d_y, d_w, d_b });
}

struct WeightGradient<'a, R> {
    x: Rows<'a, R>,
    d_y: Rows<'a, R>,
    d_w: &'a mut [R],
    d_b: &'a mut [R],
}

impl<R: Real> Kernel<R> for WeightGradient<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { x, d_y, d_w, d_b } = self;
        add_columns::<L>(d_y, d_b);
        if 2 * d_y.cols <= L::WIDTH && x.cols > d_y.cols {
            // A narrow d_y would leave most of a lane empty: its numbers are the rows of the tile, x is in the lanes.
            return each_gradient_tile::<L, true>(d_y, x, d_w);
        }
        each_gradient_tile::<L, false>(x, d_y, d_w);
    }
}

/// sums += the rows of d_y, four lanes of columns at a time, or one where four would reach beyond the padding.
#[inline(always)]
fn add_columns<L: Lane>(d_y: Rows<'_, L::Real>, sums: &mut [L::Real]) {
    let mut col = 0;
    while col < d_y.cols {
        let left = d_y.stride - col;
        let lanes = if left >= 4 * L::WIDTH { 4 } else { 1 };
        let to = &mut sums[col..d_y.cols.min(col + lanes * L::WIDTH)];
        match (lanes, left >= L::WIDTH) {
            (4, _) => add_some_columns::<L, 4, true>(d_y, col, to),
            (_, true) => add_some_columns::<L, 1, true>(d_y, col, to),
            (_, false) => add_some_columns::<L, 1, false>(d_y, col, to),
        }
        col += lanes * L::WIDTH;
    }
}

#[inline(always)]
fn add_some_columns<L: Lane, const N: usize, const WHOLE: bool>(
    d_y: Rows<'_, L::Real>,
    col: usize,
    to: &mut [L::Real],
) {
    let mut sums = [L::splat(L::Real::ZERO); N];
    for d_y in d_y.data.chunks_exact(d_y.stride.max(1)) {
        let d_y = load_lanes::<L, N, WHOLE>(&d_y[col..]);
        for j in 0..N {
            sums[j] = sums[j].add(d_y[j]);
        }
    }
    add_lanes::<L, N, false>(sums, to);
}

/// d_w += aᵀ b, or its transpose bᵀ a where `TRANSPOSED`: columns of a in the rows of a tile, columns of b in its lanes.
#[inline(always)]
fn each_gradient_tile<L: Lane, const TRANSPOSED: bool>(
    a: Rows<'_, L::Real>,
    b: Rows<'_, L::Real>,
    d_w: &mut [L::Real],
) {
    for (col, width) in panels(b.cols, L::WIDTH) {
        if width == L::WIDTH {
            gradient_panel::<L, 1, TRANSPOSED>(a, b, col, d_w);
        } else {
            gradient_panel::<L, 2, TRANSPOSED>(a, b, col, d_w);
        }
    }
}

#[inline(always)]
fn gradient_panel<L: Lane, const N: usize, const TRANSPOSED: bool>(
    a: Rows<'_, L::Real>,
    b: Rows<'_, L::Real>,
    col: usize,
    d_w: &mut [L::Real],
) {
    let mut first = 0;
    while a.cols - first >= L::TILE_ROWS {
        match L::TILE_ROWS {
            8 => gradient_tile::<L, 8, N, TRANSPOSED>(a, b, first, col, d_w),
            6 => gradient_tile::<L, 6, N, TRANSPOSED>(a, b, first, col, d_w),
            _ => gradient_tile::<L, 2, N, TRANSPOSED>(a, b, first, col, d_w),
        }
        first += L::TILE_ROWS;
    }
    if L::TILE_ROWS > 4 && a.cols - first >= 4 {
        gradient_tile::<L, 4, N, TRANSPOSED>(a, b, first, col, d_w);
        first += 4;
    }
    if L::TILE_ROWS > 2 && a.cols - first >= 2 {
        gradient_tile::<L, 2, N, TRANSPOSED>(a, b, first, col, d_w);
        first += 2;
    }
    if a.cols - first >= 1 {
        gradient_tile::<L, 1, N, TRANSPOSED>(a, b, first, col, d_w);
    }
}

/// Columns `first .. first + M` of a against N lanes of columns of b, in registers over all rows of the batch.
#[inline(always)]
fn gradient_tile<L: Lane, const M: usize, const N: usize, const TRANSPOSED: bool>(
    a: Rows<'_, L::Real>,
    b: Rows<'_, L::Real>,
    first: usize,
    col: usize,
    d_w: &mut [L::Real],
) {
    if !TRANSPOSED {
        for r in 0..M {
            for j in 0..N {
                prefetch(&d_w[((first + r) * b.cols + col + j * L::WIDTH).min(d_w.len())..]);
            }
        }
    }
    // Whole lanes may reach into the padding of a row: what is summed there is never stored.
    let sums = if b.stride - col >= N * L::WIDTH {
        gradient_sums::<L, M, N, true>(a, b, first, col)
    } else {
        gradient_sums::<L, M, N, false>(a, b, first, col)
    };
    if TRANSPOSED {
        let (m, cols) = (a.cols, b.cols - col);
        let mut numbers = [L::Real::ZERO; 32];
        for r in 0..M {
            store_lanes::<L, N, true>(sums[r], &mut numbers);
            for (i, &sum) in numbers[..cols.min(N * L::WIDTH)].iter().enumerate() {
                d_w[(col + i) * m + first + r] += sum;
            }
        }
        return;
    }
    let n = b.cols;
    for r in 0..M {
        let to = &mut d_w[(first + r) * n + col..(first + r + 1) * n];
        if to.len() >= N * L::WIDTH {
            add_lanes::<L, N, true>(sums[r], to);
        } else {
            add_lanes::<L, N, false>(sums[r], to);
        }
    }
}

#[inline(always)]
fn add_lanes<L: Lane, const N: usize, const WHOLE: bool>(sums: [L; N], to: &mut [L::Real]) {
    let mut total = load_lanes::<L, N, WHOLE>(to);
    for j in 0..N {
        total[j] = total[j].add(sums[j]);
    }
    store_lanes::<L, N, WHOLE>(total, to);
}

/// The sums of a tile over all rows of the batch, which hold its lanes `WHOLE` or end within one.
#[inline(always)]
fn gradient_sums<L: Lane, const M: usize, const N: usize, const WHOLE: bool>(
    a: Rows<'_, L::Real>,
    b: Rows<'_, L::Real>,
    first: usize,
    col: usize,
) -> [[L; N]; M] {
    let mut sums = [[L::splat(L::Real::ZERO); N]; M];
    for (a, b) in a.data.chunks_exact(a.stride.max(1)).zip(b.data.chunks_exact(b.stride.max(1))) {
        let (a, b) = (&a[first..first + M], load_lanes::<L, N, WHOLE>(&b[col..]));
        add_outer(std::array::from_fn(|r| a[r]), b, &mut sums);
    }
    sums
}
