//! Rows of logits by text: computed once, on the one thread that runs the model, and shared.
//!
//! ```text
//! get(tokens):  in the cache → that row, at once
//!               otherwise a job for the model's thread, and wait
//! the thread:   the state's row that holds the longest beginning of the tokens
//!               fork it, pass the rest through the model, keep row and logits
//!               too many bytes: drop what was used least recently
//! ```
//!
//! A text whose row was dropped is computed again from its tokens. A job that a newer one of the same tab has
//! overtaken is not run.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use taper_models::{LanguageModel, LoadedModel, ModelError, Outputs, RowId, State, Want, Work};

/// Jobs that may wait; more are refused.
const MOST_WAITING: usize = 64;

/// A row of logits.
pub(super) type Row = Arc<[f32]>;

/// Why there is no row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum RowError {
    /// A newer question of the same tab took its place.
    #[error("a newer question took the place of this one")]
    Overtaken,
    /// Too many jobs wait.
    #[error("the model is busy: {MOST_WAITING} texts wait for it; try again")]
    Busy,
    /// The explorer is ending.
    #[error("the explorer is ending")]
    Ending,
    /// The model failed.
    #[error("the model fails: {0}")]
    Model(String),
}

/// Who asks: a question overtakes the earlier ones of its tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) tab: String,
    pub(super) number: u64,
}

/// The rows of one model.
#[derive(Debug)]
pub(super) struct Rows {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Debug)]
struct Inner {
    rows: HashMap<Vec<u32>, Cached>,
    jobs: VecDeque<Job>,
    /// The latest question of each tab.
    latest: HashMap<String, u64>,
    /// Counts uses, to know the least recent.
    clock: u64,
    bytes: usize,
    limit: usize,
    ending: bool,
}

#[derive(Debug)]
struct Cached {
    row: Row,
    used: u64,
}

#[derive(Debug)]
struct Job {
    tokens: Vec<u32>,
    turn: Option<Turn>,
    reply: SyncSender<Result<Row, RowError>>,
}

impl Rows {
    /// Starts the thread of a model; rows and states have `limit` bytes, half each.
    pub(super) fn of(loaded: Arc<LoadedModel>, limit: usize) -> Self {
        let inner = Inner {
            rows: HashMap::new(),
            jobs: VecDeque::new(),
            latest: HashMap::new(),
            clock: 0,
            bytes: 0,
            limit: limit / 2,
            ending: false,
        };
        let shared = Arc::new(Shared { inner: Mutex::new(inner), wake: Condvar::new() });
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || run(&of_thread, &*loaded.model, limit / 2));
        Self { shared, thread: Some(thread) }
    }

    /// The logits of the token after `tokens`, of which there is at least one and each is in the vocabulary.
    ///
    /// # Errors
    ///
    /// See [`RowError`].
    pub(super) fn get(&self, tokens: &[u32], turn: Option<&Turn>) -> Result<Row, RowError> {
        let wait = {
            let mut inner = self.shared.lock();
            if let Some(row) = inner.cached(tokens) {
                return Ok(row);
            }
            inner.put(tokens, turn)?
        };
        self.shared.wake.notify_one();
        wait.recv().unwrap_or(Err(RowError::Ending))
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.shared.lock().ending = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has no result; a panic of it was told when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A thread that panics with the lock leaves whole maps behind.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; `None` at the end.
    fn next(&self) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if inner.ending {
                inner.jobs.clear();
                return None;
            }
            if let Some(job) = inner.jobs.pop_front() {
                return Some(job);
            }
            inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Inner {
    fn cached(&mut self, tokens: &[u32]) -> Option<Row> {
        self.clock += 1;
        let cached = self.rows.get_mut(tokens)?;
        cached.used = self.clock;
        Some(Arc::clone(&cached.row))
    }

    fn put(
        &mut self,
        tokens: &[u32],
        turn: Option<&Turn>,
    ) -> Result<Receiver<Result<Row, RowError>>, RowError> {
        if self.ending {
            return Err(RowError::Ending);
        }
        if let Some(turn) = turn {
            let latest = self.latest.entry(turn.tab.clone()).or_default();
            *latest = turn.number.max(*latest);
        }
        let (late, jobs): (VecDeque<Job>, VecDeque<Job>) =
            std::mem::take(&mut self.jobs).into_iter().partition(|job| self.is_overtaken(job));
        self.jobs = jobs;
        for job in late {
            // Nothing waits there any more if the tab was closed.
            let _ = job.reply.try_send(Err(RowError::Overtaken));
        }
        if self.jobs.len() >= MOST_WAITING {
            return Err(RowError::Busy);
        }
        let (reply, wait) = sync_channel(1);
        self.jobs.push_back(Job { tokens: tokens.to_vec(), turn: turn.cloned(), reply });
        Ok(wait)
    }

    fn is_overtaken(&self, job: &Job) -> bool {
        job.turn.as_ref().is_some_and(|turn| {
            self.latest.get(&turn.tab).is_some_and(|&latest| latest > turn.number)
        })
    }

    /// Keeps a row, and drops the least recently used ones for it.
    fn keep(&mut self, tokens: Vec<u32>, row: &Row) {
        self.clock += 1;
        self.bytes += size_of_val::<[f32]>(row) + size_of_val::<[u32]>(&tokens);
        self.rows.insert(tokens, Cached { row: Arc::clone(row), used: self.clock });
        while self.bytes > self.limit && self.rows.len() > 1 {
            let oldest = self.rows.iter().min_by_key(|(_, cached)| cached.used);
            let Some(tokens) = oldest.map(|(tokens, _)| tokens.clone()) else { return };
            if let Some(cached) = self.rows.remove(&tokens) {
                self.bytes -= size_of_val::<[f32]>(&cached.row) + size_of_val::<[u32]>(&tokens);
            }
        }
    }
}

/// The thread of the model.
fn run(shared: &Shared, model: &dyn LanguageModel, limit: usize) {
    let mut texts = Texts { model, state: model.new_state(), held: Vec::new(), limit };
    while let Some(job) = shared.next() {
        let computed = {
            // Two tabs may have asked for the same.
            let cached = shared.lock().cached(&job.tokens);
            match cached {
                Some(row) => Ok(row),
                None => texts.row(&job.tokens).map_err(|error| RowError::Model(error.to_string())),
            }
        };
        if let Ok(row) = &computed {
            shared.lock().keep(job.tokens, row);
        }
        // Nothing waits there any more if the tab was closed.
        let _ = job.reply.send(computed);
    }
}

/// The texts that the model's state holds.
#[derive(Debug)]
struct Texts<'m> {
    model: &'m dyn LanguageModel,
    state: Box<dyn State>,
    /// The least recently used first.
    held: Vec<Held>,
    limit: usize,
}

#[derive(Debug)]
struct Held {
    tokens: Vec<u32>,
    row: RowId,
}

impl Texts<'_> {
    fn row(&mut self, tokens: &[u32]) -> Result<Row, ModelError> {
        let (row, known) = self.begin(tokens)?;
        let mut outputs = Outputs::new();
        let work = [Work { row, tokens: &tokens[known..], want: Want::Last }];
        let passed = self.model.forward(&mut *self.state, &work, &mut outputs);
        if let Err(error) = passed {
            self.state.drop_row(row)?;
            return Err(error);
        }
        self.held.push(Held { tokens: tokens.to_vec(), row });
        while self.state.bytes() > self.limit && self.held.len() > 1 {
            self.state.drop_row(self.held.remove(0).row)?;
        }
        Ok(outputs.last(0).into())
    }

    /// A row of the state that holds a beginning of `tokens`, the longest but not all, and its length.
    fn begin(&mut self, tokens: &[u32]) -> Result<(RowId, usize), ModelError> {
        let shared = |held: &Held| {
            let alike = held.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
            let cuts = self.model.capabilities().truncate;
            let whole = alike == held.tokens.len() && alike < tokens.len();
            if whole {
                alike
            } else if cuts {
                alike.min(tokens.len() - 1)
            } else {
                0
            }
        };
        let best = self.held.iter().enumerate().max_by_key(|(_, held)| shared(held));
        let best = best.map(|(place, held)| (place, shared(held)));
        let Some((place, known)) = best.filter(|&(_, known)| known > 0) else {
            return Ok((self.state.new_row(), 0));
        };
        if !self.model.capabilities().fork {
            return Ok((self.state.new_row(), 0));
        }
        let held = self.held.remove(place);
        let row = self.state.fork(held.row)?;
        self.held.push(held);
        if self.state.len(row)? > known {
            self.state.truncate(row, known)?;
        }
        Ok((row, known))
    }
}
