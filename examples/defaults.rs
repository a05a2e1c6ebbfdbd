//! How long to train: what `--steps auto` is worth beside a fixed number of steps along a cosine.
//!
//! Six tables: three toys, the penguins, 150 correlated rows in 5 dimensions, and a mixture in 10. Each is trained in four ways
//! with two seeds; rows that no training sees are scored. The table is that of [`pushforward::Trainer::auto`]. `--short` trains a little.

use std::path::Path;
use std::time::Instant;

use pushforward::data::{Missing, ReadOptions, read_csv, toy};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Mlp, Rng, Solver, Source, Tensor, Trainer};

/// Rows of N(0, I).
fn normals(rows: usize, cols: usize, rng: &mut Rng) -> Tensor {
    let mut x = Tensor::zeros(rows, cols);
    Source::Normal.fill(&rng.fork(Purpose::Data), 0, &mut x);
    x
}

/// Gaussian rows, neighbouring columns of which are correlated by 0.95, the first ones bent.
fn correlated(rows: usize, rng: &mut Rng) -> Tensor {
    let mut x = normals(rows, 5, rng);
    for i in 0..rows {
        let row = x.row_mut(i);
        for j in 1..5 {
            row[j] = 0.95 * row[j - 1] + 0.312 * row[j];
        }
        row[0] += 0.5 * row[4] * row[4];
    }
    x
}

/// Four Gaussians of width 0.5 in ten dimensions, 3 from the middle along an axis each.
fn mixture(rows: usize, rng: &mut Rng) -> Tensor {
    let mut x = normals(rows, 10, rng);
    for i in 0..rows {
        let row = x.row_mut(i);
        row.iter_mut().for_each(|x| *x *= 0.5);
        row[i % 4] += 3.0;
    }
    x
}

/// The rows of a table in a random order.
fn shuffled(x: &Tensor, rng: &mut Rng) -> Tensor {
    let stream = &mut rng.fork(Purpose::Data).stream(0);
    let mut order: Vec<usize> = (0..x.rows()).collect();
    for i in 0..x.rows() {
        let other = i + stream.below(x.rows() - i);
        order.swap(i, other);
    }
    let rows: Vec<Vec<f32>> = order.into_iter().map(|i| x.row(i).to_vec()).collect();
    let mut y = Tensor::zeros(x.rows(), x.cols());
    for (i, row) in rows.iter().enumerate() {
        y.row_mut(i).copy_from_slice(row);
    }
    y
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> pushforward::Result<()> {
    let short = std::env::args().any(|word| word == "--short");
    let (scored, seeds) = if short { (50, 1) } else { (2000, 2) };
    println!("{:13} {:11} {:>6} {:>8} {:>7} {:>8}", "data", "training", "steps", "of step", "seconds", "NLL");
    let rng = &mut Rng::from_seed(100);
    let options = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
    let penguins = read_csv(&include_bytes!("data/penguins.csv")[..], Path::new("penguins.csv"), &options)?;
    let tables = [
        ("checkerboard", toy::checkerboard(20_000 + scored, rng), scored),
        ("moons", toy::moons(20_000 + scored, rng), scored),
        ("8gaussians", toy::eight_gaussians(20_000 + scored, rng), scored),
        ("correlated", correlated(150 + scored, rng), scored),
        ("mixture", mixture(5000 + scored, rng), scored),
        ("penguins", shuffled(&penguins.values.cast(), rng), 100),
    ];
    for (name, x, scored) in &tables {
        let (train, held) = (x.slice_rows(0..x.rows() - scored), x.slice_rows(x.rows() - scored..x.rows()));
        let fixed =
            |steps: u64| Trainer::new(AffinePath::default()).steps(if short { steps / 100 } else { steps });
        let auto = Trainer::new(AffinePath::default()).auto();
        let ways = [
            ("5000", fixed(5000)),
            ("20000", fixed(20_000)),
            ("auto cosine", fixed(20_000).validation(0.1).patience(10)),
            ("auto", if short { auto.steps(200) } else { auto }),
        ];
        for (way, trainer) in ways {
            for seed in 0..seeds {
                let mut rng = Rng::from_seed(seed);
                let velocity = Mlp::new(train.cols(), &[64, 64, 64], &mut rng)?;
                let begun = Instant::now();
                let flow = trainer.clone().fit(velocity, &train, &mut rng)?;
                let seconds = begun.elapsed().as_secs_f64();
                let solver = Solver::dopri5();
                let scores = flow.log_density(&held, Divergence::Exact, &solver, &mut rng)?;
                let (steps, of) = flow.record().map_or((0, 0), |record| {
                    (record.steps, record.validation.map_or(record.steps, |found| found.step))
                });
                println!("{name:13} {way:11} {steps:6} {of:8} {seconds:7.1} {:8.4}", -scores.mean());
            }
        }
    }
    Ok(())
}
