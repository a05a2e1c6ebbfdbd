//! A field that is transformed linearly is its formula, and so are its derivatives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::path::{Terms, Transform, Transformed};
use pushforward::rng::Purpose;
use pushforward::{DifferentiableField as _, Mlp, Result, Rng, Source, Tensor, VectorField};

/// Four numbers that all move in t.
struct Moving;

impl Transform for Moving {
    fn terms(&self, t: f64) -> Result<Terms> {
        Ok(Terms { of_x: 0.3 + t, of_field: 2.0 - t, t: 0.5 * t * t, of_place: 1.5 - t })
    }
}

const D: usize = 3;
const ROWS: usize = 4;
const T: [f64; ROWS] = [0.0, 0.3, 0.7, 1.0];
/// Two sums of the same few products in another order.
const ROUNDING: f64 = 1e-12;

fn normals(rows: usize, seed: u64) -> Tensor<f64> {
    let mut x = Tensor::zeros(rows, D);
    Source::Normal.fill(&Rng::from_seed(seed).fork(Purpose::Source), 0, &mut x);
    x
}

fn of(field: &impl VectorField<f64>, x: &Tensor<f64>) -> Tensor<f64> {
    let mut u = Tensor::zeros(ROWS, D);
    field.eval(&T, x, &mut u).unwrap();
    u
}

#[test]
fn it_is_the_formula() {
    let inner = Mlp::<f64>::new(D, &[12], &mut Rng::from_seed(1)).unwrap();
    let x = normals(ROWS, 2);
    let u = of(&Transformed::new(&inner, Moving), &x);
    for i in 0..ROWS {
        let terms = Moving.terms(T[i]).unwrap();
        let place: Vec<f64> = x.row(i).iter().map(|x| terms.of_place * x).collect();
        let mut v = Tensor::zeros(1, D);
        inner.eval(&[terms.t], &Tensor::from_vec(place, 1, D).unwrap(), &mut v).unwrap();
        for j in 0..D {
            let wanted = terms.of_x * x.row(i)[j] + terms.of_field * v.row(0)[j];
            assert!((u.row(i)[j] - wanted).abs() < ROUNDING);
        }
    }
}

#[test]
fn its_derivatives_are_slopes_and_transposes() {
    // Central differences of a smooth network: the square of the step, and rounding over the step.
    const STEP: f64 = 1e-5;
    const BOUND: f64 = 1e-8;
    let inner = Mlp::<f64>::new(D, &[12], &mut Rng::from_seed(1)).unwrap();
    let field = Transformed::new(&inner, Moving);
    let (x, e) = (normals(ROWS, 2), normals(2 * ROWS, 3));
    let (mut u, mut d_u) = (Tensor::zeros(ROWS, D), Tensor::zeros(2 * ROWS, D));
    field.differential_worker(ROWS, 2).jvp(&T, &x, &e, &mut u, &mut d_u).unwrap();
    assert_eq!(u, of(&field, &x));
    for k in 0..2 {
        let moved = |by: f64| {
            let mut moved = x.clone();
            for i in 0..ROWS {
                for j in 0..D {
                    moved.row_mut(i)[j] += by * e.row(k * ROWS + i)[j];
                }
            }
            of(&field, &moved)
        };
        let (ahead, behind) = (moved(STEP), moved(-STEP));
        for i in 0..ROWS {
            for j in 0..D {
                let slope = (ahead.row(i)[j] - behind.row(i)[j]) / (2.0 * STEP);
                assert!((slope - d_u.row(k * ROWS + i)[j]).abs() < BOUND);
            }
        }
    }
    let (w, mut d_x) = (e.slice_rows(ROWS..2 * ROWS), Tensor::zeros(ROWS, D));
    field.differential_worker(ROWS, 1).vjp(&T, &x, &w, &mut u, &mut d_x).unwrap();
    for i in 0..ROWS {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((dot(w.row(i), d_u.row(i)) - dot(d_x.row(i), e.row(i))).abs() < ROUNDING);
    }
}

#[test]
fn its_divergence_is_the_trace() {
    let inner = Mlp::<f64>::new(D, &[12], &mut Rng::from_seed(1)).unwrap();
    let field = Transformed::new(&inner, Moving);
    let (x, mut u) = (normals(ROWS, 2), Tensor::zeros(ROWS, D));
    let (mut quick, mut plain) = (vec![0.0; ROWS], vec![0.0; ROWS]);
    field.divergence_worker(ROWS).eval_carry(&T, &x, &mut u, &mut quick).unwrap();
    field.trace_by_tangents(ROWS).eval_carry(&T, &x, &mut u, &mut plain).unwrap();
    for (a, b) in quick.iter().zip(&plain) {
        assert!((a - b).abs() < ROUNDING, "{a} {b}");
    }
}
