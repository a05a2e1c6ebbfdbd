//! [`Conditions`]: what is known of a row beside its data, as numbers for the network.
//!
//! # Math
//! A numeric column y becomes (y - mean) / std, with mean and standard deviation of the training rows; a column of k categories
//! becomes k numbers, 1 at its category and 0 at the others: what the first layer makes of them is a vector for each category
//! that is learnt (an embedding). One more number in front is 1, and everything is 0 for a row whose condition is not
//! known: the network tells the two apart (E27).
//!
//! # Shapes
//! Values are [N, c], one column for each condition: a number, or that of a category, from 0. What the network is given is
//! [N, [`Conditions::width`]].
//!
//! # Limits
//! At most [`Conditions::MOST_CATEGORIES`] categories a column.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// The column of one condition.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ConditionColumn {
    /// Its name.
    pub name: String,
    /// What its values mean.
    pub kind: ConditionKind,
}

/// What the values of a condition mean.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConditionKind {
    /// A number.
    Numeric,
    /// One of these, known by its place in the list, from 0.
    Categorical(Vec<String>),
}

/// The conditions of a model, fitted to its training rows.
///
/// # Example
/// ```
/// use pushforward::{Tensor, data::{ConditionColumn, ConditionKind, Conditions}};
///
/// let kind = ConditionKind::Categorical(vec!["cat".into(), "dog".into()]);
/// let columns = vec![
///     ConditionColumn { name: "age".into(), kind: ConditionKind::Numeric },
///     ConditionColumn { name: "species".into(), kind },
/// ];
/// let values = Tensor::from_rows(&[[1.0, 0.0], [3.0, 1.0]]); // age 1, cat; age 3, dog
/// let conditions = Conditions::fit(columns, &values)?;
/// assert_eq!(conditions.encode(&values)?.row(1), [1.0, 1.0, 0.0, 1.0]); // known, (3 - 2) / 1, no cat, a dog
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Conditions {
    columns: Vec<ConditionColumn>,
    /// Of numeric columns; 0 of others.
    mean: Vec<f64>,
    /// Of numeric columns that vary; 0 of others.
    std: Vec<f64>,
}

impl Conditions {
    /// The most categories of one column.
    pub const MOST_CATEGORIES: usize = 4096;

    /// Takes mean and standard deviation of the numeric columns from values, [N, c].
    ///
    /// # Errors
    /// [`Error::Dimension`] if there are no rows, no columns, or others than in `columns`; [`Error::Setting`] for a name that is
    /// there twice, no categories or too many, and a value that is no category; [`Error::NotFinite`] for one that is no number.
    #[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    pub fn fit(columns: Vec<ConditionColumn>, values: &Tensor<f64>) -> Result<Self> {
        let c = columns.len();
        let mut fitted = Self { columns, mean: vec![0.0; c], std: vec![0.0; c] };
        fitted.check_columns()?;
        fitted.check(values)?;
        if values.rows() == 0 {
            let remedy = "give the condition of each training row";
            return Err(Error::Dimension { what: "rows of the conditions", expected: 1, found: 0, remedy });
        }
        let moments = fitted.mean.iter_mut().zip(&mut fitted.std);
        for (j, (column, (mean_of, std_of))) in fitted.columns.iter().zip(moments).enumerate() {
            if column.kind == ConditionKind::Numeric {
                let column = || values.column(j);
                let scale = column().fold(0.0, |most: f64, y| most.max(y.abs()));
                let n = values.rows() as f64;
                let mean = column().map(|y| y / n).sum::<f64>();
                // Against overflow of the squares.
                let unit = if scale > 0.0 { scale } else { 1.0 };
                let square = column().map(|y| ((y / unit) - (mean / unit)).powi(2)).sum::<f64>() / n;
                let std = unit * square.sqrt();
                *mean_of = mean;
                // One that does not vary says nothing: 0 to the network.
                *std_of = if std > CONSTANT_SPREAD * scale { std } else { 0.0 };
            }
        }
        Ok(fitted)
    }

    /// The columns, in the order of the values.
    #[must_use]
    pub fn columns(&self) -> &[ConditionColumn] {
        &self.columns
    }

    /// How many numbers the network is given for each row.
    #[must_use]
    pub fn width(&self) -> usize {
        1 + self.columns.iter().map(ConditionColumn::width).sum::<usize>()
    }

    /// The numbers that the network is given for values [N, c]: [N, width].
    ///
    /// # Errors
    /// [`Error::Dimension`] if they have other columns, [`Error::Setting`] for a value that is no category,
    /// [`Error::NotFinite`] for one that is no number, or too far from the training rows for 32 bits.
    pub fn encode(&self, values: &Tensor<f64>) -> Result<Tensor<f32>> {
        self.check(values)?;
        let mut encoded = Tensor::zeros(values.rows(), self.width());
        for i in 0..values.rows() {
            let (known, mut rest) = encoded.row_mut(i).split_at_mut(1);
            known.fill(1.0);
            for ((column, units), &y) in self.columns.iter().zip(self.units()).zip(values.row(i)) {
                let (own, next) = rest.split_at_mut(column.width());
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a checked category; a number of 64 bits that the network sees in 32"
                )]
                match column.kind {
                    ConditionKind::Numeric => own.fill(standardized(y, units) as f32),
                    ConditionKind::Categorical(_) => {
                        own.iter_mut().skip(y as usize).take(1).for_each(|one| *one = 1.0)
                    }
                }
                rest = next;
            }
        }
        encoded.check_finite("a condition in the network's units", "it is too far from the training data")?;
        Ok(encoded)
    }

    /// For each row of values, [N, c], a number that two rows share if they agree in all their categories; the numbers are
    /// counted from 0 in the order in which they come.
    ///
    /// # Errors
    /// As [`Conditions::encode`].
    pub fn categories_of(&self, values: &Tensor<f64>) -> Result<Vec<u32>> {
        self.check(values)?;
        let mut known = HashMap::new();
        let mut of_row = |i| {
            let cells = self.columns.iter().zip(values.row(i));
            let categories = cells.filter(|(column, _)| column.kind != ConditionKind::Numeric);
            let key: Vec<u64> = categories.map(|(_, y)| y.to_bits()).collect();
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            *known.entry(key).or_insert(next)
        };
        Ok((0..values.rows()).map(&mut of_row).collect())
    }

    /// The numeric columns of values, [N, c], in standard deviations: [N, n].
    ///
    /// # Errors
    /// As [`Conditions::encode`].
    pub fn numbers_of(&self, values: &Tensor<f64>) -> Result<Tensor<f32>> {
        self.check(values)?;
        let numeric = self.std.iter().filter(|&&std| std > 0.0).count();
        let mut numbers = Tensor::zeros(values.rows(), numeric);
        for i in 0..values.rows() {
            let varying = self.units().zip(values.row(i)).filter(|((_, std), _)| *std > 0.0);
            for (to, (units, &y)) in numbers.row_mut(i).iter_mut().zip(varying) {
                #[allow(clippy::cast_possible_truncation, reason = "the network sees 32 bits as well")]
                let number = standardized(y, units) as f32;
                *to = number;
            }
        }
        numbers.check_finite("a condition in the network's units", "it is too far from the training data")?;
        Ok(numbers)
    }

    /// Mean and standard deviation of each column.
    fn units(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.mean.iter().copied().zip(self.std.iter().copied())
    }

    /// Looks for values that are none of these conditions.
    ///
    /// # Errors
    /// As [`Conditions::encode`].
    pub fn check(&self, values: &Tensor<f64>) -> Result<()> {
        let remedy = "give one number for each condition of the model";
        values.check_cols("columns of the conditions", self.columns.len(), remedy)?;
        values.check_finite("the conditions", "leave such rows out")?;
        for i in 0..values.rows() {
            for (value, column) in values.row(i).iter().zip(&self.columns) {
                if let ConditionKind::Categorical(names) = &column.kind {
                    #[allow(clippy::cast_precision_loss, reason = "at most 4096 categories")]
                    let known = *value >= 0.0 && value.fract() <= 0.0 && *value < names.len() as f64;
                    if !known {
                        return Err(Error::Setting {
                            name: "condition",
                            value: format!("{value} in row {i} of `{}`", column.name),
                            remedy: "give the number of one of its categories, from 0",
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks for what no fit gives, as a damaged file can.
    ///
    /// # Errors
    /// [`Error::Setting`] and [`Error::Dimension`] with the first of it.
    pub fn check_columns(&self) -> Result<()> {
        let c = self.columns.len();
        for found in [self.mean.len(), self.std.len(), c.max(1)] {
            if found != c {
                let remedy = "give at least one condition, with one mean and standard deviation each";
                return Err(Error::Dimension { what: "conditions", expected: c.max(1), found: c, remedy });
            }
        }
        let mut seen = std::collections::HashSet::new();
        for (ConditionColumn { name, kind }, (mean, std)) in self.columns.iter().zip(self.units()) {
            let refused = |value, remedy| Err(Error::Setting { name: "condition", value, remedy });
            if !seen.insert(name) {
                return refused(name.clone(), "it is there twice: name each condition once");
            }
            if let ConditionKind::Categorical(names) = kind
                && !(1..=Self::MOST_CATEGORIES).contains(&names.len())
            {
                let remedy = "give from 1 to 4096 categories, or numbers";
                return refused(format!("{} categories of `{name}`", names.len()), remedy);
            }
            if !(mean.is_finite() && std.is_finite() && std >= 0.0) {
                let value = format!("mean {mean} and standard deviation {std} of `{name}`");
                return refused(value, "give finite numbers");
            }
        }
        Ok(())
    }
}

/// y in the units of mean and standard deviation; 0 where it says nothing.
fn standardized(y: f64, (mean, std): (f64, f64)) -> f64 {
    if std > 0.0 { (y - mean) / std } else { 0.0 }
}

/// As for the data ([`Standardize`](super::Standardize)): what varies by less, relative to its size, is constant.
const CONSTANT_SPREAD: f64 = 1e-12;

impl ConditionColumn {
    fn width(&self) -> usize {
        match &self.kind {
            ConditionKind::Numeric => 1,
            ConditionKind::Categorical(names) => names.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<ConditionColumn> {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        vec![
            ConditionColumn { name: "kind".into(), kind: ConditionKind::Categorical(names) },
            ConditionColumn { name: "size".into(), kind: ConditionKind::Numeric },
        ]
    }

    fn values() -> Tensor<f64> {
        Tensor::from_rows(&[[2.0, 10.0], [0.0, 20.0], [2.0, 30.0]])
    }

    #[test]
    fn rows_are_told_apart_by_their_categories_and_placed_by_their_numbers() {
        let conditions = Conditions::fit(columns(), &values()).unwrap();
        assert_eq!(conditions.width(), 5);
        assert_eq!(conditions.categories_of(&values()).unwrap(), [0, 1, 0]);
        let z = (3.0_f32 / 2.0).sqrt();
        assert_eq!(conditions.numbers_of(&values()).unwrap(), Tensor::from_rows(&[[-z], [0.0], [z]]));
        let encoded = conditions.encode(&values()).unwrap();
        assert_eq!(encoded.row(0), [1.0, 0.0, 0.0, 1.0, -z]);
        assert_eq!(encoded.row(1), [1.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_number_that_does_not_vary_says_nothing() {
        let values = Tensor::from_rows(&[[0.0, 7.1], [1.0, 7.1], [0.0, 7.1]]);
        let conditions = Conditions::fit(columns(), &values).unwrap();
        assert_eq!(conditions.numbers_of(&values).unwrap().cols(), 0);
        let far = Tensor::from_rows(&[[0.0, 1e300]]);
        assert_eq!(conditions.encode(&far).unwrap().row(0), [1.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_largest_numbers_have_a_spread() {
        let values = Tensor::from_rows(&[[0.0, 1.7e308], [1.0, -1.7e308]]);
        let conditions = Conditions::fit(columns(), &values).unwrap();
        assert_eq!(conditions.encode(&values).unwrap().row(1)[4..], [-1.0]);
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        let conditions = Conditions::fit(columns(), &values()).unwrap();
        for bad in [[3.0, 0.0], [-1.0, 0.0], [0.5, 0.0], [0.0, f64::NAN], [f64::INFINITY, 0.0]] {
            assert!(conditions.encode(&Tensor::from_rows(&[bad])).is_err(), "{bad:?}");
        }
        assert!(conditions.encode(&Tensor::from_rows(&[[0.0]])).is_err());
        let mut twice = columns();
        twice[1].name = "kind".into();
        assert!(Conditions::fit(twice, &values()).is_err());
        assert!(Conditions::fit(vec![], &Tensor::zeros(3, 0)).is_err());
        let none = vec![ConditionColumn { name: "x".into(), kind: ConditionKind::Categorical(vec![]) }];
        assert!(Conditions::fit(none, &Tensor::zeros(3, 1)).is_err());
        assert!(Conditions::fit(columns(), &Tensor::zeros(0, 2)).is_err());
    }
}
