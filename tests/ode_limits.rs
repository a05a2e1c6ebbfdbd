//! What cannot be solved ends in an error that says where, in which row and what to do: neither in NaN nor never.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::field::FnField;
use pushforward::ode::{AdaptiveIntegration, Method, Reason};
use pushforward::{Error, Solver, Tensor};

const METHODS: [Method; 4] = [Method::Bosh3, Method::Dopri5, Method::Tsit5, Method::Dop853];

#[test]
fn a_velocity_that_is_singular_at_the_end_is_an_error_that_names_it() {
    // E8: (x_1 - x) / (1 - t) has no value at t = 1. Up to just before it, it is a straight line.
    let field = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| u[0] = (3.0 - x[0]) / (1.0 - t));
    let x = Tensor::from_rows(&[[0.0], [-1.0]]);
    for method in METHODS {
        let error = Solver::new(method).solve(&field, &x, 0.0..1.0).unwrap_err();
        match error {
            Error::Velocity { t, .. } => assert!(t > 1.0 - 1e-9 && t <= 1.0, "{method} {t}"),
            Error::StepSize { t, h, .. } => assert!(t > 1.0 - 1e-9 && h < 1e-14, "{method} {t} {h}"),
            other => panic!("{method}: {other}"),
        }
        let solution = Solver::new(method).solve(&field, &x, 0.0..0.999).unwrap();
        // Rounding of the stages, divided by 1 - t = 1e-3.
        assert!((solution.x.row(1)[0] - 2.996).abs() < 1e-10, "{method} {:?}", solution.x);
        assert!(
            solution.rows.iter().all(|row| row.accepted <= 9 && row.rejected == 0),
            "{:?}",
            solution.rows
        );
    }
    let single = FnField::new(1, |t: f32, x: &[f32], u: &mut [f32]| u[0] = (3.0 - x[0]) / (1.0 - t));
    let error = Solver::dopri5().solve(&single, &Tensor::from_rows(&[[0.0]]), 0.0..1.0).unwrap_err();
    assert!(matches!(error, Error::Velocity { .. } | Error::StepSize { .. }), "{error}");
}

#[test]
fn a_blow_up_on_the_way_is_an_error_that_names_it() {
    // x' = x², x(0) = 2: infinite at t = 1/2.
    let field = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = x[0] * x[0]);
    let x = Tensor::from_rows(&[[0.5], [2.0]]);
    for method in METHODS {
        let error = Solver::new(method).solve(&field, &x, 0.0..1.0).unwrap_err();
        match error {
            Error::StepSize { t, row: 1, .. } => assert!((t - 0.5).abs() < 1e-4, "{method} {t}"),
            Error::Steps { t, row: 1, .. } | Error::Velocity { t, row: 1, .. } => {
                assert!((t - 0.5).abs() < 1e-4, "{method} {t}");
            }
            other => panic!("{method}: {other}"),
        }
    }
}

#[test]
fn a_stiff_field_ends_in_an_error_that_says_what_to_do() {
    let field = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| u[0] = -1e6 * (x[0] - t.cos()));
    let x = Tensor::from_vec((0..200).map(|i| f64::from(i / 199)).collect(), 200, 1).unwrap();
    let error = Solver::dopri5().max_steps(1000).solve(&field, &x, 0.0..1.0).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Steps { steps: 1000, row: 0, t } if t > 0.0 && t < 0.1), "{text}");
    assert!(
        text.starts_with("the solver used 1000 steps at t = 0.00")
            && text.contains("raise `max_steps` or loosen"),
        "{text}"
    );
    // As many steps as allowed are no error if the last one ends at t_1.
    let easy = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0]);
    let rows = Solver::dopri5().solve(&easy, &x, 0.0..1.0).unwrap().rows;
    let steps = rows.iter().map(|row| row.accepted + row.rejected).max().unwrap();
    let steps = u32::try_from(steps).unwrap();
    assert!(Solver::dopri5().max_steps(steps).solve(&easy, &x, 0.0..1.0).is_ok());
    let error = Solver::dopri5().max_steps(steps - 1).solve(&easy, &x, 0.0..1.0).unwrap_err();
    assert!(matches!(error, Error::Steps { .. }), "{error}");
}

#[test]
fn a_field_that_is_not_finite_is_an_error() {
    let x = Tensor::from_vec((0..300).map(f64::from).collect(), 300, 1).unwrap();
    for method in METHODS {
        let solver = Solver::new(method);
        // At once, in one row.
        let nan = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| {
            u[0] = if x[0] > 298.5 { f64::NAN } else { 1.0 }
        });
        match solver.solve(&nan, &x, 0.0..1.0).unwrap_err() {
            Error::Velocity { t: 0.0, row: 299, value } => assert!(value.is_nan()),
            other => panic!("{method}: {other}"),
        }
        // From a time on: the last good time is found to all digits.
        let late = FnField::new(1, |t: f64, _x: &[f64], u: &mut [f64]| {
            u[0] = if t > 0.4 { f64::INFINITY } else { 1.0 }
        });
        match solver.solve(&late, &x, 0.0..1.0).unwrap_err() {
            Error::Velocity { t, value: f64::INFINITY, .. } => {
                assert!((t - 0.4).abs() < 1e-14, "{method} {t}")
            }
            other => panic!("{method}: {other}"),
        }
        // From the start on, and t = 0 has no next number that is far: still it ends.
        let never =
            FnField::new(1, |t: f64, _x: &[f64], u: &mut [f64]| u[0] = if t > 0.0 { f64::NAN } else { 1.0 });
        assert!(matches!(solver.solve(&never, &x, 0.0..1.0), Err(Error::Velocity { .. })));
    }
}

#[test]
fn a_step_too_far_into_where_the_field_has_no_value_is_tried_again() {
    // x' = -8 sqrt(x) reaches 0 at t = 1/4 and stays: long steps overshoot to where the root is NaN. With a wall of NaN
    // at x < 0 the row creeps to it and ends in an error; with a velocity of 0 there it ends well. Neither gives NaN.
    let wall = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -8.0 * x[0].sqrt());
    let x = Tensor::from_rows(&[[1.0]]);
    // Short of the wall there is an answer, though from some trial steps the field answered NaN: a first step of 1/2 is
    // tried from where it is slow.
    for method in METHODS {
        let solution = Solver::new(method).tolerance(1e-2).solve(&wall, &x, 0.0..0.24).unwrap();
        let exact = (1.0_f64 - 4.0 * 0.24).powi(2);
        assert!((solution.x.row(0)[0] - exact).abs() < 1e-2, "{method}");
        let error = Solver::new(method).solve(&wall, &x, 0.0..1.0).unwrap_err();
        assert!(
            matches!(error, Error::Velocity { row: 0, value, .. } if value.is_nan()),
            "{method}: {error}"
        );
    }
}

#[test]
fn numbers_that_leave_their_type_are_an_error() {
    let field = FnField::new(1, |_t: f32, x: &[f32], u: &mut [f32]| u[0] = 10.0 * x[0]);
    let x = Tensor::from_rows(&[[1e38]]);
    for method in METHODS {
        let error = Solver::new(method).solve(&field, &x, 0.0..1.0).unwrap_err();
        assert!(matches!(error, Error::Overflow { row: 0, .. } | Error::Velocity { row: 0, .. }), "{error}");
    }
}

#[test]
fn tolerances_below_rounding_end() {
    // Far below what f32 can do: an answer as good as f32 allows, or an error, but no endless loop.
    let field = FnField::new(1, |t: f32, x: &[f32], u: &mut [f32]| u[0] = (20.0 * t).sin() - x[0]);
    for method in METHODS {
        match Solver::new(method).tolerance(1e-14).solve(&field, &Tensor::from_rows(&[[1.0]]), 0.0..1.0) {
            Ok(solution) => assert!(solution.x.row(0)[0].is_finite()),
            Err(error) => assert!(matches!(error, Error::Steps { .. } | Error::StepSize { .. }), "{error}"),
        }
    }
}

#[test]
fn no_step_is_shorter_than_allowed() {
    // x' = x², x(0) = 2, infinite at t = 1/2: the distance to it is what a step may be.
    let field = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = x[0] * x[0]);
    let x = Tensor::from_rows(&[[0.5], [2.0]]);
    for method in METHODS {
        let solver = Solver::new(method).min_step(1e-4);
        let error = solver.solve(&field, &x, 0.0..1.0).unwrap_err();
        match error {
            Error::StepSize { t, h, least, row: 1 } => {
                assert!(
                    t > 0.4 && t < 0.5 && h < 1e-4 && (least - 1e-4).abs() < 1e-18,
                    "{method} {t} {h} {least}"
                );
            }
            other => panic!("{method}: {other}"),
        }
        assert!(error.to_string().contains("lower `min_step`"), "{error}");
        // The last step may be shorter, and the first guess of 1e-6 is made longer.
        let still = FnField::new(1, |_t: f64, _x: &[f64], u: &mut [f64]| u[0] = 1.0);
        let rows = solver.solve(&still, &x, 0.0..1e-5).unwrap().rows;
        assert_eq!((rows[0].accepted, rows[0].reason), (1, Reason::Done));
    }
}

#[test]
fn rows_that_stop_say_why_and_the_others_go_on() {
    // Row 1 meets NaN at once, row 2 from t = 0.4 on, row 3 runs into infinity; row 4 needs too many steps.
    let field = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| {
        u[0] = match x[0] {
            x if x > 1e3 && x < 2e3 => f64::NAN,
            x if x > 5e3 && x < 6e3 && t > 0.4 => f64::NAN,
            x if x < 0.0 => -x * x,
            x if x > 1e4 => 1e6 * (2e4 - x),
            _ => 1.0,
        };
    });
    let x = Tensor::from_rows(&[[0.0], [1500.0], [5500.0], [-2.0], [2e4 + 1.0], [1.0]]);
    for method in METHODS {
        let solver = Solver::new(method).max_steps(700).min_step(1e-7);
        let mut run = AdaptiveIntegration::new(&solver, &field, x.clone(), 0.0..1.0).unwrap();
        let mut errors = vec![];
        // Each step of a row counts, so that it ends; each failed row tells once.
        loop {
            match run.step() {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => errors.push(error),
            }
        }
        let rows_of = |errors: &[Error]| -> Vec<usize> {
            errors
                .iter()
                .map(|error| match error {
                    Error::Velocity { row, .. } | Error::StepSize { row, .. } | Error::Steps { row, .. } => {
                        *row
                    }
                    other => panic!("{other}"),
                })
                .collect()
        };
        assert_eq!(rows_of(&errors).len(), 4, "{method} {errors:?}");
        let solution = run.into_solution();
        let reasons: Vec<Reason> = solution.rows.iter().map(|row| row.reason).collect();
        let wanted = [
            Reason::Done,
            Reason::NotFinite,
            Reason::NotFinite,
            Reason::StepSize,
            Reason::Steps,
            Reason::Done,
        ];
        assert_eq!(reasons, wanted, "{method}");
        assert!(solution.x.as_slice().iter().all(|x| x.is_finite()), "{method}");
        // Where they stand: t = 1, at once, 0.4, some -2 / (1 - 2 t), near 2e4, t = 1; and the same as alone.
        let near = |i: usize, x: f64, off: f64| {
            assert!((solution.x.row(i)[0] - x).abs() < off, "{method} {i} {:?}", solution.x)
        };
        near(0, 1.0, 1e-14);
        near(1, 1500.0, 1e-14);
        near(2, 5500.4, 1e-6);
        near(4, 2e4, 1.0);
        let alone = solver.solve(&field, &x.slice_rows(5..6), 0.0..1.0).unwrap();
        assert_eq!((alone.x.row(0), alone.rows[0]), (solution.x.row(5), solution.rows[5]));
    }
}
