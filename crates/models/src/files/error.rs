//! What can be wrong with a file.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{KIB, MIB};

/// Why a file cannot be read or written: one line that names it and says what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
#[non_exhaustive]
pub struct FileError {
    /// The path as it was given.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: FileProblem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// Nothing is at the path.
    #[error("no such file or folder; expected {0}")]
    Missing(&'static str),
    /// Something of another kind is at the path.
    #[error("it is {found}; expected {expected}")]
    Kind {
        /// What is there.
        found: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// It has more bytes than any good one.
    #[error("it has more than {}, the most that is accepted; expected {expected}", size(*limit))]
    TooLarge {
        /// The most bytes that are accepted.
        limit: u64,
        /// What would be right.
        expected: &'static str,
    },
    /// No program writes to a FIFO that is read.
    #[error("no program writes to this FIFO; expected {0}")]
    NoWriter(&'static str),
    /// No program reads from a FIFO that is written.
    #[error("no program reads from this FIFO; begin to read, or name a file")]
    NoReader,
    /// A text is not UTF-8.
    #[error("it must be UTF-8, and is not from byte {at} on")]
    Text {
        /// The first byte that is wrong, from 0.
        at: usize,
    },
    /// The folder of a file to be written is not there.
    #[error("there is no such folder to write to")]
    NoFolder,
    /// Symlinks lead on without an end.
    #[error("more than {0} symlinks lead on from it; expected a file to write to")]
    Links(usize),
    /// Nothing can be made in the folder of a file to be written.
    #[error("its folder cannot be written to: {0}")]
    Folder(io::Error),
    /// The system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl FileProblem {
    pub(super) fn at(self, path: &Path) -> FileError {
        FileError { path: path.to_owned(), problem: self }
    }
}

impl FileError {
    /// What the system said of a file.
    pub fn of_system(path: &Path, error: io::Error) -> Self {
        FileProblem::Io(error).at(path)
    }

    /// Whether nothing is at the path.
    pub fn is_missing(&self) -> bool {
        matches!(self.problem, FileProblem::Missing(_))
    }

    /// Whether another path would have been right, rather than another moment or another disk.
    pub fn is_about_the_path(&self) -> bool {
        use ErrorKind::{
            InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
            ReadOnlyFilesystem,
        };
        match &self.problem {
            FileProblem::Io(error) | FileProblem::Folder(error) => matches!(
                error.kind(),
                InvalidFilename
                    | InvalidInput
                    | IsADirectory
                    | NotADirectory
                    | NotFound
                    | PermissionDenied
                    | ReadOnlyFilesystem
            ),
            _ => true,
        }
    }

    /// What the system said, if it is what the system said.
    pub fn io(&self) -> Option<&io::Error> {
        match &self.problem {
            FileProblem::Io(error) | FileProblem::Folder(error) => Some(error),
            _ => None,
        }
    }
}

/// `64 MiB`; limits are whole numbers of their unit.
fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{} KiB", bytes / KIB)
    }
}
