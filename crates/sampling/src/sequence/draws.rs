//! Randomness as a function: a key and a purpose in, a number out.
//!
//! Nothing here has a state that advances. The number used for a purpose at a step is computed
//! from the key alone, so a step can be replayed by itself, a request draws the same numbers in
//! any batch and on any thread, and adding a stage never shifts the numbers of another.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Names the randomness of one step of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DrawKey {
    /// The user's seed.
    pub seed: u64,
    /// The sequence: give every fork and every row of a batch its own.
    pub stream: u64,
    /// The position: the number of tokens generated before this one.
    pub step: u64,
    /// 0, or which of the draws after a token was rejected here: see
    /// [`Sequence::redraw`](crate::Sequence::redraw).
    pub attempt: u64,
}

impl DrawKey {
    /// Step 0 of stream 0 under `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed, stream: 0, step: 0, attempt: 0 }
    }

    /// The same key for another sequence.
    #[must_use]
    pub const fn stream(self, stream: u64) -> Self {
        Self { stream, ..self }
    }

    /// The same key for another position.
    #[must_use]
    pub const fn step(self, step: u64) -> Self {
        Self { step, ..self }
    }

    /// The same key for another draw at the same position.
    #[must_use]
    pub const fn attempt(self, attempt: u64) -> Self {
        Self { attempt, ..self }
    }
}

/// What a number is drawn for. Each purpose has numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// The token, by inverse CDF.
    Select,
    /// Which of equal candidates comes first.
    Tie,
    /// Whether `XTC` acts.
    Xtc,
    /// Gumbel noise per token.
    Gumbel,
    /// Acceptance of a proposed token.
    Accept,
    /// The draw from the residual after a refusal.
    Residual,
    /// Beam sampling.
    Beam,
    /// Which of two keys marks a token.
    WatermarkKey,
    /// A stage written elsewhere; the number keeps two of them apart.
    Custom(u32),
}

impl Purpose {
    /// The part of the `ChaCha` key that stands for the purpose. Never renumber: that would change
    /// the tokens of every seed.
    const fn code(self) -> u64 {
        match self {
            Self::Select => 1,
            Self::Tie => 2,
            Self::Xtc => 3,
            Self::Gumbel => 4,
            Self::Accept => 5,
            Self::Residual => 6,
            Self::Beam => 7,
            Self::WatermarkKey => 8,
            Self::Custom(n) => 1 << 32 | n as u64,
        }
    }
}

/// The random numbers of one step.
///
/// `ChaCha` with 12 rounds: key = seed ‖ stream ‖ purpose ‖ attempt (little endian, 64 bits each),
/// nonce = step, and the number with index `i` is the `i`-th 64-bit word of the key stream.
///
/// ```
/// use taper_sampling::{DrawKey, Draws, Purpose};
/// let draws = Draws::new(DrawKey::new(7).step(3));
/// assert_eq!(draws.bits(Purpose::Select, 0), draws.bits(Purpose::Select, 0));
/// assert_ne!(draws.bits(Purpose::Select, 0), draws.bits(Purpose::Xtc, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    key: DrawKey,
}

impl Draws {
    /// The numbers that belong to `key`.
    pub const fn new(key: DrawKey) -> Self {
        Self { key }
    }

    /// The key given to [`Draws::new`].
    pub const fn key(self) -> DrawKey {
        self.key
    }

    /// 64 random bits.
    pub fn bits(self, purpose: Purpose, index: u64) -> u64 {
        let mut rng = self.generator(purpose);
        rng.set_word_pos(u128::from(index) * 2);
        rng.next_u64()
    }

    /// A number in `0..1` with 53 random bits.
    pub fn unit(self, purpose: Purpose, index: u64) -> f64 {
        (self.bits(purpose, index) >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Numbers for many indices of one purpose; ascending ones share their work.
    pub fn series(self, purpose: Purpose) -> Series {
        Series { rng: self.generator(purpose), block: [0; BLOCK], start: None }
    }

    fn generator(self, purpose: Purpose) -> ChaCha12Rng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.key.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&self.key.stream.to_le_bytes());
        seed[16..24].copy_from_slice(&purpose.code().to_le_bytes());
        seed[24..].copy_from_slice(&self.key.attempt.to_le_bytes());
        let mut rng = ChaCha12Rng::from_seed(seed);
        rng.set_stream(self.key.step);
        rng
    }
}

/// Words that one refill of the generator yields.
const BLOCK: usize = 32;

/// Random access to the numbers of one purpose, a block at a time.
#[derive(Debug, Clone)]
pub struct Series {
    rng: ChaCha12Rng,
    block: [u64; BLOCK],
    start: Option<u64>,
}

impl Series {
    /// The same bits as [`Draws::bits`] at `index`.
    pub fn bits(&mut self, index: u64) -> u64 {
        let start = index - index % BLOCK as u64;
        if self.start != Some(start) {
            self.rng.set_word_pos(u128::from(start) * 2);
            for word in &mut self.block {
                *word = self.rng.next_u64();
            }
            self.start = Some(start);
        }
        self.block[(index - start) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_and_single_numbers_agree() {
        let draws = Draws::new(DrawKey { seed: 1, stream: 2, step: 3, attempt: 0 });
        let mut series = draws.series(Purpose::Tie);
        for index in [0, 1, 31, 32, 5, 1_000_000, 999_999, u64::from(u32::MAX)] {
            assert_eq!(series.bits(index), draws.bits(Purpose::Tie, index));
        }
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let key = DrawKey { seed: 9, stream: 9, step: 9, attempt: 9 };
        let base = Draws::new(key).bits(Purpose::Select, 9);
        let others = [
            Draws::new(DrawKey { seed: 8, ..key }).bits(Purpose::Select, 9),
            Draws::new(key.stream(8)).bits(Purpose::Select, 9),
            Draws::new(key.step(8)).bits(Purpose::Select, 9),
            Draws::new(key.attempt(8)).bits(Purpose::Select, 9),
            Draws::new(key).bits(Purpose::Custom(1), 9),
            Draws::new(key).bits(Purpose::Select, 8),
        ];
        assert!(others.iter().all(|&o| o != base));
    }

    /// Golden numbers, from `testdata/draws.py`: a change here changes the tokens of every seed.
    #[test]
    fn values_are_stable() {
        let draws = Draws::new(DrawKey { seed: 42, stream: 1, step: 5, attempt: 0 });
        assert_eq!(draws.bits(Purpose::Select, 0), 9_928_947_876_586_093_562);
        assert_eq!(draws.bits(Purpose::Gumbel, 128_000), 2_490_298_321_139_718_622);
        assert_eq!(draws.bits(Purpose::Custom(9), 3), 5_314_359_391_749_406_023);
        let again = Draws::new(draws.key().attempt(2));
        assert_eq!(again.bits(Purpose::Select, 0), 10_663_835_188_934_260_788);
    }
}
