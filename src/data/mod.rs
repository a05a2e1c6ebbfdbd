//! Data: toys that are drawn, tables that are read and written, and their standardisation.

pub mod toy;

pub use toy::Toy;
