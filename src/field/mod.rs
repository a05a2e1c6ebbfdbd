//! [`VectorField`]: a velocity u(t, x), the one thing that the ODE solvers know of a model.
//!
//! # Shapes
//! A field is asked for a batch at once, one time per row: t of length B, x and u of shape [B, d].
//! Row i of u must depend on row i of t and x only (E24).

mod guided;
mod hutchinson;
mod probe;

use crate::error::Result;
use crate::kernel::Real;
use crate::tensor::Tensor;

pub use guided::Guided;
pub(crate) use hutchinson::DrawnProbes;
pub use probe::{ProbeLaw, Probes};

use hutchinson::AlongProbes;

/// A velocity field u_t(x) on R^d. // E1
///
/// A user's own field implements `dim` and `eval`; a closure becomes one by [`FnField`].
pub trait VectorField<R: Real>: Sync {
    /// The dimension d.
    fn dim(&self) -> usize;

    /// Writes u(t_i, x_i) for each row i: t has length B, x and u have shape [B, d].
    ///
    /// # Errors
    /// Whatever keeps the field from answering.
    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()>;

    /// A worker that evaluates this field again and again for at most `rows` rows at a time: a field
    /// that needs memory to answer overrides this and lets the worker own it.
    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        let _ = rows; // the plain worker owns nothing
        Box::new(Direct(self))
    }
}

/// A field that is being evaluated, with the memory that this takes.
pub trait Worker<R: Real>: Send {
    /// As [`VectorField::eval`].
    ///
    /// # Errors
    /// Whatever keeps the field from answering.
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()>;

    /// How many numbers each row carries along the flow, C: as a rule 1.
    fn carries(&self) -> usize {
        1
    }

    /// Tells which rows of the batch the next calls are about: row i of them is row `rows[i]`. Until it is told, they are
    /// the first ones. For a worker that has something of its own for each row, as a probe.
    fn set_rows(&mut self, rows: &[usize]) {
        let _ = rows; // to most of them a row is its t and x
    }

    /// As [`Worker::eval`], and the rates of the C numbers that each row carries along the flow, f64, [B, C]: for a
    /// log-density it is the divergence, or several estimates of it (E21). A field that carries nothing has the rate 0.
    ///
    /// # Errors
    /// Whatever keeps the field from answering.
    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        rate.fill(0.0);
        self.eval(t, x, u)
    }
}

/// A field that can be differentiated in x.
pub trait DifferentiableField<R: Real>: VectorField<R> {
    /// A worker that also gives derivatives, for at most `rows` rows and `tangents` tangents a row.
    fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_>;

    /// A worker whose rows carry the exact divergence tr(du/dx), for at most `rows` rows: by d unit tangents, unless the
    /// field knows a shorter way and overrides this. // E22
    fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        self.trace_by_tangents(rows)
    }

    /// A worker whose rows carry K estimates of the divergence, eᵀ (du/dx) e for each of K probes e, for at most `rows` rows:
    /// by K tangents, unless the field knows a shorter way and overrides this. // E22
    fn probe_worker(&self, rows: usize, probes: Probes) -> Box<dyn Worker<R> + '_> {
        self.along_probes(rows, probes)
    }

    /// The plain way to these estimates: one jvp of K tangents a row.
    fn along_probes(&self, rows: usize, probes: Probes) -> Box<dyn Worker<R> + '_> {
        Box::new(AlongProbes::new(self.differential_worker(rows, probes.count), probes, rows, self.dim()))
    }

    /// The plain way to the divergence: the whole Jacobian of each row, by d unit tangents.
    fn trace_by_tangents(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        let d = self.dim();
        let mut identity = Tensor::zeros(d * rows, d);
        unit_tangents(&mut identity, rows);
        Box::new(TraceByTangents {
            field: self.differential_worker(rows, d),
            identity,
            d_u: Tensor::zeros(d * rows, d),
        })
    }
}

/// Finds the whole Jacobian of each row and adds up its diagonal.
struct TraceByTangents<'a, R: Real> {
    field: Box<dyn DifferentialWorker<R> + 'a>,
    identity: Tensor<R>, // [d B, d]
    d_u: Tensor<R>,      // [d B, d]
}

impl<R: Real> Worker<R> for TraceByTangents<'_, R> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.field.eval(t, x, u)
    }

    fn set_rows(&mut self, rows: &[usize]) {
        self.field.set_rows(rows);
    }

    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        let (rows, d) = (x.rows(), x.cols());
        if self.identity.rows() != d * rows {
            unit_tangents(&mut self.identity, rows); // other rows than the last time
            self.d_u.resize_rows(d * rows);
        }
        self.field.jvp(t, x, &self.identity, u, &mut self.d_u)?;
        for (i, rate) in rate.iter_mut().enumerate() {
            *rate = (0..d).map(|k| self.d_u.row(k * rows + i)[k].to_f64()).sum(); // tr(du/dx), E22
        }
        Ok(())
    }
}

/// The d unit tangents of each of `rows` rows, [d B, d]: row k B + i is unit vector k.
fn unit_tangents<R: Real>(tangents: &mut Tensor<R>, rows: usize) {
    let d = tangents.cols();
    tangents.resize_rows(d * rows);
    tangents.as_mut_slice().fill(R::ZERO);
    for k in 0..d {
        for i in 0..rows {
            tangents.row_mut(k * rows + i)[k] = R::ONE;
        }
    }
}

/// A field that is being differentiated, with the memory that this takes.
pub trait DifferentialWorker<R: Real>: Worker<R> {
    /// Writes u and its derivatives along tangents (forward mode): d_x and d_u have shape [K B, d],
    /// row k B + i is the k-th tangent of row i, d_u = (du/dx) d_x.
    ///
    /// # Errors
    /// Whatever keeps the field from answering.
    fn jvp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        d_x: &Tensor<R>,
        u: &mut Tensor<R>,
        d_u: &mut Tensor<R>,
    ) -> Result<()>;

    /// Writes u and the product of a cotangent with the Jacobian (reverse mode):
    /// w and d_x have shape [B, d], d_x = (du/dx)^T w, row by row.
    ///
    /// # Errors
    /// Whatever keeps the field from answering.
    fn vjp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        w: &Tensor<R>,
        u: &mut Tensor<R>,
        d_x: &mut Tensor<R>,
    ) -> Result<()>;
}

/// The worker of a field that needs no memory.
struct Direct<'a, F: ?Sized>(&'a F);

impl<R: Real, F: VectorField<R> + ?Sized> Worker<R> for Direct<'_, F> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.0.eval(t, x, u)
    }
}

/// A field given by a closure for one row: `f(t, x_i, u_i)`, both slices of length d.
///
/// # Example
/// ```
/// use pushforward::{Tensor, field::{FnField, VectorField}};
///
/// let decay = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0]);
/// let mut u = Tensor::zeros(1, 1);
/// decay.eval(&[0.0], &Tensor::from_rows(&[[2.0]]), &mut u)?;
/// assert_eq!(u.row(0), [-2.0]);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct FnField<F> {
    dim: usize,
    f: F,
}

impl<F> FnField<F> {
    /// Makes a field of dimension `dim` from a closure.
    pub fn new<R>(dim: usize, f: F) -> Self
    where
        R: Real,
        F: Fn(R, &[R], &mut [R]) + Sync,
    {
        Self { dim, f }
    }
}

impl<F> std::fmt::Debug for FnField<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FnField").field("dim", &self.dim).finish_non_exhaustive()
    }
}

impl<R: Real, F: Fn(R, &[R], &mut [R]) + Sync> VectorField<R> for FnField<F> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        for (i, &t) in t.iter().enumerate() {
            (self.f)(t, x.row(i), u.row_mut(i));
        }
        Ok(())
    }
}
