//! Bytes that are borrowed from a file in memory, and kept as long as somebody uses them.

use std::fs::File;
use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;

/// Some bytes of a file, of a program or of memory of their own. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct Bytes {
    owner: Owner,
    range: Range<usize>,
}

#[derive(Debug, Clone)]
enum Owner {
    Mapped(Arc<Mmap>),
    Held(Arc<Vec<u8>>),
    Static(&'static [u8]),
}

impl Bytes {
    /// A whole file. Where its file system cannot map files it is read instead.
    pub(crate) fn of_file(mut file: &File) -> io::Result<Self> {
        if let Ok(map) = map(file) {
            let range = 0..map.len();
            return Ok(Self { owner: Owner::Mapped(Arc::new(map)), range });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    /// Whether they are those of a mapped file, or of the program: nothing was copied.
    pub(crate) fn is_borrowed(&self) -> bool {
        !matches!(self.owner, Owner::Held(_))
    }

    /// A part of them; `None` where it reaches beyond the end.
    pub(crate) fn part(&self, range: Range<usize>) -> Option<Self> {
        self.get(range.clone())?;
        let start = self.range.start;
        Some(Self { owner: self.owner.clone(), range: start + range.start..start + range.end })
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: a mapped file must not change while it is mapped. `load` tells its callers not to
    // write to it, and the map is read-only on this side.
    unsafe { Mmap::map(file) }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.owner {
            Owner::Mapped(map) => map,
            Owner::Held(bytes) => bytes,
            Owner::Static(bytes) => bytes,
        };
        &all[self.range.clone()]
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Owner::Held(Arc::new(bytes)), range }
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self { owner: Owner::Static(bytes), range: 0..bytes.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_parts_of_parts() {
        let whole = Bytes::from((0..10).collect::<Vec<u8>>());
        let part = whole.part(2..8).unwrap();
        assert_eq!(&*part.part(1..3).unwrap(), [3, 4]);
        assert!(part.part(1..7).is_none());
    }

    #[test]
    fn a_file_is_mapped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"taper").unwrap();
        let bytes = Bytes::of_file(file.as_file()).unwrap();
        assert_eq!(&*bytes, b"taper");
        assert!(bytes.is_borrowed());
    }

    /// Its size is said to be 0, and it cannot be mapped.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_mapped_is_read() {
        let bytes = Bytes::of_file(&File::open("/proc/self/cmdline").unwrap()).unwrap();
        assert!(!bytes.is_borrowed() && !bytes.is_empty());
    }
}
