//! Work that a template may break: on a thread of its own, with a deep stack and a limit on time.
//!
//! Steps and memory are counted where they are used. What is nested takes stack, and a machine may be
//! slower than its template is long. A template comes with a model from anywhere and may not end the
//! program.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

use super::ChatError;

/// Bytes of stack: enough for what may nest, lists within lists among it. They are taken when they are
/// touched.
const STACK: usize = 1 << 29;

/// A template is rendered in milliseconds.
const LONGEST: Duration = Duration::from_secs(10);

/// What `work` comes to. Work that does not end in time is left alone: a thread cannot be stopped.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ChatError> + Send + 'static,
) -> Result<T, ChatError> {
    let (sender, receiver) = channel();
    let send = move || {
        // The receiver is gone if it took too long.
        let _ = sender.send(work());
    };
    let broken = |reason: &str| ChatError::Broken(reason.to_owned());
    let thread = Builder::new().name("chat template".to_owned()).stack_size(STACK).spawn(send);
    if thread.is_err() {
        return Err(broken("there is no memory for the stack that it may need"));
    }
    match receiver.recv_timeout(LONGEST) {
        Ok(done) => done,
        Err(RecvTimeoutError::Timeout) => {
            Err(broken(&format!("it took more than {} seconds", LONGEST.as_secs())))
        }
        Err(RecvTimeoutError::Disconnected) => Err(broken("it made the template engine panic")),
    }
}
