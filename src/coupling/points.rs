//! Exact assignment between points: squared distances, without a matrix of costs.
//!
//! # Math
//! |a_i - b_j|² = |a_i|² + |b_j|² - 2 a_i·b_j, so the best permutation is that of the costs -a_i·b_j, also when each side is
//! moved by a vector of its own: both are centred and brought to size 1 by a power of two. With column duals v the best
//! column of a row has the largest score a_i·b_j + v_j. Pseudo code:
//! ```text
//! order       both sides by halving them along their widest coordinate, again and again
//! start       the same problem for the means of 4 neighbours each (recursively), v its column duals;
//!             u(i) = -max_k a_i·b_k + v(k) over the coarse columns, v(j) = -max_i a_i·b_j + u(i)
//! candidates  for each row the some 24 columns of largest score
//! search      assignment over the candidates alone (sparse.rs): row reduction, shortest augmenting paths
//! price       every row whose dual has risen against all columns; a row with a column better than its own
//!             gets new candidates and is free again; search and price until there is none
//! ```
//! Means keep where the mass is, and so the duals of the coarse problem are nearly those of the fine one. Pricing makes the answer
//! exact whatever the start and the candidates were: at its end u(i) + v(j) <= c(i, j) for all pairs, with equality on the
//! permutation.
//!
//! # Shapes
//! a and b are [n, d].
//!
//! # Limits
//! Some n² d multiply-adds for each of about four passes, and a few dozen numbers for each row. Points that lie many on one spot
//! take longer lists. If 40 rounds were not enough, the plain assignment finishes, with a matrix of n² numbers.
//!
//! # Source
//! R. Jonker, A. Volgenant 1987 (see [`super::assign`]); multi-scale starts: S. Gerber, M. Maggioni, "Multiscale strategies for
//! computing optimal transport", 2017, arXiv:1708.02469; B. Schmitzer, "A sparse multiscale algorithm for dense optimal
//! transport", 2016, arXiv:1510.05466.

use rayon::prelude::*;

use super::assignment::{Assignment, solve};
use super::cloud::{Cloud, ROWS_PER_TASK, Sides, dot, largest_norm};
use super::sparse::{Arc, Arcs, Matching, NONE};
use crate::error::Result;
use crate::kernel::{Real, SCORE_BLOCK, Simd, best_scores, scores};
use crate::tensor::Tensor;

/// Columns that a row looks at first. With 12 more rows must look again, with 32 each search is longer.
const CANDIDATES: usize = 24;
/// Points below which nothing is coarser, and every column is a candidate.
const COARSEST: usize = 64;
/// Rounds of search and pricing before the plain assignment takes over.
pub(super) const ROUNDS: usize = 40;

/// Finds the permutation of least total squared distance between the rows of `a` and of `b`, both [n, d].
///
/// What comes back holds the row of `b` for each row of `a`, and duals that prove it for the costs |a_i - b_j|².
/// Any number of threads gives the same bits.
///
/// # Errors
/// [`Error::Dimension`](crate::Error::Dimension) if the shapes differ or there are more than 2^24 rows; [`Error::NotFinite`](crate::Error::NotFinite) if a number is NaN or
/// infinite; [`Error::Setting`](crate::Error::Setting) if squared distances overflow.
///
/// # Example
/// ```
/// use pushforward::{Simd, Tensor, coupling::assign_points};
///
/// let a = Tensor::from_rows(&[[0.0_f64, 0.0], [1.0, 0.0]]);
/// let b = Tensor::from_rows(&[[1.0, 2.0], [0.0, 1.0]]);
/// let best = assign_points(Simd::detect(), &a, &b)?;
/// assert_eq!((&best.columns[..], best.cost), (&[1, 0][..], 5.0));
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn assign_points<R: Real>(simd: Simd, a: &Tensor<R>, b: &Tensor<R>) -> Result<Assignment> {
    assign_in_rounds(simd, a, b, ROUNDS)
}

fn assign_in_rounds<R: Real>(simd: Simd, a: &Tensor<R>, b: &Tensor<R>, rounds: usize) -> Result<Assignment> {
    let sides = Sides::new(a, b)?;
    let level = Level { simd, a: &sides.a.cloud, b: &sides.b.cloud };
    let (v, column_of) = level.exact(rounds);
    let n = column_of.len();
    let (u, v) = sides.duals(&level.a.transform(simd, level.b, &v), &v);
    let mut columns = vec![0; n];
    for (place, &column) in column_of.iter().enumerate() {
        columns[sides.a.order[place]] = sides.b.order[column as usize];
    }
    let square = |(a, b): (&R, &R)| (a.to_f64() - b.to_f64()).powi(2);
    let cost =
        columns.iter().enumerate().map(|(i, &j)| a.row(i).iter().zip(b.row(j)).map(square).sum::<f64>());
    let best = Assignment { cost: cost.sum(), columns, u, v };
    Sides::check_finite(best.u.iter().chain(&best.v).copied().chain([best.cost]))?;
    Ok(best)
}

/// The problem at one scale: costs -a_i·b_j.
pub(super) struct Level<'a> {
    pub(super) simd: Simd,
    pub(super) a: &'a Cloud,
    pub(super) b: &'a Cloud,
}

impl Level<'_> {
    /// Column duals to start from, padded with -inf.
    fn start(&self) -> Vec<f64> {
        let mut u = vec![f64::NEG_INFINITY; self.a.padded()];
        if self.a.n <= COARSEST {
            u[..self.a.n].fill(0.0);
        } else {
            let (a, b) = (self.a.coarser(), self.b.coarser());
            let v = Level { simd: self.simd, a: &a, b: &b }.approximate();
            u = self.a.transform(self.simd, &b, &v);
        }
        self.b.transform(self.simd, self.a, &u)
    }

    /// Column duals that are best over the candidates, padded with -inf.
    fn approximate(&self) -> Vec<f64> {
        let v = self.start();
        let arcs = self.all_candidates(&v);
        let mut matching = Matching::new(&v[..self.b.n]);
        matching.reduce_rows(&arcs);
        matching.augment(&arcs, &mut vec![false; self.a.n]);
        self.padded(matching.v())
    }

    /// Column duals and the column of each row, both exact.
    pub(super) fn exact(&self, rounds: usize) -> (Vec<f64>, Vec<u32>) {
        let n = self.a.n;
        let mut v = self.start();
        let mut arcs = self.all_candidates(&v);
        let mut wanted = vec![CANDIDATES; n];
        let mut matching = Matching::new(&v[..n]);
        for round in 0..rounds {
            if round == 0 {
                matching.reduce_rows(&arcs);
            }
            let mut short = vec![false; n];
            matching.augment(&arcs, &mut short);
            v = self.padded(matching.v());
            self.price(&v, &mut matching, &mut short);
            if matching.free().is_empty() {
                return (v, matching.column_of().to_vec());
            }
            arcs = self.more_candidates(&v, &arcs, &short, &mut wanted);
        }
        let mut cost = Tensor::zeros(n, n);
        cost.as_mut_slice().par_chunks_mut(n.max(1)).enumerate().for_each(|(i, row)| {
            for (j, c) in row.iter_mut().enumerate() {
                *c = -dot(self.a.row(i), self.b.row(j));
            }
        });
        let Assignment { v, columns, .. } = solve(&cost);
        #[allow(clippy::cast_possible_truncation, reason = "below 2^24")]
        let columns = columns.into_iter().map(|j| j as u32).collect();
        (self.padded(v.into_iter()), columns)
    }

    fn padded(&self, v: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut v: Vec<f64> = v.collect();
        v.resize(self.b.padded(), f64::NEG_INFINITY);
        v
    }

    /// Looks at all columns for every row whose dual has risen: one with a better column than its own loses that, and is
    /// set in `short`.
    fn price(&self, v: &[f64], matching: &mut Matching, short: &mut [bool]) {
        let (n, d) = (self.a.n, self.a.d);
        let column_of = matching.column_of();
        let rows: Vec<usize> = (0..n).filter(|&i| matching.changed[i] && column_of[i] != NONE).collect();
        let mut best = vec![0.0; rows.len()];
        best.par_chunks_mut(ROWS_PER_TASK).zip(rows.par_chunks(ROWS_PER_TASK)).for_each(|(best, rows)| {
            let points: Vec<f64> = rows.iter().flat_map(|&i| self.a.row(i)).copied().collect();
            best_scores(self.simd, &points, d, &self.b.columns, v, best);
        });
        // Costs and duals are sums of d + 2 rounded terms of this size.
        let size = v[..n].iter().fold(largest_norm(self.a) * largest_norm(self.b), |m, v| m.max(v.abs()));
        #[allow(clippy::cast_precision_loss, reason = "a dimension")]
        let rounding = 4.0 * (d + 8) as f64 * f64::EPSILON * size;
        for (&i, best) in rows.iter().zip(best) {
            if -best < matching.u(i) - rounding {
                #[allow(clippy::cast_possible_truncation, reason = "below 2^24")]
                matching.release(i as u32);
                short[i] = true;
            }
        }
        matching.changed.fill(false);
    }

    /// The candidates of all rows.
    fn all_candidates(&self, v: &[f64]) -> Arcs {
        let tasks: Vec<(Vec<usize>, Vec<Arc>)> = (0..self.a.n.div_ceil(ROWS_PER_TASK))
            .into_par_iter()
            .map(|task| {
                let mut scan = Scan::new(self);
                let (mut ends, mut arcs) = (Vec::new(), Vec::with_capacity(ROWS_PER_TASK * 2 * CANDIDATES));
                for i in task * ROWS_PER_TASK..self.a.n.min((task + 1) * ROWS_PER_TASK) {
                    scan.pick(i, v, CANDIDATES, &mut arcs);
                    ends.push(arcs.len());
                }
                (ends, arcs)
            })
            .collect();
        let mut all = Arcs { first: vec![0], arcs: Vec::new() };
        for (ends, arcs) in tasks {
            let before = all.arcs.len();
            all.first.extend(ends.iter().map(|end| before + end));
            all.arcs.extend(arcs);
        }
        all
    }

    /// The same lists; those of rows in `short` get their best columns at these duals, twice as many as they last wanted.
    fn more_candidates(&self, v: &[f64], arcs: &Arcs, short: &[bool], wanted: &mut [usize]) -> Arcs {
        let mut scan = Scan::new(self);
        let mut all = Arcs { first: vec![0], arcs: Vec::with_capacity(2 * arcs.arcs.len()) };
        for i in 0..self.a.n {
            let old = &arcs.arcs[arcs.first[i]..arcs.first[i + 1]];
            let first = all.arcs.len();
            all.arcs.extend_from_slice(old);
            if short[i] {
                scan.pick(i, v, wanted[i], &mut all.arcs);
                let known = first + old.len();
                let (kept, new) = all.arcs.split_at_mut(known);
                let mut count = 0;
                for k in 0..new.len() {
                    if !kept[first..].iter().any(|arc| arc.column == new[k].column) {
                        new[count] = new[k];
                        count += 1;
                    }
                }
                all.arcs.truncate(known + count);
                wanted[i] = (2 * wanted[i]).min(self.a.n);
            }
            all.first.push(all.arcs.len());
        }
        all
    }
}

/// The memory to look for the best columns of a row.
struct Scan<'a> {
    level: &'a Level<'a>,
    scores: Vec<f64>,
    blocks: Vec<f64>,
    places: [f64; SCORE_BLOCK],
    chosen: Vec<u32>,
}

impl<'a> Scan<'a> {
    fn new(level: &'a Level<'a>) -> Self {
        let padded = level.b.padded();
        Self {
            level,
            scores: vec![0.0; padded],
            blocks: vec![0.0; padded / SCORE_BLOCK],
            places: [0.0; SCORE_BLOCK],
            chosen: vec![0; padded],
        }
    }

    /// Appends arcs of row i to at least `count` columns of largest score, at most twice as many; of equal ones those
    /// from column i on, so that equal rows do not all look at the same.
    #[allow(clippy::cast_possible_truncation, reason = "columns are below 2^24")]
    fn pick(&mut self, i: usize, v: &[f64], count: usize, arcs: &mut Vec<Arc>) {
        let (n, row) = (self.level.b.n, self.level.a.row(i));
        scores(
            self.level.simd,
            row,
            &self.level.b.columns,
            v,
            &mut self.scores,
            &mut self.blocks,
            &mut self.places,
        );
        let descending = |x: &f64, y: &f64| y.total_cmp(x);
        // At least `count` scores reach the count-th largest of disjoint groups.
        let bound = if count >= n || n <= COARSEST {
            f64::MIN
        } else if count <= SCORE_BLOCK && n >= 2 * SCORE_BLOCK {
            *self.places.select_nth_unstable_by(count - 1, descending).1
        } else {
            *self.scores[..n].to_vec().select_nth_unstable_by(count - 1, descending).1
        };
        let mut found = 0;
        for (block, &most) in self.blocks.iter().enumerate() {
            if most < bound {
                continue;
            }
            let of_block = block * SCORE_BLOCK..(block + 1) * SCORE_BLOCK;
            for (j, score) in of_block.clone().zip(&self.scores[of_block]) {
                self.chosen[found] = j as u32; // stays only if the next line counts it
                found += usize::from(*score >= bound);
            }
        }
        let chosen = &mut self.chosen[..found];
        let (scores, most) = (&self.scores, 2 * count.max(COARSEST / 2));
        let found = found.min(most);
        if chosen.len() > most {
            let turned = |j: u32| (j as usize + n - i) % n;
            chosen.select_nth_unstable_by(most, |&j, &k| {
                scores[k as usize].total_cmp(&scores[j as usize]).then(turned(j).cmp(&turned(k)))
            });
        }
        arcs.extend(
            chosen[..found]
                .iter()
                .map(|&column| Arc { cost: -dot(row, self.level.b.row(column as usize)), column }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::assign;
    use super::*;
    use crate::error::Error;
    use crate::rng::{Purpose, Rng};
    use proptest::{prop_assert, proptest};

    fn costs(a: &Tensor<f64>, b: &Tensor<f64>) -> Tensor<f64> {
        let square = |i: usize, j: usize| a.row(i).iter().zip(b.row(j)).map(|(a, b)| (a - b) * (a - b)).sum();
        let n = a.rows();
        Tensor::from_vec((0..n * n).map(|k| square(k / n, k % n)).collect(), n, n).unwrap()
    }

    /// A permutation, duals below every cost, and no gap between them.
    fn certify(a: &Tensor<f64>, b: &Tensor<f64>, best: &Assignment) {
        let (n, cost) = (a.rows(), costs(a, b));
        let mut sorted = best.columns.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..n), "no permutation");
        let largest = cost.as_slice().iter().fold(0.0_f64, |m, &c| m.max(c));
        // Duals and costs are sums of a few d terms of the size of the largest cost.
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let rounding = 16.0 * (a.cols() + 8) as f64 * f64::EPSILON * largest;
        for i in 0..n {
            for j in 0..n {
                assert!(best.u[i] + best.v[j] <= cost.row(i)[j] + rounding, "dual of {i}, {j}");
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let bound = n as f64 * rounding;
        assert!(best.gap().abs() <= bound, "gap {} above {bound}", best.gap());
        let cost: f64 = (0..n).map(|i| cost.row(i)[best.columns[i]]).sum();
        assert!((best.cost - cost).abs() <= bound);
    }

    fn normals(n: usize, d: usize, width: f64, offset: f64, seed: u64) -> Tensor<f64> {
        let mut stream = Rng::from_seed(seed).fork(Purpose::Metric).stream(0);
        Tensor::from_vec((0..n * d).map(|_| offset + width * stream.normal()).collect(), n, d).unwrap()
    }

    fn solve_both(a: &Tensor<f64>, b: &Tensor<f64>) -> (Assignment, Assignment) {
        (assign_points(Simd::detect(), a, b).unwrap(), assign(&costs(a, b)).unwrap())
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_plain_assignment(
            n in 1..=90_usize, d in 1..=3_usize, numbers in proptest::collection::vec(-8..=8_i8, 540), grid in 1..=2_u8,
        ) {
            // Whole numbers: many equal points and equal distances, and sums without rounding.
            let x = |first: usize| {
                let of = numbers[first..first + n * d].iter().map(|&x| f64::from(x / i8::try_from(grid).unwrap()));
                Tensor::from_vec(of.collect(), n, d).unwrap()
            };
            let (a, b) = (x(0), x(270));
            let (fast, plain) = solve_both(&a, &b);
            certify(&a, &b, &fast);
            prop_assert!((fast.cost - plain.cost).abs() < 0.5);
        }
    }

    #[test]
    fn larger_problems_prove_themselves() {
        for (n, d, width) in [(65, 1, 1.0), (300, 2, 8.0), (300, 3, 0.1), (500, 2, 1.0), (257, 17, 1.0)] {
            let (a, b) = (normals(n, d, width, 3.0, 1), normals(n, d, 1.0, -1.0, 2));
            certify(&a, &b, &assign_points(Simd::detect(), &a, &b).unwrap());
        }
        // Clusters with other shares on each side, where the duals jump.
        let (mut a, mut b) = (normals(400, 2, 0.1, 0.0, 3), normals(400, 2, 0.1, 0.0, 4));
        for i in 0..400 {
            a.row_mut(i)[0] += if i < 150 { 10.0 } else { 0.0 };
            b.row_mut(i)[1] += if i < 290 { 10.0 } else { 0.0 };
        }
        certify(&a, &b, &assign_points(Simd::detect(), &a, &b).unwrap());
    }

    #[test]
    fn equal_points_end_soon() {
        let n = 1500;
        let (mut a, mut b) = (Tensor::<f64>::zeros(n, 2), Tensor::zeros(n, 2));
        certify(&a, &b, &assign_points(Simd::detect(), &a, &b).unwrap());
        for i in 0..n {
            a.row_mut(i)[0] = if i < 500 { 1.0 } else { 0.0 };
            b.row_mut(i)[0] = if i < 900 { 1.0 } else { 0.0 };
        }
        let best = assign_points(Simd::detect(), &a, &b).unwrap();
        certify(&a, &b, &best);
        assert!((best.cost - 400.0).abs() < 1e-9);
    }

    #[test]
    fn without_rounds_the_plain_assignment_finishes() {
        let (a, b) = (normals(100, 2, 2.0, 0.0, 5), normals(100, 2, 1.0, 0.0, 6));
        let plain = assign_in_rounds(Simd::detect(), &a, &b, 0).unwrap();
        certify(&a, &b, &plain);
        assert_eq!(plain.columns, assign_points(Simd::detect(), &a, &b).unwrap().columns);
    }

    #[test]
    fn scales_offsets_and_threads_change_nothing() {
        let (a, b) = (normals(700, 2, 1.0, 0.0, 7), normals(700, 2, 1.0, 0.0, 8));
        let simd = Simd::detect();
        let columns = assign_points(simd, &a, &b).unwrap().columns;
        for (scale, offset) in [(1e-160, 0.0), (1e140, 0.0), (1.0, 1e4)] {
            let mut c = a.clone();
            let mut d = b.clone();
            c.as_mut_slice().iter_mut().for_each(|x| *x = scale * *x + offset);
            d.as_mut_slice().iter_mut().for_each(|x| *x *= scale);
            assert_eq!(assign_points(simd, &c, &d).unwrap().columns, columns, "{scale} {offset}");
        }
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| assign_points(simd, &a, &b)).unwrap();
            assert_eq!(
                (again.columns, again.cost.to_bits()),
                (columns.clone(), { assign_points(simd, &a, &b).unwrap().cost.to_bits() })
            );
        }
        // Rows in another order: the same pairs.
        let mut turned = a.clone();
        for i in 0..700 {
            turned.row_mut(i).copy_from_slice(a.row((i + 1) % 700));
        }
        let again = assign_points(simd, &turned, &b).unwrap().columns;
        assert!((0..700).all(|i| again[i] == columns[(i + 1) % 700]));
    }

    #[test]
    fn bad_points_are_refused() {
        let simd = Simd::detect();
        let x = Tensor::<f64>::zeros(3, 2);
        assert!(
            assign_points(simd, &Tensor::<f64>::zeros(0, 2), &Tensor::zeros(0, 2))
                .unwrap()
                .columns
                .is_empty()
        );
        assert!(matches!(assign_points(simd, &x, &Tensor::zeros(3, 1)), Err(Error::Dimension { .. })));
        assert!(matches!(assign_points(simd, &x, &Tensor::zeros(2, 2)), Err(Error::Dimension { .. })));
        let mut bad = x.clone();
        bad.row_mut(1)[1] = f64::NAN;
        let found = assign_points(simd, &x, &bad);
        assert!(matches!(found, Err(Error::NotFinite { what: "b", row: 1, column: 1, .. })));
        let (mut low, mut high) = (x.clone(), x);
        low.as_mut_slice().fill(-1e200);
        high.as_mut_slice().fill(1e200);
        assert!(matches!(assign_points(simd, &low, &high), Err(Error::Setting { .. })));
    }
}
