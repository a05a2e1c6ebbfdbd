//! `pushforward audit` as its users see it: the rows, the JSON, the exit status, and the page in a real browser.
//!
//! # Limits
//! Where no browser is installed the page is read, not shown.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt as _;
use serde_json::Value;

fn audit(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::cargo_bin("pushforward").unwrap().arg("audit").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_equation_has_its_row_and_none_fails() {
    for real in ["f64", "f32"] {
        let (status, out, err) = audit(&["--json", "--real", real]);
        assert_eq!(status, Some(0), "{out}{err}");
        let found: Value = serde_json::from_str(&out).unwrap();
        let claims = found["claims"].as_array().unwrap();
        for k in 1..=31 {
            assert!(claims.iter().any(|claim| claim["id"] == format!("E{k}")), "E{k} has no row");
        }
        for claim in claims {
            for key in ["id", "equation", "what", "measured", "bound", "verdict", "seconds"] {
                assert!(claim.get(key).is_some(), "{claim} has no {key}");
            }
            match claim["verdict"].as_str().unwrap() {
                "pass" => {
                    assert!(claim["measured"].as_f64().unwrap() <= claim["bound"].as_f64().unwrap());
                    // The place is where it says.
                    let (file, line) = claim["place"].as_str().unwrap().split_once(':').unwrap();
                    let source =
                        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
                    assert!(source.lines().count() >= line.parse().unwrap(), "{claim}");
                }
                "not built" => assert!(claim["measured"].is_null() && claim["bound"].is_null()),
                other => panic!("{other}: {claim}"),
            }
        }
    }
}

#[test]
fn claims_can_be_chosen() {
    let (status, out, _) = audit(&["--only", "E22.network,E11.gradient", "--quiet"]);
    assert_eq!((status, out.lines().count()), (Some(0), 3), "{out}");
    let (status, _, err) = audit(&["--only", "E18x"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("E18x") && err.contains("E11.gradient"), "{err}");
    let (status, _, err) = audit(&["no-such-model.pf"]);
    assert_eq!(status, Some(1));
    assert!(err.contains("no-such-model.pf"), "{err}");
}

#[test]
fn a_model_proves_its_own_network() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.pf");
    let train = ["train", "toy:moons:500", "--steps", "20", "--hidden", "16,16", "--quiet", "-o"];
    let trained = Command::cargo_bin("pushforward").unwrap().args(train).arg(&model).status().unwrap();
    assert!(trained.success());
    for real in ["f64", "f32"] {
        let (status, out, err) = audit(&[model.to_str().unwrap(), "--json", "--real", real]);
        assert_eq!(status, Some(0), "{out}{err}");
        let found: Value = serde_json::from_str(&out).unwrap();
        let mut ids: Vec<&str> =
            found["claims"].as_array().unwrap().iter().map(|claim| claim["id"].as_str().unwrap()).collect();
        ids.retain(|id| id.starts_with("model."));
        for id in ["gradient", "tangents", "divergence", "inverse", "mass"] {
            assert!(ids.contains(&format!("model.{id}").as_str()), "{id} is missing: {ids:?}");
        }
    }
}

/// A browser of this machine that can run without a screen.
fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
}

/// The status of a process that ends within a minute; one that does not is ended.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    for _ in 0..600 {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

#[test]
fn the_page_is_one_file_that_a_browser_shows() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("audit.html");
    let (status, ..) = audit(&["--quiet", "--report", page.to_str().unwrap()]);
    assert_eq!(status, Some(0));
    let html = fs::read_to_string(&page).unwrap();
    for asking in ["<script", "http:", "https:", "src=", "@import", "url("] {
        assert!(!html.contains(asking), "{asking}");
    }
    assert_eq!(html.matches("<article").count(), html.matches("<math>").count());
    let Some(browser) = browser() else {
        return; // what follows needs one
    };
    let picture = folder.path().join("page.png");
    let profile = folder.path().join("profile");
    let mut shown = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,1600", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let Some(status) = ended(&mut shown) else {
        return; // a browser that cannot run here, as in some containers, says nothing about the page
    };
    assert!(status.success(), "{status}");
    // Ink all the way down: a page that was not laid out is blank below its first lines.
    let mut decoder = png::Decoder::new(std::io::BufReader::new(File::open(&picture).unwrap()));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1100, 1600));
    let row = pixels.len() / 1600;
    for band in pixels.chunks(row * 200) {
        assert!(band.iter().any(|&byte| byte < 128), "a part of the page is blank");
    }
}
