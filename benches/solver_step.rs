//! One step of the midpoint method for a block of rows of the networks of W1 and W3, on one thread: what sampling repeats.
//!
//! The rate counts the floating-point operations of the matrix products of its two evaluations.

mod flop;
mod networks;
mod timing;

use criterion::{BenchmarkId, Criterion, Throughput};
use flop::flop_per_row;
use networks::{NETWORKS, Network};
use pushforward::ode::{Integration, ROWS_PER_BLOCK};
use pushforward::rng::Purpose;
use pushforward::{Rng, Solver, Source, Tensor};

fn midpoint(c: &mut Criterion, network: &Network) -> pushforward::Result<()> {
    let mut group = c.benchmark_group("solver_step");
    let mut rng = Rng::from_seed(0);
    let velocity = network.velocity(&mut rng);
    group.throughput(Throughput::Elements(2 * flop_per_row(&velocity) * ROWS_PER_BLOCK as u64));
    let mut x: Tensor = Tensor::zeros(ROWS_PER_BLOCK, network.dim);
    Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x);
    // So many steps that none of them is the last one.
    let mut run = Integration::new(&Solver::midpoint().steps(u32::MAX), &velocity, x, 0.0..1.0)?;
    group.bench_function(BenchmarkId::new("midpoint", network.name), |b| {
        b.iter(|| run.step().expect("a velocity that is finite"));
    });
    group.finish();
    Ok(())
}

fn main() {
    timing::measure(|c| {
        for network in NETWORKS {
            midpoint(c, &network).expect("the networks can be solved");
        }
    });
}
