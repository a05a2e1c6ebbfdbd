//! [`GaussianFlow`]: the flow from N(0, I) to N(m, S), of which everything is known exactly.
//!
//! # Math
//! X_0 ~ N(0, I) and X_1 ~ N(m, S), independent: X_t ~ N(alpha m, C_t), C_t = alpha² S + sigma² I, and
//! u_t(x) = alpha' m + (alpha alpha' S + sigma sigma' I) C_t^-1 (x - alpha m). The flow of this velocity is
//! psi_t(x) = alpha m + C_t^(1/2) x, so that psi_1(x) = m + S^(1/2) x (E18).
//!
//! With S = V diag(s) V^T everything is one number for each eigenvalue: du/dx = V diag(g) V^T,
//! g = (alpha alpha' s + sigma sigma') / (alpha² s + sigma²).
//!
//! The floor of the loss (E12) is V = E|dX_t - u_t(X_t)|², the variance of dX_t given X_t, over t uniform in
//! [0, 1]. Along one eigenvector it is (alpha'² s + sigma'²) - (alpha alpha' s + sigma sigma')² / (alpha² s + sigma²)
//! = s D² / (alpha² s + sigma²), D = alpha' sigma - alpha sigma'. For X_t = t X_1 + (1 - t) X_0, where D = 1, in
//! r = t / (1 - t), with dr = dt / (1 - t)², its integral over t is ∫_0^∞ s / (s r² + 1) dr = (pi/2) sqrt(s); V is the
//! sum of these over the eigenvalues.
//!
//! The path energy E ∫ |u_t(X_t)|² dt (E28) is ∫ alpha'² |m|² dt and, for each eigenvector, ∫ (alpha alpha' s + sigma sigma')² /
//! (alpha² s + sigma²) dt. For X_t = t X_1 + (1 - t) X_0, with y = (s + 1) t - 1, the latter is the integral of y² / (y² + s) from -1
//! to s, s + 1 - (pi/2) sqrt(s): what is left of E |X_1 - X_0|² without V.
//!
//! # Shapes
//! m has length d, S is [d, d], x is [B, d].
//!
//! # Limits
//! More than 500 lines, with the tests of its formula and of its derivatives.
//!
//! S must be positive definite to working precision: its smallest eigenvalue above d eps times its largest. Eigenvalues come
//! with an error of some eps times the largest, so that the small ones lose digits: of condition number k, a share k eps of
//! the smallest (2e-4 for 1e12). psi_1 and the velocity lose less, sqrt(k) eps of the largest scale (1e-10 for 1e12); the
//! log-density of a row that lies r standard deviations away in the thinnest direction is off by k eps (1 + r²) / 2 nats.
//!
//! # Source
//! The formulas are derived above; the setting is that of Lipman et al. 2023, arXiv:2210.02747.

use std::f64::consts::{FRAC_PI_2, TAU};

use crate::error::{Error, Result};
use crate::field::{DifferentiableField, DifferentialWorker, VectorField, Worker};
use crate::path::{AffinePath, Scheduler};
use crate::tensor::Tensor;

use super::quadrature::integrate;
use super::symmetric::Eigen;

/// What a covariance may lack of symmetry, as a share of its largest number: rounding of its sums.
const ASYMMETRY: f64 = 1e-12;

/// The flow from N(0, I) to N(m, S). // E18
///
/// # Example
/// ```
/// use pushforward::{Tensor, closed_form::GaussianFlow};
///
/// let flow = GaussianFlow::new(&[2.0], &Tensor::from_rows(&[[0.25]]))?;
/// assert_eq!(flow.map(&Tensor::from_rows(&[[-1.0]]))?.row(0), [1.5]); // 2 + x / 2
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianFlow {
    pub(super) mean: Vec<f64>,
    pub(super) eigen: Eigen, // of S
    root: Tensor<f64>,       // S^(1/2), [d, d]
}

impl GaussianFlow {
    /// The flow to mean m, of length d, and covariance S, [d, d].
    ///
    /// # Errors
    /// [`Error::Dimension`] if S is not d x d, [`Error::NotFinite`] if m or S holds NaN or infinity,
    /// [`Error::NotPositive`] if S is not symmetric or not positive definite.
    pub fn new(mean: &[f64], covariance: &Tensor<f64>) -> Result<Self> {
        let d = mean.len();
        let remedy = "one row and one column for each number of the mean";
        covariance.check_cols("columns of the covariance", d, remedy)?;
        if covariance.rows() != d {
            let (expected, found) = (d, covariance.rows());
            return Err(Error::Dimension { what: "rows of the covariance", expected, found, remedy });
        }
        Tensor::from_vec(mean.to_vec(), 1, d)?.check_finite("the mean", "give finite numbers")?;
        covariance.check_finite("the covariance", "give finite numbers")?;
        let eigen = Eigen::of(&symmetric(covariance)?);
        check_positive(&eigen.values)?;
        let root = eigen.function(f64::sqrt);
        Ok(Self { mean: mean.to_vec(), eigen, root })
    }

    /// The dimension d.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The velocity u_t(x) of a path, to be evaluated, differentiated and solved.
    #[must_use]
    pub fn velocity(&self, path: AffinePath) -> GaussianVelocity<'_> {
        GaussianVelocity { flow: self, path }
    }

    /// psi_1(x_0) = m + S^(1/2) x_0 for each row, [B, d]: where the flow takes it, for every path.
    ///
    /// # Errors
    /// [`Error::Dimension`] if x_0 has not d columns.
    pub fn map(&self, x_0: &Tensor<f64>) -> Result<Tensor<f64>> {
        let d = self.dim();
        x_0.check_cols("columns of x_0", d, "give rows of the dimension of the mean")?;
        let mut x_1 = Tensor::zeros(x_0.rows(), d);
        for i in 0..x_0.rows() {
            for j in 0..d {
                let moved: f64 = (0..d).map(|k| self.root.row(j)[k] * x_0.row(i)[k]).sum();
                x_1.row_mut(i)[j] = self.mean[j] + moved;
            }
        }
        Ok(x_1)
    }

    /// The log-density of N(m, S) at each row of x, [B, d], in nats.
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has not d columns.
    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    pub fn log_density(&self, x: &Tensor<f64>) -> Result<Vec<f64>> {
        let (d, s, v) = (self.dim(), &self.eigen.values, &self.eigen.vectors);
        x.check_cols("columns of x", d, "give rows of the dimension of the mean")?;
        let constant = -0.5 * (d as f64 * TAU.ln() + s.iter().map(|s| s.ln()).sum::<f64>());
        let of_row = |i| {
            let square = (0..d).map(|k| {
                let y: f64 = (0..d).map(|j| v.row(j)[k] * (x.row(i)[j] - self.mean[j])).sum();
                y * y / s[k]
            });
            constant - 0.5 * square.sum::<f64>()
        };
        Ok((0..x.rows()).map(of_row).collect())
    }

    /// The floor V of the training loss E|v - dX_t|² (E11), times uniform: what remains of it for the true
    /// velocity (E12). For `condot` it is (pi/2) times the sum of the square roots of the eigenvalues of S, for other paths an
    /// integral found by quadrature; it is infinite where alpha' sigma - alpha sigma' grows like 1 / sqrt(1 - t) or faster, as
    /// that of a variance-preserving path with a sigma like sqrt(1 - t) does.
    #[must_use]
    pub fn loss_floor(&self, path: AffinePath) -> f64 {
        if path.scheduler == Scheduler::CondOt {
            return FRAC_PI_2 * self.eigen.values.iter().map(|s| s.sqrt()).sum::<f64>();
        }
        self.loss_floor_by_quadrature(path)
    }

    /// The path energy E ∫ |u_t(X_t)|² dt: in closed form for `condot`, for other paths an integral found by quadrature; infinite
    /// where the velocity is too steep at an end. // E28
    ///
    /// # Example
    /// ```
    /// use pushforward::{AffinePath, Tensor, closed_form::GaussianFlow};
    ///
    /// // From N(0, 1) to itself nothing would have to move, and on this path it does: 2 - pi/2.
    /// let flow = GaussianFlow::new(&[0.0], &Tensor::from_rows(&[[1.0]]))?;
    /// assert!((flow.path_energy(AffinePath::default()) - 0.429_203_673).abs() < 1e-9);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    #[must_use]
    pub fn path_energy(&self, path: AffinePath) -> f64 {
        let square: f64 = self.mean.iter().map(|m| m * m).sum();
        if path.scheduler == Scheduler::CondOt {
            let along = |s: &f64| s + 1.0 - FRAC_PI_2 * s.sqrt();
            return square + self.eigen.values.iter().map(along).sum::<f64>();
        }
        self.path_energy_by_quadrature(path)
    }

    fn path_energy_by_quadrature(&self, path: AffinePath) -> f64 {
        let square: f64 = self.mean.iter().map(|m| m * m).sum();
        integrate(|t| {
            let c = path.coefficients(t);
            let along = |s: &f64| {
                let covariance = c.alpha * c.d_alpha * s + c.noise_rate(); // of dX_t and X_t
                covariance * covariance / (c.alpha * c.alpha * s + c.sigma * c.sigma)
            };
            c.d_alpha * c.d_alpha * square + self.eigen.values.iter().map(along).sum::<f64>()
        })
    }

    /// V for any path: per eigenvector s (alpha' sigma - alpha sigma')² / (alpha² s + sigma²), integrated over t.
    fn loss_floor_by_quadrature(&self, path: AffinePath) -> f64 {
        integrate(|t| {
            let c = path.coefficients(t);
            let d = c.d_alpha * c.sigma - c.alpha * c.d_sigma;
            let along = |s: &f64| s * d * d / (c.alpha * c.alpha * s + c.sigma * c.sigma);
            self.eigen.values.iter().map(along).sum()
        })
    }
}

/// The velocity of a [`GaussianFlow`] along one path. // E18
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianVelocity<'a> {
    flow: &'a GaussianFlow,
    path: AffinePath,
}

impl GaussianVelocity<'_> {
    /// One row: out = alpha' m + J (x - alpha m), J = du/dx at time t; y, of length d, is memory to work in.
    fn at(&self, t: f64, x: &[f64], out: &mut [f64], y: &mut [f64]) {
        let (c, m) = (self.path.coefficients(t), &self.flow.mean);
        for (out, (x, m)) in out.iter_mut().zip(x.iter().zip(m)) {
            *out = x - c.alpha * m;
        }
        self.rotate(out, y);
        self.stretch(t, y, out);
        for (out, m) in out.iter_mut().zip(m) {
            *out += c.d_alpha * m;
        }
    }

    /// y = V^T x.
    fn rotate(&self, x: &[f64], y: &mut [f64]) {
        let v = &self.flow.eigen.vectors;
        y.fill(0.0);
        for (j, x) in x.iter().enumerate() {
            for (y, v) in y.iter_mut().zip(v.row(j)) {
                *y += v * x;
            }
        }
    }

    /// out = V diag(g) y; y is diag(g) y afterwards.
    fn stretch(&self, t: f64, y: &mut [f64], out: &mut [f64]) {
        let (c, v) = (self.path.coefficients(t), &self.flow.eigen.vectors);
        for (y, s) in y.iter_mut().zip(&self.flow.eigen.values) {
            let covariance = c.alpha * c.d_alpha * s + c.noise_rate(); // of dX_t and X_t
            *y *= covariance / (c.alpha * c.alpha * s + c.sigma * c.sigma);
        }
        for (j, out) in out.iter_mut().enumerate() {
            *out = v.row(j).iter().zip(&*y).map(|(v, y)| v * y).sum();
        }
    }
}

impl VectorField<f64> for GaussianVelocity<'_> {
    fn dim(&self) -> usize {
        self.flow.dim()
    }

    fn eval(&self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        GaussianWorker { velocity: *self, y: vec![0.0; self.dim()] }.eval(t, x, u)
    }

    fn worker(&self, _rows: usize) -> Box<dyn Worker<f64> + '_> {
        Box::new(GaussianWorker { velocity: *self, y: vec![0.0; self.dim()] })
    }
}

impl DifferentiableField<f64> for GaussianVelocity<'_> {
    fn differential_worker(&self, _rows: usize, _tangents: usize) -> Box<dyn DifferentialWorker<f64> + '_> {
        Box::new(GaussianWorker { velocity: *self, y: vec![0.0; self.dim()] })
    }
}

struct GaussianWorker<'a> {
    velocity: GaussianVelocity<'a>,
    y: Vec<f64>, // [d], coordinates along the eigenvectors
}

impl Worker<f64> for GaussianWorker<'_> {
    fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        for (i, &t) in t.iter().enumerate() {
            self.velocity.at(t, x.row(i), u.row_mut(i), &mut self.y);
        }
        Ok(())
    }
}

impl DifferentialWorker<f64> for GaussianWorker<'_> {
    fn jvp(
        &mut self,
        t: &[f64],
        x: &Tensor<f64>,
        d_x: &Tensor<f64>,
        u: &mut Tensor<f64>,
        d_u: &mut Tensor<f64>,
    ) -> Result<()> {
        for row in 0..d_x.rows() {
            self.velocity.rotate(d_x.row(row), &mut self.y);
            self.velocity.stretch(t[row % x.rows()], &mut self.y, d_u.row_mut(row));
        }
        self.eval(t, x, u)
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

/// The mean of a matrix and its transpose, if they differ by rounding only.
fn symmetric(a: &Tensor<f64>) -> Result<Tensor<f64>> {
    let scale = a.as_slice().iter().fold(0.0, |largest: f64, a| largest.max(a.abs()));
    let mut out = a.clone();
    for i in 0..a.rows() {
        for j in 0..i {
            let (lower, upper) = (a.row(i)[j], a.row(j)[i]);
            if (lower - upper).abs() > ASYMMETRY * scale {
                return Err(Error::NotPositive {
                    what: "the covariance",
                    found: format!("({i}, {j}) is {lower}, ({j}, {i}) is {upper}, counted from 0"),
                    remedy: "give the same number on both sides of the diagonal",
                });
            }
            let middle = lower + 0.5 * (upper - lower);
            out.row_mut(i)[j] = middle;
            out.row_mut(j)[i] = middle;
        }
    }
    Ok(out)
}

/// Whether all eigenvalues are above the rounding errors of the largest one.
#[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
fn check_positive(values: &[f64]) -> Result<()> {
    let (smallest, largest) =
        values.iter().fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), &s| (least.min(s), most.max(s)));
    if smallest > values.len() as f64 * f64::EPSILON * largest {
        return Ok(());
    }
    Err(Error::NotPositive {
        what: "the covariance",
        found: format!("its eigenvalues run from {smallest:e} to {largest:e}"),
        remedy: "leave out columns that the others determine, or add a small number to the diagonal",
    })
}

#[cfg(test)]
mod tests {
    use super::super::{MixtureFlow, mean_and_covariance};
    use super::*;
    use crate::ode::Solver;
    use crate::rng::{Purpose, Rng};
    use crate::source::Source;

    fn covariance() -> Tensor<f64> {
        Tensor::from_rows(&[[2.0, 0.6, -0.3], [0.6, 0.7, 0.1], [-0.3, 0.1, 0.4]])
    }

    fn example() -> GaussianFlow {
        GaussianFlow::new(&[1.0, -2.0, 0.5], &covariance()).unwrap()
    }

    #[test]
    fn the_velocity_has_the_known_numbers() {
        // N(0, 1) -> N(2, .25), condot: u(.3, t = .25) and u(1, t = .75); flow_matching 1.0.10 in f64,
        // checked against the closed form, ten decimals.
        let flow = GaussianFlow::new(&[2.0], &Tensor::from_rows(&[[0.25]])).unwrap();
        let mut u = Tensor::zeros(2, 1);
        let x = Tensor::from_rows(&[[0.3], [1.0]]);
        flow.velocity(AffinePath::default()).eval(&[0.25, 0.75], &x, &mut u).unwrap();
        assert!((u.row(0)[0] - 2.237_837_837_8).abs() < 6e-11);
        assert!((u.row(1)[0] - 2.153_846_153_8).abs() < 6e-11);
    }

    #[test]
    fn the_velocity_has_its_limit_at_both_ends_of_every_path() {
        // u is as smooth as sqrt(1 - t) or smoother near an end, with derivatives of size 100 (`vp`, beta_max = 20).
        const NEAR: f64 = 1e-12;
        const BOUND: f64 = 1e-4;
        let (flow, x) = (example(), Tensor::from_rows(&[[0.3, -0.2, 0.9]]));
        for word in ["condot", "condot-min:0.1", "polynomial:2", "cosine", "linear-vp", "vp", "ve"] {
            let u = flow.velocity(AffinePath::new(word.parse().unwrap()));
            let at = |t: f64| {
                let (mut value, mut d_u) = (Tensor::zeros(1, 3), Tensor::zeros(1, 3));
                u.differential_worker(1, 1).jvp(&[t], &x, &x, &mut value, &mut d_u).unwrap();
                [value, d_u]
            };
            for (end, near) in [(0.0, NEAR), (1.0, 1.0 - NEAR)] {
                for (end, near) in at(end).iter().zip(&at(near)) {
                    for (a, b) in end.as_slice().iter().zip(near.as_slice()) {
                        assert!((a - b).abs() < BOUND, "{word}: {a} {b}");
                    }
                }
            }
            // A method that asks at t = 1 arrives, though its steps are long where `vp` is steep.
            let x_1 = Solver::dopri5().tolerance(1e-8).solve(&u, &x, 0.0..1.0).unwrap().x;
            let mixture =
                MixtureFlow::new(&[1.0], &Tensor::from_rows(&[[1.0, -2.0, 0.5]]), &[covariance()]).unwrap();
            let v = mixture.velocity(AffinePath::new(word.parse().unwrap()));
            let same = Solver::dopri5().tolerance(1e-8).solve(&v, &x, 0.0..1.0).unwrap().x;
            for (a, b) in x_1.as_slice().iter().zip(same.as_slice()) {
                assert!((a - b).abs() < BOUND, "{word}: {a} {b}");
            }
        }
    }

    #[test]
    fn derivatives_are_those_of_the_velocity() {
        // u is linear in x: central differences have rounding errors only, 1e-15 / 1e-3.
        const STEP: f64 = 1e-3;
        const BOUND: f64 = 1e-11;
        let flow = example();
        let u = flow.velocity(AffinePath::default());
        let (t, x) = ([0.2, 0.9], Tensor::from_rows(&[[0.3, -0.2, 0.9], [1.5, 0.4, -1.0]]));
        let w = Tensor::from_rows(&[[1.0, 0.0, 2.0], [-0.5, 1.0, 0.3]]);
        let mut tangents = w.as_slice().to_vec(); // two tangents a row: w, and w with its rows exchanged
        tangents.extend_from_slice(w.row(1));
        tangents.extend_from_slice(w.row(0));
        let tangents = Tensor::from_vec(tangents, 4, 3).unwrap();
        let mut worker = u.differential_worker(2, 2);
        let (mut value, mut d_u, mut plain) = (Tensor::zeros(2, 3), Tensor::zeros(4, 3), Tensor::zeros(2, 3));
        worker.jvp(&t, &x, &tangents, &mut value, &mut d_u).unwrap();
        u.eval(&t, &x, &mut plain).unwrap();
        assert_eq!(value, plain);
        for row in 0..4 {
            let shifted = |by: f64| {
                let mut moved = x.slice_rows(row % 2..row % 2 + 1);
                for j in 0..3 {
                    moved.row_mut(0)[j] += by * tangents.row(row)[j];
                }
                let mut out = Tensor::zeros(1, 3);
                u.eval(&t[row % 2..row % 2 + 1], &moved, &mut out).unwrap();
                out
            };
            let (below, above) = (shifted(-STEP), shifted(STEP));
            for j in 0..3 {
                let slope = (above.row(0)[j] - below.row(0)[j]) / (2.0 * STEP);
                assert!((slope - d_u.row(row)[j]).abs() < BOUND, "{slope} {}", d_u.row(row)[j]);
            }
        }
        // <w, J v> = <J^T w, v>, row by row, with v the second tangent.
        let mut d_x = Tensor::zeros(2, 3);
        worker.vjp(&t, &x, &w, &mut value, &mut d_x).unwrap();
        for i in 0..2 {
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let difference = dot(w.row(i), d_u.row(2 + i)) - dot(d_x.row(i), tangents.row(2 + i));
            assert!(difference.abs() < 1e-12);
        }
    }

    #[test]
    fn rounding_is_no_asymmetry_at_any_size() {
        for size in [1e-9, 1.0, 1e9] {
            let of = |upper: f64| Tensor::from_rows(&[[2.0 * size, upper * size], [0.5 * size, size]]);
            let middle = symmetric(&of(0.5 + 1e-13)).unwrap();
            let wanted = (0.5 + 0.5e-13) * size;
            for middle in [middle.row(0)[1], middle.row(1)[0]] {
                assert!((middle - wanted).abs() < 1e-16 * size);
            }
            assert!(symmetric(&of(0.5 + 1e-6)).is_err(), "{size}");
        }
    }

    #[test]
    fn the_integral_behind_the_floor_is_right() {
        // Simpson's rule with 20,000 intervals on ∫_0^1 s / (t² s + (1 - t)²) dt: an error of h⁴ times a
        // fourth derivative, below 1e-9 for these s.
        const BOUND: f64 = 1e-9;
        let n = 20_000_u32;
        for s in [0.05_f64, 0.3, 1.0, 4.0, 20.0] {
            let f = |k: u32| {
                let t = f64::from(k) / f64::from(n);
                s / (t * t * s + (1.0 - t) * (1.0 - t))
            };
            let sum: f64 = (1..n).map(|k| if k % 2 == 1 { 4.0 * f(k) } else { 2.0 * f(k) }).sum();
            let integral = (f(0) + sum + f(n)) / (3.0 * f64::from(n));
            let flow = GaussianFlow::new(&[7.0], &Tensor::from_rows(&[[s]])).unwrap();
            assert!((integral - flow.loss_floor(AffinePath::default())).abs() < BOUND, "s = {s}");
        }
    }

    #[test]
    fn the_quadrature_finds_the_closed_form() {
        // Roundings of 800 terms; those of times near 1, where for small s the integrand changes over a distance of sqrt(s);
        // and for large s what is left out at 0, where the integrand is s.
        let bound = |s: f64| 1e-13 + 8.0 * f64::EPSILON * s.sqrt().max(1.0 / s.sqrt());
        let path = AffinePath::default();
        for s in [1e-12, 1e-6, 0.3, 4.0, 1e6] {
            let flow = GaussianFlow::new(&[7.0], &Tensor::from_rows(&[[s]])).unwrap();
            let ratio = flow.loss_floor_by_quadrature(path) / flow.loss_floor(path);
            assert!((ratio - 1.0).abs() < bound(s), "{s}: {ratio}");
        }
    }

    #[test]
    fn the_path_energy_is_the_same_by_quadrature() {
        // Roundings of 1600 terms, and of times near 1 where for small s the integrand changes over a distance of sqrt(s).
        let bound = |s: f64| 1e-13 + 8.0 * f64::EPSILON / s.sqrt();
        let path = AffinePath::default();
        for s in [1e-12, 1e-6, 0.3, 1.0, 4.0, 1e3] {
            let flow = GaussianFlow::new(&[0.7], &Tensor::from_rows(&[[s]])).unwrap();
            let ratio = flow.path_energy_by_quadrature(path) / flow.path_energy(path);
            assert!((ratio - 1.0).abs() < bound(s), "{s}: {ratio}");
        }
    }

    /// Eigenvectors of a rotation in general position, and a covariance with eigenvalues from 1 down to 1 / condition.
    fn ill_conditioned(condition: f64) -> ([f64; 3], Tensor<f64>, Tensor<f64>) {
        // The reflection 1 - 2 v v^T / |v|², v = (1, 2, 3): orthogonal and symmetric, its numbers are sevenths.
        let v = [1.0, 2.0, 3.0];
        let mut q = Tensor::zeros(3, 3);
        for i in 0..3 {
            for j in 0..3 {
                q.row_mut(i)[j] = f64::from(u8::from(i == j)) - v[i] * v[j] / 7.0;
            }
        }
        let s = [1.0, condition.sqrt().recip(), condition.recip()];
        let covariance = Eigen { values: s.to_vec(), vectors: q.clone() }.function(|s| s);
        (s, q, covariance)
    }

    #[test]
    fn what_a_condition_number_costs_is_what_the_head_says() {
        // The constants: some ten roundings of the entries of S and of the rotations that diagonalise it.
        const ROUNDINGS: f64 = 16.0;
        let mut worst = [0.0_f64; 3];
        for condition in [1.0, 1e2, 1e4, 1e6, 1e8, 1e10, 1e12] {
            let (s, q, covariance) = ill_conditioned(condition);
            let flow = GaussianFlow::new(&[1.0, -2.0, 0.5], &covariance).unwrap();
            let eps = ROUNDINGS * f64::EPSILON;
            // x along every eigenvector by one standard deviation: psi_1 takes the sum of the eigenvectors there.
            let sum = |scale: &dyn Fn(usize) -> f64| -> [f64; 3] {
                std::array::from_fn(|i| (0..3).map(|k| q.row(i)[k] * scale(k)).sum())
            };
            let (z, moved) = (sum(&|_| 1.0), sum(&|k| s[k].sqrt()));
            let x_1 = flow.map(&Tensor::from_rows(&[z])).unwrap();
            let mean = [1.0, -2.0, 0.5];
            for i in 0..3 {
                let off = (x_1.row(0)[i] - mean[i] - moved[i]).abs();
                worst[0] = worst[0].max(off / (eps * condition.sqrt()));
                assert!(off < eps * condition.sqrt(), "psi_1, condition {condition:e}: {off:e}");
            }
            // Its density: |z|² = 3 standard deviations.
            let x = Tensor::from_rows(&[std::array::from_fn::<f64, 3, _>(|i| mean[i] + moved[i])]);
            let exact = -1.5 * TAU.ln() - 0.5 * s.iter().map(|s| s.ln()).sum::<f64>() - 1.5;
            let off = (flow.log_density(&x).unwrap()[0] - exact).abs();
            worst[1] = worst[1].max(off / (eps * condition));
            assert!(off < eps * condition, "log-density, condition {condition:e}: {off:e}");
            // The velocity there, t near 1, where alpha² S + sigma² I is as ill-conditioned as S.
            let (t, path) = (1.0 - 1e-7, AffinePath::default());
            let c = path.coefficients(t);
            let g = |k: usize| (c.alpha * s[k] - c.sigma) / (c.alpha * c.alpha * s[k] + c.sigma * c.sigma);
            let spread = |k: usize| (c.alpha * c.alpha * s[k] + c.sigma * c.sigma).sqrt();
            let (at, u) = (sum(&spread), sum(&|k| g(k) * spread(k)));
            let x = Tensor::from_rows(&[std::array::from_fn::<f64, 3, _>(|i| c.alpha * mean[i] + at[i])]);
            let mut found = Tensor::zeros(1, 3);
            flow.velocity(path).eval(&[t], &x, &mut found).unwrap();
            for i in 0..3 {
                let off = (found.row(0)[i] - mean[i] - u[i]).abs();
                // g of the thinnest direction is of size 1 / s sigma: what x has lost beside its mean is multiplied by it.
                let bound = eps * condition.sqrt().max(1.0) * (1.0 + g(2).abs());
                worst[2] = worst[2].max(off / bound);
                assert!(off < bound, "velocity, condition {condition:e}: {off:e} {bound:e}");
            }
        }
        assert!(worst.iter().all(|&w| w > 1e-3), "bounds that say nothing: {worst:?}");
    }

    #[test]
    fn the_true_velocity_has_the_floor_as_its_loss() {
        const ROWS: usize = 100_000;
        let (flow, path, mut rng) = (example(), AffinePath::default(), Rng::from_seed(8));
        let (mut x_0, mut z) = (Tensor::zeros(ROWS, 3), Tensor::zeros(ROWS, 3));
        Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x_0);
        Source::Normal.fill(&rng.fork(Purpose::Data), 0, &mut z);
        let mut times = rng.fork(Purpose::Batch).stream(0);
        let t = (0..ROWS).map(|_| times.uniform()).collect();
        let sample = path.sample(x_0, flow.map(&z).unwrap(), t).unwrap();
        let mut u = Tensor::zeros(ROWS, 3);
        flow.velocity(path).eval(&sample.t, &sample.x_t, &mut u).unwrap();
        let loss: Vec<f64> = (0..ROWS)
            .map(|i| u.row(i).iter().zip(sample.dx_t.row(i)).map(|(u, dx)| (u - dx) * (u - dx)).sum())
            .collect();
        let (mean, variance) = mean_and_covariance(&Tensor::from_vec(loss, ROWS, 1).unwrap());
        let standard_error = (variance.row(0)[0] / ROWS as f64).sqrt();
        assert!(standard_error < 0.01 * mean[0]);
        assert!(
            (mean[0] - flow.loss_floor(path)).abs() < 5.0 * standard_error,
            "{} {standard_error}",
            mean[0]
        );
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        let new = |mean: &[f64], s: &Tensor<f64>| GaussianFlow::new(mean, s).map(|_| ()).unwrap_err();
        for bad in [
            [[1.0, 0.5], [0.4, 1.0]], // not symmetric
            [[1.0, 2.0], [2.0, 1.0]], // eigenvalues 3, -1
            [[1.0, 1.0], [1.0, 1.0]], // of rank 1
            [[0.0, 0.0], [0.0, 0.0]], // 0
        ] {
            assert!(matches!(new(&[0.0; 2], &Tensor::from_rows(&bad)), Error::NotPositive { .. }), "{bad:?}");
        }
        // Of zeros the sides do not differ.
        assert!(!new(&[0.0; 2], &Tensor::zeros(2, 2)).to_string().contains("(1, 0) is"));
        let one = Tensor::from_rows(&[[1.0]]);
        assert!(matches!(new(&[0.0; 2], &one), Error::Dimension { .. }));
        assert!(matches!(new(&[0.0], &Tensor::zeros(2, 1)), Error::Dimension { .. }));
        assert!(matches!(new(&[f64::NAN], &one), Error::NotFinite { .. }));
        assert!(matches!(new(&[0.0], &Tensor::from_rows(&[[f64::INFINITY]])), Error::NotFinite { .. }));
        // A difference by rounding is none.
        let rounded = Tensor::from_rows(&[[1.0, 0.3], [0.3 + 1e-16, 1.0]]);
        assert!(GaussianFlow::new(&[0.0; 2], &rounded).is_ok());
    }

    #[test]
    fn floor_and_energy_of_any_path_are_those_of_its_velocity() {
        // In 1-d u = a_t x + b_t, which two points tell. E|u|² and V = E|dX_t|² - E|u|² (E12) by Simpson's rule with 2000
        // intervals, whose error is below 1e-9 for functions as smooth as these.
        const BOUND: f64 = 1e-9;
        const N: u32 = 2000;
        let (mean, s) = (2.0, 4.0);
        let flow = GaussianFlow::new(&[mean], &Tensor::from_rows(&[[s]])).unwrap();
        for scheduler in [Scheduler::CondOt, Scheduler::Cosine, Scheduler::Polynomial { n: 2.0 }] {
            let path = AffinePath::new(scheduler);
            let u = flow.velocity(path);
            let at = |k: u32| {
                let t = f64::from(k) / f64::from(N);
                let c = path.coefficients(t);
                let (place, mut value) = ([[c.alpha * mean], [c.alpha * mean + 1.0]], Tensor::zeros(2, 1));
                u.eval(&[t; 2], &Tensor::from_rows(&place), &mut value).unwrap();
                let (centre, slope) = (value.row(0)[0], value.row(1)[0] - value.row(0)[0]);
                let energy = centre * centre + slope * slope * (c.alpha * c.alpha * s + c.sigma * c.sigma);
                let moved = c.d_alpha * c.d_alpha * (s + mean * mean) + c.d_sigma * c.d_sigma;
                [energy, moved - energy]
            };
            let [energy, floor] = [0, 1].map(|i| {
                let inner: f64 =
                    (1..N).map(|k| if k % 2 == 1 { 4.0 * at(k)[i] } else { 2.0 * at(k)[i] }).sum();
                (at(0)[i] + inner + at(N)[i]) / (3.0 * f64::from(N))
            });
            assert!((flow.path_energy(path) / energy - 1.0).abs() < BOUND, "{scheduler}: {energy}");
            assert!((flow.loss_floor(path) / floor - 1.0).abs() < BOUND, "{scheduler}: {floor}");
        }
    }
}
