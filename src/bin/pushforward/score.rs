//! `pushforward score`: finds the log-density of the rows of a table.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use pushforward::data::{Shape, TableWriter};
use pushforward::likelihood::Scores;
use pushforward::ode::Stats;
use pushforward::{Flow, Rng, Solver, Tensor};
use serde_json::json;

use crate::args::{Common, ScoreArgs};
use crate::console::{Interrupt, count, warn};
use crate::input::slice;

/// Rows that are scored together; each row alone gives the same.
const CHUNK: usize = 1 << 13;

pub(crate) fn run(args: &ScoreArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    let solver = args.solver.solver()?;
    let output = match &args.output {
        None if common.json => None,
        output => Some(output.clone().unwrap_or_else(|| PathBuf::from("-"))),
    };
    if let Some(output) = &output {
        common.check_output(output)?;
    }
    let flow = Flow::load(&args.model)?.with_simd(simd);
    let mut rng = Rng::from_seed(common.seed);
    let table = match flow.header() {
        Some(names) => args.data.load_columns(names, &args.reading, &mut rng)?,
        None => args.data.load(&args.reading, &mut rng)?,
    };
    table.values.check_cols(
        "columns of the data",
        flow.dim(),
        "give a table with the columns that the model was trained on",
    )?;
    if table.dropped > 0 {
        let rows = if table.dropped == 1 { "row" } else { "rows" };
        warn(format_args!("warning: {} {rows} with missing cells left out", table.dropped));
    }
    let x = match &args.rows {
        Some(rows) => slice(&table.values, rows)?,
        None => table.values,
    };

    let start = Instant::now();
    let scores = score(&flow, &x, &solver, output.as_deref(), &mut rng, args, common)?;
    let seconds = start.elapsed().as_secs_f64();
    let (mean, error) = (scores.mean(), scores.standard_error());
    let bits = scores.bits_per_dim(flow.dim());
    let outside = scores.log_density.iter().filter(|value| value.is_infinite()).count();
    if outside > 0 {
        warn(format_args!(
            "warning: {outside} of {} rows differ from the model in a constant column: their density is 0",
            x.rows()
        ));
    }
    common.say(format_args!(
        "{} rows in {seconds:.2} s: mean log-density {mean:.4} ± {error:.4} nats, {bits:.4} bits/dim",
        x.rows()
    ));
    // What is not finite becomes null.
    common.print_json(&json!({
        "rows": x.rows(),
        "dropped": table.dropped,
        "off_support": outside,
        "mean": mean,
        "standard_error": error,
        "bits_per_dim": bits,
        "nfe": count(scores.stats.nfe),
        "accepted": count(scores.stats.accepted),
        "rejected": count(scores.stats.rejected),
        "seconds": seconds,
        "simd": simd.level(),
    }))?;
    Ok(())
}

fn score(
    flow: &Flow,
    x: &Tensor<f64>,
    solver: &Solver,
    output: Option<&Path>,
    rng: &mut Rng,
    args: &ScoreArgs,
    common: &Common,
) -> anyhow::Result<Scores> {
    let (header, shape) = (["log_density".to_owned()], Shape::Vector { rows: x.rows() });
    let interrupt = Interrupt::watch()?;
    let mut writer = output.map(|path| TableWriter::<f64>::create(path, Some(&header), shape)).transpose()?;
    let bar = common.progress(x.rows() as u64);
    let mut all = Scores { log_density: Vec::with_capacity(x.rows()), stats: Stats::default() };
    for first in (0..x.rows()).step_by(CHUNK) {
        interrupt.check()?;
        let part = x.slice_rows(first..x.rows().min(first + CHUNK));
        let scores = flow
            .log_density(&part, args.divergence, solver, rng)
            .with_context(|| format!("rows from {first} on (counted from 0) of those to score"))?;
        if let Some(writer) = &mut writer {
            writer.push(&Tensor::from_vec(scores.log_density.clone(), part.rows(), 1)?)?;
        }
        bar.inc(part.rows() as u64);
        all.log_density.extend(scores.log_density);
        all.stats = all.stats.merge(scores.stats);
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    bar.finish_and_clear();
    Ok(all)
}
