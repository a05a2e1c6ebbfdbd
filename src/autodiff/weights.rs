//! [`Weights`]: the parameters of a tape, and the same numbers packed for the matrix products.

use super::tape::{Matrix, Tape};
use crate::kernel::{Layout, Panels, Real, Simd};

/// The parameters of one tape, flat, and their packed copies, which always agree.
#[derive(Debug, Clone)]
pub struct Weights<R> {
    simd: Simd,
    parameters: Vec<R>,
    layers: Vec<Layer<R>>,
}

/// The packed copies of one layer's weight w.
#[derive(Debug, Clone)]
struct Layer<R> {
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

    fn pack(&mut self) {
        for layer in &mut self.layers {
            let w = &self.parameters[layer.matrix.weight()];
            layer.forward.pack(w, Layout::Straight);
            layer.transposed.pack(w, Layout::Transposed);
        }
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
