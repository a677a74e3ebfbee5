//! The output folder of an experiment, as it is written.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::manifest::Manifest;
use super::record::{Record, RunId};
use super::records::{MANIFEST, RECORDS, RecordsError, each_line};

/// The file of an output folder that lines go to which a kill cut off.
const CUT_OFF: &str = "records.cut-off.jsonl";

/// Why an output folder can not take the runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// What is there can not be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A file can not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There are runs already, and nobody said to go on with them.
    #[error("{} holds {runs} of the {all} runs of this sweep; add --resume to go on, or name another folder", dir.display())]
    Begun {
        /// The folder.
        dir: PathBuf,
        /// Runs that are there.
        runs: usize,
        /// Runs that there are to be.
        all: usize,
    },
    /// The folder belongs to another spec.
    #[error("{} holds the runs of another {what} ({theirs}); name another folder", dir.display())]
    Other {
        /// The folder.
        dir: PathBuf,
        /// `spec` or `model`.
        what: &'static str,
        /// What it is called.
        theirs: String,
    },
    /// There are records without a manifest, which no sweep leaves behind.
    #[error("{} has a {RECORDS} without a {MANIFEST}; name another folder", .0.display())]
    Foreign(PathBuf),
    /// Another process is at work in the folder.
    #[error("{} is in use by another sweep; wait for it, or name another folder", .0.display())]
    Busy(PathBuf),
}

/// The output folder of a sweep at work.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    /// Held open to be appended to, and locked.
    records: File,
    /// The runs that are there.
    pub(super) done: BTreeSet<RunId>,
    /// A last line that was no record, moved aside.
    pub(super) cut_off: Option<String>,
    /// The version that began the folder, if it is another.
    pub(super) begun_by: Option<String>,
}

/// Of a record, which run it is of; the rest is passed over unread.
#[derive(Deserialize)]
struct Which {
    id: RunId,
}

impl Folder {
    /// Makes the folder ready for the runs of `manifest`, or finds it so.
    pub(super) fn open(dir: &Path, manifest: &Manifest, resume: bool) -> Result<Self, FolderError> {
        let write = |path: &Path| {
            let path = path.to_owned();
            move |source| FolderError::Write { path, source }
        };
        fs::create_dir_all(dir).map_err(write(dir))?;
        let path = dir.join(RECORDS);
        let there = match Manifest::read(dir) {
            Ok(there) => Some(there),
            Err(RecordsError::NoManifest(_)) if !path.exists() => None,
            Err(RecordsError::NoManifest(_)) => return Err(FolderError::Foreign(dir.to_owned())),
            Err(error) => return Err(error.into()),
        };
        if let Some(there) = &there {
            same(dir, there, manifest)?;
        } else {
            let text = serde_json::to_vec_pretty(manifest).map_err(std::io::Error::from);
            let text = text.map_err(write(dir))?;
            replace(&dir.join(MANIFEST), &text)?;
        }
        let records = OpenOptions::new().create(true).append(true).open(&path);
        let records = records.map_err(write(&path))?;
        match records.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(FolderError::Busy(dir.to_owned())),
            // Where files can not be locked nobody can be kept out.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut done = BTreeSet::new();
        let end = each_line(&path, |line| {
            done.insert(serde_json::from_str::<Which>(line)?.id);
            Ok(())
        })?;
        if there.is_some() && !resume {
            let (runs, all) = (done.len(), manifest.runs);
            return Err(FolderError::Begun { dir: dir.to_owned(), runs, all });
        }
        let cut_off = end.map(|end| {
            let aside = dir.join(CUT_OFF);
            let mut file = OpenOptions::new().create(true).append(true).open(&aside)?;
            file.write_all(end.text.trim_end().as_bytes())?;
            file.write_all(b"\n")?;
            records.set_len(end.at)?;
            Ok::<_, std::io::Error>(aside.display().to_string())
        });
        let cut_off = cut_off.transpose().map_err(write(&path))?;
        let begun_by = there.map(|there| there.versions.taper);
        let begun_by = begun_by.filter(|version| *version != manifest.versions.taper);
        Ok(Self { dir: dir.to_owned(), records, done, cut_off, begun_by })
    }

    /// Adds a record. When this returns a kill of the process does not take it away.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), FolderError> {
        let told = |source| FolderError::Write { path: self.dir.join(RECORDS), source };
        let mut line = serde_json::to_vec(record).map_err(|error| told(error.into()))?;
        line.push(b'\n');
        // In one piece, so that no two lines mix and a kill cuts off at most this one.
        self.records.write_all(&line).map_err(told)?;
        self.done.insert(record.id);
        Ok(())
    }

    /// Puts the records into their canonical order.
    pub(super) fn sort(&mut self) -> Result<(), FolderError> {
        let path = self.dir.join(RECORDS);
        let (mut lines, mut start) = (Vec::new(), 0);
        each_line(&path, |line| {
            let length = line.len() as u64;
            lines.push((serde_json::from_str::<Which>(line)?.id, start, length));
            start += length;
            Ok(())
        })?;
        if lines.is_sorted() {
            return Ok(());
        }
        lines.sort_unstable();
        let sorted = self.dir.join("records.jsonl.sorted");
        let copy = || {
            let (mut from, mut to) = (File::open(&path)?, BufWriter::new(File::create(&sorted)?));
            for &(_, start, length) in &lines {
                from.seek(SeekFrom::Start(start))?;
                std::io::copy(&mut Read::by_ref(&mut from).take(length), &mut to)?;
            }
            to.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&sorted, &path)
        };
        copy().map_err(|source| FolderError::Write { path: path.clone(), source })
    }
}

fn same(dir: &Path, there: &Manifest, wanted: &Manifest) -> Result<(), FolderError> {
    if there.digest == wanted.digest {
        return Ok(());
    }
    let dir = dir.to_owned();
    if there.model != wanted.model {
        let theirs = match &there.model.digest {
            Some(digest) => format!("{}, {:.12}", there.model.name, digest),
            None => there.model.name.clone(),
        };
        return Err(FolderError::Other { dir, what: "model", theirs });
    }
    Err(FolderError::Other { dir, what: "spec", theirs: format!("{:?}", there.title) })
}

/// Writes a file so that it is there as a whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, path));
    written.map_err(|source| FolderError::Write { path: path.to_owned(), source })
}
