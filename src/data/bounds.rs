//! [`Bounds`]: an open interval, and the smooth map between it and all numbers.
//!
//! # Math
//! x = lo + (hi - lo) s(y) with s(y) = 1 / (1 + e^-y), so y = ln(x - lo) - ln(hi - x) and
//! ln dx/dy = ln(x - lo) + ln(hi - x) - ln(hi - lo). A density of y becomes one of x: log p(x) = log p(y) - ln dx/dy.
//!
//! # Limits
//! Neither end is in the interval: there y would be infinite. What comes back of a y far out is the number next to the end.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// An open interval (lo, hi).
///
/// # Example
/// ```
/// use pushforward::data::Bounds;
///
/// let share: Bounds = "0:100".parse()?;
/// let y = share.to_line(75.0);
/// assert!((y - 3_f64.ln()).abs() < 1e-15);
/// assert!((share.from_line(y) - 75.0).abs() < 1e-12);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "(f64, f64)", into = "(f64, f64)")]
pub struct Bounds {
    lo: f64,
    hi: f64,
}

impl Bounds {
    /// The interval between two numbers.
    ///
    /// # Errors
    /// [`Error::Setting`] if they are not finite, not in order, or further apart than f64 can tell.
    pub fn new(lo: f64, hi: f64) -> Result<Self> {
        let inside = lo + (hi - lo) / 2.0;
        if (hi - lo).is_finite() && lo < inside && inside < hi {
            return Ok(Self { lo, hi });
        }
        Err(Error::Setting {
            name: "bounds",
            value: format!("{lo}:{hi}"),
            remedy: "give lo:hi, finite numbers with lo below hi",
        })
    }

    /// The lower end.
    #[must_use]
    pub fn lo(self) -> f64 {
        self.lo
    }

    /// The upper end.
    #[must_use]
    pub fn hi(self) -> f64 {
        self.hi
    }

    /// Whether a number lies between the ends.
    #[must_use]
    pub fn contain(self, x: f64) -> bool {
        self.lo < x && x < self.hi
    }

    /// y of an x between the ends; infinite at an end.
    #[must_use]
    pub fn to_line(self, x: f64) -> f64 {
        (x - self.lo).ln() - (self.hi - x).ln()
    }

    /// x of any y: a number between the ends.
    #[must_use]
    pub fn from_line(self, y: f64) -> f64 {
        let small = (-y.abs()).exp(); // at most 1: nothing overflows
        let share = (self.hi - self.lo) * (small / (1.0 + small));
        let x = if y < 0.0 { self.lo + share } else { self.hi - share };
        x.clamp(self.lo.next_up(), self.hi.next_down())
    }

    /// ln dx/dy at an x between the ends, in nats.
    #[must_use]
    pub fn log_slope(self, x: f64) -> f64 {
        (x - self.lo).ln() + (self.hi - x).ln() - (self.hi - self.lo).ln()
    }
}

impl TryFrom<(f64, f64)> for Bounds {
    type Error = Error;

    fn try_from((lo, hi): (f64, f64)) -> Result<Self> {
        Self::new(lo, hi)
    }
}

impl From<Bounds> for (f64, f64) {
    fn from(bounds: Bounds) -> Self {
        (bounds.lo, bounds.hi)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lo, self.hi)
    }
}

impl FromStr for Bounds {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let ends = word.split_once(':').and_then(|(lo, hi)| Some((lo.parse().ok()?, hi.parse().ok()?)));
        let (lo, hi) = ends.ok_or_else(|| Error::Setting {
            name: "bounds",
            value: word.to_owned(),
            remedy: "give lo:hi, finite numbers with lo below hi",
        })?;
        Self::new(lo, hi)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_read_and_written_and_others_refused() {
        for word in ["0:1", "-2.5:1000000", "-0.001:0"] {
            assert_eq!(word.parse::<Bounds>().unwrap().to_string(), word);
        }
        for word in ["", "1", "1:1", "2:1", "a:b", "0:inf", "NaN:1", "-1e308:1e308", "0:1:2"] {
            let text = word.parse::<Bounds>().unwrap_err().to_string();
            assert!(text.contains("lo below hi"), "{text}");
        }
        let neighbours = Bounds::new(1.0, 1.0_f64.next_up());
        assert!(neighbours.is_err(), "nothing lies between them");
    }

    #[test]
    fn what_is_far_out_stays_inside() {
        let bounds = Bounds::new(-3.0, 5.0).unwrap();
        for y in [-1e300, -800.0, -40.0, 40.0, 800.0, 1e300, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(bounds.contain(bounds.from_line(y)), "{y}");
        }
        assert!(!bounds.contain(-3.0) && !bounds.contain(5.0) && !bounds.contain(f64::NAN));
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(lo in -1e3..1e3, width in 1e-3..1e3, share in 1e-6..1.0 - 1e-6) {
            let bounds = Bounds::new(lo, lo + width).unwrap();
            let x = lo + width * share;
            prop_assume!(bounds.contain(x));
            let back = bounds.from_line(bounds.to_line(x));
            // The rounding of x itself, which the logarithm passes on as an error of y relative to the nearer end.
            prop_assert!((back - x).abs() <= 1e-14 * (lo.abs() + width), "{x} {back}");
        }

        #[test]
        fn the_slope_is_that_of_differences(lo in -10.0..10.0, width in 0.1..10.0, y in -8.0..8.0) {
            let bounds = Bounds::new(lo, lo + width).unwrap();
            let h = 1e-4;
            let slope = (bounds.from_line(y + h) - bounds.from_line(y - h)) / (2.0 * h);
            // h² / 6 times a third derivative of the size of the slope; roundings of 1e-15 (lo + width) / h over a slope of width e^-8.
            prop_assert!((bounds.log_slope(bounds.from_line(y)) - slope.ln()).abs() < 2e-5);
        }
    }
}
