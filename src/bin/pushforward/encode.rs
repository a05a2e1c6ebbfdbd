//! `pushforward encode`: finds the row of the source that belongs to each row of a table.

use std::ops::Range;
use std::time::Instant;

use anyhow::Context as _;
use pushforward::data::{Shape, TableWriter};
use pushforward::ode::{Stats, Tolerance};
use pushforward::{Flow, Rng, Solver, Tensor};
use serde_json::{Value, json};

use crate::args::{Common, EncodeArgs};
use crate::console::{Interrupt, count, warn};
use crate::form::Form;
use crate::input::Selected;

/// Rows that are encoded together; each row alone gives the same.
const CHUNK: usize = 1 << 13;

/// `rtol` and `atol` where none are named, as `--help` says.
const TOLERANCE: f64 = 1e-5;

/// What comes back in f32 is off by this much where the way is gentle, whatever the tolerance; relative to 1 + |z|.
const ROUNDED: f64 = 1e-4;

/// What fixed steps may be off by before it is said, in the same units.
const FIXED: f64 = 1e-2;

pub(crate) fn run(args: &EncodeArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    args.solver.solver()?;
    common.check_output(&args.output)?;
    let form = Form::of(Flow::load(&args.model)?.with_simd(simd))?;
    let solver = args.solver.solver_of(&form.flow)?;
    let mut rng = Rng::from_seed(common.seed);
    let rows = form.open(&args.data, &args.reading, &mut rng)?;
    let start = Instant::now();
    let mut rows = Selected::new(rows, args.rows.clone());
    let done = encode(&form, &mut rows, &solver, args, common)?;
    let seconds = start.elapsed().as_secs_f64();
    let (dropped, outside, stats) = (rows.rows.dropped(), done.off_support, done.stats);
    if dropped > 0 {
        warn(format_args!("warning: {dropped} rows with missing cells left out"));
    }
    if outside > 0 {
        warn(format_args!(
            "warning: {outside} of {} rows differ from the model in a constant column, of which x_0 knows nothing",
            stats.rows
        ));
    }
    common.say(format_args!("{} rows in {seconds:.2} s, {:.1} NFE a row", stats.rows, stats.nfe));
    let check = args.check.then(|| done.trip.report(&solver));
    if args.check {
        common.say(format_args!("there and back again: {}", done.trip.in_words()));
        if let Some(remedy) = done.trip.too_far(&solver) {
            warn(format_args!(
                "warning: rows come back as others, off by up to {:.1e} standard deviations: {remedy}",
                done.trip.largest_std
            ));
        }
    }
    common.print_json(&json!({
        "rows": stats.rows,
        "dropped": dropped,
        "off_support": outside,
        "check": check,
        "nfe": count(stats.nfe),
        "accepted": count(stats.accepted),
        "rejected": count(stats.rejected),
        "seconds": seconds,
        "simd": simd.level(),
    }))?;
    Ok(())
}

/// What became of the rows.
#[derive(Default)]
struct Done {
    stats: Stats,
    off_support: usize,
    trip: RoundTrip,
}

/// How far psi_1(psi_1^-1(x)) is from x, over the columns that vary.
#[derive(Default)]
struct RoundTrip {
    numbers: f64,
    largest: f64,
    squares: f64,
    /// The same over the standard deviations of the columns.
    largest_std: f64,
    squares_std: f64,
    /// The largest difference over 1 + |z|, which a tolerance bounds.
    scaled: f64,
}

impl RoundTrip {
    fn add(&mut self, flow: &Flow, x: &Tensor<f64>, again: &Tensor<f64>) {
        let units = flow.standardize().mean().iter().zip(flow.standardize().std());
        for i in 0..x.rows() {
            let cells = x.row(i).iter().zip(again.row(i)).zip(units.clone());
            for ((a, b), (mean, std)) in cells.filter(|(_, (_, std))| **std > 0.0) {
                let off = (a - b).abs();
                let off_std = off / std;
                self.numbers += 1.0;
                self.largest = self.largest.max(off);
                self.squares += off * off;
                self.largest_std = self.largest_std.max(off_std);
                self.squares_std += off_std * off_std;
                self.scaled = self.scaled.max(off_std / (1.0 + ((a - mean) / std).abs()));
            }
        }
    }

    fn in_words(&self) -> String {
        let (most, std) = (self.largest, self.largest_std);
        let mean = (self.squares_std / self.numbers).sqrt();
        format!("off by at most {most:.1e} ({std:.1e} standard deviations, {mean:.1e} as a root mean square)")
    }

    /// What to do about rows that do not come back, if they do not.
    fn too_far(&self, solver: &Solver) -> Option<&'static str> {
        match ten_tolerances(solver) {
            Some(most) if self.scaled > most.max(ROUNDED) => Some(
                "the way is steeper than the tolerance sees, or than f32 can tell; take a smaller `--rtol` and `--atol`",
            ),
            None if self.scaled > FIXED => {
                Some("the fixed steps are too long; take more of them (`--steps`), or `--solver dopri5`")
            }
            _ => None,
        }
    }

    /// In the units of the data and in standard deviations; `scaled` is to be held against ten tolerances.
    fn report(&self, solver: &Solver) -> Value {
        let rms = |squares: f64| (squares / self.numbers).sqrt();
        json!({
            "max": self.largest,
            "rms": rms(self.squares),
            "max_std": self.largest_std,
            "rms_std": rms(self.squares_std),
            "scaled": self.scaled,
            "ten_tolerances": ten_tolerances(solver),
        })
    }
}

/// Ten times the largest tolerance of a solver that has some.
fn ten_tolerances(solver: &Solver) -> Option<f64> {
    let largest = |tolerance: &Option<Tolerance>| {
        let numbers = tolerance.as_ref().map_or(&[TOLERANCE][..], Tolerance::numbers);
        numbers.iter().copied().fold(0.0, f64::max)
    };
    solver.method.is_adaptive().then(|| 10.0 * largest(&solver.rtol).max(largest(&solver.atol)))
}

/// Encodes block after block: nothing is held but one of them.
fn encode(
    form: &Form,
    rows: &mut Selected,
    solver: &Solver,
    args: &EncodeArgs,
    common: &Common,
) -> anyhow::Result<Done> {
    let map = form.flow.standardize();
    // A row of a source of data is one of its table; one of N(0, I) has a number for each that varies.
    let of_table = form.flow.source_units().is_some();
    let names: Option<Vec<String>> = form.flow.header().map(|names| {
        let vary = |(name, std): (&String, &f64)| (*std > 0.0).then(|| name.clone());
        names.iter().zip(map.std()).filter_map(vary).collect()
    });
    let of_data: Vec<String> =
        form.layout().data().columns().iter().map(|column| column.name().to_owned()).collect();
    let names = if of_table { form.flow.header().map(|_| of_data) } else { names };
    let known = args.rows.as_ref().map(Range::len);
    let bar = known.or(rows.rows.announced()).map_or_else(|| common.counter(), |n| common.progress(n as u64));
    let mut block = rows.next_block(CHUNK)?;
    let interrupt = Interrupt::watch()?;
    let schema = form.layout().data();
    let cols = if of_table { schema.columns().len() } else { form.flow.source_dim() };
    let shape = Shape::Matrix { rows: known, cols };
    let mut writer = TableWriter::<f32>::create(&args.output, names.as_deref(), shape)?;
    if of_table {
        writer = writer.with_schema(schema)?;
    }
    let mut done = Done::default();
    while let Some(x) = block {
        interrupt.check()?;
        let place = || format!("rows from {} on (counted from 0) of those to encode", done.stats.rows);
        let part = form.split(x).with_context(place)?;
        let (x, flow) = (&part.numbers, form.given(part.conditions.as_ref(), 1.0).with_context(place)?);
        let encoded = flow.encode(x, solver).with_context(place)?;
        if args.check {
            let again = flow.decode::<f64>(&encoded.x_0, solver).with_context(place)?;
            done.trip.add(&flow, x, &again.x);
        }
        done.off_support += (0..x.rows()).filter(|&i| !map.is_on_support(x.row(i))).count();
        done.stats = done.stats.merge(encoded.stats);
        if of_table && !schema.is_plain() {
            writer.push(&schema.decode(&encoded.x_0)?.cast())?;
        } else {
            writer.push(&encoded.x_0)?;
        }
        bar.inc(x.rows() as u64);
        block = rows.next_block(CHUNK)?;
    }
    // A signal may be the reason why there are no more rows.
    interrupt.check()?;
    writer.finish()?;
    bar.finish_and_clear();
    Ok(done)
}
