//! [`Solution`] and [`Trajectory`]: what comes back from a solver, with its [`Stats`].

use crate::kernel::Real;
use crate::tensor::Tensor;

/// What a run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Evaluations of the field for each row: a stage counts one, with or without its divergence.
    pub nfe: u64,
    /// Steps that were made.
    pub accepted: u64,
    /// Steps that were tried and thrown away; 0 for fixed steps.
    pub rejected: u64,
}

/// The end of an integration.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution<R: Real = f32> {
    /// The rows at the last time, [B, d].
    pub x: Tensor<R>,
    /// What each row carried, length B: the integral of the rate of
    /// [`Worker::eval_carry`](crate::field::Worker::eval_carry) in the direction of the integration, from 0.
    pub carry: Vec<f64>,
    /// What it took.
    pub stats: Stats,
}

/// The course of an integration at equally spaced times.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory<R: Real = f32> {
    /// The K + 1 times, the first and the last one exactly the ends asked for.
    pub t: Vec<f64>,
    /// The rows at each of these times, K + 1 matrices [B, d].
    pub x: Vec<Tensor<R>>,
    /// What it took.
    pub stats: Stats,
}
