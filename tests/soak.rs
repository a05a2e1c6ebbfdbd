//! Nothing grows: a loop of training, sampling, scoring, encoding and measuring in one process, and of the program beside it, keeps
//! its memory and its open files.
//!
//! Twenty CPU-seconds as a test; `tests/soak.sh` does as many CPU-minutes as are wished. A binary of its own: what is read is
//! that of its process.
//!
//! # Limits
//! Linux only: other systems keep these numbers elsewhere.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use pushforward::data::{ReadOptions, Shape, Table, TableWriter};
use pushforward::metrics::Evaluation;
use pushforward::{
    AffinePath, Coupling, Divergence, Flow, Mlp, Rng, Scheduler, Solver, Tensor, Trainer, data::toy,
};

/// CPU-seconds of the usual test.
const SECONDS: f64 = 20.0;

/// Of these the first share is warming up: pools, caches and the allocator's arenas take what they will have.
const WARM: f64 = 0.25;

/// What the greatest memory of the last quarter may be above that of the second: the allocator's own unrest. A vector of 16 KiB that each
/// round forgets is 1.8 MB in the 200 rounds of a slow machine; without it two thousand rounds had 0.2 MB.
const GROWTH: u64 = 3 << 19;

/// The program runs in every so many rounds.
const PROGRAM: u64 = 50;

/// CPU-seconds of this process so far: user and system time of /proc/self/stat in ticks, which Linux shows as hundredths.
fn seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// Memory of this process that is in the machine, in bytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Files that this process has open.
fn files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// One round of everything.
fn round(number: u64, folder: &Path) -> pushforward::Result<()> {
    let at = |name: &str| folder.join(name);
    let mut rng = Rng::from_seed(number);
    let x_1: Tensor = toy::moons(400, &mut rng);
    let coupling = if number.is_multiple_of(2) { Coupling::Independent } else { Coupling::ExactOt };
    let velocity = Mlp::new(2, &[16, 16], &mut rng)?;
    let trainer = Trainer::new(AffinePath::new(Scheduler::CondOt)).coupling(coupling).steps(40).batch(64);
    trainer.validation(0.1).fit(velocity, &x_1, &mut rng)?.save(at("m.pf"))?;
    let flow = Flow::load(at("m.pf"))?;
    for solver in [Solver::midpoint().steps(5), Solver::dopri5().tolerance(1e-3)] {
        let drawn = flow.sample(200, &solver, &mut rng)?.x;
        let scores = flow.log_density(&drawn, Divergence::Exact, &solver, &mut rng)?;
        assert!(scores.mean().is_finite());
        flow.encode(&drawn, &solver)?;
        for name in ["x.npy", "x.csv"] {
            let mut writer =
                TableWriter::create(&at(name), None, Shape::Matrix { rows: Some(200), cols: 2 })?;
            writer.push(&drawn)?;
            writer.finish()?;
            let table = Table::read(&at(name), &ReadOptions::default())?;
            Evaluation::measure(&drawn.cast(), &table.values, &mut rng)?;
        }
    }
    // What fails leaves nothing open either.
    assert!(Flow::load(at("x.csv")).is_err() && Table::read(&at("m.pf"), &ReadOptions::default()).is_err());
    Ok(())
}

/// A run of each command of the program.
fn program(folder: &Path) {
    for line in [
        "train toy:moons:400 -o p.pf --hidden 8 --steps 20 --batch 64",
        "sample p.pf -n 100 -o s.csv",
        "score p.pf s.csv -o l.npy",
        "encode p.pf s.csv -o e.npy",
        "evaluate p.pf toy:moons:200",
    ] {
        let mut command = Command::new(cargo_bin!("pushforward"));
        let out = command.current_dir(folder).args(line.split(' ')).arg("--quiet").output().unwrap();
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "tests/soak.sh shows it")]
fn nothing_grows() {
    let all = std::env::var("PUSHFORWARD_SOAK").ok().map_or(SECONDS, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let names = || fs::read_dir(folder.path()).unwrap().count();
    // The greatest memory of each quarter of the time, and files and names in the folder after the first round.
    let (mut most, mut open, mut number) = ([0; 4], None, 0);
    while seconds() < all {
        if number % PROGRAM == 0 {
            program(folder.path());
        }
        round(number, folder.path()).unwrap();
        number += 1;
        let now = (files(), names());
        assert_eq!(
            *open.get_or_insert(now),
            now,
            "files that are open or in the folder, after {number} rounds"
        );
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 3")]
        let quarter = ((seconds() / all / WARM) as usize).min(3);
        most[quarter] = most[quarter].max(memory());
    }
    let (files, _) = open.unwrap();
    println!(
        "{number} rounds, {:.0} CPU-seconds: memory at most {most:?} bytes by quarters, {files} files",
        seconds()
    );
    assert!(most[3] < most[1] + GROWTH, "memory grew over {number} rounds: {most:?} bytes by quarters");
}
