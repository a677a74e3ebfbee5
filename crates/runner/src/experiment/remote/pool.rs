//! Makes runs on several engines at a time.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use taper_sampling::{DrawKey, Draws, Purpose};

use super::plan::RemotePlan;
use super::record::record;
use crate::engine::{Answer, EngineError};
use crate::experiment::folder::Folder;
use crate::experiment::record::{Record, RunId};
use crate::experiment::sweep::{SweepError, SweepEvent};

/// How to make the runs on engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemoteOptions {
    /// Requests in flight at each engine; `None` for as many as it says it makes at a time.
    pub concurrency: Option<NonZeroUsize>,
    /// Whether to go on with what the folder holds.
    pub resume: bool,
}

/// What a sweep on engines came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RemoteSwept {
    /// Runs made now.
    pub made: usize,
    /// Runs that are missing.
    pub missing: usize,
    /// Runs made now that failed.
    pub failed: usize,
    /// What went wrong in the first of them.
    pub first_failure: Option<String>,
    /// Engines that were dropped, with why.
    pub lost: Vec<String>,
}

/// Requests in flight at an engine that does not say how many it makes at a time.
const CONCURRENCY: usize = 4;

/// Failures of an engine, one after the other, after which it is dropped.
const PATIENCE: usize = 5;

/// Attempts at a run, on whichever engine, after which it is a record that says what went wrong.
const ATTEMPTS: usize = 8;

/// Waiting begins with this, and doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// It does not grow beyond this.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// How often one who waits looks whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// A run to be made, and how often that was tried.
#[derive(Debug, Clone, Copy)]
struct Job {
    id: RunId,
    attempts: usize,
}

/// What all workers share.
#[derive(Debug, Default)]
struct Shared {
    waiting: VecDeque<Job>,
    /// What each engine is at work on.
    flying: Vec<Vec<Job>>,
    /// Failures of each engine since its last answer.
    failures: Vec<usize>,
    /// Engines that were dropped.
    dropped: Vec<bool>,
    /// Runs whose first whole answer is there.
    done: BTreeSet<RunId>,
}

/// What a worker tells the one who writes.
enum News {
    Made { record: Box<Record>, line: Value },
    Lost { engine: usize, why: String },
}

/// Makes the runs that `dir` does not hold yet. Each is written when its first whole answer is there;
/// a later answer of the same run is dropped. A run whose engine fails is made by another.
///
/// # Errors
///
/// When the folder belongs to another plan or other engines, is in use, or holds runs and was
/// not named to be resumed; when a file cannot be read or written.
pub fn sweep_remote(
    plan: &RemotePlan,
    dir: impl AsRef<Path>,
    options: RemoteOptions,
    stop: &AtomicBool,
    mut told: impl FnMut(&SweepEvent<'_>) -> ControlFlow<()>,
) -> Result<RemoteSwept, SweepError> {
    if options.resume {
        plan.check_folder(dir.as_ref())?;
    }
    let mut folder = Folder::open(dir.as_ref(), plan.manifest(), options.resume)?;
    let missing: VecDeque<Job> = plan
        .runs()
        .filter(|id| !folder.done.contains(id))
        .map(|id| Job { id, attempts: 0 })
        .collect();
    let mut swept = RemoteSwept { missing: missing.len(), ..RemoteSwept::default() };
    let (done, all) = (folder.done.len(), plan.manifest().runs_here());
    let begun = SweepEvent::Begun {
        done,
        all,
        cut_off: folder.cut_off.as_deref(),
        repeated: folder.repeated.as_deref(),
        begun_by: folder.begun_by.as_deref(),
    };
    if told(&begun).is_break() {
        return Ok(swept);
    }
    let engines = plan.servers.len();
    let shared = Shared {
        waiting: missing,
        flying: vec![Vec::new(); engines],
        failures: vec![0; engines],
        dropped: vec![false; engines],
        done: BTreeSet::new(),
    };
    let over = AtomicBool::new(false);
    let pool =
        Pool { plan, shared: Mutex::new(shared), changed: Condvar::new(), stop, over: &over };
    let ended = thread::scope(|scope| {
        let (sender, receiver) = channel();
        for engine in 0..engines {
            let slots = plan.engines[engine].slots.unwrap_or(CONCURRENCY);
            let workers = options.concurrency.map_or(slots, NonZeroUsize::get);
            for worker in 0..workers.min(swept.missing.max(1)) {
                let (sender, pool) = (sender.clone(), &pool);
                scope.spawn(move || pool.work(engine, worker, &sender));
            }
        }
        drop(sender);
        let ended = write(&receiver, &mut folder, &mut swept, plan, &mut told);
        over.store(true, Ordering::Relaxed);
        pool.changed.notify_all();
        ended
    });
    ended?;
    if swept.missing == 0 {
        folder.sort()?;
    }
    Ok(swept)
}

/// Writes what comes, until all is there or the sweep is over.
fn write(
    receiver: &Receiver<News>,
    folder: &mut Folder,
    swept: &mut RemoteSwept,
    plan: &RemotePlan,
    told: &mut dyn FnMut(&SweepEvent<'_>) -> ControlFlow<()>,
) -> Result<(), SweepError> {
    while swept.missing > 0 {
        match receiver.recv_timeout(LOOK) {
            Ok(News::Made { record, line }) => {
                folder.append_line(record.id, &line)?;
                swept.made += 1;
                swept.missing -= 1;
                if let Some(error) = &record.error {
                    swept.failed += 1;
                    swept.first_failure.get_or_insert_with(|| error.clone());
                }
                if told(&SweepEvent::Ended(&record)).is_break() {
                    return Ok(());
                }
            }
            Ok(News::Lost { engine, why }) => {
                swept.lost.push(why.clone());
                let engine = plan.servers[engine].address().to_string();
                if told(&SweepEvent::Lost { engine: &engine, why: &why }).is_break() {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // No engine is left, or everybody was told to stop.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
    Ok(())
}

struct Pool<'a> {
    plan: &'a RemotePlan,
    shared: Mutex<Shared>,
    changed: Condvar,
    stop: &'a AtomicBool,
    over: &'a AtomicBool,
}

impl Pool<'_> {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.over.load(Ordering::Relaxed)
    }

    /// What is shared: a thread that panicked leaves it as good as it was.
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes runs on an engine until there are no more, or it is dropped.
    fn work(&self, engine: usize, worker: usize, sender: &Sender<News>) {
        while let Some(job) = self.next(engine) {
            let made = self.make(job.id, engine);
            let mut shared = self.shared();
            shared.flying[engine].retain(|flying| flying.id != job.id);
            let wait = match made {
                Ok(made) => {
                    shared.failures[engine] = 0;
                    let news = shared.done.insert(job.id).then_some(made);
                    self.changed.notify_all();
                    drop(shared);
                    if news.is_some_and(|news| sender.send(news).is_err()) {
                        return;
                    }
                    continue;
                }
                Err(EngineError::Cancelled) => return,
                Err(error) => self.failed(&mut shared, engine, job, &error, sender),
            };
            drop(shared);
            self.changed.notify_all();
            if let Some(wait) = wait {
                self.pause(jittered(wait, engine, worker, job));
            }
        }
    }

    /// The next run for an engine; `None` when all are there, or it is dropped.
    fn next(&self, engine: usize) -> Option<Job> {
        let mut shared = self.shared();
        loop {
            if self.is_over() || shared.dropped[engine] {
                return None;
            }
            if let Some(job) = shared.waiting.pop_front() {
                if shared.done.contains(&job.id) {
                    continue;
                }
                shared.flying[engine].push(job);
                return Some(job);
            }
            // What is in flight elsewhere may come back.
            if shared.flying.iter().all(Vec::is_empty) {
                return None;
            }
            let waited = self.changed.wait_timeout(shared, LOOK);
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes a run. A run that the engine refuses for itself is a record that says so.
    fn make(&self, id: RunId, engine: usize) -> Result<News, EngineError> {
        let (wanted, call) = self.plan.call(id, engine)?;
        let (answer, ended) =
            self.plan.servers[engine].answer(&call, &|| self.is_over(), &mut |_| true);
        let error = match ended {
            Ok(()) => None,
            Err(error @ EngineError::Status { status: 400 | 404 | 413 | 422, .. }) => {
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        let (record, line) = record(self.plan, id, engine, (&wanted, &call), answer, error);
        Ok(News::Made { record: Box::new(record), line })
    }

    /// After a failure: the run goes back, and perhaps the engine is dropped. How long to wait.
    fn failed(
        &self,
        shared: &mut Shared,
        engine: usize,
        job: Job,
        error: &EngineError,
        sender: &Sender<News>,
    ) -> Option<Duration> {
        let busy = matches!(error, EngineError::Status { status: 429, .. });
        if !busy {
            shared.failures[engine] += 1;
        }
        let hopeless = !error.is_transient() || shared.failures[engine] >= PATIENCE;
        let attempts = job.attempts + usize::from(!busy);
        let again = Job { attempts, ..job };
        if attempts >= ATTEMPTS && !hopeless && shared.done.insert(job.id) {
            let _ = self.given_up(job.id, engine, error).map(|news| sender.send(news));
        } else if !shared.done.contains(&job.id) {
            // At the end of the line, so that others are not kept from another engine by it.
            shared.waiting.push_back(again);
        }
        if hopeless && !shared.dropped[engine] {
            shared.dropped[engine] = true;
            let flying = std::mem::take(&mut shared.flying[engine]);
            shared.waiting.extend(flying);
            let _ = sender.send(News::Lost { engine, why: error.to_string() });
        }
        if shared.dropped[engine] {
            return None;
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << attempts.min(10) as u32);
        Some(error.retry_after().unwrap_or(doubled).min(LONGEST_WAIT).max(FIRST_WAIT))
    }

    /// The record of a run that fails wherever it is made.
    fn given_up(&self, id: RunId, engine: usize, error: &EngineError) -> Result<News, EngineError> {
        let (wanted, call) = self.plan.call(id, engine)?;
        let (wanted, error) = ((&wanted, &call), Some(error.to_string()));
        let (record, line) = record(self.plan, id, engine, wanted, Answer::default(), error);
        Ok(News::Made { record: Box::new(record), line })
    }

    /// Waits, unless the sweep is over.
    fn pause(&self, wait: Duration) {
        let end = Instant::now() + wait;
        while !self.is_over() && Instant::now() < end {
            thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        }
    }
}

/// Between half of a wait and one and a half of it, so that those who failed together do not come
/// back together.
fn jittered(wait: Duration, engine: usize, worker: usize, job: Job) -> Duration {
    let stream = (engine as u64) << 32 | worker as u64;
    let key = DrawKey::new(job.id.seed as u64 ^ (job.id.setting as u64) << 20).stream(stream);
    let share = Draws::new(key).unit(Purpose::Custom(0x6a69_7474), job.attempts as u64);
    wait.mul_f64(0.5 + share)
}
