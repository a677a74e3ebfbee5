//! How many threads compute.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// A number of threads, from 1 to [`Threads::MOST`]; by default as many as the machine has cores for
/// this process. It changes no number that comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Threads(Option<NonZeroU16>);

/// Why a number of threads cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no number of threads; expected one from 1 to {most}", most = Threads::MOST)]
pub struct ThreadsError(String);

impl Threads {
    /// More than any machine has.
    pub const MOST: u16 = 1024;

    /// So many.
    ///
    /// # Errors
    ///
    /// Where it is 0, or more than [`MOST`](Self::MOST).
    pub fn new(count: usize) -> Result<Self, ThreadsError> {
        let within = u16::try_from(count).ok().filter(|count| *count <= Self::MOST);
        let count = within.and_then(NonZeroU16::new).ok_or(ThreadsError(count.to_string()))?;
        Ok(Self(Some(count)))
    }

    /// How many they are.
    pub fn count(self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.0.map_or_else(|| cores().min(Self::MOST.into()), |count| count.get().into())
    }
}

impl FromStr for Threads {
    type Err = ThreadsError;

    fn from_str(text: &str) -> Result<Self, ThreadsError> {
        match text.parse() {
            Ok(count) => Self::new(count),
            Err(_) => Err(ThreadsError(format!("`{text}`"))),
        }
    }
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_of_threads_are_taken() {
        assert_eq!("3".parse::<Threads>().unwrap().count(), 3);
        assert!(Threads::default().count() >= 1);
        for text in ["0", "1025", "-1", "two", "", "99999999999999999999"] {
            let error = text.parse::<Threads>().unwrap_err().to_string();
            assert!(error.ends_with("expected one from 1 to 1024"), "{error}");
        }
    }
}
