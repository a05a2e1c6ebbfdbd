//! Claims about guidance: E27.
//!
//! Two Gaussian targets N(m_0, S) and N(m_1, S) with the same S have velocities that differ by the means alone (E18), and linearly:
//! so the guided field is that of N((1 - w) m_0 + w m_1, S), whose flow and density are known.

use crate::closed_form::GaussianFlow;
use crate::error::Result;
use crate::field::{DifferentiableField, Guided};
use crate::kernel::Real;
use crate::likelihood::{Divergence, log_density};
use crate::ode::Solver;
use crate::path::AffinePath;
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::claim::{Claim, Finding, Place, Precision};
use super::rounded::Rounded;

const GUIDED: Place =
    Place::of("src/field/guided.rs", include_str!("../field/guided.rs"), "pub struct Guided");

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

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;
    use crate::field::{DifferentialWorker, VectorField, Worker};

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
            unreachable!("the claims ask for divergences only")
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

    pub(crate) fn faults() -> Vec<Fault> {
        vec![
            with("E27", "w and 1 - w swapped", |w| [w, 1.0 - w], RIGHT),
            with("E27", "u(∅) as a whole beside w u(y)", |w| [1.0, w], RIGHT),
            with("E27", "(1 + w) u(y) - w u(∅), the other convention", |w| [-w, 1.0 + w], RIGHT),
            with("E27.density", "the divergence of the conditional field alone", RIGHT, |_| [0.0, 1.0]),
            with("E27.density", "the sign of the divergence", RIGHT, |w| [w - 1.0, -w]),
            with("E27.density", "w and 1 - w swapped in the divergence", RIGHT, |w| [w, 1.0 - w]),
        ]
    }
}
