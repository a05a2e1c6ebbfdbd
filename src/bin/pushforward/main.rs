//! The program `pushforward`: train, sample, score and look at flows from the command line.

// The program answers in words. What may still panic says why.
#![deny(
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::string_slice,
    clippy::indexing_slicing
)]

mod args;
mod audit;
mod bench;
mod config;
mod console;
mod course;
mod data;
mod demo;
mod encode;
mod evaluate;
mod exchange;
mod form;
mod info;
mod input;
mod manual;
mod memory;
mod plot;
mod report;
mod sample;
mod score;
mod train;
mod trajectory;

use std::io;
use std::process::ExitCode;

use anyhow::Context as _;
use pushforward::Error;

use crate::args::{Args, Command};
use crate::config::{Refused, Wrong};
use crate::console::{Interrupted, Usage, listen, warn};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;
/// More than any machine gains from: starting a million threads would take minutes and fail.
const MOST_THREADS: usize = 1024;

fn main() -> ExitCode {
    let args = match config::parse(std::env::args_os().collect()) {
        Ok(args) => args,
        Err(Refused::Config(error)) => {
            warn(format_args!("error: {error:#}"));
            return ExitCode::from(status(&error));
        }
        Err(Refused::Usage(error)) => {
            let _ = error.print(); // a closed pipe has no reader to tell
            return if error.use_stderr() { ExitCode::from(WRONG_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("error: {error:#}"));
            ExitCode::from(status(&error))
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let threads = args.common.threads.map_or(0, usize::from); // 0: one for each core
    if threads > MOST_THREADS {
        return Err(Usage("--threads takes at most 1024").into());
    }
    listen()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let common = &args.common;
    pool.context("cannot start the threads")?.install(|| match &args.command {
        Command::Demo(args) => demo::run(args, common),
        Command::Data(args) => data::run(args, common),
        Command::Train(args) => train::run(args, common),
        Command::Sample(args) => sample::run(args, common),
        Command::Score(args) => score::run(args, common),
        Command::Encode(args) => encode::run(args, common),
        Command::Evaluate(args) => evaluate::run(args, common),
        Command::Info(args) => info::run(args, common),
        Command::Export(args) => exchange::export(args, common),
        Command::Import(args) => exchange::import(args, common),
        Command::Audit(args) => audit::run(args, common),
        Command::Bench(args) => bench::run(args, common),
        Command::Plot(args) => plot::run(args, common),
        Command::Completions(args) => manual::completions(args, common),
        Command::Man(args) => manual::man(args, common),
    })
}

/// Whoever read the output has seen enough: that is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io =
        |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<io::Error>().map(io::Error::kind);
    error.chain().any(|cause| io(cause) == Some(io::ErrorKind::BrokenPipe))
}

fn status(error: &anyhow::Error) -> u8 {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        return interrupted.status();
    }
    match error.downcast_ref() {
        Some(Error::Setting { .. } | Error::Unknown { .. } | Error::Simd { .. }) => WRONG_USAGE,
        _ if error.is::<Usage>() || error.is::<Wrong>() => WRONG_USAGE,
        _ => FAILED,
    }
}
