//! What the program says, and Ctrl-C.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Common;

/// The exit status after Ctrl-C: 128 and the number of SIGINT, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// A use of the program that makes no sense: exit status 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) &'static str);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Usage {}

/// Ctrl-C was pressed: exit status 130.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Whether Ctrl-C was pressed; loops look at it. Before it is made, Ctrl-C ends the program at once, and so does a
/// second one: a loop may be waiting for input.
#[derive(Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first Ctrl-C only sets a flag. To be called once.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        let pressed = move || {
            if set.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(INTERRUPTED));
            }
        };
        ctrlc::set_handler(pressed).context("cannot watch for Ctrl-C")?;
        Ok(Self(flag))
    }

    /// An error once Ctrl-C was pressed.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.0.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }
}

impl Common {
    /// Says something on standard error unless `--quiet`.
    pub(crate) fn say(&self, text: fmt::Arguments<'_>) {
        if !self.quiet {
            warn(text);
        }
    }

    /// A progress bar on standard error, if that is a terminal.
    pub(crate) fn progress(&self, length: u64) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {eta}");
        ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// The same where the number of rows is not known before they are read.
    pub(crate) fn counter(&self) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{spinner} {pos} {msg} {elapsed}");
        ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
    }

    /// Prints the result as one line of JSON, if asked for.
    pub(crate) fn print_json(&self, value: &serde_json::Value) -> io::Result<()> {
        if self.json { print_line(value) } else { Ok(()) }
    }

    /// Standard output holds the data or the JSON, not both.
    pub(crate) fn check_output(&self, output: &Path) -> Result<(), Usage> {
        if self.json && output == Path::new("-") {
            return Err(Usage("--json takes standard output: give the data a file with -o"));
        }
        Ok(())
    }
}

/// A mean of counts as JSON: a whole one, as of fixed steps, is a whole number there.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are neither that large nor negative"
)]
pub(crate) fn count(counts: f64) -> serde_json::Value {
    if counts.fract() == 0.0 { (counts as u64).into() } else { counts.into() }
}

/// Prints one line of JSON.
pub(crate) fn print_line(value: &serde_json::Value) -> io::Result<()> {
    writeln!(io::stdout(), "{value}")
}

/// Says something on standard error.
pub(crate) fn warn(text: fmt::Arguments<'_>) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
