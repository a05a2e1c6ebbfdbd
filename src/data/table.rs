//! [`Table`]: rows of numbers that were read from a file, with the names of their columns.
//!
//! # Shapes
//! N rows, d columns, all of them finite f64.
//!
//! # Limits
//! Numbers only: text is an error that names its cell, so pick the numeric columns with
//! [`ReadOptions::columns`]. A missing cell is an error unless [`Missing::Drop`] leaves its row out;
//! infinity always is one. The whole table is held in memory.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::str::FromStr;
use std::{fmt, mem};

use super::npy::read_npy;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Bytes that are read from a file at a time.
const BUFFER: usize = 1 << 16;

/// Characters of a cell that a message repeats.
const QUOTED_CHARS: usize = 40;

/// Characters of the list of columns that a message repeats.
const LISTED_CHARS: usize = 400;

/// Rows of finite numbers, and what was found beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The names of the columns, where the file has them: d of them, all different.
    pub header: Option<Vec<String>>,
    /// The numbers, [N, d], N and d at least 1.
    pub values: Tensor<f64>,
    /// How many rows were left out because a cell of theirs is missing.
    pub dropped: usize,
}

/// How a table is read; the default detects a header, refuses missing cells and takes every column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// What the first record of a CSV table is.
    pub header: Header,
    /// What becomes of a row with a missing cell.
    pub missing: Missing,
    /// The columns to read, in this order; the others may hold anything. A table without a header
    /// has the columns `x1`, `x2`, ...
    pub columns: Option<Vec<String>>,
}

/// What the first record of a CSV table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// A header if any of its cells is neither a number nor a word for a missing one.
    #[default]
    Detect,
    /// Numbers like all others.
    None,
}

/// What becomes of a row with a missing cell (empty, `NA` or `NaN`; in NPY: NaN).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// It is an error that names the cell.
    #[default]
    Error,
    /// The row is left out and counted.
    Drop,
}

impl Table {
    /// Reads `.csv` or `.npy`, by the extension of `path`.
    ///
    /// # Errors
    /// - [`Error::Io`] if the file cannot be read.
    /// - [`Error::Cell`] for the first cell that is text, missing (see [`Missing`]), infinite or beyond
    ///   the range of f64.
    /// - [`Error::Table`] for another extension, a ragged row, columns that do not exist or share a
    ///   name, and a table without rows or columns.
    /// - [`Error::Format`] if it is no CSV or NPY at all.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self> {
        let format = Format::of(path)?;
        let file = File::open(path).map_err(|source| unreadable(path, source))?;
        let reader = BufReader::with_capacity(BUFFER, file);
        match format {
            #[cfg(feature = "csv")]
            Format::Csv => super::csv::read_csv(reader, path, options),
            Format::Npy => read_npy(reader, path, options),
        }
    }

    /// The names of the columns: of the header, or `x1`, `x2`, ...
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.header.clone().unwrap_or_else(|| numbered(self.values.cols()))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Drop => "drop",
        })
    }
}

impl FromStr for Missing {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "error" => Ok(Self::Error),
            "drop" => Ok(Self::Drop),
            _ => {
                let what = "treatment of missing cells";
                Err(Error::Unknown { what, word: word.to_owned(), known: "error drop" })
            }
        }
    }
}

/// The kinds of table that this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    #[cfg(feature = "csv")]
    Csv,
    Npy,
}

impl Format {
    /// The kind that the extension of a path stands for.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|word| word.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            #[cfg(feature = "csv")]
            Some("csv") => Ok(Self::Csv),
            #[cfg(not(feature = "csv"))]
            Some("csv") => Err(bad_table(
                path,
                "this build cannot read or write CSV",
                "use `.npy`, or build with the feature `csv`",
            )),
            Some("npy") => Ok(Self::Npy),
            _ => Err(bad_table(path, "the kind of table is not known", "use a name in `.csv` or `.npy`")),
        }
    }
}

/// What a cell holds.
pub(super) enum Cell {
    Number(f64),
    Missing,
    /// Nothing that can be used: what is wrong with it and what to do.
    Unusable(&'static str),
}

impl Cell {
    /// A number from a table that can hold NaN and infinity themselves.
    pub(super) fn of(x: f64) -> Self {
        match x {
            x if x.is_finite() => Self::Number(x),
            x if x.is_nan() => Self::Missing,
            _ => Self::Unusable("is infinite: use finite numbers only"),
        }
    }
}

/// A table while it is read, row by row.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    file: &'a Path,
    missing: Missing,
    /// Names of all columns of the file, where it has them.
    header: Option<Vec<String>>,
    /// The columns that are taken, in order.
    picked: Vec<usize>,
    values: Vec<f64>,
    dropped: usize,
}

impl<'a> Rows<'a> {
    /// Begins a table whose file has `cols` columns.
    pub(super) fn new(
        file: &'a Path,
        options: &ReadOptions,
        header: Option<Vec<String>>,
        cols: usize,
    ) -> Result<Self> {
        if let Some(name) = header.as_deref().and_then(first_duplicate) {
            let found = format!("two columns are called `{name}`");
            return Err(bad_table(file, found, "give every column a name of its own"));
        }
        let picked = match &options.columns {
            None => (0..cols).collect(),
            Some(wanted) => pick(file, wanted, header.as_deref().unwrap_or(&numbered(cols)))?,
        };
        Ok(Self { file, missing: options.missing, header, picked, values: Vec::new(), dropped: 0 })
    }

    /// Takes one row: `cell` gives what stands in a column, `place` the line and the text of it for the
    /// message. A row that is left out must be sound otherwise.
    pub(super) fn push(
        &mut self,
        cell: impl Fn(usize) -> Cell,
        place: impl Fn(usize) -> (u64, String),
    ) -> Result<()> {
        let before = self.values.len();
        let mut complete = true;
        for &column in &self.picked {
            let remedy = match cell(column) {
                Cell::Number(x) => {
                    self.values.push(x);
                    continue;
                }
                Cell::Missing if self.missing == Missing::Drop => {
                    complete = false;
                    continue;
                }
                Cell::Missing => "is missing: fill it in, or leave such rows out (`--missing drop`)",
                Cell::Unusable(remedy) => remedy,
            };
            let (line, text) = place(column);
            return Err(Error::Cell {
                file: self.file.to_path_buf(),
                line,
                column: self.name(column),
                text: shortened(&text, QUOTED_CHARS),
                remedy,
            });
        }
        if !complete {
            self.values.truncate(before);
            self.dropped += 1;
        }
        Ok(())
    }

    /// The table, once all rows were taken.
    pub(super) fn finish(mut self) -> Result<Table> {
        let cols = self.picked.len();
        let rows = self.values.len() / cols;
        if rows == 0 && self.dropped > 0 {
            let found = format!("each of its {} rows has a missing cell", self.dropped);
            return Err(bad_table(self.file, found, "fill them in, or pick columns that are complete"));
        }
        if rows == 0 {
            return Err(no_rows(self.file));
        }
        let picked = &self.picked;
        let header =
            self.header.as_mut().map(|names| picked.iter().map(|&j| mem::take(&mut names[j])).collect());
        self.values.shrink_to_fit();
        let values = Tensor::from_vec(self.values, rows, cols)?;
        Ok(Table { header, values, dropped: self.dropped })
    }

    /// What a message calls a column: its name, or its number counted from 1.
    fn name(&self, column: usize) -> String {
        match &self.header {
            Some(names) if !names[column].is_empty() => names[column].clone(),
            _ => (column + 1).to_string(),
        }
    }
}

/// The error of a table as a whole.
pub(super) fn bad_table(file: &Path, found: impl Into<String>, remedy: &'static str) -> Error {
    Error::Table { file: file.to_path_buf(), found: found.into(), remedy }
}

/// The error of a table without rows.
pub(super) fn no_rows(file: &Path) -> Error {
    bad_table(file, "there are no rows", "give at least one row of numbers")
}

/// The error of a file that the system would not read.
pub(super) fn unreadable(file: &Path, source: std::io::Error) -> Error {
    Error::Io { action: "read", path: file.to_path_buf(), source }
}

fn numbered(cols: usize) -> Vec<String> {
    (1..=cols).map(|j| format!("x{j}")).collect()
}

fn first_duplicate(names: &[String]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    names.iter().find(|name| !seen.insert(name.as_str())).map(String::as_str)
}

/// The places of the wanted columns among the names that there are.
fn pick(file: &Path, wanted: &[String], names: &[String]) -> Result<Vec<usize>> {
    if wanted.is_empty() {
        return Err(bad_table(file, "no column was picked", "name at least one, or none to take them all"));
    }
    if let Some(name) = first_duplicate(wanted) {
        let found = format!("column `{name}` was picked twice");
        return Err(bad_table(file, found, "name every column once"));
    }
    let place = |name: &String| {
        names.iter().position(|other| other == name).ok_or_else(|| {
            let found =
                format!("there is no column `{name}` among {}", shortened(&names.join(", "), LISTED_CHARS));
            bad_table(file, found, "pick from these, spelled as they are")
        })
    };
    wanted.iter().map(place).collect()
}

/// The beginning of a text, as much as a message can bear.
fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_and_others_are_refused() {
        let options = ReadOptions::default();
        for name in ["a.txt", "a", ".csv", "a.csv.gz", ""] {
            let text = Table::read(Path::new(name), &options).unwrap_err().to_string();
            assert!(text.contains("`.csv` or `.npy`"), "{text}");
        }
        let error = Table::read(Path::new("there is no such.NPY"), &options).unwrap_err();
        assert_eq!(error.to_string(), "cannot read there is no such.NPY");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder.npy");
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(Table::read(&path, &options), Err(Error::Io { action: "read", .. })));
    }

    #[test]
    fn words_are_read_and_written() {
        for missing in [Missing::Error, Missing::Drop] {
            assert_eq!(missing.to_string().parse::<Missing>().unwrap(), missing);
        }
        assert!("ignore".parse::<Missing>().is_err());
    }

    #[test]
    fn long_cells_are_cut_between_characters() {
        assert_eq!(shortened(&"ü".repeat(40), 40), "ü".repeat(40));
        assert_eq!(shortened(&"ü".repeat(41), 40), format!("{}…", "ü".repeat(40)));
    }
}
