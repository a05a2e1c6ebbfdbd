//! [`Course`]: rows at equally spaced times, found within the steps they take.

use std::ops::Range;

use crate::kernel::Real;
use crate::tensor::Tensor;

use super::row::Row;
use super::solve::time;
use super::tableau::Tableau;

/// Rows at equally spaced times from t_0 to t_1, both included.
pub(super) struct Course<R: Real> {
    ends: Range<f64>,
    intervals: u32,
    /// One [B, d] for each time.
    pub(super) x: Vec<Tensor<R>>,
}

impl<R: Real> Course<R> {
    /// Starts at x, [B, d].
    pub(super) fn new(x: &Tensor<R>, ends: Range<f64>, intervals: u32) -> Self {
        Self { ends, intervals, x: vec![x.clone(); intervals as usize + 1] }
    }

    /// Writes down where a row is at the times within a step that was accepted. It is row i of `x`, where the step began,
    /// of `point`, where it ended, and of the velocities of its stages, all [A, d].
    pub(super) fn write(
        &mut self,
        row: &mut Row,
        i: usize,
        tableau: &Tableau,
        x: &Tensor<R>,
        point: &Tensor<R>,
        velocities: &[Tensor<R>],
    ) {
        while row.next <= self.intervals {
            let t = time(&self.ends, f64::from(row.next) / f64::from(self.intervals));
            let beyond = (t - row.t_new) * row.h.signum();
            if beyond > 0.0 {
                return;
            }
            let to = self.x[row.next as usize].row_mut(row.index);
            if beyond == 0.0 {
                to.copy_from_slice(point.row(i));
            } else {
                let s = (t - row.t) / row.h;
                for (j, (to, x)) in to.iter_mut().zip(x.row(i)).enumerate() {
                    let weighted =
                        |(stage, k): (usize, &Tensor<R>)| tableau.weight_at(stage, s) * k.row(i)[j].to_f64();
                    let sum: f64 = velocities.iter().enumerate().map(weighted).sum();
                    *to = R::from_f64(x.to_f64() + row.h * sum);
                }
            }
            row.next += 1;
        }
    }
}
