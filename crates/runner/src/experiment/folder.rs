//! The output folder of an experiment, as it is written.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use taper_models::files::{FileError, FileKind, check_folder, write_file};

use super::manifest::Manifest;
use super::record::{Record, RunId};
use super::records::{MANIFEST, RECORDS, RECORDS_KIND, RecordsError, each_line_of};

/// The file of an output folder that lines go to which a kill cut off.
const CUT_OFF: &str = "records.cut-off.jsonl";

/// The file of an output folder that records go to whose run is there already.
const REPEATED: &str = "records.repeated.jsonl";

/// The files that lines are put aside in.
const ASIDE_KIND: FileKind = FileKind::regular("a regular file for what is put aside", 1 << 40);

/// Why an output folder cannot take the runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// What is there cannot be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
    /// There are runs already, and `resume` is not set.
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
    /// The folder is for another part of the runs.
    #[error("{} is for {theirs} of this sweep, not for {ours}; name another folder", dir.display())]
    Shard {
        /// The folder.
        dir: PathBuf,
        /// What it is for.
        theirs: String,
        /// What was asked for.
        ours: String,
    },
    /// The folder's runs were made on other engines.
    #[error("{}: its runs were made on {theirs}, not on {ours}; name another folder", dir.display())]
    Engine {
        /// The folder's manifest.
        dir: PathBuf,
        /// Theirs.
        theirs: String,
        /// The one that was named.
        ours: String,
    },
    /// There are records without a manifest, which no sweep leaves behind.
    #[error("{} has a {RECORDS} without a {MANIFEST}; name another folder", .0.display())]
    Foreign(PathBuf),
    /// Another process is at work in the folder.
    #[error("{} is in use by another sweep; wait for it, or name another folder", .0.display())]
    Busy(PathBuf),
    /// Nothing keeps another process out of the folder.
    #[error(
        "{}: it cannot be locked ({source}), so that another sweep could mix its records in; name a \
         folder on another disk",
        path.display()
    )]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The output folder of a sweep at work.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    /// Held open and locked. It is read and written through this handle alone: where locks are
    /// mandatory, no other reads anything.
    records: File,
    /// The runs that are there.
    pub(super) done: BTreeSet<RunId>,
    /// A last line that was no record, moved aside.
    pub(super) cut_off: Option<String>,
    /// Where records will go whose run is there already, if there are any.
    pub(super) repeated: Option<String>,
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
        if let Err(error) = fs::create_dir_all(dir) {
            check_folder(dir, "a folder, or a name for a new one")?;
            return Err(FileError::of_system(dir, error).into());
        }
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
            let told = |error| FileError::of_system(dir, error);
            let text =
                serde_json::to_vec_pretty(manifest).map_err(io::Error::from).map_err(told)?;
            write_file(&dir.join(MANIFEST), |sink| sink.write_all(&text))?;
        }
        let records = RECORDS_KIND.open_to_change(&path)?;
        match records.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Busy(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(FolderError::Lock { path, source }),
        }
        let (mut done, mut repeated) = (BTreeSet::new(), false);
        let end = each_line_of(&records, &path, |line| {
            repeated |= !done.insert(serde_json::from_str::<Which>(line)?.id);
            Ok(())
        })?;
        if there.is_some() && !resume {
            let (runs, all) = (done.len(), manifest.runs_here());
            return Err(FolderError::Begun { dir: dir.to_owned(), runs, all });
        }
        let cut_off = end.map(|end| {
            let aside = dir.join(CUT_OFF);
            put_aside(&aside, &mut format!("{}\n", end.text.trim_end()).as_bytes())?;
            records.set_len(end.at).map_err(|error| FileError::of_system(&path, error))?;
            Ok::<_, FileError>(aside.display().to_string())
        });
        let cut_off = cut_off.transpose()?;
        let repeated = repeated.then(|| dir.join(REPEATED).display().to_string());
        let begun_by = there.map(|there| there.versions.taper);
        let begun_by = begun_by.filter(|version| *version != manifest.versions.taper);
        Ok(Self { dir: dir.to_owned(), records, done, cut_off, repeated, begun_by })
    }

    /// Adds a record. When this returns a kill of the process does not take it away.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), FolderError> {
        self.append_line(record.id, record)
    }

    /// As [`append`](Self::append), of a record as it is written.
    pub(super) fn append_line(
        &mut self,
        id: RunId,
        record: &impl serde::Serialize,
    ) -> Result<(), FolderError> {
        let told = |error| FileError::of_system(&self.dir.join(RECORDS), error);
        let mut line = serde_json::to_vec(record).map_err(|error| told(error.into()))?;
        line.push(b'\n');
        // In one piece, so that no two lines mix and a kill cuts off at most this one.
        self.records.seek(SeekFrom::End(0)).map_err(told)?;
        self.records.write_all(&line).map_err(told)?;
        self.done.insert(id);
        Ok(())
    }

    /// Puts the records into their canonical order, and those aside whose run is there already.
    pub(super) fn sort(&mut self) -> Result<(), FolderError> {
        let path = self.dir.join(RECORDS);
        let told = |error| FileError::of_system(&path, error);
        let (mut lines, mut start) = (Vec::new(), 0);
        self.records.rewind().map_err(told)?;
        each_line_of(&self.records, &path, |line| {
            let length = line.len() as u64;
            lines.push((serde_json::from_str::<Which>(line)?.id, start, length));
            start += length;
            Ok(())
        })?;
        if lines.is_sorted_by(|(a, ..), (b, ..)| a < b) {
            return Ok(());
        }
        lines.sort_unstable();
        let line = |start, length| {
            let mut file = &self.records;
            file.seek(SeekFrom::Start(start)).map(|_| file.take(length))
        };
        let mut last = None;
        let (first, again): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|&(id, ..)| last.replace(id) != Some(id));
        for (_, start, length) in again {
            put_aside(&self.dir.join(REPEATED), &mut line(start, length).map_err(told)?)?;
        }
        write_file(&path, |sink| {
            first.into_iter().try_for_each(|(_, start, length)| {
                io::copy(&mut line(start, length)?, sink).map(drop)
            })
        })?;
        Ok(())
    }
}

/// Adds to a file of what was put aside.
fn put_aside(path: &Path, bytes: &mut impl Read) -> Result<(), FileError> {
    let mut file = ASIDE_KIND.open_to_change(path)?;
    let added = file.seek(SeekFrom::End(0)).and_then(|_| io::copy(bytes, &mut file));
    added.map(drop).map_err(|error| FileError::of_system(path, error))
}

fn same(dir: &Path, there: &Manifest, wanted: &Manifest) -> Result<(), FolderError> {
    let dir = dir.to_owned();
    if there.digest == wanted.digest {
        if there.shard == wanted.shard {
            return Ok(());
        }
        let part = |manifest: &Manifest| match manifest.shard {
            Some(shard) => format!("shard {shard}"),
            None => "all runs".to_owned(),
        };
        return Err(FolderError::Shard { dir, theirs: part(there), ours: part(wanted) });
    }
    if there.model != wanted.model {
        let theirs = match &there.model.digest {
            Some(digest) => format!("{}, {:.12}", there.model.name, digest),
            None => there.model.name.clone(),
        };
        return Err(FolderError::Other { dir, what: "model", theirs });
    }
    Err(FolderError::Other { dir, what: "spec", theirs: format!("{:?}", there.title) })
}
