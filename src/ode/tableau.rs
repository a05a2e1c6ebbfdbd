//! [`Tableau`]: the coefficients of an explicit Runge-Kutta method.
//!
//! # Math
//! k_i = u(t + c_i h, x + h sum_{j<i} a_ij k_j) and x(t + h) = x + h sum_i b_i k_i.
//!
//! # Source
//! E. Hairer, S. Nørsett, G. Wanner, "Solving Ordinary Differential Equations I", section II.1.

/// Rounding of a sum of a few fractions whose parts are at most 1.
const ROUNDING: f64 = 1e-15;

/// The coefficients of one method.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tableau {
    /// Where in the step each stage stands.
    pub(super) c: &'static [f64],
    /// Row i holds the i weights of the stages before stage i.
    pub(super) a: &'static [&'static [f64]],
    /// Weights of the stages in the step.
    pub(super) b: &'static [f64],
}

/// Order 1.
pub(super) const EULER: Tableau = Tableau { c: &[0.0], a: &[&[]], b: &[1.0] }.checked();

/// Order 2: the velocity at the middle of an Euler step.
pub(super) const MIDPOINT: Tableau = Tableau { c: &[0.0, 0.5], a: &[&[], &[0.5]], b: &[0.0, 1.0] }.checked();

/// Order 2: the trapezoidal rule with an Euler step as its far end.
pub(super) const HEUN: Tableau = Tableau { c: &[0.0, 1.0], a: &[&[], &[1.0]], b: &[0.5, 0.5] }.checked();

/// Order 4: the classic method of Kutta, with stages at 0, 1/2, 1/2, 1 (not his 3/8 rule).
pub(super) const RK4: Tableau = Tableau {
    c: &[0.0, 0.5, 0.5, 1.0],
    a: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    b: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
}
.checked();

impl Tableau {
    /// Returns itself, or stops the compiler: row i of a has i numbers (a is strictly lower triangular)
    /// and sums to c_i; b sums to 1; every stage stands inside the step.
    const fn checked(self) -> Self {
        assert!(self.a.len() == self.b.len() && self.c.len() == self.b.len(), "one row for each stage");
        assert!((sum(self.b) - 1.0).abs() <= ROUNDING, "b must sum to 1");
        let mut i = 0;
        while i < self.a.len() {
            assert!(self.a[i].len() == i, "a must be strictly lower triangular");
            assert!((sum(self.a[i]) - self.c[i]).abs() <= ROUNDING, "a row of a must sum to its c");
            assert!(self.c[i] >= 0.0 && self.c[i] <= 1.0, "a stage must stand inside the step");
            i += 1;
        }
        self
    }
}

const fn sum(x: &[f64]) -> f64 {
    let (mut total, mut i) = (0.0, 0);
    while i < x.len() {
        total += x[i];
        i += 1;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest deviation from the conditions of one order, one for each rooted tree with that many
    /// nodes (Hairer, Nørsett, Wanner, section II.2).
    fn deviation(tableau: Tableau, order: u32) -> f64 {
        let Tableau { a, b, c } = tableau;
        let stages = b.len();
        let total = |f: &dyn Fn(usize) -> f64| (0..stages).map(|i| b[i] * f(i)).sum::<f64>();
        let inner = |i: usize, f: &dyn Fn(usize) -> f64| (0..i).map(|j| a[i][j] * f(j)).sum::<f64>();
        let conditions = match order {
            1 => vec![(total(&|_| 1.0), 1.0)],
            2 => vec![(total(&|i| c[i]), 1.0 / 2.0)],
            3 => vec![(total(&|i| c[i] * c[i]), 1.0 / 3.0), (total(&|i| inner(i, &|j| c[j])), 1.0 / 6.0)],
            4 => vec![
                (total(&|i| c[i] * c[i] * c[i]), 1.0 / 4.0),
                (total(&|i| c[i] * inner(i, &|j| c[j])), 1.0 / 8.0),
                (total(&|i| inner(i, &|j| c[j] * c[j])), 1.0 / 12.0),
                (total(&|i| inner(i, &|j| inner(j, &|k| c[k]))), 1.0 / 24.0),
            ],
            5 => vec![(total(&|i| c[i] * c[i] * c[i] * c[i]), 1.0 / 5.0)], // one of nine: enough to fail
            _ => unreachable!(),
        };
        conditions.iter().map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn each_method_has_its_order_and_no_more() {
        for (tableau, order) in [(EULER, 1), (MIDPOINT, 2), (HEUN, 2), (RK4, 4)] {
            for k in 1..=order {
                assert!(deviation(tableau, k) < ROUNDING, "{tableau:?} at order {k}");
            }
            assert!(deviation(tableau, order + 1) > 1e-3, "{tableau:?} has more than order {order}");
        }
    }
}
