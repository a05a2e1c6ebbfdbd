//! Derivatives of the networks of W1 and W3 on one thread: a Jacobian by d tangents (`jvp`), the divergence alone as
//! log-densities need it (`divergence`), a cotangent's way back (`vjp`), and the plain velocity to compare them with (`value`).
//!
//! And the exact field of 100,000 rows at 10,000 points (`exact_field`, E20), which no network has.
//!
//! The rate counts rows; of the exact field pairs of a row and a point.

mod networks;
mod timing;

use criterion::{BenchmarkId, Criterion, Throughput};
use networks::{NETWORKS, Network};
use pushforward::closed_form::EmpiricalField;
use pushforward::ode::ROWS_PER_BLOCK as ROWS;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, DifferentiableField, Rng, Source, Tensor, VectorField};

fn derivatives(c: &mut Criterion, network: &Network) -> pushforward::Result<()> {
    let mut group = c.benchmark_group("derivatives");
    group.throughput(Throughput::Elements(ROWS as u64));
    let mut rng = Rng::from_seed(0);
    let (velocity, d) = (network.velocity(&mut rng), network.dim);
    let (t, mut x, mut u) = ([0.5; ROWS], Tensor::zeros(ROWS, d), Tensor::zeros(ROWS, d));
    Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x);

    let mut worker = velocity.worker(ROWS);
    group.bench_function(BenchmarkId::new("value", network.name), |b| {
        b.iter(|| worker.eval(&t, &x, &mut u).expect("fitting shapes"));
    });

    // Row k B + i is the k-th unit tangent of row i.
    let (mut d_x, mut d_u) = (Tensor::zeros(d * ROWS, d), Tensor::zeros(d * ROWS, d));
    for row in 0..d * ROWS {
        d_x.row_mut(row)[row / ROWS] = 1.0;
    }
    let mut worker = velocity.differential_worker(ROWS, d);
    group.bench_function(BenchmarkId::new("jvp", network.name), |b| {
        b.iter(|| worker.jvp(&t, &x, &d_x, &mut u, &mut d_u).expect("fitting shapes"));
    });

    let (mut worker, mut rate) = (velocity.divergence_worker(ROWS), [0.0; ROWS]);
    group.bench_function(BenchmarkId::new("divergence", network.name), |b| {
        b.iter(|| worker.eval_carry(&t, &x, &mut u, &mut rate).expect("fitting shapes"));
    });

    let (w, mut d_x) = (x.clone(), Tensor::zeros(ROWS, d));
    let mut worker = velocity.differential_worker(ROWS, 0);
    group.bench_function(BenchmarkId::new("vjp", network.name), |b| {
        b.iter(|| worker.vjp(&t, &x, &w, &mut u, &mut d_x).expect("fitting shapes"));
    });
    group.finish();
    Ok(())
}

/// The true velocity towards the rows of a table, which every point weighs anew. // E20
fn exact_field(c: &mut Criterion) -> pushforward::Result<()> {
    const TABLE: usize = 100_000;
    const POINTS: usize = 10_000;
    let mut group = c.benchmark_group("exact_field");
    group.throughput(Throughput::Elements((TABLE * POINTS) as u64)).sample_size(10);
    for d in [2, 8] {
        let mut rng = Rng::from_seed(0);
        let (mut table, mut x) = (Tensor::<f64>::zeros(TABLE, d), Tensor::zeros(POINTS, d));
        Source::Normal.fill(&rng.fork(Purpose::Data), 0, &mut table);
        Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x);
        let (field, t) = (EmpiricalField::new(&table, AffinePath::default())?, [0.5; POINTS]);
        let mut u = Tensor::zeros(POINTS, d);
        group.bench_function(
            BenchmarkId::new("eval", format!("{TABLE} rows of {d}, {POINTS} points")),
            |b| {
                b.iter(|| field.eval(&t, &x, &mut u).expect("fitting shapes"));
            },
        );
    }
    group.finish();
    Ok(())
}

fn main() {
    timing::measure(|c| {
        for network in NETWORKS {
            derivatives(c, &network).expect("the fields answer");
        }
        exact_field(c).expect("the field answers");
    });
}
