//! How much arithmetic a network is.

use pushforward::Mlp;

/// Floating-point operations of the matrix products of one evaluation of one row: 2 for each multiply-add.
pub(crate) fn flop_per_row(velocity: &Mlp) -> u64 {
    let shape = velocity.shape();
    let inputs =
        [shape.dim + shape.time_embedding.features()].into_iter().chain(shape.hidden.iter().copied());
    let outputs = shape.hidden.iter().copied().chain([shape.dim]);
    inputs.zip(outputs).map(|(k, n)| 2 * (k * n) as u64).sum()
}
