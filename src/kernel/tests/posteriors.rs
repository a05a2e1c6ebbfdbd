//! The weights of points around queries against [`naive`].

use proptest::prelude::*;

use super::super::naive;
use super::super::posterior::{Points, Posterior, posteriors};
use super::{Padded, cases, levels, numbers};

/// Roundings of a sum of n terms at most, of exp (whose argument carries those of a distance) and of the quotient.
fn bound(n: usize, sharpness: f64, distance: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let roundings = n as f64 + 16.0 + 16.0 * sharpness * distance;
    roundings * f64::EPSILON
}

/// What both give for queries around points: (least, total, spread, means).
fn both(points: &Padded<f64>, x: &Padded<f64>, factors: &[(f64, f64)], space: usize) -> Vec<[Vec<f64>; 4]> {
    let cols = points.rows().cols();
    let run = |f: &mut dyn FnMut(&mut [Posterior], &mut Padded<f64>)| {
        let mut queries: Vec<_> = factors.iter().map(|&(a, h)| Posterior::new(a, h)).collect();
        let mut means = Padded::from_fn(factors.len(), cols, 1, |_, _| 7.0);
        f(&mut queries, &mut means);
        [
            queries.iter().map(|q| q.least).collect(),
            queries.iter().map(|q| q.total).collect(),
            queries.iter().map(|q| q.spread).collect(),
            means.numbers(),
        ]
    };
    let mut found = vec![run(&mut |queries, means| {
        naive::posteriors(points.rows(), x.rows(), queries, means.rows_mut())
    })];
    for simd in levels() {
        let points = Points::new(points.rows(), space);
        found.push(run(&mut |queries, means| posteriors(simd, &points, x.rows(), queries, means.rows_mut())));
    }
    found
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn streams_give_what_the_plain_loop_gives(
        n in 1..1700_usize, d in 1..5_usize, extra in 0..2_usize, b in 1..4_usize,
        alpha in 0.0..1.0_f64, log_h in -3.0..6.0_f64, seed in 0..1000_u64,
    ) {
        let mut stream = numbers(seed);
        let points = Padded::normal(n, d + extra, 1, &mut stream);
        let x = Padded::normal(b, d, 2, &mut stream);
        let h = log_h.exp();
        let factors: Vec<_> = (0..b).map(|k| (alpha, if k == 1 { 2.0 * h } else { h })).collect();
        let found = both(&points, &x, &factors, d);
        // Normal numbers of five columns lie within 6 of 0: a squared distance below 5 x 12² counts where its weight does,
        // that is up to 80 / h.
        let bound = bound(n, 2.0 * h, (5.0 * 144.0_f64).min(80.0 / h + found[0][0].iter().fold(0.0, |a: f64, &b| a.max(b))));
        for other in &found[1..] {
            for (k, (plain, fast)) in found[0].iter().zip(other).enumerate() {
                for (p, f) in plain.iter().zip(fast) {
                    // Means and spreads are sums of numbers of size up to 6 and 1 / h.
                    let size = [1.0, 1.0, 1.0 / h, 6.0][k] + p.abs();
                    prop_assert!((p - f).abs() <= bound * size, "{k}: {p} {f}, bound {}", bound * size);
                }
            }
        }
    }
}

#[test]
fn far_points_and_great_sharpness() {
    // 2000 points on a line, the query on one of them or between two: the nearest alone counts, or both by half.
    let points = Padded::from_fn(2000, 1, 0, |i, _| f64::from(u32::try_from(i).unwrap()));
    let x = Padded::from_fn(3, 1, 0, |i, _| [1234.0, 700.5, -1e6][i]);
    for h in [1e3, 1e300, f64::MAX] {
        for [least, total, spread, means] in both(&points, &x, &[(1.0, h); 3], 1) {
            assert_eq!(least, [0.0, 0.25, 1e12]);
            // What exp gives at its end, 2^-1022, is nothing beside 1.
            assert_eq!(total, [1.0, 2.0, 1.0]);
            assert!(means.iter().zip([1234.0, 700.5, 0.0]).all(|(m, x)| (m - x).abs() < 1e-280));
            assert!(spread.iter().all(|&s| s < 1e-280));
        }
    }
    // alpha = 0: all weigh the same.
    for [_, total, spread, means] in both(&points, &x, &[(0.0, 1.0); 3], 1) {
        assert_eq!((total, spread, means), (vec![2000.0; 3], vec![0.0; 3], vec![999.5; 3]));
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let points = Padded::from_fn(5, 1, 0, |_, _| 1.0);
    let x = Padded::from_fn(2, 1, 0, |i, _| [f64::NAN, 1.0][i]);
    for [_, _, _, means] in both(&points, &x, &[(1.0, 1.0); 2], 1) {
        assert!(means[0].is_nan() && (means[1] - 1.0).abs() < 1e-15);
    }
}
