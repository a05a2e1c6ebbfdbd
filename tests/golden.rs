//! The network, its derivatives, its optimiser and its log-density against PyTorch: golden/pytorch.json holds what
//! golden/pytorch.py computed in f64, and every number of it is compared here at every SIMD level of this CPU.

use pushforward::kernel::{Activation, RowsMut, activate};
use pushforward::likelihood::log_density;
use pushforward::nn::{Adam, MlpShape, Optimizer};
use pushforward::objective::{self, Objective};
use pushforward::path::PathSample;
use pushforward::{
    AffinePath, DifferentiableField, Divergence, Mlp, Real, Rng, Simd, SimdLevel, Solver, Source, Tensor,
    VectorField,
};

/// Points on the path are sums of two products of multiples of 1/64: no rounding, in f32 either.
const EXACT: f64 = 0.0;

/// Of the largest number of a list. A number passes through three layers of at most 8 terms and their activations, a
/// derivative through them twice: some 50 roundings of 1.1e-16, 6e-15, with room for what cancels in a sum.
const F64_BOUND: f64 = 2e-14;

/// The same 50 roundings, of 6e-8.
const F32_BOUND: f64 = 3e-6;

/// Of the largest parameter. A step is lr m / (sqrt(v) + epsilon) with lr = 1e-2: where a gradient is 1e-3 of the
/// largest, its relative error is 1e3 F64_BOUND = 2e-11 at worst, that of the parameter 2e-13.
const ADAM_BOUND: f64 = 2e-13;

/// Of the largest parameter. PyTorch clips by clip / (norm + 1e-6), a factor that is 4e-7 smaller at norms of 2.5.
/// Adam does not see a common factor of all gradients; what is left is how that one changes from step to step, some
/// percent, times lr.
const CLIP_BOUND: f64 = 1e-9;

/// Of the largest number. 20 steps of the ODE with two networks each, whose roundings count by the step's 1/20.
const LIKELIHOOD_BOUND: f64 = 2e-14;

/// Of each value: some ten roundings of 1.1e-16, larger by z where the slope of an exponential magnifies that of z.
const ACTIVATION_BOUND: f64 = 1e-14;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    made_by: String,
    networks: Vec<Network>,
    adam: AdamW,
    activations: Vec<Curve>,
    likelihood: Likelihood,
}

/// A network of x_t and t on rows of a path; matrices are [B, d].
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    dim: usize,
    hidden: Vec<usize>,
    activation: String,
    time_embedding: String,
    parameters: Vec<f64>,
    t: Vec<f64>,
    x_0: Vec<f64>,
    x_1: Vec<f64>,
    x_t: Vec<f64>,
    u: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    w: Vec<f64>,
    vjp: Vec<f64>,
    tangent: Vec<f64>,
    jvp: Vec<f64>,
    divergence: Vec<f64>,
}

/// Steps of one network on its batch.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AdamW {
    network: usize,
    lr: f64,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    weight_decay: f64,
    /// The parameters after each step, the norms of the gradients before them.
    theta: Vec<Vec<f64>>,
    norms: Vec<f64>,
    averages: Vec<Average>,
    clip: f64,
    /// With `clip_grad_norm_`.
    clipped: Vec<Vec<f64>>,
    /// The same without the 1e-6 that it adds to the norm.
    clipped_exactly: Vec<Vec<f64>>,
    clipped_norms: Vec<f64>,
}

/// The averaged parameters in use after each step.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Average {
    ema: f64,
    theta: Vec<Vec<f64>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Curve {
    activation: String,
    z: Vec<f64>,
    value: Vec<f64>,
    slope: Vec<f64>,
}

/// Rows x_1 carried back to x_0 by the midpoint rule.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Likelihood {
    network: usize,
    steps: u32,
    x_1: Vec<f64>,
    x_0: Vec<f64>,
    log_density: Vec<f64>,
}

fn golden() -> Golden {
    let golden: Golden =
        serde_json::from_str(include_str!("golden/pytorch.json")).expect("JSON of this form");
    assert!(golden.made_by.starts_with("PyTorch 2."), "{}", golden.made_by);
    golden
}

fn levels() -> impl Iterator<Item = Simd> {
    [SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512]
        .into_iter()
        .filter_map(|level| Simd::of(level).ok())
}

/// Compares two lists, number by number, with `bound` times the largest of them.
fn assert_close<R: Real>(what: &str, found: &[R], wanted: &[f64], bound: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}: how many");
    let scale = wanted.iter().fold(0.0_f64, |scale, w| scale.max(w.abs()));
    for (i, (found, &wanted)) in found.iter().map(|f| f.to_f64()).zip(wanted).enumerate() {
        let error = (found - wanted).abs();
        assert!(
            error <= bound * scale,
            "{what}, number {i}: {found} against {wanted}, off by {:e} of the largest",
            error / scale
        );
    }
}

fn matrix<R: Real>(numbers: &[f64], rows: usize) -> Tensor<R> {
    Tensor::from_vec(numbers.to_vec(), rows, numbers.len() / rows).expect("whole rows").cast()
}

impl Network {
    fn name(&self, simd: Simd) -> String {
        format!("{} {} d {} {}", self.activation, self.time_embedding, self.dim, simd.level().word())
    }

    fn mlp(&self, simd: Simd) -> Mlp<f64> {
        let mut shape = MlpShape::new(self.dim, &self.hidden);
        shape.activation = self.activation.parse().expect("an activation");
        shape.time_embedding = self.time_embedding.parse().expect("a time embedding");
        Mlp::from_parameters(shape, self.parameters.clone())
            .expect("parameters of this shape")
            .with_simd(simd)
    }

    fn sample<R: Real>(&self) -> PathSample<R> {
        let rows = self.t.len();
        let (x_0, x_1) = (matrix(&self.x_0, rows), matrix(&self.x_1, rows));
        AffinePath::default().sample(x_0, x_1, self.t.clone()).expect("one time for each pair")
    }

    /// Everything that the network and its loss answer.
    fn check<R: Real>(&self, mlp: &Mlp<R>, bound: f64) {
        let name = self.name(mlp.weights().simd());
        let close = |what: &str, found: &[R], wanted: &[f64]| {
            assert_close(&format!("{name}: {what}"), found, wanted, bound);
        };
        let (rows, d) = (self.t.len(), self.dim);
        let sample = self.sample::<R>();
        assert_close("x_t", sample.x_t.as_slice(), &self.x_t, EXACT);
        let (t, x): (Vec<R>, _) = (self.t.iter().map(|&t| R::from_f64(t)).collect(), &sample.x_t);

        let mut u = Tensor::zeros(rows, d);
        mlp.eval(&t, x, &mut u).expect("u");
        close("u", u.as_slice(), &self.u);

        let objective = Objective::new(mlp.shape(), AffinePath::default(), Source::Normal);
        let (loss, gradient) = objective.gradient(mlp.weights(), &sample);
        assert_close(&format!("{name}: loss of the tape"), &[loss], &[self.loss], bound);
        let loss = objective::loss(mlp, &sample).expect("a loss");
        assert_close(&format!("{name}: loss of the field"), &[loss], &[self.loss], bound);
        close("gradient", &gradient, &self.gradient);

        let mut worker = mlp.differential_worker(rows, d);
        let mut d_x = Tensor::zeros(rows, d);
        worker.vjp(&t, x, &matrix(&self.w, rows), &mut u, &mut d_x).expect("a vjp");
        close("u of the vjp", u.as_slice(), &self.u);
        close("vjp", d_x.as_slice(), &self.vjp);

        // One tangent of PyTorch's, and beside it the unit vectors, whose derivatives are the Jacobian.
        let mut worker = mlp.differential_worker(rows, d + 1);
        let (mut tangents, mut d_u) = (Tensor::zeros((d + 1) * rows, d), Tensor::zeros((d + 1) * rows, d));
        tangents.as_mut_slice()[..rows * d].copy_from_slice(matrix(&self.tangent, rows).as_slice());
        for k in 0..d {
            for i in 0..rows {
                tangents.row_mut((k + 1) * rows + i)[k] = R::ONE;
            }
        }
        worker.jvp(&t, x, &tangents, &mut u, &mut d_u).expect("a jvp");
        close("u of the jvp", u.as_slice(), &self.u);
        close("jvp", &d_u.as_slice()[..rows * d], &self.jvp);
        let trace = |i| (0..d).map(|k| d_u.row((k + 1) * rows + i)[k].to_f64()).sum::<f64>();
        let divergence: Vec<f64> = (0..rows).map(trace).collect();
        assert_close(&format!("{name}: divergence"), &divergence, &self.divergence, bound);
    }
}

#[test]
fn networks_answer_as_pytorch_does() {
    let golden = golden();
    assert_eq!(golden.networks.len(), 2 * 2 * Activation::ALL.len());
    for simd in levels() {
        for network in &golden.networks {
            network.check(&network.mlp(simd), F64_BOUND);
        }
    }
}

#[test]
fn networks_in_f32_answer_as_pytorch_does_in_f64() {
    for simd in levels() {
        for network in &golden().networks {
            network.check(&network.mlp(simd).cast::<f32>(), F32_BOUND);
        }
    }
}

/// What an optimiser does to a network in as many steps as PyTorch made.
struct Course {
    theta: Vec<Vec<f64>>,
    averaged: Vec<Vec<f64>>,
    norms: Vec<f64>,
}

impl AdamW {
    fn course(&self, network: &Network, simd: Simd, clip: Option<f64>, ema: Option<f64>) -> Course {
        let settings = Adam {
            lr: self.lr,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            clip,
            ema,
        };
        let (mut mlp, sample) = (network.mlp(simd), network.sample());
        let objective = Objective::new(mlp.shape(), AffinePath::default(), Source::Normal);
        let mut optimizer = Optimizer::new(settings, mlp.weights());
        let mut course = Course { theta: Vec::new(), averaged: Vec::new(), norms: Vec::new() };
        for _ in 0..self.theta.len() {
            let before = mlp.parameters().to_vec();
            let (_, gradient) = objective.gradient(mlp.weights(), &sample);
            let norm = optimizer.step(mlp.weights_mut(), &[&gradient], settings.lr);
            assert_close("the parameters before the step", &optimizer.previous(), &before, EXACT);
            course.theta.push(mlp.parameters().to_vec());
            course.averaged.push(optimizer.averaged(mlp.parameters()));
            course.norms.push(norm);
        }
        course
    }
}

#[test]
fn the_optimiser_steps_as_adamw_does() {
    let golden = golden();
    let (adam, network) = (&golden.adam, &golden.networks[golden.adam.network]);
    let close = |what: &str, found: &[Vec<f64>], wanted: &[Vec<f64>], bound: f64| {
        assert_eq!((found.len(), wanted.len()), (adam.theta.len(), adam.theta.len()), "{what}: steps");
        for (n, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert_close(&format!("{what} after step {}", n + 1), found, wanted, bound);
        }
    };
    for simd in levels() {
        let level = simd.level().word();
        let plain = adam.course(network, simd, None, None);
        close(&format!("parameters, {level}"), &plain.theta, &adam.theta, ADAM_BOUND);
        close("without an average", &plain.averaged, &adam.theta, ADAM_BOUND);
        assert_close("norms", &plain.norms, &adam.norms, ADAM_BOUND);

        for average in &adam.averages {
            let course = adam.course(network, simd, None, Some(average.ema));
            close("parameters beside an average", &course.theta, &adam.theta, ADAM_BOUND);
            let what = format!("average of decay {}, {level}", average.ema);
            close(&what, &course.averaged, &average.theta, ADAM_BOUND);
        }

        let clipped = adam.course(network, simd, Some(adam.clip), None);
        close(&format!("clipped, {level}"), &clipped.theta, &adam.clipped, CLIP_BOUND);
        close(&format!("clipped exactly, {level}"), &clipped.theta, &adam.clipped_exactly, ADAM_BOUND);
        assert_close("norms before clipping", &clipped.norms, &adam.clipped_norms, ADAM_BOUND);
    }
}

#[test]
fn activations_and_their_slopes_are_those_of_pytorch() {
    let golden = golden();
    assert_eq!(golden.activations.len(), Activation::ALL.len());
    for simd in levels() {
        for curve in &golden.activations {
            let activation: Activation = curve.activation.parse().unwrap();
            // PyTorch finds these as a difference from 1 or of two numbers near 1, which leaves nothing of a tail
            // that is far smaller: an error of their last digit is all that can be asked.
            let floor = match activation {
                Activation::Gelu | Activation::Tanh | Activation::Selu => 1.0,
                _ => 0.0,
            };
            let n = curve.z.len();
            let (mut value, mut slope) = (curve.z.clone(), vec![0.0; n]);
            activate(simd, activation, RowsMut::new(&mut value, n, n), RowsMut::new(&mut slope, n, n));
            for (what, found, wanted) in [("value", &value, &curve.value), ("slope", &slope, &curve.slope)] {
                assert_eq!(wanted.len(), n);
                for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                    let (error, scale) = ((found - wanted).abs(), wanted.abs().max(floor));
                    assert!(
                        error <= ACTIVATION_BOUND * scale,
                        "{what} of {activation} at {}, {}: {found} against {wanted}",
                        curve.z[i],
                        simd.level().word()
                    );
                }
            }
        }
    }
}

#[test]
fn log_densities_are_those_of_pytorch() {
    let golden = golden();
    let wanted = &golden.likelihood;
    let rows = wanted.log_density.len();
    let solver = Solver::midpoint().steps(wanted.steps);
    for simd in levels() {
        let mlp = golden.networks[wanted.network].mlp(simd);
        let x_1 = matrix(&wanted.x_1, rows);
        let back = solver.solve(&mlp, &x_1, 1.0..0.0).unwrap();
        assert_close("x_0", back.x.as_slice(), &wanted.x_0, LIKELIHOOD_BOUND);
        let scores =
            log_density(&mlp, Source::Normal, &x_1, Divergence::Exact, &solver, &mut Rng::from_seed(0))
                .unwrap();
        assert_close("log-density", &scores.log_density, &wanted.log_density, LIKELIHOOD_BOUND);
    }
}
