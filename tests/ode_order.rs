//! E23: a Runge-Kutta method of order k has the global error O(h^k), and the numbers that other
//! implementations give.

use pushforward::field::FnField;
use pushforward::ode::Method;
use pushforward::{Result, Solver, Tensor, VectorField};

const ORDERS: [(Method, f64); 4] =
    [(Method::Euler, 1.0), (Method::Midpoint, 2.0), (Method::Heun, 2.0), (Method::Rk4, 4.0)];

/// How far a measured slope may be from the order (E23).
const SLOPE_BOUND: f64 = 0.2;

/// Least-squares slope of y over x.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (m_x, m_y) = (mean(x), mean(y));
    let cross: f64 = x.iter().zip(y).map(|(x, y)| (x - m_x) * (y - m_y)).sum();
    cross / x.iter().map(|x| (x - m_x) * (x - m_x)).sum::<f64>()
}

/// Integrates from `x_0` at `t.start` with 32 ... 512 steps and compares log error with log step.
fn check_orders<const D: usize>(
    field: &dyn VectorField<f64>,
    t: std::ops::Range<f64>,
    x_0: [f64; D],
    x_1: [f64; D],
) -> Result<()> {
    for (method, order) in ORDERS {
        let (mut steps_log, mut error_log) = (vec![], vec![]);
        for steps in [32, 64, 128, 256, 512] {
            let found =
                Solver::new(method).steps(steps).solve(field, &Tensor::from_rows(&[x_0]), t.clone())?;
            let squares: f64 = found.x.row(0).iter().zip(&x_1).map(|(a, b)| (a - b) * (a - b)).sum();
            steps_log.push(-f64::from(steps).ln());
            error_log.push(squares.sqrt().ln());
        }
        let measured = slope(&steps_log, &error_log);
        assert!((measured - order).abs() < SLOPE_BOUND, "{method}: slope {measured}, errors {error_log:?}");
    }
    Ok(())
}

/// x' = -2 t x², x(0) = 1: x = 1 / (1 + t²).
fn bell() -> impl VectorField<f64> {
    FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| u[0] = -2.0 * t * x[0] * x[0])
}

#[test]
fn orders_on_a_nonlinear_equation_of_time() -> Result<()> {
    check_orders(&bell(), 0.0..1.5, [1.0], [1.0 / 3.25])
}

#[test]
fn orders_backwards() -> Result<()> {
    check_orders(&bell(), 1.5..0.0, [1.0 / 3.25], [1.0])
}

#[test]
fn orders_on_two_coupled_equations() -> Result<()> {
    // A rotation whose speed depends on time and radius, (1 + t) |x|²; on the unit circle the angle is
    // t + t²/2. A method that leaves the circle feels the radius.
    let swirl = FnField::new(2, |t: f64, x: &[f64], u: &mut [f64]| {
        let speed = (1.0 + t) * (x[0] * x[0] + x[1] * x[1]);
        u[0] = -speed * x[1];
        u[1] = speed * x[0];
    });
    check_orders(&swirl, 0.0..1.0, [1.0, 0.0], [1.5_f64.cos(), 1.5_f64.sin()])
}

/// Solves a field of dimension 1 from 0 to 1 in 10 steps.
fn ten_steps(method: Method, x_0: f64, f: impl Fn(f64, f64) -> f64 + Sync) -> Result<f64> {
    let field = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| u[0] = f(t, x[0]));
    Ok(Solver::new(method).steps(10).solve(&field, &Tensor::from_rows(&[[x_0]]), 0.0..1.0)?.x.row(0)[0])
}

/// Half a unit of the twelfth decimal, to which the numbers below are given, and rounding.
const LAST_DIGIT: f64 = 6e-13;

#[test]
fn decay_gives_the_known_numbers() -> Result<()> {
    // u = -x from 1, step .1, t = 1: torchdiffeq 0.2.5 and flow_matching 1.0.10 in f64.
    for (method, wanted) in [
        (Method::Euler, 0.348_678_440_100),
        (Method::Midpoint, 0.368_540_984_834),
        (Method::Heun, 0.368_540_984_834),
    ] {
        let found = ten_steps(method, 1.0, |_t, x| -x)?;
        assert!((found - wanted).abs() < LAST_DIGIT, "{method} {found}");
    }
    // Every rk4 multiplies by the Taylor polynomial of degree 4.
    let h = 0.1_f64;
    let wanted = (1.0 - h + h * h / 2.0 - h.powi(3) / 6.0 + h.powi(4) / 24.0).powi(10);
    assert!((ten_steps(Method::Rk4, 1.0, |_t, x| -x)? - wanted).abs() < LAST_DIGIT);
    Ok(())
}

#[test]
fn a_velocity_of_time_alone_gives_the_known_numbers() -> Result<()> {
    // u = 3 t² from 0, step .1: euler and midpoint of the same origin; rk4 is Simpson's rule, exact.
    for (method, wanted) in [(Method::Euler, 0.855), (Method::Midpoint, 0.9975), (Method::Rk4, 1.0)] {
        let found = ten_steps(method, 0.0, |t, _x| 3.0 * t * t)?;
        assert!((found - wanted).abs() < LAST_DIGIT, "{method} {found}");
    }
    Ok(())
}

#[test]
fn growth_with_the_square_of_time_converges_to_the_known_number() -> Result<()> {
    // u = x t² from 1: e^(1/3), given to ten decimals; at step 1/1000 rk4 is off by rounding only.
    let field = FnField::new(1, |t: f64, x: &[f64], u: &mut [f64]| u[0] = x[0] * t * t);
    let found = Solver::rk4().steps(1000).solve(&field, &Tensor::from_rows(&[[1.0]]), 0.0..1.0)?.x;
    assert!((found.row(0)[0] - 1.395_612_425_1).abs() < 6e-11, "{found:?}");
    Ok(())
}
