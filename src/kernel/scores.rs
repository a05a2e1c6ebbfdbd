//! Scores a·b_j + v_j of one row against many columns: the scans of an assignment between points.
//!
//! # Math
//! |a - b|² = |a|² + |b|² - 2 a·b: for one row a, the column of least |a - b_j|² - v_j is that of the largest
//! a·b_j + v'_j, where v'_j takes |b_j|² in. A score costs d multiply-adds, and no matrix of costs is ever held.
//!
//! # Shapes
//! b is [d, P], one coordinate after the other; v and the scores have length P, a multiple of [`SCORE_BLOCK`]. Columns that are only
//! there to fill the last block have v = -inf, so that they never win.

use super::dispatch::{Kernel, Simd};
use super::lane::Lane;

/// Columns of a block: what v, the scores and each coordinate of b are padded to a multiple of.
pub const SCORE_BLOCK: usize = 64;

/// Rows that one pass over the columns serves.
const ROWS: usize = 4;

/// Most lanes of a block: 64 numbers of f64 in lanes of 4.
const LANES: usize = SCORE_BLOCK / 4;

/// The largest score of each row: `rows` is [m, d], `best` has length m.
///
/// # Panics
/// If the shapes do not fit.
///
/// # Example
/// ```
/// use pushforward::kernel::{SCORE_BLOCK, Simd, best_scores};
///
/// let (mut b, mut v) = (vec![0.0; SCORE_BLOCK], vec![f64::NEG_INFINITY; SCORE_BLOCK]);
/// (b[0], b[1], v[0], v[1]) = (1.0, 3.0, 0.5, -4.0);
/// let mut best = [0.0; 2];
/// best_scores(Simd::detect(), &[1.0, 10.0], 1, &b, &v, &mut best);
/// assert_eq!(best, [1.5, 26.0]);
/// ```
pub fn best_scores(simd: Simd, rows: &[f64], d: usize, b: &[f64], v: &[f64], best: &mut [f64]) {
    check(d, b, v);
    assert_eq!(rows.len(), d * best.len(), "numbers of the rows");
    simd.run(Best { rows, d, b, v, best });
}

/// All scores of one row a, of length d, into `scores`; the largest of each block of columns into `blocks`; the largest of
/// each place in a block, over all blocks, into `places`.
///
/// # Panics
/// If the shapes do not fit.
pub fn scores(
    simd: Simd,
    a: &[f64],
    b: &[f64],
    v: &[f64],
    scores: &mut [f64],
    blocks: &mut [f64],
    places: &mut [f64; SCORE_BLOCK],
) {
    check(a.len(), b, v);
    assert_eq!((scores.len(), blocks.len()), (v.len(), v.len() / SCORE_BLOCK), "room for the scores");
    simd.run(All { a, b, v, scores, blocks, places });
}

fn check(d: usize, b: &[f64], v: &[f64]) {
    assert!(v.len().is_multiple_of(SCORE_BLOCK) && b.len() == d * v.len(), "shapes of the columns");
}

struct Best<'a> {
    rows: &'a [f64],
    d: usize,
    b: &'a [f64],
    v: &'a [f64],
    best: &'a mut [f64],
}

impl Kernel<f64> for Best<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = f64>>(self) {
        let Self { rows, d, b, v, best } = self;
        for (r, best) in best.chunks_mut(ROWS).enumerate() {
            // The last rows stand in for those that are missing.
            let row = |k: usize| {
                let i = r * ROWS + k.min(best.len() - 1);
                &rows[i * d..(i + 1) * d]
            };
            let found = best_of_rows::<L>([row(0), row(1), row(2), row(3)], b, v);
            best.copy_from_slice(&found[..best.len()]);
        }
    }
}

/// Four rows against all columns, two lanes at a time.
#[inline(always)]
fn best_of_rows<L: Lane<Real = f64>>(rows: [&[f64]; ROWS], b: &[f64], v: &[f64]) -> [f64; ROWS] {
    let none = L::splat(f64::NEG_INFINITY);
    let mut most = [none; ROWS];
    for j in (0..v.len()).step_by(2 * L::WIDTH) {
        let start = [L::load(&v[j..]), L::load(&v[j + L::WIDTH..])];
        let mut sums = [start; ROWS];
        for k in 0..rows[0].len() {
            let b = &b[k * v.len() + j..];
            let b = [L::load(b), L::load(&b[L::WIDTH..])];
            for r in 0..ROWS {
                let a = L::splat(rows[r][k]);
                sums[r] = [a.mul_add(b[0], sums[r][0]), a.mul_add(b[1], sums[r][1])];
            }
        }
        for r in 0..ROWS {
            most[r] = larger(larger(most[r], sums[r][0]), sums[r][1]);
        }
    }
    most.map(largest)
}

struct All<'a> {
    a: &'a [f64],
    b: &'a [f64],
    v: &'a [f64],
    scores: &'a mut [f64],
    blocks: &'a mut [f64],
    places: &'a mut [f64; SCORE_BLOCK],
}

impl Kernel<f64> for All<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = f64>>(self) {
        let Self { a, b, v, scores, blocks, places } = self;
        let lanes = SCORE_BLOCK / L::WIDTH;
        let none = L::splat(f64::NEG_INFINITY);
        let mut at_place = [none; LANES];
        for (block, of_block) in blocks.iter_mut().enumerate() {
            let mut most = none;
            for (lane, at_place) in at_place.iter_mut().enumerate().take(lanes) {
                let j = block * SCORE_BLOCK + lane * L::WIDTH;
                let mut sum = L::load(&v[j..]);
                for (k, &a) in a.iter().enumerate() {
                    sum = L::splat(a).mul_add(L::load(&b[k * v.len() + j..]), sum);
                }
                sum.store(&mut scores[j..]);
                most = larger(most, sum);
                *at_place = larger(*at_place, sum);
            }
            *of_block = largest(most);
        }
        for (lane, at_place) in at_place.iter().enumerate().take(lanes) {
            at_place.store(&mut places[lane * L::WIDTH..]);
        }
    }
}

#[inline(always)]
fn larger<L: Lane>(a: L, b: L) -> L {
    a.select_less(b, b, a)
}

/// The largest number of a lane.
#[inline(always)]
fn largest<L: Lane<Real = f64>>(lane: L) -> f64 {
    let mut numbers = [f64::NEG_INFINITY; SCORE_BLOCK / 8];
    lane.store(&mut numbers);
    numbers.iter().fold(f64::NEG_INFINITY, |most, &x| if most < x { x } else { most })
}

#[cfg(test)]
mod tests {
    use super::super::SimdLevel;
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn every_level_finds_the_scores_of_the_definition() {
        let mut stream = Rng::from_seed(3).fork(Purpose::Metric).stream(0);
        for (n, d, m) in [(1_usize, 1, 1), (64, 2, 3), (65, 3, 4), (200, 17, 9)] {
            let padded = n.next_multiple_of(SCORE_BLOCK);
            let rows: Vec<f64> = (0..m * d).map(|_| stream.normal()).collect();
            let b: Vec<f64> = (0..padded * d).map(|_| stream.normal()).collect();
            let mut v: Vec<f64> = (0..padded).map(|_| stream.normal()).collect();
            v[n..].fill(f64::NEG_INFINITY);
            let score =
                |i: usize, j: usize| v[j] + (0..d).map(|k| rows[i * d + k] * b[k * padded + j]).sum::<f64>();
            // d products of normal numbers, added in another order: about d roundings of a sum below 40.
            const ROUNDING: f64 = 17.0 * 40.0 * f64::EPSILON;
            for level in [SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512] {
                let Ok(simd) = Simd::of(level) else { continue };
                let mut best = vec![0.0; m];
                best_scores(simd, &rows, d, &b, &v, &mut best);
                for i in 0..m {
                    let mut all = vec![0.0; padded];
                    let (mut blocks, mut places) = (vec![0.0; padded / SCORE_BLOCK], [0.0; SCORE_BLOCK]);
                    scores(simd, &rows[i * d..(i + 1) * d], &b, &v, &mut all, &mut blocks, &mut places);
                    let most = |of: &mut dyn Iterator<Item = usize>| {
                        of.map(|j| all[j]).fold(f64::NEG_INFINITY, f64::max).to_bits()
                    };
                    assert!((0..n).all(|j| (all[j] - score(i, j)).abs() <= ROUNDING));
                    assert!(all[n..].iter().all(|x| x.is_infinite()));
                    assert_eq!(best[i].to_bits(), most(&mut (0..n)), "{level}, n = {n}, d = {d}");
                    for (k, block) in blocks.iter().enumerate() {
                        assert_eq!(block.to_bits(), most(&mut (k * SCORE_BLOCK..(k + 1) * SCORE_BLOCK)));
                    }
                    for (k, place) in places.iter().enumerate() {
                        assert_eq!(place.to_bits(), most(&mut (k..padded).step_by(SCORE_BLOCK)));
                    }
                }
            }
        }
    }
}
