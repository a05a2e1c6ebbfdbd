//! A training that is stopped anywhere and resumed gives the bytes of one that was not: on any number of threads, after Ctrl-C,
//! SIGTERM and SIGKILL at random moments. `tests/kills.sh` kills 200 times.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "the count of kills is what the script is run for")]

use std::path::Path;

use pushforward::data::toy;
use pushforward::nn::{Adam, LrSchedule};
use pushforward::train::{Run, Standardization};
use pushforward::{AffinePath, Mlp, Rng, Tensor, Trainer};

const STEPS: u64 = 130; // more than the 100 losses that the record is made of

fn trainer() -> Trainer {
    Trainer::new(AffinePath::default()).steps(STEPS).batch(200).warmup(9)
}

fn start(trainer: Trainer, hidden: &[usize], rows: usize, seed: u64) -> Run {
    let mut rng = Rng::from_seed(seed);
    let x_1: Tensor = toy::moons(rows, &mut rng);
    let velocity = Mlp::new(2, hidden, &mut rng).unwrap();
    trainer.start(velocity, &x_1, &mut rng).unwrap()
}

fn go(run: &mut Run, steps: u64) {
    for _ in 0..steps {
        run.step().unwrap();
    }
}

fn bytes(run: &Run) -> Vec<u8> {
    run.flow().unwrap().to_bytes().unwrap()
}

fn on<T: Send>(threads: usize, job: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(job)
}

#[test]
fn resumed_at_any_step_on_any_threads_it_is_the_same_to_the_byte() {
    let adams = [
        Adam::default(),
        Adam { ema: None, ..Adam::default() },
        Adam { clip: Some(0.5), weight_decay: 0.01, ..Adam::default() },
    ];
    for adam in adams {
        let begin = || start(trainer().adam(adam), &[24, 17], 500, 3);
        let whole = on(1, || {
            let mut run = begin();
            go(&mut run, STEPS);
            bytes(&run)
        });
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("m.pf.train");
        // Stopped five times, at once and after the last step too, and gone on with by other threads.
        for (threads, steps) in [(2, 0), (1, 1), (7, 40), (2, 88), (1, 1), (3, 0)] {
            on(threads, || {
                let mut run = begin();
                if state.exists() {
                    assert_eq!(run.resume(&state).unwrap(), "kept");
                }
                go(&mut run, steps);
                run.save_state(&state, "kept").unwrap();
            });
        }
        let mut run = begin();
        run.resume(&state).unwrap();
        assert!(run.is_done() && run.steps_done() == STEPS);
        assert!(bytes(&run) == whole, "{adam:?}");
    }
}

#[test]
fn the_best_parameters_and_the_end_go_on_too() {
    // So few rows and so high a rate that the loss on those held out soon rises, and the training ends by itself.
    let patient = |schedule| trainer().steps(1500).lr(0.02).validation(0.2).patience(2).lr_schedule(schedule);
    for schedule in [LrSchedule::Cosine, LrSchedule::Tail] {
        let begin = || start(patient(schedule), &[64, 64], 30, 3);
        let mut whole = begin();
        let mut curve = Vec::new();
        while !whole.is_done() {
            curve.extend(whole.step().unwrap().validation);
        }
        let (best, least) = whole.best().unwrap();
        let end = whole.steps_done();
        assert!(end < 1500 && best < end, "{schedule}: best after {best}, end after {end}");
        assert!(curve.iter().all(|loss| *loss >= least) && curve.len() > 3);
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("m.pf.train");
        // In the middle of a curve, after the best, in the tail, at the end.
        for (threads, steps) in [(2, 150), (1, best + 20 - 150), (2, end - best - 30), (1, 10)] {
            on(threads, || {
                let mut run = begin();
                if state.exists() {
                    run.resume(&state).unwrap();
                }
                go(&mut run, steps);
                run.save_state(&state, "kept").unwrap();
            });
        }
        let mut run = begin();
        run.resume(&state).unwrap();
        assert!(run.is_done() && run.steps_done() == end && run.best() == Some((best, least)));
        assert!(bytes(&run) == bytes(&whole), "{schedule}");
    }
}

#[test]
fn a_divergence_after_a_resume_keeps_the_same_parameters() {
    // So high a rate that the loss leaves the finite numbers within some steps.
    let begin =
        || start(trainer().adam(Adam { lr: 1e18, clip: None, ..Adam::default() }).warmup(0), &[8], 300, 1);
    let mut whole = begin();
    let mut steps = 0;
    while whole.step().is_ok() {
        steps += 1;
    }
    assert!(steps > 0 && steps < STEPS, "it diverged after {steps} steps");
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut run = begin();
    go(&mut run, steps);
    run.save_state(&state, "").unwrap();
    let mut run = begin();
    run.resume(&state).unwrap();
    assert!(run.step().is_err());
    assert!(bytes(&run) == bytes(&whole));
    assert!(run.save_state(&state, "").unwrap_err().to_string().contains("diverged"));
}

#[test]
fn what_differs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut run = start(trainer(), &[8, 8], 500, 0);
    go(&mut run, 3);
    run.save_state(&state, "").unwrap();
    let adam = Adam::default();
    let others = [
        (start(trainer().steps(STEPS + 1), &[8, 8], 500, 0), "`steps` was 130 and is 131"),
        (start(trainer().batch(100), &[8, 8], 500, 0), "`batch` was 200 and is 100"),
        (start(trainer().lr(0.1), &[8, 8], 500, 0), "`adam.lr` was 0.002 and is 0.1"),
        (
            start(trainer().adam(Adam { ema: None, ..adam }), &[8, 8], 500, 0),
            "`adam.ema` was 0.999 and is none",
        ),
        (start(trainer().warmup(0), &[8, 8], 500, 0), "`warmup` was 9 and is 0"),
        (
            start(trainer().standardization(Standardization::Off), &[8, 8], 500, 0),
            "`standardization` was on and is off",
        ),
        (start(trainer(), &[8, 9], 500, 0), "`network.hidden.1` was 8 and is 9"),
        (start(trainer(), &[8], 500, 0), "`network.hidden.1` was 8 and is not there"),
        (start(trainer(), &[8, 8], 501, 0), "`data.rows` was 500 and is 501"),
        (start(trainer(), &[8, 8], 500, 1), "`seed` was 0 and is 1"),
    ];
    for (mut other, named) in others {
        let before = bytes(&other);
        let said = other.resume(&state).unwrap_err().to_string();
        assert!(said.contains(named) && said.contains("state"), "{said}");
        assert!(bytes(&other) == before && other.steps_done() == 0, "{named}: something was taken over");
    }
    // The same numbers of rows, another row: found by the hash alone, for mean and deviation stay.
    let x_1 = Tensor::from_rows(&[[0.0_f32, 0.0], [1.0, 1.0], [3.0, 2.0]]);
    let swapped = Tensor::from_rows(&[[1.0_f32, 1.0], [0.0, 0.0], [3.0, 2.0]]);
    let begin = |x: &Tensor| {
        let mut rng = Rng::from_seed(0);
        trainer().start(Mlp::new(2, &[4], &mut rng).unwrap(), x, &mut rng).unwrap()
    };
    begin(&x_1).save_state(&state, "").unwrap();
    assert!(begin(&swapped).resume(&state).unwrap_err().to_string().contains("`data.sha256`"));
}

#[test]
fn damage_is_named_by_its_section() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut run = start(trainer(), &[40], 100, 0);
    run.save_state(&state, "").unwrap();
    let whole = std::fs::read(&state).unwrap();
    for name in ["settings", "progress", "kept", "parameters", "previous", "mean", "square", "average"] {
        // The entry of the section table: its name, and where it stands.
        let entry = (64..).step_by(80).find(|&at| whole[at..].starts_with(name.as_bytes())).unwrap();
        let number = |at: usize| usize::from_le_bytes(whole[at..at + 8].try_into().unwrap());
        let mut damaged = whole.clone();
        damaged[number(entry + 32) + number(entry + 40) - 1] ^= 1;
        std::fs::write(&state, damaged).unwrap();
        let said = run.resume(&state).unwrap_err().to_string();
        assert!(said.contains(&format!("section `{name}` is damaged")), "{said}");
    }
    let missing = run.resume(Path::new("no such state")).unwrap_err().to_string();
    assert_eq!(missing, "cannot read no such state");
}

#[cfg(all(unix, feature = "cli"))]
mod program {
    use std::fs;
    use std::io::Read as _;
    use std::path::PathBuf;
    use std::process::{Child, Command, Output, Stdio};
    use std::time::Duration;

    use assert_cmd::cargo::cargo_bin;
    use pushforward::rng::Purpose;
    use tempfile::TempDir;

    use super::*;

    /// Kills in the suite; `tests/kills.sh` asks for more by the variable `PUSHFORWARD_KILLS`.
    const KILLS: u32 = 8;

    /// The longest time that a run may live in milliseconds: several checkpoints, each about as long as the steps between.
    const LONGEST_LIFE: usize = 250;

    const TRAIN: [&str; 12] = [
        "train",
        "toy:moons:2000",
        "-o",
        "m.pf",
        "--steps",
        "2000",
        "--hidden",
        "64,64",
        "--batch",
        "128",
        "--log",
        "log.jsonl",
    ];
    const KEEP: [&str; 2] = ["--checkpoint-every", "3"];

    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(self.0.path())
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }

        fn command(&self, parts: &[&[&str]]) -> Command {
            let mut command = Command::new(cargo_bin!("pushforward"));
            command.current_dir(self.0.path()).args(parts.concat());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            command
        }

        fn succeeds(&self, parts: &[&[&str]]) -> String {
            let out = self.command(parts).output().unwrap();
            let said = String::from_utf8(out.stderr).unwrap();
            assert!(out.status.success(), "{parts:?}: {said}");
            said
        }
    }

    fn uninterrupted() -> Vec<u8> {
        let folder = Folder::new();
        folder.succeeds(&[&TRAIN]);
        fs::read(folder.path("m.pf")).unwrap()
    }

    fn signal(child: &Child, word: &str) {
        let sent = Command::new("kill").args([word, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until a file is there, for at most a minute.
    fn wait_for(path: &Path) {
        for _ in 0..6000 {
            if path.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} did not appear", path.display());
    }

    fn end(child: Child) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    }

    #[test]
    fn killed_at_random_moments_it_ends_with_the_same_bytes() {
        let kills: u32 = std::env::var("PUSHFORWARD_KILLS").ok().map_or(KILLS, |n| n.parse().unwrap());
        let whole = uninterrupted();
        let folder = Folder::new();
        let mut moments = Rng::from_seed(u64::from(kills)).fork(Purpose::Metric).stream(0);
        let (mut killed, mut completed, mut starts) = (0, 0, 0_u32);
        while killed < kills {
            let threads = (1 + starts % 3).to_string();
            starts += 1;
            let mut child =
                folder.command(&[&TRAIN, &KEEP, &["--resume", "--threads", &threads]]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(moments.below(LONGEST_LIFE) as u64));
            let done = child.try_wait().unwrap();
            if done.is_none() {
                child.kill().unwrap();
            }
            let status = child.wait().unwrap();
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            assert!(status.success() || status.code().is_none(), "it failed by itself: {said}");
            if !status.success() {
                killed += 1;
            } else {
                completed += 1;
            }
            if folder.path("m.pf").exists() {
                assert!(fs::read(folder.path("m.pf")).unwrap() == whole, "after {killed} kills");
                if status.success() {
                    assert!(!folder.path("m.pf.train").exists());
                }
                fs::remove_file(folder.path("m.pf")).unwrap();
            }
            // What a killed process leaves is only its temporary file.
            for name in folder.names() {
                if name.starts_with(".pushforward-") {
                    fs::remove_file(folder.path(&name)).unwrap();
                } else {
                    assert!(["m.pf.train", "log.jsonl"].contains(&name.as_str()), "{name}");
                }
            }
        }
        folder.succeeds(&[&TRAIN, &KEEP, &["--resume"]]);
        assert!(fs::read(folder.path("m.pf")).unwrap() == whole);
        assert_eq!(folder.names(), ["log.jsonl", "m.pf"]);
        let log = fs::read_to_string(folder.path("log.jsonl")).unwrap();
        let steps: Vec<u64> = log
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, (1..=1000).map(|line| 2 * line).collect::<Vec<_>>(), "each step of the log once");
        eprintln!(
            "{starts} starts, {killed} killed, {completed} complete before their kill: all with the same bytes"
        );
    }

    /// Whether this process, and so what it starts, ignores a signal: Linux tells.
    fn is_ignored(number: u32) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask & (1 << (number - 1)) != 0)
    }

    #[test]
    fn signals_keep_the_state_and_say_how_to_go_on() {
        let whole = uninterrupted();
        for (word, status, number) in [("-INT", 130, 2), ("-TERM", 143, 15), ("-HUP", 129, 1)] {
            if is_ignored(number) {
                continue; // as under nohup: the program keeps to that, and is right
            }
            let folder = Folder::new();
            let long = ["--steps", "1000000000"];
            let long: Vec<&str> =
                TRAIN.into_iter().filter(|word| !["--steps", "2000"].contains(word)).chain(long).collect();
            let child = folder.command(&[&long, &KEEP]).spawn().unwrap();
            wait_for(&folder.path("m.pf.train"));
            signal(&child, word);
            let (code, said) = end(child);
            assert_eq!(code, Some(status), "{word}: {said}");
            assert!(said.contains("m.pf.train: the same command line with --resume goes on"), "{said}");
            assert_eq!(folder.names(), ["m.pf.train"]);
            // Another number of steps is another training.
            let out = folder.command(&[&TRAIN, &["--resume"]]).output().unwrap();
            let said = String::from_utf8(out.stderr).unwrap();
            assert_eq!(out.status.code(), Some(1), "{said}");
            assert!(said.contains("`steps` was 1000000000 and is 2000"), "{said}");
            fs::remove_file(folder.path("m.pf.train")).unwrap();
            assert!(folder.succeeds(&[&TRAIN, &["--resume"]]).contains("starts anew"));
            assert!(fs::read(folder.path("m.pf")).unwrap() == whole);
            assert_eq!(folder.names(), ["log.jsonl", "m.pf"]);
        }
    }

    #[test]
    fn without_checkpoints_an_interrupted_training_says_what_to_do() {
        let folder = Folder::new();
        let child = folder.command(&[&TRAIN, &["--lr-schedule", "constant"]]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        signal(&child, "-TERM");
        let (code, said) = end(child);
        // It may have come to its end, or not yet to its beginning.
        if code == Some(143) && !folder.names().is_empty() {
            assert!(said.contains("m.pf.last-good; with --checkpoint-every N it could be resumed"), "{said}");
        }
        assert!(folder.names().iter().all(|name| !name.starts_with(".pushforward-")), "{:?}", folder.names());
    }

    #[test]
    fn a_second_signal_ends_at_once_and_leaves_nothing() {
        let folder = Folder::new();
        folder.succeeds(&[&TRAIN]);
        let before = folder.names();
        let mut command = folder.command(&[&["score", "m.pf", "-", "-o", "scores.csv", "--quiet"]]);
        // Its input never comes, so it never looks at the first signal.
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"1,2\n3,4\n").unwrap();
        let temporary = || folder.names().into_iter().any(|name| name.starts_with(".pushforward-"));
        for _ in 0..1000 {
            if temporary() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let input = child.stdin.take();
        for _ in 0..2 {
            signal(&child, "-INT");
            std::thread::sleep(Duration::from_millis(100));
        }
        let (code, said) = end(child);
        drop(input);
        assert_eq!(code, Some(130), "{said}");
        assert_eq!(folder.names(), before);
    }

    #[test]
    fn a_full_disk_keeps_the_state_before() {
        let whole = uninterrupted();
        let folder = Folder::new();
        let flags = [&TRAIN[..], &KEEP].concat().join(" ");
        // No file may grow beyond 16 KiB: the state of this network does.
        let shell = format!("ulimit -f 16; exec {} {flags} --resume", cargo_bin!("pushforward").display());
        let limited =
            || Command::new("bash").current_dir(folder.0.path()).args(["-c", &shell]).output().unwrap();
        let out = limited();
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot write m.pf.train"), "{said}");
        assert!(folder.names().is_empty(), "{:?}", folder.names());
        // The same with a state from before: it stays, and serves.
        let child = folder.command(&[&TRAIN, &KEEP]).spawn().unwrap();
        wait_for(&folder.path("m.pf.train"));
        signal(&child, "-INT");
        if end(child).0 == Some(130) {
            let kept = fs::read(folder.path("m.pf.train")).unwrap();
            assert_eq!(limited().status.code(), Some(1));
            assert!(fs::read(folder.path("m.pf.train")).unwrap() == kept);
        }
        folder.succeeds(&[&TRAIN, &KEEP, &["--resume"]]);
        assert!(fs::read(folder.path("m.pf")).unwrap() == whole);
    }
}
