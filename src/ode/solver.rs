//! [`Solver`]: how an ODE is solved, as data, and the functions that do it for a whole batch.
//!
//! # Math
//! d/dt psi_t(x) = u_t(psi_t(x)), psi_0(x) = x (E1): from t_0 = 0 to t_1 = 1 this pushes the source
//! forward to the target (E2), from 1 to 0 it is the inverse.
//!
//! # Shapes
//! x is [B, d]. The batch is cut into blocks of [`ROWS_PER_BLOCK`] rows that run in parallel.
//!
//! # Limits
//! No row depends on another one (E24), on the number of threads or on the place in the batch, as far as
//! the field keeps to that.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::field::VectorField;
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::integration::Integration;
use super::method::Method;
use super::solution::{Solution, Stats, Trajectory};

/// Rows that are integrated together: enough for a matrix product, little enough for the cache.
pub const ROWS_PER_BLOCK: usize = 128;

/// Steps of a solver for which none are named.
const STEPS: u32 = 100;

/// A Runge-Kutta method with fixed steps.
///
/// # Example
/// ```
/// use pushforward::{Solver, Tensor, field::FnField};
///
/// let decay = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0]);
/// let x_0 = Tensor::from_rows(&[[1.0], [2.0]]);
/// let solution = Solver::rk4().steps(20).solve(&decay, &x_0, 0.0..1.0)?;
/// assert!((solution.x.row(1)[0] - 2.0 * (-1.0_f64).exp()).abs() < 1e-7);
/// assert_eq!(solution.stats.nfe, 80);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Solver {
    /// What makes the steps.
    pub method: Method,
    /// How many steps there are from t_0 to t_1.
    pub steps: u32,
}

impl Solver {
    /// A solver of 100 steps.
    #[must_use]
    pub fn new(method: Method) -> Self {
        Self { method, steps: STEPS }
    }

    /// Euler's method, order 1, with 100 steps.
    #[must_use]
    pub fn euler() -> Self {
        Self::new(Method::Euler)
    }

    /// The midpoint method, order 2, with 100 steps.
    #[must_use]
    pub fn midpoint() -> Self {
        Self::new(Method::Midpoint)
    }

    /// Heun's method, order 2, with 100 steps.
    #[must_use]
    pub fn heun() -> Self {
        Self::new(Method::Heun)
    }

    /// The classic Runge-Kutta method, order 4, with 100 steps.
    #[must_use]
    pub fn rk4() -> Self {
        Self::new(Method::Rk4)
    }

    /// Sets the number of steps, at least 1.
    #[must_use]
    pub fn steps(mut self, steps: u32) -> Self {
        self.steps = steps;
        self
    }

    /// Moves every row of x, [B, d], from time `t.start` to time `t.end`, which may be the earlier one:
    /// `1.0..0.0` runs the flow backwards.
    ///
    /// # Errors
    /// Those of [`Integration::new`] and [`Integration::step`]. If several rows fail, the error is that of
    /// the first block, at its earliest time, whatever the number of threads; it names the row of x.
    pub fn solve<R, F>(self, field: &F, x: &Tensor<R>, t: Range<f64>) -> Result<Solution<R>>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
    {
        self.check(field, x, &t)?;
        let blocks = self.blocks(field, x, &t, |mut run| {
            while !run.step()? {}
            Ok(run.into_solution())
        })?;
        let mut solution = Solution {
            x: join(x, blocks.iter().map(|block| &block.x)),
            carry: Vec::with_capacity(x.rows()),
            stats: self.stats(),
        };
        for block in blocks {
            solution.carry.extend(block.carry);
        }
        Ok(solution)
    }

    /// As [`Solver::solve`], and keeps the rows at `intervals` + 1 equally spaced times, both ends
    /// included. The last ones are the bits that [`Solver::solve`] gives.
    ///
    /// # Errors
    /// Those of [`Solver::solve`], and [`Error::Setting`] if `intervals` is 0 or does not divide the steps.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Solver, Tensor, field::FnField};
    ///
    /// let wind = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 2.0);
    /// let course = Solver::euler().steps(8).trajectory(&wind, &Tensor::zeros(1, 1), 0.0..1.0, 4)?;
    /// assert_eq!(course.t, [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// assert_eq!(course.x[3].row(0), [1.5]);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn trajectory<R, F>(
        self,
        field: &F,
        x: &Tensor<R>,
        t: Range<f64>,
        intervals: u32,
    ) -> Result<Trajectory<R>>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
    {
        self.check(field, x, &t)?;
        if intervals == 0 || !self.steps.is_multiple_of(intervals) {
            return Err(Error::Setting {
                name: "trajectory",
                value: format!("{intervals} with {} steps", self.steps),
                remedy: "take a number of intervals, at least 1, that divides the number of steps",
            });
        }
        let stride = self.steps / intervals;
        let blocks = self.blocks(field, x, &t, |mut run| {
            let mut kept = vec![run.x().clone()];
            for _ in 0..intervals {
                for _ in 0..stride {
                    run.step()?;
                }
                kept.push(run.x().clone());
            }
            Ok(kept)
        })?;
        let course = 0..=intervals as usize;
        Ok(Trajectory {
            t: (0..=intervals).map(|k| time(&t, f64::from(k) / f64::from(intervals))).collect(),
            x: course.map(|k| join(x, blocks.iter().map(|kept| &kept[k]))).collect(),
            stats: self.stats(),
        })
    }

    /// Checks what a caller can get wrong.
    pub(super) fn check<R, F>(self, field: &F, x: &Tensor<R>, t: &Range<f64>) -> Result<()>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
    {
        if self.steps == 0 {
            return Err(Error::Setting { name: "steps", value: "0".into(), remedy: "take at least 1 step" });
        }
        for end in [t.start, t.end] {
            if !end.is_finite() {
                let remedy = "both ends of the time interval must be finite";
                return Err(Error::Setting { name: "t", value: end.to_string(), remedy });
            }
        }
        x.check_cols("columns of x", field.dim(), "give rows of the dimension of the field")?;
        x.check_finite("x at the start of the ODE", "remove or replace that row")
    }

    /// Hands each block of rows to `run`; the results in the order of the blocks, or the first error in
    /// that order.
    fn blocks<R, F, T>(
        self,
        field: &F,
        x: &Tensor<R>,
        t: &Range<f64>,
        run: impl Fn(Integration<'_, R>) -> Result<T> + Sync,
    ) -> Result<Vec<T>>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
        T: Send,
    {
        let blocks: Vec<Result<T>> = (0..x.rows().div_ceil(ROWS_PER_BLOCK))
            .into_par_iter()
            .map(|block| {
                let first = block * ROWS_PER_BLOCK;
                let rows = x.slice_rows(first..x.rows().min(first + ROWS_PER_BLOCK));
                run(Integration::new(self, field, rows, t.clone())?.first_row(first))
            })
            .collect();
        blocks.into_iter().collect()
    }

    /// What every row takes.
    fn stats(self) -> Stats {
        let steps = u64::from(self.steps);
        Stats { nfe: steps * self.method.tableau().b.len() as u64, accepted: steps, rejected: 0 }
    }
}

/// The time at a share of the way from `t.start` to `t.end`. It is never outside: the last share before 1 is
/// at most 1 - 2^-33, further from 1 than the rounding errors of 2^-52 here. A share of 1 gives `t.end`
/// itself, which the formula may miss.
pub(super) fn time(t: &Range<f64>, share: f64) -> f64 {
    if share >= 1.0 {
        return t.end;
    }
    t.start + (t.end - t.start) * share
}

/// Puts blocks of rows together again, into the shape of `like`.
fn join<'a, R: Real>(like: &Tensor<R>, blocks: impl Iterator<Item = &'a Tensor<R>>) -> Tensor<R> {
    let mut joined = Tensor::zeros(like.rows(), like.cols());
    let mut rest = joined.as_mut_slice();
    for block in blocks {
        let (head, tail) = rest.split_at_mut(block.as_slice().len());
        head.copy_from_slice(block.as_slice());
        rest = tail;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FnField;
    use crate::rng::{Purpose, Rng};
    use crate::source::Source;

    const METHODS: [Method; 4] = [Method::Euler, Method::Midpoint, Method::Heun, Method::Rk4];

    /// A field without symmetry, in f32, where the order of additions would show.
    fn swirl() -> impl VectorField<f32> {
        FnField::new(3, |t: f32, x: &[f32], u: &mut [f32]| {
            u[0] = t.mul_add(x[1] * x[2], 0.3);
            u[1] = (x[0] + t).sin() - x[1];
            u[2] = x[0] * 0.7 - x[1] * x[2] * t;
        })
    }

    fn batch(rows: usize) -> Tensor<f32> {
        let mut x = Tensor::zeros(rows, 3);
        Source::Normal.fill(&Rng::from_seed(5).fork(Purpose::Source), 0, &mut x);
        x
    }

    #[test]
    fn threads_do_not_matter() {
        let x = batch(3 * ROWS_PER_BLOCK + 17);
        for method in METHODS {
            let of = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| Solver::new(method).steps(7).solve(&swirl(), &x, 0.0..1.0).unwrap())
            };
            assert_eq!(of(1), of(2));
            assert_eq!(of(1), of(7));
        }
    }

    #[test]
    fn neighbours_do_not_matter() {
        // E24, also for the rows at the ends of a block.
        let x = batch(2 * ROWS_PER_BLOCK + 1);
        for method in METHODS {
            let solver = Solver::new(method).steps(5);
            let all = solver.solve(&swirl(), &x, 1.0..0.0).unwrap().x;
            for i in [0, 1, ROWS_PER_BLOCK - 1, ROWS_PER_BLOCK, x.rows() - 1] {
                let alone = solver.solve(&swirl(), &x.slice_rows(i..i + 1), 1.0..0.0).unwrap().x;
                assert_eq!(alone.row(0), all.row(i));
            }
            let part = solver.solve(&swirl(), &x.slice_rows(37..200), 1.0..0.0).unwrap().x;
            assert_eq!(part, all.slice_rows(37..200));
        }
    }

    #[test]
    fn there_and_back_again() {
        // The error of rk4 at step 1/100 is of the size 1e-8, both ways.
        const BOUND: f64 = 1e-6;
        let field = FnField::new(2, |t: f64, x: &[f64], u: &mut [f64]| {
            u[0] = (x[1] + t).sin();
            u[1] = x[0] * t - x[1];
        });
        let x_0 = Tensor::from_rows(&[[0.3, -1.0], [2.0, 0.5]]);
        let x_1 = Solver::rk4().solve(&field, &x_0, 0.0..1.0).unwrap().x;
        let again = Solver::rk4().solve(&field, &x_1, 1.0..0.0).unwrap().x;
        for (a, b) in again.as_slice().iter().zip(x_0.as_slice()) {
            assert!((a - b).abs() < BOUND, "{a} {b}");
        }
    }

    #[test]
    fn a_trajectory_ends_where_the_solution_does() {
        let x = batch(ROWS_PER_BLOCK + 3);
        let solver = Solver::heun().steps(12);
        let course = solver.trajectory(&swirl(), &x, 0.2..0.9, 4).unwrap();
        let solution = solver.solve(&swirl(), &x, 0.2..0.9).unwrap();
        assert_eq!((course.t.len(), course.t[0], course.t[4]), (5, 0.2, 0.9));
        assert_eq!(course.x[0], x);
        assert_eq!(course.x[4], solution.x);
        assert_eq!(course.stats, solution.stats);
        // A moment on the way, stepped to by hand and alone.
        let field = swirl();
        let mut run = Integration::new(solver, &field, x.slice_rows(130..131), 0.2..0.9).unwrap();
        for _ in 0..6 {
            run.step().unwrap();
        }
        assert_eq!(run.t().to_bits(), course.t[2].to_bits());
        assert_eq!(run.x().row(0), course.x[2].row(130));
    }

    #[test]
    fn intervals_must_divide_the_steps() {
        let (x, solver) = (batch(1), Solver::euler().steps(12));
        for intervals in [0, 5, 24] {
            let error = solver.trajectory(&swirl(), &x, 0.0..1.0, intervals).unwrap_err();
            assert!(error.to_string().contains("divides the number of steps"), "{error}");
        }
        assert_eq!(solver.trajectory(&swirl(), &x, 0.0..1.0, 12).unwrap().x.len(), 13);
    }

    #[test]
    fn the_first_block_tells_its_error() {
        // Rows 200 (block 1) and 290 (block 2) fail, the later one at an earlier time.
        let field = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| {
            let fails =
                (x[0] > 199.5 && x[0] < 200.5 && t > 0.5) || (x[0] > 289.5 && x[0] < 290.5 && t > 0.1);
            u[0] = if fails { f64::NAN } else { 0.0 };
        });
        let x = Tensor::from_vec((0..400).map(f64::from).collect(), 400, 1).unwrap();
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let error = pool.install(|| Solver::euler().steps(10).solve(&field, &x, 0.0..1.0)).unwrap_err();
            match error {
                Error::Velocity { t, row: 200, value } if value.is_nan() => assert!((t - 0.6).abs() < 1e-15),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn wrong_input_is_an_error() {
        let x = batch(2);
        let solve = |solver: Solver, x: &Tensor<f32>, t| solver.solve(&swirl(), x, t);
        assert!(matches!(
            solve(Solver::rk4().steps(0), &x, 0.0..1.0),
            Err(Error::Setting { name: "steps", .. })
        ));
        assert!(matches!(solve(Solver::rk4(), &x, 0.0..f64::NAN), Err(Error::Setting { name: "t", .. })));
        let narrow = Tensor::zeros(2, 2);
        assert!(matches!(solve(Solver::rk4(), &narrow, 0.0..1.0), Err(Error::Dimension { expected: 3, .. })));
        let mut bad = x.clone();
        bad.row_mut(1)[2] = f32::NAN;
        assert!(matches!(
            solve(Solver::rk4(), &bad, 0.0..1.0),
            Err(Error::NotFinite { row: 1, column: 2, .. })
        ));
    }

    #[test]
    fn no_rows_are_no_work() {
        let solution = Solver::rk4().solve(&swirl(), &batch(0), 0.0..1.0).unwrap();
        assert_eq!((solution.x.rows(), solution.carry.len()), (0, 0));
    }

    #[test]
    fn a_solver_is_data() {
        let solver = Solver::midpoint().steps(40);
        let text = serde_json::to_string(&solver).unwrap();
        assert_eq!(text, r#"{"method":"midpoint","steps":40}"#);
        assert_eq!(serde_json::from_str::<Solver>(&text).unwrap(), solver);
    }
}
