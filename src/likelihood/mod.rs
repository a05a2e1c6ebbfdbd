//! [`log_density`]: the log-density of data under a flow, by the change of variables along it.
//!
//! # Math
//! log p_1(x_1) = log p_0(x_0) - ∫_0^1 div u_t(psi_t(x_0)) dt with x_0 = psi_1^-1(x_1) (E21). State and
//! integral are one augmented ODE, solved from t = 1 to t = 0; what a row has carried at the end is
//! ∫_1^0 div u dt, so that it is added. div u = tr(du/dx), exact by d forward tangents, or estimated by K probes (E22).
//!
//! With probes a row carries K integrals I_k, one for each; log p takes their mean, and its standard error is
//! s / sqrt(K) with s² = sum (I_k - mean)² / (K - 1). A probe is the same all the way, so that an integral varies as much as the
//! eᵀ J e of one matrix J = ∫ du/dx dt: its variance is 2 sum_{i != j} S_ij² (Rademacher) or 2 sum_{ij} S_ij² (Gaussian),
//! S = (J + Jᵀ)/2.
//!
//! # Shapes
//! x_1 is [B, d]; log-densities have length B, in nats.
//!
//! # Limits
//! Exact for the ODE, not for its solution: the error is that of the solver. One that chooses its steps controls the
//! log-density with x, as one more component with the tolerance that [`Tolerance`](crate::ode::Tolerance) says; with probes it is
//! their mean, not each. The standard error is that of the probes: it knows nothing of the solver's error, and for few
//! probes it is itself uncertain (by the factor 1 ± 1/sqrt(2 K - 2)). Rademacher probes of a row that are the same but for their signs, as two are in every
//! second row of two columns, agree whatever the matrix is: its standard error is then 0 and tells nothing.
//!
//! An evaluation whose stage has a weight costs up to d + 1 plain ones, less where a field knows a shorter way: for small d
//! (up to some hundred). With K probes it costs up to K + 1.
//!
//! # Source
//! Chen et al. 2018, arXiv:1806.07366 (the augmented ODE); Grathwohl et al. 2019, arXiv:1810.01367 (one probe for a whole
//! trajectory).

mod divergence;
mod summary;

use crate::error::Result;
use crate::field::{DifferentiableField, Probes, VectorField, Worker};
use crate::kernel::Real;
use crate::ode::{RowStats, Solver, Stats};
use crate::rng::{Purpose, Rng, Streams};
use crate::source::Source;
use crate::tensor::Tensor;

pub use divergence::Divergence;
pub use summary::Summary;

/// Log-densities, one for each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// log p_1 of each row, in nats.
    pub log_density: Vec<f64>,
    /// The standard error of each of them, in nats, where the divergence was estimated by two probes or more. It is that of
    /// the row's own estimate; [`Scores::standard_error`] is that of the mean over rows.
    pub standard_error: Option<Vec<f64>>,
    /// What the solver took for each row, and why it stopped.
    pub rows: Vec<RowStats>,
    /// What it took on average.
    pub stats: Stats,
}

/// The log-density of each row of x_1, [B, d], under the flow of a field from a source: in nats, in the
/// units of x_1. // E21
///
/// `rng` is for divergences that are estimated; the exact one draws nothing.
///
/// # Errors
/// [`Error::NotFinite`](crate::Error::NotFinite) if x_1 holds NaN or infinity, [`Error::Overflow`](crate::Error::Overflow) if x or the
/// divergence becomes one on the way,
/// [`Error::Dimension`](crate::Error::Dimension) if x_1 has not the columns of the field,
/// [`Error::Setting`](crate::Error::Setting) for settings that do not fit the solver, a number of probes out of range, or a source
/// without a density,
/// [`Error::Velocity`](crate::Error::Velocity) if the field answers NaN or infinity, [`Error::Steps`](crate::Error::Steps) and
/// [`Error::StepSize`](crate::Error::StepSize) if a tolerance cannot be reached. Rows are counted in x_1.
///
/// # Example
/// ```
/// use pushforward::closed_form::GaussianFlow;
/// use pushforward::likelihood::log_density;
/// use pushforward::{AffinePath, Divergence, Rng, Solver, Source, Tensor};
///
/// // N(0, 1) -> N(2, 1/4): the density at the mean is 2 / sqrt(2 pi).
/// let flow = GaussianFlow::new(&[2.0], &Tensor::from_rows(&[[0.25]]))?;
/// let u = flow.velocity(AffinePath::default());
/// let (x_1, mut rng) = (Tensor::from_rows(&[[2.0]]), Rng::from_seed(0));
/// let scores = log_density(&u, Source::Normal, &x_1, Divergence::Exact, &Solver::rk4(), &mut rng)?;
/// assert!((scores.mean() - (2.0 / std::f64::consts::TAU.sqrt()).ln()).abs() < 1e-7);
/// assert!(scores.standard_error.is_none());
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn log_density<R, F>(
    field: &F,
    source: Source,
    x_1: &Tensor<R>,
    divergence: Divergence,
    solver: &Solver,
    rng: &mut Rng,
) -> Result<Scores>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
{
    let probes = match divergence {
        Divergence::Exact => None,
        Divergence::Hutchinson { .. } => divergence.probes(0, rng.fork(Purpose::Probe))?,
    };
    score(field, source, x_1, probes, solver)
}

/// As [`log_density`] for rows of a longer table, the first of which has the number `first_row` there: a row's probes depend
/// on `streams` and on its number only, so that parts of a table score as the whole.
///
/// # Errors
/// As [`log_density`].
pub fn log_density_rows<R, F>(
    field: &F,
    source: Source,
    x_1: &Tensor<R>,
    first_row: usize,
    divergence: Divergence,
    solver: &Solver,
    streams: Streams,
) -> Result<Scores>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
{
    score(field, source, x_1, divergence.probes(first_row, streams)?, solver)
}

fn score<R, F>(
    field: &F,
    source: Source,
    x_1: &Tensor<R>,
    probes: Option<Probes>,
    solver: &Solver,
) -> Result<Scores>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
{
    source.check_density()?;
    x_1.check_finite("x_1", "remove or replace that row")?;
    let back = solver.solve(&Augmented { field, probes }, x_1, 1.0..0.0)?;
    let log_p_0 = (0..x_1.rows()).map(|i| source.log_density(back.x.row(i)));
    let (carry, stats) = (&back.carry, back.stats);
    let Some(Probes { count, .. }) = probes else {
        let log_density = log_p_0.zip(carry).map(|(log_p, carry)| log_p + carry).collect();
        return Ok(Scores { log_density, standard_error: None, rows: back.rows, stats });
    };
    let estimates = || carry.chunks(count).map(mean_and_error);
    let log_density = log_p_0.zip(estimates()).map(|(log_p, (mean, _))| log_p + mean).collect();
    let standard_error = (count > 1).then(|| estimates().map(|(_, error)| error).collect());
    Ok(Scores { log_density, standard_error, rows: back.rows, stats })
}

/// The mean of independent numbers and its standard error; NaN for that of one number.
#[allow(clippy::cast_precision_loss, reason = "a number of probes is far below 2^53")]
fn mean_and_error(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

impl Scores {
    /// Mean, standard error and bits per dimension, in one.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        summary.add(&self.log_density);
        summary
    }

    /// The mean log-density, in nats, as [`Summary::mean`].
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.summary().mean()
    }

    /// The standard error of the mean, in nats, as [`Summary::standard_error`].
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        self.summary().standard_error()
    }

    /// The mean in bits per dimension, as [`Summary::bits_per_dim`], for rows of dimension d.
    #[must_use]
    pub fn bits_per_dim(&self, d: usize) -> f64 {
        self.summary().bits_per_dim(d)
    }
}

/// A field whose rows carry the integral of its divergence, or one estimate of it for each of their probes.
struct Augmented<'a, F: ?Sized> {
    field: &'a F,
    probes: Option<Probes>,
}

impl<R: Real, F: DifferentiableField<R> + ?Sized> VectorField<R> for Augmented<'_, F> {
    fn dim(&self) -> usize {
        self.field.dim()
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.field.eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        match self.probes {
            None => self.field.divergence_worker(rows),
            Some(probes) => self.field.probe_worker(rows, probes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::LN_2;

    use crate::error::Error;
    use crate::field::{DifferentialWorker, ProbeLaw};
    use crate::ode::Method;

    /// u = A x + b, in any precision.
    struct Linear {
        a: [[f64; 2]; 2],
        b: f64,
    }

    impl<R: Real> VectorField<R> for Linear {
        fn dim(&self) -> usize {
            2
        }
        fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
            self.times(x, u);
            assert_eq!(t.len(), x.rows());
            for u in u.as_mut_slice() {
                *u += R::from_f64(self.b);
            }
            Ok(())
        }
    }

    impl Linear {
        fn times<R: Real>(&self, x: &Tensor<R>, out: &mut Tensor<R>) {
            for i in 0..x.rows() {
                for j in 0..2 {
                    let a = self.a[j].map(R::from_f64);
                    out.row_mut(i)[j] = a[0] * x.row(i)[0] + a[1] * x.row(i)[1];
                }
            }
        }
    }

    impl<R: Real> DifferentiableField<R> for Linear {
        fn differential_worker(&self, _rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_> {
            Box::new(LinearWorker(self, tangents))
        }
    }

    struct LinearWorker<'a>(&'a Linear, usize);

    impl<R: Real> Worker<R> for LinearWorker<'_> {
        fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
            self.0.eval(t, x, u)
        }
    }

    impl<R: Real> DifferentialWorker<R> for LinearWorker<'_> {
        fn jvp(
            &mut self,
            t: &[R],
            x: &Tensor<R>,
            d_x: &Tensor<R>,
            u: &mut Tensor<R>,
            d_u: &mut Tensor<R>,
        ) -> Result<()> {
            assert_eq!((d_x.rows(), d_u.rows()), (self.1 * x.rows(), self.1 * x.rows()));
            self.0.times(d_x, d_u);
            self.0.eval(t, x, u)
        }
        fn vjp(
            &mut self,
            _t: &[R],
            _x: &Tensor<R>,
            _w: &Tensor<R>,
            _u: &mut Tensor<R>,
            _d_x: &mut Tensor<R>,
        ) -> Result<()> {
            panic!("a divergence is found forwards")
        }
    }

    fn score(a: [[f64; 2]; 2], b: f64, x_1: [f64; 2], solver: &Solver) -> f64 {
        scores(&Linear { a, b }, &Tensor::from_rows(&[x_1]), Divergence::Exact, solver).unwrap().log_density
            [0]
    }

    fn scores<R: Real>(
        field: &Linear,
        x_1: &Tensor<R>,
        divergence: Divergence,
        solver: &Solver,
    ) -> Result<Scores> {
        log_density(field, Source::Normal, x_1, divergence, solver, &mut Rng::from_seed(0))
    }

    // Known answers in f64 for p_0 = N(0, I) and x_1 = (1, 2), obtained by running flow_matching 1.0.10 and
    // torchdiffeq 0.2.5; the exact ones are log p_0(e^-A x_1) - tr A. They have 9 to 12 decimals.
    const LAST_DIGIT: f64 = 6e-13;
    const HALF: [[f64; 2]; 2] = [[0.5, 0.0], [0.0, 0.5]];
    const MINUS: [[f64; 2]; 2] = [[-1.0, 0.0], [0.0, -1.0]];
    const FULL: [[f64; 2]; 2] = [[0.3, 1.0], [-0.2, -0.5]];

    #[test]
    fn linear_fields_give_the_known_numbers() {
        for (a, method, wanted) in [
            (HALF, Method::Euler, -3.734_091_872_431),
            (HALF, Method::Midpoint, -3.757_973_620_589),
            (MINUS, Method::Euler, -16.656_626_939_723),
            (MINUS, Method::Midpoint, -18.253_464_171_223),
        ] {
            let found = score(a, 0.0, [1.0, 2.0], &Solver::new(method).steps(10));
            assert!((found - wanted).abs() < LAST_DIGIT, "{method} {found} {wanted}");
        }
    }

    #[test]
    fn linear_fields_converge_to_the_exact_numbers() {
        for (a, wanted, bound) in [
            (HALF, -3.757_575_669_338, LAST_DIGIT),
            (MINUS, -18.310_517_313_736, LAST_DIGIT),
            (FULL, -8.168_816_430, 6e-10), // nine decimals
        ] {
            let found = score(a, 0.0, [1.0, 2.0], &Solver::rk4().steps(1000));
            assert!((found - wanted).abs() < bound, "{found} {wanted}");
        }
    }

    #[test]
    fn a_constant_field_only_shifts() {
        // Field 1 in d = 2 from x_1 = 0: x_0 = (-1, -1), log p = -ln 2 pi - 1 (same origin, ten decimals).
        for solver in [Solver::euler(), Solver::midpoint(), Solver::heun(), Solver::rk4()] {
            let found = score([[0.0; 2]; 2], 1.0, [0.0; 2], &solver);
            assert!((found - -2.837_877_066_4).abs() < 6e-11, "{found}");
        }
    }

    #[test]
    fn rows_are_scored_one_by_one_and_in_f32_too() {
        // More rows than a block, so that the last block is smaller than the others.
        let n = 2 * crate::ode::ROWS_PER_BLOCK + 5;
        let numbers: Vec<f64> = (0..2 * n).map(|i| (i as f64 * 0.37).sin()).collect();
        let x_1 = Tensor::from_vec(numbers, n, 2).unwrap();
        let (field, solver) = (Linear { a: FULL, b: 0.2 }, Solver::midpoint().steps(10));
        let all = scores(&field, &x_1, Divergence::Exact, &solver).unwrap();
        assert_eq!(all.stats, Stats { rows: n as u64, nfe: 20.0, accepted: 10.0, rejected: 0.0 });
        for i in [0, 127, 128, n - 1] {
            let alone = score(FULL, 0.2, [x_1.row(i)[0], x_1.row(i)[1]], &solver);
            assert_eq!(alone.to_bits(), all.log_density[i].to_bits());
        }
        // Ten steps of rounding at 6e-8 and a derivative of log p_0 of size 1.
        const BOUND: f64 = 1e-5;
        let single = scores(&field, &x_1.cast::<f32>(), Divergence::Exact, &solver).unwrap();
        for (a, b) in single.log_density.iter().zip(&all.log_density) {
            assert!((a - b).abs() < BOUND, "{a} {b}");
        }
    }

    /// A quantity of rows for the known field, each of which gives the same divergence.
    fn probed(rows: usize, divergence: Divergence) -> Scores {
        let x_1 = Tensor::from_vec([1.0, 2.0].repeat(rows), rows, 2).unwrap();
        scores(&Linear { a: FULL, b: 0.0 }, &x_1, divergence, &Solver::rk4().steps(50)).unwrap()
    }

    #[test]
    fn one_rademacher_probe_is_off_by_the_sum_beside_the_diagonal() {
        // eᵀ A e = tr A + e_1 e_2 (1 - 0.2): of the known number -8.168816430, 0.8 less or more (rk4 in 50 steps: 1e-8).
        let scores = probed(100, Divergence::hutchinson(1));
        assert_eq!(scores.standard_error, None);
        let mut signs = [0, 0];
        for log_p in &scores.log_density {
            let off = log_p - -8.168_816_430;
            assert!((off.abs() - 0.8).abs() < 1e-7, "{off}");
            signs[usize::from(off > 0.0)] += 1;
        }
        assert!(signs[0] > 20 && signs[1] > 20, "{signs:?}"); // 50 ± 5
    }

    #[test]
    fn the_standard_error_is_that_of_the_probes() {
        // The probes of a row are the first ones of more probes, so that the estimate of each can be had alone.
        const ROUNDING: f64 = 1e-12;
        for law in [ProbeLaw::Rademacher, ProbeLaw::Gaussian] {
            let of = |probes| probed(5, Divergence::Hutchinson { probes, law });
            let (one, two, three) = (of(1), of(2), of(3));
            for i in 0..5 {
                let a = one.log_density[i];
                let b = 2.0 * two.log_density[i] - a;
                let c = 3.0 * three.log_density[i] - a - b;
                let error = |numbers: &[f64]| {
                    let n = numbers.len() as f64;
                    let mean = numbers.iter().sum::<f64>() / n;
                    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
                    (squares / (n - 1.0)).sqrt() / n.sqrt()
                };
                for (scores, numbers) in [(&two, &[a, b][..]), (&three, &[a, b, c])] {
                    let found = scores.standard_error.as_ref().unwrap()[i];
                    assert!((found - error(numbers)).abs() < ROUNDING, "{law} {found} {numbers:?}");
                }
            }
        }
    }

    #[test]
    fn scores_sum_up() {
        let scores = Scores {
            log_density: vec![-1.0, -2.0, -6.0],
            standard_error: None,
            rows: vec![],
            stats: Stats::default(),
        };
        assert!((scores.mean() - -3.0).abs() < 1e-15);
        assert!((scores.standard_error() - (14.0_f64 / 2.0 / 3.0).sqrt()).abs() < 1e-15);
        assert!((scores.bits_per_dim(2) - 1.5 / LN_2).abs() < 1e-15);
    }

    #[test]
    fn wrong_input_is_an_error() {
        let score = |x_1: &Tensor<f64>, field| scores(&field, x_1, Divergence::Exact, &Solver::euler());
        for probes in [0, 4097] {
            let field = Linear { a: FULL, b: 0.0 };
            let error =
                scores(&field, &Tensor::<f64>::zeros(1, 2), Divergence::hutchinson(probes), &Solver::rk4());
            assert!(matches!(error, Err(Error::Setting { name: "probes", .. })), "{error:?}");
        }
        let nan = Tensor::from_rows(&[[0.0, 0.0], [1.0, f64::NAN]]);
        let error = score(&nan, Linear { a: FULL, b: 0.0 }).unwrap_err();
        assert!(matches!(error, Error::NotFinite { what: "x_1", row: 1, column: 1, .. }), "{error}");
        assert!(score(&Tensor::zeros(1, 3), Linear { a: FULL, b: 0.0 }).is_err());
        // At x = 0 this velocity is 0, but its divergence is 2 f64::MAX: no velocity would show it.
        let steep = Linear { a: [[f64::MAX, 0.0], [0.0, f64::MAX]], b: 0.0 };
        let error = score(&Tensor::zeros(1, 2), steep).unwrap_err();
        assert!(matches!(error, Error::Overflow { row: 0, value: f64::INFINITY, .. }), "{error}");
    }

    #[test]
    fn a_field_that_carries_moves_as_without() {
        let field = Linear { a: [[1.0, 2.0], [-0.5, 0.3]], b: 0.7 };
        let (x, mut u, mut plain) =
            (Tensor::<f64>::from_rows(&[[0.4, -1.0]]), Tensor::zeros(1, 2), Tensor::zeros(1, 2));
        Augmented { field: &field, probes: None }.eval(&[0.5], &x, &mut u).unwrap();
        field.eval(&[0.5], &x, &mut plain).unwrap();
        assert_eq!(u, plain);
        assert!(u.as_slice().iter().all(|u| *u != 0.0));
    }
}
