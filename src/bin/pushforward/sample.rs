//! `pushforward sample`: draws new rows from a model.

use std::ops::Range;
use std::time::Instant;

use anyhow::Context as _;
use pushforward::data::{Shape, TableWriter};
use pushforward::ode::Stats;
use pushforward::rng::Purpose;
use pushforward::{Flow, Real, Rng, Solver};
use serde_json::json;

use crate::args::{Common, SampleArgs};
use crate::console::{Interrupt, count};

/// Rows that are drawn at a time, while as many are written: enough for many threads; fewer where there are many columns.
const CHUNK: Range<usize> = 1 << 13..1 << 16;

/// Numbers of a chunk within these limits.
const NUMBERS: usize = 1 << 20;

pub(crate) fn run(args: &SampleArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    let solver = args.solver.solver()?;
    common.check_output(&args.output)?;
    let flow = Flow::load(&args.model)?.with_simd(simd);
    let rows = args.rows.clone().unwrap_or(0..args.n.unwrap_or(0));
    let start = Instant::now();
    let stats = if flow.standardize().fits_f32() {
        draw::<f32>(&flow, rows.clone(), &solver, args, common)?
    } else {
        draw::<f64>(&flow, rows.clone(), &solver, args, common)?
    };
    let seconds = start.elapsed().as_secs_f64();
    common.say(format_args!("{} rows in {seconds:.2} s, {:.1} NFE a row", rows.len(), stats.nfe));
    common.print_json(&json!({
        "rows": rows.len(),
        "nfe": count(stats.nfe),
        "accepted": count(stats.accepted),
        "rejected": count(stats.rejected),
        "seconds": seconds,
        "seed": common.seed,
        "simd": simd.level(),
    }))?;
    Ok(())
}

/// Draws chunk after chunk: sample i depends on the seed and on i only.
fn draw<R: Real>(
    flow: &Flow,
    rows: Range<usize>,
    solver: &Solver,
    args: &SampleArgs,
    common: &Common,
) -> anyhow::Result<Stats> {
    let streams = Rng::from_seed(common.seed).fork(Purpose::Source);
    let shape = Shape::Matrix { rows: Some(rows.len()), cols: flow.dim() };
    let interrupt = Interrupt::watch()?;
    let mut writer = TableWriter::<R>::create(&args.output, flow.header(), shape)?;
    let bar = common.progress(rows.len() as u64);
    let mut stats = Stats::default();
    let mut ready = None;
    let chunk = (NUMBERS / flow.dim()).clamp(CHUNK.start, CHUNK.end);
    for first in rows.clone().step_by(chunk) {
        interrupt.check()?;
        let last = rows.end.min(first.saturating_add(chunk));
        // While a chunk is drawn, the one before it is written.
        let (drawn, written) = rayon::join(
            || flow.sample_rows(first..last, solver, streams),
            || ready.take().map_or(Ok(()), |x| writer.push(&x)),
        );
        written?;
        let drawn = drawn.with_context(|| format!("rows from {first} on (counted from 0)"))?;
        bar.inc((last - first) as u64);
        stats = stats.merge(drawn.stats);
        ready = Some(drawn.x);
    }
    ready.map_or(Ok(()), |x| writer.push(&x))?;
    writer.finish()?;
    bar.finish_and_clear();
    Ok(stats)
}
