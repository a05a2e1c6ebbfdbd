//! Any bytes as a CSV table: a table whose numbers are written and read again as they are, or an error.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pushforward::data::{Header, Missing, ReadOptions, Table, TableReader, read_csv, write_csv};

const FILE: &str = "fuzz.csv";

fuzz_target!(|bytes: &[u8]| {
    for header in [Header::Detect, Header::None] {
        for missing in [Missing::Error, Missing::Drop] {
            let options = ReadOptions { header, missing, columns: None };
            match read_csv(bytes, Path::new(FILE), &options) {
                Ok(table) => {
                    check(&table);
                    check_blocks(&table, bytes, &options);
                }
                Err(error) => assert!(error.to_string().contains(FILE), "an error names its file: {error}"),
            }
        }
    }
    let first = ReadOptions { columns: Some(vec!["x1".to_owned()]), ..ReadOptions::default() };
    if let Ok(table) = read_csv(bytes, Path::new(FILE), &first) {
        assert!(table.values.cols() == 1, "one column was asked for");
    }
});

/// What every table promises, and that it survives being written.
fn check(table: &Table) {
    let (rows, cols) = (table.values.rows(), table.values.cols());
    assert!(rows > 0 && cols > 0 && table.names().len() == cols, "{rows} x {cols}");
    assert!(table.values.as_slice().iter().all(|x| x.is_finite()), "a number is not finite");
    let mut written = Vec::new();
    write_csv(&mut written, None, &table.values).expect("memory can be written");
    let options = ReadOptions { header: Header::None, ..ReadOptions::default() };
    let again = read_csv(&written[..], Path::new(FILE), &options).expect("what was written can be read");
    assert!(again.values == table.values, "the numbers changed");
}

/// Blocks are the table, cut into pieces.
fn check_blocks(table: &Table, bytes: &[u8], options: &ReadOptions) {
    let mut reader = TableReader::csv(bytes, Path::new(FILE), options).expect("it was read before");
    let (mut numbers, mut rows) = (Vec::new(), 0);
    while let Some(block) = reader.next_block(2).expect("it was read before") {
        assert!(block.rows() <= 2 && rows % 2 == 0, "only the last block is smaller");
        numbers.extend_from_slice(block.as_slice());
        rows += block.rows();
    }
    assert!(numbers == table.values.as_slice() && reader.dropped() == table.dropped, "blocks differ");
}
