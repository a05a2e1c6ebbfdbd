//! [`Rounded`]: a field of f64 that is asked, and answers, in another type of number.

use crate::error::Result;
use crate::field::{DifferentiableField, DifferentialWorker, VectorField, Worker};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// A closed-form field in the type of number that a claim is computed with: what it adds to the field is the rounding of
/// its input and output, nothing for f64.
pub(super) struct Rounded<'a, F: ?Sized>(pub(super) &'a F);

impl<R: Real, F: VectorField<f64> + ?Sized> VectorField<R> for Rounded<'_, F> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        let mut wide = Tensor::zeros(x.rows(), x.cols());
        self.0.eval(&times(t), &x.cast(), &mut wide)?;
        write(&wide, u);
        Ok(())
    }
}

impl<R: Real, F: DifferentiableField<f64> + ?Sized> DifferentiableField<R> for Rounded<'_, F> {
    fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_> {
        Box::new(RoundedWorker(self.0.differential_worker(rows, tangents)))
    }
}

struct RoundedWorker<'a>(Box<dyn DifferentialWorker<f64> + 'a>);

impl<R: Real> Worker<R> for RoundedWorker<'_> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        let mut wide = Tensor::zeros(x.rows(), x.cols());
        self.0.eval(&times(t), &x.cast(), &mut wide)?;
        write(&wide, u);
        Ok(())
    }
}

impl<R: Real> DifferentialWorker<R> for RoundedWorker<'_> {
    fn jvp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        d_x: &Tensor<R>,
        u: &mut Tensor<R>,
        d_u: &mut Tensor<R>,
    ) -> Result<()> {
        let (mut wide, mut d_wide) =
            (Tensor::zeros(x.rows(), x.cols()), Tensor::zeros(d_x.rows(), d_x.cols()));
        self.0.jvp(&times(t), &x.cast(), &d_x.cast(), &mut wide, &mut d_wide)?;
        write(&wide, u);
        write(&d_wide, d_u);
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
        let (mut wide, mut d_wide) = (Tensor::zeros(x.rows(), x.cols()), Tensor::zeros(x.rows(), x.cols()));
        self.0.vjp(&times(t), &x.cast(), &w.cast(), &mut wide, &mut d_wide)?;
        write(&wide, u);
        write(&d_wide, d_x);
        Ok(())
    }
}

fn times<R: Real>(t: &[R]) -> Vec<f64> {
    t.iter().map(|t| t.to_f64()).collect()
}

fn write<R: Real>(from: &Tensor<f64>, to: &mut Tensor<R>) {
    for (to, from) in to.as_mut_slice().iter_mut().zip(from.as_slice()) {
        *to = R::from_f64(*from);
    }
}
