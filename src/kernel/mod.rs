//! The inner loops, written once over SIMD lanes.

mod adam;
mod dispatch;
mod lane;
mod map;
mod math;
mod matmul;
pub mod naive;
mod real;
mod reduce;
mod rows;
#[cfg(test)]
mod tests;

pub use adam::{AdamState, AdamStep, adam, sum_slots};
pub use dispatch::{Simd, SimdLevel};
pub use map::{Activation, activate, multiply};
pub use matmul::{Layout, Panels, Start, product, weight_gradient};
pub use real::Real;
pub use reduce::{dot, squared_error, sum, sum_squares};
pub use rows::{Rows, RowsMut};
