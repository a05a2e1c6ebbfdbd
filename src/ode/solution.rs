//! [`Solution`] and [`Trajectory`]: what comes back from a solver, with what it took ([`Stats`], [`RowStats`]) and why it
//! stopped ([`Reason`]).

use crate::kernel::Real;
use crate::tensor::Tensor;

/// What one row took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowStats {
    /// Evaluations of the field: a stage counts one, with or without its divergence.
    pub nfe: u64,
    /// Steps that were made.
    pub accepted: u64,
    /// Steps that were tried and thrown away; 0 for fixed steps.
    pub rejected: u64,
    /// Why it takes no more.
    pub reason: Reason,
}

/// Why a row takes no more steps. In a [`Solution`] of [`Solver::solve`](super::Solver::solve) every row is `Done`: the
/// others are errors there, but a caller who makes the steps one by one can go on without such rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reason {
    /// It is on its way.
    #[default]
    Running,
    /// It is at t_1.
    Done,
    /// It has used `max_steps`: [`Error::Steps`](crate::Error::Steps).
    Steps,
    /// It would need a step below `min_step`, or one that does not move t:
    /// [`Error::StepSize`](crate::Error::StepSize).
    StepSize,
    /// However short the step, the field answers NaN or infinity: [`Error::Velocity`](crate::Error::Velocity) or
    /// [`Error::Overflow`](crate::Error::Overflow).
    NotFinite,
}

/// What a run took: means over its rows. With fixed steps every row takes the same, otherwise each its own.
///
/// # Example
/// ```
/// use pushforward::ode::{Reason, RowStats, Stats};
///
/// let easy = RowStats { nfe: 14, accepted: 2, rejected: 0, reason: Reason::Done };
/// let hard = RowStats { nfe: 26, accepted: 3, rejected: 1, reason: Reason::Done };
/// let stats = Stats::of(&[easy, hard]);
/// assert_eq!(stats, Stats { rows: 2, nfe: 20.0, accepted: 2.5, rejected: 0.5 });
/// assert_eq!(Stats::of(&[easy]).merge(Stats::of(&[hard])), stats);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stats {
    /// How many rows there are.
    pub rows: u64,
    /// Mean of [`RowStats::nfe`]; 0 without rows.
    pub nfe: f64,
    /// Mean of [`RowStats::accepted`].
    pub accepted: f64,
    /// Mean of [`RowStats::rejected`].
    pub rejected: f64,
}

impl Stats {
    /// The means over `rows`.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of evaluations are far below 2^53")]
    pub fn of(rows: &[RowStats]) -> Self {
        let mean = |f: fn(&RowStats) -> u64| match rows.len() {
            0 => 0.0,
            n => rows.iter().map(f).sum::<u64>() as f64 / n as f64,
        };
        Self {
            rows: rows.len() as u64,
            nfe: mean(|row| row.nfe),
            accepted: mean(|row| row.accepted),
            rejected: mean(|row| row.rejected),
        }
    }

    /// The means over the rows of two runs: of a part and of the next one.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^53")]
    pub fn merge(self, other: Self) -> Self {
        let rows = self.rows + other.rows;
        let mean = |a: f64, b: f64| match rows {
            0 => 0.0,
            n => (a * self.rows as f64 + b * other.rows as f64) / n as f64,
        };
        Self {
            rows,
            nfe: mean(self.nfe, other.nfe),
            accepted: mean(self.accepted, other.accepted),
            rejected: mean(self.rejected, other.rejected),
        }
    }
}

/// The end of an integration.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution<R: Real = f32> {
    /// The rows at the last time, [B, d].
    pub x: Tensor<R>,
    /// What each row carried, [B, C] for the C numbers of [`Worker::carries`](crate::field::Worker::carries), as a rule 1: the
    /// integrals of the rates of [`Worker::eval_carry`](crate::field::Worker::eval_carry) in the direction of the
    /// integration, from 0.
    pub carry: Vec<f64>,
    /// What each row took, length B.
    pub rows: Vec<RowStats>,
    /// What they took on average.
    pub stats: Stats,
}

/// The course of an integration at equally spaced times.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory<R: Real = f32> {
    /// The K + 1 times, the first and the last one exactly the ends asked for.
    pub t: Vec<f64>,
    /// The rows at each of these times, K + 1 matrices [B, d].
    pub x: Vec<Tensor<R>>,
    /// What each row took, length B.
    pub rows: Vec<RowStats>,
    /// What they took on average.
    pub stats: Stats,
}
