//! Makes the runs of a plan, several at a time.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::folder::{Folder, FolderError};
use super::plan::Plan;
use super::record::{Record, RunId};
use crate::error::RequestError;

/// How to make the runs. None of it changes what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepOptions {
    /// Runs at a time.
    pub jobs: NonZeroUsize,
    /// Whether to go on with what the folder holds.
    pub resume: bool,
}

impl Default for SweepOptions {
    /// As many runs at a time as there are cores, in a folder that holds none.
    fn default() -> Self {
        Self { jobs: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), resume: false }
    }
}

/// What happens during a sweep.
#[derive(Debug)]
#[non_exhaustive]
pub enum SweepEvent<'e> {
    /// The folder is ready.
    Begun {
        /// Runs that it holds already.
        done: usize,
        /// Runs that there are to be.
        all: usize,
        /// The file that a last line went to which was no record, if there was one.
        cut_off: Option<&'e str>,
        /// The file that records will go to whose run is there already, if there are any.
        repeated: Option<&'e str>,
        /// The version of this crate that began the folder, if it is another.
        begun_by: Option<&'e str>,
    },
    /// A run ended and is on disk.
    Ended(&'e Record),
    /// An engine was dropped; its runs go to others.
    Lost {
        /// Its address.
        engine: &'e str,
        /// Why.
        why: &'e str,
    },
}

/// What a sweep came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Runs made now.
    pub made: usize,
    /// Runs that are missing, because the sweep was broken off.
    pub missing: usize,
    /// Runs made now whose model or sampler failed.
    pub failed: usize,
    /// What went wrong in the first of them.
    pub first_failure: Option<String>,
}

/// Why a sweep ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The folder cannot take the runs.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A setting does not go with a prompt.
    #[error("setting {label:?}, prompt {prompt:?}: {source}")]
    Request {
        /// Which setting.
        label: String,
        /// Which prompt.
        prompt: String,
        /// Why.
        source: RequestError,
    },
}

/// Makes the runs that `dir` does not hold yet. Each is written when it ends, so that whatever kills the
/// process takes no run away; when all are there they are put into their canonical order.
///
/// Every run passes through the model alone, so that the same plan gives the same records however many
/// run at a time. The callback hears what happens, and ends the sweep with [`ControlFlow::Break`]; so
/// does `stop`, between two tokens.
///
/// # Errors
///
/// When the folder belongs to another plan, is in use, or holds runs without `resume`;
/// when a file cannot be read or written; when a setting does not go with a prompt. A model or a
/// sampler that fails is told of in the record of its run.
pub fn sweep(
    plan: &Plan<'_>,
    dir: impl AsRef<Path>,
    options: SweepOptions,
    stop: &AtomicBool,
    mut told: impl FnMut(&SweepEvent<'_>) -> ControlFlow<()>,
) -> Result<Swept, SweepError> {
    let mut folder = Folder::open(dir.as_ref(), plan.manifest(), options.resume)?;
    let missing: Vec<RunId> = plan.runs().filter(|id| !folder.done.contains(id)).collect();
    let (cut_off, begun_by) = (folder.cut_off.as_deref(), folder.begun_by.as_deref());
    let (done, all) = (folder.done.len(), plan.manifest().runs_here());
    let mut swept = Swept { made: 0, missing: missing.len(), failed: 0, first_failure: None };
    let repeated = folder.repeated.as_deref();
    if told(&SweepEvent::Begun { done, all, cut_off, repeated, begun_by }).is_break() {
        return Ok(swept);
    }
    // This sweep's own end, which leaves the caller's flag alone.
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..options.jobs.get().min(missing.len()) {
            let (sender, queue) = (sender.clone(), Queue { missing: &missing, next: &next });
            let over = &over;
            scope.spawn(move || work(plan, &queue, [stop, over], &sender));
        }
        drop(sender);
        let mut take = |made: Made| -> Result<ControlFlow<()>, SweepError> {
            let record = made?;
            folder.append(&record)?;
            swept.made += 1;
            swept.missing -= 1;
            if let Some(error) = &record.error {
                swept.failed += 1;
                swept.first_failure.get_or_insert_with(|| error.clone());
            }
            Ok(told(&SweepEvent::Ended(&record)))
        };
        for made in receiver {
            let taken = take(made);
            if !matches!(taken, Ok(ControlFlow::Continue(()))) {
                over.store(true, Ordering::Relaxed);
                return taken.map(drop);
            }
        }
        Ok(())
    })?;
    if swept.missing == 0 {
        folder.sort()?;
    }
    Ok(swept)
}

type Made = Result<Box<Record>, SweepError>;

/// The runs to be made, and which is the next.
struct Queue<'q> {
    missing: &'q [RunId],
    next: &'q AtomicUsize,
}

/// Makes one run after the other until there are no more, one fails, or a flag is up.
fn work(plan: &Plan<'_>, queue: &Queue<'_>, flags: [&AtomicBool; 2], sender: &Sender<Made>) {
    let stop = || flags.iter().any(|flag| flag.load(Ordering::Relaxed));
    while let Some(&id) = queue.missing.get(queue.next.fetch_add(1, Ordering::Relaxed)) {
        if stop() {
            return;
        }
        let made = match plan.run(id, &stop) {
            Ok(None) => return,
            Ok(Some(record)) => Ok(Box::new(record)),
            Err(source) => Err(SweepError::Request {
                label: plan.manifest().settings[id.setting].label.clone(),
                prompt: plan.manifest().prompts[id.prompt].name.clone(),
                source,
            }),
        };
        // The receiver is gone: the sweep is over.
        if sender.send(made).is_err() {
            return;
        }
    }
}
