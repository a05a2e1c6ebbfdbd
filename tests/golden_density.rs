//! Log-densities in five dimensions by solvers that choose their steps, against PyTorch: golden/log_density.json holds what
//! golden/log_density.py computed in f64 with many fixed steps.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::likelihood::log_density;
use pushforward::nn::MlpShape;
use pushforward::{Divergence, Mlp, Rng, Solver, Source, Tensor};

/// Of a log-density and of a number of x_0. The tolerance of a step is a thousandth of it; there are some tens of steps, and the
/// flow of such a network stretches by less than ten.
const BOUND: f64 = 1e-5;
const TOLERANCE: f64 = 1e-8;

/// What PyTorch's own steps may be off by.
const OF_PYTORCH: f64 = 1e-9;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    made_by: String,
    dim: usize,
    hidden: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    activation: String,
    time_embedding: String,
    parameters: Vec<f64>,
    /// [B, 5] each.
    x_1: Vec<f64>,
    x_0: Vec<f64>,
    log_density: Vec<f64>,
    /// By how much twice the steps change the log-densities.
    error: f64,
}

#[track_caller]
fn assert_close(what: &str, found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= BOUND, "{what} {i}: {found} against {wanted}");
    }
}

#[test]
fn chosen_steps_find_the_log_densities_of_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("golden/log_density.json")).unwrap();
    assert!(golden.made_by.starts_with("PyTorch 2.") && golden.dim == 5);
    for case in &golden.cases {
        assert!(case.error <= OF_PYTORCH);
        let mut shape = MlpShape::new(golden.dim, &golden.hidden);
        shape.activation = case.activation.parse().unwrap();
        shape.time_embedding = case.time_embedding.parse().unwrap();
        let network = Mlp::<f64>::from_parameters(shape, case.parameters.clone()).unwrap();
        let rows = case.log_density.len();
        let x_1 = Tensor::from_vec(case.x_1.clone(), rows, golden.dim).unwrap();
        for solver in [Solver::bosh3(), Solver::dopri5(), Solver::tsit5(), Solver::dop853()] {
            let solver = solver.tolerance(TOLERANCE);
            let name = format!("{} {}", solver.method, case.activation);
            let mut rng = Rng::from_seed(0);
            let scores =
                log_density(&network, Source::Normal, &x_1, Divergence::Exact, &solver, &mut rng).unwrap();
            assert_close(&format!("{name}: log-density"), &scores.log_density, &case.log_density);
            let back = solver.solve(&network, &x_1, 1.0..0.0).unwrap();
            assert_close(&format!("{name}: x_0"), back.x.as_slice(), &case.x_0);
        }
    }
}
