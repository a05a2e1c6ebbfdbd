//! Passes over one row of costs: the inner loops of the assignment.
//!
//! # Shapes
//! A row has length n; what belongs to the columns is padded to a multiple of [`BLOCK`].

use crate::kernel::Real;

/// Columns scanned together.
pub(super) const BLOCK: usize = 64;
/// Columns that one step of a scan treats alike: what the compiler turns into vectors.
const LANES: usize = 8;
/// No row or column.
pub(super) const NONE: usize = usize::MAX;

/// A column and what belongs to it.
#[derive(Clone, Copy)]
pub(super) struct Nearest {
    pub(super) value: f64,
    pub(super) column: usize,
}

/// Dijkstra's algorithm over the columns; all vectors have the padded length.
pub(super) struct Search {
    /// Distance of each open column; infinite if it is closed or padding.
    distance: Vec<f64>,
    /// The row from which that distance comes.
    pub(super) from: Vec<usize>,
    /// v of each open column; -inf if it is closed or padding.
    v: Vec<f64>,
    /// 0 for a free column, infinite for one that has a row.
    pub(super) owned: Vec<f64>,
    /// Closed columns with their distance.
    pub(super) closed: Vec<(usize, f64)>,
}

impl Search {
    pub(super) fn new(row_of: &[usize], padded: usize) -> Self {
        let mut owned = vec![f64::INFINITY; padded];
        for (owned, &row) in owned.iter_mut().zip(row_of) {
            *owned = if row == NONE { 0.0 } else { f64::INFINITY };
        }
        let distance = vec![f64::INFINITY; padded];
        Self { distance, from: vec![NONE; padded], v: vec![0.0; padded], owned, closed: Vec::new() }
    }

    pub(super) fn reset(&mut self, v: &[f64]) {
        self.distance.fill(f64::INFINITY);
        self.v.copy_from_slice(v);
        self.closed.clear();
    }

    pub(super) fn close(&mut self, j: usize, distance: f64) {
        self.closed.push((j, distance));
        self.distance[j] = f64::INFINITY;
        self.v[j] = f64::NEG_INFINITY;
    }

    /// Offers every open column the distance c(i, j) - v(j) - offset; gives the nearest open column
    /// and the nearest free one.
    pub(super) fn relax<R: Real>(&mut self, row: &[R], offset: f64, i: usize) -> (Nearest, Nearest) {
        let mut best =
            (Nearest { value: f64::INFINITY, column: 0 }, Nearest { value: f64::INFINITY, column: 0 });
        for_blocks(row, |start, c| {
            let distance = block_mut(&mut self.distance, start);
            let from = block_mut(&mut self.from, start);
            let (v, owned) = (block(&self.v, start), block(&self.owned, start));
            let (mut low, mut low_free) = ([f64::INFINITY; LANES], [f64::INFINITY; LANES]);
            for k in (0..BLOCK).step_by(LANES) {
                for lane in 0..LANES {
                    let j = k + lane;
                    let offer = c[j].to_f64() - v[j] - offset;
                    let nearer = offer < distance[j];
                    let now = if nearer { offer } else { distance[j] };
                    distance[j] = now;
                    from[j] = if nearer { i } else { from[j] };
                    low[lane] = if now < low[lane] { now } else { low[lane] };
                    let free = now + owned[j];
                    low_free[lane] = if free < low_free[lane] { free } else { low_free[lane] };
                }
            }
            let (value, free) = (smallest(&low), smallest(&low_free));
            if value < best.0.value {
                best.0 = Nearest { value, column: start };
            }
            if free < best.1.value {
                best.1 = Nearest { value: free, column: start };
            }
        });
        best.0.column += first_at_most(best.0.value, |k| self.distance[best.0.column + k]);
        best.1.column +=
            first_at_most(best.1.value, |k| self.distance[best.1.column + k] + self.owned[best.1.column + k]);
        best
    }
}

/// The smallest c(j) - v(j) with its column, and the second smallest.
pub(super) fn two_smallest<R: Real>(row: &[R], v: &[f64]) -> (Nearest, f64) {
    let (mut first, mut second) = (Nearest { value: f64::INFINITY, column: 0 }, f64::INFINITY);
    for_blocks(row, |start, c| {
        let v = block(v, start);
        let (mut low, mut next) = ([f64::INFINITY; LANES], [f64::INFINITY; LANES]);
        for k in (0..BLOCK).step_by(LANES) {
            for lane in 0..LANES {
                let r = c[k + lane].to_f64() - v[k + lane];
                let larger = if r < low[lane] { low[lane] } else { r };
                next[lane] = if larger < next[lane] { larger } else { next[lane] };
                low[lane] = if r < low[lane] { r } else { low[lane] };
            }
        }
        for lane in 0..LANES {
            second = second.min(next[lane]).min(low[lane].max(first.value));
            if low[lane] < first.value {
                first = Nearest { value: low[lane], column: start };
            }
        }
    });
    let start = first.column;
    first.column += first_at_most(first.value, |k| row[start + k].to_f64() - v[start + k]);
    (first, second)
}

/// The first column other than `j` whose c - v is at most `bound`.
pub(super) fn other_column<R: Real>(row: &[R], v: &[f64], j: usize, bound: f64) -> Option<usize> {
    (0..row.len()).find(|&k| k != j && row[k].to_f64() - v[k] <= bound)
}

/// Calls `visit` with the first column and the costs of each block; the last is filled up with 0.
#[inline(always)]
fn for_blocks<R: Real>(row: &[R], mut visit: impl FnMut(usize, &[R; BLOCK])) {
    let (blocks, rest) = row.as_chunks::<BLOCK>();
    for (b, c) in blocks.iter().enumerate() {
        visit(b * BLOCK, c);
    }
    if !rest.is_empty() {
        let mut padded = [R::ZERO; BLOCK];
        padded[..rest.len()].copy_from_slice(rest);
        visit(row.len() - rest.len(), &padded);
    }
}

#[inline(always)]
fn block<T>(x: &[T], start: usize) -> &[T; BLOCK] {
    &x.as_chunks().0[start / BLOCK]
}

#[inline(always)]
fn block_mut<T>(x: &mut [T], start: usize) -> &mut [T; BLOCK] {
    &mut x.as_chunks_mut().0[start / BLOCK]
}

#[inline(always)]
fn smallest(x: &[f64; LANES]) -> f64 {
    x.iter().fold(f64::INFINITY, |low, &x| low.min(x))
}

/// The first k whose value is at most `bound`; one exists.
#[inline(always)]
fn first_at_most(bound: f64, value: impl Fn(usize) -> f64) -> usize {
    let mut k = 0;
    while value(k) > bound {
        k += 1;
    }
    k
}
