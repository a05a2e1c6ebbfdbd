//! `pushforward score`: finds the log-density of the rows of a table.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use pushforward::data::{Shape, TableWriter};
use pushforward::likelihood::Summary;
use pushforward::ode::Stats;
use pushforward::rng::Purpose;
use pushforward::{Divergence, Error, Flow, Rng, Solver, Tensor};
use serde_json::json;

use crate::args::{Common, ScoreArgs};
use crate::console::{Interrupt, count, warn};
use crate::form::Form;
use crate::input::Selected;

/// Rows that are scored together; each row alone gives the same.
const CHUNK: usize = 1 << 13;

/// Numbers that are read at a time, 2 MB, in whole chunks: what is wrong in the first 131,072 rows of two columns is
/// found before a score is written to standard output.
const NUMBERS_AT_ONCE: usize = 1 << 18;

pub(crate) fn run(args: &ScoreArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    args.solver.solver()?;
    let output = match &args.output {
        None if common.json => None,
        output => Some(output.clone().unwrap_or_else(|| PathBuf::from("-"))),
    };
    if let Some(output) = &output {
        common.check_output(output)?;
        if let Divergence::Hutchinson { probes: 1, .. } = args.divergence {
            return Err(Error::Setting {
                name: "divergence",
                value: args.divergence.to_string(),
                remedy: "one probe has no standard error to write: take two or more, or --json without -o",
            }
            .into());
        }
    }
    let flow = Flow::load(&args.model)?.with_simd(simd);
    let flow = match args.scheduler {
        Some(scheduler) => flow.with_scheduler(scheduler)?,
        None => flow,
    };
    let solver = args.solver.solver_of(&flow)?;
    let form = Form::of(flow)?;
    form.check_density()?;
    let mut rng = Rng::from_seed(common.seed);
    let rows = form.open(&args.data, &args.reading, &mut rng)?;

    let start = Instant::now();
    let mut rows = Selected::new(rows, args.rows.clone());
    let (summary, stats, alike) = score(&form, &mut rows, &solver, output.as_deref(), args, common)?;
    let seconds = start.elapsed().as_secs_f64();
    let (scored, dropped, outside) = (summary.rows(), rows.rows.dropped(), summary.off_support());
    if dropped > 0 {
        let rows = if dropped == 1 { "row" } else { "rows" };
        warn(format_args!("warning: {dropped} {rows} with missing cells left out"));
    }
    if outside > 0 {
        warn(format_args!(
            "warning: {outside} of {scored} rows differ from the model in a constant column: their density is 0"
        ));
    }
    let (mean, error) = (summary.mean(), summary.standard_error());
    let bits = summary.bits_per_dim(form.layout().data().columns().len());
    // One row has none.
    let known = if error.is_finite() { format!(" ± {error:.4}") } else { String::new() };
    common.say(format_args!(
        "{scored} rows in {seconds:.2} s: mean log-density {mean:.4}{known} nats, {bits:.4} bits/dim"
    ));
    if alike > 0 && form.flow.dim() > 1 {
        warn(format_args!(
            "warning: the probes of {alike} rows are the same but for their sign, and tell no standard error: it is given as 0; take more of them, Gaussian ones (hutchinson:K:gaussian), or `--divergence exact`"
        ));
    }
    // What is not finite becomes null.
    common.print_json(&json!({
        "rows": scored,
        "divergence": args.divergence,
        "dropped": dropped,
        "off_support": outside,
        "mean": mean,
        "standard_error": error,
        "bits_per_dim": bits,
        "nfe": count(stats.nfe),
        "accepted": count(stats.accepted),
        "rejected": count(stats.rejected),
        "seconds": seconds,
        "simd": simd.level(),
    }))?;
    Ok(())
}

/// Scores block after block: nothing is held but one of them.
fn score(
    form: &Form,
    rows: &mut Selected,
    solver: &Solver,
    output: Option<&Path>,
    args: &ScoreArgs,
    common: &Common,
) -> anyhow::Result<(Summary, Stats, usize)> {
    let rows_at_once = (NUMBERS_AT_ONCE / rows.rows.cols()).next_multiple_of(CHUNK).max(CHUNK);
    let known = args.rows.as_ref().map(Range::len);
    let bar = known.or(rows.rows.announced()).map_or_else(|| common.counter(), |n| common.progress(n as u64));
    // Before Ctrl-C is watched for: nothing was begun that would have to be cleared away.
    let mut block = rows.next_block(rows_at_once)?;
    let interrupt = Interrupt::watch()?;
    let estimated = args.divergence != Divergence::Exact;
    let names = ["log_density".to_owned(), "standard_error".to_owned()];
    let (header, shape) = match estimated {
        false => (&names[..1], Shape::Vector { rows: known }),
        true => (&names[..], Shape::Matrix { rows: known, cols: 2 }),
    };
    // Of the seed alone, and the number of a row in its table: parts of a table score as the whole.
    let streams = Rng::from_seed(common.seed).fork(Purpose::Probe);
    let first_row = args.rows.as_ref().map_or(0, |rows| rows.start);
    let mut writer = output.map(|path| TableWriter::<f64>::create(path, Some(header), shape)).transpose()?;
    let (mut summary, mut stats, mut alike) = (Summary::default(), Stats::default(), 0);
    while let Some(x) = block {
        for first in (0..x.rows()).step_by(CHUNK) {
            interrupt.check()?;
            let part = form.split(x.slice_rows(first..x.rows().min(first + CHUNK)))?;
            let row = first_row + summary.rows();
            let place = || format!("rows from {} on (counted from 0) of those to score", summary.rows());
            let flow = form.given(part.conditions.as_ref(), 1.0).with_context(place)?;
            let scores = flow.log_density_rows(&part.numbers, row, args.divergence, solver, streams);
            let mut scores = scores.with_context(place)?;
            part.in_cells(form.layout(), &mut scores.log_density);
            summary.add(&scores.log_density);
            stats = stats.merge(scores.stats);
            if let Some(writer) = &mut writer {
                alike += scores.standard_error.iter().flatten().filter(|error| **error <= 0.0).count();
                let columns = match scores.standard_error {
                    None => scores.log_density,
                    Some(errors) => {
                        scores.log_density.into_iter().zip(errors).flat_map(<[f64; 2]>::from).collect()
                    }
                };
                writer.push(&Tensor::from_vec(columns, part.numbers.rows(), shape.cols())?)?;
            }
            bar.inc(part.numbers.rows() as u64);
        }
        drop(x); // one block at a time
        block = rows.next_block(rows_at_once)?;
    }
    // Ctrl-C may be the reason why there are no more rows.
    interrupt.check()?;
    if let Some(writer) = writer {
        writer.finish()?;
    }
    bar.finish_and_clear();
    Ok((summary, stats, alike))
}
