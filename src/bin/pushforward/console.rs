//! What the program says, and the signals it is told to end by.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use pushforward::file::remove_unfinished;

use crate::args::Common;

/// A use of the program that makes no sense: exit status 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) &'static str);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Usage {}

/// The program was told to end, by the signal of this number.
#[derive(Debug)]
pub(crate) struct Interrupted(u8);

const SIGHUP: u8 = 1;
const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

impl Interrupted {
    /// The exit status: 128 and the number of the signal, as shells have it: 130 after Ctrl-C.
    pub(crate) fn status(&self) -> u8 {
        128 + self.0
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            SIGTERM => "interrupted by SIGTERM",
            SIGHUP => "interrupted by SIGHUP",
            _ => "interrupted",
        })
    }
}

impl std::error::Error for Interrupted {}

/// Whether a loop looks for signals. Of the process, as signals are.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The first signal that came while a loop looked for it, or 0.
static CAUGHT: AtomicU8 = AtomicU8::new(0);

/// What a signal does: a loop that looks for it ends when its step is done; without one, and at a second signal, for the loop
/// may be waiting for input, the program ends at once and leaves no temporary file.
fn signalled(signal: u8) {
    let first = CAUGHT.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if !(first && WATCHED.load(Ordering::SeqCst)) {
        remove_unfinished();
        std::process::exit(i32::from(Interrupted(signal).status()));
    }
}

/// Waits for signals in a thread of its own. To be called first: threads that begin later leave the signals to it.
#[cfg(unix)]
pub(crate) fn listen() -> anyhow::Result<()> {
    use nix::sys::signal::{SigSet, Signal};
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if !hangup_is_ignored() {
        signals.add(Signal::SIGHUP);
    }
    let mut blocked = signals;
    blocked.add(Signal::SIGXFSZ); // a file beyond `ulimit -f` is then an error of the write, which says so
    blocked.thread_block().context("cannot watch for signals")?;
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            signalled(match signal {
                Signal::SIGTERM => SIGTERM,
                Signal::SIGHUP => SIGHUP,
                _ => SIGINT,
            });
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).context("cannot watch for signals")?;
    Ok(())
}

/// Whether `nohup` or the like has said that the end of the terminal is not to end the program. Only Linux is asked.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (SIGHUP - 1)) != 0
}

/// Other systems know Ctrl-C alone.
#[cfg(not(unix))]
pub(crate) fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| signalled(SIGINT)).context("cannot watch for Ctrl-C")
}

/// Whether the program was told to end; loops look at it.
#[derive(Debug)]
pub(crate) struct Interrupt(());

impl Interrupt {
    /// From now on the first signal only sets a flag.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        WATCHED.store(true, Ordering::SeqCst);
        Ok(Self(()))
    }

    /// An error once a signal came.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        match CAUGHT.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Interrupted(signal)),
        }
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
