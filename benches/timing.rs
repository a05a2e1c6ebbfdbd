//! How the benches measure: long enough for a steady median, short enough for all of them to take some minutes.

use std::time::Duration;

use criterion::Criterion;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Runs benches in a pool of one thread, so that nothing they call spreads over more.
pub(crate) fn measure(benches: impl FnOnce(&mut Criterion) + Send) {
    pool(1).install(|| {
        let mut criterion = Criterion::default()
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .sample_size(30)
            .configure_from_args();
        benches(&mut criterion);
        criterion.final_summary();
    });
}

/// A pool of that many threads.
pub(crate) fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
}
