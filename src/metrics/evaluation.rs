//! [`Evaluation`]: all distances between samples and data, each beside its noise floor.
//!
//! # Math
//! The data are put in random order and cut into two halves A and B of h rows, and h samples S are taken: `model` is a distance of S
//! from A, `floor` the same distance of B from A. Both are found from sets of the same sizes, against the same rows, with the
//! same directions and the same width of the kernel; a perfect model has no other `model` than `floor`. This is done
//! [`HALVINGS`] times, in other orders and with the two halves of the samples in turn: means come back, and the largest floor.
//! As halvings of the same rows, they say how far chance goes, not how well the rows stand for their law.
//!
//! # Shapes
//! samples [n, d], data [m, d], h = min(n, m) / 2 rounded down.
//!
//! # Limits
//! Distances of rows are between columns divided by the standard deviations of the data (one that is constant in the data stays as
//! it is); those of single columns are in their own units. What looks at pairs of rows takes at most [`PAIR_ROWS`] of each side,
//! and [`Measured::rows`] says how many.
//!
//! # Source
//! The distances: see [`super`]. Halving at random is the permutation test of R. Fisher.

use crate::data::Standardize;
use crate::error::{Error, Result};
use crate::rng::{Purpose, Rng};
use crate::tensor::Tensor;

use super::classifier::classifier_accuracy;
use super::columns::{ColumnDistance, column_distances};
use super::energy::energy_distance;
use super::mmd::{median_distance, mmd_squared};
use super::sets::check;
use super::wasserstein::{exact_w2, sliced_w2};

/// Random halvings of the data.
pub const HALVINGS: usize = 4;

/// Most rows of a side for what looks at pairs of rows: 16 million pairs, a fraction of a second each.
pub const PAIR_ROWS: usize = 4096;

/// Random directions of the sliced distance: its own error is then some 5 %, and the same for model and floor.
const PROJECTIONS: usize = 200;

/// A distance of the samples from the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The mean distance of samples from a half of the data.
    pub model: f64,
    /// The mean distance of the other half from it.
    pub floor: f64,
    /// The largest such distance.
    pub floor_max: f64,
    /// Rows of each side.
    pub rows: usize,
}

impl Measured {
    fn of(models: &[f64], floors: &[f64], rows: usize) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a handful of halvings")]
        let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
        let floor_max = floors.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { model: mean(models), floor: mean(floors), floor_max, rows }
    }
}

/// The distances of one column, in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasuredColumn {
    /// W1.
    pub w1: Measured,
    /// W2.
    pub w2: Measured,
    /// Kolmogorov and Smirnov.
    pub ks: Measured,
}

/// All distances between samples and data.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// [`sliced_w2`].
    pub sliced_w2: Measured,
    /// [`exact_w2`].
    pub exact_w2: Measured,
    /// [`energy_distance`].
    pub energy_distance: Measured,
    /// [`mmd_squared`] with the median distance of the half of the data as the width.
    pub mmd_squared: Measured,
    /// [`classifier_accuracy`].
    pub classifier_accuracy: Measured,
    /// [`column_distances`], one for each column.
    pub columns: Vec<MeasuredColumn>,
}

impl Evaluation {
    /// Measures samples, [n, d] in random order as those of a model are, against data, [m, d] in any order.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the columns differ or one side has fewer than four rows; [`Error::NotFinite`] if a number is NaN or
    /// infinite; [`Error::Setting`] if squares overflow.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Rng, Tensor, data::toy, metrics::Evaluation};
    ///
    /// let mut rng = Rng::from_seed(0);
    /// let (data, good): (Tensor<f64>, Tensor<f64>) = (toy::moons(400, &mut rng), toy::moons(400, &mut rng));
    /// let found = Evaluation::measure(&good, &data, &mut rng)?;
    /// assert!(found.exact_w2.model < 2.0 * found.exact_w2.floor);
    /// let found = Evaluation::measure(&toy::rings(400, &mut rng), &data, &mut rng)?;
    /// assert!(found.exact_w2.model > 2.0 * found.exact_w2.floor);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn measure(samples: &Tensor<f64>, data: &Tensor<f64>, rng: &mut Rng) -> Result<Self> {
        check(samples, data)?;
        for (what, found) in [("samples", samples.rows()), ("rows of data", data.rows())] {
            if found < 4 {
                let remedy = "two halves of at least two rows are held against each other";
                return Err(Error::Dimension { what, expected: 4, found, remedy });
            }
        }
        let half = samples.rows().min(data.rows()) / 2;
        let few = half.min(PAIR_ROWS);
        // No column is left out: one that is constant in the data keeps its unit.
        let units = Standardize::fit_source(data, &Standardize::identity(data.cols()))?;
        let orders = rng.fork(Purpose::Metric);
        let (mut model, mut floor) = (Vec::new(), Vec::new());
        for halving in 0..HALVINGS {
            let mut order: Vec<usize> = (0..data.rows()).collect();
            orders.stream(halving as u64).shuffle(&mut order);
            let (a, b) = (picked(data, &order[..half])?, picked(data, &order[half..2 * half])?);
            let drawn = samples.slice_rows(halving % 2 * half..(halving % 2 + 1) * half);
            let width = median_distance(&units.to_model(&a)?)?;
            model.push(distances(&drawn, &a, &units, few, width, rng)?);
            floor.push(distances(&b, &a, &units, few, width, rng)?);
        }
        let of = |rows: usize, distance: &dyn Fn(&Distances) -> f64| {
            let all = |found: &[Distances]| found.iter().map(distance).collect::<Vec<_>>();
            Measured::of(&all(&model), &all(&floor), rows)
        };
        let columns = (0..data.cols()).map(|j| MeasuredColumn {
            w1: of(half, &|found| found.columns[j].w1),
            w2: of(half, &|found| found.columns[j].w2),
            ks: of(half, &|found| found.columns[j].ks),
        });
        Ok(Self {
            sliced_w2: of(half, &|found| found.sliced_w2),
            exact_w2: of(few, &|found| found.exact_w2),
            energy_distance: of(few, &|found| found.energy_distance),
            mmd_squared: of(few, &|found| found.mmd_squared),
            classifier_accuracy: of(few, &|found| found.classifier_accuracy),
            columns: columns.collect(),
        })
    }
}

/// The distances of one set from another.
struct Distances {
    sliced_w2: f64,
    exact_w2: f64,
    energy_distance: f64,
    mmd_squared: f64,
    classifier_accuracy: f64,
    columns: Vec<ColumnDistance>,
}

/// All of them, those of pairs from the first `few` rows. `rng` stays as it is: every call takes the same directions.
fn distances(
    x: &Tensor<f64>,
    y: &Tensor<f64>,
    units: &Standardize,
    few: usize,
    width: f64,
    rng: &Rng,
) -> Result<Distances> {
    let columns = column_distances(x, y)?;
    let (x, y) = (units.to_model(x)?, units.to_model(y)?);
    let sliced_w2 = sliced_w2(&x, &y, PROJECTIONS, &mut rng.clone())?;
    let (x, y) = (x.slice_rows(0..few), y.slice_rows(0..few));
    Ok(Distances {
        sliced_w2,
        exact_w2: exact_w2(&x, &y)?,
        energy_distance: energy_distance(&x, &y)?,
        mmd_squared: mmd_squared(&x, &y, width)?,
        classifier_accuracy: classifier_accuracy(&x, &y)?,
        columns,
    })
}

/// The rows of these numbers.
fn picked(x: &Tensor<f64>, numbers: &[usize]) -> Result<Tensor<f64>> {
    let rows = numbers.iter().flat_map(|&i| x.row(i)).copied().collect();
    Tensor::from_vec(rows, numbers.len(), x.cols())
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;

    fn measure(samples: &Tensor<f64>, data: &Tensor<f64>) -> Evaluation {
        Evaluation::measure(samples, data, &mut Rng::from_seed(3)).unwrap()
    }

    fn all(found: &Evaluation) -> Vec<Measured> {
        let columns = found.columns.iter().flat_map(|column| [column.w1, column.w2, column.ks]);
        let sets = [
            found.sliced_w2,
            found.exact_w2,
            found.energy_distance,
            found.mmd_squared,
            found.classifier_accuracy,
        ];
        sets.into_iter().chain(columns).collect()
    }

    #[test]
    fn samples_of_the_law_are_at_the_floor_and_others_above() {
        let data = normals(1000, 2, 1.0, 1);
        for found in all(&measure(&normals(1000, 2, 1.0, 2), &data)) {
            // Both vary by their own size; MMD² lies around 0, within some thousandths for 500 rows.
            assert!(found.model < 2.0 * found.floor_max.max(1e-3), "{found:?}");
            assert!(found.floor <= found.floor_max && found.rows == 500, "{found:?}");
        }
        for found in all(&measure(&normals(1000, 2, 2.0, 2), &data)) {
            assert!(found.model > 1.1 * found.floor_max, "{found:?}");
        }
    }

    #[test]
    fn sets_are_in_standard_deviations_and_columns_in_their_units() {
        let (data, samples) = (normals(400, 2, 1.0, 1), normals(401, 2, 1.2, 2));
        // Powers of two: the same bits but for those of a mean.
        let scaled = |x: &Tensor<f64>| {
            let mut y = x.clone();
            for i in 0..y.rows() {
                y.row_mut(i)[0] *= 1024.0;
                y.row_mut(i)[1] = y.row_mut(i)[1].mul_add(0.25, 8.0);
            }
            y
        };
        let (one, other) = (measure(&samples, &data), measure(&scaled(&samples), &scaled(&data)));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + a.abs());
        for (a, b) in all(&one)[..5].iter().zip(&all(&other)[..5]) {
            assert!(near(a.model, b.model) && near(a.floor, b.floor), "{a:?} {b:?}");
        }
        for (j, scale) in [1024.0, 0.25].into_iter().enumerate() {
            assert!(near(scale * one.columns[j].w1.model, other.columns[j].w1.model));
            assert!(near(scale * one.columns[j].w2.floor, other.columns[j].w2.floor));
            assert!(near(one.columns[j].ks.model, other.columns[j].ks.model));
        }
        // A column that is constant in the data is not left out: samples that miss it are far away.
        let mut constant = data.clone();
        (0..400).for_each(|i| constant.row_mut(i)[1] = 5.0);
        let found = measure(&samples, &constant);
        assert!(found.exact_w2.model > 4.0 && found.exact_w2.floor < 1.0, "{found:?}");
    }

    #[test]
    fn the_floor_is_of_equal_sizes_and_of_the_seed_alone() {
        let (data, samples) = (normals(103, 3, 1.0, 1), normals(60, 3, 1.0, 2));
        let found = measure(&samples, &data);
        assert!(all(&found).iter().all(|measured| measured.rows == 30));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| measure(&samples, &data))
        };
        assert_eq!(with(1), found);
        assert_eq!(with(7), found);
        // Data against themselves sorted: the order of the rows plays no part in the law of the floor.
        let mut rows: Vec<Vec<f64>> = (0..103).map(|i| data.row(i).to_vec()).collect();
        rows.sort_by(|x, y| x[0].total_cmp(&y[0]));
        let sorted = Tensor::from_vec(rows.concat(), 103, 3).unwrap();
        let floor = measure(&samples, &sorted).exact_w2.floor;
        assert!((floor / found.exact_w2.floor - 1.0).abs() < 0.2, "{floor} {found:?}");
    }

    #[test]
    fn too_few_rows_are_refused() {
        let (few, enough) = (normals(3, 2, 1.0, 1), normals(4, 2, 1.0, 2));
        let mut rng = Rng::from_seed(0);
        for (samples, data, what) in [(&few, &enough, "samples"), (&enough, &few, "rows of data")] {
            let error = Evaluation::measure(samples, data, &mut rng).unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        }
        assert!(Evaluation::measure(&enough, &enough, &mut rng).is_ok());
        assert!(Evaluation::measure(&normals(9, 3, 1.0, 1), &enough, &mut rng).is_err());
    }
}
