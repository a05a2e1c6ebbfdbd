//! What every distance asks of its two sets of samples.

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// The same columns on both sides, at least one row and one column, and finite numbers.
pub(super) fn check<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> Result<()> {
    b.check_cols("columns of b", a.cols(), "both sets must have the same columns")?;
    let sizes = [("rows of a", a.rows()), ("rows of b", b.rows()), ("columns of a and b", a.cols())];
    for (what, found) in sizes {
        if found == 0 {
            let remedy = "a distance needs at least one sample on each side";
            return Err(Error::Dimension { what, expected: 1, found, remedy });
        }
    }
    a.check_finite("a", "remove the row")?;
    b.check_finite("b", "remove the row")
}

/// A number that may have overflowed.
pub(super) fn finite(number: f64) -> Result<f64> {
    if number.is_finite() {
        return Ok(number);
    }
    Err(Error::Setting {
        name: "a and b",
        value: "so large that squared distances overflow".into(),
        remedy: "divide both by a common factor",
    })
}
