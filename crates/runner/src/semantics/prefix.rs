//! A text that every sequence has to begin with, as a mask like any grammar's.

use taper_sampling::{Accepted, Mask, StageError, StageMemory};

/// Allows one token at each position of the prefix, and all behind it.
#[derive(Debug, Clone)]
pub(crate) struct ForcedPrefix {
    tokens: Vec<u32>,
    /// Tokens accepted so far.
    made: usize,
    words: Vec<u32>,
}

impl ForcedPrefix {
    /// The tokens must be below `vocab_size`.
    pub(crate) fn new(tokens: &[u32], vocab_size: usize) -> Self {
        let words = vec![0; vocab_size.div_ceil(32)];
        let mut prefix = Self { tokens: tokens.to_vec(), made: 0, words };
        prefix.work_out();
        prefix
    }

    fn work_out(&mut self) {
        match self.tokens.get(self.made) {
            Some(&token) => {
                self.words.fill(0);
                self.words[token as usize / 32] = 1 << (token % 32);
            }
            None => self.words.fill(u32::MAX),
        }
    }
}

impl StageMemory for ForcedPrefix {
    fn accept(&mut self, _: &Accepted) {
        self.made += 1;
        // Behind the prefix the mask stays what it is.
        if self.made <= self.tokens.len() {
            self.work_out();
        }
    }

    fn rollback(&mut self, tokens: usize) {
        self.made = self.made.saturating_sub(tokens);
        self.work_out();
    }

    fn fork(&self) -> Box<dyn StageMemory> {
        Box::new(self.clone())
    }
}

impl Mask for ForcedPrefix {
    fn allowed(&self) -> Result<&[u32], StageError> {
        Ok(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_follows_the_tokens_and_goes_back() {
        let mut prefix = ForcedPrefix::new(&[33, 2], 40);
        let allowed = |prefix: &ForcedPrefix| prefix.allowed().map(<[u32]>::to_vec);
        assert_eq!(allowed(&prefix), Ok(vec![0, 2]));
        for token in [33, 2, 7] {
            prefix.accept(&Accepted { token, probability: None });
        }
        assert_eq!(allowed(&prefix), Ok(vec![u32::MAX; 2]));
        prefix.rollback(2);
        assert_eq!(allowed(&prefix), Ok(vec![4, 0]));
    }
}
