//! However the times of a batch are drawn, the loss is the same in the mean; however they are weighted, so is its minimiser.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::objective::{Objective, Share, TimeSampling, TimeWeight};
use pushforward::path::Prediction;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Mlp, Rng, Scheduler, Source, Tensor};

const BATCH: usize = 256;

/// Rows of N(0, 1) in 1-d.
fn normals() -> Tensor<f64> {
    let mut x = Tensor::zeros(100_000, 1);
    Source::Normal.fill(&Rng::from_seed(1).fork(Purpose::Data), 0, &mut x);
    x
}

/// A network whose last layer is zero, and how many parameters that has.
fn silent() -> (Mlp<f64>, usize) {
    let mlp: Mlp = Mlp::new(1, &[8], &mut Rng::from_seed(2)).unwrap();
    let mut theta = mlp.parameters().to_vec();
    let last = 8 + 1;
    let from = theta.len() - last;
    theta[from..].fill(0.0);
    (Mlp::from_parameters(mlp.shape().clone(), theta).unwrap().cast(), last)
}

/// The mean of each column over its rows, and the standard error of that.
fn summary(rows: &[Vec<f64>]) -> Vec<(f64, f64)> {
    let n = f64::from(u32::try_from(rows.len()).unwrap());
    (0..rows[0].len())
        .map(|j| {
            let mean = rows.iter().map(|row| row[j]).sum::<f64>() / n;
            let variance = rows.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / (n - 1.0);
            (mean, (variance / n).sqrt())
        })
        .collect()
}

/// For each of some batches the loss, and the gradient of the last layer.
fn batches(path: AffinePath, times: TimeSampling, weight: TimeWeight, x_1: &Tensor<f64>) -> Vec<Vec<f64>> {
    let (mlp, last) = silent();
    let objective = Objective::new(mlp.shape(), path, Source::Normal).timed(times, weight);
    let mut worker = objective.worker(BATCH);
    let streams = Rng::from_seed(3).fork(Purpose::Batch);
    let batch = |b| {
        let share = Share { first: 0, rows: BATCH, batch: BATCH };
        let mut gradient = vec![0.0; mlp.parameters().len()];
        let stream = &mut streams.stream(b);
        let loss =
            objective.draw_and_add(&mut worker, mlp.weights(), x_1, None, None, stream, share, &mut gradient);
        let mut found = vec![loss / 256.0];
        found.extend(&gradient[gradient.len() - last..]);
        found
    };
    (0..400).map(batch).collect()
}

/// The integral of f over [0, 1] by the midpoint rule.
fn mean_over_time(f: impl Fn(f64) -> f64) -> f64 {
    (0..10_000).map(|i| f((f64::from(i) + 0.5) / 1e4)).sum::<f64>() / 1e4
}

#[test]
fn every_sampling_estimates_the_same_loss() {
    let x_1 = normals();
    // Of a network that says 0 the error is |dX|², of mean alpha'² + sigma'² for N(0, 1) at both ends: 8 t².
    let path = AffinePath::new(Scheduler::Polynomial { n: 2.0 });
    for weight in TimeWeight::ALL {
        let exact = mean_over_time(|t| {
            let c = path.coefficients(t);
            weight.factor(Prediction::Velocity, c) * (c.d_alpha.powi(2) + c.d_sigma.powi(2))
        });
        for times in TimeSampling::ALL {
            let (mean, error) = summary(&batches(path, times, weight, &x_1))[0];
            assert!(
                (mean - exact).abs() < 5.0 * error,
                "{times}, {weight}: {mean} +- {error}, exactly {exact}"
            );
            assert!(error < 0.02 * exact, "so that a wrong weight is seen: {error}");
        }
    }
}

#[test]
fn no_weight_moves_the_minimiser() {
    // N(0, 1) at both ends of the cosine path: every X_t is N(0, 1), so u = 0, and a network that says 0 is the minimiser.
    let x_1 = normals();
    let path = AffinePath::new(Scheduler::Cosine);
    for weight in TimeWeight::ALL {
        for times in TimeSampling::ALL {
            for (j, (mean, error)) in
                summary(&batches(path, times, weight, &x_1)).into_iter().enumerate().skip(1)
            {
                assert!(mean.abs() < 5.0 * error, "{times}, {weight}, number {j}: {mean} +- {error}");
            }
        }
    }
}
