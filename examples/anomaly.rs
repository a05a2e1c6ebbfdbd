//! An anomaly score: the density of a row says how usual it is, also where each of its cells alone is.
//!
//! `cargo run --release --example anomaly`: learns four measurements of penguins from three fifths of the rows and holds two fifths out.
//! Corrupted rows have their cells from four rows held out: every column alone is as it was, only the rows are none of a penguin. It
//! prints the AUC, the probability that a row held out has the larger log-density than a corrupted one. By chance, and for whatever
//! looks at the columns one by one, it is 0.5; it must be above 0.8. Then, how many rows lie below a threshold that one in twenty of
//! other rows held out lies below (training rows would set it too high: they are known too well): more than half of the corrupted ones,
//! and of the rest one in twenty, but for the luck of 68 rows.

use std::path::Path;

use pushforward::data::{Missing, ReadOptions, read_csv};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Mlp, Rng, Solver, Tensor, Trainer};

const CSV: &[u8] = include_bytes!("data/penguins.csv");

/// The probability that a number of `a` is larger than one of `b`; equal ones count one half.
#[allow(clippy::cast_precision_loss, reason = "a few hundred rows")]
fn auc(a: &[f64], b: &[f64]) -> f64 {
    let wins = |a: &f64, b: &f64| {
        if a > b {
            1.0
        } else if a < b {
            0.0
        } else {
            0.5
        }
    };
    let won: f64 = a.iter().flat_map(|a| b.iter().map(move |b| wins(a, b))).sum();
    won / (a.len() * b.len()) as f64
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
#[allow(clippy::cast_precision_loss, reason = "a few hundred rows")]
fn main() -> pushforward::Result<()> {
    let mut rng = Rng::from_seed(0);
    let options = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
    let x = read_csv(CSV, Path::new("penguins.csv"), &options)?.values;
    let part = |fifths: &[usize]| {
        let rows: Vec<usize> = (0..x.rows()).filter(|i| fifths.contains(&(i % 5))).collect();
        Tensor::from_vec(rows.iter().flat_map(|&i| x.row(i).to_vec()).collect(), rows.len(), x.cols())
    };
    let (train, usual, held_out) = (part(&[0, 1, 2])?, part(&[3])?, part(&[4])?);
    let mut corrupted = held_out.clone();
    let stream = &mut rng.fork(Purpose::Data).stream(0);
    for j in 0..x.cols() {
        let mut rows: Vec<usize> = (0..held_out.rows()).collect();
        stream.shuffle(&mut rows);
        rows.iter().enumerate().for_each(|(i, &from)| corrupted.row_mut(i)[j] = held_out.row(from)[j]);
    }

    let velocity = Mlp::new(x.cols(), &[64, 64, 64], &mut rng)?;
    let flow = Trainer::new(AffinePath::default()).auto().fit(velocity, &train, &mut rng)?;
    let mut score =
        |x| flow.log_density(x, Divergence::Exact, &Solver::dopri5(), &mut rng).map(|s| s.log_density);
    let [mut usual, good, bad] = [score(&usual)?, score(&held_out)?, score(&corrupted)?];

    usual.sort_by(f64::total_cmp);
    let threshold = usual[usual.len() / 20];
    let below = |scores: &[f64]| {
        let below = scores.iter().filter(|log_p| **log_p < threshold).count();
        100.0 * below as f64 / scores.len() as f64
    };
    let auc = auc(&good, &bad);
    println!("AUC {auc:.3}, of {} rows held out and {} corrupted ones", good.len(), bad.len());
    let [good, bad] = [below(&good), below(&bad)];
    println!("below {threshold:.2} nats: {good:.0} % of those held out, {bad:.0} % of the corrupted ones");
    assert!(auc > 0.8 && bad > 50.0);
    Ok(())
}
