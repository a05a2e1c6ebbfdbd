//! The reductions and Adam against [`naive`].

use proptest::prelude::*;

use super::super::adam::{AdamState, AdamStep, adam, sum_slots};
use super::super::dispatch::{Simd, SimdLevel};
use super::super::naive;
use super::super::real::Real;
use super::super::reduce::{dot, squared_distances, sum, sum_products, sum_squares};
use super::{Padded, bits, cases, levels, normals, numbers};

/// A sum of n terms in f64 is off by at most n roundoffs of the sum of the magnitudes, in any order; the reduction
/// and its twin both are.
fn bound(n: usize, magnitude: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let roundings = n as f64;
    2.02 * roundings * f64::ROUNDOFF * magnitude
}

/// The order that the head of `reduce` states, term by term.
fn in_order(terms: &[Vec<f64>]) -> f64 {
    let mut a = [0.0; 16];
    for row in terms {
        for (c, term) in row.iter().enumerate() {
            a[c % 16] += term;
        }
    }
    let eight: [f64; 8] = std::array::from_fn(|j| a[j] + a[j + 8]);
    let four: [f64; 4] = std::array::from_fn(|j| eight[j] + eight[j + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

fn check_slices<R: Real>(n: usize, seed: u64) {
    let mut stream = numbers(seed);
    let (a, b) = (normals::<R>(&mut stream, n), normals::<R>(&mut stream, n));
    let terms = |f: &dyn Fn(usize) -> f64| vec![(0..n).map(f).collect::<Vec<_>>()];
    let (x, y) = (|i: usize| a[i].to_f64(), |i: usize| b[i].to_f64());
    let magnitude = |terms: &[Vec<f64>]| terms.iter().flatten().map(|t| t.abs()).sum::<f64>();
    for simd in levels() {
        for (got, twin, terms) in [
            (sum(simd, &a), naive::sum(&a), terms(&x)),
            (sum_squares(simd, &a), naive::sum_squares(&a), terms(&|i| x(i) * x(i))),
            (dot(simd, &a, &b), naive::dot(&a, &b), terms(&|i| x(i) * y(i))),
        ] {
            assert_eq!(got.to_bits(), in_order(&terms).to_bits(), "order at {}", simd.level());
            assert!((got - twin).abs() <= bound(n, magnitude(&terms)), "{got} against {twin}");
        }
    }
}

fn check_squared_distances<R: Real>(rows: usize, cols: usize, padding: usize, seed: u64) {
    let mut stream = numbers(seed);
    let u = Padded::<R>::normal(rows, cols, padding, &mut stream);
    let target = Padded::<R>::normal(rows, cols, 0, &mut stream);
    let mut squares = Padded::<R>::from_fn(rows, 1, padding, |_, _| 0.0);
    let mut twin_squares = squares.clone();
    naive::squared_distances(u.rows(), target.rows(), twin_squares.rows_mut());
    let error = |i: usize, j: usize| (u.rows().row(i)[j] - target.rows().row(i)[j]).to_f64();
    for simd in levels() {
        squared_distances(simd, u.rows(), target.rows(), squares.rows_mut());
        for (i, (&got, &twin)) in squares.numbers().iter().zip(&twin_squares.numbers()).enumerate() {
            let terms: Vec<f64> = (0..cols).map(|j| error(i, j) * error(i, j)).collect();
            let exact = in_order(&[terms]);
            let rounded = R::from_f64(exact);
            assert_eq!(bits(&[got]), bits(&[rounded]), "order at {}", simd.level());
            // Both are rounded to R at the end.
            let bound = bound(cols, exact) + 2.0 * R::ROUNDOFF * exact;
            assert!((got.to_f64() - twin.to_f64()).abs() <= bound, "{got} against {twin}");
        }
    }
}

/// Parameters, moments and average of a run that is under way.
#[derive(Clone)]
struct State<R> {
    theta: Vec<R>,
    m: Vec<R>,
    v: Vec<R>,
    previous: Vec<R>,
    average: Vec<R>,
}

impl<R: Real> State<R> {
    fn lend(&mut self) -> AdamState<'_, R> {
        AdamState {
            theta: &mut self.theta,
            m: &mut self.m,
            v: &mut self.v,
            previous: &mut self.previous,
            average: &mut self.average,
        }
    }
}

fn check_adam<R: Real>(simd: Simd, step: &AdamStep, n: usize, seed: u64) {
    /// Roundings of each formula, constants included: m and the average 4, v 6, the change of theta 20; one more
    /// where the twin rounds its result.
    const ROUNDINGS: [f64; 3] = [5.0, 7.0, 21.0];
    let mut stream = numbers(seed);
    let gradient = normals::<R>(&mut stream, n);
    let mut state = State {
        theta: normals(&mut stream, n),
        m: normals(&mut stream, n),
        v: normals::<R>(&mut stream, n).into_iter().map(|v| v * v).collect(),
        previous: vec![R::ZERO; n],
        average: normals(&mut stream, if step.ema_decay.is_some() { n } else { 0 }),
    };
    let (old, mut twin) = (state.clone(), state.clone());
    adam(simd, step, &gradient, state.lend());
    naive::adam(step, &gradient, twin.lend());
    assert_eq!(bits(&state.previous), bits(&old.theta));
    for i in 0..n {
        let [theta, m, v] = [&old.theta, &old.m, &old.v].map(|x| x[i].to_f64());
        let g = step.gradient_scale * gradient[i].to_f64();
        let near = |what: &str, got: R, expected: R, roundings: f64, magnitude: f64| {
            let error = (got.to_f64() - expected.to_f64()).abs();
            assert!(error <= roundings * R::ROUNDOFF * magnitude, "{what}: {got} against {expected}");
        };
        let magnitude = step.beta_1 * m.abs() + (1.0 - step.beta_1) * g.abs();
        near("m", state.m[i], twin.m[i], ROUNDINGS[0], magnitude);
        near("v", state.v[i], twin.v[i], ROUNDINGS[1], step.beta_2 * v + (1.0 - step.beta_2) * g * g);
        if let Some(decay) = step.ema_decay {
            let magnitude = decay * old.average[i].to_f64().abs() + (1.0 - decay) * theta.abs();
            near("average", state.average[i], twin.average[i], ROUNDINGS[0], magnitude);
        }
        // The subtraction rounds to theta; all else is relative to the change, were nothing to cancel in m.
        let below = (twin.v[i].to_f64() / step.correction_2).sqrt() + step.epsilon;
        let change = step.lr * (step.weight_decay * theta.abs() + magnitude / step.correction_1 / below);
        let bound = (2.0 * (theta.abs() + change) + ROUNDINGS[2] * change) * R::ROUNDOFF;
        near("theta", state.theta[i], twin.theta[i], 1.0, bound / R::ROUNDOFF);

        // The same bits wherever a parameter stands.
        let mut alone = State {
            theta: vec![old.theta[i]],
            m: vec![old.m[i]],
            v: vec![old.v[i]],
            previous: vec![R::ZERO],
            average: old.average.get(i).copied().into_iter().collect(),
        };
        adam(simd, step, &gradient[i..=i], alone.lend());
        assert_eq!(bits(&alone.theta), bits(&state.theta[i..=i]));
    }
}

fn check_slots<R: Real>(simd: Simd, n: usize, slots: usize, seed: u64) {
    let mut stream = numbers(seed);
    let slots: Vec<Vec<R>> = (0..slots).map(|_| normals(&mut stream, n)).collect();
    let slots: Vec<&[R]> = slots.iter().map(Vec::as_slice).collect();
    let (mut got, mut expected) = (normals::<R>(&mut stream, n), vec![R::ZERO; n]);
    let squares = sum_slots(simd, &slots, 0, &mut got);
    let twin = naive::sum_slots(&slots, &mut expected);
    assert_eq!(bits(&got), bits(&expected));
    assert_eq!(squares.to_bits(), sum_squares(simd, &got).to_bits());
    assert!((squares - twin).abs() <= bound(n, twin));
}

/// Each column is added in R: a sum of `rows` products, each rounded at most twice; then at most `cols` f64.
fn check_sum_products<R: Real>((rows, times, cols): (usize, usize, usize), padding: usize, seed: u64) {
    let mut stream = numbers(seed);
    let a = Padded::<R>::normal(rows * times, cols, padding, &mut stream);
    let b = Padded::<R>::normal(rows, cols, 0, &mut stream);
    let (mut twin, mut got) = (vec![0.0; times], vec![0.0; times]);
    naive::sum_products(a.rows(), b.rows(), &mut twin);
    for simd in levels() {
        sum_products(simd, a.rows(), b.rows(), &mut got);
        for i in 0..times {
            let product =
                |k: usize, j: usize| a.rows().row(i * rows + k)[j].to_f64() * b.rows().row(k)[j].to_f64();
            let magnitude: f64 = (0..rows).flat_map(|k| (0..cols).map(move |j| product(k, j).abs())).sum();
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let bound = 1.01 * ((rows + 1) as f64 * R::ROUNDOFF + cols as f64 * f64::ROUNDOFF) * magnitude;
            assert!((got[i] - twin[i]).abs() <= bound, "{got:?} against {twin:?} at {}", simd.level());
        }
        // The padding is NaN: it plays no part. Nor does it change a bit.
        let mut again = got.clone();
        let wide = Padded::<R>::from_fn(rows * times, cols, 80, |i, j| a.rows().row(i)[j].to_f64());
        let wider = Padded::<R>::from_fn(rows, cols, 80, |i, j| b.rows().row(i)[j].to_f64());
        sum_products(simd, wide.rows(), wider.rows(), &mut again);
        assert_eq!(bits(&got), bits(&again));
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn slices_add_in_the_stated_order(n in 0_usize..300, seed in 0_u64..1 << 32) {
        check_slices::<f32>(n, seed);
        check_slices::<f64>(n, seed);
    }

    #[test]
    fn sums_of_products_agree_with_their_twin(
        shape in (0_usize..40, 0_usize..4, 0_usize..150), padding in 0_usize..20, seed: u64
    ) {
        check_sum_products::<f32>(shape, padding, seed);
        check_sum_products::<f64>(shape, padding, seed);
    }

    #[test]
    fn squared_distances_add_in_the_stated_order(
        (rows, cols, padding) in (0_usize..40, 0_usize..70, 0_usize..20),
        seed in 0_u64..1 << 32,
    ) {
        check_squared_distances::<f32>(rows, cols, padding, seed);
        check_squared_distances::<f64>(rows, cols, padding, seed);
    }

    #[test]
    fn adam_is_its_twin(
        n in prop_oneof![0_usize..70, 250_usize..600],
        (lr, weight_decay, gradient_scale) in (1e-5..1e-1_f64, 0.0..1.0_f64, 1e-3..10.0_f64),
        steps in 1_i32..1000,
        ema_decay in prop::option::of(0.5..0.9999_f64),
        seed in 0_u64..1 << 32,
    ) {
        let (beta_1, beta_2) = (0.9, 0.999);
        let step = AdamStep {
            lr,
            beta_1,
            beta_2,
            epsilon: 1e-8,
            weight_decay,
            correction_1: 1.0 - f64::powi(beta_1, steps),
            correction_2: 1.0 - f64::powi(beta_2, steps),
            gradient_scale,
            ema_decay,
        };
        for simd in levels() {
            check_adam::<f32>(simd, &step, n, seed);
            check_adam::<f64>(simd, &step, n, seed);
        }
    }

    #[test]
    fn slots_add_in_their_order(n in 0_usize..700, slots in 0_usize..9, seed in 0_u64..1 << 32) {
        for simd in levels() {
            check_slots::<f32>(simd, n, slots, seed);
            check_slots::<f64>(simd, n, slots, seed);
        }
    }
}

#[test]
fn adam_takes_the_steps_that_it_is_known_for() {
    // With a constant gradient g both moments are g and g² after their corrections: every step is lr.
    let (lr, g) = (0.01, 5.0);
    let mut state =
        State { theta: vec![1.0_f64], m: vec![0.0], v: vec![0.0], previous: vec![0.0], average: vec![1.0] };
    for n in 1..=3 {
        let step = AdamStep {
            lr,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 0.0,
            weight_decay: 0.0,
            correction_1: 1.0 - f64::powi(0.9, n),
            correction_2: 1.0 - f64::powi(0.999, n),
            gradient_scale: 0.5,
            ema_decay: Some(0.5),
        };
        adam(Simd::detect(), &step, &[2.0 * g], state.lend());
        assert!((state.theta[0] - (1.0 - lr * f64::from(n))).abs() < 1e-12);
    }
    // The average has seen 1, 1, 0.99, 0.98 (each half of what is left): the last step is not in it.
    assert!((state.average[0] - (0.5 * (0.5 * (0.5 + 0.5) + 0.5 * 0.99) + 0.5 * 0.98)).abs() < 1e-12);
    assert!((state.previous[0] - 0.98).abs() < 1e-12);
}

#[test]
#[should_panic(expected = "length of the average")]
fn an_average_that_nobody_asked_for_is_refused() {
    let step = AdamStep {
        lr: 0.1,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        correction_1: 0.1,
        correction_2: 0.001,
        gradient_scale: 1.0,
        ema_decay: None,
    };
    let one = vec![1.0_f32];
    let mut state =
        State { theta: one.clone(), m: one.clone(), v: one.clone(), previous: one.clone(), average: one };
    adam(Simd::of(SimdLevel::Portable).unwrap(), &step, &[1.0], state.lend());
}
