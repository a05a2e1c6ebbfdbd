//! Tables as CSV: [`read_csv`] and [`write_csv`].
//!
//! # Limits
//! Commas between cells, `.` in numbers, UTF-8 in names, double quotes around cells where needed;
//! lines end in LF, CRLF or CR. White space around a cell does not count. Empty lines are skipped, so
//! in a table of one column a missing cell must be written as `NA` or `""`. A header that consists of
//! numbers cannot be told from a row. A number with more digits than f64 holds is rounded to nearest.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};

use super::table::{Cell, Header, ReadOptions, Rows, Table, bad_table, no_rows, unreadable};
use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// From here on and below its inverse, a number is written with an exponent.
const PLAIN: std::ops::Range<f64> = 1e-5..1e16;

/// What some programs begin UTF-8 with: U+FEFF.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Reads a CSV table; `file` names it in messages ("standard input").
///
/// # Errors
/// As [`Table::read`].
///
/// # Example
/// ```
/// use std::path::Path;
///
/// use pushforward::data::{ReadOptions, read_csv};
///
/// let text = "length,width\n1.5,2\n3,4e-1\n";
/// let table = read_csv(text.as_bytes(), Path::new("standard input"), &ReadOptions::default())?;
/// assert_eq!(table.names(), ["length", "width"]);
/// assert_eq!(table.values.row(1), [3.0, 0.4]);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn read_csv(mut reader: impl Read, file: &Path, options: &ReadOptions) -> Result<Table> {
    // A pipe may hand out the byte order mark in pieces, which `csv` would not see.
    let mut start = Vec::new();
    let mark = BYTE_ORDER_MARK.len() as u64;
    reader.by_ref().take(mark).read_to_end(&mut start).map_err(|source| unreadable(file, source))?;
    if start == BYTE_ORDER_MARK {
        start.clear();
    }
    let inner = io::Cursor::new(start).chain(reader);
    // Every line gets an end, the last one too: `Records::advance` counts on it.
    let reader = UnixLines { inner, after_return: false }.chain(&b"\n"[..]);
    let mut records = Records {
        reader: ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader),
        record: ByteRecord::new(),
        line: 0,
        file,
    };
    if !records.advance()? {
        return Err(bad_table(file, "it is empty", "give at least one row of numbers"));
    }
    let cols = records.record.len();
    let is_header = options.header == Header::Detect
        && records.record.iter().any(|text| matches!(parse(text), Cell::Unusable(TEXT)));
    let header = if is_header { Some(names(&records.record, file)?) } else { None };
    let mut rows = Rows::new(file, options, header, cols)?;
    if is_header && !records.advance()? {
        return Err(no_rows(file));
    }
    loop {
        let Records { record, line, .. } = &records;
        if record.len() != cols {
            let found = format!("line {line} has {} cells, the first has {cols}", record.len());
            return Err(bad_table(file, found, "give every row the same number of cells"));
        }
        rows.push(|column| parse(&record[column]), |column| place(record, *line, column))?;
        if !records.advance()? {
            return rows.finish();
        }
    }
}

/// Writes a table as CSV: the header, quoted where it must be, and each number with the fewest digits
/// that read back as the same number of its precision; what is not finite becomes `NaN`, `inf`, `-inf`.
///
/// # Errors
/// What the system says.
///
/// # Panics
/// If the header has not one name for each column.
pub fn write_csv<R: Real>(
    out: &mut impl Write,
    header: Option<&[String]>,
    values: &Tensor<R>,
) -> io::Result<()> {
    if let Some(names) = header {
        assert!(names.len() == values.cols(), "a header needs one name for each column");
        write_names(out, names)?;
    }
    write_rows(out, values)
}

/// Writes the header line.
pub(super) fn write_names(out: &mut impl Write, names: &[String]) -> io::Result<()> {
    // By way of memory: `csv` would hide the kind of an error of `out`.
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(names).map_err(io::Error::other)?;
    let line = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    out.write_all(&line)
}

/// Writes rows without a header.
pub(super) fn write_rows<R: Real>(out: &mut impl Write, values: &Tensor<R>) -> io::Result<()> {
    let mut line = String::new();
    for i in 0..values.rows() {
        line.clear();
        for (j, &x) in values.row(i).iter().enumerate() {
            let comma = if j == 0 { "" } else { "," };
            let magnitude = x.to_f64().abs();
            let plain = PLAIN.contains(&magnitude) || magnitude <= 0.0;
            // Both are shortest round-trip digits; `Debug` adds the exponent where it is shorter.
            let written = if plain { write!(line, "{comma}{x}") } else { write!(line, "{comma}{x:?}") };
            written.map_err(io::Error::other)?;
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// The records of a CSV file, with the line on which each begins.
#[derive(Debug)]
struct Records<'a, R> {
    reader: csv::Reader<R>,
    record: ByteRecord,
    line: u64,
    file: &'a Path,
}

impl<R: Read> Records<'_, R> {
    /// Goes to the next record; false if there is none.
    fn advance(&mut self) -> Result<bool> {
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| self.refused(error))?;
        // `csv` says where it stood before the record, which is before the empty lines it skipped.
        // Where it stands now is beyond the record's own lines and its end. (The file's last record
        // has no end if a quote is left open: then the first is nearer.)
        let before = self.record.position().map_or(1, csv::Position::line);
        let own: u64 = self.record.iter().map(newlines).sum();
        self.line = before.max(self.reader.position().line().saturating_sub(1 + own));
        Ok(more)
    }

    fn refused(&self, error: csv::Error) -> Error {
        let text = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => unreadable(self.file, source),
            _ => bad_format(self.file, text),
        }
    }
}

/// Turns CRLF and CR into LF, so that a line is a line however it ends.
#[derive(Debug)]
struct UnixLines<R> {
    inner: R,
    after_return: bool,
}

impl<R: Read> Read for UnixLines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.inner.read(out)?;
            let mut kept = 0;
            for i in 0..read {
                let byte = out[i];
                let second_half = self.after_return && byte == b'\n';
                self.after_return = byte == b'\r';
                if !second_half {
                    out[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
            }
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

const TEXT: &str =
    "is not a number: give numbers with `.` for decimals and `,` between cells, or pick columns";

/// What a cell holds.
fn parse(text: &[u8]) -> Cell {
    let text = text.trim_ascii();
    if text.is_empty() || text == b"NA" {
        return Cell::Missing;
    }
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()) {
        None => Cell::Unusable(TEXT),
        Some(x) if x.is_infinite() && text.iter().any(u8::is_ascii_digit) => {
            Cell::Unusable("is beyond the range of f64, which ends at 1.8e308: scale the column")
        }
        Some(x) => Cell::of(x),
    }
}

/// The line and the text of a cell.
fn place(record: &ByteRecord, line: u64, column: usize) -> (u64, String) {
    let above: u64 = record.iter().take(column).map(newlines).sum();
    (line + above, String::from_utf8_lossy(record[column].trim_ascii()).into_owned())
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

/// The names in a header.
fn names(record: &ByteRecord, file: &Path) -> Result<Vec<String>> {
    let name = |text: &[u8]| match std::str::from_utf8(text.trim_ascii()) {
        Ok(name) if !name.contains('\0') => Ok(name.to_owned()),
        _ => Err(bad_format(file, "its first line is not UTF-8 text".to_owned())),
    };
    record.iter().map(name).collect()
}

fn bad_format(file: &Path, found: String) -> Error {
    Error::Format { file: file.to_path_buf(), what: "CSV table", found, remedy: "save it as UTF-8 CSV" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::table::Missing;
    use super::*;

    fn read_with(text: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Table> {
        read_csv(text.as_ref(), Path::new("t.csv"), options)
    }

    fn read(text: impl AsRef<[u8]>) -> Result<Table> {
        read_with(text, &ReadOptions::default())
    }

    fn message(text: impl AsRef<[u8]>) -> String {
        read(text).unwrap_err().to_string()
    }

    fn drop_missing() -> ReadOptions {
        ReadOptions { missing: Missing::Drop, ..ReadOptions::default() }
    }

    fn pick(columns: &[&str]) -> ReadOptions {
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        ReadOptions { columns: Some(columns), ..ReadOptions::default() }
    }

    #[test]
    fn a_header_is_detected_or_forced_away() {
        let table = read("a,b\n1,2\n").unwrap();
        assert_eq!(
            (table.header, table.values.as_slice()),
            (Some(vec!["a".into(), "b".into()]), &[1.0, 2.0][..])
        );
        assert_eq!(read("1,2\n3,4\n").unwrap().header, None);
        assert_eq!(read("1,2\n3,4\n").unwrap().names(), ["x1", "x2"]);
        // One word is enough; words for missing or infinite numbers are none.
        assert!(read("a,2\n3,4\n").unwrap().header.is_some());
        assert_eq!(read_with("NA,,nan\n3,4,5\n", &drop_missing()).unwrap().header, None);
        assert_eq!(
            message("inf,1\n2,3\n"),
            "t.csv, line 1, column 1: \"inf\" is infinite: use finite numbers only"
        );
        let none = ReadOptions { header: Header::None, ..ReadOptions::default() };
        let text = read_with("a,b\n1,2\n", &none).unwrap_err().to_string();
        assert!(text.starts_with("t.csv, line 1, column 1: \"a\" is not a number"), "{text}");
    }

    #[test]
    fn bad_cells_are_named_with_their_place() {
        for (text, start) in [
            ("a,b\n1,2\n3,x y\n", "t.csv, line 3, column b: \"x y\" is not a number"),
            ("1,2\n\n\n3,x\n", "t.csv, line 4, column 2: \"x\" is not"),
            ("1,2\r\n3,4\r\n\r\n5,x\r\n", "t.csv, line 4, column 2: \"x\" is not"),
            ("1,2\r3,x\r", "t.csv, line 2, column 2: \"x\" is not"),
            ("\n\r\n1,2\n3,x", "t.csv, line 4, column 2: \"x\" is not"),
            ("\"a\nb\",c\n1,x\n", "t.csv, line 3, column c: \"x\" is not"),
            ("1,2\n\"\n\n3\",x", "t.csv, line 4, column 2: \"x\" is not"),
            ("1,2\n3,\"x\n4,5\n", "t.csv, line 2, column 2: \"x\\n4,5\" is not"),
            ("1;2\n3;4\n", "t.csv, line 2, column 1;2: \"3;4\" is not a number: give numbers with `.`"),
            ("a\n1,5\n", "t.csv: line 2 has 2 cells, the first has 1"),
            (",b\nx,1\n", "t.csv, line 2, column 1: \"x\" is not"),
            ("a,b\n1,\n", "t.csv, line 2, column b: \"\" is missing: fill it in"),
            ("a,b\n1, NA \n", "t.csv, line 2, column b: \"NA\" is missing"),
            ("a,b\n1,-NaN\n", "t.csv, line 2, column b: \"-NaN\" is missing"),
            ("a,b\n1,-inf\n", "t.csv, line 2, column b: \"-inf\" is infinite"),
            ("a,b\n1,Infinity\n", "t.csv, line 2, column b: \"Infinity\" is infinite"),
            ("a,b\n1,-1e999\n", "t.csv, line 2, column b: \"-1e999\" is beyond the range of f64"),
            ("a,b\n1,2\0\n", "t.csv, line 2, column b: \"2\\0\" is not a number"),
            ("a,b\n1,0x10\n", "t.csv, line 2, column b: \"0x10\" is not"),
        ] {
            let found = message(text);
            assert!(found.starts_with(start), "{text:?}: {found}");
        }
        let found = message(b"a,b\n1,2\xff\n");
        assert!(found.starts_with("t.csv, line 2, column b: \"2\u{fffd}\" is not a number"), "{found}");
    }

    #[test]
    fn bad_tables_are_named_as_such() {
        for (text, start) in [
            ("", "t.csv: it is empty"),
            ("\n\r\n", "t.csv: it is empty"),
            ("\u{feff}", "t.csv: it is empty"),
            ("a,b\n", "t.csv: there are no rows"),
            ("a,b\n1,2\n3\n", "t.csv: line 3 has 1 cells, the first has 2"),
            ("a,b\n\n1,2,3\n", "t.csv: line 3 has 3 cells, the first has 2"),
            ("a,b,a\n1,2,3\n", "t.csv: two columns are called `a`"),
            ("a\0,b\n1,2\n", "t.csv is no usable CSV table: its first line is not UTF-8"),
        ] {
            let found = message(text);
            assert!(found.starts_with(start), "{text:?}: {found}");
        }
        // UTF-16, as some spreadsheets save it.
        let utf_16: Vec<u8> = "\u{feff}1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(message(utf_16).contains("not UTF-8"));
        let found = read_with("a,b\n1,\n,2\n", &drop_missing()).unwrap_err().to_string();
        assert!(found.starts_with("t.csv: each of its 2 rows has a missing cell"), "{found}");
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        let table = read("\u{feff}\"a, b\",\"c \"\"d\"\"\"\r\n\" 1.5\", +2.e1 \r\n-.5,\"1E-3\"\r\n").unwrap();
        assert_eq!(table.names(), ["a, b", "c \"d\""]);
        assert_eq!(table.values.as_slice(), [1.5, 20.0, -0.5, 1e-3]);
        // A byte order mark before numbers, and one that arrives byte by byte.
        assert_eq!(read("\u{feff}1,2\n3,4").unwrap().values.rows(), 2);
        let slow = (&b"\xef"[..]).chain(&b"\xbb"[..]).chain(&b"\xbf1,2\r"[..]).chain(&b"\n3,4\n"[..]);
        let table = read_csv(slow, Path::new("pipe"), &ReadOptions::default()).unwrap();
        assert_eq!((table.values.rows(), table.header), (2, None));
    }

    #[test]
    fn rows_with_missing_cells_are_left_out_and_counted() {
        let table = read_with("a,b\n1,2\n,3\n4,NA\nnan,NaN\n5,6\n", &drop_missing()).unwrap();
        assert_eq!((table.values.as_slice(), table.dropped), (&[1.0, 2.0, 5.0, 6.0][..], 3));
        // What is wrong in such a row is still an error.
        assert!(read_with("a,b\n1,2\nNA,x\n", &drop_missing()).is_err());
        assert!(read_with("a,b\n1,2\ninf,NA\n", &drop_missing()).is_err());
        let table = read_with("1\n\"\"\n\nNA\n2\n", &drop_missing()).unwrap();
        assert_eq!((table.values.as_slice(), table.dropped), (&[1.0, 2.0][..], 2));
    }

    #[test]
    fn columns_are_picked_by_name() {
        let text = "kind,a,b\ncat,1,2\ndog,3,4\n";
        let table = read_with(text, &pick(&["b", "a"])).unwrap();
        assert_eq!((table.names(), table.values.row(1)), (vec!["b".into(), "a".into()], &[4.0, 3.0][..]));
        let found = read_with(text, &pick(&["A"])).unwrap_err().to_string();
        assert_eq!(
            found,
            "t.csv: there is no column `A` among kind, a, b; pick from these, spelled as they are"
        );
        assert!(read_with(text, &pick(&["a", "a"])).is_err());
        assert!(read_with(text, &pick(&[])).is_err());
        assert!(read_with(text, &pick(&["kind"])).unwrap_err().to_string().contains("\"cat\""));
        let table = read_with("1,2\n3,4\n", &pick(&["x2"])).unwrap();
        assert_eq!((table.header, table.values.as_slice()), (None, &[2.0, 4.0][..]));
    }

    #[test]
    fn the_penguins_are_whole() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/penguins.csv");
        let table = Table::read(&path, &drop_missing()).unwrap();
        assert_eq!((table.values.rows(), table.values.cols(), table.dropped), (342, 4, 2));
        assert_eq!(table.names()[3], "body_mass_g");
        let found = Table::read(&path, &ReadOptions::default()).unwrap_err().to_string();
        assert!(found.contains("penguins.csv, line 5, column bill_length_mm: \"NA\" is missing"), "{found}");
    }

    fn written<R: Real>(header: Option<&[String]>, values: &Tensor<R>) -> String {
        let mut out = Vec::new();
        write_csv(&mut out, header, values).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_shortest_in_their_precision() {
        let row = [0.1, 1.0, -0.0, 1e300, 5e-324, 123_456_789.0, 1e-5, 9e-6, f64::NAN, f64::NEG_INFINITY];
        let text = written(None, &Tensor::from_rows(&[row]));
        assert_eq!(text, "0.1,1,-0,1e300,5e-324,123456789,0.00001,9e-6,NaN,-inf\n");
        assert_eq!(
            written(None, &Tensor::from_rows(&[[0.1_f32, 16_777_216.0, 1e38]])),
            "0.1,16777216,1e38\n"
        );
        let header = ["a".to_owned(), "b, c".to_owned(), "d\"\ne".to_owned()];
        let text = written(Some(&header), &Tensor::from_rows(&[[1.0, 2.0, 3.0]]));
        assert_eq!(text, "a,\"b, c\",\"d\"\"\ne\"\n1,2,3\n");
        assert_eq!(read(text).unwrap().names(), header);
    }

    proptest! {
        #[test]
        fn f64_read_back_the_same(bits in prop::collection::vec(any::<u64>(), 1..30)) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|x| x.is_finite()).collect();
            prop_assume!(!values.is_empty());
            let n = values.len();
            let x = Tensor::from_vec(values, n, 1).unwrap();
            let back = read(written(None, &x)).unwrap().values;
            for (a, b) in x.as_slice().iter().zip(back.as_slice()) {
                prop_assert_eq!(a.to_bits(), b.to_bits());
            }
        }

        #[test]
        fn f32_read_back_the_same(bits in prop::collection::vec(any::<u32>(), 1..30)) {
            let values: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| x.is_finite()).collect();
            prop_assume!(!values.is_empty());
            let n = values.len();
            let x = Tensor::from_vec(values, 1, n).unwrap();
            let back: Tensor = read(written(None, &x)).unwrap().values.cast();
            for (a, b) in x.as_slice().iter().zip(back.as_slice()) {
                prop_assert_eq!(a.to_bits(), b.to_bits());
            }
        }

        #[test]
        fn any_bytes_give_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(table) = read(&bytes) {
                prop_assert!(table.values.check_finite("x", "").is_ok() && table.values.rows() > 0);
            }
        }

        #[test]
        fn any_cells_give_a_table_or_an_error(text in "[0-9a,.\"\r\n \u{feff}Ne-]{0,80}", dropping: bool) {
            let options = if dropping { drop_missing() } else { ReadOptions::default() };
            if let Ok(table) = read_with(&text, &options) {
                prop_assert!(table.values.check_finite("x", "").is_ok() && table.values.rows() > 0);
            }
        }

        /// Lines are counted as an editor counts them, whatever ends them.
        #[test]
        fn the_line_of_a_bad_cell_is_right(ends in prop::collection::vec(0..3_usize, 1..20), at in 0..20_usize) {
            let at = at % ends.len();
            let end = |i: usize| ["\n", "\r\n", "\n\n"][ends[i]];
            let text: String = (0..ends.len()).map(|i| format!("1,{}{}", if i == at { "x" } else { "2" }, end(i))).collect();
            let options = ReadOptions { header: Header::None, ..ReadOptions::default() };
            let expected = 1 + (0..at).map(|i| end(i).matches('\n').count() as u64).sum::<u64>();
            match read_with(&text, &options).unwrap_err() {
                Error::Cell { line, .. } => prop_assert_eq!(line, expected),
                other => prop_assert!(false, "{}", other),
            }
        }
    }
}
