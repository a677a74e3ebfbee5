//! The folders of a spec's places as one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use taper_models::files::write_file;

use super::folder::{Folder, FolderError};
use super::manifest::{Manifest, ModelId, Prompt};
use super::places::PartOfSpec;
use super::plan::{hex, object, swept_knobs};
use super::record::RunId;
use super::records::{RECORDS, RECORDS_KIND, each_line_of};
use super::settings::settings;
use super::shard::Order;
use super::spec::{Spec, SpecError};

/// The folder of a sweep over several places, which each have a folder in it.
#[derive(Debug)]
pub struct JoinedFolder {
    /// Holds the lock.
    _folder: Folder,
    dir: PathBuf,
    manifest: Manifest,
    /// For each place, the settings of the whole in the order of its own.
    settings: Vec<Vec<usize>>,
}

/// Of a record, which run it is of; the rest is passed over unread.
#[derive(Deserialize)]
struct Which {
    id: RunId,
}

/// Where the record of a run is.
struct Line {
    run: usize,
    part: usize,
    start: u64,
    length: u64,
}

impl JoinedFolder {
    /// Makes the folder ready for the runs of all places, whose manifests are given in the order of
    /// `parts`, or finds it so.
    ///
    /// # Errors
    ///
    /// When the spec is wrong; when the folder belongs to another sweep, or holds runs and was not named
    /// to be resumed.
    pub fn open(
        dir: &Path,
        spec: &Spec,
        parts: &[PartOfSpec],
        manifests: &[&Manifest],
        resume: bool,
    ) -> Result<Self, JoinedError> {
        let manifest = joined(spec, manifests)?;
        let folder = Folder::open(dir, &manifest, resume)?;
        let settings = parts.iter().map(|part| part.settings.clone()).collect();
        Ok(Self { _folder: folder, dir: dir.to_owned(), manifest, settings })
    }

    /// What the runs are of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder of a place.
    pub fn part(&self, index: usize) -> PathBuf {
        self.dir.join("places").join((index + 1).to_string())
    }

    /// Whether a place has begun, so that its folder is to be gone on with.
    pub fn has_begun(&self, index: usize) -> bool {
        self.part(index).join(super::MANIFEST).exists()
    }

    /// Writes the records of all places as the folder's own; how many there are.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written.
    pub fn join(&self) -> Result<usize, FolderError> {
        let order = Order::of(&self.manifest);
        let (mut files, mut lines) = (Vec::new(), Vec::new());
        for part in 0..self.settings.len() {
            let path = self.part(part).join(RECORDS);
            let file = match RECORDS_KIND.open(&path) {
                Ok(file) => Some(file),
                Err(error) if error.is_missing() => None,
                Err(error) => return Err(error.into()),
            };
            if let Some(file) = &file {
                let mut start = 0;
                each_line_of(file, &path, |text| {
                    let id = self.whole(part, serde_json::from_str::<Which>(text)?.id);
                    let length = text.len() as u64;
                    let run = id.and_then(|id| order.number(id));
                    lines.extend(run.map(|run| Line { run, part, start, length }));
                    start += length;
                    Ok(())
                })?;
            }
            files.push(file);
        }
        lines.sort_by_key(|line| line.run);
        lines.dedup_by_key(|line| line.run);
        let path = self.dir.join(RECORDS);
        write_file(&path, |sink| {
            lines.iter().try_for_each(|line| {
                let Some(file) = &files[line.part] else { return Ok(()) };
                writeln!(sink, "{}", self.renamed(line, file)?)
            })
        })?;
        Ok(lines.len())
    }

    /// A run of a place as one of the whole.
    fn whole(&self, part: usize, id: RunId) -> Option<RunId> {
        let setting = *self.settings[part].get(id.setting)?;
        Some(RunId { setting, ..id })
    }

    /// A record with the number and the knobs that its setting has in the whole.
    fn renamed(&self, line: &Line, mut file: &File) -> io::Result<Value> {
        let mut text = String::new();
        file.seek(SeekFrom::Start(line.start))?;
        file.take(line.length).read_to_string(&mut text)?;
        let mut record: Value = serde_json::from_str(&text)?;
        let id: RunId = Which::deserialize(&record)?.id;
        if let Some(id) = self.whole(line.part, id) {
            let setting = &self.manifest.settings[id.setting];
            record["id"] = serde_json::to_value(id)?;
            record["label"] = json!(setting.label);
            record["knobs"] = json!(setting.knobs);
        }
        Ok(record)
    }
}

/// Why the folders of places cannot be one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinedError {
    /// The spec is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The folder cannot take the runs.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// What the runs of all places are of.
fn joined(spec: &Spec, parts: &[&Manifest]) -> Result<Manifest, SpecError> {
    let settings = settings(spec, None)?;
    let digests: Vec<&str> = parts.iter().map(|part| part.digest.as_str()).collect();
    let mut of_spec = object(spec);
    let shown = of_spec.clone();
    of_spec.retain(|key, _| !["title", "about", "tables"].contains(&key.as_str()));
    let digest = hex(&Sha256::digest(json!([of_spec, "places", digests]).to_string()));
    let names: BTreeSet<&str> = parts.iter().map(|part| part.model.name.as_str()).collect();
    let mut engines: Vec<Value> = Vec::new();
    for engine in parts.iter().flat_map(|part| &part.engines) {
        if !engines.contains(engine) {
            engines.push(engine.clone());
        }
    }
    let first = parts.first().copied();
    let prompts = first.map(|first| first.prompts.iter().enumerate());
    let prompts = prompts.into_iter().flatten().map(|(i, prompt)| {
        // Where places cut a text differently the records have what each made of it.
        let alike = parts.iter().all(|part| part.prompts[i].tokens == prompt.tokens);
        let tokens = if alike { prompt.tokens.clone() } else { Vec::new() };
        Prompt { tokens, ..prompt.clone() }
    });
    Ok(Manifest {
        digest,
        versions: super::Versions::of_this_build(),
        model: ModelId { name: names.into_iter().collect::<Vec<_>>().join(", "), digest: None },
        engines,
        title: spec.title.clone(),
        about: spec.about.clone(),
        spec: shown,
        prompts: prompts.collect(),
        settings: settings.iter().map(|resolved| resolved.setting.clone()).collect(),
        swept: swept_knobs(&settings),
        seeds: first.map(|first| first.seeds.clone()).unwrap_or_default(),
        runs: spec.count(),
        shard: None,
    })
}
