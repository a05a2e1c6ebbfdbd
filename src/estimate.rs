//! [`Estimate`]: a mean of independent numbers, and how far it may be from the mean of their law.
//!
//! # Math
//! The mean m of n numbers has the standard error sqrt(sum (x - m)² / (n (n - 1))).
//!
//! # Limits
//! The error is itself an estimate: good for numbers without heavy tails, and a hundred of them or more. Of one number
//! there is none: it is NaN.

/// A mean and its standard error.
///
/// # Example
/// ```
/// use pushforward::Estimate;
///
/// let x = Estimate::of(&[1.0, 3.0]);
/// assert_eq!((x.mean, x.standard_error), (2.0, 1.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Estimate {
    /// The mean of independent numbers; NaN without any.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a count is far below 2^53")]
    pub fn of(numbers: &[f64]) -> Self {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
        Self { mean, standard_error: (squares / (n * (n - 1.0))).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_no_error_that_is_known() {
        let x = Estimate::of(&[4.0]);
        assert!((x.mean - 4.0).abs() < 1e-15 && x.standard_error.is_nan());
        assert!(Estimate::of(&[]).mean.is_nan());
        // 1, 2, 3, 4: variance 5/3, over 4.
        assert!((Estimate::of(&[1.0, 2.0, 3.0, 4.0]).standard_error - (5.0_f64 / 12.0).sqrt()).abs() < 1e-15);
    }
}
