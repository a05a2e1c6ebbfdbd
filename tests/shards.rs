//! One job cut into parts for several machines: their outputs joined are, to the byte, that of the whole.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

/// Rows, and four parts of them whose ends are no multiples of a block of the solver or of the program.
const ROWS: usize = 20_000;
const PARTS: [&str; 4] = ["0..1", "1..7003", "7003..16421", "16421..20000"];

struct Folder(TempDir);

impl Folder {
    fn new(model: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.run(&format!("train -o m.pf --hidden 8 --steps 20 --batch 64 {model}"));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, line: &str) {
        let mut command = Command::new(cargo_bin!("pushforward"));
        let out = command.current_dir(self.0.path()).args(line.split_whitespace()).arg("--quiet").output();
        let out = out.unwrap();
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// What a command line writes, as NPY without its header (which tells the number of rows) and as CSV without its own.
    fn written(&self, line: &str) -> [Vec<u8>; 2] {
        let read = |name: &str| {
            self.run(&format!("{line} -o {name}"));
            fs::read(self.path(name)).unwrap()
        };
        let (npy, csv) = (read("part.npy"), read("part.csv"));
        let header =
            if csv[0].is_ascii_alphabetic() { csv.iter().position(|&b| b == b'\n').unwrap() + 1 } else { 0 };
        [npy[128..].to_vec(), csv[header..].to_vec()]
    }

    /// That the parts of a command are the whole, each on another number of threads.
    #[track_caller]
    fn joins(&self, whole: &str, part: &str) {
        let all = self.written(whole);
        let mut joined = [vec![], vec![]];
        for (threads, rows) in PARTS.into_iter().enumerate() {
            let written = self.written(&format!("{part} --rows {rows} --threads {}", threads + 1));
            joined.iter_mut().zip(written).for_each(|(joined, written)| joined.extend(written));
        }
        assert!(joined[0] == all[0], "{part}: NPY");
        assert!(joined[1] == all[1], "{part}: CSV");
    }
}

#[test]
fn parts_of_samples_joined_are_the_whole() {
    let folder = Folder::new("toy:moons:500");
    for flags in [
        "--solver euler --steps 3",
        "--solver dopri5 --rtol 1e-2 --atol 1e-2 --seed 9",
        "--noise 0.7 --steps 4 --seed 9",
        "--solver heun --steps 3 --trajectory 3",
    ] {
        let sample = format!("sample m.pf {flags}");
        folder.joins(&format!("{sample} -n {ROWS}"), &sample);
    }
}

#[test]
fn parts_of_scores_joined_are_the_whole() {
    let folder = Folder::new("toy:moons:500");
    folder.run(&format!("data toy:moons:{ROWS} -o x.npy"));
    for (data, flags) in [
        ("x.npy", "--solver euler --steps 2"),
        ("x.npy", "--solver bosh3 --rtol 1e-2 --atol 1e-2 --divergence hutchinson:3 --seed 5"),
        ("x.npy", "--solver euler --steps 2 --divergence hutchinson:2:gaussian --seed 5"),
        ("toy:moons:20000", "--solver euler --steps 2 --divergence hutchinson:2 --seed 5"),
    ] {
        let score = format!("score m.pf {data} {flags}");
        folder.joins(&score, &score);
    }
}

#[test]
fn parts_of_what_is_encoded_joined_are_the_whole() {
    // And of samples from them: a source of data is cut where its table is.
    let folder = Folder::new("toy:moons:500 --source toy:rings:500");
    folder.run(&format!("data toy:moons:{ROWS} -o x.npy"));
    let encode = "encode m.pf x.npy --solver euler --steps 2";
    folder.joins(encode, encode);
    folder.run(&format!("data toy:rings:{ROWS} -o x_0.npy"));
    for flags in ["", "--trajectory 2"] {
        let sample = format!("sample m.pf --source x_0.npy --solver euler --steps 2 {flags}");
        folder.joins(&sample, &sample);
    }
}
