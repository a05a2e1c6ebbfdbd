//! `pushforward sample`: draws new rows from a model.

use std::ops::Range;
use std::time::Instant;

use anyhow::Context as _;
use pushforward::data::Missing;
use pushforward::ode::Stats;
use pushforward::rng::{Purpose, Streams};
use pushforward::{Error, Flow, Real, Rng, Solver, Source, Tensor};
use serde_json::json;

use crate::args::{Common, ReadArgs, SampleArgs};
use crate::console::{Interrupt, count};
use crate::form::Form;
use crate::input::{Data, Selected};
use crate::trajectory::{self, Drawn};

pub(crate) fn run(args: &SampleArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    args.solver.solver()?;
    common.check_output(&args.output)?;
    let mut flow = Flow::load(&args.model)?.with_simd(simd);
    if let Some(scheduler) = args.scheduler {
        flow = flow.with_scheduler(scheduler)?;
    }
    let solver = args.solver.solver_of(&flow)?;
    trajectory::check(args)?;
    let form = Form::of(flow)?;
    let given = Given::of(&form, args)?;
    let rows = match (&args.rows, args.n, &given) {
        (Some(rows), ..) => rows.clone(),
        (None, Some(n), _) => 0..n,
        (None, None, Given::Rows(conditions)) => 0..conditions.rows(),
        (None, None, _) => 0..0, // those of --source
    };
    let start = Instant::now();
    let narrow = form.fits_f32();
    let stats = match &args.source {
        Some(source) if narrow => push::<f32>(&form, &given, source, &solver, args, common)?,
        Some(source) => push::<f64>(&form, &given, source, &solver, args, common)?,
        None if narrow => draw::<f32>(&form, &given, rows, &solver, args, common)?,
        None => draw::<f64>(&form, &given, rows, &solver, args, common)?,
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

/// The conditions of samples.
enum Given {
    /// The model has none, or those of training rows.
    Drawn,
    /// One for all: [1, c].
    One(Tensor<f64>),
    /// Row i for sample i.
    Rows(Tensor<f64>),
}

impl Given {
    fn of(form: &Form, args: &SampleArgs) -> anyhow::Result<Self> {
        let conditions = form.layout().conditions();
        let Some(schema) = conditions else {
            let asked = [
                ("condition", args.condition.is_some() || args.condition_data.is_some()),
                ("guidance", args.guidance.is_some()),
            ];
            return match asked.into_iter().find(|(_, asked)| *asked) {
                None => Ok(Self::Drawn),
                Some((name, _)) => Err(Error::Setting {
                    name,
                    value: "given".into(),
                    remedy: "the model was trained without conditions: leave it out",
                }
                .into()),
            };
        };
        if let Some(text) = &args.condition {
            return Ok(Self::One(form.layout().parse_conditions(text)?));
        }
        if let Some(data) = &args.condition_data {
            let reading = ReadArgs { missing: Missing::default(), no_header: false };
            let rows = form.open_part(data, schema, &reading, &mut Rng::from_seed(0))?;
            return Ok(Self::Rows(rows.read_all()?.values));
        }
        if args.source.is_some() && form.flow.source() == Source::Normal {
            return Err(Error::Setting {
                name: "condition",
                value: "not given".into(),
                remedy: "each row of x_0 was encoded under a condition: give the table of them (--condition-data)",
            }
            .into());
        }
        Ok(Self::Drawn)
    }

    /// The conditions of these rows.
    fn rows(
        &self,
        flow: &Flow,
        rows: Range<usize>,
        streams: Streams,
    ) -> pushforward::Result<Option<Tensor<f64>>> {
        match self {
            Self::Drawn => flow.draw_conditions(rows, streams),
            Self::One(one) => {
                let cells = one.as_slice().repeat(rows.len());
                Tensor::from_vec(cells, rows.len(), one.cols()).map(Some)
            }
            Self::Rows(all) if rows.end <= all.rows() => Ok(Some(all.slice_rows(rows))),
            Self::Rows(all) => Err(Error::Setting {
                name: "condition-data",
                value: format!("{} rows, but sample {} is asked for", all.rows(), rows.end - 1),
                remedy: "give a condition for each sample, or ask for fewer",
            }),
        }
    }
}

/// Draws chunk after chunk: sample i depends on the seed and on i only.
fn draw<R: Real>(
    form: &Form,
    given: &Given,
    rows: Range<usize>,
    solver: &Solver,
    args: &SampleArgs,
    common: &Common,
) -> anyhow::Result<Stats> {
    let mut rng = Rng::from_seed(common.seed);
    let (streams, noise) = (rng.fork(Purpose::Source), rng.fork(Purpose::Noise));
    let noisy = args.noise.map(|beta| args.solver.noisy_steps().map(|steps| (beta, steps))).transpose()?;
    if rows.end > 0 {
        given.rows(&form.flow, rows.end - 1..rows.end, streams)?; // before anything is drawn
    }
    let interrupt = Interrupt::watch()?;
    let mut writer = form.writer::<R>(&args.output, Some(rows.len()), args.trajectory)?;
    let bar = common.progress(rows.len() as u64);
    let mut stats = Stats::default();
    let mut ready = None;
    let chunk = trajectory::chunk(form.flow.dim(), args.trajectory);
    for first in rows.clone().step_by(chunk) {
        interrupt.check()?;
        let last = rows.end.min(first.saturating_add(chunk));
        let conditions = given.rows(&form.flow, first..last, streams)?;
        let flow = form.given(conditions.as_ref(), args.guidance.unwrap_or(1.0))?;
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
        ready = Some(drawn.in_table(form, conditions.as_ref())?);
    }
    ready.map_or(Ok(()), |drawn| drawn.write(&mut writer))?;
    writer.finish()?;
    bar.finish_and_clear();
    Ok(stats)
}

/// Pushes the rows of a table forward, block after block.
fn push<R: Real>(
    form: &Form,
    given: &Given,
    source: &Data,
    solver: &Solver,
    args: &SampleArgs,
    common: &Common,
) -> anyhow::Result<Stats> {
    let reading = ReadArgs { missing: Missing::default(), no_header: false };
    let mut rng = Rng::from_seed(common.seed);
    let streams = Rng::from_seed(common.seed).fork(Purpose::Source);
    let of_table = form.flow.source_units().is_some();
    let rows = if of_table {
        form.open_part(source, form.layout().data(), &reading, &mut rng)?
    } else {
        source.open(&reading, &mut rng)?
    };
    let mut rows = Selected::new(rows, args.rows.clone());
    let found = rows.rows.cols();
    if !of_table && found != form.flow.source_dim() {
        return Err(Error::Dimension {
            what: "columns of x_0",
            expected: form.flow.source_dim(),
            found,
            remedy: "give the columns of the source, as `encode` does",
        }
        .into());
    }
    let known = args.rows.as_ref().map(Range::len);
    let bar = known.or(rows.rows.announced()).map_or_else(|| common.counter(), |n| common.progress(n as u64));
    let chunk = trajectory::chunk(form.flow.dim(), args.trajectory);
    let mut block = rows.next_block(chunk)?;
    let interrupt = Interrupt::watch()?;
    let mut writer = form.writer::<R>(&args.output, known, args.trajectory)?;
    let (mut stats, mut first) = (Stats::default(), args.rows.as_ref().map_or(0, |rows| rows.start));
    while let Some(x_0) = block {
        interrupt.check()?;
        let conditions = given.rows(&form.flow, first..first + x_0.rows(), streams)?;
        let flow = form.given(conditions.as_ref(), args.guidance.unwrap_or(1.0))?;
        let z_0 = if of_table { form.layout().data().encode(&x_0)? } else { x_0 }.cast();
        let drawn = match args.trajectory {
            None => flow.decode(&z_0, solver).map(Drawn::rows),
            Some(k) => flow.trajectory_from(&z_0, k.get(), solver).map(|course| Drawn::course(first, course)),
        };
        let drawn: Drawn<R> =
            drawn.with_context(|| format!("rows from {first} on (counted from 0) of x_0"))?;
        stats = stats.merge(drawn.stats());
        drawn.in_table(form, conditions.as_ref())?.write(&mut writer)?;
        bar.inc(z_0.rows() as u64);
        first += z_0.rows();
        block = rows.next_block(chunk)?;
    }
    interrupt.check()?;
    writer.finish()?;
    bar.finish_and_clear();
    Ok(stats)
}
