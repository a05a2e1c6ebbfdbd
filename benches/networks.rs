//! Two of the networks that `pushforward bench` times: the small one in two dimensions, and the one for rows of 64 numbers.

use pushforward::{Mlp, Rng};

/// A network.
pub(crate) struct Network {
    /// The workload that trains it.
    pub(crate) name: &'static str,
    /// The dimension of x and u.
    pub(crate) dim: usize,
    /// Width of each of the hidden layers.
    hidden: [usize; 3],
}

/// 3 -> 64 x 3 -> 2 and 65 -> 256 x 3 -> 64.
pub(crate) const NETWORKS: [Network; 2] =
    [Network { name: "W1", dim: 2, hidden: [64; 3] }, Network { name: "W3", dim: 64, hidden: [256; 3] }];

impl Network {
    /// The network with its initial weights.
    pub(crate) fn velocity(&self, rng: &mut Rng) -> Mlp {
        Mlp::new(self.dim, &self.hidden, rng).expect("sizes in range")
    }
}
