//! Sums whose order is fixed: the same bits at every SIMD level, for every stride ([`sum_products`]: at each level its own).
//!
//! # Math
//! A row is added by 16 accumulators in f64: number c of the row goes to accumulator c mod 16, in the order
//! of the rows and of the numbers. At the end accumulators 8 apart are added, then 4, 2 and 1 apart:
//! ```text
//! for each row, for each c: a[c mod 16] += term(row[c])
//! for half in 8, 4, 2, 1:   for j in 0 .. half: a[j] += a[j + half]
//! ```
//! A slice is one row. Products of two f32 are exact in f64, and nothing is fused. [`sum_products`], for the traces of
//! divergences, adds K terms of each column in R and the columns in f64.
//!
//! # Limits
//! Errors are below (n / 16 + 5) 2^-53 times the sum of the magnitudes for slices, plus 2^-53 of each term for f64.
//! A matrix with c < 16 columns uses c of the accumulators, so that sums over its B rows add B terms each.

use super::dispatch::{Kernel, Simd};
use super::lane::Lane;
use super::real::Real;
use super::rows::{Rows, RowsMut};
use super::tile::{load_lanes, store_lanes};

/// Accumulators of a sum: two AVX-512 registers of f64, whatever the level.
const ACCUMULATORS: usize = 16;

/// |u - target|² of each row, into `squares` of shape [B, 1]; u and target are [B, n].
///
/// The difference is rounded to R; its square is added in f64, and the sum is rounded to R.
///
/// # Panics
/// If the shapes differ.
///
/// # Example
/// ```
/// use pushforward::kernel::{Rows, RowsMut, Simd, squared_distances};
///
/// let (u, target, mut squares) = ([1.0_f32, 2.0], [0.0, 4.0], [0.0]);
/// let (u, target) = (Rows::new(&u, 2, 2), Rows::new(&target, 2, 2));
/// squared_distances(Simd::detect(), u, target, RowsMut::new(&mut squares, 1, 1));
/// assert_eq!(squares, [5.0]);
/// ```
pub fn squared_distances<R: Real>(simd: Simd, u: Rows<'_, R>, target: Rows<'_, R>, squares: RowsMut<'_, R>) {
    assert_eq!((u.rows(), u.cols()), (target.rows(), target.cols()), "shapes of u and target");
    assert_eq!((u.rows(), 1), (squares.rows(), squares.cols()), "one square for each row");
    simd.run(SquaredDistances { u, target, squares });
}

/// The sum of all numbers of `a`.
#[must_use]
pub fn sum<R: Real>(simd: Simd, a: &[R]) -> f64 {
    simd.run(Sum { a })
}

/// The sum of the squares of all numbers of `a`.
#[must_use]
pub fn sum_squares<R: Real>(simd: Simd, a: &[R]) -> f64 {
    simd.run(Dot { a, b: a })
}

/// The sum of the products of `a` and `b`, number by number.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn dot<R: Real>(simd: Simd, a: &[R], b: &[R]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths of the factors");
    simd.run(Dot { a, b })
}

/// For each i the sum over rows i K .. (i + 1) K of a times the K rows of b, number by number: a is [K B, n], b is [K, n],
/// `sums` has length B. Each column is added in R over the K rows in order, with one rounding or two as the level does; the
/// columns are added in f64, in order.
///
/// # Panics
/// If the columns differ, or the rows of a are not K for each sum.
///
/// # Example
/// ```
/// use pushforward::kernel::{Rows, Simd, sum_products};
///
/// let (a, b) = ([1.0_f32, 2.0, 3.0, 4.0, 0.0, 5.0, 0.0, 0.0], [1.0, 1.0, 10.0, 10.0]);
/// let mut sums = [0.0; 2];
/// sum_products(Simd::detect(), Rows::new(&a, 2, 2), Rows::new(&b, 2, 2), &mut sums);
/// assert_eq!(sums, [73.0, 5.0]);
/// ```
pub fn sum_products<R: Real>(simd: Simd, a: Rows<'_, R>, b: Rows<'_, R>, sums: &mut [f64]) {
    assert_eq!((a.rows(), a.cols()), (b.rows() * sums.len(), b.cols()), "shapes of the factors");
    simd.run(SumProducts { a, b, sums });
}

struct SumProducts<'a, R> {
    a: Rows<'a, R>,
    b: Rows<'a, R>,
    sums: &'a mut [f64],
}

impl<R: Real> Kernel<R> for SumProducts<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { a, b, sums } = self;
        let rows = b.rows();
        for (i, sum) in sums.iter_mut().enumerate() {
            let a = Rows { data: &a.data[i * rows * a.stride..(i + 1) * rows * a.stride], ..a };
            *sum = 0.0;
            for col in (0..a.cols).step_by(4 * L::WIDTH) {
                *sum += if a.stride.min(b.stride) - col >= 4 * L::WIDTH {
                    column_products::<L, true>(a, b, col)
                } else {
                    column_products::<L, false>(a, b, col)
                };
            }
        }
    }
}

/// The part of four lanes of columns.
#[inline(always)]
fn column_products<L: Lane, const WHOLE: bool>(
    a: Rows<'_, L::Real>,
    b: Rows<'_, L::Real>,
    col: usize,
) -> f64 {
    let mut sums = [L::splat(L::Real::ZERO); 4];
    for i in 0..a.rows() {
        let (a_end, b_end) = if WHOLE { (a.stride, b.stride) } else { (a.cols, b.cols) };
        let x = load_lanes::<L, 4, WHOLE>(&a.data[i * a.stride..][col..a_end]);
        let y = load_lanes::<L, 4, WHOLE>(&b.data[i * b.stride..][col..b_end]);
        for j in 0..4 {
            sums[j] = x[j].mul_add(y[j], sums[j]);
        }
    }
    let mut numbers = [L::Real::ZERO; 64];
    store_lanes::<L, 4, true>(sums, &mut numbers);
    numbers[..(a.cols - col).min(4 * L::WIDTH)].iter().map(|x| x.to_f64()).sum()
}

/// The 16 sums of a reduction.
pub(super) struct Accumulators([f64; ACCUMULATORS]);

impl Accumulators {
    pub(super) fn new() -> Self {
        Self([0.0; ACCUMULATORS])
    }

    /// Adds a product of two numbers of a row to each accumulator; `a` and `b` begin at a column that
    /// is a multiple of 16.
    #[inline(always)]
    pub(super) fn add_products<R: Real>(&mut self, a: &[R], b: &[R]) {
        let (a, a_tail) = a.as_chunks::<ACCUMULATORS>();
        let (b, b_tail) = b.as_chunks::<ACCUMULATORS>();
        for (a, b) in a.iter().zip(b) {
            for j in 0..ACCUMULATORS {
                self.0[j] += a[j].to_f64() * b[j].to_f64();
            }
        }
        for (j, (a, b)) in a_tail.iter().zip(b_tail).enumerate() {
            self.0[j] += a.to_f64() * b.to_f64();
        }
    }

    /// Adds the square of each difference, which is rounded to R.
    #[inline(always)]
    fn add_squared_differences<R: Real>(&mut self, a: &[R], b: &[R]) {
        let (a, a_tail) = a.as_chunks::<ACCUMULATORS>();
        let (b, b_tail) = b.as_chunks::<ACCUMULATORS>();
        for (a, b) in a.iter().zip(b) {
            for j in 0..ACCUMULATORS {
                let difference = (a[j] - b[j]).to_f64();
                self.0[j] += difference * difference;
            }
        }
        for (sum, (&a, &b)) in self.0.iter_mut().zip(a_tail.iter().zip(b_tail)) {
            let difference = (a - b).to_f64();
            *sum += difference * difference;
        }
    }

    /// Adds each number of a row that begins at a column that is a multiple of 16.
    #[inline(always)]
    fn add_numbers<R: Real>(&mut self, a: &[R]) {
        let (a, tail) = a.as_chunks::<ACCUMULATORS>();
        for a in a {
            for j in 0..ACCUMULATORS {
                self.0[j] += a[j].to_f64();
            }
        }
        for (sum, a) in self.0.iter_mut().zip(tail) {
            *sum += a.to_f64();
        }
    }

    /// The sum of the sums.
    #[inline(always)]
    pub(super) fn total(mut self) -> f64 {
        let mut half = ACCUMULATORS / 2;
        while half > 0 {
            for j in 0..half {
                self.0[j] += self.0[j + half];
            }
            half /= 2;
        }
        self.0[0]
    }
}

struct SquaredDistances<'a, R> {
    u: Rows<'a, R>,
    target: Rows<'a, R>,
    squares: RowsMut<'a, R>,
}

impl<R: Real> Kernel<R> for SquaredDistances<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { u, target, mut squares } = self;
        for i in 0..u.rows() {
            let mut sums = Accumulators::new();
            sums.add_squared_differences(u.row(i), target.row(i));
            squares.row_mut(i)[0] = R::from_f64(sums.total());
        }
    }
}

struct Sum<'a, R> {
    a: &'a [R],
}

impl<R: Real> Kernel<R> for Sum<'_, R> {
    type Output = f64;
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) -> f64 {
        let mut sums = Accumulators::new();
        sums.add_numbers(self.a);
        sums.total()
    }
}

struct Dot<'a, R> {
    a: &'a [R],
    b: &'a [R],
}

impl<R: Real> Kernel<R> for Dot<'_, R> {
    type Output = f64;
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) -> f64 {
        let mut sums = Accumulators::new();
        sums.add_products(self.a, self.b);
        sums.total()
    }
}
