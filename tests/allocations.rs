//! Nothing is allocated from step to step, by training, by sampling, by scoring, nor from sample to sample by a sampler.
//!
//! A global allocator counts the requests of all threads. A loop runs inside a pool, as a program's loops should; its first
//! steps are not counted, because each thread of a pool registers itself once with the queues' memory reclamation. After them
//! the count is exactly 0: what a pool's own thread hands over passes through a ring that was made with the pool.
//!
//! Only jobs from outside a pool pass through a list of blocks, which takes one allocation for every 63 jobs. A step that is
//! made there is the one exception, and its share is bounded.
//!
//! # Limits
//! One test, so that no other one allocates beside it, and pools that live as long as it does, because a thread that ends
//! allocates too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::System;
use std::hint::black_box;

use pushforward::closed_form::GaussianBaseline;
use pushforward::data::toy;
use pushforward::field::{ProbeLaw, Probes, Worker};
use pushforward::nn::Adam;
use pushforward::ode::{AdaptiveIntegration, Integration, ROWS_PER_BLOCK};
use pushforward::path::Prediction;
use pushforward::rng::Purpose;
use pushforward::train::Run;
use pushforward::{
    AffinePath, DifferentiableField, Flow, Mlp, Result, Rng, Scheduler, Solver, Source, Tensor, Trainer,
    VectorField,
};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Steps before the count begins, and steps that are counted.
const UNCOUNTED: usize = 5;
const COUNTED_STEPS: usize = 50;

/// Rows of a block with chosen steps.
const FEW_ROWS: usize = 12;

/// How often memory is asked for while `f` runs, by any thread.
fn allocations(f: impl FnOnce()) -> usize {
    let region = Region::new(COUNTED);
    f();
    let change = region.change();
    change.allocations + change.reallocations
}

/// Repeats a step in a pool; how often memory was asked for once it was under way.
fn steady(pool: &ThreadPool, mut step: impl FnMut() + Send) -> usize {
    pool.install(|| {
        (0..UNCOUNTED).for_each(|_| step());
        allocations(|| (0..COUNTED_STEPS).for_each(|_| step()))
    })
}

/// The small network, the one of wide rows, and one without hidden layers.
fn networks() -> [(&'static str, Mlp); 3] {
    let network = |dim, hidden: &[usize]| Mlp::new(dim, hidden, &mut Rng::from_seed(1)).unwrap();
    [("W1", network(2, &[64; 3])), ("W3", network(64, &[256; 3])), ("linear", network(3, &[]))]
}

fn training(velocity: &Mlp, adam: Adam) -> Run {
    let mut rng = Rng::from_seed(2);
    let d = velocity.dim();
    let x_1: Tensor<f32> = if d == 2 { toy::moons(1000, &mut rng) } else { normals(1000, d) };
    Trainer::new(AffinePath::default()).batch(300).adam(adam).start(velocity.clone(), &x_1, &mut rng).unwrap()
}

fn normals(rows: usize, d: usize) -> Tensor<f32> {
    let mut x = Tensor::zeros(rows, d);
    Source::Normal.fill(&Rng::from_seed(3).fork(Purpose::Source), 0, &mut x);
    x
}

/// Some blocks of rows under way along a field.
fn blocks<F: VectorField<f32>>(field: &F) -> Vec<Integration<'_, f32>> {
    let block = |_| {
        let x = normals(ROWS_PER_BLOCK, field.dim());
        Integration::new(&Solver::midpoint(), field, x, 1.0..0.0).unwrap()
    };
    (0..3).map(block).collect()
}

fn step_all(blocks: &mut [Integration<'_, f32>]) {
    blocks.par_iter_mut().for_each(|block| assert!(!block.step().unwrap(), "it must not be at its end"));
}

/// The same with steps that each row chooses, on a way too long for those that are counted, and few rows: each step is seven
/// evaluations of all.
fn adaptive_blocks<F: VectorField<f32>>(field: &F) -> Vec<AdaptiveIntegration<'_, f32>> {
    let block = |_| {
        let x = normals(FEW_ROWS, field.dim());
        AdaptiveIntegration::new(&Solver::dopri5(), field, x, 0.0..1000.0).unwrap()
    };
    (0..3).map(block).collect()
}

fn step_each(blocks: &mut [AdaptiveIntegration<'_, f32>]) {
    blocks.par_iter_mut().for_each(|block| assert!(!block.step().unwrap(), "it must not be at its end"));
}

/// A network whose rows carry its divergence, or estimates of it, as for log-densities.
struct Augmented<'a>(&'a Mlp, Option<Probes>);

impl VectorField<f32> for Augmented<'_> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn eval(&self, t: &[f32], x: &Tensor<f32>, u: &mut Tensor<f32>) -> Result<()> {
        self.0.eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<f32> + '_> {
        match self.1 {
            None => self.0.divergence_worker(rows),
            Some(probes) => self.0.probe_worker(rows, probes),
        }
    }
}

/// Whole samples of several blocks, the last of them a part, whose rows end at different times.
fn samplers_allocate_nothing(pools: &[ThreadPool]) {
    let streams = Rng::from_seed(5).fork(Purpose::Source);
    for (name, velocity) in &networks()[..1] {
        let flow = Flow::new(velocity.clone(), AffinePath::default(), Source::Normal);
        let others = AffinePath::default().predicting(Prediction::Target);
        let target = Flow::new(velocity.clone(), others, Source::Normal).with_scheduler(Scheduler::Cosine);
        let baseline = GaussianBaseline::fit(&normals(100, 2).cast(), None).unwrap();
        let baseline = flow.clone().with_baseline(baseline).unwrap();
        for flow in [&flow, &target.unwrap(), &baseline] {
            for solver in [Solver::midpoint().steps(4), Solver::bosh3().tolerance(1e-2)] {
                for pool in pools {
                    let mut x = Tensor::<f64>::zeros(ROWS_PER_BLOCK + 20, flow.dim());
                    let (mut first, rows) = (0, x.rows());
                    let drawn = flow.with_sampler(rows, &solver, |sampler| {
                        Ok(steady(pool, || {
                            sampler.draw(first, streams, &mut x).unwrap();
                            first += rows;
                        }))
                    });
                    assert_eq!(drawn.unwrap(), 0, "drawing, {name}, {solver:?}");
                    assert!(x.as_slice().iter().all(|&x| x != 0.0));
                }
            }
        }
    }
}

#[test]
fn steps_allocate_nothing() {
    let pools = [1, 2].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for pool in &pools {
        let threads = pool.current_num_threads();

        // The counter sees every thread: otherwise all that follows would say nothing.
        let seen = steady(pool, || {
            rayon::broadcast(|_| drop(black_box(vec![0_u8; 1])));
        });
        assert!(seen >= threads * COUNTED_STEPS, "{seen} allocations were seen on {threads} threads");

        for (name, velocity) in &networks() {
            let on = format!("{name}, {threads} threads");
            for adam in [Adam::default(), Adam { clip: Some(1e-3), ema: None, ..Adam::default() }] {
                let mut run = training(velocity, adam);
                let count = steady(pool, || {
                    run.step().unwrap();
                });
                assert_eq!(count, 0, "training, {on}, {adam:?}");
            }
            let mut sampled = blocks(velocity);
            assert_eq!(steady(pool, || step_all(&mut sampled)), 0, "sampling, {on}");
            let mut chosen = adaptive_blocks(velocity);
            assert_eq!(steady(pool, || step_each(&mut chosen)), 0, "sampling by chosen steps, {on}");
            let streams = Rng::from_seed(4).fork(Purpose::Probe);
            let probes = Probes { streams, first_row: 0, count: 3, law: ProbeLaw::Gaussian };
            for probes in [None, Some(probes)] {
                let augmented = Augmented(velocity, probes);
                let mut scored = blocks(&augmented);
                assert_eq!(steady(pool, || step_all(&mut scored)), 0, "scoring, {on}");
                let mut chosen = adaptive_blocks(&augmented);
                assert_eq!(steady(pool, || step_each(&mut chosen)), 0, "scoring by chosen steps, {on}");
                assert!(scored[0].carry().iter().all(|&carry| carry != 0.0), "a divergence was found, {on}");
            }
        }
    }

    samplers_allocate_nothing(&pools);

    // From outside: training hands over two or three times a step.
    let mut run = training(&networks()[0].1, Adam::default());
    for _ in 0..UNCOUNTED {
        run.step().unwrap();
    }
    let steps = 20 * COUNTED_STEPS;
    let count = allocations(|| {
        for _ in 0..steps {
            run.step().unwrap();
        }
    });
    assert!(count <= steps / 10, "{count} allocations in {steps} steps that were made outside a pool");
}
