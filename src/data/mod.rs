//! Data: toys that are drawn, tables that are read and written, and their standardisation.
//!
//! A table is CSV (feature `csv`) or NPY. What is read is f64 and finite; what is written has the
//! precision it was computed in.

#[cfg(feature = "csv")]
mod csv;
mod npy;
mod npy_header;
mod standardize;
mod table;
pub mod toy;
mod writer;

#[cfg(feature = "csv")]
pub use csv::{read_csv, write_csv};
pub use npy::{read_npy, write_npy, write_npy_vector};
pub use standardize::Standardize;
pub use table::{Header, Missing, ReadOptions, Table};
pub use toy::Toy;
pub use writer::{Shape, TableWriter};
