//! A file format for models: a mark, a version, a length, a checksum, and what serde makes of a value.
//!
//! # Format
//! ```text
//! offset  bytes  content
//!      0      8  89 70 66 0D 0A 1A 0A 00: the mark ("pf" between bytes that a transfer as text would change)
//!      8      4  format version, little endian: 1
//!     12      8  length of the payload in bytes, little endian
//!     20      4  CRC-32 of bytes 8 .. 20 and of the payload, little endian
//!     24         the payload: bincode 2, standard configuration
//! ```
//!
//! # Limits
//! The checksum catches damage, not malice. No length inside a file is trusted: the payload is at most
//! 2 GiB, must be as long as the file says, and the decoder may not claim more than that.
//!
//! # Source
//! CRC-32: IEEE 802.3, as in zip and PNG (the crate `crc32fast`). The shape of the mark: that of PNG.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::file::AtomicFile;

/// The version that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 1;

const MARK: [u8; 8] = [0x89, b'p', b'f', 0x0d, 0x0a, 0x1a, 0x0a, 0x00];
const HEADER: usize = 24;
const LIMIT: usize = 1 << 31;
const WHAT: &str = "model";

/// Writes a value to a file, which is replaced only once the new one is complete.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written, [`Error::Format`] if the value is larger than the format allows.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let bytes = encode(value, path)?;
    let mut file = AtomicFile::create(path)?;
    file.write_all(&bytes).map_err(|source| Error::Io { action: "write", path: path.into(), source })?;
    file.commit()
}

/// Reads a value from a file.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is something else, of another version, or damaged.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let failed = |source| Error::Io { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take((HEADER + LIMIT) as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    decode(&bytes, path)
}

/// The bytes of a value; `file` is named in errors.
///
/// # Errors
/// [`Error::Format`] if the value is larger than the format allows.
pub fn encode<T: Serialize>(value: &T, file: &Path) -> Result<Vec<u8>> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let too_large = |found: String| Error::Format {
        file: file.into(),
        what: WHAT,
        found,
        remedy: "only models up to 2 GiB can be written",
    };
    let payload = bincode::serde::encode_to_vec(value, config).map_err(|e| too_large(e.to_string()))?;
    if payload.len() > LIMIT {
        return Err(too_large(format!("it would hold {} bytes", payload.len())));
    }
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend(MARK);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend(checksum(&bytes[8..20], &payload).to_le_bytes());
    bytes.extend(payload);
    Ok(bytes)
}

/// The value of bytes that [`encode`] made; `file` is named in errors.
///
/// # Errors
/// [`Error::Format`] if the bytes are something else, of another version, or damaged.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], file: &Path) -> Result<T> {
    let bad = |found: String, remedy| Error::Format { file: file.into(), what: WHAT, found, remedy };
    let again = "copy it anew from where it was made";
    let Some((header, payload)) =
        bytes.split_at_checked(HEADER).filter(|(header, _)| header.starts_with(&MARK))
    else {
        return Err(bad("it does not begin as one".into(), "give a file that `pushforward train` wrote"));
    };
    let number = |from: usize| {
        u32::from_le_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]])
    };
    if number(8) != VERSION {
        let found = format!("its format version is {}, this program reads {VERSION}", number(8));
        return Err(bad(found, "use the program that wrote it, or a newer one"));
    }
    let length = u64::from(number(12)) | (u64::from(number(16)) << 32);
    if length != payload.len() as u64 {
        return Err(bad(format!("it says {length} bytes and has {}", payload.len()), again));
    }
    if number(20) != checksum(&header[8..20], payload) {
        return Err(bad("its checksum does not fit: it was damaged".into(), again));
    }
    let config = bincode::config::standard().with_limit::<LIMIT>();
    match bincode::serde::decode_from_slice(payload, config) {
        Ok((value, used)) if used == payload.len() => Ok(value),
        Ok((_, used)) => Err(bad(format!("{} bytes are left over", payload.len() - used), again)),
        Err(e) => Err(bad(e.to_string(), again)),
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(payload);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> &'static Path {
        Path::new("x.pf")
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(checksum(b"1234", b"56789"), 0xcbf4_3926); // the check value of CRC-32/ISO-HDLC
    }

    #[test]
    fn every_single_changed_byte_is_found() {
        let value = (vec![1.5_f32, -2.0, f32::MIN_POSITIVE], "words".to_owned(), Some(7_u64));
        let bytes = encode(&value, file()).unwrap();
        assert_eq!(decode::<(Vec<f32>, String, Option<u64>)>(&bytes, file()).unwrap(), value);
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                assert!(decode::<(Vec<f32>, String, Option<u64>)>(&damaged, file()).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn every_truncation_and_extension_is_found() {
        let bytes = encode(&vec![1.0_f64; 5], file()).unwrap();
        for n in 0..bytes.len() {
            assert!(decode::<Vec<f64>>(&bytes[..n], file()).is_err(), "{n} bytes");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(decode::<Vec<f64>>(&longer, file()).is_err());
    }

    #[test]
    fn a_claimed_length_is_not_allocated() {
        // A payload that says "a vector of 2^60 numbers" with a right checksum.
        let mut payload = vec![253];
        payload.extend((1_u64 << 60).to_le_bytes());
        let mut bytes = MARK.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((payload.len() as u64).to_le_bytes());
        bytes.extend(checksum(&bytes[8..20], &payload).to_le_bytes());
        bytes.extend(payload);
        assert!(decode::<Vec<f64>>(&bytes, file()).is_err());
    }
}
