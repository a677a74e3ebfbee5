//! Runs without a connection: requests in a file and answers from one, in OpenAI's batch format.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use taper_models::files::{FileError, FileKind, write_file};

use super::plan::{RemotePlan, engine_id};
use super::record::record;
use crate::engine::{Answer, BadAnswer, EngineError};
use crate::experiment::folder::{Folder, FolderError};
use crate::experiment::plan::hex;
use crate::experiment::record::{Record, RunId};
use crate::experiment::records::{RecordsError, each_line_of};
use crate::experiment::shard::{Order, Shard};
use crate::experiment::sweep::SweepEvent;
use crate::told::shortened;

/// The file of answers, which is read line by line.
const ANSWERS: FileKind = FileKind::regular("a regular file of answers", 1 << 40);

/// What was written for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Emitted {
    /// Requests, one a line.
    pub requests: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// The endpoint that they are for, if it is one for all.
    pub url: Option<&'static str>,
}

/// What was read of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Ingested {
    /// Runs that were added.
    pub made: usize,
    /// Runs that are still missing.
    pub missing: usize,
    /// The first of them, by prompt, setting and seed.
    pub first_missing: Option<String>,
    /// Runs that were added and that the engine refused.
    pub failed: usize,
    /// What it said of the first of them.
    pub first_failure: Option<String>,
    /// Answers that are no use: the engine failed, the request expired, the text is cut off.
    pub useless: usize,
    /// What is wrong with the first of them.
    pub first_useless: Option<String>,
    /// Answers of runs that were there already.
    pub repeated: usize,
    /// Answers of other requests.
    pub foreign: usize,
}

/// Why a batch cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder cannot take the runs.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A run cannot be put to the engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine takes such a prompt at an endpoint of its own.
    #[error(
        "prompt {:?}: {dialect} takes it at {path}, which a batch file cannot say; use a chat as the \
         prompt, or --dialect vllm or openai",
        shortened(prompt)
    )]
    Endpoint {
        /// Which prompt.
        prompt: String,
        /// Which engine.
        dialect: &'static str,
        /// The endpoint.
        path: &'static str,
    },
    /// A line is not an answer of a batch.
    #[error("{}: line {line} is no answer of a batch: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// All answers are of other requests.
    #[error(
        "{}: none of its {answers} answers is of this sweep: the first is of {first:?}, and this \
         sweep's begin with {ours}; give the spec, --dialect, --engine-model and --tokenizer of the \
         requests",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How many answers there are.
        answers: usize,
        /// What the first is an answer of.
        first: String,
        /// How the ids of this sweep begin.
        ours: String,
    },
}

/// Writes a request for each run that `dir`, if there is one, does not hold yet.
///
/// # Errors
///
/// When the engine takes a prompt at an endpoint that is not OpenAI's; when the file cannot be
/// written; when the folder is another sweep's.
pub fn emit_batch(
    plan: &RemotePlan,
    path: &Path,
    dir: Option<&Path>,
) -> Result<Emitted, BatchError> {
    let urls = endpoints(plan)?;
    let done = match dir {
        Some(dir) => open(plan, dir, true)?.done,
        None => BTreeSet::new(),
    };
    let names = Names::of(plan);
    let mut requests = 0;
    let bytes = write_file(path, |sink| {
        for id in plan.runs().filter(|id| !done.contains(id)) {
            let (_, call) = plan.call(id, 0).map_err(io::Error::other)?;
            let name = names.name(id);
            let (url, body) = (call.path, call.body);
            let line = json!({ "custom_id": name, "method": "POST", "url": url, "body": body });
            writeln!(sink, "{line}")?;
            requests += 1;
        }
        Ok(())
    })?;
    let url = urls.first().copied().filter(|_| urls.len() == 1);
    Ok(Emitted { requests, bytes, url })
}

/// Adds the runs that a file of answers has to `dir`. They may come in any order; the first whole answer
/// of a run counts, and what an engine did not answer stays missing.
///
/// # Errors
///
/// When a line is no answer, or none is of this sweep, before anything is written; when the folder
/// belongs to another sweep or holds runs and was not named to be resumed.
pub fn ingest_batch(
    plan: &RemotePlan,
    path: &Path,
    dir: &Path,
    resume: bool,
    mut told: impl FnMut(&SweepEvent<'_>) -> ControlFlow<()>,
) -> Result<Ingested, BatchError> {
    let names = Names::of(plan);
    check_answers(&names, path)?;
    let mut folder = open(plan, dir, resume)?;
    let begun = SweepEvent::Begun {
        done: folder.done.len(),
        all: plan.manifest().runs_here(),
        cut_off: folder.cut_off.as_deref(),
        repeated: folder.repeated.as_deref(),
        begun_by: folder.begun_by.as_deref(),
    };
    let mut over = told(&begun).is_break();
    let mut ingested = Ingested::default();
    each_answer(path, |line: Line| {
        if !over && let Some(record) = ingested.take(plan, &names, &mut folder, line)? {
            over = told(&SweepEvent::Ended(&record)).is_break();
        }
        Ok(())
    })?;
    let mut missing = plan.runs().filter(|id| !folder.done.contains(id)).peekable();
    ingested.first_missing = missing.peek().map(|&id| shown(plan, id));
    ingested.missing = missing.count();
    if ingested.missing == 0 {
        folder.sort()?;
    }
    Ok(ingested)
}

impl Ingested {
    /// Adds the run of an answer, if it is one that is missing.
    fn take(
        &mut self,
        plan: &RemotePlan,
        names: &Names,
        folder: &mut Folder,
        line: Line,
    ) -> Result<Option<Record>, BatchError> {
        let Some(id) = names.run(&line.custom_id) else {
            self.foreign += 1;
            return Ok(None);
        };
        if folder.done.contains(&id) {
            self.repeated += 1;
            return Ok(None);
        }
        let (wanted, call) = plan.call(id, 0)?;
        let said = match line.said() {
            Said::Answer(body) => call.read(body).map(|answer| (answer, None)),
            Said::Refused(what) => Ok((Answer::default(), Some(what))),
            Said::Nothing(what) => Err(BadAnswer::new(what)),
        };
        let (answer, error) = match said {
            Ok(said) => said,
            Err(bad) => {
                self.useless += 1;
                self.first_useless.get_or_insert_with(|| format!("{}: {bad}", shown(plan, id)));
                return Ok(None);
            }
        };
        let (record, line) = record(plan, id, 0, (&wanted, &call), answer, error);
        folder.append_line(id, &line)?;
        self.made += 1;
        if let Some(error) = &record.error {
            self.failed += 1;
            self.first_failure.get_or_insert_with(|| error.clone());
        }
        Ok(Some(record))
    }
}

/// A run in words.
fn shown(plan: &RemotePlan, id: RunId) -> String {
    let manifest = plan.manifest();
    let (prompt, setting) =
        (&manifest.prompts[id.prompt].name, &manifest.settings[id.setting].label);
    let seed = manifest.seeds[id.seed];
    format!("prompt {:?}, {}, seed {seed}", shortened(prompt), shortened(setting))
}

fn open(plan: &RemotePlan, dir: &Path, resume: bool) -> Result<Folder, FolderError> {
    if resume {
        plan.check_folder(dir)?;
    }
    Folder::open(dir, plan.manifest(), resume)
}

/// The endpoints of all prompts.
fn endpoints(plan: &RemotePlan) -> Result<BTreeSet<&'static str>, BatchError> {
    let mut urls = BTreeSet::new();
    for (prompt, known) in plan.manifest().prompts.iter().enumerate() {
        let (_, call) = plan.call(RunId { prompt, setting: 0, seed: 0 }, 0)?;
        if !call.path.starts_with("/v1/") {
            let (prompt, dialect) = (known.name.clone(), plan.engines[0].dialect.name());
            return Err(BatchError::Endpoint { prompt, dialect, path: call.path });
        }
        urls.insert(call.path);
    }
    Ok(urls)
}

/// What requests are called: the sweep, the engine and the run.
struct Names {
    prefix: String,
    order: Order,
    shard: Shard,
}

impl Names {
    fn of(plan: &RemotePlan) -> Self {
        let manifest = plan.manifest();
        let of = json!([manifest.digest, engine_id(&plan.engines[0])]).to_string();
        let prefix = format!("taper-{:.12}-", hex(&Sha256::digest(of)));
        let shard = manifest.shard.unwrap_or(Shard::WHOLE);
        Self { prefix, order: Order::of(manifest), shard }
    }

    fn name(&self, id: RunId) -> String {
        format!("{}{}-{}-{}", self.prefix, id.prompt, id.setting, id.seed)
    }

    /// The run of a request; `None` if it is none of this sweep.
    fn run(&self, name: &str) -> Option<RunId> {
        let mut parts = name.strip_prefix(&self.prefix)?.split('-').map(str::parse);
        let mut next = || parts.next()?.ok();
        let id = RunId { prompt: next()?, setting: next()?, seed: next()? };
        let number = self.order.number(id)?;
        // What is written otherwise, such as +1 for 1, was not written here.
        (self.shard.has(number) && self.name(id) == name).then_some(id)
    }
}

/// A line of the answers, as OpenAI and `vllm run-batch` write it.
#[derive(Debug, Deserialize)]
struct Line {
    custom_id: String,
    #[serde(default)]
    response: Option<Response>,
    #[serde(default)]
    error: Value,
}

#[derive(Debug, Deserialize)]
struct Response {
    #[serde(default = "ok")]
    status_code: u16,
    #[serde(default)]
    body: Value,
}

/// What vLLM means where it does not say.
fn ok() -> u16 {
    200
}

/// What a line comes to.
enum Said {
    /// The body of an answer.
    Answer(Value),
    /// The engine refused the request, and would again.
    Refused(String),
    /// The engine failed, or was not asked: another time it may answer.
    Nothing(String),
}

impl Line {
    fn said(self) -> Said {
        let Self { response, error, .. } = self;
        let Some(Response { status_code, body }) = response else {
            return Said::Nothing(message(&error));
        };
        if status_code == 200 && error.is_null() && !body.is_null() {
            return Said::Answer(body);
        }
        let what = message(if error.is_null() { &body } else { &error });
        let what = format!("HTTP {status_code}: {what}");
        match status_code {
            400 | 404 | 413 | 422 => Said::Refused(what),
            _ => Said::Nothing(what),
        }
    }
}

/// What an error says: as a text, as an object with a message, or as one around such an object.
fn message(error: &Value) -> String {
    let inner = error.get("error").unwrap_or(error);
    let text = inner.as_str().or_else(|| inner["message"].as_str());
    match text {
        Some(text) => shortened(text).into_owned(),
        None if inner.is_null() => "there is no answer".to_owned(),
        None => shortened(&inner.to_string()).into_owned(),
    }
}

/// Refuses a file in which a line is no answer, or that has answers of other requests alone.
fn check_answers(names: &Names, path: &Path) -> Result<(), BatchError> {
    /// Which request a line is an answer of; the rest is passed over unread.
    #[derive(Deserialize)]
    struct Which {
        custom_id: String,
    }
    let (mut answers, mut ours, mut first) = (0, 0, None);
    each_answer(path, |line: Which| {
        answers += 1;
        ours += usize::from(names.run(&line.custom_id).is_some());
        first.get_or_insert(line.custom_id);
        Ok(())
    })?;
    match first.filter(|_| ours == 0) {
        None => Ok(()),
        Some(first) => {
            let (path, ours) = (path.to_owned(), names.prefix.clone());
            Err(BatchError::Foreign { path, answers, first, ours })
        }
    }
}

/// Gives the lines of a file of answers to `take` one after the other. The last may be without an end.
fn each_answer<L: for<'de> Deserialize<'de>>(
    path: &Path,
    mut take: impl FnMut(L) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    let file = ANSWERS.open(path)?;
    let (failed, lines) = (Cell::new(None), Cell::new(0));
    let mut read = |text: &str| -> Result<(), serde_json::Error> {
        lines.set(lines.get() + 1);
        if text.trim().is_empty() {
            return Ok(());
        }
        take(serde_json::from_str(text)?).map_err(|error| {
            failed.set(Some(error));
            serde::de::Error::custom("it cannot be taken")
        })
    };
    let ended = each_line_of(file, path, &mut read);
    if let Some(error) = failed.take() {
        return Err(error);
    }
    let last = ended.map_err(|error| match error {
        RecordsError::Line { path, line, reason } => BatchError::Line { path, line, reason },
        error => FolderError::Records(error).into(),
    })?;
    let Some(last) = last else { return Ok(()) };
    let whole = last.text.ends_with('\n');
    let Err(error) = read(&last.text) else { return Ok(()) };
    if let Some(error) = failed.take() {
        return Err(error);
    }
    let line = lines.get() - usize::from(whole);
    Err(BatchError::Line { path: path.to_owned(), line, reason: error.to_string() })
}
