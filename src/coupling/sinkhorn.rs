//! [`Sinkhorn`]: the entropic plan between two sets of points, and pairs drawn from it.
//!
//! # Math
//! Of all P >= 0 of shape [n, n] with row and column sums 1 the plan has the least <P, C> + reg sum P (ln P - 1), C(i, j) =
//! |a_i - b_j|² (E25). It is P(i, j) = exp((f(i) + g(j) - C(i, j)) / reg), and f, g are the largest
//! sum f + sum g - reg sum P (the dual). Sinkhorn's iteration makes the row sums 1 by f, then the column sums 1 by g, in turn:
//! ```text
//! start       f, g = the duals of the exact assignment, their limit for reg -> 0
//! repeat      K(i, j) = exp((f(i) + g(j) - C(i, j)) / reg), kept where it is at least exp(-25) / n
//!             x = y = 1; repeat: x <- x (1 / (x K y))^w, y <- y (1 / (y K'x))^w until the marginal error is small enough
//!             f += reg ln x, g += reg ln y
//! until       the first K of a round is already good enough with x = 1 / K y
//! ```
//! With w = 1 this is the iteration as published; w up to 1.875 (overrelaxation) needs a tenth of the steps near the end and leads to the
//! same plan; when the error grows w falls again. What K leaves out is below exp(-25) of a row, and the last round has looked at all
//! pairs. The marginal error is sum_j |sum_i P(i, j) - 1| / n, with row sums exactly 1.
//!
//! Drawing: row i of `a` gets row j of `b` with probability P(i, j), each row by itself. So every row of `a` is used once, and a row
//! of `b` once on average (up to the marginal error), but some never and some twice.
//!
//! # Shapes
//! a and b are [n, d].
//!
//! # Limits
//! More than 500 lines, with the plain twin that it is held against.
//!
//! 12 bytes for each pair that is kept: few if reg is small beside the distances, all n² if it is large.
//!
//! # Source
//! M. Cuturi, "Sinkhorn distances", 2013, arXiv:1306.0895; B. Schmitzer, "Stabilized sparse scaling algorithms for entropy
//! regularized transport problems", 2019, arXiv:1610.06519; A. Thibault, L. Chizat, C. Dossal, N. Papadakis, "Overrelaxed Sinkhorn-Knopp
//! algorithm for regularized optimal transport", 2021, arXiv:1711.01851.

use rayon::prelude::*;

use super::cloud::{ROWS_PER_TASK, Sides, largest_norm};
use super::points::{Level, ROUNDS};
use crate::error::{Error, Result};
use crate::kernel::{Real, SCORE_BLOCK, Simd, scores};
use crate::rng::Stream;
use crate::tensor::Tensor;

/// Exponents below the largest by this and ln n are left out: 1.4e-11 of a row.
const LEFT_OUT: f64 = 25.0;
/// Iterations between two looks at the marginal error.
const LOOK: usize = 10;
/// Rounds of new kernels.
const MOST_KERNELS: usize = 50;
/// Iterations without overrelaxation at the start of a round, and those at 1.5 and at 1.75 that follow.
const RISE: [usize; 3] = [LOOK, 2 * LOOK, 5 * LOOK];
/// A scaling beyond this is taken into the potentials at once.
const LARGEST_SCALING: f64 = 1e100;
/// The least marginal error that can be asked for.
const LEAST_TOLERANCE: f64 = 1e-12;
/// The most iterations that can be asked for.
const MOST_ITERATIONS: usize = 1_000_000;
/// Squared distances below this share of `reg` change no bit of a plan.
const NEGLIGIBLE: f64 = 1e-300;
/// The rounding of an exponent that is tolerated: a share of P.
const EXPONENT_ROUNDING: f64 = 1e-4;

/// How to find an entropic plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sinkhorn {
    /// The weight of the entropy, in units of a squared distance.
    pub reg: f64,
    /// The marginal error: sum of |column sum - 1| over n. From 1e-12 to 1.
    pub tolerance: f64,
    /// Iterations after which the plan counts as not converged, from 1 to 1,000,000.
    pub max_iterations: usize,
}

/// An entropic plan: P(i, j), row i of `a` with row j of `b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The potentials f of the rows of `a`, length n.
    pub f: Vec<f64>,
    /// The potentials g of the rows of `b`, length n.
    pub g: Vec<f64>,
    /// sum_j |sum_i P(i, j) - 1| / n; row sums are 1 but for rounding.
    pub marginal_error: f64,
    /// Iterations that it took.
    pub iterations: usize,
    /// Row i has the entries `first[i]` .. `first[i + 1]`.
    first: Vec<usize>,
    columns: Vec<u32>,
    weights: Vec<f64>,
}

impl Sinkhorn {
    /// A plan with this weight of the entropy, to a marginal error of 1e-4 in at most 10,000 iterations.
    #[must_use]
    pub fn new(reg: f64) -> Self {
        Self { reg, tolerance: 1e-4, max_iterations: 10_000 }
    }

    /// Finds the plan between the rows of `a` and of `b`, both [n, d]. // E25
    ///
    /// # Errors
    /// [`Error::Dimension`] if the shapes differ; [`Error::NotFinite`] if a number is NaN or infinite; [`Error::Setting`] if `reg` is not
    /// above 0, so small beside the squared distances that f64 cannot tell the plan from a permutation, or not
    /// converged after `max_iterations`; and for a tolerance or a number of iterations out of range.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Simd, Tensor, coupling::Sinkhorn};
    ///
    /// let a = Tensor::from_rows(&[[0.0_f64], [1.0]]);
    /// let plan = Sinkhorn::new(0.5).solve(Simd::detect(), &a, &a)?;
    /// // P = [[p, 1 - p], [1 - p, p]] with p / (1 - p) = exp(1 / 0.5).
    /// let p = plan.row(0).next().map_or(0.0, |(_, p)| p);
    /// assert!((p - 0.880_797).abs() < 1e-4);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn solve<R: Real>(self, simd: Simd, a: &Tensor<R>, b: &Tensor<R>) -> Result<Plan> {
        super::Coupling::Sinkhorn { reg: self.reg }.check()?;
        if !(LEAST_TOLERANCE..=1.0).contains(&self.tolerance) {
            let remedy = "give a marginal error from 1e-12, which rounding may leave, to 1";
            return Err(Error::Setting { name: "tolerance", value: self.tolerance.to_string(), remedy });
        }
        if !(1..=MOST_ITERATIONS).contains(&self.max_iterations) {
            let (value, remedy) = (self.max_iterations.to_string(), "give a number from 1 to 1000000");
            return Err(Error::Setting { name: "max_iterations", value, remedy });
        }
        let sides = Sides::new(a, b)?;
        let level = Level { simd, a: &sides.a.cloud, b: &sides.b.cloud };
        let (mut g, _) = level.exact(ROUNDS);
        let mut f = level.a.transform(simd, level.b, &g);
        // The exponent is `rate` times (f + g + a·b) in the units of the clouds.
        let rate = 2.0 * sides.unit * sides.unit / self.reg;
        if rate < NEGLIGIBLE {
            return self.independent(level.a.n);
        }
        let size =
            g[..level.b.n].iter().fold(largest_norm(level.a) * largest_norm(level.b), |m, g| m.max(g.abs()));
        let rounding = rate * size * 16.0 * f64::EPSILON;
        if rounding.is_nan() || rounding > EXPONENT_ROUNDING {
            return Err(self.refuse("too small beside the squared distances for f64".into()));
        }
        let mut spent = 0;
        for _ in 0..MOST_KERNELS {
            let kernel = Kernel::new(&level, &f, &g, rate);
            let mut scaling = Scaling::new(&kernel);
            scaling.fill_rows();
            let error = scaling.marginal_error();
            if error <= self.tolerance {
                return self.finish(&sides, &f, &g, rate, &scaling, spent);
            }
            if !error.is_finite() || spent >= self.max_iterations {
                return Err(self.unconverged(error, spent));
            }
            spent += scaling.iterate(self.tolerance / 2.0, self.max_iterations - spent);
            for (potential, x) in f.iter_mut().zip(&scaling.x).chain(g.iter_mut().zip(&scaling.y)) {
                *potential += x.ln() / rate;
            }
        }
        let kernel = Kernel::new(&level, &f, &g, rate);
        let mut scaling = Scaling::new(&kernel);
        scaling.fill_rows();
        Err(self.unconverged(scaling.marginal_error(), spent))
    }

    /// The plan of distances that are nothing beside `reg`: every pair alike.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "fewer than 2^24 rows")]
    fn independent(&self, n: usize) -> Result<Plan> {
        let potential = -0.5 * self.reg * (n.max(1) as f64).ln();
        if !potential.is_finite() {
            return Err(Error::Setting {
                name: "reg",
                value: self.reg.to_string(),
                remedy: "lower it, or take the coupling `independent`, its limit",
            });
        }
        Ok(Plan {
            f: vec![potential; n],
            g: vec![potential; n],
            marginal_error: 0.0,
            iterations: 0,
            first: (0..=n).map(|i| i * n).collect(),
            columns: (0..n).flat_map(|_| 0..n as u32).collect(),
            weights: vec![1.0 / n as f64; n * n],
        })
    }

    fn refuse(&self, what: String) -> Error {
        Error::Setting {
            name: "reg",
            value: format!("{}, {what}", self.reg),
            remedy: "raise it, or take the coupling `ot`, its limit at 0",
        }
    }

    fn unconverged(&self, error: f64, iterations: usize) -> Error {
        self.refuse(format!("and the marginal error is {error:.1e} after {iterations} iterations"))
    }

    fn finish(
        self,
        sides: &Sides,
        f: &[f64],
        g: &[f64],
        rate: f64,
        scaling: &Scaling<'_>,
        iterations: usize,
    ) -> Result<Plan> {
        let kernel = scaling.kernel;
        let n = sides.a.cloud.n;
        let f: Vec<f64> = f.iter().zip(&scaling.x).map(|(f, x)| f + x.ln() / rate).collect();
        let (f, g) = sides.duals(&f, &g[..n]);
        let mut place_of = vec![0; n];
        for (place, &row) in sides.a.order.iter().enumerate() {
            place_of[row] = place;
        }
        let (mut first, mut columns, mut weights) = (vec![0], Vec::new(), Vec::new());
        for place in place_of {
            let entries = kernel.first[place]..kernel.first[place + 1];
            #[allow(clippy::cast_possible_truncation, reason = "fewer than 2^24 rows")]
            columns.extend(kernel.columns[entries.clone()].iter().map(|&j| sides.b.order[j as usize] as u32));
            weights.extend(kernel.values[entries].iter().map(|k| k * scaling.x[place]));
            first.push(weights.len());
        }
        Sides::check_finite(f.iter().chain(&g).chain(&weights).copied())?;
        let marginal_error = scaling.marginal_error();
        Ok(Plan { f, g, marginal_error, iterations, first, columns, weights })
    }
}

impl Plan {
    /// The rows j of `b` that row i of `a` may go with, and P(i, j); what is left out is below 1e-10 in sum.
    /// None where there is no row i.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let entries = match self.first.get(i..).unwrap_or_default() {
            &[first, end, ..] => first..end,
            _ => 0..0,
        };
        self.columns[entries.clone()].iter().map(|&j| j as usize).zip(self.weights[entries].iter().copied())
    }

    /// Draws a row of `b` for each row of `a`: j for row i with probability P(i, j).
    #[must_use]
    pub fn draw(&self, stream: &mut Stream) -> Vec<usize> {
        (0..self.f.len())
            .map(|i| {
                let total: f64 = self.row(i).map(|(_, p)| p).sum();
                let mut left = stream.uniform() * total;
                let mut drawn = 0;
                for (j, p) in self.row(i) {
                    drawn = j;
                    left -= p;
                    if left < 0.0 {
                        break;
                    }
                }
                drawn
            })
            .collect()
    }
}

/// The entries of exp(rate (f + g + a·b)) that count, row after row.
struct Kernel {
    first: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Kernel {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "fewer than 2^24 rows")]
    fn new(level: &Level<'_>, f: &[f64], g: &[f64], rate: f64) -> Self {
        let (n, padded) = (level.a.n, level.b.padded());
        let lowest = -(LEFT_OUT + (n as f64).ln()) / rate;
        let tasks: Vec<(Vec<usize>, Vec<u32>, Vec<f64>)> = (0..n.div_ceil(ROWS_PER_TASK))
            .into_par_iter()
            .map(|task| {
                let (mut ends, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
                let (mut all, mut blocks) = (vec![0.0; padded], vec![0.0; padded / SCORE_BLOCK]);
                let mut places = [0.0; SCORE_BLOCK];
                for i in task * ROWS_PER_TASK..n.min((task + 1) * ROWS_PER_TASK) {
                    scores(
                        level.simd,
                        level.a.row(i),
                        &level.b.columns,
                        g,
                        &mut all,
                        &mut blocks,
                        &mut places,
                    );
                    let bound = lowest - f[i];
                    for (block, _) in blocks.iter().enumerate().filter(|(_, most)| **most >= bound) {
                        for j in block * SCORE_BLOCK..n.min((block + 1) * SCORE_BLOCK) {
                            if all[j] >= bound {
                                columns.push(j as u32);
                                values.push((rate * (all[j] + f[i])).exp());
                            }
                        }
                    }
                    ends.push(values.len());
                }
                (ends, columns, values)
            })
            .collect();
        let mut kernel = Self { first: vec![0], columns: Vec::new(), values: Vec::new() };
        for (ends, columns, values) in tasks {
            let before = kernel.values.len();
            kernel.first.extend(ends.iter().map(|end| before + end));
            kernel.columns.extend(columns);
            kernel.values.extend(values);
        }
        kernel
    }

    /// Row i: columns and values.
    fn row(&self, i: usize) -> (&[u32], &[f64]) {
        let entries = self.first[i]..self.first[i + 1];
        (&self.columns[entries.clone()], &self.values[entries])
    }
}

/// The scalings x of the rows and y of the columns: P = x K y.
struct Scaling<'a> {
    kernel: &'a Kernel,
    x: Vec<f64>,
    y: Vec<f64>,
    /// Sums over the rows: (K'x)(j).
    sums: Vec<f64>,
}

impl<'a> Scaling<'a> {
    fn new(kernel: &'a Kernel) -> Self {
        let n = kernel.first.len() - 1;
        Self { kernel, x: vec![1.0; n], y: vec![1.0; n], sums: vec![0.0; n] }
    }

    /// (K y)(i).
    fn row_sum(&self, i: usize) -> f64 {
        let (columns, values) = self.kernel.row(i);
        let mut sums = [0.0; 4];
        let mut entries = columns.chunks_exact(4).zip(values.chunks_exact(4));
        for (columns, values) in entries.by_ref() {
            for k in 0..4 {
                sums[k] += values[k] * self.y[columns[k] as usize];
            }
        }
        let done = columns.len() / 4 * 4;
        for (&j, value) in columns[done..].iter().zip(&values[done..]) {
            sums[0] += value * self.y[j as usize];
        }
        (sums[0] + sums[1]) + (sums[2] + sums[3])
    }

    fn sum_columns(&mut self) {
        self.sums.fill(0.0);
        for i in 0..self.x.len() {
            let (columns, values) = self.kernel.row(i);
            let x = self.x[i];
            for (&j, value) in columns.iter().zip(values) {
                self.sums[j as usize] += value * x;
            }
        }
    }

    /// Makes the row sums 1.
    fn fill_rows(&mut self) {
        for i in 0..self.x.len() {
            self.x[i] = 1.0 / self.row_sum(i);
        }
        self.sum_columns();
    }

    /// The mean of |column sum - 1|, if the sums are those of x.
    #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
    fn marginal_error(&self) -> f64 {
        let errors = self.sums.iter().zip(&self.y).map(|(sum, y)| (sum * y - 1.0).abs());
        errors.sum::<f64>() / self.y.len().max(1) as f64
    }

    /// Iterates until the marginal error, with filled rows, is at most `tolerance`; how many iterations that took.
    fn iterate(&mut self, tolerance: f64, most: usize) -> usize {
        let (mut best, mut done, mut falls) = (f64::INFINITY, 0, 0);
        loop {
            let level = RISE.iter().filter(|&&from| done >= from).count();
            let level = if falls > 3 { 0 } else { level - falls.min(level) };
            for _ in 0..LOOK {
                for i in 0..self.x.len() {
                    let sum = self.row_sum(i) * self.x[i];
                    self.x[i] *= relaxed(1.0 / sum, level);
                }
                self.sum_columns();
                for (y, sum) in self.y.iter_mut().zip(&self.sums) {
                    *y *= relaxed(1.0 / (sum * *y), level);
                }
            }
            done += LOOK;
            let kept = self.x.clone();
            self.fill_rows();
            let error = self.marginal_error();
            let scalings = self.x.iter().chain(&self.y).fold(1.0_f64, |m, x| m.max(*x).max(1.0 / x));
            if error <= tolerance || done >= most || !error.is_finite() || scalings > LARGEST_SCALING {
                return done;
            }
            self.x = kept;
            if error > 2.0 * best {
                falls += 1;
            }
            best = best.min(error);
        }
    }
}

/// q^w with w = 1, 1.5, 1.75, 1.875: roots are rounded in the same way everywhere.
fn relaxed(q: f64, level: usize) -> f64 {
    let (mut power, mut root) = (q, q);
    for _ in 0..level {
        root = root.sqrt();
        power *= root;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::super::assign_points;
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn normals(n: usize, width: f64, seed: u64) -> Tensor<f64> {
        let mut stream = Rng::from_seed(seed).fork(Purpose::Metric).stream(0);
        Tensor::from_vec((0..2 * n).map(|_| width * stream.normal()).collect(), n, 2).unwrap()
    }

    fn cost(a: &Tensor<f64>, b: &Tensor<f64>, i: usize, j: usize) -> f64 {
        a.row(i).iter().zip(b.row(j)).map(|(a, b)| (a - b) * (a - b)).sum()
    }

    /// The twin: Sinkhorn's iteration in the log domain as published, on the whole matrix; P.
    fn plain(a: &Tensor<f64>, b: &Tensor<f64>, reg: f64, iterations: usize) -> Tensor<f64> {
        let n = a.rows();
        let (mut f, mut g) = (vec![0.0; n], vec![0.0; n]);
        let soft = |terms: &mut dyn Iterator<Item = f64>| {
            let terms: Vec<f64> = terms.collect();
            let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            most + terms.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
        };
        for _ in 0..iterations {
            for j in 0..n {
                g[j] = -reg * soft(&mut (0..n).map(|i| (f[i] - cost(a, b, i, j)) / reg));
            }
            for i in 0..n {
                f[i] = -reg * soft(&mut (0..n).map(|j| (g[j] - cost(a, b, i, j)) / reg));
            }
        }
        let entries = (0..n * n).map(|k| ((f[k / n] + g[k % n] - cost(a, b, k / n, k % n)) / reg).exp());
        Tensor::from_vec(entries.collect(), n, n).unwrap()
    }

    fn dense(plan: &Plan) -> Tensor<f64> {
        let n = plan.f.len();
        let mut p = Tensor::zeros(n, n);
        for i in 0..n {
            for (j, weight) in plan.row(i) {
                p.row_mut(i)[j] = weight;
            }
        }
        assert!(
            [n, n + 1, usize::MAX].iter().all(|&i| plan.row(i).next().is_none()),
            "a row that there is not"
        );
        p
    }

    #[test]
    fn it_agrees_with_the_plain_iteration() {
        let (a, b) = (normals(60, 2.0, 1), normals(60, 1.0, 2));
        for reg in [0.3, 3.0, 300.0] {
            let sinkhorn = Sinkhorn { tolerance: 1e-10, ..Sinkhorn::new(reg) };
            let (fast, twin) =
                (dense(&sinkhorn.solve(Simd::detect(), &a, &b).unwrap()), plain(&a, &b, reg, 3000));
            for (p, twin) in fast.as_slice().iter().zip(twin.as_slice()) {
                // The marginal error of 60 rows, and what is left out.
                assert!((p - twin).abs() < 1e-7, "{p} {twin}, reg {reg}");
            }
        }
    }

    #[test]
    fn marginals_and_duality_gap_are_as_stated() {
        let (n, reg) = (300, 0.05);
        let (a, b) = (normals(n, 3.0, 3), normals(n, 1.0, 4));
        let plan = Sinkhorn::new(reg).solve(Simd::detect(), &a, &b).unwrap();
        let p = dense(&plan);
        let mut columns = vec![0.0; n];
        let (mut primal, mut mass) = (0.0, 0.0);
        for i in 0..n {
            let row: f64 = p.row(i).iter().sum();
            assert!((row - 1.0).abs() < 1e-9, "row {i} sums to {row}");
            for j in 0..n {
                let entry = p.row(i)[j];
                columns[j] += entry;
                let from_potentials = ((plan.f[i] + plan.g[j] - cost(&a, &b, i, j)) / reg).exp();
                // Exponents are f64 sums of numbers of some hundreds, over reg; what is left out is below 1e-11.
                assert!((entry - from_potentials).abs() < 1e-9);
                if entry > 0.0 {
                    primal += entry * cost(&a, &b, i, j) + reg * entry * (entry.ln() - 1.0);
                }
                mass += from_potentials;
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let error = columns.iter().map(|c| (c - 1.0).abs()).sum::<f64>() / n as f64;
        assert!((error - plan.marginal_error).abs() < 1e-9 && error <= 1e-4);
        let dual = plan.f.iter().chain(&plan.g).sum::<f64>() - reg * mass;
        // The gap is sum_j g_j (column sum - 1).
        let largest = plan.g.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let bound = largest * error * n as f64 + 1e-6;
        assert!((primal - dual).abs() <= bound, "{primal} {dual}");
    }

    #[test]
    fn small_reg_is_the_permutation_and_large_reg_independent() {
        let (a, b) = (normals(100, 1.0, 5), normals(100, 2.0, 6));
        let mut stream = Rng::from_seed(7).fork(Purpose::Batch).stream(0);
        let tight = Sinkhorn::new(1e-6).solve(Simd::detect(), &a, &b).unwrap();
        assert_eq!(tight.draw(&mut stream), assign_points(Simd::detect(), &a, &b).unwrap().columns);
        let loose = Sinkhorn::new(1e7).solve(Simd::detect(), &a, &b).unwrap();
        assert!(dense(&loose).as_slice().iter().all(|p| (p - 0.01).abs() < 1e-6));
    }

    #[test]
    fn distances_that_are_nothing_beside_reg_leave_rows_independent() {
        let zeros = Tensor::<f64>::zeros(3, 2);
        let tiny = Tensor::from_rows(&[[1e-310, 0.0], [0.0, 5e-324], [0.0, 0.0]]);
        for (a, reg) in [(&zeros, 0.1), (&tiny, 0.1), (&normals(3, 1.0, 7), 1e305)] {
            let plan = Sinkhorn::new(reg).solve(Simd::detect(), a, a).unwrap();
            assert!(dense(&plan).as_slice().iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-15), "{plan:?}");
            assert!((plan.f[0] + plan.g[2] + reg * 3_f64.ln()).abs() <= 1e-15 * reg, "{plan:?}");
        }
        // Potentials of -1/2 reg ln 9 are beyond f64.
        let nine = Tensor::<f64>::zeros(9, 2);
        let error = Sinkhorn::new(f64::MAX).solve(Simd::detect(), &nine, &nine).unwrap_err().to_string();
        assert!(error.contains("independent"), "{error}");
        let none = Tensor::<f64>::zeros(0, 2);
        assert!(Sinkhorn::new(1.0).solve(Simd::detect(), &none, &none).unwrap().f.is_empty());
    }

    #[test]
    fn draws_follow_the_plan() {
        let (n, draws) = (20, 4000_u32);
        let (a, b) = (normals(n, 1.0, 8), normals(n, 1.0, 9));
        let plan = Sinkhorn::new(0.5).solve(Simd::detect(), &a, &b).unwrap();
        let mut stream = Rng::from_seed(10).fork(Purpose::Batch).stream(0);
        let mut count = Tensor::<f64>::zeros(n, n);
        for _ in 0..draws {
            for (i, j) in plan.draw(&mut stream).into_iter().enumerate() {
                count.row_mut(i)[j] += 1.0;
            }
        }
        let p = dense(&plan);
        for (p, count) in p.as_slice().iter().zip(count.as_slice()) {
            // Six standard deviations of a binomial: 400 entries, chance below 1e-6; and one draw for the rare ones.
            let spread = (f64::from(draws) * p * (1.0 - p)).sqrt();
            assert!((count - f64::from(draws) * p).abs() < 6.0 * spread + 1.0);
        }
    }

    #[test]
    fn what_cannot_be_found_is_an_error_with_a_remedy() {
        let (a, b) = (normals(50, 1.0, 11), normals(50, 3.0, 12));
        let simd = Simd::detect();
        for reg in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!(matches!(Sinkhorn::new(reg).solve(simd, &a, &b), Err(Error::Setting { .. })), "{reg}");
        }
        for wrong in [
            Sinkhorn { tolerance: 0.0, ..Sinkhorn::new(1.0) },
            Sinkhorn { tolerance: f64::NAN, ..Sinkhorn::new(1.0) },
            Sinkhorn { max_iterations: 0, ..Sinkhorn::new(1.0) },
            Sinkhorn { max_iterations: usize::MAX, ..Sinkhorn::new(1.0) },
        ] {
            assert!(matches!(wrong.solve(simd, &a, &b), Err(Error::Setting { .. })), "{wrong:?}");
        }
        let short = Sinkhorn { max_iterations: 3, ..Sinkhorn::new(0.01) };
        let error = short.solve(simd, &a, &b).unwrap_err().to_string();
        assert!(error.contains("marginal error") && error.contains("ot"), "{error}");
        let mut bad = a.clone();
        bad.row_mut(0)[0] = f64::NAN;
        assert!(matches!(Sinkhorn::new(1.0).solve(simd, &bad, &b), Err(Error::NotFinite { .. })));
        assert!(matches!(
            Sinkhorn::new(1.0).solve(simd, &a, &normals(3, 1.0, 1)),
            Err(Error::Dimension { .. })
        ));
    }

    #[test]
    fn threads_change_no_bit() {
        let (a, b) = (normals(400, 1.0, 13), normals(400, 2.0, 14));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Sinkhorn::new(0.05).solve(Simd::detect(), &a, &b)).unwrap()
        };
        assert!(with(1) == with(2) && with(1) == with(7));
    }
}
