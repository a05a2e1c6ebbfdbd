//! Distances between two sets of samples.
//!
//! # Shapes
//! Samples are rows: [n, d] and [m, d].
//!
//! # Limits
//! A distance between two finite sets is not 0 even when both come from the same law: compare it with
//! its noise floor, the same distance between two fresh draws of the data.

mod wasserstein;

pub use wasserstein::{EXACT_W2_ROWS, exact_w2, sliced_w2};
