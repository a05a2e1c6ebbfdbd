//! What a training draws (E13, E15, E26) beside a plain loop over the same stream: rows, times, points, what is learnt, and the scale of
//! the gradient.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::autodiff::Weights;
use pushforward::nn::MlpShape;
use pushforward::objective::{
    self, Beside, Joined, Objective, Share, TimeSampling, TimeWeight, rows_per_block,
};
use pushforward::path::{Prediction, Width};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Mlp, Rng, Scheduler, Source, Tensor};

/// Sums of some ten numbers of size 1, in another order.
const ROUNDING: f64 = 1e-12;

const D: usize = 3;
const ROWS: usize = 5;
const BATCH: usize = 20;

/// u = 2 x + 3 t (1, 1, 1) + (0.1, 0.2, 0.3): a network without hidden layers, which sees x and t.
fn network() -> Mlp<f64> {
    let mut parameters = vec![0.0; (D + 1) * D + D];
    for j in 0..D {
        parameters[j * D + j] = 2.0;
        parameters[D * D + j] = 3.0;
        parameters[(D + 1) * D + j] = [0.1, 0.2, 0.3][j];
    }
    Mlp::from_parameters(MlpShape::new(D, &[]), parameters).unwrap()
}

fn u(t: f64, x: &[f64]) -> [f64; D] {
    std::array::from_fn(|j| 2.0 * x[j] + 3.0 * t + [0.1, 0.2, 0.3][j])
}

fn data() -> Tensor<f64> {
    let mut x = Tensor::zeros(7, D);
    Source::Normal.fill(&Rng::from_seed(1).fork(Purpose::Data), 0, &mut x);
    x
}

/// The squared errors of the rows, and the sums of the errors: the gradient of the bias but for its factor.
fn plain(path: AffinePath, weight: TimeWeight, joined: Option<Joined<'_, f64>>) -> (f64, [f64; D]) {
    let x_1 = data();
    let mut stream = Rng::from_seed(5).fork(Purpose::Batch).stream(3);
    let mut x_0 = vec![0.0; ROWS * D];
    let (mut rows, mut times) = (vec![], vec![]);
    if let Some(joined) = joined {
        x_0.copy_from_slice(joined.x_0);
        rows = joined.rows.to_vec();
        times = (0..ROWS).map(|_| stream.uniform()).collect();
    } else {
        Source::Normal.draw(&mut stream, &mut x_0);
        for _ in 0..ROWS {
            rows.push(stream.below(x_1.rows()));
            times.push(stream.uniform());
        }
    }
    let mut noise = vec![0.0; ROWS * D];
    if path.width != Width::None {
        Source::Normal.draw(&mut stream, &mut noise);
    }
    let (mut sum, mut errors) = (0.0, [0.0; D]);
    for i in 0..ROWS {
        let (c, t) = (path.coefficients(times[i]), times[i]);
        // sqrt(t (1 - t)) and its derivative for the bridge.
        let (g, d_g) = match path.width {
            Width::Bridge(s) => {
                (s * (t * (1.0 - t)).sqrt(), s * (1.0 - 2.0 * t) / (2.0 * (t * (1.0 - t)).sqrt()))
            }
            Width::Constant(s) => (s, 0.0),
            _ => (0.0, 0.0),
        };
        let of = |j: usize| (x_0[i * D + j], x_1.row(rows[i])[j], noise[i * D + j]);
        let x_t: Vec<f64> = (0..D)
            .map(|j| {
                let (x_0, x_1, e) = of(j);
                c.alpha * x_1 + c.sigma * x_0 + g * e
            })
            .collect();
        for (j, u) in u(t, &x_t).into_iter().enumerate() {
            let (x_0, x_1, e) = of(j);
            let learnt = match path.prediction {
                Prediction::Velocity => c.d_alpha * x_1 + c.d_sigma * x_0 + d_g * e,
                Prediction::Target => x_1,
                Prediction::Noise => x_0,
            };
            let count = weight.factor(path.prediction, c);
            sum += count * (u - learnt).powi(2);
            errors[j] += count * (u - learnt);
        }
    }
    (sum, errors)
}

#[test]
fn they_are_those_of_a_plain_loop() {
    let (network, x_1) = (network(), data());
    let weights: &Weights<f64> = network.weights();
    let joined_x_0: Vec<f64> = (0..ROWS * D).map(|k| 0.1 * k as f64 - 0.7).collect();
    let joined_rows = [6, 0, 3, 3, 1];
    let linear = AffinePath::default();
    for (path, weight) in [
        (linear, TimeWeight::None),
        (AffinePath::new(Scheduler::Cosine), TimeWeight::Noise),
        (linear.predicting(Prediction::Target), TimeWeight::None),
        (linear.predicting(Prediction::Noise), TimeWeight::Target),
        (linear.wide(Width::Constant(0.3)), TimeWeight::None),
        (linear.wide(Width::Bridge(0.5)), TimeWeight::None),
    ] {
        for joined in [None, Some(Joined { x_0: &joined_x_0, rows: &joined_rows })] {
            let objective = Objective::new(network.shape(), path, Source::Normal);
            let objective = objective.timed(TimeSampling::Uniform, weight);
            let mut worker = objective.worker(ROWS);
            let mut gradient = vec![0.0; network.parameters().len()];
            let share = Share { first: 5, rows: ROWS, batch: BATCH };
            let stream = || Rng::from_seed(5).fork(Purpose::Batch).stream(3);
            let found = objective.draw_and_add(
                &mut worker,
                weights,
                &x_1,
                joined,
                None,
                &mut stream(),
                share,
                &mut gradient,
            );
            let measured =
                objective.draw_and_measure(&mut worker, weights, &x_1, joined, None, &mut stream(), share);
            let (wanted, errors) = plain(path, weight, joined);
            assert!((found - wanted).abs() < ROUNDING * wanted, "{path:?}: {found} {wanted}");
            assert!((measured - wanted).abs() < ROUNDING * wanted, "{path:?}: {measured} {wanted}");
            let of_bias = &gradient[(D + 1) * D..];
            for (found, error) in of_bias.iter().zip(errors) {
                let wanted = 2.0 * error / BATCH as f64;
                assert!((found - wanted).abs() < ROUNDING * (1.0 + wanted.abs()), "{found} {wanted}");
            }
        }
    }
}

#[test]
fn a_condition_is_left_out_as_often_as_is_said() {
    // u = (c, c, c) of a network that sees nothing but its condition, which is 5 for every row of the data, or 0 if left out.
    let shape = MlpShape { condition: 1, ..MlpShape::new(D, &[]) };
    let mut parameters = vec![0.0; (D + 2) * D + D];
    parameters[(D + 1) * D..(D + 2) * D].fill(1.0);
    let network = Mlp::<f64>::from_parameters(shape, parameters).unwrap();
    let (x_1, conditions) = (data(), Tensor::from_vec(vec![5.0; 7], 7, 1).unwrap());
    let objective = Objective::new(network.shape(), AffinePath::default(), Source::Normal);
    let share = Share { first: 0, rows: BATCH, batch: BATCH };
    let mut worker = objective.worker(BATCH);
    for dropout in [0.0, 0.4, 0.9] {
        let stream = || Rng::from_seed(5).fork(Purpose::Batch).stream(3);
        let beside = Some(Beside { conditions: &conditions, dropout });
        let weights = network.weights();
        let found =
            objective.draw_and_measure(&mut worker, weights, &x_1, None, beside, &mut stream(), share);
        // The condition is drawn after everything else.
        let mut plain = stream();
        let mut x_0 = vec![0.0; BATCH * D];
        Source::Normal.draw(&mut plain, &mut x_0);
        let rows: Vec<usize> = (0..BATCH)
            .map(|_| {
                let row = plain.below(7);
                plain.uniform();
                row
            })
            .collect();
        let (mut wanted, mut left_out) = (0.0, 0);
        for (i, row) in rows.into_iter().enumerate() {
            let out = dropout > 0.0 && plain.uniform() < dropout;
            left_out += usize::from(out);
            let u = if out { 0.0 } else { 5.0 };
            wanted += (0..D).map(|j| (u - (x_1.row(row)[j] - x_0[i * D + j])).powi(2)).sum::<f64>();
        }
        assert!((found - wanted).abs() < ROUNDING * wanted, "{dropout}: {found} {wanted}");
        assert_eq!(left_out == 0, dropout <= 0.0);
        assert!(left_out < BATCH);
    }
}

#[test]
fn times_are_drawn_as_is_said() {
    let (network, x_1, path) = (network(), data(), AffinePath::default());
    let share = Share { first: 0, rows: BATCH, batch: BATCH };
    let measure = |objective: &Objective| {
        let stream = &mut Rng::from_seed(5).fork(Purpose::Batch).stream(3);
        let weights = network.weights();
        objective
            .draw_and_measure(&mut objective.worker(BATCH), weights, &x_1, None, None, stream, share)
            .to_bits()
    };
    let objective = Objective::new(network.shape(), path, Source::Normal);
    let uniform = measure(&objective);
    for times in [TimeSampling::Stratified, TimeSampling::LogitNormal] {
        let timed = measure(&objective.clone().timed(times, TimeWeight::None));
        assert!(timed != uniform, "{times}");
        assert_eq!(measure(&objective.clone().with_times(times)), timed, "{times}");
    }
}

#[test]
fn a_batch_of_many_blocks_has_the_mean_of_its_rows() {
    // 150 rows in blocks of 64: 64, 64 and 22.
    let (network, path) = (network(), AffinePath::default());
    let objective = Objective::new(network.shape(), path, Source::Normal);
    let of = |rows: std::ops::Range<usize>| {
        let (mut x_0, mut x_1) = (Tensor::zeros(150, D), Tensor::zeros(150, D));
        Source::Normal.fill(&Rng::from_seed(1).fork(Purpose::Source), 0, &mut x_0);
        Source::Normal.fill(&Rng::from_seed(1).fork(Purpose::Data), 0, &mut x_1);
        let t = rows.clone().map(|i| i as f64 / 150.0).collect();
        path.sample(x_0.slice_rows(rows.clone()), x_1.slice_rows(rows), t).unwrap()
    };
    let (loss, gradient) = objective.gradient(network.weights(), &of(0..150));
    let plain = objective::loss(&network, &of(0..150)).unwrap();
    assert!((loss - plain).abs() < ROUNDING * plain, "{loss} {plain}");
    let mut wanted = vec![0.0; gradient.len()];
    for first in (0..150).step_by(30) {
        let (_, part) = objective.gradient(network.weights(), &of(first..first + 30));
        wanted.iter_mut().zip(part).for_each(|(wanted, part)| *wanted += part / 5.0);
    }
    for (found, wanted) in gradient.iter().zip(wanted) {
        assert!((found - wanted).abs() < ROUNDING * (1.0 + wanted.abs()), "{found} {wanted}");
    }
}

#[test]
fn blocks_are_as_stated() {
    // Part of what a seed means: other blocks are other random numbers.
    assert_eq!([1, 512, 2047, 2048, 4096].map(rows_per_block), [64, 64, 64, 128, 128]);
}
