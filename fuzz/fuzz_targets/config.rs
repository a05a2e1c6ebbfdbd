//! Any text as a command line (its first line) and as the file of `--config` (the rest): what the program takes, or an error that
//! is no panic. The settings that a training says of itself, read as such a file, are the same settings.
//!
//! The program's own reader, with its own flags and words: its modules are compiled in here, for the library has no argument parser.

#![no_main]
#![allow(dead_code, reason = "the program does more with these modules than read its command line")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

use crate::args::Command;
use crate::config::{Refused, parse};

#[path = "../../src/bin/pushforward/args.rs"]
mod args;
#[path = "../../src/bin/pushforward/config.rs"]
mod config;
#[path = "../../src/bin/pushforward/console.rs"]
mod console;
#[path = "../../src/bin/pushforward/course.rs"]
mod course;
#[path = "../../src/bin/pushforward/form.rs"]
mod form;
#[path = "../../src/bin/pushforward/input.rs"]
mod input;
#[path = "../../src/bin/pushforward/manual.rs"]
mod manual;
#[path = "../../src/bin/pushforward/plot.rs"]
mod plot;
#[path = "../../src/bin/pushforward/trajectory.rs"]
mod trajectory;

/// `--config` names a file: this one is in memory where there is such a folder.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("pushforward-fuzz-{}.toml", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    let (line, file) = match bytes.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    let line = String::from_utf8_lossy(line);
    std::fs::write(&*FILE, file).expect("the folder can be written");
    // Of a file that the words name none is read: any that is there could be, or a pipe that never ends.
    let words = line.split(' ').filter(|word| !word.is_empty() && !word.starts_with("--config"));
    let mut words: Vec<OsString> = ["pushforward"].into_iter().chain(words).map(OsString::from).collect();
    words.push("--config".into()); // behind `--` it is none, and nothing is read
    words.push(FILE.as_os_str().to_owned());
    read(&words);
});

fn read(words: &[OsString]) {
    match parse(words.to_vec()) {
        Ok(args) => {
            if let Command::Train(train) = args.command {
                repeat(&train.settings);
            }
        }
        Err(Refused::Config(error)) => {
            let said = format!("{error:#}");
            assert!(said.contains("pushforward-fuzz"), "an error names its file: {said}");
        }
        Err(Refused::Usage(error)) => assert!(!error.to_string().is_empty()),
    }
}

/// A training by its settings alone has these settings.
fn repeat(settings: &str) {
    std::fs::write(&*FILE, settings).expect("the folder can be written");
    let words = ["pushforward", "train", "-o", "m.pf", "--config"].map(OsString::from);
    let words = words.into_iter().chain([FILE.as_os_str().to_owned()]).collect();
    match parse(words) {
        Ok(args) => {
            let Command::Train(train) = args.command else { panic!("it is a training") };
            assert!(train.settings == settings, "{settings}\nbecame\n{}", train.settings);
        }
        Err(Refused::Config(error)) => panic!("{settings}\nis refused: {error:#}"),
        Err(Refused::Usage(error)) => panic!("{settings}\nis refused: {error}"),
    }
}
