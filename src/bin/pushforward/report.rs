//! Reports of `train` and `evaluate`: what was read, what was learnt, how good it is, and how to repeat it, as one page of HTML that
//! needs no script and no network.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use pushforward::audit::report::document;
use pushforward::checkpoint;
use pushforward::file::AtomicFile;
use pushforward::plot::{self, Columns, Look, MOST_COLUMNS, Panel, Scene, escape, font_face};
use pushforward::rng::Purpose;
use pushforward::{Error, Flow, Rng, Solver, Source, Tensor};
use serde_json::Value;

use crate::args::Common;
use crate::form::Form;
use crate::plot::{draw, loss};

/// Rows of the data and samples in pictures.
const SHOWN: usize = 3000;
/// The most columns that have a picture of their own.
const MOST_HISTOGRAMS: usize = 60;

/// What a page says of a table: found when it is read, for a training does not keep it.
#[derive(Debug)]
pub(crate) struct Seen {
    rows: usize,
    dropped: usize,
    columns: Vec<ColumnSeen>,
    /// At most [`SHOWN`] rows, at equal distances.
    shown: Tensor<f64>,
}

#[derive(Debug)]
struct ColumnSeen {
    least: f64,
    mean: f64,
    most: f64,
    std: f64,
    whole: bool,
}

impl Seen {
    /// Looks at a table.
    pub(crate) fn of(x: &Tensor<f64>, dropped: usize) -> Self {
        let (rows, cols) = (x.rows(), x.cols());
        let column = |j: usize| {
            let values = || x.as_slice().iter().skip(j).step_by(cols.max(1)).copied();
            let mean = values().map(|x| x / rows as f64).sum::<f64>();
            ColumnSeen {
                least: values().fold(f64::INFINITY, f64::min),
                most: values().fold(f64::NEG_INFINITY, f64::max),
                mean,
                std: (values().map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64).sqrt(),
                whole: values().all(|x| x.fract().abs() <= 0.0),
            }
        };
        let few = rows.min(SHOWN);
        let numbers = (0..few).flat_map(|k| x.row(k * rows / few)).copied().collect();
        let shown = Tensor::from_vec(numbers, few, cols).unwrap_or_else(|_| x.slice_rows(0..few));
        Self { rows, dropped, columns: (0..cols).map(column).collect(), shown }
    }
}

/// The page of a training.
pub(crate) fn training(
    path: &Path,
    model: &Path,
    flow: &Flow,
    data: &Seen,
    source: Option<&Seen>,
    common: &Common,
) -> anyhow::Result<()> {
    let solver = Solver::midpoint();
    let form = Form::of(flow.clone())?;
    let streams = Rng::from_seed(common.seed).fork(Purpose::Source);
    let x_0 = source.map(|source| source.shown.cast::<f32>());
    let samples = draw(&form, SHOWN, x_0.as_ref(), &solver, streams);
    let mut page = Page::new(flow, form.layout().names());
    page.table(data)?;
    if let Some(source) = source {
        let _ = writeln!(page.body, "<p>Samples start from {} rows of a table.</p>", source.rows);
    }
    page.course()?;
    match samples {
        Ok(samples) => page.pictures(&data.shown, &samples)?,
        Err(error) => {
            let _ = writeln!(page.body, "<p class=\"fail\">No samples: {}</p>", escape(&error.to_string()));
        }
    }
    page.repeat(model)?;
    page.write(path, &format!("pushforward: the training of {}", model.display()), common)
}

/// The page of an evaluation; `found` is what `--json` says.
pub(crate) fn evaluation(
    path: &Path,
    model: &Path,
    form: &Form,
    found: &Value,
    sets: (&Tensor<f64>, &Tensor<f64>),
    common: &Common,
) -> anyhow::Result<()> {
    let (data, samples) = (Seen::of(sets.0, 0), Seen::of(sets.1, 0));
    // Categories are several columns there, one for each text.
    let names = found["columns"].as_array().into_iter().flatten().map(|column| plain(&column["name"]));
    let mut page = Page::new(&form.flow, names.collect());
    page.metrics(found);
    page.table(&data)?;
    page.pictures(&data.shown, &samples.shown)?;
    page.course()?;
    page.repeat(model)?;
    page.write(path, &format!("pushforward: the evaluation of {}", model.display()), common)
}

struct Page<'a> {
    flow: &'a Flow,
    names: Vec<String>,
    body: String,
}

impl<'a> Page<'a> {
    fn new(flow: &'a Flow, names: Vec<String>) -> Self {
        // The letters of the pictures; the page itself has those of the reader.
        let body =
            format!("<style>{} svg text {{ font-family: Pushforward, sans-serif; }}</style>\n", font_face());
        Self { flow, names, body }
    }

    fn section(&mut self, title: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", escape(title));
    }

    fn rows(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        self.body += "<table>\n<tr>";
        for cell in head {
            let _ = write!(self.body, "<th>{}</th>", escape(cell));
        }
        self.body += "</tr>\n";
        for row in rows {
            self.body += "<tr>";
            for (k, cell) in row.iter().enumerate() {
                let class = if k == 0 { "" } else { " class=\"number\"" };
                let _ = write!(self.body, "<td{class}>{}</td>", escape(cell));
            }
            self.body += "</tr>\n";
        }
        self.body += "</table>\n";
    }

    fn figure(&mut self, scene: &Scene) -> Result<(), Error> {
        let svg = scene.svg_in_page(&Look::default())?;
        let _ = writeln!(self.body, "<figure>{svg}</figure>");
        Ok(())
    }

    /// What the table holds.
    fn table(&mut self, data: &Seen) -> anyhow::Result<()> {
        self.section("Data");
        let left = if data.dropped > 0 { format!(", {} more left out", data.dropped) } else { String::new() };
        let _ = writeln!(self.body, "<p>{} rows{left}, {} columns.</p>", data.rows, data.columns.len());
        let rows: Vec<Vec<String>> = data
            .columns
            .iter()
            .zip(&self.names)
            .map(|(c, name)| {
                let kind = match c {
                    c if c.most <= c.least => "constant",
                    c if c.whole => "whole numbers",
                    _ => "numbers",
                };
                let mut row = vec![name.clone(), kind.into()];
                row.extend([c.least, c.mean, c.most, c.std].map(number));
                row
            })
            .collect();
        self.rows(&["column", "type", "least", "mean", "most", "std"], rows);
        Ok(())
    }

    /// The curve of the loss.
    fn course(&mut self) -> anyhow::Result<()> {
        let Some(record) = self.flow.record() else { return Ok(()) };
        self.section("Training");
        let held = record.validation.map_or_else(String::new, |found| {
            format!(
                " On {} rows held out it was {:.4} at the least, after {} steps, and the model is the one of then.",
                found.rows, found.loss, found.step
            )
        });
        let _ = writeln!(
            self.body,
            "<p>{} steps of {} rows; the loss of the last ones was {:.4} on average.{held}</p>",
            record.steps, record.batch, record.loss
        );
        if !record.course.is_empty() {
            self.figure(&loss("training", &record.course)?)?;
        }
        Ok(())
    }

    /// Samples beside data, all columns together and one by one.
    fn pictures(&mut self, data: &Tensor<f64>, samples: &Tensor<f64>) -> anyhow::Result<()> {
        self.section("Samples and data");
        let d = samples.cols();
        let of = |x: &Tensor<f64>, columns: std::ops::Range<usize>| {
            let of_row = |i| x.row(i).iter().skip(columns.start).take(columns.len()).copied();
            let numbers = (0..x.rows()).flat_map(of_row).collect();
            Tensor::from_vec(numbers, x.rows(), columns.len())
        };
        if d == 2 {
            let panels = [Panel { title: "data", points: data }, Panel { title: "samples", points: samples }];
            self.figure(&plot::samples(&panels)?)?;
        } else if d > 2 {
            let few = d.min(MOST_COLUMNS);
            let title = if few < d { format!("columns 1 to {few} of {d}") } else { "all columns".into() };
            let (samples, data) = (of(samples, 0..few)?, of(data, 0..few)?);
            let scene = plot::pairs(&Columns {
                title: &title,
                names: self.names.get(..few).unwrap_or_default(),
                samples: &samples,
                data: Some(&data),
            })?;
            self.figure(&scene)?;
        }
        self.section("Columns one by one");
        for j in 0..d.min(MOST_HISTOGRAMS) {
            let (samples, data) = (of(samples, j..j + 1)?, of(data, j..j + 1)?);
            let names = self.names.get(j..=j).unwrap_or_default();
            let scene = plot::pairs(&Columns { title: "", names, samples: &samples, data: Some(&data) })?;
            self.figure(&scene)?;
        }
        if d > MOST_HISTOGRAMS {
            let _ = writeln!(self.body, "<p>The first {MOST_HISTOGRAMS} of {d} columns.</p>");
        }
        Ok(())
    }

    /// Distances beside their floors, columns, and single numbers.
    fn metrics(&mut self, found: &Value) {
        self.section("How good it is");
        let _ = writeln!(
            self.body,
            "<p>{} samples against as many rows that the model has not seen. The noise floor is the same distance between \
             two halves of these rows: a perfect model is there.</p>",
            plain(&found["rows"])
        );
        let of = |m: &Value, keys: &[&str]| keys.iter().map(|&key| plain(&m[key])).collect::<Vec<_>>();
        let named = |name: &str, rest: Vec<String>| [vec![name.to_owned()], rest].concat();
        let sets = found["metrics"].as_object().into_iter().flatten();
        let sets: Vec<_> = sets
            .map(|(name, m)| named(&name.replace('_', " "), of(m, &["model", "floor", "floor_max", "rows"])))
            .collect();
        self.rows(&["distance", "model", "noise floor", "largest floor", "rows a side"], sets);
        let columns = found["columns"].as_array().into_iter().flatten();
        let columns: Vec<_> = columns
            .map(|c| {
                let rest =
                    ["w1", "w2", "ks"].iter().flat_map(|&key| of(&c[key], &["model", "floor"])).collect();
                named(&plain(&c["name"]), rest)
            })
            .collect();
        self.rows(&["column", "W1", "floor", "W2", "floor", "ks", "floor"], columns);
        let mut single = Vec::new();
        for part in ["nll", "path", "memorisation", "exact"] {
            for (name, value) in found[part].as_object().into_iter().flatten() {
                let (value, error) = match value {
                    Value::Object(estimate) => (&estimate["mean"], plain(&estimate["standard_error"])),
                    value => (value, String::new()),
                };
                single.push(vec![format!("{part}: {}", name.replace('_', " ")), plain(value), error]);
            }
        }
        single.push(vec!["NFE of a sample".into(), plain(&found["nfe"]), String::new()]);
        self.rows(&["measured", "value", "standard error"], single);
    }

    /// The command, the hashes, and all settings.
    fn repeat(&mut self, model: &Path) -> anyhow::Result<()> {
        self.section("To repeat it");
        let words: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
        let _ = writeln!(self.body, "<pre>pushforward {}</pre>", escape(&words.join(" ")));
        let bytes = std::fs::read(model).map_err(|source| Error::Io {
            action: "read",
            path: model.into(),
            source,
        })?;
        let record = self.flow.record();
        let mut rows = vec![vec!["SHA-256 of the model".to_owned(), checkpoint::sha256(&bytes)]];
        if let Some(hash) = record.and_then(|record| record.data_sha256.clone()) {
            rows.push(vec!["SHA-256 of the training data, in the network's units".into(), hash]);
        }
        if let Some(record) = record {
            rows.push(vec!["version".into(), record.version.clone()]);
            rows.push(vec!["SIMD level of the training".into(), record.simd.to_string()]);
        }
        let source = if self.flow.source() == Source::Normal { "N(0, I)" } else { "a table" };
        rows.push(vec!["source".into(), source.into()]);
        self.rows(&["what", ""], rows);
        if let Some(settings) = record.and_then(|record| record.settings.clone()) {
            let _ = writeln!(
                self.body,
                "<p>The settings of the training, as a file for <code>train --config</code>:</p>\n<pre>{}</pre>",
                settings.lines().map(escape).collect::<Vec<_>>().join("\n")
            );
        }
        Ok(())
    }

    fn write(self, path: &Path, title: &str, common: &Common) -> anyhow::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        let facts =
            [format!("pushforward {version}, seed {}, SIMD level {}", common.seed, common.simd()?.level())];
        let mut file = AtomicFile::create(path)?;
        file.write_all(document(title, &facts, &self.body).as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.commit()?;
        common.say(format_args!("report: {}", path.display()));
        Ok(())
    }
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Five digits.
fn number(value: f64) -> String {
    let size = value.abs();
    if size > 0.0 && !(1e-3..1e7).contains(&size) { format!("{value:.3e}") } else { format!("{value:.4}") }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Number(n) if n.is_f64() => number(n.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_a_shell_wants_it() {
        for (word, text) in [
            ("a.csv", "a.csv"),
            ("--hidden=8,16", "--hidden=8,16"),
            ("a b", "'a b'"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(word), text);
        }
    }

    #[test]
    fn a_table_is_seen_as_it_is() {
        let x = Tensor::from_rows(&[[1.0, 0.5, 7.0], [3.0, -0.5, 7.0]]);
        let seen = Seen::of(&x, 1);
        let c = &seen.columns;
        assert!((c[0].mean - 2.0).abs() < 1e-12 && (c[0].std - 1.0).abs() < 1e-12);
        assert!(c[0].whole && !c[1].whole && c[2].most <= c[2].least);
        assert_eq!((seen.rows, seen.dropped, seen.shown.rows()), (2, 1, 2));
        assert_eq!(Seen::of(&Tensor::zeros(10_000, 1), 0).shown.rows(), SHOWN);
    }
}
