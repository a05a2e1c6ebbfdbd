//! [`Flow`]: a trained velocity with its path, its source and the units of its data.
//!
//! # Math
//! Samples are x = mean + std psi_1(z_0), z_0 from the source and psi_1 the flow of the velocity (E1, E2); the
//! log-density is log p(x) = log p_1((x - mean) / std) - sum of ln std (E21): everything that goes in or comes out is in the
//! units of the data.
//!
//! [`Flow::encode`] sends rows back to x_0 = psi_1^-1(x_1), [`Flow::decode`] brings them forth again. x_0 is in the units of the
//! source: N(0, I), or a table with units of its own ([`Flow::source_units`]).
//!
//! # Limits
//! More than 500 lines, half of them documentation: everything that a trained flow can do.
//!
//! The rows of a source of data are not part of the model: samples start from rows that are given, and there is no density.
//!
//! A column that was constant in the training data is no part of the density: it comes back as that constant, and a
//! row that differs from it has the log-density minus infinity. x_0 has no such columns; a row that differs in one of them
//! is not what comes back of its x_0.
//!
//! The network computes in f32: there and back again is the same but for some 1e-6 in standardised columns, however small the
//! tolerance of the solver.

#[cfg(feature = "safetensors")]
mod exchange;
mod given;
mod noisy;
mod sampler;

use std::ops::Range;
use std::path::Path;

use crate::checkpoint::{self, Contents, Kind, Loaded};
use crate::closed_form::{GaussianBaseline, Residual};
use crate::coupling::Coupling;
use crate::data::{Conditions, Layout, Standardize};
use crate::error::{Error, Result};
use crate::field::DifferentiableField;
use crate::kernel::{Real, Simd, SimdLevel};
use crate::likelihood::{self, Divergence, Scores};
use crate::nn::{Adam, LrSchedule, Mlp, MlpShape};
use crate::objective::{TimeSampling, TimeWeight};
use crate::ode::{Solver, Stats, Trajectory};
use crate::path::{AffinePath, Predicted, Prediction, Rescheduled, Scheduler, Transformed, Width};
use crate::rng::{Purpose, Rng, Streams};
use crate::source::Source;
use crate::tensor::Tensor;

pub use sampler::Sampler;

use given::{Bound, Conditional};

/// How a flow was trained.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainingRecord {
    /// The version of this crate.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// Rows of the data.
    pub rows: u64,
    /// Training steps done.
    pub steps: u64,
    /// Rows of a batch.
    pub batch: u64,
    /// The pairing of source and target rows.
    pub coupling: Coupling,
    /// Rows of each side that were paired at once.
    pub coupling_batch: u64,
    /// Rows of a source of data.
    pub source_rows: Option<u64>,
    /// The optimiser.
    pub adam: Adam,
    /// The shape of the learning rate.
    pub lr_schedule: LrSchedule,
    /// Steps of warm-up.
    pub warmup: u64,
    /// How the times of a batch were drawn.
    #[serde(default = "uniform")]
    pub time: TimeSampling,
    /// Whose error was counted.
    #[serde(default)]
    pub weight: TimeWeight,
    /// What was found on the rows held out.
    #[serde(default)]
    pub validation: Option<Validated>,
    /// The probability with which a row was trained without its condition.
    #[serde(default)]
    pub condition_dropout: f64,
    /// What a coupling paid for joining rows with different numbers as conditions, if there were any.
    #[serde(default)]
    pub condition_weight: Option<f64>,
    /// The mean training loss of the last steps (at most 100), in the network's units.
    pub loss: f64,
    /// The SIMD level of the kernels: another level may differ in the last bits.
    pub simd: SimdLevel,
    /// SHA-256 of the data in the network's units, and of all that was trained with.
    #[serde(default)]
    pub data_sha256: Option<String>,
    /// The course of the training: means over as many parts of it as are kept, in order.
    #[serde(default)]
    pub course: Vec<CoursePoint>,
    /// The settings of the program, as the text of a file with which `train --config` repeats the training. The names of the
    /// tables stand in it as they were given.
    #[serde(default)]
    pub settings: Option<String>,
}

/// A part of the course of a training.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CoursePoint {
    /// Its last step.
    pub step: u64,
    /// The mean of the losses that were noted in it.
    pub loss: f64,
    /// The last loss on rows held out that was found in it.
    pub validation: Option<f64>,
}

/// The parameters that a training kept, by their loss on rows that it held out.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Validated {
    /// Rows held out.
    pub rows: u64,
    /// How many validations in a row might fail to be better than the best.
    pub patience: Option<u64>,
    /// The step after which the model's parameters were these.
    pub step: u64,
    /// The loss on the rows held out, in the network's units.
    pub loss: f64,
}

/// Whether a path starts from a source that is wider or narrower than N(0, I).
fn other_width(scheduler: Scheduler) -> bool {
    scheduler.source_std() > 1.0 || scheduler.source_std() < 1.0
}

/// What files hold that do not tell the sampling of times.
fn uniform() -> TimeSampling {
    TimeSampling::Uniform
}

/// A trained velocity, ready to sample and to score.
#[derive(Debug, Clone)]
pub struct Flow {
    velocity: Mlp,
    path: AffinePath,
    source: Source,
    /// The units of a source of data.
    source_units: Option<Standardize>,
    standardize: Standardize,
    /// What the network only adds to. // E29
    baseline: Option<GaussianBaseline>,
    header: Option<Vec<String>>,
    /// The table that its data and conditions are columns of, if it is not their numbers as they are.
    layout: Option<Layout>,
    conditional: Option<Conditional>,
    /// The conditions of the rows that are asked for.
    given: Option<Bound>,
    record: Option<TrainingRecord>,
    /// The scheduler whose path samples take, if it is not the trained one. // E17
    rescheduled: Option<Scheduler>,
}

/// What stands in a model's file beside the parameters.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    shape: MlpShape,
    path: AffinePath,
    source: Source,
    /// The units of a source of data.
    source_units: Option<Standardize>,
    standardize: Standardize,
    #[serde(default)]
    baseline: Option<GaussianBaseline>,
    header: Option<Vec<String>>,
    #[serde(default)]
    layout: Option<Layout>,
    #[serde(default)]
    conditional: Option<Conditional>,
    record: Option<TrainingRecord>,
}

/// Rows of the source that belong to rows of data, and what it took to find them.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// x_0 = psi_1^-1(x_1), [N, [`Flow::source_dim`]] in the units of the source: for N(0, I) one column for each column of the
    /// data that varies, for a source of data all of them.
    pub x_0: Tensor<f32>,
    /// What the solver did.
    pub stats: Stats,
}

/// Samples, and what it took to draw them.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn<R: Real = f32> {
    /// The samples, [N, d], in the units of the data.
    pub x: Tensor<R>,
    /// What the solver did.
    pub stats: Stats,
}

impl Flow {
    /// Joins a velocity with its path and source; its data are taken as they are.
    #[must_use]
    pub fn new(velocity: Mlp, path: AffinePath, source: Source) -> Self {
        let standardize = Standardize::identity(velocity.shape().dim);
        // The source of `ve` is wide: its flow is solved on the linear path, from N(0, I).
        let rescheduled = other_width(path.scheduler).then_some(Scheduler::CondOt);
        Self {
            velocity,
            path,
            source,
            source_units: None,
            standardize,
            baseline: None,
            header: None,
            layout: None,
            conditional: None,
            given: None,
            record: None,
            rescheduled,
        }
    }

    /// The same flow from rows of data in these units.
    ///
    /// # Errors
    /// [`Error::Dimension`] if they are not units of the columns of the data, or of others than the network sees.
    pub fn with_source_units(self, units: Standardize) -> Result<Self> {
        let columns = [
            ("columns of the source", self.dim(), units.dim()),
            ("columns of the source that the network sees", self.standardize.model_dim(), units.model_dim()),
        ];
        for (what, expected, found) in columns {
            if expected != found {
                let remedy = "source and target must have the same columns";
                return Err(Error::Dimension { what, expected, found, remedy });
            }
        }
        Ok(Self { source: Source::Data, source_units: Some(units), ..self })
    }

    /// The same flow in the units of the data.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the network's dimension is not the number of columns that vary.
    pub fn with_standardize(self, standardize: Standardize) -> Result<Self> {
        let (expected, found) = (standardize.model_dim(), self.velocity.shape().dim);
        if expected != found {
            return Err(Error::Dimension {
                what: "dimension of the network",
                expected,
                found,
                remedy: "it must be the number of columns of the data that vary",
            });
        }
        Ok(Self { standardize, ..self })
    }

    /// The same flow with a baseline that its network only adds to. // E29
    ///
    /// # Errors
    /// Those of [`GaussianBaseline::check`]; [`Error::Setting`] on a path that has none ([`Flow::check_baseline`]).
    pub fn with_baseline(self, baseline: GaussianBaseline) -> Result<Self> {
        baseline.check(self.velocity.shape().dim)?;
        Self::check_baseline(self.path)?;
        Ok(Self { baseline: Some(baseline), ..self })
    }

    /// Looks whether there is a Gaussian baseline on a path.
    ///
    /// # Errors
    /// [`Error::Setting`] for a path with noise on the way, or of which target or noise is predicted.
    pub fn check_baseline(path: AffinePath) -> Result<()> {
        let remedy = match (path.prediction, path.width) {
            (Prediction::Velocity, Width::None) => return Ok(()),
            (Prediction::Velocity, _) => "it knows no noise on the way: take `none`, or no width",
            _ => "it is a velocity: predict `velocity`, or take `none`",
        };
        Err(Error::Setting { name: "baseline", value: "gaussian".into(), remedy })
    }

    /// The same flow with names for the columns of its data.
    ///
    /// # Errors
    /// [`Error::Dimension`] if there are not as many names as columns.
    pub fn with_header(self, header: Option<Vec<String>>) -> Result<Self> {
        let found = header.as_ref().map_or(self.dim(), Vec::len);
        if found != self.dim() {
            return Err(Error::Dimension {
                what: "names of columns",
                expected: self.dim(),
                found,
                remedy: "give one for each column of the data",
            });
        }
        Ok(Self { header, ..self })
    }

    /// The same flow for rows of a table: its data are the numbers that the layout's data columns are turned into, its conditions
    /// the layout's conditions. The names of its data become those of these numbers ([`Schema::names_of_numbers`]).
    ///
    /// [`Schema::names_of_numbers`]: crate::data::Schema::names_of_numbers
    ///
    /// # Errors
    /// [`Error::Dimension`] if these are not as many numbers as the flow's data have columns, [`Error::Setting`] if its conditions
    /// are others.
    pub fn with_layout(self, layout: Layout) -> Result<Self> {
        let (expected, found) = (self.dim(), layout.data().width());
        if expected != found {
            let remedy = "give the layout of the table that it was trained on";
            return Err(Error::Dimension { what: "numbers of the layout's data", expected, found, remedy });
        }
        if self.conditions().map_or(&[][..], Conditions::columns) != layout.condition_columns() {
            return Err(Error::Setting {
                name: "layout",
                value: "with other conditions than the flow".into(),
                remedy: "make the conditions of the layout's (`Layout::condition_columns`)",
            });
        }
        let header = layout.header().map(|_| layout.data().names_of_numbers());
        Ok(Self { header, layout: Some(layout), ..self })
    }

    /// The table that its rows are of: that of [`Flow::with_layout`], or of its numbers as they are.
    ///
    /// # Errors
    /// [`Error::Setting`] if two columns have the same name.
    pub fn layout(&self) -> Result<Layout> {
        match &self.layout {
            Some(layout) => Ok(layout.clone()),
            None => Layout::of_numbers(self.header(), self.dim()),
        }
    }

    /// The same flow with the record of its training.
    #[must_use]
    pub fn with_record(self, record: TrainingRecord) -> Self {
        Self { record: Some(record), ..self }
    }

    /// The same flow along the path of another scheduler: the same source, target and psi_1, another way between. // E17
    ///
    /// # Errors
    /// [`Error::Setting`] if its numbers are out of range, if the model was trained on a path with noise on the way, if the source of
    /// the new one is not N(0, I), or if
    /// its path does not start and end where that of [`Flow::scheduler`] does: one that keeps some of the target at t = 0 (`vp`),
    /// or some of the source at t = 1 (`condot-min`), has another psi_1 than one that does not.
    pub fn with_scheduler(self, scheduler: Scheduler) -> Result<Self> {
        let refused =
            |remedy| Err(Error::Setting { name: "scheduler", value: scheduler.to_string(), remedy });
        if self.path.width != Width::None {
            return refused(
                "the model was trained with noise on the way, which another scheduler would change",
            );
        }
        if other_width(scheduler) {
            return refused("its source is not N(0, I): take any other one");
        }
        scheduler.check()?;
        if !scheduler.ends_as(self.scheduler()) {
            return refused(
                "at t = 0 or t = 1 its path is not where that of the model is, and the samples would differ: take another one, or train with it",
            );
        }
        let rescheduled = (scheduler != self.path.scheduler).then_some(scheduler);
        Ok(Self { rescheduled, ..self })
    }

    /// The scheduler of the path that samples take.
    #[must_use]
    pub fn scheduler(&self) -> Scheduler {
        self.rescheduled.unwrap_or(self.path.scheduler)
    }

    /// Hands the velocity of the flow to `f`: what the network predicts, read as a velocity (E15) or added to the baseline (E29), along the scheduler of
    /// [`Flow::scheduler`] (E17). `network` is that of the flow, in any precision.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn with_field<R: Real, T>(
        &self,
        network: &Mlp<R>,
        f: impl FnOnce(&dyn DifferentiableField<R>) -> Result<T>,
    ) -> Result<T> {
        let AffinePath { scheduler, prediction, .. } = self.path;
        self.with_conditions_given(network, |network| {
            let predicted = Transformed::new(network, Predicted { prediction, scheduler });
            let simd = self.velocity.weights().simd();
            let residual =
                self.baseline.as_ref().map(|baseline| Residual::new(network, baseline, scheduler, simd));
            let velocity: &dyn DifferentiableField<R> = match &residual {
                Some(residual) => residual,
                None if prediction == Prediction::Velocity => network,
                None => &predicted,
            };
            match self.rescheduled {
                None => f(velocity),
                Some(to) => f(&Transformed::new(velocity, Rescheduled { from: scheduler, to })),
            }
        })
    }

    /// The same flow, computed at another SIMD level.
    #[must_use]
    pub fn with_simd(self, simd: Simd) -> Self {
        Self { velocity: self.velocity.with_simd(simd), ..self }
    }

    /// The dimension of the data.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.standardize.dim()
    }

    /// The network, in the units of z = (x - mean) / std.
    #[must_use]
    pub fn velocity(&self) -> &Mlp {
        &self.velocity
    }

    /// What the network only adds to, if it was trained so.
    #[must_use]
    pub fn baseline(&self) -> Option<&GaussianBaseline> {
        self.baseline.as_ref()
    }

    /// The path it was trained on.
    #[must_use]
    pub fn path(&self) -> AffinePath {
        self.path
    }

    /// Where samples start.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// The units of the source's rows: nothing for N(0, I), whose rows have one number for each column of the data that varies.
    #[must_use]
    pub fn source_units(&self) -> Option<&Standardize> {
        self.source_units.as_ref()
    }

    /// Columns of a row of the source: those of the data for a source of data, those that vary for N(0, I).
    #[must_use]
    pub fn source_dim(&self) -> usize {
        self.source_units.as_ref().map_or(self.standardize.model_dim(), Standardize::dim)
    }

    /// Rows of the source in their own units, [N, source_dim], as the network sees them, [N, d'].
    ///
    /// # Errors
    /// [`Error::Dimension`] if they have other columns, [`Error::NotFinite`] for NaN, infinity, or what is beyond f32.
    pub fn source_to_model(&self, x_0: &Tensor<f64>) -> Result<Tensor<f32>> {
        x_0.check_cols(
            "columns of x_0",
            self.source_dim(),
            "give the columns of the source, as encoding does",
        )?;
        x_0.check_finite("x_0", "leave such rows out")?;
        let z_0 = self.source_units.as_ref().map_or_else(|| Ok(x_0.clone()), |units| units.to_model(x_0))?;
        let z_0 = z_0.cast::<f32>();
        z_0.check_finite("a row of x_0 in the network's units", "it is too far from the training data")?;
        Ok(z_0)
    }

    /// What the network calls a row of the source, [N, d'], in the source's own units, [N, source_dim].
    ///
    /// # Errors
    /// [`Error::Dimension`] if z_0 has other columns than the network.
    pub fn source_to_data<R: Real, S: Real>(&self, z_0: &Tensor<R>) -> Result<Tensor<S>> {
        self.source_units.as_ref().map_or_else(|| Ok(z_0.cast()), |units| units.to_data(z_0))
    }

    /// The units of the data.
    #[must_use]
    pub fn standardize(&self) -> &Standardize {
        &self.standardize
    }

    /// The names of the data's columns, if it had any.
    #[must_use]
    pub fn header(&self) -> Option<&[String]> {
        self.header.as_deref()
    }

    /// How it was trained, if that is known.
    #[must_use]
    pub fn record(&self) -> Option<&TrainingRecord> {
        self.record.as_ref()
    }

    /// Draws n samples: [n, d]. Sample i depends on the seed and on i only. // E2
    ///
    /// # Errors
    /// [`Error::Setting`] for n = 0 or settings that do not fit the solver, [`Error::Velocity`] if the velocity leaves the
    /// finite numbers, [`Error::Steps`] and [`Error::StepSize`] if a tolerance cannot be reached.
    pub fn sample(&self, n: usize, solver: &Solver, rng: &mut Rng) -> Result<Drawn> {
        if n == 0 {
            return Err(Error::Setting { name: "n", value: "0".into(), remedy: "ask for at least one row" });
        }
        self.sample_rows(0..n, solver, rng.fork(Purpose::Source))
    }

    /// Draws rows `rows` of the one infinite sequence of samples that belongs to `streams`.
    ///
    /// # Errors
    /// As [`Flow::sample`].
    pub fn sample_rows<R: Real>(
        &self,
        rows: Range<usize>,
        solver: &Solver,
        streams: Streams,
    ) -> Result<Drawn<R>> {
        let x_0 = self.draw_source(rows.clone(), streams)?;
        self.with_drawn_conditions(rows, streams)?.decode(&x_0, solver)
    }

    /// Finds the row of the source of each row of x, [N, d]: x_0 = psi_1^-1(x_1), by the flow backwards. // E1
    ///
    /// # Errors
    /// As [`Flow::log_density`].
    ///
    /// # Example
    /// ```
    /// use pushforward::{AffinePath, Flow, Mlp, Rng, Solver, Source, Tensor};
    ///
    /// let velocity = Mlp::new(2, &[16], &mut Rng::from_seed(0))?;
    /// let flow = Flow::new(velocity, AffinePath::default(), Source::Normal);
    /// let x_1 = Tensor::from_rows(&[[0.5_f32, -1.0]]);
    /// let encoded = flow.encode(&x_1, &Solver::dopri5())?;
    /// let again = flow.decode::<f32>(&encoded.x_0, &Solver::dopri5())?;
    /// assert!((again.x.row(0)[1] - -1.0).abs() < 1e-4);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn encode<R: Real>(&self, x: &Tensor<R>, solver: &Solver) -> Result<Encoded> {
        let z = self.to_model(x)?.1;
        self.check_given(z.rows())?;
        let solution = self.with_field(&self.velocity, |field| solver.solve(field, &z, 1.0..0.0))?;
        Ok(Encoded { x_0: self.source_to_data(&solution.x)?, stats: solution.stats })
    }

    /// Pushes rows of the source forward, x_0 of shape [N, d'] as in [`Encoded`]: x_1 = psi_1(x_0), [N, d] in the units of the
    /// data. // E1
    ///
    /// # Errors
    /// [`Error::Dimension`] if x_0 has other columns than the source, [`Error::NotFinite`] for NaN or infinity in it, and those
    /// of the solver as in [`Flow::sample`].
    pub fn decode<R: Real>(&self, x_0: &Tensor<f32>, solver: &Solver) -> Result<Drawn<R>> {
        let z_0 = self.source_to_model(&x_0.cast())?;
        self.check_given(z_0.rows())?;
        let solution = self.with_field(&self.velocity, |field| solver.solve(field, &z_0, 0.0..1.0))?;
        Ok(Drawn { x: self.standardize.to_data(&solution.x)?, stats: solution.stats })
    }

    /// The way of samples from source to target at `intervals` + 1 equally spaced times, in the units of the data. The last ones
    /// are the bits that [`Flow::sample_rows`] gives; a solver that chooses its steps makes the same ones
    /// ([`Solver::trajectory`]).
    ///
    /// # Errors
    /// As [`Flow::sample`]; [`Error::Setting`] if `intervals` does not divide the fixed steps of a solver.
    pub fn trajectory<R: Real>(
        &self,
        rows: Range<usize>,
        intervals: u32,
        solver: &Solver,
        streams: Streams,
    ) -> Result<Trajectory<R>> {
        let x_0 = self.draw_source(rows.clone(), streams)?;
        self.with_drawn_conditions(rows, streams)?.trajectory_from(&x_0, intervals, solver)
    }

    /// As [`Flow::trajectory`] for given rows of the source, [N, d'] as in [`Encoded`]; it ends where [`Flow::decode`] does.
    ///
    /// # Errors
    /// Those of [`Flow::decode`]; [`Error::Setting`] if `intervals` does not divide the fixed steps of a solver.
    pub fn trajectory_from<R: Real>(
        &self,
        x_0: &Tensor<f32>,
        intervals: u32,
        solver: &Solver,
    ) -> Result<Trajectory<R>> {
        let z_0 = self.source_to_model(&x_0.cast())?;
        self.check_given(z_0.rows())?;
        let Trajectory { t, x, rows, stats } =
            self.with_field(&self.velocity, |field| solver.trajectory(field, &z_0, 0.0..1.0, intervals))?;
        let x = x.iter().map(|x| self.standardize.to_data(x)).collect::<Result<_>>()?;
        Ok(Trajectory { t, x, rows, stats })
    }

    fn draw_source(&self, rows: Range<usize>, streams: Streams) -> Result<Tensor<f32>> {
        if rows.is_empty() {
            return Err(Error::Setting {
                name: "rows",
                value: format!("{}..{}", rows.start, rows.end),
                remedy: "give a range of at least one row",
            });
        }
        self.source.check_drawn()?;
        let mut x_0 = Tensor::try_zeros(rows.len(), self.velocity.shape().dim)?;
        self.source.fill(&streams, rows.start, &mut x_0);
        Ok(x_0)
    }

    /// The log-density of each row of x, [N, d], in nats and in the units of the data. // E21
    ///
    /// `rng` is for divergences that are estimated; the exact one draws nothing. A column that does not vary counts for nothing
    /// in an estimate either.
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has other columns than the data, [`Error::NotFinite`] for NaN or infinity in it,
    /// [`Error::Setting`] for settings that do not fit the solver, [`Error::Velocity`] if the velocity leaves the finite
    /// numbers, [`Error::Steps`] and [`Error::StepSize`] if a tolerance cannot be reached.
    pub fn log_density<R: Real>(
        &self,
        x: &Tensor<R>,
        divergence: Divergence,
        solver: &Solver,
        rng: &mut Rng,
    ) -> Result<Scores> {
        self.source.check_density()?;
        let (x, z) = self.to_model(x)?;
        self.check_given(z.rows())?;
        let scores = self.with_field(&self.velocity, |field| {
            likelihood::log_density(field, self.source, &z, divergence, solver, rng)
        })?;
        Ok(self.in_data_units(&x, scores))
    }

    /// As [`Flow::log_density`] for rows of a longer table, the first of which has the number `first_row` there: estimates
    /// depend on `streams` and the numbers of the rows only, so that parts of a table score as the whole.
    ///
    /// # Errors
    /// As [`Flow::log_density`].
    pub fn log_density_rows<R: Real>(
        &self,
        x: &Tensor<R>,
        first_row: usize,
        divergence: Divergence,
        solver: &Solver,
        streams: Streams,
    ) -> Result<Scores> {
        self.source.check_density()?;
        let (x, z) = self.to_model(x)?;
        self.check_given(z.rows())?;
        let scores = self.with_field(&self.velocity, |field| {
            likelihood::log_density_rows(field, self.source, &z, first_row, divergence, solver, streams)
        })?;
        Ok(self.in_data_units(&x, scores))
    }

    /// Rows of data in f64, and as the network sees them.
    fn to_model<R: Real>(&self, x: &Tensor<R>) -> Result<(Tensor<f64>, Tensor<f32>)> {
        let remedy = "they must be the columns the model was trained on";
        x.check_cols("columns of the data", self.dim(), remedy)?;
        x.check_finite("the data", "leave such rows out")?;
        let x: Tensor<f64> = x.cast();
        let z = self.standardize.to_model(&x)?.cast::<f32>();
        z.check_finite("a row in the network's units", "it is too far from the training data")?;
        Ok((x, z))
    }

    /// Log-densities of z as those of x.
    fn in_data_units(&self, x: &Tensor<f64>, mut scores: Scores) -> Scores {
        let log_det = self.standardize.log_det();
        for (i, log_density) in scores.log_density.iter_mut().enumerate() {
            *log_density -= log_det;
            if !self.standardize.is_on_support(x.row(i)) {
                *log_density = f64::NEG_INFINITY;
                if let Some(errors) = &mut scores.standard_error {
                    errors[i] = 0.0; // no probe could change it
                }
            }
        }
        scores
    }

    /// Writes the flow to a file, which is replaced only once the new one is complete.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, [`Error::Setting`] if the names of its columns fill more than 64 MiB, for a path that
    /// [`AffinePath::check`] refuses, and for a source of data without its units.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.contents()?.write(path.as_ref())
    }

    /// Reads a flow from a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Format`] if it is no model or damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::restore(checkpoint::read(path, Kind::Model)?)
    }

    /// Reads a flow from the bytes of a file; `file` is named in errors.
    ///
    /// # Errors
    /// [`Error::Format`] if they are no model, or damaged.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<Self> {
        Self::restore(checkpoint::decode(bytes, file, Kind::Model)?)
    }

    /// The bytes of the file that [`Flow::save`] writes.
    ///
    /// # Errors
    /// [`Error::Setting`] as in [`Flow::save`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.contents()?.to_bytes())
    }

    fn contents(&self) -> Result<Contents<'_>> {
        self.check_kept()?;
        Contents::new(Kind::Model)
            .fields("model", &self.stored())?
            .numbers("parameters", self.velocity.parameters())
    }

    /// Refuses what could be written and not be read again.
    fn check_kept(&self) -> Result<()> {
        self.path.check()?;
        // The rows of data come in units.
        if self.source_units.is_none() { self.source.check_drawn() } else { Ok(()) }
    }

    fn stored(&self) -> Stored {
        Stored {
            shape: self.velocity.shape().clone(),
            path: self.path,
            source: self.source,
            source_units: self.source_units.clone(),
            standardize: self.standardize.clone(),
            baseline: self.baseline.clone(),
            header: self.header.clone(),
            layout: self.layout.clone(),
            conditional: self.conditional.clone(),
            record: self.record.clone(),
        }
    }

    /// Checks what a file said before it is believed.
    fn restore(mut loaded: Loaded) -> Result<Self> {
        let stored = loaded.fields("model")?;
        let parameters = loaded.numbers("parameters")?;
        loaded.end()?;
        let remedy = "its parts do not fit together: train it again";
        Self::build(stored, parameters).map_err(|e| loaded.bad(e.to_string(), remedy))
    }

    fn build(stored: Stored, parameters: Vec<f32>) -> Result<Self> {
        let Stored { shape, path, source, source_units, standardize, baseline, .. } = stored;
        let Stored { header, layout, conditional, record, .. } = stored;
        let velocity = Mlp::from_parameters(shape, parameters)?;
        let flow = Self::new(velocity, path, source).with_standardize(standardize)?.with_header(header)?;
        let flow = match source_units {
            Some(units) => flow.with_source_units(units)?,
            None => flow,
        };
        let flow = match baseline {
            Some(baseline) => flow.with_baseline(baseline)?,
            None => flow,
        };
        flow.check_kept()?;
        let flow = match conditional {
            Some(conditional) => flow.with_conditional(conditional)?,
            None => flow,
        };
        let flow = match layout {
            Some(layout) => flow.with_layout(layout)?,
            None => flow,
        };
        Ok(Self { record, ..flow })
    }
}
