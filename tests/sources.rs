//! Any table to any other, through the program: pairs that belong together, pairs of least distance from larger sets than a batch,
//! units of both sides, and what makes no sense refused by name.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use pushforward::data::{ReadOptions, Table, write_npy};
use pushforward::rng::Purpose;
use pushforward::{Rng, Source, Tensor};
use tempfile::TempDir;

use crate::program::{fails, json, succeeds};

const ROWS: usize = 400;

/// What a table is moved by, far beyond its own width, and multiplied by: units of its own.
const SHIFT: [f64; 2] = [1000.0, -3.0];
const SCALE: [f64; 2] = [20.0, 0.1];

/// Settings of a training that takes a second.
const QUICK: [&str; 12] = [
    "--hidden",
    "64,64",
    "--batch",
    "128",
    "--steps",
    "1500",
    "--lr",
    "3e-3",
    "--baseline",
    "none",
    "--seed",
    "1",
];

/// Both flags in a row.
fn train(folder: &Path, model: &str, flags: &[&str]) {
    succeeds(
        folder,
        &[&["train", "after.csv", "--source", "before.csv", "-o", model], &QUICK[..], flags].concat(),
    );
}

fn csv(rows: &[[f64; 2]]) -> String {
    let lines: Vec<String> = rows.iter().map(|[x, y]| format!("{x},{y}\n")).collect();
    format!("x,y\n{}", lines.concat())
}

/// `before.csv` holds N(0, I), row i of `after.csv` its row i turned by a quarter, in other units: (-y, x). The law alone would not
/// tell: every turn of N(0, I) is N(0, I).
fn folder() -> (TempDir, Vec<[f64; 2]>) {
    let mut x = Tensor::<f64>::zeros(ROWS, 2);
    Source::Normal.fill(&Rng::from_seed(5).fork(Purpose::Data), 0, &mut x);
    let before: Vec<[f64; 2]> = (0..ROWS).map(|i| [x.row(i)[0], x.row(i)[1]]).collect();
    let after: Vec<[f64; 2]> = before.iter().map(|[x, y]| in_units([-y, *x])).collect();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("before.csv"), csv(&before)).unwrap();
    fs::write(folder.path().join("after.csv"), csv(&after)).unwrap();
    (folder, after)
}

fn in_units(x: [f64; 2]) -> [f64; 2] {
    std::array::from_fn(|j| SHIFT[j] + SCALE[j] * x[j])
}

/// The root mean square of how far the samples from `before.csv` lie from `wanted`, in units of the target.
fn off(folder: &Path, model: &str, wanted: impl Fn(usize) -> [f64; 2]) -> f64 {
    succeeds(folder, &["sample", model, "--source", "before.csv", "-o", "drawn.csv", "--quiet"]);
    let drawn = Table::read(&folder.join("drawn.csv"), &ReadOptions::default()).unwrap();
    assert_eq!((drawn.values.rows(), drawn.values.cols()), (ROWS, 2));
    let square = |i: usize| -> f64 {
        (0..2).map(|j| ((drawn.values.row(i)[j] - wanted(i)[j]) / SCALE[j]).powi(2)).sum()
    };
    ((0..ROWS).map(square).sum::<f64>() / ROWS as f64).sqrt()
}

#[test]
fn pairs_that_belong_together_are_learnt_and_others_are_not() {
    // Rows are sqrt 2 from their mean, and as far apart as 2 where nothing is known of their partner.
    const CLOSE: f64 = 0.35;
    const APART: f64 = 1.0;
    let (folder, after) = folder();
    let folder = folder.path();
    train(folder, "paired.pf", &["--coupling", "paired"]);
    let of_pairs = off(folder, "paired.pf", |i| after[i]);
    assert!(of_pairs < CLOSE, "{of_pairs}");
    // Independent pairs lead to the law and to no row's partner.
    train(folder, "independent.pf", &["--coupling", "independent"]);
    let of_none = off(folder, "independent.pf", |i| after[i]);
    assert!(of_none > APART, "{of_none}");
    let info = json(folder, &["info", "paired.pf"]);
    assert!(info.to_string().contains("\"paired\""), "{info:#}");
}

#[test]
fn pairs_of_least_distance_leave_rows_where_they_are() {
    // The nearest way from N(0, I) to N(0, I) in any units is to stay: each number keeps its place among its column's.
    const STAYS: f64 = 0.35;
    let (folder, _) = folder();
    let folder = folder.path();
    let before = Table::read(&folder.join("before.csv"), &ReadOptions::default()).unwrap().values;
    let stay = |i: usize| in_units([before.row(i)[0], before.row(i)[1]]);
    let mut found = vec![];
    for (model, flags) in [
        ("ot.pf", &["--coupling", "ot"][..]),
        ("large.pf", &["--coupling", "ot", "--coupling-batch", "512"]),
        ("sinkhorn.pf", &["--coupling", "sinkhorn:0.02", "--coupling-batch", "256"]),
    ] {
        train(folder, model, flags);
        let far = off(folder, model, stay);
        assert!(far < STAYS, "{model}: {far}");
        found.push(far);
        let again = format!("again-{model}");
        train(folder, &again, &[flags, &["--threads", "1"]].concat());
        assert_eq!(off(folder, &again, stay).to_bits(), far.to_bits(), "{model} by one thread");
    }
    // Larger sets have nearer partners.
    assert!(found[1] < 1.1 * found[0], "{found:?}");
}

#[test]
fn numbers_of_an_array_may_be_categories() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let number =
        |k: usize| if k.is_multiple_of(2) { [0.0, 1.0, 4.0][k / 2 % 3] } else { (0.7 * k as f64).sin() };
    let x = Tensor::from_vec((0..600).map(number).collect(), 300, 2).unwrap();
    write_npy(&mut fs::File::create(folder.join("x.npy")).unwrap(), &x).unwrap();
    let train = ["train", "x.npy", "-o", "m.pf", "--steps", "200", "--hidden", "16", "--categorical", "x1"];
    succeeds(folder, &train);
    let drawn = succeeds(folder, &["sample", "m.pf", "-n", "50", "-o", "-", "--quiet"]);
    let of = |line: &str| line.split(',').next().unwrap().to_owned();
    assert_eq!(drawn.lines().count(), 50);
    assert!(drawn.lines().all(|line| ["0", "1", "4"].contains(&&*of(line))), "{drawn}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (folder, after) = folder();
    let folder = folder.path();
    let plain = ["train", "after.csv", "-o", "m.pf", "--steps", "10", "--batch", "64"];
    let with = |flags: &[&'static str]| [&plain[..], flags].concat();
    fails(folder, &with(&["--coupling", "paired"]), 2, &["paired", "--source"]);
    fs::write(folder.join("few.csv"), csv(&after[..100])).unwrap();
    fails(folder, &with(&["--source", "few.csv", "--coupling", "paired"]), 1, &["paired", "100", "400"]);
    fs::write(folder.join("three.csv"), "a,b,c\n1,2,3\n4,5,7\n").unwrap();
    fails(folder, &with(&["--source", "three.csv"]), 1, &["three.csv", "a, b, c", "x, y"]);
    fails(folder, &with(&["--coupling-batch", "128"]), 2, &["coupling", "128"]);
    fails(folder, &with(&["--coupling", "ot", "--coupling-batch", "100"]), 2, &["coupling", "100"]);
    fails(folder, &with(&["--coupling", "ott"]), 2, &["ott", "ot"]);
    fails(folder, &with(&["--coupling", "sinkhorn"]), 2, &["sinkhorn"]);
    fails(folder, &with(&["--coupling", "sinkhorn:-1"]), 2, &["-1"]);
    assert!(!folder.join("m.pf").exists());
}
