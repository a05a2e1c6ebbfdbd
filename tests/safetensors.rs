//! Networks to PyTorch and back: the same flow to the bit, and the velocities that PyTorch computes.
//!
//! `golden/exchange.py` writes the golden file and what PyTorch finds, and reads what this crate exports.

#![cfg(feature = "safetensors")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use pushforward::data::toy;
use pushforward::kernel::Activation;
use pushforward::nn::{MlpShape, TimeEmbedding};
use pushforward::{AffinePath, Flow, Mlp, Rng, Tensor, Trainer, VectorField as _};
use serde_json::{Value, json};

/// Written by PyTorch: networks of two hidden layers, as `golden/exchange.py` says.
const TORCH: [(&str, &[u8]); 2] = [
    ("raw", include_bytes!("golden/torch-raw.safetensors")),
    ("fourier", include_bytes!("golden/torch-fourier.safetensors")),
];

/// Velocities of about 1 in f32 after three layers of at most 11 terms, each of which rounds by 6e-8 of its size: PyTorch
/// computed its own in f64.
const TOLERANCE: f64 = 2e-6;

fn file() -> &'static Path {
    Path::new("x.safetensors")
}

/// A flow with everything: names, a constant column, Fourier features, a record.
fn flow() -> Flow {
    let mut rng = Rng::from_seed(1);
    let moons: Tensor = toy::moons(300, &mut rng);
    let x_1 = Tensor::from_vec(moons.as_slice().chunks(2).flat_map(|r| [r[0], 7.0, r[1]]).collect(), 300, 3)
        .unwrap();
    let shape = MlpShape {
        activation: Activation::Gelu,
        time_embedding: TimeEmbedding::Fourier(3),
        ..MlpShape::new(2, &[9, 5])
    };
    let velocity = Mlp::initialize(shape, &mut rng).unwrap();
    let flow = Trainer::new(AffinePath::default()).steps(5).batch(64).fit(velocity, &x_1, &mut rng).unwrap();
    flow.with_header(Some(["a", "b", "ü"].map(str::to_owned).to_vec())).unwrap()
}

fn description(bytes: &[u8]) -> Value {
    let length = usize::from_le_bytes(bytes[..8].try_into().unwrap());
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    serde_json::from_str(header["__metadata__"]["pushforward"].as_str().unwrap()).unwrap()
}

/// The same file with another description.
fn described(bytes: &[u8], about: &Value) -> Vec<u8> {
    let length = usize::from_le_bytes(bytes[..8].try_into().unwrap());
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    header["__metadata__"]["pushforward"] = about.to_string().into();
    let header = header.to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes(), header.as_slice(), &bytes[8 + length..]].concat()
}

#[test]
fn out_and_in_again_it_is_the_same_to_the_bit() {
    let flow = flow();
    let bytes = flow.to_safetensors().unwrap();
    assert!(bytes == flow.to_safetensors().unwrap(), "the same flow gives the same bytes");
    let again = Flow::from_safetensors(&bytes, file()).unwrap();
    assert!(again.to_bytes().unwrap() == flow.to_bytes().unwrap());
    let untrained = Trainer::new(AffinePath::default());
    let x_1 = Tensor::from_rows(&[[0.0_f32], [1.0]]);
    let mut rng = Rng::from_seed(0);
    let run = untrained.start(Mlp::new(1, &[2], &mut rng).unwrap(), &x_1, &mut rng).unwrap();
    let bytes = run.flow().unwrap().to_safetensors().unwrap();
    assert_eq!(
        Flow::from_safetensors(&bytes, file()).unwrap().record(),
        None,
        "a loss that no JSON can hold"
    );
}

#[test]
fn the_description_is_the_documented_one() {
    let about = description(&flow().to_safetensors().unwrap());
    let pi = std::f64::consts::PI;
    for (key, expected) in [
        ("dim", json!(2)),
        ("hidden", json!([9, 5])),
        ("activation", json!("gelu")),
        ("input", json!(["x", "time"])),
        ("time_embedding", json!("fourier:3")),
        ("frequencies", json!([pi, 2.0 * pi, 3.0 * pi])),
        ("condition_mean", json!([])),
        ("condition_std", json!([])),
        ("path", json!("condot")),
        ("width", json!("none")),
        ("prediction", json!("velocity")),
        ("source", json!("normal")),
        ("baseline", json!("none")),
        ("header", json!(["a", "b", "ü"])),
    ] {
        assert_eq!(about[key], expected, "{key}");
    }
    assert_eq!((about["mean"][1].as_f64(), about["std"][1].as_f64()), (Some(7.0), Some(0.0)));
}

#[test]
fn without_the_crate_s_own_part_it_is_the_same_but_for_the_record() {
    let flow = flow();
    let bytes = flow.to_safetensors().unwrap();
    let mut about = description(&bytes);
    about.as_object_mut().unwrap().remove("model");
    let again = Flow::from_safetensors(&described(&bytes, &about), file()).unwrap();
    assert_eq!(
        (again.velocity().parameters(), again.header()),
        (flow.velocity().parameters(), flow.header())
    );
    assert_eq!((again.standardize(), again.record()), (flow.standardize(), None));
    let least = json!({ "dim": 2, "hidden": [9, 5], "activation": "gelu", "time_embedding": "fourier:3" });
    assert_eq!(Flow::from_safetensors(&described(&bytes, &least), file()).unwrap().dim(), 2);
}

#[test]
fn what_does_not_fit_is_named() {
    let bytes = flow().to_safetensors().unwrap();
    let least = json!({ "dim": 2, "hidden": [9, 5], "activation": "gelu", "time_embedding": "fourier:3" });
    let with = |key: &str, value: Value| {
        let mut about = least.clone();
        about[key] = value;
        about
    };
    for (about, named) in [
        (with("dim", json!(3)), "layers.0.weight of shape [9, 8], not [9, 9]"),
        (with("hidden", json!([9, 5, 4])), "layers.2.weight of shape [2, 5], not [4, 5]"),
        (with("hidden", json!([9])), "layers.1.weight of shape [5, 9], not [2, 9]"),
        (with("hidden", json!([0])), "`hidden` is 0"),
        (with("dim", json!(1_u64 << 60)), "`dim` is 1152921504606846976"),
        (with("activation", json!("sine")), "unknown variant `sine`"),
        (with("time_embedding", json!("fourier:0")), "time_embedding"),
        (with("prediction", json!("score")), "unknown prediction `score`"),
        (with("path", json!("straight")), "straight"),
        (with("mean", json!([0.0])), "mean, std"),
        (with("header", json!(["a"])), "names of columns"),
        (json!({ "dim": 2 }), "missing field `hidden`"),
        (json!([]), "its description"),
        (json!({ "model": 5 }), "its description"),
        (json!({ "model": [{}] }), "its description"),
        (json!({ "model": { "record": "none" } }), "its description"),
    ] {
        let said = Flow::from_safetensors(&described(&bytes, &about), file()).unwrap_err().to_string();
        assert!(said.contains(named) && said.starts_with("x.safetensors is no usable"), "{said}");
    }
    for n in [0, 7, 8, 100, bytes.len() - 1] {
        assert!(Flow::from_safetensors(&bytes[..n], file()).is_err(), "{n} bytes");
    }
    let mut infinite = bytes.clone();
    let end = infinite.len();
    infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    assert!(Flow::from_safetensors(&infinite, file()).unwrap_err().to_string().contains("inf"));
    let mut claim = (1_u64 << 62).to_le_bytes().to_vec();
    claim.extend(b"{}");
    assert!(Flow::from_safetensors(&claim, file()).is_err());
}

#[test]
fn a_network_of_pytorch_has_the_velocities_that_pytorch_finds() {
    let found: Value = serde_json::from_slice(include_bytes!("golden/safetensors.json")).unwrap();
    let list =
        |value: &Value| value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<f64>>();
    for (name, bytes) in TORCH {
        let flow = Flow::from_safetensors(bytes, file()).unwrap();
        let case = &found[name];
        let (t, x, u) = (list(&case["t"]), list(&case["x"]), list(&case["u"]));
        let x = Tensor::from_vec(x, t.len(), flow.velocity().shape().dim).unwrap().cast::<f32>();
        let t: Vec<f32> = Tensor::from_vec(t, 1, x.rows()).unwrap().cast::<f32>().as_slice().to_vec();
        let mut ours = Tensor::zeros(x.rows(), x.cols());
        flow.velocity().eval(&t, &x, &mut ours).unwrap();
        assert!(!u.is_empty());
        for (ours, torch) in ours.as_slice().iter().zip(&u) {
            assert!((f64::from(*ours) - torch).abs() < TOLERANCE, "{name}: {ours} and {torch}");
        }
        // And its tensors come out again as they were.
        let again = flow.to_safetensors().unwrap();
        let data = |bytes: &[u8]| bytes[8 + usize::from_le_bytes(bytes[..8].try_into().unwrap())..].to_vec();
        assert!(data(&again) == data(bytes), "{name}");
    }
}
