//! Same seed, same bits: for any number of threads, and for any part of a sample.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::data::toy;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Flow, Mlp, Rng, Solver, Tensor, Trainer};

/// A whole job inside a pool of its own: the model's bytes, samples and scores as bits.
fn job(threads: usize) -> (Vec<u8>, Vec<u32>, Vec<u64>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut rng = Rng::from_seed(11);
        let x_1: Tensor = toy::moons(3000, &mut rng);
        let velocity = Mlp::new(2, &[48, 33], &mut rng).unwrap();
        // 700 rows: ten whole blocks and a part, in eight slots of unequal length.
        let flow =
            Trainer::new(AffinePath::default()).steps(40).batch(700).fit(velocity, &x_1, &mut rng).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.pf");
        flow.save(&file).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        let (mut drawn, mut scored) = (vec![], vec![]);
        for solver in [Solver::heun().steps(12), Solver::dopri5()] {
            let x = flow.sample(500, &solver, &mut rng).unwrap().x;
            let scores = flow.log_density(&x, Divergence::Exact, &solver, &mut rng).unwrap();
            drawn.extend(x.as_slice().iter().map(|x| x.to_bits()));
            scored.extend(scores.log_density.iter().map(|x| x.to_bits()));
        }
        (bytes, drawn, scored)
    })
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let one = job(1);
    assert!(one.1.len() == 2000 && one.2.len() == 1000);
    for threads in [2, 7] {
        assert!(job(threads) == one, "{threads} threads gave other bits than one");
    }
}

/// Threads are made on whatever the one that makes them may use: this one alone is pinned, and its pools with it.
#[cfg(target_os = "linux")]
#[test]
fn one_cpu_for_all_threads_changes_no_bit() {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;
    let free = job(2);
    let itself = Pid::from_raw(0);
    let allowed = sched_getaffinity(itself).unwrap();
    let first = (0..CpuSet::count()).find(|&cpu| allowed.is_set(cpu).unwrap()).unwrap();
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    sched_setaffinity(itself, &one).unwrap();
    for threads in [1, 2, 7] {
        assert!(job(threads) == free, "{threads} threads on one CPU gave other bits");
    }
}

fn untrained() -> Flow {
    let velocity = Mlp::new(3, &[32, 32], &mut Rng::from_seed(2)).unwrap();
    Flow::new(velocity, AffinePath::default(), pushforward::Source::Normal)
}

const SOLVERS: [fn() -> Solver; 3] =
    [|| Solver::rk4().steps(5), Solver::dopri5, || Solver::bosh3().tolerance(1e-3)];

#[test]
fn ten_samples_are_the_first_of_a_thousand() {
    for solver in SOLVERS {
        let (flow, solver) = (untrained(), solver());
        let draw = |n| flow.sample(n, &solver, &mut Rng::from_seed(4)).unwrap().x;
        let (few, many) = (draw(10), draw(1000));
        assert_eq!(few, many.slice_rows(0..10));
        let streams = Rng::from_seed(4).fork(Purpose::Source);
        let part = flow.sample_rows::<f32>(437..901, &solver, streams).unwrap().x;
        assert_eq!(part, many.slice_rows(437..901), "a range in the middle");
    }
}

#[test]
fn a_row_is_scored_alone_as_among_others() {
    for solver in SOLVERS {
        let (flow, solver) = (untrained(), solver());
        let x = flow.sample(300, &solver, &mut Rng::from_seed(4)).unwrap().x;
        let mut rng = Rng::from_seed(0);
        let all = flow.log_density(&x, Divergence::Exact, &solver, &mut rng).unwrap().log_density;
        for i in [0, 63, 64, 127, 128, 150, 299] {
            let one =
                flow.log_density(&x.slice_rows(i..i + 1), Divergence::Exact, &solver, &mut rng).unwrap();
            assert_eq!(one.log_density[0].to_bits(), all[i].to_bits(), "row {i} by {}", solver.method);
        }
    }
}
