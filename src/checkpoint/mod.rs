//! The file format of models and of trainings under way: a header, a section table, and sections with a SHA-256 each.
//!
//! # Format
//! Every number is little endian.
//! ```text
//! offset  bytes  content
//!      0      8  89 70 66 0D 0A 1A 0A 00: the mark ("pf" between bytes that a transfer as text would change)
//!      8      4  format version: 1
//!     12      4  kind: 1 a model, 2 a training under way
//!     16      4  n, the number of sections, at most 64
//!     20      4  zero
//!     24      8  length of the file in bytes
//!     32     32  SHA-256 of bytes 0 .. 32 and of the section table
//!     64   80 n  the section table, one entry a section, in the order of the file:
//!                  24  its name in ASCII, ended by zeros
//!                   4  its content: 1 fields, 2 numbers
//!                   4  zero
//!                   8  its offset in the file
//!                   8  its length in bytes
//!                  32  SHA-256 of its content
//! 64 + 80 n      the sections: each begins at the next multiple of 64, what lies between is zero; nothing follows the last
//! ```
//! Numbers are f32, one after the other. Fields are a list of tokens in the standard configuration of bincode 2: how many, then
//! each as the number of its variant and what it holds.
//! ```text
//! 0 nothing   1 a truth value   2 an unsigned whole number   3 a signed one   4 an f64   5 a text
//! 6 a list of k values, which follow   7 k fields, which follow: a text, the name, then the value
//! ```
//! A structure is its fields, a variant without content its name, one with content a single field of that name; an
//! `Option` is nothing or its value.
//!
//! A model has the section `model` (fields: the network's shape, path, source, units, header and record) and `parameters`
//! (numbers, in the order of [`nn::mlp`](crate::nn)). A training has `settings`, `progress` and `kept` (fields), `parameters`,
//! `previous`, `mean`, `square` and `average` (numbers: the parameters now and before the last step, Adam's two moments, the
//! average, which is empty if none is kept).
//!
//! # Versions
//! Fields are found by their name. One that is new has a default that means what a file without it meant
//! (`#[serde(default)]`); one that is not known is an error, for its meaning would be lost. What cannot be said in this way
//! raises the version, and the reader of the old one stays beside the new. `tests/golden` holds a model of every released version.
//!
//! # Limits
//! SHA-256 finds every damage; it does not tell who wrote a file. No length inside a file is trusted: memory is taken as bytes
//! arrive, fields are at most 64 MiB and decoded with that limit.
//!
//! # Source
//! SHA-256: FIPS 180-4 (the crate `sha2`). The shape of the mark: that of PNG.

// Bytes of strangers: what they say is looked up, never believed.
#![deny(clippy::indexing_slicing)]

mod fields;
mod read;
mod write;

use std::convert::Infallible;

use sha2::{Digest as _, Sha256};

pub use fields::flat;
pub use read::{Loaded, decode, read};
pub use write::Contents;

/// The version that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 1;

const MARK: [u8; 8] = [0x89, b'p', b'f', 0x0d, 0x0a, 0x1a, 0x0a, 0x00];
const HEADER: usize = 64;
/// Bytes of the header that its checksum covers, before the checksum.
const CHECKED: usize = 32;
const ENTRY: usize = 80;
const NAME: usize = 24;
const MOST_SECTIONS: usize = 64;
const ALIGNMENT: u64 = 64;
const MOST_FIELD_BYTES: usize = 1 << 26;
/// Bytes that are read or written at once.
const PIECE: usize = 1 << 16;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model that is complete.
    Model,
    /// A training under way.
    Training,
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Self::Model => 1,
            Self::Training => 2,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Training => "training state",
        }
    }
}

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Fields,
    Numbers,
}

impl Content {
    fn number(self) -> u32 {
        match self {
            Self::Fields => 1,
            Self::Numbers => 2,
        }
    }
}

/// The SHA-256 of bytes, in hexadecimal digits.
///
/// # Example
/// ```
/// assert_eq!(&pushforward::checkpoint::sha256(b"abc")[..16], "ba7816bf8f01cfea"); // FIPS 180-4
/// ```
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    digits(Sha256::digest(bytes).into())
}

/// The SHA-256 of tables of numbers as a file holds them, in hexadecimal digits: to say that data are the same.
#[must_use]
pub fn fingerprint(tables: &[&[f32]]) -> String {
    let mut hash = Sha256::new();
    for numbers in tables {
        hash.update((numbers.len() as u64).to_le_bytes());
        write::pieces(numbers, |bytes| {
            hash.update(bytes);
            Ok::<(), Infallible>(())
        })
        .unwrap_or_else(|never| match never {});
    }
    digits(hash.finalize().into())
}

fn digits(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
