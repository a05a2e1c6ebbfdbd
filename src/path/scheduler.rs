//! [`Scheduler`]: the two functions alpha and sigma that move X_t from source to target.
//!
//! # Math
//! X_t = alpha_t X_1 + sigma_t X_0 (E13) with one of (E14), s = 1 - t:
//! ```text
//! condot          t                  1 - t
//! condot-min:m    t                  1 - (1 - m) t               of width m at t = 1 (E26)
//! polynomial:n    t^n                1 - t^n
//! cosine          sin(pi t / 2)      cos(pi t / 2)
//! linear-vp       t                  sqrt(1 - t²)
//! vp:a,b          exp(-T(s) / 2)     sqrt(1 - exp(-T(s)))        T(s) = s² (b - a) / 2 + s a
//! ve:m            1                  m (1 - t)
//! ```
//!
//! # Limits
//! The derivatives of sigma at t = 1 are infinite for `vp` and `linear-vp`; sigma is 0 there for all but `condot-min`, so that
//! what is divided by it has a limit or none ([`super::Prediction`]). alpha is 0 at t = 0 but for `vp`, where it is small
//! (0.0066 with the usual numbers), and `ve`, where it is 1: there X_0 is not quite the source, but the source with a trace of
//! the target. The source of `ve` is N(0, m² I), and m has to be large against the data.
//!
//! # Source
//! Lipman et al. 2024, arXiv:2412.06264; Lipman et al. 2023, arXiv:2210.02747 (`condot-min`); Y. Song et al. 2021,
//! arXiv:2011.13456 (`vp` and its numbers 0.1 and 20, `ve`); Nichol and Dhariwal 2021, arXiv:2102.09672 (`cosine`).

use std::f64::consts::FRAC_PI_2;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How near to a singular end a prediction is read: on the linear path the last thousandth of the way, which moves a
/// sample by a thousandth of its distance to where it goes.
pub const END: f64 = 1e-3;

/// How alpha and sigma of the affine path X_t = alpha_t X_1 + sigma_t X_0 run in t. // E13, E14
///
/// As text, in files and on the command line, it is its word with its numbers: `vp:0.1,20`.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Scheduler {
    /// The linear, conditional-OT path: alpha = t, sigma = 1 - t (E5, E6).
    #[default]
    CondOt,
    /// The same, but of this width at t = 1: alpha = t, sigma = 1 - (1 - width) t (E26).
    CondOtMin {
        /// sigma at t = 1, in (0, 1).
        width: f64,
    },
    /// alpha = t^n, sigma = 1 - t^n.
    Polynomial {
        /// The power, at least 1.
        n: f64,
    },
    /// alpha = sin(pi t / 2), sigma = cos(pi t / 2).
    Cosine,
    /// alpha = t, sigma = sqrt(1 - t²): variance preserving.
    LinearVp,
    /// Variance preserving, as diffusion models have it.
    Vp {
        /// The rate of the noise at t = 1, above 0.
        beta_min: f64,
        /// The rate at t = 0, at least `beta_min`.
        beta_max: f64,
    },
    /// Variance exploding: alpha = 1, sigma = sigma_max (1 - t), from the source N(0, sigma_max² I).
    Ve {
        /// sigma at t = 0, above 0.
        sigma_max: f64,
    },
}

/// alpha, sigma and their derivatives at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    /// Weight of x_1.
    pub alpha: f64,
    /// Weight of x_0.
    pub sigma: f64,
    /// d alpha / dt.
    pub d_alpha: f64,
    /// d sigma / dt.
    pub d_sigma: f64,
}

impl Coefficients {
    /// D = alpha' sigma - alpha sigma', by which predictions are converted. // E15
    #[must_use]
    pub fn determinant(self) -> f64 {
        self.d_alpha * self.sigma - self.alpha * self.d_sigma
    }

    /// sigma sigma', half the rate of sigma². Where sigma is 0 and sigma' infinite, at the end of `vp` and `linear-vp`, it is
    /// still finite: alpha² + sigma² = 1 there, so that it is -alpha alpha'.
    pub(crate) fn noise_rate(self) -> f64 {
        if self.sigma == 0.0 && self.d_sigma.is_infinite() {
            return -self.alpha * self.d_alpha;
        }
        self.sigma * self.d_sigma
    }
}

impl Scheduler {
    /// `vp` with the numbers of Song et al. 2021.
    pub const VP: Self = Self::Vp { beta_min: 0.1, beta_max: 20.0 };
    /// `ve` for data of standard deviation 1.
    pub const VE: Self = Self::Ve { sigma_max: 20.0 };
    /// The words, with what their numbers are called.
    pub const WORDS: &'static str =
        "condot, condot-min:WIDTH, polynomial:N, cosine, linear-vp, vp[:MIN,MAX], ve[:MAX]";

    /// The word without its numbers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::CondOt => "condot",
            Self::CondOtMin { .. } => "condot-min",
            Self::Polynomial { .. } => "polynomial",
            Self::Cosine => "cosine",
            Self::LinearVp => "linear-vp",
            Self::Vp { .. } => "vp",
            Self::Ve { .. } => "ve",
        }
    }

    /// alpha, sigma and their derivatives at t in [0, 1]. // E14
    ///
    /// # Example
    /// ```
    /// use pushforward::Scheduler;
    ///
    /// let c = Scheduler::CondOt.coefficients(0.25);
    /// assert_eq!((c.alpha, c.sigma, c.d_alpha, c.d_sigma), (0.25, 0.75, 1.0, -1.0));
    /// ```
    #[must_use]
    pub fn coefficients(self, t: f64) -> Coefficients {
        let c = |alpha, sigma, d_alpha, d_sigma| Coefficients { alpha, sigma, d_alpha, d_sigma };
        match self {
            Self::CondOt => c(t, 1.0 - t, 1.0, -1.0),
            Self::CondOtMin { width } => c(t, 1.0 - (1.0 - width) * t, 1.0, width - 1.0),
            Self::Polynomial { n } => {
                let (alpha, d_alpha) = (t.powf(n), n * t.powf(n - 1.0));
                c(alpha, 1.0 - alpha, d_alpha, -d_alpha)
            }
            Self::Cosine => {
                // cos(pi t / 2) as a sine, which is 0 at t = 1.
                let (alpha, sigma) = ((FRAC_PI_2 * t).sin(), (FRAC_PI_2 * (1.0 - t)).sin());
                c(alpha, sigma, FRAC_PI_2 * sigma, -FRAC_PI_2 * alpha)
            }
            Self::LinearVp => {
                let sigma = ((1.0 - t) * (1.0 + t)).sqrt();
                c(t, sigma, 1.0, -t / sigma)
            }
            Self::Vp { beta_min, beta_max } => {
                let s = 1.0 - t;
                let rate = beta_min + s * (beta_max - beta_min);
                let integral = s * s * (beta_max - beta_min) / 2.0 + s * beta_min;
                let (alpha, sigma) = ((-integral / 2.0).exp(), (-(-integral).exp_m1()).sqrt());
                let d_alpha = alpha * rate / 2.0;
                c(alpha, sigma, d_alpha, -alpha * d_alpha / sigma) // from sigma² = 1 - alpha²
            }
            Self::Ve { sigma_max } => c(1.0, sigma_max * (1.0 - t), 0.0, -sigma_max),
        }
    }

    /// The ratio alpha / sigma of signal and noise at t in [0, 1], which never falls; infinite where sigma is 0. // E14
    #[must_use]
    pub fn snr(self, t: f64) -> f64 {
        let c = self.coefficients(t);
        c.alpha / c.sigma
    }

    /// t, or the last time before it at which sigma' is not yet large: that of `vp` and `linear-vp` is infinite at t = 1.
    pub(crate) fn before_infinite_rate(self, t: f64) -> f64 {
        if t <= 1.0 - END || self.coefficients(1.0).d_sigma.is_finite() {
            return t;
        }
        t.min(self.snr_inverse(1.0 / END).unwrap_or(t))
    }

    /// The time at which alpha / sigma has this value, at least 0; a value that it never has gives the nearer end. // E14
    ///
    /// # Errors
    /// [`Error::Setting`] for NaN or a negative ratio.
    ///
    /// # Example
    /// ```
    /// use pushforward::Scheduler;
    ///
    /// let t = Scheduler::LinearVp.snr_inverse(0.5)?;
    /// assert!((t - 0.447_213_595_5).abs() < 1e-10); // 1 / sqrt(5)
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn snr_inverse(self, snr: f64) -> Result<f64> {
        if snr.is_nan() || snr < 0.0 {
            let remedy = "a ratio of alpha and sigma is at least 0";
            return Err(Error::Setting { name: "snr", value: snr.to_string(), remedy });
        }
        if snr.is_infinite() {
            return Ok(1.0);
        }
        // share = alpha / (alpha + sigma).
        let share = snr / (1.0 + snr);
        let t = match self {
            Self::CondOt => share,
            Self::CondOtMin { width } => snr / (1.0 + snr * (1.0 - width)),
            Self::Polynomial { n } => share.powf(1.0 / n),
            Self::Cosine => snr.atan() / FRAC_PI_2,
            Self::LinearVp => snr / snr.hypot(1.0),
            Self::Vp { beta_min, beta_max } => {
                // T(s) = ln(1 + 1 / snr²), a quadratic equation in s, in the form that does not cancel.
                let integral = snr.recip().powi(2).ln_1p();
                let root = (beta_min * beta_min + 2.0 * (beta_max - beta_min) * integral).sqrt();
                1.0 - 2.0 * integral / (beta_min + root)
            }
            Self::Ve { sigma_max } => 1.0 - 1.0 / (snr * sigma_max),
        };
        Ok(if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) })
    }

    /// Whether both paths are the same at t = 0 and at t = 1, so that their flows can have the same psi_1. // E17
    #[must_use]
    pub fn ends_as(self, other: Self) -> bool {
        /// Roundings of the cosine at pi / 2, of exponentials and roots; what `vp` keeps below that moves no number of an f32.
        const ROUNDING: f64 = 1e-12;
        [0.0, 1.0].into_iter().all(|t| {
            let (a, b) = (self.coefficients(t), other.coefficients(t));
            (a.alpha - b.alpha).abs() < ROUNDING && (a.sigma - b.sigma).abs() < ROUNDING
        })
    }

    /// The standard deviation of the source: 1, and sigma_max for `ve`.
    #[must_use]
    pub fn source_std(self) -> f64 {
        match self {
            Self::Ve { sigma_max } => sigma_max,
            _ => 1.0,
        }
    }

    /// Looks for numbers out of range.
    ///
    /// # Errors
    /// [`Error::Setting`] for a width of `condot-min` that is not above 0 and below 1, a power of `polynomial` that is not from 1 to
    /// 1000, numbers of `vp` that are not 0 < MIN <= MAX <= 1000, or of `ve` that is not above 0 and at most 1,000,000.
    pub fn check(self) -> Result<()> {
        let refused = |remedy| Err(Error::Setting { name: "scheduler", value: self.to_string(), remedy });
        match self {
            Self::CondOtMin { width } if !(width > 0.0 && width < 1.0) => {
                refused("give a width above 0 and below 1")
            }
            Self::Polynomial { n } if !(1.0..=1000.0).contains(&n) => {
                refused("give a power from 1 to 1000: below 1 the path starts with an infinite velocity")
            }
            Self::Vp { beta_min, beta_max }
                if !(beta_min > 0.0 && beta_max >= beta_min && beta_max <= 1000.0) =>
            {
                refused("give vp:MIN,MAX with 0 < MIN <= MAX <= 1000")
            }
            Self::Ve { sigma_max } if !(sigma_max > 0.0 && sigma_max <= 1e6) => {
                refused("give ve:MAX with 0 < MAX <= 1000000")
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::CondOt | Self::Cosine | Self::LinearVp => Ok(()),
            Self::CondOtMin { width } => write!(f, ":{width}"),
            Self::Polynomial { n } => write!(f, ":{n}"),
            Self::Vp { beta_min, beta_max } => write!(f, ":{beta_min},{beta_max}"),
            Self::Ve { sigma_max } => write!(f, ":{sigma_max}"),
        }
    }
}

impl FromStr for Scheduler {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::Unknown { what: "scheduler", word: text.into(), known: Self::WORDS };
        let (word, numbers) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let numbers: Option<Vec<f64>> = numbers
            .map(|rest| rest.split(',').map(|x| x.trim().parse().map_err(|_| unknown())).collect())
            .transpose()?;
        let scheduler = match (word, numbers.as_deref()) {
            ("condot", None) => Ok(Self::CondOt),
            ("condot-min", Some(&[width])) => Ok(Self::CondOtMin { width }),
            ("polynomial", Some(&[n])) => Ok(Self::Polynomial { n }),
            ("cosine", None) => Ok(Self::Cosine),
            ("linear-vp", None) => Ok(Self::LinearVp),
            ("vp", None) => Ok(Self::VP),
            ("vp", Some(&[beta_min, beta_max])) => Ok(Self::Vp { beta_min, beta_max }),
            ("ve", None) => Ok(Self::VE),
            ("ve", Some(&[sigma_max])) => Ok(Self::Ve { sigma_max }),
            _ => Err(unknown()),
        }?;
        scheduler.check().map(|()| scheduler)
    }
}

impl TryFrom<String> for Scheduler {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Scheduler> for String {
    fn from(scheduler: Scheduler) -> Self {
        scheduler.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_1_SQRT_2;

    use super::*;

    const ALL: [Scheduler; 8] = [
        Scheduler::CondOt,
        Scheduler::CondOtMin { width: 0.1 },
        Scheduler::Polynomial { n: 2.0 },
        Scheduler::Polynomial { n: 3.0 },
        Scheduler::Cosine,
        Scheduler::LinearVp,
        Scheduler::VP,
        Scheduler::VE,
    ];

    /// Half a unit of the tenth decimal.
    const DIGITS: f64 = 6e-11;

    #[test]
    fn values_are_the_known_ones() {
        // flow_matching 1.0.10 in f64, checked against the formulas: alpha, sigma, d_alpha, d_sigma at .25, .5, .9.
        let rows = [
            (
                Scheduler::Polynomial { n: 2.0 },
                [[0.0625, 0.9375, 0.5, -0.5], [0.25, 0.75, 1.0, -1.0], [0.81, 0.19, 1.8, -1.8]],
            ),
            (
                Scheduler::Polynomial { n: 3.0 },
                [
                    [0.015_625, 0.984_375, 0.1875, -0.1875],
                    [0.125, 0.875, 0.75, -0.75],
                    [0.729, 0.271, 2.43, -2.43],
                ],
            ),
            (
                Scheduler::VP,
                [
                    [0.058_663_503_0, 0.998_277_813_7, 0.440_709_566_4, -0.025_898_168_4],
                    [0.281_182_880_8, 0.959_654_202_1, 1.412_943_976_0, -0.413_998_768_2],
                    [0.946_721_798_8, 0.322_052_535_5, 0.989_324_279_8, -2.908_267_311_8],
                ],
            ),
            (
                Scheduler::LinearVp,
                [
                    [0.25, 0.968_245_836_6, 1.0, -0.258_198_889_7],
                    [0.5, 0.866_025_403_8, 1.0, -0.577_350_269_2],
                    [0.9, 0.435_889_894_4, 1.0, -2.064_741_604_8],
                ],
            ),
            (
                Scheduler::Cosine,
                [
                    [0.382_683_432_4, 0.923_879_532_5, 1.451_226_576_1, -0.601_117_729_9],
                    [FRAC_1_SQRT_2, FRAC_1_SQRT_2, 1.110_720_734_5, -1.110_720_734_5],
                    [0.987_688_340_6, 0.156_434_465_0, 0.245_726_683_1, -1.551_457_217_4],
                ],
            ),
        ];
        for (scheduler, known) in rows {
            for (t, wanted) in [0.25, 0.5, 0.9].into_iter().zip(known) {
                let c = scheduler.coefficients(t);
                for (found, wanted) in [c.alpha, c.sigma, c.d_alpha, c.d_sigma].iter().zip(wanted) {
                    assert!((found - wanted).abs() < DIGITS, "{scheduler} at {t}: {found}, {wanted}");
                }
            }
        }
        let c = Scheduler::VP.coefficients(0.0);
        assert!((c.alpha - 0.006_571_586_5).abs() < DIGITS && (c.sigma - 0.999_978_406_9).abs() < DIGITS);
    }

    #[test]
    fn the_inverse_of_the_ratio_is_the_known_one() {
        for (scheduler, wanted) in [
            (Scheduler::CondOt, [0.5, 1.0 / 3.0, 2.0 / 3.0]),
            (Scheduler::Polynomial { n: 2.0 }, [FRAC_1_SQRT_2, 0.577_350_269_2, 0.816_496_580_9]),
            (Scheduler::VP, [0.741_039_735_6, 0.602_809_007_2, 0.855_186_080_5]),
            (Scheduler::LinearVp, [FRAC_1_SQRT_2, 0.447_213_595_5, 0.894_427_191_0]),
            (Scheduler::Cosine, [0.5, 0.295_167_235_3, 0.704_832_764_7]),
        ] {
            for (snr, wanted) in [1.0, 0.5, 2.0].into_iter().zip(wanted) {
                let t = scheduler.snr_inverse(snr).unwrap();
                // The program that gave them finds the time of `vp` by a formula that loses two digits more.
                let bound = if scheduler == Scheduler::VP { 5e-9 } else { DIGITS };
                assert!((t - wanted).abs() < bound, "{scheduler} {snr}: {t} {wanted}");
            }
        }
    }

    #[test]
    fn the_inverse_undoes_the_ratio() {
        // The ratio is rounded, and moves t by that over its own slope in ln t, at least of size 1 here.
        const BOUND: f64 = 1e-12;
        for scheduler in ALL {
            for k in 1..100 {
                let t = f64::from(k) / 100.0;
                let again = scheduler.snr_inverse(scheduler.snr(t)).unwrap();
                assert!((again - t).abs() < BOUND, "{scheduler} at {t}: {again}");
            }
            for t in [0.0, 1.0] {
                let again = scheduler.snr_inverse(scheduler.snr(t)).unwrap();
                assert!((again - t).abs() < BOUND, "{scheduler} at {t}: {again}");
            }
            assert!(scheduler.snr_inverse(f64::NAN).is_err() && scheduler.snr_inverse(-1.0).is_err());
            assert!((0.0..=1.0).contains(&scheduler.snr_inverse(1e-300).unwrap()));
        }
    }

    #[test]
    fn the_ends_are_source_and_target() {
        for scheduler in ALL {
            let (c_0, c_1) = (scheduler.coefficients(0.0), scheduler.coefficients(1.0));
            assert!((c_0.sigma / scheduler.source_std() - 1.0).abs() < 3e-5, "{scheduler}"); // E13
            assert_eq!(c_1.alpha.to_bits(), 1.0_f64.to_bits(), "{scheduler}");
            match scheduler {
                Scheduler::CondOtMin { width } => assert!((c_1.sigma - width).abs() < 1e-15),
                _ => assert_eq!(c_1.sigma.to_bits(), 0.0_f64.to_bits(), "{scheduler}"),
            }
            match scheduler {
                Scheduler::Vp { .. } => assert!(c_0.alpha > 0.0 && c_0.alpha < 0.01),
                Scheduler::Ve { .. } => assert_eq!(c_0.alpha.to_bits(), 1.0_f64.to_bits()),
                _ => assert_eq!(c_0.alpha.to_bits(), 0.0_f64.to_bits(), "{scheduler}"),
            }
            let singular = matches!(scheduler, Scheduler::Vp { .. } | Scheduler::LinearVp);
            assert_eq!(c_1.d_sigma.is_infinite(), singular, "{scheduler}");
            assert!(c_1.d_alpha.is_finite() && c_0.d_alpha.is_finite() && c_0.d_sigma.is_finite());
        }
    }

    #[test]
    fn derivatives_are_those_of_the_values() {
        const STEP: f64 = 1e-5;
        // Central differences: h² f''' / 6, with third derivatives up to 2000 (vp near 0.9), and rounding 2e-16 / h of
        // numbers up to 20.
        const BOUND: f64 = 1e-6;
        for scheduler in ALL {
            for t in [0.1, 0.5, 0.9] {
                let (a, b) = (scheduler.coefficients(t - STEP), scheduler.coefficients(t + STEP));
                let c = scheduler.coefficients(t);
                assert!(((b.alpha - a.alpha) / (2.0 * STEP) - c.d_alpha).abs() < BOUND, "{scheduler} {t}");
                assert!(((b.sigma - a.sigma) / (2.0 * STEP) - c.d_sigma).abs() < BOUND, "{scheduler} {t}");
            }
        }
    }

    #[test]
    fn words_come_back_and_others_do_not() {
        for scheduler in ALL {
            assert_eq!(scheduler.to_string().parse::<Scheduler>().unwrap(), scheduler);
            let text = serde_json::to_string(&scheduler).unwrap();
            assert_eq!(text, format!("\"{scheduler}\""));
            assert_eq!(serde_json::from_str::<Scheduler>(&text).unwrap(), scheduler);
            assert!(Scheduler::WORDS.contains(scheduler.word()));
        }
        assert_eq!("vp".parse::<Scheduler>().unwrap().to_string(), "vp:0.1,20");
        for word in [
            "cond-ot",
            "polynomial",
            "polynomial:0.5",
            "polynomial:NaN",
            "vp:1",
            "vp:2,1",
            "vp:0,1",
            "ve:0",
            "ve:inf",
            "condot:1",
            "condot-min:0",
            "condot-min:1",
            "",
        ] {
            assert!(word.parse::<Scheduler>().is_err(), "{word}");
        }
    }
}
