//! Training: [`Trainer`] says how, [`Run`] is the loop as a struct with `step`.
//!
//! # Math
//! Each step draws a batch, computes E11 and its gradient in blocks of 64 or 128 rows, and moves the parameters by Adam.
//!
//! ```text
//! for each slot (in parallel)                     a fixed number, whatever the threads
//!   for each block of the slot, in order: draw from stream (step, block), forward, backward, add to the slot's gradient
//! gradient = slots added in their order; parameters moved by Adam; weights packed anew
//! ```
//! Rows that a coupling joins (E25) are computed for 16 coupling batches at once, one thread each, before they are used.
//! Blocks, slots and streams depend on the batch alone: the same seed gives the same bits on any number of threads.
//!
//! # Limits
//! More than 500 lines: the settings, the checks of each, and the one loop that they are for.
//!
//! A loss or gradient that is not finite ends the run with [`Error::Diverged`]; [`Run::flow`] then still gives the
//! last parameters whose loss was finite.

mod state;
mod validation;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::closed_form::{Baseline, GaussianBaseline};
use crate::coupling::{Coupling, Matched, Pairing, Pairs};
use crate::data::{Conditions, Standardize};
use crate::error::{Error, Result};
use crate::flow::{Flow, TrainingRecord, Validated};
use crate::kernel::{Aligned, Real};
use crate::nn::{Adam, LrSchedule, Mlp, Optimizer};
use crate::objective::{
    Beside, Joined, Objective, ObjectiveWorker, Share, TimeSampling, TimeWeight, rows_per_block,
};
use crate::path::{AffinePath, Width};
use crate::rng::{Purpose, Rng, Streams};
use crate::source::Source;
use crate::tensor::Tensor;
use validation::{Split, Validation, gather};

/// The most gradients that are kept apart until they are added: no more threads than this help a step.
const SLOTS: usize = 8;

/// As many slots as there are blocks, up to this; from there on two blocks share one, for a slot costs a pass over its gradient.
const FEWEST_SLOTS: usize = 4;

/// The most rows of a batch: a larger number is a slip, and one step of it would take minutes.
const LARGEST_BATCH: usize = 1 << 24;

/// The most rows that are paired at once.
const LARGEST_COUPLING_BATCH: usize = 1 << 16;

/// Coupling batches that are computed together, each by one thread. Fixed, so that their order depends on nothing.
const COUPLED_AT_ONCE: u64 = 16;

/// The number of last losses whose mean goes into the record.
const RECENT: usize = 100;

/// The most steps of a training that ends by itself ([`Trainer::auto`]).
const AUTO_STEPS: u64 = 20_000;

/// The share of the rows that it holds out.
const AUTO_VALIDATION: f64 = 0.1;

/// Its patience: 1000 steps, over which the average of the parameters forgets.
const AUTO_PATIENCE: u64 = 10;
/// The default probability with which a row is trained without its condition: what guided models use, 0.1 to 0.2, at its low end.
const DROPOUT: f64 = 0.1;

/// A baseline is not chosen for fewer rows than these for each column: of 30 rows of 5 columns it was worse.
const ROWS_A_COLUMN: usize = 10;

/// Nor for more columns: their axes take seconds to find.
const MOST_COLUMNS_CHOSEN: usize = 256;

/// Nor where correlations tell less than this, in nats.
const LEAST_CORRELATION: f64 = 0.3;

/// Whether the data are brought to mean 0 and standard deviation 1 before the network sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standardization {
    /// Yes: mean and standard deviation of each column become part of the model.
    #[default]
    On,
    /// No: the network sees the data as they are.
    Off,
}

/// How to train: a builder, checked once by [`Trainer::start`] or [`Trainer::fit`].
///
/// # Example
/// ```
/// use pushforward::{AffinePath, Mlp, Rng, Solver, Tensor, Trainer, data::toy};
///
/// let mut rng = Rng::from_seed(0);
/// let x_1: Tensor = toy::gaussian(1000, &mut rng);
/// let velocity = Mlp::new(2, &[16], &mut rng)?;
/// let flow = Trainer::new(AffinePath::default()).steps(50).batch(64).fit(velocity, &x_1, &mut rng)?;
/// assert_eq!(flow.sample(10, &Solver::midpoint().steps(10), &mut rng)?.x.rows(), 10);
/// # Ok::<(), pushforward::Error>(())
/// ```
// Every field is a setting that a resumed training is held to (train/state.rs).
#[derive(Debug, Clone, serde::Serialize)]
pub struct Trainer {
    path: AffinePath,
    source: Source,
    coupling: Coupling,
    coupling_batch: Option<usize>,
    steps: u64,
    batch: usize,
    adam: Adam,
    lr_schedule: LrSchedule,
    warmup: u64,
    standardization: Standardization,
    baseline: Option<Baseline>,
    time: TimeSampling,
    weight: TimeWeight,
    validation: Option<f64>,
    patience: Option<u64>,
    condition_dropout: f64,
    /// Compared with those of a state by the fingerprint of the data.
    #[serde(skip)]
    conditions: Option<Arc<(Conditions, Tensor<f64>)>>,
}

impl Trainer {
    /// The defaults: 5000 steps of 512 rows, Adam at 2e-3 falling to 0 along a cosine, averaged parameters,
    /// standardised data, normal source, independent coupling.
    #[must_use]
    pub fn new(path: AffinePath) -> Self {
        Self {
            path,
            source: Source::Normal,
            coupling: Coupling::Independent,
            coupling_batch: None,
            steps: 5000,
            batch: 512,
            adam: Adam::default(),
            lr_schedule: LrSchedule::default(),
            warmup: 0,
            standardization: Standardization::default(),
            baseline: None,
            time: TimeSampling::default(),
            weight: TimeWeight::default(),
            validation: None,
            patience: None,
            condition_dropout: DROPOUT,
            conditions: None,
        }
    }

    /// As many steps as it needs, 20,000 at most: a tenth of the rows is held out, the learning rate stays until their loss has not
    /// fallen for 1000 steps, and then goes down to 0 in a quarter of the steps made so far.
    ///
    /// Measured (`examples/defaults.rs`, 3 x 64 units, batch 512): steps made, and minus the mean log-density of rows that no
    /// training saw, in nats, for two seeds. `cosine` is the same with the rate along a cosine of 20,000 steps.
    /// ```text
    ///               5000 steps        20,000 steps      cosine, patience                auto
    /// checkerboard  4.043   4.059     3.891   3.876     13,800 3.896  12,800 3.889      17,250 3.872  16,000 3.875
    /// moons         1.083   1.074     1.027   1.022     15,200 1.034  16,500 1.027      18,875 1.022  20,000 1.020
    /// 8gaussians    1.806   1.806     1.734   1.726     18,400 1.739  13,500 1.727      20,000 1.725  16,875 1.716
    /// correlated    3.254   3.293     6.046   6.826      2,700 2.997   4,600 3.340       3,375 2.997   5,750 3.345
    /// mixture       8.837   8.843     8.766   8.788     10,200 8.779  10,400 8.790      12,625 8.779  12,750 8.790
    /// penguins     15.509  15.569    17.388  17.120      2,900 15.492  3,700 15.501      3,625 15.492  4,625 15.503
    /// ```
    /// A fixed number is too small for the 20,000 rows of the toys or far too large for the 150 rows of `correlated` and the 242
    /// penguins. With 15 rows held out, as there, the choice has noise of its own: the second seed does 0.05 worse than 5000 steps.
    /// A cosine stops where its rate is still high and gives up 0.001 to 0.02 of the toys; a tail costs some more steps
    /// elsewhere and gives nothing up.
    #[must_use]
    pub fn auto(self) -> Self {
        Self {
            steps: AUTO_STEPS,
            validation: Some(AUTO_VALIDATION),
            patience: Some(AUTO_PATIENCE),
            lr_schedule: LrSchedule::Tail,
            ..self
        }
    }

    /// The share of the rows that is held out, above 0 and below 1, and at most 4096 rows: every 100 steps the loss on them is found,
    /// and the parameters with the least are the model.
    #[must_use]
    pub fn validation(self, fraction: f64) -> Self {
        Self { validation: Some(fraction), ..self }
    }

    /// How many validations in a row may fail to be better than the best before the training ends
    /// ([`LrSchedule::end_after_stall`]); without a patience it makes all its steps.
    #[must_use]
    pub fn patience(self, validations: u64) -> Self {
        Self { patience: Some(validations), ..self }
    }

    /// Where samples start.
    #[must_use]
    pub fn source(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// How source and target rows are paired. // E25
    #[must_use]
    pub fn coupling(self, coupling: Coupling) -> Self {
        Self { coupling, ..self }
    }

    /// Rows of each side that are paired at once and then used batch after batch; as many as a batch if this is not
    /// called. More give pairs nearer to the transport between the laws themselves. For `ot` and `sinkhorn:REG` only.
    #[must_use]
    pub fn coupling_batch(self, rows: usize) -> Self {
        Self { coupling_batch: Some(rows), ..self }
    }

    /// Number of training steps.
    #[must_use]
    pub fn steps(self, steps: u64) -> Self {
        Self { steps, ..self }
    }

    /// Rows of a batch.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The learning rate, before its schedule.
    #[must_use]
    pub fn lr(self, lr: f64) -> Self {
        Self { adam: Adam { lr, ..self.adam }, ..self }
    }

    /// The optimiser with all its settings.
    #[must_use]
    pub fn adam(self, adam: Adam) -> Self {
        Self { adam, ..self }
    }

    /// The shape of the learning rate.
    #[must_use]
    pub fn lr_schedule(self, lr_schedule: LrSchedule) -> Self {
        Self { lr_schedule, ..self }
    }

    /// Steps over which the learning rate rises.
    #[must_use]
    pub fn warmup(self, warmup: u64) -> Self {
        Self { warmup, ..self }
    }

    /// Whether the data are standardised.
    #[must_use]
    pub fn standardization(self, standardization: Standardization) -> Self {
        Self { standardization, ..self }
    }

    /// What the network is left to add to (E29). If this is not called, it is [`Baseline::Gaussian`] where that is better: on data whose
    /// correlations tell 0.3 nats or more ([`GaussianBaseline::correlation`]), with ten rows or more for each of at most 256
    /// columns, standardised, from a normal source by the coupling `independent` along a path that has a baseline
    /// ([`Flow::check_baseline`]); else [`Baseline::None`].
    ///
    /// Measured (`examples/baselines.rs`, 3 x 64 units, [`Trainer::auto`]): minus the mean log-density of rows that no training saw, in
    /// nats, and steps made; means of three seeds.
    /// ```text
    ///                           correlation   none              gaussian
    /// mean 100, width 0.5       0.4           0.741   4900      0.741   3900
    ///   the same, 100 rows      0.4           0.974   3600      0.926   2500
    /// 5 columns, 0.99 alike     6.8          -0.703   8400     -0.723   8200
    ///   the same, 100 rows      6.9          -0.034   3600     -0.283   2500
    ///   the same, 30 rows       7.1           0.479   2200      0.863   1800
    /// 20 columns, 0.99 alike    37           -8.575  19400     -8.678   7100
    /// 5 columns, 0.5 alike      0.6           6.577   3800      6.548   2600
    /// 5 columns, 0.8 alike      2.0           5.135   5800      5.128   6200
    /// penguins                  1.2          15.589   4300     15.552   5000
    /// moons                     0.1           1.016  14600      1.033   8100
    /// checkerboard              0.0           3.850  20000      3.858  18800
    /// 8gaussians                0.0           1.723  16300      1.731  13000
    /// ```
    /// An offset costs nothing either way: standardisation takes it. What a Gaussian can say of correlated data a network need not
    /// learn; where it says nothing, the toys are some 0.01 worse. A step costs the same within what this machine scatters.
    #[must_use]
    pub fn baseline(self, baseline: Baseline) -> Self {
        Self { baseline: Some(baseline), ..self }
    }

    /// How the times of a batch are drawn.
    #[must_use]
    pub fn time(self, time: TimeSampling) -> Self {
        Self { time, ..self }
    }

    /// How much the error at one time counts beside that at another.
    #[must_use]
    pub fn weight(self, weight: TimeWeight) -> Self {
        Self { weight, ..self }
    }

    /// Conditions of the training rows, values [N, c] as in [`Conditions`]: the network then learns the velocity that carries
    /// the source to q(x_1 | y), and must be made for [`Conditions::width`] numbers
    /// ([`MlpShape::condition`](crate::nn::MlpShape::condition)). Couplings join like with like ([`Matched`]).
    #[must_use]
    pub fn conditions(self, conditions: Conditions, values: Tensor<f64>) -> Self {
        Self { conditions: Some(Arc::new((conditions, values))), ..self }
    }

    /// The probability with which a row is trained without its condition, 0.1 if this is not called: guidance needs it above 0.
    #[must_use]
    pub fn condition_dropout(self, probability: f64) -> Self {
        Self { condition_dropout: probability, ..self }
    }

    /// Trains a velocity on the rows of `x_1`, [N, d]: [`Trainer::start`], every step, [`Run::flow`].
    ///
    /// # Errors
    /// As [`Trainer::start`] and [`Run::step`].
    pub fn fit<R: Real>(self, velocity: Mlp, x_1: &Tensor<R>, rng: &mut Rng) -> Result<Flow> {
        self.start(velocity, x_1, rng)?.finish()
    }

    /// Trains a velocity that carries the law of the rows of `x_0`, [M, d], to that of the rows of `x_1`, [N, d].
    ///
    /// # Errors
    /// As [`Trainer::start_from`] and [`Run::step`].
    ///
    /// # Example
    /// ```
    /// use pushforward::{AffinePath, Coupling, Mlp, Rng, Solver, Tensor, Trainer, data::toy};
    ///
    /// let mut rng = Rng::from_seed(0);
    /// let (x_0, x_1): (Tensor, Tensor) = (toy::moons(1000, &mut rng), toy::gaussian(1000, &mut rng));
    /// let trainer = Trainer::new(AffinePath::default()).coupling(Coupling::ExactOt).steps(20).batch(64);
    /// let flow = trainer.fit_from(Mlp::new(2, &[16], &mut rng)?, &x_0, &x_1, &mut rng)?;
    /// assert_eq!(flow.source_dim(), 2);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn fit_from<R: Real>(
        self,
        velocity: Mlp,
        x_0: &Tensor<R>,
        x_1: &Tensor<R>,
        rng: &mut Rng,
    ) -> Result<Flow> {
        self.start_from(velocity, x_0, x_1, rng)?.finish()
    }

    /// Prepares a training of `velocity` on the rows of `x_1`, [N, d].
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting out of range, or a coupling that needs rows of the source; [`Error::NotFinite`] for NaN or
    /// infinity in the data, [`Error::Dimension`] for fewer rows than columns, or if the network's dimension is not the number of
    /// columns that vary.
    pub fn start<R: Real>(self, velocity: Mlp, x_1: &Tensor<R>, rng: &mut Rng) -> Result<Run> {
        self.source.check_drawn()?;
        self.begin(velocity, None, x_1, rng)
    }

    /// Prepares a training of `velocity` from the rows of `x_0`, [M, d], to those of `x_1`, [N, d]: the source is then
    /// [`Source::Data`], in units of its own ([`Standardize::fit_source`]).
    ///
    /// # Errors
    /// As [`Trainer::start`]; [`Error::Dimension`] if x_0 has no rows, other columns, or for [`Coupling::Paired`] other rows.
    pub fn start_from<R: Real>(
        self,
        velocity: Mlp,
        x_0: &Tensor<R>,
        x_1: &Tensor<R>,
        rng: &mut Rng,
    ) -> Result<Run> {
        if self.coupling == Coupling::Paired && x_0.rows() != x_1.rows() {
            return Err(Error::Dimension {
                what: "rows of the source for the coupling `paired`",
                expected: x_1.rows(),
                found: x_0.rows(),
                remedy: "row i of the source belongs to row i of the target: give equally many",
            });
        }
        Self { source: Source::Data, ..self }.begin(velocity, Some(x_0.cast()), x_1, rng)
    }

    fn begin<R: Real>(
        self,
        velocity: Mlp,
        x_0: Option<Tensor<f64>>,
        x_1: &Tensor<R>,
        rng: &mut Rng,
    ) -> Result<Run> {
        self.check()?;
        x_1.check_finite("the training data", "leave such rows out")?;
        if x_1.rows() < x_1.cols().max(1) {
            return Err(Error::Dimension {
                what: "rows of the training data",
                expected: x_1.cols().max(1),
                found: x_1.rows(),
                remedy: "give at least as many rows as columns (is the table transposed?)",
            });
        }
        let x_1: Tensor<f64> = x_1.cast();
        let standardize = match self.standardization {
            Standardization::On => Standardize::fit(&x_1)?,
            Standardization::Off => Standardize::identity(x_1.cols()),
        };
        let z_1 = standardize.to_model(&x_1)?.cast::<f32>();
        z_1.check_finite("the training data", "standardise them, or give numbers that fit 32 bits")?;
        // Checks the dimensions before anything is computed.
        let mut flow = Flow::new(velocity, self.path, self.source).with_standardize(standardize)?;
        let mut conditions = None;
        if let Some((fitted, values)) = self.conditions.as_deref() {
            if values.rows() != x_1.rows() {
                return Err(Error::Dimension {
                    what: "rows of the conditions",
                    expected: x_1.rows(),
                    found: values.rows(),
                    remedy: "give the condition of each training row",
                });
            }
            flow = flow.with_conditions(fitted.clone(), values)?;
            conditions = Some(fitted.encode(values)?);
        } else if flow.velocity().shape().condition > 0 {
            return Err(Error::Setting {
                name: "conditions",
                value: "none".into(),
                remedy: "the network was made for conditions: give those of the training rows",
            });
        }
        let mut z_0 = None;
        if let Some(x_0) = x_0 {
            if x_0.rows() == 0 {
                let remedy = "give the rows that samples start from";
                return Err(Error::Dimension { what: "rows of the source", expected: 1, found: 0, remedy });
            }
            let units = match self.standardization {
                Standardization::On => Standardize::fit_source(&x_0, flow.standardize())?,
                Standardization::Off => Standardize::identity(x_0.cols()),
            };
            flow = flow.with_source_units(units)?;
            z_0 = Some(flow.source_to_model(&x_0)?);
        }
        let rows = z_1.rows() as u64;
        let mut split = None;
        if let Some(fraction) = self.validation {
            // From a key of its own: the numbers of the training stay.
            let stream = &mut Rng::from_seed(rng.seed()).fork(Purpose::Validation).stream(0);
            split = Some(Split::new(z_1.rows(), fraction, stream)?);
        }
        let held = split.as_ref().map(|split| gather(&z_1, &split.held));
        let z_1 = match &split {
            Some(split) => gather(&z_1, &split.trained),
            None => z_1,
        };
        let mut objective =
            Objective::new(flow.velocity().shape(), self.path, self.source).timed(self.time, self.weight);
        if let Some(baseline) = self.fitted_baseline(&z_1, z_0.as_ref())? {
            flow = flow.with_baseline(baseline.clone())?;
            objective = objective.beside(baseline, flow.velocity().weights().simd())?;
        }
        let rows_at_once = rows_per_block(self.batch);
        let blocks = self.batch.div_ceil(rows_at_once);
        let count = flow.velocity().parameters().len();
        let slots = (0..(blocks / 2).clamp(FEWEST_SLOTS.min(blocks), SLOTS))
            .map(|_| Slot {
                worker: objective.worker(rows_at_once),
                gradient: Aligned::zeros(count),
                loss: 0.0,
            })
            .collect();
        let streams = rng.fork(Purpose::Batch);
        let source_rows = z_0.as_ref().map(|z_0| z_0.rows() as u64);
        let mut held_z_0 = z_0.clone().filter(|_| split.is_some());
        if let (Coupling::Paired, Some(split), Some(all)) = (self.coupling, &split, &z_0) {
            held_z_0 = Some(gather(all, &split.held));
            z_0 = Some(gather(all, &split.trained));
        }
        // Independent rows of N(0, I) are drawn where they are needed.
        let mut pairs = (z_0.is_some() || self.coupling != Coupling::Independent).then(|| PairQueue {
            pairing: Pairing {
                coupling: self.coupling,
                size: self.coupling_batch.unwrap_or(self.batch),
                x_0: z_0,
                matched: None,
                simd: flow.velocity().weights().simd(),
            },
            streams: rng.fork(Purpose::Batch),
            first: 0,
            ready: Vec::new(),
        });
        let mut condition_weight = None;
        if let (Some(pairs), Some((fitted, values))) = (&mut pairs, self.conditions.as_deref()) {
            let values =
                split.as_ref().map_or_else(|| values.clone(), |split| gather(values, &split.trained));
            pairs.pairing.matched = Some(matched(fitted, &values, 0.0)?);
            // From a batch that no step uses.
            let weight = pairs.pairing.weigh(&z_1, &mut pairs.streams.stream(u64::MAX))?;
            condition_weight = (weight > 0.0).then_some(weight);
        }
        let validation = match (&split, held) {
            (Some(split), Some(held)) => {
                let pairing = match &pairs {
                    None => None,
                    Some(PairQueue { pairing, .. }) => {
                        let held_matched = match (self.conditions.as_deref(), &pairing.matched) {
                            (Some((fitted, values)), Some(Matched { weight, .. })) => {
                                Some(matched(fitted, &gather(values, &split.held), *weight)?)
                            }
                            _ => None,
                        };
                        Some(Pairing { x_0: held_z_0, matched: held_matched, ..pairing.clone() })
                    }
                };
                let streams = Rng::from_seed(rng.seed()).fork(Purpose::Validation);
                let conditions = conditions.as_ref().map(|all| gather(all, &split.held));
                Some(Validation::new(&objective, held, conditions, pairing.as_ref(), streams)?)
            }
            _ => None,
        };
        let conditions = match (&split, conditions) {
            (Some(split), Some(all)) => Some(gather(&all, &split.trained)),
            (_, all) => all,
        };
        Ok(Run {
            velocity: flow.velocity().clone(),
            optimizer: Optimizer::new(self.adam, flow.velocity().weights()),
            flow,
            objective,
            rows,
            source_rows,
            z_1,
            numbers: split.map(|split| split.trained),
            conditions,
            condition_weight,
            pairs,
            streams,
            seed: rng.seed(),
            slots,
            done: 0,
            end: self.steps,
            validation,
            losses: VecDeque::with_capacity(RECENT),
            state: State::Running,
            fingerprint: OnceLock::new(),
            trainer: self,
        })
    }

    fn check(&self) -> Result<()> {
        let at_least_one = "give a whole number of at least 1";
        if self.steps == 0 {
            return Err(Error::Setting { name: "steps", value: "0".into(), remedy: at_least_one });
        }
        if !(1..=LARGEST_BATCH).contains(&self.batch) {
            let remedy = "give a whole number from 1 to 16777216";
            return Err(Error::Setting { name: "batch", value: self.batch.to_string(), remedy });
        }
        if self.warmup >= self.steps {
            return Err(Error::Setting {
                name: "warmup",
                value: self.warmup.to_string(),
                remedy: "the warm-up must be shorter than the training: lower it, or raise `steps`",
            });
        }
        let fraction = self.validation.unwrap_or(0.5);
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::Setting {
                name: "validation",
                value: fraction.to_string(),
                remedy: "give the share of the rows to hold out, above 0 and below 1",
            });
        }
        if self.patience.is_some() && self.validation.is_none() {
            return Err(Error::Setting {
                name: "patience",
                value: "with no rows held out".into(),
                remedy: "give a share of the rows too (`validation`): it is their loss that may stall",
            });
        }
        if self.patience == Some(0) {
            return Err(Error::Setting { name: "patience", value: "0".into(), remedy: at_least_one });
        }
        if !(0.0..1.0).contains(&self.condition_dropout) {
            return Err(Error::Setting {
                name: "condition_dropout",
                value: self.condition_dropout.to_string(),
                remedy: "give a probability from 0 to below 1",
            });
        }
        self.path.check()?;
        if self.path.width != Width::None && self.weight != TimeWeight::None {
            return Err(Error::Setting {
                name: "weight",
                value: self.weight.to_string(),
                remedy: "on a path with a width only the error of the velocity is known: take `none`",
            });
        }
        if self.baseline == Some(Baseline::Gaussian) {
            Flow::check_baseline(self.path)?;
            if self.standardization == Standardization::Off {
                return Err(Error::Setting {
                    name: "baseline",
                    value: Baseline::Gaussian.to_string(),
                    remedy: "it needs standardised data: leave standardisation on, or take `none`",
                });
            }
        }
        self.check_coupling()?;
        self.adam.check()
    }

    /// The baseline that was asked for or, where nothing was, that of data on which it is better ([`Trainer::baseline`]).
    fn fitted_baseline(
        &self,
        z_1: &Tensor<f32>,
        z_0: Option<&Tensor<f32>>,
    ) -> Result<Option<GaussianBaseline>> {
        let (rows, columns) = (z_1.rows(), z_1.cols());
        match self.baseline {
            Some(Baseline::Gaussian) => {
                GaussianBaseline::fit(&z_1.cast(), z_0.map(Tensor::cast).as_ref()).map(Some)
            }
            None if self.source == Source::Normal
                && self.coupling == Coupling::Independent
                && self.standardization == Standardization::On
                && Flow::check_baseline(self.path).is_ok()
                && (1..=MOST_COLUMNS_CHOSEN).contains(&columns)
                && rows >= ROWS_A_COLUMN * columns =>
            {
                let baseline = GaussianBaseline::fit(&z_1.cast(), None)?;
                Ok(Some(baseline).filter(|baseline| baseline.correlation() >= LEAST_CORRELATION))
            }
            _ => Ok(None),
        }
    }

    fn check_coupling(&self) -> Result<()> {
        self.coupling.check()?;
        if self.coupling == Coupling::Paired && self.source != Source::Data {
            return Err(Error::Setting {
                name: "coupling",
                value: "paired, with no rows of a source".into(),
                remedy: "give the table whose row i belongs to row i of the data (`--source DATA`)",
            });
        }
        let Some(size) = self.coupling_batch else { return Ok(()) };
        let remedy = match self.coupling {
            Coupling::Independent | Coupling::Paired => "it has a meaning for `ot` and `sinkhorn:REG` only",
            _ if size > LARGEST_COUPLING_BATCH => "give at most 65536",
            _ if size < self.batch || !size.is_multiple_of(self.batch) => "give a multiple of `batch`",
            _ => return Ok(()),
        };
        Err(Error::Setting { name: "coupling_batch", value: size.to_string(), remedy })
    }
}

/// Conditions of some rows, as a coupling sees them.
fn matched(conditions: &Conditions, values: &Tensor<f64>, weight: f64) -> Result<Matched> {
    let (categories, numbers) = (conditions.categories_of(values)?, conditions.numbers_of(values)?);
    Ok(Matched { categories, numbers, weight })
}

/// What one training step found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Its number, counted from 1.
    pub step: u64,
    /// E11 of its batch, in the network's units, before the parameters moved.
    pub loss: f64,
    /// The learning rate.
    pub lr: f64,
    /// The norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The loss on the rows held out after the step, where it was found.
    pub validation: Option<f64>,
}

/// A training that is under way.
#[derive(Debug)]
pub struct Run {
    trainer: Trainer,
    flow: Flow,
    velocity: Mlp,
    optimizer: Optimizer<f32>,
    objective: Objective,
    z_1: Tensor<f32>,
    /// The numbers of these rows in the table, where some are held out.
    numbers: Option<Vec<usize>>,
    /// As the network is given them, [N, c].
    conditions: Option<Tensor<f32>>,
    condition_weight: Option<f64>,
    rows: u64,
    source_rows: Option<u64>,
    pairs: Option<PairQueue>,
    streams: Streams,
    seed: u64,
    slots: Vec<Slot>,
    done: u64,
    /// The last step: that of the settings, or an earlier one after a stall.
    end: u64,
    validation: Option<Validation>,
    losses: VecDeque<f64>,
    state: State,
    /// Of the data, once it was needed.
    fingerprint: OnceLock<String>,
}

/// Whether a training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// The loss at the parameters is not finite.
    LossDiverged,
    /// The loss was finite and its gradient was not, which the last step has followed.
    GradientDiverged,
}

/// One part of a batch: its memory, gradient and loss.
#[derive(Debug)]
struct Slot {
    worker: ObjectiveWorker<f32>,
    gradient: Aligned<f32>,
    loss: f64,
}

/// Coupling batches that were computed ahead, many at once: every thread has its own to compute, and none waits for another but at
/// the end. Batch c is drawn from stream c.
#[derive(Debug)]
struct PairQueue {
    pairing: Pairing,
    streams: Streams,
    /// The number of the first that is ready.
    first: u64,
    ready: Vec<Pairs>,
}

impl PairQueue {
    /// Computes coupling batch `number` and those after it, as many as `steps` steps in all need, if it is not ready.
    fn provide(&mut self, number: u64, z_1: &Tensor<f32>, steps: u64, batch: usize) -> Result<()> {
        if (self.first..self.first + self.ready.len() as u64).contains(&number) {
            return Ok(());
        }
        let needed = steps.div_ceil((self.pairing.size / batch) as u64) - number;
        self.ready = (number..number + needed.min(COUPLED_AT_ONCE))
            .into_par_iter()
            .map(|c| self.pairing.draw(z_1, &mut self.streams.stream(c)))
            .collect::<Result<_>>()?;
        self.first = number;
        Ok(())
    }

    /// The coupling batch of the step after `done` others, and its pair with which that step begins.
    #[allow(clippy::cast_possible_truncation, reason = "below the length of a list, and below 65536 rows")]
    fn of_step(&self, done: u64, batch: usize) -> (Option<&Pairs>, usize) {
        let steps_each = (self.pairing.size / batch) as u64;
        let place = (done / steps_each).checked_sub(self.first);
        (place.and_then(|place| self.ready.get(place as usize)), (done % steps_each) as usize * batch)
    }
}

impl Run {
    /// Makes every step that is left, and gives [`Run::flow`].
    ///
    /// # Errors
    /// As [`Run::step`] and [`Run::flow`].
    pub fn finish(mut self) -> Result<Flow> {
        while !self.is_done() {
            self.step()?;
        }
        self.flow()
    }

    /// Whether every step was made, or the run diverged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state != State::Running || self.done == self.end
    }

    /// Steps made so far.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.done
    }

    /// Steps to make in all, as far as is known.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.end
    }

    /// Makes one step.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the loss or its gradient is not finite: the run is then over, and [`Run::flow`] gives the state before.
    /// Those of [`Coupling::join`] if rows cannot be paired, and [`Error::Setting`] if the run is done.
    #[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    pub fn step(&mut self) -> Result<Step> {
        if self.is_done() {
            return Err(Error::Setting {
                name: "steps",
                value: format!("{}, all of them made", self.done),
                remedy: "ask `is_done` before the next step, or train anew with more of them",
            });
        }
        let batch = self.trainer.batch;
        let rows_at_once = rows_per_block(batch);
        let blocks = batch.div_ceil(rows_at_once);
        let slots = self.slots.len();
        let (mut joined, mut offset) = (None, 0);
        if let Some(pairs) = &mut self.pairs {
            let number = self.done / (pairs.pairing.size / batch) as u64;
            pairs.provide(number, &self.z_1, self.trainer.steps, batch)?;
            (joined, offset) = pairs.of_step(self.done, batch);
        }
        let (weights, objective, z_1) = (self.velocity.weights(), &self.objective, &self.z_1);
        let dropout = self.trainer.condition_dropout;
        let beside = self.conditions.as_ref().map(|conditions| Beside { conditions, dropout });
        let (streams, first_stream) = (self.streams, self.done * blocks as u64);
        self.slots.par_iter_mut().enumerate().for_each(|(s, slot)| {
            slot.gradient.fill(0.0);
            slot.loss = 0.0;
            for block in s * blocks / slots..(s + 1) * blocks / slots {
                let rows = rows_at_once.min(batch - block * rows_at_once);
                let mut stream = streams.stream(first_stream + block as u64);
                let Slot { worker, gradient, loss } = slot;
                let first = offset + block * rows_at_once;
                let joined = joined.map(|Pairs { x_0, rows: of_pairs }| Joined {
                    x_0: &x_0.as_slice()[first * z_1.cols()..(first + rows) * z_1.cols()],
                    rows: &of_pairs[first..first + rows],
                });
                *loss += objective.draw_and_add(
                    worker,
                    weights,
                    z_1,
                    joined,
                    beside,
                    &mut stream,
                    Share { first: block * rows_at_once, rows, batch },
                    gradient,
                );
            }
        });
        let loss = self.slots.iter().map(|slot| slot.loss).sum::<f64>() / batch as f64; // E11
        if !loss.is_finite() {
            return Err(self.diverged(State::LossDiverged, loss));
        }
        let lr =
            self.trainer.adam.lr * self.trainer.lr_schedule.factor(self.done, self.end, self.trainer.warmup);
        let mut gradients = [[].as_slice(); SLOTS];
        for (gradient, slot) in gradients.iter_mut().zip(&self.slots) {
            *gradient = &slot.gradient;
        }
        let gradients = &gradients[..slots];
        let gradient_norm = self.optimizer.step(self.velocity.weights_mut(), gradients, lr);
        if !gradient_norm.is_finite() {
            return Err(self.diverged(State::GradientDiverged, loss));
        }
        self.done += 1;
        if self.losses.len() == RECENT {
            self.losses.pop_front();
        }
        self.losses.push_back(loss);
        let validation = self.validate()?;
        Ok(Step { step: self.done, loss, lr, gradient_norm, validation })
    }

    /// Ends the run: looks through the batch of the step that was being made, drawn once more, or in the pairs that are ready.
    fn diverged(&mut self, state: State, loss: f64) -> Error {
        self.state = state;
        let batch = self.trainer.batch;
        let rows_at_once = rows_per_block(batch);
        let blocks = batch.div_ceil(rows_at_once);
        let mut rows = Vec::with_capacity(batch);
        if let Some(pairs) = &self.pairs {
            let (joined, offset) = pairs.of_step(self.done, batch);
            rows.extend(joined.iter().flat_map(|pairs| pairs.rows.iter().skip(offset).take(batch)));
        } else if let Some(Slot { worker, .. }) = self.slots.first_mut() {
            for block in 0..blocks {
                let first = block * rows_at_once;
                let share = Share { first, rows: rows_at_once.min(batch - first), batch };
                let mut stream = self.streams.stream(self.done * blocks as u64 + block as u64);
                self.objective.draw(worker, &self.z_1, None, None, &mut stream, share);
                rows.extend_from_slice(worker.rows(share.rows));
            }
        }
        let size =
            |&row: &usize| self.z_1.row(row).iter().fold(0.0, |most: f64, z| most.max(z.to_f64().abs()));
        let farthest = rows.iter().max_by(|a, b| size(a).total_cmp(&size(b))).copied().unwrap_or_default();
        let row = self.numbers.as_ref().map_or(farthest, |numbers| numbers[farthest]);
        Error::Diverged { step: self.done + 1, loss, row: row as u64, size: size(&farthest) }
    }

    /// Finds the loss on the rows held out, if it is time for it, and when the training ends.
    fn validate(&mut self) -> Result<Option<f64>> {
        let Some(validation) = self.validation.as_mut().filter(|_| Validation::is_due(self.done, self.end))
        else {
            return Ok(None);
        };
        let simd = self.velocity.weights().simd();
        let theta = self.optimizer.averaged(self.velocity.parameters());
        let averaged = Mlp::from_parameters(self.velocity.shape().clone(), theta)?.with_simd(simd);
        let rows_at_once = rows_per_block(self.trainer.batch);
        let loss = validation.validate(&averaged, self.done, &mut self.slots, rows_at_once);
        let Trainer { steps, warmup, lr_schedule, patience, .. } = self.trainer;
        if self.end == steps && patience.is_some_and(|most| validation.found.stale >= most) {
            self.end = lr_schedule.end_after_stall(self.done, steps, warmup).unwrap_or(steps);
        }
        Ok(Some(loss))
    }

    /// The least loss on the rows held out, and the step after which it was.
    #[must_use]
    pub fn best(&self) -> Option<(u64, f64)> {
        self.validation.as_ref()?.found.least
    }

    /// The mean loss of the last steps (at most 100); NaN before the first.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "at most 100")]
    pub fn recent_loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len() as f64
    }

    /// The flow with the parameters that did best on the rows held out. Where none are, the flow as it is now, with the averaged parameters where an average is kept; after a divergence the last whose loss was
    /// finite.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a parameter is not finite.
    pub fn flow(&self) -> Result<Flow> {
        let best = self.validation.as_ref().filter(|validation| validation.found.least.is_some());
        let theta = match self.state {
            _ if best.is_some() => best.map_or_else(Vec::new, |best| best.best.clone()),
            State::Running => self.optimizer.averaged(self.velocity.parameters()),
            State::LossDiverged => self.optimizer.averaged(&self.optimizer.previous()),
            State::GradientDiverged => self.optimizer.averaged_before(),
        };
        let simd = self.velocity.weights().simd();
        let velocity = Mlp::from_parameters(self.velocity.shape().clone(), theta)?.with_simd(simd);
        let t = &self.trainer;
        let flow = Flow::new(velocity, t.path, t.source).with_standardize(self.flow.standardize().clone())?;
        let flow = match self.flow.source_units() {
            Some(units) => flow.with_source_units(units.clone())?,
            None => flow,
        };
        let flow = match self.flow.baseline() {
            Some(baseline) => flow.with_baseline(baseline.clone())?,
            None => flow,
        };
        let flow = flow.with_conditions_of(&self.flow);
        let conditional = self.conditions.is_some();
        Ok(flow.with_record(TrainingRecord {
            version: env!("CARGO_PKG_VERSION").into(),
            seed: self.seed,
            rows: self.rows,
            steps: self.done,
            batch: t.batch as u64,
            coupling: t.coupling,
            coupling_batch: t.coupling_batch.unwrap_or(t.batch) as u64,
            source_rows: self.source_rows,
            adam: t.adam,
            lr_schedule: t.lr_schedule,
            warmup: t.warmup,
            time: t.time,
            weight: t.weight,
            validation: self.validation.as_ref().and_then(|validation| {
                let (step, loss) = validation.found.least?;
                Some(Validated { rows: validation.rows(), patience: t.patience, step, loss })
            }),
            condition_dropout: if conditional { t.condition_dropout } else { 0.0 },
            condition_weight: self.condition_weight,
            loss: self.recent_loss(),
            simd: simd.level(),
            data_sha256: Some(self.fingerprint().to_owned()),
            course: Vec::new(),
            settings: None,
        }))
    }
}
