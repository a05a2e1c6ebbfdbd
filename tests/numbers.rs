//! Numbers of every size, tables of every shape: what the program makes of denormal numbers and offsets of 1e30, constant
//! columns and equal rows, one row, one column and a thousand, no rows at all, NaN and infinity, and a training that overflows.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Output;

use pushforward::data::{ReadOptions, Table, Toy, write_npy};
use pushforward::{AffinePath, Error, Mlp, Rng, Tensor, Trainer};
use serde_json::Value;
use tempfile::TempDir;

use crate::program;

const FAILED: i32 = 1;
const WRONG_USAGE: i32 = 2;

/// Flags of a training that takes a second at most.
const TINY: [&str; 6] = ["--hidden", "16", "--batch", "64", "--baseline", "none"];

/// What rows may be off by on the way to the source and back, in standard deviations: f32, and a hundred steps.
const BACK: f64 = 1e-3;

/// A folder in which the program runs.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn write_npy(&self, name: &str, x: &Tensor<f64>) -> &Self {
        write_npy(&mut File::create(self.path(name)).unwrap(), x).unwrap();
        self
    }

    fn table(&self, name: &str) -> Tensor<f64> {
        Table::read(&self.path(name), &ReadOptions::default()).unwrap().values
    }

    fn run(&self, args: &[&str]) -> Output {
        program::run(self.0.path(), args)
    }

    #[track_caller]
    fn succeeds(&self, args: &[&str]) -> String {
        program::succeeds(self.0.path(), args)
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        program::json(self.0.path(), args)
    }

    #[track_caller]
    fn fails(&self, args: &[&str], status: i32, words: &[&str]) {
        program::fails(self.0.path(), args, status, words);
    }

    /// Trains the tiny model `m.pf` with some more flags.
    #[track_caller]
    fn train(&self, data: &str, flags: &[&str]) -> &Self {
        let steps = if flags.contains(&"--steps") { &[][..] } else { &["--steps", "40"] };
        self.succeeds(&[&["train", data, "-o", "m.pf"], &TINY[..], steps, flags].concat());
        self
    }

    /// Draws, scores and encodes with `m.pf`: samples, and log-densities of the rows of `data`.
    #[track_caller]
    fn use_model(&self, data: &str) -> (Tensor<f64>, Vec<f64>) {
        self.succeeds(&["sample", "m.pf", "-n", "100", "-o", "drawn.csv"]);
        self.succeeds(&["score", "m.pf", data, "-o", "scores.csv"]);
        let check = self.json(&["encode", "m.pf", data, "-o", "x_0.csv", "--check"]);
        assert!(check["check"]["rms_std"].as_f64().unwrap() < BACK, "{check}");
        (self.table("drawn.csv"), self.table("scores.csv").as_slice().to_vec())
    }
}

/// Rows of a ring and a third column that follows it: what every case scales and moves.
fn ring(rows: usize) -> Tensor<f64> {
    let x: Tensor<f64> = Toy::Rings.sample(rows, &mut Rng::from_seed(3));
    let row = |i: usize| [x.row(i)[0], x.row(i)[1], 0.5 * x.row(i)[0] - x.row(i)[1]];
    Tensor::from_vec((0..rows).flat_map(row).collect(), rows, 3).unwrap()
}

/// The columns with other units, as CSV with a header.
fn csv(x: &Tensor<f64>, unit: impl Fn(usize, f64) -> f64) -> String {
    let mut text = "a,b,c\n".to_owned();
    for i in 0..x.rows() {
        let cells: Vec<String> =
            x.row(i).iter().enumerate().map(|(j, &x)| format!("{:e}", unit(j, x))).collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

#[test]
fn the_unit_of_a_column_moves_samples_and_densities_and_nothing_else() {
    // The network sees the same numbers but for the rounding of the columns, 1.4e14 of 1e20 at most. It is one of f32, and forty
    // steps of training may spread a rounding of 6e-8 some.
    const SPREAD: f64 = 1e-3;
    let x = ring(300);
    let folder = Folder::new();
    folder.write("plain.csv", &csv(&x, |_, x| x)).train("plain.csv", &[]);
    let (drawn, scores) = folder.use_model("plain.csv");
    for (name, scale, offset) in [
        ("the smallest normal numbers", 2_f64.powi(-1020), 0.0),
        ("denormal numbers among them", 2_f64.powi(-1021), 2_f64.powi(-1021)),
        ("beyond f32", 2_f64.powi(500), 0.0),
        ("offset of 1e30", 1e20, 1e30),
        ("offset of -1e30", 1e18, -1e30),
        ("the largest", 2_f64.powi(1000), -2_f64.powi(1001)),
    ] {
        let unit = |j: usize, x: f64| if j == 1 { x } else { x.mul_add(scale, offset) };
        folder.write("x.csv", &csv(&x, unit)).train("x.csv", &[]);
        let (moved, densities) = folder.use_model("x.csv");
        let step = offset.abs() * f64::EPSILON / scale;
        for i in 0..drawn.rows() {
            for j in 0..3 {
                let back = if j == 1 { moved.row(i)[j] } else { (moved.row(i)[j] - offset) / scale };
                assert!(
                    (back - drawn.row(i)[j]).abs() < SPREAD + 2.0 * step,
                    "{name}: {back} {}",
                    drawn.row(i)[j]
                );
            }
        }
        for (found, plain) in densities.iter().zip(&scores) {
            // Two columns have the unit.
            assert!((found + 2.0 * scale.ln() - plain).abs() < 10.0 * SPREAD, "{name}: {found} {plain}");
        }
    }
}

#[test]
fn a_column_of_denormal_numbers_is_constant_and_said_to_be() {
    // What lies closer together than the smallest normal number: `Standardize`.
    let x = ring(100);
    let folder = Folder::new();
    let unit = |j: usize, x: f64| if j == 1 { 2_f64.powi(-1030) * (4.0 + x) } else { x };
    folder.write("x.csv", &csv(&x, unit));
    let out = folder.run(&[&["train", "x.csv", "-o", "m.pf", "--steps", "40"], &TINY[..]].concat());
    let message = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && message.contains("column b is always"), "{message}");
    let (drawn, scores) = folder.use_model("x.csv");
    let first = unit(1, x.row(0)[1]);
    assert!(first.is_subnormal() && (0..100).all(|i| drawn.row(i)[1].to_bits() == first.to_bits()));
    assert!(scores[0].is_finite(), "{scores:?}");
}

#[test]
fn constant_columns_of_any_size_come_back_to_the_bit() {
    let x = ring(100);
    for constant in [0.0, -0.0, 1e30, -1e-310, 5e-324, f64::MAX, 0.1] {
        let folder = Folder::new();
        folder.write("x.csv", &csv(&x, |j, x| if j == 1 { constant } else { x })).train("x.csv", &[]);
        let (drawn, scores) = folder.use_model("x.csv");
        assert!((0..100).all(|i| drawn.row(i)[1].to_bits() == constant.to_bits()), "{constant}");
        assert!(scores.iter().all(|score| score.is_finite()), "{constant}: {scores:?}");
    }
}

#[test]
fn equal_rows_are_rows() {
    // Four different rows, fifty times each: distances of 0 to pair, to compare and to weigh.
    let four = ring(4);
    let rows: Vec<f64> = four.as_slice().repeat(50);
    let x = Tensor::from_vec(rows, 200, 3).unwrap();
    let folder = Folder::new();
    folder.write("x.csv", &csv(&x, |_, x| x));
    for coupling in ["ot", "sinkhorn:0.01", "sinkhorn:100", "independent"] {
        folder.train("x.csv", &["--coupling", coupling]);
        let (_, scores) = folder.use_model("x.csv");
        assert!(scores.iter().all(|score| score.is_finite()), "{coupling}");
        assert!((scores[0] - scores[4]).abs() <= 0.0, "equal rows, equal scores");
    }
    let found = folder.json(&["evaluate", "m.pf", "x.csv", "--train", "x.csv", "--exact"]);
    assert!(found["metrics"]["sliced_w2"]["model"].is_number() && found["exact"].is_object(), "{found}");
    // Nothing but one row: nothing to learn.
    folder.write("same.csv", "1,2\n1,2\n1,2\n");
    let words = ["columns of data that vary", "nothing to learn"];
    folder.fails(&["train", "same.csv", "-o", "n.pf"], FAILED, &words);
}

#[test]
fn one_row_is_scored_encoded_drawn_and_not_trained_on() {
    let folder = Folder::new();
    folder.write("x.csv", &csv(&ring(50), |_, x| x)).train("x.csv", &[]);
    folder.write("one.csv", "a,b,c\n0.1,0.2,0.3\n");
    folder.fails(&["train", "one.csv", "-o", "n.pf"], FAILED, &["nothing to learn"]);
    folder.write("cell.csv", "7\n");
    folder.fails(&["train", "cell.csv", "-o", "n.pf"], FAILED, &["nothing to learn"]);
    let (_, scores) = folder.use_model("one.csv");
    assert_eq!(scores.len(), 1);
    assert!(folder.json(&["score", "m.pf", "one.csv"])["standard_error"].is_null(), "one row has none");
    folder.succeeds(&["sample", "m.pf", "--source", "x_0.csv", "-o", "one_drawn.csv"]);
    assert_eq!(folder.table("one_drawn.csv").rows(), 1);
    // A distance between halves needs four rows.
    folder.fails(&["evaluate", "m.pf", "one.csv"], FAILED, &["rows"]);
}

#[test]
fn one_column_and_a_thousand() {
    let folder = Folder::new();
    let x = ring(1100);
    let one = Tensor::from_vec((0..1100).map(|i| x.row(i)[2]).collect(), 1100, 1).unwrap();
    folder.write_npy("one.npy", &one);
    folder.train("one.npy", &[]);
    let (drawn, scores) = folder.use_model("one.npy");
    assert_eq!((drawn.cols(), scores.len()), (1, 1100));
    folder.succeeds(&["evaluate", "m.pf", "one.npy"]);
    folder.succeeds(&["plot", "m.pf", "-o", "one.png", "--kind", "density"]);

    let wide = (0..1100 * 1000).map(|k| x.row(k % 1100)[k % 3] + x.row(k / 1000)[0]).collect();
    folder.write_npy("wide.npy", &Tensor::from_vec(wide, 1100, 1000).unwrap());
    folder.train("wide.npy", &["--steps", "4"]);
    folder.succeeds(&["sample", "m.pf", "-n", "3", "--steps", "4", "-o", "drawn.npy"]);
    assert_eq!(folder.table("drawn.npy").cols(), 1000);
    for divergence in ["exact", "hutchinson:2"] {
        let args =
            ["score", "m.pf", "drawn.npy", "--steps", "4", "--divergence", divergence, "-o", "scores.csv"];
        folder.succeeds(&args);
        let scores = folder.table("scores.csv");
        assert!(
            scores.rows() == 3 && scores.as_slice().iter().all(|score| score.is_finite()),
            "{divergence}"
        );
    }
}

#[test]
fn no_rows_are_refused_wherever_rows_are_wanted() {
    let folder = Folder::new();
    folder.write("x.csv", &csv(&ring(50), |_, x| x)).train("x.csv", &[]);
    folder.write("none.csv", "a,b,c\n").write_npy("none.npy", &Tensor::zeros(0, 3));
    folder.fails(&["sample", "m.pf", "-n", "0"], WRONG_USAGE, &["0"]);
    folder.fails(&["sample", "m.pf", "--rows", "7..7"], WRONG_USAGE, &["7..7"]);
    folder.fails(&["score", "m.pf", "x.csv", "--rows", "7..7"], WRONG_USAGE, &["7..7"]);
    folder.fails(&["data", "toy:moons:0", "-o", "n.csv"], WRONG_USAGE, &["from 1 to 100000000"]);
    for data in ["none.csv", "none.npy"] {
        for args in [
            &["train", data, "-o", "n.pf"][..],
            &["score", "m.pf", data],
            &["encode", "m.pf", data],
            &["evaluate", "m.pf", data],
            &["evaluate", "m.pf", "x.csv", "--train", data],
            &["sample", "m.pf", "--source", data],
            &["plot", "m.pf", "-o", "n.png", "--data", data],
            &["data", data, "-o", "n.csv"],
            &["audit", "m.pf", "--data", data],
        ] {
            folder.fails(args, FAILED, &[data, "there are no rows"]);
        }
    }
}

#[test]
fn nan_and_infinity_are_stopped_at_the_door_and_named() {
    let folder = Folder::new();
    folder.write("x.csv", &csv(&ring(50), |_, x| x)).train("x.csv", &[]);
    for (word, remedy) in
        [("NaN", "--missing drop"), ("inf", "infinite"), ("-inf", "infinite"), ("1e999", "beyond the range")]
    {
        folder.write("bad.csv", &format!("a,b,c\n1,2,3\n4,{word},6\n7,8,9\n"));
        let mut bad = ring(3);
        bad.row_mut(1)[1] = word.parse().unwrap();
        folder.write_npy("bad.npy", &bad);
        // CSV: line 3 of the file, column by name. NPY: row 2 (counted from 1), column by number.
        for (data, place) in
            [("bad.csv", "bad.csv, line 3, column b"), ("bad.npy", "bad.npy, line 2, column 2")]
        {
            if data == "bad.npy" && word == "1e999" {
                continue; // there it is infinity
            }
            for args in [
                &["train", data, "-o", "n.pf"][..],
                &["train", "x.csv", "--source", data, "-o", "n.pf"],
                &["score", "m.pf", data],
                &["encode", "m.pf", data],
                &["evaluate", "m.pf", data],
                &["evaluate", "m.pf", "x.csv", "--train", data],
                &["sample", "m.pf", "--source", data],
                &["plot", "m.pf", "-o", "n.png", "--data", data],
                &["data", data, "-o", "n.csv"],
                &["audit", "m.pf", "--data", data],
            ] {
                folder.fails(args, FAILED, &[place, word]);
                if data == "bad.csv" && word != "NaN" {
                    folder.fails(args, FAILED, &[remedy]);
                }
            }
        }
    }
}

#[test]
fn a_training_that_overflows_names_the_step_the_row_of_its_batch_and_the_last_good_model() {
    let folder = Folder::new();
    let mut x = ring(300);
    x.row_mut(217)[1] = 1e3;
    folder.write("x.csv", &csv(&x, |_, x| x));
    let args = [
        "train",
        "x.csv",
        "-o",
        "m.pf",
        "--lr",
        "1e30",
        "--steps",
        "100",
        "--batch",
        "4096",
        "--checkpoint-every",
        "1",
    ];
    let words = [
        "at step 2",
        "row 217 of the training data",
        "m.pf was not written",
        "m.pf.last-good",
        "learning rate",
    ];
    folder.fails(&args, FAILED, &words);
    // With rows held out the numbers are those of the table too.
    let held = [&args[..], &["--validation", "0.2"]].concat();
    folder.fails(&held, FAILED, &["row 217 of the training data"]);
    let info = folder.json(&["info", "m.pf.last-good"]);
    assert_eq!(info["training"]["steps"], 1);
    folder.succeeds(&["sample", "m.pf.last-good", "-n", "5"]);
}

#[test]
fn the_row_that_lies_farthest_out_is_that_of_the_table_whichever_way_rows_are_drawn() {
    let x = ring(40);
    let held_out_of = |trainer: Trainer, row: usize| {
        let mut x = x.clone();
        x.row_mut(row)[0] = -50.0;
        let mut rng = Rng::from_seed(0);
        let mlp = Mlp::new(3, &[8], &mut rng).unwrap();
        let mut run = trainer.steps(50).batch(1024).lr(1e30).start(mlp, &x, &mut rng).unwrap();
        let error = loop {
            if let Err(error) = run.step() {
                break error;
            }
        };
        let Error::Diverged { step, row, size, .. } = error else { panic!("{error}") };
        assert!(run.is_done() && run.step().unwrap_err().to_string().contains("all of them made"));
        run.flow().unwrap();
        (step, row, size)
    };
    let plain = || Trainer::new(AffinePath::default());
    for row in [0, 17, 39] {
        for coupling in ["independent", "ot", "sinkhorn:1"] {
            let (step, found, size) = held_out_of(plain().coupling(coupling.parse().unwrap()), row);
            // One of forty rows: sqrt(39) standard deviations, nearly.
            assert!(
                step >= 2 && found == row as u64 && (5.5..6.3).contains(&size),
                "{coupling} {step} {found} {size}"
            );
        }
    }
    // Held out, it is in no batch; trained on, it has its number in the table.
    let rows: Vec<u64> = (0..40).map(|row| held_out_of(plain().validation(0.3), row).1).collect();
    let named = rows.iter().zip(0..).filter(|(found, row)| *found == row).count();
    assert!(named == 28, "of forty rows twelve are held out: {rows:?}");
}
