//! The pseudorandom function of vLLM's watermarks: Philox4x32-10 over a context, then over a token.

use super::WatermarkKey;
use crate::kernels::ln;

/// What stands in a context where the text has not begun: −1 to vLLM.
pub const NO_TOKEN: u32 = u32::MAX;

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const STEPS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const CONTEXT_DOMAIN: u32 = 0x574d_4358;
const TOKEN_DOMAIN: u32 = 0x574d_544b;

/// Numbers in 0..1 for contexts and tokens under a key, as vLLM computes them.
///
/// ```
/// use taper_sampling::watermark::{Philox, WatermarkKey};
/// let philox = Philox::new(WatermarkKey::new(0));
/// assert_eq!(philox.under([128_255, 0, 7, 151_935].into_iter()).uniform(3), 0.217_878_15);
/// ```
///
/// # Source
///
/// Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, 2011; vLLM 0.32
/// `v1/watermarking/prfs/philox.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Philox {
    key: WatermarkKey,
}

impl Philox {
    /// The most that [`PhiloxContext::gumbel`] yields, rounded up.
    pub const MOST_NOISE: f64 = 16.64;

    /// The numbers under this key.
    pub const fn new(key: WatermarkKey) -> Self {
        Self { key }
    }

    /// Those that belong to a context, oldest token first, [`NO_TOKEN`] where there is none.
    pub fn under(self, context: impl ExactSizeIterator<Item = u32>) -> PhiloxContext {
        let key = [self.key.get() as u32, (self.key.get() >> 32) as u32];
        let mut state = [CONTEXT_DOMAIN, context.len() as u32, 0, 0];
        let mut context = context.peekable();
        let mut offset = 0_u32;
        while context.peek().is_some() {
            for (index, word) in (0..).zip(&mut state) {
                *word ^= context.next().unwrap_or(u32::MAX - index);
            }
            state = rounds(state, [key[0] ^ offset, key[1]]);
            offset = offset.wrapping_add(4);
        }
        let key = [key[0] ^ state[3], key[1] ^ TOKEN_DOMAIN];
        PhiloxContext { key, state: [state[0], state[1], state[2]], block: None }
    }
}

/// The numbers of one context, one for each token. Four tokens in a row share their work.
#[derive(Clone)]
pub struct PhiloxContext {
    key: [u32; 2],
    state: [u32; 3],
    /// The block computed last, and its number.
    block: Option<(u32, [u32; 4])>,
}

impl core::fmt::Debug for PhiloxContext {
    /// Without what would give the key away.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PhiloxContext(hidden)")
    }
}

impl PhiloxContext {
    /// 32 bits for a token.
    pub fn bits(&mut self, token: u32) -> u32 {
        let number = token >> 2;
        let block = match self.block {
            Some((last, block)) if last == number => block,
            _ => rounds([number, self.state[0], self.state[1], self.state[2]], self.key),
        };
        self.block = Some((number, block));
        block[(token & 3) as usize]
    }

    /// `(m + 1) / (2²⁴ + 1)` in `f32`, where `m` is the upper 24 bits: above 0 and below 1.
    pub fn uniform(&mut self, token: u32) -> f32 {
        (f64::from((self.bits(token) >> 8) + 1) / f64::from((1 << 24) + 1)) as f32
    }

    /// Gumbel noise `−ln(−ln u)` of that number: between −2.82 and [`Philox::MOST_NOISE`].
    pub fn gumbel(&mut self, token: u32) -> f64 {
        -ln(-ln(f64::from(self.uniform(token))))
    }
}

/// Philox4x32-10.
fn rounds(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut low, mut high]) = (counter, key);
    for _ in 0..10 {
        let one = u64::from(MULTIPLIERS[0]) * u64::from(a);
        let two = u64::from(MULTIPLIERS[1]) * u64::from(c);
        (a, b, c, d) =
            ((two >> 32) as u32 ^ b ^ low, two as u32, (one >> 32) as u32 ^ d ^ high, one as u32);
        low = low.wrapping_add(STEPS[0]);
        high = high.wrapping_add(STEPS[1]);
    }
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123.
    #[test]
    fn rounds_are_those_of_random123() {
        assert_eq!(rounds([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            rounds([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }
}
