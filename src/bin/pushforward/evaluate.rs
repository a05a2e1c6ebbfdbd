//! `pushforward evaluate`: holds samples of a model against rows it has not seen.
//!
//! More than 500 lines: all that is measured stands beside the ways in which it is told.

use std::io::{self, Write as _};
use std::time::Instant;

use anyhow::Context as _;
use comfy_table::{Cell, CellAlignment, Table, presets};
use pushforward::closed_form::{EmpiricalField, ExactLoss};
use pushforward::data::{Schema, Standardize};
use pushforward::file::AtomicFile;
use pushforward::likelihood::Summary;
use pushforward::metrics::{Evaluation, Measured, Memorisation, PAIR_ROWS, PathEnergy, exact_w2};
use pushforward::ode::Stats;
use pushforward::path::Width;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Coupling, Error, Estimate, Flow, Rng, Solver, Source, Tensor};
use serde_json::{Map, Value, json};

use crate::args::{Common, EvaluateArgs};
use crate::console::{Usage, count, warn};
use crate::form::{Block, Form};
use crate::input::Data;
use crate::report;

/// The most rows that are drawn where no number is named: the halves are then of 10,000 rows, and a minute is enough.
const MOST_ROWS: usize = 20_000;

/// Rows that are drawn or scored together; each row alone gives the same.
const CHUNK: usize = 1 << 13;

/// Times and pairs for the exact loss: its standard error is then some 1 %.
const DRAWS: usize = 1 << 13;

/// What is done, for the progress bar.
const PARTS: u64 = 6;

pub(crate) fn run(args: &EvaluateArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    args.solver.solver()?;
    let inputs = [Some(&args.data), args.source.as_ref(), args.train.as_ref()];
    if inputs.into_iter().flatten().filter(|data| matches!(data, Data::Standard)).count() > 1 {
        return Err(Usage("only one table can be standard input").into());
    }
    let mut flow = Flow::load(&args.model)?.with_simd(simd);
    if let Some(scheduler) = args.scheduler {
        flow = flow.with_scheduler(scheduler)?;
    }
    if args.exact {
        check_exact(&flow)?;
    }
    if let Some(report) = &args.report {
        drop(AtomicFile::create(report)?);
    }
    let form = Form::of(flow)?;
    let flow = &form.flow;
    let solver = args.solver.solver_of(flow)?;
    let start = Instant::now();
    let mut rng = Rng::from_seed(common.seed);
    // A toy is drawn anew: `train` takes the first two forks for its target and its source.
    for _ in 0..2 {
        rng.fork(Purpose::Data);
    }
    let data = rows_of(&form, &args.data, form.layout().table(), args, &mut rng)?;
    let x_0 = source_rows(&form, args, &mut rng)?;
    let known = x_0.as_ref().map_or(usize::MAX, Tensor::rows);
    let rows = args.n.unwrap_or(MOST_ROWS).min(data.rows()).min(known);
    if let Some(n) = args.n.filter(|&n| n > rows) {
        return Err(Error::Setting {
            name: "n",
            value: format!("{n}, but there are {rows} rows"),
            remedy: "ask for as many as the tables have, or leave it out",
        }
        .into());
    }
    let data_rows = data.rows();
    let table = chosen(&data, rows, &mut rng)?;
    drop(data);
    let x_0 = x_0.map(|x_0| chosen(&x_0, rows, &mut rng)).transpose()?;

    // Without training rows the exact field is that of the data.
    let own = (args.exact && args.train.is_none()).then(|| table.clone());
    let data = form.split(table.clone())?;
    let points = form.points(table)?;

    let bar = common.progress(PARTS);
    bar.set_message("samples");
    let (samples, stats) = draw(&form, &data, x_0.as_ref(), &solver, common)?;
    bar.inc(1);
    bar.set_message("distances");
    let distances = Evaluation::measure(&samples, &points, &mut rng)?;
    bar.inc(1);
    bar.set_message("log-densities");
    let scores = match (flow.source(), form.check_density()) {
        (Source::Normal, Err(error)) => {
            warn(format_args!("warning: no NLL of this model: {error}"));
            None
        }
        (Source::Normal, Ok(())) => Some(score(&form, &data, &solver, args, common)?),
        _ => None,
    };
    bar.inc(1);
    bar.set_message("path energy");
    let way = way(&form, &data, x_0.as_ref(), &solver, common)?;
    bar.inc(1);
    bar.set_message("training rows");
    let train = match &args.train {
        // The rows that the model was trained on, if they were those of a toy.
        Some(train) => {
            let seed = flow.record().map_or(common.seed, |record| record.seed);
            let mut rng = Rng::from_seed(seed);
            let train = rows_of(&form, train, form.layout().table(), args, &mut rng)?;
            let numbers = trained_numbers(&form, &train, &mut rng)?;
            Some((form.points(train)?, numbers))
        }
        None => None,
    };
    let memorisation = train.as_ref().map(|(train, _)| near(&samples, &points, train)).transpose()?;
    bar.inc(1);
    bar.set_message("exact loss");
    let numbers = match own {
        Some(own) => Some(trained_numbers(&form, &own, &mut rng)?),
        None => train.map(|(_, numbers)| numbers).filter(|_| args.exact),
    };
    let exact = numbers.map(|numbers| exact_loss(flow, &numbers, &mut rng)).transpose()?;
    bar.finish_and_clear();

    let found = Found { rows, distances, scores, way, memorisation, exact, stats };
    if data_rows > rows {
        common.say(format_args!("{rows} of {data_rows} rows are taken, at random"));
    }
    if found.memorisation.is_some_and(|memorisation| memorisation.median_fresh <= 0.0) {
        warn(format_args!(
            "warning: half of DATA or more are training rows: give rows that the model has not seen"
        ));
    }
    if let Some(memorisation) = found.memorisation.filter(Memorisation::is_suspicious) {
        warn(format_args!(
            "warning: samples are copies of training rows, or nearly so: half of them lie within {:.2e} of one, fresh rows within {:.2e}",
            memorisation.median_samples, memorisation.median_fresh
        ));
    }
    let seconds = start.elapsed().as_secs_f64();
    if let Some(path) = &args.report {
        let found = found.json(&form, data_rows, seconds, common)?;
        report::evaluation(path, &args.model, &form, &found, (&points, &samples), common)?;
    }
    if common.json {
        common.print_json(&found.json(&form, data_rows, seconds, common)?)?;
    } else {
        found.print(&form)?;
        common.say(format_args!("{seconds:.1} s"));
    }
    Ok(())
}

/// All rows of some columns of the model's table.
fn rows_of(
    form: &Form,
    data: &Data,
    part: &Schema,
    args: &EvaluateArgs,
    rng: &mut Rng,
) -> anyhow::Result<Tensor<f64>> {
    let table = form.open_part(data, part, &args.reading, rng)?.read_all()?;
    if table.dropped > 0 {
        warn(format_args!("warning: {data}: {} rows with missing cells left out", table.dropped));
    }
    Ok(table.values)
}

/// The rows that samples start from, where the source is a table: the numbers that stand for them.
fn source_rows(form: &Form, args: &EvaluateArgs, rng: &mut Rng) -> anyhow::Result<Option<Tensor<f64>>> {
    match (&args.source, form.flow.source()) {
        (None, Source::Normal) => Ok(None),
        (Some(source), Source::Data) => {
            let schema = form.layout().data();
            let rows = rows_of(form, source, schema, args, rng)?;
            Ok(Some(if schema.is_plain() { rows } else { schema.encode(&rows)? }))
        }
        (Some(source), _) => Err(Error::Setting {
            name: "source",
            value: source.to_string(),
            remedy: "samples of this model start from N(0, I): leave it out",
        }
        .into()),
        (None, _) => Err(Error::Setting {
            name: "source",
            value: "data, whose rows are not part of the model".into(),
            remedy: "give rows to start from: --source DATA",
        }
        .into()),
    }
}

/// `rows` of the rows in random order: a table may be sorted.
fn chosen(x: &Tensor<f64>, rows: usize, rng: &mut Rng) -> anyhow::Result<Tensor<f64>> {
    let mut order: Vec<usize> = (0..x.rows()).collect();
    rng.fork(Purpose::Metric).stream(0).shuffle(&mut order);
    let numbers = order.iter().take(rows).flat_map(|&i| x.row(i)).copied().collect();
    Ok(Tensor::from_vec(numbers, rows, x.cols())?)
}

/// As many samples as rows of data, as points: those of `sample -n`, or those of the rows of the source; under the conditions of
/// the data if the model has any.
fn draw(
    form: &Form,
    data: &Block,
    x_0: Option<&Tensor<f64>>,
    solver: &Solver,
    common: &Common,
) -> anyhow::Result<(Tensor<f64>, Stats)> {
    let streams = Rng::from_seed(common.seed).fork(Purpose::Source);
    let rows = data.numbers.rows();
    let (mut samples, mut stats, mut cols) = (Vec::new(), Stats::default(), 0);
    for first in (0..rows).step_by(CHUNK) {
        let part = first..rows.min(first + CHUNK);
        let conditions = data.conditions.as_ref().map(|conditions| conditions.slice_rows(part.clone()));
        let flow = form.given(conditions.as_ref(), 1.0)?;
        let drawn = match x_0 {
            None => flow.sample_rows::<f64>(part, solver, streams),
            Some(x_0) => flow.decode::<f64>(&x_0.slice_rows(part).cast(), solver),
        };
        let drawn = drawn.with_context(|| format!("samples from {first} on (counted from 0)"))?;
        let points = form.points(form.table(drawn.x, conditions.as_ref())?)?;
        cols = points.cols();
        samples.extend_from_slice(points.as_slice());
        stats = stats.merge(drawn.stats);
    }
    Ok((Tensor::from_vec(samples, rows, cols)?, stats))
}

/// The log-densities of the data.
fn score(
    form: &Form,
    data: &Block,
    solver: &Solver,
    args: &EvaluateArgs,
    common: &Common,
) -> pushforward::Result<Summary> {
    let streams = Rng::from_seed(common.seed).fork(Purpose::Probe);
    let mut summary = Summary::default();
    let rows = data.numbers.rows();
    for first in (0..rows).step_by(CHUNK) {
        let part = data.slice(first..rows.min(first + CHUNK));
        let flow = form.given(part.conditions.as_ref(), 1.0)?;
        let mut scores = flow.log_density_rows(&part.numbers, first, args.divergence, solver, streams)?;
        part.in_cells(form.layout(), &mut scores.log_density);
        summary.add(&scores.log_density);
    }
    if summary.off_support() > 0 {
        let (outside, rows) = (summary.off_support(), summary.rows());
        warn(format_args!(
            "warning: {outside} of {rows} rows differ from the model in a constant column: their density is 0"
        ));
    }
    Ok(summary)
}

/// The way of samples, in the units of the network.
struct Way {
    energy: PathEnergy,
    /// W2² of the rows that samples start from and of the data.
    w2_squared: f64,
    rows: usize,
}

/// The energy of the way of the first rows, and W2² from where they start to the data. // E28
fn way(
    form: &Form,
    data: &Block,
    x_0: Option<&Tensor<f64>>,
    solver: &Solver,
    common: &Common,
) -> anyhow::Result<Way> {
    let rows = data.numbers.rows().min(PAIR_ROWS);
    let data = data.slice(0..rows);
    let flow = form.given(data.conditions.as_ref(), 1.0)?;
    let z_0: Tensor<f32> = match x_0 {
        Some(x_0) => flow.source_to_model(&x_0.slice_rows(0..rows))?,
        None => {
            let mut z_0 = Tensor::zeros(rows, flow.source_dim());
            let streams = Rng::from_seed(common.seed).fork(Purpose::Source);
            flow.source().fill(&streams, 0, &mut z_0);
            z_0
        }
    };
    let z_1 = flow.standardize().to_model(&data.numbers)?;
    let energy = flow.with_field(flow.velocity(), |field| PathEnergy::measure(field, &z_0, solver))?;
    Ok(Way { energy, w2_squared: exact_w2(&z_0.cast(), &z_1)?.powi(2), rows })
}

/// Whether samples lie nearer to training rows than data do, in standard deviations of the data.
fn near(samples: &Tensor<f64>, data: &Tensor<f64>, train: &Tensor<f64>) -> pushforward::Result<Memorisation> {
    let units = Standardize::fit_source(data, &Standardize::identity(data.cols()))?;
    let few = samples.rows().min(PAIR_ROWS);
    let first = |x: &Tensor<f64>| units.to_model(&x.slice_rows(0..few));
    Memorisation::measure(&first(samples)?, &first(data)?, &units.to_model(train)?)
}

/// What E20 asks of a model.
fn check_exact(flow: &Flow) -> pushforward::Result<()> {
    let refused = |value: String, remedy| Err(Error::Setting { name: "exact", value, remedy });
    if flow.conditions().is_some() {
        return refused(
            "asked of a model with conditions".into(),
            "the true field is known for models without any: leave it out",
        );
    }
    if flow.source() != Source::Normal {
        return refused(
            format!("asked of a model whose source is {}", flow.source()),
            "the true field is known for the source `normal` alone: leave it out",
        );
    }
    if flow.path().width != Width::None {
        return refused(
            format!("asked of a model with noise of width {} on the way", flow.path().width),
            "the true field is known for paths without it alone: leave it out",
        );
    }
    match flow.record().map(|record| record.coupling) {
        Some(Coupling::Independent) | None => Ok(()),
        Some(coupling) => refused(
            format!("asked of a model with the coupling {coupling}"),
            "the true field is known for `independent` alone: leave it out",
        ),
    }
}

/// The numbers of a table that a training would have: whole numbers are spread.
fn trained_numbers(form: &Form, table: &Tensor<f64>, rng: &mut Rng) -> pushforward::Result<Tensor<f64>> {
    if form.layout().is_plain() {
        return Ok(table.clone());
    }
    let data = form.layout().split(table)?.0;
    form.layout().data().dequantise(&data, rng.fork(Purpose::Dequantisation))
}

/// The losses of the network against the field that some rows have. // E20
fn exact_loss(flow: &Flow, train: &Tensor<f64>, rng: &mut Rng) -> pushforward::Result<ExactLoss> {
    let z_1 = flow.standardize().to_model(train)?;
    let exact = EmpiricalField::new(&z_1, AffinePath::new(flow.scheduler()))?;
    flow.with_field(flow.velocity(), |field| ExactLoss::measure(field, &exact, DRAWS, rng))
}

/// Everything that was measured.
struct Found {
    rows: usize,
    distances: Evaluation,
    scores: Option<Summary>,
    way: Way,
    memorisation: Option<Memorisation>,
    exact: Option<ExactLoss>,
    stats: Stats,
}

impl Found {
    /// The distances between sets, by the name in JSON and in words.
    fn sets(&self) -> [(&'static str, &'static str, Measured); 5] {
        let found = &self.distances;
        [
            ("sliced_w2", "sliced W2", found.sliced_w2),
            ("w2", "exact W2", found.exact_w2),
            ("energy_distance", "energy distance", found.energy_distance),
            ("mmd_squared", "MMD squared", found.mmd_squared),
            ("classifier_accuracy", "classifier accuracy", found.classifier_accuracy),
        ]
    }

    fn json(
        &self,
        form: &Form,
        data_rows: usize,
        seconds: f64,
        common: &Common,
    ) -> pushforward::Result<Value> {
        let of = |m: Measured| json!({ "model": m.model, "floor": m.floor, "floor_max": m.floor_max, "rows": m.rows });
        let metrics: Map<String, Value> =
            self.sets().into_iter().map(|(name, _, measured)| (name.to_owned(), of(measured))).collect();
        let names = form.layout().table().names_of_numbers();
        let columns = names
            .iter()
            .zip(&self.distances.columns)
            .map(|(name, c)| json!({ "name": name, "w1": of(c.w1), "w2": of(c.w2), "ks": of(c.ks) }));
        let estimate = |e: Estimate| json!({ "mean": e.mean, "standard_error": e.standard_error });
        let way = &self.way;
        Ok(json!({
            "rows": self.rows,
            "left_out": data_rows - self.rows,
            "metrics": metrics,
            "columns": columns.collect::<Vec<_>>(),
            "nll": self.scores.map(|scores| json!({
                "mean": -scores.mean(),
                "standard_error": scores.standard_error(),
                "bits_per_dim": scores.bits_per_dim(form.layout().data().columns().len()),
                "off_support": scores.off_support(),
            })),
            "path": {
                "energy": estimate(way.energy.energy),
                "straightness": estimate(way.energy.straightness),
                "w2_squared": way.w2_squared,
                "normalised_energy": way.energy.normalised(way.w2_squared),
                "rows": way.rows,
            },
            "memorisation": self.memorisation.map(|m| json!({
                "closer": m.closer,
                "deviation": m.deviation,
                "median_samples": m.median_samples,
                "median_fresh": m.median_fresh,
                "suspicious": m.is_suspicious(),
            })),
            "exact": self.exact.map(|e| json!({
                "excess": estimate(e.excess),
                "loss": estimate(e.loss),
                "floor": estimate(e.floor),
                "residual": estimate(e.residual),
                "draws": e.draws,
                "of": if self.memorisation.is_some() { "train" } else { "data" },
            })),
            "nfe": count(self.stats.nfe),
            "accepted": count(self.stats.accepted),
            "rejected": count(self.stats.rejected),
            "seconds": seconds,
            "seed": common.seed,
            "simd": common.simd()?.level(),
        }))
    }

    /// Three tables: sets, columns, and single numbers.
    fn print(&self, form: &Form) -> io::Result<()> {
        let mut sets = table(&["distance", "model", "noise floor", "largest floor", "rows a side"]);
        for (_, name, m) in self.sets() {
            let numbers = [number(m.model), number(m.floor), number(m.floor_max), m.rows.to_string()];
            sets.add_row(row(name, numbers));
        }
        let mut columns = table(&["column", "W1", "floor", "W2", "floor", "ks", "floor"]);
        for (name, c) in form.layout().table().names_of_numbers().iter().zip(&self.distances.columns) {
            let numbers = [c.w1, c.w2, c.ks].map(|m| [number(m.model), number(m.floor)]);
            columns.add_row(row(name, numbers.into_iter().flatten()));
        }
        let mut single = table(&["measured", "value", "standard error", "of"]);
        let mut add = |name: &str, value: f64, error: Option<f64>, of: &str| {
            let error = error.map_or_else(String::new, number);
            single.add_row([
                Cell::new(name),
                Cell::new(number(value)).set_alignment(CellAlignment::Right),
                Cell::new(error).set_alignment(CellAlignment::Right),
                Cell::new(of),
            ]);
        };
        if let Some(scores) = &self.scores {
            add("NLL", -scores.mean(), Some(scores.standard_error()), "nats, in the units of the data");
            add("bits/dim", scores.bits_per_dim(form.layout().data().columns().len()), None, "");
        }
        let (way, energy) = (&self.way, &self.way.energy);
        add(
            "path energy",
            energy.energy.mean,
            Some(energy.energy.standard_error),
            "units of the network, squared",
        );
        // No way has less energy than W2²: what is said to have was held against a W2² of too few rows.
        let believed = energy.energy.mean >= way.w2_squared;
        let of = if believed {
            "0: the shortest way to the data"
        } else {
            "not to be believed: W2 needs more rows"
        };
        add("normalised", energy.normalised(way.w2_squared), None, of);
        add(
            "straightness",
            energy.straightness.mean,
            Some(energy.straightness.standard_error),
            "0: straight",
        );
        add("NFE", self.stats.nfe, None, "evaluations of the network a sample");
        if let Some(m) = &self.memorisation {
            add(
                "closer",
                m.closer,
                Some(m.deviation),
                "samples nearer to training rows than data; 1/2: as near",
            );
            add("median distance", m.median_samples, None, "from a sample to the nearest training row");
            add(
                "median distance",
                m.median_fresh,
                None,
                "from a row of the data to the nearest training row",
            );
        }
        if let Some(e) = &self.exact {
            add(
                "L_FM",
                e.excess.mean,
                Some(e.excess.standard_error),
                match self.memorisation {
                    Some(_) => "distance from the true field of the training rows",
                    None => "distance from the true field of the data",
                },
            );
            add("L_CFM", e.loss.mean, Some(e.loss.standard_error), "the training loss, as a velocity");
            add("V", e.floor.mean, Some(e.floor.standard_error), "its floor: what the true field itself has");
        }
        writeln!(io::stdout(), "{}\n\n{}\n\n{}", sets.trim_fmt(), columns.trim_fmt(), single.trim_fmt())
    }
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head);
    table
}

/// A name, and numbers to the right.
fn row(name: &str, numbers: impl IntoIterator<Item = String>) -> Vec<Cell> {
    let numbers = numbers.into_iter().map(|text| Cell::new(text).set_alignment(CellAlignment::Right));
    [Cell::new(name)].into_iter().chain(numbers).collect()
}

/// Four digits.
fn number(value: f64) -> String {
    if value.abs() <= 0.0 {
        return "0".into();
    }
    if (0.01..1e5).contains(&value.abs()) { format!("{value:.4}") } else { format!("{value:.2e}") }
}
