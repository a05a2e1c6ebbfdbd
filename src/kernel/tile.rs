//! What the register tiles of the products share: lanes of a row whole or in part, and the outer product.

use super::lane::Lane;
use super::real::Real;

/// The first numbers of a slice that may be shorter than a lane; zeros fill the rest.
#[inline(always)]
pub(super) fn load_part<L: Lane>(from: &[L::Real]) -> L {
    if from.len() >= L::WIDTH {
        return L::load(from);
    }
    let mut part = [L::Real::ZERO; 16];
    part[..from.len()].copy_from_slice(from);
    L::load(&part)
}

/// Writes as many numbers of a lane as the slice has room for.
#[inline(always)]
pub(super) fn store_part<L: Lane>(lane: L, to: &mut [L::Real]) {
    if to.len() >= L::WIDTH {
        return lane.store(to);
    }
    let mut part = [L::Real::ZERO; 16];
    lane.store(&mut part);
    let n = to.len();
    to.copy_from_slice(&part[..n]);
}

/// N lanes of a slice that holds them `WHOLE`, or ends before.
#[inline(always)]
pub(super) fn load_lanes<L: Lane, const N: usize, const WHOLE: bool>(from: &[L::Real]) -> [L; N] {
    std::array::from_fn(|j| {
        if WHOLE { L::load(&from[j * L::WIDTH..]) } else { load_part(&from[from.len().min(j * L::WIDTH)..]) }
    })
}

/// Writes N lanes to a slice that has room for them `WHOLE`, or for some of them.
#[inline(always)]
pub(super) fn store_lanes<L: Lane, const N: usize, const WHOLE: bool>(lanes: [L; N], to: &mut [L::Real]) {
    for j in 0..N {
        if WHOLE {
            lanes[j].store(&mut to[j * L::WIDTH..]);
        } else {
            let begin = to.len().min(j * L::WIDTH);
            store_part(lanes[j], &mut to[begin..]);
        }
    }
}

/// sums += x w, the outer product of a column of M numbers and a row of N lanes.
///
/// Written out, because of a loop over r the compiler may make registers across rows, which it fills
/// number by number (`vgather`): ten times slower.
#[inline(always)]
pub(super) fn add_outer<L: Lane, const M: usize, const N: usize>(
    x: [L::Real; M],
    w: [L; N],
    sums: &mut [[L; N]; M],
) {
    const { assert!(M <= 8) }
    if M > 0 {
        add_row(x[0], w, &mut sums[0]);
    }
    if M > 1 {
        add_row(x[1], w, &mut sums[1]);
    }
    if M > 2 {
        add_row(x[2], w, &mut sums[2]);
    }
    if M > 3 {
        add_row(x[3], w, &mut sums[3]);
    }
    if M > 4 {
        add_row(x[4], w, &mut sums[4]);
    }
    if M > 5 {
        add_row(x[5], w, &mut sums[5]);
    }
    if M > 6 {
        add_row(x[6], w, &mut sums[6]);
    }
    if M > 7 {
        add_row(x[7], w, &mut sums[7]);
    }
}

/// sums += x w for one row of sums.
#[inline(always)]
fn add_row<L: Lane, const N: usize>(x: L::Real, w: [L; N], sums: &mut [L; N]) {
    let x = L::splat(x);
    for j in 0..N {
        sums[j] = x.mul_add(w[j], sums[j]);
    }
}
