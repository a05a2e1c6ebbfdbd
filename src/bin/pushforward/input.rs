//! [`Data`]: where rows come from.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pushforward::data::{Declared, Header, ReadOptions, Schema, Table, TableReader, Toy};
use pushforward::rng::{Purpose, Streams};
use pushforward::{Error, Result, Rng, Tensor};

use crate::args::ReadArgs;
use crate::console::warn;

/// Rows of a toy for which no number is given.
const TOY_ROWS: usize = 100_000;

/// The most rows of a toy: a training holds them in memory.
const MOST_TOY_ROWS: usize = 100_000_000;

/// A source of rows, as the command line names it.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// CSV on standard input.
    Standard,
    /// A table in a file.
    File(PathBuf),
    /// Rows that are drawn.
    Toy(Toy, usize),
}

impl FromStr for Data {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Self::Standard);
        }
        let Some(toy) = text.strip_prefix("toy:") else { return Ok(Self::File(text.into())) };
        let Some((name, rows)) = toy.split_once(':') else { return Ok(Self::Toy(toy.parse()?, TOY_ROWS)) };
        match rows.parse() {
            Ok(rows) if (1..=MOST_TOY_ROWS).contains(&rows) => Ok(Self::Toy(name.parse()?, rows)),
            _ => Err(Error::Setting {
                name: "rows of the toy",
                value: rows.into(),
                remedy: "give a whole number from 1 to 100000000",
            }),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("-"),
            Self::File(path) => path.display().fmt(f),
            Self::Toy(toy, rows) => write!(f, "toy:{toy}:{rows}"),
        }
    }
}

impl Data {
    /// Reads or draws all rows, and finds out what their columns hold.
    pub(crate) fn load_typed(
        &self,
        columns: Option<&[String]>,
        declared: &Declared,
        reading: &ReadArgs,
        rng: &mut Rng,
    ) -> Result<(Table, Schema)> {
        match self.open_with(columns, reading, rng)? {
            Rows::Table(reader) => reader.read_typed(declared),
            Rows::Toy { toy, streams, rows } => {
                let values = toy.rows(rows, &streams);
                let mut table = Table { header: None, values, dropped: 0 };
                let schema = declared.of_numbers(&mut table)?;
                Ok((table, schema))
            }
        }
    }

    /// Begins to read or to draw, with every column.
    pub(crate) fn open(&self, reading: &ReadArgs, rng: &mut Rng) -> Result<Rows> {
        self.open_with(None, reading, rng)
    }

    /// The same with some of the columns, or all.
    fn open_with(&self, columns: Option<&[String]>, reading: &ReadArgs, rng: &mut Rng) -> Result<Rows> {
        let options = ReadOptions {
            header: if reading.no_header { Header::None } else { Header::Detect },
            missing: reading.missing,
            columns: columns.map(<[String]>::to_vec),
        };
        match self {
            Self::Standard => TableReader::csv(io::stdin(), self.name(), &options).map(|r| self.table(r)),
            Self::File(path) => TableReader::open(path, &options).map(|r| self.table(r)),
            Self::Toy(..) if columns.is_some() => Err(Error::Setting {
                name: "columns",
                value: "of a toy".into(),
                remedy: "a toy has two columns that belong together: leave it out",
            }),
            Self::Toy(toy, rows) => {
                Ok(Rows::Toy { toy: *toy, streams: rng.fork(Purpose::Data), rows: 0..*rows })
            }
        }
    }

    /// Says what was found out about a table that is no ordinary CSV.
    fn table(&self, reader: TableReader<'static>) -> Rows {
        if let Some(separator) = reader.separator().filter(|&separator| separator != ',') {
            let between = if separator == '\t' { "tabs".to_owned() } else { format!("`{separator}`") };
            let file = self.name().display();
            warn(format_args!("{file}: {between} between cells; a `,` in a number is its decimal mark"));
        }
        Rows::Table(Box::new(reader))
    }

    /// Begins to read the columns of a schema: in its order if both have names, and texts as numbers of its categories.
    pub(crate) fn open_as(
        &self,
        schema: &Schema,
        named: bool,
        reading: &ReadArgs,
        rng: &mut Rng,
    ) -> Result<Rows> {
        let mut rows = self.open(reading, rng)?;
        if named
            && self.may_have_header()
            && !reading.no_header
            && let Rows::Table(reader) = &mut rows
        {
            let names: Vec<String> = schema.columns().iter().map(|column| column.name().to_owned()).collect();
            if reader.pick(&names).is_err()
                && let Some(found) = reader.header()
            {
                return Err(Error::Table {
                    file: self.name().into(),
                    found: format!(
                        "its columns are {}, those of the model are {}",
                        found.join(", "),
                        names.join(", ")
                    ),
                    remedy: "give a table with the columns of the model",
                });
            }
        }
        let (expected, found) = (schema.columns().len(), rows.cols());
        if found != expected {
            return Err(Error::Dimension {
                what: "columns of the data",
                expected,
                found,
                remedy: "give a table with the columns that the model was trained on",
            });
        }
        if let Rows::Table(reader) = &mut rows {
            reader.follow(schema)?;
        }
        Ok(rows)
    }

    fn name(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Standard | Self::Toy(..) => Path::new("standard input"),
        }
    }

    fn may_have_header(&self) -> bool {
        match self {
            Self::Standard => true,
            // Neither NPY nor an array of an archive has names.
            Self::File(path) => path
                .extension()
                .is_some_and(|word| ["csv", "parquet"].iter().any(|kind| word.eq_ignore_ascii_case(kind))),
            Self::Toy(..) => false,
        }
    }
}

/// Rows that are read or drawn block by block.
#[derive(Debug)]
pub(crate) enum Rows {
    Table(Box<TableReader<'static>>),
    /// The rows that were not yet drawn.
    Toy {
        toy: Toy,
        streams: Streams,
        rows: Range<usize>,
    },
}

impl Rows {
    /// All rows that are left.
    pub(crate) fn read_all(self) -> Result<Table> {
        match self {
            Self::Table(reader) => reader.read_all(),
            Self::Toy { toy, streams, rows } => {
                Ok(Table { header: None, values: toy.rows(rows, &streams), dropped: 0 })
            }
        }
    }

    /// The number of columns.
    pub(crate) fn cols(&self) -> usize {
        match self {
            Self::Table(reader) => reader.cols(),
            Self::Toy { .. } => Toy::DIM,
        }
    }

    /// The names of the columns, if there are any.
    pub(crate) fn header(&self) -> Option<&[String]> {
        match self {
            Self::Table(reader) => reader.header(),
            Self::Toy { .. } => None,
        }
    }

    /// How many rows there are, if that is known; some of them may be left out.
    pub(crate) fn announced(&self) -> Option<usize> {
        match self {
            Self::Table(reader) => reader.announced_rows(),
            Self::Toy { rows, .. } => Some(rows.len()),
        }
    }

    /// How many rows were left out so far.
    pub(crate) fn dropped(&self) -> usize {
        match self {
            Self::Table(reader) => reader.dropped(),
            Self::Toy { .. } => 0,
        }
    }

    /// The next `most` rows; fewer only at the end, and then `None`.
    fn next_block(&mut self, most: usize) -> Result<Option<Tensor<f64>>> {
        match self {
            Self::Table(reader) => reader.next_block(most),
            Self::Toy { toy, streams, rows } => {
                let block = rows.start..rows.end.min(rows.start.saturating_add(most));
                rows.start = block.end;
                Ok(Some(toy.rows(block, streams)).filter(|block| block.rows() > 0))
            }
        }
    }
}

/// Rows A to B - 1 of those that are read, or all of them.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) rows: Rows,
    pub(crate) wanted: Option<Range<usize>>,
    /// How many rows were read so far.
    read: usize,
}

impl Selected {
    pub(crate) fn new(rows: Rows, wanted: Option<Range<usize>>) -> Self {
        Self { rows, wanted, read: 0 }
    }

    /// The next `most` of these rows; fewer only at the end, and then `None`. What comes after them is not read.
    pub(crate) fn next_block(&mut self, most: usize) -> Result<Option<Tensor<f64>>> {
        let Some(Range { start, end }) = self.wanted else { return self.rows.next_block(most) };
        while self.read < start {
            self.next_part(most.min(start - self.read))?;
        }
        if self.read == end { Ok(None) } else { self.next_part(most.min(end - self.read)).map(Some) }
    }

    /// The next `rows` rows, or the error that there are not so many.
    fn next_part(&mut self, rows: usize) -> Result<Tensor<f64>> {
        let part = self.rows.next_block(rows)?;
        self.read += part.as_ref().map_or(0, Tensor::rows);
        let wanted = self.wanted.clone().unwrap_or_default();
        part.filter(|part| part.rows() == rows).ok_or_else(|| Error::Setting {
            name: "rows",
            value: format!("{}..{}, but the table has {} rows", wanted.start, wanted.end, self.read),
            remedy: "give a range inside the table",
        })
    }
}
