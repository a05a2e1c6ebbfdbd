//! Any bytes as an NPY table: a table whose numbers are written and read again as they are, or an error.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pushforward::data::{Missing, ReadOptions, Table, TableReader, read_npy, write_npy};

const FILE: &str = "fuzz.npy";

/// The starts of files, so that a mutation need not first find one.
const STARTS: [&[u8]; 4] = [
    b"",
    b"\x93NUMPY\x01\x00\x3c\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
    b"\x93NUMPY\x02\x00\x3b\x00\x00\x00{'descr': '>i2', 'fortran_order': True, 'shape': (3, 2), }\n",
    b"\x93NUMPY\x03\x00\x40\x00\x00\x00",
];

fuzz_target!(|bytes: &[u8]| {
    for start in STARTS {
        let file = [start, bytes].concat();
        for missing in [Missing::Error, Missing::Drop] {
            let options = ReadOptions { missing, ..ReadOptions::default() };
            match read_npy(&file[..], Path::new(FILE), &options) {
                Ok(table) => {
                    check(&table);
                    check_blocks(&table, &file, &options);
                }
                Err(error) => assert!(error.to_string().contains(FILE), "an error names its file: {error}"),
            }
        }
    }
});

/// What every table promises, and that it survives being written.
fn check(table: &Table) {
    let (rows, cols) = (table.values.rows(), table.values.cols());
    assert!(rows > 0 && cols > 0 && table.names().len() == cols, "{rows} x {cols}");
    assert!(table.values.as_slice().iter().all(|x| x.is_finite()), "a number is not finite");
    let mut written = Vec::new();
    write_npy(&mut written, &table.values).expect("memory can be written");
    let again = read_npy(&written[..], Path::new(FILE), &ReadOptions::default());
    assert!(again.expect("what was written can be read").values == table.values, "the numbers changed");
}

/// Blocks are the table, cut into pieces.
fn check_blocks(table: &Table, bytes: &[u8], options: &ReadOptions) {
    let mut reader = TableReader::npy(bytes, Path::new(FILE), options).expect("it was read before");
    let (mut numbers, mut rows) = (Vec::new(), 0);
    while let Some(block) = reader.next_block(2).expect("it was read before") {
        assert!(block.rows() <= 2 && rows % 2 == 0, "only the last block is smaller");
        numbers.extend_from_slice(block.as_slice());
        rows += block.rows();
    }
    assert!(numbers == table.values.as_slice() && reader.dropped() == table.dropped, "blocks differ");
}
