//! Signals: what Ctrl-C ends, and a limit on the size of files.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use taper_runner::models::files::abandon_unfinished;

use super::failure::Failure;

/// The first Ctrl-C asks the loop to end after the present token, the second ends the program.
pub(super) fn watch_for_ctrl_c() -> Result<&'static AtomicBool, Failure> {
    static CANCELLED: AtomicBool = AtomicBool::new(false);
    at_ctrl_c(|| {
        if CANCELLED.swap(true, Ordering::Relaxed) {
            end();
        }
    })?;
    Ok(&CANCELLED)
}

/// Ctrl-C ends the program, and leaves no half-written file behind.
pub(super) fn end_at_ctrl_c() -> Result<(), Failure> {
    at_ctrl_c(end)
}

fn end() {
    abandon_unfinished();
    process::exit(130);
}

fn at_ctrl_c(act: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(act)
        .map_err(|error| Failure::Run(format!("Ctrl-C cannot be watched for: {error}")))
}

/// Lets a write beyond the limit on the size of files (`ulimit -f`) fail, as on a full disk: its
/// signal would end the program without a word.
pub(super) fn outlive_file_limits() {
    #[cfg(unix)]
    {
        let seen = std::sync::Arc::new(AtomicBool::new(false));
        // Without it the signal does what it does to any program.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, seen);
    }
}
