//! A flow as a safetensors file, which PyTorch and others read and write.
//!
//! # Format
//! For layer i = 0, 1, ... two tensors of f32 (read: of f64 too): `layers.{i}.weight`, [out, in], and `layers.{i}.bias`, [out], as in
//! `torch.nn.Linear`. The metadata have one key, `pushforward`, a JSON object:
//! ```text
//! dim, hidden, activation     the network: `hidden` layers, the activation between them, none after the last
//! input                       what it is given, in this order: x, time
//! time_embedding              raw: t itself; fourier:K: sin(w_k t) for k = 1 .. K, then cos(w_k t)
//! frequencies                 w_1 .. w_K
//! mean, std                   x = mean + std z, column by column; the network sees z. A column with std 0 is constant: it is
//!                             always `mean`, and no part of z
//! condition_mean, condition_std   empty: there are no conditions
//! path, width, prediction, source, baseline   in the words of the program
//! header                      the names of the columns, or null
//! model                       everything, as this crate keeps it; `model.baseline` has the moments of a Gaussian baseline
//! ```
//! A file with `model` gives the same flow again to the bit; without it, as a file made elsewhere may be, `dim`, `hidden`,
//! `activation` and `time_embedding` must be there, and what is missing has its default.
//!
//! # Limits
//! No length in a file is trusted: it must be there. Numbers that are not finite are refused.
//!
//! # Source
//! The format: huggingface/safetensors, README, "Format".

// Bytes of strangers: what they say is looked up, never believed.
#![deny(clippy::indexing_slicing)]

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Flow, Stored};
use crate::closed_form::Baseline;
use crate::data::Standardize;
use crate::error::{Error, Result};
use crate::nn::{Mlp, MlpShape, TimeEmbedding};
use crate::path::{AffinePath, Prediction, Scheduler, Width};
use crate::source::Source;

const KEY: &str = "pushforward";
const WHAT: &str = "safetensors model";
const WRITTEN: &str =
    "give a file that `pushforward export` wrote, or one with the same names (`help import`)";

/// The description of a network that was made elsewhere.
#[derive(Deserialize)]
struct Described {
    dim: usize,
    hidden: Vec<usize>,
    activation: crate::kernel::Activation,
    time_embedding: String,
    path: Option<String>,
    width: Option<String>,
    prediction: Option<String>,
    source: Option<String>,
    baseline: Option<String>,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    header: Option<Vec<String>>,
}

impl Flow {
    /// The bytes of a safetensors file (head of `flow/exchange.rs`; `pushforward help export`).
    ///
    /// # Errors
    /// [`Error::Setting`] if the names of its columns fill more than the 100 MB of such a file's header.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let too_large = |problem: String| Error::Setting {
            name: "header",
            value: problem,
            remedy: "the names of the columns do not fit a safetensors file",
        };
        let shape = self.velocity().shape();
        let mut rest = self.velocity().parameters();
        let mut tensors = Vec::new();
        for (i, (inputs, outputs)) in layers(shape).enumerate() {
            let (weight, others) = rest.split_at(inputs * outputs);
            let (bias, others) = others.split_at(outputs);
            rest = others;
            // Ours is [in, out], row after row.
            let transposed = (0..outputs).flat_map(|o| weight.iter().skip(o).step_by(outputs).copied());
            tensors.push((name(i, "weight"), vec![outputs, inputs], bytes(transposed)));
            tensors.push((name(i, "bias"), vec![outputs], bytes(bias.iter().copied())));
        }
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>();
        let about = self.describe().map_err(|e| too_large(e.to_string()))?.to_string();
        let metadata = Some([(KEY.to_owned(), about)].into_iter().collect());
        views
            .and_then(|views| safetensors::serialize(views, metadata))
            .map_err(|problem| too_large(problem.to_string()))
    }

    /// Reads a flow from the bytes of a safetensors file; `file` is named in errors.
    ///
    /// # Errors
    /// [`Error::Format`] if they are none, or lack a tensor or a word of the description, or if these do not fit together.
    pub fn from_safetensors(bytes: &[u8], file: &Path) -> Result<Self> {
        let bad = |found: String, remedy| Error::Format { file: file.into(), what: WHAT, found, remedy };
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string(), WRITTEN))?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string(), WRITTEN))?;
        let about = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let about =
            about.ok_or_else(|| bad("its metadata lack `pushforward`, the description".into(), WRITTEN))?;
        let misunderstood = |e: serde_json::Error| bad(format!("its description: {e}"), WRITTEN);
        let mut about: Value = serde_json::from_str(about).map_err(misunderstood)?;
        let mut model = about.get_mut("model").map_or(Value::Null, Value::take);
        if model.is_null() {
            let about: Described = serde_json::from_value(about).map_err(misunderstood)?;
            let built = about.shape().and_then(|shape| about.build(&shape, parameters(&tensors, &shape)?));
            return built.map_err(|e| bad(e.to_string(), WRITTEN));
        }
        // JSON has no NaN: the loss of a training without a step.
        let record = model.get_mut("record").filter(|record| record.get("loss").is_none_or(Value::is_null));
        if let Some(record) = record {
            *record = Value::Null;
        }
        let stored: Stored = serde_json::from_value(model).map_err(misunderstood)?;
        let built = stored.shape.check().and_then(|()| parameters(&tensors, &stored.shape));
        built.and_then(|parameters| Self::build(stored, parameters)).map_err(|e| bad(e.to_string(), WRITTEN))
    }

    fn describe(&self) -> serde_json::Result<Value> {
        let (shape, standardize) = (self.velocity().shape(), self.standardize());
        let frequencies = match shape.time_embedding {
            TimeEmbedding::Raw => 0,
            TimeEmbedding::Fourier(k) => k,
        };
        let frequencies: Vec<f64> = (1..=frequencies).map(|k| std::f64::consts::PI * f64::from(k)).collect();
        Ok(json!({
            "dim": shape.dim,
            "hidden": shape.hidden,
            "activation": shape.activation,
            "input": ["x", "time"],
            "time_embedding": shape.time_embedding.to_string(),
            "frequencies": frequencies,
            "mean": standardize.mean(),
            "std": standardize.std(),
            "condition_mean": [],
            "condition_std": [],
            "path": self.path().scheduler.to_string(),
            "width": self.path().width.to_string(),
            "prediction": self.path().prediction.to_string(),
            "source": self.source().to_string(),
            "baseline": self.baseline().map_or(Baseline::None, |_| Baseline::Gaussian).to_string(),
            "header": self.header(),
            "model": serde_json::to_value(self.stored())?,
        }))
    }
}

impl Described {
    fn shape(&self) -> Result<MlpShape> {
        let shape = MlpShape {
            dim: self.dim,
            hidden: self.hidden.clone(),
            activation: self.activation,
            time_embedding: self.time_embedding.parse()?,
            condition: 0,
        };
        shape.check()?;
        Ok(shape)
    }

    fn build(self, shape: &MlpShape, parameters: Vec<f32>) -> Result<Flow> {
        // The moments would be missing.
        if let Some(word) = self.baseline.filter(|word| word != Baseline::None.word()) {
            return Err(Error::Unknown { what: "baseline of a network made elsewhere", word, known: "none" });
        }
        let scheduler = self.path.map_or(Ok(Scheduler::default()), |word| word.parse())?;
        let prediction = self.prediction.map_or(Ok(Prediction::default()), |word| word.parse())?;
        let width = self.width.map_or(Ok(Width::default()), |word| word.parse())?;
        let path = AffinePath::new(scheduler).predicting(prediction).wide(width);
        path.check()?;
        let source = self.source.map_or(Ok(Source::default()), |word| word.parse())?;
        source.check_drawn()?; // of data the units would be missing
        let flow = Flow::new(Mlp::from_parameters(shape.clone(), parameters)?, path, source);
        let flow = match (self.mean, self.std) {
            (None, None) => flow,
            (mean, std) => {
                let units = serde_json::from_value::<Standardize>(json!({ "mean": mean, "std": std }));
                let units = units.map_err(|e| Error::Setting {
                    name: "mean, std",
                    value: e.to_string(),
                    remedy: "give both, a number for each column",
                })?;
                flow.with_standardize(units)?
            }
        };
        flow.with_header(self.header)
    }
}

/// Inputs and outputs of each layer.
fn layers(shape: &MlpShape) -> impl Iterator<Item = (usize, usize)> + '_ {
    let inputs = std::iter::once(shape.dim + shape.time_embedding.features() + shape.condition)
        .chain(shape.hidden.iter().copied());
    inputs.zip(shape.hidden.iter().copied().chain([shape.dim]))
}

fn name(layer: usize, part: &str) -> String {
    format!("layers.{layer}.{part}")
}

fn bytes(numbers: impl Iterator<Item = f32>) -> Vec<u8> {
    numbers.flat_map(f32::to_le_bytes).collect()
}

/// The parameters in our order, of exactly the tensors that this network has.
fn parameters(tensors: &SafeTensors<'_>, shape: &MlpShape) -> Result<Vec<f32>> {
    let mut parameters = Vec::new();
    let mut expected = 0;
    for (i, (inputs, outputs)) in layers(shape).enumerate() {
        let weight = numbers(tensors, &name(i, "weight"), &[outputs, inputs])?;
        parameters.extend((0..inputs).flat_map(|j| weight.iter().skip(j).step_by(inputs)));
        parameters.extend(numbers(tensors, &name(i, "bias"), &[outputs])?);
        expected += 2;
    }
    if tensors.len() != expected {
        return Err(Error::Dimension {
            what: "tensors",
            expected,
            found: tensors.len(),
            remedy: "there must be a weight and a bias for each layer, and nothing else",
        });
    }
    Ok(parameters)
}

fn numbers(tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let unfit = |value: String, remedy| Error::Setting { name: "tensor", value, remedy };
    let tensor =
        tensors.tensor(name).map_err(|_| unfit(format!("{name}, which is missing"), "give all layers"))?;
    if tensor.shape() != shape {
        let found = format!("{name} of shape {:?}, not {shape:?}", tensor.shape());
        return Err(unfit(found, "weights are [out, in], and the description must fit them"));
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the network computes in f32; what overflows is found later"
    )]
    let numbers = match tensor.dtype() {
        Dtype::F32 => tensor.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Dtype::F64 => tensor.data().as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        other => return Err(unfit(format!("{name} of type {other:?}"), "give float32 or float64")),
    };
    Ok(numbers)
}
