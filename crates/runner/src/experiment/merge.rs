//! Joins the folders of shards.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use taper_models::files::{FileError, check_folder, write_file};

use super::manifest::{Manifest, ModelId};
use super::record::RunId;
use super::records::{MANIFEST, RECORDS, RECORDS_KIND, RecordsError, each_line_of};
use super::shard::{Order, Shard};

/// What was joined.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Merged {
    /// What the new folder holds the runs of.
    pub manifest: Manifest,
    /// Runs that it holds.
    pub runs: usize,
    /// Records that were left out because their run is there already.
    pub repeated: usize,
    /// Last lines that a kill cut off, which were left out.
    pub cut_off: usize,
    /// The versions that made the shards, if they are several.
    pub versions: Vec<String>,
}

/// Why folders cannot be joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// What is there cannot be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two folders are of different experiments.
    #[error(
        "{} and {} do not belong together: they hold the runs of different {what}s ({ours} and {theirs})",
        first.display(),
        dir.display()
    )]
    Other {
        /// A folder.
        first: PathBuf,
        /// The other.
        dir: PathBuf,
        /// `spec` or `model`.
        what: &'static str,
        /// What the first's is called.
        ours: String,
        /// What the other's is called.
        theirs: String,
    },
    /// Two folders are of different divisions of one experiment.
    #[error(
        "{} holds {ours} and {} {theirs}; only shards of one division can be joined",
        first.display(),
        dir.display()
    )]
    Division {
        /// A folder.
        first: PathBuf,
        /// The other.
        dir: PathBuf,
        /// What the first holds.
        ours: String,
        /// What the other holds.
        theirs: String,
    },
    /// Two folders hold the same shard.
    #[error("{} and {} both hold {part}; name one of them", first.display(), dir.display())]
    Overlap {
        /// A folder.
        first: PathBuf,
        /// The other.
        dir: PathBuf,
        /// What both hold.
        part: String,
    },
    /// A record is of a run that the folder is not to hold.
    #[error(
        "{}: line {line} is of prompt {}, setting {}, seed {}, which is no run of {part}",
        path.display(), id.prompt, id.setting, id.seed
    )]
    Stray {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Its run.
        id: RunId,
        /// What the folder is to hold.
        part: String,
    },
    /// Runs are missing, and nothing says to join the rest.
    #[error("{what}; {instead}, or add --partial to join what there is")]
    Missing {
        /// What is missing.
        what: String,
        /// What would be right.
        instead: &'static str,
    },
    /// A sweep is at work in a folder.
    #[error("{} is in use by a sweep; wait for it", .0.display())]
    Busy(PathBuf),
    /// The new folder holds a sweep.
    #[error("{} holds the output of a sweep; name another folder", .0.display())]
    Taken(PathBuf),
}

/// A folder to be joined.
struct Part<'d> {
    dir: &'d Path,
    manifest: Manifest,
    shard: Shard,
    /// `None` if no run has begun.
    records: Option<File>,
}

/// Where the record of a run is.
struct Place {
    run: usize,
    part: usize,
    start: u64,
    length: u64,
}

/// Of a record, which run it is of; the rest is passed over unread.
#[derive(Deserialize)]
struct Which {
    id: RunId,
}

/// Joins the folders of all shards of an experiment: afterwards `out` holds what a sweep that was not
/// divided would have left there, times aside. With `partial` runs may be missing, and a sweep that goes
/// on in `out` makes them.
///
/// Lines are copied as they are, and of each 32 bytes are held in memory.
///
/// # Errors
///
/// When the folders do not belong together, when runs are missing without `partial`, when a sweep is at
/// work in one, and when `out` holds a sweep. Nothing is written then.
pub fn merge(
    dirs: &[PathBuf],
    out: impl AsRef<Path>,
    partial: bool,
) -> Result<Merged, MergeError> {
    let out = out.as_ref();
    if out.join(MANIFEST).exists() || out.join(RECORDS).exists() {
        return Err(MergeError::Taken(out.to_owned()));
    }
    let parts = dirs.iter().map(|dir| Part::open(dir)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = parts.first() else {
        return Err(MergeError::Missing { what: "no folder is named".into(), instead: "name one" });
    };
    for (i, part) in parts.iter().enumerate() {
        belongs(first, part)?;
        if let Some(same) = parts[..i].iter().find(|other| other.shard == part.shard) {
            let (first, dir) = (same.dir.to_owned(), part.dir.to_owned());
            return Err(MergeError::Overlap { first, dir, part: part.name() });
        }
    }
    if !partial {
        all_shards(&parts)?;
    }
    let order = Order::of(&first.manifest);
    let mut merged = Merged {
        manifest: joined(&parts),
        runs: 0,
        repeated: 0,
        cut_off: 0,
        versions: versions(&parts),
    };
    let mut places = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let found = part.places(i, &order, &mut merged)?;
        let (there, all) = (found.len(), part.shard.count(part.manifest.runs));
        if there < all && !partial {
            let (dir, part, lack) = (part.dir.display(), part.name(), all - there);
            let what = format!("{dir} lacks {lack} of the {all} runs of {part}");
            return Err(MergeError::Missing { what, instead: "finish it with sweep --resume" });
        }
        places.extend(found);
    }
    places.sort_unstable_by_key(|place| place.run);
    merged.runs = places.len();
    write(out, &merged.manifest, &parts, &places)?;
    Ok(merged)
}

impl<'d> Part<'d> {
    fn open(dir: &'d Path) -> Result<Self, MergeError> {
        let manifest = Manifest::read(dir)?;
        let path = dir.join(RECORDS);
        let records = match RECORDS_KIND.open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error.into()),
        };
        match records.as_ref().map(File::try_lock_shared) {
            None | Some(Ok(())) => {}
            Some(Err(TryLockError::WouldBlock)) => return Err(MergeError::Busy(dir.to_owned())),
            Some(Err(TryLockError::Error(error))) => {
                return Err(FileError::of_system(&path, error).into());
            }
        }
        let shard = manifest.shard.unwrap_or(Shard::WHOLE);
        Ok(Self { dir, manifest, shard, records })
    }

    fn name(&self) -> String {
        self.manifest.shard.map_or_else(|| "the whole sweep".into(), |shard| format!("shard {shard}"))
    }

    /// Where the first record of each run is.
    fn places(
        &self,
        part: usize,
        order: &Order,
        merged: &mut Merged,
    ) -> Result<Vec<Place>, MergeError> {
        let Some(records) = &self.records else { return Ok(Vec::new()) };
        let path = self.dir.join(RECORDS);
        let (mut places, mut start, mut line, mut stray) = (Vec::new(), 0, 0, None);
        let end = each_line_of(records, &path, |text| {
            let id = serde_json::from_str::<Which>(text)?.id;
            let length = text.len() as u64;
            line += 1;
            match order.number(id).filter(|&run| self.shard.has(run)) {
                Some(run) => places.push(Place { run, part, start, length }),
                None => stray = stray.or(Some((line, id))),
            }
            start += length;
            Ok(())
        })?;
        if let Some((line, id)) = stray {
            return Err(MergeError::Stray { path, line, id, part: self.name() });
        }
        places.sort_by_key(|place| place.run);
        let all = places.len();
        places.dedup_by_key(|place| place.run);
        merged.repeated += all - places.len();
        merged.cut_off += usize::from(end.is_some());
        Ok(places)
    }
}

fn belongs(first: &Part<'_>, part: &Part<'_>) -> Result<(), MergeError> {
    let (ours, theirs) = (&first.manifest, &part.manifest);
    let other = |what, ours, theirs| {
        let (first, dir) = (first.dir.to_owned(), part.dir.to_owned());
        Err(MergeError::Other { first, dir, what, ours, theirs })
    };
    if ours.model != theirs.model {
        return other("model", model_name(&ours.model), model_name(&theirs.model));
    }
    if ours.digest != theirs.digest {
        let named = |manifest: &Manifest| format!("{:?}, {:.12}", manifest.title, manifest.digest);
        return other("spec", named(ours), named(theirs));
    }
    if first.shard.of() != part.shard.of() {
        let (ours, theirs) = (first.name(), part.name());
        let (first, dir) = (first.dir.to_owned(), part.dir.to_owned());
        return Err(MergeError::Division { first, dir, ours, theirs });
    }
    Ok(())
}

fn model_name(model: &ModelId) -> String {
    match &model.digest {
        Some(digest) => format!("{}, {digest:.12}", model.name),
        None => model.name.clone(),
    }
}

/// Shards that are told by name when they are missing.
const NAMED: usize = 8;

fn all_shards(parts: &[Part<'_>]) -> Result<(), MergeError> {
    let Some(of) = parts.first().map(|part| part.shard.of()) else { return Ok(()) };
    let there: std::collections::BTreeSet<usize> =
        parts.iter().map(|part| part.shard.index()).collect();
    let lack = of - there.len();
    if lack == 0 {
        return Ok(());
    }
    let missing = (1..=of).filter(|index| !there.contains(index));
    let named: Vec<String> = missing.take(NAMED).map(|index| format!("{index}/{of}")).collect();
    let more = if lack > NAMED { format!(" and {} more", lack - NAMED) } else { String::new() };
    let (shards, are) = if lack == 1 { ("shard", "is") } else { ("shards", "are") };
    let what = format!("{shards} {}{more} {are} missing", named.join(", "));
    Err(MergeError::Missing { what, instead: "name all folders" })
}

fn joined(parts: &[Part<'_>]) -> Manifest {
    let mut manifest = parts[0].manifest.clone().with_shard(None);
    for engine in parts.iter().flat_map(|part| &part.manifest.engines) {
        if !manifest.engines.contains(engine) {
            manifest.engines.push(engine.clone());
        }
    }
    manifest
}

fn versions(parts: &[Part<'_>]) -> Vec<String> {
    let mut all: Vec<String> =
        parts.iter().map(|part| part.manifest.versions.taper.clone()).collect();
    all.sort();
    all.dedup();
    if all.len() > 1 { all } else { Vec::new() }
}

/// The records first: a folder with a manifest is one that a sweep can go on in.
fn write(
    out: &Path,
    manifest: &Manifest,
    parts: &[Part<'_>],
    places: &[Place],
) -> Result<(), FileError> {
    if let Err(error) = fs::create_dir_all(out) {
        check_folder(out, "a folder, or a name for a new one")?;
        return Err(FileError::of_system(out, error));
    }
    write_file(&out.join(RECORDS), |sink| {
        places.iter().try_for_each(|place| {
            let Some(mut file) = parts[place.part].records.as_ref() else { return Ok(()) };
            file.seek(SeekFrom::Start(place.start))?;
            io::copy(&mut file.take(place.length), sink).map(drop)
        })
    })?;
    let text = serde_json::to_vec_pretty(manifest).map_err(io::Error::from);
    let text = text.map_err(|error| FileError::of_system(out, error))?;
    write_file(&out.join(MANIFEST), |sink| sink.write_all(&text)).map(drop)
}
