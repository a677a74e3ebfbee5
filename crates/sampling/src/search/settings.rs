//! What to search for, and how: the settings of a beam search, checked.

use alloc::vec::Vec;

use super::length::LengthPenalty;
use crate::sequence::DrawKey;

/// How a search chooses among candidates and when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchRule {
    /// The rule of Hugging Face transformers 5.23, number for number.
    HuggingFace {
        /// When to stop.
        early_stopping: EarlyStopping,
        /// Draw the candidates without replacement instead of taking the best: beam-sample.
        sampled: bool,
    },
    /// The best unfinished hypotheses of each length go on, every finished one is kept, and the
    /// search stops when no unfinished one can reach the worst that would be returned.
    Canonical,
    /// Sequences drawn without replacement from the distribution over whole sequences.
    Stochastic,
}

impl SearchRule {
    /// Whether it goes by [`Group::best`](super::group::Group::best), which sees every score.
    pub(super) fn takes_the_best(self) -> bool {
        matches!(self, Self::HuggingFace { sampled: false, .. } | Self::Canonical)
    }
}

/// When a search under Hugging Face's rule stops before the length limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EarlyStopping {
    /// When the best unfinished hypothesis, scored as if it ended now, is no better than the worst
    /// finished one. Hugging Face's `false`; a heuristic, which can miss the optimum.
    #[default]
    Heuristic,
    /// As soon as there are as many finished hypotheses as beams. Hugging Face's `true`.
    WhenFull,
    /// When the best unfinished hypothesis cannot become better than the worst finished one at the
    /// most favourable length. Hugging Face's `"never"`.
    Never,
}

/// The settings of a [`BeamSearch`](super::BeamSearch), under the names of Hugging Face's config.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BeamSettings {
    /// Beams: hypotheses that go on at each step, all groups together.
    pub num_beams: usize,
    /// Groups that search one after the other at each step, each with its share of the beams.
    pub num_beam_groups: usize,
    /// Fringe off the score of a token for each beam of an earlier group that took it at the same
    /// step.
    pub diversity_penalty: f64,
    /// The exponent of the length that divides a hypothesis's sum of log-probabilities. As these
    /// are negative, above 0 favours long hypotheses and below 0 short ones.
    pub length_penalty: f64,
    /// How many hypotheses are wanted.
    pub num_return_sequences: usize,
    /// Most tokens of a hypothesis.
    pub max_new_tokens: usize,
    /// The tokens that end a hypothesis.
    pub eos_token_ids: Vec<u32>,
    /// How to choose and when to stop.
    pub rule: SearchRule,
    /// Names the randomness of the rules that draw; the step is filled in. Stages that draw have the
    /// key of the sequence that [`BeamRows`](super::BeamRows) began with; give both the same seed.
    pub key: DrawKey,
}

/// The most beams of a search; of a vocabulary of 128k their rows of scores would take 34 GB.
const MOST_BEAMS: usize = 1 << 16;

impl BeamSettings {
    /// A search under Hugging Face's defaults that returns its best hypothesis.
    pub fn new(num_beams: usize, max_new_tokens: usize, eos_token_ids: &[u32]) -> Self {
        Self {
            num_beams,
            num_beam_groups: 1,
            diversity_penalty: 0.0,
            length_penalty: 1.0,
            num_return_sequences: 1,
            max_new_tokens,
            eos_token_ids: eos_token_ids.to_vec(),
            rule: SearchRule::HuggingFace {
                early_stopping: EarlyStopping::default(),
                sampled: false,
            },
            key: DrawKey::new(0),
        }
    }

    /// Candidates that Hugging Face looks at in a group of `width` beams: enough that `width` of
    /// them go on even if every EOS token of every beam is among them.
    pub(super) fn candidates(&self, width: usize) -> usize {
        (1 + self.eos_token_ids.len()).max(2).saturating_mul(width)
    }

    /// Checks what needs no model.
    ///
    /// # Errors
    ///
    /// The first condition that is violated.
    pub fn validate(&self) -> Result<(), BeamSettingsError> {
        let (beams, groups) = (self.num_beams, self.num_beam_groups);
        let (returned, penalty) = (self.num_return_sequences, self.diversity_penalty);
        let plain = matches!(self.rule, SearchRule::HuggingFace { sampled: false, .. });
        if beams == 0 {
            return Err(BeamSettingsError::NoBeams);
        }
        if beams > MOST_BEAMS {
            return Err(BeamSettingsError::TooManyBeams { beams });
        }
        if returned == 0 || returned > beams {
            return Err(BeamSettingsError::Returned { returned, beams });
        }
        if groups == 0 || !beams.is_multiple_of(groups) {
            return Err(BeamSettingsError::Groups { groups, beams });
        }
        if groups > 1 && !plain {
            return Err(BeamSettingsError::GroupsOfOtherRules { groups });
        }
        if groups > 1 && !(penalty > 0.0 && (penalty as f32).is_finite()) {
            return Err(BeamSettingsError::Diversity { penalty });
        }
        if groups == 1 && penalty != 0.0 {
            return Err(BeamSettingsError::DiversityAlone { penalty });
        }
        if self.max_new_tokens == 0 {
            return Err(BeamSettingsError::NoLength);
        }
        let (exponent, longest) = (self.length_penalty, self.max_new_tokens);
        if self.rule == SearchRule::Stochastic && exponent != 1.0 {
            return Err(BeamSettingsError::LengthOfStochastic { exponent });
        }
        if !LengthPenalty::new(exponent).is_usable(longest) {
            return Err(BeamSettingsError::Length { exponent, longest });
        }
        Ok(())
    }
}

/// Why settings make no search.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BeamSettingsError {
    /// There must be a beam.
    #[error("num_beams is 0; it must be at least 1")]
    NoBeams,
    /// Every beam has room of its own from the start, and a row of scores at each step.
    #[error("num_beams is {beams}; it must be at most {MOST_BEAMS}")]
    TooManyBeams {
        /// Beams.
        beams: usize,
    },
    /// At least one hypothesis must be wanted, and no more than there are beams.
    #[error("num_return_sequences is {returned}; it must be in 1..={beams}, the number of beams")]
    Returned {
        /// Hypotheses wanted.
        returned: usize,
        /// Beams.
        beams: usize,
    },
    /// Groups must have equal numbers of beams.
    #[error("num_beam_groups is {groups}; it must divide num_beams, which is {beams}")]
    Groups {
        /// Groups.
        groups: usize,
        /// Beams.
        beams: usize,
    },
    /// Groups exist under Hugging Face's rule without draws alone.
    #[error("num_beam_groups is {groups}; it must be 1 in a search that draws or is canonical")]
    GroupsOfOtherRules {
        /// Groups.
        groups: usize,
    },
    /// Groups without a penalty would all find the same.
    #[error(
        "diversity_penalty is {penalty}; it must be above 0 and finite, or all groups find the same"
    )]
    Diversity {
        /// The penalty.
        penalty: f64,
    },
    /// Without groups there is nothing to differ from.
    #[error("diversity_penalty is {penalty}; it must be 0 without num_beam_groups")]
    DiversityAlone {
        /// The penalty.
        penalty: f64,
    },
    /// A hypothesis must have room for a token.
    #[error("max_new_tokens is 0; it must be at least 1")]
    NoLength,
    /// A length to this power must be a normal f32, or scores could not be told apart.
    #[error(
        "length_penalty is {exponent}; it must be such that {longest} to its power is a normal f32"
    )]
    Length {
        /// The exponent.
        exponent: f64,
        /// The greatest length.
        longest: usize,
    },
    /// Stochastic beams are ranked by the draw.
    #[error(
        "length_penalty is {exponent}; it must be 1 in a stochastic search, which has no use for it"
    )]
    LengthOfStochastic {
        /// The exponent.
        exponent: f64,
    },
}

impl BeamSettingsError {
    /// The setting that is to blame, under its name in Hugging Face's config.
    pub fn key(self) -> &'static str {
        match self {
            Self::NoBeams | Self::TooManyBeams { .. } => "num_beams",
            Self::Returned { .. } => "num_return_sequences",
            Self::Groups { .. } | Self::GroupsOfOtherRules { .. } => "num_beam_groups",
            Self::Diversity { .. } | Self::DiversityAlone { .. } => "diversity_penalty",
            Self::NoLength => "max_new_tokens",
            Self::Length { .. } | Self::LengthOfStochastic { .. } => "length_penalty",
        }
    }
}

#[cfg(feature = "serde")]
mod json {
    //! `false`, `true` or `"never"`, as Hugging Face writes it.

    use serde::de::{Error, Unexpected, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::EarlyStopping;

    impl Serialize for EarlyStopping {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Heuristic => serializer.serialize_bool(false),
                Self::WhenFull => serializer.serialize_bool(true),
                Self::Never => serializer.serialize_str("never"),
            }
        }
    }

    impl<'de> Deserialize<'de> for EarlyStopping {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Words)
        }
    }

    struct Words;

    impl Visitor<'_> for Words {
        type Value = EarlyStopping;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("true, false or \"never\"")
        }

        fn visit_bool<E: Error>(self, full: bool) -> Result<EarlyStopping, E> {
            Ok(if full { EarlyStopping::WhenFull } else { EarlyStopping::Heuristic })
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<EarlyStopping, E> {
            match word {
                "never" => Ok(EarlyStopping::Never),
                _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn what_is_refused_is_named() {
        let good = BeamSettings::new(4, 8, &[1]);
        assert_eq!(good.validate(), Ok(()));
        let stochastic = BeamSettings { rule: SearchRule::Stochastic, ..good.clone() };
        let cases = [
            (
                BeamSettings { num_beams: 0, ..good.clone() },
                "num_beams is 0; it must be at least 1",
            ),
            (
                BeamSettings { num_return_sequences: 5, ..good.clone() },
                "num_return_sequences is 5; it must be in 1..=4, the number of beams",
            ),
            (
                BeamSettings { num_beam_groups: 3, diversity_penalty: 1.0, ..good.clone() },
                "num_beam_groups is 3; it must divide num_beams, which is 4",
            ),
            (
                BeamSettings { num_beam_groups: 2, diversity_penalty: 1.0, ..stochastic.clone() },
                "num_beam_groups is 2; it must be 1 in a search that draws or is canonical",
            ),
            (
                BeamSettings { num_beam_groups: 2, ..good.clone() },
                "diversity_penalty is 0; it must be above 0 and finite, or all groups find the same",
            ),
            (
                BeamSettings { diversity_penalty: 0.5, ..good.clone() },
                "diversity_penalty is 0.5; it must be 0 without num_beam_groups",
            ),
            (
                BeamSettings { max_new_tokens: 0, ..good.clone() },
                "max_new_tokens is 0; it must be at least 1",
            ),
            (
                BeamSettings { length_penalty: 60.0, ..good.clone() },
                "length_penalty is 60; it must be such that 8 to its power is a normal f32",
            ),
            (
                BeamSettings { length_penalty: f64::NAN, ..good.clone() },
                "length_penalty is NaN; it must be such that 8 to its power is a normal f32",
            ),
            (
                BeamSettings { length_penalty: 0.5, ..stochastic },
                "length_penalty is 0.5; it must be 1 in a stochastic search, which has no use for it",
            ),
        ];
        for (settings, message) in cases {
            let error = settings.validate().expect_err(message);
            assert_eq!(error.to_string(), message);
            assert!(message.starts_with(error.key()), "{message}");
        }
    }
}
