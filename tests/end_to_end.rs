//! A trained model recovers a Gaussian: its mean, its covariance, its density, and the floor of its loss.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::closed_form::{GaussianFlow, mean_and_covariance};
use pushforward::data::toy;
use pushforward::nn::Adam;
use pushforward::rng::Purpose;
use pushforward::train::Standardization;
use pushforward::{AffinePath, Divergence, Mlp, Rng, Solver, Source, Tensor, Trainer, objective};

/// Rows drawn from the model.
const DRAWN: usize = 20_000;
/// Standard errors that a moment of the drawn rows may be off: four for the draw itself and as many for what the network
/// has not learnt.
const STANDARD_ERRORS: f64 = 8.0;
/// How close the loss must come to its floor (E12), relative: the excess is the squared distance to the true field.
const ABOVE_FLOOR: f64 = 0.02;

/// A random correlated Gaussian in the plane: a mean, and a covariance A Aᵀ + I/5.
fn target(seed: u64) -> (Vec<f64>, Tensor<f64>) {
    let mut s = Rng::from_seed(seed).fork(Purpose::Data).stream(0);
    let mean = vec![2.0 * s.normal(), 2.0 * s.normal()];
    let a = [[s.normal(), s.normal()], [s.normal(), s.normal()]];
    let entry = |i: usize, j: usize| a[i][0] * a[j][0] + a[i][1] * a[j][1] + if i == j { 0.2 } else { 0.0 };
    (mean, Tensor::from_rows(&[[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]))
}

#[test]
fn a_trained_flow_recovers_a_correlated_gaussian() {
    let (mean, covariance) = target(7);
    let truth = GaussianFlow::new(&mean, &covariance).unwrap();
    let mut rng = Rng::from_seed(1);
    let mut x_0 = Tensor::<f64>::zeros(50_000, 2);
    Source::Normal.fill(&rng.fork(Purpose::Data), 0, &mut x_0);
    let x_1 = truth.map(&x_0).unwrap();

    let velocity = Mlp::new(2, &[64, 64], &mut rng).unwrap();
    let trainer = Trainer::new(AffinePath::default()).steps(3000).batch(512);
    let flow = trainer
        .adam(Adam { lr: 5e-3, ..Adam::default() })
        .standardization(Standardization::Off)
        .fit(velocity, &x_1, &mut rng)
        .unwrap();

    let drawn = flow.sample(DRAWN, &Solver::rk4().steps(20), &mut rng).unwrap();
    let (found_mean, found) = mean_and_covariance(&drawn.x.cast());
    let n = DRAWN as f64;
    for i in 0..2 {
        let standard_error = (covariance.row(i)[i] / n).sqrt();
        let off = (found_mean[i] - mean[i]).abs() / standard_error;
        assert!(off < STANDARD_ERRORS, "mean {i}: {} for {}: {off} standard errors", found_mean[i], mean[i]);
        for j in 0..2 {
            // Var of a sample covariance of a Gaussian: (s_ii s_jj + s_ij²) / n.
            let s = |i: usize, j: usize| covariance.row(i)[j];
            let standard_error = ((s(i, i) * s(j, j) + s(i, j) * s(i, j)) / n).sqrt();
            let off = (found.row(i)[j] - s(i, j)).abs() / standard_error;
            assert!(off < STANDARD_ERRORS, "covariance {i} {j}: {} for {}", found.row(i)[j], s(i, j));
        }
    }

    // E12: the loss on fresh rows against its floor V, in closed form; a million rows give it to 0.3 %.
    let path = AffinePath::default();
    let fresh = 1_000_000;
    let mut source = Tensor::<f64>::zeros(fresh, 2);
    Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut source);
    let mut other = Tensor::<f64>::zeros(fresh, 2);
    Source::Normal.fill(&rng.fork(Purpose::Data), 0, &mut other);
    let mut stream = rng.fork(Purpose::Batch).stream(0);
    let t: Vec<f64> = (0..fresh).map(|_| stream.uniform()).collect();
    let sample = path.sample(source, truth.map(&other).unwrap(), t).unwrap();
    let loss = objective::loss(&flow.velocity().cast::<f64>(), &sample).unwrap();
    let exact = objective::loss(&truth.velocity(path), &sample).unwrap();
    let floor = truth.loss_floor(path);
    assert!((exact / floor - 1.0).abs() < 0.005, "the true field has loss {exact}, V is {floor}");
    assert!(loss < (1.0 + ABOVE_FLOOR) * exact, "loss {loss}, of the true field {exact}");
    assert!(loss > exact * (1.0 - 1e-3), "no field is better than the true one: {loss} against {exact}");

    // The density at fresh rows: mean of log p against its truth.
    let fresh = other.slice_rows(0..2000);
    let x = truth.map(&fresh).unwrap();
    let scores = flow.log_density(&x, Divergence::Exact, &Solver::rk4().steps(20), &mut rng).unwrap();
    let exact = truth.log_density(&x).unwrap();
    let mean_gap = scores.log_density.iter().zip(&exact).map(|(a, b)| b - a).sum::<f64>() / 2000.0;
    assert!(mean_gap.abs() < 0.01, "mean log-density is off by {mean_gap} nats");
}

#[test]
fn standardisation_is_undone_in_samples_and_in_densities() {
    // The Gaussian toy stretched and moved: the density must change by the log-determinant, to what is learnt.
    let mut rng = Rng::from_seed(3);
    let x_1: Tensor<f64> = toy::gaussian(20_000, &mut rng);
    let mut far = x_1.clone();
    for i in 0..far.rows() {
        let row = far.row_mut(i);
        (row[0], row[1]) = (1e4 + 100.0 * row[0], -3.0 + 1e-3 * row[1]);
    }
    let fit = |x: &Tensor<f64>| {
        let mut rng = Rng::from_seed(5);
        let velocity = Mlp::new(2, &[16], &mut rng).unwrap();
        Trainer::new(AffinePath::default()).steps(200).fit(velocity, x, &mut rng).unwrap()
    };
    let (near_flow, far_flow) = (fit(&x_1), fit(&far));
    let solver = Solver::midpoint().steps(10);
    let score = |flow: &pushforward::Flow, x: &Tensor<f64>| {
        flow.log_density(&x.slice_rows(0..100), Divergence::Exact, &solver, &mut Rng::from_seed(0))
            .unwrap()
            .mean()
    };
    // Both see the same standardised numbers up to their last bits, and 200 steps let those grow.
    const GROWN_BITS: f64 = 1e-2;
    let change = (100.0_f64 * 1e-3).ln();
    let (near, far) = (score(&near_flow, &x_1), score(&far_flow, &far));
    assert!((near - far - change).abs() < GROWN_BITS, "{near} and {far} should differ by {change}");
    let drawn = far_flow.sample(1000, &solver, &mut rng).unwrap();
    let mean = mean_and_covariance(&drawn.x.cast()).0;
    assert!((mean[0] - 1e4).abs() < 1e3 && (mean[1] + 3.0).abs() < 0.1, "{mean:?}");
}
