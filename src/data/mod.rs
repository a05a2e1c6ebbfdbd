//! Data: toys that are drawn, tables that are read and written, and their standardisation.

mod standardize;
pub mod toy;

pub use standardize::Standardize;
pub use toy::Toy;
