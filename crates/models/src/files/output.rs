//! Writing: a file has its name once it is whole; what is no regular file is written to as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use super::{FileError, FileProblem, at_once, is_stream, name_of, open_waiting};

const EXPECTED: &str = "a file to write to";

/// Symlinks that are followed, as many as Linux follows.
const MOST_LINKS: usize = 40;

/// Files without a name of their own yet.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Where the bytes of an output go.
#[derive(Debug)]
pub struct Sink {
    file: BufWriter<File>,
    written: u64,
}

impl Sink {
    fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(1 << 18, file), written: 0 }
    }

    fn finish(self) -> io::Result<File> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// For formats whose writer asks how far it is; a pipe cannot go back.
impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Current(0) => Ok(self.written),
            _ => Err(ErrorKind::Unsupported.into()),
        }
    }
}

/// Writes a file, by `write`, and says how many bytes it has.
///
/// A regular file is written beside its place, under a name of its own, and put there once it is
/// whole: until then, and if anything fails, what was there stays. It keeps the mode of the file that
/// it replaces; a new one has what the umask leaves of `rw-rw-rw-`. Symlinks are followed, also to a
/// file that is not there yet, and stay. Other names of the file that is replaced (hard links) keep
/// the old contents.
///
/// A FIFO with a reader, a terminal and a device like `/dev/null` are written to as they are, and so
/// is what the program has open as `/dev/stdout`, `/dev/stderr` or `/dev/fd/N`. Anything else is
/// refused.
///
/// # Errors
///
/// When the path cannot be written to, and when the disk is full.
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut Sink) -> io::Result<()>,
) -> Result<u64, FileError> {
    let written = open(path).and_then(|target| match target {
        Target::Stream(file) => {
            let mut sink = Sink::new(file);
            write(&mut sink)?;
            let written = sink.written;
            sink.finish()?;
            Ok(written)
        }
        Target::File { path, replaced } => {
            let unfinished = Unfinished::beside(&path)?;
            let mut sink = Sink::new(unfinished.file.as_file().try_clone()?);
            write(&mut sink)?;
            let written = sink.written;
            drop(sink.finish()?);
            unfinished.finish(&path, replaced.as_ref())?;
            Ok(written)
        }
    });
    written.map_err(|problem: FileProblem| problem.at(path))
}

/// Refuses a path that nothing can be written to, before a long run. What it cannot know is left to
/// [`write_file`].
///
/// # Errors
///
/// When a folder is at the path or its own folder is not there.
pub fn check_output(path: &Path) -> Result<(), FileError> {
    let check = || {
        let Place::Path(path) = place(path)? else { return Ok(()) };
        match fs::metadata(&path).map(|found| found.file_type()) {
            Ok(kind) if kind.is_file() || is_stream(kind) => Ok(()),
            Ok(kind) => Err(FileProblem::Kind { found: name_of(kind), expected: EXPECTED }),
            Err(_) => Ok(()),
        }
    };
    check().map_err(|problem: FileProblem| problem.at(path))
}

/// Whether the path is that of standard output: a word of success would be part of the file.
pub fn is_stdout(path: &Path) -> bool {
    matches!(place(path), Ok(Place::Open(1)))
}

/// Removes the files that are not whole yet. For the end of a program that will not run to its end,
/// as after Ctrl-C: from here on none is made and none gets its name.
pub fn abandon_unfinished() {
    let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    for path in unfinished.iter() {
        // What cannot be removed is left behind; the program ends.
        let _ = fs::remove_file(path);
    }
    // Not unlocked again, so that the other threads wait for the end.
    mem::forget(unfinished);
}

/// What is written to.
enum Target {
    Stream(File),
    /// A regular file, which `replaced` describes if it is there.
    File {
        path: PathBuf,
        replaced: Option<fs::Metadata>,
    },
}

fn open(path: &Path) -> Result<Target, FileProblem> {
    let path = match place(path)? {
        Place::Open(descriptor) => return already_open(descriptor, path).map(Target::Stream),
        Place::Path(path) => path,
    };
    let file = match at_once(OpenOptions::new().write(true)).open(&path) {
        Ok(file) => file,
        Err(error) => return unopened(path, error),
    };
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(Target::File { path, replaced: Some(metadata) });
    }
    if is_stream(kind) { stream(&path) } else { Err(refused(kind)) }
}

fn unopened(path: PathBuf, error: io::Error) -> Result<Target, FileProblem> {
    match fs::metadata(&path).map(|found| found.file_type()) {
        Err(absent) if absent.kind() == ErrorKind::NotFound => {
            Ok(Target::File { path, replaced: None })
        }
        // No program reads from it yet.
        Ok(kind) if is_stream(kind) && name_of(kind) == "a FIFO" => stream(&path),
        Ok(kind) if !kind.is_file() && !is_stream(kind) => Err(refused(kind)),
        _ => Err(error.into()),
    }
}

fn refused(kind: fs::FileType) -> FileProblem {
    FileProblem::Kind { found: name_of(kind), expected: EXPECTED }
}

fn stream(path: &Path) -> Result<Target, FileProblem> {
    let opened = open_waiting(path, OpenOptions::new().write(true));
    opened.map(Target::Stream).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => FileProblem::NoReader,
        _ => error.into(),
    })
}

/// Where a path leads.
enum Place {
    /// To what the program has open under this number.
    Open(u32),
    Path(PathBuf),
}

/// Follows symlinks, the last of which may lead to a file that is not there yet.
fn place(path: &Path) -> Result<Place, FileProblem> {
    if path.as_os_str().is_empty() {
        return Err(FileProblem::Missing(EXPECTED));
    }
    let names_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    if names_folder && !path.exists() {
        return Err(FileProblem::NoFolder);
    }
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = match parent.unwrap_or(Path::new(".")).canonicalize() {
            Ok(folder) => folder,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(FileProblem::NoFolder),
            Err(error) => return Err(error.into()),
        };
        if let Some(descriptor) = descriptor(&folder, &path) {
            return Ok(Place::Open(descriptor));
        }
        match fs::read_link(&path) {
            Ok(to) => path = folder.join(to),
            Err(_) => return Ok(Place::Path(path)),
        }
    }
    Err(FileProblem::Links(MOST_LINKS))
}

/// The number of a file in a folder that lists what is open.
fn descriptor(folder: &Path, file: &Path) -> Option<u32> {
    let own = || Path::new("/proc/self").canonicalize().is_ok_and(|own| folder.starts_with(own));
    let lists = folder == Path::new("/dev/fd") || (folder.ends_with("fd") && own());
    let name = file.file_name()?.to_str()?;
    let standard = ["stdin", "stdout", "stderr"].iter().position(|known| *known == name);
    match standard {
        // A symlink on Linux, a device elsewhere.
        Some(number) if folder == Path::new("/dev") => Some(number as u32),
        _ => lists.then(|| name.parse().ok())?,
    }
}

/// What is open already is gone on with: it may be a file in the middle, which two who write from the
/// beginning would spoil.
#[cfg(unix)]
fn already_open(descriptor: u32, path: &Path) -> Result<File, FileProblem> {
    use std::os::fd::AsFd;
    match descriptor {
        1 => {
            io::stdout().flush()?;
            Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
        }
        2 => Ok(io::stderr().as_fd().try_clone_to_owned()?.into()),
        _ => Ok(OpenOptions::new().append(true).open(path)?),
    }
}

#[cfg(not(unix))]
fn already_open(_: u32, path: &Path) -> Result<File, FileProblem> {
    Ok(OpenOptions::new().append(true).open(path)?)
}

/// A file on its way, which goes if it is not finished.
struct Unfinished {
    file: NamedTempFile,
    listed: Listed,
}

impl Unfinished {
    fn beside(path: &Path) -> Result<Self, FileProblem> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        // Short, so that a name at the limit of the file system stays within it.
        builder.prefix(".taper-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        let made = builder.tempfile_in(folder.unwrap_or(Path::new(".")));
        // Without the path that the library adds, which is not the one that was asked for.
        let file = made.map_err(|error| match error.kind() {
            ErrorKind::NotFound => FileProblem::NoFolder,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                FileProblem::Folder(error.kind().into())
            }
            kind => io::Error::from(kind).into(),
        })?;
        let listed = Listed(file.path().to_owned());
        unfinished.push(listed.0.clone());
        Ok(Self { file, listed })
    }

    /// Gives the file its name.
    fn finish(self, path: &Path, replaced: Option<&fs::Metadata>) -> Result<(), FileProblem> {
        let Self { file, listed } = self;
        if let Some(replaced) = replaced {
            resemble(file.as_file(), replaced)?;
        }
        // A full disk is known by now, and a crash of the machine finds the old file or the new.
        file.as_file().sync_all()?;
        let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        let persisted = file.persist(path);
        drop(unfinished);
        drop(listed);
        persisted.map(drop).map_err(|failed| failed.error.into())
    }
}

/// The name of a file that is not finished, for as long as it has that name.
struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        unfinished.retain(|path| *path != self.0);
    }
}

/// Gives a file the owner, where that is allowed, and the mode of the one that it replaces.
#[cfg(unix)]
fn resemble(file: &File, replaced: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (replaced.uid(), replaced.gid()) {
        // Only the superuser may; the file is as good with another owner.
        let _ = fchown(file, Some(replaced.uid()), Some(replaced.gid()));
    }
    file.set_permissions(replaced.permissions())
}

#[cfg(not(unix))]
fn resemble(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}
