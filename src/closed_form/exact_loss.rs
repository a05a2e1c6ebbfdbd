//! [`ExactLoss`]: how far a velocity is from the true one of a finite target, and what part of its loss no velocity avoids.
//!
//! # Math
//! Over t uniform in [0, 1), X_0 ~ N(0, I) and X_1 a row of the target, with u from E20 and v the velocity in question:
//! ```text
//! excess    L_FM  = E |v - u|²                         (E10)
//! loss      L_CFM = E |v - dX_t|²                      (E11)
//! floor     V     = E |dX_t - u|² = E V(t, X_t)        (E12), V(t, x) = (D / sigma)² tr S_x
//! residual  L_CFM - L_FM - V                           0 (E12)
//! ```
//! The floor is found as the mean of the variance that is left when X_t is known, not of |dX_t - u|² itself: it varies less.
//! The residual is then a check of all four: its standard error is that of the differences, row by row.
//!
//! # Limits
//! Columns and units are those of the velocity. Independent pairs and a normal source: for another coupling E20 is not the
//! field that is learned. Draw i of a seed depends on i alone.

use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::field::VectorField;
use crate::kernel::Real;
use crate::rng::{Purpose, ROWS_PER_STREAM, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::empirical::EmpiricalField;

/// Rows that are drawn and asked for together.
const ROWS: usize = 64 * ROWS_PER_STREAM;

/// The losses of a velocity on a finite target, each with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExactLoss {
    /// L_FM, the mean squared distance to the true field. // E10
    pub excess: Estimate,
    /// L_CFM, the loss that is trained. // E11
    pub loss: Estimate,
    /// V, the loss of the true field itself. // E12
    pub floor: Estimate,
    /// L_CFM - L_FM - V, which is 0 but for the draws.
    pub residual: Estimate,
    /// How many times and pairs were drawn.
    pub draws: usize,
}

impl ExactLoss {
    /// Measures them for a velocity on the points of an exact field, along its path, with `draws` times and pairs.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer than two draws, [`Error::Dimension`] if the velocity has another dimension than the points,
    /// and whatever keeps the velocity from answering.
    ///
    /// # Example
    /// ```
    /// use pushforward::closed_form::{EmpiricalField, ExactLoss};
    /// use pushforward::{AffinePath, Rng, Tensor, field::FnField};
    ///
    /// // One point at 1: u = (1 - x) / (1 - t) is X_1 - X_0 itself, so that nothing is left of the floor.
    /// let exact = EmpiricalField::new(&Tensor::from_rows(&[[1.0]]), AffinePath::default())?;
    /// let zero = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 0.0);
    /// let loss = ExactLoss::measure(&zero, &exact, 4096, &mut Rng::from_seed(0))?;
    /// assert!(loss.floor.mean < 1e-12);
    /// assert!((loss.excess.mean - 2.0).abs() < 4.0 * loss.excess.standard_error); // E (1 - X_0)²
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn measure<R, F>(velocity: &F, exact: &EmpiricalField, draws: usize, rng: &mut Rng) -> Result<Self>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
    {
        if draws < 2 {
            let remedy = "draw at least 2 times; thousands make the standard errors small";
            return Err(Error::Setting { name: "draws", value: draws.to_string(), remedy });
        }
        exact.points().check_cols(
            "columns of the target",
            velocity.dim(),
            "they must be those of the velocity",
        )?;
        let streams = rng.fork(Purpose::Metric);
        let mut numbers = [const { Vec::new() }; 4];
        for first in (0..draws).step_by(ROWS) {
            let rows = ROWS.min(draws - first);
            let (mut x, mut t, mut dx) = (Tensor::<R>::zeros(rows, exact.dim()), vec![], vec![]);
            for block in 0..rows.div_ceil(ROWS_PER_STREAM) {
                let mut stream = streams.stream((first / ROWS_PER_STREAM + block) as u64);
                let mut x_0 = vec![0.0; exact.dim()];
                for i in block * ROWS_PER_STREAM..rows.min((block + 1) * ROWS_PER_STREAM) {
                    Source::Normal.draw(&mut stream, &mut x_0);
                    let x_1 = exact.points().row(stream.below(exact.points().rows()));
                    let time = as_seen::<R>(stream.uniform());
                    let c = exact.path().coefficients(time.to_f64());
                    for (j, x) in x.row_mut(i).iter_mut().enumerate() {
                        *x = R::from_f64(c.alpha * x_1[j] + c.sigma * x_0[j]); // E13
                        dx.push(c.d_alpha * x_1[j] + c.d_sigma * x_0[j]);
                    }
                    t.push(time);
                }
            }
            measure_rows(velocity, exact, &t, &x, &dx, &mut numbers)?;
        }
        let [excess, loss, floor, residual] = numbers.map(|numbers| Estimate::of(&numbers));
        Ok(Self { excess, loss, floor, residual, draws })
    }
}

/// A time below 1 as the velocity sees it: it may round to 1 in f32, where the field has no value.
fn as_seen<R: Real>(t: f64) -> R {
    R::from_f64(t.min(1.0 - R::ROUNDOFF))
}

/// |v - u|², |v - dX_t|², V(t, x) and what their sum misses, for each row.
fn measure_rows<R: Real, F: VectorField<R> + ?Sized>(
    velocity: &F,
    exact: &EmpiricalField,
    t: &[R],
    x: &Tensor<R>,
    dx: &[f64],
    numbers: &mut [Vec<f64>; 4],
) -> Result<()> {
    let d = x.cols();
    let mut v = Tensor::zeros(x.rows(), d);
    velocity.eval(t, x, &mut v)?;
    let (t, x): (Vec<f64>, Tensor<f64>) = (t.iter().map(|t| t.to_f64()).collect(), x.cast());
    let targets = exact.targets(&t, &x)?;
    for (i, &t) in t.iter().enumerate() {
        let c = exact.path().coefficients(t);
        let (mut excess, mut loss) = (0.0, 0.0);
        for j in 0..d {
            let (v, m) = (v.row(i)[j].to_f64(), targets.mean.row(i)[j]);
            let u = c.d_alpha * m + c.d_sigma * (x.row(i)[j] - c.alpha * m) / c.sigma; // E15
            excess += (v - u) * (v - u);
            loss += (v - dx[i * d + j]) * (v - dx[i * d + j]);
        }
        let scale = (c.d_alpha * c.sigma - c.alpha * c.d_sigma) / c.sigma; // D / sigma
        let floor = scale * scale * targets.variance[i];
        for (numbers, x) in numbers.iter_mut().zip([excess, loss, floor, loss - excess - floor]) {
            numbers.push(x);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::GaussianFlow;
    use super::*;
    use crate::field::FnField;
    use crate::nn::Mlp;
    use crate::path::{AffinePath, Scheduler};

    /// Standard errors within which a mean lies: a right program fails for one of 10^6 seeds, and the seed is fixed.
    const ERRORS: f64 = 5.0;

    fn points(n: usize) -> Tensor<f64> {
        let s = Tensor::from_rows(&[[2.0, 0.6], [0.6, 0.7]]);
        let mut z = Tensor::zeros(n, 2);
        Source::Normal.fill(&Rng::from_seed(2).fork(Purpose::Data), 0, &mut z);
        GaussianFlow::new(&[1.0, -2.0], &s).unwrap().map(&z).unwrap()
    }

    fn exact(n: usize) -> EmpiricalField {
        EmpiricalField::new(&points(n), AffinePath::default()).unwrap()
    }

    #[test]
    fn the_loss_is_excess_and_floor() {
        // E12 for the true field, for a network of random weights in f32 and for a plain function.
        for scheduler in [Scheduler::CondOt, Scheduler::Cosine] {
            check(&EmpiricalField::new(&points(300), AffinePath::new(scheduler)).unwrap());
        }
    }

    fn check(field: &EmpiricalField) {
        let measure =
            |f: &dyn VectorField<f64>| ExactLoss::measure(f, field, 20_000, &mut Rng::from_seed(3)).unwrap();
        let own = measure(field);
        assert!(own.excess.mean < 1e-20);
        let linear = FnField::new(2, |t: f64, x: &[f64], u: &mut [f64]| {
            u[0] = 1.0 - t * x[0];
            u[1] = x[0] - x[1];
        });
        let network = Mlp::<f32>::new(2, &[16], &mut Rng::from_seed(4)).unwrap();
        let of_network = ExactLoss::measure(&network, field, 20_000, &mut Rng::from_seed(3)).unwrap();
        for loss in [own, measure(&linear), of_network] {
            let residual = loss.residual;
            assert!(residual.mean.abs() < ERRORS * residual.standard_error, "{loss:?}");
            assert!(residual.standard_error < 0.05 * loss.loss.mean, "{loss:?}");
            // The floor is the same, whatever the velocity.
            let error = own.floor.standard_error.hypot(loss.floor.standard_error);
            assert!((loss.floor.mean - own.floor.mean).abs() <= ERRORS * error);
        }
        assert!(measure(&linear).excess.mean > 1.0);
    }

    #[test]
    fn of_many_points_the_floor_is_that_of_their_law() {
        // E18: (pi/2) tr S^(1/2). 20,000 points leave a floor that is smaller near t = 1, where the points are told apart: a
        // distance of about 1/sqrt(n) from point to point in two dimensions, times the variance of dX_t there, 2 S/sigma^0.
        let s = Tensor::from_rows(&[[2.0, 0.6], [0.6, 0.7]]);
        let flow = GaussianFlow::new(&[1.0, -2.0], &s).unwrap();
        let field = exact(20_000);
        let loss = ExactLoss::measure(&field, &field, 8_192, &mut Rng::from_seed(5)).unwrap();
        let law = flow.loss_floor(field.path());
        let missing = (law - loss.floor.mean) / law;
        assert!((-0.02..0.05).contains(&missing), "{missing} {loss:?}");
    }

    #[test]
    fn draws_are_those_of_the_seed() {
        let field = exact(50);
        let measure = |draws| ExactLoss::measure(&field, &field, draws, &mut Rng::from_seed(6)).unwrap();
        assert_eq!(measure(5000), measure(5000));
        // A part of a block is what it is of the whole, and the next block is of other draws.
        let (part, one, two) = (measure(ROWS + 1), measure(ROWS), measure(2 * ROWS));
        assert!(
            part.floor != one.floor
                && part.floor != two.floor
                && (one.floor.mean - two.floor.mean).abs() > 1e-9
        );
        assert_eq!(measure(2).draws, 2);
        let few = ExactLoss::measure(&field, &field, 1, &mut Rng::from_seed(6));
        assert!(matches!(few, Err(Error::Setting { name: "draws", .. })));
    }

    #[test]
    fn no_time_is_seen_as_1() {
        let last = 1.0 - f64::EPSILON / 2.0;
        assert!(as_seen::<f32>(last) < 1.0 && as_seen::<f64>(last) < 1.0);
        assert!(as_seen::<f32>(last) > 1.0 - 1e-6 && as_seen::<f32>(0.25).to_bits() == 0.25_f32.to_bits());
    }

    #[test]
    fn a_draw_is_a_function_of_its_number() {
        // The mean loss of more than one block beside a plain loop over streams of rows.
        let field = exact(50);
        let zero = FnField::new(2, |_t: f64, _x: &[f64], u: &mut [f64]| u.fill(0.0));
        let draws = ROWS + 200;
        let found = ExactLoss::measure(&zero, &field, draws, &mut Rng::from_seed(6)).unwrap().loss.mean;
        let streams = Rng::from_seed(6).fork(Purpose::Metric);
        let mut sum = 0.0;
        let mut stream = streams.stream(0);
        for i in 0..draws {
            if i.is_multiple_of(ROWS_PER_STREAM) {
                stream = streams.stream((i / ROWS_PER_STREAM) as u64);
            }
            let mut x_0 = [0.0; 2];
            Source::Normal.draw(&mut stream, &mut x_0);
            let x_1 = field.points().row(stream.below(50));
            stream.uniform();
            sum += x_1.iter().zip(x_0).map(|(a, b)| (a - b).powi(2)).sum::<f64>(); // |dX_t|² of `condot`
        }
        assert!((found - sum / draws as f64).abs() < 1e-12 * found, "{found}");
    }
}
