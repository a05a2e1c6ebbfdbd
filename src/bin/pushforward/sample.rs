//! `pushforward sample`: draws new rows from a model.

use std::ops::Range;
use std::time::Instant;

use anyhow::Context as _;
use pushforward::data::{Missing, TableWriter};
use pushforward::ode::Stats;
use pushforward::rng::Purpose;
use pushforward::{Error, Flow, Real, Rng, Solver};
use serde_json::json;

use crate::args::{Common, ReadArgs, SampleArgs};
use crate::console::{Interrupt, count};
use crate::input::{Data, Selected};
use crate::trajectory::{self, Drawn};

pub(crate) fn run(args: &SampleArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    let solver = args.solver.solver()?;
    common.check_output(&args.output)?;
    let mut flow = Flow::load(&args.model)?.with_simd(simd);
    if let Some(scheduler) = args.scheduler {
        flow = flow.with_scheduler(scheduler)?;
    }
    trajectory::check(args)?;
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
        "trajectory": args.trajectory,
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
    let shape = trajectory::shape(Some(rows.len()), flow.dim(), args.trajectory);
    let interrupt = Interrupt::watch()?;
    let mut writer = TableWriter::<R>::create(&args.output, flow.header(), shape)?;
    let bar = common.progress(rows.len() as u64);
    let mut stats = Stats::default();
    let mut ready = None;
    let chunk = trajectory::chunk(flow.dim(), args.trajectory);
    for first in rows.clone().step_by(chunk) {
        interrupt.check()?;
        let last = rows.end.min(first.saturating_add(chunk));
        // While a chunk is drawn, the one before it is written.
        let rows = first..last;
        let (drawn, written) = rayon::join(
            || match (noisy, args.trajectory) {
                (None, None) => flow.sample_rows(rows, solver, streams).map(Drawn::rows),
                (None, Some(k)) => {
                    flow.trajectory(rows, k.get(), solver, streams).map(|course| Drawn::course(first, course))
                }
                (Some((beta, steps)), None) => {
                    flow.sample_noisy(rows, beta, steps, streams, noise).map(Drawn::rows)
                }
                (Some((beta, steps)), Some(k)) => flow
                    .trajectory_noisy(rows, beta, (steps, k.get()), streams, noise)
                    .map(|course| Drawn::course(first, course)),
            },
            || ready.take().map_or(Ok(()), |drawn: Drawn<R>| drawn.write(&mut writer)),
        );
        written?;
        let drawn = drawn.with_context(|| format!("rows from {first} on (counted from 0)"))?;
        bar.inc((last - first) as u64);
        stats = stats.merge(drawn.stats());
        ready = Some(drawn);
    }
    ready.map_or(Ok(()), |drawn| drawn.write(&mut writer))?;
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
    let mut rows = Selected::new(rows, args.rows.clone());
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
    let known = args.rows.as_ref().map(Range::len);
    let bar = known.or(rows.rows.announced()).map_or_else(|| common.counter(), |n| common.progress(n as u64));
    let chunk = trajectory::chunk(flow.dim(), args.trajectory);
    let mut block = rows.next_block(chunk)?;
    let interrupt = Interrupt::watch()?;
    let shape = trajectory::shape(known, flow.dim(), args.trajectory);
    let mut writer = TableWriter::<R>::create(&args.output, flow.header(), shape)?;
    let (mut stats, mut first) = (Stats::default(), args.rows.as_ref().map_or(0, |rows| rows.start));
    while let Some(x_0) = block {
        interrupt.check()?;
        let place = || format!("rows from {first} on (counted from 0) of x_0");
        let z_0 = x_0.cast();
        let drawn = match args.trajectory {
            None => flow.decode(&z_0, solver).map(Drawn::rows),
            Some(k) => flow.trajectory_from(&z_0, k.get(), solver).map(|course| Drawn::course(first, course)),
        };
        let drawn: Drawn<R> = drawn.with_context(place)?;
        stats = stats.merge(drawn.stats());
        drawn.write(&mut writer)?;
        bar.inc(x_0.rows() as u64);
        first += x_0.rows();
        block = rows.next_block(chunk)?;
    }
    interrupt.check()?;
    writer.finish()?;
    bar.finish_and_clear();
    Ok(stats)
}
