//! Any bytes as a Parquet table, and tables of pyarrow with changes: finite numbers and texts, or an error that names the file.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pushforward::data::{Declared, Missing, ReadOptions, TableReader};

/// Tables that pyarrow wrote.
const TABLES: [&[u8]; 6] = [
    include_bytes!("../../tests/golden/table-none.parquet"),
    include_bytes!("../../tests/golden/table-snappy.parquet"),
    include_bytes!("../../tests/golden/table-gzip.parquet"),
    include_bytes!("../../tests/golden/table-brotli.parquet"),
    include_bytes!("../../tests/golden/table-lz4.parquet"),
    include_bytes!("../../tests/golden/table-pages.parquet"),
];

/// What a footer claims may be read block by block however much it is: this much of it is.
const MOST_ROWS: usize = 1000;

/// A table is read from a file: this one is in memory where there is such a folder.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    // The decoders of the crate may panic, which the reader turns into an error: libFuzzer's hook would end the process before that.
    // A panic that nobody catches ends it still.
    std::panic::set_hook(Box::new(|_| {}));
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("pushforward-fuzz-{}.parquet", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // One of the tables; three bytes are one change: where (two) and what.
    if let Some((&which, changes)) = bytes.split_first() {
        let mut changed = TABLES[usize::from(which) % TABLES.len()].to_vec();
        for change in changes.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
            changed[at] = change[2];
        }
        read(&changed);
    }
});

fn read(bytes: &[u8]) {
    std::fs::write(&*FILE, bytes).expect("the folder can be written");
    let options = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
    match TableReader::open(&FILE, &options) {
        Ok(mut reader) => {
            let few = reader.announced_rows().is_some_and(|rows| rows <= MOST_ROWS);
            let mut rows = 0;
            while rows < MOST_ROWS {
                match reader.next_block(64) {
                    Ok(Some(block)) => {
                        assert!(block.as_slice().iter().all(|x| x.is_finite()), "a number is not finite");
                        rows += block.rows();
                    }
                    Ok(None) => break,
                    Err(error) => {
                        named(&error);
                        break;
                    }
                }
            }
            if few {
                let reader = TableReader::open(&FILE, &options).expect("it was opened before");
                if let Ok((table, schema)) = reader.read_typed(&Declared::default()) {
                    schema.encode(&table.values).expect("cells are what their columns hold");
                }
            }
        }
        Err(error) => named(&error),
    }
}

fn named(error: &pushforward::Error) {
    assert!(error.to_string().contains("pushforward-fuzz"), "an error names its file: {error}");
}
