//! `--config FILE.toml`: flags that stand in a file; and the settings of a training as such a file.
//!
//! A key is the long name of a flag, its letter if it has no long name, or the name of what has its place on the command line
//! (`data`, `model`). What the command line says wins, also over a key that cannot go together with it. The keys become words
//! beside those of the command line, so that every value is read by the parser of its flag and nothing is defined twice.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _};
use pushforward::Error;
use pushforward::data::no_such;
use toml::{Table, Value};

use crate::args::{Args, Command};

/// The longest file: what is longer holds no flags.
const MOST_BYTES: u64 = 1 << 20;

/// Flags of `train` that leave the model as it is, and so are no part of its settings.
const NO_SETTINGS: [&str; 9] =
    ["output", "log", "report", "checkpoint-every", "resume", "threads", "max-memory", "json", "quiet"];

/// Why the program does not begin.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Words that do not make a command line, or a request for help.
    Usage(clap::Error),
    /// A file that cannot be read, or what stands in it.
    Config(anyhow::Error),
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::Config(error)
    }
}

/// What is wrong in a file: exit status 2, as for the flag itself.
#[derive(Debug, PartialEq)]
pub(crate) struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// All commands and flags. `info --config` is a switch of its own.
pub(crate) fn command() -> clap::Command {
    Args::command().mut_subcommands(|command| {
        if command.get_name() == "info" {
            return command;
        }
        command.arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE.toml")
                .value_parser(clap::value_parser!(PathBuf))
                .help_heading("Common options")
                .help("Take flags from this file, by their long names: steps = 500; the command line wins"),
        )
    })
}

/// Reads the command line, and the file that it names.
pub(crate) fn parse(mut words: Vec<OsString>) -> Result<Args, Refused> {
    let mut definitions = command();
    definitions.build();
    let line = Line::read(&words, &definitions);
    let mut entries = Vec::new();
    if let (Some((command, at)), Some(file)) = (line.command, &line.file) {
        let text = read(file)?;
        entries = line.entries(&text, command).with_context(|| file.display().to_string())?;
        let flags = entries.iter().filter(|entry| entry.place.is_none()).map(|entry| entry.word.clone());
        words.splice(at + 1..at + 1, flags);
        let mut places: Vec<_> = entries.iter().filter(|entry| entry.place.is_some()).collect();
        places.sort_by_key(|entry| entry.place);
        if !places.is_empty() && !line.only_places {
            words.push("--".into());
        }
        words.extend(places.into_iter().map(|entry| entry.word.clone()));
    }
    let matches = command().try_get_matches_from(words).map_err(|error| match wrong(&error, &entries) {
        Some(wrong) => {
            let file = line.file.as_deref().unwrap_or(Path::new("")).display().to_string();
            Refused::Config(anyhow::Error::new(wrong).context(file))
        }
        None => Refused::Usage(error),
    })?;
    let mut args = Args::from_arg_matches(&matches)?;
    let simd = args.common.simd().ok().map(|simd| simd.level().to_string());
    if let (Command::Train(train), Some((name, matches))) = (&mut args.command, matches.subcommand())
        && let Some(command) = definitions.find_subcommand(name)
    {
        train.settings = settings(command, matches, simd);
    }
    Ok(args)
}

/// What the command line says, as far as it decides which keys of a file count.
#[derive(Debug)]
struct Line<'a> {
    /// The command, and where its name stands.
    command: Option<(&'a clap::Command, usize)>,
    file: Option<PathBuf>,
    /// The flags that are there.
    flags: Vec<&'a Arg>,
    /// How many words have their meaning by their place.
    places: usize,
    /// Whether it has `--`, after which no word is a flag.
    only_places: bool,
}

impl<'a> Line<'a> {
    /// Goes through the words as clap does; what makes no sense is left to clap to refuse.
    fn read(words: &[OsString], program: &'a clap::Command) -> Self {
        let mut line = Self { command: None, file: None, flags: Vec::new(), places: 0, only_places: false };
        let (mut current, mut k) = (program, 1);
        while let Some(whole) = words.get(k) {
            let word = whole.to_string_lossy();
            k += 1;
            let flag = word.strip_prefix('-').filter(|rest| !rest.is_empty() && !line.only_places);
            match flag {
                Some("-") => line.only_places = true,
                Some(rest) => {
                    let long = rest.strip_prefix('-');
                    let (name, mut value) = match long.unwrap_or(rest).split_once('=') {
                        Some((name, value)) => (name, Some(OsString::from(value))),
                        None => (long.unwrap_or(rest), None),
                    };
                    let Some(flag) = current.get_arguments().find(|flag| match long {
                        Some(_) => flag.get_long() == Some(name),
                        None => flag.get_short() == name.chars().next(),
                    }) else {
                        continue;
                    };
                    let apart = long.is_some() || name.chars().count() == 1;
                    if value.is_none() && apart && flag.get_action().takes_values() {
                        value = words.get(k).cloned();
                        k += 1;
                    }
                    if flag.get_id() == "config" && flag.get_action().takes_values() {
                        line.file = value.map(PathBuf::from);
                    }
                    line.flags.push(flag);
                }
                None if line.command.is_none() => {
                    let Some(command) = program.find_subcommand(whole) else { return line };
                    line.command = Some((command, k - 1));
                    current = command;
                }
                None => line.places += 1,
            }
        }
        line
    }

    /// What a file adds to the command line.
    fn entries(&self, text: &str, command: &'a clap::Command) -> Result<Vec<Entry>, Wrong> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let place = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(place).filter(|&byte| byte == b'\n').count() + 1;
            Wrong(format!("line {line}: {}", error.message().replace('\n', ", ")))
        })?;
        let known =
            || command.get_arguments().filter(|flag| !matches!(flag.get_id().as_str(), "config" | "help"));
        let mut entries = Vec::new();
        for (key, value) in &table {
            let flag = known().find(|flag| name(flag) == *key).ok_or_else(|| {
                let names: Vec<String> = known().map(name).collect();
                Wrong(no_such("key", key, names.iter().map(String::as_str)).to_string())
            })?;
            let shown = format!("{key} = {}", short(value));
            let text = text_of(value, flag).map_err(|why| Wrong(format!("{shown}: {why}")))?;
            let place = flag.get_index();
            if self.says(flag, command) || place.is_some_and(|place| place <= self.places) {
                continue;
            }
            let word = match (text, flag.get_long()) {
                (None, _) => continue, // a switch that is off
                (Some(text), _) if place.is_some() => text.into(),
                (Some(_), Some(long)) if !flag.get_action().takes_values() => format!("--{long}").into(),
                (Some(text), Some(long)) => format!("--{long}={text}").into(),
                (Some(text), None) => format!("-{key}={text}").into(),
            };
            entries.push(Entry { word, place, shown, flag: flag.to_string() });
        }
        for entry in &entries {
            let Some(place) = entry.place else { continue };
            let there =
                |place| place <= self.places || entries.iter().any(|other| other.place == Some(place));
            if let Some(missing) = (1..place).find(|&place| !there(place)) {
                let missing = known().find(|flag| flag.get_index() == Some(missing)).map(name);
                let missing = missing.unwrap_or_default();
                return Err(Wrong(format!(
                    "{}: without `{missing}` it has no place: give that too",
                    entry.shown
                )));
            }
        }
        Ok(entries)
    }

    /// Whether the command line has this flag, or one that cannot go together with it.
    fn says(&self, flag: &Arg, command: &clap::Command) -> bool {
        let excludes = |a: &Arg, b: &Arg| {
            command.get_arg_conflicts_with(a).iter().any(|other| other.get_id() == b.get_id())
        };
        let grouped = |a: &Arg, b: &Arg| {
            command.get_groups().any(|group| {
                let of = |flag: &Arg| group.get_args().any(|id| id == flag.get_id());
                !group.clone().is_multiple() && of(a) && of(b)
            })
        };
        self.flags.iter().any(|own| {
            own.get_id() == flag.get_id() || excludes(own, flag) || excludes(flag, own) || grouped(own, flag)
        })
    }
}

/// A key and its value as a word of the command line.
#[derive(Debug)]
struct Entry {
    word: OsString,
    /// Which of the words without a flag it is, counted from 1.
    place: Option<usize>,
    /// As it stands in the file.
    shown: String,
    /// As clap calls the flag.
    flag: String,
}

/// The key of a flag.
fn name(flag: &Arg) -> String {
    match (flag.get_long(), flag.get_short()) {
        (Some(long), _) => long.to_owned(),
        (None, Some(letter)) => letter.to_string(),
        (None, None) => flag.get_id().to_string(),
    }
}

/// A value as the text of its flag; nothing for a switch that is off.
fn text_of(value: &Value, flag: &Arg) -> Result<Option<String>, &'static str> {
    if !flag.get_action().takes_values() {
        let on = value.as_bool().ok_or("it is a switch: give true or false")?;
        return Ok(on.then(String::new));
    }
    let single = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(_) => Err("this is no switch: give a string or a number"),
        _ => Err("give a string or a number"),
    };
    match value {
        Value::Array(values) if takes_many(flag) => {
            let texts: Result<Vec<String>, _> = values.iter().map(single).collect();
            Ok(Some(texts?.join(",")))
        }
        Value::Array(_) => Err("it takes one value: give a string or a number"),
        value => single(value).map(Some),
    }
}

/// Whether the help of a flag names several values.
fn takes_many(flag: &Arg) -> bool {
    flag.get_value_names().unwrap_or_default().iter().any(|name| name.ends_with(",..."))
}

/// A value in a message.
fn short(value: &Value) -> String {
    const MOST: usize = 80;
    let text = value.to_string().replace('\n', " ");
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain(['…']).collect() }
}

/// The text of a file.
fn read(path: &Path) -> anyhow::Result<String> {
    let failed = |source| Error::Io { action: "read", path: path.into(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let wrong = |why: &str| Wrong(format!("{}: {why}", path.display()));
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong("more than 1 MiB: give a file of lines like `steps = 500`").into());
    }
    String::from_utf8(bytes)
        .map_err(|_| wrong("it is not UTF-8: give a file of lines like `steps = 500`").into())
}

/// What clap refuses, if it came from a file.
fn wrong(error: &clap::Error, entries: &[Entry]) -> Option<Wrong> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let entry = entries.iter().find(|entry| entry.flag == *flag)?;
    let why = match error.kind() {
        ErrorKind::ValueValidation => std::error::Error::source(error)?.to_string(),
        ErrorKind::InvalidValue => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(words)) => format!("use one of {}", words.join(", ")),
            _ => "it needs a value".into(),
        },
        _ => return None,
    };
    Some(Wrong(format!("{}: {why}", entry.shown)))
}

/// All settings of a training as the text of a file, defaults too: those of another version may differ.
fn settings(command: &clap::Command, matches: &ArgMatches, simd: Option<String>) -> String {
    let mut text = String::new();
    for flag in command.get_arguments() {
        let (name, id) = (name(flag), flag.get_id().as_str());
        if NO_SETTINGS.contains(&name.as_str()) || matches!(id, "config" | "help") {
            continue;
        }
        let value = if let ArgAction::SetTrue = flag.get_action() {
            matches.get_flag(id).then_some(Value::Boolean(true))
        } else {
            let words = matches.get_raw(id).into_iter().flatten();
            let mut words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
            if let ("simd", Some(level)) = (id, &simd) {
                words = vec![level.clone()];
            }
            let mut values: Vec<Value> = words.iter().map(|word| value_of(word)).collect();
            if flag.get_value_delimiter().is_some() && !values.is_empty() {
                Some(Value::Array(values))
            } else {
                values.pop()
            }
        };
        if let Some(value) = value {
            text += &format!("{name} = {value}\n");
        }
    }
    text
}

/// A word as a number, if that is written as this word.
fn value_of(word: &str) -> Value {
    let integer = word.parse().map(Value::Integer).ok();
    let number = || word.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float);
    let same = |value: &Value| match value {
        Value::Integer(number) => number.to_string() == word,
        Value::Float(number) => number.to_string() == word,
        _ => false,
    };
    integer.filter(same).or_else(|| number().filter(same)).unwrap_or_else(|| Value::String(word.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::*;

    fn entries(words: &[&str], text: &str) -> Result<Vec<String>, String> {
        let mut program = command();
        program.build();
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let line = Line::read(&words, &program);
        let (command, _) = line.command.ok_or("no command")?;
        let entries = line.entries(text, command).map_err(|wrong| wrong.to_string())?;
        Ok(entries.into_iter().map(|entry| entry.word.into_string().unwrap_or_default()).collect())
    }

    #[test]
    fn values_become_words() {
        let text = "steps = 5\nlr = 1e-2\nhidden = [8, 16]\nno-header = true\nresume = false\nscheduler = \"vp\"\ndata = \"-\"";
        let mut found = entries(&["pushforward", "train"], text).unwrap_or_default();
        found.sort();
        let expected = ["-", "--hidden=8,16", "--lr=0.01", "--no-header", "--scheduler=vp", "--steps=5"];
        assert_eq!(found, expected);
        assert_eq!(entries(&["pushforward", "sample"], "n = 3"), Ok(vec!["-n=3".to_owned()]));
    }

    #[test]
    fn the_command_line_wins() {
        let nothing = Ok(Vec::new());
        for words in [&["--steps", "7"][..], &["--steps=7"], &["x.csv", "--steps", "7", "-o", "m"]] {
            let line = [&["pushforward", "--seed", "1", "train"], words].concat();
            assert_eq!(entries(&line, "steps = 5"), nothing, "{words:?}");
        }
        assert_eq!(entries(&["pushforward", "train", "x.csv"], "data = \"y.csv\""), nothing);
        assert_eq!(entries(&["pushforward", "--seed", "3", "train"], "seed = 4"), nothing);
        for words in [&["-n", "3"][..], &["-n3"], &["--rows", "0..3"]] {
            let line = [&["pushforward", "sample", "m.pf"], words].concat();
            assert_eq!(entries(&line, "rows = \"1..2\""), nothing, "{words:?}");
        }
        // A value is no flag, and after `--` there are none.
        for words in [&["-o", "--steps"][..], &["--", "--steps"]] {
            let line = [&["pushforward", "train"], words].concat();
            assert_eq!(entries(&line, "steps = 5"), Ok(vec!["--steps=5".to_owned()]), "{words:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("stps = 5", "there is no key `stps`: the nearest is `steps`"),
            ("lr_schedule = \"tail\"", "the nearest is `lr-schedule`"),
            ("config = \"x\"", "no key `config`"),
            ("resume = 1", "resume = 1: it is a switch"),
            ("steps = true", "steps = true: this is no switch"),
            ("steps = [1, 2]", "steps = [1, 2]: it takes one value"),
            ("hidden = [[1]]", "hidden = [[1]]: give a string or a number"),
            ("steps = 1979-05-27", "steps = 1979-05-27: give"),
            ("[train]\nsteps = 1", "no key `train`"),
            ("seed = 1\nsteps = = 1", "line 2: "),
        ] {
            let found = entries(&["pushforward", "train"], text).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
        let found = entries(&["pushforward", "score"], "data = \"x\"").unwrap_err();
        assert_eq!(found, "data = \"x\": without `model` it has no place: give that too");
    }

    #[test]
    fn numbers_are_written_as_they_were_said() {
        for (word, value) in [
            ("5", "5"),
            ("0.001", "0.001"),
            ("1e-3", "\"1e-3\""),
            ("05", "\"05\""),
            ("nan", "\"nan\""),
            ("-0.5", "-0.5"),
        ] {
            assert_eq!(value_of(word).to_string(), value);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_text_is_taken_or_refused(text in "([a-z]{1,8}|steps|lr|hidden|data|\"[^\"]*\"| ?= ?|[0-9.e+-]{1,5}|[\\[\\],.{}#'\n]|true|\\PC){0,24}") {
            let _ = entries(&["pushforward", "train"], &text);
        }

        #[test]
        fn any_bytes_and_words_are_taken_or_refused(bytes: Vec<u8>, words in proptest::collection::vec("-{0,2}[a-z=]{0,6}", 0..6), n in any::<i64>()) {
            let line: Vec<&str> = ["pushforward", "train"].into_iter().chain(words.iter().map(String::as_str)).collect();
            let _ = entries(&line, &String::from_utf8_lossy(&bytes));
            let _ = entries(&line, &format!("steps = {n}\nseed = {n}\nhidden = [{n}]"));
        }
    }
}
