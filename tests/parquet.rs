//! Parquet tables: what pyarrow wrote is read, what is written is read back to the bit, what is damaged is an error.
//!
//! A binary of its own: the feature `parquet` is off by default, and no other test is built for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use pushforward::data::{
    Column, Declared, Kind, Missing, ReadOptions, Schema, Shape, Table, TableReader, TableWriter,
};
use pushforward::{Error, Real, Result, Tensor};

/// What tests/golden/parquet.py wrote by each codec that is read, and in pages of version 2 with every encoding.
const GOLDEN: [&str; 6] = ["none", "snappy", "gzip", "brotli", "lz4", "pages"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.parquet"))
}

fn options(columns: &[&str], missing: Missing) -> ReadOptions {
    let columns = Some(columns.iter().map(|&name| name.to_owned()).collect());
    ReadOptions { columns, missing, ..ReadOptions::default() }
}

fn read(path: &Path, columns: &[&str], missing: Missing) -> Result<Table> {
    Table::read(path, &options(columns, missing))
}

#[track_caller]
fn refused(path: &Path, columns: &[&str], words: &[&str]) {
    let said = read(path, columns, Missing::Error).unwrap_err().to_string();
    for word in words {
        assert!(said.contains(word), "{said} does not say {word:?}");
    }
}

fn is_same<R: Real>(a: &[R], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_f64().to_bits() == b.to_bits())
}

#[test]
fn what_pyarrow_wrote_is_read() {
    for codec in GOLDEN {
        let path = golden(&format!("table-{codec}"));
        let table = read(&path, &["flag", "large", "half_open", "count"], Missing::Error).unwrap();
        assert_eq!(table.names(), ["flag", "large", "half_open", "count"]);
        let [tenth, least] = [0.1_f32, 1e-45].map(f64::from);
        let expected = [
            [1.0, 0.0, tenth, 10.0],
            [0.0, 1.0, -2.5, 20.0],
            [1.0, 2.0, f64::from(3e38_f32), 30.0],
            [1.0, u64::MAX as f64, least, 40.0], // rounded to 2^64
            [0.0, 9_007_199_254_740_992.0, 0.0, 50.0],
            [1.0, 5.0, 6.0, 60.0],
        ];
        assert!(is_same(table.values.as_slice(), expected.as_flattened()), "{codec}: {:?}", table.values);

        let table = read(&path, &["real", "small"], Missing::Drop).unwrap();
        let expected = [[0.1, -3.0], [-2.5, 2.0], [5e-324, 5.0]];
        assert!(is_same(table.values.as_slice(), expected.as_flattened()), "{codec}: {:?}", table.values);
        assert_eq!(table.dropped, 3, "a null of each column and a NaN");

        let reader =
            TableReader::open(&path, &options(&["species", "size", "count", "half_open"], Missing::Drop));
        let (table, schema) = reader.unwrap().read_typed(&Declared::default()).unwrap();
        let kinds: Vec<Kind> = schema.columns().iter().map(Column::kind).collect();
        assert_eq!(kinds, [Kind::Categorical, Kind::Categorical, Kind::Integer, Kind::Numeric]);
        // A text may be empty: a null is what is missing.
        assert_eq!(schema.columns()[0].categories(), ["", "Adelie", "Chin, \"strap\"", "Gentoo"]);
        assert_eq!(schema.columns()[1].categories(), ["M", "S"], "L is in the row that is left out");
        assert_eq!((table.dropped, table.values.row(4)[..2].to_vec()), (1, vec![0.0, 1.0]), "{codec}");
    }
}

#[test]
fn cells_that_cannot_be_taken_are_named() {
    let path = golden("table-snappy");
    refused(
        &path,
        &["real"],
        &["table-snappy.parquet", "line 5", "column real", "missing", "--missing drop"],
    );
    refused(&path, &["species"], &["line 1", "column species", "\"Adelie\"", "pick columns"]);
    refused(&path, &["specie"], &["no column `specie`", "species"]);
    refused(
        &golden("table-zstd"),
        &["flag"],
        &["column flag uses zstd", "write it with compression='snappy'"],
    );
    let path = golden("refused");
    for (column, kind) in [
        ("when", "Timestamp"),
        ("day", "Date"),
        ("price", "Decimal"),
        ("list", "lists"),
        ("pair", "structures"),
        ("raw", "BYTE_ARRAY"),
        ("low", "Float16"),
    ] {
        refused(&path, &[column], &["refused.parquet", &format!("column {column} holds"), kind, "--columns"]);
    }
    // What is not taken may hold anything.
    assert_eq!(read(&path, &["x"], Missing::Error).unwrap().values.as_slice(), [1.0, 2.0]);
}

/// Writes a table in parts of some rows.
fn write<R: Real>(
    path: &Path,
    names: Option<&[String]>,
    schema: Option<&Schema>,
    x: &Tensor<R>,
    rows: usize,
) {
    let shape = Shape::Matrix { rows: None, cols: x.cols() };
    let mut writer = TableWriter::create(path, names, shape).unwrap();
    if let Some(schema) = schema {
        writer = writer.with_schema(schema).unwrap();
    }
    for first in (0..x.rows()).step_by(rows) {
        assert!(!path.exists());
        writer.push(&x.slice_rows(first..x.rows().min(first + rows))).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn what_is_written_is_read_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let special = [0.1, -0.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, -1.0 / 3.0, 1e16 + 2.0];
    // More than one row group: 2^22 cells are one.
    let (rows, cols) = (66_000, 64);
    let numbers = (0..rows * cols).map(|i| special[i % 7] * if i % 5 == 0 { 0.5 } else { 1.0 }).collect();
    let x = Tensor::from_vec(numbers, rows, cols).unwrap();
    write(&at("a.parquet"), None, None, &x, 7001);
    let table = Table::read(&at("a.parquet"), &ReadOptions::default()).unwrap();
    assert_eq!((table.names()[63].as_str(), table.values.rows()), ("x64", rows));
    assert!(is_same(table.values.as_slice(), x.as_slice()));
    // Parts of other sizes are the same bytes; blocks of any size are the same rows.
    write(&at("b.parquet"), None, None, &x, rows);
    assert!(std::fs::read(at("a.parquet")).unwrap() == std::fs::read(at("b.parquet")).unwrap());
    let mut reader = TableReader::open(&at("a.parquet"), &ReadOptions::default()).unwrap();
    assert_eq!(reader.announced_rows(), Some(rows));
    let mut numbers = Vec::new();
    while let Some(block) = reader.next_block(9999).unwrap() {
        numbers.extend_from_slice(block.as_slice());
    }
    assert!(is_same(&numbers, x.as_slice()));

    let x: Tensor<f32> = Tensor::from_rows(&[[0.1_f32, 1e-45], [-3e38, -0.0]]);
    let names = ["a b".to_owned(), "c.d".to_owned()];
    write(&at("f32.parquet"), Some(&names), None, &x, 1);
    let table = Table::read(&at("f32.parquet"), &ReadOptions::default()).unwrap();
    assert_eq!(table.names(), names);
    assert!(is_same(x.as_slice(), table.values.as_slice()));
}

#[test]
fn types_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let texts = ["plain", "", "ü, \"quoted\""].map(str::to_owned).to_vec();
    let columns =
        vec![Column::numeric("n"), Column::categorical("text", texts).unwrap(), Column::integer("i")];
    let (names, schema) =
        (columns.iter().map(|c| c.name().to_owned()).collect::<Vec<_>>(), Schema::new(columns).unwrap());
    let x = Tensor::from_rows(&[[0.5, 1.0, -7.0], [2.0, 0.0, 9_007_199_254_740_992.0], [3.0, 2.0, 0.0]]);
    write(&path, Some(&names), Some(&schema), &x, 2);
    let (table, found) =
        TableReader::open(&path, &ReadOptions::default()).unwrap().read_typed(&Declared::default()).unwrap();
    assert_eq!(
        found.columns().iter().map(Column::kind).collect::<Vec<_>>(),
        [Kind::Numeric, Kind::Categorical, Kind::Integer]
    );
    assert_eq!(found.columns()[1].categories(), ["", "plain", "ü, \"quoted\""]);
    // The categories are in the order of the alphabet now.
    let renumbered =
        Tensor::from_rows(&[[0.5, 0.0, -7.0], [2.0, 1.0, 9_007_199_254_740_992.0], [3.0, 2.0, 0.0]]);
    assert_eq!(table.values, renumbered);
    // By the schema that it was written with: the same numbers.
    let mut reader = TableReader::open(&path, &ReadOptions::default()).unwrap();
    reader.follow(&schema).unwrap();
    assert_eq!(reader.read_all().unwrap().values, x);
    // What a column cannot hold is not written, and the file stays as it was.
    let before = std::fs::read(&path).unwrap();
    for bad in [[0.0, 3.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, f64::NAN]] {
        let shape = Shape::Matrix { rows: Some(1), cols: 3 };
        let mut writer =
            TableWriter::create(&path, Some(&names), shape).unwrap().with_schema(&schema).unwrap();
        let written = writer.push(&Tensor::from_rows(&[bad])).and_then(|()| writer.finish());
        assert!(matches!(written, Err(Error::Io { action: "write", .. })), "{bad:?}: {written:?}");
    }
    assert!(std::fs::read(&path).unwrap() == before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn courses_have_a_line_for_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let shape = Shape::Courses { rows: None, times: 2, cols: 2 };
    let mut writer = TableWriter::create(&path, None, shape).unwrap();
    let (start, end) =
        (Tensor::from_rows(&[[0.1_f32, 1.0], [2.0, 3.0]]), Tensor::from_rows(&[[4.0, 5.0], [6.0, 7.0]]));
    writer.push_courses(5, &[0.0, 1.0], &[start, end]).unwrap();
    writer.finish().unwrap();
    let table = Table::read(&path, &ReadOptions::default()).unwrap();
    assert_eq!(table.names(), ["sample", "t", "x1", "x2"]);
    let expected = [
        [5.0, 0.0, f64::from(0.1_f32), 1.0],
        [5.0, 1.0, 4.0, 5.0],
        [6.0, 0.0, 2.0, 3.0],
        [6.0, 1.0, 6.0, 7.0],
    ];
    assert!(is_same(table.values.as_slice(), expected.as_flattened()), "{:?}", table.values);
}

#[test]
fn damage_is_an_error_or_changes_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let drop = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
    let typed = || TableReader::open(&path, &drop).and_then(|reader| reader.read_typed(&Declared::default()));
    for codec in GOLDEN {
        let whole = std::fs::read(golden(&format!("table-{codec}"))).unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                std::fs::write(&path, &bytes).unwrap();
                if let Err(error) = typed() {
                    refused += 1;
                    // Of names that are damaged too: two that are equal, say.
                    let said = error.to_string();
                    assert!(said.contains("x.parquet") || said.contains("column"), "{said}");
                }
            }
            if at % 7 == 0 {
                std::fs::write(&path, &whole[..at]).unwrap();
                assert!(typed().is_err(), "{at} bytes");
            }
        }
        assert!(refused > whole.len(), "{codec}: {refused} of {}", 3 * whole.len());
    }
}

/// A page that says of itself what `size` and `values` say, in a file that is sound otherwise: the header of the first page of
/// column `flag` of the golden file, replaced.
#[test]
fn sizes_are_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    // Field 1 (type) 0, field 2 (unpacked) 2^31 - 1, field 3 (packed) 2.
    let start: &[u8] = &[0x15, 0x00, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 0x04];
    for codec in ["snappy", "gzip", "brotli", "lz4"] {
        let mut bytes = std::fs::read(golden(&format!("table-{codec}"))).unwrap();
        bytes[4..4 + start.len()].copy_from_slice(start);
        std::fs::write(&path, &bytes).unwrap();
        refused(&path, &["flag"], &["column flag, rows from 1 on", "256 MiB"]);
        // 2^28: as much as a page may say, from the two bytes that it has.
        let mut bytes = std::fs::read(golden(&format!("table-{codec}"))).unwrap();
        bytes[4..4 + start.len()]
            .copy_from_slice(&[0x15, 0x00, 0x15, 0x80, 0x80, 0x80, 0x80, 0x02, 0x15, 0x04]);
        std::fs::write(&path, &bytes).unwrap();
        refused(&path, &["flag"], &["column flag, rows from 1 on"]);
    }
    // A footer that is longer than the file.
    let mut bytes = std::fs::read(golden("table-none")).unwrap();
    let at = bytes.len() - 8;
    for (length, word) in [(u32::MAX, "64 MiB"), (1 << 25, "x.parquet")] {
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        refused(&path, &["flag"], &["no usable Parquet table", word]);
    }
    std::fs::write(&path, "PAR1").unwrap();
    refused(&path, &["flag"], &["no usable Parquet table"]);
    std::fs::write(&path, "a,b\n1,2\n3,4\n").unwrap();
    refused(&path, &["flag"], &["no usable Parquet table", "does not end as one"]);
}
