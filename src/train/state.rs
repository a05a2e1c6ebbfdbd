//! The state of a training: written at any step, it gives the same model, to the byte, as a run that was never stopped.
//!
//! # Math
//! Random numbers depend on the seed and on the number of a step alone, so a state is the parameters, what the optimiser
//! remembers, the number of steps, the last losses, whose mean goes into the record, and of a training with rows held out the best
//! parameters with their loss. Everything else is made anew from
//! the settings and the data, and so these must be the same: all fields of [`Trainer`](super::Trainer), the network's shape, the
//! seed, the SIMD level, the version of the crate, and a SHA-256 of the data in the network's units. They are compared by
//! their names in the file: a setting that is added later is covered.
//!
//! # Limits
//! The number of threads is no setting. A state is about 20 bytes a parameter.

use std::path::Path;

use super::validation::Found;
use super::{RECENT, Run, State, Trainer};
use crate::checkpoint::{self, Contents, Kind, Loaded};
use crate::error::{Error, Result};
use crate::kernel::SimdLevel;
use crate::nn::{MEMORY, MlpShape};
use crate::tensor::Tensor;

const SAME: &str = "give the settings and the data it was begun with, or remove it to start anew";
/// The section of the parameters that did best on the rows held out.
const BEST: &str = "best";
const ANEW: &str = "remove it to start anew";

/// What must be the same when a training goes on.
#[derive(serde::Serialize)]
struct Settings<'a> {
    version: &'static str,
    simd: SimdLevel,
    seed: u64,
    network: &'a MlpShape,
    #[serde(flatten)]
    trainer: &'a Trainer,
    data: Data<'a>,
}

#[derive(serde::Serialize)]
struct Data<'a> {
    rows: u64,
    columns: usize,
    mean: &'a [f64],
    std: &'a [f64],
    sha256: &'a str,
}

/// How far a training has come.
#[derive(serde::Serialize, serde::Deserialize)]
struct Progress {
    steps: u64,
    end: u64,
    losses: Vec<f64>,
    validation: Option<Found>,
}

impl Run {
    /// Writes the state after the steps made so far, from which [`Run::resume`] goes on; the file is replaced once the new one is
    /// complete. `kept` is a text of the caller, to be found again.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, [`Error::Setting`] for a run that diverged, or a text of more than 64 MiB.
    pub fn save_state(&self, path: &Path, kept: &str) -> Result<()> {
        if self.state != State::Running {
            return Err(Error::Setting {
                name: "state",
                value: "one of a training that diverged".into(),
                remedy: "go on from a state before, with a lower learning rate from the start",
            });
        }
        let losses = self.losses.iter().copied().collect();
        let validation = self.validation.as_ref().map(|validation| validation.found);
        let mut contents = Contents::new(Kind::Training)
            .fields("settings", &self.settings())?
            .fields("progress", &Progress { steps: self.done, end: self.end, losses, validation })?
            .fields("kept", &kept)?
            .numbers("parameters", self.velocity.parameters())?;
        for (which, name) in MEMORY.into_iter().enumerate() {
            contents = contents.parts(name, self.optimizer.memory(which))?;
        }
        if let Some(validation) = &self.validation {
            contents = contents.numbers(BEST, &validation.best)?;
        }
        contents.write(path)
    }

    /// Goes on from a state that [`Run::save_state`] wrote, and returns the text that was kept with it. The run must have been
    /// prepared with the same settings and data.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Format`] if it is damaged or of another training: the setting that differs is
    /// named. The run is then as it was.
    pub fn resume(&mut self, path: &Path) -> Result<String> {
        let mut loaded = checkpoint::read(path, Kind::Training)?;
        self.check_settings(&mut loaded)?;
        let Progress { steps, end, losses, validation } = loaded.fields("progress")?;
        let kept = loaded.fields("kept")?;
        let parameters = loaded.numbers("parameters")?;
        let mut memory = MEMORY.map(|_| Vec::new());
        for (numbers, name) in memory.iter_mut().zip(MEMORY) {
            *numbers = loaded.numbers(name)?;
        }
        let best = if validation.is_some() { loaded.numbers(BEST)? } else { Vec::new() };
        loaded.end()?;
        let validated = validation.is_some_and(|found| found.least.is_some());
        let recent = usize::try_from(steps).unwrap_or(RECENT).min(RECENT);
        let finite = parameters.iter().all(|number| number.is_finite());
        if steps > end
            || end > self.trainer.steps
            || validation.is_some() != self.validation.is_some()
            || best.len() != if validated { parameters.len() } else { 0 }
            || losses.len() != recent
            || !finite
            || parameters.len() != self.velocity.parameters().len()
            || !self.optimizer.remember(steps, &memory)
        {
            return Err(loaded.bad("its parts do not fit together".into(), ANEW));
        }
        self.velocity.weights_mut().update(|theta| theta.copy_from_slice(&parameters));
        if let (Some(own), Some(found)) = (&mut self.validation, validation) {
            (own.found, own.best) = (found, best);
        }
        (self.done, self.end) = (steps, end);
        self.losses = losses.into();
        Ok(kept)
    }

    fn settings(&self) -> Settings<'_> {
        let standardize = self.flow.standardize();
        Settings {
            version: env!("CARGO_PKG_VERSION"),
            simd: self.velocity.weights().simd().level(),
            seed: self.seed,
            network: self.velocity.shape(),
            trainer: &self.trainer,
            data: Data {
                rows: self.rows,
                columns: standardize.dim(),
                mean: standardize.mean(),
                std: standardize.std(),
                sha256: self.fingerprint(),
            },
        }
    }

    /// SHA-256 of all tables that the training sees, in the network's units.
    pub(super) fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| {
            let source = self.pairs.as_ref().and_then(|pairs| pairs.pairing.x_0.as_ref());
            let held = self.validation.as_ref().map(|validation| validation.held());
            let beside = self.validation.as_ref().and_then(|validation| validation.conditions());
            let tables: Vec<&[f32]> = std::iter::once(&self.z_1)
                .chain(held)
                .chain(source)
                .chain(&self.conditions)
                .chain(beside)
                .map(Tensor::as_slice)
                .collect();
            checkpoint::fingerprint(&tables)
        })
    }

    /// Looks for the first setting that differs.
    fn check_settings(&self, loaded: &mut Loaded) -> Result<()> {
        let (was, is) = (loaded.flat_fields("settings")?, checkpoint::flat(&self.settings())?);
        let find = |fields: &[(String, String)], name: &str| {
            fields
                .iter()
                .find(|(own, _)| own == name)
                .map_or_else(|| "not there".to_owned(), |(_, value)| value.clone())
        };
        for (name, _) in is.iter().chain(&was) {
            let (was, is) = (find(&was, name), find(&is, name));
            if was != is {
                return Err(loaded.bad(format!("`{name}` was {was} and is {is}"), SAME));
            }
        }
        Ok(())
    }
}
