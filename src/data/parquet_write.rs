//! [`ParquetTable`]: a table that becomes a Parquet file.
//!
//! # Shapes
//! One column for each column of the table, in which no cell is missing: f4 or f8 as the numbers are f32 or f64, whole numbers as
//! 64 bits, categories as UTF-8 texts. A course has the columns `sample` and `t` before these.
//!
//! # Limits
//! Rows are written in groups of about four million cells, of which one is in memory. Nothing is compressed: the digits of a sample
//! have no pattern. Whole numbers and texts stand in dictionaries where that is shorter.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type as Field};

use super::column::{Column, is_integer};
use super::kind::Kind;

/// Cells of a row group, and its least rows, whatever the columns.
const CELLS_IN_GROUP: usize = 1 << 22;
const LEAST_ROWS: usize = 64;

/// A table that becomes a Parquet file.
pub(super) struct ParquetTable {
    names: Vec<String>,
    holds: Vec<Holds>,
    /// Rows of the group that is not yet written, one after the other.
    cells: Vec<f64>,
    writer: Option<SerializedFileWriter<Vec<u8>>>,
}

/// What a column holds.
enum Holds {
    F32,
    F64,
    Whole,
    Texts(Vec<ByteArray>),
}

impl ParquetTable {
    /// A table of numbers of 32 bits or of 64.
    pub(super) fn new(names: Vec<String>, is_f32: bool) -> Self {
        let holds = names.iter().map(|_| if is_f32 { Holds::F32 } else { Holds::F64 }).collect();
        Self { names, holds, cells: Vec::new(), writer: None }
    }

    /// The same with the number of a sample and a time before each row.
    pub(super) fn of_courses(mut self) -> Self {
        self.names.splice(0..0, ["sample", "t"].map(str::to_owned));
        self.holds.splice(0..0, [Holds::Whole, Holds::F64]);
        self
    }

    /// Says what its last columns hold.
    pub(super) fn follow(&mut self, columns: &[Column]) {
        for (holds, column) in self.holds.iter_mut().rev().zip(columns.iter().rev()) {
            match column.kind() {
                Kind::Numeric => {}
                Kind::Integer => *holds = Holds::Whole,
                Kind::Categorical => {
                    *holds =
                        Holds::Texts(column.categories().iter().map(|text| text.as_str().into()).collect());
                }
            }
        }
    }

    /// Adds cells, row after row, and writes the groups that are full.
    pub(super) fn push(
        &mut self,
        cells: impl IntoIterator<Item = f64>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let cols = self.names.len().max(1);
        let full = (CELLS_IN_GROUP / cols).max(LEAST_ROWS) * cols;
        for cell in cells {
            self.cells.push(cell);
            if self.cells.len() == full {
                self.write_group(out)?;
            }
        }
        Ok(())
    }

    /// Writes what is left, and the footer.
    pub(super) fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.cells.is_empty() {
            self.write_group(out)?;
        }
        let bytes = self.writer()?.into_inner()?;
        out.write_all(&bytes)
    }

    /// What writes the file; the columns are known when it is needed first.
    fn writer(&mut self) -> io::Result<SerializedFileWriter<Vec<u8>>> {
        if let Some(writer) = self.writer.take() {
            return Ok(writer);
        }
        let mut properties = WriterProperties::builder().set_dictionary_enabled(false);
        let mut fields = Vec::new();
        for (name, holds) in self.names.iter().zip(&self.holds) {
            let (physical, logical) = match holds {
                Holds::F32 => (Type::FLOAT, None),
                Holds::F64 => (Type::DOUBLE, None),
                Holds::Whole => (Type::INT64, None),
                Holds::Texts(_) => (Type::BYTE_ARRAY, Some(LogicalType::String)),
            };
            if matches!(holds, Holds::Whole | Holds::Texts(_)) {
                let path = ColumnPath::new(vec![name.clone()]);
                properties = properties.set_column_dictionary_enabled(path, true);
            }
            let field = Field::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
            fields.push(Arc::new(field.with_logical_type(logical).build()?));
        }
        let schema = Field::group_type_builder("table").with_fields(fields).build()?;
        Ok(SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()))?)
    }

    /// Writes the rows that are there as a group.
    fn write_group(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut writer = self.writer()?;
        let mut group = writer.next_row_group()?;
        let cols = self.names.len().max(1);
        for (j, (name, holds)) in self.names.iter().zip(&self.holds).enumerate() {
            let cells = self.cells.iter().copied().skip(j).step_by(cols);
            write_column(&mut group, name, holds, cells)?;
        }
        group.close()?;
        writer.flush()?;
        // What the writer has made is in the file from here on; it knows how much that was.
        out.write_all(&std::mem::take(writer.inner_mut()))?;
        self.cells.clear();
        self.writer = Some(writer);
        Ok(())
    }
}

impl std::fmt::Debug for ParquetTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetTable").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Writes the cells of the next column of a group.
fn write_column(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    name: &str,
    holds: &Holds,
    cells: impl Iterator<Item = f64>,
) -> io::Result<()> {
    let Some(mut column) = group.next_column()? else {
        return Err(io::Error::other(format!("there is no place for column {name}")));
    };
    let wrong = |x: f64, what: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("column {name}: {x} is {what}"))
    };
    match holds {
        Holds::F32 => {
            #[allow(clippy::cast_possible_truncation, reason = "they were f32 before")]
            let values: Vec<f32> = cells.map(|x| x as f32).collect();
            column.typed::<FloatType>().write_batch(&values, None, None)?;
        }
        Holds::F64 => {
            let values: Vec<f64> = cells.collect();
            column.typed::<DoubleType>().write_batch(&values, None, None)?;
        }
        Holds::Whole => {
            #[allow(clippy::cast_possible_truncation, reason = "whole numbers within 2^53")]
            let whole = |x: f64| {
                if is_integer(x) { Ok(x as i64) } else { Err(wrong(x, "no whole number within 2^53")) }
            };
            let values: Vec<i64> = cells.map(whole).collect::<io::Result<_>>()?;
            column.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
        Holds::Texts(texts) => {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole numbers from 0 are looked up, others refused"
            )]
            let text = |x: f64| {
                let known = texts.get(x as usize).filter(|_| is_integer(x) && x >= 0.0);
                known.cloned().ok_or_else(|| wrong(x, "the number of none of its categories"))
            };
            let values: Vec<ByteArray> = cells.map(text).collect::<io::Result<_>>()?;
            column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        }
    }
    column.close()?;
    Ok(())
}
