//! [`Rows`] and [`RowsMut`]: the matrices that kernels read and write, rows with or without padding between them.

use super::narrow::NARROW;
use super::real::Real;

/// Rows of numbers, `stride` apart: a matrix operand of shape [rows, cols].
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, R> {
    pub(super) data: &'a [R],
    pub(super) cols: usize,
    pub(super) stride: usize,
}

/// As [`Rows`], to write.
#[derive(Debug)]
pub struct RowsMut<'a, R> {
    pub(super) data: &'a mut [R],
    pub(super) cols: usize,
    pub(super) stride: usize,
}

impl<'a, R: Real> Rows<'a, R> {
    /// Rows of `cols` numbers in a slice, each starting `stride` after the one before. Rows without numbers
    /// need a stride of 1 or more: it tells how many there are.
    ///
    /// # Panics
    /// If `cols` is greater than `stride`, or the slice does not hold whole rows.
    #[must_use]
    pub fn new(data: &'a [R], cols: usize, stride: usize) -> Self {
        assert!(cols <= stride && data.len().is_multiple_of(stride.max(1)), "rows of {cols} in {stride}");
        Self { data, cols, stride }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.data.len() / self.stride.max(1)
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`, of length cols.
    #[inline(always)]
    #[must_use]
    pub fn row(&self, i: usize) -> &'a [R] {
        &self.data[i * self.stride..][..self.cols]
    }
}

impl<'a, R: Real> RowsMut<'a, R> {
    /// As [`Rows::new`].
    ///
    /// # Panics
    /// As [`Rows::new`].
    #[must_use]
    pub fn new(data: &'a mut [R], cols: usize, stride: usize) -> Self {
        assert!(cols <= stride && data.len().is_multiple_of(stride.max(1)), "rows of {cols} in {stride}");
        Self { data, cols, stride }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.data.len() / self.stride.max(1)
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`, of length cols.
    #[inline(always)]
    pub fn row_mut(&mut self, i: usize) -> &mut [R] {
        &mut self.data[i * self.stride..][..self.cols]
    }

    /// Copies rows into the columns from `first` on.
    ///
    /// # Panics
    /// If the rows differ in number, or their columns do not fit.
    pub fn copy_from(&mut self, from: Rows<'_, R>, first: usize) {
        assert!(self.rows() == from.rows() && first + from.cols <= self.cols, "rows that fit");
        if from.rows() == 0 {
            return;
        }
        if from.cols <= NARROW {
            // Column by column: to ask the system for a copy of two numbers takes longer than the copy.
            for j in 0..from.cols {
                let to = self.data[first + j..].iter_mut().step_by(self.stride);
                to.zip(from.data[j..].iter().step_by(from.stride)).for_each(|(to, from)| *to = *from);
            }
            return;
        }
        let rows = self.data.chunks_exact_mut(self.stride).zip(from.data.chunks_exact(from.stride));
        rows.for_each(|(to, row)| to[first..first + from.cols].copy_from_slice(&row[..from.cols]));
    }
}
