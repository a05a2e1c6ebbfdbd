//! Matrix products of f32 on one thread, beside those of the crates matrixmultiply and gemm.
//!
//! `matmul` is y = x w with x of shape [m, k] and w of shape [k, n], `d_w` is xᵀ d_y and `d_x` is d_y wᵀ: the gradients of the
//! same product. The three smaller shapes are a hidden layer of W2, W3 and W1 with a whole batch. `peak` is what the
//! core can do at most.
//!
//! Ours runs as a network does, in blocks of rows that stay in the cache: `packed` with weights that are packed already, as
//! they are for all blocks but the first, `packing` with their packing in the measured time. `d_w` is added to what is there,
//! with the column sums of d_y beside it: `blocks` as a network does it, `whole` with all rows in one call.
//!
//! The three results are compared before anything is measured.

mod peak;
mod timing;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use pushforward::kernel::{Aligned, Layout, Panels, Rows, RowsMut, Simd, Start, product, weight_gradient};

use pushforward::rng::{Purpose, Streams};
use pushforward::{Rng, Source};

/// Rows of a block, as training takes them for batches below 2048.
const ROWS: usize = 64;

/// (m, k, n); hidden layers first, then a large square.
const SHAPES: [[usize; 3]; 4] = [[4096, 512, 512], [512, 256, 256], [256, 64, 64], [2048, 2048, 2048]];

/// The shapes that occur in training.
const TRAINED: usize = 3;

/// A matrix as the peers want it, row after row without a gap.
struct Dense {
    numbers: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Dense {
    fn zeros(rows: usize, cols: usize) -> Self {
        Self { numbers: vec![0.0; rows * cols], rows, cols }
    }

    fn normal(streams: &Streams, index: u64, rows: usize, cols: usize) -> Self {
        let mut dense = Self::zeros(rows, cols);
        Source::Normal.draw(&mut streams.stream(index), &mut dense.numbers);
        dense
    }

    fn ndarray(&self) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.rows, self.cols), &self.numbers).expect("whole rows")
    }

    fn ndarray_mut(&mut self) -> ArrayViewMut2<'_, f32> {
        ArrayViewMut2::from_shape((self.rows, self.cols), &mut self.numbers).expect("whole rows")
    }

    fn faer(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.numbers, self.rows, self.cols)
    }

    fn faer_mut(&mut self) -> MatMut<'_, f32> {
        MatMut::from_row_major_slice_mut(&mut self.numbers, self.rows, self.cols)
    }

    /// Panics if a number differs by more than the rounding of sums of `terms` products of numbers of size 1.
    fn assert_close(&self, other: &Self, terms: usize) {
        #[allow(clippy::cast_precision_loss, reason = "some thousands")]
        let bound = 1e-6 * terms as f32;
        for (i, (a, b)) in self.numbers.iter().zip(&other.numbers).enumerate() {
            assert!((a - b).abs() <= bound, "number {i}: {a} and {b}");
        }
    }
}

/// A matrix as a network holds it: rows at a multiple of 64 bytes, and not at 512 bytes or its multiples.
struct Padded {
    numbers: Aligned<f32>,
    cols: usize,
    stride: usize,
}

impl Padded {
    fn zeros(rows: usize, cols: usize) -> Self {
        let whole = cols.next_multiple_of(16);
        let stride = if whole.is_multiple_of(128) { whole + 16 } else { whole };
        Self { numbers: Aligned::zeros(rows * stride), cols, stride }
    }

    fn from_dense(dense: &Dense) -> Self {
        let mut padded = Self::zeros(dense.rows, dense.cols);
        for (i, row) in dense.numbers.chunks_exact(dense.cols).enumerate() {
            padded.rows_mut().row_mut(i).copy_from_slice(row);
        }
        padded
    }

    fn to_dense(&self) -> Dense {
        let rows = self.rows();
        let numbers = (0..rows.rows()).flat_map(|i| rows.row(i)).copied().collect();
        Dense { numbers, rows: rows.rows(), cols: self.cols }
    }

    fn rows(&self) -> Rows<'_, f32> {
        Rows::new(&self.numbers, self.cols, self.stride)
    }

    fn rows_mut(&mut self) -> RowsMut<'_, f32> {
        RowsMut::new(&mut self.numbers, self.cols, self.stride)
    }

    fn blocks(&self) -> impl Iterator<Item = Rows<'_, f32>> {
        self.numbers.chunks(ROWS * self.stride).map(|block| Rows::new(block, self.cols, self.stride))
    }

    fn blocks_mut(&mut self) -> impl Iterator<Item = RowsMut<'_, f32>> {
        let (cols, stride) = (self.cols, self.stride);
        self.numbers.chunks_mut(ROWS * stride).map(move |block| RowsMut::new(block, cols, stride))
    }
}

/// y = x w, block by block.
fn multiply(simd: Simd, x: &Padded, w: &Panels<f32>, y: &mut Padded) {
    for (x, y) in x.blocks().zip(y.blocks_mut()) {
        product(simd, x, w, Start::Zero, y);
    }
}

/// d_w += xᵀ d_y and d_b += the column sums of d_y, block by block.
fn add_gradient(simd: Simd, x: &Padded, d_y: &Padded, d_w: &mut Dense, d_b: &mut [f32]) {
    for (x, d_y) in x.blocks().zip(d_y.blocks()) {
        weight_gradient(simd, x, d_y, &mut d_w.numbers, d_b);
    }
}

/// y = a b by the two peers, which must find what ours found.
fn peers(
    group: &mut BenchmarkGroup<'_, WallTime>,
    shape: &str,
    [a, b]: [(&Dense, Order); 2],
    found: &Dense,
    terms: usize,
) {
    let mut y = Dense::zeros(found.rows, found.cols);
    let [left, right] = [a, b].map(|(matrix, order)| match order {
        Order::Straight => matrix.ndarray(),
        Order::Transposed => matrix.ndarray().reversed_axes(),
    });
    general_mat_mul(1.0, &left, &right, 0.0, &mut y.ndarray_mut());
    y.assert_close(found, terms);
    group.bench_function(BenchmarkId::new("matrixmultiply", shape), |b| {
        b.iter(|| general_mat_mul(1.0, &left, &right, 0.0, &mut y.ndarray_mut()));
    });
    let [left, right] = [a, b].map(|(matrix, order)| match order {
        Order::Straight => matrix.faer(),
        Order::Transposed => matrix.faer().transpose(),
    });
    matmul(y.faer_mut(), Accum::Replace, left, right, 1.0, Par::Seq);
    y.assert_close(found, terms);
    group.bench_function(BenchmarkId::new("gemm", shape), |b| {
        b.iter(|| matmul(y.faer_mut(), Accum::Replace, left, right, 1.0, Par::Seq));
    });
}

/// Whether a matrix is multiplied as it stands or transposed.
#[derive(Clone, Copy)]
enum Order {
    Straight,
    Transposed,
}

/// The group of one kind of product, of m k n multiply-adds.
fn group<'a>(
    c: &'a mut Criterion,
    name: &str,
    [m, k, n]: [usize; 3],
) -> (BenchmarkGroup<'a, WallTime>, String) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(2 * (m * k * n) as u64));
    if m * k * n >= 1 << 30 {
        group.sampling_mode(SamplingMode::Flat).sample_size(20);
    }
    (group, format!("{m}x{k}x{n}"))
}

fn forward(c: &mut Criterion, simd: Simd, streams: &Streams, [m, k, n]: [usize; 3]) {
    let (mut group, shape) = group(c, "matmul", [m, k, n]);
    let (x, w) = (Dense::normal(streams, 0, m, k), Dense::normal(streams, 1, k, n));
    let (padded, mut y) = (Padded::from_dense(&x), Padded::zeros(m, n));
    let mut panels = Panels::new(k, n, simd);
    panels.pack(&w.numbers, Layout::Straight);
    multiply(simd, &padded, &panels, &mut y);
    let found = y.to_dense();
    group.bench_function(BenchmarkId::new("packed", &shape), |b| {
        b.iter(|| multiply(simd, &padded, &panels, &mut y));
    });
    group.bench_function(BenchmarkId::new("packing", &shape), |b| {
        b.iter(|| {
            panels.pack(&w.numbers, Layout::Straight);
            multiply(simd, &padded, &panels, &mut y);
        });
    });
    peers(&mut group, &shape, [(&x, Order::Straight), (&w, Order::Straight)], &found, k);
    group.finish();
}

fn weights(c: &mut Criterion, simd: Simd, streams: &Streams, [m, k, n]: [usize; 3]) {
    let (mut group, shape) = group(c, "d_w", [m, k, n]);
    let (x, d_y) = (Dense::normal(streams, 0, m, k), Dense::normal(streams, 1, m, n));
    let (padded_x, padded_d_y) = (Padded::from_dense(&x), Padded::from_dense(&d_y));
    let (mut d_w, mut d_b) = (Dense::zeros(k, n), vec![0.0; n]);
    add_gradient(simd, &padded_x, &padded_d_y, &mut d_w, &mut d_b);
    let found = Dense { numbers: d_w.numbers.clone(), rows: k, cols: n };
    group.bench_function(BenchmarkId::new("blocks", &shape), |b| {
        b.iter(|| add_gradient(simd, &padded_x, &padded_d_y, &mut d_w, &mut d_b));
    });
    group.bench_function(BenchmarkId::new("whole", &shape), |b| {
        b.iter(|| weight_gradient(simd, padded_x.rows(), padded_d_y.rows(), &mut d_w.numbers, &mut d_b));
    });
    peers(&mut group, &shape, [(&x, Order::Transposed), (&d_y, Order::Straight)], &found, m);
    group.finish();
}

fn inputs(c: &mut Criterion, simd: Simd, streams: &Streams, [m, k, n]: [usize; 3]) {
    let (mut group, shape) = group(c, "d_x", [m, k, n]);
    let (d_y, w) = (Dense::normal(streams, 0, m, n), Dense::normal(streams, 1, k, n));
    let (padded, mut d_x) = (Padded::from_dense(&d_y), Padded::zeros(m, k));
    let mut panels = Panels::new(n, k, simd);
    panels.pack(&w.numbers, Layout::Transposed);
    multiply(simd, &padded, &panels, &mut d_x);
    let found = d_x.to_dense();
    group.bench_function(BenchmarkId::new("packed", &shape), |b| {
        b.iter(|| multiply(simd, &padded, &panels, &mut d_x));
    });
    group.bench_function(BenchmarkId::new("packing", &shape), |b| {
        b.iter(|| {
            panels.pack(&w.numbers, Layout::Transposed);
            multiply(simd, &padded, &panels, &mut d_x);
        });
    });
    peers(&mut group, &shape, [(&d_y, Order::Straight), (&w, Order::Transposed)], &found, n);
    group.finish();
}

fn main() {
    timing::measure(|c| {
        let simd = Simd::detect();
        let streams = Rng::from_seed(0).fork(Purpose::Data);
        peak::peak(c, "matmul", "one thread", &timing::pool(1));
        for shape in SHAPES {
            forward(c, simd, &streams, shape);
        }
        for shape in &SHAPES[..TRAINED] {
            weights(c, simd, &streams, *shape);
            inputs(c, simd, &streams, *shape);
        }
    });
}
