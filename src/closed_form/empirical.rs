//! [`EmpiricalField`]: the true velocity for a finite set of points as the target.
//!
//! # Math
//! X_0 ~ N(0, I), X_1 one of n points, each with the probability 1/n, independent. Given X_t = x, point i has the weight
//! w_i ∝ exp(-|x - alpha x_i|² / (2 sigma²)), so that x̂_1 = E\[X_1 | x\] = sum_i w_i x_i (E20). With
//! x̂_0 = (x - alpha x̂_1) / sigma the velocity is u = alpha' x̂_1 + sigma' x̂_0 (E15).
//!
//! The derivative of log w_i is -(x - alpha x_i) / sigma² less its mean, so that d x̂_1 / dx = (alpha / sigma²) S_x with S_x the
//! covariance of the points under their weights, and
//! ```text
//! du/dx = (sigma' / sigma) I + (D alpha / sigma³) S_x,   D = alpha' sigma - alpha sigma'
//! V(t, x) = E[|dX_t - u|² | X_t = x] = (D / sigma)² tr S_x       (the floor E12 is its mean)
//! tr S_x = (mean of |x - alpha x_i|² - |x - alpha x̂_1|²) / alpha² = mean of |x_i - c|² - |x̂_1 - c|²
//! ```
//! with c the mean of all points; the first form keeps its digits where alpha >= sigma, the second one elsewhere. The density is
//! p_t(x) = (1/n) sum_i N(x | alpha x_i, sigma² I) (E4).
//!
//! # Shapes
//! Points [n, d]; x and u [B, d], t of length B.
//!
//! # Limits
//! More than 500 lines, with the tests of its formula and of its derivatives.
//!
//! t = 0 is an ordinary time: where alpha = 0 every point weighs the same and x̂_1 is their mean. t = 1, where sigma = 0, is
//! singular: x̂_1 is the nearest point (the mean of several at the same distance), p_1 is no density, and u has a limit on the
//! points alone, where it is 0 if sigma' is finite; elsewhere the answer is an error. Each evaluation reads all n points:
//! 10^9 pairs in two dimensions take some seconds of one core. A row's answer depends on that row alone.
//!
//! # Source
//! The weights follow from Bayes' rule for the conditional path of Lipman et al. 2023, arXiv:2210.02747.

use std::f64::consts::TAU;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::field::{DifferentiableField, DifferentialWorker, VectorField, Worker};
use crate::kernel::{Points, Posterior, Rows, RowsMut, Simd, posteriors};
use crate::path::AffinePath;
use crate::tensor::Tensor;

/// Queries that go through the points together.
const QUERIES: usize = 64;

/// The true velocity for a finite set of points as the target. // E20
///
/// # Example
/// ```
/// use pushforward::{AffinePath, Tensor, VectorField, closed_form::EmpiricalField};
///
/// let field = EmpiricalField::new(&Tensor::from_rows(&[[-1.0], [3.0]]), AffinePath::default())?;
/// let mut u = Tensor::zeros(1, 1);
/// field.eval(&[0.0], &Tensor::from_rows(&[[0.5]]), &mut u)?;
/// assert_eq!(u.row(0), [0.5]); // the mean of the points, less x
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EmpiricalField {
    points: Tensor<f64>, // [n, d]
    read: Points,        // [n, d + 1]: the points, and |x_i - c|²
    centre: Vec<f64>,    // c
    path: AffinePath,
    simd: Simd,
}

/// What is known of X_1 given X_t = x, for each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// x̂_1, [B, d].
    pub mean: Tensor<f64>,
    /// tr S_x, the variance of X_1 given x, summed over the columns; length B.
    pub variance: Vec<f64>,
    /// log p_t(x) in nats, length B: infinite or minus infinity where sigma = 0.
    pub log_density: Vec<f64>,
}

impl EmpiricalField {
    /// The velocity of a path to the rows of x_1, [n, d].
    ///
    /// # Errors
    /// [`Error::Dimension`] without rows or columns, [`Error::NotFinite`] if x_1 holds NaN or infinity.
    pub fn new(x_1: &Tensor<f64>, path: AffinePath) -> Result<Self> {
        for (what, found) in [("points of the target", x_1.rows()), ("columns of the target", x_1.cols())] {
            if found == 0 {
                return Err(Error::Dimension { what, expected: 1, found, remedy: "give at least one" });
            }
        }
        x_1.check_finite("the target", "leave such rows out")?;
        let centre = mean(x_1);
        let mut squares = Tensor::zeros(x_1.rows(), x_1.cols() + 1);
        for i in 0..x_1.rows() {
            let (row, x) = (squares.row_mut(i), x_1.row(i));
            row[..x.len()].copy_from_slice(x);
            row[x.len()] = squared_distance(x, &centre);
        }
        let d = x_1.cols();
        let read = Points::new(Rows::new(squares.as_slice(), d + 1, d + 1), d);
        Ok(Self { points: x_1.clone(), read, centre, path, simd: Simd::detect() })
    }

    /// The same field, computed at another SIMD level.
    #[must_use]
    pub fn with_simd(self, simd: Simd) -> Self {
        Self { simd, ..self }
    }

    /// The points, [n, d].
    #[must_use]
    pub fn points(&self) -> &Tensor<f64> {
        &self.points
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> AffinePath {
        self.path
    }

    /// What is known of X_1 at each row, by one pass over the points. // E20
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has not d columns or t not one time for each of its rows.
    ///
    /// # Example
    /// ```
    /// use pushforward::{AffinePath, Tensor, closed_form::EmpiricalField};
    ///
    /// let field = EmpiricalField::new(&Tensor::from_rows(&[[-1.0], [3.0]]), AffinePath::default())?;
    /// let known = field.targets(&[1.0], &Tensor::from_rows(&[[0.9]]))?;
    /// assert_eq!((known.mean.row(0)[0], known.variance[0]), (-1.0, 0.0)); // the nearest point
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn targets(&self, t: &[f64], x: &Tensor<f64>) -> Result<Targets> {
        let d = self.dim();
        x.check_cols("columns of x", d, "give rows of the dimension of the points")?;
        if t.len() != x.rows() {
            let remedy = "give one time for each row";
            return Err(Error::Dimension { what: "times", expected: x.rows(), found: t.len(), remedy });
        }
        let mut means = Tensor::zeros(x.rows(), d + 1);
        let mut known = vec![Posterior::new(0.0, 0.0); x.rows()];
        let blocks = means.as_mut_slice().par_chunks_mut(QUERIES * (d + 1));
        let blocks = blocks.zip(known.par_chunks_mut(QUERIES));
        blocks.zip(x.as_slice().par_chunks(QUERIES * d)).zip(t.par_chunks(QUERIES)).for_each(
            |(((means, known), x), t)| {
                for (known, &t) in known.iter_mut().zip(t) {
                    let c = self.path.coefficients(t);
                    // Where sigma² has no inverse the nearest point has all the weight.
                    *known = Posterior::new(c.alpha, (0.5 / (c.sigma * c.sigma)).min(f64::MAX));
                }
                let means = RowsMut::new(means, d + 1, d + 1);
                posteriors(self.simd, &self.read, Rows::new(x, d, d), known, means);
            },
        );
        let mut targets = Targets { mean: Tensor::zeros(x.rows(), d), variance: vec![], log_density: vec![] };
        for (i, &t) in t.iter().enumerate() {
            let mean = &means.row(i)[..d];
            targets.mean.row_mut(i).copy_from_slice(mean);
            targets.variance.push(self.variance(t, x.row(i), mean, means.row(i)[d], &known[i]));
            targets.log_density.push(self.log_density(t, &known[i]));
        }
        Ok(targets)
    }

    /// tr S_x from x̂_1, the mean of |x_i - c|² and the distances.
    fn variance(&self, t: f64, x: &[f64], mean: &[f64], square: f64, known: &Posterior) -> f64 {
        let c = self.path.coefficients(t);
        let variance = if c.alpha >= c.sigma {
            let of_mean: f64 = x.iter().zip(mean).map(|(x, m)| (x - c.alpha * m) * (x - c.alpha * m)).sum();
            (known.least + known.spread - of_mean) / (c.alpha * c.alpha)
        } else {
            square - squared_distance(mean, &self.centre)
        };
        variance.max(0.0) // rounding may leave less than nothing; NaN becomes 0, x̂_1 keeps it
    }

    #[allow(clippy::cast_precision_loss, reason = "a dimension and a number of points are far below 2^53")]
    fn log_density(&self, t: f64, known: &Posterior) -> f64 {
        let sigma = self.path.coefficients(t).sigma;
        if sigma == 0.0 {
            return if known.least == 0.0 { f64::INFINITY } else { f64::NEG_INFINITY };
        }
        let (n, d) = (self.points.rows() as f64, self.dim() as f64);
        known.total.ln() - known.least * known.sharpness - n.ln() - 0.5 * d * (TAU * sigma * sigma).ln()
    }

    /// The velocity at a row from x̂_1. // E15
    fn velocity(&self, row: usize, t: f64, x: &[f64], mean: &[f64], u: &mut [f64]) -> Result<()> {
        let c = self.path.coefficients(t);
        if c.sigma == 0.0 {
            let is_point = (0..self.points.rows()).any(|i| self.points.row(i) == x);
            if is_point && c.d_sigma.is_finite() {
                u.fill(0.0);
                return Ok(());
            }
            return Err(Error::Velocity { t, row, value: f64::INFINITY });
        }
        for (u, (x, m)) in u.iter_mut().zip(x.iter().zip(mean)) {
            *u = c.d_alpha * m + c.d_sigma * (x - c.alpha * m) / c.sigma;
        }
        Ok(())
    }

    /// The plain double loop at one row: the weights of all points, [n]. The twin of [`EmpiricalField::targets`].
    fn weights(&self, t: f64, x: &[f64]) -> Vec<f64> {
        let c = self.path.coefficients(t);
        let distance = |i| -> f64 {
            let point = self.points.row(i);
            x.iter().zip(point).map(|(x, p)| (x - c.alpha * p) * (x - c.alpha * p)).sum()
        };
        let s: Vec<f64> = (0..self.points.rows()).map(distance).collect();
        let least = s.iter().copied().fold(f64::INFINITY, f64::min);
        let sharpness = (0.5 / (c.sigma * c.sigma)).min(f64::MAX);
        let w: Vec<f64> = s.iter().map(|s| (-sharpness * (s - least)).exp()).collect();
        let total: f64 = w.iter().sum();
        w.iter().map(|w| w / total).collect()
    }

    /// x̂_1 under weights.
    fn weighted_mean(&self, weights: &[f64]) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim()];
        for (i, w) in weights.iter().enumerate() {
            mean.iter_mut().zip(self.points.row(i)).for_each(|(m, x)| *m += w * x);
        }
        mean
    }
}

impl VectorField<f64> for EmpiricalField {
    fn dim(&self) -> usize {
        self.points.cols()
    }

    fn eval(&self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        let targets = self.targets(t, x)?;
        for (i, &t) in t.iter().enumerate() {
            self.velocity(i, t, x.row(i), targets.mean.row(i), u.row_mut(i))?;
        }
        Ok(())
    }
}

impl DifferentiableField<f64> for EmpiricalField {
    fn differential_worker(&self, _rows: usize, _tangents: usize) -> Box<dyn DifferentialWorker<f64> + '_> {
        Box::new(EmpiricalWorker { field: self })
    }

    fn divergence_worker(&self, _rows: usize) -> Box<dyn Worker<f64> + '_> {
        Box::new(EmpiricalWorker { field: self })
    }
}

struct EmpiricalWorker<'a> {
    field: &'a EmpiricalField,
}

impl Worker<f64> for EmpiricalWorker<'_> {
    fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        self.field.eval(t, x, u)
    }

    /// The divergence from the trace of S_x.
    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    fn eval_carry(
        &mut self,
        t: &[f64],
        x: &Tensor<f64>,
        u: &mut Tensor<f64>,
        rate: &mut [f64],
    ) -> Result<()> {
        let targets = self.field.targets(t, x)?;
        for (i, &t) in t.iter().enumerate() {
            self.field.velocity(i, t, x.row(i), targets.mean.row(i), u.row_mut(i))?;
            let c = self.field.path.coefficients(t);
            let d = c.d_alpha * c.sigma - c.alpha * c.d_sigma;
            rate[i] = c.d_sigma / c.sigma * x.cols() as f64
                + d * c.alpha / (c.sigma * c.sigma * c.sigma) * targets.variance[i];
        }
        Ok(())
    }
}

impl DifferentialWorker<f64> for EmpiricalWorker<'_> {
    fn jvp(
        &mut self,
        t: &[f64],
        x: &Tensor<f64>,
        d_x: &Tensor<f64>,
        u: &mut Tensor<f64>,
        d_u: &mut Tensor<f64>,
    ) -> Result<()> {
        let field = self.field;
        for i in 0..x.rows() {
            let c = field.path.coefficients(t[i]);
            let weights = field.weights(t[i], x.row(i));
            let mean = field.weighted_mean(&weights);
            field.velocity(i, t[i], x.row(i), &mean, u.row_mut(i))?;
            let d = c.d_alpha * c.sigma - c.alpha * c.d_sigma;
            let factor = d * c.alpha / (c.sigma * c.sigma * c.sigma);
            for row in (i..d_x.rows()).step_by(x.rows()) {
                let (v, d_u) = (d_x.row(row), d_u.row_mut(row));
                d_u.fill(0.0);
                for (w, k) in weights.iter().zip(0..) {
                    let y = field.points.row(k).iter().zip(&mean).map(|(p, m)| p - m);
                    let along: f64 = y.clone().zip(v).map(|(y, v)| y * v).sum();
                    d_u.iter_mut().zip(y).for_each(|(d_u, y)| *d_u += w * along * y); // S_x v
                }
                d_u.iter_mut().zip(v).for_each(|(d_u, v)| *d_u = c.d_sigma / c.sigma * v + factor * *d_u);
            }
        }
        Ok(())
    }

    fn vjp(
        &mut self,
        t: &[f64],
        x: &Tensor<f64>,
        w: &Tensor<f64>,
        u: &mut Tensor<f64>,
        d_x: &mut Tensor<f64>,
    ) -> Result<()> {
        self.jvp(t, x, w, u, d_x) // the Jacobian is symmetric
    }
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// The mean of the rows.
#[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^53")]
fn mean(x: &Tensor<f64>) -> Vec<f64> {
    let n = x.rows() as f64;
    let mut mean = vec![0.0; x.cols()];
    for i in 0..x.rows() {
        mean.iter_mut().zip(x.row(i)).for_each(|(m, x)| *m += x / n);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::super::{GaussianFlow, MixtureFlow, mean_and_covariance};
    use super::*;
    use crate::kernel::SimdLevel;
    use crate::ode::Solver;
    use crate::path::Scheduler;
    use crate::rng::{Purpose, Rng};
    use proptest::{prop_assert, proptest};

    fn normals(n: usize, d: usize, seed: u64) -> Tensor<f64> {
        let mut stream = Rng::from_seed(seed).fork(Purpose::Data).stream(0);
        Tensor::from_vec((0..n * d).map(|_| stream.normal()).collect(), n, d).unwrap()
    }

    fn field(points: &Tensor<f64>) -> EmpiricalField {
        EmpiricalField::new(points, AffinePath::default()).unwrap()
    }

    fn eval(field: &EmpiricalField, t: &[f64], x: &Tensor<f64>) -> Tensor<f64> {
        let mut u = Tensor::zeros(x.rows(), x.cols());
        field.eval(t, x, &mut u).unwrap();
        u
    }

    proptest! {
        #[test]
        fn one_pass_gives_what_the_plain_loop_gives(
            n in 1..1200_usize, d in 1..4_usize, t in 0.0..0.999_f64, seed in 0..200_u64, offset in -50.0..50.0_f64,
        ) {
            let mut points = normals(n, d, seed);
            points.as_mut_slice().iter_mut().for_each(|x| *x += offset);
            let (field, mut x) = (field(&points), normals(2, d, seed + 1000));
            x.as_mut_slice().iter_mut().for_each(|x| *x += t * offset);
            let targets = field.targets(&[t; 2], &x).unwrap();
            // A squared distance has roundings of the offset's size times the distance, and sigma² divides it; weights are
            // off by that share of themselves.
            let sigma = 1.0 - t;
            let bound = 1e-14 * (100.0 + offset.abs()) / (sigma * sigma);
            for i in 0..2 {
                let weights = field.weights(t, x.row(i));
                let mean = field.weighted_mean(&weights);
                let variance: f64 = (0..n).map(|k| weights[k] * squared_distance(points.row(k), &mean)).sum();
                for j in 0..d {
                    prop_assert!((targets.mean.row(i)[j] - mean[j]).abs() < bound * 10.0);
                }
                prop_assert!((targets.variance[i] - variance).abs() < bound * 100.0, "{} {variance}", targets.variance[i]);
            }
        }
    }

    #[test]
    fn the_ends() {
        let points = Tensor::from_rows(&[[-1.0, 0.0], [3.0, 2.0], [4.0, -8.0]]);
        let field = field(&points);
        let x = Tensor::from_rows(&[[0.3, -0.1], [3.0, 2.0]]);
        // t = 0: u = c - x.
        let u = eval(&field, &[0.0; 2], &x);
        assert!(u.row(0).iter().zip([2.0 - 0.3, -2.0 + 0.1]).all(|(u, v)| (u - v).abs() < 1e-15));
        let known = field.targets(&[0.0; 2], &x).unwrap();
        let variance = (9.0 + 1.0 + 4.0) / 3.0 + (4.0 + 16.0 + 36.0) / 3.0;
        assert!((known.variance[0] - variance).abs() < 1e-14);
        // t = 1: the nearest point; the velocity is 0 on it and has no value elsewhere.
        let known = field.targets(&[1.0; 2], &x).unwrap();
        for (a, b) in known.mean.as_slice().iter().zip(points.as_slice()) {
            assert!((a - b).abs() < 1e-280); // the others weigh what exp gives at its end
        }
        assert_eq!(known.log_density, [f64::NEG_INFINITY, f64::INFINITY]);
        let mut u = Tensor::zeros(1, 2);
        field.eval(&[1.0], &x.slice_rows(1..2), &mut u).unwrap();
        assert_eq!(u.row(0), [0.0, 0.0]);
        assert!(matches!(
            field.eval(&[1.0], &x.slice_rows(0..1), &mut u),
            Err(Error::Velocity { row: 0, .. })
        ));
        // Just before it the whole path of a row goes to that point: u = (x_1 - x) / (1 - t).
        let u = eval(&field, &[1.0 - 1e-9; 2], &x);
        assert!((u.row(0)[0] / (-1.3 / 1e-9) - 1.0).abs() < 1e-6);
        // Two nearest points: their mean.
        let known = field.targets(&[1.0], &Tensor::from_rows(&[[1.0, 1.0]])).unwrap();
        assert_eq!(known.mean.row(0), [1.0, 1.0]);
    }

    #[test]
    fn one_point_is_the_conditional_path() {
        // E8: u = (x_1 - x) / (1 - t), p_t = N(t x_1, (1 - t)² I).
        let field = field(&Tensor::from_rows(&[[2.0, -1.0]]));
        let (t, x) = ([0.25, 0.9], Tensor::from_rows(&[[0.3, 0.7], [1.0, 1.0]]));
        let (u, known) = (eval(&field, &t, &x), field.targets(&t, &x).unwrap());
        for i in 0..2 {
            let s = 1.0 - t[i];
            let mut square = 0.0;
            for (j, x_1) in [2.0, -1.0].into_iter().enumerate() {
                assert!((u.row(i)[j] - (x_1 - x.row(i)[j]) / s).abs() < 1e-14);
                square += ((x.row(i)[j] - t[i] * x_1) / s).powi(2);
            }
            let exact = -0.5 * (square + 2.0 * TAU.ln()) - 2.0 * s.ln();
            assert!((known.log_density[i] - exact).abs() < 1e-13 && known.variance[i] < 1e-13);
        }
    }

    #[test]
    fn many_points_of_a_gaussian_come_to_its_closed_form() {
        // E20 against E18. x̂_1 is a mean of points under weights: with the effective number of points 1 / sum w² its error is
        // the root of the variance over that number; five of them, and the bias of a ratio is of second order.
        const N: usize = 20_000;
        let (m, s) = ([1.0, -2.0], Tensor::from_rows(&[[2.0, 0.6], [0.6, 0.7]]));
        let flow = GaussianFlow::new(&m, &s).unwrap();
        let points = flow.map(&normals(N, 2, 3)).unwrap();
        let field = field(&points);
        let x = Tensor::from_rows(&[[0.4, -0.9], [0.0, 0.5]]);
        for t in [0.1, 0.4, 0.6] {
            let (found, mut exact) = (eval(&field, &[t; 2], &x), Tensor::zeros(2, 2));
            flow.velocity(AffinePath::default()).eval(&[t; 2], &x, &mut exact).unwrap();
            let known = field.targets(&[t; 2], &x).unwrap();
            for i in 0..2 {
                let effective = 1.0 / field.weights(t, x.row(i)).iter().map(|w| w * w).sum::<f64>();
                let error = (known.variance[i] / effective).sqrt() / (1.0 - t); // u = (x̂_1 - x) / (1 - t)
                for j in 0..2 {
                    assert!((found.row(i)[j] - exact.row(i)[j]).abs() < 5.0 * error, "t = {t}, {error}");
                }
            }
        }
        // And to the mean and covariance of the points themselves at t = 0.
        let (mean, covariance) = mean_and_covariance(&points);
        let known = field.targets(&[0.0], &x.slice_rows(0..1)).unwrap();
        assert!((known.mean.row(0)[0] - mean[0]).abs() < 1e-12);
        assert!((known.variance[0] - covariance.row(0)[0] - covariance.row(1)[1]).abs() < 1e-11);
    }

    #[test]
    fn tiny_components_of_a_mixture_are_points() {
        // E20 against E19 with S = e² I: C_t = (t² e² + (1 - t)²) I, a change of relative size (e t / (1 - t))² < 1e-8.
        const E: f64 = 1e-5;
        const BOUND: f64 = 1e-6; // of numbers of size up to 50
        let points = normals(7, 2, 5);
        let covariance = Tensor::from_rows(&[[E * E, 0.0], [0.0, E * E]]);
        let mixture = MixtureFlow::new(&[1.0; 7], &points, &vec![covariance; 7]).unwrap();
        let (field, path, x) = (field(&points), AffinePath::default(), normals(5, 2, 6));
        let t = [0.0, 0.3, 0.6, 0.8, 0.9];
        let (found, mut exact) = (eval(&field, &t, &x), Tensor::zeros(5, 2));
        mixture.velocity(path).eval(&t, &x, &mut exact).unwrap();
        for (a, b) in found.as_slice().iter().zip(exact.as_slice()) {
            assert!((a - b).abs() < BOUND, "{a} {b}");
        }
        let known = field.targets(&t, &x).unwrap();
        for (a, b) in known.log_density.iter().zip(mixture.marginal_log_density(path, &t, &x).unwrap()) {
            assert!((a - b).abs() < BOUND, "{a} {b}");
        }
    }

    #[test]
    fn derivatives_are_those_of_the_velocity() {
        // Central differences: h² u''' / 6 with u''' of size 1 / sigma⁴, and rounding 1e-15 / h.
        // On a path whose alpha' and sigma' are not 1.
        for scheduler in [Scheduler::CondOt, Scheduler::Cosine] {
            let field = EmpiricalField::new(&normals(30, 2, 8), AffinePath::new(scheduler)).unwrap();
            check_derivatives(&field);
        }
    }

    fn check_derivatives(field: &EmpiricalField) {
        const STEP: f64 = 1e-5;
        const BOUND: f64 = 1e-7;
        let (t, x, v) = ([0.0, 0.5, 0.8], normals(3, 2, 9), normals(6, 2, 10));
        let mut worker = field.differential_worker(3, 2);
        let (mut u, mut d_u) = (Tensor::zeros(3, 2), Tensor::zeros(6, 2));
        worker.jvp(&t, &x, &v, &mut u, &mut d_u).unwrap();
        let plain = eval(field, &t, &x);
        let mut again = Tensor::zeros(3, 2);
        worker.eval(&t, &x, &mut again).unwrap();
        assert_eq!(again, plain);
        let mut d_x = Tensor::zeros(3, 2);
        worker.vjp(&t, &x, &v.slice_rows(0..3), &mut u, &mut d_x).unwrap();
        assert_eq!(d_x, d_u.slice_rows(0..3), "u is a gradient: its Jacobian is symmetric");
        for (a, b) in u.as_slice().iter().zip(plain.as_slice()) {
            assert!((a - b).abs() < 1e-12);
        }
        for row in 0..6 {
            let shifted = |by: f64| {
                let mut moved = x.slice_rows(row % 3..row % 3 + 1);
                moved.row_mut(0).iter_mut().zip(v.row(row)).for_each(|(x, v)| *x += by * v);
                eval(field, &t[row % 3..row % 3 + 1], &moved)
            };
            let (below, above) = (shifted(-STEP), shifted(STEP));
            for j in 0..2 {
                let slope = (above.row(0)[j] - below.row(0)[j]) / (2.0 * STEP);
                assert!((slope - d_u.row(row)[j]).abs() < BOUND, "{slope} {}", d_u.row(row)[j]);
            }
        }
        // The divergence from the trace, against that of d tangents; u is that of a plain evaluation to the bit.
        let (mut fast, mut slow, mut u) = ([0.0; 3], [0.0; 3], Tensor::zeros(3, 2));
        field.trace_by_tangents(3).eval_carry(&t, &x, &mut u, &mut slow).unwrap();
        field.divergence_worker(3).eval_carry(&t, &x, &mut u, &mut fast).unwrap();
        assert_eq!(u, plain);
        for (fast, slow) in fast.iter().zip(slow) {
            assert!((fast - slow).abs() <= 1e-10 * slow.abs(), "{fast} {slow}"); // both 0 at the start of `cosine`
        }
    }

    #[test]
    fn the_flow_ends_on_the_points() {
        let points = Tensor::from_rows(&[[-2.0], [0.5], [3.0]]);
        let field = field(&points);
        let x_0 = normals(40, 1, 11);
        let end = Solver::dopri5().solve(&field, &x_0, 0.0..1.0 - 1e-6).unwrap();
        // The distance that is left is sigma times a normal number.
        for i in 0..40 {
            let nearest = (0..3).map(|k| (end.x.row(i)[0] - points.row(k)[0]).abs()).fold(9.0, f64::min);
            assert!(nearest < 1e-4, "{nearest}");
        }
        // The plain answer at the end itself is an error with its time.
        let error = Solver::rk4().steps(4).solve(&field, &x_0, 0.0..1.0).unwrap_err();
        assert!(error.to_string().contains("t = 1.0 "), "{error}");
    }

    #[test]
    fn no_bit_depends_on_threads_or_neighbours() {
        let (field, x) = (field(&normals(1500, 2, 12)), normals(200, 2, 13));
        let t: Vec<f64> = (0..200).map(|i| f64::from(i) / 201.0).collect();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| field.targets(&t, &x)).unwrap()
        };
        let all = with(1);
        assert!(all == with(2) && all == with(7));
        let one = field.targets(&t[150..151], &x.slice_rows(150..151)).unwrap();
        assert_eq!((one.mean.row(0), one.variance[0]), (all.mean.row(150), all.variance[150]));
        // Another SIMD level: rounding alone.
        let portable =
            field.clone().with_simd(Simd::of(SimdLevel::Portable).unwrap()).targets(&t, &x).unwrap();
        for (a, b) in portable.mean.as_slice().iter().zip(all.mean.as_slice()) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        let path = AffinePath::default();
        for bad in [Tensor::zeros(0, 2), Tensor::zeros(2, 0)] {
            assert!(matches!(EmpiricalField::new(&bad, path), Err(Error::Dimension { .. })));
        }
        let bad = Tensor::from_rows(&[[f64::NAN]]);
        assert!(matches!(EmpiricalField::new(&bad, path), Err(Error::NotFinite { .. })));
        let field = field(&normals(3, 2, 14));
        assert!(matches!(field.targets(&[0.5], &Tensor::zeros(1, 3)), Err(Error::Dimension { .. })));
        assert!(matches!(field.targets(&[0.5], &Tensor::zeros(2, 2)), Err(Error::Dimension { .. })));
    }

    #[test]
    fn another_level_is_the_one_that_is_asked_for() {
        let portable = Simd::portable();
        assert_eq!(field(&normals(3, 1, 1)).with_simd(portable).simd.level(), SimdLevel::Portable);
    }

    #[test]
    fn an_offset_costs_no_digit_of_a_variance() {
        // Two points far away at t = 0: the square of half of what they are apart, and the squares of themselves lose all of it.
        let points = Tensor::from_rows(&[[1e8 + 0.1], [1e8 - 0.3]]);
        let known = field(&points).targets(&[0.0], &Tensor::from_rows(&[[0.3]])).unwrap();
        let half = 0.5 * (points.row(0)[0] - points.row(1)[0]);
        assert!((known.variance[0] - half * half).abs() < 1e-12, "{} {half}", known.variance[0]);
    }
}
