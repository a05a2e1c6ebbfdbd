//! Exact assignment against all permutations, for up to seven rows of small whole costs, where every sum is exact.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pushforward::Tensor;
use pushforward::coupling::assign;

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, costs)) = bytes.split_first() else { return };
    let n = 1 + usize::from(size % 7);
    let costs = costs.iter().chain(std::iter::repeat(&0)).take(n * n);
    let cost: Tensor<f64> =
        Tensor::from_vec(costs.map(|&c| f64::from(c.cast_signed())).collect(), n, n).expect("n x n");
    let found = assign(&cost).expect("small costs can be assigned");
    let mut seen = vec![false; n];
    let sum: f64 = found
        .columns
        .iter()
        .enumerate()
        .map(|(i, &j)| {
            assert!(!std::mem::replace(&mut seen[j], true), "a column was taken twice");
            cost.row(i)[j]
        })
        .sum();
    assert!(sum == found.cost && sum == cheapest(&cost, 0, &mut vec![false; n]), "{found:?} of {cost:?}");
    assert!(found.gap().abs() < 1e-9, "the duals prove it, up to the rounding of sums below 1000: {found:?}");
});

/// The least cost of the rows from `row` on, with the columns that are not taken.
fn cheapest(cost: &Tensor<f64>, row: usize, taken: &mut Vec<bool>) -> f64 {
    if row == cost.rows() {
        return 0.0;
    }
    let mut least = f64::INFINITY;
    for j in 0..cost.cols() {
        if !taken[j] {
            taken[j] = true;
            least = least.min(cost.row(row)[j] + cheapest(cost, row + 1, taken));
            taken[j] = false;
        }
    }
    least
}
