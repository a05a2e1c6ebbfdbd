//! Flow matching on a CPU.
pub mod coupling;
pub mod error;
pub mod field;
pub mod kernel;
pub mod metrics;
pub mod path;
#[cfg(feature = "plot")]
pub mod plot;
pub mod rng;
pub mod tensor;

pub use coupling::Coupling;
pub use error::{Error, Result};
pub use field::{DifferentiableField, VectorField};
pub use kernel::{Real, Simd, SimdLevel};
pub use path::{AffinePath, Scheduler};
pub use rng::Rng;
pub use tensor::Tensor;
