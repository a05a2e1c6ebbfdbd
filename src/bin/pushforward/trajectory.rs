//! What `sample` draws and writes at a time: rows, or with `--trajectory` their courses.

use std::num::NonZeroU32;
use std::ops::Range;

use pushforward::data::{Shape, TableWriter};
use pushforward::flow;
use pushforward::ode::{Stats, Trajectory};
use pushforward::{Error, Real, Result, Tensor};

use crate::args::SampleArgs;
use crate::form::Form;

/// Rows that are drawn at a time, while as many are written: enough for many threads; fewer where there are many columns.
const CHUNK: Range<usize> = 1 << 13..1 << 16;

/// Numbers of a chunk within these limits, and of a chunk of courses, which has at least one row.
const NUMBERS: usize = 1 << 20;

/// The most intervals: the course of one row is in memory.
const MOST_INTERVALS: u32 = 1_000_000;

/// Refuses courses of more times than memory is meant for.
pub(crate) fn check(args: &SampleArgs) -> Result<()> {
    match args.trajectory.filter(|k| k.get() > MOST_INTERVALS) {
        None => Ok(()),
        Some(k) => Err(Error::Setting {
            name: "trajectory",
            value: k.to_string(),
            remedy: "take at most 1000000 intervals",
        }),
    }
}

/// How many rows are drawn at a time.
pub(crate) fn chunk(dim: usize, trajectory: Option<NonZeroU32>) -> usize {
    match trajectory {
        None => (NUMBERS / dim).clamp(CHUNK.start, CHUNK.end),
        Some(k) => (NUMBERS / (dim * (k.get() as usize + 1))).clamp(1, CHUNK.end),
    }
}

/// The shape of what is written.
pub(crate) fn shape(rows: Option<usize>, cols: usize, trajectory: Option<NonZeroU32>) -> Shape {
    match trajectory {
        None => Shape::Matrix { rows, cols },
        Some(k) => Shape::Courses { rows, times: k.get() as usize + 1, cols },
    }
}

/// A chunk that was drawn.
pub(crate) enum Drawn<R: Real> {
    /// Where its rows end.
    Rows(flow::Drawn<R>),
    /// The number of its first row, and how the rows get there.
    Course(usize, Trajectory<R>),
}

impl<R: Real> Drawn<R> {
    pub(crate) fn rows(drawn: flow::Drawn<R>) -> Self {
        Self::Rows(drawn)
    }

    pub(crate) fn course(first: usize, course: Trajectory<R>) -> Self {
        Self::Course(first, course)
    }

    /// What it took.
    pub(crate) fn stats(&self) -> Stats {
        match self {
            Self::Rows(drawn) => drawn.stats,
            Self::Course(_, course) => course.stats,
        }
    }

    /// The same as rows of the table of the model.
    pub(crate) fn in_table(self, form: &Form, conditions: Option<&Tensor<f64>>) -> Result<Self> {
        Ok(match self {
            Self::Rows(drawn) => {
                Self::Rows(flow::Drawn { x: form.table(drawn.x, conditions)?, stats: drawn.stats })
            }
            Self::Course(first, course) => {
                let x = course.x.into_iter().map(|x| form.table(x, conditions)).collect::<Result<_>>()?;
                Self::Course(first, Trajectory { x, ..course })
            }
        })
    }

    /// Writes it.
    pub(crate) fn write(&self, writer: &mut TableWriter<R>) -> Result<()> {
        match self {
            Self::Rows(drawn) => writer.push(&drawn.x),
            Self::Course(first, course) => writer.push_courses(*first, &course.t, &course.x),
        }
    }
}
