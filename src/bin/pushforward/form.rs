//! [`Form`]: the table of a model, as its rows are read and its samples are written.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::Path;

use pushforward::data::{Column, Kind, Layout, Schema, TableWriter};
use pushforward::{Error, Flow, Real, Result, Rng, Tensor};

use crate::args::ReadArgs;
use crate::input::{Data, Rows};
use crate::trajectory;

/// The table of a model.
pub(crate) struct Form {
    layout: Layout,
    pub(crate) flow: Flow,
}

/// Rows of the table.
pub(crate) struct Block {
    /// The cells of their data, if what stands for them is not the same.
    pub(crate) cells: Option<Tensor<f64>>,
    /// What stands for these: the data of the flow.
    pub(crate) numbers: Tensor<f64>,
    /// Their conditions.
    pub(crate) conditions: Option<Tensor<f64>>,
}

impl Form {
    pub(crate) fn of(flow: Flow) -> Result<Self> {
        Ok(Self { layout: flow.layout()?, flow })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Begins to read rows of the whole table.
    pub(crate) fn open(&self, data: &Data, reading: &ReadArgs, rng: &mut Rng) -> Result<Rows> {
        data.open_as(self.layout.table(), self.layout.header().is_some(), reading, rng)
    }

    /// Begins to read some of its columns.
    pub(crate) fn open_part(
        &self,
        data: &Data,
        part: &Schema,
        reading: &ReadArgs,
        rng: &mut Rng,
    ) -> Result<Rows> {
        data.open_as(part, self.layout.header().is_some(), reading, rng)
    }

    /// Divides rows of the table.
    pub(crate) fn split(&self, rows: Tensor<f64>) -> Result<Block> {
        if self.layout.is_plain() {
            return Ok(Block { cells: None, numbers: rows, conditions: None });
        }
        let (cells, conditions) = self.layout.split(&rows)?;
        let numbers = self.layout.data().encode(&cells)?;
        Ok(Block { cells: Some(cells), numbers, conditions })
    }

    /// The flow for rows with these conditions, with this weight of guidance.
    pub(crate) fn given(&self, conditions: Option<&Tensor<f64>>, weight: f64) -> Result<Cow<'_, Flow>> {
        Ok(match conditions {
            Some(conditions) => Cow::Owned(self.flow.given(conditions, weight)?),
            None => Cow::Borrowed(&self.flow),
        })
    }

    /// The table of what the flow drew, under these conditions.
    pub(crate) fn table<R: Real>(
        &self,
        numbers: Tensor<R>,
        conditions: Option<&Tensor<f64>>,
    ) -> Result<Tensor<R>> {
        if self.layout.is_plain() {
            return Ok(numbers);
        }
        let schema = self.layout.data();
        let mut data = schema.decode(&numbers)?;
        for (j, column) in self.short_columns() {
            let cols = data.cols().max(1);
            for cell in data.as_mut_slice().iter_mut().skip(j).step_by(cols) {
                let short = shortest(*cell);
                if column.fault(short).is_none() {
                    *cell = short;
                }
            }
        }
        Ok(self.layout.join(&data, conditions)?.cast())
    }

    /// Whether f32 holds all of a row of the table that the network knows.
    pub(crate) fn fits_f32(&self) -> bool {
        self.layout.is_plain() && self.flow.standardize().fits_f32()
    }

    /// The columns of real numbers of which f32 holds all that the network knows.
    fn short_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        let mut number = 0;
        self.layout.data().columns().iter().enumerate().filter(move |(_, column)| {
            let first = number;
            number += column.width();
            // Between bounds the network's number is another one, always of the size of 1.
            column.kind() == Kind::Numeric
                && (column.bounds().is_some() || self.flow.standardize().column_fits_f32(first))
        })
    }

    /// Rows of the whole table as points, between which distances mean something: categories as unit vectors.
    pub(crate) fn points(&self, table: Tensor<f64>) -> Result<Tensor<f64>> {
        if self.layout.is_plain() { Ok(table) } else { self.layout.table().indicate(&table) }
    }

    /// A table of `rows` rows, or of their courses.
    pub(crate) fn writer<R: Real>(
        &self,
        output: &Path,
        rows: Option<usize>,
        course: Option<NonZeroU32>,
    ) -> Result<TableWriter<R>> {
        let table = self.layout.table();
        let shape = trajectory::shape(rows, table.columns().len(), course);
        TableWriter::create(output, self.layout.header().as_deref(), shape)?.with_schema(table)
    }

    /// Refuses data that have no density.
    pub(crate) fn check_density(&self) -> Result<()> {
        match self.layout.data().first(Kind::Categorical) {
            None => Ok(()),
            Some(column) => Err(Error::Setting {
                name: "data",
                value: format!("with the categorical column {}", column.name()),
                remedy: "a text has no density: train with it as a condition (`--condition`), or without it (`--columns`)",
            }),
        }
    }
}

/// The number with the fewest digits among those that are the same in f32.
#[allow(clippy::cast_possible_truncation, reason = "that is the purpose")]
fn shortest(x: f64) -> f64 {
    (x as f32).to_string().parse().unwrap_or(x)
}

impl Block {
    /// Some of the rows.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        let part = |cells: &Option<Tensor<f64>>| cells.as_ref().map(|cells| cells.slice_rows(rows.clone()));
        let (cells, conditions) = (part(&self.cells), part(&self.conditions));
        Self { cells, numbers: self.numbers.slice_rows(rows.clone()), conditions }
    }

    /// Log-densities of the numbers as those of the cells for which they stand.
    pub(crate) fn in_cells(&self, layout: &Layout, log_density: &mut [f64]) {
        let Some(cells) = &self.cells else { return };
        for (i, log_p) in log_density.iter_mut().enumerate() {
            *log_p -= layout.data().log_det(cells.row(i));
        }
    }
}
