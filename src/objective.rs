//! What is trained: the conditional flow-matching loss and its gradient.
//!
//! # Math
//! L_CFM(theta) = E_{t, X_0, X_1} |v_theta(t, X_t) - dX_t/dt|², the sum over the columns and the mean over the rows of
//! a batch (E11); t is uniform in [0, 1) ([`TimeSampling`]), X_0 from the source and X_1 a row of the data drawn with replacement
//! (independent coupling), or both joined by another coupling (E25). Its gradient is that of |v - u|² against the marginal velocity (E12), so that its
//! minimum is the field that carries source to target; its value stays above the floor V of E12. Times may have a weight
//! ([`TimeWeight`]). Beside a Gaussian baseline (E29) the network learns the rest, in units in which that has size 1; its error counts
//! by the square of that unit, so that the loss is the same.
//!
//! # Shapes
//! A batch has B rows; the parameters and their gradient are flat ([`crate::nn::Mlp`]).
//!
//! # Source
//! Lipman et al. 2023, arXiv:2210.02747; Tong et al. 2024, arXiv:2302.00482.

mod time;
mod weight;

pub use time::{Share, TimeSampling};
pub use weight::TimeWeight;

use std::sync::Arc;

use crate::autodiff::{Derivatives, Replay, Tape, Var, Weights};
use crate::closed_form::{BaselineWorker, GaussianBaseline};
use crate::error::{Error, Result};
use crate::field::VectorField;
use crate::kernel::{Real, Rows, Simd, prefetch};
use crate::nn::{MlpShape, MlpVars};
use crate::path::{AffinePath, PathSample, Prediction, Width};
use crate::rng::Stream;
use crate::source::Source;
use crate::tensor::Tensor;

/// Rows of a batch that are carried through the network together, forward and backward, while they are in cache: 64, or 128
/// of a batch of 2048 or more. Each block reads all weights and writes a whole gradient, so that of a large batch fewer and
/// larger ones are quicker (1 to 3 % with 512 x 4 units and 4096 rows); a small one needs them to share the work.
#[must_use]
pub fn rows_per_block(batch: usize) -> usize {
    if batch < 2048 { 64 } else { 128 }
}

/// E11 of a field on given rows of a path: the sum over columns and the mean over rows of |u(t, x_t) - dx_t|². // E11
///
/// # Errors
/// Whatever keeps the field from answering.
///
/// # Example
/// ```
/// use pushforward::{AffinePath, Tensor, field::FnField, objective};
///
/// let path = AffinePath::default();
/// let (x_0, x_1) = (Tensor::from_rows(&[[0.0], [1.0]]), Tensor::from_rows(&[[2.0], [2.0]]));
/// let sample = path.sample(x_0, x_1, vec![0.5, 0.5])?; // velocities 2 and 1
/// let one = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 1.0);
/// assert_eq!(objective::loss(&one, &sample)?, 0.5);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
pub fn loss<R: Real>(field: &impl VectorField<R>, sample: &PathSample<R>) -> Result<f64> {
    let mut u = Tensor::zeros(sample.x_t.rows(), sample.x_t.cols());
    let t = sample.times();
    field.eval(&t, &sample.x_t, &mut u)?;
    let squares =
        u.as_slice().iter().zip(sample.dx_t.as_slice()).map(|(u, v)| (u.to_f64() - v.to_f64()).powi(2));
    Ok(squares.sum::<f64>() / sample.t.len() as f64)
}

/// Rows that were joined before ([`crate::coupling::Pairing`]): a part of a coupling batch.
#[derive(Debug, Clone, Copy)]
pub struct Joined<'a, R> {
    /// Source rows, [B, d], one after the other.
    pub x_0: &'a [R],
    /// The numbers of the target rows, length B.
    pub rows: &'a [usize],
}

/// What the network is given of each row of the data beside x and t.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a, R: Real> {
    /// For each row of the data its numbers, [N, c].
    pub conditions: &'a Tensor<R>,
    /// The probability with which a row of a batch is trained without its condition: all its numbers are then 0. // E27
    pub dropout: f64,
}

/// The loss of a network, recorded as a tape.
#[derive(Debug, Clone)]
pub struct Objective {
    path: AffinePath,
    source: Source,
    times: TimeSampling,
    weight: TimeWeight,
    /// What the network only adds to, and the level at which it is computed. // E29
    baseline: Option<(Arc<GaussianBaseline>, Simd)>,
    tape: Arc<Tape>,
    network: MlpVars,
    target: Var,
    loss: Var,
}

/// The memory to compute the loss and its gradient for one block of rows at a time.
#[derive(Debug)]
pub struct ObjectiveWorker<R: Real> {
    replay: Replay<R>,
    x_0: Vec<R>,      // [B, d]
    row: Vec<usize>,  // [B]
    time: Vec<f64>,   // [B]
    t: Vec<R>,        // [B]
    x_t: Vec<R>,      // [B, d]
    dx_t: Vec<R>,     // [B, d]
    noise: Vec<R>,    // [B, d], of a path with a width
    counts: Vec<f64>, // [B], what the error of each row counts for
    baseline: Option<BaselineWorker<R>>,
}

impl<R: Real> ObjectiveWorker<R> {
    /// The numbers of the target rows that were drawn last, of which there were `rows`.
    pub(crate) fn rows(&self, rows: usize) -> &[usize] {
        &self.row[..rows]
    }
}

impl Objective {
    /// Records the loss of a network for a path from a source.
    #[must_use]
    pub fn new(shape: &MlpShape, path: AffinePath, source: Source) -> Self {
        let mut tape = Tape::default();
        let network = shape.record(&mut tape);
        let target = tape.constant(shape.dim);
        let loss = tape.squared_error(network.u, target);
        let (times, weight) = (TimeSampling::default(), TimeWeight::default());
        Self { path, source, times, weight, baseline: None, tape: Arc::new(tape), network, target, loss }
    }

    /// The same loss of a network that only adds to a baseline, which is computed at this level. // E29
    ///
    /// # Errors
    /// [`Error::Dimension`] if the baseline has other columns than the network; [`Error::Setting`] if another prediction than the
    /// velocity is learnt.
    pub fn beside(self, baseline: GaussianBaseline, simd: Simd) -> Result<Self> {
        let d = self.tape.cols(self.network.x);
        if baseline.dim() != d {
            return Err(Error::Dimension {
                what: "columns of the baseline",
                expected: d,
                found: baseline.dim(),
                remedy: "fit it to rows of the network's dimension",
            });
        }
        if self.path.prediction != Prediction::Velocity {
            return Err(Error::Setting {
                name: "baseline",
                value: format!("asked of a network of the {}", self.path.prediction),
                remedy: "a network beside a baseline learns the velocity",
            });
        }
        Ok(Self { baseline: Some((Arc::new(baseline), simd)), ..self })
    }

    /// The same loss with other times and another weight of them.
    #[must_use]
    pub fn timed(self, times: TimeSampling, weight: TimeWeight) -> Self {
        Self { times, weight, ..self }
    }

    /// The same loss with other times.
    #[must_use]
    pub fn with_times(self, times: TimeSampling) -> Self {
        Self { times, ..self }
    }

    /// The memory for blocks of at most `rows` rows.
    #[must_use]
    pub fn worker<R: Real>(&self, rows: usize) -> ObjectiveWorker<R> {
        let zeros = vec![R::ZERO; rows * self.tape.cols(self.network.x)];
        let derivatives = Derivatives { parameters: true, ..Derivatives::default() };
        ObjectiveWorker {
            replay: Replay::new(Arc::clone(&self.tape), rows, derivatives),
            x_0: zeros.clone(),
            row: vec![0; rows],
            time: vec![0.0; rows],
            t: vec![R::ZERO; rows],
            x_t: zeros.clone(),
            dx_t: zeros.clone(),
            noise: if self.path.width == Width::None { vec![] } else { zeros },
            counts: vec![1.0; rows],
            baseline: self
                .baseline
                .as_ref()
                .map(|(baseline, simd)| BaselineWorker::new(baseline, *simd, rows, 1)),
        }
    }

    /// Draws some rows of a batch, adds their part of the batch's gradient to `gradient`, and returns the sum of their
    /// weighted squared errors. Rows that were `joined` before are taken as they are, and only times are drawn.
    ///
    /// # Panics
    /// If `rows` exceed those of the worker or are not as many as were joined, there is no data, or the gradient is not as long as the parameters.
    #[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one sum; a struct of them would have this as its only use"
    )]
    pub fn draw_and_add<R: Real>(
        &self,
        worker: &mut ObjectiveWorker<R>,
        weights: &Weights<R>,
        x_1: &Tensor<R>,
        joined: Option<Joined<'_, R>>,
        beside: Option<Beside<'_, R>>,
        stream: &mut Stream,
        share: Share,
        gradient: &mut [R],
    ) -> f64 {
        self.draw(worker, x_1, joined, beside, stream, share);
        self.add(worker, weights, share.rows, 1.0 / share.batch as f64, gradient)
    }

    /// Draws some rows of a batch and returns the sum of their weighted squared errors, as [`Objective::draw_and_add`] without the
    /// gradient.
    ///
    /// # Panics
    /// As [`Objective::draw_and_add`].
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one sum; a struct of them would have this as its only use"
    )]
    pub fn draw_and_measure<R: Real>(
        &self,
        worker: &mut ObjectiveWorker<R>,
        weights: &Weights<R>,
        x_1: &Tensor<R>,
        joined: Option<Joined<'_, R>>,
        beside: Option<Beside<'_, R>>,
        stream: &mut Stream,
        share: Share,
    ) -> f64 {
        self.draw(worker, x_1, joined, beside, stream, share);
        self.measure(worker, weights, share.rows)
    }

    /// Draws some rows and fills them in.
    pub(crate) fn draw<R: Real>(
        &self,
        worker: &mut ObjectiveWorker<R>,
        x_1: &Tensor<R>,
        joined: Option<Joined<'_, R>>,
        beside: Option<Beside<'_, R>>,
        stream: &mut Stream,
        share: Share,
    ) {
        let (d, rows) = (x_1.cols(), share.rows);
        let mut times = self.times.times(share);
        let ObjectiveWorker { replay, x_0, row, time, x_t, dx_t, noise, counts, .. } = &mut *worker;
        if let Some(joined) = joined {
            x_0[..rows * d].copy_from_slice(joined.x_0);
            row[..rows].copy_from_slice(joined.rows);
            for (time, counts) in time.iter_mut().zip(&mut *counts).take(rows) {
                (*time, *counts) = times.next(stream);
            }
        } else {
            self.source.draw(stream, &mut x_0[..rows * d]);
            for ((row, time), counts) in row.iter_mut().zip(&mut *time).zip(&mut *counts).take(rows) {
                *row = stream.below(x_1.rows());
                prefetch(x_1.row(*row)); // it stands anywhere, and is needed when all of them are drawn
                (*time, *counts) = times.next(stream);
            }
        }
        let points = x_t.chunks_exact_mut(d).zip(dx_t.chunks_exact_mut(d));
        for (i, (x_t, dx_t)) in points.enumerate().take(rows) {
            self.path.point(time[i], &x_0[i * d..(i + 1) * d], x_1.row(row[i]), x_t, dx_t); // E13
            counts[i] *= self.weight_at(time[i]);
        }
        if self.path.width != Width::None {
            Source::Normal.draw(stream, &mut noise[..rows * d]);
            for i in 0..rows {
                let of = i * d..(i + 1) * d;
                self.path.widen(time[i], &noise[of.clone()], &mut x_t[of.clone()], &mut dx_t[of]); // E26
            }
        }
        // What is learnt takes the place of the velocity. // E15
        match self.path.prediction {
            Prediction::Velocity => {}
            Prediction::Noise => dx_t[..rows * d].copy_from_slice(&x_0[..rows * d]),
            Prediction::Target => {
                for (y, row) in dx_t.chunks_exact_mut(d).zip(&row[..rows]) {
                    y.copy_from_slice(x_1.row(*row));
                }
            }
        }
        // Drawn last, so that a training without conditions draws the same numbers.
        if let (Some(condition), Some(Beside { conditions, dropout })) = (self.network.condition, beside) {
            let mut to = replay.input_mut(condition, rows);
            for (i, &row) in row[..rows].iter().enumerate() {
                if dropout > 0.0 && stream.uniform() < dropout {
                    to.row_mut(i).fill(R::ZERO); // E27
                } else {
                    to.row_mut(i).copy_from_slice(conditions.row(row));
                }
            }
        }
        self.fill_in(worker, rows);
    }

    /// Hands times, points and what is learnt of them to the tape.
    fn fill_in<R: Real>(&self, worker: &mut ObjectiveWorker<R>, rows: usize) {
        let d = self.tape.cols(self.network.x);
        let ObjectiveWorker { replay, time, t, x_t, dx_t, counts, baseline, .. } = worker;
        let (x_t, dx_t) = (&mut x_t[..rows * d], &mut dx_t[..rows * d]);
        if let Some(baseline) = baseline {
            baseline.set_times(self.path.scheduler, time[..rows].iter().copied());
            baseline.leave_residual(x_t, dx_t, &mut counts[..rows]); // E29
        }
        for (t, time) in t.iter_mut().zip(&time[..rows]) {
            *t = R::from_f64(*time);
        }
        replay.input_mut(self.network.t, rows).copy_from(Rows::new(&t[..rows], 1, 1), 0);
        replay.input_mut(self.network.x, rows).copy_from(Rows::new(x_t, d, d), 0);
        replay.input_mut(self.target, rows).copy_from(Rows::new(dx_t, d, d), 0);
    }

    fn weight_at(&self, t: f64) -> f64 {
        match self.weight {
            TimeWeight::None => 1.0,
            weight => weight.factor(self.path.prediction, self.path.coefficients(t)),
        }
    }

    /// E11 on given rows, with the weights of their times, and its gradient.
    ///
    /// # Panics
    /// If the columns are not those of the network.
    pub fn gradient<R: Real>(&self, weights: &Weights<R>, sample: &PathSample<R>) -> (f64, Vec<R>) {
        self.gradient_given(weights, sample, None)
    }

    /// As [`Objective::gradient`] with a condition for each row, [B, c], of a network that has conditions.
    ///
    /// # Panics
    /// As [`Objective::gradient`].
    #[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    pub fn gradient_given<R: Real>(
        &self,
        weights: &Weights<R>,
        sample: &PathSample<R>,
        conditions: Option<&Tensor<R>>,
    ) -> (f64, Vec<R>) {
        let (rows, d) = (sample.t.len(), self.tape.cols(self.network.x));
        let (mut sum, mut gradient) = (0.0, vec![R::ZERO; self.tape.parameters()]);
        let most = rows_per_block(rows);
        let mut worker = self.worker(most);
        for first in (0..rows).step_by(most) {
            let block = most.min(rows - first);
            for i in 0..block {
                let at = first + i;
                worker.time[i] = sample.t[at];
                worker.counts[i] = self.weight_at(sample.t[at]);
                let learnt = match self.path.prediction {
                    Prediction::Velocity => &sample.dx_t,
                    Prediction::Target => &sample.x_1,
                    Prediction::Noise => &sample.x_0,
                };
                let of = i * d..(i + 1) * d;
                worker.x_t[of.clone()].copy_from_slice(sample.x_t.row(at));
                worker.dx_t[of].copy_from_slice(learnt.row(at));
                if let (Some(condition), Some(values)) = (self.network.condition, conditions) {
                    worker.replay.input_mut(condition, block).row_mut(i).copy_from_slice(values.row(at));
                }
            }
            self.fill_in(&mut worker, block);
            sum += self.add(&mut worker, weights, block, 1.0 / rows as f64, &mut gradient);
        }
        (sum / rows as f64, gradient)
    }

    /// Forward of the rows that were filled in.
    fn measure<R: Real>(&self, worker: &mut ObjectiveWorker<R>, weights: &Weights<R>, rows: usize) -> f64 {
        let ObjectiveWorker { replay, counts, .. } = worker;
        replay.forward(weights, rows);
        let loss = replay.value(self.loss, rows);
        (0..rows).map(|i| counts[i] * loss.row(i)[0].to_f64()).sum() // E11
    }

    /// Forward and backward of the rows that were filled in.
    fn add<R: Real>(
        &self,
        worker: &mut ObjectiveWorker<R>,
        weights: &Weights<R>,
        rows: usize,
        weight: f64,
        gradient: &mut [R],
    ) -> f64 {
        let sum = self.measure(worker, weights, rows);
        let ObjectiveWorker { replay, counts, .. } = worker;
        let mut cotangent = replay.cotangent_mut(self.loss, rows);
        for (i, count) in counts.iter().enumerate().take(rows) {
            cotangent.row_mut(i)[0] = R::from_f64(weight * count);
        }
        replay.vjp(self.loss, weights, Some(gradient), rows);
        sum
    }
}
