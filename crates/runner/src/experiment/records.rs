//! The output folder of an experiment, as it is read.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use taper_models::files::{FileError, FileKind, check_folder};

use super::manifest::{Manifest, Versions};
use super::record::{Record, RunId};
use super::shard::Order;

/// The file of an output folder that says what it holds the runs of.
pub const MANIFEST: &str = "manifest.json";
/// The file of an output folder with a [`Record`] a line, in the order in which the runs ended; in
/// the canonical order once all have.
pub const RECORDS: &str = "records.jsonl";
/// The file of an output folder with the summary as a table.
pub const SUMMARY: &str = "summary.csv";
/// The file of an output folder with a line for each token of each run.
pub const STEPS: &str = "steps.csv";
/// The file of an output folder with a line for each two runs that are compared.
pub const PAIRS: &str = "pairs.csv";

/// The file that says what the folder holds, as it is read.
const MANIFEST_KIND: FileKind = FileKind::regular("a regular file with a sweep's manifest", 256);
/// The file of records, which is read line by line.
pub(super) const RECORDS_KIND: FileKind = FileKind::regular("a regular file of records", 1 << 40);
/// Bytes of the longest line that is read: the trace of a long text takes some MB.
const LONGEST_LINE: u64 = 1 << 30;

/// What an output folder holds.
///
/// ```no_run
/// use taper_runner::experiment::Records;
///
/// let read = Records::read("results")?;
/// for record in &read.records {
///     println!("{}: {}", record.label, record.text);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Records {
    /// What the folder holds the runs of.
    pub manifest: Manifest,
    /// The runs that there are, in canonical order.
    pub records: Vec<Record>,
    /// A last line that a kill cut off, or that is no record for another reason. A sweep that goes on
    /// in the folder moves it aside and makes its run again.
    pub cut_off: Option<String>,
    /// What was left out because its run is there already.
    pub repeated: Repeated,
}

/// Records of runs that are there already, as where two folders were put together. A run counts once, by
/// its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Repeated {
    /// Records that do not count.
    pub records: usize,
    /// How many of them say something other than the first of their run, times aside.
    pub different: usize,
}

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, different } = self;
        let (records, are) = match records {
            1 => ("1 record".to_owned(), "is of a run that is"),
            _ => (format!("{records} records"), "are of runs that are"),
        };
        write!(f, "{records} {are} there already; a run counts once, by its first record")?;
        if *different > 0 {
            write!(f, " ({different} of them not the same as that)")?;
        }
        Ok(())
    }
}

/// Tells the first record of a run from others.
#[derive(Debug)]
pub(super) struct Seen {
    order: Order,
    /// For each run of the manifest, by its number, a digest of its first record; 0 before there is one.
    first: Vec<u32>,
    /// The same of runs that the manifest does not have.
    strays: HashMap<RunId, u32>,
    pub(super) repeated: Repeated,
}

impl Seen {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let (order, repeated) = (Order::of(manifest), Repeated::default());
        Self { order, first: Vec::new(), strays: HashMap::new(), repeated }
    }

    /// The place for the digest of a run.
    fn place(&mut self, id: RunId) -> &mut u32 {
        let Some(number) = self.order.number(id) else { return self.strays.entry(id).or_default() };
        if self.first.len() <= number {
            self.first.resize(number + 1, 0);
        }
        &mut self.first[number]
    }

    /// Whether the record is the first of its run.
    pub(super) fn is_new(&mut self, record: &Record) -> bool {
        let mut hasher = DefaultHasher::new();
        (&record.tokens, &record.text, record.finish_reason.name()).hash(&mut hasher);
        (&record.error, record.seed, &record.prompt_tokens).hash(&mut hasher);
        let content = (hasher.finish() as u32).max(1);
        let place = self.place(record.id);
        if *place == 0 {
            *place = content;
            return true;
        }
        let different = *place != content;
        self.repeated.records += 1;
        self.repeated.different += usize::from(different);
        false
    }
}

/// Why an output folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// A file or the folder cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder has no manifest.
    #[error("{} is not the output of a sweep: it has no {MANIFEST}", .0.display())]
    NoManifest(PathBuf),
    /// The manifest is not one.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A line that is not the last is no record.
    #[error("{}: line {line} is no record: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
}

impl Manifest {
    /// Reads the manifest of an output folder.
    ///
    /// # Errors
    ///
    /// When there is none, or when it cannot be read.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, RecordsError> {
        let dir = dir.as_ref();
        serde_json::from_slice(&Self::bytes(dir)?).map_err(|error| RecordsError::Manifest {
            path: dir.join(MANIFEST),
            reason: error.to_string(),
        })
    }

    /// What made an output folder, which its manifest says also where this version cannot read the rest;
    /// `None` if it does not say so.
    ///
    /// # Errors
    ///
    /// When there is no manifest, or when it cannot be read.
    pub fn made_by(dir: impl AsRef<Path>) -> Result<Option<Versions>, RecordsError> {
        #[derive(Deserialize)]
        struct Made {
            versions: Versions,
        }
        let made = serde_json::from_slice(&Self::bytes(dir.as_ref())?);
        Ok(made.ok().map(|made: Made| made.versions))
    }

    fn bytes(dir: &Path) -> Result<Vec<u8>, RecordsError> {
        check_folder(dir, "the output folder of a sweep")?;
        let bytes = MANIFEST_KIND.read_if_there(&dir.join(MANIFEST))?;
        bytes.ok_or_else(|| RecordsError::NoManifest(dir.to_owned()))
    }
}

impl Records {
    /// Reads an output folder, finished or not.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, and when a line other than the last is no record.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, RecordsError> {
        let dir = dir.as_ref();
        let manifest = Manifest::read(dir)?;
        let (mut records, mut seen) = (Vec::new(), Seen::of(&manifest));
        let cut_off = each_line(&dir.join(RECORDS), |line| {
            let record = serde_json::from_str(line)?;
            if seen.is_new(&record) {
                records.push(record);
            }
            Ok(())
        })?;
        let cut_off = cut_off.map(|end| end.text);
        records.sort_by_key(|record: &Record| record.id);
        Ok(Self { manifest, records, cut_off, repeated: seen.repeated })
    }

    /// Reads at most so many runs, whose lines have at most so many bytes together: the first seeds of all
    /// prompts and settings. All of them, if they are no more.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_some(
        dir: impl AsRef<Path>,
        most: usize,
        most_bytes: usize,
    ) -> Result<Self, RecordsError> {
        let dir = dir.as_ref();
        let manifest = Manifest::read(dir)?;
        let (mut sample, mut seen) = (Sample::new(most, most_bytes), Seen::of(&manifest));
        let cut_off = each_line(&dir.join(RECORDS), |line| {
            let record = serde_json::from_str(line)?;
            if seen.is_new(&record) {
                sample.offer(record, line.len());
            }
            Ok(())
        })?;
        let cut_off = cut_off.map(|end| end.text);
        let mut records: Vec<Record> =
            sample.held.into_values().map(|(_, record)| record).collect();
        records.sort_by_key(|record| record.id);
        Ok(Self { manifest, records, cut_off, repeated: seen.repeated })
    }
}

/// The first runs by seed, then prompt, then setting, as many as there is room for. Which they are does
/// not depend on the order in which they come.
struct Sample {
    held: BTreeMap<(usize, usize, usize), (usize, Record)>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    /// The first of those that there was no room for.
    end: Option<(usize, usize, usize)>,
}

impl Sample {
    fn new(most: usize, most_bytes: usize) -> Self {
        Self { held: BTreeMap::new(), bytes: 0, most, most_bytes, end: None }
    }

    fn offer(&mut self, record: Record, bytes: usize) {
        let RunId { prompt, setting, seed } = record.id;
        let place = (seed, prompt, setting);
        if self.end.is_some_and(|end| place >= end) {
            return;
        }
        self.bytes += bytes;
        self.held.insert(place, (bytes, record));
        while self.held.len() > self.most || self.bytes > self.most_bytes {
            let Some((place, (bytes, _))) = self.held.pop_last() else { return };
            self.bytes -= bytes;
            self.end = Some(place);
        }
    }
}

/// The last line of a file, if it is not a whole record.
pub(super) struct CutOff {
    pub(super) text: String,
    /// Bytes before it.
    pub(super) at: u64,
}

/// Gives the lines of a file to `take` one after the other. A last line that has no end or that
/// `take` cannot read is returned. No file is as good as an empty one.
pub(super) fn each_line(
    path: &Path,
    take: impl FnMut(&str) -> Result<(), serde_json::Error>,
) -> Result<Option<CutOff>, RecordsError> {
    match RECORDS_KIND.open(path) {
        Ok(file) => each_line_of(file, path, take),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same of an open file, whose path is for messages.
pub(super) fn each_line_of(
    file: impl Read,
    path: &Path,
    mut take: impl FnMut(&str) -> Result<(), serde_json::Error>,
) -> Result<Option<CutOff>, RecordsError> {
    let io = |error: io::Error| FileError::of_system(path, error);
    let mut reader = BufReader::new(file);
    let (mut bytes, mut at) = (Vec::new(), 0);
    for line in 1.. {
        bytes.clear();
        let mut limited = Read::by_ref(&mut reader).take(LONGEST_LINE);
        let length = limited.read_until(b'\n', &mut bytes).map_err(io)? as u64;
        if length == 0 {
            break;
        }
        let is_last = |reader: &mut BufReader<_>| reader.fill_buf().map(<[u8]>::is_empty);
        let cut_off = || CutOff { text: String::from_utf8_lossy(&bytes).into(), at };
        let read = match std::str::from_utf8(&bytes) {
            Ok(text) if text.ends_with('\n') => take(text),
            Ok(_) => Err(serde::de::Error::custom("it has no end")),
            Err(error) => Err(serde::de::Error::custom(error)),
        };
        if let Err(error) = read {
            if is_last(&mut reader).map_err(io)? {
                return Ok(Some(cut_off()));
            }
            let (path, reason) = (path.to_owned(), error.to_string());
            return Err(RecordsError::Line { path, line, reason });
        }
        at += length;
    }
    Ok(None)
}
