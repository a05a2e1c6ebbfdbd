//! `pushforward sample`: draws new rows from a model.

use std::ops::Range;
use std::time::Instant;

use anyhow::Context as _;
use pushforward::data::{Missing, Shape, TableWriter};
use pushforward::ode::Stats;
use pushforward::rng::Purpose;
use pushforward::{Error, Flow, Real, Rng, Solver};
use serde_json::json;

use crate::args::{Common, ReadArgs, SampleArgs};
use crate::console::{Interrupt, count};
use crate::input::{Data, Selected};

/// Rows that are drawn at a time, while as many are written: enough for many threads; fewer where there are many columns.
const CHUNK: Range<usize> = 1 << 13..1 << 16;

/// Numbers of a chunk within these limits.
const NUMBERS: usize = 1 << 20;

pub(crate) fn run(args: &SampleArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    let solver = args.solver.solver()?;
    common.check_output(&args.output)?;
    let mut flow = Flow::load(&args.model)?.with_simd(simd);
    if let Some(scheduler) = args.scheduler {
        flow = flow.with_scheduler(scheduler)?;
    }
    let rows = args.rows.clone().unwrap_or(0..args.n.unwrap_or(0));
    let start = Instant::now();
    let stats = if let Some(source) = &args.source {
        if flow.standardize().fits_f32() {
            push::<f32>(&flow, source, &solver, args, common)?
        } else {
            push::<f64>(&flow, source, &solver, args, common)?
        }
    } else if flow.standardize().fits_f32() {
        draw::<f32>(&flow, rows.clone(), &solver, args, common)?
    } else {
        draw::<f64>(&flow, rows.clone(), &solver, args, common)?
    };
    let seconds = start.elapsed().as_secs_f64();
    common.say(format_args!("{} rows in {seconds:.2} s, {:.1} NFE a row", stats.rows, stats.nfe));
    common.print_json(&json!({
        "rows": stats.rows,
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
    let mut rng = Rng::from_seed(common.seed);
    let (streams, noise) = (rng.fork(Purpose::Source), rng.fork(Purpose::Noise));
    let noisy = args.noise.map(|beta| args.solver.noisy_steps().map(|steps| (beta, steps))).transpose()?;
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
            || match noisy {
                None => flow.sample_rows(first..last, solver, streams),
                Some((beta, steps)) => flow.sample_noisy(first..last, beta, steps, streams, noise),
            },
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

/// Pushes the rows of a table forward, block after block.
fn push<R: Real>(
    flow: &Flow,
    source: &Data,
    solver: &Solver,
    args: &SampleArgs,
    common: &Common,
) -> anyhow::Result<Stats> {
    let reading = ReadArgs { missing: Missing::default(), no_header: false };
    let mut rng = Rng::from_seed(common.seed);
    let rows = match flow.header().filter(|_| flow.source_units().is_some()) {
        Some(names) => source.open_columns(names, &reading, &mut rng)?,
        None => source.open(&reading, &mut rng)?,
    };
    let mut rows = Selected::new(rows, None);
    let (expected, found) = (flow.source_dim(), rows.rows.cols());
    if found != expected {
        return Err(Error::Dimension {
            what: "columns of x_0",
            expected,
            found,
            remedy: "give the columns of the source, as `encode` does",
        }
        .into());
    }
    let bar = rows.rows.announced().map_or_else(|| common.counter(), |n| common.progress(n as u64));
    let chunk = (NUMBERS / flow.dim()).clamp(CHUNK.start, CHUNK.end);
    let mut block = rows.next_block(chunk)?;
    let interrupt = Interrupt::watch()?;
    let shape = Shape::Matrix { rows: None, cols: flow.dim() };
    let mut writer = TableWriter::<R>::create(&args.output, flow.header(), shape)?;
    let mut stats = Stats::default();
    while let Some(x_0) = block {
        interrupt.check()?;
        let place = || format!("rows from {} on (counted from 0) of x_0", stats.rows);
        let drawn = flow.decode(&x_0.cast(), solver).with_context(place)?;
        stats = stats.merge(drawn.stats);
        writer.push(&drawn.x)?;
        bar.inc(x_0.rows() as u64);
        block = rows.next_block(chunk)?;
    }
    interrupt.check()?;
    writer.finish()?;
    bar.finish_and_clear();
    Ok(stats)
}
