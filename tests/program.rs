//! The program as its tests run it: in a folder, with what it must say.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(cargo_bin!("pushforward")).current_dir(folder).args(args).output().unwrap()
}

/// Standard output of a run that must succeed.
#[track_caller]
pub(crate) fn succeeds(folder: &Path, args: &[&str]) -> String {
    let out = run(folder, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The object that a run with `--json` must print.
#[track_caller]
pub(crate) fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&succeeds(folder, &[args, &["--json"]].concat())).unwrap()
}

/// A run that must end with that status, and say these words.
#[track_caller]
pub(crate) fn fails(folder: &Path, args: &[&str], status: i32, words: &[&str]) {
    let out = run(folder, args);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(status), "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?} does not say {word:?}: {said}");
    }
}
