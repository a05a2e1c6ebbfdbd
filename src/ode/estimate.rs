//! [`Estimate`]: how wrong the step of each row may be.
//!
//! # Math
//! err = h sum_i (b_i - b̂_i) k_i in each component, over its scale, and e the root mean square over the components of a
//! row. Of two such errors, that of the orders 5 and 3 of `dop853`,
//! ```text
//! e = e_5² / sqrt(e_5² + 0.01 e_3²)
//! ```
//! which is of the size h^8 where e_5 is of the size h^6 and e_3 of h^4.
//!
//! # Source
//! E. Hairer, S. Nørsett, G. Wanner, "Solving Ordinary Differential Equations I", sections II.4 and II.10.

use crate::kernel::Real;
use crate::tensor::Tensor;

use super::control::{Control, Norm};
use super::row::Row;
use super::tableau::Pair;

/// The share of e_3 beside e_5 (dop853.f: the square of it, 0.01).
const COARSE: f64 = 0.1;

/// What the steps of A rows may be wrong by.
pub(super) struct Estimate {
    pair: Pair,
    off: Vec<f64>,    // [A, d], the error over h
    coarse: Vec<f64>, // [A, d], that of the second estimate where there is one
}

/// The change of what a row carries in a step, and what it may be wrong by, by both estimates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carried {
    pub(super) before: f64,
    pub(super) after: f64,
    pub(super) off: f64,
    pub(super) coarse: f64,
}

impl Estimate {
    /// For that many numbers, all components of all rows.
    pub(super) fn new(pair: Pair, numbers: usize) -> Self {
        let coarse = if pair.coarse.is_some() { numbers } else { 0 };
        Self { pair, off: vec![0.0; numbers], coarse: vec![0.0; coarse] }
    }

    /// Finds the errors of all rows from the velocities of their stages, one [A, d] for each.
    pub(super) fn fill<R: Real>(&mut self, velocities: &[Tensor<R>]) {
        weigh(self.pair.error, velocities, &mut self.off);
        if let Some(coarse) = self.pair.coarse {
            weigh(coarse, velocities, &mut self.coarse);
        }
    }

    /// The error of row i, which goes from x to `x_new`, scaled: at most 1 is small enough. A row that carries something
    /// has one more component (E21).
    pub(super) fn error<R: Real>(
        &self,
        row: &Row,
        i: usize,
        [x, x_new]: [&[R]; 2],
        carried: Option<Carried>,
        control: &Control,
    ) -> f64 {
        let at = i * x.len()..(i + 1) * x.len();
        let scaled = |off: &[f64], carried_off: f64| {
            let mut norm = Norm::default();
            for (((off, x), x_new), scale) in off.iter().zip(x).zip(x_new).zip(control.columns()) {
                norm.push(row.h * off / scale.of(x.to_f64(), x_new.to_f64()));
            }
            if let Some(carried) = &carried {
                norm.push(row.h * carried_off / control.carry.of(carried.before, carried.after));
            }
            norm.value()
        };
        let [carried_fine, carried_coarse] =
            carried.map_or([0.0; 2], |carried| [carried.off, carried.coarse]);
        let fine = scaled(&self.off[at.clone()], carried_fine);
        if self.pair.coarse.is_none() || fine == 0.0 {
            return fine;
        }
        fine * (fine / fine.hypot(COARSE * scaled(&self.coarse[at], carried_coarse)))
    }

    /// Goes on with that many numbers, at most as many as at first.
    pub(super) fn resize(&mut self, numbers: usize) {
        self.off.resize(numbers, 0.0);
        if self.pair.coarse.is_some() {
            self.coarse.resize(numbers, 0.0);
        }
    }
}

/// out = sum_i w_i k_i, in f64.
fn weigh<R: Real>(weights: &[f64], k: &[Tensor<R>], out: &mut [f64]) {
    out.fill(0.0);
    for (w, k) in weights.iter().zip(k).filter(|(w, _)| **w != 0.0) {
        for (out, k) in out.iter_mut().zip(k.as_slice()) {
            *out += w * k.to_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    #[test]
    fn two_estimates_are_one_as_in_dop853() {
        // One row of two columns and a carry; the formula as SciPy has it: |h| e5 / sqrt((e5 + 0.01 e3) n) with sums of
        // squares e5 and e3.
        let pair = Method::Dop853.tableau().pair.unwrap();
        let k: Vec<Tensor<f64>> = (0..13)
            .map(|i| Tensor::from_rows(&[[(1.7 * f64::from(i)).sin(), (2.9 * f64::from(i)).cos()]]))
            .collect();
        let mut estimate = Estimate::new(pair, 2);
        estimate.fill(&k);
        let control = Control::new(2, &0.5.into(), &[1.0, 2.0, 4.0].into(), 10, 0.0, pair.order).unwrap();
        let mut row = Row::new(0, 0.0);
        row.h = -0.3;
        let carried = Carried { before: -8.0, after: 2.0, off: 0.7, coarse: -1.1 };
        let found = estimate.error(&row, 0, [&[3.0, -6.0], &[4.0, 5.0]], Some(carried), &control);
        let sum = |weights: &[f64], column: usize| -> f64 {
            weights.iter().zip(&k).map(|(w, k)| w * k.row(0)[column]).sum()
        };
        let scales = [1.0 + 0.5 * 4.0, 2.0 + 0.5 * 6.0, 4.0 + 0.5 * 8.0];
        let squares = |weights: &[f64], carried: f64| {
            let off = [sum(weights, 0), sum(weights, 1), carried];
            off.iter().zip(scales).map(|(off, scale)| (off / scale).powi(2)).sum::<f64>()
        };
        let (e_5, e_3) = (squares(pair.error, 0.7), squares(pair.coarse.unwrap(), -1.1));
        let wanted = 0.3 * e_5 / ((e_5 + 0.01 * e_3) * 3.0).sqrt();
        assert!((found / wanted - 1.0).abs() < 1e-14, "{found} {wanted}");
        // Nothing is wrong where nothing moves.
        estimate.fill(&vec![Tensor::<f64>::zeros(1, 2); 13]);
        assert_eq!(estimate.error(&row, 0, [&[3.0, -6.0]; 2], None, &control).to_bits(), 0);
    }
}
