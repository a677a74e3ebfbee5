//! torch's generator for CPUs, as far as Hugging Face's watermarks use it.

/// MT19937, seeded with the lower 32 bits of a seed as torch does.
///
/// # Source
///
/// Matsumoto and Nishimura, *Mersenne Twister*, 1998; torch `aten/src/ATen/core/MT19937RNGEngine.h`.
#[derive(Clone)]
pub(crate) struct Mersenne {
    state: [u32; WORDS],
    next: usize,
}

const WORDS: usize = 624;
const SHIFT: usize = 397;

impl Mersenne {
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for i in 1..WORDS {
            let last = state[i - 1];
            state[i] = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, next: WORDS }
    }

    pub(crate) fn bits(&mut self) -> u32 {
        if self.next == WORDS {
            self.turn();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number below `bound` as torch takes it for `randint` and `randperm` of less than 2²⁷: by the
    /// remainder, and so not quite uniform.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.bits() % bound
    }

    fn turn(&mut self) {
        for i in 0..WORDS {
            let both = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7fff_ffff);
            let odd = if both & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + SHIFT) % WORDS] ^ (both >> 1) ^ odd;
        }
        self.next = 0;
    }
}

/// The first `count` entries of torch's `randperm`, in place of `items`, which are all of them in order.
///
/// A step swaps an entry with itself or a later one, and no later step touches it: so the first entries
/// do not need the rest.
pub(crate) fn permute_first<T>(items: &mut [T], count: usize, seed: u32) {
    let mut generator = Mersenne::new(seed);
    for i in 0..count.min(items.len().saturating_sub(1)) {
        let other = generator.below((items.len() - i) as u32) as usize;
        items.swap(i, i + other);
    }
}

/// Whether `item` is among the first `count` entries of torch's `randperm(len)`: it is followed through
/// the swaps, without a list.
pub(crate) fn is_permuted_first(item: usize, len: usize, count: usize, seed: u32) -> bool {
    let mut generator = Mersenne::new(seed);
    let mut at = item;
    for i in 0..count.min(len.saturating_sub(1)) {
        let other = i + generator.below((len - i) as u32) as usize;
        if other == at {
            return true;
        }
        if at == i {
            at = other;
        }
    }
    at < count
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// The first words under the seed 5489, and the ten-thousandth, as in the C++ standard.
    #[test]
    fn words_are_those_of_the_standard() {
        let mut generator = Mersenne::new(5489);
        assert_eq!(generator.bits(), 3_499_211_612);
        assert_eq!((1..10_000).map(|_| generator.bits()).last(), Some(4_123_659_995));
    }

    #[test]
    fn following_one_entry_finds_what_the_list_has() {
        for (len, count) in [(1, 1), (1, 0), (7, 0), (7, 3), (7, 7), (40, 10), (2_000, 500)] {
            for seed in 0..20 {
                let mut items: Vec<usize> = (0..len).collect();
                permute_first(&mut items, count, seed);
                for item in 0..len {
                    let listed = items[..count].contains(&item);
                    assert_eq!(is_permuted_first(item, len, count, seed), listed, "{len} {count}");
                }
            }
        }
    }
}
