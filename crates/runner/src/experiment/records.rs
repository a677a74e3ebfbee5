//! The output folder of an experiment, as it is read.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::record::Record;

/// The file of an output folder that says what it holds the runs of.
pub const MANIFEST: &str = "manifest.json";
/// The file of an output folder with a [`Record`] a line, in the order in which the runs ended; in
/// the canonical order once all have.
pub const RECORDS: &str = "records.jsonl";
/// The file of an output folder with the summary as a table.
pub const SUMMARY: &str = "summary.csv";

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
}

/// Why an output folder can not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// A file can not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
    /// When there is none, or when it can not be read.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, RecordsError> {
        let path = dir.as_ref().join(MANIFEST);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(RecordsError::NoManifest(dir.as_ref().to_owned()));
            }
            Err(source) => return Err(RecordsError::Io { path, source }),
        };
        serde_json::from_slice(&bytes)
            .map_err(|error| RecordsError::Manifest { path, reason: error.to_string() })
    }
}

impl Records {
    /// Reads an output folder, finished or not.
    ///
    /// # Errors
    ///
    /// When a file can not be read, and when a line other than the last is no record.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, RecordsError> {
        let dir = dir.as_ref();
        let manifest = Manifest::read(dir)?;
        let mut records = Vec::new();
        let cut_off = each_line(&dir.join(RECORDS), |line| {
            records.push(serde_json::from_str(line)?);
            Ok(())
        })?;
        let cut_off = cut_off.map(|end| end.text);
        records.sort_by_key(|record: &Record| record.id);
        Ok(Self { manifest, records, cut_off })
    }
}

/// The last line of a file, if it is not a whole record.
pub(super) struct CutOff {
    pub(super) text: String,
    /// Bytes before it.
    pub(super) at: u64,
}

/// Gives the lines of a file to `take` one after the other. A last line that has no end or that
/// `take` can not read is returned. No file is as good as an empty one.
pub(super) fn each_line(
    path: &Path,
    mut take: impl FnMut(&str) -> Result<(), serde_json::Error>,
) -> Result<Option<CutOff>, RecordsError> {
    let io = |source| RecordsError::Io { path: path.to_owned(), source };
    let mut reader = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io(source)),
    };
    let (mut bytes, mut at) = (Vec::new(), 0);
    for line in 1.. {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes).map_err(io)?;
        if length == 0 {
            break;
        }
        let cut_off = || CutOff { text: String::from_utf8_lossy(&bytes).into(), at };
        if !bytes.ends_with(b"\n") {
            return Ok(Some(cut_off()));
        }
        let text = std::str::from_utf8(&bytes).map_err(serde::de::Error::custom);
        if let Err(error) = text.and_then(&mut take) {
            if reader.fill_buf().map_err(io)?.is_empty() {
                return Ok(Some(cut_off()));
            }
            let (path, reason) = (path.to_owned(), error.to_string());
            return Err(RecordsError::Line { path, line, reason });
        }
        at += length as u64;
    }
    Ok(None)
}
