//! Distances between two sets of samples, and the energy of the way between them.
//!
//! | function | what it sees | 0, or chance | cost |
//! |---|---|---|---|
//! | [`sliced_w2`] | transport along random directions | above 0 | n log n |
//! | [`exact_w2`] | transport | above 0 | an assignment |
//! | [`energy_distance`] | distances between all pairs | above 0 | n² |
//! | [`mmd_squared`] | Gaussian kernels between all pairs | around 0, on both sides | n² |
//! | [`classifier_accuracy`] | whether nearest neighbours tell the sets apart | 1/2 | n² |
//! | [`column_distances`] | each column by itself: W1, W2, Kolmogorov and Smirnov | above 0 | n log n |
//! | [`Memorisation`] | whether samples are copies of training rows | 1/2 | n N |
//! | [`PathEnergy`] | the way of the samples: its energy, how straight it is | 0: straight | an ODE |
//!
//! # Shapes
//! Samples are rows: [n, d] and [m, d].
//!
//! # Limits
//! A distance between two finite sets is not 0 even when both come from the same law: compare it with
//! its noise floor, the same distance between two fresh draws of the data of the same sizes, as [`Evaluation`] does. All but the classifier, the kernels
//! and Kolmogorov's are in the units of the data: columns of different sizes should be scaled before. The same bits for any number
//! of threads.

mod classifier;
mod columns;
mod energy;
mod evaluation;
mod memorisation;
mod mmd;
mod pairs;
mod path_energy;
mod sets;
mod wasserstein;

pub use classifier::classifier_accuracy;
pub use columns::{ColumnDistance, column_distances};
pub use energy::energy_distance;
pub use evaluation::{Evaluation, HALVINGS, Measured, MeasuredColumn, PAIR_ROWS};
pub use memorisation::Memorisation;
pub use mmd::{median_distance, mmd_squared};
pub use path_energy::PathEnergy;
pub use wasserstein::{EXACT_W2_ROWS, exact_w2, sliced_w2};

#[cfg(test)]
mod tests {
    use crate::rng::{Purpose, Rng};
    use crate::source::Source;
    use crate::tensor::Tensor;

    /// n rows of N(0, std² I).
    pub(super) fn normals(n: usize, d: usize, std: f64, seed: u64) -> Tensor<f64> {
        let mut x = Tensor::zeros(n, d);
        Source::Normal.fill(&Rng::from_seed(seed).fork(Purpose::Metric), 0, &mut x);
        x.as_mut_slice().iter_mut().for_each(|x| *x *= std);
        x
    }
}
