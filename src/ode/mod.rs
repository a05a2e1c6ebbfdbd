//! ODE solvers: fixed-step explicit Runge-Kutta methods, forwards and backwards, for a batch of rows.
//!
//! [`Solver`] says how, as data; [`Solver::solve`] does it for a batch in parallel and gives a
//! [`Solution`], [`Solver::trajectory`] keeps the course of the rows; [`Integration`] is the loop under
//! both, for a caller who makes the steps one by one.
//!
//! # Math
//! d/dt psi_t(x) = u_t(psi_t(x)) (E1). A method of order k has the global error O(h^k) (E23).
//!
//! # Limits
//! Explicit methods with a fixed number of steps: a velocity that changes much within a step is not
//! noticed. Compare with twice the steps to see the error.
//!
//! # Source
//! E. Hairer, S. Nørsett, G. Wanner, "Solving Ordinary Differential Equations I", chapter II.

mod integration;
mod method;
mod solution;
mod solver;
mod tableau;

pub use integration::Integration;
pub use method::Method;
pub use solution::{Solution, Stats, Trajectory};
pub use solver::{ROWS_PER_BLOCK, Solver};
