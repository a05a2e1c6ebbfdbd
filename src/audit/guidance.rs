//! Claims about guidance: E27, E31.
//!
//! Two Gaussian targets N(m_0, S) and N(m_1, S) with the same S have velocities that differ by the means alone (E18), and linearly:
//! so the guided field is that of N((1 - w) m_0 + w m_1, S), whose flow and density are known.
//!
//! With a Gaussian target N(0, S) and y = c·X_1 + e, e ~ N(0, v), the likelihood p_t(y | x) is Gaussian too, and the velocity that
//! its gradient makes of that of N(0, S) must be that of the posterior N(S c y / V, S - S c cᵀ S / V), V = cᵀ S c + v.

use crate::closed_form::GaussianFlow;
use crate::error::Result;
use crate::field::{DifferentiableField, FnField, Guided, VectorField as _};
use crate::kernel::Real;
use crate::likelihood::{Divergence, log_density};
use crate::ode::Solver;
use crate::path::{AffinePath, Coefficients, Scheduler, Steered, Transform, Transformed};
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::claim::{Claim, Finding, Place, Precision};
use super::rounded::Rounded;

const GUIDED: Place =
    Place::of("src/field/guided.rs", include_str!("../field/guided.rs"), "pub struct Guided");

const STEERED: Place =
    Place::of("src/path/change.rs", include_str!("../path/change.rs"), "impl Transform for Steered");

const SEED: u64 = 27;
const ROWS: usize = 256;
const WITHOUT: [f64; 2] = [0.5, -1.0];
const WITH: [f64; 2] = [1.5, 0.5];
const COVARIANCE: [[f64; 2]; 2] = [[1.2, 0.5], [0.5, 0.6]];

/// No guidance, some, the condition left out, and away from it.
const WEIGHTS: [f64; 4] = [1.0, 2.5, 0.0, -1.0];

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E27",
            "ũ = (1 − w) u(x | ∅) + w u(x | y)",
            "256 rows along the guided field of two Gaussians against its closed flow, at four weights",
            GUIDED,
            |real| match real {
                Precision::F32 => flow::<f32>(|w, field| guided(w, field)),
                Precision::F64 => flow::<f64>(|w, field| guided(w, field)),
            },
        ),
        Claim::new(
            "E27.density",
            "∇·ũ = (1 − w) ∇·u(x | ∅) + w ∇·u(x | y)",
            "log-densities of 256 rows under guidance between two widths against their own flow's inverse",
            GUIDED,
            |real| match real {
                Precision::F32 => density::<f32>(|w, field| guided(w, field)),
                Precision::F64 => density::<f64>(|w, field| guided(w, field)),
            },
        ),
        Claim::new(
            "E31",
            "u_t(x | y) = u_t(x) + k_t ∇_x log p_t(y | x)",
            "the velocity that a Gaussian likelihood makes of a Gaussian's against that of the posterior, at 256 points",
            STEERED,
            |real| {
                let steered = |scheduler| Steered { scheduler };
                match real {
                    Precision::F32 => posterior::<f32, _>(steered, gradient),
                    Precision::F64 => posterior::<f64, _>(steered, gradient),
                }
            },
        ),
    ]
}

/// What is asked of a guided field.
type Ask<'a, R> = &'a mut dyn FnMut(&dyn DifferentiableField<R>) -> Result<()>;

/// Hands the guided field of the two to whoever asks.
fn guided<R: Real>(w: f64, (fields, ask): (Pair<'_, R>, Ask<'_, R>)) -> Result<()> {
    ask(&Guided::new(fields.0, fields.1, w))
}

/// The field without a condition, and that with it.
type Pair<'a, R> = (&'a dyn DifferentiableField<R>, &'a dyn DifferentiableField<R>);

fn tolerance<R: Real>() -> f64 {
    if R::ROUNDOFF < 1e-10 { 1e-9 } else { 1e-5 }
}

fn rows<R: Real>() -> Tensor<R> {
    let mut x = Tensor::zeros(ROWS, 2);
    Source::Normal.fill(&Rng::from_seed(SEED).fork(Purpose::Source), 0, &mut x);
    x
}

/// The larger one; NaN if one of them is.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// That psi_1 is (1 - w) m_0 + w m_1 + S^(1/2) x. // E27
fn flow<R: Real>(make: impl Fn(f64, (Pair<'_, R>, Ask<'_, R>)) -> Result<()>) -> Result<Finding> {
    let covariance = Tensor::from_rows(&COVARIANCE);
    let (none, given) = (GaussianFlow::new(&WITHOUT, &covariance)?, GaussianFlow::new(&WITH, &covariance)?);
    let path = AffinePath::default();
    let (a, b) = (none.velocity(path), given.velocity(path));
    let (a, b) = (Rounded(&a), Rounded(&b));
    let x_0 = rows::<R>();
    let solver = Solver::dopri5().tolerance(tolerance::<R>());
    let mut worst = 0.0;
    for w in WEIGHTS {
        let mean = [0, 1].map(|j| (1.0 - w) * WITHOUT[j] + w * WITH[j]);
        let exact = GaussianFlow::new(&mean, &covariance)?.map(&x_0.cast())?;
        make(
            w,
            ((&a, &b), &mut |field| {
                let x_1 = solver.solve(field, &x_0, 0.0..1.0)?.x;
                for (found, exact) in x_1.as_slice().iter().zip(exact.as_slice()) {
                    worst = larger(worst, (found.to_f64() - exact).abs());
                }
                Ok(())
            }),
        )?;
    }
    let bound = 100.0 * tolerance::<R>();
    Ok(Finding::new(worst, bound, "100 tolerances of dopri5: those of its steps, and what they grow to"))
}

/// That the log-density under guidance is that of a Gaussian whose moments the guided flow gives: in one dimension the field
/// of N(m, s²) is linear in x, and so the guided flow is x -> a + b x with log p(a + b x) = log p_0(x) - ln b. // E27
fn density<R: Real>(make: impl Fn(f64, (Pair<'_, R>, Ask<'_, R>)) -> Result<()>) -> Result<Finding> {
    let none = GaussianFlow::new(&[-0.5], &Tensor::from_rows(&[[1.44]]))?;
    let given = GaussianFlow::new(&[1.0], &Tensor::from_rows(&[[0.49]]))?;
    let path = AffinePath::default();
    let (a, b) = (none.velocity(path), given.velocity(path));
    let (a, b) = (Rounded(&a), Rounded(&b));
    let solver = Solver::dopri5().tolerance(tolerance::<R>());
    let x_0 = Tensor::from_vec(rows::<R>().as_slice()[..ROWS].to_vec(), ROWS, 1)?;
    let ends = Tensor::from_rows(&[[R::ZERO], [R::ONE]]);
    let mut worst = 0.0;
    // Beyond 2.5 the guided width would be too small for the solver's error to be small beside it.
    for w in [1.0, 2.0, 0.0] {
        make(
            w,
            ((&a, &b), &mut |field| {
                let line = solver.solve(field, &ends, 0.0..1.0)?.x.cast::<f64>();
                let (at_0, slope) = (line.row(0)[0], line.row(1)[0] - line.row(0)[0]);
                let x_1 = solver.solve(field, &x_0, 0.0..1.0)?.x;
                let mut rng = Rng::from_seed(SEED);
                let found = log_density(field, Source::Normal, &x_1, Divergence::Exact, &solver, &mut rng)?;
                for (i, found) in found.log_density.iter().enumerate() {
                    let x = (x_1.row(i)[0].to_f64() - at_0) / slope;
                    worst = larger(worst, (found - (Source::Normal.log_density(&[x]) - slope.ln())).abs());
                }
                Ok(())
            }),
        )?;
    }
    let bound = 1000.0 * tolerance::<R>();
    Ok(Finding::new(worst, bound, "1000 tolerances of dopri5: there, back, and of the line through two rows"))
}

/// c, the variance of e, and y. // E31
const SEEN: [f64; 2] = [1.0, -0.5];
const VARIANCE: f64 = 0.3;
const Y: f64 = 1.4;
/// S, whose axes are those of x.
const WIDTHS: [f64; 2] = [1.5, 0.4];

/// grad_x log p_t(y | x), with X_1 | x ~ N(alpha S x / S_t, S sigma² / S_t) and S_t = alpha² S + sigma². // E31
fn gradient(c: Coefficients, x: &[f64], g: &mut [f64]) {
    let mut error = Y;
    let mut variance = VARIANCE;
    for j in 0..2 {
        let s_t = c.alpha * c.alpha * WIDTHS[j] + c.sigma * c.sigma;
        g[j] = SEEN[j] * c.alpha * WIDTHS[j] / s_t; // of the mean of c·X_1 along x_j
        error -= g[j] * x[j];
        variance += SEEN[j] * SEEN[j] * WIDTHS[j] * c.sigma * c.sigma / s_t;
    }
    g.iter_mut().for_each(|g| *g *= error / variance);
}

/// That the steered velocity is that of the posterior. // E31
fn posterior<R: Real, T: Transform>(
    steer: impl Fn(Scheduler) -> T,
    gradient: fn(Coefficients, &[f64], &mut [f64]),
) -> Result<Finding> {
    let covariance =
        |of: &dyn Fn(usize, usize) -> f64| Tensor::from_rows(&[[of(0, 0), of(0, 1)], [of(1, 0), of(1, 1)]]);
    let prior = covariance(&|i, j| if i == j { WIDTHS[i] } else { 0.0 });
    let total = VARIANCE + (0..2).map(|j| SEEN[j] * SEEN[j] * WIDTHS[j]).sum::<f64>(); // V
    let gain = [0, 1].map(|j| WIDTHS[j] * SEEN[j]); // S c
    let narrowed = covariance(&|i, j| prior.row(i)[j] - gain[i] * gain[j] / total);
    let prior = GaussianFlow::new(&[0.0; 2], &prior)?;
    let exact = GaussianFlow::new(&gain.map(|gain| gain * Y / total), &narrowed)?;
    let x = rows::<R>();
    let mut stream = Rng::from_seed(SEED).fork(Purpose::Batch).stream(0);
    // From where a gradient is read at its own time on, and before sigma' of some is large.
    let t: Vec<R> = (0..ROWS).map(|_| R::from_f64(0.05 + 0.9 * stream.uniform())).collect();
    let mut worst = 0.0;
    for scheduler in [Scheduler::CondOt, Scheduler::Cosine, Scheduler::LinearVp] {
        let path = AffinePath::new(scheduler);
        let of_prior = prior.velocity(path);
        let log_likelihood =
            FnField::new(2, |t: f64, x: &[f64], g: &mut [f64]| gradient(scheduler.coefficients(t), x, g));
        let (velocity, log_likelihood) = (Rounded(&of_prior), Rounded(&log_likelihood));
        let term = Transformed::new(&log_likelihood, steer(scheduler));
        let (mut found, mut wanted) = (Tensor::<R>::zeros(ROWS, 2), Tensor::<R>::zeros(ROWS, 2));
        Guided::by(&velocity, &term, 1.0).eval(&t, &x, &mut found)?;
        Rounded(&exact.velocity(path)).eval(&t, &x, &mut wanted)?;
        for (found, wanted) in found.as_slice().iter().zip(wanted.as_slice()) {
            worst = larger(worst, (found.to_f64() - wanted.to_f64()).abs());
        }
    }
    let bound = 1000.0 * R::ROUNDOFF;
    Ok(Finding::new(worst, bound, "1000 roundings: k_t reaches 19, and what it is multiplied with some 3"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;
    use crate::field::{DifferentialWorker, VectorField, Worker};
    use crate::path::Terms;

    /// a u(∅) + b u(y), with a divergence of other shares.
    struct Wrong<'a, R> {
        fields: Pair<'a, R>,
        shares: [f64; 2],
        of_divergence: [f64; 2],
    }

    impl<R: Real> VectorField<R> for Wrong<'_, R> {
        fn dim(&self) -> usize {
            self.fields.0.dim()
        }

        fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
            self.worker(x.rows()).eval(t, x, u)
        }

        fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
            self.divergence_worker(rows)
        }
    }

    impl<R: Real> DifferentiableField<R> for Wrong<'_, R> {
        fn differential_worker(&self, _: usize, _: usize) -> Box<dyn DifferentialWorker<R> + '_> {
            panic!("the claims ask for divergences only")
        }

        fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
            let (a, b) = (self.fields.0.divergence_worker(rows), self.fields.1.divergence_worker(rows));
            Box::new(WrongWorker { workers: [a, b], wrong: self })
        }
    }

    struct WrongWorker<'a, R: Real> {
        workers: [Box<dyn Worker<R> + 'a>; 2],
        wrong: &'a Wrong<'a, R>,
    }

    impl<R: Real> Worker<R> for WrongWorker<'_, R> {
        fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
            let mut rate = vec![0.0; x.rows()];
            self.eval_carry(t, x, u, &mut rate)
        }

        fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
            u.as_mut_slice().fill(R::ZERO);
            rate.fill(0.0);
            let (mut own, mut of_own) = (Tensor::zeros(x.rows(), x.cols()), vec![0.0; x.rows()]);
            for (k, worker) in self.workers.iter_mut().enumerate() {
                worker.eval_carry(t, x, &mut own, &mut of_own)?;
                for (u, own) in u.as_mut_slice().iter_mut().zip(own.as_slice()) {
                    *u += R::from_f64(self.wrong.shares[k]) * *own;
                }
                for (rate, own) in rate.iter_mut().zip(&of_own) {
                    *rate += self.wrong.of_divergence[k] * own;
                }
            }
            Ok(())
        }
    }

    /// The claims with these shares of the two fields and of their divergences.
    fn with(
        claim: &'static str,
        what: &'static str,
        shares: fn(f64) -> [f64; 2],
        of_divergence: fn(f64) -> [f64; 2],
    ) -> Fault {
        Fault::new(claim, what, move || {
            let make = |w, (fields, ask): (Pair<'_, f64>, Ask<'_, f64>)| {
                ask(&Wrong { fields, shares: shares(w), of_divergence: of_divergence(w) })
            };
            if claim == "E27" { flow::<f64>(make) } else { density::<f64>(make) }
        })
    }

    const RIGHT: fn(f64) -> [f64; 2] = |w| [1.0 - w, w];

    #[test]
    fn the_right_shares_pass() {
        for claim in ["E27", "E27.density"] {
            assert!((with(claim, "", RIGHT, RIGHT).check)().unwrap().holds());
        }
    }

    /// The claim with another k_t.
    fn with_factor(what: &'static str, factor: fn(Coefficients) -> f64) -> Fault {
        struct Factor(Scheduler, fn(Coefficients) -> f64);
        impl Transform for Factor {
            fn terms(&self, t: f64) -> Result<Terms> {
                let of_field = (self.1)(self.0.coefficients(t));
                Ok(Terms { of_x: 0.0, of_field, t, of_place: 1.0 })
            }
        }
        Fault::new("E31", what, move || posterior::<f64, _>(|scheduler| Factor(scheduler, factor), gradient))
    }

    /// The claim with another gradient.
    fn with_gradient(what: &'static str, gradient: fn(Coefficients, &[f64], &mut [f64])) -> Fault {
        Fault::new("E31", what, move || posterior::<f64, _>(|scheduler| Steered { scheduler }, gradient))
    }

    pub(crate) fn faults() -> Vec<Fault> {
        vec![
            with_factor("the sign of k_t", |c| -c.determinant() * c.sigma / c.alpha),
            with_factor("k_t without 1 / alpha", |c| c.determinant() * c.sigma),
            with_factor("k_t without sigma'", |c| c.d_alpha * c.sigma * c.sigma / c.alpha),
            with_factor("alpha and sigma swapped", |c| c.determinant() * c.alpha / c.sigma),
            with_gradient("the likelihood of the target at x, not of what x tells of it", |_, x, g| {
                let error = Y - SEEN[0] * x[0] - SEEN[1] * x[1];
                (0..2).for_each(|j| g[j] = SEEN[j] * error / VARIANCE);
            }),
            with_gradient("a likelihood without what x leaves open", |c, x, g| {
                gradient(c, x, g);
                let left = |j: usize| {
                    SEEN[j] * SEEN[j] * WIDTHS[j] * c.sigma * c.sigma
                        / (c.alpha * c.alpha * WIDTHS[j] + c.sigma * c.sigma)
                };
                g.iter_mut().for_each(|g| *g *= (VARIANCE + left(0) + left(1)) / VARIANCE);
            }),
            with("E27", "w and 1 - w swapped", |w| [w, 1.0 - w], RIGHT),
            with("E27", "u(∅) as a whole beside w u(y)", |w| [1.0, w], RIGHT),
            with("E27", "(1 + w) u(y) - w u(∅), the other convention", |w| [-w, 1.0 + w], RIGHT),
            with("E27.density", "the divergence of the conditional field alone", RIGHT, |_| [0.0, 1.0]),
            with("E27.density", "the sign of the divergence", RIGHT, |w| [w - 1.0, -w]),
            with("E27.density", "w and 1 - w swapped in the divergence", RIGHT, |w| [w, 1.0 - w]),
        ]
    }
}
