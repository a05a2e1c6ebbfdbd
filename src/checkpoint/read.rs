//! Reads what [`Contents`](super::Contents) wrote, and believes none of it before it was checked.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{
    ALIGNMENT, CHECKED, Content, ENTRY, HEADER, Kind, MARK, MOST_FIELD_BYTES, MOST_SECTIONS, NAME, PIECE,
    VERSION, fields,
};
use crate::error::{Error, Result};

const AGAIN: &str = "copy it anew from where it was made";
const OTHER_PROGRAM: &str = "use the version of the program that wrote it";

/// The sections of a file that was read: whole, and with the right checksums.
#[derive(Debug)]
pub struct Loaded {
    file: PathBuf,
    kind: Kind,
    sections: Vec<(String, Data)>,
}

#[derive(Debug)]
enum Data {
    Fields(Vec<u8>),
    Numbers(Vec<f32>),
}

/// Reads a file.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Format`] if it is something else, of another version, or damaged: the section
/// is named.
pub fn read(path: &Path, kind: Kind) -> Result<Loaded> {
    let failed = |source| Error::Io { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    Source { input: file, length: metadata.is_file().then_some(metadata.len()), file: path, kind }.load()
}

/// Reads the bytes of a file; `file` is named in errors.
///
/// # Errors
/// [`Error::Format`] as [`read`].
pub fn decode(bytes: &[u8], file: &Path, kind: Kind) -> Result<Loaded> {
    Source { input: bytes, length: Some(bytes.len() as u64), file, kind }.load()
}

impl Loaded {
    /// The value of a section, which is then gone.
    ///
    /// # Errors
    /// [`Error::Format`] if there is no such section, or it holds something else.
    pub fn fields<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        let bytes = self.field_bytes(name)?;
        fields::decode(&bytes).map_err(|problem| self.misunderstood(name, &problem))
    }

    /// The names and values of a section, as [`flat`](super::flat) gives them; the section is then gone.
    ///
    /// # Errors
    /// As [`Loaded::fields`].
    pub fn flat_fields(&mut self, name: &str) -> Result<Vec<(String, String)>> {
        let bytes = self.field_bytes(name)?;
        fields::decode_flat(&bytes).map_err(|problem| self.misunderstood(name, &problem))
    }

    /// The numbers of a section, which is then gone.
    ///
    /// # Errors
    /// [`Error::Format`] if there is no such section, or it holds something else.
    pub fn numbers(&mut self, name: &str) -> Result<Vec<f32>> {
        match self.take(name)? {
            Data::Numbers(numbers) => Ok(numbers),
            Data::Fields(_) => Err(self.bad(format!("section `{name}` holds no numbers"), OTHER_PROGRAM)),
        }
    }

    /// Says that nothing else is expected.
    ///
    /// # Errors
    /// [`Error::Format`] if a section is left.
    pub fn end(&self) -> Result<()> {
        self.sections.first().map_or(Ok(()), |(name, _)| {
            Err(self.bad(format!("section `{name}` is not known"), OTHER_PROGRAM))
        })
    }

    /// An error about this file.
    #[must_use]
    pub fn bad(&self, found: String, remedy: &'static str) -> Error {
        Error::Format { file: self.file.clone(), what: self.kind.what(), found, remedy }
    }

    fn field_bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        match self.take(name)? {
            Data::Fields(bytes) => Ok(bytes),
            Data::Numbers(_) => Err(self.bad(format!("section `{name}` holds no fields"), OTHER_PROGRAM)),
        }
    }

    fn misunderstood(&self, name: &str, problem: &fields::Problem) -> Error {
        self.bad(format!("section `{name}` is whole, but not understood: {problem}"), OTHER_PROGRAM)
    }

    fn take(&mut self, name: &str) -> Result<Data> {
        match self.sections.iter().position(|(own, _)| own == name) {
            Some(at) => Ok(self.sections.remove(at).1),
            None => Err(self.bad(format!("it has no section `{name}`"), OTHER_PROGRAM)),
        }
    }
}

/// One line of the section table.
struct Entry {
    name: String,
    content: Content,
    offset: u64,
    length: u64,
    hash: [u8; 32],
}

/// A file that is being read.
struct Source<'a, I> {
    input: I,
    /// The length of the file, if that is known before.
    length: Option<u64>,
    file: &'a Path,
    kind: Kind,
}

impl<I: Read> Source<'_, I> {
    fn load(mut self) -> Result<Loaded> {
        let (entries, end) = self.table()?;
        if let Some(length) = self.length {
            self.check_length(&entries, end, length)?;
        }
        let mut at = (HEADER + ENTRY * entries.len()) as u64;
        let mut sections = Vec::with_capacity(entries.len());
        for entry in entries {
            let mut between = Vec::new();
            self.pieces(&entry.name, entry.offset - at, |bytes| between.extend_from_slice(bytes))?;
            if between.iter().any(|&byte| byte != 0) {
                let found =
                    format!("the bytes before section `{}` are damaged: they must be zero", entry.name);
                return Err(self.bad(found, AGAIN));
            }
            at = entry.offset + entry.length;
            let data = self.section(&entry)?;
            sections.push((entry.name, data));
        }
        let mut more = [0];
        if self.read(&mut more)? != 0 {
            return Err(self.bad(format!("bytes follow after its end at {end}"), AGAIN));
        }
        Ok(Loaded { file: self.file.into(), kind: self.kind, sections })
    }

    /// Header and section table.
    fn table(&mut self) -> Result<(Vec<Entry>, u64)> {
        let mut header = [0; HEADER];
        let got = self.read(&mut header)?;
        if got < MARK.len() || !header.starts_with(&MARK) {
            let remedy = "give a file that `pushforward train` wrote";
            return Err(self.bad("it does not begin as one".into(), remedy));
        }
        let version = u32_at(&header, 8);
        if got >= 12 && version != VERSION {
            let found = format!("its format version is {version}, this program reads {VERSION}");
            return Err(self.bad(found, "use the program that wrote it, or a newer one"));
        }
        let short = || format!("it ends in its header, after {got} bytes");
        if got < HEADER {
            return Err(self.bad(short(), AGAIN));
        }
        let damaged = "its header or section table is damaged: the SHA-256 does not fit";
        let count = usize::try_from(u32_at(&header, 16)).unwrap_or(usize::MAX);
        if count > MOST_SECTIONS {
            return Err(self.bad(damaged.into(), AGAIN));
        }
        let mut table = vec![0; count * ENTRY];
        let got = self.read(&mut table)?;
        if got < table.len() {
            // With fewer sections than it says it may be the number that was damaged: the file is either.
            let found = format!(
                "it ends in its section table, or its header is damaged, after {} bytes",
                HEADER + got
            );
            return Err(self.bad(found, AGAIN));
        }
        let hash = Sha256::new().chain_update(&header[..CHECKED]).chain_update(&table).finalize();
        if hash[..] != header[CHECKED..] {
            return Err(self.bad(damaged.into(), AGAIN));
        }
        if u32_at(&header, 12) != self.kind.number() {
            let found = match self.kind {
                Kind::Model => "it is the state of a training",
                Kind::Training => "it is a model",
            };
            let remedy =
                "a model is what `train` leaves at its end; its state before is for `train --resume`";
            return Err(self.bad(found.into(), remedy));
        }
        let end = u64_at(&header, 24);
        let (mut entries, mut last) = (Vec::with_capacity(count), (HEADER + table.len()) as u64);
        for bytes in table.chunks_exact(ENTRY) {
            let entry = Entry::parse(bytes)
                .filter(|entry| {
                    // In order, without overlap, inside what is said to be there.
                    let begin = last.checked_next_multiple_of(ALIGNMENT);
                    begin == Some(entry.offset)
                        && entry.offset.checked_add(entry.length).is_some_and(|e| e <= end)
                })
                .ok_or_else(|| self.bad("its section table makes no sense".into(), OTHER_PROGRAM))?;
            last = entry.offset + entry.length;
            entries.push(entry);
        }
        if last != end {
            return Err(self.bad("its section table does not reach its end".into(), OTHER_PROGRAM));
        }
        Ok((entries, end))
    }

    fn check_length(&self, entries: &[Entry], end: u64, length: u64) -> Result<()> {
        if length > end {
            return Err(self.bad(format!("{} bytes follow after its end", length - end), AGAIN));
        }
        // The first section that is not whole; one of no bytes is whole where it begins.
        let cut = entries.iter().find(|entry| entry.offset + entry.length > length);
        cut.map_or(Ok(()), |entry| {
            Err(self.ends_in(&entry.name, length.saturating_sub(entry.offset), entry.length))
        })
    }

    fn ends_in(&self, name: &str, got: u64, expected: u64) -> Error {
        self.bad(format!("it ends in section `{name}`: {got} of its {expected} bytes are there"), AGAIN)
    }

    fn section(&mut self, entry: &Entry) -> Result<Data> {
        let Entry { name, content, length, hash: expected, .. } = entry;
        let mut hash = Sha256::new();
        let data = match content {
            Content::Fields if *length > MOST_FIELD_BYTES as u64 => {
                return Err(
                    self.bad(format!("section `{name}` says {length} bytes of fields"), OTHER_PROGRAM)
                );
            }
            Content::Fields => {
                let mut fields = Vec::new();
                self.pieces(name, *length, |bytes| {
                    hash.update(bytes);
                    fields.extend_from_slice(bytes);
                })?;
                Data::Fields(fields)
            }
            Content::Numbers => {
                let mut numbers = Vec::new();
                self.pieces(name, *length, |bytes| {
                    hash.update(bytes);
                    let (whole, _) = bytes.as_chunks::<4>();
                    numbers.extend(whole.iter().map(|&bytes| f32::from_le_bytes(bytes)));
                })?;
                Data::Numbers(numbers)
            }
        };
        if hash.finalize()[..] != expected[..] {
            let found = format!("section `{name}` is damaged: its SHA-256 does not fit");
            return Err(self.bad(found, AGAIN));
        }
        Ok(data)
    }

    /// The next `length` bytes, all pieces but the last of the same length, a multiple of 4.
    fn pieces(&mut self, name: &str, length: u64, mut to: impl FnMut(&[u8])) -> Result<()> {
        let (mut piece, mut left) = ([0; PIECE], length);
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
            let piece = piece.get_mut(..want).unwrap_or_default();
            let got = self.read(piece)?;
            if got < want {
                return Err(self.ends_in(name, length - left + got as u64, length));
            }
            to(piece);
            left -= want as u64;
        }
        Ok(())
    }

    /// Fills as much of `bytes` as there is; how much that was.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let mut got = 0;
        while got < bytes.len() {
            match self.input.read(bytes.get_mut(got..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Io { action: "read", path: self.file.into(), source }),
            }
        }
        Ok(got)
    }

    fn bad(&self, found: String, remedy: &'static str) -> Error {
        Error::Format { file: self.file.into(), what: self.kind.what(), found, remedy }
    }
}

impl Entry {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (name, rest) = bytes.split_at_checked(NAME)?;
        let used = name.iter().position(|&byte| byte == 0).unwrap_or(NAME);
        let (used, zeros) = name.split_at(used);
        if used.is_empty() || !used.iter().all(u8::is_ascii_graphic) || zeros.iter().any(|&byte| byte != 0) {
            return None;
        }
        let (numbers, hash) = rest.split_at_checked(24)?;
        let length = u64_at(numbers, 16);
        let content = match u32_at(numbers, 0) {
            1 => Content::Fields,
            2 if length.is_multiple_of(4) => Content::Numbers,
            _ => return None,
        };
        let name = str::from_utf8(used).ok()?.to_owned();
        Some(Self { name, content, offset: u64_at(numbers, 8), length, hash: hash.try_into().ok()? })
    }
}

/// The number at a place; 0 beyond the end.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes)
}

/// The number at a place; 0 beyond the end.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_le_bytes)
}
