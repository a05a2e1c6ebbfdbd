//! Every operation's derivatives: against central differences, and forward mode against reverse mode.

use std::sync::Arc;

use proptest::prelude::*;
use pushforward::autodiff::{Derivatives, DivergenceReplay, Replay, Tape, Var, Weights};
use pushforward::field::{ProbeLaw, Probes};
use pushforward::kernel::Activation;
use pushforward::nn::MlpShape;
use pushforward::rng::{Purpose, Rng, Stream};
use pushforward::{DifferentiableField as _, Mlp, Simd, SimdLevel, Tensor, VectorField as _};

/// Central differences with step h = 1e-5 in f64, freed of their term h² f'''/6 by those of an eighth of the step, have a relative
/// error of about 2^-53 / h, 1e-10, times the size of the terms that cancel in a sum: the bound that derivatives must meet.
const DIFFERENCE_BOUND: f64 = 1e-7;
const STEP: f64 = 1e-5;
/// Two sums of the same products in another order differ by a few hundred roundings of 1e-16.
const TRANSPOSE_BOUND: f64 = 1e-12;

/// A tape that holds every operation, and a scalar a row at its end.
struct Case {
    tape: Arc<Tape>,
    inputs: Vec<Var>,
    y: Var,
    weights: Weights<f64>,
    rows: usize,
}

/// x and t are both differentiated; x is used twice, so that cotangents are added.
fn every_operation(activation: Activation, simd: Simd, rows: usize, widths: [usize; 3], seed: u64) -> Case {
    let [d, h, k] = widths;
    let mut tape = Tape::default();
    let (t, x, target) = (tape.input(1), tape.input(d), tape.input(d));
    let time = tape.fourier(t, k);
    let joined = tape.concat(x, time);
    let first = tape.linear(joined, h, Some(activation));
    let again = tape.concat(first, x);
    let second = tape.linear(again, h + 1, Some(activation));
    let u = tape.linear(second, d, None);
    let y = tape.squared_error(u, target);
    let mut stream = Rng::from_seed(seed).fork(Purpose::Weights).stream(0);
    let parameters = (0..tape.parameters()).map(|_| 0.5 * stream.normal()).collect();
    let weights = Weights::new(&tape, parameters, simd);
    Case { tape: Arc::new(tape), inputs: vec![t, x, target], y, weights, rows }
}

impl Case {
    fn replay(&self, derivatives: Derivatives) -> Replay<f64> {
        Replay::new(Arc::clone(&self.tape), self.rows, derivatives)
    }

    fn draw(&self, var: Var, stream: &mut Stream) -> Vec<f64> {
        (0..self.rows * self.tape.cols(var)).map(|_| stream.normal()).collect()
    }

    fn fill(&self, replay: &mut Replay<f64>, var: Var, x: &[f64]) {
        let mut rows = replay.input_mut(var, self.rows);
        for (i, x) in x.chunks(self.tape.cols(var)).enumerate() {
            rows.row_mut(i).copy_from_slice(x);
        }
    }

    /// <w, y> with these inputs and parameters.
    fn dot(&self, inputs: &[Vec<f64>], weights: &Weights<f64>, w: &[f64]) -> f64 {
        let mut replay = self.replay(Derivatives::default());
        for (var, x) in self.inputs.iter().zip(inputs) {
            self.fill(&mut replay, *var, x);
        }
        replay.forward(weights, self.rows);
        let y = replay.value(self.y, self.rows);
        (0..self.rows).map(|i| w[i] * y.row(i)[0]).sum()
    }

    /// The cotangents of the inputs and the gradient of the parameters of <w, y>.
    fn reverse(&self, inputs: &[Vec<f64>], w: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut replay = self.replay(Derivatives { parameters: true, inputs: true, tangents: 0 });
        for (var, x) in self.inputs.iter().zip(inputs) {
            self.fill(&mut replay, *var, x);
        }
        replay.forward(&self.weights, self.rows);
        let mut seed = replay.cotangent_mut(self.y, self.rows);
        for (i, w) in w.iter().enumerate() {
            seed.row_mut(i)[0] = *w;
        }
        let mut gradient = vec![0.0; self.tape.parameters()];
        replay.vjp(self.y, &self.weights, Some(&mut gradient), self.rows);
        let cotangents = self.inputs.iter().map(|&var| {
            let d_x = replay.cotangent(var, self.rows);
            (0..self.rows).flat_map(|i| d_x.row(i).to_vec()).collect()
        });
        (cotangents.collect(), gradient)
    }
}

fn levels() -> impl Iterator<Item = Simd> {
    [SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512]
        .into_iter()
        .filter_map(|level| Simd::of(level).ok())
}

fn assert_close(what: &str, a: f64, b: f64, scale: f64, bound: f64) {
    let scale = scale.max(a.abs()).max(b.abs()).max(1.0);
    assert!((a - b).abs() <= bound * scale, "{what}: {a} against {b} at scale {scale}");
}

/// Whether a kink of the activation lies so near to a value that a difference quotient would step over it.
fn smooth(activation: Activation) -> bool {
    !matches!(activation, Activation::Relu | Activation::Selu)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn reverse_mode_equals_central_differences(
        a in 0..6_usize, rows in 1..5_usize, d in 1..4_usize, h in 1..20_usize, k in 1..4_usize, seed in 0..1000_u64,
    ) {
        let activation = Activation::ALL[a];
        for simd in levels() {
            let case = every_operation(activation, simd, rows, [d, h, k], seed);
            let mut stream = Rng::from_seed(seed).fork(Purpose::Data).stream(1);
            let inputs: Vec<Vec<f64>> = case.inputs.iter().map(|&v| case.draw(v, &mut stream)).collect();
            let w = case.draw(case.y, &mut stream);
            let (d_inputs, d_parameters) = case.reverse(&inputs, &w);
            let scale = case.dot(&inputs, &case.weights, &w.iter().map(|w| w.abs()).collect::<Vec<_>>());
            // Where the activation has a kink, a difference that steps over it is told by comparing two steps.
            let quotient = |f: &dyn Fn(f64) -> f64| {
                let (wide, narrow) = ((f(STEP) - f(-STEP)) / (2.0 * STEP), (f(STEP / 8.0) - f(-STEP / 8.0)) / (STEP / 4.0));
                // Without the square of the step, which times seen through sines of 6 pi make large.
                ((64.0 * narrow - wide) / 63.0, smooth(activation) || (wide - narrow).abs() < DIFFERENCE_BOUND * scale.max(1.0))
            };
            for (v, d_x) in d_inputs.iter().enumerate() {
                for (j, &derivative) in d_x.iter().enumerate() {
                    let (difference, told) = quotient(&|step| {
                        let mut moved = inputs.clone();
                        moved[v][j] += step;
                        case.dot(&moved, &case.weights, &w)
                    });
                    if told {
                        assert_close("input", derivative, difference, scale, DIFFERENCE_BOUND);
                    }
                }
            }
            for (j, &derivative) in d_parameters.iter().enumerate().step_by(1 + d_parameters.len() / 40) {
                let (difference, told) = quotient(&|step| {
                    let mut weights = case.weights.clone();
                    weights.update(|theta| theta[j] += step);
                    case.dot(&inputs, &weights, &w)
                });
                if told {
                    assert_close("parameter", derivative, difference, scale, DIFFERENCE_BOUND);
                }
            }
        }
    }

    #[test]
    fn forward_mode_is_the_transpose_of_reverse_mode(
        a in 0..6_usize, rows in 1..7_usize, d in 1..6_usize, h in 1..40_usize, k in 1..4_usize,
        tangents in 1..4_usize, seed in 0..1000_u64,
    ) {
        for simd in levels() {
            let case = every_operation(Activation::ALL[a], simd, rows, [d, h, k], seed);
            let mut stream = Rng::from_seed(seed).fork(Purpose::Data).stream(2);
            let inputs: Vec<Vec<f64>> = case.inputs.iter().map(|&v| case.draw(v, &mut stream)).collect();
            let w = case.draw(case.y, &mut stream);
            let (d_inputs, _) = case.reverse(&inputs, &w);

            let mut replay = case.replay(Derivatives { tangents, ..Derivatives::default() });
            let mut all = Vec::new();
            for (var, x) in case.inputs.iter().zip(&inputs) {
                case.fill(&mut replay, *var, x);
                let v: Vec<Vec<f64>> = (0..tangents).map(|_| case.draw(*var, &mut stream)).collect();
                let mut to = replay.tangent_mut(*var, rows);
                for (i, v) in v.iter().flat_map(|v| v.chunks(case.tape.cols(*var))).enumerate() {
                    to.row_mut(i).copy_from_slice(v);
                }
                all.push(v);
            }
            replay.forward(&case.weights, rows);
            replay.jvp(case.y, &case.weights, rows);
            let j_v = replay.tangent(case.y, rows);
            for tangent in 0..tangents {
                let (mut left, mut right, mut scale) = (0.0, 0.0, 0.0);
                for (i, w) in w.iter().enumerate() {
                    left += w * j_v.row(tangent * rows + i)[0]; // <w, J v>
                }
                for (d_x, v) in d_inputs.iter().zip(&all) {
                    for (d_x, v) in d_x.iter().zip(&v[tangent]) {
                        right += d_x * v; // <Jᵀ w, v>
                        scale += (d_x * v).abs();
                    }
                }
                assert_close("<w, J v>", left, right, scale, TRANSPOSE_BOUND);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_short_way_to_a_divergence_agrees_with_the_whole_jacobian(
        a in 0..6_usize, rows in 1..40_usize, d in 1..20_usize, layers in 0..4_usize, h in 1..40_usize,
        k in 0..4_usize, seed in 0..1000_u64,
    ) {
        let mut rng = Rng::from_seed(seed);
        let mut shape = MlpShape::new(d, &vec![h; layers]);
        shape.activation = Activation::ALL[a];
        if k > 0 {
            shape.time_embedding = format!("fourier:{k}").parse().unwrap();
        }
        let mlp = Mlp::<f64>::initialize(shape, &mut rng).unwrap();
        let mut stream = rng.fork(Purpose::Data).stream(0);
        let mut draw = |rows, cols| {
            let numbers: Vec<f64> = (0..rows * cols).map(|_| stream.normal()).collect();
            Tensor::from_vec(numbers, rows, cols).unwrap()
        };
        let (x, t) = (draw(rows, d), draw(rows, 1));
        let t = t.as_slice();
        for simd in levels() {
            let mlp = mlp.clone().with_simd(simd);
            let (mut u, mut rate) = (Tensor::zeros(rows, d), vec![0.0; rows]);
            let (mut plain_u, mut plain_rate) = (u.clone(), rate.clone());
            mlp.divergence_worker(rows).eval_carry(t, &x, &mut u, &mut rate).unwrap();
            mlp.trace_by_tangents(rows).eval_carry(t, &x, &mut plain_u, &mut plain_rate).unwrap();
            assert_eq!(u, plain_u);
            for (found, wanted) in rate.iter().zip(&plain_rate) {
                assert_close("tr(du/dx)", *found, *wanted, 0.0, TRANSPOSE_BOUND);
            }
            for law in [ProbeLaw::Rademacher, ProbeLaw::Gaussian] {
                let streams = Rng::from_seed(seed).fork(Purpose::Probe);
                let probes = Probes { streams, first_row: 3, count: k + 1, law };
                let (mut rate, mut plain_rate) = (vec![0.0; rows * (k + 1)], vec![0.0; rows * (k + 1)]);
                let (mut short, mut plain) = (mlp.probe_worker(rows, probes), mlp.along_probes(rows, probes));
                // All rows, then fewer of them in another order.
                let all: Vec<usize> = (0..rows).collect();
                let some: Vec<usize> = (0..rows.div_ceil(2)).map(|i| rows - 1 - i).collect();
                for picked in [all, some] {
                    let n = picked.len();
                    let (x, t, mut u) = (x.slice_rows(0..n), &t[..n], Tensor::zeros(n, d));
                    let (rate, plain_rate) = (&mut rate[..n * (k + 1)], &mut plain_rate[..n * (k + 1)]);
                    short.set_rows(&picked);
                    short.eval_carry(t, &x, &mut u, rate).unwrap();
                    plain.set_rows(&picked);
                    plain.eval_carry(t, &x, &mut plain_u.slice_rows(0..n), plain_rate).unwrap();
                    assert_eq!(u, plain_u.slice_rows(0..n));
                    for (found, wanted) in rate.iter().zip(&*plain_rate) {
                        // d² products of numbers of size 1, some of 3.
                        assert_close("e J e", *found, *wanted, 9.0 * (d * d) as f64, TRANSPOSE_BOUND);
                    }
                }
            }
        }
    }
}

#[test]
fn an_input_without_influence_has_cotangent_zero() {
    let mut tape = Tape::default();
    let (x, unused) = (tape.input(2), tape.input(3));
    let y = tape.linear(x, 1, None);
    let weights = Weights::new(&tape, vec![1.0, 2.0, 0.0], Simd::detect());
    let mut replay = Replay::new(Arc::new(tape), 1, Derivatives { inputs: true, ..Derivatives::default() });
    replay.cotangent_mut(unused, 1).row_mut(0).fill(7.0); // what another call left behind
    replay.forward(&weights, 1);
    replay.cotangent_mut(y, 1).row_mut(0)[0] = 1.0;
    replay.vjp(y, &weights, None, 1);
    assert_eq!(replay.cotangent(x, 1).row(0), [1.0, 2.0]);
    assert_eq!(replay.cotangent(unused, 1).row(0), [0.0; 3]);
}

#[test]
fn no_rows_are_no_work() {
    for d in [1, 2, 5] {
        let mlp = Mlp::<f32>::initialize(MlpShape::new(d, &[8, 8]), &mut Rng::from_seed(0)).unwrap();
        let (x, mut u) = (Tensor::zeros(0, d), Tensor::zeros(0, d));
        mlp.eval(&[], &x, &mut u).unwrap();
        mlp.divergence_worker(4).eval_carry(&[], &x, &mut u, &mut []).unwrap();
        assert!(mlp.divergence_worker(4).eval_carry(&[], &x, &mut u, &mut [0.0]).is_err());
    }
}

#[test]
fn a_divergence_is_only_found_where_the_short_way_leads() {
    let chain = |cols, activation| {
        let mut tape = Tape::default();
        let x = tape.input(2);
        let hidden = tape.linear(x, 8, Some(Activation::Silu));
        let u = tape.linear(hidden, cols, activation);
        DivergenceReplay::<f32>::new(Arc::new(tape), 1, x, u)
    };
    assert!(chain(2, None).is_some());
    assert!(chain(3, None).is_none(), "not as many columns as x");
    assert!(chain(2, Some(Activation::Silu)).is_none(), "a slope at the end");
}

#[test]
fn a_first_layer_without_activation_has_the_divergence_of_the_product() {
    // u = W_2 silu(W_1 (W_0 x)): the first layer only mixes, so that its unit tangents are rows of W_0.
    for simd in [Simd::portable(), Simd::detect()] {
        let (d, rows) = (3, 5);
        let mut tape = Tape::default();
        let x = tape.input(d);
        let mixed = tape.linear(x, 7, None);
        let hidden = tape.linear(mixed, 6, Some(Activation::Silu));
        let u = tape.linear(hidden, d, None);
        let mut stream = Rng::from_seed(4).fork(Purpose::Weights).stream(0);
        let parameters: Vec<f64> = (0..tape.parameters()).map(|_| 0.5 * stream.normal()).collect();
        let weights = Weights::new(&tape, parameters, simd);
        let tape = Arc::new(tape);
        let places: Vec<f64> = (0..rows * d).map(|_| stream.normal()).collect();
        let mut fast = DivergenceReplay::new(Arc::clone(&tape), rows, x, u).unwrap();
        for (i, place) in places.chunks(d).enumerate() {
            fast.replay().input_mut(x, rows).row_mut(i).copy_from_slice(place);
        }
        fast.replay().forward(&weights, rows);
        let mut trace = vec![0.0; rows];
        fast.divergence(&weights, &mut trace);
        let mut plain =
            Replay::new(tape, rows, Derivatives { inputs: true, tangents: d, ..Derivatives::default() });
        for (i, place) in places.chunks(d).enumerate() {
            plain.input_mut(x, rows).row_mut(i).copy_from_slice(place);
        }
        plain.forward(&weights, rows);
        let mut tangents = plain.tangent_mut(x, rows);
        for k in 0..d {
            for i in 0..rows {
                tangents.row_mut(k * rows + i).fill(0.0);
                tangents.row_mut(k * rows + i)[k] = 1.0;
            }
        }
        plain.jvp(u, &weights, rows);
        for (i, trace) in trace.iter().enumerate() {
            let wanted: f64 = (0..d).map(|k| plain.tangent(u, rows).row(k * rows + i)[k]).sum();
            assert!((trace - wanted).abs() < TRANSPOSE_BOUND, "{trace} {wanted}");
        }
    }
}
