//! `pushforward info`: says what a model file holds.

use std::io::{self, Write as _};

use anyhow::bail;
use comfy_table::{Table, presets};
use pushforward::closed_form::Baseline;
use pushforward::data::Standardize;
use pushforward::{Error, Flow, Simd, SimdLevel, checkpoint};
use serde_json::{Value, json};

use crate::args::{Common, InfoArgs};

pub(crate) fn run(args: &InfoArgs, common: &Common) -> anyhow::Result<()> {
    let path = &args.model;
    let bytes =
        std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
    let flow = Flow::from_bytes(&bytes, path)?;
    if args.config {
        return settings(&flow, args);
    }
    let facts = facts(&flow, &bytes)?;
    if common.json {
        common.print_json(&facts)?;
    } else {
        print(&flow, &facts)?;
    }
    Ok(())
}

/// Prints the file with which `train --config` repeats the training.
fn settings(flow: &Flow, args: &InfoArgs) -> anyhow::Result<()> {
    let model = args.model.display();
    let known = flow.record().and_then(|record| Some((&record.version, record.settings.as_ref()?)));
    let Some((version, settings)) = known else {
        bail!(
            "{model} does not hold the settings of its training: `train` did not make it, or an earlier version; without --config `info` says what is known"
        );
    };
    let head = "repeats the training, on any number of threads";
    writeln!(io::stdout(), "# {model}, made by pushforward {version}.")?;
    write!(io::stdout(), "# `pushforward train --config THIS -o MODEL` {head}.\n{settings}")?;
    Ok(())
}

fn facts(flow: &Flow, bytes: &[u8]) -> pushforward::Result<Value> {
    let layout = flow.layout()?;
    let (shape, standardize) = (flow.velocity().shape(), flow.standardize());
    let available: Vec<SimdLevel> = [SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512]
        .into_iter()
        .filter(|&level| Simd::of(level).is_ok())
        .collect();
    Ok(json!({
        "bytes": bytes.len(),
        "sha256": checkpoint::sha256(bytes),
        "dim": flow.dim(),
        "header": flow.header(),
        "table": layout.table(),
        "conditions": flow.conditions().map(|conditions| {
            conditions.columns().iter().map(|column| column.name.clone()).collect::<Vec<_>>()
        }),
        "model_dim": shape.dim,
        "hidden": shape.hidden,
        "activation": shape.activation,
        "time_embedding": shape.time_embedding.to_string(),
        "parameters": flow.velocity().parameters().len(),
        "path": flow.path().scheduler.to_string(),
        "width": flow.path().width.to_string(),
        "prediction": flow.path().prediction.to_string(),
        "baseline": flow.baseline().map_or(Baseline::None, |_| Baseline::Gaussian),
        "source": flow.source().to_string(),
        "source_mean": flow.source_units().map(Standardize::mean),
        "source_std": flow.source_units().map(Standardize::std),
        "coupling": flow.record().map(|record| record.coupling.to_string()),
        "mean": standardize.mean(),
        "std": standardize.std(),
        "constants": standardize.constants(),
        "precision": if layout.is_plain() && standardize.fits_f32() { "f32" } else { "f64" },
        "training": flow.record(),
        "simd": flow.record().map(|record| record.simd),
        "simd_available": available,
    }))
}

/// The same for people: one fact a line, then the columns.
fn print(flow: &Flow, facts: &Value) -> io::Result<()> {
    let mut list = Table::new();
    list.load_style(presets::NOTHING);
    let in_columns = ["header", "table", "mean", "std", "constants", "training"];
    let training = facts["training"].as_object().into_iter().flatten();
    let repeated = ["coupling", "simd", "settings", "course"];
    let training = training.filter(|(name, _)| !repeated.contains(&name.as_str()));
    let facts = facts.as_object().into_iter().flatten();
    for (name, value) in facts.filter(|(name, _)| !in_columns.contains(&name.as_str())) {
        list.add_row([name.clone(), plain(value)]);
    }
    for (name, value) in training {
        list.add_row([format!("training.{name}"), plain(value)]);
    }
    let mut columns = Table::new();
    columns.load_style(presets::NOTHING).set_header(["column", "mean", "std", ""]);
    let standardize = flow.standardize();
    for (j, (mean, std)) in standardize.mean().iter().zip(standardize.std()).enumerate() {
        let name = flow.header().and_then(|names| names.get(j)).cloned();
        let name = name.unwrap_or_else(|| format!("x{}", j + 1));
        let note = if *std > 0.0 { "" } else { "constant" };
        columns.add_row([name, mean.to_string(), std.to_string(), note.to_owned()]);
    }
    writeln!(io::stdout(), "{}\n\n{}", list.trim_fmt(), columns.trim_fmt())
}

/// A value without the marks of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
