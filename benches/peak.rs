//! What the machine can do at most, in the same minute as what is measured beside it.

use criterion::{BenchmarkId, Criterion, Throughput};
use pushforward::Simd;
use pushforward::kernel::multiply_adds;
use rayon::ThreadPool;

/// Rounds of a pass: some milliseconds, so that handing them to threads counts for nothing.
const ROUNDS: u64 = 1 << 20;

/// Multiply-adds in registers and nothing else, on every thread of a pool at once.
pub(crate) fn peak(c: &mut Criterion, beside: &str, name: &str, pool: &ThreadPool) {
    let simd = Simd::detect();
    let mut group = c.benchmark_group("peak");
    let flop = multiply_adds::<f32>(simd, ROUNDS) * pool.current_num_threads() as u64;
    group.throughput(Throughput::Elements(flop));
    group.bench_function(BenchmarkId::new(name, beside), |b| {
        pool.install(|| b.iter(|| rayon::broadcast(|_| multiply_adds::<f32>(simd, ROUNDS))));
    });
    group.finish();
}
