//! [`EulerMaruyama`]: an equation with noise on the way, by equal steps.
//!
//! # Math
//! dX = f(t, X) dt + b_t dW (E30): a step goes to x + h f(t, x) + b_t sqrt(|h|) z, z ~ N(0, I). It is the Euler method where b is 0.
//! Its laws are off by O(h), its paths by O(sqrt(h)).
//!
//! # Limits
//! Row i draws from stream i, one step after the other: it depends on nothing else, however the rows are divided.
//!
//! # Source
//! P. Kloeden, E. Platen, "Numerical Solution of Stochastic Differential Equations", 1992, section 10.2.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::field::{VectorField, Worker};
use crate::kernel::Real;
use crate::rng::{Stream, Streams};
use crate::tensor::Tensor;

use super::integration::wild_x;
use super::solve::{blocks, check_intervals, fill, space, time};

/// An equation with noise on the way, d X = f(t, X) dt + b_t dW, as data but for f and b. // E30
///
/// # Example
/// ```
/// use pushforward::rng::{Purpose, Rng};
/// use pushforward::{Tensor, field::FnField, ode::EulerMaruyama};
///
/// let still = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 0.0);
/// let streams = Rng::from_seed(0).fork(Purpose::Noise);
/// let walk = EulerMaruyama { steps: 8, streams, first_row: 0 };
/// let x = walk.solve(&still, &|_t| 1.0, &Tensor::zeros(3, 1), 0.0..1.0)?; // three values of a Wiener process at t = 1
/// let course = walk.trajectory(&still, &|_t| 1.0, &Tensor::zeros(3, 1), 0.0..1.0, 4)?;
/// assert_eq!((course.len(), &course[4]), (5, &x));
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EulerMaruyama {
    /// Equal steps from t_0 to t_1, at least 1.
    pub steps: u32,
    /// Where the noise comes from.
    pub streams: Streams,
    /// The number of row 0 in the sequence that belongs to `streams`.
    pub first_row: usize,
}

impl EulerMaruyama {
    /// Moves every row of x, [B, d], from time `t.start` to `t.end` with the drift `field` and the noise b_t on the way. The
    /// rows at the end, [B, d].
    ///
    /// # Errors
    /// [`Error::Setting`] for no steps or an end that is not finite, [`Error::Dimension`] if x has not the columns of the field,
    /// [`Error::NotFinite`] if x holds NaN or infinity, [`Error::Velocity`] if the field answers so, [`Error::Overflow`] if x has become
    /// one at the end, and what the field reports. Rows are counted in x.
    pub fn solve<R: Real, F: VectorField<R> + ?Sized>(
        self,
        field: &F,
        noise: &(dyn Fn(f64) -> f64 + Sync),
        x: &Tensor<R>,
        t: Range<f64>,
    ) -> Result<Tensor<R>> {
        let course = self.trajectory(field, noise, x, t, 1)?;
        Ok(course.into_iter().next_back().unwrap_or_else(|| x.clone()))
    }

    /// As [`EulerMaruyama::solve`] at `intervals` + 1 equally spaced times, both ends included: one [B, d] for each. The last one
    /// is the bits that [`EulerMaruyama::solve`] gives.
    ///
    /// # Errors
    /// Those of [`EulerMaruyama::solve`], and [`Error::Setting`] if `intervals` is 0, does not divide the steps, or there is no memory
    /// for the rows at so many times.
    pub fn trajectory<R: Real, F: VectorField<R> + ?Sized>(
        self,
        field: &F,
        noise: &(dyn Fn(f64) -> f64 + Sync),
        x: &Tensor<R>,
        t: Range<f64>,
        intervals: u32,
    ) -> Result<Vec<Tensor<R>>> {
        if self.steps == 0 {
            return Err(Error::Setting {
                name: "steps",
                value: "0".into(),
                remedy: "take at least one step",
            });
        }
        if !t.start.is_finite() || !t.end.is_finite() {
            let value = format!("{}..{}", t.start, t.end);
            return Err(Error::Setting { name: "t", value, remedy: "both ends must be finite" });
        }
        check_intervals(intervals, self.steps)?;
        x.check_cols("columns of x", field.dim(), "they must be the dimension of the field")?;
        x.check_finite("x", "leave such rows out")?;
        let mut course = space(x, intervals)?;
        let blocks = blocks(x, |first, mut x| {
            let stream = |i| self.streams.stream(self.first_row.wrapping_add(first + i) as u64);
            let mut drawn: Vec<Stream> = (0..x.rows()).map(stream).collect();
            let mut kept = vec![x.clone()];
            let mut walk = Walk::new(field, noise, &t, self.steps, x.rows(), first);
            for k in 0..self.steps {
                walk.step(k, &mut x, &mut drawn)?;
                if (k + 1).is_multiple_of(self.steps / intervals) {
                    kept.push(x.clone());
                }
            }
            match x.as_slice().iter().position(|x| !x.is_finite()) {
                None => Ok(kept),
                Some(at) => Err(wild_x(t.end, first + at / x.cols(), x.as_slice()[at].to_f64())),
            }
        })?;
        for (k, x) in course.iter_mut().enumerate() {
            fill(x, blocks.iter().map(|kept| &kept[k]));
        }
        Ok(course)
    }
}

/// One block of rows on its way; its first row has this number in errors.
struct Walk<'a, R: Real> {
    worker: Box<dyn Worker<R> + 'a>,
    noise: &'a (dyn Fn(f64) -> f64 + Sync),
    ends: &'a Range<f64>,
    steps: u32,
    first: usize,
    times: Vec<R>, // [B]
    u: Tensor<R>,  // [B, d]
}

impl<'a, R: Real> Walk<'a, R> {
    fn new<F: VectorField<R> + ?Sized>(
        field: &'a F,
        noise: &'a (dyn Fn(f64) -> f64 + Sync),
        ends: &'a Range<f64>,
        steps: u32,
        rows: usize,
        first: usize,
    ) -> Self {
        let mut worker = field.worker(rows);
        worker.set_rows(&(first..first + rows).collect::<Vec<_>>());
        let (times, u) = (vec![R::ZERO; rows], Tensor::zeros(rows, field.dim()));
        Self { worker, noise, ends, steps, first, times, u }
    }

    /// Step k of the rows x.
    fn step(&mut self, k: u32, x: &mut Tensor<R>, streams: &mut [Stream]) -> Result<()> {
        let h = (self.ends.end - self.ends.start) / f64::from(self.steps);
        let t = time(self.ends, f64::from(k) / f64::from(self.steps));
        self.times.fill(R::from_f64(t));
        self.worker.eval(&self.times, x, &mut self.u)?;
        let (w, b) = (R::from_f64(h), (self.noise)(t) * h.abs().sqrt());
        for (i, stream) in streams.iter_mut().enumerate() {
            for (x, u) in x.row_mut(i).iter_mut().zip(self.u.row(i)) {
                if !u.is_finite() {
                    return Err(Error::Velocity { t, row: self.first + i, value: u.to_f64() });
                }
                *x = w * *u + *x;
                if b != 0.0 {
                    *x += R::from_f64(b * stream.normal());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Solver;
    use super::*;
    use crate::field::FnField;
    use crate::rng::{Purpose, Rng};
    use crate::source::Source;

    fn fall() -> impl VectorField<f64> {
        FnField::new(2, |_t: f64, x: &[f64], u: &mut [f64]| {
            u[0] = -x[0];
            u[1] = x[0] - x[1];
        })
    }

    fn streams() -> Streams {
        Rng::from_seed(1).fork(Purpose::Noise)
    }

    fn walk(steps: u32, first_row: usize) -> EulerMaruyama {
        EulerMaruyama { steps, streams: streams(), first_row }
    }

    fn start(rows: usize) -> Tensor<f64> {
        let mut x = Tensor::zeros(rows, 2);
        Source::Normal.fill(&Rng::from_seed(2).fork(Purpose::Source), 0, &mut x);
        x
    }

    #[test]
    fn without_noise_it_is_euler() {
        let x = start(300);
        let walked = walk(17, 0).solve(&fall(), &|_| 0.0, &x, 0.0..1.0).unwrap();
        assert_eq!(walked, Solver::euler().steps(17).solve(&fall(), &x, 0.0..1.0).unwrap().x);
        let back = walk(17, 0).solve(&fall(), &|_| 0.0, &x, 1.0..0.25).unwrap();
        assert_eq!(back, Solver::euler().steps(17).solve(&fall(), &x, 1.0..0.25).unwrap().x);
    }

    #[test]
    fn a_step_adds_the_numbers_of_the_rows_stream() {
        // E30: x + b sqrt(h) z, z from the stream of the row's number.
        let still = FnField::new(2, |_t: f64, _x: &[f64], u: &mut [f64]| u.fill(0.0));
        let end = walk(1, 5).solve(&still, &|_| 3.0, &Tensor::zeros(300, 2), 0.0..0.25).unwrap();
        for i in [0, 1, 299] {
            let mut stream = streams().stream(5 + i as u64);
            assert_eq!(end.row(i), [1.5 * stream.normal(), 1.5 * stream.normal()]);
        }
    }

    #[test]
    fn a_course_ends_where_the_walk_does() {
        // A longer walk to the middle has other steps: what stands in the middle is found by half of the same ones.
        let x = start(200);
        let noise = |t: f64| 1.0 - t;
        let course = walk(12, 3).trajectory(&fall(), &noise, &x, 0.0..1.0, 4).unwrap();
        assert_eq!((course.len(), &course[0]), (5, &x));
        assert_eq!(course[4], walk(12, 3).solve(&fall(), &noise, &x, 0.0..1.0).unwrap());
        assert_eq!(course[2], walk(6, 3).solve(&fall(), &noise, &x, 0.0..0.5).unwrap());
    }

    #[test]
    fn a_row_depends_on_its_number_only() {
        let x = start(300);
        let end = |x: &Tensor<f64>, first| walk(9, first).solve(&fall(), &|t| 1.0 - t, x, 0.0..1.0).unwrap();
        let all = end(&x, 0);
        assert_eq!(end(&x.slice_rows(0..10), 0), all.slice_rows(0..10));
        assert_eq!(end(&x.slice_rows(130..300), 130), all.slice_rows(130..300));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
        assert_eq!(pool.install(|| end(&x, 0)), all);
    }

    #[test]
    fn the_law_of_a_wiener_process_is_known() {
        // No drift, b = 2: N(0, 4) at t = 1, whatever the steps. 20,000 rows: a mean within 5 of its standard errors 2 /
        // sqrt(n), a variance within 5 of 4 sqrt(2 / n).
        const ROWS: usize = 20_000;
        let still = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 0.0);
        let x = Tensor::zeros(ROWS, 1);
        let end = walk(5, 0).solve(&still, &|_| 2.0, &x, 0.0..1.0).unwrap();
        let n = ROWS as f64;
        let mean = end.as_slice().iter().sum::<f64>() / n;
        let variance = end.as_slice().iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 5.0 * 2.0 / n.sqrt(), "{mean}");
        assert!((variance - 4.0).abs() < 5.0 * 4.0 * (2.0 / n).sqrt(), "{variance}");
    }

    #[test]
    fn what_is_wrong_is_an_error() {
        let x = start(3);
        let end = |x: &Tensor<f64>, t, steps| walk(steps, 0).solve(&fall(), &|_| 1.0, x, t);
        assert!(end(&x, 0.0..1.0, 0).is_err());
        for t in [0.0..f64::NAN, f64::NEG_INFINITY..1.0] {
            assert!(matches!(end(&x, t, 1), Err(Error::Setting { name: "t", .. })));
        }
        assert!(end(&Tensor::zeros(1, 3), 0.0..1.0, 1).is_err());
        for intervals in [0, 3, 8] {
            let course = walk(4, 0).trajectory(&fall(), &|_| 1.0, &x, 0.0..1.0, intervals);
            assert!(matches!(course, Err(Error::Setting { name: "trajectory", .. })), "{intervals}");
        }
        let wild =
            FnField::new(2, |t: f64, _x: &[f64], u: &mut [f64]| u.fill(if t > 0.4 { f64::NAN } else { 0.0 }));
        let error = walk(2, 0).solve(&wild, &|_| 1.0, &x, 0.0..1.0).unwrap_err();
        assert!(matches!(error, Error::Velocity { row: 0, .. }), "{error}");
        // Deep in a later block of rows.
        let hole = FnField::new(2, |_t: f64, x: &[f64], u: &mut [f64]| {
            u.fill(if x[0] > 8.0 { f64::NAN } else { 0.0 })
        });
        let mut far = start(300);
        far.row_mut(270)[0] = 9.0;
        let error = walk(2, 0).solve(&hole, &|_| 0.0, &far, 0.0..1.0).unwrap_err();
        assert!(matches!(error, Error::Velocity { row: 270, .. }), "{error}");
        let fast = FnField::new(2, |_t: f64, x: &[f64], u: &mut [f64]| {
            u.fill(if x[0] > 8.0 { f64::MAX } else { 0.0 })
        });
        let error = walk(2, 0).solve(&fast, &|_| 0.0, &far, 0.0..4.0).unwrap_err();
        assert!(matches!(error, Error::Overflow { t: 4.0, row: 270, .. }), "{error}");
        assert_eq!(end(&Tensor::zeros(0, 2), 0.0..1.0, 1).unwrap().rows(), 0);
    }
}
