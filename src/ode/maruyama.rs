//! [`euler_maruyama`]: an equation with noise on the way, by equal steps.
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

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::field::VectorField;
use crate::kernel::Real;
use crate::rng::{Stream, Streams};
use crate::tensor::Tensor;

use super::solve::{ROWS_PER_BLOCK, time};

/// Moves every row of x, [B, d], from time `t.start` to `t.end` in `steps` steps, with the noise b_t on the way; row i is row
/// `first_row + i` of the sequence that belongs to `streams`. The rows at the end, [B, d]. // E30
///
/// # Errors
/// [`Error::Setting`] for no steps or an end that is not finite, [`Error::Dimension`] if x has not the columns of the field,
/// [`Error::NotFinite`] if x holds NaN or infinity, [`Error::Velocity`] if the field answers so, and what the field reports.
pub fn euler_maruyama<R: Real, F: VectorField<R> + ?Sized>(
    field: &F,
    noise: &(dyn Fn(f64) -> f64 + Sync),
    x: &Tensor<R>,
    t: Range<f64>,
    steps: u32,
    streams: Streams,
    first_row: usize,
) -> Result<Tensor<R>> {
    if steps == 0 {
        return Err(Error::Setting { name: "steps", value: "0".into(), remedy: "take at least one step" });
    }
    if !t.start.is_finite() || !t.end.is_finite() {
        let value = format!("{}..{}", t.start, t.end);
        return Err(Error::Setting { name: "t", value, remedy: "both ends must be finite" });
    }
    x.check_cols("columns of x", field.dim(), "they must be the dimension of the field")?;
    x.check_finite("x", "leave such rows out")?;
    let mut out = x.clone();
    let d = x.cols();
    let blocks: Vec<Result<()>> = out
        .as_mut_slice()
        .par_chunks_mut(ROWS_PER_BLOCK * d.max(1))
        .enumerate()
        .map(|(b, rows)| {
            let first = b * ROWS_PER_BLOCK;
            let mut x = Tensor::from_vec(rows.to_vec(), rows.len() / d, d)?;
            let stream = |i| streams.stream((first_row + first + i) as u64);
            let mut drawn: Vec<Stream> = (0..x.rows()).map(stream).collect();
            walk(field, noise, &mut x, &t, steps, &mut drawn, first)?;
            rows.copy_from_slice(x.as_slice());
            Ok(())
        })
        .collect();
    blocks.into_iter().collect::<Result<()>>()?;
    Ok(out)
}

/// The walk of one block, the first row of which has this number in errors.
fn walk<R: Real, F: VectorField<R> + ?Sized>(
    field: &F,
    noise: &(dyn Fn(f64) -> f64 + Sync),
    x: &mut Tensor<R>,
    ends: &Range<f64>,
    steps: u32,
    streams: &mut [Stream],
    first: usize,
) -> Result<()> {
    let (rows, d) = (x.rows(), x.cols());
    let h = (ends.end - ends.start) / f64::from(steps);
    let (mut worker, mut u) = (field.worker(rows), Tensor::zeros(rows, d));
    let mut times = vec![R::ZERO; rows];
    worker.set_rows(&(first..first + rows).collect::<Vec<_>>());
    for k in 0..steps {
        let t = time(ends, f64::from(k) / f64::from(steps));
        times.fill(R::from_f64(t));
        worker.eval(&times, x, &mut u)?;
        let (w, b) = (R::from_f64(h), noise(t) * h.abs().sqrt());
        for (i, stream) in streams.iter_mut().enumerate() {
            for (x, u) in x.row_mut(i).iter_mut().zip(u.row(i)) {
                if !u.is_finite() {
                    return Err(Error::Velocity { t, row: first + i, value: u.to_f64() });
                }
                *x = w * *u + *x;
                if b != 0.0 {
                    *x += R::from_f64(b * stream.normal());
                }
            }
        }
    }
    x.check_finite("x on its way along the flow", "take smaller steps or less noise")
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

    fn start(rows: usize) -> Tensor<f64> {
        let mut x = Tensor::zeros(rows, 2);
        Source::Normal.fill(&Rng::from_seed(2).fork(Purpose::Source), 0, &mut x);
        x
    }

    #[test]
    fn without_noise_it_is_euler() {
        let x = start(300);
        let walked = euler_maruyama(&fall(), &|_| 0.0, &x, 0.0..1.0, 17, streams(), 0).unwrap();
        assert_eq!(walked, Solver::euler().steps(17).solve(&fall(), &x, 0.0..1.0).unwrap().x);
    }

    #[test]
    fn a_row_depends_on_its_number_only() {
        let x = start(300);
        let walk = |x: &Tensor<f64>, first| {
            euler_maruyama(&fall(), &|t| 1.0 - t, x, 0.0..1.0, 9, streams(), first).unwrap()
        };
        let all = walk(&x, 0);
        assert_eq!(walk(&x.slice_rows(0..10), 0), all.slice_rows(0..10));
        assert_eq!(walk(&x.slice_rows(130..300), 130), all.slice_rows(130..300));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
        assert_eq!(pool.install(|| walk(&x, 0)), all);
    }

    #[test]
    fn the_law_of_a_wiener_process_is_known() {
        // No drift, b = 2: N(0, 4) at t = 1, whatever the steps. 20,000 rows: a mean within 5 of its standard errors 2 /
        // sqrt(n), a variance within 5 of 4 sqrt(2 / n).
        const ROWS: usize = 20_000;
        let still = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 0.0);
        let x = Tensor::zeros(ROWS, 1);
        let end = euler_maruyama(&still, &|_| 2.0, &x, 0.0..1.0, 5, streams(), 0).unwrap();
        let n = ROWS as f64;
        let mean = end.as_slice().iter().sum::<f64>() / n;
        let variance = end.as_slice().iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 5.0 * 2.0 / n.sqrt(), "{mean}");
        assert!((variance - 4.0).abs() < 5.0 * 4.0 * (2.0 / n).sqrt(), "{variance}");
    }

    #[test]
    fn what_is_wrong_is_an_error() {
        let x = start(3);
        let walk = |x: &Tensor<f64>, t, steps| euler_maruyama(&fall(), &|_| 1.0, x, t, steps, streams(), 0);
        assert!(walk(&x, 0.0..1.0, 0).is_err());
        assert!(walk(&x, 0.0..f64::NAN, 1).is_err());
        assert!(walk(&Tensor::zeros(1, 3), 0.0..1.0, 1).is_err());
        let wild =
            FnField::new(2, |t: f64, _x: &[f64], u: &mut [f64]| u.fill(if t > 0.4 { f64::NAN } else { 0.0 }));
        let error = euler_maruyama(&wild, &|_| 1.0, &x, 0.0..1.0, 2, streams(), 0).unwrap_err();
        assert!(matches!(error, Error::Velocity { row: 0, .. }), "{error}");
        assert_eq!(walk(&Tensor::zeros(0, 2), 0.0..1.0, 1).unwrap().rows(), 0);
    }
}
