//! [`MixtureFlow`]: the true velocity to a mixture of Gaussians.
//!
//! # Math
//! X_0 ~ N(0, I), X_1 ~ sum_k w_k N(m_k, S_k), independent. Given X_t = x the component is k with the responsibility
//! g_k(t, x) ∝ w_k N(x | alpha m_k, C_k), C_k = alpha² S_k + sigma² I, and u_t(x) = sum_k g_k u^k_t(x) with u^k from the
//! Gaussian case (E18, E19). p_t(x) = sum_k w_k N(x | alpha m_k, C_k), at t = 1 the target itself.
//!
//! With J_k = du^k/dx and r_k = grad log N(x | alpha m_k, C_k) = -C_k^-1 (x - alpha m_k), since grad log g_k = r_k - sum_l g_l r_l:
//! ```text
//! du/dx = sum_k g_k J_k + sum_k g_k u^k (r_k - r)^T,   r = sum_l g_l r_l
//! ```
//!
//! # Shapes
//! K weights, means [K, d], K covariances [d, d]; x and u [B, d], t of length B.
//!
//! # Limits
//! More than 500 lines, with the tests of its formula and of its derivatives.
//!
//! Each covariance as for [`GaussianFlow`]. Time O(K d²) a row. No time is singular: C_k is positive definite at t = 1 too, as
//! long as the path's coefficients are finite.
//!
//! # Source
//! Derived above; the setting is that of Lipman et al. 2023, arXiv:2210.02747.

use std::f64::consts::TAU;

use crate::error::{Error, Result};
use crate::field::{DifferentiableField, DifferentialWorker, VectorField, Worker};
use crate::path::{AffinePath, Coefficients, Scheduler};
use crate::rng::{Purpose, ROWS_PER_STREAM, Rng};
use crate::tensor::Tensor;

use super::gaussian::GaussianFlow;

/// The flow from N(0, I) to a mixture of Gaussians. // E19
///
/// # Example
/// ```
/// use pushforward::{AffinePath, Tensor, closed_form::MixtureFlow};
///
/// let s = Tensor::from_rows(&[[0.25]]);
/// let flow = MixtureFlow::new(&[1.0, 3.0], &Tensor::from_rows(&[[-2.0], [2.0]]), &[s.clone(), s])?;
/// let x = Tensor::from_rows(&[[0.0]]);
/// let g = flow.responsibilities(AffinePath::default(), &[0.5], &x)?;
/// assert!((g.row(0)[1] - 0.75).abs() < 1e-15); // as far from both: the weights decide
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MixtureFlow {
    weights: Vec<f64>, // [K], their sum is 1
    components: Vec<GaussianFlow>,
}

impl MixtureFlow {
    /// The flow to a mixture of K components: weights (which are divided by their sum), means [K, d], covariances [d, d].
    ///
    /// # Errors
    /// [`Error::Dimension`] if there are no components or not as many of each, [`Error::Setting`] for a weight that is not
    /// above 0 and finite, and what [`GaussianFlow::new`] refuses.
    pub fn new(weights: &[f64], means: &Tensor<f64>, covariances: &[Tensor<f64>]) -> Result<Self> {
        let expected = weights.len().max(1);
        for (what, found) in
            [("weights", weights.len()), ("means", means.rows()), ("covariances", covariances.len())]
        {
            if found != expected {
                return Err(Error::Dimension { what, expected, found, remedy: "give one a component" });
            }
        }
        let total: f64 = weights.iter().sum();
        if let Some(bad) = weights.iter().find(|&&w| !(w > 0.0 && w.is_finite() && total.is_finite())) {
            let remedy = "the weights of components are above 0 and finite, their sum too";
            return Err(Error::Setting { name: "weights", value: bad.to_string(), remedy });
        }
        let components = covariances.iter().enumerate().map(|(k, s)| GaussianFlow::new(means.row(k), s));
        Ok(Self {
            weights: weights.iter().map(|w| w / total).collect(),
            components: components.collect::<Result<_>>()?,
        })
    }

    /// The dimension d.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.components[0].dim()
    }

    /// The weights, whose sum is 1.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The components.
    #[must_use]
    pub fn components(&self) -> &[GaussianFlow] {
        &self.components
    }

    /// The velocity u_t(x) of a path, to be evaluated, differentiated and solved.
    #[must_use]
    pub fn velocity(&self, path: AffinePath) -> MixtureVelocity<'_> {
        MixtureVelocity { flow: self, path }
    }

    /// The log-density of the target at each row of x, [B, d], in nats.
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has not d columns.
    pub fn log_density(&self, x: &Tensor<f64>) -> Result<Vec<f64>> {
        self.marginal_log_density(AffinePath::new(Scheduler::CondOt), &vec![1.0; x.rows()], x)
    }

    /// log p_t(x) of X_t, in nats, at each row and its time. // E4, E19
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has not d columns, or t not one time for each row.
    pub fn marginal_log_density(&self, path: AffinePath, t: &[f64], x: &Tensor<f64>) -> Result<Vec<f64>> {
        self.check(t, x)?;
        let mut row = self.row();
        let of_row = |(i, &t): (usize, &f64)| row.responsibilities(path.coefficients(t), x.row(i));
        Ok(t.iter().enumerate().map(of_row).collect())
    }

    /// The probability of each component given X_t = x, [B, K]; each row adds up to 1. // E19
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has not d columns, or t not one time for each row.
    pub fn responsibilities(&self, path: AffinePath, t: &[f64], x: &Tensor<f64>) -> Result<Tensor<f64>> {
        self.check(t, x)?;
        let (mut row, mut out) = (self.row(), Tensor::zeros(x.rows(), self.weights.len()));
        for (i, &t) in t.iter().enumerate() {
            row.responsibilities(path.coefficients(t), x.row(i));
            out.row_mut(i).copy_from_slice(&row.share);
        }
        Ok(out)
    }

    /// Draws n rows of the target, [n, d]; row i depends on the seed and on i only.
    ///
    /// # Panics
    /// As [`Tensor::zeros`], for more rows than memory has a place for.
    #[must_use]
    pub fn sample(&self, n: usize, rng: &mut Rng) -> Tensor<f64> {
        let streams = rng.fork(Purpose::Data);
        let (d, mut x) = (self.dim(), Tensor::zeros(n, self.dim()));
        for (block, rows) in x.as_mut_slice().chunks_mut((ROWS_PER_STREAM * d).max(1)).enumerate() {
            let mut stream = streams.stream(block as u64);
            for row in rows.chunks_mut(d) {
                let mut u = stream.uniform();
                let chosen = self.weights.iter().position(|w| {
                    u -= w;
                    u < 0.0
                });
                let component = &self.components[chosen.unwrap_or(self.weights.len() - 1)];
                let eigen = &component.eigen;
                row.copy_from_slice(&component.mean);
                for (k, s) in eigen.values.iter().enumerate() {
                    let z = s.sqrt() * stream.normal();
                    (0..d).for_each(|j| row[j] += z * eigen.vectors.row(j)[k]);
                }
            }
        }
        x
    }

    fn check(&self, t: &[f64], x: &Tensor<f64>) -> Result<()> {
        x.check_cols("columns of x", self.dim(), "give rows of the dimension of the means")?;
        if t.len() != x.rows() {
            let remedy = "give one time for each row";
            return Err(Error::Dimension { what: "times", expected: x.rows(), found: t.len(), remedy });
        }
        Ok(())
    }

    fn row(&self) -> RowOf<'_> {
        let (k, d) = (self.weights.len(), self.dim());
        RowOf { flow: self, share: vec![0.0; k], y: Tensor::zeros(k, d), c: Tensor::zeros(k, d) }
    }
}

/// What is found at one row: memory that is used again for the next one.
struct RowOf<'a> {
    flow: &'a MixtureFlow,
    share: Vec<f64>, // [K], g_k
    y: Tensor<f64>,  // [K, d], V_k^T (x - alpha m_k)
    c: Tensor<f64>,  // [K, d], eigenvalues of C_k
}

impl RowOf<'_> {
    /// Fills in all of it; log p_t(x) comes back.
    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    fn responsibilities(&mut self, c: Coefficients, x: &[f64]) -> f64 {
        let d = x.len();
        for (k, component) in self.flow.components.iter().enumerate() {
            let (y, spread, eigen) = (self.y.row_mut(k), self.c.row_mut(k), &component.eigen);
            y.fill(0.0);
            for j in 0..d {
                let centred = x[j] - c.alpha * component.mean[j];
                y.iter_mut().zip(eigen.vectors.row(j)).for_each(|(y, v)| *y += v * centred);
            }
            let mut log = self.flow.weights[k].ln() - 0.5 * d as f64 * TAU.ln();
            for (j, s) in eigen.values.iter().enumerate() {
                spread[j] = c.alpha * c.alpha * s + c.sigma * c.sigma;
                log -= 0.5 * (spread[j].ln() + y[j] * y[j] / spread[j]);
            }
            self.share[k] = log;
        }
        // log-sum-exp: the largest is taken out, so that nothing overflows and one term is 1.
        let most = self.share.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.share.iter_mut().for_each(|g| *g = (*g - most).exp());
        let total: f64 = self.share.iter().sum();
        self.share.iter_mut().for_each(|g| *g /= total);
        most + total.ln()
    }

    /// out += by V_k (f_j y_j) for component k.
    fn add(&self, k: usize, by: f64, y: &[f64], f: impl Fn(usize) -> f64, out: &mut [f64]) {
        let vectors = &self.flow.components[k].eigen.vectors;
        for (i, out) in out.iter_mut().enumerate() {
            *out +=
                by * vectors.row(i).iter().zip(y).enumerate().map(|(j, (v, y))| v * f(j) * y).sum::<f64>();
        }
    }

    /// The eigenvalue g_j of du^k/dx. // E18
    fn slope(&self, c: Coefficients, k: usize, j: usize) -> f64 {
        let s = self.flow.components[k].eigen.values[j];
        (c.alpha * c.d_alpha * s + c.noise_rate()) / self.c.row(k)[j]
    }

    /// out = u^k: alpha' m_k + J_k (x - alpha m_k), for the row that was filled in.
    fn velocity(&self, c: Coefficients, k: usize, out: &mut [f64]) {
        let mean = &self.flow.components[k].mean;
        out.iter_mut().zip(mean).for_each(|(u, m)| *u = c.d_alpha * m);
        self.add(k, 1.0, self.y.row(k), |j| self.slope(c, k, j), out);
    }

    /// out = r_k, the score of component k.
    fn score(&self, k: usize, out: &mut [f64]) {
        out.fill(0.0);
        self.add(k, -1.0, self.y.row(k), |j| 1.0 / self.c.row(k)[j], out);
    }
}

/// The velocity of a [`MixtureFlow`] along one path. // E19
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixtureVelocity<'a> {
    flow: &'a MixtureFlow,
    path: AffinePath,
}

impl VectorField<f64> for MixtureVelocity<'_> {
    fn dim(&self) -> usize {
        self.flow.dim()
    }

    fn eval(&self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        self.worker(x.rows()).eval(t, x, u)
    }

    fn worker(&self, _rows: usize) -> Box<dyn Worker<f64> + '_> {
        Box::new(MixtureWorker::new(*self))
    }
}

impl DifferentiableField<f64> for MixtureVelocity<'_> {
    fn differential_worker(&self, _rows: usize, _tangents: usize) -> Box<dyn DifferentialWorker<f64> + '_> {
        Box::new(MixtureWorker::new(*self))
    }
}

struct MixtureWorker<'a> {
    path: AffinePath,
    row: RowOf<'a>,
    u: Tensor<f64>,     // [K, d], u^k
    score: Tensor<f64>, // [K, d], r_k
    y: Vec<f64>,        // [d], V_k^T of a tangent
}

impl<'a> MixtureWorker<'a> {
    fn new(velocity: MixtureVelocity<'a>) -> Self {
        let MixtureVelocity { flow, path } = velocity;
        let zeros = Tensor::zeros(flow.weights.len(), flow.dim());
        Self { path, row: flow.row(), u: zeros.clone(), score: zeros, y: vec![0.0; flow.dim()] }
    }

    /// u at one row, with all that derivatives need. // E19
    fn at(&mut self, c: Coefficients, x: &[f64], u: &mut [f64]) {
        self.row.responsibilities(c, x);
        u.fill(0.0);
        for (k, &g) in self.row.share.iter().enumerate() {
            self.row.velocity(c, k, self.u.row_mut(k));
            u.iter_mut().zip(self.u.row(k)).for_each(|(u, u_k)| *u += g * u_k);
        }
    }

    /// The scores of all components less their mean, after [`MixtureWorker::at`].
    fn centred_scores(&mut self) {
        let d = self.y.len();
        let mut mean = vec![0.0; d];
        for (k, &g) in self.row.share.iter().enumerate() {
            self.row.score(k, self.score.row_mut(k));
            mean.iter_mut().zip(self.score.row(k)).for_each(|(m, r)| *m += g * r);
        }
        for k in 0..self.row.share.len() {
            self.score.row_mut(k).iter_mut().zip(&mean).for_each(|(r, m)| *r -= m);
        }
    }

    /// out = sum_k g_k (J_k v + a_k (b_k . v)): (a, b) = (u, r) is the Jacobian, (r, u) its transpose.
    fn product(&mut self, c: Coefficients, v: &[f64], transposed: bool, out: &mut [f64]) {
        out.fill(0.0);
        let (a, b) = if transposed { (&self.score, &self.u) } else { (&self.u, &self.score) };
        for (k, &g) in self.row.share.iter().enumerate() {
            self.y.fill(0.0);
            for (i, v) in v.iter().enumerate() {
                let vectors = self.row.flow.components[k].eigen.vectors.row(i);
                self.y.iter_mut().zip(vectors).for_each(|(y, e)| *y += e * v);
            }
            self.row.add(k, g, &self.y, |j| self.row.slope(c, k, j), out); // g_k J_k v
            let along: f64 = b.row(k).iter().zip(v).map(|(b, v)| b * v).sum();
            out.iter_mut().zip(a.row(k)).for_each(|(out, a)| *out += g * a * along);
        }
    }
}

impl Worker<f64> for MixtureWorker<'_> {
    fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        for (i, &t) in t.iter().enumerate() {
            self.at(self.path.coefficients(t), x.row(i), u.row_mut(i));
        }
        Ok(())
    }
}

impl DifferentialWorker<f64> for MixtureWorker<'_> {
    fn jvp(
        &mut self,
        t: &[f64],
        x: &Tensor<f64>,
        d_x: &Tensor<f64>,
        u: &mut Tensor<f64>,
        d_u: &mut Tensor<f64>,
    ) -> Result<()> {
        for (i, &t) in t.iter().enumerate() {
            let c = self.path.coefficients(t);
            self.at(c, x.row(i), u.row_mut(i));
            self.centred_scores();
            for row in (i..d_x.rows()).step_by(x.rows()) {
                self.product(c, d_x.row(row), false, d_u.row_mut(row));
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
        for (i, &t) in t.iter().enumerate() {
            let c = self.path.coefficients(t);
            self.at(c, x.row(i), u.row_mut(i));
            self.centred_scores();
            self.product(c, w.row(i), true, d_x.row_mut(i));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::mean_and_covariance;
    use super::*;
    use crate::path::Scheduler;

    fn example() -> MixtureFlow {
        let means = Tensor::from_rows(&[[2.0, 0.0], [-1.0, 1.5], [0.0, -2.0]]);
        let s = [[[0.3, 0.1], [0.1, 0.2]], [[0.1, 0.0], [0.0, 0.6]], [[0.5, -0.2], [-0.2, 0.3]]];
        MixtureFlow::new(&[1.0, 2.0, 0.5], &means, &s.map(|s| Tensor::from_rows(&s))).unwrap()
    }

    fn points() -> (Vec<f64>, Tensor<f64>) {
        let x = Tensor::from_rows(&[[0.3, -0.2], [1.5, 0.4], [-0.5, 0.7], [0.1, 0.1], [-1.0, 1.0]]);
        (vec![0.0, 0.3, 0.6, 0.9, 1.0], x)
    }

    #[test]
    fn one_component_is_the_gaussian_case() {
        let s = Tensor::from_rows(&[[2.0, 0.6], [0.6, 0.7]]);
        let gaussian = GaussianFlow::new(&[1.0, -2.0], &s).unwrap();
        // The same component twice is one component.
        let means = Tensor::from_rows(&[[1.0, -2.0], [1.0, -2.0]]);
        let mixture = MixtureFlow::new(&[0.7, 0.1], &means, &[s.clone(), s]).unwrap();
        let (t, x) = points();
        for path in [AffinePath::default(), AffinePath::new(Scheduler::Cosine)] {
            let (mut u, mut v) = (Tensor::zeros(5, 2), Tensor::zeros(5, 2));
            mixture.velocity(path).eval(&t, &x, &mut u).unwrap();
            gaussian.velocity(path).eval(&t, &x, &mut v).unwrap();
            assert!(u.as_slice().iter().zip(v.as_slice()).all(|(a, b)| (a - b).abs() < 1e-13));
        }
        let (a, b) = (mixture.log_density(&x).unwrap(), gaussian.log_density(&x).unwrap());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13));
    }

    #[test]
    fn derivatives_are_those_of_the_velocity() {
        // Central differences: h² u''' / 6 with u''' of size 1000, and rounding 1e-15 / h.
        const STEP: f64 = 1e-5;
        const BOUND: f64 = 1e-7;
        let (flow, (t, x)) = (example(), points());
        let u = flow.velocity(AffinePath::default());
        let mut worker = u.differential_worker(5, 2);
        let mut tangents = Tensor::zeros(10, 2);
        let mut stream = Rng::from_seed(1).fork(Purpose::Metric).stream(0);
        tangents.as_mut_slice().iter_mut().for_each(|x| *x = stream.normal());
        let (mut value, mut d_u, mut plain) =
            (Tensor::zeros(5, 2), Tensor::zeros(10, 2), Tensor::zeros(5, 2));
        worker.jvp(&t, &x, &tangents, &mut value, &mut d_u).unwrap();
        u.eval(&t, &x, &mut plain).unwrap();
        assert_eq!(value, plain);
        for row in 0..10 {
            let shifted = |by: f64| {
                let mut moved = x.slice_rows(row % 5..row % 5 + 1);
                moved.row_mut(0).iter_mut().zip(tangents.row(row)).for_each(|(x, v)| *x += by * v);
                let mut out = Tensor::zeros(1, 2);
                u.eval(&t[row % 5..row % 5 + 1], &moved, &mut out).unwrap();
                out
            };
            let (below, above) = (shifted(-STEP), shifted(STEP));
            for j in 0..2 {
                let slope = (above.row(0)[j] - below.row(0)[j]) / (2.0 * STEP);
                assert!((slope - d_u.row(row)[j]).abs() < BOUND, "{row}: {slope} {}", d_u.row(row)[j]);
            }
        }
        // The transpose is found another way; u is a gradient, so both are the same matrix.
        let mut d_x = Tensor::zeros(5, 2);
        worker.vjp(&t, &x, &tangents.slice_rows(0..5), &mut value, &mut d_x).unwrap();
        for (a, b) in d_x.as_slice().iter().zip(d_u.as_slice()) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn other_rows_are_refused() {
        let (flow, path) = (example(), AffinePath::default());
        for (t, x) in [(vec![0.5; 2], Tensor::zeros(3, 2)), (vec![0.5; 3], Tensor::zeros(3, 1))] {
            let error = flow.marginal_log_density(path, &t, &x).unwrap_err();
            assert!(matches!(error, Error::Dimension { .. }), "{error}");
        }
    }

    #[test]
    fn mass_moves_and_none_is_made() {
        // E3 at points: d/dt log p + div u + u . grad log p = 0; differences in t and x, of h² and rounding 1e-15 / h.
        const STEP: f64 = 1e-5;
        const BOUND: f64 = 1e-8;
        let (flow, path, (_, x)) = (example(), AffinePath::default(), points());
        let t = vec![0.2, 0.4, 0.5, 0.7, 0.9];
        let log_p = |t: &[f64], x: &Tensor<f64>| flow.marginal_log_density(path, t, x).unwrap();
        let (mut u, mut divergence) = (Tensor::zeros(5, 2), [0.0; 5]);
        let field = flow.velocity(path);
        field.divergence_worker(5).eval_carry(&t, &x, &mut u, &mut divergence).unwrap();
        let later: Vec<f64> = t.iter().map(|t| t + STEP).collect();
        let before: Vec<f64> = t.iter().map(|t| t - STEP).collect();
        let (later, before) = (log_p(&later, &x), log_p(&before, &x));
        for i in 0..5 {
            let mut sum = (later[i] - before[i]) / (2.0 * STEP) + divergence[i];
            for j in 0..2 {
                let moved = |by: f64| {
                    let mut x = x.slice_rows(i..i + 1);
                    x.row_mut(0)[j] += by;
                    log_p(&t[i..i + 1], &x)[0]
                };
                sum += u.row(i)[j] * (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            }
            assert!(sum.abs() < BOUND, "{i}: {sum}");
        }
    }

    #[test]
    fn samples_have_its_moments() {
        const N: usize = 40_000;
        let flow = example();
        let x = flow.sample(N, &mut Rng::from_seed(4));
        let (mean, covariance) = mean_and_covariance(&x);
        // E X = sum w m, E X_j² = sum w (S_jj + m_j²), by hand; five standard errors.
        let w = [1.0 / 3.5, 2.0 / 3.5, 0.5 / 3.5];
        let exact = [w[0] * 2.0 - w[1], w[1] * 1.5 - w[2] * 2.0];
        let square = [w[0] * 4.3 + w[1] * 1.1 + w[2] * 0.5, w[0] * 0.2 + w[1] * 2.85 + w[2] * 4.3];
        for j in 0..2 {
            let variance = square[j] - exact[j] * exact[j];
            assert!((mean[j] - exact[j]).abs() < 5.0 * (variance / N as f64).sqrt());
            // The kurtosis of these columns is below 3.
            assert!((covariance.row(j)[j] / variance - 1.0).abs() < 5.0 * (2.0 / N as f64).sqrt());
        }
        assert_eq!(flow.sample(100, &mut Rng::from_seed(4)), x.slice_rows(0..100));
    }

    #[test]
    fn far_away_one_component_is_left() {
        let flow = example();
        let x = Tensor::from_rows(&[[1e6, 0.0]]);
        let g = flow.responsibilities(AffinePath::default(), &[1.0], &x).unwrap();
        assert!((g.row(0).iter().sum::<f64>() - 1.0).abs() < 1e-15 && g.row(0).contains(&1.0));
        assert!(flow.log_density(&x).unwrap()[0].is_finite());
    }

    #[test]
    fn what_is_no_mixture_is_refused() {
        let (one, two) = (Tensor::from_rows(&[[1.0]]), Tensor::from_rows(&[[0.0], [1.0]]));
        let new = |w: &[f64], m: &Tensor<f64>, s: &[Tensor<f64>]| MixtureFlow::new(w, m, s).map(|_| ());
        assert!(matches!(new(&[], &Tensor::zeros(0, 1), &[]), Err(Error::Dimension { .. })));
        assert!(matches!(new(&[1.0, 1.0], &two, std::slice::from_ref(&one)), Err(Error::Dimension { .. })));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let pair = [one.clone(), one.clone()];
            assert!(matches!(new(&[1.0, bad], &two, &pair), Err(Error::Setting { .. })), "{bad}");
        }
        let flow = new(&[1.0], &one, &[Tensor::from_rows(&[[-1.0]])]);
        assert!(matches!(flow, Err(Error::NotPositive { .. })));
    }

    #[test]
    fn draws_of_any_dimension_have_the_moments_of_the_mixture() {
        // Blocks of rows end where a row does, whatever the columns; five standard errors.
        const N: usize = 30_000;
        let means = Tensor::from_rows(&[[3.0, 0.0, -1.0], [-1.0, 2.0, 0.0]]);
        let covariance = Tensor::from_rows(&[[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.3]]);
        let flow = MixtureFlow::new(&[3.0, 1.0], &means, &[covariance.clone(), covariance.clone()]).unwrap();
        assert_eq!((flow.weights(), flow.components().len()), (&[0.75, 0.25][..], 2));
        assert_eq!(flow.components()[1].dim(), 3);
        let x = flow.sample(N, &mut Rng::from_seed(4));
        let (mean, second) = mean_and_covariance(&x);
        for i in 0..3 {
            let exact = |i: usize| 0.75 * means.row(0)[i] + 0.25 * means.row(1)[i];
            let error = (second.row(i)[i] / N as f64).sqrt();
            assert!((mean[i] - exact(i)).abs() < 5.0 * error, "{mean:?}");
            for j in 0..3 {
                // Between the components 0.75 x 0.25 times the distances of their means.
                let apart = |i: usize| means.row(0)[i] - means.row(1)[i];
                let wanted = covariance.row(i)[j] + 0.1875 * apart(i) * apart(j);
                let error = (2.0 * second.row(i)[i] * second.row(j)[j] / N as f64).sqrt();
                assert!((second.row(i)[j] - wanted).abs() < 5.0 * error, "{i} {j}: {second:?}");
            }
        }
    }
}
