//! Hugging Face's seeds of green lists.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::WatermarkKey;
use super::contexts::check_width;
use super::mersenne::{is_permuted_first, permute_first};
use crate::data::SettingError;

/// What the green list of a step depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SeedingScheme {
    /// The last token.
    #[default]
    LeftHash,
    /// The last tokens and the candidate itself, each of which has a list of its own.
    SelfHash,
}

/// Entries of the table that self-hashing looks tokens up in.
const TABLE: usize = 1_000_003;

/// Which tokens are green after which.
#[derive(Clone)]
pub(crate) struct GreenLists {
    pub(crate) ratio: f64,
    key: i64,
    pub(crate) scheme: SeedingScheme,
    pub(crate) width: usize,
    /// With self-hashing, a permutation.
    table: Option<Arc<[u32]>>,
}

impl fmt::Debug for GreenLists {
    /// Without the key, and the table that is made of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenLists")
            .field("ratio", &self.ratio)
            .field("scheme", &self.scheme)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

impl GreenLists {
    pub(crate) fn new(key: WatermarkKey, ratio: f64) -> Result<Self, SettingError> {
        if !(ratio > 0.0 && ratio < 1.0) {
            let domain = "above 0 and below 1";
            return Err(SettingError::new("ratio", ratio, domain).called("greenlist_ratio"));
        }
        let key = key.signed("hashing_key")?;
        Ok(Self { ratio, key, scheme: SeedingScheme::LeftHash, width: 1, table: None })
    }

    pub(crate) fn scheme(mut self, scheme: SeedingScheme) -> Self {
        self.scheme = scheme;
        self.table = (scheme == SeedingScheme::SelfHash).then(|| {
            let mut table: Vec<u32> = (0..TABLE as u32).collect();
            permute_first(&mut table, TABLE, self.key as u32);
            table.into()
        });
        self
    }

    pub(crate) fn width(self, width: usize) -> Result<Self, SettingError> {
        check_width(width)?;
        Ok(Self { width, ..self })
    }

    /// How many of so many tokens are green.
    pub(crate) fn size(&self, vocab_size: usize) -> usize {
        (vocab_size as f64 * self.ratio) as usize
    }

    /// The seed under `recent`, the last tokens before a candidate. With self-hashing the candidate is
    /// the last of the `width` tokens that count.
    pub(crate) fn seed(&self, recent: &[u32], candidate: u32) -> u32 {
        const MODULUS: i128 = (1 << 64) - 1;
        let seed = match &self.table {
            None => i128::from(self.key) * i128::from(recent.last().copied().unwrap_or(0)),
            Some(table) => {
                let of = |token: u32| i64::from(table[token as usize % TABLE]) + 1;
                let own = of(candidate);
                let seed = |token| self.key.wrapping_mul(of(token)).wrapping_mul(own);
                let before = &recent[recent.len().saturating_sub(self.width - 1)..];
                let all = before.iter().copied().chain([candidate]);
                i128::from(all.map(seed).min().unwrap_or_default())
            }
        };
        // torch takes the lower 32 bits of it.
        seed.rem_euclid(MODULUS) as u32
    }

    /// Whether a token is green under a seed.
    pub(crate) fn holds(&self, seed: u32, token: u32, vocab_size: usize) -> bool {
        is_permuted_first(token as usize, vocab_size, self.size(vocab_size), seed)
    }

    /// Fills `list` with the green tokens under a seed.
    pub(crate) fn list(&self, seed: u32, vocab_size: usize, list: &mut Vec<u64>) {
        list.clear();
        list.extend(0..vocab_size as u64);
        permute_first(list, self.size(vocab_size), seed);
        list.truncate(self.size(vocab_size));
    }
}
