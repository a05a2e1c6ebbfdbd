//! The program as its users meet it: pipelines, formats, repeatability, and every kind of bad input.
//!
//! What fails must say why in a line, give its exit status, and leave the folder as it was. More than 500 lines, so that the
//! commands, their good input and their bad input are read together.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use pushforward::Tensor;
use pushforward::data::{ReadOptions, Table, write_npy};
use serde_json::Value;
use tempfile::TempDir;

const FAILED: i32 = 1;
const WRONG_USAGE: i32 = 2;
const INTERRUPTED: i32 = 130;

/// A training that would last for days: who ends it in time noticed the mistake before.
const FOR_EVER: &str = "1000000000000";

/// Flags of a training that takes milliseconds.
const TINY: [&str; 6] = ["--steps", "20", "--hidden", "16", "--batch", "64"];

const PENGUINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/penguins.csv");

/// A folder in which the program runs.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), content).unwrap();
        self
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    fn table(&self, name: &str) -> Table {
        Table::read(&self.path(name), &ReadOptions::default()).unwrap()
    }

    /// Every name in it, with its content.
    fn contents(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let entry = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).ok())
        };
        fs::read_dir(self.0.path()).unwrap().map(entry).collect()
    }

    fn names(&self) -> Vec<String> {
        self.contents().into_keys().collect()
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(cargo_bin!("pushforward"));
        command.current_dir(self.0.path()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn run_with_input(&self, args: &[&str], input: &str) -> Output {
        let mut command = assert_cmd::Command::new(cargo_bin!("pushforward"));
        command.current_dir(self.0.path()).args(args).write_stdin(input).output().unwrap()
    }

    /// Standard output of a run that must succeed.
    fn succeeds(&self, args: &[&str]) -> String {
        succeeded(args, self.run(args))
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--json"]].concat();
        let out = self.succeeds(&args);
        assert_eq!(out.lines().count(), 1, "one object: {out}");
        serde_json::from_str(&out).unwrap()
    }

    /// A run that must fail, say these words, and leave everything as it was.
    #[track_caller]
    fn fails(&self, args: &[&str], status: i32, words: &[&str]) {
        let before = self.contents();
        let out = self.run(args);
        self.failed(args, &out, status, words);
        assert!(self.contents() == before, "{args:?} left {:?}", self.names());
    }

    #[track_caller]
    fn failed(&self, args: &[&str], out: &Output, status: i32, words: &[&str]) {
        let message = String::from_utf8(out.stderr.clone()).unwrap();
        assert_eq!(out.status.code(), Some(status), "{args:?}: {message}");
        assert!(out.stdout.is_empty(), "{args:?} wrote to standard output");
        assert_eq!(message.matches("error: ").count(), 1, "{args:?}: {message}");
        for word in words {
            assert!(message.contains(word), "{args:?} does not say {word:?}: {message}");
        }
    }

    /// Trains a tiny model `m.pf`.
    fn train(&self, data: &str) -> &Self {
        self.succeeds(&[&["train", data, "-o", "m.pf"], &TINY[..]].concat());
        self
    }
}

#[track_caller]
fn succeeded(args: &[&str], out: Output) -> String {
    let message = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {message}");
    String::from_utf8(out.stdout).unwrap()
}

/// Rows of two columns that a network can learn, as CSV with a header.
fn wave(header: &str, scale: f64) -> String {
    let row = |i: u32| {
        let t = f64::from(i) * 0.37;
        format!("{},{}\n", t.sin(), scale * (t.cos() + 0.5 * (3.1 * t).sin()))
    };
    header.to_owned() + &(0..200).map(row).collect::<String>()
}

// ---------------------------------------------------------------- what must work

#[test]
fn a_table_goes_through_the_whole_pipeline_with_its_header() {
    let folder = Folder::new();
    // Enough steps that it is the data that decides what is drawn, not the first weights.
    let steps = ["--steps", "400", "--hidden", "16", "--batch", "64"];
    let train = ["train", PENGUINS, "-o", "m.pf", "--missing", "drop", "--log", "log.jsonl"];
    let trained = folder.json(&[&train[..], &steps].concat());
    assert_eq!(
        (&trained["rows"], &trained["columns"], &trained["dropped"]),
        (&342.into(), &4.into(), &2.into())
    );

    let drawn =
        folder.json(&["sample", "m.pf", "-n", "100", "-o", "new.csv", "--solver", "heun", "--steps", "7"]);
    assert_eq!((&drawn["rows"], &drawn["nfe"], &drawn["accepted"]), (&100.into(), &14.into(), &7.into()));
    let header = fs::read_to_string(PENGUINS).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(folder.text("new.csv").lines().next().unwrap(), header);
    let new = folder.table("new.csv");
    assert_eq!((new.values.rows(), new.values.cols()), (100, 4));
    // In the units of the data: penguins weigh 4202 g, give or take 801 g.
    let mass = (0..100).map(|i| new.values.row(i)[3]).sum::<f64>() / 100.0;
    assert!((mass - 4202.0).abs() < 801.0, "{mass}");

    let scored = folder.json(&["score", "m.pf", "new.csv", "-o", "scores.csv"]);
    let scores = folder.table("scores.csv");
    assert_eq!(scores.header, Some(vec!["log_density".to_owned()]));
    let mean = scores.values.as_slice().iter().sum::<f64>() / 100.0;
    assert!((scored["mean"].as_f64().unwrap() - mean).abs() < 1e-9, "{scored} {mean}");
    let bits = -mean / (4.0 * std::f64::consts::LN_2);
    assert!((scored["bits_per_dim"].as_f64().unwrap() - bits).abs() < 1e-9);
    assert!(scored["standard_error"].as_f64().unwrap() > 0.0);

    let info = folder.json(&["info", "m.pf"]);
    assert_eq!(info["header"].as_array().unwrap().len(), 4);
    assert_eq!((&info["training"]["steps"], &info["training"]["rows"]), (&400.into(), &342.into()));
    assert_eq!(info["sha256"], pushforward::checkpoint::sha256(&folder.bytes("m.pf")));
    assert_eq!(info["parameters"], trained["parameters"]);
    let text = folder.succeeds(&["info", "m.pf"]);
    for word in ["condot", "independent", "normal", "silu", "raw", "body_mass_g", "training.lr_schedule"] {
        assert!(text.contains(word), "{text}");
    }

    let log: Vec<Value> =
        folder.text("log.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(log.len(), 400);
    for (i, line) in log.iter().enumerate() {
        assert_eq!(line["step"], i + 1);
        assert!(["loss", "lr", "gradient_norm", "seconds"].iter().all(|key| line[key].is_number()), "{line}");
    }
    assert_eq!(folder.names(), ["log.jsonl", "m.pf", "new.csv", "scores.csv"]);
}

#[test]
fn missing_cells_are_counted_on_standard_error() {
    let folder = Folder::new();
    let args = [&["train", PENGUINS, "-o", "m.pf", "--missing", "drop", "--quiet"], &TINY[..]].concat();
    let out = folder.run(&args);
    assert!(out.status.success());
    assert_eq!(String::from_utf8(out.stderr).unwrap(), "warning: 2 rows with missing cells left out\n");
    folder.fails(&["score", "m.pf", PENGUINS, "-o", "s.csv"], FAILED, &["line 5", "bill_length_mm", "NA"]);
    folder.succeeds(&["score", "m.pf", PENGUINS, "-o", "s.csv", "--missing", "drop"]);
    assert_eq!(folder.table("s.csv").values.rows(), 342);
}

#[test]
fn npy_and_csv_hold_the_same_numbers() {
    let folder = Folder::new();
    let x = Table::read(
        Path::new(PENGUINS),
        &ReadOptions { missing: "drop".parse().unwrap(), ..Default::default() },
    );
    let x = x.unwrap().values;
    let mut npy = Vec::new();
    write_npy(&mut npy, &x).unwrap();
    folder.write("x.npy", npy).train("x.npy");
    folder.succeeds(&["sample", "m.pf", "-n", "50", "-o", "s.npy"]);
    let csv = folder.succeeds(&["sample", "m.pf", "-n", "50"]);
    assert_eq!(csv.lines().count(), 50, "a table without a header gives samples without one");
    folder.write("s.csv", csv);
    let (a, b) = (folder.table("s.npy").values, folder.table("s.csv").values);
    assert_eq!(a.cast::<f32>(), b.cast::<f32>());
    folder.succeeds(&["score", "m.pf", "x.npy", "-o", "l.npy"]);
    folder.succeeds(&["score", "m.pf", "x.npy", "-o", "l.csv"]);
    assert_eq!(folder.table("l.npy").values, folder.table("l.csv").values);
    let header = String::from_utf8_lossy(&folder.bytes("l.npy")[..128]).into_owned();
    assert!(header.contains("(342,)") && header.contains("<f8"), "{header}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let run = |threads: &str, seed: &str| {
        let folder = Folder::new();
        let more = ["--threads", threads, "--seed", seed];
        // A batch of many blocks, and more rows than a block of the solver.
        let train = ["train", "toy:8gaussians:3000", "-o", "m.pf", "--steps", "9", "--batch", "1000"];
        folder.succeeds(&[&train[..], &more].concat());
        folder.succeeds(
            &[&["sample", "m.pf", "-n", "1000", "-o", "x.csv", "--steps", "9"][..], &more].concat(),
        );
        let score = ["score", "m.pf", "toy:rings:500", "-o", "l.npy", "--steps", "9"];
        folder.succeeds(&[&score[..], &more].concat());
        folder.contents()
    };
    let one = run("1", "3");
    assert!(one == run("2", "3") && one == run("7", "3"));
    let other = run("2", "4");
    assert!(one.keys().all(|name| one[name] != other[name]), "another seed is another run");
}

#[test]
fn fewer_samples_are_the_beginning_of_more_and_parts_join() {
    let folder = Folder::new();
    folder.write("x.csv", wave("a,b\n", 1.0)).train("x.csv");
    let sample = |rows: &[&str]| folder.succeeds(&[&["sample", "m.pf", "--steps", "5"], rows].concat());
    // More than two chunks of 65536 rows, and ends that are no multiple of any block.
    let all = sample(&["-n", "140000"]);
    let lines: Vec<_> = all.lines().collect();
    assert_eq!((lines.len(), lines[0]), (140_001, "a,b"));
    assert!(all.starts_with(&sample(&["-n", "10"])));
    let part = sample(&["--rows", "65500..131107"]);
    assert_eq!(part.lines().collect::<Vec<_>>()[1..], lines[65_501..131_108]);

    folder.write("all.csv", lines[..20_001].join("\n"));
    let score =
        |rows: &[&str]| folder.succeeds(&[&["score", "m.pf", "all.csv", "--steps", "3"], rows].concat());
    let all = score(&[]);
    let lines: Vec<_> = all.lines().collect();
    assert_eq!((lines.len(), lines[0]), (20_001, "log_density"));
    let part = score(&["--rows", "8100..8300"]);
    assert_eq!(part.lines().collect::<Vec<_>>()[1..], lines[8101..8301]);
    folder.fails(&["score", "m.pf", "all.csv", "--rows", "5..20001"], WRONG_USAGE, &["20000 rows"]);
}

#[test]
fn chosen_steps_are_counted_on_average_over_all_chunks() {
    let folder = Folder::new();
    folder.train("toy:moons:500");
    // More than one chunk of 65536 rows to draw, and of 8192 rows to score.
    let dopri5 = ["-n", "70000", "--solver", "dopri5", "--rtol", "1e-3", "--atol", "1e-3"];
    let sample = |rows: &[&str]| {
        let counts = folder.json(&[&["sample", "m.pf", "-o", "x.npy"], &dopri5[2..], rows].concat());
        ["rows", "nfe", "accepted", "rejected"].map(|name| counts[name].as_f64().unwrap())
    };
    let (all, first, rest) =
        (sample(&["-n", "70000"]), sample(&["--rows", "0..65536"]), sample(&["--rows", "65536..70000"]));
    assert!((first[0] + rest[0] - all[0]).abs() < 0.5);
    for i in 1..4 {
        let mean = (first[i] * first[0] + rest[i] * rest[0]) / all[0];
        assert!((all[i] - mean).abs() <= 1e-9 * mean, "{all:?} {first:?} {rest:?}");
    }
    // Two to begin with, six for each step.
    assert!((all[1] - 2.0 - 6.0 * (all[2] + all[3])).abs() < 1e-9, "{all:?}");
    assert!(all[2] > 2.0 && all[2].fract() > 0.0, "{all:?}");

    let score = |rows: &[&str]| {
        folder.json(
            &[&["score", "m.pf", "toy:moons:10000", "--solver", "bosh3", "--rtol", "1e-3"], rows].concat(),
        )["nfe"]
            .as_f64()
            .unwrap()
    };
    let mean = (score(&["--rows", "0..8192"]) * 8192.0 + score(&["--rows", "8192..10000"]) * 1808.0) / 1e4;
    assert!((score(&[]) - mean).abs() < 1e-9 * mean);
    // With fixed steps a whole number, as it always was.
    let fixed = folder.json(&["sample", "m.pf", "-n", "5", "-o", "x.npy", "--steps", "9"]);
    assert_eq!((&fixed["nfe"], &fixed["rejected"]), (&18.into(), &0.into()));
}

#[test]
fn the_help_names_the_defaults_of_the_solver() {
    let folder = Folder::new();
    let lines = folder.succeeds(&["help", "sample"]);
    let help = lines.split_whitespace().collect::<Vec<_>>().join(" ");
    for (method, steps) in [("midpoint", 100), ("rk4", 100)] {
        assert!(help.contains(&format!("fixed steps [default: {steps}]")), "{method}: {help}");
    }
    for words in [
        "[default: midpoint; dopri5 for a network of target or noise",
        "where the number is 0 [default: 1e-5]",
        "row [default: 10000]",
        "number [default: 1e-5]",
    ] {
        assert!(help.contains(words), "{help}");
    }
}

#[test]
fn tables_come_through_pipes() {
    let folder = Folder::new();
    let train = [&["train", "-", "-o", "m.pf"], &TINY[..]].concat();
    succeeded(&train, folder.run_with_input(&train, &wave("a,b\n", 1.0)));
    let drawn = folder.succeeds(&["sample", "m.pf", "-n", "30", "-o", "-"]);
    let score = ["score", "m.pf", "-"];
    let scores = succeeded(&score, folder.run_with_input(&score, &drawn));
    assert_eq!(scores.lines().count(), 31);
    // The same rows without their header.
    let body = drawn.split_once('\n').unwrap().1;
    assert_eq!(succeeded(&score, folder.run_with_input(&score, body)), scores);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = Folder::new();
    folder.train("toy:moons:1000");
    let mut child =
        folder.command(&["sample", "m.pf", "-n", "200000", "--steps", "1", "--quiet"]).spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), String::from_utf8(out.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn columns_are_found_by_name() {
    let folder = Folder::new();
    folder.write("x.csv", wave("a,b\n", 1.0)).train("x.csv");
    let scores = folder.succeeds(&["score", "m.pf", "x.csv"]);
    let turned = |header: &str| {
        let body = wave("", 1.0);
        let row = |(i, line): (usize, &str)| {
            let (a, b) = line.split_once(',').unwrap();
            format!("{b},{},{a}\n", if i == 7 { "" } else { "text" })
        };
        header.to_owned() + &body.lines().enumerate().map(row).collect::<String>()
    };
    folder.write("turned.csv", turned("b,note,a\n"));
    assert_eq!(folder.succeeds(&["score", "m.pf", "turned.csv"]), scores);
    // A missing cell in a column that is not needed costs no row.
    assert_eq!(folder.succeeds(&["score", "m.pf", "turned.csv", "--missing", "drop"]), scores);
    folder.write("other.csv", wave("a,c\n", 1.0));
    folder.fails(&["score", "m.pf", "other.csv"], FAILED, &["other.csv", "a, c", "a, b"]);
    folder.write("three.npy", {
        let mut npy = Vec::new();
        write_npy(&mut npy, &Tensor::<f64>::zeros(4, 3)).unwrap();
        npy
    });
    folder.fails(&["score", "m.pf", "three.npy", "-o", "s.csv"], FAILED, &["found 3, expected 2"]);
}

#[test]
fn log_densities_are_in_the_units_of_the_data() {
    // A column in another unit, 1024 times as large: the network sees the same numbers, the density falls by 1024.
    const ROUNDING: f64 = 1e-9;
    let folder = Folder::new();
    let scores = |scale: f64| {
        folder.write("x.csv", wave("a,b\n", scale)).train("x.csv");
        folder.succeeds(&["score", "m.pf", "x.csv", "-o", "s.csv"]);
        folder.table("s.csv").values
    };
    let (one, large) = (scores(1.0), scores(1024.0));
    for (a, b) in one.as_slice().iter().zip(large.as_slice()) {
        assert!((a - b - 1024.0_f64.ln()).abs() < ROUNDING, "{a} {b}");
    }
}

#[test]
fn a_constant_column_is_named_and_stays_constant() {
    let folder = Folder::new();
    let rows: String =
        (0..60).map(|i| format!("{},7.25,{}\n", f64::from(i).sin(), f64::from(i * i).cos())).collect();
    folder.write("x.csv", format!("a,fixed,b\n{rows}"));
    let out = folder.run(&[&["train", "x.csv", "-o", "m.pf"], &TINY[..]].concat());
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(
        out.status.success() && message.contains("column fixed is always 7.25: it is kept constant"),
        "{message}"
    );
    folder.succeeds(&["sample", "m.pf", "-n", "40", "-o", "s.csv"]);
    let drawn = folder.table("s.csv").values;
    assert!((0..40).all(|i| drawn.row(i)[1].to_bits() == 7.25_f64.to_bits()));
    // A row that differs there has no density.
    folder.write("y.csv", "a,fixed,b\n0.1,7.25,0.2\n0.1,7,0.2\n");
    let scores = folder.succeeds(&["score", "m.pf", "y.csv"]);
    let lines: Vec<_> = scores.lines().collect();
    assert_eq!((lines.len(), lines[2]), (3, "-inf"));
    assert!(lines[1].parse::<f64>().unwrap().is_finite());
    let json = folder.json(&["score", "m.pf", "y.csv"]);
    assert_eq!(
        (&json["mean"], &json["standard_error"], &json["off_support"]),
        (&Value::Null, &Value::Null, &1.into())
    );
    assert_eq!(folder.json(&["info", "m.pf"])["constants"], serde_json::json!([1]));
}

#[test]
fn columns_far_from_zero_keep_their_digits() {
    // Times in seconds since 1970 that spread over two minutes: f32 has steps of 128 there.
    let folder = Folder::new();
    let rows: String = (0..100).map(|i| format!("{},{}\n", 1_700_000_000 + i, f64::from(i).sin())).collect();
    folder.write("x.csv", rows).train("x.csv");
    assert_eq!(folder.json(&["info", "m.pf"])["precision"], "f64");
    folder.succeeds(&["sample", "m.pf", "-n", "200", "-o", "s.npy"]);
    assert!(String::from_utf8_lossy(&folder.bytes("s.npy")[..128]).contains("<f8"));
    let drawn = folder.table("s.npy").values;
    assert!((0..200).any(|i| drawn.row(i)[0] % 128.0 != 0.0));
}

#[test]
fn a_first_line_of_numbers_can_be_forced_to_be_a_row() {
    let folder = Folder::new();
    folder.write("x.csv", wave("", 1.0));
    let args = [&["train", "x.csv", "-o", "m.pf", "--no-header"], &TINY[..]].concat();
    assert_eq!(folder.json(&args)["rows"], 200);
    folder.write("y.csv", wave("a,b\n", 1.0));
    let args = [&["train", "y.csv", "-o", "m.pf", "--no-header"], &TINY[..]].concat();
    folder.fails(&args, FAILED, &["line 2", "is the first line a header?"]);
}

#[test]
fn settings_reach_the_model() {
    let folder = Folder::new();
    let args = "train toy:gaussian:500 -o m.pf --steps 11 --batch 70 --hidden 8,9 --activation tanh --time-embedding \
                fourier:3 --lr 0.01 --lr-schedule linear --warmup 4 --weight-decay 0.1 --clip 0.5 --ema off --seed 5 \
                --time stratified --weight target --validation 0.2 --patience 3 \
                --standardize off --source normal --coupling independent --scheduler condot --simd portable";
    folder.succeeds(&args.split_whitespace().collect::<Vec<_>>());
    let info = folder.json(&["info", "m.pf"]);
    let record = &info["training"];
    assert_eq!(info["hidden"], serde_json::json!([8, 9]));
    assert_eq!((&info["activation"], &info["time_embedding"]), (&"tanh".into(), &"fourier:3".into()));
    assert_eq!((&record["steps"], &record["batch"], &record["warmup"]), (&11.into(), &70.into(), &4.into()));
    assert_eq!((&record["lr_schedule"], &record["seed"]), (&"linear".into(), &5.into()));
    let adam = &record["adam"];
    assert_eq!((&adam["lr"], &adam["weight_decay"], &adam["clip"]), (&0.01.into(), &0.1.into(), &0.5.into()));
    assert_eq!((&record["time"], &record["weight"]), (&"stratified".into(), &"target".into()));
    let validation = &record["validation"];
    assert_eq!((&validation["rows"], &validation["patience"]), (&100.into(), &3.into()));
    assert_eq!(validation["step"], 11);
    assert_eq!((&adam["ema"], &record["simd"]), (&Value::Null, &"portable".into()));
    assert_eq!(info["mean"], serde_json::json!([0.0, 0.0]));
}

#[test]
fn the_help_names_the_defaults_that_hold() {
    let folder = Folder::new();
    let help = folder.succeeds(&["train", "--help"]);
    let record = |args: &[&str]| {
        let args = [&["train", "toy:gaussian:100", "-o", "m.pf", "--hidden", "1"], args].concat();
        folder.succeeds(&args);
        folder.json(&["info", "m.pf"])["training"].clone()
    };
    assert!(help.contains(&format!("Rows of a batch [default: {}]", record(&["--steps", "1"])["batch"])));
    // What `auto` says stands in for what is not said.
    let auto = record(&["--batch", "1"]);
    assert!(help.contains("[default: auto]") && auto["steps"].as_u64().unwrap() < 20_000);
    assert_eq!((&auto["lr_schedule"], &auto["validation"]["rows"]), (&"tail".into(), &10.into()));
    assert_eq!(auto["validation"]["patience"], 10);
    let fixed = record(&["--steps", "1"]);
    assert_eq!((&fixed["lr_schedule"], &fixed["validation"]), (&"cosine".into(), &Value::Null));
    assert!(help.contains("[default: 64,64,64]"));
    for command in ["--help", "--version", "help"] {
        folder.succeeds(&[command]);
    }
}

// ---------------------------------------------------------------- bad input

#[test]
fn bad_tables_are_refused_by_file_line_and_column() {
    let folder = Folder::new();
    folder.write("empty.csv", "").write("header.csv", "a,b\n").write("ragged.csv", "a,b\n1,2\n3\n4,5\n");
    folder.write("text.csv", "a,b\n1,2\n3,four\n").write("nan.csv", "a,b\n1,2\nNaN,4\n");
    folder
        .write("inf.csv", "a,b\n1,2\n3,inf\n")
        .write("wide.csv", "1,2,3\n4,5,7\n")
        .write("what.txt", "1,2\n");
    folder.write("same.csv", "1,2\n1,2\n1,2\n").write("no.npy", "1,2\n");
    for (data, words) in [
        ("missing.csv", &["cannot read missing.csv: No such file"][..]),
        (".", &["`.csv` or `.npy`"]),
        ("empty.csv", &["empty.csv", "empty"]),
        ("header.csv", &["header.csv", "no rows"]),
        ("ragged.csv", &["ragged.csv", "line 3", "1 cells", "2"]),
        ("text.csv", &["text.csv", "line 3", "column b", "four"]),
        ("nan.csv", &["nan.csv", "line 3", "column a", "NaN", "--missing drop"]),
        ("inf.csv", &["inf.csv", "line 3", "column b", "inf"]),
        ("wide.csv", &["found 2, expected 3", "as many rows as columns"]),
        ("same.csv", &["columns of data that vary", "found 0"]),
        ("what.txt", &["what.txt", "`.csv` or `.npy`"]),
        ("no.npy", &["no.npy"]),
    ] {
        folder.fails(&["train", data, "-o", "m.pf", "--steps", FOR_EVER], FAILED, words);
    }
    folder.write("old.csv", wave("a,b\n", 1.0)).train("old.csv");
    for data in ["missing.csv", "empty.csv", "header.csv", "ragged.csv", "text.csv", "nan.csv", "inf.csv"] {
        folder.fails(&["score", "m.pf", data, "-o", "old.csv"], FAILED, &[data]);
    }
}

#[test]
fn wrong_settings_are_refused_before_the_work() {
    let folder = Folder::new();
    folder.write("m.pf", "an older model");
    for (flag, value, words) in [
        ("--steps", "0", &["--steps", "'0'"][..]),
        ("--batch", "0", &["--batch", "'0'"]),
        ("--batch", "99999999999999", &["`batch` is 99999999999999", "16777216"]),
        ("--hidden", "1000000,1000000", &["`hidden` is [1000000, 1000000]", "at most"]),
        ("--threads", "0", &["--threads"]),
        ("--threads", "999999999", &["--threads", "1024"]),
        ("--lr", "nan", &["`lr` is NaN"]),
        ("--lr", "-1", &["`lr` is -1"]),
        ("--lr", "inf", &["`lr` is inf"]),
        ("--lr", "fast", &["--lr", "fast"]),
        ("--clip", "0", &["`clip` is 0"]),
        ("--weight-decay", "-0.5", &["`weight_decay` is -0.5"]),
        ("--ema", "1", &["`ema` is 1"]),
        ("--ema", "on", &["or `off`"]),
        ("--warmup", FOR_EVER, &["`warmup`"]),
        ("--steps", "many", &["--steps", "`auto`"]),
        ("--validation", "0", &["`validation` is 0", "above 0 and below 1"]),
        ("--validation", "1", &["`validation` is 1"]),
        ("--validation", "nan", &["`validation` is NaN"]),
        ("--patience", "0", &["--patience", "'0'"]),
        ("--patience", "5", &["`patience`", "rows held out"]),
        ("--time", "beta", &["beta", "stratified"]),
        ("--weight", "snr", &["snr", "velocity"]),
        ("--hidden", "64,0", &["`hidden` is 0"]),
        ("--activation", "sine", &["sine", "silu"]),
        ("--time-embedding", "fourier:0", &["fourier:K"]),
        ("--standardize", "maybe", &["`on` or `off`"]),
        ("--coupling", "best", &["independent", "sinkhorn:REG"]),
        ("--scheduler", "vq", &["condot", "polynomial:N", "vp"]),
        ("--lr-schedule", "wavy", &["cosine"]),
        ("--missing", "ignore", &["error", "drop"]),
        ("--simd", "sse9", &["sse9", "portable"]),
        ("--seed", "-1", &["'-1'"]),
    ] {
        let steps: &[&str] = if flag == "--steps" { &[] } else { &["--steps", FOR_EVER] };
        let args = [&["train", "toy:moons:200", "-o", "m.pf", flag, value], steps].concat();
        folder.fails(&args, WRONG_USAGE, words);
    }
    for (data, word) in [("toy:moon", "8gaussians"), ("toy:moons:0", "100000000"), ("toy:moons:many", "many")]
    {
        folder.fails(&["train", data, "-o", "m.pf"], WRONG_USAGE, &[word]);
    }
    folder.fails(&["train", "toy:moons", "-o", "-"], WRONG_USAGE, &["-o"]);
    folder.fails(&["train", "toy:moons"], WRONG_USAGE, &["--output"]);
    folder.fails(&["dance"], WRONG_USAGE, &["dance"]);
}

#[test]
fn wrong_requests_to_a_model_are_refused() {
    let folder = Folder::new();
    folder.train("toy:moons:500").write("old.csv", "an older table").write("x.csv", "1,2,3\n4,5,6\n");
    for (args, words) in [
        (&["-n", "0"][..], &["-n", "at least 1"][..]),
        (&["-n", "-5"], &["-5"]),
        (&[], &["-n", "--rows"]),
        (&["-n", "5", "--rows", "0..5"], &["cannot be used"]),
        (&["--rows", "5..5"], &["A below B"]),
        (&["-n", "5", "--steps", "0"], &["--steps", "'0'"]),
        (&["-n", "5", "--solver", "rk45"], &["rk45", "midpoint", "dopri5"]),
        (
            &["-n", "5", "--solver", "dopri5", "--steps", "50"],
            &["`steps` is 50 with dopri5", "`rtol` and `atol`"],
        ),
        (&["-n", "5", "--rtol", "1e-3"], &["`rtol` is 0.001 with midpoint", "dopri5"]),
        (&["-n", "5", "--solver", "rk4", "--atol", "1e-3"], &["`atol` is 0.001 with rk4", "`steps`"]),
        (&["-n", "5", "--max-steps", "9"], &["`max_steps` is 9 with midpoint", "dopri5"]),
        (&["-n", "5", "--solver", "dop853", "--atol", "1e-5,none"], &["1e-5,none", "or one for each column"]),
        (&["-n", "5", "--solver", "dop853", "--min-step", "-1"], &["`min_step` is -1", "at least 0"]),
        (&["-n", "5", "--solver", "tsit5", "--rtol", "-1"], &["`rtol` is -1", "at least 0"]),
        (&["-n", "5", "--solver", "tsit5", "--atol", "0"], &["`atol` is 0", "above 0"]),
        (&["-n", "5", "--solver", "bosh3", "--max-steps", "0"], &["--max-steps", "'0'"]),
    ] {
        folder.fails(&[&["sample", "m.pf", "-o", "old.csv"], args].concat(), WRONG_USAGE, words);
    }
    let score = ["score", "m.pf", "toy:moons:5", "-o", "old.csv", "--solver", "dopri5"];
    folder.fails(&[&score[..], &["--steps", "50"]].concat(), WRONG_USAGE, &["`steps` is 50 with dopri5"]);
    let many = [&score[..], &["--atol", "1e-3,1e-3,1e-3,1e-3"]].concat();
    folder.fails(&many, FAILED, &["numbers of `atol`: found 4, expected 2", "one for each column"]);
    folder.succeeds(&[&score[..5], &["--solver", "dop853", "--atol", "1e-3,1e-4,1e-2"]].concat());
    folder.write("old.csv", "an older table");
    let words = ["the solver used 2 steps at t = ", "in row", "raise `max_steps` or loosen `rtol`/`atol`"];
    folder.fails(&[&score[..], &["--max-steps", "2"]].concat(), FAILED, &words);
    folder.fails(&["sample", "m.pf", "-n", "5", "--json"], WRONG_USAGE, &["-o"]);
    folder.fails(&["score", "m.pf", "toy:moons:5", "-o", "-", "--json"], WRONG_USAGE, &["-o"]);
    folder.fails(&["score", "m.pf", "toy:moons:5", "--divergence", "trace"], WRONG_USAGE, &["exact"]);
    folder.fails(&["score", "m.pf", "x.csv", "-o", "old.csv"], FAILED, &["found 3, expected 2"]);
    folder.write("far.csv", "1,2\n1e300,5\n");
    folder.fails(&["score", "m.pf", "far.csv", "-o", "old.csv"], FAILED, &["row 1", "too far"]);
}

#[test]
fn files_that_are_no_model_or_damaged_are_refused() {
    let folder = Folder::new();
    folder
        .train("toy:moons:500")
        .write("x.csv", "1,2\n3,4\n")
        .write("empty.pf", "")
        .write("text.pf", "hello");
    let run = |model: &str, words: &[&str]| {
        folder.fails(&["sample", model, "-n", "5", "-o", "x.csv"], FAILED, words);
        folder.fails(&["score", model, "x.csv", "-o", "y.csv"], FAILED, words);
        folder.fails(&["info", model], FAILED, words);
    };
    run("none.pf", &["cannot read none.pf: No such file"]);
    run("empty.pf", &["empty.pf is no usable model"]);
    run("text.pf", &["text.pf is no usable model"]);
    run("x.csv", &["x.csv is no usable model"]);
    run(".", &["cannot read"]);
    let good = folder.bytes("m.pf");
    // The mark, the version, the length, the checksum, the shape, a parameter, the last byte.
    for at in [0, 9, 13, 21, 24, 200, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        folder.write("bad.pf", bad);
        folder.fails(&["info", "bad.pf"], FAILED, &["bad.pf is no usable model"]);
    }
    folder.write("bad.pf", &good[..good.len() - 1]);
    run("bad.pf", &["bad.pf is no usable model"]);
    folder.write("bad.pf", [&good[..], b"\n"].concat());
    run("bad.pf", &["bad.pf is no usable model"]);
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_the_work() {
    let folder = Folder::new();
    folder.train("toy:moons:500");
    fs::create_dir(folder.path("folder")).unwrap();
    let train = |args: &[&str], words: &[&str]| {
        // The output is looked at first: nobody reads a large table in vain.
        folder.fails(&[&["train", "missing.csv", "--steps", FOR_EVER], args].concat(), FAILED, words);
    };
    train(&["-o", "no/such/m.pf"], &["cannot write no/such/m.pf", "does not exist"]);
    train(&["-o", "folder"], &["cannot write folder"]);
    train(&["-o", "m.pf/x"], &["cannot write m.pf/x"]);
    train(&["-o", "m.pf", "--log", "no/log.jsonl"], &["cannot write no/log.jsonl"]);
    let everything = usize::MAX.to_string();
    for (output, word) in
        [("no/x.csv", "cannot write no/x.csv"), ("x.txt", "`.csv` or `.npy`"), ("folder", "folder")]
    {
        folder.fails(&["sample", "m.pf", "-n", &everything, "-o", output], FAILED, &[word]);
        folder.fails(&["score", "m.pf", "toy:moons", "-o", output], FAILED, &[word]);
    }
}

#[test]
fn a_training_that_diverges_keeps_the_old_model_and_the_last_good_one() {
    let folder = Folder::new();
    folder.write("m.pf", "an older model").write("x.csv", wave("a,b\n", 1.0));
    let args = ["train", "x.csv", "-o", "m.pf", "--lr", "1e30", "--steps", FOR_EVER, "--log", "log.jsonl"];
    let out = folder.run(&args);
    folder.failed(
        &args,
        &out,
        FAILED,
        &["m.pf was not written", "at step 2", "m.pf.last-good", "learning rate"],
    );
    assert_eq!(folder.names(), ["m.pf", "m.pf.last-good", "x.csv"]);
    assert_eq!(folder.text("m.pf"), "an older model");
    // What is kept can be used.
    let drawn = folder.succeeds(&["sample", "m.pf.last-good", "-n", "5"]);
    assert!(drawn.starts_with("a,b\n") && !drawn.contains("NaN"), "{drawn}");
    assert_eq!(folder.json(&["info", "m.pf.last-good"])["training"]["steps"], 1);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_model_so_far() {
    let folder = Folder::new();
    folder.write("m.pf", "an older model");
    let args =
        ["train", "toy:moons:500", "-o", "m.pf", "--steps", FOR_EVER, "--log", "log.jsonl", "--hidden", "4"];
    let mut child = folder.command(&args).spawn().unwrap();
    wait_for_the_loop(&folder, &mut child);
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let out = child.wait_with_output().unwrap();
    folder.failed(&args, &out, INTERRUPTED, &["interrupted", "m.pf.last-good"]);
    assert_eq!(folder.names(), ["m.pf", "m.pf.last-good"]);
    assert_eq!(folder.text("m.pf"), "an older model");
    folder.succeeds(&["sample", "m.pf.last-good", "-n", "5"]);
}

/// Waits until the program listens to Ctrl-C: it says what it read, listens, and begins its log.
#[cfg(unix)]
fn wait_for_the_loop(folder: &Folder, child: &mut Child) {
    use std::io::Read as _;
    let mut byte = [0];
    let stderr = child.stderr.as_mut().unwrap();
    while byte != *b"\n" {
        stderr.read_exact(&mut byte).unwrap();
    }
    while folder.names().iter().all(|name| name == "m.pf") {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its time");
        std::thread::yield_now();
    }
}

#[test]
fn probes_give_a_second_column_and_parts_of_a_table_score_as_the_whole() {
    let folder = Folder::new();
    folder.train("toy:moons:500");
    let score = |out: &str, more: &[&str]| {
        let args = ["score", "m.pf", "toy:moons:300", "-o", out, "--seed", "4", "--solver", "dopri5"];
        folder.json(&[&args[..], more].concat())
    };
    let probes = ["--divergence", "hutchinson:4"];
    let json = score("all.csv", &probes);
    assert_eq!(json["divergence"], "hutchinson:4");
    let all = folder.table("all.csv");
    assert_eq!(all.header.unwrap(), ["log_density", "standard_error"]);
    assert!((0..300).all(|i| all.values.row(i)[1] >= 0.0));
    score("exact.npy", &[]);
    assert_eq!(folder.table("exact.npy").values.cols(), 1);
    for (name, rows, threads) in [("head.npy", "0..131", "1"), ("tail.npy", "131..300", "2")] {
        score(name, &[&probes[..], &["--rows", rows, "--threads", threads]].concat());
    }
    let parts = [folder.table("head.npy").values, folder.table("tail.npy").values];
    assert_eq!([parts[0].as_slice(), parts[1].as_slice()].concat(), all.values.as_slice());
    // Two probes of two signs are the same but for their sign in half of the rows, and their difference tells nothing.
    let warning = |word: &str| {
        let out = folder.run(&["score", "m.pf", "toy:moons:300", "-o", "two.csv", "--divergence", word]);
        let table = folder.table("two.csv").values;
        let zero = (0..300).filter(|&i| table.row(i)[1] <= 0.0).count();
        (String::from_utf8(out.stderr).unwrap().contains("the same but for their sign"), zero)
    };
    let (said, zero) = warning("hutchinson:2");
    assert!(said && (100..200).contains(&zero), "{said} {zero}");
    assert_eq!(warning("hutchinson:2:gaussian"), (false, 0));
    let one = ["--divergence", "hutchinson:1"];
    let args = ["score", "m.pf", "toy:moons:300"];
    folder.fails(
        &[&args[..], &one, &["-o", "one.csv"]].concat(),
        WRONG_USAGE,
        &["`divergence` is hutchinson:1", "two or more"],
    );
    assert!(folder.json(&[&args[..], &one].concat())["mean"].is_number());
    folder.fails(&[&args[..], &["--divergence", "trace"]].concat(), WRONG_USAGE, &["hutchinson:K"]);
}

#[test]
fn what_is_encoded_comes_back() {
    let folder = Folder::new();
    folder.write("data.csv", "a,same,b\n1,7,2\n3,7,1\n2,7,5\n4,7,3.5\n0.5,7,4\n").train("data.csv");
    let solver = ["--solver", "dopri5", "--rtol", "1e-4", "--atol", "1e-4"];
    let args = ["encode", "m.pf", "data.csv", "-o", "x_0.csv", "--check"];
    let check = &folder.json(&[&args[..], &solver].concat())["check"];
    assert!(check["scaled"].as_f64().unwrap() <= check["ten_tolerances"].as_f64().unwrap(), "{check}");
    assert!(check["rms"].as_f64().unwrap() <= check["max"].as_f64().unwrap(), "{check}");
    assert_eq!(folder.table("x_0.csv").header.unwrap(), ["a", "b"]); // what does not vary is left out
    folder.succeeds(&[&["sample", "m.pf", "--source", "x_0.csv", "-o", "again.csv"][..], &solver].concat());
    let (data, again) = (folder.table("data.csv"), folder.table("again.csv"));
    assert_eq!(again.header, data.header);
    for (a, b) in data.values.as_slice().iter().zip(again.values.as_slice()) {
        // Ten tolerances of standardised columns, whose deviations here are at most 1.5 and numbers at most 2.
        assert!((a - b).abs() <= 10.0 * 1e-4 * 1.5 * 3.0, "{a} {b}");
    }
    // A part of the table is that part of x_0.
    folder.succeeds(
        &[&["encode", "m.pf", "data.csv", "-o", "part.npy", "--rows", "2..4"][..], &solver].concat(),
    );
    let (all, part) = (folder.table("x_0.csv").values, folder.table("part.npy").values);
    assert_eq!(part.cast::<f32>(), all.slice_rows(2..4).cast::<f32>());
    folder.fails(
        &["sample", "m.pf", "--source", "data.csv", "-o", "none.csv"],
        FAILED,
        &["columns of x_0: found 3, expected 2"],
    );
    folder.fails(
        &["sample", "m.pf", "--source", "x_0.csv", "-n", "3"],
        WRONG_USAGE,
        &["cannot be used with"],
    );
    let check = &folder.json(&["encode", "m.pf", "data.csv", "-o", "x_0.npy", "--check"])["check"];
    assert!(check["ten_tolerances"].is_null(), "fixed steps have no tolerance: {check}");
    // Steps that are far too long, and those that are not: one is said.
    let warned = |flags: &[&str]| {
        let args = [&["encode", "m.pf", "data.csv", "-o", "x_0.csv", "--check"][..], flags].concat();
        String::from_utf8(folder.run(&args).stderr).unwrap().contains("rows come back as others")
    };
    assert!(warned(&["--solver", "euler", "--steps", "1"]));
    assert!(!warned(&["--solver", "midpoint", "--steps", "200"]) && !warned(&solver));
}
