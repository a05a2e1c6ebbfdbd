//! `train --report` and `evaluate --report`: one page each that holds everything and asks for nothing, shown by a real browser.
//!
//! # Limits
//! Where no browser is installed the pages are read, not shown.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;

const PENGUINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/penguins.csv");

fn run(folder: &Path, args: &[&str]) {
    let output = Command::new(cargo_bin!("pushforward")).current_dir(folder).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A page that was checked for what every page must be.
fn page(path: &Path) -> String {
    let html = fs::read_to_string(path).unwrap();
    for asking in ["<script", "http:", "https:", "src=", "@import"] {
        assert!(!html.contains(asking), "{asking}");
    }
    assert_eq!(html.matches("url(").count(), html.matches("url(data:").count());
    assert!(!html.contains("NaN") && html.ends_with("</body>\n</html>\n"));
    for element in ["svg", "table", "tr", "td", "figure", "pre", "p", "h2"] {
        let open =
            html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
        assert_eq!(open, html.matches(&format!("</{element}>")).count(), "{element}");
    }
    html
}

const TINY: [&str; 9] =
    ["--steps", "150", "--hidden", "8", "--batch", "32", "--validation", "0.2", "--quiet"];

#[test]
fn a_training_tells_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let train = ["train", PENGUINS, "-o", "m.pf", "--missing", "drop", "--report", "r.html"];
    run(folder.path(), &[&train[..], &TINY].concat());
    let html = page(&folder.path().join("r.html"));
    let model = fs::read(folder.path().join("m.pf")).unwrap();
    for words in [
        "342 rows, 2 more left out, 4 columns",
        "<td>body_mass_g</td><td class=\"number\">whole numbers</td><td class=\"number\">2700.0000</td>",
        "150 steps of 32 rows",
        "rows held out",
        "--report r.html",
        &pushforward::checkpoint::sha256(&model),
        "steps = 150",
        "missing = &quot;drop&quot;",
    ] {
        assert!(html.contains(words), "{words}");
    }
    // The loss, all pairs, and four columns one by one.
    assert_eq!(html.matches("<figure>").count(), 6);
    // A report is no part of the model.
    run(folder.path(), &[&["train", PENGUINS, "-o", "n.pf", "--missing", "drop"][..], &TINY].concat());
    assert!(fs::read(folder.path().join("n.pf")).unwrap() == model);
    // Rows of a table to start from.
    let pairs = ["train", "toy:moons:200", "--source", "toy:rings:200", "-o", "p.pf", "--report", "p.html"];
    run(folder.path(), &[&pairs[..], &TINY].concat());
    let html = page(&folder.path().join("p.html"));
    assert!(html.contains("start from 200 rows") && html.matches("<figure>").count() == 4);
}

#[test]
fn an_evaluation_shows_every_number_and_a_browser_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[&["train", "toy:moons:500", "-o", "m.pf"][..], &TINY].concat());
    let report =
        ["evaluate", "m.pf", "toy:moons:400", "--train", "toy:moons:500", "--report", "r.html", "--json"];
    run(folder.path(), &report);
    let path = folder.path().join("r.html");
    let html = page(&path);
    for words in [
        "sliced w2",
        "noise floor",
        "nll: bits per dim",
        "path: straightness",
        "memorisation: closer",
        "evaluate m.pf",
    ] {
        assert!(html.contains(words), "{words}");
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let works = |name: &&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    let Some(browser) = names.into_iter().find(works) else {
        return; // what follows needs one
    };
    let picture = folder.path().join("page.png");
    let mut shown = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,1600", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", path.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A browser that cannot run here, as in some containers, says nothing about the page.
    let mut status = None;
    for _ in 0..600 {
        status = shown.try_wait().unwrap();
        if status.is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    let Some(status) = status else {
        shown.kill().unwrap();
        shown.wait().unwrap();
        return;
    };
    assert!(status.success(), "{status}");
    let mut decoder = png::Decoder::new(BufReader::new(File::open(&picture).unwrap()));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1100, 1600));
    // Ink all the way down: a page that was not laid out is blank below its first lines.
    for band in pixels.chunks(pixels.len() / 1600 * 200) {
        assert!(band.iter().any(|&byte| byte < 128), "a part of the page is blank");
    }
}
