//! [`Course`]: rows at equally spaced times, found within the steps they take.
//!
//! # Math
//! Within an accepted step x(t + s h) = x + h sum_i b_i(s) k_i, over the stages of the step and those that the curve alone
//! needs (`tableau.rs`): none, or three of `dop853`, asked for only where a time lies within the step.
//!
//! # Shapes
//! Of A rows that made a step, W have a time within it: the stages of their curve are [W, d].

use std::ops::Range;

use crate::error::{Error, Result};
use crate::field::Worker;
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::row::Row;
use super::solve::time;
use super::tableau::{Pair, Tableau};

/// Rows at equally spaced times from t_0 to t_1, both included.
pub(super) struct Course<R: Real> {
    ends: Range<f64>,
    intervals: u32,
    /// One [B, d] for each time.
    pub(super) x: Vec<Tensor<R>>,
    tableau: Tableau,
    pair: Pair,
    weights: Vec<f64>,      // one for each stage
    within: Vec<usize>,     // W places among the A
    times: Vec<R>,          // [W]
    point: Tensor<R>,       // [W, d], where a stage of the curve is evaluated
    stages: Vec<Tensor<R>>, // one [W, d] for each stage of the curve
}

/// A step of A rows.
pub(super) struct Made<'a, R: Real> {
    /// [A, d], where the step begins.
    pub(super) x: &'a Tensor<R>,
    /// [A, d], where it ends.
    pub(super) x_new: &'a Tensor<R>,
    /// One [A, d] for each stage.
    pub(super) velocities: &'a [Tensor<R>],
    /// The number of row 0 in errors.
    pub(super) first_row: usize,
}

impl<R: Real> Course<R> {
    /// Starts at x, [B, d].
    pub(super) fn new(x: &Tensor<R>, ends: Range<f64>, intervals: u32, tableau: Tableau, pair: Pair) -> Self {
        let extra = pair.curve.c.len();
        let rows = if extra == 0 { 0 } else { x.rows() };
        Self {
            ends,
            intervals,
            x: vec![x.clone(); intervals as usize + 1],
            tableau,
            pair,
            weights: vec![0.0; tableau.b.len() + extra],
            within: Vec::with_capacity(rows),
            times: vec![R::ZERO; rows],
            point: Tensor::zeros(rows, x.cols()),
            stages: vec![Tensor::zeros(rows, x.cols()); extra],
        }
    }

    /// Writes down where the rows whose step is good are at the times within it. Where the field answers NaN or infinity
    /// to a stage of the curve, the row is in trouble, and its step no longer good.
    ///
    /// # Errors
    /// What the field reports; nothing is written then.
    pub(super) fn write(
        &mut self,
        worker: &mut (dyn Worker<R> + '_),
        rows: &mut [Row],
        made: &Made<'_, R>,
    ) -> Result<()> {
        if !self.stages.is_empty() {
            self.look_within(worker, rows, made)?;
        }
        let mut w = 0;
        for (i, row) in rows.iter_mut().enumerate() {
            let gathered = self.within.get(w) == Some(&i);
            if row.passes() {
                self.put(row, i, w, made);
            }
            w += usize::from(gathered);
        }
        Ok(())
    }

    /// The time that comes next for a row, and whether it is before, at (0) or beyond (above 0) the end of its step.
    fn next(&self, row: &Row) -> Option<(f64, f64)> {
        if row.next > self.intervals {
            return None;
        }
        let t = time(&self.ends, f64::from(row.next) / f64::from(self.intervals));
        Some((t, (t - row.t_new) * row.h.signum()))
    }

    /// Asks for the stages of the curve of those rows that have a time within their step.
    fn look_within(
        &mut self,
        worker: &mut (dyn Worker<R> + '_),
        rows: &mut [Row],
        made: &Made<'_, R>,
    ) -> Result<()> {
        self.within.clear();
        for (i, row) in rows.iter().enumerate() {
            if row.passes() && self.next(row).is_some_and(|(_, beyond)| beyond < 0.0) {
                self.within.push(i);
            }
        }
        let count = self.within.len();
        if count == 0 {
            return Ok(());
        }
        self.times.resize(count, R::ZERO);
        self.point.resize_rows(count);
        for (extra, &c) in self.pair.curve.c.iter().enumerate() {
            let (before, after) = self.stages.split_at_mut(extra);
            for (w, &i) in self.within.iter().enumerate() {
                self.times[w] = R::from_f64(rows[i].time(c));
                let a = self.pair.curve.a[extra];
                let k = made.velocities.iter().map(|k| k.row(i)).chain(before.iter().map(|k| k.row(w)));
                curve(made.x.row(i), rows[i].h, a, k, self.point.row_mut(w));
            }
            after[0].resize_rows(count);
            worker.eval(&self.times, &self.point, &mut after[0])?;
            for (w, &i) in self.within.iter().enumerate() {
                let row = &mut rows[i];
                row.stats.nfe += 1;
                if let Some(u) = after[0].row(w).iter().find(|u| !u.is_finite()) {
                    let (t, value) = (row.time(c), u.to_f64());
                    let place = made.first_row + row.index;
                    row.trouble.get_or_insert(Error::Velocity { t, row: place, value });
                    after[0].row_mut(w).fill(R::ZERO);
                }
            }
        }
        Ok(())
    }

    /// Writes down where row i, which is number w among those within, is at the times of its step.
    fn put(&mut self, row: &mut Row, i: usize, w: usize, made: &Made<'_, R>) {
        while let Some((t, beyond)) = self.next(row) {
            if beyond > 0.0 {
                return;
            }
            let at = row.next as usize;
            if beyond == 0.0 {
                self.x[at].row_mut(row.index).copy_from_slice(made.x_new.row(i));
            } else {
                let s = (t - row.t) / row.h;
                for (stage, weight) in self.weights.iter_mut().enumerate() {
                    *weight = self.tableau.weight_at(&self.pair, stage, s);
                }
                let k = made.velocities.iter().map(|k| k.row(i)).chain(self.stages.iter().map(|k| k.row(w)));
                curve(made.x.row(i), row.h, &self.weights, k, self.x[at].row_mut(row.index));
            }
            row.next += 1;
        }
    }
}

/// out = x + h sum_j w_j k_j of one row, in f64.
fn curve<'a, R: Real>(
    x: &[R],
    h: f64,
    weights: &[f64],
    k: impl Iterator<Item = &'a [R]> + Clone,
    out: &mut [R],
) {
    for (j, (out, x)) in out.iter_mut().zip(x).enumerate() {
        let sum: f64 = weights.iter().zip(k.clone()).map(|(w, k)| w * k[j].to_f64()).sum();
        *out = R::from_f64(x.to_f64() + h * sum);
    }
}
