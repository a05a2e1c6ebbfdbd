//! Memory does not grow with the rows: the program's own peak, read from the system while the program waits at its end.
//!
//! A program that writes into a pipe which nobody reads stands still. So it can be held shortly before its end, where
//! `VmHWM` of `/proc/<pid>/status` is the largest memory that it ever had, whatever the machine does meanwhile.
//!
//! # Limits
//! Linux only: other systems keep that number elsewhere.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

/// More than a chunk: 65,536 rows are drawn, 131,072 read at a time.
const FEW: usize = 140_000;
const MANY: usize = 2_000_000;

/// Rows that are left in the program when its memory is looked at: at 8 bytes or more they are more than the 64 KiB that
/// a pipe holds, so that it cannot have ended.
const LAST_ROWS: usize = 10_000;

/// The most that fourteen times as many rows may add to what the chunks of few take: where the system puts them. The rows
/// that are more would add 15 MB in f32, and so would their scores.
const GROWTH: u64 = 8 << 20;

/// What the training of 3 -> 512 x 4 -> 2 may take with batches of 4096 rows: values, slopes and cotangents of
/// 8 slots of 128 rows of 4 x 512 units are 25 MB, as are the gradients of 8 slots; parameters, moments and packed copies of
/// 790,000 weights are another 25 MB, and the table of 100,000 rows is held in f64 while it is standardised. Measured: 95 MiB.
const TRAINING: u64 = 150 << 20;

struct Folder(TempDir);

impl Folder {
    /// A folder with the smallest of models.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.run("train toy:moons:1000 -o m.pf --hidden 8 --steps 20 --batch 64");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(cargo_bin!("pushforward"));
        // Each thread has some memory of its own: the machine must not decide.
        command.current_dir(self.0.path()).args(line.split_whitespace()).args(["--quiet", "--threads", "2"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn run(&self, line: &str) {
        assert!(self.command(line).output().unwrap().status.success(), "{line}");
    }

    /// The peak of a run that writes to standard output, when `begun` has read the beginning of it.
    fn peak(&self, line: &str, begun: impl FnOnce(&mut BufReader<ChildStdout>)) -> u64 {
        let mut child = self.command(line).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        begun(&mut out);
        let peak = peak_of(&child);
        io::copy(&mut out, &mut io::sink()).unwrap();
        assert!(child.wait().unwrap().success(), "{line}");
        peak
    }
}

/// The largest memory that a running program has had so far, in bytes.
fn peak_of(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has not ended");
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

fn lines(rows: usize) -> impl FnOnce(&mut BufReader<ChildStdout>) {
    move |out| {
        let mut line = Vec::new();
        for _ in 0..rows - LAST_ROWS {
            line.clear();
            assert!(out.read_until(b'\n', &mut line).unwrap() > 0);
        }
    }
}

fn bytes(count: usize) -> impl FnOnce(&mut BufReader<ChildStdout>) {
    move |out| assert_eq!(io::copy(&mut out.take(count as u64), &mut io::sink()).unwrap(), count as u64)
}

#[track_caller]
fn assert_constant(what: &str, few: u64, many: u64) {
    assert!(many < few + GROWTH, "{what}: {few} bytes for few rows, {many} for many");
}

#[test]
fn samples_need_no_memory() {
    let folder = Folder::new();
    let csv = |n: usize| folder.peak(&format!("sample m.pf -n {n} --solver euler --steps 1"), lines(n));
    assert_constant("samples as CSV", csv(FEW), csv(MANY));
    symlink("/dev/stdout", folder.path("x.npy")).unwrap();
    let npy = |n: usize| {
        let line = format!("sample m.pf -n {n} --solver euler --steps 1 -o x.npy");
        folder.peak(&line, bytes(8 * (n - LAST_ROWS)))
    };
    assert_constant("samples as NPY", npy(FEW), npy(MANY));
}

#[test]
fn trajectories_need_no_memory() {
    let folder = Folder::new();
    symlink("/dev/stdout", folder.path("x.npy")).unwrap();
    // 20 times of two columns, 160 bytes a row: chunks are of 26,214 rows, 4 MB. The rows that are more would be 138 MB.
    let peak = |n: usize| {
        let line = format!("sample m.pf -n {n} --solver euler --steps 19 --trajectory 19 -o x.npy");
        folder.peak(&line, bytes(160 * (n - LAST_ROWS)))
    };
    assert_constant("trajectories", peak(FEW), peak(MANY / 2));
}

#[test]
fn scores_need_no_memory() {
    let folder = Folder::new();
    for (n, name) in [(FEW, "few"), (MANY, "many")] {
        for extension in ["csv", "npy"] {
            folder.run(&format!("sample m.pf -n {n} --solver euler --steps 1 -o {name}.{extension}"));
        }
    }
    let of =
        |data: &str, n: usize| folder.peak(&format!("score m.pf {data} --solver euler --steps 1"), lines(n));
    assert_constant("scores of CSV", of("few.csv", FEW), of("many.csv", MANY));
    assert_constant("scores of NPY", of("few.npy", FEW), of("many.npy", MANY));
    assert_constant(
        "scores of a toy",
        of(&format!("toy:rings:{FEW}"), FEW),
        of(&format!("toy:rings:{MANY}"), MANY),
    );
    // From a pipe into an NPY file, whose number of rows is known only at the end: it waits for more rows.
    let piped = |name: &str| {
        let mut command = folder.command("score m.pf - -o scores.npy --solver euler --steps 1");
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        io::copy(&mut fs::File::open(folder.path(name)).unwrap(), &mut input).unwrap();
        let peak = peak_of(&child);
        drop(input);
        assert!(child.wait().unwrap().success());
        peak
    };
    assert_constant("scores of a pipe", piped("few.csv"), piped("many.csv"));
    assert_eq!(fs::metadata(folder.path("scores.npy")).unwrap().len(), 128 + 8 * MANY as u64);
}

#[test]
fn encoding_needs_no_memory() {
    let folder = Folder::new();
    for (n, name) in [(FEW, "few"), (MANY, "many")] {
        folder.run(&format!("data toy:rings:{n} -o {name}.npy"));
    }
    folder.run(&format!("data toy:rings:{MANY} -o many.csv"));
    folder.run(&format!("data toy:rings:{FEW} -o few.csv"));
    let encode = "--solver euler --steps 1";
    let of = |data: &str, more: &str, n: usize| {
        folder.peak(&format!("encode m.pf {data} {encode} {more}"), lines(n))
    };
    assert_constant("x_0 of CSV", of("few.csv", "", FEW), of("many.csv", "", MANY));
    assert_constant("x_0 of NPY, checked", of("few.npy", "--check", FEW), of("many.npy", "--check", MANY));
    // As NPY, the rows of which were announced.
    symlink("/dev/stdout", folder.path("x.npy")).unwrap();
    let npy = |n: usize| {
        let line = format!("encode m.pf toy:rings:{n} {encode} --rows 0..{n} -o x.npy");
        folder.peak(&line, bytes(8 * (n - LAST_ROWS)))
    };
    assert_constant("x_0 of a toy as NPY", npy(FEW), npy(MANY));
    // And back.
    folder.run(&format!("encode m.pf few.npy {encode} -o few_0.npy"));
    folder.run(&format!("encode m.pf many.npy {encode} -o many_0.npy"));
    let back = |x_0: &str, n: usize| folder.peak(&format!("sample m.pf --source {x_0} {encode}"), lines(n));
    assert_constant("samples from x_0", back("few_0.npy", FEW), back("many_0.npy", MANY));
}

#[test]
fn a_training_takes_what_its_network_and_its_data_need() {
    let folder = Folder::new();
    // It is held while it writes the model, which is larger than a pipe.
    symlink("/dev/stdout", folder.path("m2.pf")).unwrap();
    let peak = |line: &str| folder.peak(&format!("train {line} -o m2.pf"), bytes(1));
    let large = peak("toy:checkerboard:100000 --hidden 512,512,512,512 --batch 4096 --steps 3");
    assert!(large <= TRAINING, "{large} bytes");
    // It does hold its data: so much for the claim that what is measured here would show.
    let of = |n: usize| peak(&format!("toy:moons:{n} --hidden 128,128 --batch 64 --steps 1"));
    let (few, many) = (of(FEW), of(MANY));
    assert!(many > few + 2 * GROWTH, "{few} bytes for {FEW} rows, {many} for {MANY}");
}
