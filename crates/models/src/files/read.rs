//! Reading: regular files, and pipes where they will do, up to a size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::{FileError, FileProblem, KIB, MIB, at_once, is_stream, name_of, open_waiting};

/// A kind of file that is read: what to call it, and what it may be.
///
/// ```
/// use taper_models::files::FileKind;
///
/// let notes = FileKind::input("notes in UTF-8", 1);
/// let error = notes.read_text("no/such/file".as_ref()).unwrap_err();
/// let line = "no/such/file: no such file or folder; expected notes in UTF-8";
/// assert_eq!(error.to_string(), line);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKind {
    expected: &'static str,
    limit: u64,
    streams: bool,
}

/// Refuses what is not a folder, `expected` being what would be right.
///
/// # Errors
///
/// When nothing is at the path, or something else.
pub fn check_folder(path: &Path, expected: &'static str) -> Result<(), FileError> {
    let problem = match fs::metadata(path).map(|found| found.file_type()) {
        Ok(kind) if kind.is_dir() => return Ok(()),
        Ok(kind) => FileProblem::Kind { found: name_of(kind), expected },
        Err(error) if is_absence(&error) => FileProblem::Missing(expected),
        Err(error) => error.into(),
    };
    Err(problem.at(path))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl FileKind {
    /// `config.json` and the other files of settings in a model's folder.
    pub(crate) const SETTINGS: Self = Self::regular("a regular file of JSON", 64);
    /// `tokenizer.json`. The largest vocabularies take about 40 MB.
    pub(crate) const TOKENIZER: Self = Self::regular("a regular file with a tokenizer", 512);
    /// `chat_template.jinja`.
    pub(crate) const TEMPLATE: Self = Self::regular("a regular file with a chat template", 16);
    /// What names the commit of a branch in the cache of `huggingface_hub`.
    pub(crate) const REVISION: Self =
        Self { expected: "a regular file with a commit", limit: 4 * KIB, streams: false };
    /// A file of weights, which is not read as a whole.
    pub(crate) const WEIGHTS: Self = Self::regular("a regular file of weights", u64::MAX / MIB);

    /// A kind that must be a regular file, of at most so many MiB: what a program finds in a folder,
    /// where nothing may be waited for.
    pub const fn regular(expected: &'static str, mebibytes: u64) -> Self {
        Self { expected, limit: mebibytes * MIB, streams: false }
    }

    /// A kind that may come through a pipe as well: what a user names, perhaps by `<(command)`.
    pub const fn input(expected: &'static str, mebibytes: u64) -> Self {
        Self { expected, limit: mebibytes * MIB, streams: true }
    }

    /// Opens a file of this kind; of a stream, once its other end is open.
    ///
    /// # Errors
    ///
    /// When it is not there, of another kind, or cannot be opened, and when nothing writes to a FIFO.
    pub fn open(&self, path: &Path) -> Result<File, FileError> {
        self.try_open(path).map_err(|problem| problem.at(path))
    }

    fn try_open(&self, path: &Path) -> Result<File, FileProblem> {
        let expected = self.expected;
        let opened = at_once(OpenOptions::new().read(true)).open(path);
        let file = opened.map_err(|error| self.unopened(path, error))?;
        let kind = file.metadata()?.file_type();
        if kind.is_file() {
            return Ok(file);
        }
        if !self.streams || !is_stream(kind) {
            return Err(FileProblem::Kind { found: name_of(kind), expected });
        }
        // The first is kept open until the second is: a program that began to write to it alone would
        // find that nothing reads any more.
        let waiting = open_waiting(path, OpenOptions::new().read(true));
        drop(file);
        waiting.map_err(|error| match error.kind() {
            ErrorKind::TimedOut => FileProblem::NoWriter(expected),
            _ => error.into(),
        })
    }

    /// Opens a regular file to be read and written, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// When something else is at the path, and when it cannot be opened.
    pub fn open_to_change(&self, path: &Path) -> Result<File, FileError> {
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = at_once(&mut options).open(path);
            let file = file.map_err(|error| self.unopened(path, error))?;
            let kind = file.metadata()?.file_type();
            let (found, expected) = (name_of(kind), self.expected);
            if kind.is_file() { Ok(file) } else { Err(FileProblem::Kind { found, expected }) }
        };
        open().map_err(|problem| problem.at(path))
    }

    /// Why a path could not be opened, in words of its own where the system's say less: a socket is "no
    /// such device or address".
    fn unopened(&self, path: &Path, error: io::Error) -> FileProblem {
        let expected = self.expected;
        if is_absence(&error) {
            return FileProblem::Missing(expected);
        }
        match fs::metadata(path).map(|found| found.file_type()) {
            Ok(kind) if !kind.is_file() => FileProblem::Kind { found: name_of(kind), expected },
            _ => error.into(),
        }
    }

    /// The contents of a file of this kind.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), when it has too many bytes, and when it cannot be read.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let read = || {
            let file = self.try_open(path)?;
            if file.metadata()?.len() > self.limit {
                return Err(self.too_large());
            }
            self.read_all(file)
        };
        read().map_err(|problem| problem.at(path))
    }

    /// The same, or `None` if nothing is at the path.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        match self.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The text in a file of this kind.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and when it is not UTF-8.
    pub fn read_text(&self, path: &Path) -> Result<String, FileError> {
        text(self.read(path)?).map_err(|problem| problem.at(path))
    }

    /// The text that standard input gives, up to its end.
    ///
    /// # Errors
    ///
    /// As [`read_text`](Self::read_text), the path being `standard input`.
    pub fn read_stdin(&self) -> Result<String, FileError> {
        let bytes = self.read_all(io::stdin().lock());
        bytes.and_then(text).map_err(|problem| problem.at("standard input".as_ref()))
    }

    fn read_all(&self, from: impl Read) -> Result<Vec<u8>, FileProblem> {
        let mut bytes = Vec::new();
        from.take(self.limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > self.limit {
            return Err(self.too_large());
        }
        Ok(bytes)
    }

    fn too_large(&self) -> FileProblem {
        FileProblem::TooLarge { limit: self.limit, expected: self.expected }
    }
}

fn text(bytes: Vec<u8>) -> Result<String, FileProblem> {
    String::from_utf8(bytes)
        .map_err(|error| FileProblem::Text { at: error.utf8_error().valid_up_to() })
}
