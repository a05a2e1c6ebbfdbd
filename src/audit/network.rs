//! Claims about the derivatives of a network: [`claims`] makes them about a small one of fixed random weights, `model.rs` about that
//! of a model.
//!
//! # Math
//! A derivative is held against central differences D(h) = (f(h) - f(-h)) / 2h with the extrapolation (4 D(h) - D(2h)) / 3,
//! whose error is of order h⁴. The bound is the difference of D(h) and D(2h), three times the error of D(h) alone, and the
//! rounding of f over h.
//!
//! # Source
//! L. Richardson, "The approximate arithmetical solution by finite differences", Phil. Trans. R. Soc. A 210 (1911).

use crate::error::Result;
use crate::field::{DifferentiableField, VectorField};
use crate::kernel::{Activation, Real};
use crate::nn::Mlp;
use crate::objective::{self, Objective};
use crate::path::{AffinePath, PathSample};
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::claim::{Claim, Finding, Place, Precision};

pub(super) const GRADIENT: Place =
    Place::of("src/autodiff/op.rs", include_str!("../autodiff/op.rs"), "pub(super) fn vjp");
pub(super) const TANGENT: Place =
    Place::of("src/autodiff/op.rs", include_str!("../autodiff/op.rs"), "pub(super) fn jvp");
pub(super) const DIVERGENCE: Place =
    Place::of("src/autodiff/replay.rs", include_str!("../autodiff/replay.rs"), "pub struct DivergenceReplay");

/// The key of what is drawn here.
pub(super) const SEED: u64 = 11;
/// Rows at which derivatives are held against differences.
pub(super) const ROWS: usize = 16;
/// Roundings of a sum that goes through a network, in units of the size of its terms: a few for each layer and for each of
/// the terms, which are random and cancel.
pub(super) const ROUNDINGS: f64 = 64.0;

/// The claims about a network of three layers with fixed random weights.
pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E11.gradient",
            "dL/dθ by the tape = (L(θ + h v) − L(θ − h v))/(2 h)",
            "the gradient of the loss along random directions against central differences",
            GRADIENT,
            |real| match real {
                Precision::F32 => loss_gradient(&example::<f32>()?),
                Precision::F64 => loss_gradient(&example::<f64>()?),
            },
        ),
        Claim::new(
            "E22.tangents",
            "⟨w, J v⟩ = ⟨J^T w, v⟩",
            "forward against reverse derivatives of a network",
            TANGENT,
            |real| match real {
                Precision::F32 => transpose(&example::<f32>()?, &sample_rows(3)?, |_| 0.0),
                Precision::F64 => transpose(&example::<f64>()?, &sample_rows(3)?, |_| 0.0),
            },
        ),
        Claim::new(
            "E22.network",
            "∇·u = Σ_k (u_k(x + h e_k) − u_k(x − h e_k))/(2 h)",
            "the divergence of a network against central differences",
            DIVERGENCE,
            |real| match real {
                Precision::F32 => divergence(&example::<f32>()?, &sample_rows(3)?, false),
                Precision::F64 => divergence(&example::<f64>()?, &sample_rows(3)?, false),
            },
        ),
    ]
}

/// A network in three dimensions.
pub(super) fn example<R: Real>() -> Result<Mlp<R>> {
    Mlp::new(3, &[24, 16], &mut Rng::from_seed(SEED))
}

/// Points and times at which a network of dimension d is asked, as rows of a path.
pub(super) fn sample_rows<R: Real>(d: usize) -> Result<PathSample<R>> {
    let mut rng = Rng::from_seed(SEED);
    let (mut x_0, mut x_1) = (Tensor::zeros(ROWS, d), Tensor::zeros(ROWS, d));
    Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x_0);
    Source::Normal.fill(&rng.fork(Purpose::Data), 0, &mut x_1);
    let mut times = rng.fork(Purpose::Batch).stream(0);
    AffinePath::default().sample(x_0, x_1, (0..ROWS).map(|_| times.uniform()).collect())
}

/// The slope at 0 of a function by differences, with a bound on its error (head of this file); `size` is that of the terms
/// of the function. Where it may have kinks, so far from them that the slope at 0 is one, a step over one of them is seen in the
/// second difference: f(h) - 2 f(0) + f(-h) is twice what it adds to f(h) - f(-h).
fn slope<R: Real>(mut f: impl FnMut(f64) -> Result<f64>, size: f64, kinked: bool) -> Result<(f64, f64)> {
    // The step at which h² and the rounding over h are alike: the cube root of the rounding.
    let h = (ROUNDINGS * R::ROUNDOFF).cbrt() / 4.0;
    let middle = if kinked { f(0.0)? } else { 0.0 };
    let mut quotient = |h: f64| {
        let (above, below) = (f(h)?, f(-h)?);
        let kink = if kinked { ((above - 2.0 * middle + below) / h).abs() } else { 0.0 };
        Ok(((above - below) / (2.0 * h), kink))
    };
    let ((near, near_kink), (far, far_kink)) = (quotient(h)?, quotient(2.0 * h)?);
    let rounding = ROUNDINGS * R::ROUNDOFF * size / h;
    Ok(((4.0 * near - far) / 3.0, (near - far).abs() + near_kink + far_kink + rounding))
}

/// Whether the slope of an activation jumps.
pub(super) fn is_kinked(activation: Activation) -> bool {
    matches!(activation, Activation::Relu | Activation::Selu)
}

/// The largest ratio of a deviation to its own bound, as a claim whose bound is 1.
fn worst(ratios: impl IntoIterator<Item = f64>) -> Finding {
    let worst = ratios.into_iter().fold(0.0, |a, b| if b.is_nan() || b > a { b } else { a });
    let from = "1 is |D(h) − D(2h)|, three times the error of the difference quotient, and the rounding of its terms over h";
    Finding::new(worst, 1.0, from)
}

fn loss_gradient<R: Real>(network: &Mlp<R>) -> Result<Finding> {
    let sample = sample_rows(network.dim())?;
    let objective = Objective::new(network.shape(), AffinePath::default(), Source::Normal);
    let (_, gradient) = objective.gradient(network.weights(), &sample);
    gradient_is_slope(network, &gradient, |moved| objective::loss(moved, &sample))
}

/// That a gradient is the slope of a loss in the parameters, along random directions. // E11
pub(super) fn gradient_is_slope<R: Real>(
    network: &Mlp<R>,
    gradient: &[R],
    loss: impl Fn(&Mlp<R>) -> Result<f64>,
) -> Result<Finding> {
    let streams = Rng::from_seed(SEED).fork(Purpose::Metric);
    let size = loss(network)?;
    let mut ratios = Vec::new();
    for direction in 0..8 {
        let mut stream = streams.stream(direction);
        // Each parameter by its own part of the whole, so that the loss moves by its own size.
        let v: Vec<f64> = gradient.iter().map(|_| stream.normal()).collect();
        let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (mut along, mut terms) = (0.0, 0.0);
        for (g, v) in gradient.iter().zip(&v) {
            along += g.to_f64() * v / length;
            terms += (g.to_f64() * v / length).abs();
        }
        let moved = |h: f64| {
            let parameters = network.parameters().iter().zip(&v);
            let parameters = parameters.map(|(p, v)| R::from_f64(p.to_f64() + h * v / length)).collect();
            loss(&Mlp::from_parameters(network.shape().clone(), parameters)?)
        };
        let (wanted, bound) = slope::<R>(moved, size, is_kinked(network.shape().activation))?;
        ratios.push((along - wanted).abs() / (bound + ROUNDINGS * R::ROUNDOFF * terms));
    }
    Ok(worst(ratios))
}

/// That forward and reverse mode are transposes of each other. Of a derivative to which `linear` times the unit matrix was added, at
/// each time, that much may have cancelled. // E22
pub(super) fn transpose<R, F>(
    field: &F,
    sample: &PathSample<R>,
    linear: impl Fn(f64) -> f64,
) -> Result<Finding>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
{
    let d = field.dim();
    let t = sample.times();
    let (v, w) = (&sample.x_0, &sample.x_1);
    let mut worker = field.differential_worker(ROWS, 1);
    let (mut u, mut d_u, mut d_x) = (Tensor::zeros(ROWS, d), Tensor::zeros(ROWS, d), Tensor::zeros(ROWS, d));
    worker.jvp(&t, &sample.x_t, v, &mut u, &mut d_u)?;
    worker.vjp(&t, &sample.x_t, w, &mut u, &mut d_x)?;
    let mut rows = Vec::with_capacity(ROWS);
    for i in 0..ROWS {
        let (mut difference, mut size) = (0.0_f64, 0.0);
        for j in 0..d {
            let forward = w.row(i)[j].to_f64() * d_u.row(i)[j].to_f64();
            let reverse = d_x.row(i)[j].to_f64() * v.row(i)[j].to_f64();
            difference += forward - reverse;
            let cancelled = linear(sample.t[i]) * v.row(i)[j].to_f64() * w.row(i)[j].to_f64();
            size += forward.abs() + reverse.abs() + cancelled.abs();
        }
        rows.push((difference.abs(), size));
    }
    // A derivative is a sum over units, which may have cancelled in one row; the mean over the rows is of the size of its terms.
    let mean = rows.iter().map(|(_, size)| size).sum::<f64>() / ROWS as f64;
    let ratios = rows.iter().map(|(difference, size)| difference / (size + mean));
    let largest = ratios.fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a });
    let from = format!(
        "{ROUNDINGS} roundings of {:.1e} of the sum of the sizes of the terms, of the row and of the mean row",
        R::ROUNDOFF
    );
    Ok(Finding::new(largest, ROUNDINGS * R::ROUNDOFF, from))
}

/// That what a field carries as its divergence is the sum of the slopes of u_k along x_k. // E22
pub(super) fn divergence<R, F>(field: &F, sample: &PathSample<R>, kinked: bool) -> Result<Finding>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
{
    let d = field.dim();
    let t = sample.times();
    let (mut u, mut rate) = (Tensor::zeros(ROWS, d), vec![0.0; ROWS]);
    field.divergence_worker(ROWS).eval_carry(&t, &sample.x_t, &mut u, &mut rate)?;
    let mut ratios = Vec::new();
    for i in 0..ROWS {
        let (x, t) = (sample.x_t.slice_rows(i..i + 1), &t[i..=i]);
        let (mut sum, mut bound, mut out) = (0.0, 0.0, Tensor::zeros(1, d));
        let mut worker = field.worker(1);
        worker.set_rows(&[i]); // its condition
        for k in 0..d {
            let moved = |h: f64| {
                let mut x = x.clone();
                x.row_mut(0)[k] = R::from_f64(x.row(0)[k].to_f64() + h);
                worker.eval(t, &x, &mut out)?;
                Ok(out.row(0)[k].to_f64())
            };
            let size = 1.0 + u.row(i)[k].to_f64().abs() + x.row(0)[k].to_f64().abs();
            let (slope, error) = slope::<R>(moved, size, kinked)?;
            sum += slope;
            bound += error;
        }
        ratios.push((rate[i] - sum).abs() / bound);
    }
    Ok(worst(ratios))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;
    use crate::field::{DifferentialWorker, Worker};

    /// A network of which the sign of the reverse mode, or the divergence, is not right.
    pub(crate) struct Wrong {
        pub(crate) network: Mlp<f64>,
        pub(crate) what: What,
    }

    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum What {
        ReverseSign,
        LostDimension,
        DoubledDivergence,
    }

    impl Wrong {
        fn new(what: What) -> Self {
            Self { network: example().unwrap(), what }
        }
    }

    struct WrongWorker<'a>(Box<dyn DifferentialWorker<f64> + 'a>, What);

    impl Worker<f64> for WrongWorker<'_> {
        fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
            self.0.eval(t, x, u)
        }
    }

    impl DifferentialWorker<f64> for WrongWorker<'_> {
        fn jvp(
            &mut self,
            t: &[f64],
            x: &Tensor<f64>,
            d_x: &Tensor<f64>,
            u: &mut Tensor<f64>,
            d_u: &mut Tensor<f64>,
        ) -> Result<()> {
            self.0.jvp(t, x, d_x, u, d_u)?;
            for i in 0..d_u.rows() {
                match self.1 {
                    What::LostDimension => d_u.row_mut(i)[2] = 0.0,
                    What::DoubledDivergence => d_u.row_mut(i).iter_mut().for_each(|d| *d *= 2.0),
                    What::ReverseSign => {}
                }
            }
            Ok(())
        }
        fn vjp(
            &mut self,
            t: &[f64],
            x: &Tensor<f64>,
            w: &Tensor<f64>,
            u: &mut Tensor<f64>,
            d_x: &mut Tensor<f64>,
        ) -> Result<()> {
            self.0.vjp(t, x, w, u, d_x)?;
            if self.1 == What::ReverseSign {
                d_x.as_mut_slice().iter_mut().for_each(|d| *d = -*d);
            }
            Ok(())
        }
    }

    impl VectorField<f64> for Wrong {
        fn dim(&self) -> usize {
            self.network.dim()
        }
        fn eval(&self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
            self.network.eval(t, x, u)
        }
    }

    impl DifferentiableField<f64> for Wrong {
        fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<f64> + '_> {
            Box::new(WrongWorker(self.network.differential_worker(rows, tangents), self.what))
        }
    }

    fn gradient_times(factor: f64, missing: usize) -> Result<Finding> {
        let network = example::<f64>()?;
        let sample = sample_rows(3)?;
        let objective = Objective::new(network.shape(), AffinePath::default(), Source::Normal);
        let (_, mut gradient) = objective.gradient(network.weights(), &sample);
        gradient.iter_mut().for_each(|g| *g *= factor);
        gradient.iter_mut().take(missing).for_each(|g| *g = 0.0);
        gradient_is_slope(&network, &gradient, |moved| objective::loss(moved, &sample))
    }

    pub(crate) fn faults() -> Vec<Fault> {
        vec![
            Fault::new("E11.gradient", "half of the gradient: a square without its 2", || {
                gradient_times(0.5, 0)
            }),
            Fault::new("E11.gradient", "downhill instead of uphill", || gradient_times(-1.0, 0)),
            Fault::new("E11.gradient", "one weight without a gradient", || gradient_times(1.0, 1)),
            Fault::new("E22.tangents", "the sign of the reverse mode", || {
                transpose(&Wrong::new(What::ReverseSign), &sample_rows(3)?, |_| 0.0)
            }),
            Fault::new("E22.tangents", "a dimension that the forward mode loses", || {
                transpose(&Wrong::new(What::LostDimension), &sample_rows(3)?, |_| 0.0)
            }),
            Fault::new("E22.network", "a trace without its last term", || {
                divergence(&Wrong::new(What::LostDimension), &sample_rows(3)?, false)
            }),
            Fault::new("E22.network", "twice the divergence", || {
                divergence(&Wrong::new(What::DoubledDivergence), &sample_rows(3)?, false)
            }),
        ]
    }
}
