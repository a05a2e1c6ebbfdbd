//! E24: with chosen steps a row is the same in any company, on any number of threads, and what it carries is one more
//! component of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "numbers of rows")]

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use pushforward::field::{FnField, Worker};
use pushforward::ode::{AdaptiveIntegration, Method, Workspace};
use pushforward::rng::Purpose;
use pushforward::{Error, Result, Rng, Solver, Source, Tensor, VectorField};

const METHODS: [Method; 4] = [Method::Bosh3, Method::Dopri5, Method::Tsit5, Method::Dop853];

/// A field without symmetry whose rows carry something, in f32, where the order of additions would show.
struct Swirl;

impl Swirl {
    fn velocity(t: f32, x: &[f32], u: &mut [f32]) {
        u[0] = (3.0 * t).mul_add(x[1] * x[2], 0.3);
        u[1] = (x[0] + t).sin() - x[1];
        u[2] = x[0] * 0.7 - x[1] * x[2] * t;
    }
}

impl VectorField<f32> for Swirl {
    fn dim(&self) -> usize {
        3
    }
    fn eval(&self, t: &[f32], x: &Tensor<f32>, u: &mut Tensor<f32>) -> Result<()> {
        FnField::new(3, Self::velocity).eval(t, x, u)
    }
    fn worker(&self, rows: usize) -> Box<dyn Worker<f32> + '_> {
        Box::new(SwirlWorker(rows))
    }
}

/// Knows how many rows it was made for.
struct SwirlWorker(usize);

impl Worker<f32> for SwirlWorker {
    fn eval(&mut self, t: &[f32], x: &Tensor<f32>, u: &mut Tensor<f32>) -> Result<()> {
        assert!(t.len() == x.rows() && x.rows() == u.rows() && x.rows() <= self.0);
        Swirl.eval(t, x, u)
    }
    fn eval_carry(
        &mut self,
        t: &[f32],
        x: &Tensor<f32>,
        u: &mut Tensor<f32>,
        rate: &mut [f64],
    ) -> Result<()> {
        assert_eq!(rate.len(), x.rows());
        for (i, rate) in rate.iter_mut().enumerate() {
            *rate = (5.0 * f64::from(x.row(i)[0])).sin() * f64::from(t[i]);
        }
        self.eval(t, x, u)
    }
}

fn normal(rows: usize, d: usize, seed: u64) -> Tensor<f32> {
    let mut x = Tensor::zeros(rows, d);
    Source::Normal.fill(&Rng::from_seed(seed).fork(Purpose::Source), 0, &mut x);
    x
}

/// Rows of a matrix in any order.
fn pick(x: &Tensor<f32>, rows: &[usize]) -> Tensor<f32> {
    Tensor::from_vec(rows.iter().flat_map(|&i| x.row(i).to_vec()).collect(), rows.len(), x.cols()).unwrap()
}

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(24), failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn a_row_is_the_same_in_any_company(
        method in prop::sample::select(METHODS.to_vec()),
        digits in 2..6_i32,
        rows in prop::collection::vec(0..400_usize, 1..300),
        backwards in any::<bool>(),
    ) {
        let solver = Solver::new(method).tolerance(10.0_f64.powi(-digits));
        let t = if backwards { 1.0..0.0 } else { 0.0..1.0 };
        let x = normal(400, 3, 7);
        let all = solver.solve(&Swirl, &x, t.clone()).unwrap();
        let some = solver.solve(&Swirl, &pick(&x, &rows), t.clone()).unwrap();
        for (i, &row) in rows.iter().enumerate() {
            prop_assert_eq!(some.x.row(i), all.x.row(row));
            prop_assert_eq!(some.carry[i].to_bits(), all.carry[row].to_bits());
            prop_assert_eq!(some.rows[i], all.rows[row]);
        }
        let alone = solver.solve(&Swirl, &pick(&x, &rows[..1]), t.clone()).unwrap();
        prop_assert_eq!(alone.x.row(0), all.x.row(rows[0]));
        let course = solver.trajectory(&Swirl, &x, t.clone(), 5).unwrap();
        let part = solver.trajectory(&Swirl, &pick(&x, &rows), t, 5).unwrap();
        for (all, part) in course.x.iter().zip(&part.x) {
            prop_assert_eq!(part, &pick(all, &rows));
        }
        prop_assert_eq!(&course.x[5], &all.x);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let x = normal(700, 3, 3);
    for method in METHODS {
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let solver = Solver::new(method);
                let solution = solver.solve(&Swirl, &x, 0.0..1.0).unwrap();
                (solution, solver.trajectory(&Swirl, &x, 0.0..1.0, 7).unwrap())
            })
        };
        let one = of(1);
        assert!(one == of(2) && one == of(7), "{method}");
    }
}

#[test]
fn what_a_row_carries_is_controlled_with_it() {
    // x goes straight, the rate oscillates: without control of the carry, dopri5 would take a handful of steps.
    struct Straight;
    struct StraightWorker;
    impl VectorField<f64> for Straight {
        fn dim(&self) -> usize {
            1
        }
        fn eval(&self, _t: &[f64], _x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
            u.as_mut_slice().fill(1.0);
            Ok(())
        }
        fn worker(&self, _rows: usize) -> Box<dyn Worker<f64> + '_> {
            Box::new(StraightWorker)
        }
    }
    impl Worker<f64> for StraightWorker {
        fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
            Straight.eval(t, x, u)
        }
        fn eval_carry(
            &mut self,
            t: &[f64],
            x: &Tensor<f64>,
            u: &mut Tensor<f64>,
            rate: &mut [f64],
        ) -> Result<()> {
            for (rate, t) in rate.iter_mut().zip(t) {
                *rate = 20.0 * (20.0 * t).cos();
            }
            self.eval(t, x, u)
        }
    }
    for method in METHODS {
        for tolerance in [1e-4, 1e-6, 1e-8] {
            let solver = Solver::new(method).tolerance(tolerance);
            let solution = solver.solve(&Straight, &Tensor::zeros(2, 1), 0.0..1.0).unwrap();
            assert!((solution.x.row(1)[0] - 1.0).abs() < 1e-15);
            // Some ten to hundred steps of at most the tolerance each.
            assert!(
                (solution.carry[1] - 20.0_f64.sin()).abs() < 10.0 * tolerance,
                "{method} {:?}",
                solution.carry
            );
            assert!(
                solution.rows[0].accepted > if method == Method::Dop853 { 8 } else { 15 },
                "{method} {:?}",
                solution.rows
            );
        }
    }
}

/// Rows of one number with the velocity u(x), which carry C numbers with the rates rate(t, x, k).
#[derive(Clone, Copy)]
struct Carrying<const C: usize> {
    u: fn(f64) -> f64,
    rate: fn(f64, f64, usize) -> f64,
}

impl<const C: usize> VectorField<f64> for Carrying<C> {
    fn dim(&self) -> usize {
        1
    }
    fn eval(&self, _: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        u.as_mut_slice().iter_mut().zip(x.as_slice()).for_each(|(u, x)| *u = (self.u)(*x));
        Ok(())
    }
    fn worker(&self, _: usize) -> Box<dyn Worker<f64> + '_> {
        Box::new(CarryingWorker(*self))
    }
}

struct CarryingWorker<const C: usize>(Carrying<C>);

impl<const C: usize> Worker<f64> for CarryingWorker<C> {
    fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        self.0.eval(t, x, u)
    }
    fn carries(&self) -> usize {
        C
    }
    fn eval_carry(
        &mut self,
        t: &[f64],
        x: &Tensor<f64>,
        u: &mut Tensor<f64>,
        rate: &mut [f64],
    ) -> Result<()> {
        for (i, rates) in rate.chunks_exact_mut(C).enumerate() {
            for (k, rate) in rates.iter_mut().enumerate() {
                *rate = (self.0.rate)(t[i], x.row(i)[0], k);
            }
        }
        self.eval(t, x, u)
    }
}

/// Rows far out need other steps, and end at another time than the rest; all their rates are alike, or k + 1 times the first.
fn waves<const C: usize>(alike: bool) -> Carrying<C> {
    fn wave(t: f64, x: f64) -> f64 {
        20.0 * (20.0 * t * (1.0 + x)).cos()
    }
    let rate = if alike { |t, x, _| wave(t, x) } else { |t, x, k| (1.0 + k as f64) * wave(t, x) };
    Carrying { u: |x| (3.0 * x).sin(), rate }
}

fn places(rows: usize) -> Tensor<f64> {
    Tensor::from_vec((0..rows).map(|i| 0.01 * i as f64).collect(), rows, 1).unwrap()
}

#[test]
fn several_numbers_are_controlled_by_their_mean() {
    // The mean of four equal numbers is that number but for rounding, which a small error of the method's two results makes larger: as
    // many steps, of sizes that are a little different, and results that differ by less than the tolerance.
    const TOLERANCE: f64 = 1e-6;
    for method in METHODS {
        let solver = Solver::new(method).tolerance(TOLERANCE);
        let one = solver.solve(&waves::<1>(true), &places(100), 0.0..1.0).unwrap();
        let four = solver.solve(&waves::<4>(true), &places(100), 0.0..1.0).unwrap();
        assert_eq!(one.rows, four.rows, "{method}");
        for (i, carry) in four.carry.iter().enumerate() {
            assert!((carry - one.carry[i / 4]).abs() < TOLERANCE, "{method}: {carry} {}", one.carry[i / 4]);
        }
        for (a, b) in one.x.as_slice().iter().zip(four.x.as_slice()) {
            assert!((a - b).abs() < TOLERANCE, "{method}: {a} {b}");
        }
    }
}

#[test]
fn every_row_keeps_its_own_numbers() {
    for method in METHODS {
        let (field, solver) = (waves::<3>(false), Solver::new(method).tolerance(1e-6));
        let all = solver.solve(&field, &places(100), 0.0..1.0).unwrap();
        for i in 0..100 {
            let alone = solver.solve(&field, &places(100).slice_rows(i..i + 1), 0.0..1.0).unwrap();
            assert_eq!(alone.carry, &all.carry[3 * i..3 * i + 3], "{method}: row {i}");
            for (k, carry) in alone.carry.iter().enumerate() {
                // The same sums times 1, 2 and 3: a rounding each.
                let wanted = (1.0 + k as f64) * alone.carry[0];
                assert!((carry - wanted).abs() < 1e-13 * (1.0 + wanted.abs()), "{method}: {:?}", alone.carry);
            }
        }
    }
}

#[test]
fn what_is_carried_is_one_more_component() {
    // The same as a system of two: the same steps.
    let system = FnField::new(2, |t: f64, x: &[f64], u: &mut [f64]| {
        u[0] = (3.0 * x[0]).sin();
        u[1] = 20.0 * (20.0 * t * (1.0 + x[0])).cos();
    });
    for method in METHODS {
        let solver = Solver::new(method).tolerance(1e-6);
        for x in [0.0, 0.3, 0.9] {
            let carrying = solver.solve(&waves::<1>(true), &Tensor::from_rows(&[[x]]), 0.0..1.0).unwrap();
            let whole = solver.solve(&system, &Tensor::from_rows(&[[x, 0.0]]), 0.0..1.0).unwrap();
            assert_eq!(carrying.rows, whole.rows, "{method} from {x}");
            assert!((carrying.carry[0] - whole.x.row(0)[1]).abs() < 1e-12, "{method} from {x}");
        }
    }
}

#[test]
fn rates_that_are_no_numbers_are_named_by_their_row_where_they_count() {
    // Three numbers a row with the rate 1, but for the second one of row 700 (x = 1).
    let patchy = |rate| Carrying::<3> { u: |_| 0.0, rate };
    let everywhere = patchy(|_, x, k| if x >= 1.0 && k == 1 { f64::NAN } else { 1.0 });
    let at_0 = patchy(|t, x, k| if x >= 1.0 && k == 1 && t <= 0.0 { f64::NAN } else { 1.0 });
    let x = Tensor::from_vec((0..1000).map(|i| if i == 700 { 1.0 } else { 0.0 }).collect(), 1000, 1).unwrap();
    for method in Method::ALL {
        let error = Solver::new(method).solve(&everywhere, &x, 0.0..1.0).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("row 700") && error.contains("divergence"), "{method}: {error}");
    }
    for method in METHODS {
        // Found at once, not when a step has made a sum of it.
        let mut run =
            AdaptiveIntegration::new(&Solver::new(method), &everywhere, x.clone(), 0.0..1.0).unwrap();
        assert!(matches!(run.step(), Err(Error::Overflow { t: 0.0, row: 700, .. })), "{method}");
    }
    // The first stage of `midpoint` has no weight: what is carried has no part of it.
    let solution = Solver::midpoint().steps(1).solve(&at_0, &x, 0.0..1.0).unwrap();
    assert!(solution.carry.iter().all(|carry| (carry - 1.0).abs() < 1e-15));
    assert!(Solver::rk4().steps(1).solve(&at_0, &x, 0.0..1.0).is_err());
}

#[test]
fn rows_that_carry_are_moved_in_memory_that_is_kept() {
    for method in METHODS {
        let (field, solver) = (waves::<3>(false), Solver::new(method).tolerance(1e-6));
        let solution = solver.solve(&field, &places(300), 0.0..1.0).unwrap();
        let mut workspace = Workspace::new(&solver, &field, 300, 0.0..1.0).unwrap();
        for _ in 0..2 {
            let mut x = places(300);
            workspace.solve(&mut x).unwrap();
            assert_eq!(x, solution.x, "{method}");
        }
    }
}

#[test]
fn numbers_that_become_too_large_are_named_by_their_row() {
    // Far into the second block of rows; the answers themselves are finite.
    let x = Tensor::from_vec((0..1000).map(|i| if i == 700 { 1.0 } else { 0.0 }).collect(), 1000, 1).unwrap();
    let fast = FnField::new(1, |_: f64, x: &[f64], u: &mut [f64]| u[0] = x[0] * 1.5e308);
    let rate = Carrying::<1> { u: |_| 0.0, rate: |_, x, _| x * 1.5e308 };
    for method in METHODS {
        let solver = Solver::new(method);
        let errors =
            [solver.solve(&fast, &x, 0.0..4.0).unwrap_err(), solver.solve(&rate, &x, 0.0..4.0).unwrap_err()];
        for error in errors {
            assert!(error.to_string().contains("700"), "{method}: {error}");
        }
    }
}
