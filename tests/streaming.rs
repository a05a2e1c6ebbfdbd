//! The program reads no more than it needs, and writes nothing that is not complete.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use pushforward::data::{ReadOptions, Table};
use tempfile::TempDir;

/// More rows of two columns than are read at a time (131,072).
const ROWS: usize = 140_000;

/// Far more than it takes to score a table with four hidden units.
const PATIENCE: Duration = Duration::from_secs(60);

const EULER: [&str; 4] = ["--solver", "euler", "--steps", "1"];

struct Folder(TempDir);

impl Folder {
    /// A folder with the smallest of models, of two columns `a` and `b`.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("x.csv", &table("", ""));
        let train = ["train", "x.csv", "-o", "m.pf", "--hidden", "4", "--steps", "5", "--batch", "64"];
        assert!(folder.run(&train).status.success());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo_bin!("pushforward"));
        command.current_dir(self.0.path()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn score(&self, args: &[&str]) -> Output {
        self.run(&[&["score", "m.pf"], args, &EULER].concat())
    }

    fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(self.0.path()).unwrap().map(name).collect();
        names.sort();
        names
    }
}

/// A table of `ROWS` rows; one line is put before the first, one after the last of them.
fn table(first: &str, last: &str) -> String {
    let row = |i: usize| format!("{},{}\n", (i as f64 * 0.37).sin(), (i as f64 * 0.11).cos());
    format!("a,b\n{first}{}{last}", (0..ROWS).map(row).collect::<String>())
}

fn message(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).unwrap()
}

#[test]
fn a_mistake_at_the_end_leaves_no_output() {
    let folder = Folder::new();
    folder.write("bad.csv", &table("", "1,x\n"));
    folder.write("old.csv", "an older table");
    let names = folder.names();
    for output in ["old.csv", "new.csv", "new.npy"] {
        let out = folder.score(&["bad.csv", "-o", output]);
        assert_eq!(out.status.code(), Some(1));
        assert!(message(&out).contains("bad.csv, line 140002, column b: \"x\" is not a number"), "{output}");
        assert_eq!(folder.names(), names);
    }
    assert_eq!(fs::read_to_string(folder.path("old.csv")).unwrap(), "an older table");
    // On standard output there is what came before: nobody can take it back, but the status tells.
    let out = folder.score(&["bad.csv"]);
    assert!(out.status.code() == Some(1) && out.stdout.starts_with(b"log_density\n"));
}

#[test]
fn a_mistake_among_the_first_rows_leaves_standard_output_empty() {
    let folder = Folder::new();
    folder.write("bad.csv", &table("1,x\n", ""));
    for args in [&["bad.csv"][..], &["bad.csv", "--rows", "5..10"]] {
        let out = folder.score(args);
        assert!(out.status.code() == Some(1) && out.stdout.is_empty());
        assert!(message(&out).contains("line 2, column b"), "{}", message(&out));
    }
}

#[test]
fn rows_after_the_last_one_asked_for_are_not_read() {
    let folder = Folder::new();
    folder.write("bad.csv", &table("", "1,x\n"));
    let all = folder.score(&["x.csv"]);
    let lines: Vec<&[u8]> = all.stdout.split(|&byte| byte == b'\n').collect();
    for (rows, range) in [("139999..140000", 139_999..ROWS), ("0..140000", 0..ROWS), ("7..9", 7..9)] {
        let out = folder.score(&["bad.csv", "--rows", rows]);
        assert!(out.status.success(), "{}", message(&out));
        let found: Vec<&[u8]> = out.stdout.split(|&byte| byte == b'\n').collect();
        assert_eq!(found[1..=range.len()], lines[range.start + 1..=range.end]);
    }
    for rows in ["0..140001", "140000..140001", "150000..150001"] {
        let out = folder.score(&["x.csv", "--rows", rows, "-o", "y.npy"]);
        assert_eq!(out.status.code(), Some(2));
        assert!(message(&out).contains(&format!("`rows` is {rows}, but the table has 140000 rows")));
    }
}

#[test]
fn the_number_of_rows_is_in_the_npy_file_although_it_was_not_known() {
    let folder = Folder::new();
    folder.write("gaps.csv", &table("NA,1\n", ",\n1,NaN\n"));
    let out = folder.score(&["gaps.csv", "--missing", "drop", "-o", "y.npy", "--json"]);
    assert!(out.status.success(), "{}", message(&out));
    assert!(message(&out).contains("warning: 3 rows with missing cells left out"));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&json["rows"], &json["dropped"]), (&ROWS.into(), &3.into()));
    let scores = Table::read(&folder.path("y.npy"), &ReadOptions::default()).unwrap().values;
    assert_eq!((scores.rows(), scores.cols()), (ROWS, 1));
    // Added up at once, as the program did not; some hundred thousand roundings.
    let n = ROWS as f64;
    let mean = scores.as_slice().iter().sum::<f64>() / n;
    let squares: f64 = scores.as_slice().iter().map(|l| (l - mean) * (l - mean)).sum();
    assert!((json["mean"].as_f64().unwrap() - mean).abs() < 1e-11);
    assert!(
        (json["standard_error"].as_f64().unwrap() / (squares / (n - 1.0) / n).sqrt() - 1.0).abs() < 1e-11
    );
    // The same as CSV.
    assert!(folder.score(&["gaps.csv", "--missing", "drop", "-o", "y.csv"]).status.success());
    assert_eq!(Table::read(&folder.path("y.csv"), &ReadOptions::default()).unwrap().values, scores);
}

#[test]
fn scores_come_out_of_a_pipe_before_the_last_row_went_in() {
    let folder = Folder::new();
    let mut command = folder.command(&[&["score", "m.pf", "-", "--quiet"][..], &EULER].concat());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (seen, wait) = mpsc::channel();
    let writer = thread::spawn(move || {
        input.write_all(table("", "").as_bytes()).unwrap();
        // The pipe stays open until a score has come out.
        let in_time = wait.recv_timeout(PATIENCE).is_ok();
        input.write_all(b"0.5,0.5\n").unwrap();
        in_time
    });
    let mut scores = BufReader::new(output).lines();
    assert_eq!(scores.next().unwrap().unwrap(), "log_density");
    assert!(scores.next().unwrap().unwrap().parse::<f64>().unwrap().is_finite());
    seen.send(()).unwrap();
    assert_eq!(scores.count(), ROWS);
    assert!(writer.join().unwrap(), "it waited for the end of its input");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_stands_in_a_pipe_is_told_from_its_first_line() {
    let folder = Folder::new();
    let score = |text: &str| {
        let mut command = assert_cmd::Command::new(cargo_bin!("pushforward"));
        command.current_dir(folder.0.path()).args(["score", "m.pf", "-"]).args(EULER);
        command.write_stdin(text).output().unwrap()
    };
    let other = score("a,c\n1,2\n");
    assert!(
        message(&other).contains("standard input: its columns are a, c, those of the model are a, b"),
        "{}",
        message(&other)
    );
    for text in ["b,note,a\n2,x,1\n", "a,b\n1,2\n", "1,2\n"] {
        assert_eq!(score(text).stdout, score("a,b\n1,2\n").stdout, "{text}");
    }
    assert!(message(&score("")).contains("standard input: it is empty"));
    assert!(message(&score("a,b\n")).contains("standard input: there are no rows"));
    assert!(message(&score("1,2,3\n")).contains("columns of the data: found 3, expected 2"));
}
