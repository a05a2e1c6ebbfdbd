//! [`AdaptiveIntegration`]: the loop of a solver that chooses its steps, for each row by itself.
//!
//! # Math
//! Each row has its own t and h (E24). A step evaluates the stages k_i = u(t + c_i h, x + h sum_j a_ij k_j); the last
//! one stands at the new x, so that an accepted step hands it on as the first of the next one, and a rejected step keeps
//! the one it has. The number that a row carries is one more component of the state (E21), with the rate r_i at stage i:
//! its error counts beside that of x. A row whose rates are all 0 in a step carries nothing there, and only x counts. Of
//! several numbers, estimates of the same thing, the mean is that component.
//!
//! # Shapes
//! A rows of B are still on their way: their x, stages and velocities are [A, d], what they carry is [A, C]. They stand without gaps, so that a row
//! that is done costs nothing more; the field is asked for all A at once, each at its own time.
//!
//! # Limits
//! Times, steps and errors are f64. Stages lie within the step and the last step ends at t_1 itself, so that no time
//! is outside [t_0, t_1]; they are rounded to `R` for the field. A step in which the field answers NaN or infinity is
//! tried again with a shorter one, until t does not move any more. All memory is taken at the start.
//!
//! Its lines are one loop and the arrays that it moves together: a part of them alone would be right for nobody.

use std::fmt;
use std::mem;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::field::{VectorField, Worker};
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::control::Control;
use super::course::{Course, Made};
use super::estimate::{Carried, Estimate};
use super::integration::{wild_rate, wild_x};
use super::row::Row;
use super::solution::{Reason, RowStats, Solution, Stats};
use super::solver::{Plan, Solver};
use super::tableau::{Pair, Tableau};

/// A batch of rows on its way from t_0 to t_1, each with its own steps.
///
/// # Example
/// ```
/// use pushforward::{Solver, Tensor, field::FnField, ode::AdaptiveIntegration};
///
/// let fall = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0] * x[0]); // x = x_0 / (1 + x_0 t)
/// let x_0 = Tensor::from_rows(&[[1.0], [100.0]]);
/// let mut run = AdaptiveIntegration::new(&Solver::dopri5(), &fall, x_0, 0.0..1.0)?;
/// while !run.step()? {
///     assert!(run.active() > 0);
/// }
/// let solution = run.into_solution();
/// assert!((solution.x.row(0)[0] - 0.5).abs() < 1e-5);
/// assert!(solution.rows[1].nfe > solution.rows[0].nfe); // the faster one took more steps
/// # Ok::<(), pushforward::Error>(())
/// ```
pub struct AdaptiveIntegration<'a, R: Real = f32> {
    worker: Box<dyn Worker<R> + 'a>,
    tableau: Tableau,
    pair: Pair,
    /// The stages that count, each with its weight in the step and in both errors.
    counted: Vec<(usize, [f64; 3])>,
    control: Control,
    ends: Range<f64>,
    started: bool,
    /// The number of row 0 in errors.
    first_row: usize,
    rows: Vec<Row>,             // [A], those on their way
    places: Vec<usize>,         // [A], their numbers in the batch, for a field that has something for each
    carries: usize,             // C, how many numbers a row carries
    x: Tensor<R>,               // [A, d]
    carry: Vec<f64>,            // [A, C]
    carried: Vec<f64>,          // [A, C], the same after the step
    times: Vec<R>,              // [A]
    point: Tensor<R>,           // [A, d], where a stage is evaluated
    velocities: Vec<Tensor<R>>, // one [A, d] for each stage, the first one at x
    rates: Vec<Vec<f64>>,       // one [A, C] for each stage
    estimate: Estimate,
    done: Solution<R>, // [B], what is known of all rows; those on their way are not in it yet
    course: Option<Course<R>>,
}

impl<'a, R: Real> AdaptiveIntegration<'a, R> {
    /// Starts at x, [B, d], at time `t.start`; every row will end at `t.end`, which may be the earlier one.
    ///
    /// # Errors
    /// [`Error::Setting`] for a method with fixed steps, a setting out of range or an end that is not finite,
    /// [`Error::Dimension`] if x has not the columns of the field, [`Error::NotFinite`] if x holds NaN or infinity.
    pub fn new<F>(solver: &Solver, field: &'a F, x: Tensor<R>, t: Range<f64>) -> Result<Self>
    where
        F: VectorField<R> + ?Sized,
    {
        let tableau = solver.method.tableau();
        let (Plan::Adaptive(control), Some(pair)) = (solver.plan(field, &x, &t)?, tableau.pair) else {
            return Err(Error::Setting {
                name: "solver",
                value: solver.method.to_string(),
                remedy: "its steps are fixed: take `Integration`, or a method that chooses its steps",
            });
        };
        let (n, d, stages) = (x.rows(), x.cols(), tableau.b.len());
        let weights = |i| [tableau.b[i], pair.error[i], pair.coarse.map_or(0.0, |coarse| coarse[i])];
        let counted = (0..stages).filter(|i| tableau.counts(*i));
        let worker = field.worker(n);
        let carries = worker.carries();
        Ok(Self {
            worker,
            tableau,
            counted: counted.map(|i| (i, weights(i))).collect(),
            pair,
            control,
            started: false,
            first_row: 0,
            rows: (0..n).map(|index| Row::new(index, t.start)).collect(),
            places: (0..n).collect(),
            carries,
            carry: vec![0.0; n * carries],
            carried: vec![0.0; n * carries],
            times: vec![R::from_f64(t.start); n],
            point: Tensor::zeros(n, d),
            velocities: vec![Tensor::zeros(n, d); stages],
            rates: vec![vec![0.0; n * carries]; stages],
            estimate: Estimate::new(pair, n * d),
            done: Solution {
                x: x.clone(),
                carry: vec![0.0; n * carries],
                rows: vec![RowStats::default(); n],
                stats: Stats::default(),
            },
            course: None,
            ends: t,
            x,
        })
    }

    /// Calls row 0 `first_row`, in errors and to the field: for a batch that is a block of a larger one.
    pub(super) fn first_row(mut self, first_row: usize) -> Self {
        self.first_row = first_row;
        self.places = (first_row..first_row + self.rows.len()).collect();
        self.worker.set_rows(&self.places);
        self
    }

    /// Keeps the rows at `intervals` + 1 equally spaced times.
    pub(super) fn keep(mut self, intervals: u32) -> Self {
        self.course = Some(Course::new(&self.x, self.ends.clone(), intervals, self.tableau, self.pair));
        self
    }

    /// Starts anew at as many other finite rows, one after the other, in the memory that it has.
    pub(super) fn restart(&mut self, x: &[R]) {
        let (n, t) = (self.done.rows.len(), self.ends.start);
        for matrix in [&mut self.x, &mut self.point].into_iter().chain(&mut self.velocities) {
            matrix.resize_rows(n);
        }
        self.x.as_mut_slice().copy_from_slice(x);
        self.estimate.resize(x.len());
        for carried in [&mut self.carry, &mut self.carried].into_iter().chain(&mut self.rates) {
            carried.clear();
            carried.resize(n * self.carries, 0.0);
        }
        self.times.clear();
        self.times.resize(n, R::from_f64(t));
        self.rows.clear();
        self.rows.extend((0..n).map(|index| Row::new(index, t)));
        self.places.clear();
        self.places.extend(self.first_row..self.first_row + n);
        self.worker.set_rows(&self.places);
        self.done.x.as_mut_slice().copy_from_slice(x);
        self.done.carry.fill(0.0);
        self.done.rows.fill(RowStats::default());
        self.started = false;
    }

    /// What is known of the rows that are not on their way any more; its means are not.
    pub(super) fn done(&self) -> &Solution<R> {
        &self.done
    }

    /// Tries one step of every row that is on its way; whether all are at t_1. Then it does nothing.
    ///
    /// # Errors
    /// [`Error::Steps`] if a row has used `max_steps`, [`Error::StepSize`] if no step of a row is short enough, and if
    /// that is because the field answers NaN or infinity, [`Error::Velocity`], or [`Error::Overflow`] for its carry or
    /// the new x. If several rows fail in the same step, the error is that of the first one. A row that failed stands
    /// where it has come to, its [`RowStats::reason`] tells why, and further steps are those of the others. What the
    /// field itself reports; all rows are then where they were.
    pub fn step(&mut self) -> Result<bool> {
        if !self.started {
            self.start()?;
        }
        if self.rows.is_empty() {
            return Ok(true);
        }
        for row in &mut self.rows {
            row.aim(self.ends.end);
        }
        for i in 1..self.tableau.b.len() {
            advance(&self.x, &self.rows, self.tableau.a[i], &self.velocities, &mut self.point);
            for (time, row) in self.times.iter_mut().zip(&self.rows) {
                *time = R::from_f64(row.time(self.tableau.c[i]));
            }
            self.eval(i)?;
        }
        self.judge()?;
        Ok(self.rows.is_empty())
    }

    /// How many rows are on their way.
    #[must_use]
    pub fn active(&self) -> usize {
        self.rows.len()
    }

    /// What the rows have taken so far, on average.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut rows = self.done.rows.clone();
        for row in &self.rows {
            rows[row.index] = row.stats;
        }
        Stats::of(&rows)
    }

    /// Gives the rows and their carry away. A row that is on its way is where it has come to.
    #[must_use]
    pub fn into_solution(mut self) -> Solution<R> {
        for i in 0..self.rows.len() {
            self.settle(i);
        }
        self.done.stats = Stats::of(&self.done.rows);
        self.done
    }

    /// As [`AdaptiveIntegration::into_solution`], with the times asked for by [`AdaptiveIntegration::keep`].
    pub(super) fn into_course(mut self) -> (Vec<Tensor<R>>, Vec<RowStats>) {
        let kept = self.course.take().map_or(vec![], |course| course.x);
        (kept, self.into_solution().rows)
    }

    /// Evaluates the field at x and finds each row's first step.
    fn start(&mut self) -> Result<()> {
        let span = self.ends.end - self.ends.start;
        if span == 0.0 {
            self.rows.iter_mut().for_each(|row| row.stats.reason = Reason::Done);
            self.take_out();
            self.started = true;
            return Ok(());
        }
        self.point.as_mut_slice().copy_from_slice(self.x.as_slice());
        self.eval(0)?;
        let mut failed = None;
        for (i, row) in self.rows.iter_mut().enumerate() {
            if let Some(trouble) = row.trouble.take() {
                failed.get_or_insert(row.fail(trouble)); // a step cannot be shorter than none
            }
            let rate = mean(&self.rates[0], i, self.carries);
            let [size, speed] = self.control.sizes(self.x.row(i), self.velocities[0].row(i), rate);
            row.h = Control::guess(size, speed).copysign(span);
            row.aim(self.ends.end);
            self.times[i] = R::from_f64(row.t_new);
        }
        advance(&self.x, &self.rows, &[1.0], &self.velocities, &mut self.point);
        self.eval(1)?;
        for (i, row) in self.rows.iter_mut().enumerate() {
            // Where the velocity is not finite there, the guess is tried, and shortened if need be.
            if row.trouble.take().is_none() {
                let u = [self.velocities[0].row(i), self.velocities[1].row(i)];
                let rates = [0, 1].map(|stage| mean(&self.rates[stage], i, self.carries));
                let change = self.control.change(self.x.row(i), u, rates);
                let [_, speed] = self.control.sizes(self.x.row(i), u[0], rates[0]);
                row.h = self.control.start(row.h.abs(), speed, change).copysign(span);
            }
            row.h = self.control.at_least(row.h);
        }
        self.take_out();
        self.started = true;
        failed.map_or(Ok(()), Err)
    }

    /// Asks for stage i at `point` and `times`, and looks for NaN and infinity in the answer. A row in trouble stands
    /// still for the rest of the step, so that the field is not asked at what came of it.
    fn eval(&mut self, i: usize) -> Result<()> {
        let (u, rates) = (&mut self.velocities[i], &mut self.rates[i]);
        if self.tableau.counts(i) || !self.started {
            self.worker.eval_carry(&self.times, &self.point, u, rates)?;
        } else {
            self.worker.eval(&self.times, &self.point, u)?; // its rate would count for nothing
        }
        for row in &mut self.rows {
            row.stats.nfe += 1;
        }
        if all_finite(u.as_slice()) && all_finite(rates) {
            return Ok(());
        }
        for (j, row) in self.rows.iter_mut().enumerate() {
            let (place, rates) = (self.first_row + row.index, &mut rates[j * self.carries..][..self.carries]);
            let trouble = match u.row(j).iter().find(|u| !u.is_finite()) {
                Some(u) => Error::Velocity { t: row.time(self.tableau.c[i]), row: place, value: u.to_f64() },
                None => match rates.iter().find(|rate| !rate.is_finite()) {
                    Some(rate) => wild_rate(row.time(self.tableau.c[i]), place, *rate),
                    None => continue,
                },
            };
            u.row_mut(j).fill(R::ZERO);
            rates.fill(0.0);
            row.trouble.get_or_insert(trouble);
        }
        Ok(())
    }

    /// Accepts or rejects the step of each row, and takes those out that are at t_1.
    fn judge(&mut self) -> Result<()> {
        self.estimate.fill(&self.velocities);
        (0..self.rows.len()).for_each(|i| self.measure(i));
        if let Some(course) = &mut self.course {
            let (x, x_new, velocities) = (&self.x, &self.point, &self.velocities[..]);
            let made = Made { x, x_new, velocities, first_row: self.first_row };
            course.write(&mut *self.worker, &mut self.rows, &made)?;
        }
        let mut failed: Option<(usize, Error)> = None;
        for (i, row) in self.rows.iter_mut().enumerate() {
            if row.passes() {
                row.accept(&self.control);
                let at = i * self.carries..(i + 1) * self.carries;
                self.carry[at.clone()].copy_from_slice(&self.carried[at]);
            } else {
                row.reject(&self.control);
            }
            if let Some(error) = row.stop(&self.control, self.first_row)
                && failed.as_ref().is_none_or(|(index, _)| row.index < *index)
            {
                failed = Some((row.index, error));
            }
        }
        // Most rows go on: all are moved at once, and those that were rejected are put back.
        let last = self.velocities.len() - 1;
        mem::swap(&mut self.x, &mut self.point);
        self.velocities.swap(0, last); // FSAL
        self.rates.swap(0, last);
        for i in (0..self.rows.len()).rev() {
            if self.rows[i].just_rejected {
                self.x.row_mut(i).copy_from_slice(self.point.row(i));
                let (first, stages) = self.velocities.split_at_mut(1);
                first[0].row_mut(i).copy_from_slice(stages[last - 1].row(i));
                let (at, (first, stages)) = (i * self.carries, self.rates.split_at_mut(1));
                first[0][at..at + self.carries].copy_from_slice(&stages[last - 1][at..at + self.carries]);
            }
        }
        self.take_out();
        failed.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Finds the error of row i and what it carries after the step; looks for numbers that became too large.
    fn measure(&mut self, i: usize) {
        let row = &mut self.rows[i];
        let (mut off, mut coarse, mut carries) = (0.0, 0.0, false);
        for at in i * self.carries..(i + 1) * self.carries {
            let mut gain = 0.0;
            for (stage, [b, fine, rough]) in &self.counted {
                let rate = self.rates[*stage][at];
                gain += b * rate;
                off += fine * rate;
                coarse += rough * rate;
                carries |= rate != 0.0;
            }
            self.carried[at] = self.carry[at] + row.h * gain;
        }
        let share = share(self.carries);
        let (before, after) = (mean(&self.carry, i, self.carries), mean(&self.carried, i, self.carries));
        let carried = Carried { before, after, off: share * off, coarse: share * coarse };
        let carried = carries.then_some(carried);
        let (x, x_new) = (self.x.row(i), self.point.row(i));
        row.error = self.estimate.error(row, i, [x, x_new], carried, &self.control);
        let place = self.first_row + row.index;
        let end = row.time(1.0);
        if let Some(wild) = x_new.iter().find(|x| !x.is_finite()) {
            row.trouble.get_or_insert(wild_x(end, place, wild.to_f64()));
        }
        if !after.is_finite() {
            row.trouble.get_or_insert(wild_rate(end, place, after));
        }
    }

    /// Takes the rows out that make no more steps.
    fn take_out(&mut self) {
        for i in (0..self.rows.len()).rev() {
            if self.rows[i].stats.reason != Reason::Running {
                self.settle(i);
                self.remove(i);
            }
        }
        self.shrink();
    }

    /// Writes row i down among those that are known.
    fn settle(&mut self, i: usize) {
        let row = &self.rows[i];
        self.done.x.row_mut(row.index).copy_from_slice(self.x.row(i));
        let c = self.carries;
        self.done.carry[row.index * c..][..c].copy_from_slice(&self.carry[i * c..][..c]);
        self.done.rows[row.index] = row.stats;
    }

    /// Puts the last row, which has been moved, in the place of row i.
    fn remove(&mut self, i: usize) {
        self.rows.swap_remove(i);
        self.places.swap_remove(i);
        let last = self.rows.len();
        for matrix in [&mut self.x, &mut self.velocities[0]] {
            let d = matrix.cols();
            matrix.as_mut_slice().copy_within(last * d..(last + 1) * d, i * d);
        }
        let c = self.carries;
        for carried in [&mut self.carry, &mut self.rates[0]] {
            carried.copy_within(last * c..(last + 1) * c, i * c);
        }
    }

    /// Forgets the places after the rows that are on their way.
    fn shrink(&mut self) {
        let left = self.rows.len();
        if left == self.times.len() {
            return;
        }
        for matrix in [&mut self.x, &mut self.point].into_iter().chain(&mut self.velocities) {
            matrix.resize_rows(left);
        }
        for carried in [&mut self.carry, &mut self.carried].into_iter().chain(&mut self.rates) {
            carried.truncate(left * self.carries);
        }
        self.times.truncate(left);
        self.estimate.resize(left * self.x.cols());
        self.worker.set_rows(&self.places);
    }
}

impl<R: Real> fmt::Debug for AdaptiveIntegration<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveIntegration")
            .field("ends", &self.ends)
            .field("control", &self.control)
            .field("active", &self.active())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// out = x + h sum_j w_j k_j, all [A, d], with the h of each row. The sum comes first and x last: one rounding of the
/// size of x.
fn advance<R: Real>(x: &Tensor<R>, rows: &[Row], weights: &[f64], k: &[Tensor<R>], out: &mut Tensor<R>) {
    let sum = out.as_mut_slice();
    sum.fill(R::ZERO);
    for (&w, k) in weights.iter().zip(k).filter(|(w, _)| **w != 0.0) {
        let w = R::from_f64(w);
        for (sum, &k) in sum.iter_mut().zip(k.as_slice()) {
            *sum += w * k;
        }
    }
    for (i, row) in rows.iter().enumerate() {
        let h = R::from_f64(row.h);
        for (out, &x) in out.row_mut(i).iter_mut().zip(x.row(i)) {
            *out = x + h * *out;
        }
    }
}

/// The mean of the numbers of row i, C of them.
fn mean(numbers: &[f64], i: usize, c: usize) -> f64 {
    share(c) * numbers[i * c..(i + 1) * c].iter().sum::<f64>()
}

/// What one of C numbers is of their mean.
#[allow(clippy::cast_precision_loss, reason = "a number of probes is far below 2^53")]
fn share(c: usize) -> f64 {
    1.0 / c.max(1) as f64
}

/// Whether no number is NaN or infinite; without an early end it runs in SIMD.
fn all_finite<R: Real>(numbers: &[R]) -> bool {
    numbers.iter().fold(true, |good, number| good & number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;
    use crate::field::FnField;

    const METHODS: [Method; 4] = [Method::Bosh3, Method::Dopri5, Method::Tsit5, Method::Dop853];

    /// How far a measured slope may be from the order (E23).
    const SLOPE_BOUND: f64 = 0.2;

    /// The error at t = 1 of x' = -2 t x², x(0) = 1, in steps of equal length, with x and the curve between the steps.
    fn errors(method: Method, steps: u32) -> [f64; 2] {
        let bell = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| u[0] = -2.0 * t * x[0] * x[0]);
        let loose = Solver::new(method).tolerance(1e9);
        let run = AdaptiveIntegration::new(&loose, &bell, Tensor::from_rows(&[[1.0]]), 0.0..1.0).unwrap();
        let mut run = run.keep(7 * steps);
        run.start().unwrap();
        while run.active() > 0 {
            run.rows[0].h = 1.0 / f64::from(steps);
            run.step().unwrap();
        }
        assert_eq!(run.done.rows[0].accepted, u64::from(steps));
        let (course, exact) = (run.course.as_ref().unwrap(), |t: f64| 1.0 / (1.0 + t * t));
        let off =
            |(k, x): (usize, &Tensor<f64>)| (x.row(0)[0] - exact(k as f64 / f64::from(7 * steps))).abs();
        let within = course.x.iter().enumerate().map(off).fold(0.0, f64::max);
        [(run.done.x.row(0)[0] - exact(1.0)).abs(), within]
    }

    #[test]
    fn steps_of_equal_length_have_the_order_of_the_method() {
        // A curve of order q is wrong by h^(q + 1) within a step, which is as good as x itself, of order q + 1 or q.
        // The errors of order 8 are rounding where those of order 3 begin to show a slope.
        for (method, order, curve, steps) in [
            (Method::Bosh3, 3.0, 3.0, [64, 256]),
            (Method::Dopri5, 5.0, 5.0, [24, 96]),
            (Method::Tsit5, 5.0, 5.0, [24, 96]),
            (Method::Dop853, 8.0, 8.0, [6, 16]),
        ] {
            let [few, many] = steps.map(|steps| errors(method, steps));
            let slope = |i: usize| (few[i] / many[i]).ln() / (f64::from(steps[1]) / f64::from(steps[0])).ln();
            assert!((slope(0) - order).abs() < SLOPE_BOUND, "{method}: {}", slope(0));
            assert!(slope(1) > curve - SLOPE_BOUND, "{method}, within a step: {}", slope(1));
        }
    }

    #[test]
    fn no_memory_is_taken_after_the_start() {
        // Three rows that are done one after the other; what every buffer points to stays.
        let field = FnField::new(1, |_t: f32, x: &[f32], u: &mut [f32]| u[0] = -x[0] * x[0]);
        let x = Tensor::from_rows(&[[0.1], [3.0], [40.0]]);
        for method in METHODS {
            let mut run =
                AdaptiveIntegration::new(&Solver::new(method), &field, x.clone(), 0.0..1.0).unwrap();
            let places = |run: &AdaptiveIntegration<'_, f32>| {
                let matrices = [&run.x, &run.point, &run.done.x].into_iter().chain(&run.velocities);
                let mut places: Vec<usize> = matrices.map(|m| m.as_slice().as_ptr().addr()).collect();
                places.extend(run.rates.iter().chain([&run.carry]).map(|r| r.as_ptr().addr()));
                places.extend([run.times.as_ptr().addr(), run.rows.as_ptr().addr()]);
                places.sort_unstable(); // some change their roles
                places
            };
            let before = places(&run);
            let mut active = vec![];
            while !run.step().unwrap() {
                active.push(run.active());
                assert_eq!(places(&run), before);
            }
            active.dedup();
            assert_eq!(active, [3, 2, 1], "{method}");
        }
    }

    #[test]
    fn a_row_that_is_not_done_is_where_it_has_come_to() {
        let field = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 2.0);
        let mut run =
            AdaptiveIntegration::new(&Solver::dopri5(), &field, Tensor::zeros(1, 1), 0.0..1.0).unwrap();
        assert!(!run.step().unwrap());
        let (t, stats) = (run.rows[0].t, run.stats());
        assert!(t > 0.0 && t < 1.0 && (stats.nfe, stats.accepted) == (8.0, 1.0), "{t} {stats:?}");
        assert!((run.into_solution().x.row(0)[0] - 2.0 * t).abs() < 1e-15);
    }

    #[test]
    fn of_rows_that_fail_together_the_first_one_is_named() {
        // Row 0 ends with its first step, and the last row takes its place: those that have used their two steps are looked at in
        // another order than they were given in.
        let field = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 0.0);
        for method in METHODS {
            let solver = Solver::new(method).max_steps(2);
            let mut run = AdaptiveIntegration::new(&solver, &field, Tensor::zeros(5, 1), 0.0..1.0).unwrap();
            run.start().unwrap();
            run.rows.iter_mut().zip([1.0, 0.4, 0.4, 0.4, 0.4]).for_each(|(row, h)| row.h = h);
            assert!(!run.step().unwrap());
            assert_eq!(run.rows.iter().map(|row| row.index).collect::<Vec<_>>(), [4, 1, 2, 3]);
            run.rows.iter_mut().for_each(|row| row.h = 0.4);
            let error = run.step().unwrap_err();
            assert!(matches!(error, Error::Steps { row: 1, .. }), "{method}: {error}");
            assert_eq!(run.done.rows.iter().filter(|row| row.reason == Reason::Steps).count(), 4);
        }
    }

    #[test]
    fn a_run_on_its_way_prints_where_it_is() {
        let field = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 2.0);
        let x = Tensor::zeros(3, 1);
        let run = AdaptiveIntegration::new(&Solver::dopri5(), &field, x, 0.0..1.0).unwrap();
        let printed = format!("{run:?}");
        assert!(printed.contains("ends: 0.0..1.0") && printed.contains("active: 3"), "{printed}");
    }

    #[test]
    fn a_curve_through_no_number_is_named_by_its_row() {
        // In one step from 0 to 1 only a stage of the curve stands between .19 and .21.
        let field = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| {
            u[0] = if x[0] > 0.5 && (0.19..0.21).contains(&t) { f64::NAN } else { 0.0 }
        });
        let solver = Solver::new(Method::Dop853).max_steps(1);
        let mut x = Tensor::zeros(5, 1);
        x.row_mut(3)[0] = 1.0;
        for (intervals, fails) in [(1, false), (4, true)] {
            let run = AdaptiveIntegration::new(&solver, &field, x.clone(), 0.0..1.0).unwrap();
            let mut run = run.first_row(10).keep(intervals);
            run.start().unwrap();
            run.rows.iter_mut().for_each(|row| row.h = 1.0);
            match run.step() {
                Ok(done) => assert!(done && !fails),
                Err(error) => assert!(fails && matches!(error, Error::Velocity { row: 13, .. }), "{error}"),
            }
        }
    }
}
