//! [`TableReader`]: a table that is read block by block, in constant memory.
//!
//! # Shapes
//! Blocks of rows, [n, d], all of them finite f64.
//!
//! # Limits
//! What [`Table`] says of cells and columns holds here too. Whoever stops before the last row has not
//! seen what is wrong after it. An NPY array in Fortran order (column after column) has no complete row
//! before its end: from a file a piece of each column is read for every block, anything else (a pipe)
//! is read into memory as a whole.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::columns::Columns;
#[cfg(feature = "csv")]
use super::csv::CsvRows;
use super::declared::Declared;
use super::npy_rows::NpyRows;
#[cfg(feature = "parquet")]
use super::parquet::ParquetRows;
use super::schema::Schema;
use super::table::{Format, ReadOptions, Table, no_rows, unreadable};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// A table that is read block by block.
///
/// After an error it is of no further use.
///
/// # Example
/// ```
/// use pushforward::data::{ReadOptions, TableReader};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npy");
/// # let x = pushforward::Tensor::from_rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// # pushforward::data::write_npy(&mut std::fs::File::create(&path)?, &x)?;
/// let mut reader = TableReader::open(&path, &ReadOptions::default())?;
/// let mut sum = 0.0;
/// while let Some(block) = reader.next_block(2)? {
///     sum += block.as_slice().iter().sum::<f64>(); // [2, 2], then [1, 2]
/// }
/// assert_eq!(sum, 21.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TableReader<'a> {
    columns: Columns,
    rows: Rows<'a>,
    /// How many rows were taken so far.
    taken: usize,
    ended: bool,
}

/// Where the rows come from.
enum Rows<'a> {
    #[cfg(feature = "csv")]
    Csv(CsvRows<'a>),
    Npy(NpyRows<'a>),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetRows>),
}

impl Rows<'_> {
    /// Whether a column of the file may be one of whole numbers by the way that it is stored.
    #[cfg_attr(
        not(feature = "parquet"),
        expect(unused_variables, reason = "in CSV and NPY all columns are stored in one way")
    )]
    fn are_whole(&self, column: usize) -> bool {
        match self {
            #[cfg(feature = "csv")]
            Self::Csv(_) => true,
            Self::Npy(rows) => rows.are_integers(),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.is_integer(column),
        }
    }
}

impl<'a> TableReader<'a> {
    /// Opens `.csv`, `.npy`, `.parquet` (feature `parquet`) or an array of an archive, `file.npz:name`, by the extension of `path`, and reads its header.
    ///
    /// # Errors
    /// - [`Error::Io`] if the file cannot be read.
    /// - [`Error::Table`] for another extension, for columns that do not exist or share a name, and for
    ///   an empty table.
    /// - [`Error::Format`] if it is no CSV or NPY at all.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        #[cfg(feature = "npz")]
        if let Some((archive, array)) = super::npz::split(path) {
            return Self::npy(super::npz::open(&archive, array.as_deref())?, path, options);
        }
        let format = Format::of(path)?;
        let file = File::open(path).map_err(|source| unreadable(path, source))?;
        match format {
            #[cfg(feature = "csv")]
            Format::Csv => Self::csv(file, path, options),
            Format::Npy => {
                let (rows, columns) = NpyRows::open(file, path, options)?;
                Ok(Self::new(Rows::Npy(rows), columns))
            }
            #[cfg(feature = "parquet")]
            Format::Parquet => {
                let (rows, columns) = ParquetRows::open(file, path, options)?;
                Ok(Self::new(Rows::Parquet(Box::new(rows)), columns))
            }
        }
    }

    /// Reads CSV from anything; `file` names it in messages ("standard input").
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "csv")]
    pub fn csv(reader: impl Read + 'a, file: &Path, options: &ReadOptions) -> Result<Self> {
        let (rows, columns) = CsvRows::begin(Box::new(reader), file, options)?;
        Ok(Self::new(Rows::Csv(rows), columns))
    }

    /// Reads NPY from anything; `file` names it in messages, in which the line of a cell is its row,
    /// counted from 1.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn npy(reader: impl Read + 'a, file: &Path, options: &ReadOptions) -> Result<Self> {
        let (rows, columns) = NpyRows::begin(Box::new(reader), file, options)?;
        Ok(Self::new(Rows::Npy(rows), columns))
    }

    fn new(rows: Rows<'a>, columns: Columns) -> Self {
        Self { columns, rows, taken: 0, ended: false }
    }

    /// Takes only these of the columns from here on, in this order. Columns without names are called
    /// `x1`, `x2`, ...
    ///
    /// # Errors
    /// [`Error::Table`] if one of them does not exist among those that were taken so far, if one is named
    /// twice, or if none is named; nothing is changed then.
    pub fn pick(&mut self, columns: &[String]) -> Result<()> {
        self.columns.pick(columns)
    }

    /// The names of the columns that are taken, where the file has names: all different.
    #[must_use]
    pub fn header(&self) -> Option<&[String]> {
        self.columns.header()
    }

    /// The number d of columns that are taken.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.columns.count()
    }

    /// What stands between the cells of CSV: `,`, `;` or a tab, as was found in the first line. Where it is not `,`, a `,` inside a
    /// number is its decimal mark.
    #[must_use]
    pub fn separator(&self) -> Option<char> {
        match &self.rows {
            #[cfg(feature = "csv")]
            Rows::Csv(rows) => Some(char::from(rows.separator())),
            Rows::Npy(_) => None,
            #[cfg(feature = "parquet")]
            Rows::Parquet(_) => None,
        }
    }

    /// How many rows the file says it has, those included that are left out; CSV does not say.
    #[must_use]
    pub fn announced_rows(&self) -> Option<usize> {
        match &self.rows {
            #[cfg(feature = "csv")]
            Rows::Csv(_) => None,
            Rows::Npy(rows) => Some(rows.count()),
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => Some(rows.count()),
        }
    }

    /// How many rows were left out so far because a cell of theirs is missing.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.columns.dropped()
    }

    /// Reads the next `max_rows` rows, [n, d]; fewer only at the end, and then `None`. Memory is taken
    /// for rows that are there, not for those that were asked for.
    ///
    /// # Errors
    /// [`Error::Setting`] if `max_rows` is 0, otherwise as [`Table::read`].
    pub fn next_block(&mut self, max_rows: usize) -> Result<Option<Tensor<f64>>> {
        if max_rows == 0 {
            let remedy = "ask for at least one row";
            return Err(Error::Setting { name: "max_rows", value: "0".into(), remedy });
        }
        let mut values = Vec::new();
        let rows = self.fill(max_rows, &mut values)?;
        if rows == 0 {
            return Ok(None);
        }
        Tensor::from_vec(values, rows, self.cols()).map(Some)
    }

    /// Reads the columns as those of a schema from here on: a text as the number of its category.
    ///
    /// # Errors
    /// [`Error::Dimension`] if there are not as many columns as in the schema.
    pub fn follow(&mut self, schema: &Schema) -> Result<()> {
        let (expected, found) = (schema.columns().len(), self.cols());
        if expected != found {
            let remedy = "give a table with the columns of the schema";
            return Err(Error::Dimension { what: "columns of the table", expected, found, remedy });
        }
        self.columns.read_as(super::declared::readings_of(schema));
        Ok(())
    }

    /// Reads all rows that are left, and finds out what their columns hold: a column of CSV without any number holds
    /// texts; one of whole numbers only, not all the same, is integer (in NPY and Parquet: if it is stored so); what is declared goes before.
    /// A text becomes the number of its category, of which the order is that of the alphabet, or of the numbers that they all are.
    ///
    /// # Errors
    /// As [`Table::read`]; [`Error::Name`] if a column is declared that does not exist, [`Error::Setting`] for one that is declared
    /// twice in different ways and for what [`Column`](super::Column) refuses, [`Error::Table`] for more categories than a column
    /// may have.
    pub fn read_typed(mut self, declared: &Declared) -> Result<(Table, Schema)> {
        self.columns.read_as(declared.readings(&self.columns)?);
        let mut table = self.take_all()?;
        let is_stored_so = |k| self.rows.are_whole(self.columns.in_file(k));
        let schema = declared.schema(&self.columns, &mut table.values, is_stored_so)?;
        Ok((table, schema))
    }

    /// Reads all rows that are left.
    ///
    /// # Errors
    /// As [`Table::read`], of which one is that there are none.
    pub fn read_all(mut self) -> Result<Table> {
        self.take_all()
    }

    fn take_all(&mut self) -> Result<Table> {
        #[cfg(feature = "parquet")]
        if let Rows::Parquet(rows) = &self.rows {
            rows.check_whole(&self.columns)?;
        }
        let mut values = Vec::new();
        let rows = self.fill(usize::MAX, &mut values)?;
        if rows == 0 {
            return Err(no_rows(self.columns.file()));
        }
        values.shrink_to_fit();
        let values = Tensor::from_vec(values, rows, self.cols())?;
        Ok(Table { header: self.header().map(<[String]>::to_vec), values, dropped: self.dropped() })
    }

    /// Appends at most `max_rows` rows to `values`; how many.
    fn fill(&mut self, max_rows: usize, values: &mut Vec<f64>) -> Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let rows = match &mut self.rows {
            #[cfg(feature = "csv")]
            Rows::Csv(rows) => rows.fill(&mut self.columns, max_rows, values)?,
            Rows::Npy(rows) => rows.fill(&mut self.columns, max_rows, values)?,
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => rows.fill(&mut self.columns, max_rows, values)?,
        };
        self.taken += rows;
        self.ended = rows < max_rows;
        if self.ended && self.taken == 0 {
            return Err(self.columns.nothing_taken());
        }
        Ok(rows)
    }
}

impl fmt::Debug for TableReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableReader")
            .field("columns", &self.columns)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;

    use super::super::npy::write_npy;
    use super::super::table::Missing;
    use super::*;

    /// Every way to read these numbers, [n, d]; the name says which.
    fn all_ways<'a>(
        x: &Tensor<f64>,
        folder: &Path,
        options: &ReadOptions,
    ) -> Vec<(&'static str, TableReader<'a>)> {
        let (rows, cols) = (x.rows(), x.cols());
        let mut c_order = Vec::new();
        write_npy(&mut c_order, x).unwrap();
        let dictionary = format!("{{'descr': '>f8', 'fortran_order': True, 'shape': ({rows}, {cols}), }}");
        let length = u16::try_from(dictionary.len()).unwrap().to_le_bytes();
        let mut fortran = [b"\x93NUMPY\x01\x00", &length[..], dictionary.as_bytes()].concat();
        fortran.extend((0..cols).flat_map(|j| (0..rows).flat_map(move |i| x.row(i)[j].to_be_bytes())));
        let mut ways = Vec::new();
        for (from_file, from_pipe, bytes) in [
            ("C order from a file", "C order from a pipe", c_order),
            ("Fortran order from a file", "Fortran order from a pipe", fortran),
        ] {
            let path = folder.join(format!("{from_file}.npy"));
            std::fs::write(&path, &bytes).unwrap();
            ways.push((from_file, TableReader::open(&path, options).unwrap()));
            ways.push((from_pipe, TableReader::npy(io::Cursor::new(bytes), &path, options).unwrap()));
        }
        #[cfg(feature = "csv")]
        {
            let (path, mut text) = (folder.join("x.csv"), Vec::new());
            super::super::csv_text::write_csv(&mut text, None, x).unwrap();
            std::fs::write(&path, &text).unwrap();
            ways.push(("CSV from a file", TableReader::open(&path, options).unwrap()));
            ways.push(("CSV from a pipe", TableReader::csv(io::Cursor::new(text), &path, options).unwrap()));
        }
        ways
    }

    /// The numbers of all blocks, one after the other, and how many rows each has.
    fn blocks(reader: &mut TableReader<'_>, max_rows: usize) -> (Vec<f64>, Vec<usize>) {
        let (mut numbers, mut rows) = (Vec::new(), Vec::new());
        while let Some(block) = reader.next_block(max_rows).unwrap() {
            assert_eq!(block.cols(), reader.cols());
            numbers.extend_from_slice(block.as_slice());
            rows.push(block.rows());
        }
        assert!(reader.next_block(max_rows).unwrap().is_none(), "the end stays the end");
        (numbers, rows)
    }

    fn numbers(rows: usize, cols: usize, missing: &[usize]) -> Tensor<f64> {
        let mut x: Vec<f64> = (0..rows * cols).map(|i| (i as f64 * 0.37).sin()).collect();
        missing.iter().for_each(|&at| x[at % (rows * cols)] = f64::NAN);
        Tensor::from_vec(x, rows, cols).unwrap()
    }

    proptest! {
        /// Blocks of any size, from anything: the whole table, without the rows that are left out.
        #[test]
        fn blocks_joined_are_the_table(
            rows in 1..400_usize,
            cols in 1..4_usize,
            missing in prop::collection::vec(any::<usize>(), 0..4),
            max_rows in prop_oneof![1..20_usize, 100..500_usize],
            last_first: bool,
        ) {
            let x = numbers(rows, cols, &missing);
            let order: Vec<usize> = if last_first { (0..cols).rev().collect() } else { (0..cols).collect() };
            let columns = last_first.then(|| order.iter().map(|j| format!("x{}", j + 1)).collect());
            let options = ReadOptions { missing: Missing::Drop, columns, ..ReadOptions::default() };
            let is_whole = |i: &usize| x.row(*i).iter().all(|x| x.is_finite());
            let kept: Vec<usize> = (0..rows).filter(is_whole).collect();
            let expected: Vec<f64> = kept.iter().flat_map(|&i| order.iter().map(move |&j| (i, j)))
                .map(|(i, j)| x.row(i)[j]).collect();
            prop_assume!(!kept.is_empty());
            let folder = tempfile::tempdir().unwrap();
            for (way, mut reader) in all_ways(&x, folder.path(), &options) {
                let (found, sizes) = blocks(&mut reader, max_rows);
                prop_assert!(found == expected, "{}", way);
                prop_assert!(sizes[..sizes.len() - 1].iter().all(|&n| n == max_rows), "{} {:?}", way, sizes);
                prop_assert_eq!(reader.dropped(), rows - kept.len(), "{}", way);
                prop_assert!(reader.read_all().is_err(), "nothing is left");
            }
            for (way, reader) in all_ways(&x, folder.path(), &options) {
                let table = reader.read_all().unwrap();
                prop_assert!(table.values.as_slice() == expected, "{}", way);
            }
        }
    }

    #[test]
    fn long_tables_are_put_together_right() {
        // More numbers than are read, and than columns are put together, at a time.
        let x = numbers(600_001, 2, &[]);
        let folder = tempfile::tempdir().unwrap();
        for (way, reader) in all_ways(&x, folder.path(), &ReadOptions::default()) {
            assert!(reader.read_all().unwrap().values == x, "{way}");
        }
        for (way, mut reader) in all_ways(&x, folder.path(), &ReadOptions::default()) {
            assert!(blocks(&mut reader, 250_000).0 == x.as_slice(), "{way}");
        }
    }

    #[test]
    fn what_is_read_first_is_there_before_the_rest() {
        /// A pipe whose writer must not be waited for.
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the pipe broke"))
            }
        }
        let mut npy = Vec::new();
        write_npy(&mut npy, &numbers(20_000, 2, &[])).unwrap();
        npy.truncate(200_000);
        let file = Path::new("pipe");
        let mut reader = TableReader::npy(npy.chain(Broken), file, &ReadOptions::default()).unwrap();
        assert_eq!(reader.next_block(10_000).unwrap().map(|block| block.rows()), Some(10_000));
        assert!(matches!(reader.next_block(10_000), Err(Error::Io { .. })));
        #[cfg(feature = "csv")]
        {
            let text = "1,2\n".repeat(10_000);
            let reader = text.as_bytes().chain(Broken);
            let mut reader = TableReader::csv(reader, file, &ReadOptions::default()).unwrap();
            assert_eq!(reader.next_block(9_000).unwrap().map(|block| block.rows()), Some(9_000));
            assert!(matches!(reader.next_block(2_000), Err(Error::Io { .. })));
        }
    }

    #[test]
    fn a_file_that_is_too_short_or_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        for order in ["True", "False"] {
            let text = format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': (3, 2), }}");
            let length = u16::try_from(text.len()).unwrap().to_le_bytes();
            let start = [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat();
            let with = |bytes: usize| {
                std::fs::write(&path, [&start[..], &vec![0; bytes]].concat()).unwrap();
                TableReader::open(&path, &ReadOptions::default())
            };
            let error = with(23).unwrap_err().to_string();
            assert!(error.contains("it ends before the last of its 3 x 2 numbers"), "{error}");
            let mut long = with(25).unwrap();
            assert_eq!(long.next_block(3).unwrap().map(|block| block.rows()), Some(3));
            let error = long.next_block(3).unwrap_err().to_string();
            assert!(error.contains("more bytes follow its 3 x 2 numbers"), "{error}");
            // One that becomes shorter while it is read.
            let mut cut = with(24).unwrap();
            std::fs::write(&path, &start).unwrap();
            let error = cut.next_block(3).unwrap_err().to_string();
            assert!(error.contains("it ends before the last of its 3 x 2 numbers"), "{error}");
            let mut whole = with(24).unwrap();
            assert_eq!((whole.announced_rows(), blocks(&mut whole, 2).1), (Some(3), vec![2, 1]));
        }
    }

    #[test]
    fn no_rows_are_an_error_and_blocks_have_some() {
        let x = Tensor::from_rows(&[[f64::NAN, 1.0], [f64::NAN, 2.0]]);
        let folder = tempfile::tempdir().unwrap();
        let drop = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
        for (way, mut reader) in all_ways(&x, folder.path(), &drop) {
            assert!(matches!(reader.next_block(0), Err(Error::Setting { name: "max_rows", .. })), "{way}");
            let error = reader.next_block(1).unwrap_err().to_string();
            assert!(error.contains("each of its 2 rows has a missing cell"), "{way}: {error}");
        }
    }

    #[cfg(feature = "csv")]
    #[test]
    fn columns_are_picked_once_the_header_is_known() {
        let open =
            || TableReader::csv(&b"a,b,c\n1,2,x\n3,4,y\n"[..], Path::new("t"), &ReadOptions::default());
        let mut reader = open().unwrap();
        assert_eq!(reader.header(), Some(&["a", "b", "c"].map(str::to_owned)[..]));
        assert_eq!((reader.cols(), reader.announced_rows()), (3, None));
        assert!(reader.pick(&["d".to_owned()]).is_err());
        reader.pick(&["b".to_owned(), "a".to_owned()]).unwrap();
        assert_eq!(reader.read_all().unwrap().values, Tensor::from_rows(&[[2.0, 1.0], [4.0, 3.0]]));
        let error = open().unwrap().read_all().unwrap_err().to_string();
        assert!(error.starts_with("t, line 2, column c: \"x\" is not a number"), "{error}");
    }
}
