//! [`Weights`]: the parameters of a tape, and the same numbers packed for the matrix products.

use std::ops::Range;

use super::tape::{Matrix, Tape};
use crate::kernel::{Layout, Panels, Real, Simd};

/// The parameters of one tape, flat, and their packed copies, which always agree.
#[derive(Debug, Clone)]
pub struct Weights<R: Real> {
    simd: Simd,
    parameters: Vec<R>,
    layers: Vec<Layer<R>>,
}

/// The packed copies of one layer's weight w.
#[derive(Debug, Clone)]
struct Layer<R: Real> {
    matrix: Matrix,
    forward: Panels<R>,
    transposed: Panels<R>,
}

impl<R: Real> Weights<R> {
    /// Takes the parameters of a tape.
    ///
    /// # Panics
    /// If there are not [`Tape::parameters`] of them.
    #[must_use]
    pub fn new(tape: &Tape, parameters: Vec<R>, simd: Simd) -> Self {
        assert_eq!(parameters.len(), tape.parameters(), "parameters of the tape");
        let layers = tape.matrices.iter().map(|&matrix| Layer {
            matrix,
            forward: Panels::new(matrix.rows, matrix.cols, simd),
            transposed: Panels::new(matrix.cols, matrix.rows, simd),
        });
        let mut weights = Self { simd, parameters, layers: layers.collect() };
        weights.pack();
        weights
    }

    /// The flat parameters.
    #[must_use]
    pub fn parameters(&self) -> &[R] {
        &self.parameters
    }

    /// The SIMD level for which they are packed.
    #[must_use]
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// Changes the parameters, and packs them anew.
    pub fn update<T>(&mut self, change: impl FnOnce(&mut [R]) -> T) -> T {
        let result = change(&mut self.parameters);
        self.pack();
        result
    }

    /// Where the parameters of each layer, its weight and then its bias, stand among all of them.
    pub fn layers(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.layers.iter().map(|layer| layer.matrix.range())
    }

    /// Changes each layer's parameters (weight, then bias) and packs them anew, layers beside each other: `change` is
    /// given the layer's part of `state` too. Nothing is allocated.
    ///
    /// # Panics
    /// If there is not one state for each layer.
    pub fn update_layers<S: Send>(&mut self, state: &mut [S], change: impl Fn(&mut S, &mut [R]) + Sync) {
        assert_eq!(state.len(), self.layers.len(), "one state for each layer");
        update_layers(&mut self.layers, &mut self.parameters, state, &change);
    }

    fn pack(&mut self) {
        self.update_layers(&mut vec![(); self.layers.len()], |(), _| {});
    }

    /// w of a layer, packed for x w.
    pub(super) fn forward(&self, layer: usize) -> &Panels<R> {
        &self.layers[layer].forward
    }

    /// wᵀ of a layer, packed for d_y wᵀ.
    pub(super) fn transposed(&self, layer: usize) -> &Panels<R> {
        &self.layers[layer].transposed
    }

    /// The bias of a layer.
    pub(super) fn bias(&self, layer: usize) -> &[R] {
        &self.parameters[self.layers[layer].matrix.bias()]
    }

    /// Where a layer stands among the flat parameters.
    pub(super) fn matrix(&self, layer: usize) -> Matrix {
        self.layers[layer].matrix
    }
}

/// Halves the layers until one is left.
fn update_layers<R: Real, S: Send>(
    layers: &mut [Layer<R>],
    parameters: &mut [R],
    state: &mut [S],
    change: &(impl Fn(&mut S, &mut [R]) + Sync),
) {
    match (layers, state) {
        ([], _) | (_, []) => {}
        ([layer], [state, ..]) => {
            change(state, parameters);
            let w = &parameters[..layer.matrix.weight().len()];
            layer.forward.pack(w, Layout::Straight);
            layer.transposed.pack(w, Layout::Transposed);
        }
        (layers, state) => {
            let half = layers.len() / 2;
            let first = layers[0].matrix.offset;
            let (left, right) = parameters.split_at_mut(layers[half].matrix.offset - first);
            let (left_layers, right_layers) = layers.split_at_mut(half);
            let (left_state, right_state) = state.split_at_mut(half);
            rayon::join(
                || update_layers(left_layers, left, left_state, change),
                || update_layers(right_layers, right, right_state, change),
            );
        }
    }
}
