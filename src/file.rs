//! [`AtomicFile`]: a file that replaces its target only when it is complete.
//!
//! Everything is written to a temporary file in the target's folder; [`AtomicFile::commit`] syncs it
//! and renames it over the target. Whoever looks at the target sees the old content or the new, never
//! a part, and a run that fails leaves it as it was.
//!
//! # Limits
//! A symbolic link is followed, so that the link stays and the file it names is replaced. The
//! permissions of an existing file are kept, its owner and its hard links are not. What is no regular
//! file (a pipe, a device such as `/dev/stdout`) cannot be replaced and is written directly. A process
//! that is killed leaves the temporary file, `.pushforward-` and six letters, behind; one that ends itself
//! can remove it by [`remove_unfinished`]. For that the names of these files are kept for the whole process: a
//! signal does not know who was writing.

#![deny(clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};

/// As many symbolic links are followed as Linux follows itself (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The temporary files that are neither in place nor removed.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every temporary file of this process and lets none begin or be put in place: for a process that is about to end in
/// the middle of its work, as after a second Ctrl-C. Whoever writes a file afterwards waits for ever.
pub fn remove_unfinished() {
    let files = unfinished();
    for file in files.iter() {
        // One that is gone already needs no removal, and of another nobody is left to be told.
        let _ = fs::remove_file(file);
    }
    std::mem::forget(files);
}

/// The place of a temporary file among those that are not finished.
#[derive(Debug)]
struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        unfinished().remove(&self.0);
    }
}

/// A file that replaces its target only when it is complete; dropped without
/// [`commit`](Self::commit), it is gone and the target is as before. Writing to it is buffered.
///
/// # Example
/// ```
/// use std::io::Write as _;
///
/// use pushforward::file::AtomicFile;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("answer.txt");
/// let mut file = AtomicFile::create(&path)?;
/// file.write_all(b"42\n")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"42\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    out: BufWriter<Out>,
}

/// Where the bytes go.
#[derive(Debug)]
enum Out {
    /// A regular file: into `file` first, which becomes `target`.
    Replaced { file: NamedTempFile, target: PathBuf, listed: Listed },
    /// A pipe or a device.
    Direct(File),
}

impl AtomicFile {
    /// Begins a file that will stand at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] with `path` if its folder does not exist or cannot be written to, or if `path` is
    /// a folder or a file that may not be written.
    pub fn create(path: &Path) -> Result<Self> {
        let out = begin(path).map_err(|source| refused(path, source))?;
        Ok(Self { path: path.to_path_buf(), out: BufWriter::new(out) })
    }

    /// The path it was created with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is buffered, syncs it to the disk and puts it in the target's place.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses one of these steps; the target is then as it was before.
    pub fn commit(self) -> Result<()> {
        let Self { path, out } = self;
        let out = out.into_inner().map_err(io::IntoInnerError::into_error);
        out.and_then(finish).map_err(|source| refused(&path, source))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What was written can be written again, for example a count at the start that is known at the end.
/// What is no regular file may refuse.
impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.out.seek(to)
    }
}

impl Seek for Out {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Replaced { file, .. } => file.seek(to),
            Self::Direct(file) => file.seek(to),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Replaced { file, .. } => file.write(bytes),
            Self::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Replaced { file, .. } => file.flush(),
            Self::Direct(file) => file.flush(),
        }
    }
}

fn refused(path: &Path, source: io::Error) -> Error {
    Error::Io { action: "write", path: path.to_path_buf(), source }
}

fn begin(path: &Path) -> io::Result<Out> {
    // Opening the target itself (which changes nothing in it) asks the system whether it may be
    // written; a rename would only ask the folder.
    match OpenOptions::new().write(true).open(path) {
        Ok(existing) => {
            let metadata = existing.metadata()?;
            if !metadata.is_file() {
                return Ok(Out::Direct(existing));
            }
            let target = fs::canonicalize(path)?;
            let (file, listed) = temporary(&target)?;
            fs::set_permissions(file.path(), metadata.permissions())?;
            Ok(Out::Replaced { file, target, listed })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let target = follow_links(path)?;
            let (file, listed) = temporary(&target)?;
            Ok(Out::Replaced { file, target, listed })
        }
        Err(error) => Err(error),
    }
}

/// The path that a symbolic link without a target would create; any other path is its own.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = folder_of(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A temporary file beside `target`, with the permissions of an ordinary new file.
fn temporary(target: &Path) -> io::Result<(NamedTempFile, Listed)> {
    let folder = folder_of(target);
    if target.file_name().is_none() || target.as_os_str().to_string_lossy().ends_with(std::path::is_separator)
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this names a folder, not a file"));
    }
    if !folder.exists() {
        let text = format!("the folder {} does not exist", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    // `tempfile` adds the temporary name, which helps nobody, to what the system said: keep the latter.
    let mut system = None;
    let mut files = unfinished();
    let made = Builder::new().prefix(".pushforward-").make_in(folder, |path| {
        let opened = options.open(path);
        system = opened.as_ref().err().and_then(io::Error::raw_os_error);
        opened
    });
    let file = made.map_err(|error| system.map_or(error, io::Error::from_raw_os_error))?;
    files.insert(file.path().to_path_buf());
    let listed = Listed(file.path().to_path_buf());
    Ok((file, listed))
}

fn finish(out: Out) -> io::Result<()> {
    match out {
        Out::Direct(mut file) => file.flush(),
        Out::Replaced { file, target, listed } => {
            file.as_file().sync_all()?;
            let mut files = unfinished();
            file.persist(&target).map_err(|error| error.error)?;
            files.remove(&listed.0);
            drop(files);
            sync_folder(folder_of(&target))
        }
    }
}

/// Makes the new name durable. The content is already in place: a file system that has no such
/// operation, or a folder that may not be read, is no failure.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => Ok(()),
        result => result,
    }
}

/// Other systems cannot open a folder.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn write(path: &Path, bytes: &[u8]) {
        let mut file = AtomicFile::create(path).unwrap();
        file.write_all(bytes).unwrap();
        file.commit().unwrap();
    }

    fn refusal(path: &Path) -> String {
        let error = AtomicFile::create(path).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {}", path.display()));
        error.source().unwrap().to_string()
    }

    #[test]
    fn the_target_appears_whole_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let bytes = vec![7_u8; 1_000_000];
        let mut file = AtomicFile::create(&path).unwrap();
        assert_eq!(file.path(), path);
        file.write_all(&bytes).unwrap();
        file.flush().unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn the_start_can_be_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"??? rows").unwrap();
        file.rewind().unwrap();
        file.write_all(b"123").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"123 rows");
    }

    #[test]
    fn dropped_it_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        for target in [path.clone(), folder.path().join("b.txt")] {
            let mut file = AtomicFile::create(&target).unwrap();
            file.write_all(b"new").unwrap();
            file.flush().unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn old_content_is_replaced_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "something longer").unwrap();
        let mut reader = File::open(&path).unwrap();
        write(&path, b"new");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // Who had it open before still reads the old file to its end.
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "something longer");
    }

    #[test]
    fn what_cannot_be_written_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/a.csv");
        let text = format!("the folder {} does not exist", folder.path().join("no/such").display());
        assert_eq!(refusal(&missing), text);
        assert!(refusal(folder.path()).contains("irectory"));
        assert!(refusal(&folder.path().join("new/")).contains("folder"));
        assert!(AtomicFile::create(Path::new("")).is_err());
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(AtomicFile::create(&file.join("a.csv")).is_err());
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_name_without_a_folder_means_the_current_one() {
        assert_eq!(folder_of(Path::new("a.csv")), Path::new("."));
        assert_eq!(folder_of(Path::new("b/a.csv")), Path::new("b"));
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        use super::*;

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o7777
        }

        #[test]
        fn permissions_are_kept_or_those_of_an_ordinary_file() {
            let folder = tempfile::tempdir().unwrap();
            let (ordinary, new) = (folder.path().join("ordinary"), folder.path().join("new"));
            fs::write(&ordinary, "").unwrap();
            write(&new, b"x");
            assert_eq!(mode(&new), mode(&ordinary));
            for kept in [0o600, 0o644, 0o755, 0o666] {
                fs::set_permissions(&new, fs::Permissions::from_mode(kept)).unwrap();
                write(&new, b"y");
                assert_eq!(mode(&new), kept);
            }
        }

        #[test]
        fn links_stay_links() {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            fs::create_dir(at("deep")).unwrap();
            fs::write(at("deep/old"), "old").unwrap();
            symlink("deep/old", at("link")).unwrap();
            symlink("link", at("link to link")).unwrap();
            symlink("deep/new", at("dangling")).unwrap();
            write(&at("link to link"), b"1");
            write(&at("dangling"), b"2");
            assert_eq!(fs::read(at("deep/old")).unwrap(), b"1");
            assert_eq!(fs::read(at("deep/new")).unwrap(), b"2");
            for link in ["link", "link to link", "dangling"] {
                assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink());
            }
            assert_eq!(names(&at("deep")), ["new", "old"]);
            symlink("circle", at("circle")).unwrap();
            assert!(AtomicFile::create(&at("circle")).is_err());
        }

        #[test]
        fn a_device_is_written_and_stays() {
            write(Path::new("/dev/null"), b"x");
            assert!(!fs::metadata("/dev/null").unwrap().is_file());
        }

        #[cfg(target_os = "linux")]
        #[test]
        fn a_folder_that_takes_no_files_is_named_by_the_system_alone() {
            assert_eq!(refusal(Path::new("/proc/a.csv")), "No such file or directory (os error 2)");
        }

        #[cfg(target_os = "linux")]
        #[test]
        fn a_full_disk_fails_the_commit() {
            let mut file = AtomicFile::create(Path::new("/dev/full")).unwrap();
            file.write_all(b"x").unwrap();
            let error = file.commit().unwrap_err();
            assert_eq!(error.to_string(), "cannot write /dev/full");
        }
    }
}
