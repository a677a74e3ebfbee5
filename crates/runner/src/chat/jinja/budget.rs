//! What a template may use: steps, and bytes that are alive.
//!
//! A template comes with a model from anywhere. Each thread renders one at a time, so the accounts are
//! those of the thread.

use std::cell::Cell;

use super::raise::{Outcome, raise};

/// Steps that a template may take. A conversation of a thousand turns takes a small part of it.
const STEPS: u64 = 500_000;

/// Bytes that texts and lists may hold at a time.
const BYTES: usize = 1 << 26;

/// How deep expressions, statements and values may nest. Python gives up at about a thousand calls.
pub(super) const DEEPEST: usize = 1000;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(STEPS) };
    static ALIVE: Cell<usize> = const { Cell::new(0) };
}

/// Opens fresh accounts for this thread.
pub(super) fn begin() {
    LEFT.set(STEPS);
    ALIVE.set(0);
}

/// Takes steps where nothing can be reported; [`check`] reports it soon.
pub(super) fn take(steps: usize) -> bool {
    let left = LEFT.get().saturating_sub(steps as u64);
    LEFT.set(left);
    left > 0
}

/// One step, and whether anything is used up.
pub(super) fn check() -> Outcome<()> {
    if !take(1) {
        return Err(raise("limit", format!("it takes more than {STEPS} steps")));
    }
    fits(0)
}

/// Steps for work on many items or bytes at once.
pub(super) fn spend(steps: usize) -> Outcome<()> {
    take(steps);
    check()
}

/// Whether `bytes` more may be alive.
pub(super) fn fits(bytes: usize) -> Outcome<()> {
    if ALIVE.get().saturating_add(bytes) > BYTES {
        return Err(raise("limit", format!("it takes more than {} MiB", BYTES >> 20)));
    }
    Ok(())
}

/// Bytes that are alive as long as this is.
#[derive(Debug)]
pub(super) struct Held(usize);

impl Held {
    pub(super) fn new(bytes: usize) -> Self {
        ALIVE.set(ALIVE.get().saturating_add(bytes));
        Self(bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get().saturating_sub(self.0));
    }
}
