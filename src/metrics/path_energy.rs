//! [`PathEnergy`]: how much the way from source to target moves, and how straight it is.
//!
//! # Math
//! Along X_t = psi_t(X_0), X_0 from the source, with D = X_1 - X_0 (E28):
//! ```text
//! energy         PE = E ∫ |u_t(X_t)|² dt
//! displacement        E |D|²
//! straightness   S  = E ∫ |D - u_t(X_t)|² dt = PE - E |D|²     for ∫ u_t(X_t) dt = D
//! normalised     |PE - W2²(p, q)| / W2²(p, q)
//! ```
//! PE >= E |D|² >= W2²: S is 0 if every row runs straight ahead at one speed, and the normalised energy is 0 if it also runs to
//! where the best transport would bring it.
//!
//! The integral of |u|² is carried along by the solver as one more number of each row, so that its quadrature is that of the
//! method: its own times, weights and order, for chosen steps with the tolerance of the state, and not one evaluation more. With
//! weights b_i the numerical D is the sum of h b_i u_i, so that PE - |D|² is exactly the sum of h b_i |D - u_i|²: with
//! `euler`, `midpoint`, `heun`, `rk4`, whose weights are not negative, S is not negative either.
//!
//! # Shapes
//! x_0 [N, d]; energies are sums over the columns and means over the rows.
//!
//! # Limits
//! In squared units of the field: of a model, those of its network. It is the energy of the numerical solution: one step of
//! `euler` is always straight. `dopri5`, `dop853` and `tsit5` have negative weights, so that S of a straight way may be some
//! tolerances below 0; in f32 it is known to 1e-6 of PE.
//!
//! W2² of two finite sets is above that of their laws, the more so the more columns there are. No way has less energy than W2²: where
//! one seems to, the sets were too small, and the normalised energy says nothing.
//!
//! # Source
//! Tong et al. 2024, arXiv:2302.00482 (path energy, normalised by W2²); Liu et al. 2023, arXiv:2209.03003 (straightness).

use crate::error::Result;
use crate::estimate::Estimate;
use crate::field::{VectorField, Worker};
use crate::kernel::Real;
use crate::ode::{Solver, Stats};
use crate::tensor::Tensor;

/// The energy of the way that rows take, with standard errors over the rows. // E28
///
/// # Example
/// ```
/// use pushforward::{Solver, Tensor, field::FnField, metrics::PathEnergy};
///
/// // u = 2 t: over the distance 1, with the energy ∫ 4 t² dt = 4/3.
/// let field = FnField::new(1, |t: f64, _x: &[f64], u: &mut [f64]| u[0] = 2.0 * t);
/// let found = PathEnergy::measure(&field, &Tensor::zeros(2, 1), &Solver::rk4())?;
/// assert!((found.energy.mean - 4.0 / 3.0).abs() < 1e-12);
/// assert!((found.straightness.mean - 1.0 / 3.0).abs() < 1e-12);
/// assert!((found.normalised(1.0) - 1.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathEnergy {
    /// E ∫ |u_t(X_t)|² dt.
    pub energy: Estimate,
    /// E |X_1 - X_0|².
    pub displacement: Estimate,
    /// E ∫ |(X_1 - X_0) - u_t(X_t)|² dt.
    pub straightness: Estimate,
    /// What the solver took.
    pub stats: Stats,
}

impl PathEnergy {
    /// Solves a field from the rows of the source x_0, [N, d], from t = 0 to 1, and measures the way.
    ///
    /// # Errors
    /// Those of [`Solver::solve`].
    pub fn measure<R, F>(field: &F, x_0: &Tensor<R>, solver: &Solver) -> Result<Self>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
    {
        let end = solver.solve(&Squared(field), x_0, 0.0..1.0)?;
        let of_row = |i: usize| {
            let moved = end.x.row(i).iter().zip(x_0.row(i)).map(|(x_1, x_0)| x_1.to_f64() - x_0.to_f64());
            moved.map(|d| d * d).sum::<f64>()
        };
        let displacement: Vec<f64> = (0..x_0.rows()).map(of_row).collect();
        let straightness: Vec<f64> = end.carry.iter().zip(&displacement).map(|(e, d)| e - d).collect();
        Ok(Self {
            energy: Estimate::of(&end.carry),
            displacement: Estimate::of(&displacement),
            straightness: Estimate::of(&straightness),
            stats: end.stats,
        })
    }

    /// |PE - W2²| / W2², W2² being the squared distance between source and target in the units of the field. // E28
    #[must_use]
    pub fn normalised(&self, w2_squared: f64) -> f64 {
        (self.energy.mean - w2_squared).abs() / w2_squared
    }
}

/// A field whose rows carry the integral of |u|².
struct Squared<'a, F: ?Sized>(&'a F);

impl<R: Real, F: VectorField<R> + ?Sized> VectorField<R> for Squared<'_, F> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.0.eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        Box::new(SquaredWorker(self.0.worker(rows)))
    }
}

struct SquaredWorker<'a, R: Real>(Box<dyn Worker<R> + 'a>);

impl<R: Real> Worker<R> for SquaredWorker<'_, R> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.0.eval(t, x, u)
    }

    fn set_rows(&mut self, rows: &[usize]) {
        self.0.set_rows(rows);
    }

    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        self.0.eval(t, x, u)?;
        for (i, rate) in rate.iter_mut().enumerate() {
            *rate = u.row(i).iter().map(|u| u.to_f64() * u.to_f64()).sum();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;
    use crate::field::FnField;
    use crate::ode::Method;

    /// A field that bends every way.
    fn curved() -> impl VectorField<f64> {
        FnField::new(2, |t: f64, x: &[f64], u: &mut [f64]| {
            u[0] = (x[1] + 3.0 * t).sin() - 0.3 * x[0];
            u[1] = x[0] * t - x[1];
        })
    }

    #[test]
    fn the_integral_is_the_sum_over_a_fine_course() {
        // Twin: the course at 2000 times and the rule of Simpson, of order 4.
        let x_0 = normals(5, 2, 1.0, 1);
        let course = Solver::rk4().steps(2000).trajectory(&curved(), &x_0, 0.0..1.0, 2000).unwrap();
        let (mut energy, mut straightness) = (0.0, 0.0);
        for (k, (&t, x)) in course.t.iter().zip(&course.x).enumerate() {
            let mut u = Tensor::zeros(5, 2);
            curved().eval(&[t; 5], x, &mut u).unwrap();
            let weight = if k == 0 || k == 2000 {
                1.0
            } else if k % 2 == 1 {
                4.0
            } else {
                2.0
            } / 6000.0;
            for (i, u) in u.as_slice().iter().enumerate() {
                let d = course.x[2000].as_slice()[i] - x_0.as_slice()[i];
                energy += weight * u * u / 5.0;
                straightness += weight * (d - u) * (d - u) / 5.0;
            }
        }
        for solver in [
            Solver::rk4().steps(200),
            Solver::dopri5().tolerance(1e-9),
            Solver::new(Method::Dop853).tolerance(1e-9),
        ] {
            let found = PathEnergy::measure(&curved(), &x_0, &solver).unwrap();
            assert!((found.energy.mean - energy).abs() < 1e-7, "{solver:?}: {found:?} {energy}");
            assert!((found.straightness.mean - straightness).abs() < 1e-7, "{solver:?}: {found:?}");
            assert!((found.energy.mean - found.displacement.mean - found.straightness.mean).abs() < 1e-12);
        }
        assert!(straightness > 0.01);
    }

    #[test]
    fn it_costs_nothing_and_is_not_negative() {
        let x_0 = normals(300, 2, 1.0, 2);
        for method in [Method::Euler, Method::Midpoint, Method::Heun, Method::Rk4] {
            let solver = Solver::new(method).steps(7);
            let found = PathEnergy::measure(&curved(), &x_0, &solver).unwrap();
            assert_eq!(found.stats, solver.solve(&curved(), &x_0, 0.0..1.0).unwrap().stats);
            assert!(found.straightness.mean > 0.0);
            // A wind is straight, up to rounding.
            let wind = FnField::new(2, |_t: f64, _x: &[f64], u: &mut [f64]| u.copy_from_slice(&[3.0, 4.0]));
            let found = PathEnergy::measure(&wind, &x_0, &solver).unwrap();
            assert!((found.energy.mean - 25.0).abs() < 1e-12 && found.straightness.mean.abs() < 1e-12);
        }
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| PathEnergy::measure(&curved(), &x_0, &Solver::dopri5()).unwrap())
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(7));
    }
}
