//! Claims about the solution of the flow's equation: E1, E23, E24.

use std::ops::Range;

use crate::error::Result;
use crate::field::FnField;
use crate::kernel::Real;
use crate::ode::{Method, Solver, Tableau};
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::chart::{Axis, Chart, Mark, Series};
use super::claim::{Claim, Finding, Place, Precision};

const SOLVE: Place = Place::of("src/ode/solve.rs", include_str!("../ode/solve.rs"), "pub fn solve");
const TABLEAU: Place =
    Place::of("src/ode/tableau.rs", include_str!("../ode/tableau.rs"), "pub(crate) struct Tableau");
const ROW: Place = Place::of("src/ode/row.rs", include_str!("../ode/row.rs"), "pub(super) struct Row");

/// What |error| of order k may have for a slope: E23 says k within this.
const SLOPE: f64 = 0.2;

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E1",
            "ψ_1^{−1}(ψ_1(x)) = x, ψ_{t,1}(ψ_{0,t}(x)) = ψ_1(x)",
            "64 rows along a curved field there and back, and in two parts, by each method that chooses its steps",
            SOLVE,
            |real| match real {
                Precision::F32 => flow(solved::<f32>),
                Precision::F64 => flow(solved::<f64>),
            },
        ),
        Claim::new(
            "E23",
            "error = O(h^k), k = 1, 2, 2, 4, 3, 5, 5, 8",
            "the slope of the error against the step in f64, for the numbers of every method",
            TABLEAU,
            |_| order(|method| method.tableau()),
        )
        .always_f64(),
        Claim::new(
            "E24",
            "(t, h) for each row by itself",
            "how many of seven rows of a batch of 200 are other bits alone, by every method that chooses its steps",
            ROW,
            |real| match real {
                Precision::F32 => alone(solved::<f32>),
                Precision::F64 => alone(solved::<f64>),
            },
        ),
    ]
}

const ADAPTIVE: [Method; 4] = [Method::Bosh3, Method::Dopri5, Method::Tsit5, Method::Dop853];

fn tolerance<R: Real>() -> f64 {
    if R::ROUNDOFF < 1e-10 { 1e-9 } else { 1e-5 }
}

/// A field without symmetry.
fn curved<R: Real>() -> FnField<impl Fn(R, &[R], &mut [R]) + Sync> {
    FnField::new(2, |t: R, x: &[R], u: &mut [R]| {
        let (t, a, b) = (t.to_f64(), x[0].to_f64(), x[1].to_f64());
        u[0] = R::from_f64((b + t).sin());
        u[1] = R::from_f64(a * t - 0.5 * b);
    })
}

/// The rows at the end of the times, by this crate.
fn solved<R: Real>(method: Method, x: &Tensor<R>, t: Range<f64>) -> Result<Tensor<R>> {
    Ok(Solver::new(method).tolerance(tolerance::<R>()).solve(&curved::<R>(), x, t)?.x)
}

fn start<R: Real>(rows: usize) -> Tensor<R> {
    let mut x = Tensor::zeros(rows, 2);
    Source::Normal.fill(&Rng::from_seed(1).fork(Purpose::Source), 0, &mut x);
    x
}

fn apart<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> f64 {
    let off = |(a, b): (&R, &R)| (a.to_f64() - b.to_f64()).abs() / (1.0 + a.to_f64().abs());
    a.as_slice().iter().zip(b.as_slice()).map(off).fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}

/// That a flow has its inverse and its parts. // E1
fn flow<R: Real>(psi: impl Fn(Method, &Tensor<R>, Range<f64>) -> Result<Tensor<R>>) -> Result<Finding> {
    let x = start::<R>(64);
    let mut worst = 0.0_f64;
    for method in ADAPTIVE {
        let end = psi(method, &x, 0.0..1.0)?;
        let parts = psi(method, &psi(method, &x, 0.0..0.4)?, 0.4..1.0)?;
        let back = psi(method, &end, 1.0..0.0)?;
        for off in [apart(&x, &back), apart(&end, &parts)] {
            worst = if off > worst || off.is_nan() { off } else { worst };
        }
        // A flow that stands still would have both.
        if apart(&x, &end) < 0.1 {
            worst = f64::NAN;
        }
    }
    let from = format!("10 times the tolerance {:e} of a step, relative to 1 + |x|", tolerance::<R>());
    Ok(Finding::new(worst, 10.0 * tolerance::<R>(), from))
}

/// That each row is the same alone: the number of rows that are not. // E24
fn alone<R: Real>(psi: impl Fn(Method, &Tensor<R>, Range<f64>) -> Result<Tensor<R>>) -> Result<Finding> {
    let x = start::<R>(200);
    let mut differ = 0_u32;
    for method in ADAPTIVE {
        let all = psi(method, &x, 0.0..1.0)?;
        for i in [0, 1, 63, 127, 128, 150, 199] {
            let one = psi(method, &x.slice_rows(i..i + 1), 0.0..1.0)?;
            differ += u32::from(one.row(0) != all.row(i));
        }
    }
    Ok(Finding::new(f64::from(differ), 0.0, "none: the same bits"))
}

/// x' = -2 t x² from 1 to t = 1: x = 1 / (1 + t²).
fn end_of_steps(tableau: &Tableau, steps: u32) -> f64 {
    let u = |t: f64, x: f64| -2.0 * t * x * x;
    let h = 1.0 / f64::from(steps);
    let mut x = 1.0;
    for n in 0..steps {
        let t = f64::from(n) * h;
        let mut k: Vec<f64> = Vec::new();
        for (a, c) in tableau.a.iter().zip(tableau.c) {
            let ahead: f64 = a.iter().zip(&k).map(|(a, k)| a * k).sum();
            k.push(u(t + c * h, x + h * ahead));
        }
        x += h * tableau.b.iter().zip(&k).map(|(b, k)| b * k).sum::<f64>();
    }
    x
}

/// That the error of each method falls with the power of the step that is its order. // E23
fn order(of: impl Fn(Method) -> Tableau) -> Result<Finding> {
    let mut worst = 0.0_f64;
    let mut series = Vec::new();
    for method in Method::ALL {
        let (wanted, first) = match method {
            Method::Euler => (1.0, 16),
            Method::Midpoint => (2.0, 32),
            Method::Heun => (2.0, 16),
            Method::Bosh3 => (3.0, 32),
            Method::Rk4 => (4.0, 16),
            Method::Dopri5 | Method::Tsit5 => (5.0, 12),
            Method::Dop853 => (8.0, 3),
        };
        let tableau = of(method);
        let points: Vec<(f64, f64)> = [2, 3, 4]
            .map(|k| {
                let steps = first * k;
                (1.0 / f64::from(steps), (end_of_steps(&tableau, steps) - 0.5).abs())
            })
            .to_vec();
        let off = (slope(&points) - wanted).abs();
        worst = if off > worst || off.is_nan() { off } else { worst };
        series.push(Series { name: method.word().into(), mark: Mark::Line, points });
    }
    let chart = Chart { x: Axis::log("step"), y: Axis::log("error at t = 1"), series };
    let from = "a slope of the order of the method, within 0.2: the next power of the step at these steps";
    Ok(Finding::new(worst, SLOPE, from).with_chart(chart))
}

/// The slope of a line through the logarithms.
fn slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let (mean_x, mean_y) =
        (logs.iter().map(|p| p.0).sum::<f64>() / n, logs.iter().map(|p| p.1).sum::<f64>() / n);
    let along: f64 = logs.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
    along / logs.iter().map(|p| (p.0 - mean_x).powi(2)).sum::<f64>()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;

    /// A method of which one number is another: of row `row` of a, or of b for the row after the last.
    fn mistyped(which: Method, row: usize, column: usize, by: f64) -> Result<Finding> {
        order(|method| {
            let mut tableau = method.tableau();
            if method == which && row < tableau.a.len() {
                let mut a: Vec<&'static [f64]> = tableau.a.to_vec();
                let mut numbers = a[row].to_vec();
                numbers[column] += by;
                a[row] = numbers.leak();
                tableau.a = a.leak();
            } else if method == which {
                let mut b = tableau.b.to_vec();
                b[column] += by;
                tableau.b = b.leak();
            }
            tableau
        })
    }

    /// Nodes of which one is another.
    fn misplaced(which: Method, stage: usize, c: f64) -> Result<Finding> {
        order(|method| {
            let mut tableau = method.tableau();
            if method == which {
                let mut nodes = tableau.c.to_vec();
                nodes[stage] = c;
                tableau.c = nodes.leak();
            }
            tableau
        })
    }

    type Times = Range<f64>;

    pub(crate) fn faults() -> Vec<Fault> {
        vec![
            Fault::new("E1", "forwards in place of backwards", || {
                flow(|m, x: &Tensor<f64>, t: Times| {
                    solved(m, x, if t.start > t.end { t.end..t.start } else { t })
                })
            }),
            Fault::new("E1", "every part begins at t = 0", || {
                flow(|m, x: &Tensor<f64>, t: Times| {
                    solved(m, x, if t.start < t.end { 0.0..t.end - t.start } else { t })
                })
            }),
            Fault::new("E1", "the way back ends early", || {
                flow(|m, x: &Tensor<f64>, t: Times| solved(m, x, if t.start > t.end { 1.0..0.01 } else { t }))
            }),
            Fault::new("E1", "rows that stand still", || flow(|_, x: &Tensor<f64>, _| Ok(x.clone()))),
            Fault::new("E1", "a way back in f32", || {
                flow(|m, x: &Tensor<f64>, t: Times| {
                    if t.start > t.end { Ok(solved::<f32>(m, &x.cast(), t)?.cast()) } else { solved(m, x, t) }
                })
            }),
            Fault::new("E23", "a wrong number of dopri5: -5103/18656 for its neighbour's sign", || {
                mistyped(Method::Dopri5, 5, 4, 2.0 * 5103.0 / 18656.0)
            }),
            Fault::new("E23", "a wrong digit in tsit5", || mistyped(Method::Tsit5, 3, 1, 1e-3)),
            Fault::new("E23", "a wrong digit in dop853", || mistyped(Method::Dop853, 7, 3, 1e-3)),
            Fault::new("E23", "weights of rk4 that miss a thousandth", || {
                mistyped(Method::Rk4, usize::MAX, 1, 1e-3)
            }),
            Fault::new("E23", "a node of bosh3 at 1/2 for 3/4", || misplaced(Method::Bosh3, 2, 0.5)),
            Fault::new("E23", "heun as euler", || {
                order(
                    |method| if method == Method::Heun { Method::Euler.tableau() } else { method.tableau() },
                )
            }),
            Fault::new("E23", "a midpoint at the end", || misplaced(Method::Midpoint, 1, 1.0)),
            Fault::new("E24", "a tolerance that the whole batch shares", || {
                alone(|m, x: &Tensor<f64>, t| {
                    let norm = x.as_slice().iter().fold(0.0, |a: f64, b| a.max(b.abs()));
                    Ok(Solver::new(m).tolerance(1e-6 * norm).solve(&curved::<f64>(), x, t)?.x)
                })
            }),
            Fault::new("E24", "rows that see their neighbour", || {
                alone(|m, x: &Tensor<f64>, t| {
                    let mut end = solved(m, x, t)?;
                    if x.rows() > 150 {
                        let first = end.row(0)[0];
                        end.row_mut(150)[0] += 1e-15 * first;
                    }
                    Ok(end)
                })
            }),
        ]
    }
}
