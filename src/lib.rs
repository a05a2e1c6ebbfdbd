//! Flow matching on a CPU.
pub mod autodiff;
pub mod closed_form;
pub mod error;
pub mod field;
pub mod kernel;
pub mod likelihood;
pub mod nn;
pub mod ode;
pub mod path;
pub mod rng;
pub mod source;
pub mod tensor;

pub use error::{Error, Result};
pub use field::{DifferentiableField, VectorField};
pub use kernel::{Real, Simd, SimdLevel};
pub use likelihood::{Divergence, Scores};
pub use nn::Mlp;
pub use ode::Solver;
pub use path::{AffinePath, Scheduler};
pub use rng::Rng;
pub use source::Source;
pub use tensor::Tensor;
