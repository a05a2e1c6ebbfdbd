//! [`Layout`]: the columns of the table that a model was trained on, which of them are its data, and which are conditions.
//!
//! # Shapes
//! A table [N, columns], in which a category is its number; of it the data [N, data columns] and the conditions [N, conditions].
//! What the network sees of the data are the numbers that [`Schema::encode`] makes of them, [N, [`Schema::width`]].

use super::columns::numbered;
use super::condition::{ConditionColumn, ConditionKind};
use super::kind::Kind;
use super::nearest::no_such;
use super::schema::Schema;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// The columns of a table: data and conditions.
///
/// # Example
/// ```
/// use pushforward::Tensor;
/// use pushforward::data::{Column, Layout, Schema};
///
/// let species = Column::categorical("species", vec!["Adelie".into(), "Gentoo".into()])?;
/// let table = Schema::new(vec![Column::numeric("length"), species, Column::numeric("mass")])?;
/// let layout = Layout::new(table, &["species".into()], true)?;
/// let rows = Tensor::from_rows(&[[39.1, 0.0, 3750.0]]);
/// let (data, conditions) = layout.split(&rows)?;
/// assert_eq!(data.row(0), [39.1, 3750.0]);
/// assert_eq!(layout.join(&data, conditions.as_ref())?, rows);
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Layout {
    table: Schema,
    /// Where the data stand in the table, and what they are.
    data: (Vec<usize>, Schema),
    /// The same of the conditions, in the order in which they were named.
    conditions: Option<(Vec<usize>, Schema)>,
    named: bool,
}

/// The same before it was checked.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    table: Schema,
    conditions: Vec<String>,
    named: bool,
}

impl Layout {
    /// The layout of a table whose columns `conditions` are conditions, in this order, and all others data; `named` says whether
    /// the names are those of a header, or made up (`x1`, `x2`, ...).
    ///
    /// # Errors
    /// [`Error::Name`] with the nearest name for a condition that is no column, [`Error::Setting`] if one is named twice, or if no
    /// column is left for the data.
    pub fn new(table: Schema, conditions: &[String], named: bool) -> Result<Self> {
        let refused = |value: String, remedy| Err(Error::Setting { name: "condition", value, remedy });
        let places = conditions.iter().map(|name| table.place(name)).collect::<Result<Vec<_>>>()?;
        let mut seen = std::collections::HashSet::new();
        if let Some(name) = conditions.iter().find(|name| !seen.insert(name.as_str())) {
            return refused(format!("{name} twice"), "name each condition once");
        }
        let rest: Vec<usize> = (0..table.columns().len()).filter(|place| !places.contains(place)).collect();
        if rest.is_empty() {
            return refused("every column".into(), "leave at least one column for the data");
        }
        let part = |places: Vec<usize>| -> Result<(Vec<usize>, Schema)> {
            let columns = places.iter().filter_map(|&place| table.columns().get(place)).cloned().collect();
            Ok((places, Schema::new(columns)?))
        };
        let data = part(rest)?;
        let conditions = if places.is_empty() { None } else { Some(part(places)?) };
        Ok(Self { table, data, conditions, named })
    }

    /// The layout of a table of `dim` numbers, all of them data, with these names if there are any.
    ///
    /// # Errors
    /// Those of [`Schema::new`].
    pub fn of_numbers(header: Option<&[String]>, dim: usize) -> Result<Self> {
        let names = header.map_or_else(|| numbered(dim), <[String]>::to_vec);
        let columns = names.into_iter().map(super::Column::numeric).collect();
        Self::new(Schema::new(columns)?, &[], header.is_some())
    }

    /// All columns.
    #[must_use]
    pub fn table(&self) -> &Schema {
        &self.table
    }

    /// The columns that are data.
    #[must_use]
    pub fn data(&self) -> &Schema {
        &self.data.1
    }

    /// The columns that are conditions.
    #[must_use]
    pub fn conditions(&self) -> Option<&Schema> {
        self.conditions.as_ref().map(|(_, schema)| schema)
    }

    /// The same as [`Conditions`](super::Conditions) are made of; none if there are none.
    #[must_use]
    pub fn condition_columns(&self) -> Vec<ConditionColumn> {
        let columns = self.conditions().map_or(&[][..], Schema::columns).iter();
        let kind = |column: &super::Column| match column.kind() {
            Kind::Categorical => ConditionKind::Categorical(column.categories().to_vec()),
            Kind::Numeric | Kind::Integer => ConditionKind::Numeric,
        };
        columns.map(|column| ConditionColumn { name: column.name().to_owned(), kind: kind(column) }).collect()
    }

    /// The names of all columns, if they are those of a header.
    #[must_use]
    pub fn header(&self) -> Option<Vec<String>> {
        self.named.then(|| self.names())
    }

    /// The names of all columns.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.table.columns().iter().map(|column| column.name().to_owned()).collect()
    }

    /// Whether the network sees the cells of a table as they are.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.conditions.is_none() && self.table.is_plain()
    }

    /// Divides a table, [N, columns], into its data and its conditions.
    ///
    /// # Errors
    /// [`Error::Dimension`] for other columns.
    pub fn split(&self, table: &Tensor<f64>) -> Result<(Tensor<f64>, Option<Tensor<f64>>)> {
        table.check_cols("columns of the table", self.table.columns().len(), "give those of the layout")?;
        let part = |places: &[usize]| {
            let of_row = |i| places.iter().filter_map(move |&place| table.row(i).get(place)).copied();
            let cells = (0..table.rows()).flat_map(of_row);
            Tensor::from_vec(cells.collect(), table.rows(), places.len())
        };
        let conditions = self.conditions.as_ref().map(|(places, _)| part(places)).transpose()?;
        Ok((part(&self.data.0)?, conditions))
    }

    /// Puts data and conditions together to the table.
    ///
    /// # Errors
    /// [`Error::Dimension`] for other columns, and other numbers of rows.
    pub fn join(&self, data: &Tensor<f64>, conditions: Option<&Tensor<f64>>) -> Result<Tensor<f64>> {
        data.check_cols("columns of the data", self.data.0.len(), "give those of the layout")?;
        let none = Tensor::zeros(data.rows(), 0);
        let conditions = conditions.unwrap_or(&none);
        let places = self.conditions.as_ref().map_or(&[][..], |(places, _)| places);
        conditions.check_cols("columns of the conditions", places.len(), "give those of the layout")?;
        if conditions.rows() != data.rows() {
            return Err(Error::Dimension {
                what: "rows of the conditions",
                expected: data.rows(),
                found: conditions.rows(),
                remedy: "give one condition for each row",
            });
        }
        let mut table = Tensor::zeros(data.rows(), self.table.columns().len());
        for i in 0..data.rows() {
            let row = table.row_mut(i);
            let cells = self.data.0.iter().zip(data.row(i)).chain(places.iter().zip(conditions.row(i)));
            for (&place, &cell) in cells {
                if let Some(to) = row.get_mut(place) {
                    *to = cell;
                }
            }
        }
        Ok(table)
    }

    /// Reads one condition, `name=text` for each of them with commas between: [1, conditions].
    ///
    /// # Errors
    /// [`Error::Name`] with the nearest name for a condition or a category that there is not, [`Error::Setting`] if one is missing,
    /// there twice, or no number where it has to be one, and if there are no conditions.
    pub fn parse_conditions(&self, text: &str) -> Result<Tensor<f64>> {
        let refused = |value: String, remedy| Err(Error::Setting { name: "condition", value, remedy });
        let Some(schema) = self.conditions() else {
            return refused(text.to_owned(), "the model was trained without conditions: leave it out");
        };
        let mut cells = vec![None; schema.columns().len()];
        for word in text.split(',') {
            let Some((name, value)) = word.split_once('=') else {
                return refused(word.to_owned(), "give name=value for each condition, with `,` between them");
            };
            let (name, value) = (name.trim(), value.trim());
            let place = schema.place(name)?;
            let (Some(column), Some(own)) = (schema.columns().get(place), cells.get_mut(place)) else {
                continue;
            };
            if own.is_some() {
                return refused(format!("{name} twice"), "give each condition once");
            }
            let known = column.categories();
            let cell = if known.is_empty() {
                value.parse().ok().filter(|x: &f64| x.is_finite())
            } else {
                let number = known.iter().zip(0_u16..).find(|(text, _)| *text == value);
                let number = number.ok_or_else(|| {
                    no_such("category of the condition", value, known.iter().map(String::as_str))
                })?;
                Some(f64::from(number.1))
            };
            if cell.is_none() {
                return refused(word.to_owned(), "the condition is a number: give a finite one");
            }
            *own = cell;
        }
        if let Some((column, _)) = schema.columns().iter().zip(&cells).find(|(_, cell)| cell.is_none()) {
            let remedy = "give every condition of the model, or none";
            return refused(format!("without {}", column.name()), remedy);
        }
        let cells: Vec<f64> = cells.into_iter().flatten().collect();
        Tensor::from_vec(cells, 1, schema.columns().len())
    }
}

impl TryFrom<Stored> for Layout {
    type Error = Error;

    fn try_from(Stored { table, conditions, named }: Stored) -> Result<Self> {
        Self::new(table, &conditions, named)
    }
}

impl From<Layout> for Stored {
    fn from(layout: Layout) -> Self {
        let conditions = layout.condition_columns().into_iter().map(|column| column.name).collect();
        Self { table: layout.table, conditions, named: layout.named }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn layout(conditions: &[&str]) -> Result<Layout> {
        let colour = Column::categorical("colour", texts(&["red", "green"])).unwrap();
        let columns = vec![Column::numeric("a"), colour, Column::integer("n"), Column::numeric("b")];
        Layout::new(Schema::new(columns).unwrap(), &texts(conditions), true)
    }

    #[test]
    fn a_table_is_divided_and_put_together() {
        let table = Tensor::from_rows(&[[1.5, 0.0, 7.0, -1.0], [2.5, 1.0, 8.0, -2.0]]);
        for conditions in [&[][..], &["n"], &["n", "colour"], &["b", "a", "colour"]] {
            let layout = layout(conditions).unwrap();
            let (data, given) = layout.split(&table).unwrap();
            assert_eq!(given.as_ref().map_or(0, Tensor::cols), conditions.len());
            assert_eq!(layout.join(&data, given.as_ref()).unwrap(), table);
        }
        let (data, given) = layout(&["n", "colour"]).unwrap().split(&table).unwrap();
        assert_eq!((data.row(1), given.unwrap().row(1)), (&[2.5, -2.0][..], &[8.0, 1.0][..]));
    }

    #[test]
    fn conditions_that_are_no_columns_are_refused() {
        assert_eq!(layout(&["m"]).unwrap_err().to_string(), "there is no column `m`: the nearest is `a`");
        assert!(layout(&["n", "n"]).unwrap_err().to_string().contains("n twice"));
        assert!(layout(&["n", "a", "b", "colour"]).unwrap_err().to_string().contains("at least one column"));
    }

    #[test]
    fn a_condition_is_read_by_its_names() {
        let layout = layout(&["n", "colour"]).unwrap();
        assert_eq!(layout.parse_conditions("colour=green, n=3").unwrap().row(0), [3.0, 1.0]);
        for (text, found) in [
            ("colour=green", "without n"),
            ("colour=gren,n=1", "the nearest is `green`"),
            ("color=green,n=1", "the nearest is `colour`"),
            ("n=1,n=2", "n twice"),
            ("n=x,colour=red", "finite"),
            ("n=inf,colour=red", "finite"),
            ("green", "name=value"),
            ("", "name=value"),
        ] {
            let error = layout.parse_conditions(text).unwrap_err().to_string();
            assert!(error.contains(found), "{text}: {error}");
        }
        let plain = Layout::of_numbers(None, 2).unwrap();
        assert!(plain.is_plain() && plain.header().is_none() && plain.names() == ["x1", "x2"]);
        assert!(plain.parse_conditions("x1=1").unwrap_err().to_string().contains("without conditions"));
    }

    #[test]
    fn what_a_file_says_is_checked() {
        let good = serde_json::to_value(layout(&["n"]).unwrap()).unwrap();
        assert_eq!(serde_json::from_value::<Layout>(good.clone()).unwrap(), layout(&["n"]).unwrap());
        let mut bad = good;
        bad["conditions"][0] = "m".into();
        assert!(serde_json::from_value::<Layout>(bad).is_err());
    }
}
