//! [`TimeWeight`]: how much the error at one time counts beside that at another.
//!
//! # Math
//! The loss is E w(t) |y - Y_t|², y the network and Y_t what it learns (E11, E15). At each time by itself the best answer is
//! E\[Y_t | X_t\], whatever w > 0 is: the minimiser stays, and w says only where a network that is too small for all errs.
//!
//! Velocity, target and noise are three ways to say the same (E15), so that an error e of one is an error of each:
//! ```text
//! e_velocity = (D / sigma) e_target      e_noise = -(alpha / sigma) e_target      D = alpha' sigma - alpha sigma'
//! ```
//! and a weight is named for the one whose squared error is counted, whichever is predicted: w = (e_named / e_predicted)², at
//! most 25. `none` counts what is predicted, w = 1. With `velocity` every prediction is trained by the loss of E11, the error
//! of what the ODE is solved with; `target` counts what is left at the end, `noise` what the score needs (E16).
//!
//! For `condot` and a predicted velocity w is (1 - t)² with `target` and t² with `noise`; for a predicted target w is 1/(1 - t)²
//! with `velocity`, which is why there is a bound: without it the last few rows before t = 1 would be all of a gradient.
//!
//! # Limits
//! On a path with a width only `none`: its velocity alone is known.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::path::{Coefficients, Prediction};

/// The largest weight: 1/(1 - t)² at t = 0.8.
const MOST: f64 = 25.0;

/// Whose squared error is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TimeWeight {
    /// That of what is predicted.
    #[default]
    None,
    /// That of the velocity.
    Velocity,
    /// That of the target.
    Target,
    /// That of the noise.
    Noise,
}

impl TimeWeight {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Velocity, Self::Target, Self::Noise];

    /// The word: `none`, `velocity`, `target` or `noise`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Velocity => "velocity",
            Self::Target => "target",
            Self::Noise => "noise",
        }
    }

    /// w, where a path has these coefficients and this is predicted: from 0 to 25.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Scheduler, objective::TimeWeight, path::Prediction};
    ///
    /// let c = Scheduler::CondOt.coefficients(0.25);
    /// assert_eq!(TimeWeight::Target.factor(Prediction::Velocity, c), 0.5625);
    /// ```
    #[must_use]
    pub fn factor(self, predicted: Prediction, c: Coefficients) -> f64 {
        let Coefficients { alpha, sigma, d_alpha, d_sigma } = c;
        let determinant = d_alpha * sigma - alpha * d_sigma; // D of E15
        let (of_velocity, of_target, of_noise) = (determinant, sigma, alpha);
        let named = match self {
            Self::None => return 1.0,
            Self::Velocity => of_velocity,
            Self::Target => of_target,
            Self::Noise => of_noise,
        };
        let of_predicted = match predicted {
            Prediction::Velocity => of_velocity,
            Prediction::Target => of_target,
            Prediction::Noise => of_noise,
        };
        (named / of_predicted).powi(2).min(MOST)
    }
}

impl fmt::Display for TimeWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for TimeWeight {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|w| w.word() == word).ok_or_else(|| Error::Unknown {
            what: "weight of times",
            word: word.into(),
            known: "none, velocity, target, noise",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Scheduler;

    #[test]
    fn an_error_counts_the_same_in_every_prediction() {
        // An error of 1 of the target is one of D / sigma of the velocity and of alpha / sigma of the noise.
        for scheduler in [Scheduler::CondOt, Scheduler::Cosine, Scheduler::LinearVp] {
            let c = scheduler.coefficients(0.6);
            let d = c.d_alpha * c.sigma - c.alpha * c.d_sigma;
            for weight in [TimeWeight::Velocity, TimeWeight::Target, TimeWeight::Noise] {
                let counted = [
                    weight.factor(Prediction::Velocity, c) * (d / c.sigma).powi(2),
                    weight.factor(Prediction::Target, c),
                    weight.factor(Prediction::Noise, c) * (c.alpha / c.sigma).powi(2),
                ];
                for other in counted {
                    assert!((other - counted[0]).abs() < 1e-12, "{scheduler}, {weight}: {counted:?}");
                }
            }
        }
    }

    #[test]
    fn words_and_bounds() {
        for weight in TimeWeight::ALL {
            assert_eq!(weight.to_string().parse::<TimeWeight>().unwrap(), weight);
            assert_eq!(serde_json::to_string(&weight).unwrap(), format!("\"{weight}\""));
            for predicted in [Prediction::Velocity, Prediction::Target, Prediction::Noise] {
                for t in [0.0, 0.3, 1.0] {
                    let w = weight.factor(predicted, Scheduler::CondOt.coefficients(t));
                    assert!((0.0..=MOST).contains(&w), "{weight}, {predicted} at {t}: {w}");
                }
            }
        }
        assert!("snr".parse::<TimeWeight>().is_err());
    }
}
