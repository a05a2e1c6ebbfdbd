//! Tables as people have them, through the program: texts, whole numbers and shares come back as what they were, conditions are
//! kept to, densities are those of the table's own units, and what cannot be is refused by name.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::fmt::Write as _;
use std::path::Path;

use pushforward::Rng;
use pushforward::rng::Purpose;
use tempfile::TempDir;

use crate::program::{json, run, succeeds};

/// Rows of the table that is made here.
const ROWS: usize = 3000;

/// The standard deviation of `length` within a species.
const SPREAD: f64 = 0.5;

/// The share of rows of each species.
const SHARES: [(&str, f64, f64); 3] =
    [("Adelie", 0.5, -3.0), ("Chin, strap", 0.2, 0.0), ("Gentoo", 0.3, 3.0)];

/// Training settings that take seconds.
const QUICK: [&str; 9] =
    ["--hidden", "64,64", "--batch", "256", "--steps", "2500", "--lr", "4e-3", "--quiet"];

#[track_caller]
fn fails(folder: &Path, args: &[&str], words: &[&str]) {
    let out = run(folder, args);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(matches!(out.status.code(), Some(1 | 2)), "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?} does not say {word:?}: {said}");
    }
}

/// table.csv: a species, a length around that of the species, a number of eggs that is larger by 10 for each species, and a share.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("table.csv"), table(0)).unwrap();
    folder
}

fn table(seed: u64) -> String {
    let mut text = "species,length,eggs,share\n".to_owned();
    let streams = Rng::from_seed(seed).fork(Purpose::Data);
    for i in 0..ROWS {
        let mut stream = streams.stream(i as u64);
        let (pick, share) = (stream.uniform(), stream.uniform());
        let (mut sum, mut k) = (SHARES[0].1, 0);
        while pick > sum {
            k += 1;
            sum += SHARES[k].1;
        }
        let (name, _, middle) = SHARES[k];
        let normal: f64 = (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0;
        let eggs = 10 * k + 3 + stream.below(3);
        let name = if name.contains(',') { format!("\"{name}\"") } else { name.to_owned() };
        writeln!(text, "{name},{:.6},{eggs},{:.6}", middle + SPREAD * normal, 0.01 + 0.98 * share).unwrap();
    }
    text
}

/// Rows of a written table.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("species,length,eggs,share"));
    lines
        .map(|line| line.replace("\"Chin, strap\"", "Chin strap").split(',').map(str::to_owned).collect())
        .collect()
}

/// The place of a species among all.
fn species(row: &[String]) -> usize {
    SHARES.iter().position(|(name, ..)| name.replace(',', "") == row[0]).unwrap_or_else(|| panic!("{row:?}"))
}

/// How many rows have a length and a number of eggs that belong to their species, and where each species stands.
fn check(rows: &[Vec<String>]) -> (f64, [f64; 3]) {
    let (mut right, mut counts) = (0.0, [0.0; 3]);
    for row in rows {
        let (k, length) = (species(row), row[1].parse::<f64>().unwrap());
        let eggs: i64 = row[2].parse().unwrap_or_else(|_| panic!("eggs are whole: {row:?}"));
        let share: f64 = row[3].parse().unwrap();
        assert!(share > 0.0 && share < 1.0, "a share lies between its bounds: {row:?}");
        counts[k] += 1.0;
        // Three standard deviations: of true rows 99.7 % lie there.
        if (length - SHARES[k].2).abs() < 3.0 * SPREAD && eggs.div_euclid(10) == k as i64 {
            right += 1.0;
        }
    }
    let n = rows.len() as f64;
    (right / n, counts.map(|count| count / n))
}

/// What a training of seconds may leave of rows between species.
const RIGHT: f64 = 0.95;
/// What it may miss of the share of a species, beside the 0.037 of four standard errors of 3000 rows.
const MISSED: f64 = 0.08;

#[test]
fn a_mixed_table_comes_back_as_it_was() {
    let folder = folder();
    let folder = folder.path();
    let train = ["train", "table.csv", "-o", "m.pf", "--bounded", "share:0:1"];
    let trained = json(folder, &[&train[..], &QUICK].concat());
    assert_eq!(trained["schema"][0]["categories"][1], "Chin, strap");
    assert_eq!(trained["schema"][2]["kind"], "integer");
    assert_eq!(trained["columns"], 4);
    succeeds(folder, &["sample", "m.pf", "-n", "2000", "-o", "s.csv", "--quiet"]);
    let written = std::fs::read_to_string(folder.join("s.csv")).unwrap();
    let (right, shares) = check(&rows(&written));
    assert!(right > RIGHT, "{right}");
    for ((_, expected, _), share) in SHARES.iter().zip(shares) {
        assert!((share - expected).abs() < MISSED, "{shares:?}");
    }
    // In parts and as numbers.
    succeeds(folder, &["sample", "m.pf", "--rows", "0..700", "-o", "a.csv", "--quiet"]);
    succeeds(folder, &["sample", "m.pf", "--rows", "700..2000", "-o", "b.csv", "--quiet"]);
    let part = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let joined = part("a.csv") + part("b.csv").split_once('\n').unwrap().1;
    assert!(joined == written);
    succeeds(folder, &["sample", "m.pf", "-n", "5", "-o", "s.npy", "--quiet"]);
    // There is a record of it, and a table of its own kind is held against it.
    let info = json(folder, &["info", "m.pf"]);
    assert_eq!(info["table"][3]["bounds"], serde_json::json!([0.0, 1.0]));
    std::fs::write(folder.join("fresh.csv"), table(1)).unwrap();
    let found = json(folder, &["evaluate", "m.pf", "fresh.csv", "-n", "1500", "--quiet"]);
    assert!(found["nll"].is_null(), "a text has no density");
    assert_eq!(found["columns"][1]["name"], "species=Chin, strap");
    assert!(found["metrics"]["sliced_w2"]["model"].as_f64().unwrap() < 0.3, "{found}");
    fails(folder, &["score", "m.pf", "table.csv"], &["species", "--condition"]);
    // x_0 of each row, and the row again.
    succeeds(folder, &["encode", "m.pf", "fresh.csv", "--rows", "0..200", "-o", "x0.npy", "--quiet"]);
    succeeds(folder, &["sample", "m.pf", "--source", "x0.npy", "-o", "again.csv", "--quiet"]);
    let (again, fresh) = (part("again.csv"), part("fresh.csv"));
    let same = again.lines().zip(fresh.lines()).skip(1).filter(|(a, b)| {
        let (a, b) = (a.replace("\"Chin, strap\"", "Chin"), b.replace("\"Chin, strap\"", "Chin"));
        let (a, b): (Vec<&str>, Vec<&str>) = (a.split(',').collect(), b.split(',').collect());
        let near = |j: usize| (a[j].parse::<f64>().unwrap() - b[j].parse::<f64>().unwrap()).abs() < 1e-3;
        a[0] == b[0] && a[2] == b[2] && near(1) && near(3)
    });
    assert_eq!(same.count(), 200);
}

#[test]
fn conditions_are_kept_to() {
    let folder = folder();
    let folder = folder.path();
    let train = ["train", "table.csv", "-o", "m.pf", "--bounded", "share:0:1", "--condition", "species"];
    let trained = json(folder, &[&train[..], &QUICK].concat());
    assert_eq!(trained["conditions"][0], "species");
    let sample = |args: &[&str]| {
        let text = succeeds(folder, &[&["sample", "m.pf", "--quiet"], args].concat());
        let found = check(&rows(&text));
        (text, found)
    };
    let (_, (right, shares)) = sample(&["-n", "500", "--condition", "species=Gentoo"]);
    assert!(right > RIGHT && shares[2] >= 1.0, "{right} {shares:?}");
    let (_, (right, _)) = sample(&["-n", "500", "--condition", "species=Gentoo", "--guidance", "2"]);
    assert!(right > RIGHT, "{right}");
    // Guidance 0 knows of no species: the column says one, the rest is that of any.
    let (_, (right, _)) = sample(&["-n", "500", "--condition", "species=Gentoo", "--guidance", "0"]);
    assert!(right < 0.6, "{right}");
    // Conditions that are not given are those of training rows.
    let (all, (right, shares)) = sample(&["-n", "2000"]);
    assert!(right > RIGHT, "{right}");
    for ((_, expected, _), share) in SHARES.iter().zip(shares) {
        // Four standard errors of 2000 rows drawn from 3000.
        assert!((share - expected).abs() < 4.0 * (0.25_f64 / 2000.0 + 0.25 / 3000.0).sqrt(), "{shares:?}");
    }
    let (part, _) = sample(&["--rows", "900..2000", "--threads", "1"]);
    assert!(all.ends_with(part.split_once('\n').unwrap().1), "parts are the whole, on any number of threads");
    // The course of each sample, in the units and words of the table, ends in it.
    let (plain, _) = sample(&["-n", "3"]);
    let course = succeeds(folder, &["sample", "m.pf", "-n", "3", "--trajectory", "4", "--quiet"]);
    let ends = course.lines().filter_map(|line| line.split_once(",1,").filter(|(i, _)| i.len() == 1));
    assert_eq!(ends.map(|(_, row)| row).collect::<Vec<_>>(), plain.lines().skip(1).collect::<Vec<_>>());
    // Row i of a table for sample i.
    std::fs::write(folder.join("given.csv"), "note,species\n1,Gentoo\n2,Adelie\n3,\"Chin, strap\"\n")
        .unwrap();
    let (given, _) = sample(&["--condition-data", "given.csv"]);
    let names: Vec<usize> = rows(&given).iter().map(|row| species(row)).collect();
    assert_eq!(names, [2, 0, 1]);

    // Densities: log q(length, eggs, share | species) of true rows, from what the table is made of.
    let truth =
        -(0.5 * (2.0 * std::f64::consts::PI * SPREAD.powi(2)).ln() + 0.5) - 3_f64.ln() - 0.98_f64.ln();
    let scored = json(folder, &["score", "m.pf", "table.csv", "--quiet"]);
    let mean = scored["mean"].as_f64().unwrap();
    // Never more than the truth, but for the standard error and what it keeps of its rows; the flow rounds the edges of a uniform law off.
    assert!(mean < truth + 0.1 && mean > truth - 0.5, "{mean} {truth}");
    let found = json(folder, &["evaluate", "m.pf", "table.csv", "-n", "1500", "--quiet"]);
    let nll = found["nll"]["mean"].as_f64().unwrap();
    assert!((nll + mean).abs() < 0.15, "{nll} {mean}");

    // There and back again, each row under its own condition.
    let check = json(
        folder,
        &[
            "encode",
            "m.pf",
            "table.csv",
            "--rows",
            "0..300",
            "-o",
            "x0.npy",
            "--check",
            "--solver",
            "dopri5",
            "--quiet",
        ],
    );
    assert!(check["check"]["scaled"].as_f64().unwrap() < check["check"]["ten_tolerances"].as_f64().unwrap());
    fails(folder, &["sample", "m.pf", "--source", "x0.npy"], &["--condition-data"]);
    let text = table(0);
    let head: String = text.lines().take(301).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(folder.join("head.csv"), &head).unwrap();
    let again = succeeds(
        folder,
        &["sample", "m.pf", "--source", "x0.npy", "--condition-data", "head.csv", "--quiet"],
    );
    assert_eq!(again.lines().count(), 301);

    fails(
        folder,
        &["sample", "m.pf", "-n", "1", "--condition", "species=Adele"],
        &["Adele", "the nearest is `Adelie`"],
    );
    fails(
        folder,
        &["sample", "m.pf", "-n", "1", "--condition", "specie=Adelie"],
        &["the nearest is `species`"],
    );
    fails(folder, &["sample", "m.pf", "-n", "4", "--condition-data", "given.csv"], &["3 rows, but sample 3"]);
    std::fs::write(folder.join("bad.csv"), "species,length,eggs,share\nAdeli,1,2,0.5\n").unwrap();
    fails(folder, &["score", "m.pf", "bad.csv"], &["bad.csv, line 2, column species", "\"Adelie\""]);
    fails(folder, &["evaluate", "m.pf", "table.csv", "--train", "table.csv", "--exact"], &["conditions"]);
}

#[test]
fn a_condition_may_be_a_number() {
    let folder = folder();
    let folder = folder.path();
    let train = ["train", "table.csv", "-o", "m.pf", "--columns", "eggs,length", "--condition", "eggs"];
    json(folder, &[&train[..], &QUICK].concat());
    for (eggs, middle) in [("4", -3.0), ("24", 3.0)] {
        let text = succeeds(
            folder,
            &["sample", "m.pf", "-n", "400", "--condition", &format!("eggs={eggs}"), "--quiet"],
        );
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("eggs,length"));
        let lengths: Vec<f64> = lines
            .map(|line| {
                let (given, length) = line.split_once(',').unwrap();
                assert_eq!(given, eggs);
                length.parse().unwrap()
            })
            .collect();
        let mean = lengths.iter().sum::<f64>() / 400.0;
        assert!((mean - middle).abs() < 0.4, "{eggs}: {mean}");
    }
    fails(folder, &["sample", "m.pf", "-n", "1", "--condition", "eggs=many"], &["eggs=many", "finite"]);
}

#[test]
fn one_table_is_carried_to_another_of_its_kind() {
    let folder = folder();
    let folder = folder.path();
    std::fs::write(folder.join("from.csv"), table(1)).unwrap();
    let train = ["train", "table.csv", "-o", "m.pf", "--source", "from.csv", "--coupling", "ot"];
    let quick = ["--hidden", "32", "--batch", "128", "--steps", "300", "--quiet"];
    for extra in [&[][..], &["--condition", "species"]] {
        succeeds(folder, &[&train[..], &quick, extra].concat());
        let given: &[&str] = if extra.is_empty() { &[] } else { &["--condition-data", "from.csv"] };
        let text =
            succeeds(folder, &[&["sample", "m.pf", "--source", "from.csv", "--quiet"], given].concat());
        let rows = rows(&text);
        assert_eq!(rows.len(), ROWS);
        assert!(rows.iter().all(|row| row[2].parse::<i64>().is_ok()));
        let found =
            json(folder, &["evaluate", "m.pf", "table.csv", "--source", "from.csv", "-n", "500", "--quiet"]);
        assert!(found["metrics"]["w2"]["model"].as_f64().unwrap().is_finite());
    }
}

#[test]
fn what_is_stopped_goes_on_with_its_conditions() {
    let folder = folder();
    let folder = folder.path();
    let train =
        ["train", "table.csv", "--condition", "species", "--hidden", "16", "--batch", "64", "--steps", "60"];
    let train = [&train[..], &["--quiet", "--checkpoint-every", "20"]].concat();
    succeeds(folder, &[&train[..], &["-o", "whole.pf"]].concat());
    succeeds(folder, &[&train[..], &["-o", "parts.pf", "--resume", "--threads", "1"]].concat());
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(read("whole.pf") == read("parts.pf"));
}

#[test]
fn what_cannot_be_is_refused_with_the_remedy() {
    let folder = folder();
    let folder = folder.path();
    let train = |args: &[&str], words: &[&str]| {
        let quick = ["--hidden", "8", "--steps", "1", "--batch", "8"];
        fails(folder, &[&["train", "table.csv", "-o", "m.pf"], args, &quick].concat(), words);
    };
    train(&["--condition", "specis"], &["the nearest is `species`"]);
    train(&["--condition", "species,length,eggs,share"], &["at least one column"]);
    train(&["--condition", "species,species"], &["species twice"]);
    train(&["--bounded", "share:0:0.5"], &["column share", "widen"]);
    train(&["--bounded", "share:1"], &["COL:LO:HI"]);
    train(&["--integer", "length"], &["column length", "whole number"]);
    train(&["--categorical", "length"], &["column length", "256"]);
    train(&["--columns", "length,sahre"], &["sahre"]);
    train(&["--condition-dropout", "0.2"], &["--condition"]);
    train(&["--condition", "species", "--condition-dropout", "1.5"], &["1.5"]);
    succeeds(folder, &["train", "toy:moons:500", "-o", "p.pf", "--hidden", "8", "--steps", "1", "--quiet"]);
    fails(folder, &["sample", "p.pf", "-n", "1", "--condition", "x1=1"], &["without conditions"]);
    fails(folder, &["sample", "p.pf", "-n", "1", "--guidance", "2"], &["without conditions"]);
    fails(folder, &["sample", "p.pf"], &["-n"]);
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_parquet_says_so() {
    let folder = folder();
    let words = ["x.parquet: this program was built without the feature `parquet`", "--features parquet"];
    fails(folder.path(), &["data", "x.parquet", "-o", "y.csv"], &words);
    fails(folder.path(), &["data", "toy:moons:9", "-o", "x.parquet"], &words);
    assert!(!folder.path().join("x.parquet").exists());
}
