//! Closed forms: what can be said exactly, to check everything else against.
//!
//! [`GaussianFlow`] is the flow from N(0, I) to N(m, S): velocity, map, log-density and the floor of the
//! training loss (E18). [`mean_and_covariance`] finds m and S of a batch of rows.

mod gaussian;
mod moments;
mod symmetric;

pub use gaussian::{GaussianFlow, GaussianVelocity};
pub use moments::mean_and_covariance;
