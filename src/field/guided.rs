//! [`Guided`]: a field pushed away from one without a condition, towards one with it, or by the gradient of a likelihood.
//!
//! # Math
//! ũ_t(x) = (1 - w) u_t(x | ∅) + w u_t(x | y) (E27). w = 1 is the conditional field, w = 0 the one without a condition; w > 1
//! follows the condition more than the data do, and gives samples of another law than q(. | y). As it is linear in both, so are
//! its derivatives: dũ/dx = (1 - w) du(∅)/dx + w du(y)/dx, and its divergence.
//!
//! Where the likelihood of a condition is known, ũ_t(x) = u_t(x) + w k_t grad_x log p_t(y | x) (E31); with w = 1 it is the conditional
//! field. [`Steered`](crate::path::Steered) makes the second term of a gradient.
//!
//! # Shapes
//! t has length B, x and ũ are [B, d].
//!
//! # Limits
//! An evaluation asks both fields, and counts as one.
//!
//! # Source
//! Ho and Salimans 2022, "Classifier-free diffusion guidance"; Zheng et al. 2023, "Guided flows for generative modeling and
//! decision making" (for velocities); Dhariwal and Nichol 2021, arXiv:2105.05233 (likelihoods).

use super::{DifferentiableField, DifferentialWorker, VectorField, Worker};
use crate::error::Result;
use crate::kernel::Real;
use crate::tensor::Tensor;

/// The field (1 - w) u(x | ∅) + w u(x | y). // E27
///
/// # Example
/// ```
/// use pushforward::{Tensor, field::{FnField, Guided, VectorField}};
///
/// let none = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 1.0);
/// let given = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 3.0);
/// let mut u = Tensor::zeros(1, 1);
/// Guided::new(&none, &given, 2.0).eval(&[0.0], &Tensor::zeros(1, 1), &mut u)?;
/// assert_eq!(u.row(0), [5.0]);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Guided<'a, F: ?Sized, G: ?Sized> {
    none: &'a F,
    given: &'a G,
    shares: Shares,
}

/// How much of the field without a condition and of the other one.
#[derive(Debug, Clone, Copy)]
struct Shares {
    none: f64,
    given: f64,
}

impl<'a, F: ?Sized, G: ?Sized> Guided<'a, F, G> {
    /// Joins the field without a condition and the one with it by the weight w: (1 - w) u(x | ∅) + w u(x | y). // E27
    pub fn new(none: &'a F, given: &'a G, weight: f64) -> Self {
        Self { none, given, shares: Shares { none: 1.0 - weight, given: weight } }
    }

    /// Adds to a field w times what a condition adds to it: u(x) + w v(x), with v a gradient as
    /// [`Steered`](crate::path::Steered) scales it. // E31
    ///
    /// # Example
    /// ```
    /// use pushforward::path::{Steered, Transformed};
    /// use pushforward::{Scheduler, Tensor, VectorField, field::{FnField, Guided}};
    ///
    /// let velocity = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 1.0);
    /// let gradient = FnField::new(1, |_t: f64, _x: &[f64], g: &mut [f64]| g[0] = 0.5); // of log p_t(y | x)
    /// let term = Transformed::new(&gradient, Steered { scheduler: Scheduler::CondOt });
    /// let mut u = Tensor::zeros(1, 1);
    /// Guided::by(&velocity, &term, 2.0).eval(&[0.2], &Tensor::zeros(1, 1), &mut u)?;
    /// assert_eq!(u.row(0), [5.0]); // k_t = (1 - t) / t = 4
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn by(field: &'a F, term: &'a G, weight: f64) -> Self {
        Self { none: field, given: term, shares: Shares { none: 1.0, given: weight } }
    }
}

/// Both fields at work.
struct GuidedWorker<R: Real, W: ?Sized, V: ?Sized> {
    shares: Shares,
    /// The answer without the condition, and its derivative.
    u: Tensor<R>, // [B, d]
    d: Tensor<R>,   // [K B, d]
    rate: Vec<f64>, // [B, C]
    none: Box<W>,
    given: Box<V>,
}

impl<R: Real, W: ?Sized, V: ?Sized> GuidedWorker<R, W, V> {
    fn new(shares: Shares, rows: usize, d: usize, none: Box<W>, given: Box<V>) -> Self {
        Self { shares, u: Tensor::zeros(rows, d), d: Tensor::zeros(rows, d), rate: Vec::new(), none, given }
    }
}

/// Turns b into (1 - w) a + w b, or a + w b. // E27, E31
fn mix<R: Real>(shares: Shares, a: &Tensor<R>, b: &mut Tensor<R>) {
    let (of_none, of_given) = (R::from_f64(shares.none), R::from_f64(shares.given));
    for (b, a) in b.as_mut_slice().iter_mut().zip(a.as_slice()) {
        *b = of_none * *a + of_given * *b;
    }
}

impl<R: Real, W: Worker<R> + ?Sized, V: Worker<R> + ?Sized> Worker<R> for GuidedWorker<R, W, V> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.u.resize_rows(x.rows());
        self.none.eval(t, x, &mut self.u)?;
        self.given.eval(t, x, u)?;
        mix(self.shares, &self.u, u);
        Ok(())
    }

    fn carries(&self) -> usize {
        self.given.carries()
    }

    fn set_rows(&mut self, rows: &[usize]) {
        self.none.set_rows(rows);
        self.given.set_rows(rows);
    }

    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        self.u.resize_rows(x.rows());
        self.rate.resize(rate.len(), 0.0);
        self.none.eval_carry(t, x, &mut self.u, &mut self.rate)?;
        self.given.eval_carry(t, x, u, rate)?;
        mix(self.shares, &self.u, u);
        for (given, none) in rate.iter_mut().zip(&self.rate) {
            *given = self.shares.none * none + self.shares.given * *given;
        }
        Ok(())
    }
}

impl<R, W, V> DifferentialWorker<R> for GuidedWorker<R, W, V>
where
    R: Real,
    W: DifferentialWorker<R> + ?Sized,
    V: DifferentialWorker<R> + ?Sized,
{
    fn jvp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        d_x: &Tensor<R>,
        u: &mut Tensor<R>,
        d_u: &mut Tensor<R>,
    ) -> Result<()> {
        self.u.resize_rows(x.rows());
        self.d.resize_rows(d_x.rows());
        self.none.jvp(t, x, d_x, &mut self.u, &mut self.d)?;
        self.given.jvp(t, x, d_x, u, d_u)?;
        mix(self.shares, &self.u, u);
        mix(self.shares, &self.d, d_u);
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
        self.u.resize_rows(x.rows());
        self.d.resize_rows(x.rows());
        self.none.vjp(t, x, w, &mut self.u, &mut self.d)?;
        self.given.vjp(t, x, w, u, d_x)?;
        mix(self.shares, &self.u, u);
        mix(self.shares, &self.d, d_x);
        Ok(())
    }
}

impl<R, F, G> VectorField<R> for Guided<'_, F, G>
where
    R: Real,
    F: VectorField<R> + ?Sized,
    G: VectorField<R> + ?Sized,
{
    fn dim(&self) -> usize {
        self.given.dim()
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.worker(x.rows()).eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        let (none, given) = (self.none.worker(rows), self.given.worker(rows));
        Box::new(GuidedWorker::new(self.shares, rows, self.dim(), none, given))
    }
}

impl<R, F, G> DifferentiableField<R> for Guided<'_, F, G>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
    G: DifferentiableField<R> + ?Sized,
{
    fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_> {
        let none = self.none.differential_worker(rows, tangents);
        let given = self.given.differential_worker(rows, tangents);
        Box::new(GuidedWorker::new(self.shares, rows, self.dim(), none, given))
    }

    fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        let (none, given) = (self.none.divergence_worker(rows), self.given.divergence_worker(rows));
        Box::new(GuidedWorker::new(self.shares, rows, self.dim(), none, given))
    }
}
