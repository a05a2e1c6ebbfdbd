//! Any bytes as an NPZ archive, and archives of NumPy with changes: a table of finite numbers, or an error.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pushforward::data::{ReadOptions, Table};

/// Archives that NumPy wrote, with the arrays `a` and `b`.
const ARCHIVES: [&[u8]; 2] =
    [include_bytes!("../../tests/golden/stored.npz"), include_bytes!("../../tests/golden/deflated.npz")];

/// An archive is read from a file: this one is in memory where there is such a folder.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("pushforward-fuzz-{}.npz", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    for archive in ARCHIVES {
        // Three bytes are one change: where (two) and what.
        let mut changed = archive.to_vec();
        for change in bytes.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
            changed[at] = change[2];
        }
        read(&changed);
    }
});

fn read(bytes: &[u8]) {
    std::fs::write(&*FILE, bytes).expect("the folder can be written");
    let file = FILE.to_str().expect("its name is ASCII");
    for path in [file.to_owned(), format!("{file}:a"), format!("{file}:b")] {
        match Table::read(path.as_ref(), &ReadOptions::default()) {
            Ok(table) => {
                assert!(table.values.rows() > 0 && table.values.as_slice().iter().all(|x| x.is_finite()));
            }
            Err(error) => assert!(error.to_string().contains(file), "an error names its file: {error}"),
        }
    }
}
