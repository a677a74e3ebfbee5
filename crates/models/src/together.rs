//! One model for sequences on several threads: what they ask for at the same time is one call.
//!
//! A step of sixteen rows reads the weights once, as a step of one row does. Threads that each run a
//! sequence of their own share a [`Together`], and need not know of each other:
//!
//! ```text
//! forward(work):
//!     put the work on the desk
//!     until my answer is there:
//!         if no thread computes, and every live state has asked or patience is over:
//!             take all work from the desk, compute it in one call, hand out the answers
//!         else: sleep until something changes
//! ```
//!
//! The states of all threads are rows of one state of the model beneath. A call that fails is made again
//! for each thread by itself, so that an error reaches the thread whose work it is about.
//!
//! Only a [batch-invariant](crate::Capabilities::batch_invariant) model gives the same bits in company as
//! alone; of another one the logits would depend on who asks at the same time.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{ModelError, StateError};
use crate::language_model::{Capabilities, LanguageModel, Outputs, RowId, State, Want, Work};
use crate::load::LoadedModel;
use crate::observe::{Observable, Observer};

/// How long work waits for that of other states. Longer than a sampler takes; one that takes longer
/// costs the others a step in smaller company, and changes no number.
const PATIENCE: Duration = Duration::from_millis(50);

/// A model that several threads drive, each with a state of its own, and that computes together what
/// they ask for at the same time.
///
/// A thread that holds a state and asks for nothing holds the others up for 50 ms a step, and one that
/// makes a second state while it holds a first may wait for itself where memory is short.
///
/// ```
/// use taper_models::{LanguageModel, LoadOptions, Together, load_builtin};
///
/// let model = Together::new(load_builtin(&LoadOptions::default())?.model, 1 << 30);
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let state = model.new_state(); // rows, and calls of `forward`, as of any model
///             drop(state);
///         });
///     }
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Together {
    model: Box<dyn LanguageModel>,
    most_bytes: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
    /// The rows of all states. Never locked by who then waits for the desk.
    rows: Mutex<Box<dyn State>>,
}

/// What was asked for, and what was answered.
#[derive(Debug, Default)]
struct Desk {
    states: usize,
    /// Memory of all rows after the last call.
    bytes: usize,
    next: u64,
    asked: Vec<Asked>,
    answers: HashMap<u64, Answer>,
    computing: bool,
    /// A call panicked, and took with it what it had taken from the desk.
    broken: bool,
}

/// The work of one thread.
#[derive(Debug)]
struct Asked {
    ticket: u64,
    pieces: Vec<(RowId, Vec<u32>, Want)>,
}

/// The outputs of a call, and which of them are one thread's.
type Answer = Result<(Arc<Outputs>, Range<usize>), ModelError>;

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn wait<'d>(&self, desk: MutexGuard<'d, Desk>, time: Duration) -> MutexGuard<'d, Desk> {
        self.changed.wait_timeout(desk, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Together {
    /// Shares a model. While the rows of all states take so much memory that one state more would exceed
    /// `most_bytes`, [`new_state`](LanguageModel::new_state) waits until a state is dropped; the first is
    /// always made.
    pub fn new(model: Box<dyn LanguageModel>, most_bytes: usize) -> Self {
        let rows = Mutex::new(model.new_state());
        let shared = Shared { desk: Mutex::default(), changed: Condvar::new(), rows };
        Self { model, most_bytes, shared: Arc::new(shared) }
    }

    fn member<'s>(&self, state: &'s mut dyn State) -> Result<&'s mut Member, ModelError> {
        let member = (state as &mut dyn Any).downcast_mut::<Member>();
        let own = member.filter(|member| Arc::ptr_eq(&member.shared, &self.shared));
        own.ok_or(ModelError::ForeignState)
    }

    /// Waits for the answer, and computes for all where it is this thread's turn.
    fn answer<'d>(&'d self, ticket: u64, mut desk: MutexGuard<'d, Desk>) -> Answer {
        let began = Instant::now();
        loop {
            if let Some(answer) = desk.answers.remove(&ticket) {
                return answer;
            }
            if desk.broken {
                let why = "a call on another thread panicked, and this one was part of it";
                return Err(ModelError::Engine(why.into()));
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            let complete = desk.asked.len() >= desk.states || left.is_zero();
            if complete && !desk.computing {
                desk = self.compute(desk);
            } else {
                // While another computes it tells when it is over.
                let time = if desk.computing { Duration::from_hours(1) } else { left };
                desk = self.shared.wait(desk, time);
            }
        }
    }

    /// Computes all that was asked for.
    fn compute<'d>(&'d self, mut desk: MutexGuard<'d, Desk>) -> MutexGuard<'d, Desk> {
        desk.computing = true;
        let asked = std::mem::take(&mut desk.asked);
        drop(desk);
        let mut turn = Turn { shared: &self.shared, over: false };
        let (answers, bytes) = {
            let mut rows = lock(&self.shared.rows);
            (self.pass(&mut **rows, &asked), rows.bytes())
        };
        turn.over = true;
        drop(turn);
        let mut desk = lock(&self.shared.desk);
        desk.answers.extend(answers);
        (desk.computing, desk.bytes) = (false, bytes);
        self.shared.changed.notify_all();
        desk
    }

    /// One call for all, or, should it fail, one for each.
    fn pass(&self, rows: &mut dyn State, asked: &[Asked]) -> Vec<(u64, Answer)> {
        let pieces = asked.iter().flat_map(|asked| &asked.pieces);
        let work: Vec<Work<'_>> =
            pieces.map(|(row, tokens, want)| Work { row: *row, tokens, want: *want }).collect();
        let mut outputs = Outputs::new();
        match self.model.forward(rows, &work, &mut outputs) {
            Ok(()) => {
                let (outputs, mut end) = (Arc::new(outputs), 0);
                let part = |asked: &Asked| {
                    let start = end;
                    end += asked.pieces.len();
                    (asked.ticket, Ok((Arc::clone(&outputs), start..end)))
                };
                asked.iter().map(part).collect()
            }
            Err(error) => match asked {
                [only] => vec![(only.ticket, Err(error))],
                _ => asked.chunks(1).flat_map(|one| self.pass(rows, one)).collect(),
            },
        }
    }
}

/// A call that is being made: should it panic, the others are told.
struct Turn<'t> {
    shared: &'t Shared,
    over: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            lock(&self.shared.desk).broken = true;
            self.shared.changed.notify_all();
        }
    }
}

impl LoadedModel {
    /// The same files, and their model [shared](Together).
    #[must_use]
    pub fn together(self, most_bytes: usize) -> Self {
        Self { model: Box::new(Together::new(self.model, most_bytes)), ..self }
    }
}

impl LanguageModel for Together {
    fn family(&self) -> &str {
        self.model.family()
    }

    fn vocab_size(&self) -> usize {
        self.model.vocab_size()
    }

    fn context_length(&self) -> usize {
        self.model.context_length()
    }

    fn capabilities(&self) -> Capabilities {
        self.model.capabilities()
    }

    fn new_state(&self) -> Box<dyn State> {
        let mut desk = lock(&self.shared.desk);
        while desk.states > 0 && desk.bytes / desk.states * (desk.states + 1) > self.most_bytes {
            desk = self.shared.wait(desk, PATIENCE);
        }
        desk.states += 1;
        Box::new(Member { shared: Arc::clone(&self.shared), rows: BTreeSet::new() })
    }

    fn forward(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) -> Result<(), ModelError> {
        let member = self.member(state)?;
        for piece in work {
            member.own(piece.row)?;
        }
        let pieces = work.iter().map(|piece| (piece.row, piece.tokens.to_vec(), piece.want));
        let pieces = pieces.collect();
        let mut desk = lock(&self.shared.desk);
        let ticket = desk.next;
        desk.next += 1;
        // Who comes last computes; the others need not be woken for that.
        desk.asked.push(Asked { ticket, pieces });
        let (all, part) = self.answer(ticket, desk)?;
        outputs.reset(self.vocab_size(), work);
        for (own, theirs) in part.enumerate() {
            outputs.logits_mut(own).copy_from_slice(all.logits(theirs));
        }
        Ok(())
    }

    fn observable(&self) -> Option<Observable> {
        self.model.observable()
    }

    /// By itself: what an observer sees has to be of this call alone.
    fn forward_observed(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        let member = self.member(state)?;
        for piece in work {
            member.own(piece.row)?;
        }
        let mut rows = lock(&self.shared.rows);
        self.model.forward_observed(&mut **rows, work, outputs, observer)
    }

    fn read_out(&self, hidden: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.model.read_out(hidden)
    }
}

/// The rows of one thread, among those of all.
#[derive(Debug)]
struct Member {
    shared: Arc<Shared>,
    rows: BTreeSet<RowId>,
}

impl Member {
    fn own(&self, row: RowId) -> Result<(), StateError> {
        if self.rows.contains(&row) { Ok(()) } else { Err(StateError::UnknownRow { row }) }
    }
}

impl State for Member {
    fn new_row(&mut self) -> RowId {
        let row = lock(&self.shared.rows).new_row();
        self.rows.insert(row);
        row
    }

    fn fork(&mut self, row: RowId) -> Result<RowId, StateError> {
        self.own(row)?;
        let fork = lock(&self.shared.rows).fork(row)?;
        self.rows.insert(fork);
        Ok(fork)
    }

    /// By forks, for a reordering beneath would drop the rows of all others.
    fn reorder(&mut self, parents: &[RowId]) -> Result<Vec<RowId>, StateError> {
        for parent in parents {
            self.own(*parent)?;
        }
        let mut rows = lock(&self.shared.rows);
        let mut forks = Vec::with_capacity(parents.len());
        for parent in parents {
            match rows.fork(*parent) {
                Ok(fork) => forks.push(fork),
                Err(error) => {
                    forks.into_iter().try_for_each(|fork| rows.drop_row(fork))?;
                    return Err(error);
                }
            }
        }
        let before = std::mem::replace(&mut self.rows, forks.iter().copied().collect());
        before.into_iter().try_for_each(|row| rows.drop_row(row))?;
        Ok(forks)
    }

    fn truncate(&mut self, row: RowId, len: usize) -> Result<(), StateError> {
        self.own(row)?;
        lock(&self.shared.rows).truncate(row, len)
    }

    fn drop_row(&mut self, row: RowId) -> Result<(), StateError> {
        self.own(row)?;
        self.rows.remove(&row);
        lock(&self.shared.rows).drop_row(row)
    }

    fn len(&self, row: RowId) -> Result<usize, StateError> {
        self.own(row)?;
        lock(&self.shared.rows).len(row)
    }

    /// Of the rows of all states: what is theirs and what they share is not told apart.
    fn bytes(&self) -> usize {
        lock(&self.shared.rows).bytes()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        {
            let mut rows = lock(&self.shared.rows);
            for row in &self.rows {
                // A row that is not there any more is what was wanted.
                let _ = rows.drop_row(*row);
            }
        }
        lock(&self.shared.desk).states -= 1;
        self.shared.changed.notify_all();
    }
}
