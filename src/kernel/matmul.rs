//! The matrix products of a network, blocked in registers; the gradient of a weight is in `gradient.rs`.
//!
//! # Math
//! With x of shape [B, k], w of shape [k, n], y of shape [B, n]:
//! forward y = x w + b; gradient of the input d_x = d_y wᵀ.
//!
//! ```text
//! for each panel of columns of w            (two lanes wide, its k rows contiguous)
//!   for each tile of rows of x              (TILE_ROWS of them: all sums stay in registers)
//!     for each p in 0 .. k: sums[r] += x[r][p] * panel[p]
//!     write the sums
//! ```
//! What is done differently from [`super::naive`]:
//! 1. w is packed into panels once a training step (or once a solve) and serves all row blocks; the
//!    product with wᵀ uses panels of the transpose, so that both products run over lanes.
//! 2. Every sum runs over its index in order, from the first term to the last, in one register (but for at most four
//!    columns: `narrow.rs`): no
//!    result depends on the tile, the panel or the number of rows, and a level that rounds
//!    each product (`portable`) gives the bits of the naive twin. That is why a row's result is the same alone and in
//!    any batch.
//! 3. Bias and accumulation happen while the sums are in registers; the activation is one more pass
//!    over rows that are still in cache (a block of rows is small).
//! 4. The rows of a tile are written out, not looped over (`add_outer`), and no closure stands around an operation on
//!    lanes: the sums stay in registers, and nothing is compiled without the instructions of the level.
//! 5. Tails of rows run through smaller tiles, tails of columns through a panel of one lane.
//! 6. Where rows are padded, whole lanes are read and written across their ends. With lanes that begin at 64 bytes
//!    ([`super::Aligned`], rows a multiple of 64 bytes apart) a 64 x 64 x 64 product is 1.6 times as fast as with partial ones.

use super::dispatch::{Kernel, Simd};
use super::lane::Lane;
use super::narrow;
use super::panels::Panels;
use super::real::Real;
use super::rows::{Rows, RowsMut};
use super::tile::{add_outer, load_lanes, load_part, store_lanes};

/// What each sum of a product starts from.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a, R> {
    /// Zero.
    Zero,
    /// The bias of its column, of length n.
    Bias(&'a [R]),
    /// What the result holds already.
    Accumulate,
}

/// y = start + x w: x is [B, k], w is packed from [k, n], y is [B, n]. What stands between the rows of y may be overwritten.
///
/// # Panics
/// If the shapes do not agree, or w was packed for lanes of another width.
pub fn product<R: Real>(simd: Simd, x: Rows<'_, R>, w: &Panels<R>, start: Start<'_, R>, y: RowsMut<'_, R>) {
    assert_eq!(x.cols, w.depth, "columns of x against rows of w");
    assert_eq!(y.cols, w.cols, "columns of y against columns of w");
    assert_eq!(x.rows(), y.rows(), "rows of x against rows of y");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), w.cols, "length of the bias against columns of w");
    }
    simd.run(Product { x, w, start, y });
}

struct Product<'a, R: Real> {
    x: Rows<'a, R>,
    w: &'a Panels<R>,
    start: Start<'a, R>,
    y: RowsMut<'a, R>,
}

impl<R: Real> Kernel<R> for Product<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { x, w, start, mut y } = self;
        assert_eq!(w.lane, L::WIDTH, "lanes that w was packed for against those of this level");
        if w.is_narrow() {
            return narrow::product::<L>(x, w, start, &mut y);
        }
        for (col, panel) in w.iter() {
            if w.cols - col > L::WIDTH {
                each_tile::<L, 2>(x, panel, col, start, &mut y);
            } else {
                each_tile::<L, 1>(x, panel, col, start, &mut y);
            }
        }
    }
}

/// All rows through one panel of N lanes.
#[inline(always)]
fn each_tile<L: Lane, const N: usize>(
    x: Rows<'_, L::Real>,
    panel: &[L::Real],
    col: usize,
    start: Start<'_, L::Real>,
    y: &mut RowsMut<'_, L::Real>,
) {
    let start = match start {
        Start::Zero => Some([L::splat(L::Real::ZERO); N]),
        Start::Bias(bias) => {
            Some(std::array::from_fn(|j| load_part(&bias[bias.len().min(col + j * L::WIDTH)..])))
        }
        Start::Accumulate => None,
    };
    // Whole lanes may write into the padding of a row.
    if y.stride - col >= N * L::WIDTH {
        each_row_tile::<L, N, true>(x, panel, col, start, y);
    } else {
        each_row_tile::<L, N, false>(x, panel, col, start, y);
    }
}

#[inline(always)]
fn each_row_tile<L: Lane, const N: usize, const WHOLE: bool>(
    x: Rows<'_, L::Real>,
    panel: &[L::Real],
    col: usize,
    start: Option<[L; N]>,
    y: &mut RowsMut<'_, L::Real>,
) {
    let rows = x.rows();
    let mut row = 0;
    while rows - row >= L::TILE_ROWS {
        match L::TILE_ROWS {
            8 => tile::<L, 8, N, WHOLE>(x, panel, row, col, start, y),
            6 => tile::<L, 6, N, WHOLE>(x, panel, row, col, start, y),
            _ => tile::<L, 2, N, WHOLE>(x, panel, row, col, start, y),
        }
        row += L::TILE_ROWS;
    }
    if L::TILE_ROWS > 4 && rows - row >= 4 {
        tile::<L, 4, N, WHOLE>(x, panel, row, col, start, y);
        row += 4;
    }
    if L::TILE_ROWS > 2 && rows - row >= 2 {
        tile::<L, 2, N, WHOLE>(x, panel, row, col, start, y);
        row += 2;
    }
    if rows - row >= 1 {
        tile::<L, 1, N, WHOLE>(x, panel, row, col, start, y);
    }
}

/// Terms of each sum that are added between two looks at the addresses of the rows.
const UNROLL: usize = 4;

/// M rows by N lanes of sums, in registers from the first term to the last.
#[inline(always)]
fn tile<L: Lane, const M: usize, const N: usize, const WHOLE: bool>(
    x: Rows<'_, L::Real>,
    panel: &[L::Real],
    row: usize,
    col: usize,
    start: Option<[L; N]>,
    y: &mut RowsMut<'_, L::Real>,
) {
    let depth = x.cols;
    let x: [&[L::Real]; M] = std::array::from_fn(|r| &x.data[(row + r) * x.stride..][..depth]);
    let mut sums: [[L; N]; M] = match start {
        Some(start) => [start; M],
        None => {
            std::array::from_fn(|r| load_lanes::<L, N, WHOLE>(&y.data[(row + r) * y.stride..][col..y.stride]))
        }
    };
    let mut panel = panel.chunks_exact(N * L::WIDTH);
    let mut p = 0;
    while depth - p >= UNROLL {
        let x: [&[L::Real]; M] = std::array::from_fn(|r| &x[r][p..p + UNROLL]);
        for q in 0..UNROLL {
            let Some(w) = panel.next() else { break };
            add_outer(std::array::from_fn(|r| x[r][q]), load_lanes::<L, N, true>(w), &mut sums);
        }
        p += UNROLL;
    }
    for (p, w) in (p..depth).zip(panel) {
        add_outer(std::array::from_fn(|r| x[r][p]), load_lanes::<L, N, true>(w), &mut sums);
    }
    let end = if WHOLE { y.stride } else { y.cols };
    for r in 0..M {
        store_lanes::<L, N, WHOLE>(sums[r], &mut y.data[(row + r) * y.stride..][col..end]);
    }
}
