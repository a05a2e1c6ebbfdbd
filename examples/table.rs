//! A table with texts, whole numbers and missing cells: from CSV to samples of the same columns, and to scores.
//!
//! `cargo run --release --example table`: species, island and sex of penguins are given, their measurements and the year are learnt.
//! It prints means and standard deviations of the data beside those of 2000 samples: means must agree within 15 % of the standard
//! deviation, and these within 15 %. Mean log-densities of rows held out and of samples must agree within three standard errors, as the
//! model is else too narrow or too wide. `drawn.csv` has the columns of the table in their order, texts as texts and whole numbers whole.

use std::path::Path;

use pushforward::data::{
    Conditions, Declared, Layout, Missing, ReadOptions, Shape, TableReader, TableWriter,
};
use pushforward::nn::MlpShape;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Mlp, Rng, Solver, Tensor, Trainer};

const CSV: &[u8] = include_bytes!("data/penguins_all.csv");

/// Every sixth row, or the others.
fn rows_of(table: &Tensor<f64>, held_out: bool) -> pushforward::Result<Tensor<f64>> {
    let rows: Vec<usize> = (0..table.rows()).filter(|i| (i % 6 == 0) == held_out).collect();
    let cells = rows.iter().flat_map(|&i| table.row(i).to_vec()).collect();
    Tensor::from_vec(cells, rows.len(), table.cols())
}

/// Mean and standard deviation of a column.
#[allow(clippy::cast_precision_loss, reason = "a few thousand rows")]
fn moments(x: &Tensor<f64>, column: usize) -> [f64; 2] {
    let (n, cells) = (x.rows() as f64, || (0..x.rows()).map(|i| x.row(i)[column]));
    let mean = cells().sum::<f64>() / n;
    [mean, (cells().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt()]
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> pushforward::Result<()> {
    let mut rng = Rng::from_seed(0);
    // What the columns hold is found out: texts, whole numbers, real numbers. `Declared` says otherwise where that is wrong.
    let options = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
    let reader = TableReader::csv(CSV, Path::new("penguins_all.csv"), &options)?;
    let (table, schema) = reader.read_typed(&Declared::default())?;
    // A text has no density: those that are given leave numbers to be learnt.
    let layout = Layout::new(schema, &["species", "island", "sex"].map(String::from), true)?;
    let (trained, held_out) = (rows_of(&table.values, false)?, rows_of(&table.values, true)?);

    let (cells, given) = layout.split(&trained)?;
    let given = given.unwrap_or_else(|| Tensor::zeros(cells.rows(), 0));
    let x_1 = layout.data().dequantise(&cells, rng.fork(Purpose::Dequantisation))?; // whole numbers spread over their cells
    let conditions = Conditions::fit(layout.condition_columns(), &given)?;
    let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(x_1.cols(), &[64, 64, 64]) };
    let velocity = Mlp::initialize(shape, &mut rng)?;
    let trainer = Trainer::new(AffinePath::default()).auto().conditions(conditions, given);
    let flow = trainer.fit(velocity, &x_1, &mut rng)?.with_layout(layout.clone())?;
    flow.save("penguins.pf")?;

    let (rows, streams) = (0..2000, rng.fork(Purpose::Source));
    let given = flow.draw_conditions(rows.clone(), streams)?; // those of training rows: as often as in the table
    let numbers = flow.sample_rows::<f64>(rows, &Solver::dopri5(), streams)?.x;
    let drawn = layout.join(&layout.data().decode(&numbers)?, given.as_ref())?;
    let shape = Shape::Matrix { rows: Some(drawn.rows()), cols: drawn.cols() };
    let file = TableWriter::<f32>::create(Path::new("drawn.csv"), layout.header().as_deref(), shape)?;
    let mut file = file.with_schema(layout.table())?;
    file.push(&drawn.cast::<f32>())?; // as many digits as the network knows
    file.finish()?;

    println!("{} rows, {} left out for missing cells", table.values.rows(), table.dropped);
    println!("mean ± deviation      data               samples");
    for name in layout.data().names_of_numbers() {
        let j = layout.table().place(&name)?;
        let [[mean, std], [drawn_mean, drawn_std]] = [moments(&table.values, j), moments(&drawn, j)];
        println!("{name:18} {mean:8.2} ± {std:6.2} {drawn_mean:10.2} ± {drawn_std:6.2}");
        assert!((drawn_mean - mean).abs() < 0.15 * std && (drawn_std / std - 1.0).abs() < 0.15);
    }
    let mut found = Vec::new();
    for (name, table) in [("rows held out", &held_out), ("samples", &drawn)] {
        let (cells, given) = layout.split(table)?;
        let given = given.unwrap_or_else(|| Tensor::zeros(cells.rows(), 0));
        let numbers = layout.data().encode(&cells)?;
        let scores =
            flow.given(&given, 1.0)?.log_density(&numbers, Divergence::Exact, &Solver::dopri5(), &mut rng)?;
        println!("log-density of {name}: {:.2} ± {:.2} nats a row", scores.mean(), scores.standard_error());
        found.push((scores.mean(), scores.standard_error()));
    }
    assert!((found[0].0 - found[1].0).abs() < 3.0 * found[0].1);
    Ok(())
}
