//! `sample --trajectory`: the way of each sample, which ends where the sample does, for every kind of solver.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use pushforward::data::{ReadOptions, Table};
use serde_json::Value;
use tempfile::TempDir;

/// Rows of more than two blocks of the solver, the last of which is not full.
const ROWS: usize = 300;

/// Intervals that divide the 12 fixed steps of these tests.
const INTERVALS: usize = 4;

/// The solvers, each with the flags that make it quick.
const SOLVERS: [&str; 8] = [
    "--solver euler --steps 12",
    "--solver midpoint --steps 12",
    "--solver heun --steps 12",
    "--solver rk4 --steps 12",
    "--solver bosh3 --rtol 1e-3",
    "--solver dopri5 --rtol 1e-4",
    "--solver tsit5 --rtol 1e-4",
    "--solver dop853 --rtol 1e-4",
];

struct Folder(TempDir);

impl Folder {
    /// A folder with a small model `m.pf` of the columns `a` and `b`.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let row = |i: usize| format!("{},{}\n", (i as f64 * 0.37).sin(), (i as f64 * 0.11).cos());
        let table = format!("a,b\n{}", (0..200).map(row).collect::<String>());
        fs::write(folder.path("x.csv"), table).unwrap();
        folder.run("train x.csv -o m.pf --hidden 16 --steps 50 --batch 64");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn out(&self, line: &str) -> Output {
        let mut command = Command::new(cargo_bin!("pushforward"));
        command.current_dir(self.0.path()).args(line.split_whitespace()).output().unwrap()
    }

    fn run(&self, line: &str) -> String {
        let out = self.out(line);
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{line} --json"))).unwrap()
    }

    /// The shape that stands in an NPY file of f32, and its numbers.
    fn npy(&self, name: &str) -> (String, Vec<f32>) {
        let bytes = fs::read(self.path(name)).unwrap();
        let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let header = String::from_utf8_lossy(&bytes[10..start]).into_owned();
        assert!(header.contains("'<f4'"), "{header}");
        let shape = header.split_once("'shape': ").unwrap().1.split_inclusive(')').next().unwrap().to_owned();
        let numbers = bytes[start..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (shape, numbers)
    }

    #[track_caller]
    fn refuses(&self, line: &str, status: i32, words: &[&str]) {
        let out = self.out(line);
        let message = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(status), "{line}: {message}");
        assert!(words.iter().all(|word| message.contains(word)), "{line}: {message}");
        assert!(!self.path("none.npy").exists());
    }
}

/// Row i of courses [N, K + 1, 2] at time k.
fn at(courses: &[f32], i: usize, k: usize) -> [u32; 2] {
    let from = (i * (INTERVALS + 1) + k) * 2;
    [courses[from].to_bits(), courses[from + 1].to_bits()]
}

fn row(rows: &[f32], i: usize) -> [u32; 2] {
    [rows[2 * i].to_bits(), rows[2 * i + 1].to_bits()]
}

#[test]
fn a_trajectory_ends_in_the_sample_for_every_solver_and_any_threads() {
    let folder = Folder::new();
    let noisy = ["--noise 0.5 --steps 12"];
    for flags in SOLVERS.into_iter().chain(noisy) {
        let sample =
            |name: &str, more: &str| folder.json(&format!("sample m.pf -o {name} {flags} --seed 7 {more}"));
        let plain = sample("plain.npy", "-n 300");
        let course = sample("course.npy", "-n 300 --trajectory 4 --threads 1");
        sample("again.npy", "-n 300 --trajectory 4 --threads 3");
        sample("part.npy", "--rows 100..260 --trajectory 4");
        assert_eq!((&plain["trajectory"], &course["trajectory"]), (&Value::Null, &INTERVALS.into()));
        let ((shape, courses), (_, ends)) = (folder.npy("course.npy"), folder.npy("plain.npy"));
        assert_eq!(shape, "(300, 5, 2)", "{flags}");
        for i in 0..ROWS {
            assert_eq!(at(&courses, i, INTERVALS), row(&ends, i), "{flags}, row {i}");
        }
        assert!(fs::read(folder.path("course.npy")).unwrap() == fs::read(folder.path("again.npy")).unwrap());
        let per_row = (INTERVALS + 1) * 2;
        assert!(folder.npy("part.npy").1 == courses[100 * per_row..260 * per_row], "{flags}");
    }
}

#[test]
fn a_trajectory_of_given_rows_goes_from_them_to_their_samples() {
    let folder = Folder::new();
    folder.run("encode m.pf x.csv -o x_0.npy");
    folder.run("sample m.pf --source x_0.npy -o plain.npy --solver dopri5");
    folder.run("sample m.pf --source x_0.npy -o course.npy --solver dopri5 --trajectory 4");
    let ((shape, courses), (_, ends)) = (folder.npy("course.npy"), folder.npy("plain.npy"));
    assert_eq!(shape, "(200, 5, 2)");
    assert!((0..200).all(|i| at(&courses, i, INTERVALS) == row(&ends, i)));
    // At t = 0 stands x_0 in the units of the data: one affine map for each column, here found from two rows.
    let (_, starts) = folder.npy("x_0.npy");
    for j in 0..2 {
        let (x, z) = (|i: usize| f64::from(courses[i * 10 + j]), |i: usize| f64::from(starts[i * 2 + j]));
        let std = (x(7) - x(0)) / (z(7) - z(0));
        // Some roundings of f32 numbers of size 3, beside a difference of size 1.
        let off = |i: usize| (x(i) - (x(0) + std * (z(i) - z(0)))).abs();
        assert!(std > 0.0 && (0..200).all(|i| off(i) < 1e-5), "{j}: {std}");
    }
}

#[test]
fn a_hundred_times_cost_no_evaluation() {
    let folder = Folder::new();
    for solver in ["bosh3", "dopri5", "tsit5"] {
        let nfe = |more: &str| {
            let json = folder.json(&format!("sample m.pf -n 50 -o x.npy --solver {solver} {more}"));
            ["nfe", "accepted", "rejected"].map(|name| json[name].to_string())
        };
        assert_eq!(nfe(""), nfe("--trajectory 99"), "{solver}");
    }
    // The curve of dop853 is of order 7: three evaluations more in a step that has such a time within it.
    let nfe = |more: &str| folder.json(&format!("sample m.pf -n 50 -o x.npy --solver dop853 {more}"));
    let (plain, course) = (nfe(""), nfe("--trajectory 99"));
    let number = |json: &Value, name: &str| json[name].as_f64().unwrap();
    let more = number(&course, "nfe") - number(&plain, "nfe");
    assert!(more > 0.0 && more <= 3.0 * number(&plain, "accepted"), "{plain} {course}");
}

#[test]
fn csv_tells_the_number_of_the_sample_and_the_time() {
    let folder = Folder::new();
    folder.run("sample m.pf --rows 5..8 -o course.csv --trajectory 4 --solver dopri5");
    folder.run("sample m.pf --rows 5..8 -o course.npy --trajectory 4 --solver dopri5");
    let table = Table::read(&folder.path("course.csv"), &ReadOptions::default()).unwrap();
    assert_eq!(table.header.unwrap(), ["sample", "t", "a", "b"]);
    assert_eq!(table.values.rows(), 3 * (INTERVALS + 1));
    let (_, courses) = folder.npy("course.npy");
    let narrow = table.values.cast::<f32>();
    for line in 0..table.values.rows() {
        let (i, k) = (line / (INTERVALS + 1), line % (INTERVALS + 1));
        let cells = table.values.row(line);
        assert_eq!(cells[..2], [(5 + i) as f64, k as f64 / INTERVALS as f64]);
        assert_eq!([narrow.row(line)[2], narrow.row(line)[3]].map(f32::to_bits), at(&courses, i, k));
    }
    // Without names, on standard output.
    folder.run("train toy:moons:300 -o toy.pf --hidden 8 --steps 5 --batch 64");
    let text = folder.run("sample toy.pf -n 2 --trajectory 1 --steps 3");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("sample,t,x1,x2", 5));
    assert!(lines[1].starts_with("0,0,") && lines[4].starts_with("1,1,"), "{text}");
}

#[test]
fn times_that_cannot_be_kept_are_refused() {
    let folder = Folder::new();
    let sample = |more: &str| format!("sample m.pf -n 5 -o none.npy {more}");
    folder.refuses(&sample("--trajectory 0"), 2, &["--trajectory"]);
    let divides = ["`trajectory` is 7 with 12 steps", "divides the number of steps"];
    folder.refuses(&sample("--steps 12 --trajectory 7"), 2, &divides);
    folder.refuses(&sample("--noise 1 --steps 12 --trajectory 7"), 2, &divides);
    folder.refuses(&sample("--solver dopri5 --trajectory 1000001"), 2, &["1000001", "at most 1000000"]);
    folder.run("train toy:moons:300 -o ot.pf --coupling ot --hidden 8 --steps 5 --batch 64");
    folder.refuses("sample ot.pf -n 5 -o none.npy --noise 1 --trajectory 4", 2, &["paired independently"]);
}
