//! [`Pairing`]: draws coupling batches, N source rows joined with N target rows.
//!
//! # Math
//! A coupling batch draws N target rows with replacement from the table, and N source rows from N(0, I) or with replacement from
//! the source's table; then the coupling joins them (E25). With `paired` one number picks the row of both tables. The target
//! rows stay in the order in which they were drawn, so that any part of a coupling batch is a random part.
//!
//! # Shapes
//! Pairs: x_0 [N, d] and N numbers of target rows.

use super::cloud::MOST_ROWS;
use super::{Coupling, Matched};
use crate::error::{Error, Result};
use crate::kernel::{Real, Simd};
use crate::rng::Stream;
use crate::source::Source;
use crate::tensor::Tensor;

/// Rows among which a weight is sought: a million pairs.
const MOST_WEIGHED: usize = 1024;

/// Joined rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs<R: Real = f32> {
    /// Source rows, [N, d].
    pub x_0: Tensor<R>,
    /// The row of the target's table that belongs to each, length N.
    pub rows: Vec<usize>,
}

/// How coupling batches are drawn.
#[derive(Debug, Clone)]
pub struct Pairing<R: Real = f32> {
    /// What joins the two sides.
    pub coupling: Coupling,
    /// N.
    pub size: usize,
    /// The table of a source of data; nothing for N(0, I).
    pub x_0: Option<Tensor<R>>,
    /// The conditions of the target's table, if it has any.
    pub matched: Option<Matched<R>>,
    /// The SIMD level that distances are computed at.
    pub simd: Simd,
}

impl<R: Real> Pairing<R> {
    /// Draws one coupling batch. The same stream gives the same pairs.
    ///
    /// # Errors
    /// As [`Coupling::join`]; [`Error::Dimension`] if a table has no rows, or more are to be paired than 16,777,216, if the source's has other columns than the target's, or with
    /// `paired` fewer rows, and if there are not conditions for all rows of the target.
    pub fn draw(&self, x_1: &Tensor<R>, stream: &mut Stream) -> Result<Pairs<R>> {
        self.check(x_1)?;
        let Pairs { x_0, rows } = self.draw_apart(x_1, stream);
        if matches!(self.coupling, Coupling::Independent | Coupling::Paired) {
            return Ok(Pairs { x_0, rows });
        }
        let targets = gather(x_1, &rows);
        let joined = match &self.matched {
            None => self.coupling.join(self.simd, &x_0, &targets, stream)?,
            Some(matched) => matched.join(self.coupling, self.simd, (&x_0, &targets), &rows, stream)?,
        };
        Ok(Pairs { x_0: gather(&x_0, &joined), rows })
    }

    /// The rows of a coupling batch before they are joined anew: of `paired` those that belong together, of all others
    /// independent ones.
    fn draw_apart(&self, x_1: &Tensor<R>, stream: &mut Stream) -> Pairs<R> {
        let (size, d) = (self.size, x_1.cols());
        let rows: Vec<usize> = (0..size).map(|_| stream.below(x_1.rows())).collect();
        let mut x_0 = Tensor::zeros(size, d);
        match &self.x_0 {
            None => Source::Normal.draw(stream, x_0.as_mut_slice()),
            Some(table) => {
                for (i, &row) in rows.iter().enumerate() {
                    let paired = self.coupling == Coupling::Paired;
                    let row = if paired { row } else { stream.below(table.rows()) };
                    x_0.row_mut(i).copy_from_slice(table.row(row));
                }
            }
        }
        Pairs { x_0, rows }
    }

    /// Looks for tables that do not fit.
    fn check(&self, x_1: &Tensor<R>) -> Result<()> {
        let at_least = |what, expected: usize, found: usize| {
            if found >= expected {
                return Ok(());
            }
            let remedy = "give rows of both sides, and what belongs to each of them";
            Err(Error::Dimension { what, expected, found, remedy })
        };
        if self.size > MOST_ROWS {
            let remedy = "pair at most so many rows at once";
            return Err(Error::Dimension {
                what: "rows to pair",
                expected: MOST_ROWS,
                found: self.size,
                remedy,
            });
        }
        at_least("rows of the target", 1, x_1.rows())?;
        if let Some(x_0) = &self.x_0 {
            x_0.check_cols("columns of the source", x_1.cols(), "they must be those of the target")?;
            let paired = self.coupling == Coupling::Paired;
            at_least("rows of the source", if paired { x_1.rows() } else { 1 }, x_0.rows())?;
        }
        if let Some(Matched { categories, numbers, .. }) = &self.matched {
            at_least("categories of the conditions", x_1.rows(), categories.len())?;
            at_least("rows of the conditions", x_1.rows(), numbers.rows())?;
        }
        Ok(())
    }

    /// Finds the weight of the numbers among the conditions from one coupling batch, and takes it; 0 if there are none.
    ///
    /// # Errors
    /// As [`Pairing::draw`].
    pub fn weigh(&mut self, x_1: &Tensor<R>, stream: &mut Stream) -> Result<f64> {
        self.check(x_1)?;
        let Pairs { x_0, mut rows } = self.draw_apart(x_1, stream);
        rows.truncate(MOST_WEIGHED);
        let weight = self.matched.as_ref().map_or(0.0, |matched| matched.find_weight(&x_0, x_1, &rows));
        if let Some(matched) = &mut self.matched {
            matched.weight = weight;
        }
        Ok(weight)
    }
}

/// The rows with these numbers, in this order.
fn gather<R: Real>(x: &Tensor<R>, rows: &[usize]) -> Tensor<R> {
    let mut gathered = Tensor::zeros(rows.len(), x.cols());
    for (i, &row) in rows.iter().enumerate() {
        gathered.row_mut(i).copy_from_slice(x.row(row));
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn stream() -> Stream {
        Rng::from_seed(1).fork(Purpose::Batch).stream(0)
    }

    fn pairing(coupling: Coupling, x_0: Option<Tensor<f64>>) -> Pairing<f64> {
        Pairing { coupling, size: 128, x_0, matched: None, simd: Simd::detect() }
    }

    /// n rows (i, -i) x scale.
    fn table(n: u32, scale: f64) -> Tensor<f64> {
        let rows: Vec<[f64; 2]> = (0..n).map(|i| [scale * f64::from(i), -scale * f64::from(i)]).collect();
        Tensor::from_rows(&rows)
    }

    fn sorted(x: &Tensor<f64>) -> Vec<f64> {
        let mut all = x.as_slice().to_vec();
        all.sort_unstable_by(f64::total_cmp);
        all
    }

    #[test]
    fn exact_transport_uses_the_rows_of_the_independent_batch_once() {
        let x_1 = table(50, 0.1);
        for x_0 in [None, Some(table(70, 0.01))] {
            let loose = pairing(Coupling::Independent, x_0.clone()).draw(&x_1, &mut stream()).unwrap();
            let tight = pairing(Coupling::ExactOt, x_0).draw(&x_1, &mut stream()).unwrap();
            assert_eq!(loose.rows, tight.rows);
            assert_eq!(sorted(&loose.x_0), sorted(&tight.x_0));
            let cost = |pairs: &Pairs<f64>| -> f64 {
                let targets = gather(&x_1, &pairs.rows);
                targets.as_slice().iter().zip(pairs.x_0.as_slice()).map(|(a, b)| (a - b) * (a - b)).sum()
            };
            // The pairs as they are handed on cost the optimum, so neither side was turned around.
            let best = super::super::assign_points(Simd::detect(), &loose.x_0, &gather(&x_1, &loose.rows));
            assert!((cost(&tight) - best.unwrap().cost).abs() < 1e-9);
            assert!(cost(&tight) < cost(&loose));
        }
    }

    #[test]
    fn paired_rows_stay_together() {
        let (x_0, x_1) = (table(50, 3.0), table(50, 1.0));
        let pairs = pairing(Coupling::Paired, Some(x_0.clone())).draw(&x_1, &mut stream()).unwrap();
        assert!((0..128).all(|i| pairs.x_0.row(i) == x_0.row(pairs.rows[i])));
        let loose = pairing(Coupling::Independent, Some(x_0.clone())).draw(&x_1, &mut stream()).unwrap();
        assert!((0..128).any(|i| loose.x_0.row(i) != x_0.row(loose.rows[i])));
    }

    #[test]
    fn entropic_pairs_keep_the_target_and_shorten_the_way() {
        let x_1 = table(50, 0.05);
        let loose = pairing(Coupling::Independent, None).draw(&x_1, &mut stream()).unwrap();
        let soft = pairing(Coupling::Sinkhorn { reg: 0.1 }, None).draw(&x_1, &mut stream()).unwrap();
        assert_eq!(loose.rows, soft.rows);
        assert!((0..128).all(|i| (0..128).any(|k| soft.x_0.row(i) == loose.x_0.row(k))));
    }
}
