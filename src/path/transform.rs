//! [`Transformed`]: a field made of another one by changing its time, its place and its answer, all linearly.
//!
//! # Math
//! w(t, x) = a_t x + b_t v(tau_t, k_t x), with numbers a, b, tau, k that depend on t only. That is what becomes of a network when
//! its prediction is read as a velocity ([`Predicted`], E15), when its scheduler is exchanged ([`Rescheduled`], E17), and when
//! half the score is added to it (E30). Its derivatives are
//! ```text
//! dw/dx = a I + b k dv/dx        div w = a d + b k div v
//! ```
//!
//! # Shapes
//! t has length B; x and w are [B, d], one time for each row.

use crate::error::Result;
use crate::field::{DifferentiableField, DifferentialWorker, VectorField, Worker};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// a, b, tau and k at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// a: what is added of x.
    pub of_x: f64,
    /// b: what is taken of the inner field.
    pub of_field: f64,
    /// tau: when it is asked.
    pub t: f64,
    /// k: where it is asked, as a multiple of x.
    pub of_place: f64,
}

/// What says how a field is transformed: the four numbers at each time.
pub trait Transform: Sync {
    /// The numbers at t.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) at a time for which there are none.
    fn terms(&self, t: f64) -> Result<Terms>;
}

/// The field a x + b v(tau, k x).
#[derive(Debug, Clone, Copy)]
pub struct Transformed<'a, F: ?Sized, T> {
    field: &'a F,
    transform: T,
}

impl<'a, F: ?Sized, T: Transform> Transformed<'a, F, T> {
    /// Transforms a field.
    pub fn new(field: &'a F, transform: T) -> Self {
        Self { field, transform }
    }
}

/// The numbers of all rows, with what the inner field is asked and answers.
struct Asked<R: Real> {
    terms: Vec<Terms>, // [B]
    t: Vec<R>,         // [B]
    x: Tensor<R>,      // [B, d]
}

impl<R: Real> Asked<R> {
    fn new(rows: usize, d: usize) -> Self {
        Self { terms: Vec::with_capacity(rows), t: Vec::with_capacity(rows), x: Tensor::zeros(rows, d) }
    }

    /// Finds the numbers of each row and the places at which the inner field is asked.
    fn fill(&mut self, transform: &impl Transform, t: &[R], x: &Tensor<R>) -> Result<()> {
        self.terms.clear();
        self.t.clear();
        self.x.resize_rows(x.rows());
        for (i, t) in t.iter().enumerate() {
            let terms = transform.terms(t.to_f64())?;
            let k = R::from_f64(terms.of_place);
            for (to, x) in self.x.row_mut(i).iter_mut().zip(x.row(i)) {
                *to = k * *x;
            }
            self.t.push(R::from_f64(terms.t));
            self.terms.push(terms);
        }
        Ok(())
    }

    /// Turns the answer v of the inner field into a x + b v.
    fn answer(&self, x: &Tensor<R>, u: &mut Tensor<R>) {
        for (i, terms) in self.terms.iter().enumerate() {
            let (a, b) = (R::from_f64(terms.of_x), R::from_f64(terms.of_field));
            for (u, x) in u.row_mut(i).iter_mut().zip(x.row(i)) {
                *u = a * *x + b * *u;
            }
        }
    }

    /// Turns (dv/dx) e, or its transpose, into (a I + b k dv/dx) e; row i of e belongs to row i mod B of x.
    fn derivative(&self, e: &Tensor<R>, d: &mut Tensor<R>) {
        for i in 0..e.rows() {
            let terms = self.terms[i % self.terms.len()];
            let (a, b) = (R::from_f64(terms.of_x), R::from_f64(terms.of_field * terms.of_place));
            for (d, e) in d.row_mut(i).iter_mut().zip(e.row(i)) {
                *d = a * *e + b * *d;
            }
        }
    }
}

/// A worker of any kind, and what its field is asked.
struct TransformedWorker<'a, R: Real, W: ?Sized, T> {
    inner: Box<W>,
    transform: &'a T,
    asked: Asked<R>,
}

impl<R: Real, W: Worker<R> + ?Sized, T: Transform> Worker<R> for TransformedWorker<'_, R, W, T> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.asked.fill(self.transform, t, x)?;
        self.inner.eval(&self.asked.t, &self.asked.x, u)?;
        self.asked.answer(x, u);
        Ok(())
    }

    fn set_rows(&mut self, rows: &[usize]) {
        self.inner.set_rows(rows);
    }

    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        self.asked.fill(self.transform, t, x)?;
        self.inner.eval_carry(&self.asked.t, &self.asked.x, u, rate)?;
        self.asked.answer(x, u);
        for (rate, terms) in rate.iter_mut().zip(&self.asked.terms) {
            *rate = terms.of_x * x.cols() as f64 + terms.of_field * terms.of_place * *rate;
        }
        Ok(())
    }
}

impl<R: Real, W: DifferentialWorker<R> + ?Sized, T: Transform> DifferentialWorker<R>
    for TransformedWorker<'_, R, W, T>
{
    fn jvp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        d_x: &Tensor<R>,
        u: &mut Tensor<R>,
        d_u: &mut Tensor<R>,
    ) -> Result<()> {
        self.asked.fill(self.transform, t, x)?;
        self.inner.jvp(&self.asked.t, &self.asked.x, d_x, u, d_u)?;
        self.asked.answer(x, u);
        self.asked.derivative(d_x, d_u);
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
        self.asked.fill(self.transform, t, x)?;
        self.inner.vjp(&self.asked.t, &self.asked.x, w, u, d_x)?;
        self.asked.answer(x, u);
        self.asked.derivative(w, d_x);
        Ok(())
    }
}

impl<R, F, T> VectorField<R> for Transformed<'_, F, T>
where
    R: Real,
    F: VectorField<R> + ?Sized,
    T: Transform,
{
    fn dim(&self) -> usize {
        self.field.dim()
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.worker(x.rows()).eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        Box::new(TransformedWorker {
            inner: self.field.worker(rows),
            transform: &self.transform,
            asked: Asked::new(rows, self.dim()),
        })
    }
}

impl<R, F, T> DifferentiableField<R> for Transformed<'_, F, T>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
    T: Transform,
{
    fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_> {
        Box::new(TransformedWorker {
            inner: self.field.differential_worker(rows, tangents),
            transform: &self.transform,
            asked: Asked::new(rows, self.dim()),
        })
    }

    fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        Box::new(TransformedWorker {
            inner: self.field.divergence_worker(rows),
            transform: &self.transform,
            asked: Asked::new(rows, self.dim()),
        })
    }
}
