//! Exact linear assignment by shortest augmenting paths.
//!
//! # Math
//! Given costs c(i, j) of shape [n, n], find the permutation s with the least sum_i c(i, s(i)). Its
//! dual: the largest sum_i u(i) + sum_j v(j) with u(i) + v(j) <= c(i, j). Every feasible pair (u, v)
//! bounds every permutation from below, so equal sums prove that both are optimal.
//!
//! Pseudo code (r(i, j) = c(i, j) - v(j), the reduced cost; a smaller v makes a column dearer):
//! ```text
//! column reduction    v(j) = min_i c(i, j) - u(i), u = 0; j goes to that row if it is still free.
//!                     If most rows get none: solve every second row and column (recursively),
//!                     u(i) = min_k r(i, k) over those columns, and once more with this u
//! reduction transfer  a row that is the minimum of one column only: v(j) -= min_{k != j} r(i, k)
//! row reduction       a free row i takes its cheapest column j, v(j) -= second cheapest - cheapest;
//!                     the row that had j is free again and does the same (twice over all rows)
//! augmentation        for each row that is still free: Dijkstra over the columns, length r, until a
//!                     free column is nearest; the path swaps owners, v(j) += dist(j) - dist(sink)
//! duals               u(i) = min_j r(i, j)
//! ```
//! The first three stages only find a good start; the fourth alone is exact from any of them. The
//! duals of half the points are nearly those of all when rows and columns are samples of two laws far
//! apart, where the column minima alone say little: a fifth of the scans is left (eight Gaussians around one, n = 4096).
//! What the loops do differently from this text:
//! 1. All columns are scanned in blocks of 64 without branches or index lists; a column that is done
//!    has v = -inf in a copy, so it stays infinitely far. The compiler makes vectors of it.
//! 2. A free column wins a tie of distances: equal points need no search.
//! 3. The row reduction has a budget of steps: with real costs its price war may last long.
//!
//! # Shapes
//! costs [n, n]; the answer and both duals have length n.
//!
//! # Limits
//! O(n³) at worst, about n^2.5 on costs between random points; duals are f64 whatever the costs are.
//!
//! # Source
//! R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear
//! assignment problems", Computing 38, 325-340, 1987.

use super::scan::{BLOCK, NONE, Search, other_column, two_smallest};
use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// Passes of row reduction over the free rows (two in the source).
const PASSES: usize = 2;
/// Steps of row reduction per row and pass before the rest is left to the augmentation.
const STEPS_PER_ROW: usize = 8;
/// Rows from which on half of the problem is worth solving first.
const HALVED_FROM: usize = 128;

/// A permutation of least cost, and the proof that there is none better.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The column of each row, length n: row i goes with column `columns[i]`.
    pub columns: Vec<usize>,
    /// sum_i c(i, columns\[i\]), added in the order of the rows.
    pub cost: f64,
    /// The row duals u, length n.
    pub u: Vec<f64>,
    /// The column duals v, length n: u(i) + v(j) <= c(i, j), up to one rounding.
    pub v: Vec<f64>,
}

impl Assignment {
    /// The cost minus the sum of the duals: no permutation is cheaper than this one by more. It is 0
    /// up to rounding, of the order of n x 1e-16 x the largest cost.
    #[must_use]
    pub fn gap(&self) -> f64 {
        self.cost - self.u.iter().zip(&self.v).map(|(u, v)| u + v).sum::<f64>()
    }
}

/// Finds the permutation of least total cost: row i of `cost` goes with column `columns[i]`.
///
/// The same costs give the same answer, also where several permutations are equally cheap.
///
/// # Errors
/// [`Error::Dimension`] if `cost` is not square; [`Error::NotFinite`] if a cost is NaN or infinite;
/// [`Error::Setting`] if the costs are so large that their sums overflow.
///
/// # Example
/// ```
/// use pushforward::{Tensor, coupling::assign};
///
/// let cost = Tensor::from_rows(&[[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0_f32]]);
/// let best = assign(&cost)?;
/// assert_eq!(best.columns, [1, 0, 2]);
/// assert_eq!((best.cost, best.gap()), (5.0, 0.0));
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn assign<R: Real>(cost: &Tensor<R>) -> Result<Assignment> {
    let n = cost.rows();
    cost.check_cols(
        "columns of the cost matrix",
        n,
        "give a cost for each row with each column, both equally many",
    )?;
    cost.check_finite("the cost matrix", "assign what has finite costs only")?;
    let largest = cost.as_slice().iter().fold(0.0_f64, |m, c| m.max(c.to_f64().abs()));
    // Duals and distances stay below 2 n times the largest cost.
    #[allow(clippy::cast_precision_loss, reason = "an estimate of a bound")]
    if !(largest * 4.0 * n as f64).is_finite() {
        return Err(Error::Setting {
            name: "cost",
            value: largest.to_string(),
            remedy: "divide all costs by a common factor, their sums overflow",
        });
    }
    Ok(solve(cost))
}

/// The stages, on costs that were checked.
pub(super) fn solve<R: Real>(cost: &Tensor<R>) -> Assignment {
    let n = cost.rows();
    let mut state = State::new(n);
    state.reduce_columns(cost, &vec![0.0; n]);
    let free = state.column_of.iter().filter(|&&j| j == NONE).count();
    if 2 * free > n && n >= HALVED_FROM {
        state = State::new(n);
        state.reduce_columns(cost, &duals_of_half(cost));
    }
    state.transfer(cost);
    state.reduce_rows(cost);
    state.augment(cost);
    state.finish(cost)
}

/// Row duals from the problem of every second row and column; any u is a valid start.
fn duals_of_half<R: Real>(cost: &Tensor<R>) -> Vec<f64> {
    let (n, m) = (cost.rows(), cost.rows().div_ceil(2));
    let mut half = Tensor::zeros(m, m);
    let halve = |i: usize, into: &mut [R]| {
        for (x, c) in into.iter_mut().zip(cost.row(i).iter().step_by(2)) {
            *x = *c;
        }
    };
    for i in 0..m {
        halve(2 * i, half.row_mut(i));
    }
    let mut v = solve(&half).v;
    v.resize(m.next_multiple_of(BLOCK), f64::NEG_INFINITY);
    let mut row = vec![R::ZERO; m];
    let dual_of = |i| {
        halve(i, &mut row);
        two_smallest(&row, &v).0.value
    };
    (0..n).map(dual_of).collect()
}

/// What the stages hand on.
struct State {
    /// Row of each column or `NONE`, length n.
    row_of: Vec<usize>,
    /// Column of each row or `NONE`, length n.
    column_of: Vec<usize>,
    /// Column duals, padded with -inf to a multiple of `BLOCK`.
    v: Vec<f64>,
    /// Rows without a column, in the order in which they are treated.
    free: Vec<usize>,
}

impl State {
    fn new(n: usize) -> Self {
        let mut v = vec![f64::NEG_INFINITY; n.next_multiple_of(BLOCK)];
        v[..n].fill(f64::INFINITY);
        Self { row_of: vec![NONE; n], column_of: vec![NONE; n], v, free: Vec::new() }
    }

    fn n(&self) -> usize {
        self.row_of.len()
    }

    /// Gives column j to row i.
    fn pair(&mut self, i: usize, j: usize) {
        self.row_of[j] = i;
        self.column_of[i] = j;
    }

    /// Column reduction: v becomes the minimum of c(i, j) - u(i) over each column j.
    fn reduce_columns<R: Real>(&mut self, cost: &Tensor<R>, u: &[f64]) {
        let n = self.n();
        let mut row_of_minimum = vec![0; n];
        for i in 0..n {
            for ((v, at), c) in self.v.iter_mut().zip(&mut row_of_minimum).zip(cost.row(i)) {
                let c = c.to_f64() - u[i];
                let less = c < *v;
                *v = if less { c } else { *v };
                *at = if less { i } else { *at };
            }
        }
        for j in 0..n {
            if self.column_of[row_of_minimum[j]] == NONE {
                self.pair(row_of_minimum[j], j);
            }
        }
    }

    /// Reduction transfer: a row may pay more for its column, up to what its second choice costs.
    fn transfer<R: Real>(&mut self, cost: &Tensor<R>) {
        for i in 0..self.n() {
            let j = self.column_of[i];
            if j == NONE {
                self.free.push(i);
                continue;
            }
            let v_j = std::mem::replace(&mut self.v[j], f64::NEG_INFINITY);
            let second = two_smallest(cost.row(i), &self.v).0.value;
            // r(i, j) is the least of the row; what the second choice is above it is the slack (n = 1: none).
            let first = cost.row(i)[j].to_f64() - v_j;
            self.v[j] = if second.is_finite() { v_j - (second - first) } else { v_j };
        }
    }

    /// Augmenting row reduction: free rows outbid each other.
    fn reduce_rows<R: Real>(&mut self, cost: &Tensor<R>) {
        for _ in 0..PASSES {
            let mut budget = STEPS_PER_ROW * self.n();
            let mut waiting = std::mem::take(&mut self.free);
            waiting.reverse();
            while let Some(i) = waiting.pop() {
                if budget == 0 {
                    self.free.push(i);
                    continue;
                }
                budget -= 1;
                let row = cost.row(i);
                let (first, second) = two_smallest(row, &self.v);
                let mut j = first.column;
                let lowered = self.v[j] - (second - first.value);
                let outbids = second.is_finite() && lowered < self.v[j];
                if outbids {
                    self.v[j] = lowered;
                } else if self.row_of[j] != NONE {
                    // A tie: the second column will do as well.
                    j = other_column(row, &self.v, j, second).unwrap_or(j);
                }
                let before = self.row_of[j];
                self.pair(i, j);
                if before != NONE {
                    self.column_of[before] = NONE;
                    if outbids { waiting.push(before) } else { self.free.push(before) }
                }
            }
        }
    }

    /// Augmentation along shortest paths: every row that is left gets its column.
    fn augment<R: Real>(&mut self, cost: &Tensor<R>) {
        let mut search = Search::new(&self.row_of, self.v.len());
        for start in std::mem::take(&mut self.free) {
            search.reset(&self.v);
            let (mut i, mut offset) = (start, 0.0);
            let (sink, length) = loop {
                let (nearest, nearest_free) = search.relax(cost.row(i), offset, i);
                if nearest_free.value <= nearest.value {
                    break (nearest_free.column, nearest_free.value);
                }
                // Through column j to the row that has it: dist(k) = dist(j) + r(i, k) - r(i, j).
                let (j, distance) = (nearest.column, nearest.value);
                search.close(j, distance);
                i = self.row_of[j];
                offset = cost.row(i)[j].to_f64() - self.v[j] - distance;
            };
            for &(j, distance) in &search.closed {
                self.v[j] += distance - length;
            }
            search.owned[sink] = f64::INFINITY;
            let mut j = sink;
            loop {
                let i = search.from[j];
                let next = self.column_of[i];
                self.pair(i, j);
                if i == start {
                    break;
                }
                j = next;
            }
        }
    }

    /// Row duals and the sum.
    fn finish<R: Real>(mut self, cost: &Tensor<R>) -> Assignment {
        let n = self.n();
        let u = (0..n).map(|i| two_smallest(cost.row(i), &self.v).0.value).collect();
        let total = (0..n).map(|i| cost.row(i)[self.column_of[i]].to_f64()).sum();
        self.v.truncate(n);
        Assignment { columns: self.column_of, cost: total, u, v: self.v }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};
    use proptest::{prop_assert, proptest};

    /// The cost of every permutation of the rows from `i` on, by the definition.
    fn brute_force(cost: &Tensor<f64>, i: usize, taken: &mut [bool]) -> f64 {
        if i == cost.rows() {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for j in 0..cost.rows() {
            if !std::mem::replace(&mut taken[j], true) {
                best = best.min(cost.row(i)[j] + brute_force(cost, i + 1, taken));
                taken[j] = false;
            }
        }
        best
    }

    fn is_permutation(columns: &[usize]) -> bool {
        let mut sorted = columns.to_vec();
        sorted.sort_unstable();
        sorted.iter().copied().eq(0..columns.len())
    }

    /// Checks that an answer is a permutation with a feasible dual of the same sum.
    fn certify<R: Real>(cost: &Tensor<R>, best: &Assignment) {
        let n = cost.rows();
        let largest = cost.as_slice().iter().fold(0.0_f64, |m, c| m.max(c.to_f64().abs()));
        // A dual is a sum of at most about n rounded differences of costs, the cost one of n terms.
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let bound = 4.0 * n as f64 * f64::EPSILON * largest;
        assert!(is_permutation(&best.columns));
        for i in 0..n {
            for j in 0..n {
                assert!(best.u[i] + best.v[j] <= cost.row(i)[j].to_f64() + 4.0 * f64::EPSILON * largest);
            }
        }
        assert!(best.gap().abs() <= bound, "gap {} above {bound}, n = {n}", best.gap());
    }

    fn squared_distances(n: usize, d: usize, width: f64, seed: u64) -> Tensor<f32> {
        let mut stream = Rng::from_seed(seed).fork(Purpose::Metric).stream(0);
        let mut points = |width: f64| -> Vec<f64> { (0..n * d).map(|_| width * stream.normal()).collect() };
        let (a, b) = (points(width), points(1.0));
        let mut cost = Tensor::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                let square = (0..d).map(|k| (a[i * d + k] - b[j * d + k]).powi(2)).sum();
                cost.row_mut(i)[j] = f32::from_f64(square);
            }
        }
        cost
    }

    proptest! {
        #[test]
        fn whole_costs_match_all_permutations(
            n in 1..=7_usize, cells in proptest::collection::vec(-4..=4_i8, 49), spread in 1..=4_i8,
        ) {
            // A small spread makes many ties; whole numbers make every sum exact.
            let data = cells[..n * n].iter().map(|&c| f64::from(c / spread)).collect();
            let cost = Tensor::from_vec(data, n, n).unwrap();
            let best = assign(&cost).unwrap();
            prop_assert!(is_permutation(&best.columns));
            prop_assert!((best.cost - brute_force(&cost, 0, &mut vec![false; n])).abs() < 0.5);
            prop_assert!(best.gap().abs() < 0.5);
        }

        #[test]
        fn points_match_all_permutations(
            n in 1..=7_usize, a in proptest::collection::vec(-1.0..1.0, 14), same in 0..=7_usize,
        ) {
            // The first `same` points of both sides are equal to each other.
            let point = |i: usize, k: usize| if i < same { 0.25 } else { a[2 * i + k] };
            let mut cost = Tensor::<f64>::zeros(n, n);
            for i in 0..n {
                for j in 0..n {
                    cost.row_mut(i)[j] = (0..2).map(|k: usize| f64::powi(point(i, k) - a[13 - 2 * j - k], 2)).sum();
                }
            }
            let best = assign(&cost).unwrap();
            certify(&cost, &best);
            // Sums of 7 costs below 8, added in another order.
            const BOUND: f64 = 7.0 * 8.0 * f64::EPSILON;
            prop_assert!((best.cost - brute_force(&cost, 0, &mut vec![false; n])).abs() <= BOUND);
        }
    }

    #[test]
    fn larger_problems_prove_themselves() {
        // Around the block of 64 columns, and several dimensions.
        for (n, d) in [(2, 1), (63, 2), (64, 2), (65, 2), (129, 3), (300, 1), (300, 2), (300, 8)] {
            let cost = squared_distances(n, d, 1.5, 7);
            certify(&cost, &assign(&cost).unwrap());
        }
        // Two laws of very different width, so that the halves are solved first, twice.
        let cost = squared_distances(300, 2, 8.0, 11);
        let mut state = State::new(300);
        state.reduce_columns(&cost, &[0.0; 300]);
        assert!(state.column_of.iter().filter(|&&j| j == NONE).count() > 150);
        certify(&cost, &assign(&cost).unwrap());
        // No structure at all: uniform costs, where the search is deepest; negative ones too.
        let mut stream = Rng::from_seed(8).fork(Purpose::Metric).stream(0);
        let data = (0..250 * 250).map(|_| stream.uniform() - 0.5).collect();
        let cost = Tensor::<f64>::from_vec(data, 250, 250).unwrap();
        certify(&cost, &assign(&cost).unwrap());
    }

    #[test]
    fn one_dimension_is_sorting() {
        let n = 200;
        let mut stream = Rng::from_seed(9).fork(Purpose::Metric).stream(0);
        let x: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let y: Vec<f64> = (0..n).map(|_| stream.normal() * 2.0).collect();
        let data = x.iter().flat_map(|a| y.iter().map(move |b| (a - b) * (a - b))).collect();
        let best = assign(&Tensor::<f64>::from_vec(data, n, n).unwrap()).unwrap();
        let rank = |x: &[f64], i: usize| x.iter().filter(|&&other| other < x[i]).count();
        assert!((0..n).all(|i| rank(&x, i) == rank(&y, best.columns[i])));
    }

    #[test]
    fn the_permutation_is_not_its_inverse() {
        // Row i goes to column i + 1 of a ring of 5; the inverse would be i - 1.
        let mut cost = Tensor::<f32>::from_vec(vec![1.0; 25], 5, 5).unwrap();
        for i in 0..5 {
            cost.row_mut(i)[(i + 1) % 5] = 0.0;
        }
        assert_eq!(assign(&cost).unwrap().columns, [1, 2, 3, 4, 0]);
    }

    #[test]
    fn equal_costs_and_equal_points_end_soon() {
        // Quadratic work for each row here would be 10^9 steps for each of 1500 rows.
        let n = 1500;
        let cost = Tensor::<f32>::from_vec(vec![3.5; n * n], n, n).unwrap();
        certify(&cost, &assign(&cost).unwrap());
        // Two heaps of equal points of different sizes on both sides.
        let data = (0..n * n).map(|k| if (k / n < 500) == (k % n < 900) { 0.0 } else { 1.0 }).collect();
        let cost = Tensor::<f32>::from_vec(data, n, n).unwrap();
        let best = assign(&cost).unwrap();
        certify(&cost, &best);
        assert!((best.cost - 400.0).abs() < 0.5);
    }

    #[test]
    fn small_and_bad_costs() {
        let none = assign(&Tensor::<f32>::zeros(0, 0)).unwrap();
        assert!(none.columns.is_empty() && none.gap().abs() < f64::MIN_POSITIVE);
        let one = assign(&Tensor::from_rows(&[[-2.5_f32]])).unwrap();
        assert_eq!((&one.columns[..], one.cost, one.gap()), (&[0][..], -2.5, 0.0));
        assert!(matches!(assign(&Tensor::<f32>::zeros(2, 3)), Err(Error::Dimension { .. })));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let cost = Tensor::from_rows(&[[0.0, 1.0], [bad, 0.0]]);
            assert!(matches!(assign(&cost), Err(Error::NotFinite { row: 1, column: 0, .. })));
        }
        assert!(matches!(
            assign(&Tensor::from_rows(&[[1e308, 0.0], [0.0, 1e308]])),
            Err(Error::Setting { .. })
        ));
    }

    #[test]
    fn shifting_rows_and_columns_changes_nothing() {
        // c(i, j) + a(i) + b(j) has the same best permutation; whole numbers keep it exact.
        let mut stream = Rng::from_seed(10).fork(Purpose::Metric).stream(0);
        #[allow(clippy::cast_precision_loss, reason = "small whole numbers")]
        let mut whole =
            |count: usize| -> Vec<f64> { (0..count).map(|_| stream.below(1 << 20) as f64).collect() };
        let (n, mut data) = (80, whole(80 * 80));
        let before = assign(&Tensor::from_vec(data.clone(), n, n).unwrap()).unwrap();
        let (a, b) = (whole(n), whole(n));
        for i in 0..n {
            for j in 0..n {
                data[i * n + j] += a[i] + b[j];
            }
        }
        let after = assign(&Tensor::from_vec(data, n, n).unwrap()).unwrap();
        let shift: f64 = a.iter().sum::<f64>() + b.iter().sum::<f64>();
        assert!((after.cost - before.cost - shift).abs() < 0.5);
    }
}
