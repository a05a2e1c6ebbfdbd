//! The tasks of the literature that carry any law to any other, with optimal-transport pairs, beside an oracle.
//!
//! `cargo run --release --example transport` is a short run that shows the tables; `-- full` is the whole study, and `-- full N` that
//! with N seeds (5 by default).
//!
//! Oracle: fresh rows of the target against fresh rows of the target, so that nothing but luck is better.

use pushforward::coupling::assign_points;
use pushforward::data::{ConditionColumn, ConditionKind, Conditions};
use pushforward::metrics::PathEnergy;
use pushforward::nn::{Adam, MlpShape};
use pushforward::rng::{Purpose, Stream};
use pushforward::{AffinePath, Coupling, Flow, Mlp, Result, Rng, Simd, Solver, Tensor, Trainer};

/// How large the study is.
struct Size {
    seeds: u64,
    steps: u64,
    rows: usize,
}

type Law = fn(usize, &mut Stream) -> Tensor<f64>;

/// n rows, each written by `f` from its number.
fn rows(n: usize, mut f: impl FnMut(usize) -> [f64; 2]) -> Tensor<f64> {
    Tensor::from_rows(&(0..n).map(&mut f).collect::<Vec<_>>())
}

fn gaussians(n: usize, stream: &mut Stream, radius: f64, std: f64) -> Tensor<f64> {
    rows(n, |_| {
        let angle = std::f64::consts::FRAC_PI_4 * f64::from(u32::try_from(stream.below(8)).unwrap_or(0));
        let [a, b] = [angle.cos(), angle.sin()];
        [radius * a + std * stream.normal(), radius * b + std * stream.normal()]
    })
}

/// The row at `angle` on the upper or the lower moon.
fn on_moon(lower: bool, angle: f64) -> [f64; 2] {
    if lower { [1.0 - angle.cos(), 0.5 - angle.sin()] } else { [angle.cos(), angle.sin()] }
}

/// Two moons on a grid of angles, as scikit-learn draws them, with normal noise.
fn moons(n: usize, stream: &mut Stream, noise: f64) -> Tensor<f64> {
    rows(n, |i| on_grid(i, n).map(|x| x + noise * stream.normal()))
}

/// Row i of n without noise: the upper moon, then the lower one.
#[allow(clippy::cast_precision_loss, reason = "few rows")]
fn on_grid(i: usize, n: usize) -> [f64; 2] {
    let half = n / 2;
    on_moon(i >= half, std::f64::consts::PI * (i % half) as f64 / (half - 1) as f64)
}

fn normal(n: usize, stream: &mut Stream) -> Tensor<f64> {
    rows(n, |_| [stream.normal(), stream.normal()])
}

fn eight(n: usize, stream: &mut Stream) -> Tensor<f64> {
    gaussians(n, stream, 5.0, 1.0)
}

fn wide_eight(n: usize, stream: &mut Stream) -> Tensor<f64> {
    gaussians(n, stream, 12.0, 1.5)
}

/// 2 moons - (1, 0).
fn moved_moons(n: usize, stream: &mut Stream) -> Tensor<f64> {
    let x = moons(n, stream, 0.05);
    rows(n, |i| [2.0 * x.row(i)[0] - 1.0, 2.0 * x.row(i)[1]])
}

/// 7 times moons that were standardised by one mean and one standard deviation over all numbers.
#[allow(clippy::cast_precision_loss, reason = "few rows")]
fn large_moons(n: usize, stream: &mut Stream) -> Tensor<f64> {
    let x = moons(n, stream, 0.1);
    let count = 2.0 * n as f64;
    let mean = x.as_slice().iter().sum::<f64>() / count;
    let std = (x.as_slice().iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    rows(n, |i| [0, 1].map(|j| 7.0 * (x.row(i)[j] - mean) / std))
}

/// Axes 0 and 2 of an s-curve, times 1.5.
fn s_curve(n: usize, stream: &mut Stream) -> Tensor<f64> {
    rows(n, |_| {
        let t = 3.0 * std::f64::consts::PI * (stream.uniform() - 0.5);
        let [a, b] = [t.sin(), t.signum() * (t.cos() - 1.0)];
        [1.5 * (a + 0.05 * stream.normal()), 1.5 * (b + 0.05 * stream.normal())]
    })
}

/// The squared distance W2² between equally many rows.
#[allow(clippy::cast_precision_loss, reason = "few rows")]
fn squared_w2(a: &Tensor<f64>, b: &Tensor<f64>) -> Result<f64> {
    Ok(assign_points(Simd::detect(), a, b)?.cost / a.rows() as f64)
}

/// Mean and standard deviation over seeds.
#[allow(clippy::cast_precision_loss, reason = "few seeds")]
fn over_seeds(values: &[f64]) -> String {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    format!("{mean:7.4} ±{std:6.4}")
}

fn trainer(size: &Size, adam: Adam) -> Trainer {
    Trainer::new(AffinePath::default()).coupling(Coupling::ExactOt).steps(size.steps).adam(adam)
}

/// |PE - W2²| / W2² (E28) of the way from `start` with dopri5, W2² being that to `fresh`; in the units of the network, as `evaluate` has it.
fn normalised_energy(flow: &Flow, start: &Tensor<f64>, fresh: &Tensor<f64>) -> Result<f64> {
    let (z_0, z_1) = (flow.source_to_model(start)?, flow.standardize().to_model(fresh)?);
    let energy =
        flow.with_field(flow.velocity(), |field| PathEnergy::measure(field, &z_0, &Solver::dopri5()))?;
    Ok(energy.normalised(squared_w2(&z_0.cast(), &z_1)?))
}

/// Source to target, 3 x 64 units, batches of 512 of 10,000 rows: W2 after 100 steps of Euler, with dopri5, and of the oracle, and
/// the normalised energy of the way.
#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn any_to_any(name: &str, source: Law, target: Law, size: &Size) -> Result<()> {
    let mut found = [const { Vec::new() }; 4];
    for seed in 0..size.seeds {
        let mut rng = Rng::from_seed(seed);
        let streams = rng.fork(Purpose::Data);
        let draw = |law: Law, k| law(size.rows, &mut streams.stream(k));
        let (x_0, x_1) = (draw(source, 0), draw(target, 1));
        let adam = Adam { lr: 1e-3, weight_decay: 1e-5, ..Adam::default() };
        let velocity = Mlp::new(2, &[64, 64, 64], &mut rng)?;
        let flow = trainer(size, adam).batch(512).fit_from(velocity, &x_0, &x_1, &mut rng)?;
        let (start, fresh, other) = (draw(source, 2), draw(target, 3), draw(target, 4));
        let [euler, adaptive] = [Solver::euler().steps(100), Solver::dopri5()]
            .map(|solver| flow.decode::<f64>(&start.cast(), &solver).map(|drawn| drawn.x));
        for (values, x) in found.iter_mut().zip([&euler?, &adaptive?, &other]) {
            values.push(squared_w2(x, &fresh)?.sqrt());
        }
        found[3].push(normalised_energy(&flow, &start, &fresh)?);
    }
    let [euler, adaptive, oracle, energy] = found.map(|values| over_seeds(&values));
    println!("| {name:22} | {euler} | {adaptive} | {oracle} | {energy} |");
    Ok(())
}

/// Two moons on a grid of angles with one uniform number a row added to both coordinates, times 3, minus 1; and which moon.
fn classed_moons(n: usize, stream: &mut Stream) -> (Tensor<f64>, Vec<f64>) {
    let x = rows(n, |i| {
        let noise = 0.2 * stream.uniform();
        on_grid(i, n).map(|x| 3.0 * (x + noise) - 1.0)
    });
    (x, (0..n).map(|i| f64::from(u8::from(i >= n / 2))).collect())
}

/// 8 gaussians to moons under a condition: W2² of samples under the conditions of fresh rows against these rows.
#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn conditional(name: &str, by_class: bool, coupling: Coupling, size: &Size) -> Result<()> {
    let mut found = [const { Vec::new() }; 3];
    for seed in 0..size.seeds {
        let mut rng = Rng::from_seed(seed);
        let streams = rng.fork(Purpose::Data);
        let source = |k| gaussians(size.rows, &mut streams.stream(k), 5.0, 0.3162_f64.sqrt());
        let target = |k| {
            let (x, class) = classed_moons(size.rows, &mut streams.stream(k));
            let of = |i: usize| if by_class { class[i] } else { x.row(i)[0] };
            let y = Tensor::from_vec((0..size.rows).map(of).collect(), size.rows, 1);
            y.map(|y| (x, y))
        };
        let (x_1, y) = target(1)?;
        let names = vec!["upper".to_owned(), "lower".to_owned()];
        let kind = if by_class { ConditionKind::Categorical(names) } else { ConditionKind::Numeric };
        let conditions = Conditions::fit(vec![ConditionColumn { name: "y".into(), kind }], &y)?;
        let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(2, &[64, 64, 64]) };
        let adam = Adam { lr: 3e-4, ..Adam::default() };
        let trainer = trainer(size, adam).coupling(coupling).batch(256).conditions(conditions, y);
        let trainer = if coupling == Coupling::ExactOt { trainer.coupling_batch(1024) } else { trainer };
        let flow: Flow = trainer.fit_from(Mlp::initialize(shape, &mut rng)?, &source(0), &x_1, &mut rng)?;
        let (start, (fresh, y), (other, _)) = (source(2).cast(), target(3)?, target(4)?);
        let given = flow.given(&y, 1.0)?;
        let drawn = given.decode::<f64>(&start, &Solver::dopri5().tolerance(1e-4))?;
        found[0].push(squared_w2(&drawn.x, &fresh)?);
        let euler = given.decode::<f64>(&start, &Solver::euler().steps(1))?;
        found[1].push(squared_w2(&euler.x, &fresh)?);
        found[2].push(squared_w2(&other, &fresh)?);
    }
    let [adaptive, one, oracle] = found.map(|values| over_seeds(&values));
    println!("| {name:22} | {adaptive} | {one} | {oracle} |");
    Ok(())
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let full = words.next().is_some_and(|word| word == "full");
    let seeds = words.next().and_then(|word| word.parse().ok()).unwrap_or(if full { 5 } else { 1 });
    let size = if full {
        Size { seeds, steps: 20_000, rows: 10_000 }
    } else {
        Size { seeds, steps: 200, rows: 1000 }
    };
    println!("{} seeds, {} steps, {} rows", size.seeds, size.steps, size.rows);
    println!(
        "| W2                     | 100 Euler steps | dopri5          | oracle          | energy          |"
    );
    println!("|---|---|---|---|---|");
    any_to_any("N -> 8 gaussians", normal, eight, &size)?;
    any_to_any("moons -> 8 gaussians", large_moons, wide_eight, &size)?;
    any_to_any("N -> moons", normal, moved_moons, &size)?;
    any_to_any("N -> s-curve", normal, s_curve, &size)?;
    println!();
    println!("| W2², 8 gaussians -> moons | dopri5       | 1 Euler step    | oracle          |");
    println!("|---|---|---|---|");
    conditional("class, ot", true, Coupling::ExactOt, &size)?;
    conditional("class, independent", true, Coupling::Independent, &size)?;
    conditional("place, ot", false, Coupling::ExactOt, &size)?;
    conditional("place, independent", false, Coupling::Independent, &size)?;
    Ok(())
}
