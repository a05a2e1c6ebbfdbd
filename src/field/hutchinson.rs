//! [`AlongProbes`]: estimates of a divergence by random probes.
//!
//! # Math
//! div u = tr(du/dx) = E[eᵀ (du/dx) e] (E22): for each row and each of its K probes one product (du/dx) e, all of them in one
//! jvp. A probe is the same at every time of a row's way, so that what the row carries is smooth in t.
//!
//! # Shapes
//! For B rows the probes and their products are [K B, d], row k B + i the k-th of row i; the rates are [B, K].

use super::probe::Probes;
use super::{DifferentialWorker, Worker};
use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// The probes of the rows of a batch, as a worker keeps them.
#[derive(Debug)]
pub(crate) struct DrawnProbes {
    probes: Probes,
    /// The rows of the batch, as many as there can be at a time.
    rows: Vec<usize>,
    /// For how many of them the probes were drawn.
    drawn: Option<usize>,
}

impl DrawnProbes {
    /// For the first `rows` rows of a batch.
    pub(crate) fn new(probes: Probes, rows: usize) -> Self {
        Self { probes, rows: (0..rows).collect(), drawn: None }
    }

    /// As [`Worker::set_rows`].
    pub(crate) fn set_rows(&mut self, rows: &[usize]) {
        self.rows.clear();
        self.rows.extend_from_slice(rows);
        self.drawn = None;
    }

    /// Hands the probes of each of `rows` rows to `place`, unless that was done before: its number, and what writes them. What
    /// belongs to a row is a function of its number, so that drawing again gives the same.
    pub(crate) fn draw<R: Real>(
        &mut self,
        rows: usize,
        d: usize,
        all: &mut [R],
        mut place: impl FnMut(usize, &[R]),
    ) -> Result<()> {
        if self.drawn == Some(rows) {
            return Ok(());
        }
        if rows > self.rows.len() {
            return Err(Error::Dimension {
                what: "rows of x",
                expected: self.rows.len(),
                found: rows,
                remedy: "give no more rows than the worker was made for, or was told of",
            });
        }
        for (i, &row) in self.rows[..rows].iter().enumerate() {
            self.probes.fill(row, d, all);
            place(i, all);
        }
        self.drawn = Some(rows);
        Ok(())
    }
}

/// A field whose rows carry eᵀ (du/dx) e for each of their probes.
pub(super) struct AlongProbes<'a, R: Real> {
    field: Box<dyn DifferentialWorker<R> + 'a>,
    count: usize,
    drawn: DrawnProbes,
    one: Vec<R>,    // [K, d], those of one row
    e: Tensor<R>,   // [K B, d]
    d_u: Tensor<R>, // [K B, d]
}

impl<'a, R: Real> AlongProbes<'a, R> {
    /// For at most `rows` rows of dimension d; `field` gives as many tangents as there are probes.
    pub(super) fn new(
        field: Box<dyn DifferentialWorker<R> + 'a>,
        probes: Probes,
        rows: usize,
        d: usize,
    ) -> Self {
        let count = probes.count;
        Self {
            field,
            count,
            drawn: DrawnProbes::new(probes, rows),
            one: vec![R::ZERO; count * d],
            e: Tensor::zeros(count * rows, d),
            d_u: Tensor::zeros(count * rows, d),
        }
    }
}

impl<R: Real> Worker<R> for AlongProbes<'_, R> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.field.eval(t, x, u)
    }

    fn carries(&self) -> usize {
        self.count
    }

    fn set_rows(&mut self, rows: &[usize]) {
        self.field.set_rows(rows);
        self.drawn.set_rows(rows);
    }

    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        let (rows, d, count) = (x.rows(), x.cols(), self.count);
        if rate.len() != count * rows {
            let remedy = "one for each probe of each row";
            return Err(Error::Dimension {
                what: "rates",
                expected: count * rows,
                found: rate.len(),
                remedy,
            });
        }
        if self.e.rows() != count * rows {
            self.e.resize_rows(count * rows);
            self.d_u.resize_rows(count * rows);
        }
        let e = &mut self.e;
        self.drawn.draw(rows, d, &mut self.one, |i, probes| {
            for (k, probe) in probes.chunks(d.max(1)).enumerate() {
                e.row_mut(k * rows + i).copy_from_slice(probe);
            }
        })?;
        self.field.jvp(t, x, &self.e, u, &mut self.d_u)?;
        for (at, rate) in rate.iter_mut().enumerate() {
            let row = at % count * rows + at / count;
            let terms = self.e.row(row).iter().zip(self.d_u.row(row));
            *rate = terms.map(|(e, d_u)| e.to_f64() * d_u.to_f64()).sum(); // eᵀ (du/dx) e, E22
        }
        Ok(())
    }
}
