//! `pushforward completions` and `pushforward man`: what they write names every command and every flag.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;

fn run(args: &[&str]) -> Output {
    Command::new(cargo_bin!("pushforward")).args(args).output().unwrap()
}

fn text(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands, as `--help` lists them.
fn commands() -> Vec<String> {
    let help = text(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let indented = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names = list.lines().filter(indented).map(|line| line.split_whitespace().next().unwrap().to_owned());
    let names: Vec<String> = names.filter(|name| name != "help").collect();
    assert!(names.len() >= 14 && names.contains(&"train".to_owned()), "{names:?}");
    names
}

/// The long flags of a command, as its `--help` lists them.
fn flags(command: &str) -> Vec<String> {
    let help = text(&[command, "--help"]);
    let words = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix('-').filter(|rest| !rest.starts_with(' '))?;
        let long = line.split("--").nth(1).or_else(|| line.strip_prefix('-'))?;
        Some(long.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap().to_owned())
    });
    words.filter(|word| !word.is_empty()).collect()
}

#[test]
fn completions_know_every_command_and_flag() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
    let bash = text(&["completions", "bash"]);
    for command in commands() {
        assert!(bash.contains(&format!("pushforward,{command})")), "{command}");
        for flag in flags(&command) {
            assert!(bash.contains(&format!("--{flag}")), "{command} --{flag}");
        }
    }
    let refused = run(&["completions", "fsh"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("fish"));
}

#[test]
fn every_command_has_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    text(&["man", "--out", out.to_str().unwrap()]);
    for command in commands() {
        let page = fs::read_to_string(out.join(format!("pushforward-{command}.1"))).unwrap();
        assert_eq!(page, text(&["man", &command]));
        let plain = page.replace('\\', "");
        assert!(plain.contains(&format!(".SH NAME\npushforward-{command}")), "{page}");
        let flags = flags(&command);
        assert!(flags.contains(&"seed".to_owned()), "{command}: {flags:?}");
        for flag in flags {
            assert!(plain.contains(&format!("--{flag}")), "{command} --{flag}");
        }
    }
    let page = fs::read_to_string(out.join("pushforward.1")).unwrap();
    assert_eq!(page, text(&["man"]));
    assert_eq!(fs::read_dir(&out).unwrap().count(), commands().len() + 1);
    assert_eq!(run(&["man", "no-such"]).status.code(), Some(2));
    assert_eq!(run(&["man", "--json"]).status.code(), Some(2));
}
