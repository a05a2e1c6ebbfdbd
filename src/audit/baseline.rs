//! Claims about the Gaussian baseline: E29.
//!
//! # Math
//! With a network that says 0 the baseline must be the flow of the moments of the rows (E18), before anything is learnt. Its scales
//! are moments of the path: E|X_t|² = d s_t², and the floor of the loss (E12) of that Gaussian target is d ∫ r_t² dt. And
//! with a network the field is differentiated as any other.

use crate::closed_form::{GaussianBaseline, GaussianFlow, Residual, Scales, mean_and_covariance};
use crate::error::Result;
use crate::field::DifferentiableField;
use crate::kernel::{Real, Simd};
use crate::likelihood::{Divergence, log_density};
use crate::nn::Mlp;
use crate::ode::Solver;
use crate::path::{AffinePath, Coefficients, Scheduler};
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::claim::{Claim, Finding, Place, Precision};
use super::network::{SEED, divergence, example, sample_rows, transpose};

const BASELINE: Place = Place::of(
    "src/closed_form/baseline.rs",
    include_str!("../closed_form/baseline.rs"),
    "fn scales(variances",
);
const RESIDUAL: Place = Place::of(
    "src/closed_form/residual.rs",
    include_str!("../closed_form/residual.rs"),
    "pub struct Residual",
);

/// Rows that have the moments.
const ROWS: usize = 64;

/// Mixes three normal columns into three correlated ones.
const MIX: [[f64; 3]; 3] = [[1.0, 0.8, 0.0], [0.0, 0.6, 0.3], [0.0, 0.0, 0.9]];

const SCHEDULERS: [Scheduler; 3] =
    [Scheduler::CondOt, Scheduler::Cosine, Scheduler::CondOtMin { width: 0.1 }];

/// What is asked of a field.
type Ask<'a, R> = &'a mut dyn FnMut(&dyn DifferentiableField<R>) -> Result<()>;

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E29",
            "r net = 0:  ψ_1(x_0) = S^{1/2} x_0",
            "64 rows along the baseline alone, and their log-densities, against those of their moments' Gaussian",
            BASELINE,
            |real| match real {
                Precision::F32 => flow(right::<f32>),
                Precision::F64 => flow(right::<f64>),
            },
        ),
        Claim::new(
            "E29.scales",
            "E|X_t|² = d s_t²,  V = d ∫ r_t² dt",
            "the two scales of three paths against the moments of the path and the floor of its loss",
            BASELINE,
            |_| scales(|baseline, c| baseline.scales(c)),
        )
        .always_f64(),
        Claim::new(
            "E29.divergence",
            "∇·u = tr A_t + (r_t/s_t) ∇·net",
            "the divergence of a network beside a baseline against central differences",
            RESIDUAL,
            |real| match real {
                Precision::F32 => differences(right::<f32>),
                Precision::F64 => differences(right::<f64>),
            },
        ),
        Claim::new(
            "E29.tangents",
            "⟨w, J v⟩ = ⟨J^T w, v⟩,  J = A_t + (r_t/s_t) ∂net",
            "forward against reverse derivatives of a network beside a baseline",
            RESIDUAL,
            |real| match real {
                Precision::F32 => tangents(right::<f32>),
                Precision::F64 => tangents(right::<f64>),
            },
        ),
    ]
}

/// Rows of mean 0 whose columns have standard deviation 1 and are correlated.
fn rows() -> Tensor<f64> {
    let mut e = Tensor::<f64>::zeros(ROWS, 3);
    Source::Normal.fill(&Rng::from_seed(SEED).fork(Purpose::Data), 0, &mut e);
    let mut x = Tensor::zeros(ROWS, 3);
    for i in 0..ROWS {
        for j in 0..3 {
            x.row_mut(i)[j] = (0..3).map(|k| e.row(i)[k] * MIX[k][j]).sum();
        }
    }
    let (mean, s) = mean_and_covariance(&x);
    for i in 0..ROWS {
        for j in 0..3 {
            x.row_mut(i)[j] = (x.row(i)[j] - mean[j]) / s.row(j)[j].sqrt();
        }
    }
    x
}

/// Hands a network beside a baseline to whoever asks.
fn right<R: Real>(network: &Mlp<R>, baseline: &GaussianBaseline, ask: Ask<'_, R>) -> Result<()> {
    for scheduler in [Scheduler::CondOt, Scheduler::Cosine] {
        ask(&Residual::new(network, baseline, scheduler, Simd::detect()))?;
    }
    Ok(())
}

/// A network that says 0.
fn zero<R: Real>() -> Result<Mlp<R>> {
    let network = example::<R>()?;
    Mlp::from_parameters(network.shape().clone(), vec![R::ZERO; network.parameters().len()])
}

/// That the flow of the baseline is x -> S^(1/2) x, and its law N(0, S). // E29
fn flow<R: Real>(make: impl Fn(&Mlp<R>, &GaussianBaseline, Ask<'_, R>) -> Result<()>) -> Result<Finding> {
    let tolerance = if R::ROUNDOFF < 1e-10 { 1e-9 } else { 1e-5 };
    let x = rows();
    let exact = GaussianFlow::new(&[0.0; 3], &mean_and_covariance(&x).1)?;
    let (x_1, of_rows) = (exact.map(&x)?, exact.log_density(&x)?);
    let solver = Solver::dopri5().tolerance(tolerance);
    let (mut worst, baseline, x) = (0.0, GaussianBaseline::fit(&x, None)?, x.cast::<R>());
    make(&zero()?, &baseline, &mut |field| {
        let found = solver.solve(field, &x, 0.0..1.0)?.x;
        for (found, exact) in found.as_slice().iter().zip(x_1.as_slice()) {
            worst = larger(worst, (found.to_f64() - exact).abs());
        }
        let mut rng = Rng::from_seed(SEED);
        let found = log_density(field, Source::Normal, &x, Divergence::Exact, &solver, &mut rng)?;
        for (found, exact) in found.log_density.iter().zip(&of_rows) {
            worst = larger(worst, (found - exact).abs());
        }
        Ok(())
    })?;
    Ok(Finding::new(
        worst,
        1000.0 * tolerance,
        "1000 tolerances of dopri5: its steps, and what they grow to on the way back",
    ))
}

/// The larger one; NaN if one of them is.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// That the scales are the moments of the path and the floor of its loss. // E12, E29
fn scales(scales: impl Fn(&GaussianBaseline, Coefficients) -> Scales) -> Result<Finding> {
    /// Pairs of intervals of Simpson's rule: with these its error is below 1e-9 for what is integrated here.
    const PAIRS: i32 = 500;
    let x = rows();
    let baseline = GaussianBaseline::fit(&x, None)?;
    let exact = GaussianFlow::new(&[0.0; 3], &mean_and_covariance(&x).1)?;
    let mut worst = 0.0;
    for scheduler in SCHEDULERS {
        let at = |t: f64| scales(&baseline, scheduler.coefficients(t));
        let step = 0.5 / f64::from(PAIRS);
        let mut floor = 0.0;
        for k in 0..=2 * PAIRS {
            let weight = if k == 0 || k == 2 * PAIRS { 1.0 } else { 2.0 + 2.0 * f64::from(k % 2) };
            floor += step / 3.0 * weight * 3.0 * at(f64::from(k) * step).residual.powi(2);
        }
        worst = larger(worst, (floor - exact.loss_floor(AffinePath::new(scheduler))).abs());
        for t in [0.0, 0.25, 0.5, 1.0] {
            // The columns have variance 1: the trace of S is d.
            let c = scheduler.coefficients(t);
            let moment = c.alpha.powi(2) + c.sigma.powi(2);
            worst = larger(worst, (at(t).point.powi(2) - moment).abs());
        }
    }
    Ok(Finding::new(worst, 1e-8, "Simpson's rule with 1000 intervals: below 1e-9; rounding: below 1e-12"))
}

/// That the divergence is the sum of the slopes. // E22, E29
fn differences<R: Real>(
    make: impl Fn(&Mlp<R>, &GaussianBaseline, Ask<'_, R>) -> Result<()>,
) -> Result<Finding> {
    let mut found = Finding::new(f64::NAN, 0.0, "");
    make(&example()?, &GaussianBaseline::fit(&rows(), None)?, &mut |field| {
        found = worse(divergence(field, &sample_rows(3)?, false)?, &found);
        Ok(())
    })?;
    Ok(found)
}

/// That the reverse mode is the transpose of the forward mode. // E22, E29
fn tangents<R: Real>(make: impl Fn(&Mlp<R>, &GaussianBaseline, Ask<'_, R>) -> Result<()>) -> Result<Finding> {
    let mut found = Finding::new(f64::NAN, 0.0, "");
    make(&example()?, &GaussianBaseline::fit(&rows(), None)?, &mut |field| {
        // A_t may have cancelled what the network adds: it is of this size at most.
        found = worse(transpose(field, &sample_rows(3)?, |_| LARGEST_RATE)?, &found);
        Ok(())
    })?;
    Ok(found)
}

/// That with the larger deviation; the second one may be none yet.
fn worse(new: Finding, old: &Finding) -> Finding {
    if old.measured >= new.measured { old.clone() } else { new }
}

/// A bound on |A_t|: on the linear path a_k is largest at an end, where it is -1 or 1, or where the thinnest axis, l = 0.05, has
/// alpha sqrt(l) = sigma, as (1 - l) / (2 sqrt l).
const LARGEST_RATE: f64 = 2.2;

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;
    use crate::field::{DifferentialWorker, VectorField, Worker};

    /// Changes of what the right field says: of the velocity u at x, of its divergence, of its reverse derivative along w.
    #[derive(Clone, Copy)]
    struct Change {
        u: fn(&mut [f64], &[f64]),
        rate: fn(f64, Scales) -> f64,
        reverse: fn(&mut [f64], &[f64]),
    }

    const NONE: Change = Change { u: |_, _| {}, rate: |rate, _| rate, reverse: |_, _| {} };

    struct Wrong<'a> {
        right: Residual<'a, Mlp<f64>>,
        baseline: &'a GaussianBaseline,
        change: Change,
    }

    struct WrongWorker<'a, W: ?Sized> {
        right: Box<W>,
        wrong: &'a Wrong<'a>,
    }

    impl VectorField<f64> for Wrong<'_> {
        fn dim(&self) -> usize {
            3
        }

        fn eval(&self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
            self.worker(x.rows()).eval(t, x, u)
        }

        fn worker(&self, rows: usize) -> Box<dyn Worker<f64> + '_> {
            Box::new(WrongWorker { right: self.right.worker(rows), wrong: self })
        }
    }

    impl DifferentiableField<f64> for Wrong<'_> {
        fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<f64> + '_> {
            Box::new(WrongWorker { right: self.right.differential_worker(rows, tangents), wrong: self })
        }

        fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<f64> + '_> {
            Box::new(WrongWorker { right: self.right.divergence_worker(rows), wrong: self })
        }
    }

    impl<W: Worker<f64> + ?Sized> Worker<f64> for WrongWorker<'_, W> {
        fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
            self.right.eval(t, x, u)?;
            (0..x.rows()).for_each(|i| (self.wrong.change.u)(u.row_mut(i), x.row(i)));
            Ok(())
        }

        fn eval_carry(
            &mut self,
            t: &[f64],
            x: &Tensor<f64>,
            u: &mut Tensor<f64>,
            rate: &mut [f64],
        ) -> Result<()> {
            self.right.eval_carry(t, x, u, rate)?;
            for i in 0..x.rows() {
                (self.wrong.change.u)(u.row_mut(i), x.row(i));
                let scales = self.wrong.baseline.scales(Scheduler::CondOt.coefficients(t[i]));
                rate[i] = (self.wrong.change.rate)(rate[i], scales);
            }
            Ok(())
        }
    }

    impl<W: DifferentialWorker<f64> + ?Sized> DifferentialWorker<f64> for WrongWorker<'_, W> {
        fn jvp(
            &mut self,
            t: &[f64],
            x: &Tensor<f64>,
            d_x: &Tensor<f64>,
            u: &mut Tensor<f64>,
            d_u: &mut Tensor<f64>,
        ) -> Result<()> {
            self.right.jvp(t, x, d_x, u, d_u)
        }

        fn vjp(
            &mut self,
            t: &[f64],
            x: &Tensor<f64>,
            w: &Tensor<f64>,
            u: &mut Tensor<f64>,
            d_x: &mut Tensor<f64>,
        ) -> Result<()> {
            self.right.vjp(t, x, w, u, d_x)?;
            (0..x.rows()).for_each(|i| (self.wrong.change.reverse)(d_x.row_mut(i), w.row(i)));
            Ok(())
        }
    }

    fn changed(change: Change) -> impl Fn(&Mlp<f64>, &GaussianBaseline, Ask<'_, f64>) -> Result<()> + Sync {
        move |network, baseline, ask| {
            let right = Residual::new(network, baseline, Scheduler::CondOt, Simd::detect());
            ask(&Wrong { right, baseline, change })
        }
    }

    /// The flow of the baseline of other rows than those it is held against.
    fn of_other_rows(change: fn(&mut Tensor<f64>)) -> Result<Finding> {
        let mut x = rows();
        change(&mut x);
        let other = GaussianBaseline::fit(&x, None)?;
        flow::<f64>(|network, _, ask| right(network, &other, ask))
    }

    fn changed_scales(change: fn(Scales, Coefficients) -> Scales) -> Result<Finding> {
        scales(|baseline, c| change(baseline.scales(c), c))
    }

    pub(crate) fn faults() -> Vec<Fault> {
        let negative = |u: &mut [f64], _: &[f64]| u.iter_mut().for_each(|u| *u = -*u);
        vec![
            Fault::new("E29", "the sign of the velocity", move || {
                flow(changed(Change { u: negative, ..NONE }))
            }),
            Fault::new("E29", "the variances without the correlations", || {
                of_other_rows(|x| {
                    // The columns moved along each other: their variances stay.
                    let column: Vec<f64> = (0..ROWS).map(|i| x.row(i)[1]).collect();
                    (0..ROWS).for_each(|i| x.row_mut(i)[1] = column[(i + 7) % ROWS]);
                })
            }),
            Fault::new("E29", "standard deviations as variances", || {
                of_other_rows(|x| x.as_mut_slice().iter_mut().for_each(|x| *x = x.signum() * x.abs().sqrt()))
            }),
            Fault::new("E29", "a log-density without tr A_t", || {
                flow(changed(Change { rate: |rate, scales| rate - scales.trace, ..NONE }))
            }),
            Fault::new("E29.scales", "r_t where r_t² belongs", || {
                changed_scales(|s, _| Scales { residual: s.residual.sqrt(), ..s })
            }),
            Fault::new("E29.scales", "what dX_t varies when X_t is not known", || {
                changed_scales(|s, c| Scales { residual: c.d_alpha.hypot(c.d_sigma), ..s })
            }),
            Fault::new("E29.scales", "s_t of the target alone", || {
                changed_scales(|s, c| Scales { point: c.alpha, ..s })
            }),
            Fault::new("E29.scales", "alpha and sigma added, not their squares", || {
                changed_scales(|s, c| Scales { point: c.alpha + c.sigma, ..s })
            }),
            Fault::new("E29.divergence", "no tr A_t", || {
                differences(changed(Change { rate: |rate, scales| rate - scales.trace, ..NONE }))
            }),
            Fault::new("E29.divergence", "the network's divergence without r_t / s_t", || {
                differences(changed(Change {
                    rate: |rate, s| s.trace + (rate - s.trace) * s.point / s.residual,
                    ..NONE
                }))
            }),
            Fault::new("E29.divergence", "r_t in place of r_t / s_t", || {
                differences(changed(Change { rate: |rate, s| s.trace + (rate - s.trace) * s.point, ..NONE }))
            }),
            Fault::new("E29.tangents", "the sign of the reverse mode", move || {
                tangents(changed(Change { reverse: negative, ..NONE }))
            }),
            Fault::new("E29.tangents", "a reverse mode with w added once more", || {
                tangents(changed(Change {
                    reverse: |d_x, w| d_x.iter_mut().zip(w).for_each(|(d, w)| *d += w),
                    ..NONE
                }))
            }),
        ]
    }
}
