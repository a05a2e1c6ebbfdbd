//! [`Prediction`]: what a network says of a point on the path, and how one saying becomes another.
//!
//! # Math
//! x = alpha x̂_1 + sigma x̂_0 and u = alpha' x̂_1 + sigma' x̂_0 (E15), with x̂_1 = E\[X_1 | X_t = x\] and
//! x̂_0 = E\[X_0 | X_t = x\]: two equations, so that with x each of u, x̂_1 and x̂_0 gives the others. All conversions are linear,
//! a x + b y ([`Linear`]). With D = alpha' sigma - alpha sigma'
//! ```text
//! from             to velocity                   to target               to noise
//! velocity u       u                             (sigma u - sigma' x)/D  (alpha' x - alpha u)/D
//! target x̂_1      (sigma' x + D x̂_1)/sigma     x̂_1                    (x - alpha x̂_1)/sigma
//! noise x̂_0       (alpha' x - D x̂_0)/alpha     (x - sigma x̂_0)/alpha  x̂_0
//! ```
//! and the score of a Gaussian source that is independent of the target is grad log p_t(x) = -x̂_0 / sigma (E16).
//!
//! # Limits
//! At t = 1, sigma = 0, X_1 = x says nothing of X_0: x̂_0 = 0, x̂_1 = x and u = alpha' x are the limits, if sigma' is finite. At
//! t = 0, alpha = 0, X_0 = x says nothing of X_1: x̂_1 = E\[X_1\], which is 0 for centred data, x̂_0 = x and u = sigma' x. These are
//! taken. The score at t = 1 is that of the target itself, which no prediction there tells: an error.
//!
//! # Source
//! Lipman et al. 2024, arXiv:2412.06264.

use std::fmt;
use std::str::FromStr;

use super::scheduler::Coefficients;
use crate::error::{Error, Result};

/// What a network says at (t, x). // E15
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prediction {
    /// The velocity u = E\[dX_t/dt | X_t = x\].
    #[default]
    Velocity,
    /// The target x̂_1 = E\[X_1 | X_t = x\].
    Target,
    /// The noise x̂_0 = E\[X_0 | X_t = x\].
    Noise,
}

/// The linear combination a x + b y of a point x and what was said there, y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// a.
    pub of_x: f64,
    /// b.
    pub of_y: f64,
}

impl Linear {
    /// a x + b y.
    #[must_use]
    pub fn at(self, x: f64, y: f64) -> f64 {
        self.of_x * x + self.of_y * y
    }
}

impl Prediction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Velocity, Self::Target, Self::Noise];

    /// The word: `velocity`, `target` or `noise`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Velocity => "velocity",
            Self::Target => "target",
            Self::Noise => "noise",
        }
    }

    /// How this becomes the prediction `to` where the path has the coefficients `c`; at a singular end the limit for centred
    /// data (head of this file). // E15
    ///
    /// # Errors
    /// [`Error::Setting`] at t = 1 where sigma' is infinite and a velocity is asked for.
    ///
    /// # Example
    /// ```
    /// use pushforward::Scheduler;
    /// use pushforward::path::Prediction;
    ///
    /// let c = Scheduler::CondOt.coefficients(0.25);
    /// let u = Prediction::Target.convert(Prediction::Velocity, c)?.at(0.7, 2.0);
    /// assert!((u - 1.733_333_333_3).abs() < 1e-9);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn convert(self, to: Self, c: Coefficients) -> Result<Linear> {
        let Coefficients { alpha, sigma, d_alpha, d_sigma } = c;
        let d = c.determinant();
        let linear = |of_x, of_y| Ok(Linear { of_x, of_y });
        // The limits: what is known of X_1 and X_0 at the ends.
        let (at_target, at_source) = (sigma <= 0.0, alpha <= 0.0);
        match (self, to) {
            (Self::Velocity, Self::Velocity) | (Self::Target, Self::Target) | (Self::Noise, Self::Noise) => {
                linear(0.0, 1.0)
            }
            (_, Self::Target) if at_target => linear(1.0, 0.0),
            (_, Self::Noise) if at_target => linear(0.0, 0.0),
            (_, Self::Velocity) if at_target && d_sigma.is_finite() => linear(d_alpha, 0.0),
            (_, Self::Velocity) if at_target => Err(Error::Setting {
                name: "t",
                value: "1".into(),
                remedy: "the velocity of this scheduler has no limit there: ask at an earlier time",
            }),
            (_, Self::Target) if at_source => linear(0.0, 0.0),
            (_, Self::Noise) if at_source => linear(1.0, 0.0),
            (_, Self::Velocity) if at_source => linear(d_sigma, 0.0),
            (Self::Velocity, Self::Target) => linear(-d_sigma / d, sigma / d),
            (Self::Velocity, Self::Noise) => linear(d_alpha / d, -alpha / d),
            (Self::Target, Self::Velocity) => linear(d_sigma / sigma, d / sigma),
            (Self::Target, Self::Noise) => linear(1.0 / sigma, -alpha / sigma),
            (Self::Noise, Self::Velocity) => linear(d_alpha / alpha, -d / alpha),
            (Self::Noise, Self::Target) => linear(1.0 / alpha, -sigma / alpha),
        }
    }

    /// How this becomes the score grad log p_t(x), for a Gaussian source that is independent of the target. // E16
    ///
    /// # Errors
    /// [`Error::Setting`] where sigma is 0.
    ///
    /// # Example
    /// ```
    /// use pushforward::Scheduler;
    /// use pushforward::path::Prediction;
    ///
    /// // At t = 0 the law is N(0, 1), of score -x; there the velocity of centred data is -x.
    /// let c = Scheduler::CondOt.coefficients(0.0);
    /// assert_eq!(Prediction::Velocity.score(c)?.at(1.5, -1.5), -1.5);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn score(self, c: Coefficients) -> Result<Linear> {
        if c.sigma <= 0.0 {
            return Err(Error::Setting {
                name: "t",
                value: "1".into(),
                remedy: "the score there is that of the target, which no prediction tells: ask at an earlier time",
            });
        }
        let noise = self.convert(Self::Noise, c)?;
        Ok(Linear { of_x: -noise.of_x / c.sigma, of_y: -noise.of_y / c.sigma })
    }
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Prediction {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|prediction| prediction.word() == word).ok_or_else(|| Error::Unknown {
            what: "prediction",
            word: word.into(),
            known: "velocity, target, noise",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scheduler;
    use super::*;

    #[test]
    fn conversions_are_the_known_ones() {
        // From x̂_1 = 2, x = 0.7, t = 0.25: flow_matching 1.0.10 in f64.
        const DIGITS: f64 = 6e-11;
        for (scheduler, velocity, noise) in [
            (Scheduler::CondOt, 1.733_333_333_3, 0.266_666_666_7),
            (Scheduler::Polynomial { n: 2.0 }, 0.693_333_333_3, 0.613_333_333_3),
            (Scheduler::VP, 0.866_302_936_5, 0.583_678_196_5),
            (Scheduler::LinearVp, 1.946_666_666_7, 0.206_559_111_8),
            (Scheduler::Cosine, 2.944_983_785_1, -0.070_752_584_5),
        ] {
            let c = scheduler.coefficients(0.25);
            let found = Prediction::Target.convert(Prediction::Velocity, c).unwrap().at(0.7, 2.0);
            assert!((found - velocity).abs() < DIGITS, "{scheduler} {found}");
            let found = Prediction::Target.convert(Prediction::Noise, c).unwrap().at(0.7, 2.0);
            assert!((found - noise).abs() < DIGITS, "{scheduler} {found}");
        }
    }

    #[test]
    fn there_and_back_is_nothing() {
        // A few roundings, of numbers that are divided by 0.05 at most.
        const BOUND: f64 = 1e-12;
        for scheduler in [Scheduler::CondOt, Scheduler::VP, Scheduler::Cosine, Scheduler::VE] {
            for t in [0.05, 0.3, 0.95] {
                let c = scheduler.coefficients(t);
                for from in Prediction::ALL {
                    for to in Prediction::ALL {
                        let y = from.convert(to, c).unwrap().at(0.7, -1.3);
                        let again = to.convert(from, c).unwrap().at(0.7, y);
                        assert!((again + 1.3).abs() < BOUND, "{scheduler} {t} {from} {to} {again}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_ends_have_limits() {
        let convert = |from: Prediction, to, scheduler: Scheduler, t| {
            from.convert(to, scheduler.coefficients(t)).map(|linear| linear.at(0.7, 9.0))
        };
        let limit = |from, to, scheduler, t, wanted: f64| {
            let found = convert(from, to, scheduler, t).unwrap();
            assert!((found - wanted).abs() < 1e-15, "{scheduler} at {t}: {found}");
        };
        use Prediction::{Noise, Target, Velocity};
        // u_1 = alpha'_1 x, u_0 = sigma'_0 x, whatever the network says.
        limit(Target, Velocity, Scheduler::CondOt, 1.0, 0.7);
        limit(Target, Velocity, Scheduler::Cosine, 1.0, 0.0);
        limit(Noise, Velocity, Scheduler::CondOt, 0.0, -0.7);
        limit(Noise, Velocity, Scheduler::Polynomial { n: 2.0 }, 0.0, 0.0);
        limit(Noise, Target, Scheduler::CondOt, 0.0, 0.0);
        limit(Velocity, Noise, Scheduler::Polynomial { n: 2.0 }, 0.0, 0.7);
        limit(Velocity, Target, Scheduler::LinearVp, 1.0, 0.7);
        // None for an infinite sigma'.
        for scheduler in [Scheduler::LinearVp, Scheduler::VP] {
            assert!(convert(Target, Velocity, scheduler, 1.0).is_err());
        }
        for prediction in Prediction::ALL {
            assert!(prediction.score(Scheduler::CondOt.coefficients(1.0)).is_err());
            let all = (0..=10).all(|k| {
                let c = Scheduler::Cosine.coefficients(f64::from(k) / 10.0);
                Prediction::ALL.iter().all(|&to| {
                    prediction.convert(to, c).is_ok_and(|l| l.of_x.is_finite() && l.of_y.is_finite())
                })
            });
            assert!(all, "{prediction}");
        }
    }

    #[test]
    fn words_go_both_ways() {
        for prediction in Prediction::ALL {
            assert_eq!(prediction.to_string().parse::<Prediction>().unwrap(), prediction);
            assert_eq!(serde_json::to_string(&prediction).unwrap(), format!("\"{prediction}\""));
        }
        assert!("x1".parse::<Prediction>().is_err());
    }

    #[test]
    fn scores_are_those_of_a_gaussian() {
        // Target N(m, s²) in 1-d: of N(alpha m, alpha² s² + sigma²), from what each prediction is there on average.
        let (m, s) = (0.8, 0.6);
        for scheduler in [Scheduler::CondOt, Scheduler::Cosine, Scheduler::LinearVp] {
            for t in [0.2, 0.5, 0.9] {
                let c = scheduler.coefficients(t);
                let (x, variance) = (1.7, (c.alpha * s).powi(2) + c.sigma.powi(2));
                let off = (x - c.alpha * m) / variance;
                let (target, noise) = (m + c.alpha * s * s * off, c.sigma * off);
                let velocity = c.d_alpha * target + c.d_sigma * noise;
                for (prediction, y) in [
                    (Prediction::Target, target),
                    (Prediction::Noise, noise),
                    (Prediction::Velocity, velocity),
                ] {
                    let found = prediction.score(c).unwrap().at(x, y);
                    assert!((found + off).abs() < 1e-13, "{scheduler}, {prediction} at {t}: {found} {off}");
                }
            }
        }
        assert!(Prediction::Noise.score(Scheduler::CondOt.coefficients(1.0)).is_err());
    }
}
