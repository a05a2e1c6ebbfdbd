//! The three matrix products of a network, blocked in registers.
//!
//! # Math
//! With x of shape [B, k], w of shape [k, n], y of shape [B, n]:
//! forward y = x w + b; gradient of the input d_x = d_y wᵀ; gradient of the weights d_w += xᵀ d_y.
//!
//! ```text
//! for each panel of columns of w            (two lanes wide, its k rows contiguous)
//!   for each tile of rows of x              (TILE_ROWS of them: all sums stay in registers)
//!     for each p in 0 .. k: sums[r] += x[r][p] * panel[p]
//!     write the sums
//! ```
//! What is done differently from [`super::naive`]:
//! 1. w is packed into panels once a training step (or once a solve) and serves all row blocks; the
//!    product with wᵀ uses panels of the transpose, so that all three products run over lanes.
//! 2. Every sum runs over its index in order, from the first term to the last, in one register: no
//!    result depends on the tile, the panel or the number of rows, and a level that rounds
//!    each product (`portable`) gives the bits of the naive twin. That is why a row's result is the same alone and in
//!    any batch.
//! 3. Bias and accumulation happen while the sums are in registers; the activation is one more pass
//!    over rows that are still in cache (a block of rows is small).
//! 4. The rows of a tile are written out, not looped over (`add_outer`): the sums stay in registers.
//! 5. Tails of rows run through smaller tiles, tails of columns through a panel of one lane.

use super::dispatch::{Kernel, Simd};
use super::lane::Lane;
use super::real::Real;
use super::rows::{Rows, RowsMut};

/// A matrix [depth, cols] packed into panels of columns, for one SIMD level.
#[derive(Debug, Clone)]
pub struct Panels<R> {
    data: Vec<R>,
    depth: usize,
    cols: usize,
    lane: usize,
}

/// Whether a matrix is packed as it stands or transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The slice holds [depth, cols], row after row.
    Straight,
    /// The slice holds [cols, depth], row after row.
    Transposed,
}

impl<R: Real> Panels<R> {
    /// Room for a matrix of shape [depth, cols].
    #[must_use]
    pub fn new(depth: usize, cols: usize, simd: Simd) -> Self {
        let lane = simd.run::<R, _>(Width);
        Self { data: vec![R::ZERO; depth * cols.next_multiple_of(lane)], depth, cols, lane }
    }

    /// Packs a matrix.
    ///
    /// # Panics
    /// If the slice does not hold depth x cols numbers.
    pub fn pack(&mut self, w: &[R], layout: Layout) {
        let (k, n, lane) = (self.depth, self.cols, self.lane);
        assert_eq!(w.len(), k * n, "a matrix of {k} x {n} is packed");
        let mut rest = self.data.as_mut_slice();
        for (first, width) in panels(n, lane) {
            let (panel, tail) = rest.split_at_mut(k * width);
            rest = tail;
            let used = width.min(n - first);
            for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                match layout {
                    Layout::Straight => row[..used].copy_from_slice(&w[p * n + first..][..used]),
                    Layout::Transposed => {
                        for (j, x) in row[..used].iter_mut().enumerate() {
                            *x = w[(first + j) * k + p];
                        }
                    }
                }
            }
        }
    }

    /// The panels: first column, width in numbers, k rows of that width.
    fn iter(&self) -> impl Iterator<Item = (usize, &[R])> {
        let mut rest = self.data.as_slice();
        panels(self.cols, self.lane).map(move |(first, width)| {
            let (panel, tail) = rest.split_at(self.depth * width);
            rest = tail;
            (first, panel)
        })
    }
}

/// First column and width of each panel: two lanes, and one lane at the end where that is enough.
fn panels(cols: usize, lane: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..cols).step_by(2 * lane).map(move |first| (first, if cols - first > lane { 2 * lane } else { lane }))
}

/// The number of reals in a lane of a level.
struct Width;

impl<R: Real> Kernel<R> for Width {
    type Output = usize;
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) -> usize {
        L::WIDTH
    }
}

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

/// y = start + x w: x is [B, k], w is packed from [k, n], y is [B, n].
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

struct Product<'a, R> {
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
        each_tile::<L>(x, w, &mut Sums { start, y: &mut y });
    }
}

/// Where the sums of a tile begin and end.
struct Sums<'a, 'b, R> {
    start: Start<'a, R>,
    y: &'a mut RowsMut<'b, R>,
}

impl<R: Real> Sums<'_, '_, R> {
    #[inline(always)]
    fn begin<L: Lane<Real = R>>(&self, row: usize, col: usize) -> L {
        match self.start {
            Start::Zero => L::splat(R::ZERO),
            Start::Bias(bias) => load_part::<L>(&bias[col..]),
            Start::Accumulate => {
                load_part::<L>(&self.y.data[row * self.y.stride + col..][..self.y.cols - col])
            }
        }
    }

    #[inline(always)]
    fn end<L: Lane<Real = R>>(&mut self, row: usize, col: usize, sum: L) {
        let to = &mut self.y.data[row * self.y.stride + col..][..self.y.cols - col];
        store_part(sum, to);
    }
}

/// The first numbers of a slice that may be shorter than a lane; zeros fill the rest.
#[inline(always)]
pub(super) fn load_part<L: Lane>(from: &[L::Real]) -> L {
    if from.len() >= L::WIDTH {
        return L::load(from);
    }
    let mut part = [L::Real::ZERO; 16];
    part[..from.len()].copy_from_slice(from);
    L::load(&part)
}

/// Writes as many numbers of a lane as the slice has room for.
#[inline(always)]
pub(super) fn store_part<L: Lane>(lane: L, to: &mut [L::Real]) {
    if to.len() >= L::WIDTH {
        return lane.store(to);
    }
    let mut part = [L::Real::ZERO; 16];
    lane.store(&mut part);
    let n = to.len();
    to.copy_from_slice(&part[..n]);
}

#[inline(always)]
fn each_tile<L: Lane>(x: Rows<'_, L::Real>, w: &Panels<L::Real>, at: &mut Sums<'_, '_, L::Real>) {
    for (col, panel) in w.iter() {
        if w.cols - col > L::WIDTH {
            each_row_tile::<L, 2>(x, panel, col, at);
        } else {
            each_row_tile::<L, 1>(x, panel, col, at);
        }
    }
}

#[inline(always)]
fn each_row_tile<L: Lane, const N: usize>(
    x: Rows<'_, L::Real>,
    panel: &[L::Real],
    col: usize,
    at: &mut Sums<'_, '_, L::Real>,
) {
    let rows = x.rows();
    let mut row = 0;
    while rows - row >= L::TILE_ROWS {
        match L::TILE_ROWS {
            8 => tile::<L, 8, N>(x, panel, row, col, at),
            6 => tile::<L, 6, N>(x, panel, row, col, at),
            _ => tile::<L, 2, N>(x, panel, row, col, at),
        }
        row += L::TILE_ROWS;
    }
    if L::TILE_ROWS > 4 && rows - row >= 4 {
        tile::<L, 4, N>(x, panel, row, col, at);
        row += 4;
    }
    if L::TILE_ROWS > 2 && rows - row >= 2 {
        tile::<L, 2, N>(x, panel, row, col, at);
        row += 2;
    }
    if rows - row >= 1 {
        tile::<L, 1, N>(x, panel, row, col, at);
    }
}

/// M rows by N lanes of sums, in registers from the first term to the last.
#[inline(always)]
fn tile<L: Lane, const M: usize, const N: usize>(
    x: Rows<'_, L::Real>,
    panel: &[L::Real],
    row: usize,
    col: usize,
    at: &mut Sums<'_, '_, L::Real>,
) {
    let depth = x.cols;
    let x: [&[L::Real]; M] = std::array::from_fn(|r| &x.data[(row + r) * x.stride..][..depth]);
    let mut sums: [[L; N]; M] =
        std::array::from_fn(|r| std::array::from_fn(|j| at.begin(row + r, col + j * L::WIDTH)));
    let mut panel = panel.chunks_exact(N * L::WIDTH);
    for p in 0..depth {
        let Some(w) = panel.next() else { break };
        let w: [L; N] = std::array::from_fn(|j| L::load(&w[j * L::WIDTH..]));
        add_outer(std::array::from_fn(|r| x[r][p]), w, &mut sums);
    }
    for r in 0..M {
        for j in 0..N {
            at.end(row + r, col + j * L::WIDTH, sums[r][j]);
        }
    }
}

/// sums += x w, the outer product of a column of M numbers and a row of N lanes.
///
/// Written out, because of a loop over r the compiler may make registers across rows, which it fills
/// number by number (`vgather`): ten times slower.
#[inline(always)]
fn add_outer<L: Lane, const M: usize, const N: usize>(x: [L::Real; M], w: [L; N], sums: &mut [[L; N]; M]) {
    const { assert!(M <= 8) }
    if M > 0 {
        add_row(x[0], w, &mut sums[0]);
    }
    if M > 1 {
        add_row(x[1], w, &mut sums[1]);
    }
    if M > 2 {
        add_row(x[2], w, &mut sums[2]);
    }
    if M > 3 {
        add_row(x[3], w, &mut sums[3]);
    }
    if M > 4 {
        add_row(x[4], w, &mut sums[4]);
    }
    if M > 5 {
        add_row(x[5], w, &mut sums[5]);
    }
    if M > 6 {
        add_row(x[6], w, &mut sums[6]);
    }
    if M > 7 {
        add_row(x[7], w, &mut sums[7]);
    }
}

/// sums += x w for one row of sums.
#[inline(always)]
fn add_row<L: Lane, const N: usize>(x: L::Real, w: [L; N], sums: &mut [L; N]) {
    let x = L::splat(x);
    for j in 0..N {
        sums[j] = x.mul_add(w[j], sums[j]);
    }
}

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
        for (col, width) in panels(d_y.cols, L::WIDTH) {
            if width == L::WIDTH {
                gradient_panel::<L, 1>(x, d_y, col, d_w, d_b);
            } else {
                gradient_panel::<L, 2>(x, d_y, col, d_w, d_b);
            }
        }
    }
}

#[inline(always)]
fn gradient_panel<L: Lane, const N: usize>(
    x: Rows<'_, L::Real>,
    d_y: Rows<'_, L::Real>,
    col: usize,
    d_w: &mut [L::Real],
    d_b: &mut [L::Real],
) {
    let k = x.cols;
    let mut first = 0;
    while k - first >= L::TILE_ROWS {
        match L::TILE_ROWS {
            8 => gradient_tile::<L, 8, N>(x, d_y, first, col, d_w),
            6 => gradient_tile::<L, 6, N>(x, d_y, first, col, d_w),
            _ => gradient_tile::<L, 2, N>(x, d_y, first, col, d_w),
        }
        first += L::TILE_ROWS;
    }
    if L::TILE_ROWS > 4 && k - first >= 4 {
        gradient_tile::<L, 4, N>(x, d_y, first, col, d_w);
        first += 4;
    }
    if L::TILE_ROWS > 2 && k - first >= 2 {
        gradient_tile::<L, 2, N>(x, d_y, first, col, d_w);
        first += 2;
    }
    if k - first >= 1 {
        gradient_tile::<L, 1, N>(x, d_y, first, col, d_w);
    }
    let mut sums = [L::splat(L::Real::ZERO); N];
    for i in 0..d_y.rows() {
        let d_y = d_y.row(i);
        for (j, sum) in sums.iter_mut().enumerate() {
            *sum = sum.add(load_part(&d_y[col + j * L::WIDTH..]));
        }
    }
    for (j, sum) in sums.into_iter().enumerate() {
        let to = &mut d_b[col + j * L::WIDTH..];
        store_part(load_part::<L>(to).add(sum), to);
    }
}

/// Rows `first .. first + M` and N lanes of columns of d_w, in registers over all rows of the batch.
#[inline(always)]
fn gradient_tile<L: Lane, const M: usize, const N: usize>(
    x: Rows<'_, L::Real>,
    d_y: Rows<'_, L::Real>,
    first: usize,
    col: usize,
    d_w: &mut [L::Real],
) {
    let n = d_y.cols;
    // Whole lanes may reach into the padding of a row: what is summed there is never stored.
    let sums = if d_y.stride - col >= N * L::WIDTH {
        gradient_sums::<L, M, N, true>(x, d_y, first, col)
    } else {
        gradient_sums::<L, M, N, false>(x, d_y, first, col)
    };
    for r in 0..M {
        for j in 0..N {
            let to = &mut d_w[(first + r) * n + col + j * L::WIDTH..(first + r + 1) * n];
            store_part(load_part::<L>(to).add(sums[r][j]), to);
        }
    }
}

/// The sums of a tile over all rows of the batch, which hold its columns in `WHOLE` lanes or end within one.
#[inline(always)]
fn gradient_sums<L: Lane, const M: usize, const N: usize, const WHOLE: bool>(
    x: Rows<'_, L::Real>,
    d_y: Rows<'_, L::Real>,
    first: usize,
    col: usize,
) -> [[L; N]; M] {
    let mut sums = [[L::splat(L::Real::ZERO); N]; M];
    for (x, d_y) in x.data.chunks_exact(x.stride.max(1)).zip(d_y.data.chunks_exact(d_y.stride.max(1))) {
        let (x, d_y) = (&x[first..first + M], &d_y[col..]);
        let d_y: [L; N] = std::array::from_fn(|j| {
            if WHOLE { L::load(&d_y[j * L::WIDTH..]) } else { load_part(&d_y[j * L::WIDTH..]) }
        });
        add_outer(std::array::from_fn(|r| x[r]), d_y, &mut sums);
    }
    sums
}
