//! [`multiply_adds`]: nothing but multiply-adds in registers, to find out what a core can do at most.
//!
//! # Math
//! ```text
//! repeat: sums[r][j] += x[r] w[j]        r a row of the tile, j one of its two lanes
//! ```
//! It is the innermost loop of [`super::product`] without its loads: the same tile, always the same w and one x.
//!
//! # Limits
//! The most that a matrix product can reach at a SIMD level, on a core that is warm and alone. The portable level
//! multiplies and adds in two instructions, so its peak is lower.

use std::hint::black_box;

use super::dispatch::{Kernel, Simd};
use super::lane::Lane;
use super::real::Real;
use super::tile::add_outer;

/// Does `rounds` rounds of independent multiply-adds, and returns how many floating-point operations they were (2 for
/// each multiply-add of each number of a lane).
///
/// # Example
/// ```
/// use pushforward::kernel::{Simd, multiply_adds};
///
/// // The portable level handles 4 lanes of 8 numbers a round.
/// assert_eq!(multiply_adds::<f32>(Simd::portable(), 10), 10 * 4 * 8 * 2);
/// ```
#[must_use]
pub fn multiply_adds<R: Real>(simd: Simd, rounds: u64) -> u64 {
    simd.run::<R, _>(MultiplyAdds { rounds })
}

struct MultiplyAdds {
    rounds: u64,
}

impl<R: Real> Kernel<R> for MultiplyAdds {
    type Output = u64;
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) -> u64 {
        match L::TILE_ROWS {
            8 => tile::<L, 8>(self.rounds),
            6 => tile::<L, 6>(self.rounds),
            _ => tile::<L, 2>(self.rounds),
        }
    }
}

#[inline(always)]
fn tile<L: Lane, const M: usize>(rounds: u64) -> u64 {
    let x = [black_box(L::Real::from_f64(1e-3)); M];
    let w = black_box([L::Real::from_f64(1e-3); 32]);
    let w: [L; 2] = [L::load(&w), L::load(&w[16..])];
    let mut sums = [[L::splat(L::Real::ZERO); 2]; M];
    for _ in 0..rounds {
        add_outer(x, w, &mut sums);
    }
    let mut numbers = [L::Real::ZERO; 16];
    for [left, right] in sums {
        left.add(right).store(&mut numbers);
        black_box(numbers);
    }
    rounds * (2 * 2 * M * L::WIDTH) as u64
}
