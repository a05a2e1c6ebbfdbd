//! [`Sampler`]: samples written where the caller wants them, without asking for memory.
//!
//! # Shapes
//! x is [N, d] in the units of the data, with the N that the sampler was made for.
//!
//! # Limits
//! As [`Workspace`]: nothing is allocated as long as it is called in a rayon pool.

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::ode::{Solver, Stats, Workspace};
use crate::rng::Streams;
use crate::tensor::Tensor;

use super::Flow;

/// What [`Flow::with_sampler`] hands over.
#[derive(Debug)]
pub struct Sampler<'a> {
    flow: &'a Flow,
    z: Tensor<f32>, // [N, d'], as the network sees them
    workspace: Workspace<'a>,
}

impl Flow {
    /// Takes the memory to draw `rows` samples at a time, and hands what draws them to `f`: for a loop that draws again and again and
    /// must not allocate.
    ///
    /// # Errors
    /// [`Error::Setting`] for no rows, for settings that do not fit the solver, and for a model with conditions if those of the
    /// rows are not given ([`Flow::given`]); those of `f`.
    ///
    /// # Example
    /// ```
    /// use pushforward::rng::Purpose;
    /// use pushforward::{AffinePath, Flow, Mlp, Rng, Solver, Source, Tensor};
    ///
    /// let velocity = Mlp::new(2, &[16], &mut Rng::from_seed(0))?;
    /// let flow = Flow::new(velocity, AffinePath::default(), Source::Normal);
    /// let (solver, streams) = (Solver::midpoint(), Rng::from_seed(1).fork(Purpose::Source));
    /// let mut x = Tensor::<f32>::zeros(100, 2); // yours
    /// flow.with_sampler(100, &solver, |sampler| {
    ///     for first in [0, 100, 200] {
    ///         sampler.draw(first, streams, &mut x)?; // samples 0 to 99, 100 to 199, 200 to 299
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(x, flow.sample_rows(200..300, &solver, streams)?.x);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn with_sampler<T>(
        &self,
        rows: usize,
        solver: &Solver,
        f: impl FnOnce(&mut Sampler<'_>) -> Result<T>,
    ) -> Result<T> {
        if rows == 0 {
            let remedy = "make it for at least one row";
            return Err(Error::Setting { name: "rows", value: "0".into(), remedy });
        }
        self.source.check_drawn()?;
        self.check_given(rows)?;
        self.with_field(&self.velocity, |field| {
            let workspace = Workspace::new(solver, field, rows, 0.0..1.0)?;
            f(&mut Sampler { flow: self, z: Tensor::zeros(rows, self.velocity.shape().dim), workspace })
        })
    }
}

impl Sampler<'_> {
    /// Draws rows `first`, `first + 1`, ... of the sequence of samples that belongs to `streams` into x, [N, d]: the bits that
    /// [`Flow::sample_rows`] gives. What it took comes back. // E2
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has another shape, and those of the solver as in [`Flow::sample`].
    pub fn draw<R: Real>(&mut self, first: usize, streams: Streams, x: &mut Tensor<R>) -> Result<Stats> {
        x.check_cols("columns of x", self.flow.dim(), "give the columns of the data")?;
        if x.rows() != self.z.rows() {
            return Err(Error::Dimension {
                what: "rows of x",
                expected: self.z.rows(),
                found: x.rows(),
                remedy: "give as many as the sampler was made for",
            });
        }
        self.flow.source.fill(&streams, first, &mut self.z);
        let stats = self.workspace.solve(&mut self.z)?;
        self.flow.standardize.write_data(&self.z, x);
        Ok(stats)
    }
}
