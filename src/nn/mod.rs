//! The network: an MLP of x and t, and what it is trained with.

mod adam;
mod embed;
mod given;
mod mlp;
mod schedule;

pub(crate) use adam::MEMORY;
pub use adam::{Adam, Optimizer};
pub use embed::TimeEmbedding;
pub use given::Given;
pub use mlp::{Mlp, MlpShape, MlpVars};
pub use schedule::LrSchedule;
