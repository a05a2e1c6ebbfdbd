//! exp and its relatives against the standard library, the activations against [`naive`].

use proptest::prelude::*;
use rayon::prelude::*;

use super::super::dispatch::{Kernel, Simd};
use super::super::lane::Lane;
use super::super::map::{Activation, activate, multiply, multiply_each};
use super::super::real::Real;
use super::super::rows::RowsMut;
use super::super::{math, naive};
use super::{Padded, bits, cases, levels, numbers};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Function {
    Exp,
    ExpM1,
    Ln1p,
    Sigmoid,
    NormalCdf,
}

impl Function {
    fn exact(self, x: f64) -> f64 {
        match self {
            Self::Exp => x.exp(),
            Self::ExpM1 => x.exp_m1(),
            Self::Ln1p => x.ln_1p(),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::NormalCdf => naive::normal_cdf(x),
        }
    }
}

/// A function of every number of a slice.
struct Apply<'a, R> {
    function: Function,
    x: &'a mut [R],
}

impl<R: Real> Kernel<R> for Apply<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        for x in self.x {
            let at = L::Single::splat(*x);
            let value = match self.function {
                Function::Exp => math::exp(at),
                Function::ExpM1 => math::exp_m1(at),
                Function::Ln1p => math::ln_1p(at),
                Function::Sigmoid => math::sigmoid(at),
                Function::NormalCdf => math::normal_cdf(at).0,
            };
            value.store(std::slice::from_mut(x));
        }
    }
}

fn apply<R: Real>(simd: Simd, function: Function, x: &[f64]) -> Vec<R> {
    let mut y: Vec<R> = x.iter().map(|&x| R::from_f64(x)).collect();
    simd.run(Apply { function, x: &mut y });
    y
}

/// From `low` to `high` in even steps that hit no round number, and both ways from zero by factors.
fn grid<R: Real>(low: f64, high: f64) -> Vec<f64> {
    const POINTS: u32 = 60_000;
    let even = (0..POINTS).map(|i| low + (high - low) * (f64::from(i) + 0.377) / f64::from(POINTS));
    let small = (1..2000).map(|i| high.min(1.0) * (-f64::from(i) * 0.0137).exp());
    let all = even.chain(small.clone()).chain(small.map(|x| -x)).filter(|x| (low..=high).contains(x));
    all.map(|x| R::from_f64(x).to_f64()).collect()
}

/// The distance between neighbours of this type at x.
fn ulp<R: Real>(x: f64) -> f64 {
    let smallest_normal = (1.0 - R::EXPONENT_BIAS).exp2();
    2.0 * R::ROUNDOFF * x.abs().max(smallest_normal).log2().floor().exp2()
}

/// The greatest error in ulp over a grid; for Phi in the lower tail, ulp times (1 + x²), because e^(-x²/2)
/// magnifies the roundoff of x² by x² / 2.
fn greatest_error<R: Real>(simd: Simd, function: Function, low: f64, high: f64) -> f64 {
    let x = grid::<R>(low, high);
    let y = apply::<R>(simd, function, &x);
    let mut greatest = 0.0_f64;
    for (&x, y) in x.iter().zip(y) {
        let exact = function.exact(x);
        let allowance = if function == Function::NormalCdf && x < 0.0 { 1.0 + x * x } else { 1.0 };
        let error = (y.to_f64() - exact).abs() / ulp::<R>(exact) / allowance;
        assert!(error.is_finite(), "{function:?}({x}) = {y}");
        greatest = greatest.max(error);
    }
    greatest
}

/// Greatest errors in ulp (see `greatest_error`) for f32 and f64. Those of f32 are of every number there is, rounded up
/// (Phi: measured over a grid, 4.16, and a quarter of an ulp). Measured over grids for f64: 1, 2, 3, 2 and 6.81; one ulp is
/// added, because the reference is itself off by up to one, in other ways in other libraries.
const ULP_BOUNDS: [(Function, [f64; 2]); 5] = [
    (Function::Exp, [1.18, 2.0]),
    (Function::ExpM1, [2.09, 3.0]),
    (Function::Ln1p, [2.9, 4.0]),
    (Function::Sigmoid, [3.06, 3.0]),
    (Function::NormalCdf, [4.4, 7.8]),
];

/// Up to where the results leave the normal numbers, or (the logistic function) where they stop falling: for f32 and f64.
fn ends(function: Function) -> [[f64; 2]; 2] {
    match function {
        Function::Exp | Function::ExpM1 => [[-87.3, 88.3], [-708.3, 709.3]],
        Function::Ln1p => [[0.0, 1.0], [0.0, 1.0]],
        Function::Sigmoid => [[-86.9, 100.0], [-708.0, 800.0]],
        Function::NormalCdf => [[-12.9, 12.9], [-37.4, 37.4]],
    }
}

#[test]
fn functions_keep_their_error_in_ulp() {
    for (function, [single, double]) in ULP_BOUNDS {
        let [[low, high], [low_64, high_64]] = ends(function);
        for simd in levels() {
            let f32_error = greatest_error::<f32>(simd, function, low, high);
            let f64_error = greatest_error::<f64>(simd, function, low_64, high_64);
            assert!(f32_error <= single && f64_error <= double, "{function:?}: {f32_error} {f64_error}");
        }
    }
}

/// Numbers that are looked at together.
const BLOCK: u32 = 1 << 16;

/// The greatest error in ulp at any level, over the f32 whose bits are `first .. first + BLOCK`.
fn greatest_error_of_block(function: Function, first: u32) -> f64 {
    let x: Vec<f32> = (first..first + BLOCK).map(f32::from_bits).collect();
    // The error in units of 2^-23 of the power of 2 below the exact value, or of the least normal number.
    let exact: Vec<(f64, f64)> = x
        .iter()
        .map(|&x| function.exact(f64::from(x)))
        .map(|y| {
            let power = f64::from_bits(y.to_bits() & 0x7ff0_0000_0000_0000).max(f64::from(f32::MIN_POSITIVE));
            (y, 8_388_608.0 / power)
        })
        .collect();
    let mut greatest = 0.0_f64;
    for simd in levels() {
        let mut y = x.clone();
        simd.run(Apply { function, x: &mut y });
        for (&y, &(exact, per_ulp)) in y.iter().zip(&exact) {
            let error = (f64::from(y) - exact).abs() * per_ulp;
            // NaN is greater than anything.
            greatest = if error <= greatest { greatest } else { error };
        }
    }
    greatest
}

#[test]
fn every_f32_keeps_the_error() {
    // Below 2^-26 all of them are 1, x, x or 1/2, to the last bit: the grids see that.
    let first = 2.0_f32.powi(-26).to_bits();
    for (function, [bound, _]) in ULP_BOUNDS {
        if function == Function::NormalCdf {
            continue; // its reference is a continued fraction: an hour
        }
        let [low, high] = ends(function)[0];
        #[allow(clippy::cast_possible_truncation, reason = "to the next f32 is near enough to an end")]
        let ends = [(0, high as f32), (1_u32 << 31, low.abs() as f32)];
        let blocks: Vec<u32> = ends
            .into_iter()
            .flat_map(|(sign, end)| {
                (first..end.to_bits().saturating_sub(BLOCK)).step_by(BLOCK as usize).map(move |b| sign | b)
            })
            .collect();
        let greatest = blocks.par_iter().map(|&first| greatest_error_of_block(function, first));
        let greatest = greatest.reduce(|| 0.0, f64::max);
        assert!(greatest <= bound, "{function:?}: {greatest}");
    }
}

/// mpmath 1.3.0, 40 digits, `mp.erf(x)`, `mp.erfc(x)`.
const ERF: [(f64, f64, f64); 8] = [
    (0.1, 0.112_462_916_018_284_9, 0.887_537_083_981_715),
    (0.5, 0.520_499_877_813_046_5, 0.479_500_122_186_953_5),
    (0.75, 0.711_155_633_653_515_1, 0.288_844_366_346_484_85),
    (1.0, 0.842_700_792_949_714_9, 0.157_299_207_050_285_13),
    (1.5, 0.966_105_146_475_310_7, 0.033_894_853_524_689_274),
    (3.0, 0.999_977_909_503_001_4, 2.209_049_699_858_544_3e-5),
    (6.0, 1.0, 2.151_973_671_249_891_3e-17),
    (20.0, 1.0, 5.395_865_611_607_901e-176),
];

/// mpmath 1.3.0, 40 digits, `mp.ncdf(x)`.
const PHI: [(f64, f64); 9] = [
    (-37.5, 4.605_353_009_581_955e-308),
    (-10.0, 7.619_853_024_160_526e-24),
    (-5.0, 2.866_515_718_791_939e-7),
    (-3.0, 0.001_349_898_031_630_094_5),
    (-1.0, 0.158_655_253_931_457_05),
    (-0.1, 0.460_172_162_722_971),
    (0.1, 0.539_827_837_277_029),
    (1.0, 0.841_344_746_068_542_9),
    (6.0, 0.999_999_999_013_412_4),
];

#[test]
fn erf_and_phi_have_their_known_values() {
    // Half an ulp for the known value, and a few roundings of the series or of the fraction.
    const RELATIVE: f64 = 1e-15;
    for (x, erf, erfc) in ERF {
        assert!((naive::erf(x) - erf).abs() <= RELATIVE * erf, "erf {x}");
        assert!((naive::erf(-x) + erf).abs() <= RELATIVE * erf, "erf -{x}");
        assert!((naive::erfc(x) - erfc).abs() <= RELATIVE * (1.0 + x * x) * erfc, "erfc {x}");
        assert!((naive::erfc(-x) - (1.0 + erf)).abs() <= RELATIVE * (1.0 + erf), "erfc -{x}");
    }
    for (x, phi) in PHI {
        let bound = RELATIVE * (1.0 + x * x) * phi;
        assert!((naive::normal_cdf(x) - phi).abs() <= bound, "twin of Phi({x})");
        for simd in levels() {
            let got = apply::<f64>(simd, Function::NormalCdf, &[x])[0];
            assert!((got - phi).abs() <= bound, "Phi({x}) = {got:e} at {}", simd.level());
        }
    }
}

/// The ends: NaN, infinities, zeros, and where exp saturates.
fn check_ends<R: Real>(simd: Simd) {
    let bias = R::EXPONENT_BIAS;
    // Smaller and greater than anything a sum or a product with ordinary numbers would notice.
    let (tiny, huge) = ((-0.98 * bias).exp2(), (0.98 * bias).exp2());
    let at = |function, x: f64| apply::<R>(simd, function, &[x])[0].to_f64();
    for function in ULP_BOUNDS.map(|(function, _)| function) {
        assert!(at(function, f64::NAN).is_nan(), "{function:?} of NaN");
    }
    for zero in [0.0, -0.0] {
        let values = [Function::Exp, Function::ExpM1, Function::Ln1p, Function::Sigmoid].map(|f| at(f, zero));
        // The sign of a zero is not kept.
        assert_eq!(values.map(|x| x.abs().to_bits()), [1.0_f64, 0.0, 0.0, 0.5].map(f64::to_bits));
        assert!((at(Function::NormalCdf, zero) - 0.5).abs() <= R::ROUNDOFF);
    }
    // exp saturates: from its ends on it is one finite number on each side, to infinity.
    let (low, high) = (-bias * std::f64::consts::LN_2, (bias + 1.0) * std::f64::consts::LN_2);
    for x in [low, 10.0 * low, -tiny.recip(), f64::NEG_INFINITY] {
        let value = at(Function::Exp, x);
        assert!(value > 0.0 && value < tiny, "exp {x} = {value:e}");
        assert_eq!(value.to_bits(), at(Function::Exp, f64::NEG_INFINITY).to_bits());
        assert!((at(Function::ExpM1, x) + 1.0).abs() < R::ROUNDOFF);
        assert!((0.0..tiny).contains(&at(Function::Sigmoid, x)));
        assert!((0.0..tiny).contains(&at(Function::NormalCdf, x)));
    }
    for x in [high, 10.0 * high, huge, f64::INFINITY] {
        let value = at(Function::Exp, x);
        assert!(value > huge && value.is_finite(), "exp {x} = {value:e}");
        assert_eq!(value.to_bits(), at(Function::ExpM1, f64::INFINITY).to_bits());
        assert_eq!(at(Function::Sigmoid, x).to_bits(), 1.0_f64.to_bits());
        assert_eq!(at(Function::NormalCdf, x).to_bits(), 1.0_f64.to_bits());
    }
}

#[test]
fn functions_end_as_they_should() {
    for simd in levels() {
        check_ends::<f32>(simd);
        check_ends::<f64>(simd);
    }
}

/// f(z) and f'(z) of the tuned kernel at each z.
fn curve<R: Real>(simd: Simd, activation: Activation, z: &[f64]) -> (Vec<R>, Vec<R>) {
    let mut y: Vec<R> = z.iter().map(|&z| R::from_f64(z)).collect();
    let mut slope = y.clone();
    let n = z.len();
    activate(simd, activation, RowsMut::new(&mut y, n, n), RowsMut::new(&mut slope, n, n));
    (y, slope)
}

/// Greatest error of value and slope in roundoffs times max(1, |z|), which is what a rounding of z costs. Measured
/// over all levels: 2.97 (gelu) for f32, 4 (tanh, of which the twin has a part) for f64; one roundoff is added.
const ACTIVATION_BOUND: f64 = 5.0;

fn check_activation<R: Real>(simd: Simd, activation: Activation, z: &[f64], value: &[R], slope: &[R]) {
    for ((&z, value), slope) in z.iter().zip(value).zip(slope) {
        let exact = naive::value_and_slope(activation, z);
        let unit = R::ROUNDOFF * z.abs().max(1.0);
        let error = (value.to_f64() - exact.0).abs().max((slope.to_f64() - exact.1).abs()) / unit;
        assert!(error <= ACTIVATION_BOUND, "{activation} at {z}: {error} roundoffs at {}", simd.level());
    }
}

#[test]
fn activations_keep_their_error() {
    for activation in Activation::ALL {
        for simd in levels() {
            let z = grid::<f32>(-95.0, 95.0);
            let (value, slope) = curve::<f32>(simd, activation, &z);
            check_activation(simd, activation, &z, &value, &slope);
            let z = grid::<f64>(-750.0, 750.0);
            let (value, slope) = curve::<f64>(simd, activation, &z);
            check_activation(simd, activation, &z, &value, &slope);
        }
    }
}

#[test]
fn slopes_are_the_derivatives() {
    // Truncation h²/6 |f'''| <= 2e-11 |f'''| with |f'''| < 3, roundoff 8 roundoffs of |f| <= 20 over 2 h: 1e-9.
    const H: f64 = 1e-5;
    const BOUND: f64 = 2e-9;
    let kinked = [Activation::Relu, Activation::Selu];
    for activation in Activation::ALL {
        let z = grid::<f64>(-20.0, 20.0).into_iter().filter(|z| z.abs() > H || !kinked.contains(&activation));
        let z: Vec<f64> = z.collect();
        let shifted = |by: f64| z.iter().map(|z| z + by).collect::<Vec<_>>();
        for simd in levels() {
            let slope = curve::<f64>(simd, activation, &z).1;
            let above = curve::<f64>(simd, activation, &shifted(H)).0;
            let below = curve::<f64>(simd, activation, &shifted(-H)).0;
            for i in 0..z.len() {
                let difference = (above[i] - below[i]) / (2.0 * H);
                assert!((slope[i] - difference).abs() <= BOUND, "{activation} at {}: {}", z[i], slope[i]);
            }
        }
    }
}

/// Values and slopes far out and at the ends, where the formulas would overflow or cancel.
fn check_activation_ends<R: Real>(simd: Simd) {
    let far = (R::EXPONENT_BIAS - 1.0).exp2();
    let scale = super::super::map::SELU_SCALE;
    let limit = super::super::map::SELU_SCALE_ALPHA;
    for activation in Activation::ALL {
        let (low, high_slope) = match activation {
            Activation::Selu => (-limit, scale),
            Activation::Tanh => (-1.0, 0.0),
            _ => (0.0, 1.0),
        };
        for z in [-1e4, -far, f64::NEG_INFINITY] {
            let (value, slope) = curve::<R>(simd, activation, &[z]);
            assert!((value[0].to_f64() - low).abs() <= 2.0 * R::ROUNDOFF, "{activation}({z}) = {}", value[0]);
            assert!(slope[0].to_f64().abs() <= R::ROUNDOFF, "slope of {activation} at {z}: {}", slope[0]);
        }
        for z in [1e4, far, f64::INFINITY] {
            let (value, slope) = curve::<R>(simd, activation, &[z]);
            let expected = match activation {
                Activation::Tanh => 1.0,
                Activation::Selu => R::from_f64(R::from_f64(scale).to_f64() * z).to_f64(),
                _ => R::from_f64(z).to_f64(),
            };
            assert_eq!(value[0].to_f64().to_bits(), expected.to_bits(), "{activation}({z})");
            assert!((slope[0].to_f64() - high_slope).abs() <= R::ROUNDOFF, "slope of {activation} at {z}");
        }
        let (value, slope) = curve::<R>(simd, activation, &[f64::NAN]);
        assert!(value[0].to_f64().is_nan(), "{activation} of NaN");
        assert!(slope[0].to_f64().is_nan() || activation == Activation::Relu, "slope of {activation} at NaN");
        for zero in [0.0, -0.0] {
            let (value, _) = curve::<R>(simd, activation, &[zero]);
            let expected = if activation == Activation::Softplus { std::f64::consts::LN_2 } else { 0.0 };
            assert!((value[0].to_f64() - expected).abs() <= R::ROUNDOFF, "{activation}({zero})");
        }
    }
}

#[test]
fn activations_end_as_they_should() {
    for simd in levels() {
        check_activation_ends::<f32>(simd);
        check_activation_ends::<f64>(simd);
    }
}

fn check_rows<R: Real>(
    simd: Simd,
    activation: Activation,
    rows: usize,
    cols: usize,
    padding: usize,
    seed: u64,
) {
    let mut stream = numbers(seed);
    let z = Padded::<R>::from_fn(rows, cols, padding, |_, _| 3.0 * stream.normal());
    let (mut y, mut slope) = (z.clone(), Padded::from_fn(rows, cols, padding / 2, |_, _| 0.0));
    activate(simd, activation, y.rows_mut(), slope.rows_mut());
    let (y, slope) = (y.numbers(), slope.numbers());
    let (mut twin, mut twin_slope) = (z.clone(), z.clone());
    naive::activate(activation, twin.rows_mut(), twin_slope.rows_mut());
    let z: Vec<f64> = z.numbers().iter().map(|z| z.to_f64()).collect();
    for ((got, twin), z) in
        y.iter().zip(twin.numbers()).chain(slope.iter().zip(twin_slope.numbers())).zip(z.iter().chain(&z))
    {
        // One roundoff more: the twin rounds its result too.
        let bound = (ACTIVATION_BOUND + 1.0) * R::ROUNDOFF * z.abs().max(1.0);
        assert!((got.to_f64() - twin.to_f64()).abs() <= bound, "{activation} at {z}");
    }
    // The same bits wherever a number stands in its row.
    for (i, &z) in z.iter().enumerate() {
        let alone = curve::<R>(simd, activation, &[z]);
        assert_eq!((bits(&alone.0), bits(&alone.1)), (bits(&y[i..=i]), bits(&slope[i..=i])));
    }
}

fn check_multiply<R: Real>(simd: Simd, rows: usize, times: usize, cols: usize, padding: usize, seed: u64) {
    let mut stream = numbers(seed);
    let by = Padded::<R>::normal(rows, cols, padding, &mut stream);
    let y = Padded::<R>::normal(rows * times, cols, padding / 2, &mut stream);
    let (mut got, mut expected) = (y.clone(), y);
    multiply(simd, by.rows(), got.rows_mut());
    naive::multiply(by.rows(), expected.rows_mut());
    assert_eq!(bits(&got.numbers()), bits(&expected.numbers()));

    let from = Padded::<R>::normal(times, cols, 0, &mut stream);
    for from in [None, Some(from.rows()).filter(|_| rows * times > 0)] {
        multiply_each(simd, by.rows(), from, got.rows_mut());
        naive::multiply_each(by.rows(), from, expected.rows_mut());
        assert_eq!(bits(&got.numbers()), bits(&expected.numbers()));
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn rows_of_activations_are_those_of_the_twin(
        activation in prop::sample::select(Activation::ALL.to_vec()),
        (rows, cols, padding) in (0_usize..5, 0_usize..70, 0_usize..20),
        seed in 0_u64..1 << 32,
    ) {
        for simd in levels() {
            check_rows::<f32>(simd, activation, rows, cols, padding, seed);
            check_rows::<f64>(simd, activation, rows, cols, padding, seed);
        }
    }

    #[test]
    fn factors_are_those_of_the_twin(
        (rows, times) in (0_usize..5, 0_usize..4),
        (cols, padding) in (0_usize..70, 0_usize..20),
        seed in 0_u64..1 << 32,
    ) {
        for simd in levels() {
            check_multiply::<f32>(simd, rows, times, cols, padding, seed);
            check_multiply::<f64>(simd, rows, times, cols, padding, seed);
        }
    }
}

#[test]
#[should_panic(expected = "whole batches")]
fn rows_that_are_no_whole_batches_are_refused() {
    let by = Padded::<f32>::from_fn(0, 2, 0, |_, _| 0.0);
    let mut y = Padded::<f32>::from_fn(3, 2, 0, |_, _| 0.0);
    multiply(Simd::portable(), by.rows(), y.rows_mut());
}
