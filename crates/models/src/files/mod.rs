//! Files as a program that is given paths reads and writes them.
//!
//! A path may lead to anything: a folder, a FIFO to which no program writes, a device without an end, a
//! symlink. What is read is checked through the open file, so that nothing can be put in its place
//! between a look and a read: a [`FileKind`] says what is expected, how many bytes it may have, and
//! whether a pipe will do. What is written ([`write_file`]) has its name only once it is whole.

mod error;
mod output;
mod read;

pub use self::error::{FileError, FileProblem};
pub use self::output::{Sink, abandon_unfinished, check_output, is_stdout, write_file};
pub use self::read::{FileKind, check_folder};

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// How long the other end of a FIFO is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Options by which opening neither waits for the other end of a FIFO nor makes a terminal the
/// program's own.
fn at_once(options: &mut OpenOptions) -> &OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

/// Opens a pipe or a device so that reads and writes wait. Opening a FIFO waits for its other end, as
/// long as [`PATIENCE`] goes; after that the open call is left behind in a thread of its own.
fn open_waiting(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let (sender, receiver) = mpsc::channel();
    let (path, options) = (path.to_owned(), options.clone());
    // The receiver is gone if the patience was at its end.
    let open = move || drop(sender.send(options.open(path)));
    thread::Builder::new().spawn(open)?;
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Whether bytes flow through it: a FIFO, a pipe, a terminal, or a device like `/dev/null`.
fn is_stream(kind: FileType) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        kind.is_fifo() || kind.is_char_device()
    }
    #[cfg(not(unix))]
    {
        let _ = kind;
        false
    }
}

/// What something is called.
fn name_of(kind: FileType) -> &'static str {
    if kind.is_dir() || kind.is_file() {
        return if kind.is_dir() { "a folder" } else { "a file" };
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kinds = [
            (kind.is_fifo(), "a FIFO"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device() || kind.is_block_device(), "a device"),
        ];
        if let Some((_, name)) = kinds.iter().find(|(is, _)| *is) {
            return name;
        }
    }
    "no regular file"
}
