//! [`Integration`]: the loop of an ODE solver with fixed steps, one step at a time.
//!
//! # Math
//! A step of size h = (t_1 - t_0) / n evaluates the stages k_i = u(t + c_i h, x + h sum_j a_ij k_j) and
//! adds h sum_i b_i k_i to x. The number that each row carries grows by h sum_i b_i r_i, r_i the rate at
//! stage i, in f64: state and log-density are one augmented ODE (E21).
//!
//! # Shapes
//! x, the stages and their velocities are [B, d]; the carry is [B, C] for the C numbers that a row carries.
//!
//! # Limits
//! Times are t_0 + (t_1 - t_0) (k + c_i) / n, not sums of steps: none is outside [t_0, t_1], and the last
//! one is t_1 itself. They are f64 and rounded to `R` for the field. All memory is taken at the start.

use std::fmt;
use std::mem;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::field::{VectorField, Worker};
use crate::kernel::Real;
use crate::tensor::Tensor;

use super::solution::{Reason, RowStats, Solution, Stats};
use super::solve::time;
use super::solver::{Plan, Solver};
use super::tableau::Tableau;

/// A batch of rows on its way from t_0 to t_1.
///
/// # Example
/// ```
/// use pushforward::{Solver, Tensor, field::FnField, ode::Integration};
///
/// let decay = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0]);
/// let x_0 = Tensor::from_rows(&[[1.0]]);
/// let mut run = Integration::new(&Solver::euler().steps(2), &decay, x_0, 0.0..1.0)?;
/// assert!(!run.step()?);
/// assert_eq!((run.t(), run.x().row(0)), (0.5, &[0.5][..]));
/// assert!(run.step()?); // done
/// assert_eq!((run.t(), run.x().row(0)), (1.0, &[0.25][..]));
/// # Ok::<(), pushforward::Error>(())
/// ```
pub struct Integration<'a, R: Real = f32> {
    worker: Box<dyn Worker<R> + 'a>,
    tableau: Tableau,
    ends: Range<f64>,
    steps: u32,
    done: u32,
    /// The number of row 0 in errors.
    first_row: usize,
    x: Tensor<R>,               // [B, d]
    carries: usize,             // C, how many numbers a row carries
    carry: Vec<f64>,            // [B, C]
    times: Vec<R>,              // [B]
    point: Tensor<R>,           // [B, d], where a stage is evaluated
    velocities: Vec<Tensor<R>>, // one [B, d] for each stage
    rates: Vec<Vec<f64>>,       // one [B, C] for each stage
    nfe: u64,
}

impl<'a, R: Real> Integration<'a, R> {
    /// Starts at x, [B, d], at time `t.start`; it will end at `t.end`, which may be the earlier one.
    ///
    /// # Errors
    /// [`Error::Setting`] for a method that chooses its steps, for 0 steps or an end that is not finite,
    /// [`Error::Dimension`] if x has not the columns of the field, [`Error::NotFinite`] if x holds NaN or infinity.
    pub fn new<F>(solver: &Solver, field: &'a F, x: Tensor<R>, t: Range<f64>) -> Result<Self>
    where
        F: VectorField<R> + ?Sized,
    {
        let Plan::Fixed(steps) = solver.plan(field, &x, &t)? else {
            return Err(Error::Setting {
                name: "solver",
                value: solver.method.to_string(),
                remedy: "it chooses its steps: take `AdaptiveIntegration`, or a method with fixed steps",
            });
        };
        let (rows, d) = (x.rows(), x.cols());
        let tableau = solver.method.tableau();
        let stages = tableau.b.len();
        let worker = field.worker(rows);
        let carries = worker.carries();
        Ok(Self {
            worker,
            tableau,
            ends: t,
            steps,
            done: 0,
            first_row: 0,
            x,
            carries,
            carry: vec![0.0; rows * carries],
            times: vec![R::ZERO; rows],
            point: Tensor::zeros(rows, d),
            velocities: vec![Tensor::zeros(rows, d); stages],
            rates: vec![vec![0.0; rows * carries]; stages],
            nfe: 0,
        })
    }

    /// Calls row 0 `first_row`, in errors and to the field: for a batch that is a block of a larger one.
    pub(super) fn first_row(mut self, first_row: usize) -> Self {
        self.first_row = first_row;
        let rows: Vec<usize> = (first_row..first_row + self.x.rows()).collect();
        self.worker.set_rows(&rows);
        self
    }

    /// Starts anew at as many other finite rows, one after the other, in the memory that it has.
    pub(super) fn restart(&mut self, x: &[R]) {
        self.x.as_mut_slice().copy_from_slice(x);
        self.carry.fill(0.0);
        (self.done, self.nfe) = (0, 0);
    }

    /// Makes one step; whether t_1 is reached. At t_1 it does nothing.
    ///
    /// # Errors
    /// [`Error::Velocity`] if the field answers NaN or infinity, [`Error::Overflow`] if its carry or the
    /// new x does, and what the field itself reports. The rows are then those before the step.
    pub fn step(&mut self) -> Result<bool> {
        if self.done == self.steps {
            return Ok(true);
        }
        let Tableau { a, b, c, .. } = self.tableau;
        let h = (self.ends.end - self.ends.start) / f64::from(self.steps);
        for i in 0..b.len() {
            let t = self.time(c[i]);
            self.times.fill(R::from_f64(t));
            advance(&self.x, h, a[i], &self.velocities, &mut self.point);
            let (u, rate) = (&mut self.velocities[i], &mut self.rates[i]);
            if b[i] == 0.0 {
                self.worker.eval(&self.times, &self.point, u)?; // its rate would count for nothing
            } else {
                self.worker.eval_carry(&self.times, &self.point, u, rate)?;
            }
            self.nfe += 1;
            self.check_velocity(i, t)?;
        }
        advance(&self.x, h, b, &self.velocities, &mut self.point);
        self.check_point()?;
        mem::swap(&mut self.x, &mut self.point);
        for at in 0..self.carry.len() {
            let rate: f64 = (0..b.len()).filter(|&i| b[i] != 0.0).map(|i| b[i] * self.rates[i][at]).sum();
            self.carry[at] += h * rate;
        }
        self.done += 1;
        Ok(self.done == self.steps)
    }

    /// The time that is reached.
    #[must_use]
    pub fn t(&self) -> f64 {
        self.time(0.0)
    }

    /// The rows at that time, [B, d].
    #[must_use]
    pub fn x(&self) -> &Tensor<R> {
        &self.x
    }

    /// What each row has carried so far, [B, C] for the C numbers that one carries.
    #[must_use]
    pub fn carry(&self) -> &[f64] {
        &self.carry
    }

    /// What each row has taken so far.
    #[must_use]
    pub fn stats(&self) -> RowStats {
        let reason = if self.done == self.steps { Reason::Done } else { Reason::Running };
        RowStats { nfe: self.nfe, accepted: u64::from(self.done), rejected: 0, reason }
    }

    /// Gives the rows and their carry away.
    #[must_use]
    pub fn into_solution(self) -> Solution<R> {
        let rows = vec![self.stats(); self.x.rows()];
        Solution { x: self.x, carry: self.carry, stats: Stats::of(&rows), rows }
    }

    /// The time at the fraction c of the step that comes next.
    fn time(&self, c: f64) -> f64 {
        time(&self.ends, (f64::from(self.done) + c) / f64::from(self.steps))
    }

    /// Looks for NaN and infinity in the velocity of stage i and, where it counts, in its rate.
    fn check_velocity(&self, i: usize, t: f64) -> Result<()> {
        let u = &self.velocities[i];
        if let Some(at) = u.as_slice().iter().position(|u| !u.is_finite()) {
            let row = self.first_row + at / u.cols();
            return Err(Error::Velocity { t, row, value: u.as_slice()[at].to_f64() });
        }
        if self.tableau.b[i] == 0.0 {
            return Ok(());
        }
        match self.rates[i].iter().position(|rate| !rate.is_finite()) {
            None => Ok(()),
            Some(at) => Err(wild_rate(t, self.first_row + at / self.carries, self.rates[i][at])),
        }
    }

    /// Looks for numbers that the step has made too large.
    fn check_point(&self) -> Result<()> {
        let x = self.point.as_slice();
        match x.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(at) => {
                let row = self.first_row + at / self.point.cols();
                Err(wild_x(self.time(1.0), row, x[at].to_f64()))
            }
        }
    }
}

/// The error for what a row carries, or its rate.
pub(super) fn wild_rate(t: f64, row: usize, value: f64) -> Error {
    Error::Overflow {
        what: "the rate of what a row carries along the flow (its divergence)",
        t,
        row,
        value,
        remedy: "the field or its input is out of range; take smaller steps or a smaller tolerance, or look at that row",
    }
}

/// The error for a number that a step has made too large.
pub(super) fn wild_x(t: f64, row: usize, value: f64) -> Error {
    Error::Overflow {
        what: "x on its way along the flow",
        t,
        row,
        value,
        remedy: "the velocity is too large for this type of number; take smaller steps or a smaller tolerance, or look at that row",
    }
}

impl<R: Real> fmt::Debug for Integration<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integration")
            .field("t", &self.t())
            .field("ends", &self.ends)
            .field("stats", &self.stats())
            .field("x", &self.x)
            .field("carry", &self.carry)
            .finish_non_exhaustive()
    }
}

/// out = x + sum_j (h w_j) k_j, all [B, d]. The sum comes first and x last: one rounding of the size of x.
fn advance<R: Real>(x: &Tensor<R>, h: f64, weights: &[f64], k: &[Tensor<R>], out: &mut Tensor<R>) {
    let out = out.as_mut_slice();
    out.fill(R::ZERO);
    for (&w, k) in weights.iter().zip(k).filter(|(w, _)| **w != 0.0) {
        let w = R::from_f64(h * w);
        for (out, &k) in out.iter_mut().zip(k.as_slice()) {
            *out += w * k;
        }
    }
    for (out, &x) in out.iter_mut().zip(x.as_slice()) {
        *out += x;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::Method;
    use super::*;
    use crate::field::FnField;

    const METHODS: [Method; 4] = [Method::Euler, Method::Midpoint, Method::Heun, Method::Rk4];

    /// The times at which a solver asks, in order.
    fn asked(method: Method, steps: u32, t: Range<f64>) -> Vec<f64> {
        let times = Mutex::new(Vec::new());
        let field = FnField::new(1, |t: f64, _x: &[f64], u: &mut [f64]| {
            times.lock().unwrap().push(t);
            u[0] = 0.0;
        });
        let solver = Solver::new(method).steps(steps);
        let mut run = Integration::new(&solver, &field, Tensor::zeros(1, 1), t).unwrap();
        while !run.step().unwrap() {}
        drop(run);
        times.into_inner().unwrap()
    }

    #[test]
    fn times_stay_inside_and_reach_the_end() {
        // 0.1 + 0.2 overshoots 0.3, and 49 (1 / 49) is not 1: sums of steps and products with h would.
        for (t_0, t_1) in [(0.0, 1.0), (1.0, 0.0), (0.1, 0.3), (0.3, 0.1), (-1.7, 0.9)] {
            for steps in [1, 3, 7, 10, 49, 1000] {
                for method in METHODS {
                    let times = asked(method, steps, t_0..t_1);
                    assert!(times.iter().all(|t| (f64::min(t_0, t_1)..=f64::max(t_0, t_1)).contains(t)));
                    assert_eq!(times[0].to_bits(), t_0.to_bits());
                    if matches!(method, Method::Heun | Method::Rk4) {
                        assert_eq!(times[times.len() - 1].to_bits(), t_1.to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn rk4_is_the_classic_one() {
        assert_eq!(asked(Method::Rk4, 1, 0.0..1.0), [0.0, 0.5, 0.5, 1.0]); // the 3/8 rule: 0, 1/3, 2/3, 1
    }

    /// u = 1 and a rate of 3 t²; counts how often each way of asking is used.
    struct Carrying<'a>(&'a Mutex<[u64; 2]>);

    impl VectorField<f32> for Carrying<'_> {
        fn dim(&self) -> usize {
            1
        }
        fn eval(&self, _t: &[f32], _x: &Tensor<f32>, u: &mut Tensor<f32>) -> Result<()> {
            u.as_mut_slice().fill(1.0);
            Ok(())
        }
        fn worker(&self, _rows: usize) -> Box<dyn Worker<f32> + '_> {
            Box::new(CarryingWorker(self))
        }
    }

    struct CarryingWorker<'a>(&'a Carrying<'a>);

    impl Worker<f32> for CarryingWorker<'_> {
        fn eval(&mut self, t: &[f32], x: &Tensor<f32>, u: &mut Tensor<f32>) -> Result<()> {
            self.0.0.lock().unwrap()[0] += 1;
            self.0.eval(t, x, u)
        }
        fn eval_carry(
            &mut self,
            t: &[f32],
            x: &Tensor<f32>,
            u: &mut Tensor<f32>,
            rate: &mut [f64],
        ) -> Result<()> {
            self.0.0.lock().unwrap()[1] += 1;
            for (rate, &t) in rate.iter_mut().zip(t) {
                *rate = 3.0 * f64::from(t) * f64::from(t);
            }
            self.0.eval(t, x, u)
        }
    }

    #[test]
    fn the_carry_is_integrated_with_the_weights_of_the_method() {
        // ∫ 3 t² dt: .855 (euler) and .9975 (midpoint) at step .1 are those of torchdiffeq 0.2.5 for
        // u = 3 t²; heun is the trapezoidal rule, h²/2 too much; rk4 is Simpson's rule, exact.
        // Times are rounded to f32 (6e-8), the carry itself is f64.
        const BOUND: f64 = 2e-7;
        for (method, wanted, plain, carrying) in [
            (Method::Euler, 0.855, 0, 10),
            (Method::Midpoint, 0.9975, 10, 10),
            (Method::Heun, 1.005, 0, 20),
            (Method::Rk4, 1.0, 0, 40),
        ] {
            for backwards in [false, true] {
                let asked = Mutex::new([0, 0]);
                let field = Carrying(&asked);
                let solver = Solver::new(method).steps(10);
                let t = if backwards { 1.0..0.0 } else { 0.0..1.0 };
                let mut run = Integration::new(&solver, &field, Tensor::zeros(2, 1), t).unwrap();
                while !run.step().unwrap() {}
                // Backwards the left end of a step is its right end: euler gives the upper sum 1.155.
                let wanted = match (method, backwards) {
                    (Method::Euler, true) => -1.155,
                    (_, true) => -wanted,
                    (_, false) => wanted,
                };
                assert_eq!(run.carry().len(), 2);
                assert!(run.carry().iter().all(|c| (c - wanted).abs() < BOUND), "{method} {:?}", run.carry());
                assert_eq!(
                    run.stats(),
                    RowStats { nfe: plain + carrying, accepted: 10, rejected: 0, reason: Reason::Done }
                );
                drop(run);
                assert_eq!(*asked.lock().unwrap(), [plain, carrying], "{method}");
            }
        }
    }

    #[test]
    fn a_failed_step_leaves_the_rows_as_they_were() {
        let field = FnField::new(1, |t: f64, _x: &[f64], u: &mut [f64]| {
            u[0] = if t > 0.6 { f64::INFINITY } else { 1.0 };
        });
        let mut run =
            Integration::new(&Solver::rk4().steps(2), &field, Tensor::zeros(1, 1), 0.0..1.0).unwrap();
        assert!(!run.step().unwrap());
        let before = run.x().clone();
        let error = run.step().unwrap_err();
        assert!(matches!(error, Error::Velocity { row: 0, value: f64::INFINITY, .. }), "{error}");
        assert_eq!((run.t(), run.x()), (0.5, &before));
    }

    #[test]
    fn x_that_overflows_is_an_error() {
        let field = FnField::new(1, |_t: f32, _x: &[f32], u: &mut [f32]| u[0] = f32::MAX);
        let x = Tensor::from_rows(&[[f32::MAX]]);
        let mut run = Integration::new(&Solver::euler().steps(1), &field, x, 0.0..1.0).unwrap();
        assert!(matches!(run.step(), Err(Error::Overflow { t: 1.0, row: 0, .. })));
        // The second column of the fourth row of a block that begins at row 10.
        let field = FnField::new(2, |_t: f32, _x: &[f32], u: &mut [f32]| u.fill(f32::MAX));
        let mut x = Tensor::zeros(5, 2);
        x.row_mut(3)[1] = f32::MAX;
        let run = Integration::new(&Solver::euler().steps(1), &field, x, 0.0..1.0).unwrap();
        let error = run.first_row(10).step().unwrap_err();
        assert!(matches!(error, Error::Overflow { t: 1.0, row: 13, .. }), "{error}");
    }

    #[test]
    fn a_step_after_the_last_does_nothing() {
        let field = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 1.0);
        let mut run =
            Integration::new(&Solver::heun().steps(1), &field, Tensor::zeros(1, 1), 0.0..1.0).unwrap();
        assert!(run.step().unwrap());
        assert!(run.step().unwrap());
        assert_eq!((run.x().row(0), run.stats().nfe), (&[1.0][..], 2));
    }

    #[test]
    fn a_run_on_its_way_prints_where_it_is() {
        let field = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 1.0);
        let mut run =
            Integration::new(&Solver::euler().steps(2), &field, Tensor::zeros(1, 1), 0.0..1.0).unwrap();
        run.step().unwrap();
        let printed = format!("{run:?}");
        assert!(printed.contains("t: 0.5") && printed.contains("ends: 0.0..1.0"), "{printed}");
    }
}
