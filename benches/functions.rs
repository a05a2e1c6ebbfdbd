//! What is done number by number, on one thread: activations, normals, the optimiser.
//!
//! `activation` handles a block that fits the first cache: f(z) alone (`value`), or with f'(z) (`slope`). Both work in
//! place, so the block is written anew before each pass; `copy` is what that costs. `normals` are drawn as training does
//! (`draw`: one stream) and as sampling does (`fill`: a stream for every 64 rows of two). `adam` is one step without an
//! average.

mod timing;

use criterion::{BenchmarkId, Criterion, Throughput};
use pushforward::kernel::{Activation, AdamState, AdamStep, Aligned, RowsMut, Simd, activate, adam, apply};
use pushforward::rng::Purpose;
use pushforward::{Rng, Source, Tensor};

/// Numbers of a block, 8 KiB: with its slope and its original it fits 32 KiB.
const ROWS: usize = 32;
const COLS: usize = 64;
const NUMBERS: usize = ROWS * COLS;

/// Numbers that are drawn together: 1024 rows in the plane.
const DRAWN: usize = 2048;

fn rows(block: &mut Aligned<f32>) -> RowsMut<'_, f32> {
    RowsMut::new(block, COLS, COLS)
}

fn activations(c: &mut Criterion, simd: Simd) {
    let mut stream = Rng::from_seed(0).fork(Purpose::Data).stream(0);
    let [mut z, mut y, mut slope] = std::array::from_fn(|_| Aligned::zeros(NUMBERS));
    Source::Normal.draw(&mut stream, &mut z);
    let mut group = c.benchmark_group("copy");
    group.throughput(Throughput::Elements(NUMBERS as u64));
    group.bench_function(BenchmarkId::new("block", NUMBERS), |b| {
        b.iter(|| {
            y.copy_from_slice(&z);
            std::hint::black_box(&mut y);
        });
    });
    group.finish();
    let mut group = c.benchmark_group("activation");
    group.throughput(Throughput::Elements(NUMBERS as u64));
    for activation in Activation::ALL {
        group.bench_function(BenchmarkId::new("value", activation), |b| {
            b.iter(|| {
                y.copy_from_slice(&z);
                apply(simd, activation, rows(&mut y));
            });
        });
        group.bench_function(BenchmarkId::new("slope", activation), |b| {
            b.iter(|| {
                y.copy_from_slice(&z);
                activate(simd, activation, rows(&mut y), rows(&mut slope));
            });
        });
    }
    group.finish();
}

fn normals(c: &mut Criterion) {
    let mut group = c.benchmark_group("normals");
    group.throughput(Throughput::Elements(DRAWN as u64));
    let streams = Rng::from_seed(0).fork(Purpose::Source);
    let mut stream = streams.stream(0);
    let mut x: Tensor = Tensor::zeros(DRAWN / 2, 2);
    group.bench_function(BenchmarkId::new("draw", DRAWN), |b| {
        b.iter(|| Source::Normal.draw(&mut stream, x.as_mut_slice()));
    });
    group.bench_function(BenchmarkId::new("fill", DRAWN), |b| {
        b.iter(|| Source::Normal.fill(&streams, 0, &mut x));
    });
    group.finish();
}

fn optimizer(c: &mut Criterion, simd: Simd) {
    let step = AdamStep {
        lr: 1e-3,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        correction_1: 1.0,
        correction_2: 1.0,
        gradient_scale: 1.0,
        ema_decay: None,
    };
    let mut group = c.benchmark_group("adam");
    for parameters in [10_000, 800_000] {
        group.throughput(Throughput::Elements(parameters as u64));
        let mut stream = Rng::from_seed(0).fork(Purpose::Weights).stream(0);
        let mut gradient = vec![0.0_f32; parameters];
        Source::Normal.draw(&mut stream, &mut gradient);
        let [mut theta, mut m, mut v, mut previous] = std::array::from_fn(|_| vec![0.0_f32; parameters]);
        group.bench_function(BenchmarkId::new("step", parameters), |b| {
            b.iter(|| {
                let state = AdamState {
                    theta: &mut theta,
                    m: &mut m,
                    v: &mut v,
                    previous: &mut previous,
                    average: &mut [],
                };
                adam(simd, &step, &gradient, state);
            });
        });
    }
    group.finish();
}

fn main() {
    timing::measure(|c| {
        let simd = Simd::detect();
        activations(c, simd);
        normals(c);
        optimizer(c, simd);
    });
}
