//! What a training takes, and what there is: refused before the work starts, not killed in the middle.
//!
//! # Limits
//! An estimate: sums of what the training is known to hold, not of what the system rounds it to. Where the system does not tell
//! what it has (it is Linux that is asked), only `--max-memory` refuses.

use std::fs;
use std::path::{Path, PathBuf};

use pushforward::data::{ReadOptions, TableReader, Toy};
use pushforward::nn::MlpShape;
use pushforward::{Error, Result};

use crate::args::Common;
use crate::input::Data;

/// Parameters as they are, packed twice, in the flow and in the run; five of the optimiser; eight gradients; once more at the end:
/// 23 numbers of 4 bytes, and a little.
const BYTES_A_PARAMETER: u64 = 100;

/// The most parameters of a network, 2^28.
const MOST_PARAMETERS: u64 = 1 << 28;

/// A number of the table as it is read, checked, standardised and in f32.
const BYTES_A_NUMBER: u64 = 28;

/// Eight blocks of 128 rows, of each hidden number about four of 4 bytes.
const BYTES_A_UNIT: u64 = 8 * 128 * 16;

/// The program itself, its threads and buffers.
const BASE: u64 = 1 << 26;

/// The longest number in NPY.
const MOST_BYTES: u64 = 8;

/// The longest text of a number in a table, and what is between two.
const MOST_DIGITS: u64 = 26;

/// Refuses a training of a network like this one on these data, if even the least that it takes is too much. No row is read.
pub(crate) fn check(shape: &MlpShape, data: &Data, common: &Common) -> Result<()> {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    // More are refused by the network itself, in words about its widths.
    let parameters = shape.parameters().map_or(0, count);
    if parameters > MOST_PARAMETERS {
        return Ok(());
    }
    let units = shape.hidden.iter().map(|&width| count(width)).fold(count(shape.dim), u64::saturating_add);
    let numbers = match data {
        Data::Toy(_, rows) => count(*rows).saturating_mul(count(Toy::DIM)),
        Data::File(path) => {
            let is = |kind: &str| path.extension().is_some_and(|word| word.eq_ignore_ascii_case(kind));
            let bytes = fs::metadata(path).map_or(0, |file| file.len());
            // Text has at least so many, and NPY: of archives nothing is known before they are opened.
            // Of Parquet the footer says it; what is wrong with that is said when the table is read.
            if is("npy") {
                bytes / MOST_BYTES
            } else if is("parquet") {
                let table = TableReader::open(path, &ReadOptions::default()).ok();
                table.and_then(|table| table.announced_rows()).map_or(0, count)
            } else {
                bytes / MOST_DIGITS * u64::from(is("csv"))
            }
        }
        Data::Standard => 0,
    };
    let needed = [(parameters, BYTES_A_PARAMETER), (units, BYTES_A_UNIT), (numbers, BYTES_A_NUMBER)]
        .into_iter()
        .fold(BASE, |sum, (count, bytes)| sum.saturating_add(count.saturating_mul(bytes)));
    let Some(there) = common.max_memory.or_else(available) else { return Ok(()) };
    if needed <= there {
        return Ok(());
    }
    Err(Error::Setting {
        name: "max-memory",
        value: format!("{}, and this training takes at least about {}", in_words(there), in_words(needed)),
        remedy: "give fewer rows or columns, or a smaller network; or allow more, if there is more",
    })
}

fn in_words(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Bytes that this process may still take: the least of what the machine has and its control groups allow.
fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups.lines().filter_map(group).flat_map(|(root, own)| limits(&root, &own)).chain(machine).min()
}

/// Where a line of /proc/self/cgroup stands in the file system: of version 2, or the memory of version 1.
fn group(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (kinds, path) = line.split_once(':')?.1.split_once(':')?;
    let root = match kinds {
        "" => Path::new("/sys/fs/cgroup"),
        _ if kinds.split(',').any(|kind| kind == "memory") => Path::new("/sys/fs/cgroup/memory"),
        _ => return None,
    };
    Some((root.into(), root.join(path.trim_start_matches('/'))))
}

/// What a group and those above it leave.
fn limits(root: &Path, own: &Path) -> Vec<u64> {
    let number =
        |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    own.ancestors()
        .take_while(|folder| folder.starts_with(root))
        .filter_map(|folder| {
            let limit = number(folder, "memory.max").or_else(|| number(folder, "memory.limit_in_bytes"))?;
            let used =
                number(folder, "memory.current").or_else(|| number(folder, "memory.usage_in_bytes"))?;
            // Files that were read are part of what is used, and given back when it is needed.
            let files = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
            let files = files
                .lines()
                .find_map(|line| line.strip_prefix("file ").or_else(|| line.strip_prefix("cache ")));
            let files = files.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
            Some(limit.saturating_sub(used.saturating_sub(files)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_versions_are_found() {
        let found = |line| group(line).map(|(_, own)| own.display().to_string());
        assert_eq!(found("0::/user.slice/a"), Some("/sys/fs/cgroup/user.slice/a".into()));
        assert_eq!(found("9:memory:/job"), Some("/sys/fs/cgroup/memory/job".into()));
        assert_eq!(found("4:cpu,cpuacct:/job"), None);
        assert_eq!(found("nothing"), None);
    }

    #[test]
    fn the_least_of_all_groups_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (root, own) = (folder.path(), folder.path().join("a/b"));
        fs::create_dir_all(&own).unwrap();
        for (file, text) in [
            ("a/memory.max", "1000\n"),
            ("a/memory.current", "700\n"),
            ("a/memory.stat", "anon 100\nfile 600\n"),
            ("a/b/memory.max", "max\n"),
            ("memory.limit_in_bytes", "5000"),
            ("memory.usage_in_bytes", "1000"),
            ("memory.stat", "cache 0\n"),
        ] {
            fs::write(root.join(file), text).unwrap();
        }
        assert_eq!(limits(root, &own), [900, 4000]);
    }
}
