//! E24: methods that choose their steps keep the error near the tolerance, for each row by itself, at times within
//! [t_0, t_1], and end in an answer or in an error that says why.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::sync::Mutex;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use pushforward::closed_form::GaussianFlow;
use pushforward::field::FnField;
use pushforward::likelihood::log_density;
use pushforward::ode::{Method, Reason, RowStats, Stats};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Result, Rng, Solver, Source, Tensor};

const METHODS: [Method; 4] = [Method::Bosh3, Method::Dopri5, Method::Tsit5, Method::Dop853];

type Field = FnField<fn(f64, &[f64], &mut [f64])>;

/// A field with a known solution: x at the ends of an interval.
struct Known {
    name: &'static str,
    field: Field,
    t: Range<f64>,
    x_0: Vec<f64>,
    exact: fn(f64) -> Vec<f64>,
}

impl Known {
    /// The largest error of a component of the solution at t_1.
    fn error(&self, solver: Solver) -> f64 {
        let x_0 = Tensor::from_vec(self.x_0.clone(), 1, self.x_0.len()).unwrap();
        let found = solver.solve(&self.field, &x_0, self.t.clone()).unwrap();
        distance(found.x.row(0), &(self.exact)(self.t.end))
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn known() -> [Known; 5] {
    let decay: fn(f64, &[f64], &mut [f64]) = |_t, x, u| u[0] = -x[0];
    let turn: fn(f64, &[f64], &mut [f64]) = |_t, x, u| (u[0], u[1]) = (-3.0 * x[1], 3.0 * x[0]);
    let logistic: fn(f64, &[f64], &mut [f64]) = |_t, x, u| u[0] = 4.0 * x[0] * (1.0 - x[0]);
    let growth: fn(f64, &[f64], &mut [f64]) = |t, x, u| u[0] = x[0] * t * t;
    [
        Known {
            name: "decay",
            field: FnField::new(1, decay),
            t: 0.0..2.0,
            x_0: vec![1.0],
            exact: |t| vec![(-t).exp()],
        },
        Known {
            name: "rotation",
            field: FnField::new(2, turn),
            t: 0.0..1.0,
            x_0: vec![1.0, 0.0],
            exact: |t| vec![(3.0 * t).cos(), (3.0 * t).sin()],
        },
        Known {
            name: "logistic",
            field: FnField::new(1, logistic),
            t: 0.0..2.0,
            x_0: vec![0.1],
            exact: |t| vec![1.0 / (1.0 + 9.0 * (-4.0 * t).exp())],
        },
        Known {
            name: "growth",
            field: FnField::new(1, growth),
            t: 0.0..1.0,
            x_0: vec![1.0],
            exact: |t| vec![(t.powi(3) / 3.0).exp()],
        },
        Known {
            name: "growth, backwards",
            field: FnField::new(1, growth),
            t: 1.0..0.0,
            x_0: vec![(1.0_f64 / 3.0).exp()],
            exact: |t| vec![(t.powi(3) / 3.0).exp()],
        },
    ]
}

/// The least tolerance at which rounding does not show yet.
fn least(method: Method) -> i32 {
    if method == Method::Bosh3 { 8 } else { 11 }
}

// ---------------------------------------------------------------- the tolerance

#[test]
fn errors_are_of_the_size_of_the_tolerance() {
    // The estimate is that of the lower order, the step takes the higher one: most errors are below the tolerance. The
    // error at the end is the sum of some ten to hundred steps, each kept below it.
    const TIMES: f64 = 10.0;
    for known in known() {
        for method in METHODS {
            for digits in 3..=least(method) {
                let tolerance = 10.0_f64.powi(-digits);
                let error = known.error(Solver::new(method).tolerance(tolerance));
                assert!(error < TIMES * tolerance, "{} {method} {tolerance}: {error}", known.name);
            }
        }
    }
}

#[test]
fn errors_are_proportional_to_the_tolerance() {
    // Slope of log error over log tolerance; the theory says 1 for small tolerances. Errors of single runs scatter by
    // some factor of 5 with where the steps fall: over five decades that is 0.14 at either end.
    const SLOPE_BOUND: f64 = 0.3;
    for known in known() {
        for method in METHODS {
            let (first, last) = (least(method) - 5, least(method));
            let of = |digits: i32| known.error(Solver::new(method).tolerance(10.0_f64.powi(-digits))).log10();
            let slope = (of(first) - of(last)) / f64::from(last - first);
            assert!((slope - 1.0).abs() < SLOPE_BOUND, "{} {method}: {slope}", known.name);
        }
    }
}

#[test]
fn absolute_and_relative_tolerances_do_what_they_say() {
    // x = 1e6 e^-t: rtol counts where x is large, atol where it is small.
    let field = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0]);
    let solve = |solver: &Solver, x_0: f64| {
        solver.solve(&field, &Tensor::from_rows(&[[x_0]]), 0.0..1.0).unwrap().rows[0]
    };
    let relative = Solver::dopri5().rtol(1e-8).atol(1e-300);
    let absolute = Solver::dopri5().rtol(0.0).atol(1e-8);
    assert_eq!(solve(&relative, 1.0), solve(&relative, 1.0 / 1024.0), "a power of two changes no digit");
    assert!(solve(&absolute, 1e6).accepted > 10 * solve(&absolute, 1.0).accepted);
    assert!(solve(&absolute, 1.0).accepted > 2 * solve(&absolute, 1e-4).accepted);
}

#[test]
fn each_column_has_its_tolerance() {
    // Two oscillations side by side: only the tight column costs steps, and only it is exact.
    let beside = FnField::new(2, |t: f64, _x: &[f64], u: &mut [f64]| {
        (u[0], u[1]) = (10.0 * (10.0 * t).cos(), 10.0 * (10.0 * t).cos());
    });
    let solve = |atol: [f64; 2]| {
        let solver = Solver::dopri5().rtol(0.0).atol(atol);
        let solution = solver.solve(&beside, &Tensor::zeros(1, 2), 0.0..1.0).unwrap();
        (solution.rows[0], solution.x.row(0).iter().map(|x| (x - 10.0_f64.sin()).abs()).fold(0.0, f64::max))
    };
    let (tight, both, loose) = (solve([1e-9, 1e3]), solve([1e-9, 1e-9]), solve([1e3, 1e3]));
    assert_eq!(solve([1e3, 1e-9]), tight, "the columns are alike");
    // The norm is a mean over the columns: one column alone may be wrong by sqrt 2 as much.
    assert!(tight.0.accepted > 5 * loose.0.accepted && tight.0.accepted <= both.0.accepted, "{tight:?}");
    assert!(tight.1 < 1e-8 && loose.1 > 1e-4, "{tight:?} {loose:?}");
}

#[test]
fn what_a_row_carries_has_the_least_tolerance_or_its_own() {
    let flow = GaussianFlow::new(&[1.0, 0.0], &Tensor::from_rows(&[[0.01, 0.0], [0.0, 4.0]])).unwrap();
    let (u, x_1) = (flow.velocity(AffinePath::default()), Tensor::from_rows(&[[1.1, 2.0]]));
    let exact = flow.log_density(&x_1).unwrap()[0];
    let score = |tolerance: &[f64]| {
        let solver = Solver::dopri5().rtol(0.0).atol(tolerance.to_vec());
        let scores =
            log_density(&u, Source::Normal, &x_1, Divergence::Exact, &solver, &mut Rng::from_seed(0))
                .unwrap();
        (scores.stats.nfe, (scores.log_density[0] - exact).abs())
    };
    let (least, own, loose) = (score(&[1e3, 1e-9]), score(&[1e3, 1e3, 1e-9]), score(&[1e3, 1e3, 1e3]));
    // Some ten steps of at most the tolerance each; x is controlled by it through the steps only.
    assert!(least.1 < 1e-7 && own.1 < 1e-6 && loose.1 > 1e-4, "{least:?} {own:?} {loose:?}");
    assert!(own.0 > 3.0 * loose.0 && least.0 > 3.0 * loose.0, "{least:?} {own:?} {loose:?}");
    assert_eq!(score(&[1e3, 1e-3]), score(&[1e3, 1e-3, 1e-3]));
}

// ---------------------------------------------------------------- what it takes

/// Solves a field and counts the rows it is asked for, with the times.
fn count(
    solver: Solver,
    x: &Tensor<f64>,
    t: Range<f64>,
    f: impl Fn(f64, &[f64], &mut [f64]) + Sync,
) -> (Vec<f64>, Result<Vec<RowStats>>) {
    let asked = Mutex::new(Vec::new());
    let field = FnField::new(x.cols(), |t: f64, x: &[f64], u: &mut [f64]| {
        asked.lock().unwrap().push(t);
        f(t, x, u);
    });
    let solution = solver.solve(&field, x, t);
    (asked.into_inner().unwrap(), solution.map(|solution| solution.rows))
}

#[test]
fn each_evaluation_is_counted_and_none_is_wasted() {
    // Two before the first step, one of them for its length; then the stages of a step but the first, which is the last
    // one of the step before, or that of the step that was rejected. Rows that are done are not asked for.
    let x = Tensor::from_vec((0..300).map(|i| 0.02 * f64::from(i) - 3.0).collect(), 300, 1).unwrap();
    for (method, stages) in
        [(Method::Bosh3, 3), (Method::Dopri5, 6), (Method::Tsit5, 6), (Method::Dop853, 12)]
    {
        // A kink at x = 0.5 makes steps that are rejected.
        let (asked, rows) = count(Solver::new(method), &x, 0.0..3.0, |t, x, u| {
            u[0] = if x[0] > 0.5 { 3.0 } else { x[0] * (5.0 * t).cos() };
        });
        let rows = rows.unwrap();
        for row in &rows {
            assert_eq!(row.nfe, 2 + stages * (row.accepted + row.rejected), "{method} {row:?}");
        }
        assert_eq!(asked.len() as u64, rows.iter().map(|row| row.nfe).sum::<u64>(), "{method}");
        let different: std::collections::BTreeSet<u64> = rows.iter().map(|row| row.nfe).collect();
        assert!(different.len() > 5 && rows.iter().any(|row| row.rejected > 0), "{method}: too easy a test");
        let stats = Stats::of(&rows);
        assert!((stats.nfe * 300.0 - asked.len() as f64).abs() < 1e-6);
    }
}

#[test]
fn the_field_is_only_asked_within_the_interval() {
    let x = Tensor::from_rows(&[[0.1], [-1.0], [30.0]]);
    for t in [0.0..1.0, 1.0..0.0, 0.1..0.3, 0.3..0.1, -1.7..0.9, 5.0..5.5, -1e-9..1e-9, 1e6..1e6 + 1.0] {
        for method in METHODS {
            for tolerance in [1e-2, 1e-6] {
                let solver = Solver::new(method).tolerance(tolerance);
                let (asked, rows) = count(solver, &x, t.clone(), |t, x, u| u[0] = (7.0 * t).sin() - x[0]);
                rows.unwrap();
                let (first, last) = (t.start.min(t.end), t.start.max(t.end));
                assert!(asked.iter().all(|t| (first..=last).contains(t)), "{method} {t:?}");
                for end in [t.start, t.end] {
                    assert!(
                        asked.iter().any(|t| t.to_bits() == end.to_bits()),
                        "{method} {t:?}: not at {end}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_empty_interval_is_no_work() {
    let (x, f) = (Tensor::from_rows(&[[2.0]]), |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 1.0);
    let solution = Solver::dopri5().solve(&FnField::new(1, f), &x, 0.7..0.7).unwrap();
    let none = RowStats { reason: Reason::Done, ..RowStats::default() };
    assert_eq!((solution.x, solution.rows), (x.clone(), vec![none]));
    let course = Solver::dopri5().trajectory(&FnField::new(1, f), &x, 0.7..0.7, 3).unwrap();
    assert!(course.x.iter().all(|at| *at == x));
    let none = Solver::tsit5().solve(&FnField::new(1, f), &Tensor::zeros(0, 1), 0.0..1.0).unwrap();
    assert_eq!((none.x.rows(), none.stats), (0, Stats::default()));
}

#[test]
fn easy_fields_take_few_steps() {
    // No velocity, a constant one and a straight path, from a first step of 1e-6 that may grow tenfold each time.
    for f in [|_: f64| 0.0, |_| 2.5, |t: f64| t] {
        let field = FnField::new(1, move |t: f64, _x: &[f64], u: &mut [f64]| u[0] = f(t));
        let solution = Solver::dopri5().solve(&field, &Tensor::zeros(1, 1), 0.0..1.0).unwrap();
        assert!(solution.rows[0].accepted <= 8 && solution.rows[0].rejected == 0, "{:?}", solution.rows);
    }
}

// ---------------------------------------------------------------- flows

fn normal(rows: usize, d: usize, seed: u64) -> Tensor<f32> {
    let mut x = Tensor::zeros(rows, d);
    Source::Normal.fill(&Rng::from_seed(seed).fork(Purpose::Source), 0, &mut x);
    x
}

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(24), failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn gaussian_flows_are_the_known_maps_and_densities(
        mean in prop::collection::vec(-3.0..3.0, 3),
        scales in prop::collection::vec(0.3..2.0, 3),
        tilt in -0.9..0.9,
        method in prop::sample::select(METHODS.to_vec()),
        seed in any::<u64>(),
    ) {
        // E18 with S = L L^T, L lower triangular. The flow spreads errors by at most the largest scale, 2, and the
        // log-density by the inverse of the least, 3; some ten to hundred steps of at most the tolerance each.
        const TOLERANCE: f64 = 1e-7;
        const MAP_BOUND: f64 = 1e2 * TOLERANCE;
        const DENSITY_BOUND: f64 = 1e3 * TOLERANCE;
        let mut s = Tensor::zeros(3, 3);
        for i in 0..3 {
            s.row_mut(i)[i] = scales[i] * scales[i];
        }
        s.row_mut(0)[2] = tilt * scales[0] * scales[2];
        s.row_mut(2)[0] = tilt * scales[0] * scales[2];
        let flow = GaussianFlow::new(&mean, &s).unwrap();
        let (u, x_0) = (flow.velocity(AffinePath::default()), normal(8, 3, seed).cast::<f64>());
        let solver = Solver::new(method).tolerance(TOLERANCE);
        let (x_1, exact) = (solver.solve(&u, &x_0, 0.0..1.0).unwrap().x, flow.map(&x_0).unwrap());
        let back = solver.solve(&u, &x_1, 1.0..0.0).unwrap().x;
        let scores = log_density(&u, Source::Normal, &exact, Divergence::Exact, &solver, &mut Rng::from_seed(0)).unwrap();
        let density = flow.log_density(&exact).unwrap();
        for i in 0..8 {
            prop_assert!(distance(x_1.row(i), exact.row(i)) < MAP_BOUND, "{:?} {:?}", x_1.row(i), exact.row(i));
            prop_assert!(distance(back.row(i), x_0.row(i)) < DENSITY_BOUND);
            prop_assert!((scores.log_density[i] - density[i]).abs() < DENSITY_BOUND, "{} {}", scores.log_density[i], density[i]);
        }
        prop_assert!(scores.stats.nfe >= 8.0 && scores.stats.rows == 8);
    }
}

// ---------------------------------------------------------------- the course

#[test]
fn times_on_the_way_are_as_good_as_the_end_and_cost_nothing_or_three_a_step() {
    // Three to a hundred points in a step. Within a step the curve may be wrong by some times what the end of it is.
    const TIMES: f64 = 30.0;
    for known in known() {
        for method in METHODS {
            for (digits, intervals) in [(3, 100), (5, 37), (7, 50)] {
                let (tolerance, x_0) = (
                    10.0_f64.powi(-digits),
                    Tensor::from_vec(known.x_0.clone(), 1, known.x_0.len()).unwrap(),
                );
                let solver = Solver::new(method).tolerance(tolerance);
                let course = solver.trajectory(&known.field, &x_0, known.t.clone(), intervals).unwrap();
                let solution = solver.solve(&known.field, &x_0, known.t.clone()).unwrap();
                assert_eq!((&course.x[0], course.x.last().unwrap()), (&x_0, &solution.x));
                assert_eq!((course.t[0], course.t[intervals as usize]), (known.t.start, known.t.end));
                let more = course.stats.nfe - solution.stats.nfe;
                if method == Method::Dop853 {
                    let (in_steps, accepted) = (more / 3.0, solution.stats.accepted);
                    assert!(in_steps >= 1.0 && in_steps <= accepted, "{in_steps} of {accepted}");
                    assert!(in_steps.fract() == 0.0, "{more}");
                } else {
                    assert!(more == 0.0, "{method} {more}");
                }
                let nfe = solution.stats.nfe;
                assert_eq!(Stats { nfe, ..course.stats }, solution.stats, "{method}");
                for (t, x) in course.t.iter().zip(&course.x) {
                    let error = distance(x.row(0), &(known.exact)(*t));
                    assert!(error < TIMES * tolerance, "{} {method} {tolerance} at {t}: {error}", known.name);
                }
            }
        }
    }
}
