//! What can go wrong, each with the numbers and the remedy.
//!
//! Whatever a caller, a file or the numbers can cause is an [`Error`]; only a mistake of this crate
//! panics. Every message names the place, the value and what to do about it.

use std::io;
use std::path::PathBuf;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that a caller, a file or the numbers can cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside the range in which it means something.
    #[error("`{name}` is {value}: {remedy}")]
    Setting {
        /// The setting, in the word that the API and the program use.
        name: &'static str,
        /// What was given.
        value: String,
        /// What to give instead.
        remedy: &'static str,
    },
    /// A word is not one of those known.
    #[error("unknown {what} `{word}`: use one of {known}")]
    Unknown {
        /// What kind of word was looked for.
        what: &'static str,
        /// The word that was given.
        word: String,
        /// The words that would do.
        known: &'static str,
    },
    /// Two things that must agree in size do not.
    #[error("{what}: found {found}, expected {expected}; {remedy}")]
    Dimension {
        /// What was counted, for example "columns of x".
        what: &'static str,
        /// The size that was needed.
        expected: usize,
        /// The size that was given.
        found: usize,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A number that must be finite is not.
    #[error("{what} is {value} in row {row}, column {column} (counted from 0): {remedy}")]
    NotFinite {
        /// Which matrix it stands in.
        what: &'static str,
        /// Row, counted from 0.
        row: usize,
        /// Column, counted from 0.
        column: usize,
        /// The number itself.
        value: f64,
        /// What to do about it.
        remedy: &'static str,
    },
    /// Training left the finite numbers.
    #[error(
        "the training loss became {loss} at step {step}: lower the learning rate, clip the gradient, or look for outliers: of that step's batch row {row} of the training data (counted from 0) lies farthest out, with {size} in the network's units; the state before that step is kept"
    )]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// The loss of that step.
        loss: f64,
        /// Of the rows of the training data that were in its batch the one that lies farthest out, counted from 0.
        row: u64,
        /// The largest number of that row, without its sign, in the network's units.
        size: f64,
    },
    /// The velocity left the finite numbers while an ODE was solved.
    #[error(
        "the velocity became {value} at t = {t:?} in row {row} of this call (counted from 0): the field or its input is out of range; take smaller steps, end before a time at which the field has no value, or look at that row"
    )]
    Velocity {
        /// The time at which it was asked.
        t: f64,
        /// The row, counted from 0.
        row: usize,
        /// What came back.
        value: f64,
    },
    /// What a row carries along the flow, or x itself, left the finite numbers.
    #[error("{what} became {value} at t = {t:?} in row {row} of this call (counted from 0): {remedy}")]
    Overflow {
        /// Which number it was.
        what: &'static str,
        /// The end of the step that led there.
        t: f64,
        /// The row, counted from 0.
        row: usize,
        /// The number itself.
        value: f64,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A row took as many steps as it may before it was at its end.
    #[error(
        "the solver used {steps} steps at t = {t:?} in row {row} of this call (counted from 0): raise `max_steps` or loosen `rtol`/`atol`"
    )]
    Steps {
        /// The steps, accepted and rejected.
        steps: u32,
        /// The time that the row has reached.
        t: f64,
        /// The row, counted from 0.
        row: usize,
    },
    /// No step that is allowed, or that moves t, is short enough for the tolerance.
    #[error(
        "the step size fell to {h:?} at t = {t:?} in row {row} of this call (counted from 0), where the least is {least:?} (`min_step`, or what moves t): loosen `rtol`/`atol`, lower `min_step`, or end before a time at which the field has no value"
    )]
    StepSize {
        /// The step that would have been next.
        h: f64,
        /// The shortest one that may be.
        least: f64,
        /// The time that the row has reached.
        t: f64,
        /// The row, counted from 0.
        row: usize,
    },
    /// A matrix that must be symmetric positive definite is not.
    #[error("{what} is not symmetric positive definite ({found}): {remedy}")]
    NotPositive {
        /// Which matrix.
        what: &'static str,
        /// What is wrong with it.
        found: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The operating system refused a file.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: "read", "write", ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// One cell of a table is not a number that can be used.
    #[error("{file}, line {line}, column {column}: {text:?} {remedy}")]
    Cell {
        /// The table.
        file: PathBuf,
        /// Line of the file, counted from 1 (for a binary table: the row, counted from 1).
        line: u64,
        /// The column's name, or its number counted from 1.
        column: String,
        /// The text that was found.
        text: String,
        /// What is wrong with it and what to do.
        remedy: &'static str,
    },
    /// One cell of a table is none of the texts that are known of its column.
    #[error(
        "{file}, line {line}, column {column}: {text:?} is not known there: the nearest that is, is {nearest:?}"
    )]
    Category {
        /// The table.
        file: PathBuf,
        /// Line of the file, counted from 1 (for a binary table: the row, counted from 1).
        line: u64,
        /// The column's name, or its number counted from 1.
        column: String,
        /// The text that was found.
        text: String,
        /// The text that is known and most like it.
        nearest: String,
    },
    /// A name is none of those that there are.
    #[error("there is no {what} `{name}`: the nearest is `{nearest}`")]
    Name {
        /// What was looked for, for example "column".
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The name that exists and is most like it.
        nearest: String,
    },
    /// A table as a whole cannot be used.
    #[error("{file}: {found}; {remedy}")]
    Table {
        /// The table.
        file: PathBuf,
        /// What was found in it.
        found: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A file is not what its reader was told, or it is damaged.
    #[error("{file} is no usable {what}: {found}; {remedy}")]
    Format {
        /// The file.
        file: PathBuf,
        /// What it should have been.
        what: &'static str,
        /// What was found.
        found: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The SIMD level asked for does not exist on this CPU.
    #[error("this CPU cannot run the SIMD level {level}: use `auto` or one of {available}")]
    Simd {
        /// The level asked for.
        level: &'static str,
        /// The levels that it can run.
        available: &'static str,
    },
    /// A picture could not be drawn.
    #[error("cannot draw {what}: {found}")]
    Picture {
        /// Which picture.
        what: &'static str,
        /// What the drawing library said.
        found: String,
    },
}
