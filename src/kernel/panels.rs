//! [`Panels`]: a matrix packed for the products of [`super::matmul`].
//!
//! # Math
//! Columns are cut into panels of two lanes; the rows of a panel stand one after the other, without a gap. The last panel may
//! be one lane wide; what lies past the last column is 0. A matrix of a few columns ([`super::narrow`]) is packed column by
//! column, each with zeros up to a multiple of 16.

use rayon::prelude::*;

use super::aligned::Aligned;
use super::dispatch::{Kernel, Simd};
use super::lane::Lane;
use super::narrow::{NARROW, PARTIAL};
use super::real::Real;

/// A matrix [depth, cols] packed into panels of columns, for one SIMD level.
#[derive(Debug, Clone)]
pub struct Panels<R: Real> {
    data: Aligned<R>,
    pub(super) depth: usize,
    pub(super) cols: usize,
    pub(super) lane: usize,
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
        let len = if cols <= NARROW {
            depth.next_multiple_of(PARTIAL) * cols
        } else {
            depth * cols.next_multiple_of(lane)
        };
        Self { data: Aligned::zeros(len), depth, cols, lane }
    }

    /// Whether it is packed column by column.
    pub(super) fn is_narrow(&self) -> bool {
        self.cols <= NARROW
    }

    /// A column of a narrow matrix, with the zeros behind it.
    #[inline(always)]
    pub(super) fn column(&self, j: usize) -> &[R] {
        let len = self.depth.next_multiple_of(PARTIAL);
        &self.data[j * len..][..len]
    }

    /// Packs a matrix.
    ///
    /// # Panics
    /// If the slice does not hold depth x cols numbers.
    pub fn pack(&mut self, w: &[R], layout: Layout) {
        let (k, n, wide) = (self.depth, self.cols, 2 * self.lane);
        assert_eq!(w.len(), k * n, "a matrix of {k} x {n} is packed");
        if w.is_empty() {
            return;
        }
        if self.is_narrow() {
            let columns = self.data.chunks_exact_mut(k.next_multiple_of(PARTIAL));
            for (j, column) in columns.enumerate() {
                let (first, step) = match layout {
                    Layout::Straight => (j, n),
                    Layout::Transposed => (j * k, 1),
                };
                for (x, &w) in column[..k].iter_mut().zip(w[first..].iter().step_by(step)) {
                    *x = w;
                }
            }
            return;
        }
        let pack = |(i, panel): (usize, &mut [R])| pack_panel(w, layout, k, n, i * wide, panel);
        // Every panel but the last is two lanes wide.
        if w.len() < PARALLEL_PACK {
            self.data.chunks_mut(k * wide).enumerate().for_each(pack);
        } else {
            self.data.par_chunks_mut(k * wide).enumerate().for_each(pack);
        }
    }

    /// The panels: first column, width in numbers, k rows of that width.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[R])> {
        let mut rest = &self.data[..];
        panels(self.cols, self.lane).map(move |(first, width)| {
            let (panel, tail) = rest.split_at(self.depth * width);
            rest = tail;
            (first, panel)
        })
    }
}

/// Fewer numbers than this are packed faster than they are handed to another thread.
const PARALLEL_PACK: usize = 1 << 15;

/// Packs the panel of a matrix [k, n] that begins at column `first`.
fn pack_panel<R: Real>(w: &[R], layout: Layout, k: usize, n: usize, first: usize, panel: &mut [R]) {
    let width = panel.len() / k;
    let used = width.min(n - first);
    match layout {
        Layout::Straight => {
            for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                row[..used].copy_from_slice(&w[p * n + first..][..used]);
            }
        }
        Layout::Transposed => {
            // Eight numbers of each column in turn: what is read from a line of the cache is used while it is there.
            for (q, rows) in panel.chunks_mut(EIGHT * width).enumerate() {
                let column = |j: usize| &w[(first + j) * k + EIGHT * q..];
                if rows.len() == EIGHT * width {
                    let mut rest = rows.chunks_exact_mut(width);
                    let rows: [_; EIGHT] = std::array::from_fn(|_| rest.next().unwrap_or_default());
                    for j in 0..used {
                        let column = &column(j)[..EIGHT];
                        for p in 0..EIGHT {
                            rows[p][j] = column[p];
                        }
                    }
                    continue;
                }
                for j in 0..used {
                    for (row, &x) in rows.chunks_exact_mut(width).zip(column(j)) {
                        row[j] = x;
                    }
                }
            }
        }
    }
}

/// Rows that are packed together from a transposed matrix.
const EIGHT: usize = 8;

/// First column and width of each panel: two lanes, and one lane at the end where that is enough.
pub(super) fn panels(cols: usize, lane: usize) -> impl Iterator<Item = (usize, usize)> {
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
