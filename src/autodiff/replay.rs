//! [`Replay`]: the buffers into which a tape is replayed, for at most a fixed number of rows.

use std::ops::Range;
use std::sync::Arc;

use super::op::{Linear, Op};
use super::tape::{Tape, Var};
use super::weights::Weights;
use crate::kernel::{Aligned, Real, Rows, RowsMut, Start};

/// Which derivatives a replay has buffers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Derivatives {
    /// Reverse mode in the parameters.
    pub parameters: bool,
    /// Reverse mode in the inputs.
    pub inputs: bool,
    /// Forward mode: how many tangents a row.
    pub tangents: usize,
}

/// A tape with the memory to run it: values, cotangents and tangents of at most `capacity` rows.
/// Nothing is allocated after it was made.
///
/// # Example
/// ```
/// use pushforward::autodiff::{Derivatives, Replay, Tape, Weights};
/// use pushforward::Simd;
/// use std::sync::Arc;
///
/// let mut tape = Tape::default(); // y = x w + b
/// let x = tape.input(2);
/// let y = tape.linear(x, 1, None);
/// let weights = Weights::new(&tape, vec![3.0, 5.0, 0.5], Simd::detect());
///
/// let mut replay = Replay::new(Arc::new(tape), 1, Derivatives { inputs: true, ..Default::default() });
/// replay.input_mut(x, 1).row_mut(0).copy_from_slice(&[1.0, 2.0]);
/// replay.forward(&weights, 1);
/// assert_eq!(replay.value(y, 1).row(0), [13.5]);
/// replay.cotangent_mut(y, 1).row_mut(0)[0] = 1.0;
/// replay.vjp(y, &weights, None, 1);
/// assert_eq!(replay.cotangent(x, 1).row(0), [3.0, 5.0]);
/// ```
#[derive(Debug)]
pub struct Replay<R> {
    pub(super) tape: Arc<Tape>,
    capacity: usize,
    derivatives: Derivatives,
    values: Vec<Buffer<R>>,
    pub(super) slopes: Vec<Option<Buffer<R>>>,
    cotangents: Vec<Option<Buffer<R>>>,
    tangents: Vec<Option<Buffer<R>>>,
    started: Vec<bool>,
}

impl<R: Real> Replay<R> {
    /// Makes the buffers for at most `capacity` rows.
    #[must_use]
    pub fn new(tape: Arc<Tape>, capacity: usize, derivatives: Derivatives) -> Self {
        Self::build(tape, capacity, derivatives, derivatives != Derivatives::default())
    }

    /// As [`Replay::new`]; whether the slopes of activations are kept, from which derivatives are found.
    pub(super) fn build(tape: Arc<Tape>, capacity: usize, derivatives: Derivatives, slopes: bool) -> Self {
        let Derivatives { parameters, inputs, tangents } = derivatives;
        let nodes = &tape.nodes;
        let has_slope = |op: &Op| slopes && matches!(op, Op::Linear(linear) if linear.activation.is_some());
        Self {
            capacity,
            derivatives,
            values: nodes.iter().map(|n| Buffer::new(capacity, n.cols)).collect(),
            slopes: nodes.iter().map(|n| has_slope(&n.op).then(|| Buffer::new(capacity, n.cols))).collect(),
            cotangents: nodes
                .iter()
                .map(|n| {
                    (inputs && n.on_inputs || parameters && n.on_parameters)
                        .then(|| Buffer::new(capacity, n.cols))
                })
                .collect(),
            tangents: nodes
                .iter()
                .map(|n| (tangents > 0 && n.on_inputs).then(|| Buffer::new(tangents * capacity, n.cols)))
                .collect(),
            started: vec![false; nodes.len()],
            tape,
        }
    }

    /// The most rows that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The rows of an input, to fill before [`Replay::forward`].
    ///
    /// # Panics
    /// If `var` is no input, or `rows` do not fit.
    pub fn input_mut(&mut self, var: Var, rows: usize) -> RowsMut<'_, R> {
        assert!(matches!(self.tape.nodes[var.0].op, Op::Input), "only inputs are written");
        self.values[var.0].rows_mut(rows)
    }

    /// The value of a variable after [`Replay::forward`].
    ///
    /// # Panics
    /// If `rows` do not fit.
    #[must_use]
    pub fn value(&self, var: Var, rows: usize) -> Rows<'_, R> {
        self.values[var.0].rows(rows)
    }

    /// The cotangent of the variable from which [`Replay::vjp`] starts, to fill before it.
    ///
    /// # Panics
    /// If the derivatives asked for do not reach `var`, or `rows` do not fit.
    pub fn cotangent_mut(&mut self, var: Var, rows: usize) -> RowsMut<'_, R> {
        differentiated(self.cotangents[var.0].as_mut()).rows_mut(rows)
    }

    /// The cotangent of an input after [`Replay::vjp`].
    ///
    /// # Panics
    /// If the derivatives asked for do not reach `var`, or `rows` do not fit.
    #[must_use]
    pub fn cotangent(&self, var: Var, rows: usize) -> Rows<'_, R> {
        differentiated(self.cotangents[var.0].as_ref()).rows(rows)
    }

    /// The tangents of an input, [K rows, cols], to fill before [`Replay::jvp`].
    ///
    /// # Panics
    /// If the derivatives asked for do not reach `var`, or `rows` do not fit.
    pub fn tangent_mut(&mut self, var: Var, rows: usize) -> RowsMut<'_, R> {
        let rows = self.derivatives.tangents * rows;
        differentiated(self.tangents[var.0].as_mut()).rows_mut(rows)
    }

    /// The tangents of a variable after [`Replay::jvp`], [K rows, cols].
    ///
    /// # Panics
    /// If the derivatives asked for do not reach `var`, or `rows` do not fit.
    #[must_use]
    pub fn tangent(&self, var: Var, rows: usize) -> Rows<'_, R> {
        let rows = self.derivatives.tangents * rows;
        differentiated(self.tangents[var.0].as_ref()).rows(rows)
    }

    /// Computes every variable from the inputs, for the first `rows` rows.
    ///
    /// # Panics
    /// If `rows` do not fit.
    pub fn forward(&mut self, weights: &Weights<R>, rows: usize) {
        assert!(rows <= self.capacity, "{rows} rows in a replay of {}", self.capacity);
        for (i, node) in self.tape.nodes.iter().enumerate() {
            let (before, y) = self.values.split_at_mut(i);
            let y = &mut y[0];
            match &node.op {
                Op::Input => {}
                Op::Fourier(op) => op.forward(before, y, rows),
                Op::Concat(op) => op.forward(before, y, rows),
                Op::Linear(op) => op.forward(weights, before, y, self.slopes[i].as_mut(), rows),
                Op::SquaredError(op) => op.forward(weights.simd(), before, y, rows),
            }
        }
    }

    /// Reverse mode from `from`, whose cotangent was filled, after [`Replay::forward`] of the same rows. The
    /// gradient of the parameters is added to `gradient`. The cotangents on the way are used up.
    ///
    /// # Panics
    /// If `gradient` is not as long as the parameters.
    pub fn vjp(&mut self, from: Var, weights: &Weights<R>, mut gradient: Option<&mut [R]>, rows: usize) {
        if let Some(gradient) = &gradient {
            assert_eq!(gradient.len(), self.tape.parameters(), "length of the gradient");
        }
        self.started.fill(false);
        for (i, node) in self.tape.nodes[..=from.0].iter().enumerate().rev() {
            let (before, rest) = self.cotangents.split_at_mut(i);
            let Some(d_y) = rest[0].as_mut() else { continue };
            if i != from.0 && !self.started[i] {
                if matches!(node.op, Op::Input) {
                    d_y.clear(rows); // an input on which the result does not depend
                }
                continue;
            }
            let mut d =
                Cotangents { buffers: before, started: &mut self.started, gradient: gradient.as_deref_mut() };
            match &node.op {
                Op::Input => {}
                Op::Fourier(op) => op.vjp(&self.values[i], d_y, &mut d, rows),
                Op::Concat(op) => op.vjp(d_y, &mut d, rows),
                Op::Linear(op) => {
                    op.vjp(weights, &self.values[op.x.0], self.slopes[i].as_ref(), d_y, &mut d, rows);
                }
                Op::SquaredError(op) => op.vjp(&self.values, d_y, &mut d, rows),
            }
        }
    }

    /// Forward mode up to `to`, from the tangents of the inputs, after [`Replay::forward`] of the same rows.
    pub fn jvp(&mut self, to: Var, weights: &Weights<R>, rows: usize) {
        let tangents = self.derivatives.tangents;
        for (i, node) in self.tape.nodes[..=to.0].iter().enumerate() {
            let (before, rest) = self.tangents.split_at_mut(i);
            let Some(d_y) = rest[0].as_mut() else { continue };
            match &node.op {
                Op::Input => {}
                Op::Fourier(op) => {
                    if let Some(d_t) = &before[op.t.0] {
                        op.jvp(&self.values[i], d_t, d_y, rows, tangents);
                    }
                }
                Op::Concat(op) => op.jvp(before, d_y, rows, tangents),
                Op::Linear(op) => {
                    if let Some(d_x) = &before[op.x.0] {
                        op.jvp(weights, self.slopes[i].as_ref(), d_x, d_y, rows, tangents);
                    }
                }
                Op::SquaredError(op) => op.jvp(&self.values, before, d_y, rows, tangents),
            }
        }
    }
}

/// The buffer of a variable that derivatives reach.
#[allow(clippy::expect_used, reason = "that they do not is the slip of a caller, which `# Panics` names")]
fn differentiated<T>(buffer: Option<T>) -> T {
    buffer.expect("a variable that is differentiated")
}

/// The layer that a node of a chain is.
#[allow(clippy::unreachable, reason = "a chain was made of layers alone")]
pub(super) fn layer(op: &Op) -> &Linear {
    match op {
        Op::Linear(linear) => linear,
        _ => unreachable!("a chain consists of layers"),
    }
}

/// Tangents that are carried through a chain of layers together: enough rows for a product, few enough for the cache.
pub(super) const TANGENTS: usize = 256;

/// A tape with the memory to find tr(du/dx) of each row, where u is a chain of linear layers from x: the first may see x
/// joined with columns that do not depend on it.
///
/// The unit tangents of a row need no product in the first layer (they are rows of its weight), and of the last
/// layer only the trace is computed. All else is as in [`Replay::jvp`], its plain twin.
#[derive(Debug)]
pub struct DivergenceReplay<R> {
    replay: Replay<R>,
    /// The nodes of the layers, the first one to the last.
    chain: Vec<usize>,
    d: usize,
    /// The tangents of each layer but the last, [d n, cols] for n rows at a time.
    tangents: Vec<Buffer<R>>,
    transposed: Buffer<R>,
    rows_at_once: usize,
}

impl<R: Real> DivergenceReplay<R> {
    /// Makes the buffers for at most `capacity` rows; None if u is no such chain from x, or one of a single layer, if its last
    /// layer has an activation, or if u has other columns than x.
    #[must_use]
    pub fn new(tape: Arc<Tape>, capacity: usize, x: Var, u: Var) -> Option<Self> {
        let chain = tape.chain(x, u)?;
        let (&last, before) = chain.split_last()?;
        let hidden = *before.last()?;
        let d = tape.cols(x);
        let is_plain = matches!(&tape.nodes[last].op, Op::Linear(linear) if linear.activation.is_none());
        if !is_plain || tape.cols(u) != d {
            return None;
        }
        let rows_at_once = (TANGENTS / d.max(1)).clamp(1, capacity.max(1));
        Some(Self {
            d,
            tangents: before.iter().map(|&i| Buffer::new(d * rows_at_once, tape.nodes[i].cols)).collect(),
            transposed: Buffer::new(tape.nodes[last].cols, tape.nodes[hidden].cols),
            rows_at_once,
            replay: Replay::build(tape, capacity, Derivatives::default(), true),
            chain,
        })
    }

    /// The replay of the values: fill its inputs and call [`Replay::forward`].
    pub fn replay(&mut self) -> &mut Replay<R> {
        &mut self.replay
    }

    /// Writes tr(du/dx) of each row, after a forward pass of as many rows as `trace` has numbers.
    ///
    /// # Panics
    /// If `trace` has more numbers than the capacity.
    pub fn divergence(&mut self, weights: &Weights<R>, trace: &mut [f64]) {
        assert!(trace.len() <= self.replay.capacity, "{} rows of {}", trace.len(), self.replay.capacity);
        let (d, nodes, slopes) = (self.d, &self.replay.tape.nodes, &self.replay.slopes);
        let layer = |i: usize| layer(&nodes[i].op);
        let last = self.chain.len() - 1;
        layer(self.chain[last]).transpose(weights, &mut self.transposed, d);
        for (block, trace) in trace.chunks_mut(self.rows_at_once).enumerate() {
            let rows = trace.len();
            let first = block * self.rows_at_once;
            for (l, &i) in self.chain[..last].iter().enumerate() {
                let slope = slopes[i].as_ref().map(|slope| slope.range(first..first + rows));
                let (before, d_y) = self.tangents.split_at_mut(l);
                match before.last() {
                    None => layer(i).jvp_units(weights, slope, d, &mut d_y[0], rows),
                    Some(d_x) => layer(i).jvp_each(weights, slope, d, d_x, &mut d_y[0], rows),
                }
            }
            Linear::trace(weights, &self.transposed, d, &self.tangents[last - 1], trace);
        }
    }
}

/// The cotangents of the operands of one operation.
pub(super) struct Cotangents<'a, R> {
    buffers: &'a mut [Option<Buffer<R>>],
    started: &'a mut [bool],
    /// The gradient of the parameters, where it is wanted.
    pub(super) gradient: Option<&'a mut [R]>,
}

impl<R: Real> Cotangents<'_, R> {
    /// The cotangent of an operand, to add to: zero the first time. None where it is not wanted.
    pub(super) fn zeroed(&mut self, var: Var, rows: usize) -> Option<&mut Buffer<R>> {
        let first = !std::mem::replace(&mut self.started[var.0], true);
        let buffer = self.buffers[var.0].as_mut()?;
        if first {
            buffer.clear(rows);
        }
        Some(buffer)
    }

    /// The same for an operation that can start from zero by itself: what it has to start from.
    pub(super) fn started(&mut self, var: Var) -> Option<(&mut Buffer<R>, Start<'static, R>)> {
        let first = !std::mem::replace(&mut self.started[var.0], true);
        let buffer = self.buffers[var.0].as_mut()?;
        Some((buffer, if first { Start::Zero } else { Start::Accumulate }))
    }
}

/// Rows of numbers at a fixed distance: a multiple of 64 bytes, and never one at which rows fall
/// onto the same lines of a cache (a distance of 2 KiB or its multiples).
#[derive(Debug)]
pub(super) struct Buffer<R> {
    data: Aligned<R>,
    cols: usize,
    stride: usize,
}

impl<R: Real> Buffer<R> {
    pub(super) fn new(rows: usize, cols: usize) -> Self {
        const LINE: usize = 16;
        let whole = cols.next_multiple_of(LINE).max(LINE);
        let stride = if whole.is_multiple_of(8 * LINE) { whole + LINE } else { whole };
        Self { data: Aligned::zeros(rows * stride), cols, stride }
    }

    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    pub(super) fn rows(&self, rows: usize) -> Rows<'_, R> {
        Rows::new(&self.data[..rows * self.stride], self.cols, self.stride)
    }

    pub(super) fn rows_mut(&mut self, rows: usize) -> RowsMut<'_, R> {
        RowsMut::new(&mut self.data[..rows * self.stride], self.cols, self.stride)
    }

    pub(super) fn range(&self, rows: Range<usize>) -> Rows<'_, R> {
        Rows::new(&self.data[rows.start * self.stride..rows.end * self.stride], self.cols, self.stride)
    }

    pub(super) fn range_mut(&mut self, rows: Range<usize>) -> RowsMut<'_, R> {
        let stride = self.stride;
        RowsMut::new(&mut self.data[rows.start * stride..rows.end * stride], self.cols, stride)
    }

    pub(super) fn row(&self, i: usize) -> &[R] {
        &self.data[i * self.stride..][..self.cols]
    }

    pub(super) fn row_mut(&mut self, i: usize) -> &mut [R] {
        &mut self.data[i * self.stride..][..self.cols]
    }

    fn clear(&mut self, rows: usize) {
        self.data[..rows * self.stride].fill(R::ZERO);
    }
}
