//! [`Data`]: where rows come from.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pushforward::data::{Header, ReadOptions, Table, Toy, read_csv};
use pushforward::{Error, Result, Rng, Tensor};

use crate::args::ReadArgs;

/// Rows of a toy for which no number is given.
const TOY_ROWS: usize = 100_000;

/// The most rows of a toy: they are held in memory.
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

impl Data {
    /// Reads or draws all rows, with every column.
    pub(crate) fn load(&self, reading: &ReadArgs, rng: &mut Rng) -> Result<Table> {
        let options = options(reading, None);
        match self {
            Self::Standard => read_csv(io::stdin().lock(), self.name(), &options),
            Self::File(path) => Table::read(path, &options),
            Self::Toy(toy, rows) => Ok(Table { header: None, values: toy.sample(*rows, rng), dropped: 0 }),
        }
    }

    /// As [`Data::load`], but only the columns `names`, in that order. A table that has no names is taken as it is.
    pub(crate) fn load_columns(&self, names: &[String], reading: &ReadArgs, rng: &mut Rng) -> Result<Table> {
        if reading.no_header || !self.may_have_header() {
            return self.load(reading, rng);
        }
        let picked = options(reading, Some(names));
        let read = |options: &ReadOptions, text: &Option<Vec<u8>>| match text {
            Some(text) => read_csv(&text[..], self.name(), options),
            None => Table::read(self.name(), options),
        };
        // Standard input can be read once only, and two readings may be needed.
        let text = match self {
            Self::Standard => Some(read_all(io::stdin().lock(), self.name())?),
            _ => None,
        };
        let refused = match read(&picked, &text) {
            Err(error @ Error::Table { .. }) => error,
            read => return read,
        };
        // Either it has no header, which is fine, or the columns are not there.
        match read(&options(reading, None), &text) {
            Ok(table) if table.header.is_none() => Ok(table),
            Ok(table) => Err(Error::Table {
                file: self.name().into(),
                found: format!(
                    "its columns are {}, those of the model are {}",
                    table.names().join(", "),
                    names.join(", ")
                ),
                remedy: "give a table with the columns of the model",
            }),
            Err(_) => Err(refused),
        }
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
            Self::File(path) => path.extension().is_none_or(|word| !word.eq_ignore_ascii_case("npy")),
            Self::Toy(..) => false,
        }
    }
}

fn options(reading: &ReadArgs, columns: Option<&[String]>) -> ReadOptions {
    ReadOptions {
        header: if reading.no_header { Header::None } else { Header::Detect },
        missing: reading.missing,
        columns: columns.map(<[String]>::to_vec),
    }
}

fn read_all(mut reader: impl io::Read, file: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    match reader.read_to_end(&mut text) {
        Ok(_) => Ok(text),
        Err(source) => Err(Error::Io { action: "read", path: file.into(), source }),
    }
}

/// Rows `rows` of a matrix, if it has them.
pub(crate) fn slice(x: &Tensor<f64>, rows: &std::ops::Range<usize>) -> Result<Tensor<f64>> {
    if rows.end > x.rows() {
        return Err(Error::Setting {
            name: "rows",
            value: format!("{}..{}, but the table has {} rows", rows.start, rows.end, x.rows()),
            remedy: "give a range inside the table",
        });
    }
    Ok(x.slice_rows(rows.clone()))
}
