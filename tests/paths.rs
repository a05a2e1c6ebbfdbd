//! Every path through the whole of it: trained, written, read, sampled along other schedulers and with noise, scored.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt as _;
use pushforward::data::{ReadOptions, Table, toy};
use pushforward::path::{Prediction, Width};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Coupling, Divergence, Flow, Mlp, Rng, Scheduler, Solver, Tensor, Trainer};

use crate::program::{json, succeeds};

fn trained(path: AffinePath, steps: u64) -> Flow {
    let mut rng = Rng::from_seed(4);
    let x_1: Tensor = toy::moons(1000, &mut rng);
    let velocity = Mlp::new(2, &[32, 32], &mut rng).unwrap();
    Trainer::new(path).steps(steps).batch(128).fit(velocity, &x_1, &mut rng).unwrap()
}

/// The largest distance of two matrices' numbers.
fn apart(a: &Tensor, b: &Tensor) -> f32 {
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn another_scheduler_gives_the_same_samples() {
    // psi_1 is the same (E17): what differs is the error of the solver, ten tolerances of 1e-5 of each, in units of size 1,
    // and the rounding of times near the ends to f32.
    const BOUND: f32 = 1e-3;
    let flow = trained(AffinePath::default(), 300);
    let solver = Solver::dopri5().tolerance(1e-5);
    let draw = |flow: &Flow, solver: &Solver| flow.sample(200, solver, &mut Rng::from_seed(1)).unwrap().x;
    let plain = draw(&flow, &solver);
    for scheduler in [Scheduler::Cosine, Scheduler::Polynomial { n: 2.0 }, Scheduler::LinearVp] {
        let other = flow.clone().with_scheduler(scheduler).unwrap();
        assert_eq!(other.scheduler(), scheduler);
        assert!(
            apart(&draw(&other, &solver), &plain) < BOUND,
            "{scheduler}: {}",
            apart(&draw(&other, &solver), &plain)
        );
        let score = |flow: &Flow| {
            flow.log_density(&plain, Divergence::Exact, &solver, &mut Rng::from_seed(1)).unwrap().log_density
        };
        for (a, b) in score(&flow).iter().zip(score(&other)) {
            assert!((a - b).abs() < 20.0 * f64::from(BOUND), "{scheduler}: {a} {b}");
        }
    }
    // A path that starts from rest, taken along another one.
    let resting = trained(AffinePath::new(Scheduler::Polynomial { n: 2.0 }), 300);
    let other = resting.clone().with_scheduler(Scheduler::CondOt).unwrap();
    assert!(apart(&draw(&other, &solver), &draw(&resting, &solver)) < 10.0 * BOUND);
    // What the network is not quite at rest there counts for much at the first steps: fixed ones are finite, but not as near.
    assert!(draw(&other, &Solver::rk4().steps(50)).as_slice().iter().all(|x| x.is_finite()));
    assert!(flow.clone().with_scheduler(Scheduler::VE).is_err());
    // A path that starts or ends elsewhere has another psi_1: refused, and nothing but itself.
    for scheduler in
        [Scheduler::VP, Scheduler::CondOtMin { width: 0.1 }, Scheduler::CondOtMin { width: 1e-6 }]
    {
        let error = flow.clone().with_scheduler(scheduler).unwrap_err().to_string();
        assert!(error.contains("train with it"), "{scheduler}: {error}");
        assert!(trained(AffinePath::new(scheduler), 2).with_scheduler(scheduler).is_ok());
    }
    // `ve` is sampled along the linear path from N(0, I): what counts are that one's ends. Near t = 0 its time runs twenty times as
    // fast, after a stretch in which the network is not asked: the tolerance is smaller, the samples agree as closely.
    let solver = Solver::dopri5().tolerance(1e-7);
    let wide = trained(AffinePath::new(Scheduler::VE), 300);
    let plain = draw(&wide, &solver);
    let itself = wide.clone().with_scheduler(wide.scheduler()).unwrap();
    assert_eq!(draw(&itself, &solver), plain);
    let other = wide.with_scheduler(Scheduler::Cosine).unwrap();
    assert!(apart(&draw(&other, &solver), &plain) < BOUND, "{}", apart(&draw(&other, &solver), &plain));
    assert!(
        trained(AffinePath::default().wide(Width::Constant(0.1)), 2)
            .with_scheduler(Scheduler::Cosine)
            .is_err()
    );
}

#[test]
fn every_scheduler_and_prediction_learns_the_data() {
    // After 2000 short steps, or 10,000 where an error of the prediction is divided by sigma or alpha, the samples are where the data are: their mean within a quarter of the data's spread, their
    // spread within a third of it. A path that learns nothing gives the source, or noise.
    let moments = |x: &Tensor, j: usize| {
        let column: Vec<f64> = (0..x.rows()).map(|i| f64::from(x.row(i)[j])).collect();
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        (mean, (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
    };
    let data: Tensor = toy::moons(1000, &mut Rng::from_seed(4));
    let solver = Solver::midpoint().steps(60);
    let schedulers = [
        Scheduler::CondOt,
        Scheduler::CondOtMin { width: 0.01 },
        Scheduler::Polynomial { n: 2.0 },
        Scheduler::Cosine,
        Scheduler::LinearVp,
        Scheduler::VP,
        Scheduler::Ve { sigma_max: 5.0 },
    ];
    let paths = schedulers.map(AffinePath::new).into_iter().chain([
        AffinePath::default().predicting(Prediction::Target),
        AffinePath::default().predicting(Prediction::Noise),
        AffinePath::new(Scheduler::Cosine).predicting(Prediction::Target),
        AffinePath::default().wide(Width::Constant(0.05)),
        AffinePath::default().wide(Width::Bridge(0.3)),
    ]);
    for path in paths {
        let flow = trained(path, if path.prediction == Prediction::Velocity { 2000 } else { 10_000 });
        let x = flow.sample(500, &solver, &mut Rng::from_seed(2)).unwrap().x;
        for j in 0..2 {
            let ((mean, std), (found, spread)) = (moments(&data, j), moments(&x, j));
            assert!((found - mean).abs() < 0.25 * std, "{path:?}, column {j}: mean {found} {mean}");
            assert!((spread / std - 1.0).abs() < 0.34, "{path:?}, column {j}: spread {spread} {std}");
        }
        let scores = flow.log_density(&x, Divergence::Exact, &solver, &mut Rng::from_seed(2)).unwrap();
        assert!(scores.mean().is_finite(), "{path:?}");
        let again = Flow::from_bytes(&flow.to_bytes().unwrap(), Path::new("m.pf")).unwrap();
        assert_eq!(again.path(), path);
        assert_eq!(again.sample(20, &solver, &mut Rng::from_seed(2)).unwrap().x, x.slice_rows(0..20));
    }
}

#[test]
fn noise_on_the_way_keeps_rows_apart_and_can_be_none() {
    let flow = trained(AffinePath::default(), 100);
    let mut rng = Rng::from_seed(3);
    let (source, noise) = (rng.fork(Purpose::Source), rng.fork(Purpose::Noise));
    let noisy = |rows, beta| flow.sample_noisy::<f32>(rows, beta, 30, source, noise).unwrap().x;
    let all = noisy(0..300, 1.0);
    assert_eq!(noisy(130..260, 1.0), all.slice_rows(130..260));
    let still = flow.sample_rows::<f32>(0..300, &Solver::euler().steps(30), source).unwrap().x;
    assert_eq!(noisy(0..300, 0.0), still);
    assert!(apart(&all, &still) > 0.01);
    for beta in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(flow.sample_noisy::<f32>(0..3, beta, 30, source, noise).is_err());
    }
    let wide = trained(AffinePath::default().wide(Width::Bridge(0.3)), 2);
    assert!(wide.sample_noisy::<f32>(0..3, 1.0, 30, source, noise).is_err());
    assert_eq!(Coupling::default(), Coupling::Independent); // what the score needs, and has here
}

#[test]
fn the_program_knows_them() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("pushforward").unwrap();
        let output = command.current_dir(folder.path()).args(arguments).arg("--quiet").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let train = ["train", "toy:moons:300", "--steps", "20", "--hidden", "8", "-o"];
    let with = |model: &'static str, more: &[&'static str]| [&train[..], &[model], more].concat();
    assert_eq!(run(&with("a.pf", &["--scheduler", "vp:0.1,10", "--predict", "noise"])).0, Some(0));
    assert_eq!(run(&with("b.pf", &[])).0, Some(0));
    let (status, error) = run(&with("c.pf", &["--predict", "noise", "--width", "constant:0.1"]));
    assert_eq!(status, Some(2), "{error}");
    assert!(error.contains("predict"), "{error}");
    assert_eq!(run(&["sample", "a.pf", "-n", "20", "-o", "a.csv"]), (Some(0), String::new()));
    let noisy = ["sample", "b.pf", "--noise", "0.5", "--steps", "20", "--scheduler", "cosine"];
    assert_eq!(run(&[&noisy[..], &["-n", "20", "-o", "b.csv"]].concat()), (Some(0), String::new()));
    assert_eq!(run(&[&noisy[..], &["--rows", "5..9", "-o", "c.csv"]].concat()), (Some(0), String::new()));
    let table = |name: &str| Table::read(&folder.path().join(name), &ReadOptions::default()).unwrap().values;
    assert_eq!(table("c.csv"), table("b.csv").slice_rows(5..9));
    let (status, error) = run(&["sample", "b.pf", "-n", "2", "--noise", "1", "--solver", "dopri5"]);
    assert_eq!(status, Some(2));
    assert!(error.contains("dopri5") && error.contains("--noise"), "{error}");
    assert_eq!(
        run(&["score", "b.pf", "a.csv", "--scheduler", "cosine", "-o", "s.csv"]),
        (Some(0), String::new())
    );
}

#[test]
fn a_steep_flow_is_solved_with_chosen_steps_unless_others_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (predict, fixed) in [("velocity", true), ("target", false), ("noise", false)] {
        let model = format!("{predict}.pf");
        let train = ["train", "toy:moons:200", "-o", &model, "--steps", "100", "--hidden", "16"];
        succeeds(folder, &[&train[..], &["--predict", predict][..]].concat());
        let nfe = |command: &[&str]| json(folder, command)["nfe"].as_f64().unwrap();
        let found = [
            nfe(&["score", &model, "toy:moons:20"]),
            nfe(&["sample", &model, "-n", "20", "-o", "samples.npy"]),
            nfe(&["encode", &model, "toy:moons:20", "-o", "encoded.npy"]),
        ];
        for nfe in found {
            assert_eq!((nfe - 200.0).abs() < 1e-9, fixed, "{predict}: {found:?}");
        }
        let said = nfe(&["score", &model, "toy:moons:20", "--steps", "30"]);
        assert!((said - 60.0).abs() < 1e-9, "{said}");
    }
}
