//! `pushforward data`: draws a toy, or brings a table from one format to another.

use comfy_table::{Table, presets};
use pushforward::Rng;
use pushforward::data::{Shape, TableWriter};
use serde_json::json;

use crate::args::{Common, DataArgs};
use crate::console::{Interrupt, warn};
use crate::input::Selected;

/// Numbers that are read together, some MB.
const NUMBERS_AT_ONCE: usize = 1 << 19;

pub(crate) fn run(args: &DataArgs, common: &Common) -> anyhow::Result<()> {
    common.check_output(&args.output)?;
    let rows = args.data.open(&args.reading, &mut Rng::from_seed(common.seed))?;
    let (cols, announced) = (rows.cols(), rows.announced());
    let names: Option<Vec<String>> = rows.header().map(<[String]>::to_vec);
    let mut rows = Selected::new(rows, None);
    let at_once = (NUMBERS_AT_ONCE / cols).max(1);
    let mut block = rows.next_block(at_once)?;
    let interrupt = Interrupt::watch()?;
    let shape = Shape::Matrix { rows: None, cols };
    let mut writer = TableWriter::<f64>::create(&args.output, names.as_deref(), shape)?;
    let bar = announced.map_or_else(|| common.counter(), |rows| common.progress(rows as u64));
    let (mut columns, mut count) = (vec![Column::new(); cols], 0);
    while let Some(x) = block {
        interrupt.check()?;
        for i in 0..x.rows() {
            count += 1;
            for (column, &x) in columns.iter_mut().zip(x.row(i)) {
                column.add(x, count);
            }
        }
        writer.push(&x)?;
        bar.inc(x.rows() as u64);
        block = rows.next_block(at_once)?;
    }
    interrupt.check()?;
    writer.finish()?;
    bar.finish_and_clear();
    let dropped = rows.rows.dropped();
    if dropped > 0 {
        warn(format_args!("warning: {dropped} rows with missing cells left out"));
    }
    let name = |j: usize| match names.as_ref().and_then(|names| names.get(j)) {
        Some(name) => name.clone(),
        None => format!("x{}", j + 1),
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["column", "type", "least", "mean", "most", "std"]);
    for (j, column) in columns.iter().enumerate() {
        let numbers = [column.least, column.mean, column.most, column.std(count)].map(|x| format!("{x:.6}"));
        let [least, mean, most, std] = numbers;
        table.add_row([name(j), column.kind().to_owned(), least, mean, most, std]);
    }
    common.say(format_args!("{count} rows, {cols} columns: {}\n{}", args.output.display(), table.trim_fmt()));
    let columns: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(j, column)| {
            json!({
                "name": name(j),
                "type": column.kind(),
                "least": column.least,
                "mean": column.mean,
                "most": column.most,
                "std": column.std(count),
            })
        })
        .collect();
    common.print_json(&json!({
        "file": args.output.display().to_string(),
        "rows": count,
        "dropped": dropped,
        "header": names.is_some(),
        "columns": columns,
    }))?;
    Ok(())
}

/// What the numbers of one column are like. Mean and squares as they come (Welford 1962).
#[derive(Debug, Clone)]
struct Column {
    whole: bool,
    least: f64,
    most: f64,
    mean: f64,
    squares: f64,
}

impl Column {
    fn new() -> Self {
        Self { whole: true, least: f64::INFINITY, most: f64::NEG_INFINITY, mean: 0.0, squares: 0.0 }
    }

    /// Adds a number, of which `count` were added then.
    #[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    fn add(&mut self, x: f64, count: usize) {
        self.whole &= x.fract().abs() <= 0.0;
        (self.least, self.most) = (self.least.min(x), self.most.max(x));
        let before = x - self.mean;
        self.mean += before / count as f64;
        self.squares += before * (x - self.mean);
    }

    /// The standard deviation (1/n) of `count` numbers.
    #[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    fn std(&self, count: usize) -> f64 {
        (self.squares / count as f64).sqrt()
    }

    fn kind(&self) -> &'static str {
        if self.whole { "whole numbers" } else { "numbers" }
    }
}
