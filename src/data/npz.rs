//! One array out of an NPZ archive: a path `file.npz:name`, or `file.npz` if there is but one.
//!
//! # Limits
//! `numpy.savez` stores, `numpy.savez_compressed` deflates; nothing else is read. The array is read as it comes, not into
//! memory, and no size that the archive claims is believed: what the array's own header says must be there. The
//! checksum of the archive is compared when the last number was read.
//!
//! # Source
//! APPNOTE.TXT 6.3 (ZIP); numpy.savez: an archive of `name.npy`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::table::{bad_table, unreadable};
use crate::error::{Error, Result};

/// What the names of arrays end in inside an archive.
const MEMBER: &str = ".npy";

/// Names that a message lists.
const LISTED: usize = 20;

/// Archive and array of a path, if it is one into an NPZ archive.
pub(super) fn split(path: &Path) -> Option<(PathBuf, Option<String>)> {
    let text = path.to_str()?;
    if text.to_ascii_lowercase().ends_with(".npz") {
        return Some((path.into(), None));
    }
    let at = text.to_ascii_lowercase().rfind(".npz:")? + ".npz".len();
    let (archive, array) = text.split_at_checked(at)?;
    Some((archive.into(), Some(array.strip_prefix(':')?.to_owned())))
}

/// Opens an array: its bytes are those of an NPY file.
pub(super) fn open(archive: &Path, array: Option<&str>) -> Result<Box<dyn Read>> {
    let file = File::open(archive).map_err(|source| unreadable(archive, source))?;
    let bad = |found: String| Error::Format {
        file: archive.into(),
        what: "NPZ archive",
        found,
        remedy: "save it with `numpy.savez` or `numpy.savez_compressed`",
    };
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|e| bad(e.to_string()))?;
    let name = match array {
        Some(array) => format!("{array}{MEMBER}"),
        None if zip.len() == 1 => zip.file_names().next().unwrap_or_default().to_owned(),
        None => return Err(which(archive, &zip, format!("it holds {} arrays", zip.len()))),
    };
    let Some(index) = zip.index_for_name(&name) else {
        return Err(which(archive, &zip, format!("it has no array `{}`", array.unwrap_or_default())));
    };
    let member = zip.by_index_raw(index).map_err(|e| bad(e.to_string()))?;
    if member.encrypted() {
        return Err(bad("it is encrypted".into()));
    }
    let (method, size, crc) = (member.compression(), member.compressed_size(), member.crc32());
    let start = member.data_start().ok_or_else(|| bad("it does not say where its arrays begin".into()))?;
    drop(member);
    let mut file = zip.into_inner();
    file.seek(SeekFrom::Start(start)).map_err(|source| unreadable(archive, source))?;
    let raw = file.take(size);
    let bytes: Box<dyn Read> = match method {
        CompressionMethod::STORE => Box::new(raw),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(raw)),
        other => return Err(bad(format!("it is compressed by {other}, not stored or deflated"))),
    };
    Ok(Box::new(Checked { bytes, found: flate2::Crc::new(), expected: crc }))
}

/// The error that lists what there is to choose from.
fn which<R: Read + io::Seek>(archive: &Path, zip: &ZipArchive<R>, found: String) -> Error {
    let names: Vec<&str> =
        zip.file_names().filter_map(|name| name.strip_suffix(MEMBER)).take(LISTED).collect();
    let found = format!("{found}; there are {}", names.join(", "));
    bad_table(archive, found, "name one of them as `file.npz:name`")
}

/// Bytes whose checksum is compared at their end.
struct Checked {
    bytes: Box<dyn Read>,
    found: flate2::Crc,
    expected: u32,
}

impl Read for Checked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(out)?;
        self.found.update(out.get(..read).unwrap_or_default());
        if read == 0 && !out.is_empty() && self.found.sum() != self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the array is damaged: its checksum does not fit",
            ));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::super::table::{ReadOptions, Table};
    use super::*;
    use crate::tensor::Tensor;

    /// numpy 2: np.savez(file, a=np.array([[1., 2.], [3., 4.]]), b=np.array([5, 6], '<i2')), and the same by
    /// np.savez_compressed (tests/golden/npz.py).
    const STORED: &[u8] = include_bytes!("../../tests/golden/stored.npz");
    const DEFLATED: &[u8] = include_bytes!("../../tests/golden/deflated.npz");

    fn read(folder: &Path, name: &str) -> Result<Table> {
        Table::read(&folder.join(name), &ReadOptions::default())
    }

    fn said(folder: &Path, name: &str) -> String {
        read(folder, name).unwrap_err().to_string()
    }

    #[test]
    fn what_numpy_saved_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [STORED, DEFLATED] {
            std::fs::write(folder.path().join("x.npz"), bytes).unwrap();
            let table = read(folder.path(), "x.npz:a").unwrap();
            assert_eq!(table.values, Tensor::from_rows(&[[1.0, 2.0], [3.0, 4.0]]));
            assert_eq!(read(folder.path(), "x.npz:b").unwrap().values.as_slice(), [5.0, 6.0]);
            let text = said(folder.path(), "x.npz");
            assert!(
                text.ends_with("it holds 2 arrays; there are a, b; name one of them as `file.npz:name`"),
                "{text}"
            );
            assert!(said(folder.path(), "x.npz:c").contains("it has no array `c`; there are a, b"));
        }
        assert!(said(folder.path(), "none.npz:a").starts_with("cannot read"));
    }

    #[test]
    fn any_damage_is_an_error_or_changes_no_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        for whole in [STORED, DEFLATED] {
            let mut refused = 0;
            for at in 0..whole.len() {
                let mut bytes = whole.to_vec();
                bytes[at] ^= 0x10;
                std::fs::write(&path, &bytes).unwrap();
                match read(folder.path(), "x.npz:a") {
                    Ok(table) => assert_eq!(table.values.as_slice(), [1.0, 2.0, 3.0, 4.0], "byte {at}"),
                    Err(error) => {
                        refused += 1;
                        assert!(error.to_string().contains("x.npz"), "{error}");
                    }
                }
                std::fs::write(&path, &whole[..at]).unwrap();
                assert!(read(folder.path(), "x.npz:a").is_err(), "{at} bytes");
            }
            assert!(refused > whole.len() / 8, "{refused}: half of the file is about the other array");
        }
    }

    #[test]
    fn a_wrong_checksum_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = STORED.windows(8).position(|bytes| bytes == 3.0_f64.to_le_bytes()).unwrap();
        let mut bytes = STORED.to_vec();
        bytes[at] ^= 1;
        std::fs::write(folder.path().join("x.npz"), bytes).unwrap();
        let error = read(folder.path(), "x.npz:a").unwrap_err();
        assert!(error.source().unwrap().to_string().contains("checksum"), "{error}");
    }

    #[test]
    fn paths_are_told_apart() {
        let parts = |path: &str| split(Path::new(path)).map(|(a, b)| (a.display().to_string(), b));
        assert_eq!(parts("a.npz"), Some(("a.npz".into(), None)));
        assert_eq!(parts("d/a.NPZ:x"), Some(("d/a.NPZ".into(), Some("x".into()))));
        assert_eq!(parts("a.npz:b.npz:x"), Some(("a.npz:b.npz".into(), Some("x".into()))));
        for other in ["a.npy", "a.npzx", "npz:x", ""] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
