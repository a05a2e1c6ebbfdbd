//! [`ProbeReplay`]: eᵀ (du/dx) e of each row for given directions e.

use std::sync::Arc;

use super::op::{Linear, Op};
use super::replay::{Buffer, Derivatives, Replay, TANGENTS, layer};
use super::tape::{Tape, Var};
use super::weights::Weights;
use crate::kernel::Real;

/// A tape with the memory to find eᵀ (du/dx) e for K probes e of each row, where u is a chain of linear layers from x: the
/// first may see x joined with columns that do not depend on it.
///
/// The tangents of a row stand one after the other and go through all layers while they are in the cache. All else is as in
/// [`Replay::jvp`], its plain twin.
#[derive(Debug)]
pub struct ProbeReplay<R> {
    replay: Replay<R>,
    /// The nodes of the layers, the first one to the last.
    chain: Vec<usize>,
    d: usize,
    count: usize,
    /// [K B, inputs of the first layer], row i K + k the k-th of row i; 0 after the d numbers of the probe.
    probes: Buffer<R>,
    /// The probes of some rows, and their tangents after each layer, [K n, cols] for n rows at a time.
    tangents: Vec<Buffer<R>>,
    rows_at_once: usize,
}

impl<R: Real> ProbeReplay<R> {
    /// Makes the buffers for at most `capacity` rows with `count` probes each; None if u is no such chain from x, or if it has
    /// other columns than x.
    #[must_use]
    pub fn new(tape: Arc<Tape>, capacity: usize, count: usize, x: Var, u: Var) -> Option<Self> {
        let chain = tape.chain(x, u)?;
        let &first = chain.first()?;
        let Op::Linear(Linear { x: input, .. }) = &tape.nodes[first].op else { return None };
        let d = tape.cols(x);
        if tape.cols(u) != d {
            return None;
        }
        let rows_at_once = (TANGENTS / count.max(1)).clamp(1, capacity.max(1));
        let inputs = tape.cols(*input);
        let cols = [inputs].into_iter().chain(chain.iter().map(|&i| tape.nodes[i].cols));
        Some(Self {
            d,
            count,
            probes: Buffer::new(count * capacity, inputs),
            tangents: cols.map(|cols| Buffer::new(count * rows_at_once, cols)).collect(),
            rows_at_once,
            replay: Replay::build(tape, capacity, Derivatives::default(), true),
            chain,
        })
    }

    /// The replay of the values: fill its inputs and call [`Replay::forward`].
    pub fn replay(&mut self) -> &mut Replay<R> {
        &mut self.replay
    }

    /// Sets the probes of row i, [K, d], one after the other.
    ///
    /// # Panics
    /// If they are not K d numbers, or if row i is beyond the capacity.
    pub fn set_probes(&mut self, i: usize, probes: &[R]) {
        assert_eq!(probes.len(), self.count * self.d, "numbers of the probes of a row");
        for k in 0..self.count {
            let probe = &probes[k * self.d..(k + 1) * self.d];
            self.probes.row_mut(i * self.count + k)[..self.d].copy_from_slice(probe);
        }
    }

    /// Writes eᵀ (du/dx) e of each probe of each row, [B, K], after a forward pass of B rows.
    ///
    /// # Panics
    /// If B is above the capacity, or `along` is no [B, K].
    pub fn along(&mut self, weights: &Weights<R>, rows: usize, along: &mut [f64]) {
        assert!(rows <= self.replay.capacity(), "{rows} rows of {}", self.replay.capacity());
        assert_eq!(along.len(), rows * self.count, "one number for each probe");
        let (nodes, slopes) = (&self.replay.tape.nodes, &self.replay.slopes);
        let k = self.count;
        for (block, along) in along.chunks_mut((self.rows_at_once * k).max(1)).enumerate() {
            let (first, rows) = (block * self.rows_at_once, along.len() / k);
            self.tangents[0]
                .rows_mut(k * rows)
                .copy_from(self.probes.range(k * first..k * (first + rows)), 0);
            for (l, &i) in self.chain.iter().enumerate() {
                let layer = layer(&nodes[i].op);
                let slope = slopes[i].as_ref().map(|slope| slope.range(first..first + rows));
                let (before, after) = self.tangents.split_at_mut(l + 1);
                layer.jvp_each(weights, slope, k, &before[l], &mut after[0], rows);
            }
            let d_u = &self.tangents[self.chain.len()];
            for (j, along) in along.iter_mut().enumerate() {
                let e = &self.probes.row(k * first + j)[..self.d];
                let terms = e.iter().zip(d_u.row(j)).map(|(e, d_u)| e.to_f64() * d_u.to_f64());
                *along = terms.sum(); // eᵀ (du/dx) e, E22
            }
        }
    }
}
