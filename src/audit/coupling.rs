//! Claims about pairs of source and target rows: E25.

use crate::coupling::{Assignment, Sinkhorn, assign_points};
use crate::error::Result;
use crate::kernel::{Real, Simd};
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::claim::{Claim, Finding, Place, Precision};

const ASSIGN: Place =
    Place::of("src/coupling/points.rs", include_str!("../coupling/points.rs"), "pub fn assign_points");
const ENTROPIC: Place =
    Place::of("src/coupling/sinkhorn.rs", include_str!("../coupling/sinkhorn.rs"), "pub fn solve");

/// Regularisation of the entropic plan, of the size of a squared distance.
const REG: f64 = 2.0;

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E25",
            "min_π Σ_i |x_{0,i} − x_{1,π(i)}|^2",
            "the pairs of ten sets of 7 rows against the best of all 5040 permutations",
            ASSIGN,
            |real| match real {
                Precision::F32 => best::<f32>(|a, b| Ok(assigned(a, b)?.columns)),
                Precision::F64 => best::<f64>(|a, b| Ok(assigned(a, b)?.columns)),
            },
        ),
        Claim::new(
            "E25.dual",
            "Σ_i c_{iπ(i)} = Σ_i u_i + Σ_j v_j, u_i + v_j ≤ c_{ij}",
            "the cost of the pairs of 512 rows against their dual, which bounds that of every coupling from below",
            ASSIGN,
            |real| match real {
                Precision::F32 => dual::<f32>(assigned),
                Precision::F64 => dual::<f64>(assigned),
            },
        ),
        Claim::new(
            "E25.entropic",
            "Σ_i P_{ij} = Σ_j P_{ij} = 1, log P_{ij} = (f_i + g_j − c_{ij})/reg",
            "the sums of an entropic plan of 24 rows and its distance from the form that the optimum has",
            ENTROPIC,
            |real| match real {
                Precision::F32 => entropic::<f32>(|a, b| plan(a, b, REG)),
                Precision::F64 => entropic::<f64>(|a, b| plan(a, b, REG)),
            },
        ),
    ]
}

fn rows<R: Real>(n: usize, seed: u64) -> Tensor<R> {
    let mut x = Tensor::zeros(n, 2);
    Source::Normal.fill(&Rng::from_seed(seed).fork(Purpose::Source), 0, &mut x);
    x
}

fn square<R: Real>(a: &[R], b: &[R]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2)).sum()
}

fn assigned<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> Result<Assignment> {
    assign_points(Simd::detect(), a, b)
}

/// The plan as a whole matrix.
fn plan<R: Real>(a: &Tensor<R>, b: &Tensor<R>, reg: f64) -> Result<Vec<Vec<f64>>> {
    let solver = Sinkhorn { tolerance: 1e-9, ..Sinkhorn::new(reg) };
    let plan = solver.solve(Simd::detect(), a, b)?;
    let row = |i| {
        let mut row = vec![0.0; b.rows()];
        plan.row(i).for_each(|(j, p)| row[j] = p);
        row
    };
    Ok((0..a.rows()).map(row).collect())
}

/// The permutation of least cost by trying all, and its cost.
fn by_trying(n: usize, cost: &dyn Fn(usize, usize) -> f64) -> (Vec<usize>, f64) {
    fn go(k: usize, order: &mut [usize], cost: &dyn Fn(usize, usize) -> f64, best: &mut (Vec<usize>, f64)) {
        if k == order.len() {
            let sum = order.iter().enumerate().map(|(i, &j)| cost(i, j)).sum();
            if sum < best.1 {
                *best = (order.to_vec(), sum);
            }
        }
        for i in k..order.len() {
            order.swap(k, i);
            go(k + 1, order, cost, best);
            order.swap(k, i);
        }
    }
    let mut best = (Vec::new(), f64::INFINITY);
    go(0, &mut (0..n).collect::<Vec<_>>(), cost, &mut best);
    best
}

/// That pairs are a permutation of least cost. // E25
fn best<R: Real>(pairs: impl Fn(&Tensor<R>, &Tensor<R>) -> Result<Vec<usize>>) -> Result<Finding> {
    const N: usize = 7;
    let mut worst = 0.0_f64;
    for seed in 0..10 {
        let (a, b) = (rows(N, seed), rows(N, 100 + seed));
        let cost = |i: usize, j: usize| square(a.row(i), b.row(j));
        let found = pairs(&a, &b)?;
        let mut sorted = found.clone();
        sorted.sort_unstable();
        let (_, least) = by_trying(N, &cost);
        let sum: f64 = found.iter().enumerate().map(|(i, &j)| cost(i, j)).sum();
        let permutes = sorted.iter().enumerate().all(|(k, &j)| k == j);
        worst = if permutes { worst.max((sum - least) / least) } else { f64::NAN };
        if worst.is_nan() {
            break;
        }
    }
    Ok(Finding::new(worst, 1e-12, "rounding of seven distances"))
}

/// That a dual proves an assignment best. // E25
fn dual<R: Real>(of: impl Fn(&Tensor<R>, &Tensor<R>) -> Result<Assignment>) -> Result<Finding> {
    const N: usize = 512;
    let (a, b) = (rows(N, 1), rows(N, 2));
    let found = of(&a, &b)?;
    let cost = |i: usize, j: usize| square(a.row(i), b.row(j));
    let sum: f64 = found.columns.iter().enumerate().map(|(i, &j)| cost(i, j)).sum();
    let dual = found.u.iter().chain(&found.v).sum::<f64>();
    let mut beyond = 0.0_f64;
    for i in 0..N {
        for j in 0..N {
            beyond = beyond.max(found.u[i] + found.v[j] - cost(i, j));
        }
    }
    // A dual that is infeasible by `beyond` bounds the cost less N times that.
    let gap = ((sum - dual).abs() + N as f64 * beyond) / sum;
    let from = "rounding of 512 distances and as many duals, relative to the cost";
    Ok(Finding::new(gap, 1e-10, from))
}

/// That a plan has the marginals and the form of the optimum. // E25
fn entropic<R: Real>(of: impl Fn(&Tensor<R>, &Tensor<R>) -> Result<Vec<Vec<f64>>>) -> Result<Finding> {
    const N: usize = 24;
    let (a, b) = (rows(N, 3), rows(N, 4));
    let p = of(&a, &b)?;
    let mut worst = 0.0_f64;
    for k in 0..N {
        let column: f64 = p.iter().map(|row| row[k]).sum();
        worst = worst.max((p[k].iter().sum::<f64>() - 1.0).abs()).max((column - 1.0).abs());
    }
    // log P + c / reg is f_i + g_j: its mixed differences vanish.
    let form = |i: usize, j: usize| p[i][j].ln() + square(a.row(i), b.row(j)) / REG;
    for i in 1..N {
        for j in 1..N {
            if [(i, j), (i, 0), (0, j), (0, 0)].iter().all(|&(i, j)| p[i][j] > 0.0) {
                worst = worst.max((form(i, j) - form(i, 0) - form(0, j) + form(0, 0)).abs());
            }
        }
    }
    let worst = if p.iter().flatten().all(|p| p.is_finite()) { worst } else { f64::NAN };
    Ok(Finding::new(worst, 1e-7, "24 times the marginal error asked for, 1e-9, and rounding"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;

    /// The best pairs for another cost.
    fn other(cost: impl Fn(&[f64], &[f64]) -> f64 + Copy + Sync + 'static) -> Result<Finding> {
        best::<f64>(move |a, b| Ok(by_trying(a.rows(), &|i, j| cost(a.row(i), b.row(j))).0))
    }

    fn changed(change: impl Fn(&mut Assignment)) -> Result<Finding> {
        dual::<f64>(|a, b| {
            let mut found = assigned(a, b)?;
            change(&mut found);
            Ok(found)
        })
    }

    pub(crate) fn faults() -> Vec<Fault> {
        vec![
            Fault::new("E25", "the inverse permutation", || best::<f64>(|a, b| Ok(assigned(b, a)?.columns))),
            Fault::new("E25", "the nearest row, with replacement", || {
                best::<f64>(|a, b| {
                    let near = |i: usize| {
                        (0..b.rows())
                            .min_by(|&j, &k| {
                                square(a.row(i), b.row(j)).total_cmp(&square(a.row(i), b.row(k)))
                            })
                            .unwrap_or(0)
                    };
                    Ok((0..a.rows()).map(near).collect())
                })
            }),
            Fault::new("E25", "the distance in place of its square", || other(|a, b| square(a, b).sqrt())),
            Fault::new("E25", "one column of two", || other(|a, b| (a[0] - b[0]).powi(2))),
            Fault::new("E25", "the dearest pairs", || other(|a, b| -square(a, b))),
            Fault::new("E25", "pairs as they come", || best::<f64>(|a, _| Ok((0..a.rows()).collect()))),
            Fault::new("E25.dual", "two pairs exchanged", || changed(|found| found.columns.swap(0, 1))),
            Fault::new("E25.dual", "a dual that costs exceed nowhere", || {
                changed(|found| found.u.iter_mut().for_each(|u| *u += 0.1))
            }),
            Fault::new("E25.dual", "the sign of one side", || {
                changed(|found| found.v.iter_mut().for_each(|v| *v = -*v))
            }),
            Fault::new("E25.entropic", "twice the regularisation", || {
                entropic::<f64>(|a, b| plan(a, b, 2.0 * REG))
            }),
            Fault::new("E25.entropic", "a plan that is not normalised", || {
                entropic::<f64>(|a, b| {
                    Ok(plan(a, b, REG)?
                        .into_iter()
                        .map(|row| row.iter().map(|p| 0.9 * p).collect())
                        .collect())
                })
            }),
            Fault::new("E25.entropic", "rows and columns exchanged", || {
                entropic::<f64>(|a, b| {
                    let p = plan(a, b, REG)?;
                    Ok((0..p.len()).map(|i| p.iter().map(|row| row[i]).collect()).collect())
                })
            }),
            Fault::new("E25.entropic", "no cost: the independent plan", || {
                entropic::<f64>(|a, b| Ok(vec![vec![1.0 / b.rows() as f64; b.rows()]; a.rows()]))
            }),
        ]
    }
}
