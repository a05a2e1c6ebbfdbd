//! Simulation-based inference: a posterior p(theta | x) learnt from simulations alone, held against one that is known.
//!
//! `cargo run --release --example posterior`: theta ~ N(0, I) in two dimensions, the simulator gives x = A theta + 0.5 e in three, e ~ N(0, I).
//! What is learnt is the law of theta under the condition x; no likelihood is ever asked for. As everything is linear and normal, the posterior
//! is known: covariance S = (I + 4 Aᵀ A)^-1, mean 4 S Aᵀ x. For an observation x it prints means, standard deviations and correlation
//! of 10,000 draws beside the exact ones, which must agree within 0.05; and for 1000 fresh pairs the mean of log p - log q, the exact posterior
//! against the learnt one, which is their mean Kullback-Leibler divergence: 0 for a perfect one, and must be below 0.03 nats.

use pushforward::closed_form::GaussianFlow;
use pushforward::data::{ConditionColumn, ConditionKind, Conditions};
use pushforward::nn::MlpShape;
use pushforward::rng::{Purpose, Stream};
use pushforward::{AffinePath, Divergence, Mlp, Rng, Solver, Tensor, Trainer};

const A: [[f64; 2]; 3] = [[1.0, 0.5], [0.0, 1.0], [0.5, -0.5]];
const NOISE: f64 = 0.5;

/// n parameters from the prior, [n, 2], and what the simulator makes of each, [n, 3].
fn simulate(n: usize, stream: &mut Stream) -> (Tensor<f64>, Tensor<f64>) {
    let (mut theta, mut x) = (Tensor::zeros(n, 2), Tensor::zeros(n, 3));
    for i in 0..n {
        let [a, b] = [stream.normal(), stream.normal()];
        theta.row_mut(i).copy_from_slice(&[a, b]);
        x.row_mut(i).copy_from_slice(&A.map(|row| row[0] * a + row[1] * b + NOISE * stream.normal()));
    }
    (theta, x)
}

/// Mean and covariance of the exact posterior.
fn posterior(x: &[f64]) -> ([f64; 2], [[f64; 2]; 2]) {
    let gram = |j: usize, k: usize| A.iter().map(|row| row[j] * row[k]).sum::<f64>() / NOISE.powi(2);
    let [p, q, r] = [1.0 + gram(0, 0), gram(0, 1), 1.0 + gram(1, 1)]; // the precision [[p, q], [q, r]]
    let det = p * r - q * q;
    let s = [[r / det, -q / det], [-q / det, p / det]];
    let seen = [0, 1].map(|j| A.iter().zip(x).map(|(row, x)| row[j] * x).sum::<f64>() / NOISE.powi(2));
    (s.map(|row| row[0] * seen[0] + row[1] * seen[1]), s)
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
#[allow(clippy::cast_precision_loss, reason = "some thousand rows")]
fn main() -> pushforward::Result<()> {
    let mut rng = Rng::from_seed(0);
    let stream = &mut rng.fork(Purpose::Data).stream(0);
    let (theta, x) = simulate(50_000, stream);
    let column = |name: &str| ConditionColumn { name: name.into(), kind: ConditionKind::Numeric };
    let conditions = Conditions::fit(["x1", "x2", "x3"].map(column).to_vec(), &x)?;
    let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(2, &[64, 64, 64]) };
    let trainer =
        Trainer::new(AffinePath::default()).steps(6000).conditions(conditions, x).condition_dropout(0.0);
    let flow = trainer.fit(Mlp::initialize(shape, &mut rng)?, &theta, &mut rng)?;

    let (n, seen) = (10_000, [1.5, -0.5, 1.0]);
    let given = flow.given(&Tensor::from_vec(seen.repeat(n), n, 3)?, 1.0)?;
    let drawn = given.sample(n, &Solver::dopri5(), &mut rng)?.x;
    let mean = |f: &dyn Fn(&[f32]) -> f64| (0..n).map(|i| f(drawn.row(i))).sum::<f64>() / n as f64;
    let [a, b] = [0, 1].map(|j| mean(&|row| row[j].into()));
    let covariance =
        |j: usize, k: usize| mean(&|row| (f64::from(row[j]) - [a, b][j]) * (f64::from(row[k]) - [a, b][k]));
    let (m, s) = posterior(&seen);
    println!("              learnt    exact");
    for (name, learnt, exact) in [
        ("mean 1", a, m[0]),
        ("mean 2", b, m[1]),
        ("deviation 1", covariance(0, 0).sqrt(), s[0][0].sqrt()),
        ("deviation 2", covariance(1, 1).sqrt(), s[1][1].sqrt()),
        (
            "correlation",
            covariance(0, 1) / (covariance(0, 0) * covariance(1, 1)).sqrt(),
            s[0][1] / (s[0][0] * s[1][1]).sqrt(),
        ),
    ] {
        assert!((learnt - exact).abs() < 0.05);
        println!("{name:11} {learnt:8.3} {exact:8.3}");
    }

    let (theta, x) = simulate(1000, stream);
    let learnt = flow.given(&x, 1.0)?.log_density(&theta, Divergence::Exact, &Solver::dopri5(), &mut rng)?;
    let mut lost = 0.0;
    for (i, learnt) in learnt.log_density.iter().enumerate() {
        let (m, s) = posterior(x.row(i));
        let exact =
            GaussianFlow::new(&m, &Tensor::from_rows(&s))?.log_density(&theta.slice_rows(i..i + 1))?;
        lost += (exact[0] - learnt) / 1000.0;
    }
    assert!(lost < 0.03);
    println!("divergence of the learnt posterior from the exact one: {lost:.4} nats");
    Ok(())
}
