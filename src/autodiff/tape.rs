//! [`Tape`]: the operations of a network in the order in which they are replayed.

use super::op::{Concat, Fourier, Linear, Op, SquaredError};
use crate::kernel::Activation;

/// One value of a tape: a matrix [B, cols] once it is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Var(pub(super) usize);

/// A recorded composition of operations: shapes only, no numbers.
///
/// # Example
/// ```
/// use pushforward::autodiff::Tape;
/// use pushforward::kernel::Activation;
///
/// let mut tape = Tape::default();
/// let (t, x) = (tape.constant(1), tape.input(2));
/// let input = tape.concat(x, t);
/// let hidden = tape.linear(input, 64, Some(Activation::Silu));
/// let u = tape.linear(hidden, 2, None);
/// assert_eq!(tape.cols(u), 2);
/// assert_eq!(tape.parameters(), (3 * 64 + 64) + (64 * 2 + 2));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tape {
    pub(super) nodes: Vec<Node>,
    pub(super) matrices: Vec<Matrix>,
    parameters: usize,
}

/// One operation and what is known of its result.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) op: Op,
    pub(super) cols: usize,
    /// Whether it depends on an input that is differentiated.
    pub(super) on_inputs: bool,
    /// Whether it depends on a parameter.
    pub(super) on_parameters: bool,
}

/// Where a layer's weight [rows, cols] and, after it, its bias [cols] stand among the flat parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix {
    pub(super) offset: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Matrix {
    /// The weight's numbers among the parameters.
    pub(super) fn weight(self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.rows * self.cols
    }

    /// Both.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.offset..self.bias().end
    }

    /// The bias's numbers among the parameters.
    pub(super) fn bias(self) -> std::ops::Range<usize> {
        self.weight().end..self.weight().end + self.cols
    }
}

impl Tape {
    /// An input that is differentiated.
    pub fn input(&mut self, cols: usize) -> Var {
        self.push(Op::Input, cols, &[], (true, false))
    }

    /// An input that is not differentiated: a time, a regression target.
    pub fn constant(&mut self, cols: usize) -> Var {
        self.push(Op::Input, cols, &[], (false, false))
    }

    /// sin(w_k t) for k = 1 ..= K, then cos(w_k t), with w_k = pi k: [B, 2 K] from t of shape [B, 1].
    ///
    /// # Panics
    /// If `t` has more than one column.
    pub fn fourier(&mut self, t: Var, frequencies: usize) -> Var {
        assert_eq!(self.cols(t), 1, "a time is one column");
        self.push(Op::Fourier(Fourier { t, frequencies }), 2 * frequencies, &[t], (false, false))
    }

    /// The columns of `left`, then those of `right`.
    pub fn concat(&mut self, left: Var, right: Var) -> Var {
        let cols = self.cols(left) + self.cols(right);
        let op = Op::Concat(Concat { left, right, left_cols: self.cols(left) });
        self.push(op, cols, &[left, right], (false, false))
    }

    /// f(x w + b), f the activation or the identity. Its parameters follow those recorded before: w as
    /// [cols of x, cols], row after row, then b.
    pub fn linear(&mut self, x: Var, cols: usize, activation: Option<Activation>) -> Var {
        let matrix = Matrix { offset: self.parameters, rows: self.cols(x), cols };
        self.parameters = matrix.bias().end;
        self.matrices.push(matrix);
        let op = Op::Linear(Linear { x, matrix: self.matrices.len() - 1, activation });
        self.push(op, cols, &[x], (false, true))
    }

    /// |u - target|² of each row: [B, 1].
    ///
    /// # Panics
    /// If the two differ in their columns.
    pub fn squared_error(&mut self, u: Var, target: Var) -> Var {
        assert_eq!(self.cols(u), self.cols(target), "columns of u and of its target");
        self.push(Op::SquaredError(SquaredError { u, target }), 1, &[u, target], (false, false))
    }

    /// Number of columns of a variable.
    #[must_use]
    pub fn cols(&self, var: Var) -> usize {
        self.nodes[var.0].cols
    }

    /// Number of parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// For each linear layer, in order: rows and columns of its weight.
    pub fn layers(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.matrices.iter().map(|m| (m.rows, m.cols))
    }

    /// The linear layers between x and u, first to last, if nothing else lies between them but columns that are joined to the
    /// right of x and do not depend on it.
    pub(super) fn chain(&self, x: Var, u: Var) -> Option<Vec<usize>> {
        let (mut layers, mut at) = (Vec::new(), u);
        while at != x {
            match &self.nodes[at.0].op {
                Op::Linear(linear) => {
                    layers.push(at.0);
                    at = linear.x;
                }
                Op::Concat(concat) if concat.left == x && !self.nodes[concat.right.0].on_inputs => at = x,
                _ => return None,
            }
        }
        layers.reverse();
        Some(layers)
    }

    fn push(&mut self, op: Op, cols: usize, from: &[Var], own: (bool, bool)) -> Var {
        self.nodes.push(Node {
            op,
            cols,
            on_inputs: own.0 || from.iter().any(|v| self.nodes[v.0].on_inputs),
            on_parameters: own.1 || from.iter().any(|v| self.nodes[v.0].on_parameters),
        });
        Var(self.nodes.len() - 1)
    }
}
