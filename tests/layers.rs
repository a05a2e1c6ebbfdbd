//! The architecture, read from the sources: which module may use which, and where `wide` and `unsafe` may stand.
//!
//! # Limits
//! Sources are read as tokens, without comments and literals, not as a compiler reads them: what a macro puts
//! together out of parts is not seen. `#[path]` and `include!`, which would hide sources, are refused everywhere.
//! More than 500 lines, so that the reader of the sources and the tests of the reader stand beside the rules.

use std::fs;
use std::path::{Path, PathBuf};

/// The rows, lowest first: a module uses modules of lower rows only.
const ROWS: [&[&str]; 12] = [
    &["error", "rng", "estimate"],
    &["kernel", "file"],
    &["tensor"],
    &["autodiff", "field", "source", "checkpoint"],
    &["nn", "path", "coupling", "data", "ode"],
    &["likelihood", "metrics", "plot", "closed_form"],
    &["objective"],
    &["flow"],
    &["train"],
    &["audit"],
    &["performance"], // a page of documentation
    &["guide"],       // pages of documentation
];

/// The only top-level module that names the crate `wide`.
const SIMD_MODULE: &str = "kernel";

/// The only file with `unsafe` code.
const UNSAFE_FILE: &str = "src/kernel/dispatch.rs";

/// A longer file says why in a line of its head that contains the word "lines".
const MOST_LINES: usize = 500;

/// The one file that takes in the program's.
const FUZZES_THE_PROGRAM: &str = "fuzz/fuzz_targets/config.rs";

/// What a path that stays in this crate can begin with.
const ROOTS: [&str; 3] = ["crate", "super", "self"];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// A name, a lifetime, `::`, or one other character; with the line on which it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

/// Cuts a source into tokens; comments and the insides of literals are left out.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let (mut i, mut counted, mut line) = (0, 0, 1);
    while i < chars.len() {
        line += chars[counted..i].iter().filter(|&&c| c == '\n').count();
        counted = i;
        let mut push = |text: String| found.push(Token { text, line });
        match (at(i), at(i + 1)) {
            ('/', '/') => i += chars[i..].iter().take_while(|&&c| c != '\n').count(),
            ('/', '*') => i = after_block_comment(&chars, i),
            ('"', _) => i = after_string(&chars, i),
            ('\'', '\\') => i = after_escaped_char(&chars, i),
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            ('\'', _) => i += 1, // a lifetime: its name follows as a word
            (':', ':') => {
                push("::".to_owned());
                i += 2;
            }
            (c, _) if is_word(c) => {
                let word: String = chars[i..].iter().take_while(|&&c| is_word(c)).collect();
                let end = i + word.chars().count();
                let hashes = chars[end..].iter().take_while(|&&c| c == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && at(end + hashes) == '"' {
                    i = after_raw_string(&chars, end + hashes, hashes);
                } else if word == "r" && hashes == 1 {
                    i = end + 1; // a raw name: r#type
                } else {
                    push(word);
                    i = end;
                }
            }
            (c, _) => {
                if !c.is_whitespace() {
                    push(c.to_string());
                }
                i += 1;
            }
        }
    }
    found
}

fn after_block_comment(chars: &[char], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0_usize);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn after_string(chars: &[char], quote: usize) -> usize {
    let mut i = quote + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn after_raw_string(chars: &[char], quote: usize, hashes: usize) -> usize {
    let ends = |&i: &usize| chars[i] == '"' && chars[i + 1..].iter().take(hashes).all(|&c| c == '#');
    (quote + 1..chars.len()).find(ends).map_or(chars.len(), |i| i + 1 + hashes)
}

fn after_escaped_char(chars: &[char], quote: usize) -> usize {
    (quote + 3..chars.len()).find(|&i| chars[i] == '\'').map_or(chars.len(), |i| i + 1)
}

/// A path that begins with `crate`, `self` or `super`, one for each leaf of a use-group.
#[derive(Debug, PartialEq, Eq)]
struct UsedPath {
    segments: Vec<String>,
    line: usize,
    /// How many inline modules (`mod tests { .. }`) it stands in.
    inside: usize,
}

fn paths(tokens: &[Token]) -> Vec<UsedPath> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    let (mut depth, mut modules) = (0_usize, Vec::new());
    for (i, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                if i >= 2 && text(i - 2) == "mod" {
                    modules.push(depth);
                }
            }
            "}" => {
                modules.pop_if(|module| *module == depth);
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        let before = i.checked_sub(1).map_or("", text);
        let is_visibility = (before == "(" && text(i + 1) == ")") || before == "in";
        // `self` as a value: a path only if `::` follows.
        let is_value = token.text != "crate" && text(i + 1) != "::";
        if ROOTS.contains(&token.text.as_str()) && before != "::" && !is_visibility && !is_value {
            let mut leaves = Vec::new();
            leaf_paths(tokens, i, &[], &mut leaves);
            let of = |segments| UsedPath { segments, line: token.line, inside: modules.len() };
            found.extend(leaves.into_iter().map(of));
        }
    }
    found
}

/// Follows a path from its first segment, at `i`, through its groups; gives the place after it.
fn leaf_paths(tokens: &[Token], mut i: usize, prefix: &[String], leaves: &mut Vec<Vec<String>>) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    loop {
        if text(i) == "{" {
            i += 1;
            while i < tokens.len() && text(i) != "}" {
                // Whatever stands between two paths (a comma, `as x`) is passed over.
                let begins = matches!(text(i - 1), "{" | ",");
                i = if begins && text(i) != "," { leaf_paths(tokens, i, &segments, leaves) } else { i + 1 };
            }
            return i + 1;
        }
        segments.push(text(i).to_owned());
        i += 1;
        if text(i) != "::" || matches!(text(i + 1), "<" | "") {
            leaves.push(segments);
            return i;
        }
        i += 1;
    }
}

/// What a path reaches from the crate's root; None if it stays inside the module of its file.
///
/// `module` is the path of the file's module: `["nn", "mlp"]`.
fn reached<'a>(path: &'a UsedPath, module: &[String]) -> Option<&'a str> {
    let mut level = module.len() + path.inside;
    for segment in &path.segments {
        match segment.as_str() {
            "crate" => level = 0,
            "super" => level = level.saturating_sub(1),
            "self" => {}
            name if level == 0 => return Some(name),
            _ => return None,
        }
    }
    (level == 0).then_some("the whole crate")
}

/// The module of a file of the library, from its path below src/.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// What a file of the library, named from src/ on, does against the table.
fn layer_faults(file: &Path, source: &str) -> Vec<String> {
    let module = module_of(file);
    if module == ["lib"] {
        return Vec::new(); // the root names every module
    }
    let Some(own) = row(&module[0]) else {
        return vec![format!("the module `{}` has no row: add it to the table", module[0])];
    };
    let fault = |path: &UsedPath| {
        let name = reached(path, &module)?;
        let written = path.segments.join("::");
        match row(name) {
            Some(row) if row < own => None,
            Some(_) if name == module[0] => {
                Some(format!("line {}: `{written}`: inside one module use `super::`", path.line))
            }
            Some(row) => Some(format!(
                "line {}: `{written}`: `{}` is of row {own}, `{name}` of row {row}",
                path.line, module[0]
            )),
            None => Some(format!(
                "line {}: `{written}`: `{name}` is no module of the table: add it to the table, or name the \
                 module that has it",
                path.line
            )),
        }
    };
    paths(&tokens(source)).iter().filter_map(fault).collect()
}

/// The lines on which the crate `name` is named: before `::`, in a `use`, in `extern crate`.
fn lines_naming(name: &str, tokens: &[Token]) -> Vec<usize> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut lines = Vec::new();
    let mut in_use = false;
    for (i, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "use" => in_use = true,
            ";" => in_use = false,
            _ => {}
        }
        if token.text == name && (in_use || text(i + 1) == "::" || (i > 0 && text(i - 1) == "crate")) {
            lines.push(token.line);
        }
    }
    lines
}

/// The lines with `unsafe`, or with the lint that forbids it.
fn unsafe_lines(tokens: &[Token]) -> Vec<usize> {
    let is_unsafe = |token: &&Token| matches!(token.text.as_str(), "unsafe" | "unsafe_code");
    tokens.iter().filter(is_unsafe).map(|token| token.line).collect()
}

/// The lines that would take in a source file from elsewhere: `#[path = ..]`, `include!(..)`.
fn hidden_source_lines(tokens: &[Token]) -> Vec<usize> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut lines = Vec::new();
    let (mut attribute, mut depth) = (None, 0_usize);
    for (i, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "[" => {
                depth += 1;
                if i > 0 && (text(i - 1) == "#" || (text(i - 1) == "!" && i > 1 && text(i - 2) == "#")) {
                    attribute = attribute.or(Some(depth));
                }
            }
            "]" => {
                attribute = attribute.filter(|&begun| begun != depth);
                depth = depth.saturating_sub(1);
            }
            "path" if attribute.is_some() && text(i + 1) == "=" => lines.push(token.line),
            "include" if text(i + 1) == "!" => lines.push(token.line),
            _ => {}
        }
    }
    lines
}

/// Whether a file is short enough, or says in its head (`//!`) why it is not.
fn length_is_explained(source: &str) -> bool {
    let mut head = source.lines().take_while(|line| line.starts_with("//!"));
    source.lines().count() <= MOST_LINES || head.any(|line| line.contains("lines"))
}

/// The sources below a folder of the crate, named from the crate's root on, in order.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a folder's entry can be read").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source is UTF-8 text");
                let name = path.strip_prefix(root).expect("it lies below the root").to_path_buf();
                found.push((name, source));
            }
        }
    }
    found.sort();
    found
}

/// The library's sources, named from src/ on, without those of the programs.
fn library() -> Vec<(PathBuf, String)> {
    let name = |path: &Path| path.strip_prefix("src").ok().map(Path::to_path_buf);
    let files = sources("src").into_iter().filter_map(|(path, source)| Some((name(&path)?, source)));
    let files: Vec<_> = files.filter(|(path, _)| !path.starts_with("bin")).collect();
    assert!(files.iter().any(|(path, _)| path == Path::new("lib.rs")), "src/ was not found");
    files
}

/// Everything that is written for this crate.
fn everything() -> Vec<(PathBuf, String)> {
    ["src", "tests", "examples", "benches", "fuzz"].into_iter().flat_map(sources).collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn modules_use_lower_rows_only() {
    let mut faults = Vec::new();
    for (file, source) in library() {
        faults.extend(
            layer_faults(&file, &source).iter().map(|fault| format!("src/{}: {fault}", file.display())),
        );
    }
    assert_none(&faults);
}

#[test]
fn only_the_kernels_name_the_simd_crate() {
    let mut faults = Vec::new();
    for (file, source) in everything() {
        if !file.starts_with(Path::new("src").join(SIMD_MODULE)) {
            let lines = lines_naming("wide", &tokens(&source));
            faults.extend(lines.iter().map(|line| format!("{}, line {line}: names `wide`", file.display())));
        }
    }
    assert_none(&faults);
}

#[test]
fn only_the_dispatch_is_unsafe() {
    let mut faults = Vec::new();
    let mut seen = false;
    for (file, source) in everything() {
        let lines = unsafe_lines(&tokens(&source));
        if file == Path::new(UNSAFE_FILE) {
            seen = !lines.is_empty();
        } else {
            faults.extend(lines.iter().map(|line| format!("{}, line {line}: `unsafe`", file.display())));
        }
    }
    assert_none(&faults);
    assert!(seen, "{UNSAFE_FILE} has no `unsafe` any more: say so in its head and here");
}

#[test]
fn no_source_is_taken_in_from_elsewhere() {
    // So a program, a test or an example reaches the library's sources through `pushforward::` alone.
    let mut faults = Vec::new();
    for (file, source) in everything() {
        let mut lines = hidden_source_lines(&tokens(&source));
        if file == Path::new(FUZZES_THE_PROGRAM) {
            // The program has no library to reach its parser by: its files are taken in, and none of the library's.
            let of_the_program = |line: &str| line.starts_with("#[path = \"../../src/bin/pushforward/");
            lines.retain(|line| !source.lines().nth(line - 1).is_some_and(of_the_program));
        }
        faults.extend(
            lines.iter().map(|line| format!("{}, line {line}: `path` or `include!`", file.display())),
        );
    }
    assert_none(&faults);
}

#[test]
fn long_files_say_why() {
    let long = |(_, source): &(PathBuf, String)| !length_is_explained(source);
    let faults = everything().into_iter().filter(long).map(|(file, source)| {
        let n = source.lines().count();
        format!(
            "{} has {n} lines, above {MOST_LINES}: split it, or say in its head why so many lines",
            file.display()
        )
    });
    assert_none(&faults.collect::<Vec<_>>());
}

#[test]
fn every_test_is_compiled() {
    // A file that nobody names would never run.
    let manifest = include_str!("../Cargo.toml");
    let named = tokens(include_str!("all.rs"));
    for (file, _) in sources("tests") {
        let name = file.file_stem().expect("a source has a name").to_string_lossy().into_owned();
        let alone = manifest.contains(&format!("[[test]]\nname = \"{name}\""));
        let module = named.iter().any(|token| token.text == name);
        assert!(
            alone != module,
            "{}: name it in tests/all.rs or as a test in Cargo.toml, not both",
            file.display()
        );
    }
}

#[test]
fn every_row_names_a_module_once() {
    let all: Vec<_> = ROWS.concat();
    for (i, name) in all.iter().enumerate() {
        assert!(!all[..i].contains(name), "`{name}` stands in the table twice");
    }
}

mod reader {
    use super::*;

    fn faults(file: &str, source: &str) -> usize {
        layer_faults(Path::new(file), source).len()
    }

    #[test]
    fn modules_are_found_however_they_are_named() {
        // In `nn`, row 4: `flow` is above, `ode` beside.
        for (n, source) in [
            (1, "use crate::flow::Flow;"),
            (1, "use crate::ode::Solver;"),
            (1, "pub(crate) use crate::flow;"),
            (2, "use ::std::fmt; use crate :: flow::{self, Flow};"),
            (2, "use crate::{flow::{Flow, TrainingRecord}, tensor::Tensor};"),
            (1, "use crate::{error::Error, flow, tensor::{Tensor as T}};"),
            (1, "use {std::fmt, crate::flow::Flow};"),
            (1, "use crate::{\n    tensor::Tensor,\n    error::{Error, Result},\n    flow as f,\n};"),
            (1, "fn f(x: &crate::flow::Flow) {}"),
            (1, "fn f() -> u32 { 2 * crate::train::STEPS }"),
            (1, "fn f() { g::<crate::flow::Flow>() }"),
            (1, "impl From<X> for crate::flow::Flow {}"),
            (1, "macro_rules! m { () => { $crate::flow::Flow } }"),
            (1, "mod tests { use crate::flow::Flow; }"),
            (1, "fn f<'a>(x: &'a str) { let c = '\"'; crate::flow::g(c) }"),
            (1, "let s = \"\\\\\"; crate::flow::f(s)"),
            (1, "let s = r#\"\"#; crate::flow::f(s)"),
            (1, "use crate::*;"),
            (1, "use crate as all;"),
            (1, "use crate::{self as all};"),
            (1, "extern crate self as all; use all::flow::Flow;"),
            (1, "use crate::Flow;"),
            (1, "use crate::nothing::Known;"),
            (1, "use crate::nn::Mlp;"),
            (0, "use crate::{error::{Error, Result}, tensor::Tensor, rng};"),
            (0, "crate::kernel::adam(1); let x: crate::tensor::Tensor = y;"),
            (0, "pub(crate) fn f() {} pub(in crate::nn) fn g(self, x: &Self) { self.x }"),
            (0, "// use crate::flow::Flow;\n/// [`crate::flow`]\n//! crate::flow::Flow"),
            (0, "/* crate::flow::A /* crate::flow::B */ crate::flow::C */"),
            (0, "let s = \"crate::flow::Flow\"; let t = \"\\\"crate::flow::Flow\";"),
            (0, "let s = r#\"a \" crate::flow::Flow\"#; let t = b\"crate::flow\";"),
            (0, "use other::flow::Flow; use ::flow::Flow; use mycrate::flow;"),
        ] {
            assert_eq!(faults("nn/mlp.rs", source), n, "{source}");
        }
    }

    #[test]
    fn super_is_followed_to_the_root() {
        for (n, file, source) in [
            (1, "field.rs", "use super::flow::Flow;"),
            (0, "field.rs", "use super::tensor::Tensor;"),
            (0, "field.rs", "mod tests { use super::*; use super::{flow, Worker}; }"),
            (1, "field.rs", "mod tests { use super::super::flow::Flow; }"),
            (1, "field.rs", "mod tests { fn f() { loop {} } } use super::flow::Flow;"),
            (0, "nn/mlp.rs", "use super::flow::Flow; use self::super::adam;"),
            (1, "nn/mlp.rs", "use super::super::flow::Flow;"),
            (1, "nn/mlp.rs", "use super::{super::flow::Flow, adam::Adam};"),
            (1, "nn/mod.rs", "use super::flow::Flow;"),
            (0, "nn/mod.rs", "use self::adam::Adam; pub use mlp::Mlp;"),
        ] {
            assert_eq!(faults(file, source), n, "{file}: {source}");
        }
    }

    #[test]
    fn rows_are_compared() {
        assert_eq!(faults("flow.rs", "use crate::nn::Mlp;"), 0);
        assert_eq!(faults("nn/mod.rs", "use crate::flow::Flow;"), 1);
        assert_eq!(faults("error.rs", "use crate::rng::Rng;"), 1);
        assert_eq!(faults("lib.rs", "pub use crate::train::Trainer;"), 0);
        let fault = &layer_faults(Path::new("extra/part.rs"), "")[0];
        assert!(fault.contains("`extra`") && fault.contains("add it to the table"), "{fault}");
        let fault = &layer_faults(Path::new("nn/mlp.rs"), "\n\nuse crate::{\n flow::Flow};")[0];
        assert_eq!(fault, "line 3: `crate::flow::Flow`: `nn` is of row 4, `flow` of row 7");
    }

    #[test]
    fn the_simd_crate_is_told_from_a_word() {
        for (n, source) in [
            (1, "use wide::f32x8;"),
            (1, "use {std::fmt, wide as w};"),
            (1, "fn f(x: wide::f32x8) {}"),
            (1, "extern crate wide;"),
            (0, "let wide = 3; // use wide::f32x8;\nf(wide); \"wide::x\""),
            (0, "use wider::x; fn f(x: Wide) {}"),
        ] {
            assert_eq!(lines_naming("wide", &tokens(source)).len(), n, "{source}");
        }
    }

    #[test]
    fn unsafe_code_is_told_from_a_word() {
        for (n, source) in [
            (1, "unsafe { f() }"),
            (1, "#[allow(unsafe_code)]"),
            (1, "#[unsafe(no_mangle)]"),
            (1, "pub unsafe fn f() {}"),
            (0, "// unsafe\nlet unsafely = \"unsafe\";"),
        ] {
            assert_eq!(unsafe_lines(&tokens(source)).len(), n, "{source}");
        }
    }

    #[test]
    fn hidden_sources_are_found() {
        for (n, source) in [
            (1, "#[path = \"../flow.rs\"] mod flow;"),
            (1, "#[cfg_attr(all(), path = \"../flow.rs\")] mod flow;"),
            (1, "include!(\"../flow.rs\");"),
            (1, "std::include! { \"../flow.rs\" }"),
            (0, "let path = x[0]; path = y; include_str!(\"page.css\"); fn f(include: bool) {}"),
            (0, "#[arg(long)] path: PathBuf, let x = [path]; path = 3;"),
        ] {
            assert_eq!(hidden_source_lines(&tokens(source)).len(), n, "{source}");
        }
    }

    #[test]
    fn a_long_file_needs_a_reason_in_its_head() {
        let long = "fn f() {}\n".repeat(MOST_LINES);
        assert!(length_is_explained(&long));
        assert!(!length_is_explained(&format!("//! A file.\n{long}")));
        assert!(length_is_explained(&format!("//! A file.\n//! More than 500 lines: a table.\n{long}")));
        assert!(!length_is_explained(&format!("//! A file.\n\n// Long, in lines.\n{long}")));
    }
}
