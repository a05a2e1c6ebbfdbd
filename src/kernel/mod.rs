//! The inner loops, written once over SIMD lanes.

mod adam;
mod aligned;
mod dispatch;
mod gradient;
mod lane;
mod map;
mod math;
mod matmul;
pub mod naive;
mod narrow;
mod panels;
mod peak;
mod posterior;
mod real;
mod reduce;
mod rows;
mod scores;
#[cfg(test)]
mod tests;
mod tile;

pub use adam::{AdamState, AdamStep, adam, sum_slots};
pub use aligned::Aligned;
pub(crate) use dispatch::prefetch;
pub use dispatch::{Simd, SimdLevel};
pub use gradient::weight_gradient;
pub use map::{Activation, activate, apply, multiply, multiply_each};
pub use matmul::{Start, product};
pub use panels::{Layout, Panels};
pub use peak::multiply_adds;
pub use posterior::{Points, Posterior, posteriors};
pub use real::Real;
pub use reduce::{dot, squared_distances, sum, sum_products, sum_squares};
pub use rows::{Rows, RowsMut};
pub use scores::{SCORE_BLOCK, best_scores, scores};
