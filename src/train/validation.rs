//! [`Validation`]: the loss on rows that are held out, and the parameters that did best on them.
//!
//! # Math
//! A share of the rows, drawn by the seed, is not trained on. Every 100 steps, and after the last, the loss (E11) of the averaged
//! parameters is found at 4096 points (t, X_0, X_1) that are drawn once: the times in strata, the target rows
//! from those held out, each as often as any other where the coupling is independent. As the points stay, so does most of the
//! error of the loss, and from one time to the next its curve is smooth. It is compared with itself: the parameters with the
//! least are kept, and are the model.
//!
//! A training with `patience` P has stalled when P values in a row were not below the least; what happens then is
//! said by the schedule of the learning rate ([`LrSchedule::end_after_stall`](crate::nn::LrSchedule::end_after_stall)).
//!
//! # Limits
//! At most 4096 rows are held out: more would not make the mean of 4096 points better. Mean and standard deviation of the columns
//! are those of all rows, the held-out ones among them. Rows of a source of data are not held out, but for `paired`.
//!
//! # Source
//! L. Prechelt 1998, "Early stopping, but when?".

use rayon::prelude::*;

use super::Slot;
use crate::coupling::{Coupling, Pairing, Pairs};
use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::nn::Mlp;
use crate::objective::{Beside, Joined, Objective, Share, TimeSampling};
use crate::rng::{Stream, Streams};
use crate::source::Source;
use crate::tensor::Tensor;

/// Points at which the loss is found: its standard error is then some 2 % of it, and that of a difference a small part of that.
const POINTS: usize = 4096;

/// Steps from one validation to the next: together they cost about 3 steps of 512 rows.
const EVERY: u64 = 100;

/// Rows of the data that are held out, and what was found on them.
#[derive(Debug)]
pub(super) struct Validation {
    /// The loss with its fixed times.
    objective: Objective,
    /// The rows held out, [H, d].
    z_1: Tensor<f32>,
    /// Their conditions as the network is given them, [H, c].
    conditions: Option<Tensor<f32>>,
    pairs: Pairs,
    /// Where the times come from.
    streams: Streams,
    pub(super) found: Found,
    /// The parameters with the least loss.
    pub(super) best: Vec<f32>,
}

/// What validation has found so far.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Found {
    /// The least loss, and the step after which it was.
    pub(super) least: Option<(u64, f64)>,
    /// How many were not below it since.
    pub(super) stale: u64,
}

/// Which rows of a table are held out, and which are not: both in the order of the table.
pub(super) struct Split {
    pub(super) trained: Vec<usize>,
    pub(super) held: Vec<usize>,
}

impl Split {
    /// Holds out a share of the rows.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a single row.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of rows, far below 2^53"
    )]
    pub(super) fn new(rows: usize, fraction: f64, stream: &mut Stream) -> Result<Self> {
        if rows < 2 {
            return Err(Error::Dimension {
                what: "rows of the training data",
                expected: 2,
                found: rows,
                remedy: "to hold out rows for validation there must be others: give more rows, or no `validation`",
            });
        }
        let count = ((rows as f64 * fraction).ceil() as usize).clamp(1, POINTS.min(rows - 1));
        // The first numbers of a shuffle, by Fisher and Yates.
        let mut numbers: Vec<usize> = (0..rows).collect();
        for i in 0..count {
            numbers.swap(i, i + stream.below(rows - i));
        }
        let (held, trained) = numbers.split_at_mut(count);
        held.sort_unstable();
        trained.sort_unstable();
        Ok(Self { trained: trained.to_vec(), held: held.to_vec() })
    }
}

/// The rows with these numbers, in this order.
pub(super) fn gather<R: Real>(x: &Tensor<R>, rows: &[usize]) -> Tensor<R> {
    let mut gathered = Tensor::zeros(rows.len(), x.cols());
    for (i, &row) in rows.iter().enumerate() {
        gathered.row_mut(i).copy_from_slice(x.row(row));
    }
    gathered
}

impl Validation {
    /// Draws the points from the rows held out; `pairing` is that of the training, if rows are joined, with the rows of the source that
    /// belong to these.
    ///
    /// # Errors
    /// Those of [`Pairing::draw`].
    pub(super) fn new(
        objective: &Objective,
        z_1: Tensor<f32>,
        conditions: Option<Tensor<f32>>,
        pairing: Option<&Pairing>,
        streams: Streams,
    ) -> Result<Self> {
        let d = z_1.cols();
        let mut pairs = Pairs { x_0: Tensor::zeros(POINTS, d), rows: (0..POINTS).collect() };
        match pairing {
            Some(pairing) if pairing.coupling != Coupling::Independent || pairing.x_0.is_some() => {
                let (mut x_0, mut rows) = (Vec::new(), Vec::new());
                for batch in 1.. {
                    let drawn = pairing.draw(&z_1, &mut streams.stream(batch << 32))?;
                    x_0.extend_from_slice(drawn.x_0.as_slice());
                    rows.extend(drawn.rows);
                    if rows.len() >= POINTS {
                        break;
                    }
                }
                rows.truncate(POINTS);
                pairs.x_0.as_mut_slice().copy_from_slice(&x_0[..POINTS * d]);
                pairs.rows = rows;
            }
            _ => {
                Source::Normal.draw(&mut streams.stream(1 << 32), pairs.x_0.as_mut_slice());
                pairs.rows.iter_mut().for_each(|row| *row %= z_1.rows());
            }
        }
        let objective = objective.clone().with_times(TimeSampling::Stratified);
        Ok(Self { objective, z_1, conditions, pairs, streams, found: Found::default(), best: Vec::new() })
    }

    /// The rows held out.
    pub(super) fn held(&self) -> &Tensor<f32> {
        &self.z_1
    }

    /// Their conditions, if there are any.
    pub(super) fn conditions(&self) -> Option<&Tensor<f32>> {
        self.conditions.as_ref()
    }

    /// How many they are.
    pub(super) fn rows(&self) -> u64 {
        self.z_1.rows() as u64
    }

    /// Whether it is time for a validation.
    pub(super) fn is_due(step: u64, end: u64) -> bool {
        step.is_multiple_of(EVERY) || step == end
    }

    /// Finds the loss of a network, and keeps its parameters if none had less.
    #[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    pub(super) fn validate(
        &mut self,
        velocity: &Mlp,
        step: u64,
        slots: &mut [Slot],
        rows_at_once: usize,
    ) -> f64 {
        let (blocks, d, count) = (POINTS.div_ceil(rows_at_once), self.z_1.cols(), slots.len());
        // Each row under its condition: what a dropped one gives is not what samples are drawn with.
        let beside = self.conditions.as_ref().map(|conditions| Beside { conditions, dropout: 0.0 });
        slots.par_iter_mut().enumerate().for_each(|(s, slot)| {
            slot.loss = 0.0;
            for block in s * blocks / count..(s + 1) * blocks / count {
                let first = block * rows_at_once;
                let share = Share { first, rows: rows_at_once.min(POINTS - first), batch: POINTS };
                let of = first..first + share.rows;
                let joined = Joined {
                    x_0: &self.pairs.x_0.as_slice()[of.start * d..of.end * d],
                    rows: &self.pairs.rows[of],
                };
                let mut stream = self.streams.stream(block as u64);
                slot.loss += self.objective.draw_and_measure(
                    &mut slot.worker,
                    velocity.weights(),
                    &self.z_1,
                    Some(joined),
                    beside,
                    &mut stream,
                    share,
                );
            }
        });
        let loss = slots.iter().map(|slot| slot.loss).sum::<f64>() / POINTS as f64; // E11
        if self.found.least.is_none_or(|(_, least)| loss < least) {
            self.found = Found { least: Some((step, loss)), stale: 0 };
            self.best = velocity.parameters().to_vec();
        } else {
            self.found.stale += 1;
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn each_row_is_on_one_side() {
        for (rows, fraction, held) in
            [(2, 0.1, 1), (10, 0.25, 3), (100, 0.1, 10), (3, 0.99, 2), (100_000, 0.1, 4096)]
        {
            let stream = &mut Rng::from_seed(3).fork(Purpose::Batch).stream(0);
            let split = Split::new(rows, fraction, stream).unwrap();
            assert_eq!(split.held.len(), held, "{rows}, {fraction}");
            let mut all = [split.held.clone(), split.trained.clone()].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows));
            assert!(rows < 10 || split.held.iter().copied().ne(0..held), "drawn, not the first");
        }
        assert!(Split::new(1, 0.5, &mut Rng::from_seed(3).fork(Purpose::Batch).stream(0)).is_err());
    }
}
