//! E24: with chosen steps a row is the same in any company, on any number of threads, and what it carries is one more
//! component of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use pushforward::field::{FnField, Worker};
use pushforward::ode::Method;
use pushforward::rng::Purpose;
use pushforward::{Result, Rng, Solver, Source, Tensor, VectorField};

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
