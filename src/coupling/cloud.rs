//! Points of the two sides of a transport problem: ordered, centred, and coarser and coarser.
//!
//! # Math
//! |a - b|² = |a|² + |b|² - 2 a·b: what depends on one side alone changes no best plan, so that both sides may be moved to mean
//! 0 and divided by a common power of two. In the order of a tree of halves neighbours stand together, and the means of four
//! are the points of a coarser problem with the same mass at the same places.
//!
//! # Shapes
//! Points are [n, d], one after the other, and [d, P], one coordinate after the other, P a multiple of the block of scores.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::kernel::{Real, SCORE_BLOCK, Simd, best_scores};
use crate::tensor::Tensor;

/// Neighbours whose mean is one point of the coarser problem.
const NEIGHBOURS: usize = 4;
/// Rows of one task of a pass over all pairs.
pub(super) const ROWS_PER_TASK: usize = 128;
/// Most rows: more would take days.
pub(super) const MOST_ROWS: usize = 1 << 24;

/// Both sides of a problem in the same unit, and that unit.
pub(super) struct Sides {
    pub(super) a: Side,
    pub(super) b: Side,
    /// What a distance of 1 between the clouds stands for.
    pub(super) unit: f64,
    /// The mean of a minus that of b, in that unit.
    between: Vec<f64>,
}

impl Sides {
    /// Checks and prepares two sides of equally many rows.
    pub(super) fn new<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> Result<Self> {
        let n = a.rows();
        b.check_cols("columns of b", a.cols(), "both sides must have the same columns")?;
        if b.rows() != n {
            let remedy = "give both sides equally many rows";
            return Err(Error::Dimension { what: "rows of b", expected: n, found: b.rows(), remedy });
        }
        if n > MOST_ROWS {
            let remedy = "pair at most so many rows at once";
            return Err(Error::Dimension { what: "rows to pair", expected: MOST_ROWS, found: n, remedy });
        }
        a.check_finite("a", "pair finite rows only")?;
        b.check_finite("b", "pair finite rows only")?;
        let largest = |x: &Tensor<R>| x.as_slice().iter().fold(0.0_f64, |m, x| m.max(x.to_f64().abs()));
        // The power of two at or below the largest number (its exponent bits alone).
        let largest = largest(a).max(largest(b));
        let unit = f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE);
        let (a, b) = (Side::new(a, unit), Side::new(b, unit));
        let between = a.mean.iter().zip(&b.mean).map(|(a, b)| a - b).collect();
        Ok(Self { a, b, unit, between })
    }

    /// The duals of the squared distances in the order and the unit of the rows that were given, from those of the costs -a'·b'.
    /// With a = mean + a', b = mean + b' and the difference D of the means,
    /// |a - b|² = |a'|² + |b'|² - 2 a'·b' + 2 D·a' - 2 D·b' + |D|².
    pub(super) fn duals(&self, u: &[f64], v: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let between = self.between.as_slice();
        let squared = self.unit * self.unit;
        let (mut all_u, mut all_v) = (vec![0.0; self.a.cloud.n], vec![0.0; self.b.cloud.n]);
        for (place, (&i, &j)) in self.a.order.iter().zip(&self.b.order).enumerate() {
            let (a, b) = (self.a.cloud.row(place), self.b.cloud.row(place));
            all_u[i] = squared * (2.0 * u[place] + dot(a, a) + 2.0 * dot(between, a) + dot(between, between));
            all_v[j] = squared * (2.0 * v[place] + dot(b, b) - 2.0 * dot(between, b));
        }
        (all_u, all_v)
    }

    /// Refuses answers that left the finite numbers.
    pub(super) fn check_finite(numbers: impl IntoIterator<Item = f64>) -> Result<()> {
        if numbers.into_iter().all(f64::is_finite) {
            return Ok(());
        }
        Err(Error::Setting {
            name: "a and b",
            value: "so large that squared distances overflow".into(),
            remedy: "divide both by a common factor",
        })
    }
}

/// One side of the problem: its points in the order of the tree, centred and scaled.
pub(super) struct Side {
    /// The row that stands at each place.
    pub(super) order: Vec<usize>,
    /// Length d, in the unit of the cloud.
    mean: Vec<f64>,
    pub(super) cloud: Cloud,
}

impl Side {
    #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
    fn new<R: Real>(x: &Tensor<R>, unit: f64) -> Self {
        let (n, d) = (x.rows(), x.cols());
        let scaled: Vec<f64> = x.as_slice().iter().map(|x| x.to_f64() / unit).collect();
        let mean: Vec<f64> =
            (0..d).map(|k| (0..n).map(|i| scaled[i * d + k]).sum::<f64>() / n as f64).collect();
        let mut order: Vec<usize> = (0..n).collect();
        halve(&scaled, d, &mut order);
        let rows = order.iter().flat_map(|&i| (0..d).map(move |k| (i, k)));
        let rows = rows.map(|(i, k)| scaled[i * d + k] - mean[k]).collect();
        Self { order, mean, cloud: Cloud::new(rows, n, d) }
    }
}

/// Orders points so that neighbours stand together: halves along the coordinate that varies most, and so on.
#[allow(clippy::cast_precision_loss, reason = "a number of rows")]
fn halve(x: &[f64], d: usize, order: &mut [usize]) {
    if order.len() <= 2 || d == 0 {
        return;
    }
    let n = order.len() as f64;
    let variance = |k: usize| {
        let (sum, squares) = order.iter().fold((0.0, 0.0), |(sum, squares), &i| {
            let x = x[i * d + k] - x[order[0] * d + k];
            (sum + x, squares + x * x)
        });
        squares - sum * sum / n
    };
    let widest = (1..d).fold((0, variance(0)), |best, k| {
        let of_k = variance(k);
        if of_k > best.1 { (k, of_k) } else { best }
    });
    let at = |i: usize| x[i * d + widest.0];
    let middle = order.len() / 2;
    order.select_nth_unstable_by(middle, |&i, &k| at(i).total_cmp(&at(k)).then(i.cmp(&k)));
    let (left, right) = order.split_at_mut(middle);
    halve(x, d, left);
    halve(x, d, right);
}

/// Points, one after the other and one coordinate after the other.
pub(super) struct Cloud {
    pub(super) n: usize,
    pub(super) d: usize,
    /// [n, d].
    pub(super) rows: Vec<f64>,
    /// [d, padded], filled up with 0.
    pub(super) columns: Vec<f64>,
}

impl Cloud {
    fn new(rows: Vec<f64>, n: usize, d: usize) -> Self {
        let padded = n.next_multiple_of(SCORE_BLOCK);
        let mut columns = vec![0.0; padded * d];
        for k in 0..d {
            for i in 0..n {
                columns[k * padded + i] = rows[i * d + k];
            }
        }
        Self { n, d, rows, columns }
    }

    pub(super) fn padded(&self) -> usize {
        self.n.next_multiple_of(SCORE_BLOCK)
    }

    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.d..(i + 1) * self.d]
    }

    /// The means of neighbours, about `NEIGHBOURS` each.
    #[allow(clippy::cast_precision_loss, reason = "a handful of points")]
    pub(super) fn coarser(&self) -> Self {
        let (n, d, m) = (self.n, self.d, self.n.div_ceil(NEIGHBOURS));
        let mut rows = Vec::with_capacity(m * d);
        for group in 0..m {
            let of_group = group * n / m..(group + 1) * n / m;
            rows.extend((0..d).map(|k| {
                of_group.clone().map(|i| self.rows[i * d + k]).sum::<f64>() / of_group.len() as f64
            }));
        }
        Self::new(rows, m, d)
    }

    /// -max over the columns of `of` of (a·b_j + v_j), for each point a of this cloud; padded with -inf.
    pub(super) fn transform(&self, simd: Simd, of: &Self, v: &[f64]) -> Vec<f64> {
        let (d, mut dual) = (self.d, vec![0.0; self.n]);
        dual.par_chunks_mut(ROWS_PER_TASK).enumerate().for_each(|(task, best)| {
            let first = task * ROWS_PER_TASK;
            best_scores(simd, &self.rows[first * d..(first + best.len()) * d], d, &of.columns, v, best);
            best.iter_mut().for_each(|x| *x = -*x);
        });
        dual.resize(self.padded(), f64::NEG_INFINITY);
        dual
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn largest_norm(cloud: &Cloud) -> f64 {
    (0..cloud.n).map(|i| dot(cloud.row(i), cloud.row(i))).fold(0.0, f64::max).sqrt()
}
