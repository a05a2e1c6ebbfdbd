//! A batch is a matrix: [`Tensor`], row-major, rows are samples.
//!
//! No strides, no views, no broadcasting: element (i, j) of a tensor of shape [rows, cols] is
//! `data[i * cols + j]`, and a function that wants something else is given something else.

use crate::error::{Error, Result};
use crate::kernel::Real;

/// A dense row-major matrix of shape [rows, cols].
///
/// # Example
/// ```
/// use pushforward::Tensor;
///
/// let x: Tensor = Tensor::from_rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// assert_eq!((x.rows(), x.cols()), (3, 2));
/// assert_eq!(x.row(1), [3.0, 4.0]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<R: Real = f32> {
    data: Vec<R>,
    rows: usize,
    cols: usize,
}

impl<R: Real> Tensor<R> {
    /// A matrix of zeros.
    ///
    /// # Panics
    /// If so many numbers have no place in memory: where the sizes come from elsewhere, take [`Tensor::try_zeros`].
    #[must_use]
    pub fn zeros(rows: usize, cols: usize) -> Self {
        let numbers = rows.checked_mul(cols);
        assert!(numbers.is_some(), "a matrix of {rows} x {cols} numbers, more than can be counted");
        Self { data: vec![R::ZERO; numbers.unwrap_or_default()], rows, cols }
    }

    /// A matrix of zeros, if there is memory for it.
    ///
    /// # Errors
    /// [`Error::Setting`] if the system gives none for so many numbers.
    ///
    /// # Example
    /// ```
    /// use pushforward::Tensor;
    ///
    /// assert_eq!(Tensor::<f32>::try_zeros(3, 2)?.rows(), 3);
    /// assert!(Tensor::<f32>::try_zeros(usize::MAX, 2).is_err());
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn try_zeros(rows: usize, cols: usize) -> Result<Self> {
        let mut data = Vec::new();
        let numbers = rows.checked_mul(cols).filter(|&numbers| data.try_reserve_exact(numbers).is_ok());
        let numbers = numbers.ok_or_else(|| Error::Setting {
            name: "rows",
            value: format!("{rows} of {cols} numbers"),
            remedy: "there is no memory for so many: ask for fewer at once, part by part",
        })?;
        data.resize(numbers, R::ZERO);
        Ok(Self { data, rows, cols })
    }

    /// Takes `data`, the rows one after the other.
    ///
    /// # Errors
    /// [`Error::Dimension`] if `data` does not hold rows x cols numbers.
    pub fn from_vec(data: Vec<R>, rows: usize, cols: usize) -> Result<Self> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(Error::Dimension {
                what: "numbers in a matrix",
                expected: rows.saturating_mul(cols),
                found: data.len(),
                remedy: "give rows x cols of them",
            });
        }
        Ok(Self { data, rows, cols })
    }

    /// Copies rows of equal, known length.
    #[must_use]
    pub fn from_rows<const D: usize>(rows: &[[R; D]]) -> Self {
        Self { data: rows.as_flattened().to_vec(), rows: rows.len(), cols: D }
    }

    /// Number of rows: samples.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns: dimensions.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`, of length cols.
    ///
    /// # Panics
    /// If there is no row `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> &[R] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Row `i`, of length cols, to write.
    ///
    /// # Panics
    /// If there is no row `i`.
    pub fn row_mut(&mut self, i: usize) -> &mut [R] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The numbers of column j, which there must be.
    pub(crate) fn column(&self, j: usize) -> impl Iterator<Item = R> + '_ {
        self.data.iter().skip(j).step_by(self.cols.max(1)).copied()
    }

    /// All numbers, row after row.
    #[must_use]
    pub fn as_slice(&self) -> &[R] {
        &self.data
    }

    /// All numbers, row after row, to write.
    pub fn as_mut_slice(&mut self) -> &mut [R] {
        &mut self.data
    }

    /// Copies rows `range` into a matrix of their own.
    ///
    /// # Panics
    /// If the range is no range (its start after its end), or reaches past the last row.
    #[must_use]
    pub fn slice_rows(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            rows: range.len(),
            cols: self.cols,
            data: self.data[range.start * self.cols..range.end * self.cols].to_vec(),
        }
    }

    /// Changes the number of rows: the first ones stay, new ones are zero. Memory is kept, so that going back to as many
    /// rows as there were needs none.
    ///
    /// # Example
    /// ```
    /// use pushforward::Tensor;
    ///
    /// let mut x: Tensor = Tensor::from_rows(&[[1.0], [2.0], [3.0]]);
    /// x.resize_rows(1);
    /// x.resize_rows(2);
    /// assert_eq!(x.as_slice(), [1.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::zeros`].
    pub fn resize_rows(&mut self, rows: usize) {
        let numbers = rows.checked_mul(self.cols);
        assert!(numbers.is_some(), "a matrix of {rows} x {} numbers, more than can be counted", self.cols);
        self.data.resize(numbers.unwrap_or_default(), R::ZERO);
        self.rows = rows;
    }

    /// Converts every number to another precision (to nearest).
    #[must_use]
    pub fn cast<S: Real>(&self) -> Tensor<S> {
        Tensor {
            data: self.data.iter().map(|x| S::from_f64(x.to_f64())).collect(),
            rows: self.rows,
            cols: self.cols,
        }
    }

    /// Looks for NaN and infinity.
    ///
    /// # Errors
    /// [`Error::NotFinite`] with the first place that holds one; `what` names the matrix.
    pub fn check_finite(&self, what: &'static str, remedy: &'static str) -> Result<()> {
        match self.data.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(at) => Err(Error::NotFinite {
                what,
                row: at / self.cols,
                column: at % self.cols,
                value: self.data[at].to_f64(),
                remedy,
            }),
        }
    }

    /// Checks the number of columns.
    ///
    /// # Errors
    /// [`Error::Dimension`] if there are not `expected` of them.
    pub fn check_cols(&self, what: &'static str, expected: usize, remedy: &'static str) -> Result<()> {
        if self.cols == expected {
            return Ok(());
        }
        Err(Error::Dimension { what, expected, found: self.cols, remedy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        assert!(Tensor::from_vec(vec![0.0_f32; 5], 2, 3).is_err());
        assert!(Tensor::<f32>::from_vec(vec![], usize::MAX, 2).is_err());
        assert_eq!(Tensor::<f64>::zeros(0, 3).rows(), 0);
    }

    #[test]
    fn the_first_bad_number_is_named() {
        let x = Tensor::from_rows(&[[1.0_f64, 2.0], [3.0, f64::NAN], [f64::INFINITY, 0.0]]);
        let text = x.check_finite("x", "remove it").unwrap_err().to_string();
        assert_eq!(text, "x is NaN in row 1, column 1 (counted from 0): remove it");
    }
}
