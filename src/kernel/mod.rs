//! The inner loops, written once over SIMD lanes.

mod dispatch;
mod lane;
mod real;

pub use dispatch::{Simd, SimdLevel};
pub use real::Real;
