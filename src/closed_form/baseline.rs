//! [`GaussianBaseline`]: the velocity of the Gaussians that have the moments of source and target, which a network is left to correct.
//!
//! # Math
//! With S_0 and S_1 the covariances of source and target, both of mean 0, X_t = alpha X_1 + sigma X_0 has the covariance
//! S_t = alpha² S_1 + sigma² S_0, and in the Gaussian model of independent X_0 and X_1 (E18)
//! ```text
//! u_gauss = A_t x       A_t = (alpha alpha' S_1 + sigma sigma' S_0) S_t^-1
//! u_t(x)  = A_t x + r_t net(t, x / s_t)                                                     (E29)
//! s_t²    = tr S_t / d                                  what a column of X_t varies
//! r_t²    = tr Cov(dX_t | X_t) / d                      what a column of dX_t varies when X_t is known
//! ```
//! so that what the network sees, and what it learns, have size 1 at every time. In axes W in which both are diagonal, S_0 = W Wᵀ and
//! S_1 = W diag(l) Wᵀ, with V = W^-1 and v_k = alpha² l_k + sigma²,
//! ```text
//! A_t = W diag(a) V     a_k = (alpha alpha' l_k + sigma sigma') / v_k      tr A_t = sum_k a_k
//! s_t² = sum_k g_k v_k    r_t² = sum_k g_k l_k D² / v_k    g_k = |W_k|² / d    D = alpha' sigma - alpha sigma'
//! ```
//! The loss is still that of E11: the error of the network counts r_t² times.
//!
//! # Limits
//! Units in which source and target have mean 0 and their columns standard deviation 1 ([`crate::data::Standardize`]): then every
//! column of X_t varies as much, and one number s_t serves all. One number r_t serves all columns too: it is the root of their mean.
//! sbi's baseline is that of a diagonal S_1 with an r_t of its own for each column; here S_1 is full, and the divergence of the
//! network stays one sum.
//!
//! The axes along which the target varies by less than a hundredth of the source count as if it were a hundredth: A_t would be as
//! stiff there as the data are thin. Another coupling than `independent` has another Gaussian model; this one is then a start like any other.
//!
//! More than 500 lines, with the tests of its moments, of its scales and of what a file may hold.
//!
//! # Source
//! E29; sbi-dev/sbi has the diagonal case.

use std::fmt;
use std::str::FromStr;

use super::matrix::{times, transposed};
use super::moments::mean_and_covariance;
use super::symmetric::Eigen;
use crate::error::{Error, Result};
use crate::kernel::{Layout, Panels, Real, Rows, RowsMut, Simd, Start, product};
use crate::path::{Coefficients, Scheduler};
use crate::tensor::Tensor;

/// What stands in for a smaller variance of the target along an axis, as a share of the source's.
const LEAST_VARIANCE: f64 = 1e-4;

/// A smaller r_t counts as this: a path that starts from rest has none to divide by.
const LEAST_RESIDUAL: f64 = 1e-3;

/// The most columns: their axes take minutes beyond.
pub const MOST_COLUMNS: usize = 512;

/// How far W V may be from 1 in a file: some hundred roundings of f64.
const INVERSE: f64 = 1e-9;

/// What a network is left to correct. // E29
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Baseline {
    /// Nothing: it learns the velocity as a whole.
    #[default]
    None,
    /// The velocity of the Gaussians with the moments of source and target.
    Gaussian,
}

impl Baseline {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::None, Self::Gaussian];

    /// The word: `none` or `gaussian`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gaussian => "gaussian",
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Baseline {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|baseline| baseline.word() == word).ok_or_else(|| Error::Unknown {
            what: "baseline",
            word: word.into(),
            known: "none, gaussian",
        })
    }
}

/// The moments of source and target, in the axes that both share.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GaussianBaseline {
    /// l: the variance of the target along each axis, that of the source being 1; length d.
    variances: Vec<f64>,
    /// W, [d, d], row after row.
    axes: Vec<f64>,
    /// V = W^-1, [d, d], row after row.
    inverse: Vec<f64>,
}

/// s_t and r_t, and the trace of A_t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scales {
    /// s_t: what a column of X_t varies.
    pub point: f64,
    /// r_t: what a column of dX_t varies when X_t is known.
    pub residual: f64,
    /// tr A_t: the divergence of the baseline.
    pub trace: f64,
}

impl GaussianBaseline {
    /// Finds the moments of the target's rows z_1, [N, d], and of those of the source, [M, d], which is N(0, I) if there are none.
    ///
    /// # Errors
    /// [`Error::Dimension`] for more than [`MOST_COLUMNS`] columns, no rows, or a source with other columns than the target.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Scheduler, Tensor, closed_form::GaussianBaseline};
    ///
    /// let baseline = GaussianBaseline::fit(&Tensor::from_rows(&[[-2.0], [2.0]]), None)?; // l = 4
    /// let scales = baseline.scales(Scheduler::CondOt.coefficients(0.5));
    /// assert_eq!(scales.point, 1.25_f64.sqrt()); // 4/4 + 1/4
    /// assert_eq!(scales.residual, (4.0 / 1.25_f64).sqrt());
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn fit(z_1: &Tensor<f64>, z_0: Option<&Tensor<f64>>) -> Result<Self> {
        let d = z_1.cols();
        if !(1..=MOST_COLUMNS).contains(&d) {
            return Err(Error::Dimension {
                what: "columns for the baseline `gaussian`, at most",
                expected: MOST_COLUMNS,
                found: d,
                remedy: "take the baseline `none`",
            });
        }
        let of = |z: &Tensor<f64>| {
            z.check_cols("columns of the source", d, "source and target must have the same columns")?;
            if z.rows() == 0 {
                let remedy = "give rows";
                return Err(Error::Dimension { what: "rows of the data", expected: 1, found: 0, remedy });
            }
            let covariance = mean_and_covariance(z).1;
            covariance.check_finite("the covariance of the data", "give data of a size nearer to 1")?;
            Ok(covariance)
        };
        let target = of(z_1)?;
        let (root, inverse_root, relative) = match z_0 {
            None => (None, None, target),
            Some(z_0) => {
                let source = Eigen::of(&of(z_0)?);
                let least = LEAST_VARIANCE * source.values.iter().fold(0.0, |a: f64, &b| a.max(b));
                let least = least.max(f64::MIN_POSITIVE);
                let root = source.function(|l| l.max(least).sqrt());
                let inverse = source.function(|l| 1.0 / l.max(least).sqrt());
                let relative = times(&times(&inverse, &target), &inverse);
                (Some(root), Some(inverse), relative)
            }
        };
        let Eigen { values, vectors } = Eigen::of(&relative);
        let transposed = transposed(&vectors);
        let axes = root.map_or_else(|| vectors.clone(), |root| times(&root, &vectors));
        let inverse = inverse_root.map_or_else(|| transposed.clone(), |root| times(&transposed, &root));
        Ok(Self {
            variances: values.into_iter().map(|l| l.max(LEAST_VARIANCE)).collect(),
            axes: axes.as_slice().to_vec(),
            inverse: inverse.as_slice().to_vec(),
        })
    }

    /// Looks whether it is what [`GaussianBaseline::fit`] makes, for rows of d columns.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of columns, [`Error::Setting`] for numbers that are no axes and variances.
    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    pub fn check(&self, d: usize) -> Result<()> {
        let Self { variances, axes, inverse } = self;
        for (found, expected) in [(variances.len(), d), (axes.len(), d * d), (inverse.len(), d * d)] {
            if found != expected {
                let remedy = "it must be that of the network's columns";
                return Err(Error::Dimension { what: "numbers of the baseline", expected, found, remedy });
            }
        }
        let is_variance = |l: &f64| (LEAST_VARIANCE..=f64::MAX).contains(l);
        let is_inverse = |(i, j)| {
            let one: f64 = (0..d).map(|k| axes[i * d + k] * inverse[k * d + j]).sum();
            (one - if i == j { 1.0 } else { 0.0 }).abs() <= INVERSE * d as f64
        };
        if variances.iter().all(is_variance)
            && (0..d).flat_map(|i| (0..d).map(move |j| (i, j))).all(is_inverse)
        {
            return Ok(());
        }
        let remedy = "give what was found from data (`GaussianBaseline::fit`)";
        Err(Error::Setting { name: "baseline", value: "numbers that are no moments".into(), remedy })
    }

    /// The number of columns.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.variances.len()
    }

    /// What the correlations of the target's columns tell beside those of the source, in nats: -1/2 ln det(S_1) of standardised
    /// columns and a normal source, the divergence of N(0, S_1) from N(0, I).
    #[must_use]
    pub fn correlation(&self) -> f64 {
        self.variances.iter().map(|l| 0.5 * (l - 1.0 - l.ln())).sum()
    }

    /// s_t, r_t and tr A_t on a path with these coefficients. // E29
    #[must_use]
    pub fn scales(&self, c: Coefficients) -> Scales {
        let weights = self.weights();
        scales(&self.variances, &weights, c, &mut vec![0.0; self.dim()])
    }

    /// g_k = |W_k|² / d.
    #[allow(clippy::cast_precision_loss, reason = "a dimension is far below 2^53")]
    fn weights(&self) -> Vec<f64> {
        let d = self.dim();
        (0..d).map(|k| (0..d).map(|i| self.axes[i * d + k].powi(2)).sum::<f64>() / d as f64).collect()
    }
}

/// s_t, r_t and tr A_t; a_k is written to `rates`. // E29
fn scales(variances: &[f64], weights: &[f64], c: Coefficients, rates: &mut [f64]) -> Scales {
    let Coefficients { alpha, sigma, d_alpha, d_sigma } = c;
    let determinant = d_alpha * sigma - alpha * d_sigma; // D of E15
    let (mut point, mut residual, mut trace) = (0.0, 0.0, 0.0);
    for ((rate, &l), &g) in rates.iter_mut().zip(variances).zip(weights) {
        let v = alpha * alpha * l + sigma * sigma;
        *rate = (alpha * d_alpha * l + sigma * d_sigma) / v;
        point += g * v;
        residual += g * l * determinant * determinant / v;
        trace += *rate;
    }
    Scales { point: point.sqrt(), residual: residual.sqrt().max(LEAST_RESIDUAL), trace }
}

/// A baseline with the memory to compute it for a block of rows at a time.
#[derive(Debug)]
pub(crate) struct BaselineWorker<R: Real> {
    variances: Vec<f64>, // [d]
    weights: Vec<f64>,   // [d]
    simd: Simd,
    /// x Vᵀ and y Wᵀ, for A x; w W and y V, for Aᵀ w.
    products: [Panels<R>; 4],
    rates: Vec<R>,       // [B, d]
    scales: Vec<Scales>, // [B]
    rate: Vec<f64>,      // [d]
    along: Vec<R>,       // [B, d], in the axes
    moved: Vec<R>,       // [B, d]
}

impl<R: Real> BaselineWorker<R> {
    /// The memory for blocks of at most `rows` rows, each with as many tangents.
    pub(crate) fn new(baseline: &GaussianBaseline, simd: Simd, rows: usize, tangents: usize) -> Self {
        let d = baseline.dim();
        let pack = |matrix: &[f64], layout| {
            let matrix: Vec<R> = matrix.iter().map(|&x| R::from_f64(x)).collect();
            let mut panels = Panels::new(d, d, simd);
            panels.pack(&matrix, layout);
            panels
        };
        let GaussianBaseline { axes, inverse, .. } = baseline;
        Self {
            variances: baseline.variances.clone(),
            weights: baseline.weights(),
            simd,
            products: [
                pack(inverse, Layout::Transposed),
                pack(axes, Layout::Transposed),
                pack(axes, Layout::Straight),
                pack(inverse, Layout::Straight),
            ],
            rates: Vec::with_capacity(rows * d),
            scales: Vec::with_capacity(rows),
            rate: vec![0.0; d],
            along: vec![R::ZERO; rows * tangents.max(1) * d],
            moved: vec![R::ZERO; rows * d],
        }
    }

    /// Finds the numbers of rows at these times on the path of a scheduler. Where its sigma' is infinite, they are those a little before.
    pub(crate) fn set_times(&mut self, scheduler: Scheduler, times: impl Iterator<Item = f64>) {
        self.rates.clear();
        self.scales.clear();
        for t in times {
            let c = scheduler.coefficients(scheduler.before_infinite_rate(t));
            self.scales.push(scales(&self.variances, &self.weights, c, &mut self.rate));
            self.rates.extend(self.rate.iter().map(|&rate| R::from_f64(rate)));
        }
    }

    /// s_t, r_t and tr A_t of each row.
    pub(crate) fn scales(&self) -> &[Scales] {
        &self.scales
    }

    /// Adds A_t x to u: rows i, B + i, ... of x, [K B, d], are of the time of row i.
    pub(crate) fn add(&mut self, x: &[R], u: &mut [R]) {
        self.multiply([0, 1], x, u, Start::Accumulate);
    }

    /// Adds A_tᵀ w to d_x.
    pub(crate) fn add_transposed(&mut self, w: &[R], d_x: &mut [R]) {
        self.multiply([2, 3], w, d_x, Start::Accumulate);
    }

    fn multiply(&mut self, [first, second]: [usize; 2], x: &[R], to: &mut [R], start: Start<'_, R>) {
        let d = self.variances.len();
        let along = &mut self.along[..x.len()];
        product(self.simd, Rows::new(x, d, d), &self.products[first], Start::Zero, RowsMut::new(along, d, d));
        for (along, rates) in along.chunks_exact_mut(d).zip(self.rates.chunks_exact(d).cycle()) {
            for (along, rate) in along.iter_mut().zip(rates) {
                *along *= *rate;
            }
        }
        product(self.simd, Rows::new(along, d, d), &self.products[second], start, RowsMut::new(to, d, d));
    }

    /// Makes points on the path and their velocities, [B, d], what the network sees and learns, and counts its error r_t² times. // E29
    pub(crate) fn leave_residual(&mut self, x_t: &mut [R], dx_t: &mut [R], counts: &mut [f64]) {
        let d = self.variances.len();
        let mut moved = std::mem::take(&mut self.moved);
        self.multiply([0, 1], x_t, &mut moved[..x_t.len()], Start::Zero);
        let rows = x_t.chunks_exact_mut(d).zip(dx_t.chunks_exact_mut(d)).zip(moved.chunks_exact(d));
        for (((x_t, dx_t), moved), (scales, count)) in rows.zip(self.scales.iter().zip(counts)) {
            let (point, residual) = (R::from_f64(1.0 / scales.point), R::from_f64(1.0 / scales.residual));
            for ((x, dx), moved) in x_t.iter_mut().zip(dx_t).zip(moved) {
                *dx = (*dx - *moved) * residual;
                *x *= point;
            }
            *count *= scales.residual * scales.residual;
        }
        self.moved = moved;
    }
}

#[cfg(test)]
mod tests {
    use super::super::GaussianFlow;
    use super::*;
    use crate::field::VectorField as _;
    use crate::path::AffinePath;
    use crate::rng::{Purpose, Rng};
    use crate::source::Source;

    /// A few products of numbers of size 1.
    const ROUNDING: f64 = 1e-12;

    fn rows(n: usize, mix: &[[f64; 3]; 3], seed: u64) -> Tensor<f64> {
        let mut e = Tensor::<f64>::zeros(n, 3);
        Source::Normal.fill(&Rng::from_seed(seed).fork(Purpose::Data), 0, &mut e);
        let mut x = times(&e, &Tensor::from_rows(mix));
        let mean = mean_and_covariance(&x).0;
        for i in 0..n {
            for (x, mean) in x.row_mut(i).iter_mut().zip(&mean) {
                *x -= mean;
            }
        }
        x
    }

    const MIX: [[f64; 3]; 3] = [[1.0, 0.8, 0.0], [0.0, 0.6, 0.3], [0.0, 0.0, 0.9]];

    fn field(baseline: &GaussianBaseline, t: f64, x: &[f64]) -> Vec<f64> {
        field_of(Scheduler::CondOt, baseline, t, x)
    }

    fn field_of(scheduler: Scheduler, baseline: &GaussianBaseline, t: f64, x: &[f64]) -> Vec<f64> {
        let mut worker = BaselineWorker::new(baseline, Simd::detect(), 1, 1);
        worker.set_times(scheduler, std::iter::once(t));
        let mut u = vec![0.0; x.len()];
        worker.add(x, &mut u);
        u
    }

    #[test]
    fn it_is_the_closed_form_of_the_moments() {
        let x = rows(50, &MIX, 1);
        let baseline = GaussianBaseline::fit(&x, None).unwrap();
        let flow = GaussianFlow::new(&[0.0; 3], &mean_and_covariance(&x).1).unwrap();
        let velocity = flow.velocity(AffinePath::default());
        let place = Tensor::from_rows(&[[0.3, -1.2, 2.0]]);
        for t in [0.0, 0.3, 1.0] {
            let mut u = Tensor::zeros(1, 3);
            velocity.eval(&[t], &place, &mut u).unwrap();
            for (a, b) in u.row(0).iter().zip(field(&baseline, t, place.row(0))) {
                assert!((a - b).abs() < ROUNDING, "{t}: {a} {b}");
            }
        }
    }

    #[test]
    fn a_source_of_data_has_its_own_moments() {
        // Against A = (a a' S_1 + s s' S_0) (a² S_1 + s² S_0)^-1, checked as A S_t = ...
        let (x_0, x_1) =
            (rows(60, &[[0.5, 0.0, 0.2], [0.0, 1.5, 0.0], [0.4, 0.0, 1.0]], 2), rows(50, &MIX, 1));
        let baseline = GaussianBaseline::fit(&x_1, Some(&x_0)).unwrap();
        baseline.check(3).unwrap();
        let (s_0, s_1) = (mean_and_covariance(&x_0).1, mean_and_covariance(&x_1).1);
        let t = 0.3;
        let mut trace = 0.0;
        for column in 0..3 {
            let of = |i: usize, a: f64, b: f64| a * s_1.row(i)[column] + b * s_0.row(i)[column];
            let s_t: Vec<f64> = (0..3).map(|i| of(i, t * t, (1.0 - t) * (1.0 - t))).collect();
            for (i, found) in field(&baseline, t, &s_t).into_iter().enumerate() {
                assert!((found - of(i, t, t - 1.0)).abs() < ROUNDING);
            }
            let mut unit = [0.0; 3];
            unit[column] = 1.0;
            trace += field(&baseline, t, &unit)[column];
        }
        let scales = baseline.scales(Scheduler::CondOt.coefficients(t));
        assert!((scales.trace - trace).abs() < ROUNDING);
    }

    #[test]
    fn the_transposed_product_is_the_transpose() {
        let baseline = GaussianBaseline::fit(&rows(50, &MIX, 1), Some(&rows(40, &MIX, 3))).unwrap();
        let (x, w) = ([0.3, -1.2, 2.0], [1.0, 0.5, -0.7]);
        let mut worker = BaselineWorker::new(&baseline, Simd::detect(), 1, 1);
        worker.set_times(Scheduler::Cosine, std::iter::once(0.4));
        let (mut u, mut d_x) = ([0.0; 3], [0.0; 3]);
        worker.add(&x, &mut u);
        worker.add_transposed(&w, &mut d_x);
        let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((dot(w, u) - dot(d_x, x)).abs() < ROUNDING);
    }

    #[test]
    fn thin_and_missing_directions_are_bounded() {
        // Twice the same column: no variance along (1, -1).
        let x = Tensor::from_rows(&[[1.0, 1.0], [-1.0, -1.0]]);
        let baseline = GaussianBaseline::fit(&x, None).unwrap();
        baseline.check(2).unwrap();
        for t in [0.0, 0.5, 0.99, 1.0] {
            let u = field(&baseline, t, &[1.0, -1.0]);
            assert!(u.iter().all(|u| u.abs() < 1.0 / LEAST_VARIANCE.sqrt()), "{t}: {u:?}");
        }
        // The same for a source, whatever its size: no column of V is longer than the floor allows.
        for size in [0.1, 1.0, 10.0] {
            let source = Tensor::from_rows(&[[size, size], [-size, -size]]); // variances 2 size² and 0
            let baseline = GaussianBaseline::fit(&x, Some(&source)).unwrap();
            baseline.check(2).unwrap();
            let longest = baseline.inverse.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
            assert!(
                (longest * (2.0 * LEAST_VARIANCE).sqrt() * size - 0.5_f64.sqrt()).abs() < 1e-9,
                "{longest}"
            );
        }
        assert!(GaussianBaseline::fit(&Tensor::zeros(0, 2), None).is_err());
        assert!(GaussianBaseline::fit(&Tensor::zeros(2, MOST_COLUMNS + 1), None).is_err());
        assert!(GaussianBaseline::fit(&x, Some(&Tensor::zeros(2, 1))).is_err());
    }

    #[test]
    fn numbers_that_are_no_moments_are_refused() {
        let good = GaussianBaseline::fit(&rows(50, &MIX, 1), None).unwrap();
        good.check(3).unwrap();
        assert!(good.check(2).is_err());
        let spoilt = |spoil: fn(&mut GaussianBaseline)| {
            let mut bad = good.clone();
            spoil(&mut bad);
            bad.check(3).is_err()
        };
        assert!(spoilt(|b| b.variances[1] = 0.0));
        assert!(spoilt(|b| b.variances[1] = f64::NAN));
        assert!(spoilt(|b| b.axes[4] += 0.1));
        assert!(spoilt(|b| b.inverse[0] = f64::INFINITY));
        assert!(spoilt(|b| b.axes.truncate(8)));
    }

    #[test]
    fn words_come_back() {
        for baseline in Baseline::ALL {
            assert_eq!(baseline.word().parse::<Baseline>().unwrap(), baseline);
        }
        assert!("gauss".parse::<Baseline>().is_err());
    }

    #[test]
    fn scales_are_the_traces_that_they_stand_for() {
        // s_t² = tr S_t / d and r_t² = tr Cov(dX_t | X_t) / d, by matrices: Cov = C_uu - A_t C_xu with C_uu = a'² S_1 + s'² S_0
        // and C_xu = a a' S_1 + s s' S_0, where A_t is what the field says of unit rows.
        let x_0 = rows(60, &[[0.5, 0.0, 0.2], [0.0, 1.5, 0.0], [0.4, 0.0, 1.0]], 2);
        let x_1 = rows(50, &MIX, 1);
        let s_1 = mean_and_covariance(&x_1).1;
        let one = Tensor::from_rows(&[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        for (source, s_0) in [(None, one), (Some(&x_0), mean_and_covariance(&x_0).1)] {
            let baseline = GaussianBaseline::fit(&x_1, source).unwrap();
            for (scheduler, t) in
                [(Scheduler::CondOt, 0.2), (Scheduler::Cosine, 0.5), (Scheduler::Cosine, 0.9)]
            {
                let c = scheduler.coefficients(t);
                let of = |i: usize, j: usize, a: f64, b: f64| a * s_1.row(i)[j] + b * s_0.row(i)[j];
                let (mut point, mut residual) = (0.0, 0.0);
                for i in 0..3 {
                    let c_xu: Vec<f64> =
                        (0..3).map(|j| of(j, i, c.alpha * c.d_alpha, c.sigma * c.d_sigma)).collect();
                    let explained = field_of(scheduler, &baseline, t, &c_xu)[i];
                    point += of(i, i, c.alpha * c.alpha, c.sigma * c.sigma) / 3.0;
                    residual += (of(i, i, c.d_alpha * c.d_alpha, c.d_sigma * c.d_sigma) - explained) / 3.0;
                }
                let scales = baseline.scales(c);
                assert!((scales.point.powi(2) - point).abs() < ROUNDING, "{t}: {scales:?} {point}");
                assert!((scales.residual.powi(2) - residual).abs() < ROUNDING, "{t}: {scales:?} {residual}");
            }
        }
    }

    #[test]
    fn the_roundings_of_more_columns_are_more() {
        let baseline = GaussianBaseline::fit(&rows(50, &MIX, 1), None).unwrap();
        // W V of 3 columns may be off by 3 INVERSE.
        let off = |by: f64| {
            let inverse = baseline.inverse.iter().map(|v| v * (1.0 + by * INVERSE)).collect();
            GaussianBaseline { inverse, ..baseline.clone() }.check(3)
        };
        assert!(off(2.5).is_ok() && off(3.5).is_err());
    }
}
