//! What the program understands: commands, flags, their words and defaults.
//!
//! More than 500 lines: every flag of every command stands here once, with its help.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, ArgGroup, Parser, Subcommand, ValueEnum};
use pushforward::audit::Precision;
use pushforward::closed_form::Baseline;
use pushforward::data::{Bounds, Declared, Missing};
use pushforward::kernel::Activation;
use pushforward::nn::{Adam, LrSchedule, TimeEmbedding};
use pushforward::objective::{TimeSampling, TimeWeight};
use pushforward::ode::{Method, Tolerance};
use pushforward::path::{Prediction, Width};
use pushforward::{Coupling, Divergence, Flow, Scheduler, Simd, SimdLevel, Solver};

use crate::input::Data;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::plot::PlotArgs;

/// Flow matching on a CPU: learn a velocity field from data, draw samples, score rows.
#[derive(Debug, Parser)]
#[command(name = "pushforward", version)]
#[command(
    after_help = "Exit status: 0 done, 1 the run failed, 2 wrong usage, 130 after Ctrl-C, 143 after SIGTERM."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Do the whole job on built-in data: train, sample, score, draw pictures
    Demo(DemoArgs),
    /// Draw a toy, or bring a table from one format to another; say what its columns hold
    Data(DataArgs),
    /// Fit a velocity to the rows of a table
    Train(Box<TrainArgs>),
    /// Draw new rows from a model
    Sample(SampleArgs),
    /// Find the log-density of rows, in nats and in the units of the data
    Score(ScoreArgs),
    /// Find the row of the source that each row comes from; `sample --source` brings it back
    Encode(EncodeArgs),
    /// Hold samples of a model against rows it has not seen, each distance beside its noise floor
    Evaluate(EvaluateArgs),
    /// Say what a model file holds
    Info(InfoArgs),
    /// Write the network of a model as safetensors, for PyTorch and others
    Export(ExportArgs),
    /// Make a model of a safetensors file that `export` wrote, or that has the same names
    Import(ImportArgs),
    /// Prove the mathematics with numbers: one row a claim, with its bound and its verdict
    Audit(AuditArgs),
    /// Time fixed workloads beside the machine's multiply-add peak, one line of JSON each
    Bench(BenchArgs),
    /// Draw samples, the density, the field, paths, or the course of the training
    Plot(PlotArgs),
    /// Print the script that completes commands and flags in a shell
    Completions(CompletionsArgs),
    /// Print a page of the manual, or write all of them
    Man(ManArgs),
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// All random numbers follow from it
    #[arg(long, value_name = "N", global = true, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Number of threads; it never changes a result [default: one for each core]
    #[arg(long, value_name = "N", global = true)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Instructions to use: auto, portable, avx2 or avx512; it may change the last bits
    #[arg(long, value_name = "LEVEL", global = true, default_value_t = SimdChoice::Auto)]
    pub(crate) simd: SimdChoice,
    /// Refuse a training that needs more memory, for example 4G [default: what the machine or its control group has]
    #[arg(long, value_name = "SIZE", global = true, value_parser = size)]
    pub(crate) max_memory: Option<u64>,
    /// Print one JSON object to standard output at the end
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress and no summary; warnings and errors stay
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder for what it writes
    #[arg(long, value_name = "DIR", default_value = "pushforward-demo")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DataArgs {
    /// file.csv, file.npy, file.npz:name, file.parquet, - (CSV on standard input) or toy:NAME[:N], N rows (100000) of checkerboard,
    /// moons, 8gaussians, rings, pinwheel, swissroll, spirals or gaussian
    pub(crate) data: Data,
    /// file.csv, file.npy, file.parquet, or - for CSV on standard output
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// file.csv, file.npy, file.npz:name, file.parquet, - (CSV on standard input) or toy:NAME[:N], N rows (100000) of checkerboard,
    /// moons, 8gaussians, rings, pinwheel, swissroll, spirals or gaussian
    pub(crate) data: Data,
    /// The file for the model; an old one is replaced once the new one is complete
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
    /// Columns of DATA to take, in this order [default: all]
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    #[command(flatten)]
    pub(crate) declared: DeclaredArgs,
    /// Columns that are not learnt but given: samples are drawn and rows scored under a condition
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    pub(crate) condition: Vec<String>,
    /// Share of the rows that are trained without their condition, for guidance [default: 0.1]
    #[arg(long, value_name = "P", requires = "condition", allow_negative_numbers = true)]
    pub(crate) condition_dropout: Option<f64>,
    /// Where samples start: normal, or a table like DATA whose rows are carried to those of DATA
    #[arg(long, value_name = "normal|DATA", default_value_t = Start::Normal)]
    pub(crate) source: Start,
    /// How source and target rows are paired: independent, paired (row i with row i), ot (least total squared
    /// distance in a batch) or sinkhorn:REG (entropic, REG in squared standard deviations)
    #[arg(long, value_name = "WORD", default_value_t = Coupling::default())]
    pub(crate) coupling: Coupling,
    /// Rows of each side that ot and sinkhorn pair at once, a multiple of --batch [default: those of a batch]
    #[arg(long, value_name = "N")]
    pub(crate) coupling_batch: Option<NonZeroUsize>,
    /// The path from source to target: condot, condot-min:WIDTH, polynomial:N, cosine, linear-vp, vp[:MIN,MAX] or ve[:MAX]
    #[arg(long, value_name = "WORD", default_value_t = Scheduler::default())]
    pub(crate) scheduler: Scheduler,
    /// What the network predicts: velocity, target or noise
    #[arg(long, value_name = "WORD", default_value_t = Prediction::default())]
    pub(crate) predict: Prediction,
    /// Noise on the way from source to target: none, constant:WIDTH or bridge:WIDTH
    #[arg(long, value_name = "WORD", default_value_t = Width::default())]
    pub(crate) width: Width,
    /// Times of a batch: uniform, stratified (one in each of as many intervals as there are rows) or logit-normal (half of them
    /// in the middle, weighted so that the loss stays what it is)
    #[arg(long, value_name = "WORD", default_value_t = TimeSampling::default())]
    pub(crate) time: TimeSampling,
    /// Whose squared error the loss counts: none (that of what is predicted), velocity, target or noise
    #[arg(long, value_name = "WORD", default_value_t = TimeWeight::default())]
    pub(crate) weight: TimeWeight,

    /// What the network only adds to: none, gaussian (the velocity of the Gaussians with the moments of source and target), or
    /// auto: gaussian where it is better, for correlated columns with ten rows or more for each
    #[arg(long, value_name = "WORD", default_value_t = Chosen::Auto)]
    pub(crate) baseline: Chosen,
    /// Widths of the hidden layers
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "64,64,64")]
    pub(crate) hidden: Vec<usize>,
    /// Between the layers: silu, gelu, tanh, relu, selu or softplus
    #[arg(long, value_name = "WORD", default_value_t = Activation::default())]
    pub(crate) activation: Activation,
    /// What the network sees of the time: raw or fourier:K (K from 1 to 256)
    #[arg(long, value_name = "WORD", default_value_t = TimeEmbedding::default())]
    pub(crate) time_embedding: TimeEmbedding,
    /// Rows of a batch [default: 512]
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroUsize>,
    /// Training steps, or auto: at most 20000, with --validation 0.1, --patience 10 and --lr-schedule tail if nothing else is said
    #[arg(long, value_name = "N|auto", default_value_t = Steps::Auto)]
    pub(crate) steps: Steps,
    /// Share of the rows to hold out, 4096 rows at most: every 100 steps the loss on them is found, and the model is the
    /// one with the least [default: 0.1 with --steps auto, else none]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    pub(crate) validation: Option<f64>,
    /// How many times in a row that loss may fail to be the least before the training ends, or with --lr-schedule tail begins its
    /// end [default: 10 with --steps auto, else no end]
    #[arg(long, value_name = "N")]
    pub(crate) patience: Option<NonZeroU64>,
    /// Learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, default_value_t = Adam::default().lr)]
    pub(crate) lr: f64,
    /// How the learning rate runs: constant, cosine, linear or tail (constant, then a fifth of all steps on a line to 0)
    /// [default: tail with --steps auto, else cosine]
    #[arg(long, value_name = "WORD")]
    pub(crate) lr_schedule: Option<LrSchedule>,
    /// Steps over which the learning rate rises
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) warmup: u64,
    /// Decoupled weight decay
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    #[arg(default_value_t = Adam::default().weight_decay)]
    pub(crate) weight_decay: f64,
    /// Largest norm of the gradient [default: no limit]
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub(crate) clip: Option<f64>,
    /// Decay of the average of the parameters, or off
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    #[arg(default_value_t = Ema(Adam::default().ema))]
    pub(crate) ema: Ema,
    /// Bring columns to mean 0 and standard deviation 1 for the network: on or off
    #[arg(long, value_name = "on|off", action = ArgAction::Set, default_value = "on", value_parser = on_or_off)]
    pub(crate) standardize: bool,
    /// Keep the state beside the model, in MODEL.train, after every N steps and when the run is interrupted; it is removed when
    /// the model is complete
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_every: Option<NonZeroU64>,
    /// Go on from MODEL.train, on any number of threads: the model is the same to the byte; without a state start anew
    #[arg(long)]
    pub(crate) resume: bool,
    /// File for the course of the training, JSON lines: at most about 1000 of its steps
    #[arg(long, value_name = "FILE.jsonl")]
    pub(crate) log: Option<PathBuf>,
    /// File for one self-contained page: the data, the training, samples beside data, how to repeat it
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// All of these as the text of a file for `--config`.
    #[arg(skip)]
    pub(crate) settings: String,
}

/// What columns hold; of the others it is found out.
#[derive(Debug, clap::Args)]
pub(crate) struct DeclaredArgs {
    /// Columns of real numbers, though those that are there are whole
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    numeric: Vec<String>,
    /// Columns of whole numbers
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    integer: Vec<String>,
    /// Columns of categories: texts, or numbers that stand for something
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    categorical: Vec<String>,
    /// Columns whose numbers lie between bounds, for example share:0:1; those of samples will too
    #[arg(long, value_name = "COL:LO:HI,...", value_delimiter = ',', value_parser = bounded)]
    bounded: Vec<(String, Bounds)>,
}

impl DeclaredArgs {
    pub(crate) fn declared(&self) -> Declared {
        Declared {
            numeric: self.numeric.clone(),
            integer: self.integer.clone(),
            categorical: self.categorical.clone(),
            bounded: self.bounded.clone(),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReadArgs {
    /// A row with a missing cell (empty, NA, NaN) is an error or is left out: error or drop
    #[arg(long, value_name = "WORD", default_value_t = Missing::default())]
    pub(crate) missing: Missing,
    /// The first line of a CSV table holds numbers like all others [default: detected]
    #[arg(long)]
    pub(crate) no_header: bool,
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("which rows").required(true).multiple(true).args(["n", "rows", "source", "condition_data"])))]
pub(crate) struct SampleArgs {
    /// A file that `train` wrote
    pub(crate) model: PathBuf,
    /// Number of rows
    #[arg(short, value_name = "N", value_parser = at_least_one, conflicts_with_all = ["rows", "source"])]
    pub(crate) n: Option<usize>,
    /// Rows A to B - 1 of the one sequence that belongs to the seed, or of the table --source
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub(crate) rows: Option<Range<usize>>,
    /// Push the rows of this table forward, in the units of the source, as `encode` writes them
    #[arg(long, value_name = "DATA")]
    pub(crate) source: Option<Data>,
    /// file.csv, file.npy, file.parquet, or - for CSV on standard output
    #[arg(short, long, value_name = "OUT", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Take the path of another scheduler than the trained one: the same samples, found on another way
    #[arg(long, value_name = "WORD")]
    pub(crate) scheduler: Option<Scheduler>,
    /// Under which condition, with commas between several: name=value,... [default: those of training rows, drawn at random]
    #[arg(long, value_name = "K=V,...", conflicts_with = "condition_data")]
    pub(crate) condition: Option<String>,
    /// Under which conditions: row i of this table for sample i; it has the columns of the conditions, and may have others
    #[arg(long, value_name = "DATA")]
    pub(crate) condition_data: Option<Data>,
    /// How much the condition counts: 1 as learnt, 0 not at all, more than 1 beyond [default: 1]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub(crate) guidance: Option<f64>,
    /// Add noise on the way, this much at its start, so that the laws stay the same; in --steps equal steps
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, conflicts_with = "source")]
    pub(crate) noise: Option<f64>,
    /// Write each row at K + 1 equally spaced times from t = 0 to 1, of which the last is the sample: NPY of shape [N, K + 1, d],
    /// CSV and Parquet with the columns `sample` and `t` before those of the data. Chosen steps find the times within them; K divides
    /// fixed ones
    #[arg(long, value_name = "K")]
    pub(crate) trajectory: Option<NonZeroU32>,
    #[command(flatten)]
    pub(crate) solver: SolverArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScoreArgs {
    /// A file that `train` wrote
    pub(crate) model: PathBuf,
    /// file.csv, file.npy, file.npz:name, file.parquet, - (CSV on standard input) or toy:NAME[:N]
    pub(crate) data: Data,
    /// file.csv, file.npy, file.parquet, or - for CSV on standard output [default: -, with --json none]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
    /// Rows A to B - 1 of the table only
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub(crate) rows: Option<Range<usize>>,
    /// How the divergence of the velocity is found: exact, or estimated by K probes for each row, hutchinson:K or
    /// hutchinson:K:gaussian; then a second column holds the standard error
    #[arg(long, value_name = "WORD", default_value_t = Divergence::default())]
    pub(crate) divergence: Divergence,
    /// Take the path of another scheduler than the trained one: the same densities, found on another way
    #[arg(long, value_name = "WORD")]
    pub(crate) scheduler: Option<Scheduler>,
    #[command(flatten)]
    pub(crate) solver: SolverArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EncodeArgs {
    /// A file that `train` wrote
    pub(crate) model: PathBuf,
    /// file.csv, file.npy, file.npz:name, file.parquet, - (CSV on standard input) or toy:NAME[:N]
    pub(crate) data: Data,
    /// file.csv, file.npy, file.parquet, or - for CSV on standard output: one column for each column of the data that varies
    #[arg(short, long, value_name = "OUT", default_value = "-")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
    /// Rows A to B - 1 of the table only
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub(crate) rows: Option<Range<usize>>,
    /// Send each row forth again and say how far it is from where it was
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) solver: SolverArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EVALUATED)]
pub(crate) struct EvaluateArgs {
    /// A file that `train` wrote
    pub(crate) model: PathBuf,
    /// Rows that the model was not trained on: file.csv, file.npy, file.npz:name, file.parquet, - (CSV on standard input) or
    /// toy:NAME[:N], which is drawn anew whatever the seed
    pub(crate) data: Data,
    /// Rows that are drawn and held against as many of DATA, taken at random [default: as many as DATA, at most 20000]
    #[arg(short, value_name = "N", value_parser = at_least_one)]
    pub(crate) n: Option<usize>,
    /// Rows that samples start from, for a model whose source is a table
    #[arg(long, value_name = "DATA")]
    pub(crate) source: Option<Data>,
    /// The rows that the model was trained on: say whether samples are nearer to them than DATA are
    #[arg(long, value_name = "TRAINDATA")]
    pub(crate) train: Option<Data>,
    /// Measure the distance L_FM of the network from the true field of TRAINDATA, or of DATA without --train, and the
    /// floor V of its loss there
    #[arg(long)]
    pub(crate) exact: bool,
    /// File for one self-contained page: every number beside its floor, samples beside data, how to repeat it
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
    /// How the divergence of the velocity is found: exact, hutchinson:K or hutchinson:K:gaussian
    #[arg(long, value_name = "WORD", default_value_t = Divergence::default())]
    pub(crate) divergence: Divergence,
    /// Take the path of another scheduler than the trained one: the same samples, found on another way
    #[arg(long, value_name = "WORD")]
    pub(crate) scheduler: Option<Scheduler>,
    #[command(flatten)]
    pub(crate) solver: SolverArgs,
}

/// How `evaluate` measures.
const EVALUATED: &str = "\
DATA are cut at random into two halves, and half of the samples is held against one of them: `model`. The other half of DATA is \
held against it too: `noise floor`, of the same sizes. This is done four times; means, and the largest floor. Distances between \
rows are in standard deviations of DATA, those of single columns in their units. Exact W2, energy distance, MMD, classifier, \
path energy and the distances to training rows take at most 4096 rows of each side. MMD squared is without bias, around 0 for equal laws; the \
classifier's accuracy is 1/2 then.";

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Solver of the ODE")]
pub(crate) struct SolverArgs {
    /// With fixed steps: euler, midpoint, heun or rk4; choosing its steps for each row: dopri5, tsit5, bosh3 or dop853
    /// [default: midpoint; dopri5 for a network of target or noise, whose flow is steep near an end]
    #[arg(long, value_name = "WORD")]
    solver: Option<Method>,
    /// Number of fixed steps [default: 100]
    #[arg(long, value_name = "N")]
    steps: Option<NonZeroU32>,
    /// Error that a chosen step may make, as a share of the standardised number [default: 1e-5]; here and for `--atol` one
    /// for all columns or, with commas, one for each that the network sees (a category is as many as it has words, a constant none) and
    /// perhaps one more for the log-density
    #[arg(long, value_name = "SHARE,...", allow_negative_numbers = true)]
    rtol: Option<Tolerance>,
    /// Error that a chosen step may make where the number is 0 [default: 1e-5]
    #[arg(long, value_name = "SIZE,...", allow_negative_numbers = true)]
    atol: Option<Tolerance>,
    /// Most chosen steps of a row [default: 10000]
    #[arg(long, value_name = "N")]
    max_steps: Option<NonZeroU32>,
    /// Shortest chosen step: a row that would need a shorter one is an error [default: 0]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    min_step: Option<f64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InfoArgs {
    /// A file that `train` wrote
    pub(crate) model: PathBuf,
    /// Print the file with which `train --config` repeats the training
    #[arg(long, id = "settings", conflicts_with = "json")]
    pub(crate) config: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXCHANGED)]
pub(crate) struct ExportArgs {
    /// A file that `train` wrote
    pub(crate) model: PathBuf,
    /// The file for the network
    #[arg(short, long, value_name = "FILE.safetensors")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXCHANGED)]
pub(crate) struct ImportArgs {
    /// A safetensors file
    #[arg(value_name = "FILE.safetensors")]
    pub(crate) file: PathBuf,
    /// The file for the model
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) output: PathBuf,
}

/// What stands in a safetensors file.
const EXCHANGED: &str = "\
Tensors: layers.{i}.weight [out, in] and layers.{i}.bias [out], i = 0, 1, ..., as in torch.nn.Linear.
Metadata: `pushforward`, a JSON object. The network is given x, then the features of t (time_embedding raw: t; fourier:K: \
sin(w t) for each w of `frequencies`, then cos(w t)), has `activation` after each of the layers `hidden`, and sees z of \
x = mean + std z; a column with std 0 is always `mean` and no part of z. Its output is the `prediction` \
along the `path`: velocity, target or noise. `model`, if it is there, is everything as this \
program keeps it; without it `dim`, `hidden`, `activation` and `time_embedding` must be there.";

#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    /// A file that `train` wrote: its own network is audited [default: the crate is]. The random numbers of the claims are fixed;
    /// `--seed` is that of a toy as `--data`
    pub(crate) model: Option<PathBuf>,
    /// Rows that the loss of the model is held against: those that it was trained on, or others
    #[arg(long, value_name = "DATA", requires = "model")]
    pub(crate) data: Option<Data>,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
    /// Only these equations or claims, for example E18,model.mass
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Numbers to compute with: f64 or f32, each with its own bounds
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F64)]
    pub(crate) real: Precision,
    /// File for one self-contained page with every formula, number and picture
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Workloads: W1 to W3 (training steps), S1 to S3 (samples), L1 to L3 (log-densities), OT (couplings) [default: all]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', ignore_case = true)]
    pub(crate) only: Vec<Workload>,
    /// Length of a timed run in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Number of timed runs, of which the median counts
    #[arg(long, value_name = "N", default_value = "7")]
    pub(crate) repeats: NonZeroU32,
    /// Folder with w1.safetensors, w2.safetensors and w3.safetensors: tensors {i}.weight [out, in] and {i}.bias
    /// [default: weights of the seed]
    #[arg(long, value_name = "DIR")]
    pub(crate) weights: Option<PathBuf>,
    /// Time one thread beside all, in turn, and tell how both the workload and the peak scale
    #[arg(long)]
    pub(crate) scaling: bool,
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    /// Until the loss on rows held out falls no more.
    Auto,
    /// So many.
    Number(NonZeroU64),
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Number(steps) => steps.fmt(f),
        }
    }
}

impl FromStr for Steps {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auto" => Ok(Self::Auto),
            _ => word.parse().map(Self::Number).map_err(|_| "give a whole number of at least 1, or `auto`"),
        }
    }
}

/// The value of `--baseline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// What is better for the data.
    Auto,
    /// This one.
    Is(Baseline),
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Is(baseline) => baseline.fmt(f),
        }
    }
}

impl FromStr for Chosen {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auto" => Ok(Self::Auto),
            _ => word.parse().map(Self::Is).map_err(|_| "give none, gaussian or auto"),
        }
    }
}

/// A network and what is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Workload {
    W1,
    W2,
    W3,
    S1,
    S2,
    S3,
    L1,
    L2,
    L3,
    OT,
}

impl Workload {
    /// All of them.
    pub(crate) const ALL: [Self; 10] =
        [Self::W1, Self::W2, Self::W3, Self::S1, Self::S2, Self::S3, Self::L1, Self::L2, Self::L3, Self::OT];
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl SolverArgs {
    /// The equal steps of an equation with noise, if nothing else was asked for.
    pub(crate) fn noisy_steps(&self) -> pushforward::Result<u32> {
        match self.solver {
            None | Some(Method::Euler) => {
                self.solver()?;
                Ok(self.steps.map_or(100, NonZeroU32::get))
            }
            Some(other) => Err(pushforward::Error::Setting {
                name: "solver",
                value: other.to_string(),
                remedy: "--noise takes equal steps of `euler`: leave --solver out",
            }),
        }
    }

    /// The solver that these flags describe for this flow. What a network of target or noise says is divided by what vanishes at an
    /// end: equal steps are too long there, and nobody looks at their error.
    pub(crate) fn solver_of(&self, flow: &Flow) -> pushforward::Result<Solver> {
        let steep = flow.path().prediction != Prediction::Velocity;
        if steep && self.solver.is_none() && self.steps.is_none() {
            return Ok(Solver::dopri5());
        }
        self.solver()
    }

    /// The solver that these flags describe, if they go together.
    pub(crate) fn solver(&self) -> pushforward::Result<Solver> {
        let mut solver = Solver::new(self.solver.unwrap_or(Method::Midpoint));
        solver.steps = self.steps.map(NonZeroU32::get);
        (solver.rtol, solver.atol) = (self.rtol.clone(), self.atol.clone());
        solver.min_step = self.min_step;
        solver.max_steps = self.max_steps.map(NonZeroU32::get);
        solver.check()?;
        Ok(solver)
    }
}

impl Common {
    /// The SIMD level to compute with, if this CPU has it.
    pub(crate) fn simd(&self) -> pushforward::Result<Simd> {
        match self.simd {
            SimdChoice::Auto => Ok(Simd::detect()),
            SimdChoice::Level(level) => Simd::of(level),
        }
    }
}

/// Where samples start.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    Normal,
    Rows(Data),
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Rows(data) => data.fmt(f),
        }
    }
}

impl FromStr for Start {
    type Err = pushforward::Error;

    fn from_str(word: &str) -> pushforward::Result<Self> {
        if word == "normal" { Ok(Self::Normal) } else { word.parse().map(Self::Rows) }
    }
}

/// `auto` or a level.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SimdChoice {
    Auto,
    Level(SimdLevel),
}

impl fmt::Display for SimdChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Level(level) => level.fmt(f),
        }
    }
}

impl FromStr for SimdChoice {
    type Err = pushforward::Error;

    fn from_str(word: &str) -> pushforward::Result<Self> {
        if word == "auto" { Ok(Self::Auto) } else { word.parse().map(Self::Level) }
    }
}

/// The decay of an average, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ema(pub(crate) Option<f64>);

impl fmt::Display for Ema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(decay) => decay.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl FromStr for Ema {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word == "off" {
            return Ok(Self(None));
        }
        word.parse().map(|decay| Self(Some(decay))).map_err(|_| "give a number from 0 to below 1, or `off`")
    }
}

/// `name:lo:hi`; a name may have `:` itself.
fn bounded(word: &str) -> Result<(String, Bounds), String> {
    let split = word.rsplit_once(':').and_then(|(rest, hi)| Some((rest.rsplit_once(':')?, hi)));
    let ((name, lo), hi) = split.ok_or("give COL:LO:HI, for example share:0:1")?;
    let bounds = format!("{lo}:{hi}").parse().map_err(|error: pushforward::Error| error.to_string())?;
    Ok((name.to_owned(), bounds))
}

fn on_or_off(word: &str) -> Result<bool, &'static str> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("give `on` or `off`"),
    }
}

pub(crate) fn at_least_one(word: &str) -> Result<usize, &'static str> {
    word.parse().ok().filter(|&n| n > 0).ok_or("give a whole number of at least 1")
}

/// A number of bytes: a number, or one with K, M, G or T for powers of 1024.
fn size(word: &str) -> Result<u64, &'static str> {
    let digits = word.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let shift = match word.strip_prefix(digits).unwrap_or_default() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("give a whole number of bytes, or one with K, M, G or T behind it"),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|&bytes| bytes > 0).ok_or("give a whole number of bytes, or one with K, M, G or T behind it")
}

fn seconds(word: &str) -> Result<f64, &'static str> {
    let good = |&s: &f64| s > 0.0 && s <= 3600.0;
    word.parse().ok().filter(good).ok_or("give a number of seconds above 0, at most 3600")
}

fn range(word: &str) -> Result<Range<usize>, &'static str> {
    let ends = word.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    ends.filter(|rows| !rows.is_empty()).ok_or("give A..B, whole numbers with A below B")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_fit_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (word, bytes) in [("5", 5), ("3K", 3072), ("2M", 2 << 20), ("1G", 1 << 30), ("16T", 16 << 40)] {
            assert_eq!(size(word), Ok(bytes));
        }
        for word in ["", "0", "G", "1.5G", "-1", "1GB", "1 G", "17000000T", "99999999999999999999"] {
            assert!(size(word).is_err(), "{word}");
        }
    }

    #[test]
    fn ranges_are_half_open_and_not_empty() {
        assert_eq!(range("3..5"), Ok(3..5));
        for word in ["5..5", "5..3", "5", "..", "1..", "-1..4", "1..=4", "a..b"] {
            assert!(range(word).is_err(), "{word}");
        }
        assert_eq!(at_least_one("1"), Ok(1));
        for word in ["0", "-1", "1.5", "", "99999999999999999999999"] {
            assert!(at_least_one(word).is_err(), "{word}");
        }
    }
}
