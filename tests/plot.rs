//! `pushforward plot`: every kind in every format is a file that its readers accept, the same for the same seed, or is refused by name.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

const PENGUINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/penguins.csv");

struct Folder(TempDir);

impl Folder {
    /// A folder with models of one, two and four columns.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let line: String = (0..200).map(|k| format!("{}\n", (f64::from(k) * 0.7).sin())).collect();
        fs::write(folder.path("one.csv"), format!("height\n{line}")).unwrap();
        let train = |data: &str, model: &str, flags: &[&str]| {
            let tiny = ["--steps", "150", "--hidden", "8", "--batch", "32", "--validation", "0.2", "--quiet"];
            folder.succeeds(&[&["train", data, "-o", model], &tiny[..], flags].concat());
        };
        train("one.csv", "one.pf", &[]);
        train("toy:moons:300", "two.pf", &["--log", "log.jsonl"]);
        train(PENGUINS, "four.pf", &["--missing", "drop"]);
        folder
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(cargo_bin!("pushforward")).current_dir(self.0.path()).args(args).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, args: &[&str]) {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Draws twice, which must give the same bytes.
    #[track_caller]
    fn plot(&self, model: &str, kind: &str, file: &str, flags: &[&str]) -> Vec<u8> {
        let few = ["--n", "40", "--solver", "euler", "--steps", "10", "--width", "320", "--quiet"];
        let args = [&["plot", model, "--kind", kind, "-o", file], &few[..], flags].concat();
        self.succeeds(&args);
        let first = fs::read(self.path(file)).unwrap();
        self.succeeds(&[&args[..], &["--threads", "1"]].concat());
        assert!(fs::read(self.path(file)).unwrap() == first, "{args:?}: other bytes");
        first
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], words: &[&str]) {
        let output = self.run(&[&["plot"], args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?} does not say {word:?}: {said}");
        }
    }
}

/// The kinds that there are of a model of so many columns.
fn kinds(model: &str) -> &'static [&'static str] {
    match model {
        "one.pf" => &["samples", "density", "trajectories", "loss"],
        "two.pf" => &["samples", "density", "field", "trajectories", "loss"],
        _ => &["samples", "loss"],
    }
}

/// Width, height and bytes of a PNG.
fn decoded(path: &Path) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    (info.width, info.height, pixels)
}

#[test]
fn every_kind_is_drawn_in_every_format() {
    let folder = Folder::new();
    for model in ["one.pf", "two.pf", "four.pf"] {
        for kind in kinds(model) {
            folder.plot(model, kind, "a.png", &[]);
            let (width, height, light) = decoded(&folder.path("a.png"));
            assert!(width == 320 && height > 100, "{width} x {height}");
            folder.plot(model, kind, "a.png", &["--dark"]);
            let (_, _, dark) = decoded(&folder.path("a.png"));
            // The corner is the ground.
            assert!(light[..3] == [255; 3] && dark[..3].iter().all(|&byte| byte < 40), "{model} {kind}");
            let mean =
                |bytes: &[u8]| bytes.iter().map(|&byte| f64::from(byte)).sum::<f64>() / bytes.len() as f64;
            assert!(mean(&light) > mean(&dark) + 30.0, "{model} {kind}");

            let svg = String::from_utf8(folder.plot(model, kind, "a.svg", &[])).unwrap();
            assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n") && svg.contains("</text>"));
            assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
            assert!(svg.contains("width=\"320\"") && !svg.contains("NaN"));
            let html = String::from_utf8(folder.plot(model, kind, "a.html", &[])).unwrap();
            for page in [&html, &svg.replace("http://www.w3.org/2000/svg", "")] {
                for asking in ["<script", "http:", "https:", "src=", "@import"] {
                    assert!(!page.contains(asking), "{asking}");
                }
                assert_eq!(page.matches("url(").count(), page.matches("url(data:").count());
            }
            assert!(html.starts_with("<!DOCTYPE html>") && html.contains(model) && html.contains("<svg "));
        }
    }
}

#[test]
fn an_animation_goes_from_source_to_target() {
    let folder = Folder::new();
    for kind in ["samples", "trajectories", "field"] {
        let file = folder.plot("two.pf", kind, "a.gif", &[]);
        let mut decoder = gif::DecodeOptions::new().read_info(file.as_slice()).unwrap();
        assert_eq!(decoder.width(), 320);
        let (mut frames, mut seen) = (0, std::collections::BTreeSet::new());
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            frames += 1;
            seen.insert(frame.buffer.to_vec());
        }
        // Ten steps of the solver are ten intervals; a field is drawn at 51 times.
        let expected = if kind == "field" { 51 } else { 11 };
        assert_eq!((frames, seen.len()), (expected, expected), "{kind}");
    }
}

#[test]
fn data_stand_beside_samples() {
    let folder = Folder::new();
    for (model, data, flags) in [
        ("one.pf", "one.csv", &[][..]),
        ("two.pf", "toy:moons:100", &[]),
        ("four.pf", PENGUINS, &["--missing", "drop"]),
    ] {
        let without = folder.plot(model, "samples", "a.svg", &[]);
        let with = folder.plot(model, "samples", "a.svg", &[&["--data", data], flags].concat());
        assert!(with != without, "{model}");
        assert!(String::from_utf8(with).unwrap().contains(">data"), "{model}");
    }
    // Other numbers, another picture.
    let draw = |seed: &str| folder.plot("two.pf", "samples", "a.png", &["--seed", seed]);
    assert!(draw("1") != draw("2"));
    // A log says as much as the model, and more lines of it.
    assert!(
        String::from_utf8(folder.plot("two.pf", "loss", "a.svg", &["--log", "log.jsonl"]))
            .unwrap()
            .contains("held out")
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let folder = Folder::new();
    for file in ["a.jpg", "a", "-", "a.png.txt"] {
        folder.refuses(&["two.pf", "-o", file], &["png, svg, gif, html"]);
    }
    folder.refuses(&["four.pf", "-o", "a.png", "--kind", "density"], &["density", "4 columns", "samples"]);
    folder.refuses(&["four.pf", "-o", "a.png", "--kind", "trajectories"], &["4 columns", "samples"]);
    for model in ["one.pf", "four.pf"] {
        folder.refuses(&[model, "-o", "a.png", "--kind", "field"], &["in the plane"]);
        folder.refuses(&[model, "-o", "a.gif"], &["two columns"]);
    }
    for kind in ["density", "loss"] {
        folder.refuses(&["two.pf", "-o", "a.gif", "--kind", kind], &["a GIF moves"]);
    }
    folder.refuses(&["two.pf", "-o", "a.png", "--kind", "sample"], &["samples", "trajectories"]);
    folder.refuses(&["two.pf", "-o", "a.png", "--width", "10"], &["width", "64"]);
    folder.refuses(&["two.pf", "-o", "a.png", "--time", "1.5"], &["0 to 1"]);
    folder.refuses(&["two.pf", "-o", "a.png", "--source", "one.csv"], &["source"]);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/model-1.pf");
    folder.refuses(&[golden, "-o", "a.png", "--kind", "loss"], &["does not hold the course", "--log"]);
    fs::write(folder.path("bad.jsonl"), "{\"step\": 1, \"loss\": 2.0}\nnothing\n").unwrap();
    let output = folder.run(&["plot", "two.pf", "-o", "a.png", "--kind", "loss", "--log", "bad.jsonl"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("bad.jsonl, line 2"));
    let left: Vec<_> =
        fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("a.")), "{left:?}");
}
