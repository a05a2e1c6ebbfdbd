//! [`TableWriter`]: a table that is written part by part, in constant memory.
//!
//! # Limits
//! NPY states the number of rows before the numbers: where it is not known at the start it is put there
//! at the end, which a pipe does not allow.

use std::io::{self, BufWriter, Seek, Stdout, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::npy::write_numbers;
use super::npy_header::write_header;
use super::schema::Schema;
use super::table::{Format, bad_table, check_columns};
use crate::error::{Error, Result};
use crate::file::AtomicFile;
use crate::kernel::Real;
use crate::tensor::Tensor;

/// What messages call the path `-`.
const STANDARD_OUTPUT: &str = "standard output";

/// The shape of a table that is written. Rows that are not known at the start are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// [rows, cols].
    Matrix {
        /// Number of rows, if it is known.
        rows: Option<usize>,
        /// Number of columns.
        cols: usize,
    },
    /// `[rows]`: one number for each row; in CSV one column.
    Vector {
        /// Number of rows, if it is known.
        rows: Option<usize>,
    },
    /// [rows, times, cols]: each row at several times; in CSV one line for each of them, with the columns `sample` and `t`
    /// before those of the row ([`TableWriter::push_courses`]).
    Courses {
        /// Number of rows, if it is known.
        rows: Option<usize>,
        /// Number of times.
        times: usize,
        /// Number of columns of a row.
        cols: usize,
    },
}

impl Shape {
    /// Number of rows, if it is known.
    #[must_use]
    pub fn rows(self) -> Option<usize> {
        match self {
            Self::Matrix { rows, .. } | Self::Vector { rows } | Self::Courses { rows, .. } => rows,
        }
    }

    /// Number of columns of a row: 1 of a vector.
    #[must_use]
    pub fn cols(self) -> usize {
        match self {
            Self::Matrix { cols, .. } | Self::Courses { cols, .. } => cols,
            Self::Vector { .. } => 1,
        }
    }

    /// The sizes of an NPY array of this many rows.
    fn sizes(self, rows: usize) -> Vec<usize> {
        match self {
            Self::Matrix { cols, .. } => vec![rows, cols],
            Self::Vector { .. } => vec![rows],
            Self::Courses { times, cols, .. } => vec![rows, times, cols],
        }
    }
}

/// A table that is written part by part; the file appears when it is complete, by
/// [`finish`](Self::finish). Numbers are written in the precision R.
///
/// # Example
/// ```
/// use pushforward::Tensor;
/// use pushforward::data::{Shape, TableWriter};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npy");
/// let part = Tensor::from_rows(&[[1.0_f32, 2.0], [3.0, 4.0]]);
/// let mut writer = TableWriter::create(&path, None, Shape::Matrix { rows: Some(4), cols: 2 })?;
/// writer.push(&part)?;
/// writer.push(&part)?;
/// writer.finish()?;
/// assert_eq!(std::fs::metadata(&path)?.len(), 128 + 4 * 2 * 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TableWriter<R: Real = f32> {
    path: PathBuf,
    pub(super) out: Out,
    pub(super) format: Format,
    pub(super) shape: Shape,
    /// What stands for the numbers of each column in CSV; nothing where they stand for themselves.
    #[cfg(feature = "csv")]
    pub(super) texts: Vec<Vec<String>>,
    /// What becomes a Parquet file.
    #[cfg(feature = "parquet")]
    pub(super) parquet: Option<super::parquet_write::ParquetTable>,
    written: usize,
    precision: PhantomData<R>,
}

#[derive(Debug)]
pub(super) enum Out {
    File(AtomicFile),
    Standard(BufWriter<Stdout>),
}

impl<R: Real> TableWriter<R> {
    /// Begins a table as `.csv`, `.npy` or `.parquet` (feature `parquet`) by the extension of `path`, or as CSV on standard output if
    /// that is `-`. NPY has no place for a header.
    ///
    /// # Errors
    /// [`Error::Table`] for another extension, for more columns than could be read again (65,536), and for NPY into a pipe if the number of rows is not known;
    /// [`Error::Dimension`] for a header that does not fit the shape, [`Error::Io`] if the file cannot be
    /// written; of standard output the source of that error has the kind
    /// [`io::ErrorKind::BrokenPipe`] when its reader went away.
    pub fn create(path: &Path, header: Option<&[String]>, shape: Shape) -> Result<Self> {
        if let Some(names) = header.filter(|names| names.len() != shape.cols()) {
            return Err(Error::Dimension {
                what: "names in the header",
                expected: shape.cols(),
                found: names.len(),
                remedy: "give one for each column",
            });
        }
        check_columns(path, shape.cols())?;
        let (path, format, mut out) = if path == Path::new("-") {
            // A build without CSV refuses here.
            let format = Format::of(Path::new("standard output.csv"))?;
            (Path::new(STANDARD_OUTPUT), format, Out::Standard(BufWriter::new(io::stdout())))
        } else {
            (path, Format::of(path)?, Out::File(AtomicFile::create(path)?))
        };
        let path = path.to_path_buf();
        if let (Format::Npy, None, Out::File(file)) = (format, shape.rows(), &mut out) {
            // Whoever cannot tell where it stands cannot go back to the start.
            if file.stream_position().is_err() {
                let found = "an NPY table begins with its number of rows, which is not known yet";
                return Err(bad_table(&path, found, "write `.csv`, or NPY into a regular file"));
            }
        }
        let mut writer = Self {
            path,
            out,
            format,
            shape,
            #[cfg(feature = "csv")]
            texts: Vec::new(),
            #[cfg(feature = "parquet")]
            parquet: None,
            written: 0,
            precision: PhantomData,
        };
        writer.begin(header).map_err(|source| writer.refused(source))?;
        Ok(writer)
    }

    /// The same table with texts for categories: in CSV and Parquet the numbers of categorical columns are written as what they stand for, and in
    /// Parquet those of integer columns as integers. In NPY they stay numbers.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a schema of another number of columns.
    #[cfg_attr(not(feature = "parquet"), expect(unused_mut, reason = "CSV and NPY are written as they come"))]
    pub fn with_schema(mut self, schema: &Schema) -> Result<Self> {
        let (expected, found) = (self.shape.cols(), schema.columns().len());
        if expected != found {
            let remedy = "give the schema of the columns that are written";
            return Err(Error::Dimension { what: "columns of the schema", expected, found, remedy });
        }
        #[cfg(feature = "parquet")]
        if let Some(table) = &mut self.parquet {
            table.follow(schema.columns());
        }
        self.with_texts(schema)
    }

    #[cfg(feature = "csv")]
    fn with_texts(mut self, schema: &Schema) -> Result<Self> {
        let texts = |column: &super::Column| {
            column.categories().iter().map(|text| super::csv_text::cell(text)).collect()
        };
        if self.format == Format::Csv {
            let texts: io::Result<_> = schema.columns().iter().map(texts).collect();
            self.texts = texts.map_err(|source| self.refused(source))?;
        }
        Ok(self)
    }

    #[cfg(not(feature = "csv"))]
    #[allow(clippy::unnecessary_wraps, reason = "with CSV it can fail")]
    fn with_texts(self, _: &Schema) -> Result<Self> {
        Ok(self)
    }

    /// Writes the next rows.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of columns, more rows than were announced, or if courses were announced;
    /// [`Error::Io`] as in [`create`](Self::create).
    pub fn push(&mut self, values: &Tensor<R>) -> Result<()> {
        if let Shape::Courses { times, .. } = self.shape {
            return Err(wrong_times(times, 1));
        }
        values.check_cols("columns to write", self.shape.cols(), "write the columns that were announced")?;
        self.counts(values.rows())?;
        self.append(values).map_err(|source| self.refused(source))
    }

    /// Counts rows that are about to be written.
    pub(super) fn counts(&mut self, rows: usize) -> Result<()> {
        self.written += rows;
        match self.shape.rows().filter(|&rows| self.written > rows) {
            Some(rows) => Err(self.miscounted(rows)),
            None => Ok(()),
        }
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`Error::Dimension`] if fewer rows were written than announced, [`Error::Io`] as in
    /// [`create`](Self::create); the file is then as it was before.
    pub fn finish(mut self) -> Result<()> {
        match self.shape.rows() {
            Some(rows) if rows != self.written => return Err(self.miscounted(rows)),
            #[cfg(feature = "parquet")]
            _ if self.parquet.is_some() => {
                let table = self.parquet.take();
                let written = table.map_or(Ok(()), |table| table.finish(&mut self.out));
                written.map_err(|source| self.refused(source))?;
            }
            Some(_) => {}
            None => self.count().map_err(|source| self.refused(source))?,
        }
        match self.out {
            Out::File(file) => file.commit(),
            Out::Standard(mut out) => {
                out.flush().map_err(|source| Error::Io { action: "write", path: self.path, source })
            }
        }
    }

    fn begin(&mut self, header: Option<&[String]>) -> io::Result<()> {
        match (self.format, header) {
            #[cfg(feature = "csv")]
            (Format::Csv, names) if matches!(self.shape, Shape::Courses { .. }) => {
                super::csv_text::write_names(&mut self.out, &super::courses::names(names, self.shape.cols()))
            }
            #[cfg(feature = "csv")]
            (Format::Csv, Some(names)) => super::csv_text::write_names(&mut self.out, names),
            #[cfg(feature = "csv")]
            (Format::Csv, None) => Ok(()),
            (Format::Npy, _) => {
                let sizes = self.shape.sizes(self.shape.rows().unwrap_or(0));
                write_header::<R>(&mut self.out, &sizes)
            }
            #[cfg(feature = "parquet")]
            (Format::Parquet, names) => {
                use super::parquet_write::ParquetTable;
                let names =
                    names.map_or_else(|| super::columns::numbered(self.shape.cols()), <[String]>::to_vec);
                let table = ParquetTable::new(names, size_of::<R>() == size_of::<f32>());
                let is_of_courses = matches!(self.shape, Shape::Courses { .. });
                self.parquet = Some(if is_of_courses { table.of_courses() } else { table });
                Ok(())
            }
        }
    }

    /// Puts the number of rows where NPY has it: the header has the same length for every number.
    fn count(&mut self) -> io::Result<()> {
        match (self.format, &mut self.out) {
            (Format::Npy, Out::File(file)) => {
                file.rewind()?;
                write_header::<R>(file, &self.shape.sizes(self.written))
            }
            _ => Ok(()),
        }
    }

    fn append(&mut self, values: &Tensor<R>) -> io::Result<()> {
        match self.format {
            #[cfg(feature = "csv")]
            Format::Csv => super::csv_text::write_rows(&mut self.out, values, &self.texts),
            Format::Npy => write_numbers(&mut self.out, values.as_slice()),
            #[cfg(feature = "parquet")]
            Format::Parquet => match &mut self.parquet {
                Some(table) => table.push(values.as_slice().iter().map(|x| x.to_f64()), &mut self.out),
                None => Ok(()),
            },
        }
    }

    fn miscounted(&self, rows: usize) -> Error {
        Error::Dimension {
            what: "rows to write",
            expected: rows,
            found: self.written,
            remedy: "write as many rows as were announced",
        }
    }

    pub(super) fn refused(&self, source: io::Error) -> Error {
        Error::Io { action: "write", path: self.path.clone(), source }
    }
}

/// The error for another number of times than was announced.
pub(super) fn wrong_times(expected: usize, found: usize) -> Error {
    let remedy = "write rows by `push`, courses by `push_courses`, with the times that were announced";
    Error::Dimension { what: "times of a row to write", expected, found, remedy }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Standard(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Standard(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::npy::{write_npy, write_npy_vector};
    use super::*;

    fn table() -> Tensor {
        Tensor::from_rows(&[[0.1, 1.0], [-2.5, 3.0], [4.0, 5e-9]])
    }

    /// Writes the rows of x one by one.
    fn write(path: &Path, header: Option<&[String]>, shape: Shape, x: &Tensor) -> Vec<u8> {
        let mut writer = TableWriter::create(path, header, shape).unwrap();
        for i in 0..x.rows() {
            assert!(!path.exists());
            writer.push(&x.slice_rows(i..i + 1)).unwrap();
        }
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn npy_in_parts_is_npy_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (matrix, vector) = (folder.path().join("matrix.npy"), folder.path().join("vector.npy"));
        let mut expected = Vec::new();
        write_npy(&mut expected, &table()).unwrap();
        assert!(write(&matrix, None, Shape::Matrix { rows: Some(3), cols: 2 }, &table()) == expected);
        let x = Tensor::from_rows(&[[1.0], [2.0]]);
        let mut expected = Vec::new();
        write_npy_vector(&mut expected, x.as_slice()).unwrap();
        assert!(write(&vector, None, Shape::Vector { rows: Some(2) }, &x) == expected);
    }

    #[test]
    fn rows_that_were_not_announced_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, announced, counted) in [
            ("m", Shape::Matrix { rows: Some(3), cols: 2 }, Shape::Matrix { rows: None, cols: 2 }),
            ("v", Shape::Vector { rows: Some(3) }, Shape::Vector { rows: None }),
        ] {
            let x = Tensor::from_vec(vec![0.5; 3 * announced.cols()], 3, announced.cols()).unwrap();
            for extension in if cfg!(feature = "csv") { &["npy", "csv"][..] } else { &["npy"] } {
                let (one, other) = (at(&format!("{name}1.{extension}")), at(&format!("{name}2.{extension}")));
                assert!(write(&one, None, announced, &x) == write(&other, None, counted, &x));
            }
        }
        let writer =
            TableWriter::<f32>::create(&at("empty.npy"), None, Shape::Matrix { rows: None, cols: 2 });
        writer.unwrap().finish().unwrap();
        assert!(String::from_utf8_lossy(&std::fs::read(at("empty.npy")).unwrap()).contains("(0, 2)"));
    }

    #[cfg(feature = "csv")]
    #[test]
    fn csv_in_parts_is_csv_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.CSV");
        let header = ["a".to_owned(), "b,c".to_owned()];
        let written = write(&path, Some(&header), Shape::Matrix { rows: Some(3), cols: 2 }, &table());
        assert_eq!(String::from_utf8(written).unwrap(), "a,\"b,c\"\n0.1,1\n-2.5,3\n4,5e-9\n");
        std::fs::remove_file(&path).unwrap();
        let x = Tensor::from_rows(&[[1.0], [2.0]]);
        assert_eq!(write(&path, None, Shape::Vector { rows: Some(2) }, &x), b"1\n2\n");
    }

    #[cfg(feature = "csv")]
    #[test]
    fn categories_are_written_as_texts() {
        use super::super::Column;
        let folder = tempfile::tempdir().unwrap();
        let (csv, npy) = (folder.path().join("x.csv"), folder.path().join("x.npy"));
        let texts = ["plain", "with, comma", "a \"quote\"", ""].map(str::to_owned).to_vec();
        let columns = vec![Column::numeric("n"), Column::categorical("text", texts).unwrap()];
        let schema = Schema::new(columns).unwrap();
        let x = Tensor::from_rows(&[[0.5_f32, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 3.0]]);
        let shape = Shape::Matrix { rows: Some(4), cols: 2 };
        for path in [&csv, &npy] {
            let mut writer = TableWriter::create(path, None, shape).unwrap().with_schema(&schema).unwrap();
            writer.push(&x).unwrap();
            writer.finish().unwrap();
        }
        let written = std::fs::read_to_string(&csv).unwrap();
        assert_eq!(written, "0.5,\"with, comma\"\n1,plain\n2,\"a \"\"quote\"\"\"\n3,\n");
        let mut expected = Vec::new();
        write_npy(&mut expected, &x).unwrap();
        assert!(std::fs::read(&npy).unwrap() == expected, "numbers stay numbers in NPY");
        let narrow = TableWriter::<f32>::create(&csv, None, Shape::Vector { rows: None }).unwrap();
        assert!(narrow.with_schema(&schema).is_err());
    }

    #[test]
    fn a_table_that_is_not_as_announced_never_appears() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        std::fs::write(&path, "old").unwrap();
        let create = || TableWriter::create(&path, None, Shape::Matrix { rows: Some(2), cols: 2 }).unwrap();
        assert!(create().push(&table()).is_err());
        assert!(create().push(&Tensor::zeros(1, 3)).is_err());
        let mut short = create();
        short.push(&Tensor::zeros(1, 2)).unwrap();
        assert!(short.finish().is_err());
        drop(create());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_refused_at_the_start() {
        let shape = Shape::Matrix { rows: Some(2), cols: 2 };
        let begin = |path: &str, header: Option<&[String]>| {
            TableWriter::<f32>::create(Path::new(path), header, shape).unwrap_err().to_string()
        };
        assert!(begin("x.txt", None).contains("`.csv` or `.npy`"));
        assert_eq!(begin("no/such/folder/x.npy", None), "cannot write no/such/folder/x.npy");
        assert!(
            begin("x.npy", Some(&["a".to_owned()])).starts_with("names in the header: found 1, expected 2")
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_reader_that_went_away_is_recognisable() {
        use std::os::fd::AsRawFd as _;
        let (reader, writer) = io::pipe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe.npy");
        std::os::unix::fs::symlink(format!("/proc/self/fd/{}", writer.as_raw_fd()), &path).unwrap();
        let mut table =
            TableWriter::create(&path, None, Shape::Matrix { rows: Some(100_000), cols: 2 }).unwrap();
        let counted = TableWriter::<f64>::create(&path, None, Shape::Vector { rows: None }).unwrap_err();
        assert!(counted.to_string().contains("number of rows, which is not known yet"), "{counted}");
        drop(reader);
        match table.push(&Tensor::<f64>::zeros(100_000, 2)).unwrap_err() {
            Error::Io { source, .. } => assert_eq!(source.kind(), io::ErrorKind::BrokenPipe),
            other => panic!("{other}"),
        }
    }
}
