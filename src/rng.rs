//! Random numbers that depend on a seed, a purpose and an index, and on nothing else.
//!
//! An [`Rng`] is a key, not a generator: each use of it forks a family of [`Streams`], and each
//! family holds one independent generator for every index. Work is cut into fixed blocks, block `b`
//! draws from stream `b`, so the numbers are the same for any number of threads, in any order, and
//! nothing has to be stored to go on later: the index is the state.
//!
//! # Math
//! A stream is xoshiro256++, its 256 bits of state filled by SplitMix64 from a 64-bit hash of
//! (seed, fork, purpose, index). Two streams of a run overlap with a probability below 2^-128 or so,
//! and two of a billion streams share a starting hash with a probability of about 3 %: a birthday
//! bound on 64 bits, harmless for sampling and useless for secrets.
//!
//! # Source
//! D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", 2021 (xoshiro256++);
//! G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014 (SplitMix64).
//! Normals: the ziggurat of `rand_distr`, whose values a test here pins.

use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Rows that share one stream wherever a matrix is filled row by row: row i of a sample depends on
/// the seed and on i only, because its block is always drawn from the start.
pub const ROWS_PER_STREAM: usize = 64;

/// What random numbers are drawn for; each purpose has streams of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Rows of a toy data set.
    Data,
    /// The initial weights of a network.
    Weights,
    /// Minibatches: rows of the data, times and source rows of each training step.
    Batch,
    /// Source rows that are pushed forward to samples.
    Source,
    /// Projections, subsets and splits of a metric.
    Metric,
    /// Noise on the way from source to target.
    Noise,
    /// Directions along which a divergence is estimated.
    Probe,
    /// Rows that are held out of a training, and the points at which its loss on them is found.
    Validation,
    /// Where in its cell of width 1 a whole number of the training data lies.
    Dequantisation,
}

/// The key from which all random numbers of a program are derived.
///
/// # Example
/// ```
/// use pushforward::{Rng, rng::Purpose};
///
/// let streams = Rng::from_seed(0).fork(Purpose::Data);
/// let again = Rng::from_seed(0).fork(Purpose::Data);
/// assert_eq!(streams.stream(7).uniform().to_bits(), again.stream(7).uniform().to_bits());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng {
    seed: u64,
    forks: u64,
}

impl Rng {
    /// Makes the key of one seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self { seed, forks: 0 }
    }

    /// The seed that this key was made from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Derives the streams of one use. Each call gives another family: the n-th fork of a seed is
    /// the same in every run of a program.
    pub fn fork(&mut self, purpose: Purpose) -> Streams {
        let key = mix(mix(mix(self.seed) ^ self.forks) ^ (purpose as u64 + 1));
        self.forks += 1;
        Streams { key }
    }
}

/// One family of independent generators, one for each index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    key: u64,
}

impl Streams {
    /// The generator of one index.
    #[must_use]
    pub fn stream(&self, index: u64) -> Stream {
        Stream { generator: Xoshiro256PlusPlus::seed_from_u64(mix(self.key ^ mix(index))) }
    }
}

/// One generator: a sequence of independent random numbers.
#[derive(Debug, Clone)]
pub struct Stream {
    generator: Xoshiro256PlusPlus,
}

impl Stream {
    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A number uniform in [0, 1), a multiple of 2^-53.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number from N(0, 1).
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.generator)
    }

    /// An index uniform in 0 .. n, without bias (Lemire 2019: multiply, reject the short end); 0 where `n` is 0.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the two halves of a 128-bit product; an index below a usize"
    )]
    pub fn below(&mut self, n: usize) -> usize {
        let n = n.max(1) as u64;
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            let low = product as u64;
            if low >= n || low >= n.wrapping_neg() % n {
                return (product >> 64) as usize;
            }
        }
    }

    /// Permutes a slice uniformly (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// The finaliser of SplitMix64: a bijection of 64 bits that mixes each into all.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_the_published_sequence() {
        // First outputs of SplitMix64 from state 0 (Vigna's splitmix64.c, also java.util.SplittableRandom).
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn xoshiro_gives_the_published_sequence() {
        // xoshiro256++ from the state (1, 2, 3, 4): Vigna's reference code.
        let mut seed = [0; 32];
        for (i, chunk) in seed.chunks_exact_mut(8).enumerate() {
            chunk[0] = u8::try_from(i + 1).unwrap();
        }
        let mut stream = Stream { generator: Xoshiro256PlusPlus::from_seed(seed) };
        assert_eq!(stream.bits(), 41_943_041);
        assert_eq!(stream.bits(), 58_720_359);
    }

    #[test]
    fn forks_purposes_and_indices_differ() {
        let mut rng = Rng::from_seed(1);
        let (a, b) = (rng.fork(Purpose::Data), rng.fork(Purpose::Data));
        let c = Rng::from_seed(1).fork(Purpose::Batch);
        let first = [a.stream(0).bits(), a.stream(1).bits(), b.stream(0).bits(), c.stream(0).bits()];
        for i in 0..first.len() {
            assert!(!first[..i].contains(&first[i]));
        }
    }

    #[test]
    fn normals_keep_their_moments() {
        let mut stream = Rng::from_seed(2).fork(Purpose::Metric).stream(0);
        let n = 200_000_u32;
        let (mut m1, mut m2, mut m4) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let z = stream.normal();
            m1 += z;
            m2 += z * z;
            m4 += z * z * z * z;
        }
        let n = f64::from(n);
        // Five standard errors of each mean: var(z) = 1, var(z^2) = 2, var(z^4) = 96.
        assert!((m1 / n).abs() < 5.0 * (1.0 / n).sqrt());
        assert!((m2 / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
        assert!((m4 / n - 3.0).abs() < 5.0 * (96.0 / n).sqrt());
    }

    #[test]
    fn below_reaches_every_index_equally() {
        let mut stream = Rng::from_seed(3).fork(Purpose::Metric).stream(0);
        let mut count = [0_u32; 7];
        for _ in 0..70_000 {
            count[stream.below(7)] += 1;
            assert_eq!((stream.below(1), stream.below(0)), (0, 0));
        }
        // Each count is binomial with mean 10,000 and standard deviation 92.6; five of them.
        assert!(count.iter().all(|&c| c.abs_diff(10_000) < 463), "{count:?}");
    }
}
