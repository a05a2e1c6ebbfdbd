//! `pushforward train`: fits a velocity to the rows of a table.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::ProgressBar;
use pushforward::data::{Standardize, Table};
use pushforward::file::AtomicFile;
use pushforward::nn::{Adam, MlpShape};
use pushforward::train::{Run, Standardization, Step};
use pushforward::{AffinePath, Error, Flow, Mlp, Rng, Trainer};
use serde_json::json;

use crate::args::{Common, TrainArgs};
use crate::console::{Interrupt, Interrupted, Usage, warn};

/// Lines of the log, but for the last step and rounding.
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
    if args.output == Path::new("-") {
        return Err(Usage("a model is written to a file: give its name with -o").into());
    }
    for output in std::iter::once(&args.output).chain(&args.log) {
        drop(AtomicFile::create(output)?);
    }

    // Toy, network, training: the order in which they draw is part of what a seed means.
    let mut rng = Rng::from_seed(common.seed);
    let table = args.data.load(&args.reading, &mut rng)?;
    let standardization = if args.standardize { Standardization::On } else { Standardization::Off };
    let standardize = match standardization {
        Standardization::On => Standardize::fit(&table.values)?,
        Standardization::Off => Standardize::identity(table.values.cols()),
    };
    let constants = describe(&table, &standardize, common);
    let velocity = Mlp::initialize(shape(standardize.model_dim()), &mut rng)?.with_simd(simd);
    let parameters = velocity.parameters().len();
    let run = trainer(args, adam, standardization).start(velocity, &table.values, &mut rng)?;

    let Table { header, values, dropped } = table;
    let (rows, columns) = (values.rows(), values.cols());
    drop(values); // the run has its own
    let start = Instant::now();
    let flow = Training { args, common, header, start }.go(run)?;
    let seconds = start.elapsed().as_secs_f64();
    flow.save(&args.output)?;

    let record = flow.record().context("a trained model has a record")?;
    let steps_per_s = f64::from(u32::try_from(record.steps).unwrap_or(u32::MAX)) / seconds;
    common.say(format_args!(
        "{} steps of {} rows in {seconds:.1} s ({steps_per_s:.0} steps/s), loss {:.4}: {}",
        record.steps,
        record.batch,
        record.loss,
        args.output.display()
    ));
    common.print_json(&json!({
        "model": args.output.display().to_string(),
        "rows": rows,
        "columns": columns,
        "dropped": dropped,
        "constants": constants,
        "parameters": parameters,
        "steps": record.steps,
        "batch": record.batch,
        "seed": record.seed,
        "simd": record.simd,
        "loss": record.loss,
        "seconds": seconds,
        "train_steps_per_s": steps_per_s,
    }))?;
    Ok(())
}

fn trainer(args: &TrainArgs, adam: Adam, standardization: Standardization) -> Trainer {
    let trainer = Trainer::new(AffinePath::new(args.scheduler))
        .source(args.source)
        .coupling(args.coupling)
        .adam(adam)
        .lr_schedule(args.lr_schedule)
        .warmup(args.warmup)
        .standardization(standardization);
    let trainer = args.steps.map_or(trainer.clone(), |steps| trainer.steps(steps.get()));
    args.batch.map_or(trainer.clone(), |batch| trainer.batch(batch.get()))
}

/// Says what was read; the names of the constant columns.
fn describe(table: &Table, standardize: &Standardize, common: &Common) -> Vec<String> {
    let (rows, columns, dropped) = (table.values.rows(), table.values.cols(), table.dropped);
    let names = table.names();
    let header = if table.header.is_some() { "header" } else { "no header" };
    common.say(format_args!("{rows} rows, {columns} columns ({header}): {}", names.join(", ")));
    if dropped > 0 {
        let rows = if dropped == 1 { "row" } else { "rows" };
        warn(format_args!("warning: {dropped} {rows} with missing cells left out"));
    }
    for j in standardize.constants() {
        let value = standardize.mean()[j];
        warn(format_args!("warning: column {} is always {value}: it is kept constant", names[j]));
    }
    standardize.constants().into_iter().map(|j| names[j].clone()).collect()
}

/// The loop and what it leaves behind when it does not come to its end.
struct Training<'a> {
    args: &'a TrainArgs,
    common: &'a Common,
    header: Option<Vec<String>>,
    start: Instant,
}

impl Training<'_> {
    fn go(self, mut run: Run) -> anyhow::Result<Flow> {
        let interrupt = Interrupt::watch()?;
        let mut log = self.args.log.as_deref().map(AtomicFile::create).transpose()?;
        let bar = self.common.progress(run.steps());
        if let Err(error) = self.steps(&mut run, &interrupt, log.as_mut(), &bar) {
            bar.abandon();
            return Err(self.rescue(&run, error));
        }
        bar.finish_and_clear();
        let flow = run.flow()?.with_header(self.header)?;
        if let Some(log) = log {
            log.commit()?;
        }
        Ok(flow)
    }

    fn steps(
        &self,
        run: &mut Run,
        interrupt: &Interrupt,
        mut log: Option<&mut AtomicFile>,
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        let every = run.steps().div_ceil(LOG_LINES);
        let mut shown = Instant::now();
        while !run.is_done() {
            interrupt.check()?;
            let step = run.step()?;
            if let Some(log) = log.as_deref_mut().filter(|_| step.step % every == 0 || run.is_done()) {
                self.write_line(log, &step)?;
            }
            if shown.elapsed() > REFRESH {
                shown = Instant::now();
                bar.set_position(step.step);
                bar.set_message(format!("loss {:.4}", run.recent_loss()));
            }
        }
        Ok(())
    }

    fn write_line(&self, log: &mut AtomicFile, step: &Step) -> Result<(), Error> {
        let line = json!({
            "step": step.step,
            "loss": step.loss,
            "lr": step.lr,
            "gradient_norm": step.gradient_norm,
            "seconds": self.start.elapsed().as_secs_f64(),
        });
        let path = log.path().to_path_buf();
        writeln!(log, "{line}").map_err(|source| Error::Io { action: "write", path, source })
    }

    /// Keeps the last good model of a run that ended early, beside the one it was to write.
    fn rescue(self, run: &Run, error: anyhow::Error) -> anyhow::Error {
        if !error.is::<Interrupted>() && !matches!(error.downcast_ref(), Some(Error::Diverged { .. })) {
            return error;
        }
        let (target, kept) = (self.args.output.display(), last_good(&self.args.output));
        let saved =
            run.flow().and_then(|flow| flow.with_header(self.header)).and_then(|flow| flow.save(&kept));
        let (done, steps) = (run.steps_done(), run.steps());
        error.context(match saved {
            Ok(()) => {
                format!(
                    "{target} was not written, the model after {done} of {steps} steps is {}",
                    kept.display()
                )
            }
            Err(failed) => format!("{target} was not written, nor the last good model ({failed})"),
        })
    }
}

/// The name of the model that a failed run leaves: `MODEL.last-good`.
fn last_good(model: &Path) -> PathBuf {
    let mut name: OsString = model.into();
    name.push(".last-good");
    name.into()
}
