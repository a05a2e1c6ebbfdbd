//! [`Declared`]: what somebody says of the columns of a table, before what is found out about them.

use std::path::Path;

use super::bounds::Bounds;
use super::column::{Column, is_integer};
use super::columns::{Cell, Columns};
use super::kind::Kind;
use super::schema::Schema;
use super::table::{ReadOptions, Table};
use super::texts::{Reading, Texts};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// What columns hold, by name; a table without names has the columns `x1`, `x2`, ... Of the others it is found out.
///
/// # Example
/// ```
/// use pushforward::data::{Declared, Kind, ReadOptions, TableReader};
///
/// # #[cfg(feature = "csv")] {
/// let text = "species,year,share\nGentoo,2007,0.5\nAdelie,2009,0.25\n";
/// let declared = Declared { bounded: vec![("share".into(), "0:1".parse()?)], ..Declared::default() };
/// let reader = TableReader::csv(text.as_bytes(), "penguins".as_ref(), &ReadOptions::default())?;
/// let (table, schema) = reader.read_typed(&declared)?;
/// assert_eq!(schema.columns()[0].categories(), ["Adelie", "Gentoo"]);
/// assert_eq!(schema.columns()[1].kind(), Kind::Integer);
/// assert_eq!(table.values.row(0), [1.0, 2007.0, 0.5]);
/// # }
/// # Ok::<(), pushforward::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Declared {
    /// Columns of real numbers.
    pub numeric: Vec<String>,
    /// Columns of whole numbers.
    pub integer: Vec<String>,
    /// Columns of texts, which may be numbers.
    pub categorical: Vec<String>,
    /// Columns whose numbers lie between bounds.
    pub bounded: Vec<(String, Bounds)>,
}

/// What is declared of one column.
#[derive(Clone, Copy, Default)]
struct One {
    kind: Option<Kind>,
    bounds: Option<Bounds>,
}

impl Declared {
    /// Finds out what the columns of a table of numbers hold: what is declared, and else real numbers. Of a column that is declared
    /// categorical each number becomes that of its category.
    ///
    /// # Errors
    /// As [`TableReader::read_typed`](super::TableReader::read_typed).
    pub fn of_numbers(&self, table: &mut Table) -> Result<Schema> {
        let (rows, cols) = (table.values.rows(), table.values.cols());
        let mut columns =
            Columns::new(Path::new("the table"), &ReadOptions::default(), table.header.clone(), cols)?;
        columns.read_as(self.readings(&columns)?);
        let mut cells = Vec::with_capacity(rows * cols);
        for i in 0..rows {
            let row = table.values.row(i);
            let number = |j: usize| row.get(j).copied().unwrap_or(f64::NAN);
            columns.push(|j| Cell::of(number(j)), |j| (i as u64 + 1, number(j).to_string()), &mut cells)?;
        }
        table.values = Tensor::from_vec(cells, rows, cols)?;
        self.schema(&columns, &mut table.values, |_| false)
    }

    /// How each of the columns is to be read.
    pub(super) fn readings(&self, columns: &Columns) -> Result<Vec<Reading>> {
        let reading = |one: One| match one.kind {
            Some(Kind::Categorical) => Reading::Texts(Texts::declared()),
            Some(Kind::Numeric | Kind::Integer) => Reading::Numbers,
            None if one.bounds.is_some() => Reading::Numbers,
            None => Reading::Undecided,
        };
        Ok(self.each(columns)?.into_iter().map(reading).collect())
    }

    /// The columns, once all their cells are read; numbers of categories become those of the schema.
    pub(super) fn schema(
        &self,
        columns: &Columns,
        values: &mut Tensor<f64>,
        is_stored_so: impl Fn(usize) -> bool,
    ) -> Result<Schema> {
        let of_column = self.each(columns)?.into_iter().zip(columns.names()).zip(columns.readings());
        let mut found = Vec::new();
        for (k, ((one, name), reading)) in of_column.enumerate() {
            let cells = || values.column(k);
            let column = match (reading, one.kind) {
                (Reading::Texts(texts), _) => {
                    let (column, new) = texts.column(&name, &cells().collect::<Vec<_>>())?;
                    let cols = values.cols().max(1);
                    for cell in values.as_mut_slice().iter_mut().skip(k).step_by(cols) {
                        *cell = new(*cell);
                    }
                    column
                }
                (_, Some(Kind::Integer)) => Column::integer(name),
                (_, None) if is_stored_so(k) && cells().all(is_integer) && !is_constant(cells()) => {
                    match one.bounds {
                        // They are those of a share, say, of which all that were seen are 0 or 1.
                        Some(bounds) if ![bounds.lo(), bounds.hi()].into_iter().all(is_integer) => {
                            Column::numeric(name)
                        }
                        _ => Column::integer(name),
                    }
                }
                _ => Column::numeric(name),
            };
            found.push(match one.bounds {
                None => column,
                Some(bounds) => column.bounded(bounds)?,
            });
        }
        let schema = Schema::new(found)?;
        schema.check(values)?;
        Ok(schema)
    }

    /// What is declared of each of the columns.
    fn each(&self, columns: &Columns) -> Result<Vec<One>> {
        let mut each = vec![One::default(); columns.count()];
        let kinds = [
            (&self.numeric, Kind::Numeric),
            (&self.integer, Kind::Integer),
            (&self.categorical, Kind::Categorical),
        ];
        for (name, kind) in kinds.iter().flat_map(|(names, kind)| names.iter().map(move |name| (name, *kind)))
        {
            let Some(one) = each.get_mut(columns.place_of(name)?) else { continue };
            if let Some(before) = one.kind.filter(|&before| before != kind) {
                let value = format!("{before} and {kind} for column `{name}`");
                return Err(Error::Setting { name: "type of a column", value, remedy: "declare one" });
            }
            one.kind = Some(kind);
        }
        for (name, bounds) in &self.bounded {
            let Some(one) = each.get_mut(columns.place_of(name)?) else { continue };
            if one.bounds.is_some_and(|before| before != *bounds) {
                let value = format!("two pairs for column `{name}`");
                return Err(Error::Setting { name: "bounds", value, remedy: "declare one" });
            }
            one.bounds = Some(*bounds);
        }
        Ok(each)
    }
}

/// How the columns of a schema are read.
pub(super) fn readings_of(schema: &Schema) -> Vec<Reading> {
    let reading = |column: &Column| match column.kind() {
        Kind::Categorical => Reading::Texts(Texts::of(column)),
        Kind::Numeric | Kind::Integer => Reading::Numbers,
    };
    schema.columns().iter().map(reading).collect()
}

/// Whether all are the same.
fn is_constant(mut cells: impl Iterator<Item = f64>) -> bool {
    let first = cells.next();
    cells.all(|x| first.is_some_and(|first| (x - first).abs() <= 0.0))
}

#[cfg(feature = "csv")]
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reader::TableReader;
    use super::super::table::Missing;
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn open(text: &str) -> TableReader<'_> {
        let options = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
        TableReader::csv(text.as_bytes(), Path::new("t.csv"), &options).unwrap()
    }

    fn read(text: &str, declared: &Declared) -> Result<(Table, Schema)> {
        open(text).read_typed(declared)
    }

    const MIXED: &str = "k,n,x,one,grade\nb,1,1,5,3\na,2,1.5,5,10\nc,NA,0,5,9\nb,-3,2,5,10\n";

    #[test]
    fn what_columns_hold_is_found_out() {
        let (table, schema) = read(MIXED, &Declared::default()).unwrap();
        let kinds: Vec<Kind> = schema.columns().iter().map(Column::kind).collect();
        // All the same: nothing is spread over the cell of a whole number that never varies.
        assert_eq!(kinds, [Kind::Categorical, Kind::Integer, Kind::Numeric, Kind::Numeric, Kind::Integer]);
        // A category of a row that is left out is none.
        assert_eq!(schema.columns()[0].categories(), ["a", "b"]);
        assert_eq!((table.dropped, table.values.rows()), (1, 3));
        assert_eq!(table.values.row(0), [1.0, 1.0, 1.0, 5.0, 3.0]);
    }

    #[test]
    fn what_is_declared_goes_before_what_is_found_out() {
        let declared = Declared {
            numeric: texts(&["n"]),
            integer: texts(&["one"]),
            categorical: texts(&["grade"]),
            bounded: vec![("x".into(), "-1:2.5".parse().unwrap())],
        };
        let (table, schema) = read(MIXED, &declared).unwrap();
        let kinds: Vec<Kind> = schema.columns().iter().map(Column::kind).collect();
        assert_eq!(
            kinds,
            [Kind::Categorical, Kind::Numeric, Kind::Numeric, Kind::Integer, Kind::Categorical]
        );
        assert_eq!(schema.columns()[4].categories(), ["3", "10"]);
        assert_eq!(table.values.row(1), [0.0, 2.0, 1.5, 5.0, 1.0]);
        assert!(schema.columns()[2].bounds().is_some());
        // The next table of this kind, in which other rows come first.
        let mut reader = open("k,n,x,one,grade\na,1,1,5,10\n");
        reader.follow(&schema).unwrap();
        assert_eq!(reader.read_all().unwrap().values.row(0), [0.0, 1.0, 1.0, 5.0, 1.0]);
    }

    #[test]
    fn numbers_hold_what_is_declared() {
        let mut table =
            Table { header: None, values: Tensor::from_rows(&[[7.0, 3.0], [5.0, 4.0]]), dropped: 0 };
        let declared = Declared { categorical: texts(&["x1"]), ..Declared::default() };
        let schema = declared.of_numbers(&mut table).unwrap();
        assert_eq!(schema.columns()[0].categories(), ["5", "7"]);
        assert_eq!(schema.columns()[1].kind(), Kind::Numeric);
        assert_eq!(table.values, Tensor::from_rows(&[[1.0, 3.0], [0.0, 4.0]]));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        let of = |text: &str, declared: Declared| read(text, &declared).unwrap_err().to_string();
        let none = Declared::default;
        let late = of("a\n1\nx\n", none());
        assert!(
            late.starts_with("t.csv, line 3, column a: \"x\" is not a number, as those above are"),
            "{late}"
        );
        let mixed = of("a\nx\n1\n", none());
        assert!(
            mixed.starts_with("t.csv, line 3, column a: \"1\" is a number, and those above are"),
            "{mixed}"
        );
        assert!(read("a\nx\n1\n", &Declared { categorical: texts(&["a"]), ..none() }).is_ok());
        let no_such = of(MIXED, Declared { integer: texts(&["grad"]), ..none() });
        assert_eq!(no_such, "there is no column `grad`: the nearest is `grade`");
        let twice = of(MIXED, Declared { integer: texts(&["n"]), numeric: texts(&["n"]), ..none() });
        assert!(twice.contains("numeric and integer for column `n`"), "{twice}");
        let half = of(MIXED, Declared { integer: texts(&["x"]), ..none() });
        assert!(half.contains("1.5 in column x of row 1") && half.contains("no whole number"), "{half}");
        let outside = of(MIXED, Declared { bounded: vec![("x".into(), "0:1.5".parse().unwrap())], ..none() });
        assert!(outside.contains("column x") && outside.contains("widen"), "{outside}");
        let text = of(MIXED, Declared { bounded: vec![("k".into(), "0:1".parse().unwrap())], ..none() });
        assert!(text.contains("column k") && text.contains("is not a number"), "{text}");
        let ids: String = (0..300).map(|k| format!("id{k}\n")).collect();
        let many = of(&format!("name\n{ids}"), none());
        assert!(many.contains("more than 256 different texts") && many.contains("--columns"), "{many}");
        let (_, schema) = read(MIXED, &none()).unwrap();
        let mut reader = open("k,n,x,one,grade\na,1,1,5,10\nB,1,1,5,3\n");
        reader.follow(&schema).unwrap();
        let unknown = reader.read_all().unwrap_err().to_string();
        assert!(unknown.contains("line 3, column k: \"B\"") && unknown.contains("\"b\""), "{unknown}");
        assert!(open("k,n\na,1\n").follow(&schema).is_err());
    }

    proptest! {
        /// Whatever stands in the cells: no panic, and a sound table.
        #[test]
        fn any_table_is_read_or_refused(cells in prop::collection::vec("[a-c0-9.,]{0,3}|NA|inf", 2..40)) {
            let text: String = cells.chunks_exact(2).map(|row| format!("{};{}\n", row[0], row[1])).collect();
            if let Ok((table, schema)) = read(&format!("p;q\n{text}"), &Declared::default()) {
                prop_assert!(schema.check(&table.values).is_ok());
                for (k, column) in schema.columns().iter().enumerate() {
                    let cells: Vec<f64> = (0..table.values.rows()).map(|i| table.values.row(i)[k]).collect();
                    for (number, _) in (0_u8..).zip(column.categories()) {
                        prop_assert!(cells.contains(&f64::from(number)), "a category without a row");
                    }
                }
            }
        }
    }
}
