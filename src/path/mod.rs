//! [`AffinePath`]: how a source row and a target row are joined by X_t, and the velocity along it.
//!
//! # Math
//! X_t = alpha_t X_1 + sigma_t X_0, dX_t/dt = alpha'_t X_1 + sigma'_t X_0 (E13). For the scheduler
//! `condot` this is X_t = t X_1 + (1 - t) X_0 with the conditional velocity X_1 - X_0 (E6, E8). With
//! independent X_0 ~ N(0, I) and X_1 ~ q the law of X_t is p_t(x) = ∫ N(x | t x_1, (1 - t)² I) q(x_1) dx_1
//! (E4, E5), of mean t E\[X_1\] and covariance t² Cov\[X_1\] + (1 - t)² I (E7).
//!
//! # Shapes
//! x_0, x_1, x_t and dx_t are [B, d]; t has length B.
//!
//! # Limits
//! t in [0, 1], t = 0 the source, t = 1 the target.
//!
//! # Source
//! Lipman et al. 2024, arXiv:2412.06264; Lipman et al. 2023, arXiv:2210.02747.

mod change;
mod prediction;
mod scheduler;
mod transform;
mod width;

pub use change::{Diffused, Predicted, Rescheduled, Steered};
pub use prediction::{Linear, Prediction};
pub use scheduler::{Coefficients, END, Scheduler};
pub use transform::{Terms, Transform, Transformed};
pub use width::Width;

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// The path X_t = alpha_t X_1 + sigma_t X_0 of one scheduler, perhaps with noise on the way, and what a network learns of
/// it. // E13
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct AffinePath {
    /// How alpha and sigma run in t.
    pub scheduler: Scheduler,
    /// The noise on the way. // E26
    pub width: Width,
    /// What a network predicts along it. // E15
    pub prediction: Prediction,
}

/// A batch of points on a path.
#[derive(Debug, Clone, PartialEq)]
pub struct PathSample<R: Real = f32> {
    /// Source rows, [B, d].
    pub x_0: Tensor<R>,
    /// Target rows, [B, d].
    pub x_1: Tensor<R>,
    /// Times, length B.
    pub t: Vec<f64>,
    /// The points, [B, d].
    pub x_t: Tensor<R>,
    /// The velocities along the path, [B, d].
    pub dx_t: Tensor<R>,
}

impl<R: Real> PathSample<R> {
    /// The times as a network is given them.
    pub(crate) fn times(&self) -> Vec<R> {
        self.t.iter().map(|&t| R::from_f64(t)).collect()
    }
}

impl AffinePath {
    /// The path of a scheduler.
    #[must_use]
    pub fn new(scheduler: Scheduler) -> Self {
        Self { scheduler, ..Self::default() }
    }

    /// The same path with noise on the way. // E26
    #[must_use]
    pub fn wide(self, width: Width) -> Self {
        Self { width, ..self }
    }

    /// The same path for networks that predict this. // E15
    #[must_use]
    pub fn predicting(self, prediction: Prediction) -> Self {
        Self { prediction, ..self }
    }

    /// Looks for numbers out of range and for parts that do not go together.
    ///
    /// # Errors
    /// [`Error::Setting`] for what [`Scheduler::check`] or [`Width::check`] refuses, and for a path with a width of which target or
    /// noise is predicted.
    pub fn check(self) -> Result<()> {
        self.scheduler.check()?;
        self.width.check()?;
        if self.width != Width::None && self.prediction != Prediction::Velocity {
            return Err(Error::Setting {
                name: "predict",
                value: self.prediction.to_string(),
                remedy: "only the velocity is known on a path with a width: predict `velocity`, or take no width",
            });
        }
        Ok(())
    }

    /// alpha, sigma and their derivatives at t. // E14
    #[must_use]
    pub fn coefficients(self, t: f64) -> Coefficients {
        self.scheduler.coefficients(t)
    }

    /// Joins source and target rows, each at its own time: x_t and dx_t, both [B, d], without noise on the way. // E13
    ///
    /// # Errors
    /// [`Error::Dimension`] if the shapes of x_0 and x_1 and the length of t do not agree;
    /// [`Error::Setting`] if a time is outside [0, 1]; [`Error::NotFinite`] at a singular end.
    ///
    /// # Example
    /// ```
    /// use pushforward::{AffinePath, Scheduler, Tensor};
    ///
    /// let (x_0, x_1) = (Tensor::from_rows(&[[-1.0]]), Tensor::from_rows(&[[3.0]]));
    /// let s = AffinePath::new(Scheduler::CondOt).sample::<f64>(x_0, x_1, vec![0.25])?;
    /// assert_eq!((s.x_t.row(0), s.dx_t.row(0)), (&[0.0][..], &[4.0][..]));
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn sample<R: Real>(self, x_0: Tensor<R>, x_1: Tensor<R>, t: Vec<f64>) -> Result<PathSample<R>> {
        let remedy = "source, target and times must have one row for each pair";
        x_0.check_cols("columns of x_0", x_1.cols(), "they must be those of x_1")?;
        for (what, found) in [("rows of x_0", x_0.rows()), ("times", t.len())] {
            if found != x_1.rows() {
                return Err(Error::Dimension { what, expected: x_1.rows(), found, remedy });
            }
        }
        let mut x_t = Tensor::zeros(x_1.rows(), x_1.cols());
        let mut dx_t = Tensor::zeros(x_1.rows(), x_1.cols());
        for (i, &t) in t.iter().enumerate() {
            if !(0.0..=1.0).contains(&t) {
                return Err(Error::Setting {
                    name: "t",
                    value: t.to_string(),
                    remedy: "times are in [0, 1]",
                });
            }
            self.point(t, x_0.row(i), x_1.row(i), x_t.row_mut(i), dx_t.row_mut(i));
            if let Some(column) = dx_t.row(i).iter().position(|dx| !dx.is_finite()) {
                return Err(Error::NotFinite {
                    what: "the velocity along the path",
                    row: i,
                    column,
                    value: dx_t.row(i)[column].to_f64(),
                    remedy: "this scheduler is singular at that time: take an earlier one",
                });
            }
        }
        Ok(PathSample { x_0, x_1, t, x_t, dx_t })
    }

    /// Adds the noise on the way to one row of [`AffinePath::point`]; `e` is N(0, I). // E26
    pub(crate) fn widen<R: Real>(self, t: f64, e: &[R], x_t: &mut [R], dx_t: &mut [R]) {
        let [g, d_g] = self.width.coefficients(t).map(R::from_f64);
        for j in 0..e.len() {
            x_t[j] += g * e[j];
            dx_t[j] += d_g * e[j];
        }
    }

    /// One row of [`AffinePath::sample`], without noise on the way: all slices have length d.
    pub(crate) fn point<R: Real>(self, t: f64, x_0: &[R], x_1: &[R], x_t: &mut [R], dx_t: &mut [R]) {
        let c = self.coefficients(t);
        let (alpha, sigma) = (R::from_f64(c.alpha), R::from_f64(c.sigma));
        let (d_alpha, d_sigma) = (R::from_f64(c.d_alpha), R::from_f64(c.d_sigma));
        for j in 0..x_1.len() {
            x_t[j] = alpha * x_1[j] + sigma * x_0[j];
            dx_t[j] = d_alpha * x_1[j] + d_sigma * x_0[j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_checked() {
        let path = AffinePath::default();
        let x = |rows| Tensor::<f64>::zeros(rows, 2);
        assert!(path.sample(x(3), x(3), vec![0.5; 3]).is_ok());
        assert!(path.sample(x(2), x(3), vec![0.5; 3]).is_err());
        assert!(path.sample(x(3), x(3), vec![0.5; 2]).is_err());
        assert!(path.sample(Tensor::zeros(3, 1), x(3), vec![0.5; 3]).is_err());
        assert!(path.sample(x(1), x(1), vec![1.5]).is_err());
        assert!(path.sample(x(1), x(1), vec![f64::NAN]).is_err());
    }
}
