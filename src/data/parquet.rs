//! [`ParquetRows`]: the rows of a Parquet file, read one after the other.
//!
//! # Limits
//! Columns of booleans (0 and 1), whole numbers (beyond 2^53 rounded to nearest), f4, f8 and UTF-8 texts; a null is a missing
//! cell, as is NaN. Lists, structures, decimals, dates, times, binary and half precision are refused by the name of the column
//! and its type, if the column is taken. Uncompressed, snappy, gzip, Brotli or LZ4 (raw). The file is read from its end: no pipe.
//! What the file says of its rows is compared with what its columns hold. The footer is at most 64 MiB long, and a table that is
//! held as a whole has at most 2^31 cells.
//!
//! The decoders of the crate `parquet` answer damage with an error, but now and then with a panic (a level that is cut short, say).
//! They alone run inside `catch_unwind`, so that here damage is always an error; the hook of the process still reports the panic, and in a
//! program that is built to abort at a panic it is the end.
//!
//! # Source
//! Apache Parquet format 2.12, `parquet.thrift` and "Logical types".

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::Type as Field;

use super::columns::{Cell, Columns};
use super::parquet_pages::{Codec, Pages, Values};
use super::table::{ReadOptions, bad_table, check_columns, no_rows, unreadable};
use crate::error::{Error, Result};

/// Cells that are read at a time.
const CELLS_AT_ONCE: usize = 1 << 17;

/// The most cells of a table that is held as a whole, 16 GiB.
const MOST_CELLS: u64 = 1 << 31;

/// The longest footer: 65,536 columns in some row groups take so much.
const MOST_FOOTER_BYTES: u32 = 1 << 26;

/// Magic number and length of the footer at the end of a file.
const TAIL: usize = 8;

/// The rows of a Parquet file, read one after the other.
pub(super) struct ParquetRows {
    file: Arc<File>,
    metadata: ParquetMetaData,
    /// What each column of the file holds.
    kinds: Vec<Kind>,
    /// The row group that is read, from which rows may be left.
    group: usize,
    left: usize,
    /// The columns of that group that are taken; empty before its first row.
    readers: Vec<Reader>,
    /// How many rows were read.
    read: usize,
    rows: usize,
}

/// What a column of the file holds.
#[derive(Debug, Clone)]
enum Kind {
    /// The leaf of this number, of this type.
    Read { leaf: usize, holds: Holds },
    /// What is not read: its type, and what to do.
    Refused(String, &'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Whole,
    Unsigned,
    Real,
    Text,
}

/// A column of a row group.
struct Reader {
    column: ColumnReader,
    holds: Holds,
    cells: Cells,
}

/// Cells that were read.
enum Cells {
    /// What is missing is NaN.
    Numbers(Vec<f64>),
    Texts(Vec<Option<ByteArray>>),
}

const CAST: &str = "write it as integers, floats, doubles or text, or pick other columns (`--columns`)";

impl ParquetRows {
    /// Reads the footer of a file.
    pub(super) fn open(file: File, path: &Path, options: &ReadOptions) -> Result<(Self, Columns)> {
        check_footer(&file, path)?;
        let read = guarded(|| ParquetMetaDataReader::new().parse_and_finish(&file));
        let metadata = read.map_err(|found| bad(path, found))?;
        let schema = metadata.file_metadata().schema_descr();
        let fields = schema.root_schema().get_fields();
        check_columns(path, fields.len())?;
        if fields.is_empty() {
            return Err(bad_table(path, "there are no columns", "give at least one column of numbers"));
        }
        let mut kinds: Vec<Option<Kind>> = vec![None; fields.len()];
        for leaf in 0..schema.num_columns() {
            let root = schema.get_column_root_idx(leaf);
            if let (Some(kind), Some(field)) = (kinds.get_mut(root), fields.get(root)) {
                *kind = Some(kind_of(field, leaf));
            }
        }
        // A group of no fields has no leaf.
        let empty = || Kind::Refused("a structure without fields".into(), CAST);
        let kinds = kinds.into_iter().map(|kind| kind.unwrap_or_else(empty)).collect();
        let names = fields.iter().map(|field| field.name().to_owned()).collect();
        let columns = Columns::new(path, options, Some(names), fields.len())?;
        let mut rows = 0_usize;
        for group in metadata.row_groups() {
            let own = usize::try_from(group.num_rows()).ok();
            rows = own
                .and_then(|own| rows.checked_add(own))
                .ok_or_else(|| bad(path, "its number of rows is beyond all memory".into()))?;
            if group.num_columns() != schema.num_columns() {
                return Err(bad(path, "a row group lacks a column".into()));
            }
        }
        if rows == 0 {
            return Err(no_rows(path));
        }
        let file = Arc::new(file);
        Ok((Self { file, metadata, kinds, group: 0, left: 0, readers: Vec::new(), read: 0, rows }, columns))
    }

    /// How many rows the footer says there are.
    pub(super) fn count(&self) -> usize {
        self.rows
    }

    /// Refuses to hold all rows of the columns that are taken if they are more than any use of them: a file of some bytes can claim,
    /// and hold, any number of equal rows.
    pub(super) fn check_whole(&self, columns: &Columns) -> Result<()> {
        let cells = self.rows.checked_mul(columns.count());
        if cells.is_some_and(|cells| cells as u64 <= MOST_CELLS) {
            return Ok(());
        }
        let found = format!("its {} x {} cells are more than 2^31", self.rows, columns.count());
        Err(bad_table(columns.file(), found, "read it block by block, or pick columns (`--columns`)"))
    }

    /// Whether a column of the file is stored as whole numbers.
    pub(super) fn is_integer(&self, column: usize) -> bool {
        let holds = match self.kinds.get(column) {
            Some(Kind::Read { holds, .. }) => Some(*holds),
            _ => None,
        };
        matches!(holds, Some(Holds::Whole | Holds::Unsigned))
    }

    /// Appends at most `max_rows` rows to `out`; how many.
    pub(super) fn fill(
        &mut self,
        columns: &mut Columns,
        max_rows: usize,
        out: &mut Vec<f64>,
    ) -> Result<usize> {
        let places: Vec<usize> = (0..columns.count()).map(|k| columns.in_file(k)).collect();
        let rows_at_once = (CELLS_AT_ONCE / places.len().max(1)).max(1);
        // The buffer of each column of the file that is taken.
        let mut buffers = vec![None; self.kinds.len()];
        for (k, &place) in places.iter().enumerate() {
            if let Some(buffer) = buffers.get_mut(place) {
                *buffer = Some(k);
            }
        }
        let mut taken = 0;
        while taken < max_rows {
            if self.left == 0 {
                let Some(group) = self.metadata.row_groups().get(self.group) else { break };
                self.left = usize::try_from(group.num_rows()).unwrap_or(0);
                self.readers = places
                    .iter()
                    .enumerate()
                    .map(|(k, &place)| self.reader(columns, k, place))
                    .collect::<Result<_>>()?;
                self.group += 1;
            }
            let rows = rows_at_once.min(self.left).min(max_rows - taken);
            for (k, reader) in self.readers.iter_mut().enumerate() {
                reader.read(rows, rows == self.left).map_err(|found| {
                    let first = self.read + 1;
                    bad(columns.file(), format!("column {}, rows from {first} on: {found}", columns.name(k)))
                })?;
            }
            for i in 0..rows {
                let line = (self.read + i + 1) as u64;
                let buffer = |column: usize| {
                    let k = buffers.get(column).copied().flatten();
                    k.and_then(|k| self.readers.get(k)).map(|reader| &reader.cells)
                };
                let cell = |column: usize| buffer(column).map_or(Cell::Missing, |cells| cells.cell(i));
                let place =
                    |column: usize| (line, buffer(column).map_or(String::new(), |cells| cells.text(i)));
                taken += usize::from(columns.push(cell, place, out)?);
            }
            self.read += rows;
            self.left -= rows;
        }
        Ok(taken)
    }

    /// Begins to read the k-th of the columns that are taken in the row group that comes next.
    fn reader(&self, columns: &Columns, k: usize, place: usize) -> Result<Reader> {
        let (leaf, holds) = match self.kinds.get(place) {
            Some(Kind::Read { leaf, holds }) => (*leaf, *holds),
            Some(Kind::Refused(found, remedy)) => {
                let found = format!("column {} holds {found}", columns.name(k));
                return Err(bad_table(columns.file(), found, remedy));
            }
            None => return Err(bad(columns.file(), format!("there is no column {}", place + 1))),
        };
        let schema = self.metadata.file_metadata().schema_descr();
        let group = self.metadata.row_groups().get(self.group).and_then(|group| group.columns().get(leaf));
        let wrong = |found: &str| bad(columns.file(), format!("column {}: {found}", columns.name(k)));
        let chunk = group.ok_or_else(|| wrong("it is not in a row group"))?;
        if chunk.file_path().is_some() {
            return Err(wrong("its values stand in another file"));
        }
        let codec = Codec::of(chunk.compression()).map_err(|name| {
            let found = format!("column {} uses {name}", columns.name(k));
            bad_table(columns.file(), found, "write it with compression='snappy'")
        })?;
        let descriptor = schema.column(leaf);
        let width = match descriptor.physical_type() {
            Type::INT64 | Type::DOUBLE => 8,
            Type::BOOLEAN => 1,
            _ => 4,
        };
        let values = Values { width, optional: descriptor.max_def_level() > 0 };
        let start = match chunk.dictionary_page_offset() {
            // Some writers say 0 where there is no dictionary.
            Some(at) if at > 0 => at.min(chunk.data_page_offset()),
            _ => chunk.data_page_offset(),
        };
        let [start, length] = [start, chunk.compressed_size()].map(u64::try_from);
        let (Ok(start), Ok(length)) = (start, length) else {
            return Err(wrong("it says that it begins before the file"));
        };
        let pages = Pages::new(Arc::clone(&self.file), start, length, codec, values);
        let column = get_column_reader(descriptor, Box::new(pages));
        Ok(Reader { column, holds, cells: Cells::Numbers(Vec::new()) })
    }
}

impl Reader {
    /// Reads the next rows, which are the last of a row group or not.
    fn read(&mut self, rows: usize, is_last: bool) -> std::result::Result<(), String> {
        use ColumnReader::{
            BoolColumnReader, ByteArrayColumnReader, DoubleColumnReader, FloatColumnReader,
            Int32ColumnReader, Int64ColumnReader,
        };
        let unsigned = self.holds == Holds::Unsigned;
        self.cells = match &mut self.column {
            BoolColumnReader(column) => numbers(column, rows, is_last, |&x| if x { 1.0 } else { 0.0 })?,
            Int32ColumnReader(column) if unsigned => {
                numbers(column, rows, is_last, |x| x.cast_unsigned().into())?
            }
            Int32ColumnReader(column) => numbers(column, rows, is_last, |&x| x.into())?,
            #[allow(
                clippy::cast_precision_loss,
                reason = "integers beyond 2^53 are rounded to nearest, as stated"
            )]
            Int64ColumnReader(column) if unsigned => {
                numbers(column, rows, is_last, |x| x.cast_unsigned() as f64)?
            }
            #[allow(
                clippy::cast_precision_loss,
                reason = "integers beyond 2^53 are rounded to nearest, as stated"
            )]
            Int64ColumnReader(column) => numbers(column, rows, is_last, |&x| x as f64)?,
            FloatColumnReader(column) => numbers(column, rows, is_last, |&x| x.into())?,
            DoubleColumnReader(column) => numbers(column, rows, is_last, |&x| x)?,
            ByteArrayColumnReader(column) => {
                let mut texts = Vec::with_capacity(rows);
                each(column, rows, is_last, |text| texts.push(text.cloned()))?;
                Cells::Texts(texts)
            }
            _ => return Err("it has another type than the footer says".into()),
        };
        Ok(())
    }
}

/// The next values of a column of numbers.
fn numbers<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    rows: usize,
    is_last: bool,
    number: impl Fn(&T::T) -> f64,
) -> std::result::Result<Cells, String> {
    let mut numbers = Vec::with_capacity(rows);
    each(column, rows, is_last, |value| numbers.push(value.map_or(f64::NAN, &number)))?;
    Ok(Cells::Numbers(numbers))
}

/// Reads the next values of a column, each or that it is missing.
fn each<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    rows: usize,
    is_last: bool,
    mut take: impl FnMut(Option<&T::T>),
) -> std::result::Result<(), String> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (read, _, _) = guarded(|| column.read_records(rows, Some(&mut levels), None, &mut values))?;
    if read != rows {
        return Err(format!("it ends after {read} of {rows} values"));
    }
    if levels.is_empty() {
        values.iter().for_each(|value| take(Some(value)));
    } else {
        let mut values = values.iter();
        for &level in &levels {
            take(if level > 0 { Some(values.next().ok_or("a value is not there")?) } else { None });
        }
    }
    if is_last {
        let (more, _, _) = guarded(|| column.read_records(1, Some(&mut levels), None, &mut Vec::new()))?;
        if more > 0 {
            return Err("it has more values than there are rows".into());
        }
    }
    Ok(())
}

/// What the crate answers, as a text if it is an error or a panic. What panicked is not used again.
fn guarded<T>(work: impl FnOnce() -> parquet::errors::Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(answer) => answer.map_err(|error| match error {
            parquet::errors::ParquetError::General(text) => text,
            other => other.to_string(),
        }),
        Err(_) => Err("it is damaged beyond what the decoder knows".into()),
    }
}

impl Cells {
    fn cell(&self, i: usize) -> Cell {
        match self {
            Self::Numbers(numbers) => numbers.get(i).map_or(Cell::Missing, |&x| Cell::of(x)),
            Self::Texts(texts) => match texts.get(i) {
                Some(Some(text)) if text.as_utf8().is_ok() => Cell::Text(
                    "is a text: pick columns of numbers (`--columns`), or train, which takes texts as categories",
                ),
                Some(Some(_)) => {
                    Cell::Unusable("is not UTF-8: write texts as UTF-8, or pick other columns (`--columns`)")
                }
                _ => Cell::Missing,
            },
        }
    }

    /// For a message, or to find the number of a category.
    fn text(&self, i: usize) -> String {
        match self {
            Self::Numbers(numbers) => match numbers.get(i) {
                Some(x) if !x.is_nan() => x.to_string(),
                _ => String::new(),
            },
            Self::Texts(texts) => {
                let text = texts.get(i).and_then(Option::as_ref);
                text.map_or(String::new(), |text| String::from_utf8_lossy(text.data()).into_owned())
            }
        }
    }
}

/// What a column of the file holds, of which this is a leaf.
fn kind_of(field: &Field, leaf: usize) -> Kind {
    let info = field.get_basic_info();
    if info.has_repetition() && info.repetition() == Repetition::REPEATED {
        return Kind::Refused(
            "lists".into(),
            "give one column for each number of a list, or pick other columns (`--columns`)",
        );
    }
    if !field.is_primitive() {
        return Kind::Refused(
            "lists or structures".into(),
            "give one column for each number inside, or pick other columns (`--columns`)",
        );
    }
    let physical = field.get_physical_type();
    let (logical, converted) = (info.logical_type_ref(), info.converted_type());
    let refused = || {
        let name = match logical {
            Some(logical) => format!("{logical:?}"),
            None if converted == ConvertedType::NONE => format!("{physical}"),
            None => format!("{converted}"),
        };
        Kind::Refused(format!("values of the type {name}"), CAST)
    };
    use ConvertedType as C;
    let signed = matches!(converted, C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::INT_64);
    let unsigned = matches!(converted, C::UINT_8 | C::UINT_16 | C::UINT_32 | C::UINT_64);
    let holds = match (physical, logical) {
        (Type::BOOLEAN, None) => Holds::Whole,
        (Type::INT32 | Type::INT64, Some(own @ LogicalType::Integer(_))) => {
            let is_unsigned = [8, 16, 32, 64].iter().any(|&bits| *own == LogicalType::integer(bits, false));
            if is_unsigned { Holds::Unsigned } else { Holds::Whole }
        }
        (Type::INT32 | Type::INT64, None) if signed => Holds::Whole,
        (Type::INT32 | Type::INT64, None) if unsigned => Holds::Unsigned,
        (Type::FLOAT | Type::DOUBLE, None) => Holds::Real,
        (Type::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum)) => Holds::Text,
        (Type::BYTE_ARRAY, None) if matches!(converted, C::UTF8 | C::ENUM) => Holds::Text,
        _ => return refused(),
    };
    Kind::Read { leaf, holds }
}

/// Refuses what has no footer of Parquet, or too long a one.
fn check_footer(mut file: &File, path: &Path) -> Result<()> {
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    if !metadata.is_file() {
        return Err(bad_table(path, "a Parquet table is read from its end", "give a regular file"));
    }
    let mut tail = [0; TAIL];
    let start = metadata.len().checked_sub(TAIL as u64);
    let start = start.ok_or_else(|| bad(path, "it is shorter than the end of one".into()))?;
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut tail));
    read.map_err(|source| unreadable(path, source))?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic == *b"PARE" {
        return Err(bad_table(path, "it is encrypted", "write it without encryption"));
    }
    if magic != *b"PAR1" {
        return Err(bad(path, "it does not end as one".into()));
    }
    if u32::from_le_bytes([a, b, c, d]) > MOST_FOOTER_BYTES {
        return Err(bad(path, "its footer has more than 64 MiB".into()));
    }
    Ok(())
}

fn bad(file: &Path, found: String) -> Error {
    let remedy = "write it again, for example by `to_parquet` of pandas";
    Error::Format { file: file.into(), what: "Parquet table", found, remedy }
}
