//! `pushforward bench`: fixed workloads, timed beside the machine's own multiply-add peak.
//!
//! W1 to W3 are training steps, S1 to S3 draw samples, L1 to L3 find exact log-densities; OT joins as many rows of two laws in the
//! plane, exactly or by Sinkhorn, whose operations are not counted. Each timed run is preceded by
//! a short run of the peak loop on as many threads, so that a share of the peak means the same on a noisy machine.

#![allow(clippy::indexing_slicing, reason = "its own workloads and times")]

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use pushforward::coupling::{Sinkhorn, assign_points};
use pushforward::data::toy;
use pushforward::kernel::multiply_adds;
use pushforward::nn::{Adam, LrSchedule, MlpShape};
use pushforward::rng::Purpose;
use pushforward::train::{Run, Standardization};
use pushforward::{AffinePath, Divergence, Flow, Mlp, Rng, Simd, Solver, Source, Tensor, Trainer};
use rayon::ThreadPool;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::args::{BenchArgs, Common, Workload};
use crate::console::{Interrupt, count, print_line};

/// Steps of the fixed solver.
const STEPS: u32 = 50;
/// Both tolerances of the one that chooses its steps.
const TOLERANCE: f64 = 1e-5;
/// Rounds of the peak loop before each timed run: some 20 ms.
const PEAK_ROUNDS: u64 = 1 << 23;
/// Rows of the data of the two-dimensional networks.
const DATA_ROWS: usize = 100_000;

/// One of the three networks with what is done with it.
#[derive(Debug, Clone, Copy)]
struct Net {
    /// Its file among the weights.
    file: &'static str,
    dim: usize,
    hidden: &'static [usize],
    batch: usize,
    samples: usize,
    points: usize,
}

const NETS: [Net; 3] = [
    Net { file: "w1.safetensors", dim: 2, hidden: &[64; 3], batch: 256, samples: 100_000, points: 10_000 },
    Net { file: "w2.safetensors", dim: 2, hidden: &[512; 4], batch: 4096, samples: 10_000, points: 10_000 },
    Net { file: "w3.safetensors", dim: 64, hidden: &[256; 3], batch: 512, samples: 10_000, points: 500 },
];

/// Rows of each side of a coupling.
const COUPLED: [usize; 3] = [256, 1024, 4096];
/// Couplings of other rows each, in turn.
const COUPLINGS: usize = 8;
/// The weight of the entropy, in units of the squared distance.
const REG: f64 = 0.05;

impl Net {
    /// None for couplings, which need no network.
    fn of(workload: Workload) -> Option<Self> {
        match workload {
            Workload::W1 | Workload::S1 | Workload::L1 => Some(NETS[0]),
            Workload::W2 | Workload::S2 | Workload::L2 => Some(NETS[1]),
            Workload::W3 | Workload::S3 | Workload::L3 => Some(NETS[2]),
            Workload::OT => None,
        }
    }

    /// The network, with given weights or with weights of the seed.
    fn velocity(&self, weights: Option<&Path>, simd: Simd, rng: &mut Rng) -> anyhow::Result<Mlp> {
        let shape = MlpShape::new(self.dim, self.hidden);
        let velocity = match weights {
            None => Mlp::initialize(shape, rng)?,
            Some(folder) => {
                let file = folder.join(self.file);
                let parameters = read_weights(&file, self.dim, self.hidden);
                Mlp::from_parameters(shape, parameters.with_context(|| file.display().to_string())?)?
            }
        };
        Ok(velocity.with_simd(simd))
    }

    /// Rows of the kind that the network was made for: the checkerboard, or a table of numbers in [-1, 1].
    fn rows(&self, n: usize, rng: &mut Rng) -> anyhow::Result<Tensor> {
        if self.dim == 2 {
            return Ok(toy::checkerboard(n, rng));
        }
        let mut stream = rng.fork(Purpose::Data).stream(0);
        #[allow(clippy::cast_possible_truncation, reason = "data are f32")]
        let table = (0..n * self.dim).map(|_| (2.0 * stream.uniform() - 1.0) as f32).collect();
        Ok(Tensor::from_vec(table, n, self.dim)?)
    }

    /// Multiply-adds of all matrices, for one row.
    fn multiply_adds(&self) -> f64 {
        let inputs = std::iter::once(self.dim + 1).chain(self.hidden.iter().copied());
        let outputs = self.hidden.iter().copied().chain([self.dim]);
        #[allow(clippy::cast_precision_loss, reason = "networks of some hundred thousand weights")]
        inputs.zip(outputs).map(|(k, n)| (k * n) as f64).sum()
    }

    /// Multiply-adds of the exact divergence of one row: d tangents need no product in the first layer, and only their trace is
    /// wanted in the last.
    #[allow(clippy::cast_precision_loss, reason = "networks of some hundred thousand weights")]
    fn divergence_multiply_adds(&self) -> f64 {
        let between: f64 = self.hidden.windows(2).map(|w| (w[0] * w[1]) as f64).sum();
        let last = self.hidden.last().copied().unwrap_or(0) as f64;
        self.dim as f64 * (between + last)
    }
}

/// The parameters in the order of [`Mlp`]: a file holds `{i}.weight` as [outputs, inputs], and `{i}.bias`.
fn read_weights(file: &Path, dim: usize, hidden: &[usize]) -> anyhow::Result<Vec<f32>> {
    let bytes = std::fs::read(file).context("cannot read the weights")?;
    let tensors = SafeTensors::deserialize(&bytes).context("this is no safetensors file")?;
    let read = |name: &str, shape: &[usize]| -> anyhow::Result<Vec<f32>> {
        let tensor = tensors.tensor(name)?;
        ensure!(
            tensor.dtype() == Dtype::F32 && tensor.shape() == shape,
            "{name}: {:?} of shape {:?}, where F32 of shape {shape:?} is wanted",
            tensor.dtype(),
            tensor.shape()
        );
        let (numbers, _) = tensor.data().as_chunks::<4>();
        Ok(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    };
    let (mut parameters, mut inputs) = (Vec::new(), dim + 1);
    for (i, &outputs) in hidden.iter().chain([&dim]).enumerate() {
        let weight = read(&format!("{i}.weight"), &[outputs, inputs])?;
        parameters.extend((0..inputs).flat_map(|k| weight[k..].iter().step_by(inputs)));
        parameters.extend(read(&format!("{i}.bias"), &[outputs])?);
        inputs = outputs;
    }
    Ok(parameters)
}

/// Something to time.
struct Work {
    mode: String,
    metric: &'static str,
    /// Steps, samples or points of one unit.
    items: f64,
    unit: Box<dyn FnMut() -> anyhow::Result<Cost> + Send>,
}

/// What one unit took.
struct Cost {
    /// Floating-point operations of its matrix products, 2 for each multiply-add.
    flop: f64,
    /// Evaluations of the network for a row, on average.
    nfe: Option<f64>,
}

pub(crate) fn run(args: &BenchArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    let interrupt = Interrupt::watch()?;
    let all = rayon::current_num_threads();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let mut pools = vec![(all, pool(all)?)];
    if args.scaling && all > 1 {
        pools.insert(0, (1, pool(1)?));
    }
    for workload in Workload::ALL.into_iter().filter(|w| args.only.is_empty() || args.only.contains(w)) {
        for mut work in works(workload, args.weights.as_deref(), simd, common.seed)? {
            let rates = time(&mut work, &pools, simd, args, &interrupt)?;
            for ((threads, _), rate) in pools.iter().zip(&rates) {
                let scaling = (pools.len() > 1 && *threads > 1).then(|| {
                    let ratio = |f: fn(&Rates) -> f64| f(rate) / f(&rates[0]);
                    [ratio(Rates::median), ratio(Rates::peak)]
                });
                print_line(&json!({
                    "workload": workload.to_string(),
                    "mode": work.mode,
                    "metric": work.metric,
                    "median": rate.median(),
                    "min": rate.rates.first(),
                    "max": rate.rates.last(),
                    "nfe": rate.nfe.map(count),
                    "gflops": rate.counted(rate.median() * rate.flop / 1e9),
                    "peak_gflops": rate.peak(),
                    "peak_share": rate.counted(median(&rate.shares)),
                    "threads": threads,
                    "simd": simd.level(),
                    "scaling": scaling.map(|s| s[0]),
                    "peak_scaling": scaling.map(|s| s[1]),
                }))?;
            }
        }
    }
    Ok(())
}

/// What was measured on one number of threads; all lists are sorted.
struct Rates {
    /// Items a second of each run.
    rates: Vec<f64>,
    /// GFLOP/s of the peak loop before each run.
    peaks: Vec<f64>,
    /// Each run's share of that peak.
    shares: Vec<f64>,
    /// Floating-point operations of an item.
    flop: f64,
    nfe: Option<f64>,
}

impl Rates {
    fn median(&self) -> f64 {
        median(&self.rates)
    }

    /// Nothing where operations were not counted.
    fn counted(&self, value: f64) -> Option<f64> {
        (self.flop > 0.0).then_some(value)
    }

    fn peak(&self) -> f64 {
        median(&self.peaks)
    }
}

/// The middle of a sorted list, or the mean of its two middles.
fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2])
}

/// Times a work on each of the pools in turn, again and again.
fn time(
    work: &mut Work,
    pools: &[(usize, ThreadPool)],
    simd: Simd,
    args: &BenchArgs,
    interrupt: &Interrupt,
) -> anyhow::Result<Vec<Rates>> {
    let mut units = Vec::new();
    for (_, pool) in pools {
        units.push(pool.install(|| calibrate(work, args.seconds))?);
    }
    let mut found: Vec<_> =
        pools.iter().map(|_| (Vec::new(), Vec::new(), Cost { flop: 0.0, nfe: None })).collect();
    for _ in 0..args.repeats.get() {
        for (((threads, pool), &units), (rates, peaks, last)) in pools.iter().zip(&units).zip(&mut found) {
            interrupt.check()?;
            pool.install(|| -> anyhow::Result<()> {
                peaks.push(peak(simd, *threads));
                let start = Instant::now();
                for _ in 0..units {
                    *last = (work.unit)()?;
                }
                #[allow(clippy::cast_precision_loss, reason = "counts of some thousands")]
                rates.push(units as f64 * work.items / start.elapsed().as_secs_f64());
                Ok(())
            })?;
        }
    }
    let sorted = |mut list: Vec<f64>| {
        list.sort_by(f64::total_cmp);
        list
    };
    let rates = found.into_iter().map(|(rates, peaks, cost)| {
        let flop = cost.flop / work.items;
        let shares = rates.iter().zip(&peaks).map(|(rate, peak)| rate * flop / 1e9 / peak).collect();
        Rates { rates: sorted(rates), peaks: sorted(peaks), shares: sorted(shares), flop, nfe: cost.nfe }
    });
    Ok(rates.collect())
}

/// How many units take about that many seconds; warms up on the way.
fn calibrate(work: &mut Work, seconds: f64) -> anyhow::Result<u64> {
    let mut units = 1_u64;
    loop {
        let start = Instant::now();
        for _ in 0..units {
            (work.unit)()?;
        }
        let took = start.elapsed().as_secs_f64();
        if took >= seconds / 2.0 {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a positive count, far below 2^53"
            )]
            return Ok(((units as f64 * seconds / took).round() as u64).max(1));
        }
        units *= 2;
    }
}

/// GFLOP/s of multiply-adds on every thread of the pool that this runs in.
fn peak(simd: Simd, threads: usize) -> f64 {
    let start = Instant::now();
    let flop: u64 = rayon::broadcast(|_| multiply_adds::<f32>(simd, PEAK_ROUNDS)).iter().sum();
    debug_assert_eq!(rayon::current_num_threads(), threads);
    #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
    let flop = flop as f64;
    flop / start.elapsed().as_secs_f64() / 1e9
}

/// The modes of a workload.
fn works(workload: Workload, weights: Option<&Path>, simd: Simd, seed: u64) -> anyhow::Result<Vec<Work>> {
    let mut rng = Rng::from_seed(seed);
    let Some(net) = Net::of(workload) else {
        let exact = COUPLED.map(|n| couple(n, None, simd, &mut rng.clone()));
        let entropic = COUPLED.map(|n| couple(n, Some(REG), simd, &mut rng.clone()));
        return Ok(exact.into_iter().chain(entropic).collect());
    };
    let velocity = net.velocity(weights, simd, &mut rng)?;
    match workload {
        Workload::W1 | Workload::W2 | Workload::W3 => Ok(vec![train(net, velocity, &mut rng)?]),
        Workload::S1 | Workload::S2 | Workload::S3 => {
            let solvers = [Solver::midpoint().steps(STEPS), Solver::dopri5().tolerance(TOLERANCE)];
            Ok(solvers.map(|solver| sample(net, &velocity, solver, &mut rng.clone())).into())
        }
        Workload::L1 | Workload::L2 | Workload::L3 | Workload::OT => {
            Ok(vec![score(net, velocity, &mut rng)?])
        }
    }
}

/// Plans between n rows of eight Gaussians and of moons.
fn couple(n: usize, reg: Option<f64>, simd: Simd, rng: &mut Rng) -> Work {
    let pairs: Vec<(Tensor, Tensor)> =
        (0..COUPLINGS).map(|_| (toy::eight_gaussians(n, rng), toy::moons(n, rng))).collect();
    let mut turn = pairs.into_iter().cycle();
    let unit = Box::new(move || {
        if let Some((a, b)) = turn.next() {
            match reg {
                None => drop(assign_points(simd, &a, &b)?),
                Some(reg) => drop(Sinkhorn::new(reg).solve(simd, &a, &b)?),
            }
        }
        Ok(Cost { flop: 0.0, nfe: None })
    });
    let word = if reg.is_some() { "sinkhorn" } else { "exact" };
    Work { mode: format!("{word}-{n}"), metric: "plans_per_s", items: 1.0, unit }
}

/// Training steps as in the other frameworks' examples: plain Adam, rows drawn with replacement.
#[allow(clippy::cast_precision_loss, reason = "a batch of some thousands")]
fn train(net: Net, velocity: Mlp, rng: &mut Rng) -> anyhow::Result<Work> {
    let rows = if net.dim == 2 { DATA_ROWS } else { 1797 };
    let x_1 = net.rows(rows, rng)?;
    let mut run: Run = Trainer::new(AffinePath::default())
        .steps(u64::MAX)
        .batch(net.batch)
        .adam(Adam { lr: 1e-3, ema: None, ..Adam::default() })
        .lr_schedule(LrSchedule::Constant)
        .standardization(Standardization::Off)
        .start(velocity, &x_1, rng)?;
    let flop = 3.0 * 2.0 * net.multiply_adds() * net.batch as f64;
    let unit = Box::new(move || {
        run.step()?;
        Ok(Cost { flop, nfe: None })
    });
    Ok(Work { mode: "train".into(), metric: "steps_per_s", items: 1.0, unit })
}

#[allow(clippy::cast_precision_loss, reason = "some hundred thousand rows")]
fn sample(net: Net, velocity: &Mlp, solver: Solver, rng: &mut Rng) -> Work {
    let flow = Flow::new(velocity.clone(), AffinePath::default(), Source::Normal);
    let streams = rng.fork(Purpose::Source);
    let mode = solver.method.word().to_owned();
    let unit = Box::new(move || {
        let drawn = flow.sample_rows::<f32>(0..net.samples, &solver, streams)?;
        let nfe = drawn.stats.nfe;
        Ok(Cost { flop: 2.0 * net.multiply_adds() * net.samples as f64 * nfe, nfe: Some(nfe) })
    });
    Work { mode, metric: "samples_per_s", items: net.samples as f64, unit }
}

/// Log-densities by the midpoint method, backwards, with d tangents a row.
#[allow(clippy::cast_precision_loss, reason = "some thousand rows")]
fn score(net: Net, velocity: Mlp, rng: &mut Rng) -> anyhow::Result<Work> {
    let x_1 = net.rows(net.points, rng)?;
    let flow = Flow::new(velocity, AffinePath::default(), Source::Normal);
    let mut rng = rng.clone();
    let unit = Box::new(move || {
        let solver = Solver::midpoint().steps(STEPS);
        let nfe = flow.log_density(&x_1, Divergence::Exact, &solver, &mut rng)?.stats.nfe;
        // The first stage has no weight, so it needs no divergence.
        let evaluations = nfe * net.multiply_adds();
        let tangents = f64::from(STEPS) * net.divergence_multiply_adds();
        Ok(Cost { flop: 2.0 * (evaluations + tangents) * net.points as f64, nfe: Some(nfe) })
    });
    Ok(Work { mode: "exact".into(), metric: "points_per_s", items: net.points as f64, unit })
}
