//! `pushforward train`: fits a velocity to the rows of a table.

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::ProgressBar;
use pushforward::data::{Column, Conditions, Kind, Layout, Standardize};
use pushforward::file::AtomicFile;
use pushforward::flow::TrainingRecord;
use pushforward::nn::{Adam, MlpShape};
use pushforward::rng::Purpose;
use pushforward::train::{Run, Standardization, Step};
use pushforward::{AffinePath, Coupling, Error, Flow, Mlp, Rng, Trainer};
use serde_json::json;

use crate::args::{Chosen, Common, Start, Steps, TrainArgs};
use crate::console::{Interrupt, Interrupted, Usage, warn};
use crate::course;
use crate::input::Data;
use crate::memory;
use crate::report::{self, Seen};

/// Lines of the log, but for the last step, validations and rounding.
const LOG_LINES: u64 = 1000;

/// Between two looks of the progress bar.
const REFRESH: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &TrainArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    let shape = |dim| MlpShape {
        dim,
        hidden: args.hidden.clone(),
        activation: args.activation,
        time_embedding: args.time_embedding,
        condition: 0,
    };
    // Whatever can be refused is refused before the data are read.
    let adam = Adam {
        lr: args.lr,
        weight_decay: args.weight_decay,
        clip: args.clip,
        ema: args.ema.0,
        ..Adam::default()
    };
    adam.check()?;
    shape(1).check()?;
    args.coupling.check()?;
    if let (Data::Standard, Start::Rows(Data::Standard)) = (&args.data, &args.source) {
        return Err(Usage("source and target cannot both be standard input").into());
    }
    memory::check(&shape(1), &args.data, common)?;
    if args.output == Path::new("-") {
        return Err(Usage("a model is written to a file: give its name with -o").into());
    }
    let state = beside(&args.output, "train");
    let states = (args.resume || args.checkpoint_every.is_some()).then_some(&state);
    for output in std::iter::once(&args.output).chain(&args.log).chain(&args.report).chain(states) {
        drop(AtomicFile::create(output)?);
    }

    // Toy, source, whole numbers, network, training: the order in which they draw is part of what a seed means.
    let mut rng = Rng::from_seed(common.seed);
    let wanted = Some(args.columns.as_slice()).filter(|names| !names.is_empty());
    let (table, schema) = args.data.load_typed(wanted, &args.declared.declared(), &args.reading, &mut rng)?;
    let layout = Layout::new(schema, &args.condition, table.header.is_some())?;
    let source = match &args.source {
        Start::Normal => None,
        Start::Rows(data) => {
            Some(data.open_as(layout.data(), table.header.is_some(), &args.reading, &mut rng)?.read_all()?)
        }
    };
    if let Some(source) = &source {
        let (rows, dropped) = (source.values.rows(), source.dropped);
        common.say(format_args!("{rows} rows of the source"));
        if dropped > 0 {
            warn(format_args!("warning: {dropped} rows of the source with missing cells left out"));
        }
        if args.coupling == Coupling::Paired && dropped + table.dropped > 0 {
            return Err(Usage("with --coupling paired no row may be left out: fill the missing cells").into());
        }
    }
    let (rows, columns, dropped) = (table.values.rows(), table.values.cols(), table.dropped);
    let seen = args.report.is_some().then(|| Seen::of(&table.values, dropped));
    let (numbers, given) = if layout.is_plain() {
        (table.values, None)
    } else {
        let (data, given) = layout.split(&table.values)?;
        (layout.data().dequantise(&data, rng.fork(Purpose::Dequantisation))?, given)
    };
    let source = match source {
        Some(source) if !layout.data().is_plain() => {
            Some(layout.data().dequantise(&source.values, rng.fork(Purpose::Dequantisation))?)
        }
        source => source.map(|source| source.values),
    };
    let conditions = match &given {
        Some(given) => Some(Conditions::fit(layout.condition_columns(), given)?),
        None => None,
    };
    let standardization = if args.standardize { Standardization::On } else { Standardization::Off };
    let standardize = match standardization {
        Standardization::On => Standardize::fit(&numbers)?,
        Standardization::Off => Standardize::identity(numbers.cols()),
    };
    let constants = describe(&layout, [rows, dropped], &standardize, common);
    let condition = conditions.as_ref().map_or(0, Conditions::width);
    let shape = MlpShape { condition, ..shape(standardize.model_dim()) };
    let velocity = Mlp::initialize(shape, &mut rng)?.with_simd(simd);
    let parameters = velocity.parameters().len();
    let mut trainer = trainer(args, adam, standardization);
    if let Some((conditions, given)) = conditions.zip(given) {
        trainer = trainer.conditions(conditions, given);
    }
    let mut run = match &source {
        None => trainer.start(velocity, &numbers, &mut rng)?,
        Some(source) => trainer.start_from(velocity, source, &numbers, &mut rng)?,
    };
    let source_seen = source.as_ref().filter(|_| args.report.is_some()).map(|source| Seen::of(source, 0));
    drop((source, numbers)); // the run has its own
    // A run that goes on may know an earlier end: the lines of its log are those of the whole.
    let every = run.steps().div_ceil(LOG_LINES);
    let course = if args.resume { resume(&mut run, &state)? } else { None };
    if states.is_some() && course.is_none() && state.exists() {
        let state = state.display();
        warn(format_args!(
            "warning: {state} is of an earlier run, which --resume would go on with: it will be replaced"
        ));
    }
    let resumed = run.steps_done();
    let start = Instant::now();
    let course = course.unwrap_or_default();
    let flow = Training {
        args,
        common,
        layout: &layout,
        start,
        before: seconds_of(&course),
        state: &state,
        course,
        every,
    }
    .go(run)?;
    let seconds = start.elapsed().as_secs_f64();
    flow.save(&args.output)?;
    if let (Some(report), Some(seen)) = (&args.report, &seen) {
        report::training(report, &args.output, &flow, seen, source_seen.as_ref(), common)?;
    }
    if states.is_some() {
        remove(&state)?;
    }

    let record = flow.record().context("a trained model has a record")?;
    let steps_per_s = f64::from(u32::try_from(record.steps - resumed).unwrap_or(u32::MAX)) / seconds;
    common.say(format_args!(
        "{} steps of {} rows in {seconds:.1} s ({steps_per_s:.0} steps/s), loss {:.4}{}: {}",
        record.steps,
        record.batch,
        record.loss,
        record.validation.map_or_else(String::new, |found| format!(
            ", {:.4} on {} rows held out, least after {} steps",
            found.loss, found.rows, found.step
        )),
        args.output.display()
    ));
    common.print_json(&json!({
        "model": args.output.display().to_string(),
        "rows": rows,
        "columns": columns,
        "schema": layout.table(),
        "conditions": args.condition,
        "dropped": dropped,
        "constants": constants,
        "parameters": parameters,
        "steps": record.steps,
        "resumed_after": resumed,
        "batch": record.batch,
        "coupling": record.coupling,
        "coupling_batch": record.coupling_batch,
        "source_rows": record.source_rows,
        "seed": record.seed,
        "simd": record.simd,
        "loss": record.loss,
        "validation": record.validation,
        "seconds": seconds,
        "train_steps_per_s": steps_per_s,
    }))?;
    Ok(())
}

fn trainer(args: &TrainArgs, adam: Adam, standardization: Standardization) -> Trainer {
    let mut trainer = Trainer::new(AffinePath::new(args.scheduler).predicting(args.predict).wide(args.width))
        .coupling(args.coupling)
        .adam(adam)
        .warmup(args.warmup)
        .time(args.time)
        .weight(args.weight)
        .standardization(standardization);
    trainer = match args.steps {
        Steps::Auto => trainer.auto(),
        Steps::Number(steps) => trainer.steps(steps.get()),
    };
    if let Some(lr_schedule) = args.lr_schedule {
        trainer = trainer.lr_schedule(lr_schedule);
    }
    if let Chosen::Is(baseline) = args.baseline {
        trainer = trainer.baseline(baseline);
    }
    if let Some(fraction) = args.validation {
        trainer = trainer.validation(fraction);
    }
    if let Some(validations) = args.patience {
        trainer = trainer.patience(validations.get());
    }
    if let Some(rows) = args.coupling_batch {
        trainer = trainer.coupling_batch(rows.get());
    }
    if let Some(probability) = args.condition_dropout {
        trainer = trainer.condition_dropout(probability);
    }
    match args.batch {
        Some(batch) => trainer.batch(batch.get()),
        None => trainer,
    }
}

/// Says what was read; the names of the constant columns.
fn describe(
    layout: &Layout,
    [rows, dropped]: [usize; 2],
    standardize: &Standardize,
    common: &Common,
) -> Vec<String> {
    let columns: Vec<String> = layout.table().columns().iter().map(in_words).collect();
    let header = if layout.header().is_some() { "header" } else { "no header" };
    common.say(format_args!("{rows} rows, {} columns ({header}): {}", columns.len(), columns.join(", ")));
    if let Some(conditions) = layout.conditions() {
        let names: Vec<&str> = conditions.columns().iter().map(Column::name).collect();
        common.say(format_args!("given, not learnt: {}", names.join(", ")));
    }
    if dropped > 0 {
        let rows = if dropped == 1 { "row" } else { "rows" };
        warn(format_args!("warning: {dropped} {rows} with missing cells left out"));
    }
    let names = layout.data().names_of_numbers();
    let columns = names.into_iter().zip(standardize.mean().iter().zip(standardize.std()));
    let constants = columns.filter(|(_, (_, std))| **std <= 0.0);
    let said = |(name, (value, _)): (String, (&f64, &f64))| {
        warn(format_args!("warning: column {name} is always {value}: it is kept constant"));
        name
    };
    constants.map(said).collect()
}

/// A column, and what it holds if that is not just numbers.
fn in_words(column: &Column) -> String {
    let name = column.name();
    match (column.kind(), column.bounds()) {
        (Kind::Numeric, None) => name.to_owned(),
        (Kind::Numeric, Some(bounds)) => format!("{name} (in {bounds})"),
        (Kind::Integer, None) => format!("{name} (integer)"),
        (Kind::Integer, Some(bounds)) => format!("{name} (integer in {bounds})"),
        (Kind::Categorical, _) => format!("{name} ({} categories)", column.categories().len()),
    }
}

/// Goes on from a state, if there is one: the lines of the log until then.
fn resume(run: &mut Run, state: &Path) -> Result<Option<String>, Error> {
    match run.resume(state) {
        Ok(course) => {
            let (done, steps, state) = (run.steps_done(), run.steps(), state.display());
            warn(format_args!("resumed after {done} of {steps} steps from {state}"));
            Ok(Some(course))
        }
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            warn(format_args!("there is no {}: the training starts anew", state.display()));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The time at the end of a log.
fn seconds_of(course: &str) -> f64 {
    let last = course.lines().last().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    last.and_then(|line| line.get("seconds")?.as_f64()).unwrap_or(0.0)
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::Io { action: "remove", path: path.into(), source })
        }
        _ => Ok(()),
    }
}

/// The loop and what it leaves behind when it does not come to its end.
struct Training<'a> {
    args: &'a TrainArgs,
    common: &'a Common,
    layout: &'a Layout,
    start: Instant,
    /// Seconds of the runs that this one goes on from.
    before: f64,
    state: &'a Path,
    /// The lines of the log so far.
    course: String,
    /// Steps between two lines.
    every: u64,
}

impl Training<'_> {
    fn go(mut self, mut run: Run) -> anyhow::Result<Flow> {
        let interrupt = Interrupt::watch()?;
        let log = self.args.log.as_deref().map(AtomicFile::create).transpose()?;
        let bar = self.common.progress(run.steps());
        if let Err(error) = self.steps(&mut run, &interrupt, &bar) {
            bar.abandon();
            return Err(self.rescue(&run, error));
        }
        bar.finish_and_clear();
        let flow = with_table(run.flow()?, self.layout)?;
        let record = flow.record().cloned().context("a trained model has a record")?;
        let (settings, course) = (Some(self.args.settings.clone()), course::thinned(&self.course));
        let flow = flow.with_record(TrainingRecord { settings, course, ..record });
        if let Some(mut log) = log {
            let path = log.path().to_path_buf();
            let written = log.write_all(self.course.as_bytes());
            written.map_err(|source| Error::Io { action: "write", path, source })?;
            log.commit()?;
        }
        Ok(flow)
    }

    fn steps(&mut self, run: &mut Run, interrupt: &Interrupt, bar: &ProgressBar) -> anyhow::Result<()> {
        let checkpoint_every = self.args.checkpoint_every.map_or(u64::MAX, u64::from);
        let mut shown = Instant::now();
        while !run.is_done() {
            interrupt.check()?;
            let step = run.step()?;
            if step.validation.is_some() {
                bar.set_length(run.steps());
            }
            if step.step % self.every == 0 || step.validation.is_some() || run.is_done() {
                self.note(&step);
            }
            if step.step.is_multiple_of(checkpoint_every) && !run.is_done() {
                run.save_state(self.state, &self.course)?;
            }
            if shown.elapsed() > REFRESH {
                shown = Instant::now();
                bar.set_position(step.step);
                let held = run.best().map_or_else(String::new, |(_, least)| format!(", held out {least:.4}"));
                bar.set_message(format!("loss {:.4}{held}", run.recent_loss()));
            }
        }
        Ok(())
    }

    /// Adds a line to the log.
    fn note(&mut self, step: &Step) {
        let mut line = json!({
            "step": step.step,
            "loss": step.loss,
            "lr": step.lr,
            "gradient_norm": step.gradient_norm,
            "seconds": self.before + self.start.elapsed().as_secs_f64(),
        });
        if let (Some(validation), Some(line)) = (step.validation, line.as_object_mut()) {
            line.insert("validation".into(), validation.into());
        }
        self.course += &format!("{line}\n");
    }

    /// Keeps the state of a run that was interrupted, if states are wanted, and else the last good model of a run that ended
    /// early, beside the one it was to write.
    fn rescue(self, run: &Run, error: anyhow::Error) -> anyhow::Error {
        let (interrupted, states) =
            (error.is::<Interrupted>(), self.args.resume || self.args.checkpoint_every.is_some());
        if interrupted && states {
            let (done, steps, state) = (run.steps_done(), run.steps(), self.state.display());
            return error.context(match run.save_state(self.state, &self.course) {
                Ok(()) => format!(
                    "the state after {done} of {steps} steps is {state}: the same command line with --resume goes on from it"
                ),
                Err(failed) => format!("the state after {done} steps could not be kept ({failed}); an older one may be {state}"),
            });
        }
        if !error.is::<Interrupted>() && !matches!(error.downcast_ref(), Some(Error::Diverged { .. })) {
            return error;
        }
        let (target, kept) = (self.args.output.display(), beside(&self.args.output, "last-good"));
        let saved =
            run.flow().and_then(|flow| with_table(flow, self.layout)).and_then(|flow| flow.save(&kept));
        let (done, steps) = (run.steps_done(), run.steps());
        error.context(match saved {
            Ok(()) => {
                let hint = if interrupted { "; with --checkpoint-every N it could be resumed" } else { "" };
                format!(
                    "{target} was not written, the model after {done} of {steps} steps is {}{hint}",
                    kept.display()
                )
            }
            Err(failed) => format!("{target} was not written, nor the last good model ({failed})"),
        })
    }
}

/// The flow with the table of its data.
fn with_table(flow: Flow, layout: &Layout) -> pushforward::Result<Flow> {
    if layout.is_plain() { flow.with_header(layout.header()) } else { flow.with_layout(layout.clone()) }
}

/// The name of a file that stands beside the model: `MODEL.train`, its state, or `MODEL.last-good`, what a failed run leaves.
fn beside(model: &Path, word: &str) -> PathBuf {
    let mut name: OsString = model.into();
    name.push(".");
    name.push(word);
    name.into()
}
