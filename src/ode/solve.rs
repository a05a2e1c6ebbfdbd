//! [`Solver::solve`] and [`Solver::trajectory`]: an ODE for a whole batch.
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

use super::adaptive::AdaptiveIntegration;
use super::integration::Integration;
use super::solution::{Solution, Stats, Trajectory};
use super::solver::{Plan, Solver};

/// Rows that are integrated together: enough for a matrix product, little enough for the cache. Against 128, samples a
/// second of `bench` S1, S2, S3 with `dopri5` are 100, 100, 101 % with 64 rows, 104, 101, 101 % with 256 and 104, 99, 100 %
/// with 512; smaller blocks share a small batch among more threads.
pub const ROWS_PER_BLOCK: usize = 128;

impl Solver {
    /// Moves every row of x, [B, d], from time `t.start` to time `t.end`, which may be the earlier one:
    /// `1.0..0.0` runs the flow backwards.
    ///
    /// # Errors
    /// Those of [`Integration::new`] and [`Integration::step`], or of [`AdaptiveIntegration::new`] and
    /// [`AdaptiveIntegration::step`]. If several rows fail, the error is that of the first block, at its earliest step,
    /// whatever the number of threads; it names the row of x.
    pub fn solve<R, F>(&self, field: &F, x: &Tensor<R>, t: Range<f64>) -> Result<Solution<R>>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
    {
        let blocks = match self.plan(field, x, &t)? {
            Plan::Fixed(_) => blocks(x, |first, rows| {
                let mut run = Integration::new(self, field, rows, t.clone())?.first_row(first);
                while !run.step()? {}
                Ok(run.into_solution())
            }),
            Plan::Adaptive(_) => blocks(x, |first, rows| {
                let mut run = AdaptiveIntegration::new(self, field, rows, t.clone())?.first_row(first);
                while !run.step()? {}
                Ok(run.into_solution())
            }),
        }?;
        let joined = join(x, blocks.iter().map(|block| &block.x));
        let (mut carry, mut rows) = (Vec::with_capacity(x.rows()), Vec::with_capacity(x.rows()));
        for block in blocks {
            carry.extend(block.carry);
            rows.extend(block.rows);
        }
        Ok(Solution { x: joined, carry, stats: Stats::of(&rows), rows })
    }

    /// As [`Solver::solve`], and keeps the rows at `intervals` + 1 equally spaced times, both ends
    /// included. The last ones are the bits that [`Solver::solve`] gives. A method that chooses its steps makes the same
    /// ones as there, and finds the times within a step on a curve of order 4 (`dopri5`, `tsit5`) or 3 (`bosh3`) through
    /// what is known of it, without another evaluation. The curve of `dop853`, of order 7, takes three more in each step
    /// that has such a time within; should the field have no value there, the step is tried again with a shorter one.
    ///
    /// # Errors
    /// Those of [`Solver::solve`], and [`Error::Setting`] if `intervals` is 0, does not divide the fixed steps, or is so large
    /// that there is no memory for the rows at so many times.
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
        &self,
        field: &F,
        x: &Tensor<R>,
        t: Range<f64>,
        intervals: u32,
    ) -> Result<Trajectory<R>>
    where
        R: Real,
        F: VectorField<R> + ?Sized,
    {
        let plan = self.plan(field, x, &t)?;
        check_intervals(intervals, if let Plan::Fixed(steps) = plan { steps } else { intervals })?;
        let mut course = space(x, intervals)?;
        let blocks = match plan {
            Plan::Fixed(steps) => blocks(x, |first, rows| {
                let mut run = Integration::new(self, field, rows, t.clone())?.first_row(first);
                let mut kept = vec![run.x().clone()];
                for _ in 0..intervals {
                    for _ in 0..steps / intervals {
                        run.step()?;
                    }
                    kept.push(run.x().clone());
                }
                Ok((kept, run.into_solution().rows))
            }),
            Plan::Adaptive(_) => blocks(x, |first, rows| {
                let run = AdaptiveIntegration::new(self, field, rows, t.clone())?.first_row(first);
                let mut run = run.keep(intervals);
                while !run.step()? {}
                Ok(run.into_course())
            }),
        }?;
        for (k, x) in course.iter_mut().enumerate() {
            fill(x, blocks.iter().map(|(kept, _)| &kept[k]));
        }
        Ok(Trajectory {
            t: (0..=intervals).map(|k| time(&t, f64::from(k) / f64::from(intervals))).collect(),
            x: course,
            stats: blocks.iter().map(|(_, rows)| Stats::of(rows)).fold(Stats::default(), Stats::merge),
            rows: blocks.into_iter().flat_map(|(_, rows)| rows).collect(),
        })
    }
}

/// Looks whether there are intervals, and a whole number of steps in each.
pub(super) fn check_intervals(intervals: u32, steps: u32) -> Result<()> {
    let refused = |value, remedy| Err(Error::Setting { name: "trajectory", value, remedy });
    if intervals == 0 {
        return refused("0".into(), "take at least 1 interval");
    }
    if !steps.is_multiple_of(intervals) {
        let remedy = "take a number of intervals that divides the number of steps";
        return refused(format!("{intervals} with {steps} steps"), remedy);
    }
    Ok(())
}

/// Matrices of the shape of `like`, one for each time, before any work is done for them.
pub(super) fn space<R: Real>(like: &Tensor<R>, intervals: u32) -> Result<Vec<Tensor<R>>> {
    let (times, mut course) = (intervals as usize + 1, Vec::new());
    if course.try_reserve_exact(times).is_err() {
        return Err(Error::Setting {
            name: "trajectory",
            value: intervals.to_string(),
            remedy: "there is no memory for so many times: take fewer intervals",
        });
    }
    for _ in 0..times {
        course.push(Tensor::try_zeros(like.rows(), like.cols())?);
    }
    Ok(course)
}

/// Hands each block of rows to `run`, with the number of its first row; the results in the order of the blocks, or the
/// first error in that order.
pub(super) fn blocks<R: Real, T: Send>(
    x: &Tensor<R>,
    run: impl Fn(usize, Tensor<R>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let blocks: Vec<Result<T>> = (0..x.rows().div_ceil(ROWS_PER_BLOCK))
        .into_par_iter()
        .map(|block| {
            let first = block * ROWS_PER_BLOCK;
            run(first, x.slice_rows(first..x.rows().min(first + ROWS_PER_BLOCK)))
        })
        .collect();
    blocks.into_iter().collect()
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
pub(super) fn join<'a, R: Real>(like: &Tensor<R>, blocks: impl Iterator<Item = &'a Tensor<R>>) -> Tensor<R> {
    let mut joined = Tensor::zeros(like.rows(), like.cols());
    fill(&mut joined, blocks);
    joined
}

/// Puts blocks of rows together again, into `joined`.
pub(super) fn fill<'a, R: Real>(joined: &mut Tensor<R>, blocks: impl Iterator<Item = &'a Tensor<R>>) {
    let mut rest = joined.as_mut_slice();
    for block in blocks {
        let (head, tail) = rest.split_at_mut(block.as_slice().len());
        head.copy_from_slice(block.as_slice());
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;
    use crate::field::FnField;
    use crate::rng::{Purpose, Rng};
    use crate::source::Source;

    /// A field without symmetry, in f32, where the order of additions would show.
    fn swirl() -> impl VectorField<f32> {
        FnField::new(3, |t: f32, x: &[f32], u: &mut [f32]| {
            u[0] = t.mul_add(x[1] * x[2], 0.3);
            u[1] = (x[0] + t).sin() - x[1];
            u[2] = x[0] * 0.7 - x[1] * x[2] * t;
        })
    }

    /// A method with few steps.
    fn seven(method: Method) -> Solver {
        let solver = Solver::new(method);
        if method.is_adaptive() { solver } else { solver.steps(7) }
    }

    fn batch(rows: usize) -> Tensor<f32> {
        let mut x = Tensor::zeros(rows, 3);
        Source::Normal.fill(&Rng::from_seed(5).fork(Purpose::Source), 0, &mut x);
        x
    }

    #[test]
    fn threads_do_not_matter() {
        let x = batch(3 * ROWS_PER_BLOCK + 17);
        for method in Method::ALL {
            let of = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| seven(method).solve(&swirl(), &x, 0.0..1.0).unwrap())
            };
            assert_eq!(of(1), of(2));
            assert_eq!(of(1), of(7));
        }
    }

    #[test]
    fn neighbours_do_not_matter() {
        // E24, also for the rows at the ends of a block.
        let x = batch(2 * ROWS_PER_BLOCK + 1);
        for method in Method::ALL {
            let solver = seven(method);
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
        let mut run = Integration::new(&solver, &field, x.slice_rows(130..131), 0.2..0.9).unwrap();
        for _ in 0..6 {
            run.step().unwrap();
        }
        assert_eq!(run.t().to_bits(), course.t[2].to_bits());
        assert_eq!(run.x().row(0), course.x[2].row(130));
    }

    #[test]
    fn intervals_must_divide_the_steps() {
        let (x, solver) = (batch(1), Solver::euler().steps(12));
        for (intervals, words) in [(0, "at least 1"), (5, "divides the number of steps"), (24, "divides")] {
            let error = solver.trajectory(&swirl(), &x, 0.0..1.0, intervals).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(Solver::dopri5().trajectory(&swirl(), &x, 0.0..1.0, 0).is_err());
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
}
