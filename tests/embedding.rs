//! A flow inside someone else's program: from bytes in the program, on its threads, into its memory, stopped when it wants.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use pushforward::closed_form::GaussianBaseline;
use pushforward::data::{ConditionColumn, ConditionKind, Conditions, Standardize, toy};
use pushforward::field::FnField;
use pushforward::nn::MlpShape;
use pushforward::ode::{AdaptiveIntegration, Integration, ROWS_PER_BLOCK, Workspace};
use pushforward::path::Prediction;
use pushforward::rng::{Purpose, Streams};
use pushforward::train::Run;
use pushforward::{
    AffinePath, Divergence, Error, Flow, Mlp, Rng, Scheduler, Solver, Source, Tensor, Trainer,
};
use rayon::ThreadPoolBuilder;

const MODEL: &[u8] = include_bytes!("golden/model-1.pf");

/// Fails to compile for what cannot be shared between threads, or cannot be sent to one.
const fn shared<T: Send + Sync + 'static>() {}
const fn sent<T: Send>() {}
const _: () = {
    shared::<Flow>();
    shared::<Mlp>();
    shared::<Solver>();
    shared::<Trainer>();
    shared::<Tensor>();
    shared::<Streams>();
    shared::<Error>();
    sent::<Run>();
    sent::<Integration<'_>>();
    sent::<AdaptiveIntegration<'_>>();
    sent::<Workspace<'_>>();
    sent::<pushforward::flow::Sampler<'_>>();
};

const SOLVERS: [fn() -> Solver; 3] = [|| Solver::midpoint().steps(8), Solver::dopri5, Solver::dop853];

fn embedded() -> Flow {
    Flow::from_bytes(MODEL, Path::new("the model in the program")).unwrap()
}

fn streams(seed: u64) -> Streams {
    Rng::from_seed(seed).fork(Purpose::Source)
}

/// Samples and their log-densities as bits.
fn job(flow: &Flow, solver: &Solver) -> (Vec<u32>, Vec<u64>) {
    let x = flow.sample(300, solver, &mut Rng::from_seed(5)).unwrap().x;
    let scores = flow.log_density(&x, Divergence::Exact, solver, &mut Rng::from_seed(0)).unwrap();
    let bits = |x: &f32| x.to_bits();
    (x.as_slice().iter().map(bits).collect(), scores.log_density.iter().map(|x| x.to_bits()).collect())
}

#[test]
fn a_model_in_the_program_is_the_model_in_the_file() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/model-1.pf");
    let (flow, solver) = (embedded(), Solver::dopri5());
    assert_eq!(job(&flow, &solver), job(&Flow::load(file).unwrap(), &solver));
    let error =
        Flow::from_bytes(&MODEL[..MODEL.len() - 1], Path::new("the model in the program")).unwrap_err();
    assert!(error.to_string().contains("the model in the program"), "{error}");
}

#[test]
fn threads_that_share_a_flow_disturb_nobody() {
    let flow = Arc::new(embedded());
    let alone: Vec<_> = SOLVERS.iter().map(|solver| job(&flow, &solver())).collect();
    std::thread::scope(|scope| {
        for i in 0..6 {
            let (flow, alone) = (Arc::clone(&flow), &alone);
            scope.spawn(move || assert!(job(&flow, &SOLVERS[i % 3]()) == alone[i % 3]));
        }
    });
}

#[test]
fn a_pool_of_the_caller_gives_the_same_bits() {
    let flow = embedded();
    for solver in SOLVERS {
        let outside = job(&flow, &solver());
        for threads in [1, 3] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| job(&flow, &solver())) == outside, "{threads} threads");
        }
    }
}

/// The threads on which a field is asked while some blocks are solved.
fn threads_asked(solver: &Solver) -> BTreeSet<String> {
    let asked = Mutex::new(Vec::<ThreadId>::new());
    let note = |_t: f64, x: &[f64], u: &mut [f64]| {
        asked.lock().unwrap().push(std::thread::current().id());
        u[0] = -x[0];
    };
    let x = Tensor::zeros(4 * ROWS_PER_BLOCK, 1);
    solver.solve(&FnField::new(1, note), &x, 0.0..1.0).unwrap();
    asked.into_inner().unwrap().iter().map(|id| format!("{id:?}")).collect()
}

#[test]
fn work_stays_on_the_threads_of_the_caller() {
    let ids = |threads: Vec<ThreadId>| threads.iter().map(|id| format!("{id:?}")).collect::<BTreeSet<_>>();
    let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let own = ids(pool.broadcast(|_| std::thread::current().id()));
    // With no pool but the thread that calls there are no threads at all.
    let none = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
    let this = ids(vec![std::thread::current().id()]);
    for solver in SOLVERS {
        let asked = pool.install(|| threads_asked(&solver()));
        assert!(asked.is_subset(&own), "{asked:?} are not all of {own:?}");
        assert_eq!(none.install(|| threads_asked(&solver())), this);
    }
}

fn run(steps: u64) -> Run {
    let mut rng = Rng::from_seed(3);
    let x_1: Tensor = toy::moons(500, &mut rng);
    let velocity = Mlp::new(2, &[16], &mut rng).unwrap();
    Trainer::new(AffinePath::default()).steps(steps).batch(64).start(velocity, &x_1, &mut rng).unwrap()
}

#[test]
fn a_training_may_end_after_any_step() {
    let mut cancelled = run(40);
    for done in 1..=7 {
        assert_eq!(cancelled.step().unwrap().step, done);
    }
    // What there is by then is a flow, and it draws.
    let flow = cancelled.flow().unwrap();
    assert_eq!(flow.record().unwrap().steps, 7);
    flow.sample(3, &Solver::dopri5(), &mut Rng::from_seed(0)).unwrap();
    // That it was looked at changes nothing of what comes.
    let (looked, straight) = (cancelled.finish().unwrap(), run(40).finish().unwrap());
    assert_eq!(looked.to_bytes().unwrap(), straight.to_bytes().unwrap());
}

#[test]
fn an_integration_may_end_after_any_step() {
    let flow = embedded();
    let (mut x_0, d) = (Tensor::zeros(5, flow.source_dim()), flow.source_dim());
    Source::Normal.fill(&streams(1), 0, &mut x_0);
    let whole = |solver: &Solver| solver.solve(flow.velocity(), &x_0, 0.0..1.0).unwrap().x;

    let fixed = Solver::rk4().steps(8);
    let mut course = Integration::new(&fixed, flow.velocity(), x_0.clone(), 0.0..1.0).unwrap();
    for _ in 0..3 {
        assert!(!course.step().unwrap());
    }
    assert_eq!((course.t(), course.x().cols()), (0.375, d)); // dropped here, it would be cancelled
    while !course.step().unwrap() {}
    assert_eq!(course.into_solution().x, whole(&fixed));

    let chosen = Solver::dopri5();
    let mut course = AdaptiveIntegration::new(&chosen, flow.velocity(), x_0.clone(), 0.0..1.0).unwrap();
    assert!(!course.step().unwrap() && course.active() == 5);
    while !course.step().unwrap() {}
    assert_eq!(course.into_solution().x, whole(&chosen));
}

/// A flow with all that stands between the network and the data: a constant column, a network that predicts the noise, another
/// scheduler than the trained one.
fn involved() -> Flow {
    let path = AffinePath::new(Scheduler::Cosine).predicting(Prediction::Noise);
    let data = Tensor::from_rows(&[[1.0, 7.0, -3.0], [4.0, 7.0, 5.0], [2.0, 7.0, 0.0]]);
    let velocity = Mlp::new(2, &[16], &mut Rng::from_seed(2)).unwrap();
    let flow = Flow::new(velocity, path, Source::Normal);
    flow.with_standardize(Standardize::fit(&data).unwrap())
        .unwrap()
        .with_scheduler(Scheduler::CondOt)
        .unwrap()
}

#[test]
fn a_sampler_gives_the_bits_of_the_flow() {
    let involved = involved();
    let rows: Tensor<f64> = Tensor::from_rows(&[[1.0, 0.5], [-1.0, 0.2], [0.3, -0.9], [0.4, 1.0]]);
    let velocity = Mlp::new(2, &[16], &mut Rng::from_seed(2)).unwrap();
    let baseline = Flow::new(velocity, AffinePath::default(), Source::Normal);
    let baseline = baseline.with_baseline(GaussianBaseline::fit(&rows, None).unwrap()).unwrap();
    for flow in [&embedded(), &involved, &baseline] {
        for solver in SOLVERS {
            let solver = solver();
            let all = flow.sample_rows::<f64>(0..600, &solver, streams(8)).unwrap();
            let mut x = Tensor::<f64>::zeros(200, flow.dim());
            flow.with_sampler(200, &solver, |sampler| {
                for first in [400, 0, 200, 400] {
                    let stats = sampler.draw(first, streams(8), &mut x)?;
                    assert_eq!((stats.rows, &x), (200, &all.x.slice_rows(first..first + 200)));
                }
                Ok(())
            })
            .unwrap();
        }
    }
    let mut x = Tensor::<f32>::zeros(3, 3);
    let narrow = involved.with_sampler(4, &Solver::dopri5(), |sampler| sampler.draw(0, streams(1), &mut x));
    assert!(matches!(narrow, Err(Error::Dimension { expected: 4, found: 3, .. })));
    assert!(involved.with_sampler(0, &Solver::dopri5(), |_| Ok(())).is_err());
}

#[test]
fn a_sampler_draws_under_conditions_that_are_given() {
    let values = Tensor::from_rows(&[[0.0], [1.0], [2.0]]);
    let column = ConditionColumn { name: "y".into(), kind: ConditionKind::Numeric };
    let conditions = Conditions::fit(vec![column], &values).unwrap();
    let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(2, &[16]) };
    let velocity = Mlp::initialize(shape, &mut Rng::from_seed(2)).unwrap();
    let flow = Flow::new(velocity, AffinePath::default(), Source::Normal);
    let flow = flow.with_conditions(conditions, &values).unwrap();
    let mut x = Tensor::<f32>::zeros(3, 2);
    let error = flow.with_sampler(3, &Solver::dopri5(), |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("not given"), "{error}");
    for solver in SOLVERS {
        let (given, solver) = (flow.given(&values, 1.0).unwrap(), solver());
        given.with_sampler(3, &solver, |sampler| sampler.draw(0, streams(4), &mut x)).unwrap();
        assert_eq!(x, given.sample_rows(0..3, &solver, streams(4)).unwrap().x);
    }
}
