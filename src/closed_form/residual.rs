//! [`Residual`]: a velocity that is a Gaussian baseline and what a network adds to it.
//!
//! # Math
//! u_t(x) = A_t x + r_t v(t, x / s_t) (E29), with v the network; its derivatives are
//! ```text
//! du/dx = A_t + (r_t / s_t) dv/dx        div u = tr A_t + (r_t / s_t) div v
//! ```
//!
//! # Shapes
//! t has length B; x and u are [B, d], one time for each row.

use super::baseline::{BaselineWorker, GaussianBaseline};
use crate::error::Result;
use crate::field::{DifferentiableField, DifferentialWorker, VectorField, Worker};
use crate::kernel::{Real, Simd};
use crate::path::Scheduler;
use crate::tensor::Tensor;

/// The field A_t x + r_t v(t, x / s_t). // E29
#[derive(Debug, Clone, Copy)]
pub struct Residual<'a, F: ?Sized> {
    field: &'a F,
    baseline: &'a GaussianBaseline,
    scheduler: Scheduler,
    simd: Simd,
}

impl<'a, F: ?Sized> Residual<'a, F> {
    /// Adds a field, as the residual, to a baseline along the path of a scheduler.
    pub fn new(field: &'a F, baseline: &'a GaussianBaseline, scheduler: Scheduler, simd: Simd) -> Self {
        Self { field, baseline, scheduler, simd }
    }

    fn with<R: Real, W: ?Sized>(&self, inner: Box<W>, rows: usize, tangents: usize) -> ResidualWorker<R, W> {
        ResidualWorker {
            inner,
            baseline: BaselineWorker::new(self.baseline, self.simd, rows, tangents),
            scheduler: self.scheduler,
            x: Tensor::zeros(rows, self.baseline.dim()),
        }
    }
}

/// A worker of any kind, beside the baseline.
struct ResidualWorker<R: Real, W: ?Sized> {
    inner: Box<W>,
    baseline: BaselineWorker<R>,
    scheduler: Scheduler,
    x: Tensor<R>, // [B, d], as the network sees it
}

impl<R: Real, W: ?Sized> ResidualWorker<R, W> {
    /// Finds the numbers of each row and what the network is asked.
    fn ask(&mut self, t: &[R], x: &Tensor<R>) -> Result<()> {
        x.check_cols("columns of x", self.x.cols(), "they must be the dimension of the network")?;
        self.baseline.set_times(self.scheduler, t.iter().map(|t| t.to_f64()));
        self.x.resize_rows(x.rows());
        for (i, scales) in self.baseline.scales().iter().enumerate().take(x.rows()) {
            let point = R::from_f64(1.0 / scales.point);
            for (to, x) in self.x.row_mut(i).iter_mut().zip(x.row(i)) {
                *to = *x * point;
            }
        }
        Ok(())
    }

    /// Turns what the network said, v, into A x + r v.
    fn answer(&mut self, x: &Tensor<R>, u: &mut Tensor<R>) {
        for (u, scales) in u.as_mut_slice().chunks_exact_mut(x.cols()).zip(self.baseline.scales()) {
            let residual = R::from_f64(scales.residual);
            u.iter_mut().for_each(|u| *u *= residual);
        }
        self.baseline.add(x.as_slice(), u.as_mut_slice());
    }

    /// Multiplies (dv/dx) e, or its transpose, by r / s; row i of d belongs to row i mod B of x.
    fn scale(&self, d: &mut Tensor<R>) {
        let cols = d.cols();
        let rows = d.as_mut_slice().chunks_exact_mut(cols).zip(self.baseline.scales().iter().cycle());
        for (d, scales) in rows {
            let factor = R::from_f64(scales.residual / scales.point);
            d.iter_mut().for_each(|d| *d *= factor);
        }
    }
}

impl<R: Real, W: Worker<R> + ?Sized> Worker<R> for ResidualWorker<R, W> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.ask(t, x)?;
        self.inner.eval(t, &self.x, u)?;
        self.answer(x, u);
        Ok(())
    }

    fn set_rows(&mut self, rows: &[usize]) {
        self.inner.set_rows(rows);
    }

    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        self.ask(t, x)?;
        self.inner.eval_carry(t, &self.x, u, rate)?;
        self.answer(x, u);
        for (rate, scales) in rate.iter_mut().zip(self.baseline.scales()) {
            *rate = scales.trace + scales.residual / scales.point * *rate; // E22
        }
        Ok(())
    }
}

impl<R: Real, W: DifferentialWorker<R> + ?Sized> DifferentialWorker<R> for ResidualWorker<R, W> {
    fn jvp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        d_x: &Tensor<R>,
        u: &mut Tensor<R>,
        d_u: &mut Tensor<R>,
    ) -> Result<()> {
        self.ask(t, x)?;
        self.inner.jvp(t, &self.x, d_x, u, d_u)?;
        self.answer(x, u);
        self.scale(d_u);
        self.baseline.add(d_x.as_slice(), d_u.as_mut_slice());
        Ok(())
    }

    fn vjp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        w: &Tensor<R>,
        u: &mut Tensor<R>,
        d_x: &mut Tensor<R>,
    ) -> Result<()> {
        self.ask(t, x)?;
        self.inner.vjp(t, &self.x, w, u, d_x)?;
        self.answer(x, u);
        self.scale(d_x);
        self.baseline.add_transposed(w.as_slice(), d_x.as_mut_slice());
        Ok(())
    }
}

impl<R: Real, F: VectorField<R> + ?Sized> VectorField<R> for Residual<'_, F> {
    fn dim(&self) -> usize {
        self.baseline.dim()
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.worker(x.rows()).eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        Box::new(self.with(self.field.worker(rows), rows, 1))
    }
}

impl<R: Real, F: DifferentiableField<R> + ?Sized> DifferentiableField<R> for Residual<'_, F> {
    fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_> {
        Box::new(self.with(self.field.differential_worker(rows, tangents), rows, tangents))
    }

    fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        Box::new(self.with(self.field.divergence_worker(rows), rows, 1))
    }
}
