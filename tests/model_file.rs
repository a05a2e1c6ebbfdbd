//! Model files of every version that was released, and of the one that will be: each still gives the flow that was written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use pushforward::data::Standardize;
use pushforward::{AffinePath, Flow, Mlp, Rng, Source, Tensor, VectorField as _};

/// Version 1, which is not released yet. A field that is new needs `#[serde(default)]` with what a file without it meant; until the
/// release the file may also be written anew: `PUSHFORWARD_WRITE_GOLDEN=1 cargo test --test all model_file`.
const VERSION_1: &[u8] = include_bytes!("golden/model-1.pf");

/// u(0.25, (1, -2)) of its network in f64, as NumPy found from the bytes of the file by the documentation of the format.
const VELOCITY: [f64; 2] = [1.953707014, -1.353494554];

/// The roundings of f32 in two layers of at most four terms of size 3.
const TOLERANCE: f64 = 2e-6;

fn flow() -> Flow {
    let velocity = Mlp::new(2, &[3], &mut Rng::from_seed(5)).unwrap();
    let rows = Tensor::from_rows(&[[1.0, 7.0, 10.0], [3.0, 7.0, 30.0], [8.0, 7.0, 11.0]]);
    let flow = Flow::new(velocity, AffinePath::default(), Source::Normal);
    let flow = flow.with_standardize(Standardize::fit(&rows).unwrap()).unwrap();
    flow.with_header(Some(["a", "b", "ü"].map(str::to_owned).to_vec())).unwrap()
}

#[test]
fn a_file_of_version_1_is_read() {
    if std::env::var_os("PUSHFORWARD_WRITE_GOLDEN").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/model-1.pf");
        std::fs::write(path, flow().to_bytes().unwrap()).unwrap();
    }
    let read = Flow::from_bytes(VERSION_1, Path::new("model-1.pf")).unwrap();
    let made = flow();
    assert_eq!((read.velocity().shape(), read.header()), (made.velocity().shape(), made.header()));
    assert_eq!((read.path(), read.source(), read.record()), (made.path(), made.source(), None));
    assert_eq!(read.standardize(), made.standardize());
    let bits = |flow: &Flow| flow.velocity().parameters().iter().map(|p| p.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&made));
    let mut u = Tensor::zeros(1, 2);
    read.velocity().eval(&[0.25], &Tensor::from_rows(&[[1.0, -2.0]]), &mut u).unwrap();
    for (found, expected) in u.row(0).iter().zip(VELOCITY) {
        assert!((f64::from(*found) - expected).abs() < TOLERANCE, "{:?}", u.row(0));
    }
}
