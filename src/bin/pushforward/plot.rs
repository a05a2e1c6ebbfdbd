//! `pushforward plot`: pictures of a model.

#![allow(clippy::indexing_slicing, reason = "its own samples and bars, whose sizes it has chosen")]

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use pushforward::data::{Schema, Standardize};
use pushforward::file::AtomicFile;
use pushforward::plot::{
    self, Columns, Curve, Curves, Field, Grid, Look, MOST_COLUMNS, Panel, Paths, Scene, Style, Theme,
    animation,
};
use pushforward::rng::{Purpose, Streams};
use pushforward::{Error, Flow, Rng, Solver, Source, Tensor};
use serde_json::json;

use crate::args::{Common, ReadArgs, SolverArgs, at_least_one};
use crate::console::{Usage, warn};
use crate::course;
use crate::form::Form;
use crate::input::Data;

#[derive(Debug, clap::Args)]
#[command(after_help = DRAWN)]
pub(crate) struct PlotArgs {
    /// A file that `train` wrote
    pub(crate) model: PathBuf,
    /// The picture: file.png, file.svg, file.gif (the way from source to target) or file.html
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// What is drawn
    #[arg(long, value_name = "WORD", default_value_t = Kind::Samples)]
    pub(crate) kind: Kind,
    /// Rows that the samples or the density are held against: file.csv, file.npy, file.npz:name, file.parquet, - or toy:NAME[:N]
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<Data>,
    /// Rows that samples start from, for a model whose source is a table
    #[arg(long, value_name = "DATA")]
    pub(crate) source: Option<Data>,
    /// The course of the training, for a model that does not hold it
    #[arg(long, value_name = "FILE.jsonl")]
    pub(crate) log: Option<PathBuf>,
    /// Number of samples, and of rows of DATA, or of paths [default: 5000 samples, 200 paths]
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    pub(crate) n: Option<usize>,
    /// The time of a field, from 0 to 1
    #[arg(long, value_name = "TIME", default_value_t = 0.5, value_parser = time)]
    pub(crate) time: f64,
    /// Light on a dark ground
    #[arg(long)]
    pub(crate) dark: bool,
    /// Most pixels across [default: two for each point of the layout]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) width: Option<u32>,
    /// Most pixels down
    #[arg(long, value_name = "PIXELS")]
    pub(crate) height: Option<u32>,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
    #[command(flatten)]
    pub(crate) solver: SolverArgs,
}

/// What there is for which model.
const DRAWN: &str = "\
samples: two columns as points, beside those of DATA; one column as a histogram, three and more in pairs, the first six of them. \
density: one or two columns, with contours. field: two columns, speeds as colours and streamlines. trajectories: one or two \
columns. loss: any model. A GIF shows samples, trajectories or the field of two columns over time.";

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Samples,
    Density,
    Field,
    Trajectories,
    Loss,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Samples => "samples",
            Self::Density => "density",
            Self::Field => "field",
            Self::Trajectories => "trajectories",
            Self::Loss => "loss",
        })
    }
}

fn time(word: &str) -> Result<f64, &'static str> {
    word.parse().ok().filter(|t| (0.0..=1.0).contains(t)).ok_or("give a number from 0 to 1")
}

/// What a file is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Png,
    Svg,
    Gif,
    Html,
}

impl Format {
    fn of(path: &Path) -> Result<Self, Error> {
        let word = path.extension().map(|word| word.to_string_lossy().to_lowercase()).unwrap_or_default();
        match word.as_str() {
            "png" => Ok(Self::Png),
            "svg" => Ok(Self::Svg),
            "gif" => Ok(Self::Gif),
            "html" | "htm" => Ok(Self::Html),
            _ => Err(Error::Unknown { what: "ending of a picture", word, known: "png, svg, gif, html" }),
        }
    }
}

const SAMPLES: usize = 5000;
const PATHS: usize = 200;
/// Intervals of time: of the frames of a GIF, and of the paths, which are then smooth.
const INTERVALS: u32 = 50;
/// Hundredths of a second that a frame lasts.
const FRAME: u16 = 6;
/// Cells along each side: of a density, of a field. Points of a density of one column.
const CELLS: usize = 140;
const FIELD_CELLS: usize = 48;
const POINTS: usize = 400;
const CONTOURS: usize = 5;
/// Rows that are scored together.
const CHUNK: usize = 1 << 13;

pub(crate) fn run(args: &PlotArgs, common: &Common) -> anyhow::Result<()> {
    let format = Format::of(&args.output)?;
    let theme = if args.dark { Theme::Dark } else { Theme::Light };
    let look = Look { theme, width: args.width, height: args.height };
    args.solver.solver()?;
    if let (Some(Data::Standard), Some(Data::Standard)) = (&args.data, &args.source) {
        return Err(Usage("only one table can be standard input").into());
    }
    let flow = Flow::load(&args.model)?.with_simd(common.simd()?);
    let solver = args.solver.solver_of(&flow)?;
    let form = Form::of(flow)?;
    check(&form, args.kind, format)?;
    drop(AtomicFile::create(&args.output)?);
    let mut rng = Rng::from_seed(common.seed);
    let streams = rng.clone().fork(Purpose::Source);
    // A toy is drawn anew: `train` takes the first two forks for its target and its source.
    for _ in 0..2 {
        rng.fork(Purpose::Data);
    }
    let name = args.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let drawing = Drawing { form, args, solver, streams, name };
    let scenes = match args.kind {
        Kind::Samples if format == Format::Gif => drawing.motion(&mut rng, SAMPLES, false)?,
        Kind::Trajectories if format == Format::Gif => drawing.motion(&mut rng, PATHS, true)?,
        Kind::Field if format == Format::Gif => {
            let times = (0..=INTERVALS).map(|k| f64::from(k) / f64::from(INTERVALS));
            drawing.fields(&mut rng, times)?
        }
        Kind::Samples => vec![drawing.samples(&mut rng)?],
        Kind::Density => vec![drawing.density(&mut rng)?],
        Kind::Field => drawing.fields(&mut rng, std::iter::once(args.time))?,
        Kind::Trajectories => vec![drawing.trajectories(&mut rng)?],
        Kind::Loss => vec![drawing.loss()?],
    };
    let mut file = AtomicFile::create(&args.output)?;
    match (format, &scenes[0]) {
        (Format::Png, scene) => scene.picture(&look)?.write_png(&mut file)?,
        (Format::Svg, scene) => write(&mut file, &scene.svg(&look)?, &args.output)?,
        (Format::Html, scene) => {
            let title = format!("{} of {}", args.kind, drawing.name);
            let caption = format!("pushforward {}, seed {}", env!("CARGO_PKG_VERSION"), common.seed);
            write(&mut file, &plot::page(&title, &[(scene, &caption)], &look)?, &args.output)?;
        }
        (Format::Gif, _) => {
            let pictures = scenes.iter().map(|scene| scene.picture(&look)).collect::<Result<Vec<_>, _>>()?;
            animation(&pictures, FRAME, &mut file)?;
        }
    }
    file.commit()?;
    common.say(format_args!("{} of {}: {}", args.kind, drawing.name, args.output.display()));
    common.print_json(&json!({
        "picture": args.output.display().to_string(),
        "kind": args.kind.to_string(),
        "frames": scenes.len(),
        "seed": common.seed,
    }))?;
    Ok(())
}

fn write(file: &mut AtomicFile, text: &str, path: &Path) -> anyhow::Result<()> {
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// Looks whether there is such a picture of this model.
fn check(form: &Form, kind: Kind, format: Format) -> Result<(), Error> {
    let dim = form.layout().names().len();
    let refused = |remedy| {
        Err(Error::Setting { name: "kind", value: format!("{kind}, of a model of {dim} columns"), remedy })
    };
    let gif = format == Format::Gif;
    let plain = form.layout().is_plain();
    match kind {
        Kind::Density if gif => {
            refused("a GIF moves, a density does not: take .png, .svg or .html, or `samples`")
        }
        Kind::Loss if gif => refused("a GIF moves, a loss does not: take .png, .svg or .html"),
        Kind::Loss => Ok(()),
        Kind::Density if dim > 2 => {
            refused("a density is drawn of one or two columns: take `samples`, which shows pairs of columns")
        }
        Kind::Trajectories if dim > 2 => {
            refused("paths are drawn of one or two columns: take `samples`, which shows pairs of columns")
        }
        Kind::Field if dim != 2 => refused("a field is drawn in the plane: take `samples` or `trajectories`"),
        _ if gif && dim != 2 => refused("a GIF shows two columns: take .png, .svg or .html"),
        _ if gif && !plain => refused(
            "its table has conditions, texts, whole numbers or bounds, which have no way: take .png, .svg or .html",
        ),
        Kind::Samples => Ok(()),
        _ if !plain => refused(
            "its table has conditions, texts, whole numbers or bounds, which such a picture does not show: take `samples`",
        ),
        Kind::Density | Kind::Field if !form.flow.standardize().constants().is_empty() => refused(
            "one column is constant, and there is neither density nor velocity across it: take `samples`",
        ),
        _ => Ok(()),
    }
}

/// A model and how it is drawn.
struct Drawing<'a> {
    form: Form,
    args: &'a PlotArgs,
    solver: Solver,
    streams: Streams,
    name: String,
}

impl Drawing<'_> {
    /// Rows that samples start from, where the source is a table.
    fn x_0(&self, rng: &mut Rng, n: usize) -> anyhow::Result<Option<Tensor<f32>>> {
        match (&self.args.source, self.form.flow.source()) {
            (None, Source::Normal) => Ok(None),
            (Some(source), Source::Data) => {
                let schema = self.form.layout().data();
                let rows = self.rows(source, schema, rng, n)?;
                Ok(Some(if schema.is_plain() { rows } else { schema.encode(&rows)? }.cast()))
            }
            (given, source) => Err(Error::Setting {
                name: "source",
                value: given.as_ref().map_or_else(|| format!("{source}, whose rows are no part of the model"), Data::to_string),
                remedy: "give rows to start from for a model whose source is a table, and for that only: --source DATA",
            }
            .into()),
        }
    }

    /// At most n rows of some columns of the table, at random: it may be sorted.
    fn rows(&self, data: &Data, part: &Schema, rng: &mut Rng, n: usize) -> anyhow::Result<Tensor<f64>> {
        let table = self.form.open_part(data, part, &self.args.reading, rng)?.read_all()?;
        if table.dropped > 0 {
            warn(format_args!("warning: {data}: {} rows with missing cells left out", table.dropped));
        }
        let x = table.values;
        let mut order: Vec<usize> = (0..x.rows()).collect();
        rng.fork(Purpose::Metric).stream(0).shuffle(&mut order);
        order.truncate(n);
        let numbers = order.iter().flat_map(|&i| x.row(i)).copied().collect();
        Ok(Tensor::from_vec(numbers, order.len(), x.cols())?)
    }

    fn data(&self, rng: &mut Rng, n: usize) -> anyhow::Result<Option<Tensor<f64>>> {
        self.args.data.as_ref().map(|data| self.rows(data, self.form.layout().table(), rng, n)).transpose()
    }

    /// Samples as rows of the table: the same as those of `sample -n`.
    fn drawn(&self, rng: &mut Rng, n: usize) -> anyhow::Result<Tensor<f64>> {
        let x_0 = self.x_0(rng, n)?;
        Ok(draw(&self.form, n, x_0.as_ref(), &self.solver, self.streams)?)
    }

    /// The way of samples.
    fn way(&self, rng: &mut Rng, n: usize) -> anyhow::Result<(Vec<f64>, Vec<Tensor<f64>>)> {
        // Fixed steps must fall on the times.
        let steps = self.solver.steps.unwrap_or(2 * INTERVALS);
        let intervals = (1..=INTERVALS).rev().find(|k| steps.is_multiple_of(*k)).unwrap_or(1);
        let way = match self.x_0(rng, n)? {
            None => self.form.flow.trajectory::<f64>(0..n, intervals, &self.solver, self.streams)?,
            Some(x_0) => self.form.flow.trajectory_from::<f64>(&x_0, intervals, &self.solver)?,
        };
        Ok((way.t, way.x))
    }

    fn motion(&self, rng: &mut Rng, usual: usize, trails: bool) -> anyhow::Result<Vec<Scene>> {
        let (times, positions) = self.way(rng, self.args.n.unwrap_or(usual))?;
        let title = format!("from source to target: {}", self.name);
        Ok(plot::motion(&Paths { title: &title, times: &times, positions: &positions }, trails)?)
    }

    fn trajectories(&self, rng: &mut Rng) -> anyhow::Result<Scene> {
        let (times, positions) = self.way(rng, self.args.n.unwrap_or(PATHS))?;
        let title = format!("paths of {}", self.name);
        let paths = Paths { title: &title, times: &times, positions: &positions };
        Ok(if self.form.flow.dim() == 1 { plot::ways(&paths)? } else { plot::trajectories(&paths)? })
    }

    fn samples(&self, rng: &mut Rng) -> anyhow::Result<Scene> {
        let n = self.args.n.unwrap_or(SAMPLES);
        let (data, samples) = (self.data(rng, n)?, self.drawn(rng, n)?);
        let names = self.form.layout().names();
        if names.len() == 2 {
            let mut panels = Vec::new();
            if let Some(data) = &data {
                panels.push(Panel { title: "data", points: data });
            }
            let title = format!("samples of {}", self.name);
            panels.push(Panel { title: &title, points: &samples });
            return Ok(plot::samples(&panels)?);
        }
        let (few, all) = (names.len().min(MOST_COLUMNS), names.len());
        let part = if few < all { format!(", columns 1 to {few} of {all}") } else { String::new() };
        let title = format!("samples of {}{part}", self.name);
        let first = |x: &Tensor<f64>| {
            Tensor::from_vec((0..x.rows()).flat_map(|i| &x.row(i)[..few]).copied().collect(), x.rows(), few)
        };
        let (samples, data) = (first(&samples)?, data.as_ref().map(first).transpose()?);
        let names = &names[..few];
        Ok(plot::pairs(&Columns { title: &title, names, samples: &samples, data: data.as_ref() })?)
    }

    fn density(&self, rng: &mut Rng) -> anyhow::Result<Scene> {
        let n = self.args.n.unwrap_or(SAMPLES);
        let (data, samples) = (self.data(rng, n)?, self.drawn(rng, n)?);
        let sets: Vec<&Tensor<f64>> = data.iter().chain([&samples]).collect();
        let title = format!("density of {}", self.name);
        if self.form.flow.dim() == 1 {
            let x = range(&sets, 0);
            let at: Vec<f64> = centres(x, POINTS).collect();
            let line: Vec<(f64, f64)> = at.iter().copied().zip(self.densities(at.clone(), POINTS)?).collect();
            let bars = data.as_ref().map(|data| histogram(data, x));
            let mut series = Vec::new();
            if let Some(bars) = &bars {
                series.push(Curve { name: "data", style: Style::Bars, points: bars });
            }
            series.push(Curve { name: "model", style: Style::First, points: &line });
            let x = &self.form.layout().names()[0];
            return Ok(plot::curves(&Curves { title: &title, x, y: "density", series: &series })?);
        }
        let (x, y) = square(range(&sets, 0), range(&sets, 1));
        let points = centres(y, CELLS).flat_map(|y| centres(x, CELLS).flat_map(move |x| [x, y])).collect();
        let values = Tensor::from_vec(self.densities(points, CELLS * CELLS)?, CELLS, CELLS)?;
        Ok(plot::density(&Grid { title: &title, values: &values, x, y, contours: CONTOURS })?)
    }

    /// The density at n points, one after the other.
    fn densities(&self, points: Vec<f64>, n: usize) -> anyhow::Result<Vec<f64>> {
        let points = Tensor::from_vec(points, n, self.form.flow.dim())?;
        let mut found = Vec::with_capacity(n);
        for first in (0..n).step_by(CHUNK) {
            let part = points.slice_rows(first..n.min(first + CHUNK));
            let divergence = pushforward::Divergence::Exact;
            let scores =
                self.form.flow.log_density_rows(&part, first, divergence, &self.solver, self.streams)?;
            found.extend(scores.log_density.iter().map(|density| density.exp()));
        }
        Ok(found)
    }

    /// The velocity at each of these times, in the units of the data, where samples come by.
    fn fields(&self, rng: &mut Rng, times: impl Iterator<Item = f64>) -> anyhow::Result<Vec<Scene>> {
        let (_, positions) = self.way(rng, self.args.n.unwrap_or(PATHS))?;
        let sets: Vec<&Tensor<f64>> = positions.iter().collect();
        let (x, y) = square(range(&sets, 0), range(&sets, 1));
        let cells = FIELD_CELLS * FIELD_CELLS;
        let points: Vec<f64> =
            centres(y, FIELD_CELLS).flat_map(|y| centres(x, FIELD_CELLS).flat_map(move |x| [x, y])).collect();
        let units: &Standardize = self.form.flow.standardize();
        let z = units.to_model(&Tensor::from_vec(points, cells, 2)?)?.cast::<f32>();
        times
            .map(|t| {
                let mut u = Tensor::<f32>::zeros(cells, 2);
                #[allow(clippy::cast_possible_truncation, reason = "the network computes in f32")]
                let at = vec![t as f32; cells];
                self.form.flow.with_field(self.form.flow.velocity(), |field| field.eval(&at, &z, &mut u))?;
                let numbers = u.as_slice().iter().enumerate();
                let scaled = numbers.map(|(k, &u)| f64::from(u) * units.std()[k % 2]).collect();
                let velocity = Tensor::from_vec(scaled, cells, 2)?;
                let title = format!("velocity of {}, t = {t:.2}", self.name);
                Ok(plot::field(&Field { title: &title, velocity: &velocity, columns: FIELD_CELLS, x, y })?)
            })
            .collect()
    }

    fn loss(&self) -> anyhow::Result<Scene> {
        let course = match &self.args.log {
            Some(log) => course::read(log)?,
            None => self.form.flow.record().map(|record| record.course.clone()).unwrap_or_default(),
        };
        if course.is_empty() {
            return Err(Error::Setting {
                name: "kind",
                value: "loss, of a model that does not hold the course of its training".into(),
                remedy: "give the log that `train --log` wrote: --log FILE.jsonl",
            }
            .into());
        }
        Ok(loss(&format!("training of {}", self.name), &course)?)
    }
}

/// At most n samples as rows of the table, under conditions of training rows if the model has any.
pub(crate) fn draw(
    form: &Form,
    n: usize,
    x_0: Option<&Tensor<f32>>,
    solver: &Solver,
    streams: Streams,
) -> pushforward::Result<Tensor<f64>> {
    let n = x_0.map_or(n, Tensor::rows);
    let conditions = form.flow.draw_conditions(0..n, streams)?;
    let flow = form.given(conditions.as_ref(), 1.0)?;
    let drawn = match x_0 {
        None => flow.sample_rows::<f64>(0..n, solver, streams)?,
        Some(x_0) => flow.decode::<f64>(x_0, solver)?,
    };
    form.table(drawn.x, conditions.as_ref())
}

/// The course of a training.
pub(crate) fn loss(title: &str, course: &[pushforward::flow::CoursePoint]) -> pushforward::Result<Scene> {
    #[allow(clippy::cast_precision_loss, reason = "a number of steps")]
    let of = |k: u64| k as f64;
    let raw: Vec<(f64, f64)> = course.iter().map(|point| (of(point.step), point.loss)).collect();
    let held: Vec<(f64, f64)> =
        course.iter().filter_map(|point| Some((of(point.step), point.validation?))).collect();
    let window = raw.len().div_ceil(40);
    let smooth: Vec<(f64, f64)> = raw
        .windows(window)
        .map(|part| (part[window / 2].0, part.iter().map(|point| point.1).sum::<f64>() / window as f64))
        .collect();
    let mut series = vec![
        Curve { name: "loss of batches", style: Style::Faint, points: &raw },
        Curve { name: "its running mean", style: Style::First, points: &smooth },
    ];
    if !held.is_empty() {
        series.push(Curve { name: "rows held out", style: Style::Second, points: &held });
    }
    plot::curves(&Curves { title, x: "step", y: "loss", series: &series })
}

/// Nearly all numbers of a column: without the outermost 0.5 % at either end, and a quarter of what is left more.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the rows")]
fn range(sets: &[&Tensor<f64>], column: usize) -> (f64, f64) {
    let mut values: Vec<f64> =
        sets.iter().flat_map(|set| (0..set.rows()).map(|i| set.row(i)[column])).collect();
    values.sort_unstable_by(f64::total_cmp);
    let skipped = (0.005 * values.len() as f64) as usize;
    let (low, high) = (values[skipped], values[values.len() - 1 - skipped]);
    let air = (0.125 * (high - low)).max(1e-6 * low.abs().max(high.abs())).max(1e-12);
    (low - air, high + air)
}

/// Ranges of one length.
fn square(x: (f64, f64), y: (f64, f64)) -> ((f64, f64), (f64, f64)) {
    let half = 0.5 * (x.1 - x.0).max(y.1 - y.0);
    let around = |r: (f64, f64)| (0.5 * (r.0 + r.1) - half, 0.5 * (r.0 + r.1) + half);
    (around(x), around(y))
}

/// The middles of n equal parts.
fn centres((low, high): (f64, f64), n: usize) -> impl Iterator<Item = f64> {
    (0..n).map(move |k| low + (k as f64 + 0.5) * (high - low) / n as f64)
}

/// The density of the rows of one column in equal parts of a range.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a bar")]
fn histogram(data: &Tensor<f64>, range: (f64, f64)) -> Vec<(f64, f64)> {
    let n = (data.rows() as f64).sqrt().clamp(10.0, 60.0) as usize;
    let wide = (range.1 - range.0) / n as f64;
    let mut bars: Vec<(f64, f64)> = centres(range, n).map(|x| (x, 0.0)).collect();
    for &x in data.as_slice() {
        if (range.0..range.1).contains(&x) {
            bars[(((x - range.0) / wide) as usize).min(n - 1)].1 += 1.0 / (data.rows() as f64 * wide);
        }
    }
    bars
}
