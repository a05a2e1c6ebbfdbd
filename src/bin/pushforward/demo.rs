//! `pushforward demo`: the whole job on built-in data, and a table of what was measured.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use comfy_table::Table;
use pushforward::data::{Shape, TableWriter, toy};
use pushforward::file::AtomicFile;
use pushforward::metrics::{exact_w2, sliced_w2};
use pushforward::nn::Adam;
use pushforward::plot::{self, Grid, Look, Panel, Paths, Scene};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Error, Flow, Mlp, Rng, Solver, Tensor, Trainer};
use serde_json::json;

use crate::args::{Common, DemoArgs};
use crate::console::Interrupt;

/// Rows of the training data, of the samples, and of each set that W2 is measured on.
const TRAIN_ROWS: usize = 100_000;
const SAMPLES: usize = 20_000;
const W2_ROWS: usize = 2_000;
/// Random directions of the sliced distance.
const PROJECTIONS: usize = 200;
/// Edge of the square on which the density is drawn, and cells along it.
const EDGE: f64 = 5.5;
const CELLS: usize = 200;
/// Paths that are drawn, and points along each.
const PATHS: usize = 300;
const INTERVALS: u32 = 50;
/// Steps between two lines of the log.
const LOG_EVERY: u64 = 100;

pub(crate) fn run(args: &DemoArgs, common: &Common) -> anyhow::Result<()> {
    let begin = Instant::now();
    let simd = common.simd()?;
    let interrupt = Interrupt::watch()?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    let file = |name: &str| args.out.join(name);
    let mut rng = Rng::from_seed(common.seed);
    let solver = Solver::midpoint().steps(50);

    let x_1: Tensor = toy::checkerboard(TRAIN_ROWS, &mut rng);
    let velocity = Mlp::new(2, &[64; 5], &mut rng)?.with_simd(simd);
    let trainer = Trainer::new(AffinePath::default()).steps(20_000).batch(1024);
    let mut run = trainer.adam(Adam { lr: 1e-2, ..Adam::default() }).start(velocity, &x_1, &mut rng)?;
    let mut log = AtomicFile::create(&file("log.jsonl"))?;
    let bar = common.progress(run.steps());
    let training = Instant::now();
    while !run.is_done() {
        interrupt.check()?;
        let step = run.step()?;
        bar.inc(1);
        if step.step % LOG_EVERY == 0 {
            let line = json!({ "step": step.step, "loss": step.loss, "lr": step.lr, "gradient_norm": step.gradient_norm });
            writeln!(log, "{line}").context("cannot write the log")?;
        }
    }
    bar.finish_and_clear();
    let train_seconds = training.elapsed().as_secs_f64();
    log.commit()?;
    let flow = run.flow()?;
    flow.save(file("model.pf"))?;
    common.say(format_args!("trained in {train_seconds:.1} s; now samples, densities and pictures"));

    let sampling = Instant::now();
    let streams = rng.fork(Purpose::Source);
    let drawn = flow.sample_rows::<f32>(0..SAMPLES, &solver, streams)?;
    let sample_seconds = sampling.elapsed().as_secs_f64();
    let shape = Shape::Matrix { rows: Some(SAMPLES), cols: 2 };
    let mut writer = TableWriter::<f32>::create(&file("samples.csv"), None, shape)?;
    writer.push(&drawn.x)?;
    writer.finish()?;
    let x: Tensor<f64> = drawn.x.cast();
    let inside = (0..SAMPLES).filter(|&i| toy::checkerboard_is_dark(x.row(i))).count();

    interrupt.check()?;
    let fresh: Tensor<f64> = toy::checkerboard(W2_ROWS, &mut rng);
    let other: Tensor<f64> = toy::checkerboard(W2_ROWS, &mut rng);
    let few = x.slice_rows(0..W2_ROWS);
    let (sliced, sliced_floor) =
        (sliced_w2(&few, &fresh, PROJECTIONS, &mut rng)?, sliced_w2(&other, &fresh, PROJECTIONS, &mut rng)?);
    let (w2, w2_floor) = (exact_w2(&few, &fresh)?, exact_w2(&other, &fresh)?);

    interrupt.check()?;
    let scoring = Instant::now();
    let scores = flow.log_density(&fresh, Divergence::Exact, &solver, &mut rng)?;
    let score_seconds = scoring.elapsed().as_secs_f64();
    let truth = toy::checkerboard_log_density(fresh.row(0));

    let (grid, mass) = density(&flow, &solver, &mut rng)?;
    let panels = [
        Panel { title: "data", points: &x_1.slice_rows(0..SAMPLES).cast() },
        Panel { title: "samples", points: &x },
    ];
    write(&file("samples.png"), &plot::samples(&panels)?)?;
    let square = (-EDGE, EDGE);
    let grid = Grid { title: "density of the model", values: &grid, x: square, y: square, contours: 0 };
    write(&file("density.png"), &plot::density(&grid)?)?;
    let paths = flow.trajectory(0..PATHS, INTERVALS, &solver, streams)?;
    let paths = Paths { title: "from source to target", times: &paths.t, positions: &paths.x };
    write(&file("trajectories.png"), &plot::trajectories(&paths)?)?;

    let measured = [
        ("seconds", begin.elapsed().as_secs_f64(), "the whole job"),
        ("train_steps_per_s", run.steps() as f64 / train_seconds, "batch 1024, 3 -> 64 x 5 -> 2"),
        ("loss", run.recent_loss(), "mean of the last 100 steps"),
        ("sliced_w2", sliced, "samples against fresh data"),
        ("sliced_w2_floor", sliced_floor, "two fresh draws of the data"),
        ("w2", w2, "samples against fresh data"),
        ("w2_floor", w2_floor, "two fresh draws of the data"),
        ("inside_share", inside as f64 / SAMPLES as f64, "samples inside the dark squares"),
        ("mean_log_density", scores.mean(), "nats, of fresh data under the model"),
        ("true_log_density", truth, "nats, of the board itself"),
        ("density_sum", mass, "sum of density.png times the cell"),
        ("nfe", drawn.stats.nfe, "velocity evaluations a sample"),
        ("sample_seconds", sample_seconds, "20000 samples"),
        ("score_seconds", score_seconds, "2000 rows"),
    ];
    let mut table = Table::new();
    table.set_header(["measured", "value", "of"]);
    for (name, value, what) in measured {
        table.add_row([name, &format!("{value:.4}"), what]);
    }
    common.say(format_args!("{table}\nwritten to {}", args.out.display()));
    let all = measured.into_iter().map(|(name, value, _)| (name.to_owned(), json!(value)));
    common.print_json(&serde_json::Value::Object(all.collect()))?;
    Ok(())
}

/// The model's density at the centres of a grid, lowest y first, and its sum times the area of a cell.
fn density(flow: &Flow, solver: &Solver, rng: &mut Rng) -> anyhow::Result<(Tensor<f64>, f64)> {
    let cell = 2.0 * EDGE / CELLS as f64;
    let centre = |i: usize| -EDGE + (i as f64 + 0.5) * cell;
    let points: Vec<f64> = (0..CELLS * CELLS).flat_map(|i| [centre(i % CELLS), centre(i / CELLS)]).collect();
    let points = Tensor::from_vec(points, CELLS * CELLS, 2)?;
    let scores = flow.log_density(&points, Divergence::Exact, solver, rng)?;
    let values: Vec<f64> = scores.log_density.iter().map(|l| l.exp()).collect();
    let mass = values.iter().sum::<f64>() * cell * cell;
    Ok((Tensor::from_vec(values, CELLS, CELLS)?, mass))
}

fn write(path: &Path, scene: &Scene) -> anyhow::Result<()> {
    let mut file = AtomicFile::create(path)?;
    scene.picture(&Look::default())?.write_png(&mut file)?;
    file.commit().map_err(|e: Error| e.into())
}
