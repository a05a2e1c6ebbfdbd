//! Reading tables as CSV: [`read_csv`].
//!
//! # Limits
//! Between cells stands a tab, a semicolon or a comma: the first of these that the first line has outside quotes. Numbers have `.`
//! for decimals, or `,` where it does not stand between cells; a file that uses both is refused at the second one. UTF-8 in
//! names, double quotes around cells where needed; lines end in LF, CRLF or CR. White space around a cell does not count. Empty
//! lines are skipped, so in a table of one column a missing cell must be written as `NA` or `""`. A header that consists of
//! numbers cannot be told from a row. A number with more digits than f64 holds is rounded to nearest. A row, with all lines
//! inside its quotes, is at most 16 MiB long.

use std::cell::Cell as Shared;
use std::io::{self, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};

use super::columns::{Cell, Columns};
use super::reader::TableReader;
use super::table::{Header, ReadOptions, Table, bad_table, check_columns, check_compression, unreadable};
use crate::error::{Error, Result};

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 16;

/// The longest row in bytes: 65,536 columns of 25 digits take a tenth of it.
const MOST_ROW_BYTES: usize = 1 << 24;

/// What the first line is searched for.
const SEPARATORS: [u8; 3] = [b'\t', b';', b','];

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
pub fn read_csv(reader: impl Read, file: &Path, options: &ReadOptions) -> Result<Table> {
    TableReader::csv(reader, file, options)?.read_all()
}

/// The rows of a CSV file, read one after the other.
pub(super) struct CsvRows<'a> {
    records: Records<'a>,
    /// Cells of each record.
    cols: usize,
    numbers: Numbers,
    /// Whether the record at which `records` stands is a row that was not yet taken. No more is read
    /// than was asked for: whoever waits for a pipe waits for the rows that he wants.
    in_hand: bool,
}

impl<'a> CsvRows<'a> {
    /// Reads up to the first row.
    pub(super) fn begin(
        mut reader: Box<dyn Read + 'a>,
        file: &Path,
        options: &ReadOptions,
    ) -> Result<(Self, Columns)> {
        // A pipe may hand out the byte order mark in pieces, which `csv` would not see.
        let mut start = Vec::new();
        let mark = BYTE_ORDER_MARK.len() as u64;
        reader.by_ref().take(mark).read_to_end(&mut start).map_err(|source| unreadable(file, source))?;
        if start == BYTE_ORDER_MARK {
            start.clear();
        }
        let inner = io::Cursor::new(start).chain(reader);
        // Every line gets an end, the last one too: `Records::line` counts on it.
        let mut lines = UnixLines { inner, after_return: false }.chain(&b"\n"[..]);
        let (begin, line) = first_line(&mut lines).map_err(|source| unreadable(file, source))?;
        check_compression(file, &begin)?;
        let separator = line.separator();
        let since = Rc::new(Shared::new(0));
        let lines = Counted { inner: io::Cursor::new(begin).chain(lines), since: Rc::clone(&since) };
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).buffer_capacity(BUFFER).delimiter(separator);
        let reader = builder.from_reader(Box::new(lines) as Box<dyn Read + 'a>);
        let mut records = Records { reader, record: ByteRecord::new(), file: file.into(), since };
        if !records.advance()? {
            return Err(bad_table(file, "it is empty", "give at least one row of numbers"));
        }
        let cols = records.record.len();
        check_columns(file, cols)?;
        let numbers = Numbers { separator, mark: Shared::new(None) };
        let is_header = options.header == Header::Detect
            && records.record.iter().any(|text| matches!(numbers.parse(text), Cell::Text(_)));
        let header = if is_header { Some(names(&records.record, file)?) } else { None };
        let columns = Columns::new(file, options, header, cols)?;
        numbers.mark.set(None); // a name is no number
        Ok((Self { records, cols, numbers, in_hand: !is_header }, columns))
    }

    /// What stands between cells.
    pub(super) fn separator(&self) -> u8 {
        self.numbers.separator
    }

    /// Appends at most `max_rows` rows to `out`; how many.
    pub(super) fn fill(
        &mut self,
        columns: &mut Columns,
        max_rows: usize,
        out: &mut Vec<f64>,
    ) -> Result<usize> {
        let mut taken = 0;
        while taken < max_rows {
            if !mem::replace(&mut self.in_hand, false) && !self.records.advance()? {
                break;
            }
            let records = &self.records;
            let record = &records.record;
            if record.len() != self.cols {
                let (line, found) = (records.line(), record.len());
                let found = format!("line {line} has {found} cells, the first has {}", self.cols);
                return Err(bad_table(&records.file, found, "give every row the same number of cells"));
            }
            let cell = |column: usize| self.numbers.parse(&record[column]);
            taken += usize::from(columns.push(cell, |column| records.place(column), out)?);
        }
        Ok(taken)
    }
}

/// The records of a CSV file.
struct Records<'a> {
    reader: csv::Reader<Box<dyn Read + 'a>>,
    record: ByteRecord,
    file: PathBuf,
    /// Bytes that were read since the last record.
    since: Rc<Shared<usize>>,
}

impl Records<'_> {
    /// Goes to the next record; false if there is none.
    fn advance(&mut self) -> Result<bool> {
        self.since.set(0);
        self.reader.read_byte_record(&mut self.record).map_err(|error| {
            let text = error.to_string();
            match error.into_kind() {
                csv::ErrorKind::Io(source) if source.kind() == io::ErrorKind::FileTooLarge => {
                    let line = self.reader.position().line();
                    let found = format!("a row that begins near line {line} is longer than 16 MiB");
                    bad_table(&self.file, found, "end rows with line ends (is a quote left open?)")
                }
                csv::ErrorKind::Io(source) => unreadable(&self.file, source),
                _ => bad_format(&self.file, text),
            }
        })
    }

    /// The line on which the record begins.
    fn line(&self) -> u64 {
        // `csv` says where it stood before the record, which is before the empty lines it skipped.
        // Where it stands now is beyond the record's own lines and its end. (The file's last record
        // has no end if a quote is left open: then the first is nearer.)
        let before = self.record.position().map_or(1, csv::Position::line);
        let own = newlines(self.record.as_slice());
        before.max(self.reader.position().line().saturating_sub(1 + own))
    }

    /// The line and the text of a cell.
    fn place(&self, column: usize) -> (u64, String) {
        let above: u64 = self.record.iter().take(column).map(newlines).sum();
        let text = self.record.get(column).unwrap_or_default();
        (self.line() + above, String::from_utf8_lossy(text.trim_ascii()).into_owned())
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
            let bytes = out.get_mut(..read).unwrap_or_default();
            // Most files have none, and looking for one byte is much faster than moving all.
            if !self.after_return && !bytes.contains(&b'\r') {
                return Ok(read);
            }
            let mut kept = 0;
            for i in 0..read {
                let byte = bytes.get(i).copied().unwrap_or_default();
                let second_half = self.after_return && byte == b'\n';
                self.after_return = byte == b'\r';
                if !second_half && let Some(to) = bytes.get_mut(kept) {
                    *to = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
            }
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

/// Everything up to the first line that is not empty and its end, or a little more than a row may be.
fn first_line(reader: &mut impl Read) -> io::Result<(Vec<u8>, FirstLine)> {
    let (mut bytes, mut piece, mut line) = (Vec::new(), vec![0; BUFFER], FirstLine::default());
    while bytes.len() <= MOST_ROW_BYTES {
        let read = match reader.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let piece = piece.get(..read).unwrap_or_default();
        bytes.extend_from_slice(piece);
        if read == 0 || line.is_whole_with(piece) {
            break;
        }
    }
    Ok((bytes, line))
}

/// What the first line that is not empty has outside quotes.
#[derive(Debug, Default)]
struct FirstLine {
    begun: bool,
    quoted: bool,
    /// Which of [`SEPARATORS`].
    found: [bool; SEPARATORS.len()],
}

impl FirstLine {
    /// Looks at what comes next; true at the end of the line.
    fn is_whole_with(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            match byte {
                b'\n' if !self.begun => continue,
                b'\n' if !self.quoted => return true,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                _ => {
                    for (found, separator) in self.found.iter_mut().zip(SEPARATORS) {
                        *found |= byte == separator;
                    }
                }
            }
            self.begun = true;
        }
        false
    }

    /// The first separator that it has; a comma if there is none.
    fn separator(&self) -> u8 {
        SEPARATORS
            .into_iter()
            .zip(self.found)
            .find(|(_, found)| *found)
            .map_or(b',', |(separator, _)| separator)
    }
}

/// Counts bytes, and refuses more of them than a row may have: `csv` would take memory for all.
struct Counted<R> {
    inner: R,
    since: Rc<Shared<usize>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > MOST_ROW_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(out)?;
        self.since.set(self.since.get() + read);
        Ok(read)
    }
}

const TEXT: &str =
    "is not a number: give numbers with `.` for decimals and `,` between cells, or pick columns";
const THOUSANDS: &str = "has marks between thousands, or two decimal marks: write it without";
const OTHER_MARK: &str = "has another decimal mark than numbers before it: use one of `.` and `,`";
const TEXT_WITH_COMMAS: &str = "is not a number: give numbers with `.` or `,` for decimals, or pick columns";

/// How the cells of a file are read.
struct Numbers {
    separator: u8,
    /// The decimal mark that was met first.
    mark: Shared<Option<u8>>,
}

impl Numbers {
    /// What a cell holds.
    fn parse(&self, text: &[u8]) -> Cell {
        let text = text.trim_ascii();
        if self.separator == b',' || !text.iter().any(|byte| matches!(byte, b',' | b'.')) {
            return parse(text, if self.separator == b',' { TEXT } else { TEXT_WITH_COMMAS });
        }
        let mark = if text.contains(&b',') { b',' } else { b'.' };
        let number = if mark == b'.' {
            parse(text, TEXT_WITH_COMMAS)
        } else if text.contains(&b'.') || text.iter().filter(|&&byte| byte == b',').count() > 1 {
            let number = text.iter().all(|byte| byte.is_ascii_digit() || b"+-.,".contains(byte));
            if number { Cell::Unusable(THOUSANDS) } else { Cell::Text(TEXT_WITH_COMMAS) }
        } else {
            let text: Vec<u8> = text.iter().map(|&byte| if byte == b',' { b'.' } else { byte }).collect();
            parse(&text, TEXT_WITH_COMMAS)
        };
        if matches!(number, Cell::Number(_)) {
            if self.mark.get().is_some_and(|first| first != mark) {
                return Cell::Unusable(OTHER_MARK);
            }
            self.mark.set(Some(mark));
        }
        number
    }
}

/// What a cell holds that has `.` for decimals.
fn parse(text: &[u8], no_number: &'static str) -> Cell {
    if text.is_empty() || text == b"NA" {
        return Cell::Missing;
    }
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()) {
        None => Cell::Text(no_number),
        Some(x) if x.is_infinite() && text.iter().any(u8::is_ascii_digit) => {
            Cell::Unusable("is beyond the range of f64, which ends at 1.8e308: scale the column")
        }
        Some(x) => Cell::of(x),
    }
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
            ("1:2\n3:4\n", "t.csv, line 2, column 1:2: \"3:4\" is not a number: give numbers with `.`"),
            ("a;b\n1;x\n", "t.csv, line 2, column b: \"x\" is not a number: give numbers with `.` or `,`"),
            ("a;b\n1,5;2.5\n", "t.csv, line 2, column b: \"2.5\" has another decimal mark"),
            ("a\tb\n1.5\t2,5\n", "t.csv, line 2, column b: \"2,5\" has another decimal mark"),
            ("a;b\n1;1.234,5\n", "t.csv, line 2, column b: \"1.234,5\" has marks between thousands"),
            ("a;b\n1;1,234,567\n", "t.csv, line 2, column b: \"1,234,567\" has marks between thousands"),
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
    fn separators_are_found_and_commas_may_be_decimal_marks() {
        let separator = |text: &str| {
            TableReader::csv(text.as_bytes(), Path::new("t.csv"), &ReadOptions::default())
                .unwrap()
                .separator()
        };
        for (text, found, names) in [
            ("1,5;2\n3;4,25\n", ';', None),
            ("a;b\n1,5;2\n3;4,25\n", ';', Some(["a", "b"])),
            ("1,5\t2\n3\t4,25\n", '\t', None),
            ("\n\r\n\"a;b\",\"c\td\"\n1.5,2\n3,4.25\n", ',', Some(["a;b", "c\td"])),
            ("\"a\n;b\"\tc\n1.5\t2\n3\t4.25\n", '\t', Some(["a\n;b", "c"])),
            ("a.b,c;d\n1.5;2\n3;4.25", ';', Some(["a.b,c", "d"])),
            ("\u{feff}a;b,c\r\n1.5;2\r\n3;4.25", ';', Some(["a", "b,c"])),
        ] {
            let table = read(text).unwrap();
            assert_eq!(table.values.as_slice(), [1.5, 2.0, 3.0, 4.25], "{text:?}");
            assert_eq!(
                table.header.as_deref(),
                names.map(|names| names.map(str::to_owned)).as_ref().map(|n| &n[..])
            );
            assert_eq!(separator(text), Some(found));
        }
        assert_eq!(separator("1\n2\n"), Some(','));
        // The first line may come in pieces.
        let slow = (&b"a"[..]).chain(&b";b\n1,"[..]).chain(&b"5;2\n"[..]);
        assert_eq!(
            read_csv(slow, Path::new("pipe"), &ReadOptions::default()).unwrap().values.row(0),
            [1.5, 2.0]
        );
    }

    #[test]
    fn what_is_compressed_or_too_long_is_refused_before_it_is_in_memory() {
        for (start, name) in
            [(&b"\x1f\x8b\x08\0"[..], "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"PK\x03\x04", "zip")]
        {
            assert!(message(start).contains(&format!("compressed with {name}; unpack it first")));
        }
        let endless = |text: &'static [u8]| {
            let options = ReadOptions::default();
            read_csv(text.chain(io::repeat(b'1')), Path::new("t.csv"), &options).unwrap_err().to_string()
        };
        assert!(endless(b"").contains("longer than 16 MiB"));
        assert!(endless(b"a,b\n1,2\n").contains("near line 3 is longer than 16 MiB"));
        let quoted = (&b"a\n1\n\""[..]).chain((&b"1\n"[..]).chain(io::repeat(b'\n')));
        let found = read_csv(quoted, Path::new("t.csv"), &ReadOptions::default()).unwrap_err().to_string();
        assert!(
            found.contains("longer than 16 MiB; end rows with line ends (is a quote left open?)"),
            "{found}"
        );
        let million = "1,".repeat(999_999) + "1\n";
        assert!(message(million).contains("it has 1000000 columns, at most 65536 are read"));
        // What is long and allowed.
        let wide = "1,".repeat(65_535) + "1\n";
        assert_eq!(read(wide).unwrap().values.cols(), 65_536);
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

    proptest! {
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
