//! What a Gaussian baseline (E29) is worth: `--baseline gaussian` beside `none`.
//!
//! Minus the mean log-density of rows that no training saw, in nats (in the units of the data), and the seconds of a training, on data with a large
//! offset, with correlated columns, with few rows of both, the toys, and any to any. The table is that of `Trainer::baseline`. `--short`
//! trains a little.

use std::path::Path;
use std::time::Instant;

use pushforward::closed_form::{Baseline, GaussianBaseline};
use pushforward::data::{Missing, ReadOptions, read_csv};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Mlp, Rng, Solver, Source, Tensor, Trainer, data::toy};

/// Rows of N(0, I).
fn normals(rows: usize, cols: usize, rng: &mut Rng) -> Tensor {
    let mut x = Tensor::zeros(rows, cols);
    Source::Normal.fill(&rng.fork(Purpose::Data), 0, &mut x);
    x
}

/// Two Gaussians of width 0.25, 0.5 apart, 100 from 0: mean 100, width 0.5.
fn offset(rows: usize, rng: &mut Rng) -> Tensor {
    let mut x = normals(rows, 2, rng);
    for i in 0..rows {
        let side = if i % 2 == 0 { 0.43 } else { -0.43 };
        x.row_mut(i).iter_mut().for_each(|x| *x = 100.0 + side + 0.25 * *x);
    }
    x
}

/// Neighbouring columns are correlated by so much, the first is bent.
fn correlated(by: f32, rows: usize, cols: usize, rng: &mut Rng) -> Tensor {
    let mut x = normals(rows, cols, rng);
    for i in 0..rows {
        let row = x.row_mut(i);
        for j in 1..cols {
            row[j] = by * row[j - 1] + (1.0 - by * by).sqrt() * row[j];
        }
        row[0] += 0.3 * row[cols - 1] * row[cols - 1];
    }
    x
}

/// The rows of a table in a random order.
fn shuffled(x: &Tensor, rng: &mut Rng) -> Tensor {
    let stream = &mut rng.fork(Purpose::Data).stream(0);
    let mut order: Vec<usize> = (0..x.rows()).collect();
    for i in 0..x.rows() {
        order.swap(i, i + stream.below(x.rows() - i));
    }
    let mut y = Tensor::zeros(x.rows(), x.cols());
    for (i, row) in order.into_iter().enumerate() {
        y.row_mut(i).copy_from_slice(x.row(row));
    }
    y
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> pushforward::Result<()> {
    let short = std::env::args().any(|word| word == "--short");
    let (scored, seeds) = if short { (50, 1) } else { (2000, 3) };
    let rng = &mut Rng::from_seed(200);
    let options = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
    let penguins = read_csv(&include_bytes!("data/penguins.csv")[..], Path::new("penguins.csv"), &options)?;
    let tables: [(&str, Tensor); 12] = [
        ("offset", offset(10_000 + scored, rng)),
        ("offset, 100 rows", offset(100 + scored, rng)),
        ("correlated", correlated(0.99, 10_000 + scored, 5, rng)),
        ("correlated, 100 rows", correlated(0.99, 100 + scored, 5, rng)),
        ("correlated, 30 rows", correlated(0.99, 30 + scored, 5, rng)),
        ("correlated, 20 columns", correlated(0.99, 2000 + scored, 20, rng)),
        ("correlated by 0.5", correlated(0.5, 2000 + scored, 5, rng)),
        ("correlated by 0.8", correlated(0.8, 2000 + scored, 5, rng)),
        ("penguins", shuffled(&penguins.values.cast(), rng)),
        ("moons", toy::moons(20_000 + scored, rng)),
        ("checkerboard", toy::checkerboard(20_000 + scored, rng)),
        ("8gaussians", toy::eight_gaussians(20_000 + scored, rng)),
    ];
    println!("{:22} {:9} {:>8} {:>8} {:>6}  correlation", "data", "baseline", "NLL", "seconds", "steps");
    for (name, x) in &tables {
        let scored = if *name == "penguins" { 100 } else { scored };
        let (train, held) = (x.slice_rows(0..x.rows() - scored), x.slice_rows(x.rows() - scored..x.rows()));
        for baseline in Baseline::ALL {
            for seed in 0..seeds {
                let mut rng = Rng::from_seed(seed);
                let trainer = Trainer::new(AffinePath::default()).auto().baseline(baseline);
                let trainer = if short { trainer.steps(100) } else { trainer };
                let velocity = Mlp::new(train.cols(), &[64, 64, 64], &mut rng)?;
                let begun = Instant::now();
                let flow = trainer.fit(velocity, &train, &mut rng)?;
                let seconds = begun.elapsed().as_secs_f64();
                let scores = flow.log_density(&held, Divergence::Exact, &Solver::dopri5(), &mut rng)?;
                let steps = flow.record().map_or(0, |record| record.steps);
                let correlation = flow.baseline().map(GaussianBaseline::correlation);
                let correlation = correlation.map_or_else(String::new, |nats| format!("{nats:.2}"));
                println!(
                    "{name:22} {baseline:9} {:8.4} {seconds:8.2} {steps:6}  {correlation}",
                    -scores.mean()
                );
            }
        }
    }
    Ok(())
}
