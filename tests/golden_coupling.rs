//! Exact and entropic couplings beside those of POT and SciPy: `tests/golden/coupling.json`, written by the script beside it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "numbers of rows, below 2048")]

use pushforward::coupling::{Sinkhorn, assign_points};
use pushforward::{Simd, Tensor};
use serde_json::Value;

/// Sums of at most 1024 numbers below 8, in another order than theirs.
const ROUNDING: f64 = 1e-12;

/// What a marginal error of [`Sinkhorn::tolerance`] = 1e-7 and of theirs (the file has it) leaves of a cost below 8.
const UNCONVERGED: f64 = 1e-6;

/// The points of the script: murmur's last steps on a counter.
fn points(n: usize, d: usize, side: u64) -> Tensor<f64> {
    let number = |i: u64| {
        let mut h = ((i * 2 + side + 1) * 0x9E37_79B1) & 0xFFFF_FFFF;
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35)] {
            h = ((h ^ (h >> shift)) * factor) & 0xFFFF_FFFF;
        }
        (h ^ (h >> 16)) as f64 / 4_294_967_296.0
    };
    let power = if side == 0 { 1 } else { 2 };
    Tensor::from_vec((0..(n * d) as u64).map(|i| number(i).powi(power)).collect(), n, d).unwrap()
}

fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

#[test]
fn costs_are_those_of_pot_and_scipy() {
    let golden: Value = serde_json::from_str(include_str!("golden/coupling.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let of = |name: &str| case[name].as_f64().unwrap();
        let (n, d) = (case["n"].as_u64().unwrap() as usize, case["d"].as_u64().unwrap() as usize);
        let (a, b) = (points(n, d, 0), points(n, d, 1));
        for simd in [Simd::portable(), Simd::detect()] {
            let columns = assign_points(simd, &a, &b).unwrap().columns;
            let cost = (0..n).map(|i| square(a.row(i), b.row(columns[i]))).sum::<f64>() / n as f64;
            assert!((cost - of("exact")).abs() < ROUNDING, "{n} x {d}: {cost} {}", of("exact"));
            // Random points have one best permutation.
            let theirs = case["permutation"].as_array().unwrap().iter().map(|j| j.as_u64().unwrap() as usize);
            assert!(theirs.eq(columns), "{n} x {d}: another permutation");
        }
        let sinkhorn = Sinkhorn { tolerance: 1e-7, max_iterations: 100_000, ..Sinkhorn::new(of("reg")) };
        let plan = sinkhorn.solve(Simd::detect(), &a, &b).unwrap();
        let row = |i: usize| plan.row(i).map(move |(j, p)| (i, j, p));
        let cost =
            (0..n).flat_map(row).map(|(i, j, p)| p * square(a.row(i), b.row(j))).sum::<f64>() / n as f64;
        assert!(of("marginal_error") < 1e-9);
        assert!((cost - of("entropic")).abs() < UNCONVERGED, "{n} x {d}: {cost} {}", of("entropic"));
    }
}
