//! `pushforward audit` as its users see it: the rows, the JSON, the exit status, and the page in a real browser.
//!
//! # Limits
//! Where no browser is installed the page is read, not shown.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
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

/// The verdicts of the claims about a model.
fn of_model(arguments: &[&str]) -> BTreeMap<String, String> {
    let (status, out, err) = audit(&[arguments, &["--json", "--quiet"]].concat());
    assert_eq!(status, Some(0), "{out}{err}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let word = |claim: &Value, key: &str| claim[key].as_str().unwrap().to_owned();
    for claim in found["claims"].as_array().unwrap() {
        // What cannot be said has a reason and no numbers.
        let built = claim["verdict"] != "not built";
        assert_eq!((claim["error"].is_null(), claim["measured"].is_number()), (built, built), "{claim}");
        assert!(!built || !claim["bound_from"].as_str().unwrap().is_empty());
    }
    found["claims"].as_array().unwrap().iter().map(|c| (word(c, "id"), word(c, "verdict"))).collect()
}

#[test]
fn a_model_proves_its_own_network() {
    let folder = tempfile::tempdir().unwrap();
    let train = |data: &str, more: &[&str]| {
        let model = folder.path().join("m.pf");
        let args = ["train", data, "--steps", "20", "--hidden", "16,16", "--quiet", "-o"];
        let mut command = Command::cargo_bin("pushforward").unwrap();
        assert!(command.args(args).arg(&model).args(more).status().unwrap().success());
        model.to_str().unwrap().to_owned()
    };
    let all = ["gradient", "tangents", "divergence", "inverse", "mass", "loss"];
    let check = |found: &BTreeMap<String, String>, not_built: &[&str]| {
        assert_eq!(found.len(), all.len());
        for id in all {
            let wanted = if not_built.contains(&id) { "not built" } else { "pass" };
            assert_eq!(found[&format!("model.{id}")], wanted, "{id}");
        }
    };
    let model = train("toy:moons:500", &["--predict", "target", "--scheduler", "cosine"]);
    // In f32 the solver's error, which this path makes large, leaves nothing that a sum of cells could refute.
    for (real, unsaid) in [("f64", &[][..]), ("f32", &["mass"])] {
        check(&of_model(&[&model, "--real", real]), &[unsaid, &["loss"]].concat());
        check(&of_model(&[&model, "--real", real, "--data", "toy:moons:500"]), unsaid);
    }
    let only = of_model(&[&model, "--only", "model.mass,model.loss"]);
    assert_eq!(only.keys().collect::<Vec<_>>(), ["model.loss", "model.mass"]);
    // The table says why.
    let (status, out, _) = audit(&[&model, "--only", "model.loss"]);
    assert!(status == Some(0) && out.contains("model.loss is not built: no rows were given"), "{out}");

    check(&of_model(&[&train("toy:moons:500", &["--coupling", "ot"]), "--data", "toy:moons:500"]), &["loss"]);
    let model = train("toy:moons:500", &["--source", "toy:rings:500"]);
    check(&of_model(&[&model, "--data", "toy:moons:500"]), &["mass", "loss"]);
    let table = folder.path().join("three.csv");
    let row = |i: u32| format!("{},{},{}\n", i % 7, (i * i) % 11, i % 5);
    fs::write(&table, (0..60).map(row).collect::<String>()).unwrap();
    let three = table.to_str().unwrap();
    check(&of_model(&[&train(three, &["--batch", "32"]), "--data", three]), &["mass"]);

    // That model has three columns.
    let (status, _, err) = audit(&[&model, "--data", "toy:moons:50"]);
    assert!(status == Some(1) && err.contains("columns of the data: found 2, expected 3"), "{err}");
    let (status, _, err) = audit(&["--data", three]);
    assert!(status == Some(2) && err.contains("MODEL"), "{err}");
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
    // Slopes of errors, marginals against histograms, residuals of the continuity equation.
    for (id, axis) in [
        ("E2", "density"),
        ("E3", "residual"),
        ("E19", "residual"),
        ("E23", "step"),
        ("E30.samples", "density"),
    ] {
        let article =
            html.split("<article").find(|article| article.contains(&format!("id=\"{id}\""))).unwrap();
        assert!(article.contains("<svg") && article.contains(axis), "{id} has no picture of its {axis}");
    }
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
