//! [`log_density`]: the log-density of data under a flow, by the change of variables along it.
//!
//! # Math
//! log p_1(x_1) = log p_0(x_0) - ∫_0^1 div u_t(psi_t(x_0)) dt with x_0 = psi_1^-1(x_1) (E21). State and
//! integral are one augmented ODE, solved from t = 1 to t = 0; what a row has carried at the end is
//! ∫_1^0 div u dt, so that it is added. div u = tr(du/dx), exact by d forward tangents (E22).
//!
//! # Shapes
//! x_1 is [B, d]; log-densities have length B, in nats.
//!
//! # Limits
//! Exact for the ODE, not for its solution: the error is that of the solver. One that chooses its steps controls the
//! log-density with x, as one more component with the tolerance that [`Tolerance`](crate::ode::Tolerance) says. An evaluation whose
//! stage has a weight costs up to d + 1 plain ones, less where a field knows a shorter way: for small d (up to some hundred).
//!
//! # Source
//! Chen et al. 2018, arXiv:1806.07366 (the augmented ODE).

use std::f64::consts::LN_2;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::field::{DifferentiableField, VectorField, Worker};
use crate::kernel::Real;
use crate::ode::{Solver, Stats};
use crate::source::Source;
use crate::tensor::Tensor;

/// How the divergence of the velocity is found. // E22
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Divergence {
    /// The trace of the Jacobian, by one forward tangent for each dimension.
    #[default]
    Exact,
}

/// Log-densities, one for each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// log p_1 of each row, in nats.
    pub log_density: Vec<f64>,
    /// What the solver took.
    pub stats: Stats,
}

/// The log-density of each row of x_1, [B, d], under the flow of a field from a source: in nats, in the
/// units of x_1. // E21
///
/// # Errors
/// [`Error::NotFinite`] if x_1 holds NaN or infinity or the divergence becomes one, [`Error::Dimension`] if
/// x_1 has not the columns of the field, [`Error::Setting`] for settings that do not fit the solver,
/// [`Error::Velocity`] if the field answers NaN or infinity, [`Error::Steps`] and [`Error::StepSize`] if a tolerance
/// cannot be reached. Rows are counted in x_1.
///
/// # Example
/// ```
/// use pushforward::closed_form::GaussianFlow;
/// use pushforward::likelihood::log_density;
/// use pushforward::{AffinePath, Divergence, Solver, Source, Tensor};
///
/// // N(0, 1) -> N(2, 1/4): the density at the mean is 2 / sqrt(2 pi).
/// let flow = GaussianFlow::new(&[2.0], &Tensor::from_rows(&[[0.25]]))?;
/// let u = flow.velocity(AffinePath::default());
/// let x_1 = Tensor::from_rows(&[[2.0]]);
/// let scores = log_density(&u, Source::Normal, &x_1, Divergence::Exact, &Solver::rk4())?;
/// assert!((scores.mean() - (2.0 / std::f64::consts::TAU.sqrt()).ln()).abs() < 1e-7);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn log_density<R, F>(
    field: &F,
    source: Source,
    x_1: &Tensor<R>,
    divergence: Divergence,
    solver: &Solver,
) -> Result<Scores>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
{
    x_1.check_finite("x_1", "remove or replace that row")?;
    let back = match divergence {
        Divergence::Exact => solver.solve(&Augmented { field }, x_1, 1.0..0.0)?,
    };
    let log_density =
        back.carry.iter().enumerate().map(|(i, carry)| source.log_density(back.x.row(i)) + carry).collect();
    Ok(Scores { log_density, stats: back.stats })
}

/// Mean and standard error of log-densities that are found part by part: no score need be kept.
///
/// # Example
/// ```
/// use pushforward::likelihood::Summary;
///
/// let mut summary = Summary::default();
/// summary.add(&[-1.0, -2.0]);
/// summary.add(&[-6.0]);
/// assert_eq!((summary.rows(), summary.mean()), (3, -3.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Rows of a finite log-density, their mean m and the sum of (log p - m)².
    finite: usize,
    mean: f64,
    squares: f64,
    off_support: usize,
}

impl Summary {
    /// Adds the log-densities of more rows, in nats.
    #[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^53")]
    pub fn add(&mut self, log_density: &[f64]) {
        let finite = || log_density.iter().filter(|l| !l.is_infinite());
        let added = finite().count();
        self.off_support += log_density.len() - added;
        if added == 0 {
            return;
        }
        let mean = finite().sum::<f64>() / added as f64;
        let squares: f64 = finite().map(|l| (l - mean) * (l - mean)).sum();
        if self.finite == 0 {
            *self = Self { finite: added, mean, squares, off_support: self.off_support };
            return;
        }
        // Chan, Golub and LeVeque 1979: the distance of the two means is what both sums did not see.
        let (n, distance) = ((self.finite + added) as f64, mean - self.mean);
        self.mean += distance * (added as f64 / n);
        self.squares += squares + distance * distance * (self.finite as f64 * (added as f64 / n));
        self.finite += added;
    }

    /// How many rows there were.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.finite + self.off_support
    }

    /// How many of them have the density 0.
    #[must_use]
    pub fn off_support(&self) -> usize {
        self.off_support
    }

    /// The mean log-density, in nats: minus infinity if a row has the density 0, NaN without rows.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match (self.off_support, self.finite) {
            (0, 0) => f64::NAN,
            (0, _) => self.mean,
            _ => f64::NEG_INFINITY,
        }
    }

    /// The standard error of [`Summary::mean`], in nats: s / sqrt(n) with s² = sum (log p - mean)² / (n - 1);
    /// NaN for fewer than two rows, or if a row has the density 0.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^53")]
    pub fn standard_error(&self) -> f64 {
        if self.off_support > 0 {
            return f64::NAN;
        }
        let n = self.finite as f64;
        (self.squares / (n - 1.0) / n).sqrt()
    }

    /// The mean in bits per dimension, -mean / (d ln 2), for rows of dimension d.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    pub fn bits_per_dim(&self, d: usize) -> f64 {
        -self.mean() / (d as f64 * LN_2)
    }
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

impl Divergence {
    /// The word: `exact`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Divergence {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "exact" => Ok(Self::Exact),
            _ => Err(Error::Unknown { what: "divergence", word: word.into(), known: "exact" }),
        }
    }
}

/// A field whose rows carry the integral of its divergence.
struct Augmented<'a, F: ?Sized> {
    field: &'a F,
}

impl<R: Real, F: DifferentiableField<R> + ?Sized> VectorField<R> for Augmented<'_, F> {
    fn dim(&self) -> usize {
        self.field.dim()
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.field.eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        self.field.divergence_worker(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::DifferentialWorker;
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
            assert_eq!(tangents, 2);
            Box::new(LinearWorker(self))
        }
    }

    struct LinearWorker<'a>(&'a Linear);

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
            assert_eq!((d_x.rows(), d_u.rows()), (2 * x.rows(), 2 * x.rows()));
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
            unreachable!("the exact divergence goes forward")
        }
    }

    fn score(a: [[f64; 2]; 2], b: f64, x_1: [f64; 2], solver: &Solver) -> f64 {
        let x_1 = Tensor::from_rows(&[x_1]);
        log_density(&Linear { a, b }, Source::Normal, &x_1, Divergence::Exact, solver).unwrap().log_density[0]
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
        let all = log_density(&field, Source::Normal, &x_1, Divergence::Exact, &solver).unwrap();
        assert_eq!(all.stats, Stats { rows: n as u64, nfe: 20.0, accepted: 10.0, rejected: 0.0 });
        for i in [0, 127, 128, n - 1] {
            let alone = score(FULL, 0.2, [x_1.row(i)[0], x_1.row(i)[1]], &solver);
            assert_eq!(alone.to_bits(), all.log_density[i].to_bits());
        }
        // Ten steps of rounding at 6e-8 and a derivative of log p_0 of size 1.
        const BOUND: f64 = 1e-5;
        let single =
            log_density(&field, Source::Normal, &x_1.cast::<f32>(), Divergence::Exact, &solver).unwrap();
        for (a, b) in single.log_density.iter().zip(&all.log_density) {
            assert!((a - b).abs() < BOUND, "{a} {b}");
        }
    }

    #[test]
    fn scores_sum_up() {
        let scores = Scores { log_density: vec![-1.0, -2.0, -6.0], stats: Stats::default() };
        assert!((scores.mean() - -3.0).abs() < 1e-15);
        assert!((scores.standard_error() - (14.0_f64 / 2.0 / 3.0).sqrt()).abs() < 1e-15);
        assert!((scores.bits_per_dim(2) - 1.5 / LN_2).abs() < 1e-15);
    }

    #[test]
    fn parts_sum_up_to_the_whole() {
        // Far from 0, where a sum of squares would keep no digit; roundings of 300 additions.
        const BOUND: f64 = 1e-13;
        let all: Vec<f64> = (0..301).map(|i| -1e6 + (f64::from(i) * 0.7).sin() + f64::from(i)).collect();
        let whole = Scores { log_density: all.clone(), stats: Stats::default() };
        for part in [1, 2, 100, 300, 301] {
            let mut summary = Summary::default();
            all.chunks(part).for_each(|part| summary.add(part));
            assert_eq!(summary.rows(), 301);
            assert!((summary.mean() / whole.mean() - 1.0).abs() < BOUND, "{part} {summary:?}");
            let error = summary.standard_error() / whole.standard_error() - 1.0;
            assert!(error.abs() < 1e6 * BOUND, "{part} {error}");
        }
    }

    #[test]
    fn rows_off_the_support_are_counted_and_show() {
        let mut summary = Summary::default();
        assert!(summary.mean().is_nan() && summary.standard_error().is_nan());
        summary.add(&[f64::NEG_INFINITY]);
        summary.add(&[]);
        summary.add(&[-1.0, f64::NEG_INFINITY, -2.0]);
        assert_eq!((summary.rows(), summary.off_support(), summary.mean()), (4, 2, f64::NEG_INFINITY));
        assert!(summary.standard_error().is_nan());
        summary = Summary::default();
        summary.add(&[-1.0]);
        assert!(summary.standard_error().is_nan());
    }

    #[test]
    fn words_and_wrong_input() {
        assert_eq!(Divergence::Exact.to_string().parse::<Divergence>().unwrap(), Divergence::Exact);
        assert!("trace".parse::<Divergence>().is_err());
        let score = |x_1: &Tensor<f64>, field| {
            log_density(&field, Source::Normal, x_1, Divergence::Exact, &Solver::euler())
        };
        let nan = Tensor::from_rows(&[[0.0, 0.0], [1.0, f64::NAN]]);
        let error = score(&nan, Linear { a: FULL, b: 0.0 }).unwrap_err();
        assert!(matches!(error, Error::NotFinite { what: "x_1", row: 1, column: 1, .. }), "{error}");
        assert!(score(&Tensor::zeros(1, 3), Linear { a: FULL, b: 0.0 }).is_err());
        // At x = 0 this velocity is 0, but its divergence is 2 f64::MAX: no velocity would show it.
        let steep = Linear { a: [[f64::MAX, 0.0], [0.0, f64::MAX]], b: 0.0 };
        let error = score(&Tensor::zeros(1, 2), steep).unwrap_err();
        assert!(matches!(error, Error::NotFinite { row: 0, value: f64::INFINITY, .. }), "{error}");
    }
}
