//! Flow matching on a CPU: learn a velocity field u_t that carries a source distribution p to a target q, sample by
//! solving its ODE, score by the change of variables.
//!
//! # Math
//! q is the pushforward of p by psi_1, the flow of u_t: d/dt psi_t(x) = u_t(psi_t(x)), psi_0(x) = x (E1, E2). The
//! equations are numbered E1, E2, ... in the code and in the README; t = 0 is the source, t = 1 the target.
//!
//! # Guide
//! [`guide`] has pages to read: [flow matching from zero](guide::flow_matching), [what to choose](guide::choosing), [reading an
//! evaluation](guide::evaluating), [from PyTorch to here](guide::from_pytorch), [the same bits](guide::reproducibility), [where the time
//! goes](performance), [the format of model files](checkpoint), [limits](guide::limits).
//!
//! # Example
//! ```
//! use pushforward::{AffinePath, Divergence, Mlp, Rng, Solver, Tensor, Trainer, data::toy};
//!
//! let mut rng = Rng::from_seed(0);
//! let x_1: Tensor = toy::moons(2_000, &mut rng); // target samples, [2000, 2]
//! let velocity = Mlp::new(2, &[32, 32], &mut rng)?; // u(t, x; theta)
//! let flow = Trainer::new(AffinePath::default()).steps(200).fit(velocity, &x_1, &mut rng)?;
//!
//! let solver = Solver::midpoint().steps(20);
//! let drawn = flow.sample(100, &solver, &mut rng)?; // t = 0 -> 1
//! let score = flow.log_density(&drawn.x, Divergence::Exact, &solver, &mut rng)?; // t = 1 -> 0
//! assert_eq!((drawn.x.rows(), score.log_density.len()), (100, 100));
//! # Ok::<(), pushforward::Error>(())
//! ```
//!
//! # What is where
//! A row uses only rows below it.
//! ```text
//! audit                                            every equation beside the number that proves it
//! train                                            the loop: Trainer, Run
//! flow                                             a trained velocity: sample, log_density, save, load
//! objective  likelihood  metrics  plot  closed_form
//! nn  path  coupling  data  ode
//! autodiff  field  source  checkpoint
//! tensor
//! kernel  file                                     the only place that names SIMD; files replaced when complete
//! error  rng  estimate
//! ```
//!
//! # Features
//! `cli` (default) builds the program and brings the others; `csv` reads and writes CSV tables, `plot`
//! draws PNG pictures, `safetensors` exchanges networks with PyTorch; `parquet` (not part of `cli`) reads and
//! writes Parquet tables. With `default-features = false` there is the mathematics, NPY and the model file.
//!
//! # Limits
//! Same seed, same bits, on any number of threads. Another SIMD level ([`SimdLevel`]) may change the last bits;
//! `portable` gives the same on every CPU of the same standard library. All others: [`guide::limits`].

// The library answers with an error. What may still panic, for a slip that a `# Panics` section names, says why.
#![deny(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::string_slice)]

pub mod audit;
pub mod autodiff;
pub mod checkpoint;
pub mod closed_form;
pub mod coupling;
pub mod data;
pub mod error;
pub mod estimate;
pub mod field;
pub mod file;
pub mod flow;
pub mod guide;
pub mod kernel;
pub mod likelihood;
pub mod metrics;
pub mod nn;
pub mod objective;
pub mod ode;
pub mod path;
pub mod performance;
#[cfg(feature = "plot")]
pub mod plot;
pub mod rng;
pub mod source;
pub mod tensor;
pub mod train;

pub use coupling::Coupling;
pub use error::{Error, Result};
pub use estimate::Estimate;
pub use field::{DifferentiableField, VectorField};
pub use flow::Flow;
pub use kernel::{Real, Simd, SimdLevel};
pub use likelihood::{Divergence, Scores};
pub use nn::Mlp;
pub use ode::Solver;
pub use path::{AffinePath, Scheduler};
pub use rng::Rng;
pub use source::Source;
pub use tensor::Tensor;
pub use train::Trainer;
