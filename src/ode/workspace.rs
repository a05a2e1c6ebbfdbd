//! [`Workspace`]: the memory in which an ODE is solved again and again.
//!
//! # Shapes
//! x is [B, d], with the B that the workspace was made for: blocks of [`ROWS_PER_BLOCK`] rows, each with its own memory, run in parallel.
//!
//! # Limits
//! Memory is taken when it is made, and none by [`Workspace::solve`] as long as it is called in a rayon pool: whoever calls from
//! outside hands his work over to the pool, which takes an allocation now and then.

use std::fmt;
use std::mem;
use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::field::VectorField;
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::adaptive::AdaptiveIntegration;
use super::integration::Integration;
use super::solution::Stats;
use super::solve::ROWS_PER_BLOCK;
use super::solver::{Plan, Solver};

/// The memory in which an ODE is solved again and again for as many rows.
///
/// # Example
/// ```
/// use pushforward::{Solver, Tensor, field::FnField, ode::Workspace};
///
/// let decay = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0]);
/// let mut workspace = Workspace::new(&Solver::dopri5(), &decay, 2, 0.0..1.0)?;
/// let mut x = Tensor::from_rows(&[[1.0], [2.0]]);
/// for _ in 0..2 {
///     workspace.solve(&mut x)?;
/// }
/// assert!((x.row(1)[0] - 2.0 * (-2.0_f64).exp()).abs() < 1e-5);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub struct Workspace<'a, R: Real = f32> {
    rows: usize,
    d: usize,
    blocks: Vec<Block<'a, R>>,
}

/// Some of the rows, and what became of them.
struct Block<'a, R: Real> {
    loops: Loops<'a, R>,
    end: Result<Stats>,
}

enum Loops<'a, R: Real> {
    Fixed(Box<Integration<'a, R>>),
    Adaptive(Box<AdaptiveIntegration<'a, R>>),
}

impl<'a, R: Real> Workspace<'a, R> {
    /// Takes the memory to move `rows` rows from time `t.start` to time `t.end`.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that do not fit the solver, an end that is not finite, or rows for which there is no memory.
    pub fn new<F>(solver: &Solver, field: &'a F, rows: usize, t: Range<f64>) -> Result<Self>
    where
        F: VectorField<R> + ?Sized,
    {
        let d = field.dim();
        Tensor::<R>::try_zeros(rows, d.max(1))?; // what is far too much is refused at once
        let plan = solver.plan(field, &Tensor::zeros(0, d), &t)?;
        let block = |first: usize| {
            let x = Tensor::zeros(ROWS_PER_BLOCK.min(rows - first), d);
            let loops = match plan {
                Plan::Fixed(_) => {
                    let run = Integration::new(solver, field, x, t.clone())?.first_row(first);
                    Loops::Fixed(Box::new(run))
                }
                Plan::Adaptive(_) => {
                    let run = AdaptiveIntegration::new(solver, field, x, t.clone())?.first_row(first);
                    Loops::Adaptive(Box::new(run))
                }
            };
            Ok(Block { loops, end: Ok(Stats::default()) })
        };
        Ok(Self { rows, d, blocks: (0..rows).step_by(ROWS_PER_BLOCK).map(block).collect::<Result<_>>()? })
    }

    /// Moves every row of x, [B, d], to the end, in place: to the bits that [`Solver::solve`] gives. What it took comes back.
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has not the shape that this is for, [`Error::NotFinite`] if it holds NaN or infinity, and those of
    /// [`Solver::solve`]. The rows of a block that failed are then as they were; the workspace can be used again.
    pub fn solve(&mut self, x: &mut Tensor<R>) -> Result<Stats> {
        x.check_cols("columns of x", self.d, "give rows of the dimension of the field")?;
        if x.rows() != self.rows {
            return Err(Error::Dimension {
                what: "rows of x",
                expected: self.rows,
                found: x.rows(),
                remedy: "give as many as the workspace was made for",
            });
        }
        x.check_finite("x at the start of the ODE", "remove or replace that row")?;
        let blocks = self.blocks.par_iter_mut();
        blocks
            .zip(x.as_mut_slice().par_chunks_mut(ROWS_PER_BLOCK * self.d.max(1)))
            .for_each(|(block, x)| block.end = block.loops.run(x));
        let mut stats = Stats::default();
        for block in &mut self.blocks {
            stats = stats.merge(mem::replace(&mut block.end, Ok(Stats::default()))?);
        }
        Ok(stats)
    }
}

impl<R: Real> Loops<'_, R> {
    /// Moves the rows of the block.
    fn run(&mut self, x: &mut [R]) -> Result<Stats> {
        match self {
            Self::Fixed(run) => {
                run.restart(x);
                while !run.step()? {}
                x.copy_from_slice(run.x().as_slice());
                Ok(Stats { rows: run.x().rows() as u64, ..Stats::of(&[run.stats()]) })
            }
            Self::Adaptive(run) => {
                run.restart(x);
                while !run.step()? {}
                let done = run.done();
                x.copy_from_slice(done.x.as_slice());
                Ok(Stats::of(&done.rows))
            }
        }
    }
}

impl<R: Real> fmt::Debug for Workspace<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("rows", &self.rows).field("d", &self.d).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;
    use crate::field::FnField;

    /// Rows that end at very different times, and one field that has no value beyond x = 3.
    fn field() -> impl VectorField<f64> {
        FnField::new(2, |t: f64, x: &[f64], u: &mut [f64]| {
            let wall = if x[0] < 3.0 { 1.0 } else { f64::NAN };
            u[0] = wall * (0.3 * x[1] - x[0] * x[0] * x[0]);
            u[1] = x[0] + (7.0 * t).sin();
        })
    }

    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    fn batch(rows: usize, shift: f64) -> Tensor<f64> {
        let number = |i: usize| 2.0 * (0.7 * i as f64 + shift).sin();
        Tensor::from_vec((0..2 * rows).map(number).collect(), rows, 2).unwrap()
    }

    #[test]
    fn it_gives_the_bits_of_solve_again_and_again() {
        let field = field();
        for method in Method::ALL {
            let solver = Solver::new(method);
            for rows in [1, ROWS_PER_BLOCK, 2 * ROWS_PER_BLOCK + 3] {
                let mut workspace = Workspace::new(&solver, &field, rows, 0.0..1.0).unwrap();
                for shift in [0.0, 1.0, 0.0] {
                    let mut x = batch(rows, shift);
                    let solution = solver.solve(&field, &x, 0.0..1.0).unwrap();
                    let stats = workspace.solve(&mut x).unwrap();
                    assert_eq!(x, solution.x, "{method}");
                    assert_eq!(stats.rows, solution.stats.rows);
                    // Sums of means of blocks: some roundings.
                    assert!((stats.nfe / solution.stats.nfe - 1.0).abs() < 1e-14, "{method}");
                }
            }
        }
    }

    #[test]
    fn after_an_error_it_goes_on() {
        let field = field();
        for method in Method::ALL {
            let solver = Solver::new(method);
            let mut workspace = Workspace::new(&solver, &field, 200, 0.0..1.0).unwrap();
            let mut bad = batch(200, 0.0);
            bad.row_mut(150)[0] = 4.0;
            let before = bad.clone();
            let error = workspace.solve(&mut bad).unwrap_err().to_string();
            let plain = solver.solve(&field, &before, 0.0..1.0).unwrap_err().to_string();
            assert_eq!(error, plain);
            assert!(error.contains("row 150"), "{error}");
            assert_eq!(bad.row(150), before.row(150));
            let mut good = batch(200, 0.0);
            workspace.solve(&mut good).unwrap();
            assert_eq!(good, solver.solve(&field, &batch(200, 0.0), 0.0..1.0).unwrap().x);
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let field = field();
        let mut workspace = Workspace::new(&Solver::dopri5(), &field, 3, 0.0..1.0).unwrap();
        for (x, says) in [
            (Tensor::zeros(2, 2), "found 2, expected 3"),
            (Tensor::zeros(3, 1), "found 1, expected 2"),
            (Tensor::from_rows(&[[0.0, 0.0], [f64::NAN, 0.0], [0.0, 0.0]]), "NaN in row 1"),
        ] {
            let error = workspace.solve(&mut x.clone()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(Workspace::new(&Solver::dopri5().steps(3), &field, 3, 0.0..1.0).is_err());
        let printed = format!("{:?}", Workspace::new(&Solver::dopri5(), &field, 3, 0.0..1.0).unwrap());
        assert!(printed.contains("rows: 3, d: 2"), "{printed}");
        let mut none = Workspace::new(&Solver::euler(), &field, 0, 0.0..1.0).unwrap();
        assert_eq!(none.solve(&mut Tensor::zeros(0, 2)).unwrap(), Stats::default());
    }
}
