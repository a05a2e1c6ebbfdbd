//! The dependencies, asked of cargo: few, the chosen ones, and none that builds C.
//!
//! # Limits
//! The tree of the machine that runs the test, and for other systems the names in Cargo.lock, which holds the
//! crates of all of them, those for development too. Where cargo does not answer, the tests fail. A crate that does not
//! say which compiler it needs is taken to be content with any.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crates in the core's tree, besides itself. Eight of them are `sha2` and what it needs, small crates of the RustCrypto
/// project: a checksum of 32 bits misses one damage in 4 billion, and cannot say that two tables are the same.
const MOST_CORE_CRATES: usize = 43;

/// The direct dependencies of the core: each new one is a decision.
const CORE: [&str; 10] = [
    "bincode",
    "rand",
    "rand_distr",
    "rand_xoshiro",
    "rayon",
    "serde",
    "sha2",
    "tempfile",
    "thiserror",
    "wide",
];

/// Crates that compile or link code which is not Rust. The same names stand in deny.toml and .ci/run.
const BANNED: [&str; 20] = [
    "cc",
    "cmake",
    "bindgen",
    "pkg-config",
    "vcpkg",
    "system-deps",
    "clang-sys",
    "psm",
    "stacker",
    "alloca",
    "ring",
    "aws-lc-sys",
    "openssl-sys",
    "zstd-sys",
    "bzip2-sys",
    "liblzma-sys",
    "libz-sys",
    "lz4-sys",
    "freetype-sys",
    "yeslogic-fontconfig-sys",
];

/// The one crate that may claim a native library: its key is a lock against two versions, it links nothing.
const MAY_LINK: [&str; 1] = ["rayon-core"];

/// The output of cargo, which must succeed.
fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var("CARGO").expect("cargo runs this test and sets CARGO");
    let out = Command::new(program).current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "cargo {} failed: {said}", arguments.join(" "));
    String::from_utf8(out.stdout).unwrap()
}

/// The crates of a tree, as (name, version): of `cargo tree --prefix none -f {p}`.
fn crates(tree: &str) -> BTreeSet<(String, String)> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?);
        assert!(version.starts_with('v'), "a line of the tree is no crate: {line:?}");
        Some((name.to_owned(), version.to_owned()))
    };
    let all: BTreeSet<_> = tree.lines().filter_map(parse).collect();
    let own = env!("CARGO_PKG_NAME");
    assert!(all.iter().any(|(name, _)| name == own), "the tree was not read: it lacks {own} itself");
    all.into_iter().filter(|(name, _)| name != own).collect()
}

/// The crates of this package's tree with the given features.
fn tree(features: &[&str]) -> BTreeSet<(String, String)> {
    let fixed = ["tree", "--locked", "-e", "normal,build", "--prefix", "none", "-f", "{p}"];
    let all = crates(&cargo(&[&fixed, features].concat()));
    assert!(all.len() >= CORE.len(), "the tree was not read: {all:?}");
    all
}

fn banned<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    names.into_iter().filter(|name| BANNED.contains(name)).collect()
}

/// What cargo knows of the packages on this machine's system.
fn metadata() -> Value {
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    let text = cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform", host]);
    serde_json::from_str(&text).unwrap()
}

/// The packages of a resolved graph that are reached from its root without development dependencies, by id.
fn reached(metadata: &Value) -> BTreeSet<&str> {
    let nodes = metadata["resolve"]["nodes"].as_array().expect("cargo resolved the packages");
    let nodes: BTreeMap<&str, &Value> =
        nodes.iter().map(|node| (node["id"].as_str().unwrap(), node)).collect();
    let mut open = vec![metadata["resolve"]["root"].as_str().expect("there is a root package")];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            let wanted = |dep: &&Value| {
                dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].as_str() != Some("dev"))
            };
            let deps = nodes[id]["deps"].as_array().unwrap().iter().filter(wanted);
            open.extend(deps.map(|dep| dep["pkg"].as_str().unwrap()));
        }
    }
    seen
}

/// The names of the reached packages that have a `links` key.
fn linking(metadata: &Value) -> Vec<&str> {
    let reached = reached(metadata);
    let packages = metadata["packages"].as_array().unwrap().iter();
    let links = packages.filter(|p| reached.contains(p["id"].as_str().unwrap()) && !p["links"].is_null());
    links.map(|p| p["name"].as_str().unwrap()).collect()
}

/// The dependencies of the package `name` that no feature switches on and that are not for development only.
fn always_needed<'a>(metadata: &'a Value, name: &str) -> BTreeSet<&'a str> {
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let own = packages.find(|p| p["name"] == name).expect("the package describes itself");
    let needed = |d: &&Value| d["optional"] == false && d["kind"].as_str() != Some("dev");
    own["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(needed)
        .map(|d| d["name"].as_str().unwrap())
        .collect()
}

/// A version of the compiler, as (major, minor, patch); 0 where it is not said.
fn compiler(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap());
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

/// The packages that need a newer compiler than `own` does, those for development too.
fn too_new<'a>(metadata: &'a Value, own: &str) -> Vec<&'a str> {
    let packages = || metadata["packages"].as_array().unwrap().iter();
    let needed = |p: &Value| p["rust_version"].as_str().map(compiler);
    let most =
        packages().find(|p| p["name"] == own).and_then(needed).expect("the package names its compiler");
    packages().filter(|p| needed(p) > Some(most)).map(|p| p["name"].as_str().unwrap()).collect()
}

#[test]
fn the_core_is_small() {
    let all = tree(&["--no-default-features"]);
    assert!(all.len() <= MOST_CORE_CRATES, "{} crates, at most {MOST_CORE_CRATES}: {all:#?}", all.len());
}

#[test]
fn the_core_has_the_chosen_dependencies() {
    let metadata = metadata();
    assert_eq!(always_needed(&metadata, env!("CARGO_PKG_NAME")), BTreeSet::from(CORE));
}

#[test]
fn nothing_builds_foreign_code() {
    for features in [&["--no-default-features"][..], &[], &["--features", "parquet"]] {
        let all = tree(features);
        assert_eq!(banned(all.iter().map(|(name, _)| name.as_str())), [""; 0], "with {features:?}");
    }
    // Windows, macOS, every feature, tests: all of them are in the lock file.
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let names = locked(&lock);
    assert!(names.contains(&env!("CARGO_PKG_NAME")), "Cargo.lock was not read");
    let banned: BTreeSet<&str> = banned(names).into_iter().collect();
    let wanted = banned.iter().flat_map(|name| dependents(&lock, name)).collect();
    // The clock of Haiku, by way of `chrono`, the only crate that asks for one of them, on no other system.
    assert_eq!(
        (banned, wanted),
        (BTreeSet::from(["cc"]), BTreeSet::from(["iana-time-zone-haiku"])),
        "in Cargo.lock"
    );
}

#[test]
fn nothing_links_a_native_library() {
    assert_eq!(linking(&metadata()), MAY_LINK);
}

#[test]
fn nothing_needs_a_newer_compiler() {
    assert_eq!(too_new(&metadata(), env!("CARGO_PKG_NAME")), [""; 0]);
}

/// The names in a lock file.
fn locked(lock: &str) -> Vec<&str> {
    lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect()
}

/// The packages of a lock file that depend on `name`.
fn dependents<'a>(lock: &'a str, name: &str) -> Vec<&'a str> {
    let needs = |package: &&str| {
        let lines = package.lines().map(|line| line.trim_matches([' ', '"', ',']));
        lines.skip_while(|line| *line != "dependencies = [").any(|line| line.split(' ').next() == Some(name))
    };
    lock.split("[[package]]").filter(needs).filter_map(|package| locked(package).first().copied()).collect()
}

mod reader {
    use super::*;

    #[test]
    fn crates_are_counted_once_a_version() {
        let tree = "pushforward v0.1.0 (/somewhere)\nrand v0.10.4\n\nserde_derive v1.0.1 (proc-macro)\nrand v0.9.0\n\
                    rand v0.10.4 (*)\n";
        let found: Vec<_> = crates(tree).into_iter().collect();
        let of = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(found, [of("rand", "v0.10.4"), of("rand", "v0.9.0"), of("serde_derive", "v1.0.1")]);
    }

    #[test]
    #[should_panic(expected = "the tree was not read")]
    fn an_empty_tree_is_no_tree() {
        crates("");
    }

    #[test]
    #[should_panic(expected = "is no crate")]
    fn a_message_is_no_tree() {
        crates("pushforward v0.1.0\nerror: no such package\n");
    }

    #[test]
    fn a_ban_is_of_the_whole_name() {
        assert_eq!(banned(["ccc", "cc", "linux-raw-sys", "zstd-sys"]), ["cc", "zstd-sys"]);
        let lock = "[[package]]\nname = \"cc\"\nversion = \"1\"\ndependencies = [\n \"psm\",\n]\n";
        assert_eq!(locked(lock), ["cc"]);
        assert_eq!((dependents(lock, "psm"), dependents(lock, "cc")), (vec!["cc"], vec![]));
    }

    #[test]
    fn the_graph_is_followed_without_development() {
        let metadata = serde_json::json!({
            "packages": [
                { "id": "a 1", "name": "a", "links": null, "dependencies": [
                    { "name": "b", "optional": false, "kind": null },
                    { "name": "c", "optional": false, "kind": "build" },
                    { "name": "d", "optional": false, "kind": "dev" },
                    { "name": "e", "optional": true, "kind": null },
                ] },
                { "id": "b 1", "name": "b", "links": "b", "dependencies": [] },
                { "id": "c 1", "name": "c", "links": null, "dependencies": [] },
                { "id": "d 1", "name": "d", "links": "d", "dependencies": [] },
                { "id": "f 1", "name": "f", "links": "f", "dependencies": [] },
            ],
            "resolve": { "root": "a 1", "nodes": [
                { "id": "a 1", "deps": [
                    { "pkg": "c 1", "dep_kinds": [{ "kind": "build" }, { "kind": "dev" }] },
                    { "pkg": "d 1", "dep_kinds": [{ "kind": "dev" }] },
                ] },
                { "id": "b 1", "deps": [] },
                { "id": "c 1", "deps": [{ "pkg": "b 1", "dep_kinds": [{ "kind": null }] }] },
                { "id": "d 1", "deps": [] },
                { "id": "f 1", "deps": [] },
            ] },
        });
        assert_eq!(reached(&metadata), BTreeSet::from(["a 1", "b 1", "c 1"]));
        assert_eq!(linking(&metadata), ["b"]);
        assert_eq!(always_needed(&metadata, "a"), BTreeSet::from(["b", "c"]));
    }

    #[test]
    fn compilers_are_compared_number_by_number() {
        let package =
            |name: &str, version: Option<&str>| serde_json::json!({ "name": name, "rust_version": version });
        let metadata = serde_json::json!({ "packages": [
            package("a", Some("1.89")),
            package("older", Some("1.9.1")),
            package("same", Some("1.89.0")),
            package("newer", Some("1.89.1")),
            package("newest", Some("1.100")),
            package("silent", None),
        ] });
        assert_eq!(too_new(&metadata, "a"), ["newer", "newest"]);
    }
}
