//! Data: toys that are drawn, tables that are read and written, and their standardisation.
//!
//! A table is CSV (feature `csv`), NPY, an array of an NPZ archive (feature `npz`; `file.npz:name`), or Parquet (feature `parquet`). What is read is f64 and finite; what is written has the
//! precision it was computed in. [`Table`] is all of a table; [`TableReader`] and [`TableWriter`] go
//! through one of any length in constant memory.
//!
//! # Limits
//! - CSV: tabs, semicolons or commas between cells, the first of these that its first line has outside quotes; `.` in numbers,
//!   or `,` where it does not stand between cells, but not both in one file. UTF-8, double quotes where needed, lines that end in
//!   LF, CRLF or CR. Empty lines are skipped: in a table of one column a missing cell must be `NA` or `""`.
//!   A header that consists of numbers alone cannot be told from a row.
//! - At most 65,536 columns, 16 MiB for one row of CSV, 64 KiB for the header of NPY: more is refused before it is in memory. What
//!   is compressed (gzip, zstd, xz, bzip2) is refused by its name.
//! - NPY: versions 1 to 3, one or two dimensions, either order of bytes and of rows and columns; f4, f8,
//!   integers (beyond 2^53 rounded to nearest) and booleans. Objects (pickles), structures, text,
//!   complex numbers and half precision are refused.
//! - Parquet: columns of booleans, integers (beyond 2^53 rounded to nearest), f4, f8 and UTF-8 texts; uncompressed, snappy, gzip,
//!   Brotli, LZ4 (raw). A page of more than 256 MiB is refused. Written are f4 or f8, integers of 64 bits and texts, uncompressed.
//! - Texts are read where they are expected: by [`TableReader::read_typed`], which finds out what columns hold, and by
//!   [`TableReader::follow`], which knows it. A column of NPY or CSV that holds numbers may be declared to hold categories.
//! - A missing cell (empty, `NA`, NaN; in Parquet null) is an error or its row is left out; infinity is always an error.

// Bytes of strangers: what they say is looked up, never believed.
#![deny(clippy::indexing_slicing)]

mod bounds;
mod column;
mod columns;
mod condition;
mod courses;
#[cfg(feature = "csv")]
mod csv;
#[cfg(feature = "csv")]
mod csv_text;
mod declared;
mod kind;
mod layout;
mod nearest;
mod npy;
mod npy_header;
mod npy_rows;
#[cfg(feature = "npz")]
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_pages;
#[cfg(feature = "parquet")]
mod parquet_write;
mod reader;
mod schema;
mod standardize;
mod table;
mod texts;
pub mod toy;
mod writer;

pub use bounds::Bounds;
pub use column::Column;
pub use condition::{ConditionColumn, ConditionKind, Conditions};
#[cfg(feature = "csv")]
pub use csv::read_csv;
#[cfg(feature = "csv")]
pub use csv_text::write_csv;
pub use declared::Declared;
pub use kind::Kind;
pub use layout::Layout;
pub use nearest::no_such;
pub use npy::{read_npy, write_npy, write_npy_vector};
pub use reader::TableReader;
pub use schema::Schema;
pub use standardize::Standardize;
pub use table::{Header, Missing, ReadOptions, Table};
pub use toy::Toy;
pub use writer::{Shape, TableWriter};
