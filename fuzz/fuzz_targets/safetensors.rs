//! Any bytes as a safetensors file, any text as its description: a flow that comes out as it went in, or an error.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pushforward::Flow;

const FILE: &str = "fuzz.safetensors";

/// A network that PyTorch wrote.
const NETWORK: &[u8] = include_bytes!("../../tests/golden/torch-raw.safetensors");

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&[&(bytes.len() as u64).to_le_bytes()[..], bytes].concat());
    // Three bytes are one change: where (two) and what.
    let mut changed = NETWORK.to_vec();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    read(&changed);
    // And the input as the description of its tensors.
    if let Ok(text) = str::from_utf8(bytes) {
        let length = usize::from(NETWORK[0]) | usize::from(NETWORK[1]) << 8;
        let mut header: serde_json::Value =
            serde_json::from_slice(&NETWORK[8..8 + length]).expect("PyTorch writes JSON");
        header["__metadata__"]["pushforward"] = text.into();
        let header = header.to_string().into_bytes();
        let length = (header.len() as u64).to_le_bytes();
        read(
            &[
                &length,
                header.as_slice(),
                &NETWORK[8 + usize::from(NETWORK[0]) + (usize::from(NETWORK[1]) << 8)..],
            ]
            .concat(),
        );
    }
});

fn read(bytes: &[u8]) {
    match Flow::from_safetensors(bytes, Path::new(FILE)) {
        Ok(flow) => {
            let again = flow.to_safetensors().expect("what was small stays small");
            let again =
                Flow::from_safetensors(&again, Path::new(FILE)).expect("what was written can be read");
            assert!(again.to_bytes().expect("it is small") == flow.to_bytes().expect("it is small"));
        }
        Err(error) => assert!(error.to_string().contains(FILE), "an error names its file: {error}"),
    }
}
