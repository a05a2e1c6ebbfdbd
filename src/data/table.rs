//! [`Table`]: rows of numbers that were read from a file, with the names of their columns.
//!
//! # Shapes
//! N rows, d columns, all of them finite f64.
//!
//! # Limits
//! Numbers only: text is an error that names its cell, so pick the numeric columns with
//! [`ReadOptions::columns`]. A missing cell is an error unless [`Missing::Drop`] leaves its row out;
//! infinity always is one. The whole table is held in memory: [`TableReader`] reads it block by block.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::columns::numbered;
use super::reader::TableReader;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

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

/// What becomes of a row with a missing cell (empty, `NA` or `NaN`; in NPY: NaN; in Parquet: NaN, null).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// It is an error that names the cell.
    #[default]
    Error,
    /// The row is left out and counted.
    Drop,
}

impl Table {
    /// Reads `.csv`, `.npy`, an array of `.npz` or `.parquet`, by the extension of `path`.
    ///
    /// # Errors
    /// - [`Error::Io`] if the file cannot be read.
    /// - [`Error::Cell`] for the first cell that is text, missing (see [`Missing`]), infinite or beyond
    ///   the range of f64.
    /// - [`Error::Table`] for another extension, a ragged row, columns that do not exist or share a
    ///   name, and a table without rows or columns.
    /// - [`Error::Format`] if it is no CSV, NPY or Parquet at all.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self> {
        TableReader::open(path, options)?.read_all()
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
    #[cfg(feature = "parquet")]
    Parquet,
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
            #[cfg(feature = "parquet")]
            Some("parquet") => Ok(Self::Parquet),
            #[cfg(not(feature = "parquet"))]
            Some("parquet") => Err(bad_table(
                path,
                "this program was built without the feature `parquet`",
                "use `.csv` or `.npy`, or build it with `--features parquet`",
            )),
            Some("npz") => Err(bad_table(
                path,
                "an NPZ archive can be read by a build with the feature `npz`, and not be written",
                "use `.npy`",
            )),
            Some(word @ ("gz" | "zst" | "xz" | "bz2" | "zip")) => Err(bad_table(
                path,
                format!("it is compressed (`.{word}`)"),
                "unpack it first, for example `gunzip -c FILE.csv.gz | pushforward ... -`",
            )),
            _ => Err(bad_table(path, "the kind of table is not known", "use a name in `.csv` or `.npy`")),
        }
    }
}

/// The most columns of a file: the network of more would not fit any memory, and a claim of more is a slip.
pub(super) const MOST_COLUMNS: usize = 1 << 16;

/// Refuses more columns than that.
pub(super) fn check_columns(file: &Path, cols: usize) -> Result<()> {
    if cols > MOST_COLUMNS {
        let found = format!("it has {cols} columns, at most {MOST_COLUMNS} are read");
        return Err(bad_table(file, found, "keep fewer columns (is the table transposed?)"));
    }
    Ok(())
}

/// Refuses what begins as a compressed file does.
pub(super) fn check_compression(file: &Path, start: &[u8]) -> Result<()> {
    let known: [(&[u8], &str); 5] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ", "xz"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
    ];
    match known.iter().find(|(mark, _)| start.starts_with(mark)) {
        None => Ok(()),
        Some((_, name)) => Err(bad_table(
            file,
            format!("it is compressed with {name}"),
            "unpack it first, for example `gunzip -c FILE.csv.gz | pushforward ... -`",
        )),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_and_others_are_refused() {
        let options = ReadOptions::default();
        for name in ["a.csv.gz", "a.npy.zst", "a.XZ"] {
            let text = Table::read(Path::new(name), &options).unwrap_err().to_string();
            assert!(text.contains("compressed") && text.contains("gunzip"), "{text}");
        }
        for name in ["a.txt", "a", ".csv", ""] {
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
}
