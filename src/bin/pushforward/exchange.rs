//! `pushforward export` and `pushforward import`: networks to and from PyTorch.

use std::io::Write as _;
use std::path::Path;

use pushforward::file::AtomicFile;
use pushforward::{Error, Flow};
use serde_json::json;

use crate::args::{Common, ExportArgs, ImportArgs};

pub(crate) fn export(args: &ExportArgs, common: &Common) -> anyhow::Result<()> {
    let flow = Flow::load(&args.model)?;
    let path = &args.output;
    let mut file = AtomicFile::create(path)?;
    let written = file.write_all(&flow.to_safetensors()?);
    written.map_err(|source| Error::Io { action: "write", path: path.clone(), source })?;
    file.commit()?;
    done(&flow, path, common)
}

pub(crate) fn import(args: &ImportArgs, common: &Common) -> anyhow::Result<()> {
    let path = &args.file;
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
    let flow = Flow::from_safetensors(&bytes, path)?;
    flow.save(&args.output)?;
    done(&flow, &args.output, common)
}

fn done(flow: &Flow, output: &Path, common: &Common) -> anyhow::Result<()> {
    let (shape, parameters) = (flow.velocity().shape(), flow.velocity().parameters().len());
    common.say(format_args!(
        "{} layers, {parameters} parameters: {}",
        shape.hidden.len() + 1,
        output.display()
    ));
    common.print_json(&json!({
        "file": output.display().to_string(),
        "dim": shape.dim,
        "hidden": shape.hidden,
        "activation": shape.activation,
        "time_embedding": shape.time_embedding.to_string(),
        "parameters": parameters,
    }))?;
    Ok(())
}
