//! Files as people have them, and a system that says no: formats, disks that are full, folders that cannot be written, input that
//! vanishes, limits of the shell.

#![cfg(all(unix, feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

const TINY: [&str; 6] = ["--steps", "20", "--hidden", "16", "--batch", "64"];

/// How long the first file of a run is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(self.0.path()).unwrap().map(name).collect();
        names.sort();
        names
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(cargo_bin!("pushforward"));
        command.current_dir(self.0.path()).args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// The same behind a command of the shell, such as a limit.
    fn shell(&self, before: &str, args: &str, after: &str) -> Output {
        let line = format!("{before}; {} {args} {after}", cargo_bin!("pushforward").display());
        Command::new("bash")
            .current_dir(self.0.path())
            .args(["-c", &line])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn succeeds(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", said(&out));
        said(&out)
    }

    /// A run that must fail with status 1 or 2, with these words, and leave no file behind.
    #[track_caller]
    fn fails(&self, out: &Output, status: i32, words: &[&str]) {
        let text = said(out);
        assert_eq!(out.status.code(), Some(status), "{text}");
        assert_eq!(text.matches("error: ").count(), 1, "{text}");
        for word in words {
            assert!(text.contains(word), "{word:?} is not said: {text}");
        }
        assert!(self.names().iter().all(|name| !name.starts_with(".pushforward-")), "{:?}", self.names());
    }
}

fn said(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).unwrap()
}

#[test]
fn tables_are_brought_from_one_format_to_another() {
    let folder = Folder::new();
    folder.write("a.csv", "länge;breite\r\n1,5;2\r\n3;4,25\r\n");
    let text = folder.succeeds(&["data", "a.csv", "-o", "b.csv"]);
    assert!(text.contains("a.csv: `;` between cells; a `,` in a number is its decimal mark"), "{text}");
    assert!(text.contains("2 rows, 2 columns: b.csv") && text.contains("breite  numbers"), "{text}");
    assert_eq!(folder.text("b.csv"), "länge,breite\n1.5,2\n3,4.25\n");
    folder.succeeds(&["data", "b.csv", "-o", "c.npy"]);
    folder.succeeds(&["data", "c.npy", "-o", "d.csv", "--quiet"]);
    assert_eq!(folder.text("d.csv"), "1.5,2\n3,4.25\n");
    let npz = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/deflated.npz");
    folder.succeeds(&["data", &format!("{npz}:a"), "-o", "e.csv"]);
    assert_eq!(folder.text("e.csv"), "1,2\n3,4\n");
    let out = folder.run(&["data", npz, "-o", "f.csv"]);
    folder.fails(&out, 1, &["it holds 2 arrays; there are a, b"]);
    // Toys are those that `train` would see, and follow from the seed.
    folder.succeeds(&["data", "toy:moons:500", "-o", "g.csv", "--seed", "3"]);
    folder.succeeds(&["data", "toy:moons:500", "-o", "h.csv", "--seed", "3", "--threads", "1"]);
    folder.succeeds(&["data", "toy:moons:500", "-o", "i.csv"]);
    assert!(folder.text("g.csv") == folder.text("h.csv") && folder.text("g.csv") != folder.text("i.csv"));
    folder.succeeds(&[&["train", "toy:moons:500", "-o", "1.pf", "--seed", "3"], &TINY[..]].concat());
    let out = folder.run(&["data", "a.csv", "-o", "j.npy", "--json"]);
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&json["rows"], &json["columns"][1]["most"], &json["columns"][0]["std"]),
        (&2.into(), &4.25.into(), &0.75.into())
    );
}

#[test]
fn what_is_too_large_is_refused_at_once() {
    let folder = Folder::new();
    let npy = |shape: &str| {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &u16::try_from(header.len()).unwrap().to_le_bytes()[..], header.as_bytes()]
            .concat()
    };
    folder.write("long.npy", npy("(1000000000000,)"));
    folder.write("wide.npy", npy("(1, 1000000)"));
    folder.write("overflow.npy", npy("(4294967296, 4294967296)"));
    // A header that says 10 GB is one that says more than there can be.
    folder.write("header.npy", [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes(), b"{"].concat());
    folder.write("wide.csv", "1,".repeat(999_999) + "1\n");
    fs::File::create(folder.path("endless.csv")).unwrap().set_len(10 << 30).unwrap(); // 10 GB of zeros, without a block
    folder.write("x.csv.gz", b"\x1f\x8b\x08");
    folder.write("x.csv", b"\x1f\x8b\x08");
    for (file, words) in [
        ("long.npy", "it ends before the last"),
        ("wide.npy", "1000000 columns"),
        ("overflow.npy", "beyond all memory"),
        ("header.npy", "its header has 4294967295 bytes"),
        ("wide.csv", "1000000 columns"),
        ("endless.csv", "longer than 16 MiB"),
        ("x.csv.gz", "compressed"),
        ("x.csv", "compressed with gzip"),
    ] {
        // With a gigabyte of address space there is no room for what they claim.
        let out = folder.shell("ulimit -v 1500000", &format!("train {file} -o m.pf --threads 1"), "");
        folder.fails(&out, 1, &[words, file]);
    }
}

#[test]
fn a_training_that_would_not_fit_is_refused_with_an_estimate() {
    let folder = Folder::new();
    folder.succeeds(&["data", "toy:moons:200000", "-o", "x.npy", "--quiet"]); // 400,000 numbers of 28 bytes
    for (args, estimate) in [
        (&["toy:moons:100000000", "--max-memory", "1G"][..], "5409 MiB"),
        (&["toy:moons", "--hidden", "10000,10000", "--max-memory", "8G"], "at least about 99"),
        (&["x.npy", "--max-memory", "70M"], "79 MiB"),
    ] {
        let out = folder.run(&[&["train", "-o", "m.pf"], args].concat());
        folder.fails(&out, 2, &["`max-memory` is", estimate]);
    }
    folder.succeeds(&[&["train", "x.npy", "-o", "m.pf", "--max-memory", "80M"], &TINY[..]].concat());
}

#[test]
fn a_system_that_says_no_is_quoted() {
    let folder = Folder::new();
    folder.succeeds(&[&["train", "toy:moons:500", "-o", "m.pf"], &TINY[..]].concat());
    let before = folder.names();
    // A full disk.
    for args in
        [&["sample", "m.pf", "-n", "10", "-o", "/dev/full"][..], &["data", "toy:moons:9", "-o", "/dev/full"]]
    {
        // The name decides what is written: a device has none that does.
        folder.fails(&folder.run(args), 1, &["/dev/full"]);
    }
    std::os::unix::fs::symlink("/dev/full", folder.path("full.csv")).unwrap();
    for args in [
        &["sample", "m.pf", "-n", "100000", "-o", "full.csv"][..],
        &["data", "toy:moons:9", "-o", "full.csv"],
        &["score", "m.pf", "toy:moons:99", "-o", "full.csv"],
    ] {
        folder.fails(&folder.run(args), 1, &["cannot write full.csv", "No space left on device"]);
    }
    std::os::unix::fs::symlink("/dev/full", folder.path("full.pf")).unwrap();
    let out = folder.run(&[&["train", "toy:moons:500", "-o", "full.pf"], &TINY[..]].concat());
    folder.fails(&out, 1, &["cannot write full.pf", "No space left on device"]);
    let out = folder.run(&["export", "m.pf", "-o", "full.pf"]);
    folder.fails(&out, 1, &["cannot write full.pf", "No space left on device"]);
    let out = folder.shell("true", "sample m.pf -n 100000", "> /dev/full");
    folder.fails(&out, 1, &["standard output", "No space left on device"]);
    // No file may grow beyond 8 KiB.
    let out = folder.shell("ulimit -f 8", "sample m.pf -n 100000 -o big.csv", "");
    folder.fails(&out, 1, &["cannot write big.csv", "File too large"]);
    // A folder that takes no files, and one that is not there.
    let out =
        folder.run(&[&["train", "toy:moons", "-o", "/proc/m.pf", "--steps", "1000000000"][..]].concat());
    folder.fails(&out, 1, &["cannot write /proc/m.pf"]);
    let out = folder.run(&["train", "toy:moons", "-o", "no/m.pf", "--steps", "1000000000"]);
    folder.fails(&out, 1, &["the folder no does not exist"]);
    // Too many open files.
    folder.succeeds(&["data", "toy:moons:99", "-o", "x.npy"]);
    let out = folder.shell("ulimit -n 4", "score m.pf x.npy -o few.csv", "");
    folder.fails(&out, 1, &["cannot write few.csv", "Too many open files"]);
    fs::remove_file(folder.path("x.npy")).unwrap();
    // Who reads has seen enough.
    let out = folder.shell("true", "sample m.pf -n 100000", "| head -n 2; exit ${PIPESTATUS[0]}");
    assert_eq!(
        (out.status.code(), out.stdout.iter().filter(|&&byte| byte == b'\n').count()),
        (Some(0), 2),
        "{}",
        said(&out)
    );
    fs::remove_file(folder.path("full.csv")).unwrap();
    fs::remove_file(folder.path("full.pf")).unwrap();
    assert_eq!(folder.names(), before);
}

#[test]
fn input_that_ends_or_vanishes_is_named() {
    let folder = Folder::new();
    folder.succeeds(&[&["train", "toy:moons:500", "-o", "m.pf"], &TINY[..]].concat());
    folder.succeeds(&["data", "toy:moons:200000", "-o", "x.npy", "--quiet"]);
    folder.fails(
        &folder.run(&["score", "m.pf", "gone.csv", "-o", "s.csv"]),
        1,
        &["cannot read gone.csv", "No such file"],
    );
    folder.fails(&folder.run(&["train", ".", "-o", "n.pf"]), 1, &["the kind of table is not known"]);
    fs::create_dir(folder.path("folder.csv")).unwrap();
    folder.fails(
        &folder.run(&["train", "folder.csv", "-o", "n.pf"]),
        1,
        &["cannot read folder.csv", "Is a directory"],
    );
    // A file that shrinks while it is read.
    let mut child = Command::new(cargo_bin!("pushforward"));
    let child =
        child.current_dir(folder.0.path()).args(["score", "m.pf", "x.npy", "-o", "s.csv", "--threads", "1"]);
    let child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = |folder: &Folder| folder.names().iter().any(|name| name.starts_with(".pushforward-"));
    let start = Instant::now();
    while !begun(&folder) && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::OpenOptions::new().write(true).open(folder.path("x.npy")).unwrap().set_len(200).unwrap();
    let out = child.wait_with_output().unwrap();
    if out.status.code() != Some(0) {
        folder.fails(&out, 1, &["x.npy", "it ends before the last"]);
        assert!(!folder.path("s.csv").exists());
    }
}

#[test]
fn two_that_write_the_same_file_leave_a_whole_one() {
    let folder = Folder::new();
    folder.succeeds(&[&["train", "toy:moons:500", "-o", "m.pf"], &TINY[..]].concat());
    let spawn = |seed: &str| {
        let mut command = Command::new(cargo_bin!("pushforward"));
        let args = ["sample", "m.pf", "-n", "20000", "-o", "s.csv", "--quiet", "--seed", seed];
        command.current_dir(folder.0.path()).args(args).spawn().unwrap()
    };
    let both = [spawn("1"), spawn("2")];
    for mut child in both {
        assert!(child.wait().unwrap().success());
    }
    let found = folder.text("s.csv");
    let alone = ["1", "2"].map(|seed| {
        assert!(spawn(seed).wait().unwrap().success());
        folder.text("s.csv")
    });
    assert!(alone.contains(&found), "it is of neither");
    assert_eq!(folder.names(), ["m.pf", "s.csv"]);
}
