//! [`Guided`]: a field pushed away from one without a condition, towards one with it.
//!
//! # Math
//! ũ_t(x) = (1 - w) u_t(x | ∅) + w u_t(x | y) (E27). w = 1 is the conditional field, w = 0 the one without a condition; w > 1
//! follows the condition more than the data do, and gives samples of another law than q(. | y). As it is linear in both, so are
//! its derivatives: dũ/dx = (1 - w) du(∅)/dx + w du(y)/dx, and its divergence.
//!
//! # Shapes
//! t has length B, x and ũ are [B, d].
//!
//! # Limits
//! An evaluation asks both fields, and counts as one.
//!
//! # Source
//! Ho and Salimans 2022, "Classifier-free diffusion guidance"; Zheng et al. 2023, "Guided flows for generative modeling and
//! decision making" (for velocities).

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
    weight: f64,
}

impl<'a, F: ?Sized, G: ?Sized> Guided<'a, F, G> {
    /// Joins the field without a condition and the one with it by the weight w.
    pub fn new(none: &'a F, given: &'a G, weight: f64) -> Self {
        Self { none, given, weight }
    }
}

/// Both fields at work.
struct GuidedWorker<R: Real, W: ?Sized, V: ?Sized> {
    weight: f64,
    /// The answer without the condition, and its derivative.
    u: Tensor<R>, // [B, d]
    d: Tensor<R>,   // [K B, d]
    rate: Vec<f64>, // [B, C]
    none: Box<W>,
    given: Box<V>,
}

impl<R: Real, W: ?Sized, V: ?Sized> GuidedWorker<R, W, V> {
    fn new(weight: f64, rows: usize, d: usize, none: Box<W>, given: Box<V>) -> Self {
        Self { weight, u: Tensor::zeros(rows, d), d: Tensor::zeros(rows, d), rate: Vec::new(), none, given }
    }
}

/// Turns b into (1 - w) a + w b. // E27
fn mix<R: Real>(w: f64, a: &Tensor<R>, b: &mut Tensor<R>) {
    let (of_none, of_given) = (R::from_f64(1.0 - w), R::from_f64(w));
    for (b, a) in b.as_mut_slice().iter_mut().zip(a.as_slice()) {
        *b = of_none * *a + of_given * *b;
    }
}

impl<R: Real, W: Worker<R> + ?Sized, V: Worker<R> + ?Sized> Worker<R> for GuidedWorker<R, W, V> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.u.resize_rows(x.rows());
        self.none.eval(t, x, &mut self.u)?;
        self.given.eval(t, x, u)?;
        mix(self.weight, &self.u, u);
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
        mix(self.weight, &self.u, u);
        for (given, none) in rate.iter_mut().zip(&self.rate) {
            *given = (1.0 - self.weight) * none + self.weight * *given;
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
        mix(self.weight, &self.u, u);
        mix(self.weight, &self.d, d_u);
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
        mix(self.weight, &self.u, u);
        mix(self.weight, &self.d, d_x);
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
        Box::new(GuidedWorker::new(self.weight, rows, self.dim(), none, given))
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
        Box::new(GuidedWorker::new(self.weight, rows, self.dim(), none, given))
    }

    fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        let (none, given) = (self.none.divergence_worker(rows), self.given.divergence_worker(rows));
        Box::new(GuidedWorker::new(self.weight, rows, self.dim(), none, given))
    }
}
