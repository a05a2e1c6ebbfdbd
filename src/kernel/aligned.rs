//! [`Aligned`]: numbers that begin where a line of the cache begins.

use std::ops::{Deref, DerefMut};

use super::real::Real;

/// Bytes of a cache line, and of the widest lane.
const LINE: usize = 64;

/// A fixed number of reals whose first one stands on a 64-byte boundary: a lane that is read from a multiple of 64 bytes
/// after it touches one line of the cache and not two. Found by asking for 15 numbers more than needed and beginning
/// at the first one that is aligned. It changes no result.
#[derive(Debug)]
pub struct Aligned<R> {
    data: Vec<R>,
    first: usize,
    len: usize,
}

impl<R: Real> Aligned<R> {
    /// Zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        let spare = LINE / size_of::<R>() - 1;
        let data = vec![R::ZERO; len + spare];
        // Where no offset is known (an interpreter may say so) any beginning will do.
        let first = data.as_ptr().align_offset(LINE).min(spare);
        Self { data, first, len }
    }
}

impl<R: Real> From<&[R]> for Aligned<R> {
    fn from(numbers: &[R]) -> Self {
        let mut aligned = Self::zeros(numbers.len());
        aligned.copy_from_slice(numbers);
        aligned
    }
}

// Not derived: a copy stands elsewhere, with another beginning.
impl<R: Real> Clone for Aligned<R> {
    fn clone(&self) -> Self {
        Self::from(&self[..])
    }
}

impl<R> Deref for Aligned<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.data[self.first..self.first + self.len]
    }
}

impl<R> DerefMut for Aligned<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        &mut self.data[self.first..self.first + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_aligned_too() {
        for len in [0, 1, 15, 16, 1000] {
            let mut a = Aligned::<f32>::zeros(len);
            a.fill(2.0);
            let copies: Vec<_> = (0..5).map(|_| a.clone()).collect();
            for copy in &copies {
                assert_eq!(copy[..], a[..]);
                assert_eq!(copy.as_ptr().addr() % LINE, 0);
            }
            assert_eq!(Aligned::<f64>::zeros(len).as_ptr().addr() % LINE, 0);
        }
    }
}
