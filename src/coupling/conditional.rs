//! [`Matched`]: what a coupling must know of conditions, so that it does not spoil them.
//!
//! # Math
//! A model of q(x_1 | y) starts all conditions from the same source: X_0 must be independent of Y. A plan that looks at x_0 and
//! x_1 alone breaks that: source rows on the left are joined with the conditions whose targets lie on the left, but at
//! sampling every condition starts from all of the source. So each source row is given the condition of the target row that it
//! was drawn with (independently of both places), and the plan may only join like with like:
//!
//! - rows of different categories are not joined: there is one plan for each category in a coupling batch;
//! - of rows with numbers y_i, y_j in standard deviations the cost is |x_0^i - x_1^j|² + w |y_i - y_j|².
//!
//! w is found from data: it is the one for which a share rho of all pairs i != j of a category would be worth a change of
//! partner, |x_0^i - x_1^j|² + w |y_i - y_j|² < |x_0^i - x_1^i|². That share falls as w rises, so that w is found by
//! bisection. At w = 0 conditions are ignored, for w -> infinity rows keep the partner that they were drawn with.
//!
//! As the cost is a squared distance between the points (x_0, sqrt(w) y) and (x_1, sqrt(w) y), every coupling of points
//! serves.
//!
//! # Shapes
//! For a table of N target rows there are N categories and numbers [N, c].
//!
//! # Source
//! Cheng and Schwing 2025, "The curse of conditions".

use super::Coupling;
use crate::error::Result;
use crate::kernel::{Real, Simd};
use crate::rng::Stream;
use crate::tensor::Tensor;

/// rho: head of this file.
const WORTH_A_CHANGE: f64 = 0.01;

/// Halvings of the range of ln w, from 1e-6 to 1e12: to a share of 1e-8 of w.
const HALVINGS: u32 = 32;

/// The conditions of a table's target rows, as a coupling sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched<R: Real = f32> {
    /// Length N: only rows that agree are joined.
    pub categories: Vec<u32>,
    /// [N, c], in standard deviations.
    pub numbers: Tensor<R>,
    /// w.
    pub weight: f64,
}

impl<R: Real> Matched<R> {
    /// Finds w for source rows x_0, [n, d], drawn with the target rows `rows` of the table x_1: 0 if no condition is a number.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "as many pairs as fit in memory")]
    pub fn find_weight(&self, x_0: &Tensor<R>, x_1: &Tensor<R>, rows: &[usize]) -> f64 {
        if self.numbers.cols() == 0 {
            return 0.0;
        }
        // What a change of partner spares in the first term, and costs in the second for w = 1.
        let (mut gains, mut pairs) = (Vec::new(), 0_u64);
        for (i, &a) in rows.iter().enumerate() {
            let own = squared_distance(x_0.row(i), x_1.row(a));
            for (j, &b) in rows.iter().enumerate() {
                if i != j && self.categories[a] == self.categories[b] {
                    pairs += 1;
                    let gain = own - squared_distance(x_0.row(i), x_1.row(b));
                    if gain > 0.0 {
                        gains.push((gain, squared_distance(self.numbers.row(a), self.numbers.row(b))));
                    }
                }
            }
        }
        let share = |w: f64| {
            gains.iter().filter(|(gain, cost)| w * cost < *gain).count() as f64 / pairs.max(1) as f64
        };
        let (mut low, mut high) = (1e-6_f64.ln(), 1e12_f64.ln());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if share(middle.exp()) > WORTH_A_CHANGE { low = middle } else { high = middle }
        }
        high.exp()
    }

    /// As [`Coupling::join`] for target rows that are the rows `rows` of the table, like with like.
    ///
    /// # Errors
    /// As [`Coupling::join`].
    pub fn join(
        &self,
        coupling: Coupling,
        simd: Simd,
        (x_0, x_1): (&Tensor<R>, &Tensor<R>),
        rows: &[usize],
        stream: &mut Stream,
    ) -> Result<Vec<usize>> {
        // The places of the rows of each category, in the order in which the first ones stand.
        let mut groups: Vec<(u32, Vec<usize>)> = Vec::new();
        let mut of_category = std::collections::HashMap::new();
        for (place, &row) in rows.iter().enumerate() {
            let category = self.categories[row];
            let group = *of_category.entry(category).or_insert_with(|| {
                groups.push((category, Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push(place);
        }
        let mut joined: Vec<usize> = (0..rows.len()).collect();
        for (_, places) in groups.iter().filter(|(_, places)| places.len() > 1) {
            let (x_0, x_1) = (self.points(x_0, places, rows), self.points(x_1, places, rows));
            let own = coupling.join(simd, &x_0, &x_1, stream)?;
            for (&place, partner) in places.iter().zip(own) {
                joined[place] = places[partner];
            }
        }
        Ok(joined)
    }

    /// The points (x, sqrt(w) y) of these places.
    fn points(&self, x: &Tensor<R>, places: &[usize], rows: &[usize]) -> Tensor<R> {
        let (d, root) = (x.cols(), R::from_f64(self.weight.sqrt()));
        let beside = if self.weight > 0.0 { self.numbers.cols() } else { 0 };
        let mut points = Tensor::zeros(places.len(), d + beside);
        for (i, &place) in places.iter().enumerate() {
            let point = points.row_mut(i);
            point[..d].copy_from_slice(x.row(place));
            for (to, y) in point[d..].iter_mut().zip(self.numbers.row(rows[place])) {
                *to = root * *y;
            }
        }
        points
    }
}

fn squared_distance<R: Real>(a: &[R], b: &[R]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};
    use crate::source::Source;

    const N: usize = 60;

    fn stream() -> Stream {
        Rng::from_seed(3).fork(Purpose::Batch).stream(0)
    }

    /// Source and target rows, [N, 2], and numbers [N, 1] that are not independent of the target.
    fn rows() -> (Tensor<f64>, Tensor<f64>, Tensor<f64>) {
        let streams = Rng::from_seed(5).fork(Purpose::Data);
        let mut all = [0, 1, 2].map(|s| {
            let mut x = Tensor::<f64>::zeros(N, 2);
            Source::Normal.fill(&streams, 1000 * s, &mut x);
            x
        });
        let mut numbers = Tensor::zeros(N, 1);
        for i in 0..N {
            numbers.row_mut(i)[0] = all[1].row(i)[0];
            all[1].row_mut(i)[1] += all[2].row(i)[0];
        }
        let [x_0, x_1, _] = all;
        (x_0, x_1, numbers)
    }

    fn matched(weight: f64, kinds: u32) -> Matched<f64> {
        let categories = (0..u32::try_from(N).unwrap()).map(|i| i % kinds).collect();
        Matched { categories, numbers: rows().2, weight }
    }

    #[test]
    fn only_like_is_joined_with_like_and_each_row_once() {
        let (x_0, x_1, _) = rows();
        let all: Vec<usize> = (0..N).collect();
        let matched = matched(0.0, 4);
        let joined =
            matched.join(Coupling::ExactOt, Simd::detect(), (&x_0, &x_1), &all, &mut stream()).unwrap();
        assert!((0..N).all(|i| joined[i] % 4 == i % 4));
        let mut sorted = joined.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, all);
        // Inside a category it is the plan of that category alone.
        let first: Vec<usize> = (0..N).step_by(4).collect();
        let pick = |x: &Tensor<f64>| {
            Tensor::from_rows(&first.iter().map(|&i| [x.row(i)[0], x.row(i)[1]]).collect::<Vec<_>>())
        };
        let own = Coupling::ExactOt.join(Simd::detect(), &pick(&x_0), &pick(&x_1), &mut stream()).unwrap();
        assert!(first.iter().zip(own).all(|(&place, partner)| joined[place] == first[partner]));
        assert!(first.iter().any(|&place| joined[place] != place), "nothing was joined anew");
    }

    #[test]
    fn a_weight_of_0_ignores_numbers_and_a_large_one_keeps_partners() {
        let (x_0, x_1, _) = rows();
        let all: Vec<usize> = (0..N).collect();
        let join = |weight| {
            let matched = matched(weight, 1);
            matched.join(Coupling::ExactOt, Simd::detect(), (&x_0, &x_1), &all, &mut stream()).unwrap()
        };
        let plain = Coupling::ExactOt.join(Simd::detect(), &x_0, &x_1, &mut stream()).unwrap();
        assert_eq!(join(0.0), plain);
        assert_eq!(join(1e9), all);
        assert_ne!(plain, all);
    }

    #[test]
    fn the_weight_found_makes_the_stated_share_of_changes_worth_it() {
        let (x_0, x_1, numbers) = rows();
        let all: Vec<usize> = (0..N).collect();
        let weight = matched(0.0, 1).find_weight(&x_0, &x_1, &all);
        let mut worth = 0;
        for i in 0..N {
            for j in 0..N {
                let cost = |k: usize| {
                    squared_distance(x_0.row(i), x_1.row(k))
                        + weight * squared_distance(numbers.row(i), numbers.row(k))
                };
                worth += u32::from(i != j && cost(j) < cost(i));
            }
        }
        let pairs = f64::from(u32::try_from(N * (N - 1)).unwrap());
        // One pair more or less where the share jumps.
        assert!((f64::from(worth) - WORTH_A_CHANGE * pairs).abs() <= 1.0, "{worth} of {pairs}");
        let without = Matched { numbers: Tensor::zeros(N, 0), ..matched(0.0, 1) };
        assert_eq!(without.find_weight(&x_0, &x_1, &all).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn entropic_plans_are_of_like_with_like_too() {
        let (x_0, x_1, _) = rows();
        let all: Vec<usize> = (0..N).rev().collect();
        let matched = matched(1.0, 4);
        let coupling = Coupling::Sinkhorn { reg: 0.1 };
        let joined = matched.join(coupling, Simd::detect(), (&x_0, &x_1), &all, &mut stream()).unwrap();
        assert!((0..N).all(|i| all[joined[i]] % 4 == all[i] % 4));
    }
}
