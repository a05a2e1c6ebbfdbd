//! The matrix products against [`naive`].

use proptest::prelude::*;

use super::super::dispatch::{Simd, SimdLevel};
use super::super::gradient::weight_gradient;
use super::super::matmul::{Start, product};
use super::super::naive;
use super::super::narrow::NARROW;
use super::super::panels::{Layout, Panels};
use super::super::real::Real;
use super::super::rows::{Rows, RowsMut};
use super::{Padded, bits, cases, levels, normals, numbers};

/// A sum of n products and a start is off by at most (n + 1) u times the sum of the magnitudes (N. Higham,
/// "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1), fused or not; kernel and twin both
/// are, hence 2; the terms of second order are below one per cent for every n here.
fn bound<R: Real>(n: usize, magnitude: R) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let roundings = (n + 1) as f64;
    2.02 * roundings * R::ROUNDOFF * magnitude.to_f64()
}

fn absolute<R: Real>(x: &[R]) -> Vec<R> {
    x.iter().map(|x| R::from_f64(x.to_f64().abs())).collect()
}

fn magnitudes<R: Real>(x: &Padded<R>) -> Padded<R> {
    Padded { data: absolute(&x.data), ..x.clone() }
}

fn assert_close<R: Real>(n: usize, got: &[R], expected: &[R], magnitude: &[R]) {
    assert_eq!(got.len(), expected.len());
    for ((got, expected), magnitude) in got.iter().zip(expected).zip(magnitude) {
        let error = (got.to_f64() - expected.to_f64()).abs();
        assert!(error <= bound::<R>(n, *magnitude), "{got} against {expected}: {error:e}");
    }
}

/// Shapes around the tiles: up to two tiles of 8 rows and a tail, and up to two panels of 2 x 16 columns and a tail.
fn shapes() -> impl Strategy<Value = (usize, usize, usize, usize)> {
    let sizes = prop_oneof![1 => Just(0_usize), 1 => Just(1), 4 => 0_usize..20, 3 => 20_usize..70];
    (0_usize..21, sizes.clone(), sizes, prop_oneof![0_usize..4, 14_usize..40])
}

/// What the sums of a product start from.
#[derive(Debug, Clone, Copy)]
enum Begin {
    Zero,
    Bias,
    Accumulate,
}

impl Begin {
    fn start<R>(self, bias: &[R]) -> Start<'_, R> {
        match self {
            Self::Zero => Start::Zero,
            Self::Bias => Start::Bias(bias),
            Self::Accumulate => Start::Accumulate,
        }
    }
}

fn check_product<R: Real>(
    simd: Simd,
    (rows, k, n, padding): (usize, usize, usize, usize),
    begin: Begin,
    layout: Layout,
    seed: u64,
) {
    let mut stream = numbers(seed);
    let x = Padded::<R>::normal(rows, k, padding, &mut stream);
    let w = normals::<R>(&mut stream, k * n);
    let bias = normals::<R>(&mut stream, n);
    let y = Padded::<R>::normal(rows, n, padding / 2, &mut stream);
    let twin = match layout {
        Layout::Straight => naive::product,
        Layout::Transposed => naive::product_transposed,
    };
    let mut panels = Panels::new(k, n, simd);
    panels.pack(&w, layout);

    let (mut got, mut expected) = (y.clone(), y.clone());
    product(simd, x.rows(), &panels, begin.start(&bias), got.rows_mut());
    twin(x.rows(), &w, begin.start(&bias), expected.rows_mut());
    let (got, expected) = (got.without_padding(), expected.numbers());
    if simd.level() == SimdLevel::Portable {
        let expected = if n <= NARROW {
            in_narrow_order(&x, &w, begin.start(&bias), &y, layout)
        } else {
            expected.clone()
        };
        assert_eq!(bits(&got), bits(&expected));
    }
    let mut magnitude = magnitudes(&y);
    twin(magnitudes(&x).rows(), &absolute(&w), begin.start(&absolute(&bias)), magnitude.rows_mut());
    assert_close(k, &got, &expected, &magnitude.numbers());

    // Each row alone has the same bits as in the batch.
    for i in 0..rows {
        let (x, mut y) = (x.alone(i, 0), y.alone(i, padding));
        product(simd, x.rows(), &panels, begin.start(&bias), y.rows_mut());
        assert_eq!(bits(&y.without_padding()), bits(&got[i * n..(i + 1) * n]), "row {i}");
    }
}

/// The order that the head of `narrow` states, term by term, each rounded by itself.
fn in_narrow_order<R: Real>(
    x: &Padded<R>,
    w: &[R],
    start: Start<'_, R>,
    y: &Padded<R>,
    layout: Layout,
) -> Vec<R> {
    let (k, n) = (x.cols, y.cols);
    let mut all = Vec::new();
    for i in 0..x.rows().rows() {
        for j in 0..n {
            let mut a = [R::ZERO; 16];
            for p in 0..k {
                let w = if layout == Layout::Straight { w[p * n + j] } else { w[j * k + p] };
                a[p % 16] += x.rows().row(i)[p] * w;
            }
            let eight: [R; 8] = std::array::from_fn(|j| a[j] + a[j + 8]);
            let four: [R; 4] = std::array::from_fn(|j| eight[j] + eight[j + 4]);
            let sum = (four[0] + four[2]) + (four[1] + four[3]);
            all.push(match start {
                Start::Zero => sum,
                Start::Bias(bias) => bias[j] + sum,
                Start::Accumulate => y.rows().row(i)[j] + sum,
            });
        }
    }
    all
}

fn check_gradient<R: Real>(simd: Simd, (rows, k, n, padding): (usize, usize, usize, usize), seed: u64) {
    let mut stream = numbers(seed);
    let x = Padded::<R>::normal(rows, k, padding / 2, &mut stream);
    let d_y = Padded::<R>::normal(rows, n, padding, &mut stream);
    let (d_w, d_b) = (normals::<R>(&mut stream, k * n), normals::<R>(&mut stream, n));
    let (mut got_w, mut got_b) = (d_w.clone(), d_b.clone());
    let (mut expected_w, mut expected_b) = (d_w.clone(), d_b.clone());
    weight_gradient(simd, x.rows(), d_y.rows(), &mut got_w, &mut got_b);
    naive::weight_gradient(x.rows(), d_y.rows(), &mut expected_w, &mut expected_b);
    assert_eq!(bits(&got_b), bits(&expected_b), "sums without products are not fused at any level");
    if simd.level() == SimdLevel::Portable {
        assert_eq!(bits(&got_w), bits(&expected_w));
    }
    let (mut magnitude_w, mut magnitude_b) = (absolute(&d_w), absolute(&d_b));
    naive::weight_gradient(
        magnitudes(&x).rows(),
        magnitudes(&d_y).rows(),
        &mut magnitude_w,
        &mut magnitude_b,
    );
    assert_close(rows, &got_w, &expected_w, &magnitude_w);
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn products_are_those_of_the_twin(
        shape in shapes(),
        begin in prop_oneof![Just(Begin::Zero), Just(Begin::Bias), Just(Begin::Accumulate)],
        layout in prop_oneof![Just(Layout::Straight), Just(Layout::Transposed)],
        seed in 0_u64..1 << 32,
    ) {
        for simd in levels() {
            check_product::<f32>(simd, shape, begin, layout, seed);
            check_product::<f64>(simd, shape, begin, layout, seed);
        }
    }

    #[test]
    fn weight_gradients_are_those_of_the_twin(shape in shapes(), seed in 0_u64..1 << 32) {
        for simd in levels() {
            check_gradient::<f32>(simd, shape, seed);
            check_gradient::<f64>(simd, shape, seed);
        }
    }
}

/// The layers of a network with a narrow output, in small whole numbers: every sum is exact, so every level must
/// give the very numbers of the twin, forward and backward.
fn check_narrow<R: Real>(simd: Simd, rows: usize, k: usize, n: usize) {
    let whole =
        |i: usize, j: usize, salt: usize| f64::from(u8::try_from((7 * i + 3 * j + salt) % 11).unwrap()) - 5.0;
    let x = Padded::<R>::from_fn(rows, k, 0, |i, j| whole(i, j, 1));
    let d_y = Padded::<R>::from_fn(rows, n, 0, |i, j| whole(i, j, 2));
    let w: Vec<R> = (0..k * n).map(|i| R::from_f64(whole(i, 0, 3))).collect();
    let bias: Vec<R> = (0..n).map(|j| R::from_f64(whole(0, j, 4))).collect();

    let mut panels = Panels::new(k, n, simd);
    panels.pack(&w, Layout::Straight);
    let (mut got, mut expected) = (d_y.clone(), d_y.clone());
    product(simd, x.rows(), &panels, Start::Bias(&bias), got.rows_mut());
    naive::product(x.rows(), &w, Start::Bias(&bias), expected.rows_mut());
    assert_eq!(got.numbers(), expected.numbers(), "y of {rows} x {k} x {n}");

    // d_x = d_y wᵀ: the transpose of w is [n, k], and w holds its columns as rows.
    let mut transposed = Panels::new(n, k, simd);
    transposed.pack(&w, Layout::Transposed);
    let (mut got, mut expected) = (x.clone(), x.clone());
    product(simd, d_y.rows(), &transposed, Start::Zero, got.rows_mut());
    naive::product_transposed(d_y.rows(), &w, Start::Zero, expected.rows_mut());
    assert_eq!(got.numbers(), expected.numbers(), "d_x of {rows} x {k} x {n}");

    let (mut got, mut expected) = ((w.clone(), bias.clone()), (w.clone(), bias.clone()));
    weight_gradient(simd, x.rows(), d_y.rows(), &mut got.0, &mut got.1);
    naive::weight_gradient(x.rows(), d_y.rows(), &mut expected.0, &mut expected.1);
    assert_eq!(got, expected, "d_w and d_b of {rows} x {k} x {n}");
}

#[test]
fn narrow_outputs_are_exact_in_whole_numbers() {
    for simd in levels() {
        for n in [1, 2, 3, 4, 5] {
            for k in [1, 2, 3, 15, 16, 17, 64, 65] {
                for rows in [1, 2, 5, 8, 13, 64] {
                    check_narrow::<f32>(simd, rows, k, n);
                    check_narrow::<f64>(simd, rows, k, n);
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "length of the bias")]
fn a_short_bias_is_refused() {
    let simd = Simd::portable();
    let panels = Panels::new(2, 3, simd);
    let mut y = [0.0_f32; 3];
    product(simd, Rows::new(&[1.0, 1.0], 2, 2), &panels, Start::Bias(&[1.0; 2]), RowsMut::new(&mut y, 3, 3));
}

#[test]
fn panels_of_other_lanes_are_refused() {
    let Ok(simd) = Simd::of(SimdLevel::Avx512) else { return };
    let panels = Panels::new(2, 3, Simd::portable());
    let mut y = [0.0_f32; 3];
    let refused = std::panic::catch_unwind(move || {
        product(simd, Rows::new(&[1.0, 1.0], 2, 2), &panels, Start::Zero, RowsMut::new(&mut y, 3, 3));
    });
    assert!(refused.is_err());
}
