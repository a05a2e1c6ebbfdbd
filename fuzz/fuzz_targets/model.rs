//! Any bytes as a model: a flow that can be drawn from and scored with, or an error.
//!
//! The checksums stop every mutation, so most inputs are put behind right ones: as the fields of a model, as changes to
//! those of a model that is well formed, and as changes anywhere in its file.

#![no_main]

use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pushforward::{AffinePath, Divergence, Flow, Mlp, Rng, Solver, Source, Tensor, Trainer};
use sha2::{Digest as _, Sha256};

const FILE: &str = "fuzz.pf";

/// The parts of a file (head of `checkpoint`).
const HEADER: usize = 64;
const ENTRY: usize = 80;

/// A larger network is read and left: evaluating it would only be slow.
const MOST_PARAMETERS: usize = 1 << 12;

/// Well-formed models: one plain, one with units, names and a record.
static MODELS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let mut rng = Rng::from_seed(0);
    let velocity = Mlp::new(2, &[3], &mut rng).expect("the sizes are in range");
    let plain = Flow::new(velocity.clone(), AffinePath::default(), Source::Normal);
    let rows = Tensor::from_rows(&[[1.0, 2.0, 3.0], [4.0, 2.0, 1.0], [0.0, 2.0, 5.0]]);
    let trained = Trainer::new(AffinePath::default()).steps(1).batch(3);
    let trained = trained.fit(velocity, &rows, &mut rng).expect("three rows can be learnt");
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let trained = trained.with_header(Some(names)).expect("there are three columns");
    [plain, trained].map(|flow| flow.to_bytes().expect("the model is small"))
});

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    for model in &*MODELS {
        let fields = section(model, 0);
        read(&with_fields(model, bytes));
        // Three bytes are one change: where (two) and what.
        let (mut changed, mut payload) = (model.clone(), model[fields.clone()].to_vec());
        for change in bytes.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
            changed[at % model.len()] = change[2];
            payload[at % fields.len()] = change[2];
        }
        read(&changed);
        hash(&mut changed);
        read(&changed);
        read(&with_fields(model, &payload));
        // And the rest of the input in place of the fields' end.
        if let Some((&[low, high], end)) = bytes.split_first_chunk::<2>() {
            let kept = usize::from(u16::from_le_bytes([low, high])) % fields.len();
            read(&with_fields(model, &[&model[fields][..kept], end].concat()));
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

/// Where section i of a model stands.
fn section(model: &[u8], i: usize) -> Range<usize> {
    let at = HEADER + i * ENTRY + 32;
    let start = number(model, at);
    start..start.saturating_add(number(model, at + 8))
}

/// A number of the header; one that is too large is as good as any other.
fn number(model: &[u8], at: usize) -> usize {
    u64::from_le_bytes(model[at..at + 8].try_into().expect("eight bytes")) as usize
}

/// The same model with other fields, and everything about them right.
fn with_fields(model: &[u8], fields: &[u8]) -> Vec<u8> {
    let (old, numbers) = (section(model, 0), section(model, 1));
    let mut file = model[..old.start].to_vec();
    file.extend(fields);
    file.resize(file.len().next_multiple_of(HEADER), 0);
    let offset = file.len();
    file.extend(&model[numbers.clone()]);
    let entry = HEADER + 32;
    for (at, number) in [(entry + 8, fields.len()), (entry + ENTRY, offset), (24, offset + numbers.len())] {
        file[at..at + 8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    hash(&mut file);
    file
}

/// Makes the checksums right that are found where they belong.
fn hash(file: &mut [u8]) {
    for i in 0..2 {
        let Range { start, end } = section(file, i);
        if let Some(content) = file.get(start..end.max(start)) {
            let hash = Sha256::digest(content);
            file[HEADER + i * ENTRY + 48..HEADER + (i + 1) * ENTRY].copy_from_slice(&hash);
        }
    }
    let hash =
        Sha256::new().chain_update(&file[..32]).chain_update(&file[HEADER..HEADER + 2 * ENTRY]).finalize();
    file[32..HEADER].copy_from_slice(&hash);
}
