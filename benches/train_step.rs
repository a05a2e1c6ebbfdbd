//! Whole training steps of W1 and W3 as [`pushforward::train::Run::step`] makes them: draw, forward, backward, Adam, pack.
//!
//! The rate counts the floating-point operations of the matrix products, three evaluations for each row; steps a second are
//! the inverse of the time. `peak` is measured before them: where it does not double from one thread to two, the machine has
//! something else to do, and neither will a step.

mod flop;
mod networks;
mod peak;
mod timing;

use criterion::{BenchmarkId, Criterion, Throughput};
use flop::flop_per_row;
use networks::{NETWORKS, Network};
use pushforward::data::toy;
use pushforward::nn::{Adam, LrSchedule};
use pushforward::rng::Purpose;
use pushforward::train::{Run, Standardization};
use pushforward::{AffinePath, Mlp, Rng, Tensor, Trainer};

/// A training that never ends, as in other frameworks' examples: plain Adam on rows drawn with replacement.
fn run(network: &Network, velocity: Mlp, batch: usize, rng: &mut Rng) -> pushforward::Result<Run> {
    let x_1: Tensor = if network.dim == 2 {
        toy::checkerboard(100_000, rng)
    } else {
        let mut stream = rng.fork(Purpose::Data).stream(0);
        #[allow(clippy::cast_possible_truncation, reason = "data are f32")]
        let table = (0..1797 * network.dim).map(|_| (2.0 * stream.uniform() - 1.0) as f32).collect();
        Tensor::from_vec(table, 1797, network.dim)?
    };
    Trainer::new(AffinePath::default())
        .steps(u64::MAX)
        .batch(batch)
        .adam(Adam { lr: 1e-3, ema: None, ..Adam::default() })
        .lr_schedule(LrSchedule::Constant)
        .standardization(Standardization::Off)
        .start(velocity, &x_1, rng)
}

fn steps(c: &mut Criterion) -> pushforward::Result<()> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let pools = [("one thread", timing::pool(1)), ("all threads", timing::pool(all))];
    for (name, pool) in &pools {
        peak::peak(c, "train_step", name, pool);
    }
    let mut group = c.benchmark_group("train_step");
    for (network, batch) in NETWORKS.iter().zip([256, 512]) {
        for (name, pool) in &pools {
            let mut rng = Rng::from_seed(0);
            let velocity = network.velocity(&mut rng);
            group.throughput(Throughput::Elements(3 * flop_per_row(&velocity) * batch as u64));
            let mut run = run(network, velocity, batch, &mut rng)?;
            group.bench_function(BenchmarkId::new(*name, network.name), |b| {
                pool.install(|| b.iter(|| run.step().expect("a loss that is finite")));
            });
        }
    }
    group.finish();
    Ok(())
}

fn main() {
    timing::measure(|c| steps(c).expect("the workloads can be trained"));
}
