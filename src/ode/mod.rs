//! ODE solvers: explicit Runge-Kutta methods with fixed or with chosen steps, forwards and backwards, for a batch of rows.
//!
//! [`Solver`] says how, as data; [`Solver::solve`] does it for a batch in parallel and gives a
//! [`Solution`], [`Solver::trajectory`] keeps the course of the rows, a [`Workspace`] the memory; [`Integration`] (fixed steps) and
//! [`AdaptiveIntegration`] (chosen steps) are the loops under both, for a caller who makes the steps one by one.
//!
//! # Math
//! d/dt psi_t(x) = u_t(psi_t(x)) (E1). A method of order k has the global error O(h^k) (E23). A method that chooses its
//! steps does so for each row by itself, so that no row's result depends on its neighbours (E24).
//!
//! # Limits
//! Explicit methods: stiff fields take many steps. With fixed steps a velocity that changes much within a step is not
//! noticed: compare with twice the steps to see the error. With chosen steps the error of each step is kept near the
//! tolerance, not the error at the end, which a field that spreads rows apart makes larger. An estimate can pass through
//! zero where the error does not: `bosh3` once misses x' = -2 t x² by 74 tolerances for that, the others by less than one.
//!
//! # Source
//! E. Hairer, S. Nørsett, G. Wanner, "Solving Ordinary Differential Equations I", chapter II.

mod adaptive;
mod control;
mod course;
mod dop853;
mod estimate;
mod integration;
mod maruyama;
mod method;
mod row;
mod solution;
mod solve;
mod solver;
mod tableau;
mod tolerance;
mod workspace;

pub use adaptive::AdaptiveIntegration;
pub use integration::Integration;
pub use maruyama::EulerMaruyama;
pub use method::Method;
pub use solution::{Reason, RowStats, Solution, Stats, Trajectory};
pub use solve::ROWS_PER_BLOCK;
pub use solver::Solver;
pub(crate) use tableau::Tableau;
pub use tolerance::Tolerance;
pub use workspace::Workspace;
