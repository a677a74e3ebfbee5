//! How far a load is, on stderr, if it takes long and somebody looks.

use std::cell::OnceCell;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// What is over sooner needs no bar.
const LONG: Duration = Duration::from_secs(1);
const STEPS: u64 = 1000;

/// A bar that appears once a load has taken long.
#[derive(Debug)]
pub(super) struct LoadProgress {
    what: String,
    began: Instant,
    bar: OnceCell<ProgressBar>,
}

impl LoadProgress {
    pub(super) fn new(what: &str) -> Self {
        Self { what: what.to_owned(), began: Instant::now(), bar: OnceCell::new() }
    }

    /// Shows that a share, from 0 to 1, is done.
    pub(super) fn tell(&self, share: f64) {
        if self.began.elapsed() >= LONG && stderr().is_terminal() {
            let bar = self.bar.get_or_init(|| self.appear());
            bar.set_position((share * STEPS as f64) as u64);
        }
    }

    fn appear(&self) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg} {bar:30} {percent:>3} % {elapsed}");
        let bar = ProgressBar::new(STEPS).with_message(format!("loading {}", self.what));
        // A template that cannot be read leaves the library's own.
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

impl Drop for LoadProgress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
