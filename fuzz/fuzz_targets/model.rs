//! Any bytes as a model: a flow that can be drawn from and scored with, or an error.
//!
//! The checksum stops nearly every mutation, so most inputs are put behind a right one: as a payload, and as
//! changes to the payload of a model that is well formed.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pushforward::{AffinePath, Divergence, Flow, Mlp, Rng, Solver, Source, Tensor, Trainer, checkpoint};
use serde::ser::{Serialize, SerializeTuple as _, Serializer};

const FILE: &str = "fuzz.pf";

/// Bytes before the payload of a file (head of `checkpoint`).
const HEADER: usize = 24;

/// A larger network is read and left: evaluating it would only be slow.
const MOST_PARAMETERS: usize = 1 << 12;

/// The payloads of well-formed models: one plain, one with units, names and a record.
static PAYLOADS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let mut rng = Rng::from_seed(0);
    let velocity = Mlp::new(2, &[3], &mut rng).expect("the sizes are in range");
    let plain = Flow::new(velocity.clone(), AffinePath::default(), Source::Normal);
    let rows = Tensor::from_rows(&[[1.0, 2.0, 3.0], [4.0, 2.0, 1.0], [0.0, 2.0, 5.0]]);
    let trained = Trainer::new(AffinePath::default()).steps(1).batch(3);
    let trained = trained.fit(velocity, &rows, &mut rng).expect("three rows can be learnt");
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let trained = trained.with_header(Some(names)).expect("there are three columns");
    [plain, trained].map(|flow| bytes_of(&flow)[HEADER..].to_vec())
});

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&behind_a_checksum(bytes));
    // Three bytes are one change: where (two) and what.
    for payload in &*PAYLOADS {
        let mut changed = payload.clone();
        for change in bytes.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
            changed[at] = change[2];
        }
        read(&behind_a_checksum(&changed));
        // And the rest of the input in place of the payload's end.
        if let Some((&[low, high], end)) = bytes.split_first_chunk::<2>() {
            let kept = usize::from(u16::from_le_bytes([low, high])) % payload.len();
            read(&behind_a_checksum(&[&payload[..kept], end].concat()));
        }
    }
});

/// Reads a model; what is one must be usable.
fn read(bytes: &[u8]) {
    let flow = match Flow::from_bytes(bytes, Path::new(FILE)) {
        Ok(flow) => flow,
        Err(error) => return assert!(error.to_string().contains(FILE), "an error names its file: {error}"),
    };
    if flow.velocity().parameters().len() > MOST_PARAMETERS || flow.dim() > MOST_PARAMETERS {
        return;
    }
    // Wild parameters may leave the finite numbers: that is an error, not a panic.
    let (solver, mut rng) = (Solver::midpoint().steps(1), Rng::from_seed(0));
    if let Ok(drawn) = flow.sample(2, &solver, &mut rng) {
        assert!(drawn.x.rows() == 2 && drawn.x.cols() == flow.dim(), "the samples have the data's columns");
        let _ = flow.log_density(&drawn.x, Divergence::Exact, &solver, &mut rng);
    }
}

/// The bytes of a flow's file.
fn bytes_of(flow: &Flow) -> Vec<u8> {
    let folder = std::env::temp_dir();
    let file = folder.join(format!("pushforward-fuzz-{}.pf", std::process::id()));
    flow.save(&file).expect("the temporary folder can be written");
    let bytes = std::fs::read(&file).expect("what was written can be read");
    std::fs::remove_file(&file).expect("what was written can be removed");
    bytes
}

/// A file with this payload, whose length and checksum are right.
fn behind_a_checksum(payload: &[u8]) -> Vec<u8> {
    checkpoint::encode(&Raw(payload), Path::new(FILE)).expect("the payload is small")
}

/// Bytes that are written as they are: a tuple has no length before it.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for byte in self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}
