//! Automatic differentiation over rows: a [`Tape`] is recorded once and replayed into buffers it owns.
//!
//! # Math
//! A tape is a composition of operations on matrices whose rows are samples; row i of a result depends on row i
//! of its inputs only. For an output y = f(x; theta), with J the Jacobian of one row:
//! ```text
//! jvp   d_y = J d_x                 forward mode, K tangents at once
//! vjp   d_x = Jᵀ d_y                reverse mode
//!       d_theta = sum over rows of (dy/dtheta)ᵀ d_y
//! ```
//! Training, the divergence of a likelihood and the audit all replay the same tape, so that what is proven is what runs.
//! Each operation has its forward, its vjp and its jvp side by side (`op.rs`); a fused operation (a linear layer with its
//! activation) is an operation with a vjp and a jvp of its own.
//!
//! # Shapes
//! A variable is [B, cols]; its cotangent is [B, cols]; its tangents are [K B, cols], row k B + i the k-th
//! tangent of row i. In [`DivergenceReplay`] and [`ProbeReplay`] those of a row stand together: row i K + k.
//!
//! # Source
//! A. Griewank, A. Walther, "Evaluating Derivatives", 2nd edition, SIAM 2008.

mod op;
mod probes;
mod replay;
mod tape;
mod weights;

pub use probes::ProbeReplay;
pub use replay::{Derivatives, DivergenceReplay, Replay};
pub use tape::{Tape, Var};
pub use weights::Weights;
