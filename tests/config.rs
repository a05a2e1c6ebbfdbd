//! `--config FILE.toml` and `info --config MODEL`: a training that is repeated from its model is the same to the byte.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use pushforward::Flow;
use tempfile::TempDir;

const PENGUINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/penguins.csv");

fn run(folder: &TempDir, args: &[&str]) -> Output {
    Command::new(cargo_bin!("pushforward")).current_dir(folder.path()).args(args).output().unwrap()
}

#[track_caller]
fn text(folder: &TempDir, args: &[&str]) -> String {
    let output = run(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(folder: &TempDir, args: &[&str], status: i32, words: &[&str]) {
    let output = run(folder, args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    assert_eq!(said.matches("error: ").count(), 1, "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?} does not say {word:?}: {said}");
    }
}

/// Flags of two trainings: of one with nearly every flag, and of one with few.
const TRAININGS: [&[&str]; 2] = [
    &[
        "--seed=9",
        "--simd=portable",
        PENGUINS,
        "--missing=drop",
        "--steps=30",
        "--hidden=8,16",
        "--batch=32",
        "--lr=2e-3",
        "--scheduler=vp:0.1,20",
        "--predict=noise",
        "--time-embedding=fourier:3",
        "--activation=gelu",
        "--ema=off",
        "--lr-schedule=linear",
        "--warmup=3",
        "--weight-decay=0.01",
        "--clip=1.5",
        "--validation=0.25",
        "--time=stratified",
        "--standardize=off",
        "--checkpoint-every=7",
        "--log=log.jsonl",
        "--threads=2",
    ],
    &["toy:moons:300", "--source=toy:gaussian:300", "--coupling=ot", "--steps=5", "--batch=16"],
];

#[test]
fn a_training_is_repeated_from_its_model() {
    let folder = tempfile::tempdir().unwrap();
    for flags in TRAININGS {
        text(&folder, &[&["train", "-o", "a.pf", "--quiet"], flags].concat());
        let settings = text(&folder, &["info", "--config", "a.pf"]);
        fs::write(folder.path().join("run.toml"), &settings).unwrap();
        text(&folder, &["train", "--config", "run.toml", "-o", "b.pf", "--quiet", "--threads", "1"]);
        let [a, b] = ["a.pf", "b.pf"].map(|name| fs::read(folder.path().join(name)).unwrap());
        assert!(a == b, "{settings}");
        // What the command line says wins, and is what the new model says.
        text(&folder, &["train", "--config", "run.toml", "-o", "c.pf", "--quiet", "--steps", "6"]);
        let settings = text(&folder, &["info", "--config", "c.pf"]);
        assert!(settings.contains("\nsteps = 6\n"), "{settings}");
        assert_eq!(Flow::load(folder.path().join("c.pf")).unwrap().record().unwrap().steps, 6);
    }
}

#[test]
fn any_flag_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "train.toml",
        "# a comment\ndata = 'toy:moons:200'\noutput = 'm.pf'\nsteps = 3\nhidden = [4]\nbatch = 8\nquiet = true\n",
    );
    text(&folder, &["train", "--config", "train.toml"]);
    write("sample.toml", "model = 'm.pf'\nn = 4\nsolver = 'heun'\nsteps = 2\njson = false\n");
    let four = text(&folder, &["sample", "--config=sample.toml"]);
    assert_eq!(four, text(&folder, &["sample", "m.pf", "-n", "4", "--solver", "heun", "--steps", "2"]));
    // --rows takes the place of n, of which there can be one only.
    let rows = text(&folder, &["sample", "--rows", "1..3", "--config=sample.toml"]);
    assert_eq!(rows.lines().collect::<Vec<_>>(), four.lines().skip(1).take(2).collect::<Vec<_>>());
}

#[test]
fn a_bad_file_says_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("c.toml"), text).unwrap();
    let train = ["train", "toy:moons:200", "-o", "m.pf", "--config", "c.toml"];
    fails(&folder, &train, 1, &["cannot read c.toml"]);
    for (content, words) in [
        ("stps = 3", &["c.toml", "no key `stps`", "`steps`"][..]),
        ("steps = 'many'", &["c.toml", "steps = \"many\"", "whole number"]),
        ("steps = -1", &["c.toml", "steps = -1"]),
        ("hidden = 'a'", &["c.toml", "hidden = \"a\""]),
        ("activation = 'swish'", &["c.toml", "activation = \"swish\"", "silu"]),
        ("no-header = 'yes'", &["c.toml", "no-header = \"yes\"", "true or false"]),
        ("lr = { a = 1 }", &["c.toml", "lr", "give a string or a number"]),
        ("steps 3", &["c.toml", "line 1"]),
    ] {
        write(content);
        fails(&folder, &train, 2, words);
    }
    fs::write(folder.path().join("c.toml"), [0xff, 0xfe]).unwrap();
    fails(&folder, &train, 2, &["c.toml", "UTF-8"]);
    fs::write(folder.path().join("c.toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    fails(&folder, &train, 2, &["c.toml", "1 MiB"]);
    assert!(!folder.path().join("m.pf").exists());
}

#[test]
fn a_model_without_settings_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/model-1.pf");
    fails(&folder, &["info", "--config", golden], 1, &["model-1.pf", "does not hold the settings"]);
}
