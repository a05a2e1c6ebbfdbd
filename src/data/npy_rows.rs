//! [`NpyRows`]: the rows of an NPY file, read one after the other.
//!
//! # Limits
//! In C order the file is a sequence of rows. In Fortran order it is a sequence of columns, of which no
//! row is complete before the end: from a file a piece of each column is read at a time, anything else
//! is read into memory as a whole.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::columns::{Cell, Columns};
use super::npy::CHUNK;
use super::npy_header::{Dtype, Header, bad, read_header};
use super::table::{ReadOptions, bad_table, check_columns, no_rows, unreadable};
use crate::error::{Error, Result};

/// Numbers that are put together to rows at a time where the file holds columns, 8 MB: long pieces of
/// each column, although there may be many.
const TILE: usize = 1 << 20;

/// The rows of an NPY file, read one after the other.
pub(super) struct NpyRows<'a> {
    numbers: Numbers<'a>,
    decoder: Decoder,
    rows: usize,
    cols: usize,
    /// The row that comes next.
    next: usize,
    /// Whether the file is known to be as long as its header says.
    is_long_enough: bool,
}

/// Where the numbers stand.
enum Numbers<'a> {
    /// Row after row.
    Rows(Box<dyn Read + 'a>),
    /// Column after column in a file, the first at `start`.
    Columns { file: File, start: u64 },
    /// Column after column in memory: all of them.
    Memory(Vec<f64>),
}

/// Turns bytes into numbers.
struct Decoder {
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl<'a> NpyRows<'a> {
    /// Reads the header of a file. A regular file tells its length, so that one which ends too early is
    /// refused at once.
    pub(super) fn open(mut file: File, path: &Path, options: &ReadOptions) -> Result<(Self, Columns)> {
        let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
        if !metadata.is_file() {
            return Self::begin(Box::new(file), path, options);
        }
        let (header, rows, cols) = shape(&mut file, path)?;
        let start = file.stream_position().map_err(|source| unreadable(path, source))?;
        let bytes = (rows * cols * header.dtype.width) as u64;
        if metadata.len().saturating_sub(start) < bytes {
            return Err(ends_early(path, rows, cols));
        }
        let numbers = if header.fortran_order {
            Numbers::Columns { file, start }
        } else {
            Numbers::Rows(Box::new(file))
        };
        let columns = Columns::new(path, options, None, cols)?;
        let decoder = Decoder { dtype: header.dtype, bytes: Vec::new() };
        Ok((Self { numbers, decoder, rows, cols, next: 0, is_long_enough: true }, columns))
    }

    /// Reads the header, and in Fortran order everything.
    pub(super) fn begin(
        mut reader: Box<dyn Read + 'a>,
        file: &Path,
        options: &ReadOptions,
    ) -> Result<(Self, Columns)> {
        let (header, rows, cols) = shape(&mut reader, file)?;
        let decoder = Decoder { dtype: header.dtype, bytes: Vec::new() };
        let numbers = Numbers::Rows(reader);
        let mut read = Self { numbers, decoder, rows, cols, next: 0, is_long_enough: false };
        if header.fortran_order {
            // One row after the other, they are in the wrong order, but they are there.
            let mut numbers = Vec::new();
            read.read_rows(rows, file, &mut numbers)?;
            read.check_end(file)?;
            read.numbers = Numbers::Memory(numbers);
        }
        Ok((read, Columns::new(file, options, None, cols)?))
    }

    /// Whether the numbers are stored as whole ones.
    pub(super) fn are_integers(&self) -> bool {
        self.decoder.dtype.is_integer()
    }

    /// How many rows the header says there are.
    pub(super) fn count(&self) -> usize {
        self.rows
    }

    /// Appends at most `max_rows` rows to `out`; how many.
    pub(super) fn fill(
        &mut self,
        columns: &mut Columns,
        max_rows: usize,
        out: &mut Vec<f64>,
    ) -> Result<usize> {
        if self.is_long_enough {
            out.reserve(max_rows.min(self.rows - self.next) * columns.count());
        }
        let numbers_at_once = match self.numbers {
            Numbers::Rows(_) => CHUNK / size_of::<f64>(),
            Numbers::Columns { .. } | Numbers::Memory(_) => TILE,
        };
        let rows_at_once = (numbers_at_once / self.cols).max(1);
        let mut taken = 0;
        while taken < max_rows {
            if self.next == self.rows {
                self.check_end(columns.file())?;
                break;
            }
            let rows = rows_at_once.min(self.rows - self.next).min(max_rows - taken);
            taken += self.take(rows, columns, out)?;
        }
        Ok(taken)
    }

    /// Appends those of the next `rows` rows that are not left out; how many.
    fn take(&mut self, rows: usize, columns: &mut Columns, out: &mut Vec<f64>) -> Result<usize> {
        let before = out.len();
        self.read_rows(rows, columns.file(), out)?;
        let first = self.next;
        self.next += rows;
        // No branch for each number: this becomes SIMD.
        let read = out.get(before..).unwrap_or_default();
        let all_finite = read.iter().fold(true, |finite, x| finite & x.is_finite());
        if columns.are_plain() && all_finite {
            return Ok(rows);
        }
        let numbers = read.to_vec();
        out.truncate(before);
        let mut taken = 0;
        for (i, row) in numbers.chunks_exact(self.cols).enumerate() {
            let line = (first + i + 1) as u64;
            let number = |j: usize| row.get(j).copied().unwrap_or(f64::NAN);
            taken +=
                usize::from(columns.push(|j| Cell::of(number(j)), |j| (line, number(j).to_string()), out)?);
        }
        Ok(taken)
    }

    /// Appends the numbers of the next `rows` rows, row after row.
    fn read_rows(&mut self, rows: usize, file: &Path, out: &mut Vec<f64>) -> Result<()> {
        let (before, cols) = (out.len(), self.cols);
        let start_of = |j: usize| j * self.rows + self.next;
        let read = match &mut self.numbers {
            Numbers::Rows(reader) => self.decoder.read(reader, rows * cols, out),
            Numbers::Columns { file, start } => {
                out.resize(before + rows * cols, 0.0);
                let mut column = Vec::with_capacity(rows);
                (0..cols).try_for_each(|j| {
                    let at = *start + (start_of(j) * self.decoder.dtype.width) as u64;
                    file.seek(SeekFrom::Start(at))?;
                    column.clear();
                    self.decoder.read(file, rows, &mut column)?;
                    put_column(&column, j, cols, out.get_mut(before..).unwrap_or_default());
                    Ok(())
                })
            }
            Numbers::Memory(numbers) => {
                out.resize(before + rows * cols, 0.0);
                for j in 0..cols {
                    let column = numbers.get(start_of(j)..start_of(j) + rows).unwrap_or_default();
                    put_column(column, j, cols, out.get_mut(before..).unwrap_or_default());
                }
                Ok(())
            }
        };
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => ends_early(file, self.rows, cols),
            _ => unreadable(file, source),
        })
    }

    /// An error if anything follows the numbers.
    fn check_end(&mut self, file: &Path) -> Result<()> {
        let mut rest = [0];
        let read = match &mut self.numbers {
            Numbers::Rows(reader) => reader.read(&mut rest),
            Numbers::Columns { file, start } => {
                let end = *start + (self.rows * self.cols * self.decoder.dtype.width) as u64;
                file.seek(SeekFrom::Start(end)).and_then(|_| file.read(&mut rest))
            }
            Numbers::Memory(_) => Ok(0), // was looked at when they were read
        };
        match read {
            Ok(0) => Ok(()),
            Ok(_) => Err(bad(file, format!("more bytes follow its {} x {} numbers", self.rows, self.cols))),
            Err(source) => Err(unreadable(file, source)),
        }
    }
}

impl Decoder {
    /// Appends the next `count` numbers; memory grows with those that are there.
    fn read(&mut self, reader: &mut impl Read, count: usize, out: &mut Vec<f64>) -> io::Result<()> {
        let (width, end) = (self.dtype.width, out.len() + count);
        while out.len() < end {
            self.bytes.resize((end - out.len()).min(CHUNK / width) * width, 0);
            reader.read_exact(&mut self.bytes)?;
            self.dtype.decode(&self.bytes, out);
        }
        Ok(())
    }
}

/// Reads the header of a table; its numbers of rows and columns, at least 1, and their product with 8 is
/// a size.
fn shape(reader: &mut impl Read, file: &Path) -> Result<(Header, usize, usize)> {
    let header = read_header(reader, file)?;
    let (rows, cols) = match header.shape[..] {
        [rows] => (rows, 1),
        [rows, cols] => (rows, cols),
        _ => {
            let found = format!("the array has {} dimensions", header.shape.len());
            return Err(bad_table(file, found, "save one of two dimensions, rows and columns"));
        }
    };
    if rows == 0 {
        return Err(no_rows(file));
    }
    if cols == 0 {
        return Err(bad_table(file, "there are no columns", "give at least one column of numbers"));
    }
    if rows.checked_mul(cols).and_then(|count| count.checked_mul(8)).is_none() {
        return Err(bad(file, format!("{rows} x {cols} numbers are beyond all memory")));
    }
    check_columns(file, cols)?;
    Ok((header, rows, cols))
}

fn ends_early(file: &Path, rows: usize, cols: usize) -> Error {
    bad(file, format!("it ends before the last of its {rows} x {cols} numbers"))
}

/// Writes a column into rows of `cols` numbers.
fn put_column(column: &[f64], j: usize, cols: usize, rows: &mut [f64]) {
    for (number, &x) in rows.iter_mut().skip(j).step_by(cols).zip(column) {
        *number = x;
    }
}
