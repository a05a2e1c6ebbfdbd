//! Closed forms: what can be said exactly, to check everything else against.
//!
//! [`GaussianFlow`] is the flow from N(0, I) to N(m, S): velocity, map, log-density and the floor of the
//! training loss (E18). [`MixtureFlow`] has a mixture of Gaussians as its target (E19), [`EmpiricalField`] a set of points
//! (E20), and [`ExactLoss`] holds a trained velocity against the latter (E10, E12). [`mean_and_covariance`] finds m and S of
//! a batch of rows, and [`GaussianBaseline`] makes of them a velocity to which a network only adds ([`Residual`], E29).

mod baseline;
mod empirical;
mod exact_loss;
mod gaussian;
mod matrix;
mod mixture;
mod moments;
mod quadrature;
mod residual;
mod symmetric;

pub(crate) use baseline::BaselineWorker;
pub use baseline::{Baseline, GaussianBaseline, MOST_COLUMNS, Scales};
pub use empirical::{EmpiricalField, Targets};
pub use exact_loss::ExactLoss;
pub use gaussian::{GaussianFlow, GaussianVelocity};
pub use mixture::{MixtureFlow, MixtureVelocity};
pub use moments::mean_and_covariance;
pub use residual::Residual;
