//! What the tests of all targets share: replaying what once broke one, and spoiling good inputs, since
//! random bytes alone never get past a parser.

use std::path::Path;

/// Runs a target on the inputs that once broke it.
pub(crate) fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions").join(target);
    // A packaged crate has no fuzz folder, and what never broke has none in it.
    let Ok(files) = std::fs::read_dir(folder) else { return };
    for file in files {
        run(&std::fs::read(file.unwrap().path()).unwrap());
    }
}

/// What some reader does not expect where a word or a number stands.
const ABSURD: &str = "0 -1 1 2 255 4096 4097 1048576 2147483647 2147483648 4294967296 9223372036854775808 \
                      18446744073709551615 18446744073709551616 1e-60 1e39 1e999 -0.0 0.5 nan null true [] \"\"";

/// The same in binary.
const ABSURD_BITS: [u64; 10] =
    [0, 1, 8, 1 << 20, 1 << 31, 1 << 32, 1 << 48, 1 << 63, (1 << 63) - 1, u64::MAX];

/// Spoils as a source of random bits says.
pub(crate) struct Spoiler<F>(pub(crate) F);

impl<F: FnMut() -> u64> Spoiler<F> {
    /// One of `seeds` with up to six changes.
    pub(crate) fn spoil(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut data = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut data, seeds);
        }
        data
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.0)() as usize % end.max(1)
    }

    fn change(&mut self, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(data.len());
        let end = at + self.below((data.len() - at).min(40));
        match self.below(12) {
            0 => data.truncate(at),
            1 => drop(data.drain(at..end)),
            2 => {
                let repeated = data[at..end].repeat(1 + self.below(4));
                data.splice(at..at, repeated);
            }
            3 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                let piece = &other[from..(from + self.below(40)).min(other.len())];
                data.splice(at..end, piece.iter().copied());
            }
            4 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            5 => {
                let bits = ABSURD_BITS[self.below(ABSURD_BITS.len())].to_le_bytes();
                let width = if self.below(2) == 0 { 4 } else { 8 };
                data.iter_mut().skip(at).zip(&bits[..width]).for_each(|(byte, new)| *byte = *new);
            }
            6..9 => {
                let number = word(data, at, |byte| byte.is_ascii_digit());
                let count = ABSURD.split(' ').count();
                let absurd = ABSURD.split(' ').nth(self.below(count)).unwrap_or_default();
                data.splice(number, absurd.bytes());
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = word(other, self.below(other.len()), is_of_word);
                data.splice(word(data, at, is_of_word), other[from].iter().copied());
            }
        }
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// The first run of such bytes that ends behind `at`; nothing, at the end, if there is none.
fn word(data: &[u8], at: usize, is: impl Fn(u8) -> bool) -> std::ops::Range<usize> {
    let inside = (at..data.len()).find(|&i| is(data[i])).unwrap_or(data.len());
    let start = (0..inside).rev().find(|&i| !is(data[i])).map_or(0, |before| before + 1);
    let end = (inside..data.len()).find(|&i| !is(data[i])).unwrap_or(data.len());
    start..end
}
