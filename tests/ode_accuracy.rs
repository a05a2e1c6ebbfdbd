//! Work against accuracy: what the methods that choose their steps reach, and in how many evaluations, beside SciPy's
//! solve_ivp, whose numbers golden/ode_accuracy.json holds. golden/ode_accuracy.py makes both tables (benches/ACCURACY.md).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the script reads our numbers from here")]

use std::ops::Range;

use pushforward::closed_form::GaussianFlow;
use pushforward::field::FnField;
use pushforward::ode::Method;
use pushforward::{AffinePath, Solver, Tensor, VectorField};

/// Our methods, each with the word of the one beside it.
const PAIRS: [(Method, &str); 4] =
    [(Method::Bosh3, "RK23"), (Method::Dopri5, "RK45"), (Method::Tsit5, "RK45"), (Method::Dop853, "DOP853")];

/// The share of SciPy's evaluations that ours may take for the same error, where our error is not the smaller one.
const SHARE: f64 = 1.1;

/// That share in the geometric mean over all problems and tolerances of a method; what is measured is written with two decimals.
const MEAN_SHARE: f64 = 1.015;

/// Where they take more. An error at the end is a sum that can cancel: its size jumps about the line through its logarithms,
/// and a single tolerance may be lucky for one program and not for the other. On the orbit of Arenstorf, which passes the moon so
/// closely that errors grow by some thousands, the loose tolerances lose it in both programs; `tsit5` has no peer of its own there
/// and stands beside RK45. Of a method as a whole its geometric mean speaks.
const WORSE: [(&str, &str, i32); 10] = [
    ("logistic", "bosh3", 3),
    ("arenstorf", "dopri5", 3),
    ("arenstorf", "dopri5", 7),
    ("arenstorf", "tsit5", 6),
    ("arenstorf", "tsit5", 7),
    ("arenstorf", "dop853", 3),
    ("arenstorf", "dop853", 4),
    ("arenstorf", "dop853", 5),
    ("narrow flow", "dop853", 5),
    ("narrow flow", "dop853", 6),
];

/// An orbit whose error is larger than this is lost.
const LOST: f64 = 0.5;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    made_by: String,
    runs: Vec<Run>,
}

/// The error at the end, the root mean square over all numbers of all rows, and the mean of the evaluations of a row.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    problem: String,
    method: String,
    digits: i32,
    error: f64,
    nfe: f64,
}

/// Rows to be solved, with where they end.
struct Problem<'a> {
    name: &'static str,
    field: Box<dyn VectorField<f64> + 'a>,
    t: Range<f64>,
    x_0: Vec<Vec<f64>>,
    exact: Vec<Vec<f64>>,
}

impl Problem<'_> {
    fn solve(&self, method: Method, digits: i32) -> Run {
        let tolerance: f64 = format!("1e-{digits}").parse().unwrap();
        let solver = Solver::new(method).tolerance(tolerance).max_steps(1_000_000);
        let solution = solver.solve(&*self.field, &tensor(&self.x_0), self.t.clone()).unwrap();
        let exact = tensor(&self.exact);
        let squares = solution.x.as_slice().iter().zip(exact.as_slice()).map(|(x, y)| (x - y) * (x - y));
        Run {
            problem: self.name.into(),
            method: method.to_string(),
            digits,
            error: (squares.sum::<f64>() / exact.as_slice().len() as f64).sqrt(),
            nfe: solution.stats.nfe,
        }
    }
}

fn tensor(rows: &[Vec<f64>]) -> Tensor<f64> {
    Tensor::from_vec(rows.concat(), rows.len(), rows[0].len()).unwrap()
}

/// 16 rows of d numbers each.
fn rows(d: usize, number: impl Fn(f64, usize) -> f64) -> Vec<Vec<f64>> {
    (0..16).map(|i| (0..d).map(|j| number(f64::from(i), j)).collect()).collect()
}

fn mapped(x: &[Vec<f64>], f: impl Fn(f64) -> Vec<f64>) -> Vec<Vec<f64>> {
    x.iter().map(|x| f(x[0])).collect()
}

/// Those of golden/ode_accuracy.py, in its order.
fn problems(flows: &[GaussianFlow; 2]) -> Vec<Problem<'_>> {
    let decay = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = -x[0]);
    let turn = FnField::new(2, |_t: f64, x: &[f64], u: &mut [f64]| (u[0], u[1]) = (-3.0 * x[1], 3.0 * x[0]));
    let logistic = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = 4.0 * x[0] * (1.0 - x[0]));
    let radii = rows(1, |i, _| 0.25 + i / 8.0);
    let shares = rows(1, |i, _| (i + 1.0) / 32.0);
    let orbit = vec![vec![0.994, 0.0, 0.0, -2.001_585_106_379_082_4]];
    let mut problems = vec![
        Problem {
            name: "exponential",
            field: Box::new(decay),
            t: 0.0..4.0,
            exact: mapped(&radii, |x| vec![x * (-4.0_f64).exp()]),
            x_0: radii.clone(),
        },
        Problem {
            name: "rotation",
            field: Box::new(turn),
            t: 0.0..2.0,
            x_0: mapped(&radii, |x| vec![x, 0.0]),
            exact: mapped(&radii, |x| vec![x * 6.0_f64.cos(), x * 6.0_f64.sin()]),
        },
        Problem {
            name: "logistic",
            field: Box::new(logistic),
            t: 0.0..2.0,
            exact: mapped(&shares, |x| vec![1.0 / (1.0 + (1.0 / x - 1.0) * (-8.0_f64).exp())]),
            x_0: shares,
        },
        Problem {
            name: "arenstorf",
            field: Box::new(FnField::new(4, arenstorf)),
            t: 0.0..17.065_216_560_157_964,
            x_0: orbit.clone(),
            exact: orbit,
        },
    ];
    for (name, flow) in ["flow", "narrow flow"].into_iter().zip(flows) {
        let x_0 = rows(flow.dim(), |i, j| ((7.0 * i + 11.0 * j as f64) % 33.0 - 16.0) / 8.0);
        let exact = flow.map(&tensor(&x_0)).unwrap();
        problems.push(Problem {
            name,
            field: Box::new(flow.velocity(AffinePath::default())), // E18
            t: 0.0..1.0,
            exact: (0..x_0.len()).map(|i| exact.row(i).to_vec()).collect(),
            x_0,
        });
    }
    problems
}

/// A satellite, the earth and the moon, seen from where both stand still.
fn arenstorf(_t: f64, x: &[f64], u: &mut [f64]) {
    const MOON: f64 = 0.012_277_471;
    const EARTH: f64 = 1.0 - MOON;
    let from_earth = ((x[0] + MOON).powi(2) + x[1].powi(2)).powf(1.5);
    let from_moon = ((x[0] - EARTH).powi(2) + x[1].powi(2)).powf(1.5);
    (u[0], u[1]) = (x[2], x[3]);
    u[2] = x[0] + 2.0 * x[3] - EARTH * (x[0] + MOON) / from_earth - MOON * (x[0] - EARTH) / from_moon;
    u[3] = x[1] - 2.0 * x[2] - EARTH * x[1] / from_earth - MOON * x[1] / from_moon;
}

/// The evaluations that runs of one method take for an error, on a line through the logarithms of both; beyond the ends the
/// first and the last line go on. Runs that another one beats in both are left out.
fn evaluations(runs: &[&Run], error: f64) -> f64 {
    let beaten = |run: &Run| runs.iter().any(|other| other.error < run.error && other.nfe <= run.nfe);
    let mut points: Vec<[f64; 2]> =
        runs.iter().filter(|run| !beaten(run)).map(|run| [run.error.ln(), run.nfe.ln()]).collect();
    points.sort_by(|a, b| b[0].total_cmp(&a[0]));
    let at = points.iter().position(|point| point[0] < error.ln()).unwrap_or(points.len());
    let i = at.clamp(1, points.len() - 1);
    let ([e_0, n_0], [e_1, n_1]) = (points[i - 1], points[i]);
    (n_0 + (n_1 - n_0) * (error.ln() - e_0) / (e_1 - e_0)).exp()
}

#[test]
fn error_or_evaluations_are_those_of_scipy_or_less() {
    let golden: Golden = serde_json::from_str(include_str!("golden/ode_accuracy.json")).unwrap();
    assert!(golden.made_by.starts_with("SciPy 1."), "{}", golden.made_by);
    let flows = [
        GaussianFlow::new(
            &[1.0, -2.0, 0.5],
            &Tensor::from_rows(&[[1.5, 0.5, 0.25], [0.5, 0.5, -0.125], [0.25, -0.125, 0.25]]),
        ),
        GaussianFlow::new(&[2.0, -1.0], &Tensor::from_rows(&[[0.5, 0.484_375], [0.484_375, 0.5]])),
    ]
    .map(Result::unwrap);
    let mut worse = vec![];
    let mut means = vec![];
    for problem in problems(&flows) {
        for (method, peer) in PAIRS {
            let (mut logs, mut count) = (0.0, 0.0);
            let peers: Vec<&Run> =
                golden.runs.iter().filter(|run| run.problem == problem.name && run.method == peer).collect();
            assert_eq!(peers.len(), 8, "{} {peer}", problem.name);
            for theirs in &peers {
                let ours = problem.solve(method, theirs.digits);
                let (name, digits) = (problem.name, theirs.digits);
                println!(
                    r#"{{"problem": "{name}", "method": "{method}", "digits": {digits}, "error": {:e}, "nfe": {}}}"#,
                    ours.error, ours.nfe
                );
                let share = ours.nfe / evaluations(&peers, ours.error);
                if theirs.error < LOST && ours.error < LOST {
                    logs += share.ln();
                    count += 1.0;
                }
                if ours.error > theirs.error
                    && share > SHARE
                    && !WORSE.contains(&(name, method.word(), digits))
                {
                    worse.push(format!("{name} {method} 1e-{digits}: {:.2e} in {}, SciPy {:.2e} in {}; {share:.2} of its evaluations for that error", ours.error, ours.nfe, theirs.error, theirs.nfe));
                }
            }
            let mean = f64::exp(logs / count);
            println!("{} {method}: {mean:.3} of the evaluations of {peer} for the same error", problem.name);
            means.push((problem.name, method, mean));
        }
    }
    assert!(worse.is_empty(), "{}\n{}", worse.len(), worse.join("\n"));
    // Over all tolerances and problems, in the geometric mean, no method takes more than that.
    for (method, peer) in PAIRS {
        let of: Vec<f64> =
            means.iter().filter(|(_, m, _)| *m == method).map(|(.., mean)| mean.ln()).collect();
        let mean = (of.iter().sum::<f64>() / of.len() as f64).exp();
        println!("all {method}: {mean:.3} of the evaluations of {peer}");
        assert!(mean <= MEAN_SHARE, "{method}: {mean:.3} of the evaluations of {peer} for the same error");
    }
}
