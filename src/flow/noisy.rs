//! [`Flow::sample_noisy`] and [`Flow::trajectory_noisy`]: samples with noise on the way.
//!
//! # Math
//! dX = (u + (b²/2) grad log p_t) dt + b dW with b_t = beta sigma_t / sigma_0 has the laws p_t of the flow (E30); the score follows from
//! the velocity (E16). Steps are those of Euler and Maruyama, whose laws are off by O(h).

use std::ops::Range;

use crate::coupling::Coupling;
use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::ode::{EulerMaruyama, Reason, RowStats, Stats, Trajectory};
use crate::path::{Diffused, Transformed, Width};
use crate::rng::Streams;

use super::{Drawn, Flow};

impl Flow {
    /// As [`Flow::sample_rows`] with noise on the way that keeps the marginals: dX = (u + (b²/2) grad log p_t) dt + b dW with
    /// b_t = beta sigma_t / sigma_0, by `steps` steps of Euler and Maruyama. Without noise, beta = 0, it is `euler`. // E30
    ///
    /// # Errors
    /// As [`Flow::sample`]; [`Error::Setting`] for a beta that is negative or not finite, and where the score is not known from
    /// the velocity: for a source or a coupling other than `normal` and `independent`, and for noise on the trained path.
    pub fn sample_noisy<R: Real>(
        &self,
        rows: Range<usize>,
        beta: f64,
        steps: u32,
        streams: Streams,
        noise: Streams,
    ) -> Result<Drawn<R>> {
        let Trajectory { mut x, stats, .. } =
            self.trajectory_noisy(rows, beta, (steps, 1), streams, noise)?;
        Ok(Drawn { x: x.swap_remove(1), stats })
    }

    /// As [`Flow::sample_noisy`] at equally spaced times from source to target: `steps` are (steps, intervals), of which the second
    /// divides the first. The last ones are the bits that [`Flow::sample_noisy`] gives. // E30
    ///
    /// # Errors
    /// As [`Flow::sample_noisy`]; [`Error::Setting`] if the intervals are none or do not divide the steps.
    pub fn trajectory_noisy<R: Real>(
        &self,
        rows: Range<usize>,
        beta: f64,
        (steps, intervals): (u32, u32),
        streams: Streams,
        noise: Streams,
    ) -> Result<Trajectory<R>> {
        let refused = |remedy| Err(Error::Setting { name: "noise", value: beta.to_string(), remedy });
        if !(0.0..=1e3).contains(&beta) {
            return refused("give a number from 0 to 1000");
        }
        if self.path().width != Width::None {
            return refused(
                "the model was trained with noise on the way: its score does not follow from its velocity",
            );
        }
        if self.record().is_some_and(|record| record.coupling != Coupling::Independent) {
            return refused(
                "the score follows from the velocity only if source and target were paired independently",
            );
        }
        let x_0 = self.draw_source(rows.clone(), streams)?;
        let diffused = Diffused { scheduler: self.scheduler(), beta };
        let walk = EulerMaruyama { steps, streams: noise, first_row: rows.start };
        let bound = self.with_drawn_conditions(rows, streams)?;
        bound.check_given(x_0.rows())?;
        let course = bound.with_field(self.velocity(), |field| {
            let drift = Transformed::new(field, diffused);
            walk.trajectory(&drift, &|t| diffused.noise(t), &x_0, 0.0..1.0, intervals)
        })?;
        let row = RowStats { nfe: steps.into(), accepted: steps.into(), rejected: 0, reason: Reason::Done };
        Ok(Trajectory {
            t: (0..=intervals).map(|k| f64::from(k) / f64::from(intervals)).collect(),
            x: course.iter().map(|x| self.standardize().to_data(x)).collect::<Result<_>>()?,
            rows: vec![row; x_0.rows()],
            stats: Stats { rows: x_0.rows() as u64, ..Stats::of(&[row]) },
        })
    }
}
