//! `pushforward evaluate` and the measures behind it: a good model lies at the noise floor, a bad one far above on every
//! measure, copies of training rows are found, and what cannot be measured is refused by name.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use pushforward::metrics::{Evaluation, Memorisation, PathEnergy};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Flow, Mlp, Rng, Solver, Source, Tensor, Trainer, data::toy};
use serde_json::Value;
use tempfile::TempDir;

/// What a model of few seconds may miss: times the largest floor. MMD² and accuracy start from 0 and 1/2: see the test.
const GOOD: f64 = 2.5;
/// How far above the largest floor a network is that has learnt nothing.
const BAD: f64 = 6.0;

const DISTANCES: [&str; 5] = ["sliced_w2", "w2", "energy_distance", "mmd_squared", "classifier_accuracy"];

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(cargo_bin!("pushforward")).current_dir(folder).args(args).output().unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, args: &[&str]) -> (String, String) {
    let out = run(folder, args);
    let (text, said) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    assert!(out.status.success(), "{args:?}: {said}");
    (text, said)
}

#[track_caller]
fn json(folder: &Path, args: &[&str]) -> Value {
    let out = succeeds(folder, &[args, &["--json"]].concat()).0;
    assert_eq!(out.lines().count(), 1, "one object: {out}");
    serde_json::from_str(&out).unwrap()
}

#[track_caller]
fn fails(folder: &Path, args: &[&str], status: i32, words: &[&str]) {
    let out = run(folder, args);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(status), "{args:?}: {said}");
    assert!(out.stdout.is_empty(), "{args:?} wrote to standard output");
    for word in words {
        assert!(said.contains(word), "{args:?} does not say {word:?}: {said}");
    }
}

fn train(folder: &Path, name: &str, args: &[&str]) {
    let common = ["train", "-o", name, "--batch", "256", "--quiet"];
    succeeds(folder, &[&common, args].concat());
}

/// A folder with good.pf, and bad.pf of a network that is as it was drawn, for the same rows.
fn models() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let network = ["toy:gaussian:5000", "--hidden", "64,64", "--steps"];
    train(folder.path(), "good.pf", &[&network[..], &["4000", "--lr", "4e-3"]].concat());
    train(folder.path(), "bad.pf", &[&network[..], &["1"]].concat());
    folder
}

fn number(found: &Value, path: &[&str]) -> f64 {
    let value = path.iter().fold(found, |value, key| &value[key]);
    value.as_f64().unwrap_or_else(|| panic!("{path:?} is {value}"))
}

#[test]
fn good_models_are_at_the_floor_and_bad_ones_far_above() {
    let folder = models();
    let folder = folder.path();
    let measured = |model: &str| {
        json(folder, &["evaluate", model, "toy:gaussian:3000", "--train", "toy:gaussian:5000", "--exact"])
    };
    let (good, bad) = (measured("good.pf"), measured("bad.pf"));
    for distance in DISTANCES {
        let of = |found: &Value, key: &str| number(found, &["metrics", distance, key]);
        // What is above chance of the one, and an unbiased estimate around 0 of the other: 1500 rows know it to 2e-3 and 0.03.
        let (start, least) = match distance {
            "mmd_squared" => (0.0, 2e-3),
            "classifier_accuracy" => (0.5, 0.03),
            _ => (0.0, 0.0),
        };
        let floor = (of(&good, "floor_max") - start).max(least);
        assert!(of(&good, "model") - start < GOOD * floor, "{distance}: {good:#}");
        assert!(of(&bad, "model") - start > BAD * floor, "{distance}: {bad:#}");
        assert!((of(&good, "rows") - 1500.0).abs() < 0.5);
        assert!((of(&good, "floor") - of(&bad, "floor")).abs() < 1e-12, "the floor is that of the data");
    }
    for j in 0..2 {
        for distance in ["w1", "w2", "ks"] {
            let of = |found: &Value, key: &str| number(&found["columns"][j][distance], &[key]);
            assert!(of(&good, "model") < GOOD * of(&good, "floor_max"), "{distance} of {j}: {good:#}");
            assert!(of(&bad, "model") > BAD / 2.0 * of(&good, "floor_max"), "{distance} of {j}: {bad:#}");
        }
    }
    // The density: above that of the bad one by far more than the errors.
    let nll = |found: &Value| number(found, &["nll", "mean"]);
    let error = number(&good, &["nll", "standard_error"]);
    assert!(nll(&good) < nll(&bad) - 10.0 * error && error > 0.0);
    // The energy of the best way is W2²; straight and right is none of both.
    assert!(number(&good, &["path", "normalised_energy"]) < number(&bad, &["path", "normalised_energy"]));
    // E12: the losses fit together, and their floor is that of the rows alone.
    let exact = |found: &Value, key: &str, of: &str| number(found, &["exact", key, of]);
    for found in [&good, &bad] {
        let (off, error) = (exact(found, "residual", "mean"), exact(found, "residual", "standard_error"));
        assert!(off.abs() < 5.0 * error, "{found:#}");
    }
    assert!((exact(&good, "floor", "mean") - exact(&bad, "floor", "mean")).abs() < 1e-9);
    assert!(exact(&bad, "excess", "mean") > 5.0 * exact(&good, "excess", "mean"), "{good:#} {bad:#}");
    // Neither copies: a good model lies as near to training rows as fresh rows do.
    for found in [&good, &bad] {
        assert_eq!(found["memorisation"]["suspicious"], false, "{found:#}");
    }
    assert!((number(&good, &["memorisation", "closer"]) - 0.5).abs() < 0.1, "{good:#}");
}

#[test]
fn numbers_are_those_of_the_other_commands_and_of_the_library() {
    let folder = models();
    let folder = folder.path();
    let flags = ["--solver", "rk4", "--steps", "10", "--seed", "5"];
    succeeds(folder, &["data", "toy:gaussian:500", "--seed", "9", "-o", "data.npy"]);
    let found = json(folder, &[&["evaluate", "good.pf", "data.npy"], &flags[..]].concat());
    let scored = json(folder, &[&["score", "good.pf", "data.npy"], &flags[..]].concat());
    // The same rows in another order.
    assert!((number(&found, &["nll", "mean"]) + number(&scored, &["mean"])).abs() < 1e-12);
    assert!(
        (number(&found, &["nll", "standard_error"]) - number(&scored, &["standard_error"])).abs() < 1e-12
    );
    assert_eq!((&found["nfe"], &found["rows"], &found["left_out"]), (&40.into(), &500.into(), &0.into()));
    // The energy of the way of the samples that `sample --seed 5` draws.
    let flow = Flow::load(folder.join("good.pf")).unwrap();
    let mut x_0 = Tensor::<f32>::zeros(500, 2);
    Source::Normal.fill(&Rng::from_seed(5).fork(Purpose::Source), 0, &mut x_0);
    let solver = Solver::rk4().steps(10);
    let way = flow.with_field(flow.velocity(), |field| PathEnergy::measure(field, &x_0, &solver)).unwrap();
    assert!((number(&found, &["path", "energy", "mean"]) - way.energy.mean).abs() < 1e-12);
    assert!((number(&found, &["path", "straightness", "mean"]) - way.straightness.mean).abs() < 1e-12);
    let normalised = way.normalised(number(&found, &["path", "w2_squared"]));
    assert!((number(&found, &["path", "normalised_energy"]) - normalised).abs() < 1e-12);
    // The same on any number of threads; other halvings for another seed.
    let line = |threads: &str, seed: &str| {
        let args = ["evaluate", "good.pf", "data.npy", "--steps", "10", "--threads", threads, "--seed", seed];
        let mut found = json(folder, &args);
        found["seconds"].take();
        found
    };
    assert_eq!(line("1", "5"), line("3", "5"));
    assert_ne!(line("1", "5")["metrics"], line("1", "6")["metrics"]);
    // A toy is drawn anew: with the seed of the training its rows are still no training rows.
    let fresh = json(
        folder,
        &["evaluate", "good.pf", "toy:gaussian:400", "--train", "toy:gaussian:5000", "--steps", "10"],
    );
    assert!(number(&fresh, &["memorisation", "median_fresh"]) > 0.0);
}

#[test]
fn copies_of_training_rows_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeeds(folder, &["data", "toy:moons:8", "-o", "few.csv"]);
    train(folder, "few.pf", &["few.csv", "--hidden", "64,64", "--steps", "6000", "--lr", "3e-3"]);
    let args = ["evaluate", "few.pf", "toy:moons:400", "--train", "few.csv", "--quiet"];
    let found = json(folder, &args);
    assert_eq!(found["memorisation"]["suspicious"], true, "{found:#}");
    assert!(number(&found, &["memorisation", "closer"]) > 0.9, "{found:#}");
    let (table, said) = succeeds(folder, &args);
    assert!(said.contains("copies of training rows"), "{said}");
    assert!(table.contains("closer") && table.contains("noise floor") && table.contains("NLL"), "{table}");
    // Training rows in place of fresh ones are told, too.
    let said = succeeds(folder, &["evaluate", "few.pf", "few.csv", "--train", "few.csv"]).1;
    assert!(said.contains("not seen"), "{said}");
    // The library, with samples that are training rows.
    let mut rng = Rng::from_seed(1);
    let (train, fresh): (Tensor<f64>, Tensor<f64>) = (toy::moons(300, &mut rng), toy::moons(200, &mut rng));
    assert!(Memorisation::measure(&train.slice_rows(0..200), &fresh, &train).unwrap().is_suspicious());
    assert!(!Memorisation::measure(&toy::moons(200, &mut rng), &fresh, &train).unwrap().is_suspicious());
}

#[test]
fn the_library_measures_what_it_has_trained() {
    let mut rng = Rng::from_seed(2);
    let (train, data): (Tensor<f32>, Tensor<f64>) =
        (toy::gaussian(4000, &mut rng), toy::gaussian(2000, &mut rng));
    let velocity = Mlp::new(2, &[32, 32], &mut rng).unwrap();
    let untrained = Flow::new(velocity.clone(), AffinePath::default(), Source::Normal);
    let trained = Trainer::new(AffinePath::default()).steps(2000).fit(velocity, &train, &mut rng).unwrap();
    let mut measure = |flow: &Flow| {
        let drawn = flow.sample(2000, &Solver::rk4().steps(10), &mut rng).unwrap();
        Evaluation::measure(&drawn.x.cast(), &data, &mut rng).unwrap()
    };
    let (good, bad) = (measure(&trained), measure(&untrained));
    assert!(good.exact_w2.model < GOOD * good.exact_w2.floor_max, "{good:?}");
    assert!(bad.exact_w2.model > BAD * bad.exact_w2.floor_max, "{bad:?}");
    assert_eq!(good.columns.len(), 2);
}

#[test]
fn names_constants_and_sources_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let table = |file: &str, head: &str, rows: usize, seed: u64| {
        let x: Tensor<f64> = toy::gaussian(rows, &mut Rng::from_seed(seed));
        let lines = (0..rows).map(|i| format!("{},7,{}\n", x.row(i)[0], 100.0 * x.row(i)[1]));
        std::fs::write(folder.join(file), format!("{head}\n{}", lines.collect::<String>())).unwrap();
    };
    table("train.csv", "a,b,c", 500, 1);
    table("data.csv", "a,b,c", 300, 2);
    table("other.csv", "a,b,d", 300, 3);
    table("start.csv", "a,b,c", 400, 4);
    let tiny = ["--steps", "300", "--hidden", "16"];
    train(folder, "m.pf", &[&["train.csv"], &tiny[..]].concat());
    let found = json(folder, &["evaluate", "m.pf", "data.csv", "-n", "200", "--train", "train.csv"]);
    assert_eq!((&found["rows"], &found["left_out"]), (&200.into(), &100.into()));
    let names: Vec<&str> =
        found["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    // The constant column is what it is; the others are in their units.
    assert!(number(&found["columns"][1]["w1"], &["model"]).abs() < 1e-12, "{found:#}");
    assert!(
        number(&found["columns"][2]["w1"], &["floor"])
            > 20.0 * number(&found["columns"][0]["w1"], &["floor"])
    );
    fails(folder, &["evaluate", "m.pf", "other.csv"], 1, &["a, b, d", "a, b, c", "other.csv"]);
    fails(
        folder,
        &["evaluate", "m.pf", "toy:moons:50"],
        1,
        &["columns of the data", "found 2", "expected 3"],
    );
    fails(folder, &["evaluate", "m.pf", "data.csv", "-n", "301"], 2, &["301", "300 rows"]);
    fails(folder, &["evaluate", "m.pf", "data.csv", "-n", "3"], 1, &["found 3", "expected 4"]);
    // Without training rows the field is that of the data themselves: V is that of these rows, whatever rows are called.
    let alone = json(folder, &["evaluate", "m.pf", "data.csv", "--exact"]);
    let named = json(folder, &["evaluate", "m.pf", "data.csv", "--train", "data.csv", "--exact"]);
    assert!(alone["exact"]["of"] == "data" && named["exact"]["of"] == "train", "{alone:#} {named:#}");
    for key in ["excess", "floor"] {
        let [a, b] = [&alone, &named].map(|found| number(found, &["exact", key, "mean"]));
        let error = number(&alone, &["exact", key, "standard_error"]);
        assert!((a - b).abs() < 1e-9 + 5.0 * error && a > 0.0, "{key}: {a} {b} {error}");
    }
    fails(folder, &["evaluate", "m.pf", "data.csv", "--source", "data.csv"], 2, &["N(0, I)"]);
    fails(folder, &["evaluate", "m.pf", "-", "--train", "-"], 2, &["standard input"]);
    fails(folder, &["evaluate", "m.pf", "data.csv", "--steps", "9", "--solver", "dopri5"], 2, &["steps"]);
    fails(folder, &["evaluate", "no.pf", "data.csv"], 1, &["no.pf"]);
    // A source of rows: no density, and nothing but the rows that are given.
    train(folder, "s.pf", &[&["train.csv", "--source", "start.csv"], &tiny[..]].concat());
    let data = ["evaluate", "s.pf", "data.csv"];
    fails(folder, &data, 2, &["--source DATA"]);
    let exact = [&data[..], &["--source", "data.csv", "--train", "train.csv", "--exact"]].concat();
    fails(folder, &exact, 2, &["exact", "source is data"]);
    let found = json(folder, &[&data[..], &["--source", "start.csv"]].concat());
    assert!(
        found["nll"].is_null() && found["exact"].is_null() && found["memorisation"].is_null(),
        "{found:#}"
    );
    // From rows of the same law nearly nothing has to move; W2² knows.
    assert!(number(&found, &["path", "w2_squared"]) < 0.5, "{found:#}");
    // Pairs that are not independent have another true field.
    train(folder, "ot.pf", &[&["train.csv", "--coupling", "ot"], &tiny[..]].concat());
    let exact = ["evaluate", "ot.pf", "data.csv", "--train", "train.csv", "--exact"];
    fails(folder, &exact, 2, &["exact", "coupling ot"]);
}

#[test]
fn every_path_and_solver_can_be_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tiny = ["toy:moons:500", "--steps", "50", "--hidden", "16"];
    let chosen = ["--solver", "dopri5", "--rtol", "1e-3", "--divergence", "hutchinson:4"];
    let fixed = ["--steps", "20"];
    for (scheduler, predict, solver) in [
        ("ve", "velocity", &chosen[..]),
        ("vp", "noise", &fixed),
        ("cosine", "target", &fixed),
        ("linear-vp", "velocity", &fixed),
    ] {
        train(folder, "m.pf", &[&tiny[..], &["--scheduler", scheduler, "--predict", predict]].concat());
        let args = ["evaluate", "m.pf", "toy:moons:100", "--train", "toy:moons:500", "--exact"];
        let found = json(folder, &[&args[..], solver].concat());
        let residual = &found["exact"]["residual"];
        let (off, error) = (number(residual, &["mean"]), number(residual, &["standard_error"]));
        assert!(off.abs() < 5.0 * error, "{scheduler}: {found:#}");
        assert!(number(&found, &["path", "energy", "mean"]) > 0.0, "{scheduler}: {found:#}");
        assert!(number(&found, &["nll", "mean"]).is_finite(), "{scheduler}: {found:#}");
    }
    // The true field is that of the path that samples take: a network that has learnt is near to it on both.
    let learnt = ["toy:gaussian:5000", "--hidden", "32,32", "--steps", "2500", "--lr", "4e-3"];
    train(folder, "cosine.pf", &[&learnt[..], &["--scheduler", "cosine"]].concat());
    for scheduler in ["cosine", "condot"] {
        let args = ["evaluate", "cosine.pf", "toy:gaussian:100", "--train", "toy:gaussian:5000", "--exact"];
        let found = json(folder, &[&args[..], &["--scheduler", scheduler]].concat());
        let of = |key: &str| number(&found, &["exact", key, "mean"]);
        assert!(of("excess") < 0.1 * of("floor"), "{scheduler}: {found:#}");
    }
    train(folder, "wide.pf", &[&tiny[..], &["--width", "constant:0.2"]].concat());
    let args = ["evaluate", "wide.pf", "toy:moons:100", "--train", "toy:moons:500"];
    assert!(number(&json(folder, &args), &["path", "energy", "mean"]) > 0.0);
    fails(folder, &[&args[..], &["--exact"]].concat(), 2, &["exact", "constant:0.2"]);
}
