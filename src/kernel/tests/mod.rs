//! Every kernel against its naive twin, over random shapes, for both types and at every SIMD level of this CPU.

mod functions;
mod posteriors;
mod products;
mod sums;

use proptest::prelude::ProptestConfig;

use super::dispatch::{Simd, SimdLevel};
use super::real::Real;
use super::rows::{Rows, RowsMut};
use crate::rng::{Purpose, Rng, Stream};

/// Cases of each property: all tests of the kernels together take about two seconds.
const CASES: u32 = 256;

fn cases() -> ProptestConfig {
    ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() }
}

/// Every level that this CPU has.
fn levels() -> Vec<Simd> {
    let all = [SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512];
    all.into_iter().filter_map(|level| Simd::of(level).ok()).collect()
}

fn numbers(seed: u64) -> Stream {
    Rng::from_seed(seed).fork(Purpose::Data).stream(0)
}

/// Numbers from N(0, 1).
fn normals<R: Real>(stream: &mut Stream, n: usize) -> Vec<R> {
    (0..n).map(|_| R::from_f64(stream.normal())).collect()
}

/// The exact bits, to compare without a tolerance.
fn bits<R: Real>(numbers: &[R]) -> Vec<u64> {
    numbers.iter().map(|x| x.to_f64().to_bits()).collect()
}

/// A matrix whose rows are padded with NaN: what reads the padding shows it, and what writes it is found.
#[derive(Debug, Clone)]
struct Padded<R> {
    data: Vec<R>,
    cols: usize,
    stride: usize,
}

impl<R: Real> Padded<R> {
    fn from_fn(rows: usize, cols: usize, padding: usize, mut f: impl FnMut(usize, usize) -> f64) -> Self {
        // A row without numbers needs padding, or the slice could not tell how many rows there are.
        let stride = (cols + padding).max(1);
        let mut data = vec![R::from_f64(f64::NAN); rows * stride];
        for i in 0..rows {
            for j in 0..cols {
                data[i * stride + j] = R::from_f64(f(i, j));
            }
        }
        Self { data, cols, stride }
    }

    fn normal(rows: usize, cols: usize, padding: usize, stream: &mut Stream) -> Self {
        Self::from_fn(rows, cols, padding, |_, _| stream.normal())
    }

    fn rows(&self) -> Rows<'_, R> {
        Rows::new(&self.data, self.cols, self.stride)
    }

    fn rows_mut(&mut self) -> RowsMut<'_, R> {
        RowsMut::new(&mut self.data, self.cols, self.stride)
    }

    /// Row `i` as a matrix of its own, with other padding.
    fn alone(&self, i: usize, padding: usize) -> Self {
        Self::from_fn(1, self.cols, padding, |_, j| self.rows().row(i)[j].to_f64())
    }

    /// All numbers without the padding, after a check that the padding is as it was.
    fn numbers(&self) -> Vec<R> {
        for row in self.data.chunks(self.stride) {
            assert!(row[self.cols..].iter().all(|x| x.to_f64().is_nan()), "the padding was written");
        }
        self.without_padding()
    }

    /// All numbers without the padding, whatever that holds by now.
    fn without_padding(&self) -> Vec<R> {
        self.data.chunks(self.stride).flat_map(|row| &row[..self.cols]).copied().collect()
    }
}
