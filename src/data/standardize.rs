//! [`Standardize`]: the affine map between the units of the data and those of the network.
//!
//! # Math
//! For each column that varies, x = mean + std z; the network sees z alone. As the map is part of the
//! model, so is its determinant: log p_x(x) = log p_z(z) - sum of ln std over these columns. Mean and
//! standard deviation (1/n) come from two passes over the rows in order, in f64, after an exact
//! scaling by a power of two, so that no square overflows or vanishes.
//!
//! A column is constant if its values are equal but for 1e-12 of their size (or 2.2e-308). It has no
//! density: it is kept from the network and put back as it was, and a row that differs in it is off the
//! support.
//!
//! # Shapes
//! Data [N, d], model [N, d'], d' <= d the number of columns that vary.
//!
//! # Limits
//! Each column is scaled for itself; correlations stay as they are.

#![allow(clippy::indexing_slicing, reason = "columns of matrices whose shapes were checked")]

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// A column whose values differ by less than this, relative to the largest, is constant: some thousand
/// roundings of f64, and far below what any instrument resolves.
const CONSTANT_SPREAD: f64 = 1e-12;

/// Above this |mean| / std, the rounding of f32 (6e-8 of the value) is no longer small beside the
/// spread: at 1000 it is 6e-5 standard deviations.
const MAX_OFFSET_FOR_F32: f64 = 1000.0;

/// No value of n rows is further from their mean than sqrt(n) standard deviations: this serves for 10^12.
const FARTHEST_STDS: f64 = 1e6;

/// Rows that one thread turns into data at a time: some microseconds of work.
const ROWS_IN_PART: usize = 1 << 10;

/// The affine map between the units of the data and those of the network.
///
/// # Example
/// ```
/// use pushforward::{Tensor, data::Standardize};
///
/// let x = Tensor::from_rows(&[[1.0, 7.0, 10.0], [3.0, 7.0, 30.0]]);
/// let map = Standardize::fit(&x)?;
/// assert_eq!((map.dim(), map.model_dim(), map.constants()), (3, 2, vec![1]));
/// let z = map.to_model(&x)?;
/// assert_eq!(z, Tensor::from_rows(&[[-1.0, -1.0], [1.0, 1.0]]));
/// assert_eq!(map.to_data(&z)?, x);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Stored")]
pub struct Standardize {
    /// Length d; of a constant column its value.
    mean: Vec<f64>,
    /// Length d; 0 marks a constant column.
    std: Vec<f64>,
}

/// The same before it was checked.
#[derive(serde::Deserialize)]
struct Stored {
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Standardize {
    /// Takes mean and standard deviation from data, [N, d].
    ///
    /// # Errors
    /// [`Error::Dimension`] if there are no rows or no column varies, [`Error::NotFinite`] if a number
    /// is not, [`Error::Setting`] if the range of a column is beyond f64.
    pub fn fit(x: &Tensor<f64>) -> Result<Self> {
        if x.rows() == 0 {
            let remedy = "give at least two rows";
            return Err(Error::Dimension { what: "rows of data", expected: 2, found: 0, remedy });
        }
        x.check_finite("the data", "use finite numbers only")?;
        let (mean, std): (Vec<f64>, Vec<f64>) =
            (0..x.cols()).map(|j| moments(x, j)).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let map = Self { mean, std };
        if map.model_dim() == 0 {
            return Err(Error::Dimension {
                what: "columns of data that vary",
                expected: 1,
                found: 0,
                remedy: "give rows that differ: where all are equal there is nothing to learn",
            });
        }
        Ok(map)
    }

    /// Takes mean and standard deviation of a source from its rows, [N, d], for a model of data with the map `target`: the network
    /// sees the columns that it sees of the data. One that is constant in the source is moved to 0 and not scaled.
    ///
    /// Source and target have maps of their own, so that the network sees both at 0 with size 1 whatever their
    /// offsets and units are, and each column counts alike in the cost of a transport. Where their spreads agree the
    /// best pairs are those in the units of the data: an offset alone changes no best plan.
    ///
    /// # Errors
    /// As [`Standardize::fit`], and [`Error::Dimension`] if x has other columns than the data.
    pub fn fit_source(x: &Tensor<f64>, target: &Self) -> Result<Self> {
        x.check_cols("columns of the source", target.dim(), "source and target must have the same columns")?;
        if x.rows() == 0 {
            let remedy = "give the rows that samples start from";
            return Err(Error::Dimension { what: "rows of the source", expected: 1, found: 0, remedy });
        }
        x.check_finite("the source", "use finite numbers only")?;
        let of_column = |j| {
            let (mean, std) = moments(x, j)?;
            let kept = if std > 0.0 { std } else { 1.0 };
            Ok((mean, if target.varies(j) { kept } else { 0.0 }))
        };
        let (mean, std) = (0..x.cols()).map(of_column).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        Ok(Self { mean, std })
    }

    /// The map that changes nothing, for d columns.
    #[must_use]
    pub fn identity(d: usize) -> Self {
        Self { mean: vec![0.0; d], std: vec![1.0; d] }
    }

    /// Columns of the data.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Columns that the network sees: those that vary.
    #[must_use]
    pub fn model_dim(&self) -> usize {
        self.varying().count()
    }

    /// The constant columns of the data, ascending.
    #[must_use]
    pub fn constants(&self) -> Vec<usize> {
        (0..self.dim()).filter(|&j| !self.varies(j)).collect()
    }

    /// The mean of each column, in its unit, length d; of a constant column its value.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The standard deviation of each column, in its unit, length d; 0 for a constant column.
    #[must_use]
    pub fn std(&self) -> &[f64] {
        &self.std
    }

    /// Turns data, [N, d], into what the network sees, [N, d'].
    ///
    /// # Errors
    /// [`Error::Dimension`] if x has not d columns.
    pub fn to_model(&self, x: &Tensor<f64>) -> Result<Tensor<f64>> {
        x.check_cols("columns of x", self.dim(), "give the columns that the model was trained on")?;
        let mut z = Vec::with_capacity(x.rows() * self.model_dim());
        for i in 0..x.rows() {
            let row = x.row(i);
            z.extend(self.varying().map(|j| (row[j] - self.mean[j]) / self.std[j]));
        }
        Tensor::from_vec(z, x.rows(), self.model_dim())
    }

    /// Turns what the network gives, [N, d'], into data, [N, d], the constant columns exactly as they
    /// were. It is computed in f64 and rounded to S.
    ///
    /// # Errors
    /// [`Error::Dimension`] if z has not d' columns.
    pub fn to_data<R: Real, S: Real>(&self, z: &Tensor<R>) -> Result<Tensor<S>> {
        z.check_cols("columns of z", self.model_dim(), "give the columns that the network has")?;
        let mut x = Tensor::zeros(z.rows(), self.dim());
        self.write_data(z, &mut x);
        Ok(x)
    }

    /// Writes what z, [N, d'], is as data into x, [N, d].
    pub(crate) fn write_data<R: Real, S: Real>(&self, z: &Tensor<R>, x: &mut Tensor<S>) {
        let d = self.dim().max(1);
        x.as_mut_slice().par_chunks_mut(ROWS_IN_PART * d).enumerate().for_each(|(part, rows)| {
            for (i, row) in rows.chunks_exact_mut(d).enumerate() {
                let mut numbers = z.row(part * ROWS_IN_PART + i).iter();
                for (j, x) in row.iter_mut().enumerate() {
                    // A constant column is no part of z.
                    let number = if self.varies(j) { numbers.next() } else { None };
                    *x =
                        S::from_f64(number.map_or(self.mean[j], |z| self.mean[j] + self.std[j] * z.to_f64()));
                }
            }
        });
    }

    /// ln |det dx/dz| = sum of ln std over the columns that vary, in nats: log p_x = log p_z - this.
    #[must_use]
    pub fn log_det(&self) -> f64 {
        self.varying().map(|j| self.std[j].ln()).sum()
    }

    /// Whether a row of data, length d, has the values of the constant columns; elsewhere its density
    /// is 0. A row of another length has not.
    #[must_use]
    pub fn is_on_support(&self, row: &[f64]) -> bool {
        // Twice the spread: the value that was kept need not be the largest.
        let equal = |x: f64, value: f64| (x - value).abs() <= 2.0 * spread_of_constant(value);
        row.len() == self.dim() && (0..self.dim()).all(|j| self.varies(j) || equal(row[j], self.mean[j]))
    }

    /// Whether data in f32 is as good as in f64: no column lies so far from 0 that the rounding of f32
    /// shows beside its spread (|mean| above 1000 std), none leaves the range of f32, and each constant
    /// is an f32. Otherwise what the model gives should be written in f64.
    #[must_use]
    pub fn fits_f32(&self) -> bool {
        (0..self.dim()).all(|j| self.column_fits_f32(j))
    }

    /// The same of one column; not of one that there is not.
    #[must_use]
    pub fn column_fits_f32(&self, j: usize) -> bool {
        let (least, most) = (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX));
        let (Some(mean), Some(&std)) = (self.mean.get(j).map(|mean| mean.abs()), self.std.get(j)) else {
            return false;
        };
        if self.varies(j) {
            let in_range = mean + FARTHEST_STDS * std <= most && std * f32::ROUNDOFF >= least;
            in_range && mean <= MAX_OFFSET_FOR_F32 * std
        } else {
            f32::from_f64(mean).to_f64().to_bits() == mean.to_bits()
        }
    }

    fn varies(&self, column: usize) -> bool {
        self.std[column] > 0.0
    }

    fn varying(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.dim()).filter(|&j| self.varies(j))
    }
}

impl TryFrom<Stored> for Standardize {
    type Error = &'static str;

    fn try_from(Stored { mean, std }: Stored) -> std::result::Result<Self, &'static str> {
        let usable = |x: &f64| x.is_finite();
        if mean.len() != std.len() || !mean.iter().all(usable) || !std.iter().all(|x| usable(x) && *x >= 0.0)
        {
            return Err("the standardisation is damaged: means and deviations do not fit");
        }
        Ok(Self { mean, std })
    }
}

/// How far the values of a constant column of this size may lie apart. Below the normal numbers there is
/// no relative precision left.
fn spread_of_constant(value: f64) -> f64 {
    (CONSTANT_SPREAD * value.abs()).max(f64::MIN_POSITIVE)
}

/// Mean and standard deviation of column j; of a constant column its first value and 0.
#[allow(clippy::cast_precision_loss, reason = "a number of rows is below 2^53")]
fn moments(x: &Tensor<f64>, j: usize) -> Result<(f64, f64)> {
    let n = x.rows() as f64;
    let column = || (0..x.rows()).map(|i| x.row(i)[j]);
    let (low, high) = column().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let largest = low.abs().max(high.abs());
    if !(high - low).is_finite() {
        return Err(Error::Setting {
            name: "data",
            value: format!("too wide for f64 in column {j} (counted from 0)"),
            remedy: "give that column in a larger unit",
        });
    }
    if high - low <= spread_of_constant(largest) {
        return Ok((x.row(0)[j], 0.0));
    }
    // The power of two at or below the largest value (its exponent bits alone).
    let unit = f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE);
    let mean = column().map(|x| x / unit).sum::<f64>() / n;
    // The deviations from a rounded mean do not sum to 0: what is left corrects mean and variance.
    let (mut sum, mut squares) = (0.0, 0.0);
    for x in column() {
        let deviation = x / unit - mean;
        sum += deviation;
        squares += deviation * deviation;
    }
    let left = sum / n;
    let variance = squares / n - left * left;
    Ok(((mean + left) * unit, variance.sqrt() * unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::{Purpose, Rng};

    /// n rows: column j is offset[j] + scale[j] times a normal.
    fn normals(n: usize, offset: &[f64], scale: &[f64]) -> Tensor<f64> {
        let mut stream = Rng::from_seed(5).fork(Purpose::Data).stream(0);
        let mut x = Tensor::zeros(n, offset.len());
        for i in 0..n {
            for (j, x) in x.row_mut(i).iter_mut().enumerate() {
                *x = offset[j] + scale[j] * stream.normal();
            }
        }
        x
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_numbers() {
        // 1 ... 5: mean 3, variance 2 (1/n, not 5/2); moved by 1e9, where one pass would keep no digit.
        let x = Tensor::from_rows(&[1.0, 2.0, 3.0, 4.0, 5.0].map(|x| [x, 1e9 + x, -1e-3 * x]));
        let map = Standardize::fit(&x).unwrap();
        let root = 2_f64.sqrt();
        for (j, (mean, std)) in [(3.0, root), (1e9 + 3.0, root), (-3e-3, 1e-3 * root)].into_iter().enumerate()
        {
            // A few roundings.
            assert!((map.mean()[j] - mean).abs() < 1e-15 * mean.abs());
            assert!((map.std()[j] - std).abs() < 1e-14 * std);
        }
    }

    #[test]
    fn what_the_network_sees_has_mean_0_and_deviation_1() {
        // Values whose squares overflow or vanish, and an offset of 10^7 deviations.
        let scale = [1.0, 1e-3, 1e200, 1e-200, 1e-300, 1e300, 1.0];
        let offset = [0.0, 5.0, -1e200, 1e-200, 0.0, 1e300, 1e7];
        let x = normals(5000, &offset, &scale);
        let map = Standardize::fit(&x).unwrap();
        assert_eq!(map.model_dim(), 7);
        let again = Standardize::fit(&map.to_model(&x).unwrap()).unwrap();
        for j in 0..7 {
            // The rounding of x itself: 1e-16 x 10^7 deviations.
            assert!(again.mean()[j].abs() < 1e-8, "{:?}", again.mean());
            assert!((again.std()[j] - 1.0).abs() < 1e-8, "{:?}", again.std());
        }
    }

    #[test]
    fn constant_columns_stay_out_and_come_back_exactly() {
        let x = Tensor::from_rows(&[[0.1, 1.0, 1e6], [0.1, 2.0, 1e6 + 1e-7], [0.1, 4.0, 1e6]]);
        let map = Standardize::fit(&x).unwrap();
        assert_eq!((map.constants(), map.dim(), map.model_dim()), (vec![0, 2], 3, 1));
        assert_eq!((map.mean()[0].to_bits(), map.mean()[2]), (0.1_f64.to_bits(), 1e6));
        let back = map.to_data(&Tensor::from_rows(&[[0.0_f32], [1.0]])).unwrap();
        assert_eq!((back.row(1)[0], back.row(1)[2]), (0.1, 1e6));
        assert!((0..3).all(|i| map.is_on_support(x.row(i))));
        assert!(map.is_on_support(&[0.1, -9.0, 1e6]));
        assert!(!map.is_on_support(&[0.1, -9.0]) && !map.is_on_support(&[0.1, -9.0, 1e6, 0.0]));
        assert!(map.column_fits_f32(1) && !map.column_fits_f32(3));
        for row in [[0.1 + 1e-9, 1.0, 1e6], [0.1, 1.0, 1e6 + 1.0], [f64::NAN, 1.0, 1e6], [0.0, 1.0, 1e6]] {
            assert!(!map.is_on_support(&row), "{row:?}");
        }
        // A small spread that is not nothing: 1e-9 of the value; a constant 0.
        let map = Standardize::fit(&Tensor::from_rows(&[[1.0, 0.0], [1.0 + 1e-9, 0.0]])).unwrap();
        assert_eq!(map.constants(), [1]);
        assert!(map.is_on_support(&[3.0, 0.0]) && !map.is_on_support(&[3.0, 1e-300]));
    }

    #[test]
    fn data_from_which_nothing_can_be_learned_is_refused() {
        let text = |x: &Tensor<f64>| Standardize::fit(x).unwrap_err().to_string();
        assert!(
            text(&Tensor::from_rows(&[[1.0, 2.0], [1.0, 2.0]]))
                .starts_with("columns of data that vary: found 0")
        );
        assert!(text(&Tensor::from_rows(&[[1.0, 2.0]])).starts_with("columns of data that vary: found 0"));
        assert!(text(&Tensor::zeros(0, 2)).starts_with("rows of data: found 0"));
        assert!(text(&Tensor::zeros(2, 0)).starts_with("columns of data that vary"));
        assert!(text(&Tensor::from_rows(&[[1.0], [f64::NAN]])).contains("NaN in row 1"));
        assert!(text(&Tensor::from_rows(&[[f64::MAX], [f64::MIN]])).contains("too wide for f64 in column 0"));
    }

    #[test]
    fn log_det_is_the_change_of_volume() {
        let x = normals(100, &[1.0, 2.0, 3.0], &[2.0, 0.0, 0.1]);
        let map = Standardize::fit(&x).unwrap();
        let z = Tensor::from_rows(&[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]);
        let x: Tensor<f64> = map.to_data(&z).unwrap();
        // The unit square of the two columns that vary becomes this rectangle.
        let area = (x.row(1)[0] - x.row(0)[0]) * (x.row(2)[2] - x.row(0)[2]);
        assert!((map.log_det() - area.ln()).abs() < 1e-13);
        assert!(Standardize::identity(4).log_det().abs() < f64::MIN_POSITIVE);
    }

    #[test]
    fn identity_changes_nothing() {
        let map = Standardize::identity(3);
        let x = normals(10, &[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0]);
        assert_eq!(map.to_model(&x).unwrap(), x);
        assert_eq!(map.to_data(&x).unwrap(), x);
        assert!(map.constants().is_empty() && map.fits_f32() && map.is_on_support(&[0.0; 3]));
    }

    #[test]
    fn other_columns_are_refused() {
        let map = Standardize::fit(&Tensor::from_rows(&[[1.0, 7.0, 10.0], [3.0, 7.0, 30.0]])).unwrap();
        assert!(
            map.to_model(&Tensor::zeros(1, 2)).is_err()
                && map.to_data::<f32, f64>(&Tensor::zeros(1, 3)).is_err()
        );
        assert_eq!(map.to_model(&Tensor::zeros(0, 3)).unwrap().cols(), 2);
    }

    #[test]
    fn f32_is_refused_where_it_would_show() {
        let fits = |x: &Tensor<f64>| Standardize::fit(x).unwrap().fits_f32();
        assert!(fits(&normals(100, &[500.0, -500.0], &[1.0, 1.0])));
        assert!(!fits(&normals(100, &[0.0, -2000.0], &[1.0, 1.0])));
        assert!(!fits(&normals(100, &[0.0], &[1e35])) && !fits(&normals(100, &[0.0], &[1e-35])));
        // A constant that is an f32, and one that is none.
        assert!(fits(&normals(100, &[0.0, 0.5], &[1.0, 0.0])));
        assert!(
            !fits(&normals(100, &[0.0, 0.1], &[1.0, 0.0])) && !fits(&normals(100, &[0.0, 1e39], &[1.0, 0.0]))
        );
    }

    #[test]
    fn what_is_stored_comes_back_and_damage_is_noticed() {
        let map = Standardize::fit(&normals(100, &[1.0, 2.0], &[2.0, 0.0])).unwrap();
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(&map, config).unwrap();
        let (back, read): (Standardize, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
        assert_eq!((back, read), (map, bytes.len()));
        for (mean, std) in [
            (vec![0.0], vec![]),
            (vec![0.0], vec![-1.0]),
            (vec![0.0], vec![f64::NAN]),
            (vec![f64::INFINITY], vec![1.0]),
        ] {
            let bytes = bincode::serde::encode_to_vec(Standardize { mean, std }, config).unwrap();
            assert!(bincode::serde::decode_from_slice::<Standardize, _>(&bytes, config).is_err());
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(
            rows in prop::collection::vec(prop::array::uniform3(-1e3..1e3), 2..40),
            exponent in -100..100_i32,
        ) {
            let scale = 10_f64.powi(exponent);
            let rows: Vec<f64> = rows.into_iter().flat_map(|[a, b, _]| [scale * a, -3.25, b]).collect();
            let x = Tensor::from_vec(rows.clone(), rows.len() / 3, 3).unwrap();
            let map = Standardize::fit(&x).unwrap();
            let back: Tensor<f64> = map.to_data(&map.to_model(&x).unwrap()).unwrap();
            for i in 0..x.rows() {
                prop_assert!(map.is_on_support(x.row(i)));
                for j in 0..3 {
                    // Roundings of a difference, a quotient, a product and a sum of such size.
                    let bound = 1e-15 * (map.mean()[j].abs() + x.row(i)[j].abs());
                    prop_assert!((back.row(i)[j] - x.row(i)[j]).abs() <= bound);
                }
            }
        }
    }
}
