//! [`Schema`]: the columns of a table, and the numbers that the network is given for its rows.
//!
//! # Math
//! Column by column as [`Column`] says; y is what [`Standardize`](super::Standardize) then brings to the network's units. With
//! bounds, log p(x) = log p(y) - sum of ln dx/dy over the columns that have them.
//!
//! # Shapes
//! A table [N, columns], in which a category is its number; the numbers that stand for it [N, width], width the number of columns
//! that are not categorical plus the number of all categories.
//!
//! # Limits
//! A table is checked before it is turned into numbers: a cell that its column cannot hold is an error.

use super::column::Column;
use super::kind::Kind;
use super::nearest::no_such;
use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::rng::Streams;
use crate::tensor::Tensor;

/// The columns of a table.
///
/// # Example
/// ```
/// use pushforward::Tensor;
/// use pushforward::data::{Column, Schema};
///
/// let species = Column::categorical("species", vec!["Adelie".into(), "Gentoo".into()])?;
/// let schema = Schema::new(vec![species, Column::integer("year")])?;
/// let table = Tensor::from_rows(&[[1.0, 2007.0], [0.0, 2009.0]]);
/// let numbers = schema.encode(&table)?;
/// assert_eq!(numbers, Tensor::from_rows(&[[0.0, 1.0, 2007.0], [1.0, 0.0, 2009.0]]));
/// assert_eq!(schema.decode(&numbers)?, table);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<Column>", into = "Vec<Column>")]
pub struct Schema {
    columns: Vec<Column>,
}

impl Schema {
    /// The schema of these columns.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are none, or two of one name.
    pub fn new(columns: Vec<Column>) -> Result<Self> {
        let refused = |value: String, remedy| Err(Error::Setting { name: "schema", value, remedy });
        if columns.is_empty() {
            return refused("of no column".into(), "give at least one");
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(column.name())) {
            return refused(
                format!("of two columns `{}`", twice.name()),
                "give every column a name of its own",
            );
        }
        Ok(Self { columns })
    }

    /// Its columns in their order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many numbers stand for a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.iter().map(Column::width).sum()
    }

    /// Whether the numbers that stand for a row are its cells as they are.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.columns.iter().all(Column::is_plain)
    }

    /// The first column of a kind.
    #[must_use]
    pub fn first(&self, kind: Kind) -> Option<&Column> {
        self.columns.iter().find(|column| column.kind() == kind)
    }

    /// The place of a column.
    ///
    /// # Errors
    /// [`Error::Name`] with the nearest name if there is none that is called so.
    pub fn place(&self, name: &str) -> Result<usize> {
        let place = self.columns.iter().position(|column| column.name() == name);
        place.ok_or_else(|| no_such("column", name, self.columns.iter().map(Column::name)))
    }

    /// The column of a name, or the error that names the nearest.
    fn named(&self, name: &str) -> Result<&Column> {
        let column = self.columns.iter().find(|column| column.name() == name);
        column.ok_or_else(|| no_such("column", name, self.columns.iter().map(Column::name)))
    }

    /// The schema of some of the columns, in the order of their names: what [`Schema::encode`] then makes of a table of these
    /// columns alone is what the whole makes of them.
    ///
    /// # Errors
    /// [`Error::Name`] as in [`Schema::place`]; [`Error::Setting`] as in [`Schema::new`].
    pub fn select(&self, names: &[String]) -> Result<Self> {
        let columns = names.iter().map(|name| self.named(name).cloned());
        Self::new(columns.collect::<Result<_>>()?)
    }

    /// The names of the numbers that stand for a row: those of the columns, of a categorical one `column=category` for each.
    #[must_use]
    pub fn names_of_numbers(&self) -> Vec<String> {
        let names = |column: &Column| match column.kind() {
            Kind::Categorical => {
                column.categories().iter().map(|text| format!("{}={text}", column.name())).collect()
            }
            _ => vec![column.name().to_owned()],
        };
        self.columns.iter().flat_map(names).collect()
    }

    /// Turns a table, [N, columns], into the numbers that stand for its rows, [N, width]: a whole number in the middle of its
    /// cell of width 1.
    ///
    /// # Errors
    /// [`Error::Dimension`] for other columns, [`Error::Setting`] for a cell that its column cannot hold.
    pub fn encode(&self, table: &Tensor<f64>) -> Result<Tensor<f64>> {
        self.encode_with(table, |_| 0.0)
    }

    /// As [`Schema::encode`], with each whole number somewhere in its cell, uniformly: row i draws from stream i, once.
    ///
    /// # Errors
    /// As [`Schema::encode`].
    pub fn dequantise(&self, table: &Tensor<f64>, streams: Streams) -> Result<Tensor<f64>> {
        let mut row = None;
        self.encode_with(table, |i| {
            let (at, stream) = row.get_or_insert_with(|| (i, streams.stream(i as u64)));
            if *at != i {
                (*at, *stream) = (i, streams.stream(i as u64));
            }
            stream.uniform() - 0.5
        })
    }

    fn encode_with(&self, table: &Tensor<f64>, mut shift: impl FnMut(usize) -> f64) -> Result<Tensor<f64>> {
        self.check(table)?;
        let mut numbers = Vec::with_capacity(table.rows() * self.width());
        for i in 0..table.rows() {
            for (column, &x) in self.columns.iter().zip(table.row(i)) {
                let shift = if column.kind() == Kind::Integer { shift(i) } else { 0.0 };
                column.encode(x, shift, &mut numbers);
            }
        }
        Tensor::from_vec(numbers, table.rows(), self.width())
    }

    /// Turns any numbers, [N, width], into the table, [N, columns], for which they stand.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another width.
    pub fn decode<R: Real>(&self, numbers: &Tensor<R>) -> Result<Tensor<f64>> {
        numbers.check_cols("numbers of a row", self.width(), "give those that the schema makes of a row")?;
        let mut table = Vec::with_capacity(numbers.rows() * self.columns.len());
        let mut row = vec![0.0; self.width()];
        for i in 0..numbers.rows() {
            for (y, number) in row.iter_mut().zip(numbers.row(i)) {
                *y = number.to_f64();
            }
            let mut rest = row.as_slice();
            for column in &self.columns {
                let (own, others) = rest.split_at(column.width());
                table.push(column.decode(own));
                rest = others;
            }
        }
        Tensor::from_vec(table, numbers.rows(), self.columns.len())
    }

    /// As [`Schema::encode`], but numbers in their own units: categories alone are replaced by unit vectors, so that distances
    /// between rows mean something.
    ///
    /// # Errors
    /// As [`Schema::encode`].
    pub fn indicate(&self, table: &Tensor<f64>) -> Result<Tensor<f64>> {
        self.check(table)?;
        let mut numbers = Vec::with_capacity(table.rows() * self.width());
        for i in 0..table.rows() {
            for (column, &x) in self.columns.iter().zip(table.row(i)) {
                match column.kind() {
                    Kind::Categorical => column.encode(x, 0.0, &mut numbers),
                    _ => numbers.push(x),
                }
            }
        }
        Tensor::from_vec(numbers, table.rows(), self.width())
    }

    /// Sum of ln dx/dy over the columns of a sound row that have bounds, in nats: log p(x) = log p(y) - this.
    #[must_use]
    pub fn log_det(&self, row: &[f64]) -> f64 {
        self.columns.iter().zip(row).map(|(column, &x)| column.log_slope(x)).sum()
    }

    /// Checks every cell of a table.
    ///
    /// # Errors
    /// As [`Schema::encode`].
    pub fn check(&self, table: &Tensor<f64>) -> Result<()> {
        table.check_cols("columns of the table", self.columns.len(), "give the columns of the schema")?;
        for i in 0..table.rows() {
            for (column, &x) in self.columns.iter().zip(table.row(i)) {
                if let Some(remedy) = column.fault(x) {
                    let value = format!("{x} in column {} of row {i} (counted from 0)", column.name());
                    return Err(Error::Setting { name: "data", value, remedy });
                }
            }
        }
        Ok(())
    }
}

impl TryFrom<Vec<Column>> for Schema {
    type Error = Error;

    fn try_from(columns: Vec<Column>) -> Result<Self> {
        Self::new(columns)
    }
}

impl From<Schema> for Vec<Column> {
    fn from(schema: Schema) -> Self {
        schema.columns
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bounds::Bounds;
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    /// One column of each sort.
    fn mixed() -> Schema {
        let bounds = Bounds::new(0.0, 3.0).unwrap();
        Schema::new(vec![
            Column::numeric("length"),
            Column::categorical("species", texts(&["a", "b", "c"])).unwrap(),
            Column::integer("year"),
            Column::numeric("share").bounded(bounds).unwrap(),
            Column::integer("eggs").bounded(bounds).unwrap(),
        ])
        .unwrap()
    }

    fn rows() -> impl Strategy<Value = Vec<[f64; 5]>> {
        let row = (-1e3..1e3, 0..3_u8, -3000..3000_i32, 0.001..2.999, 0..4_u8)
            .prop_map(|(x, k, n, share, eggs)| [x, k.into(), n.into(), share, eggs.into()]);
        prop::collection::vec(row, 1..20)
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(rows in rows(), seed: u64) {
            let (schema, table) = (mixed(), Tensor::from_rows(&rows));
            let streams = Rng::from_seed(seed).fork(Purpose::Dequantisation);
            let dequantised = schema.dequantise(&table, streams).unwrap();
            prop_assert_eq!((dequantised.cols(), schema.width()), (7, 7));
            for numbers in [schema.encode(&table).unwrap(), dequantised.clone()] {
                let back = schema.decode(&numbers).unwrap();
                for i in 0..table.rows() {
                    let (x, y) = (table.row(i), back.row(i));
                    prop_assert_eq!((x[0].to_bits(), x[1], x[2], x[4]), (y[0].to_bits(), y[1], y[2], y[4]));
                    // A few roundings of a number between 0 and 3.
                    prop_assert!((x[3] - y[3]).abs() < 1e-14, "{} {}", x[3], y[3]);
                }
            }
            // Row i draws from stream i: the rest of the table changes nothing.
            let first = schema.dequantise(&table.slice_rows(0..1), streams).unwrap();
            prop_assert_eq!(first.row(0), dequantised.row(0));
        }

        #[test]
        fn columns_that_are_split_off_are_encoded_as_in_the_whole(rows in rows()) {
            let (schema, table) = (mixed(), Tensor::from_rows(&rows));
            let part = schema.select(&texts(&["year", "species"])).unwrap();
            let split: Vec<[f64; 2]> = rows.iter().map(|row| [row[2], row[1]]).collect();
            let (whole, part) = (schema.encode(&table).unwrap(), part.encode(&Tensor::from_rows(&split)).unwrap());
            for i in 0..table.rows() {
                let whole = whole.row(i);
                prop_assert_eq!(part.row(i), &[whole[4], whole[1], whole[2], whole[3]]);
            }
        }

        /// The volume of a small box of numbers beside that of what it stands for.
        #[test]
        fn the_log_determinant_is_that_of_differences(a in 0.05..2.95, b in 0.05..2.95) {
            let bounds = Bounds::new(0.0, 3.0).unwrap();
            let column = |name| Column::numeric(name).bounded(bounds).unwrap();
            let schema = Schema::new(vec![column("a"), Column::numeric("b"), column("c")]).unwrap();
            let row = [a, 7.0, b];
            let y = schema.encode(&Tensor::from_rows(&[row])).unwrap();
            let h = 1e-5;
            let side = |j: usize| {
                let moved = |by: f64| {
                    let mut y = y.clone();
                    y.row_mut(0)[j] += by;
                    schema.decode(&y).unwrap().row(0)[j]
                };
                (moved(h) - moved(-h)) / (2.0 * h)
            };
            let volume = side(0) * side(1) * side(2);
            // h² times the third derivative, and roundings of 1e-16 / h over a slope of 0.04 at least.
            prop_assert!((schema.log_det(&row) - volume.ln()).abs() < 1e-8);
        }
    }

    #[test]
    fn whole_numbers_are_spread_over_their_cells() {
        let schema = Schema::new(vec![Column::integer("n")]).unwrap();
        let table = Tensor::from_vec(vec![5.0; 10_000], 10_000, 1).unwrap();
        let numbers = schema.dequantise(&table, Rng::from_seed(1).fork(Purpose::Dequantisation)).unwrap();
        let mean = numbers.as_slice().iter().sum::<f64>() / 1e4;
        let variance = numbers.as_slice().iter().map(|y| (y - 5.0).powi(2)).sum::<f64>() / 1e4;
        // Four standard errors: sqrt(1/12) / 100 and sqrt(1/80 - 1/144) / 100.
        assert!((mean - 5.0).abs() < 0.012 && (variance - 1.0 / 12.0).abs() < 0.003, "{mean} {variance}");
    }

    #[test]
    fn large_whole_numbers_stay_in_their_cells() {
        let schema = Schema::new(vec![Column::integer("n")]).unwrap();
        let largest = 9_007_199_254_740_992.0; // 2^53
        let rows: Vec<[f64; 1]> =
            (0..200).map(|i| [largest / f64::from(1 << (i % 8)) - f64::from(i)]).collect();
        let table = Tensor::from_rows(&rows);
        let numbers = schema.dequantise(&table, Rng::from_seed(2).fork(Purpose::Dequantisation)).unwrap();
        assert_eq!(schema.decode(&numbers).unwrap(), table);
        assert!(schema.encode(&Tensor::from_rows(&[[largest * 2.0]])).is_err());
    }

    #[test]
    fn any_numbers_stand_for_a_sound_row() {
        let schema = mixed();
        let far = Tensor::from_rows(&[[1e30_f32; 7], [-1e30; 7], [0.0; 7], [-0.4; 7]]);
        let table = schema.decode(&far).unwrap();
        let rows = [0, 2, 3].map(|i| table.row(i).to_vec());
        assert_eq!(table.row(1)[1..].iter().map(|x| x.to_bits()).collect::<Vec<_>>()[3], 0.0_f64.to_bits());
        assert_eq!((rows[0][1], rows[0][4]), (0.0, 3.0), "ties go to the first category");
        assert_eq!((rows[1][3], rows[1][4]), (1.5, 2.0));
        assert_eq!(rows[2][2].to_bits(), 0.0_f64.to_bits(), "no -0");
        // 1e30 is no whole number that has a cell: all but it.
        let columns = texts(&["length", "species", "share", "eggs"]);
        let kept: Vec<[f64; 4]> = (0..4).map(|i| [0, 1, 3, 4].map(|j| table.row(i)[j])).collect();
        schema.select(&columns).unwrap().check(&Tensor::from_rows(&kept)).unwrap();
    }

    #[test]
    fn cells_that_do_not_fit_are_refused() {
        let good = [1.0, 2.0, 2007.0, 1.0, 3.0];
        mixed().check(&Tensor::from_rows(&[good])).unwrap();
        for (j, bad, words) in [
            (0, f64::NAN, "NaN in column length of row 1 (counted from 0): is no finite number"),
            (1, 3.0, "number of none of its categories"),
            (1, 0.5, "number of none of its categories"),
            (2, 2007.5, "no whole number"),
            (3, 0.0, "at or outside the bounds"),
            (3, 3.0, "at or outside the bounds"),
            (4, -1.0, "outside the bounds"),
            (4, 4.0, "outside the bounds"),
        ] {
            let mut row = good;
            row[j] = bad;
            let text = mixed().encode(&Tensor::from_rows(&[good, row])).unwrap_err().to_string();
            assert!(text.contains(words), "{text}");
        }
        assert!(
            mixed().encode(&Tensor::zeros(1, 4)).is_err()
                && mixed().decode(&Tensor::<f64>::zeros(1, 5)).is_err()
        );
    }

    #[test]
    fn columns_that_cannot_be_are_refused() {
        let bounds = Bounds::new(0.5, 3.0).unwrap();
        let many: Vec<String> = (0..257).map(|k| k.to_string()).collect();
        for (text, words) in [
            (Column::categorical("c", Vec::new()).unwrap_err().to_string(), "0 of column c"),
            (Column::categorical("c", many).unwrap_err().to_string(), "257 of column c"),
            (
                Column::categorical("c", texts(&["a", "a"])).unwrap_err().to_string(),
                "\"a\" twice in column c",
            ),
            (Column::integer("n").bounded(bounds).unwrap_err().to_string(), "give whole numbers"),
            (
                Column::categorical("c", texts(&["a"])).unwrap().bounded(bounds).unwrap_err().to_string(),
                "no bounds",
            ),
            (Schema::new(Vec::new()).unwrap_err().to_string(), "of no column"),
            (
                Schema::new(vec![Column::numeric("a"), Column::integer("a")]).unwrap_err().to_string(),
                "two columns `a`",
            ),
            (mixed().select(&texts(&["spezies"])).unwrap_err().to_string(), "the nearest is `species`"),
        ] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn what_is_stored_comes_back_and_damage_is_noticed() {
        let text = serde_json::to_string(&mixed()).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), mixed());
        for (sound, damaged) in
            [("[0.0,3.0]", "[3.0,0.0]"), (r#"["a","b","c"]"#, r#"["a","a","c"]"#), ("year", "eggs")]
        {
            assert!(text.contains(sound), "{text}");
            assert!(serde_json::from_str::<Schema>(&text.replacen(sound, damaged, 1)).is_err(), "{damaged}");
        }
    }

    #[test]
    fn numbers_have_names() {
        let names = ["length", "species=a", "species=b", "species=c", "year", "share", "eggs"];
        assert_eq!(mixed().names_of_numbers(), names);
        assert!(!mixed().is_plain() && Schema::new(vec![Column::numeric("a")]).unwrap().is_plain());
        assert_eq!(mixed().first(Kind::Categorical).map(Column::name), Some("species"));
        let numbers = mixed().indicate(&Tensor::from_rows(&[[1.0, 2.0, 2007.0, 1.0, 3.0]])).unwrap();
        assert_eq!(numbers.row(0), [1.0, 0.0, 0.0, 1.0, 2007.0, 1.0, 3.0]);
    }
}
