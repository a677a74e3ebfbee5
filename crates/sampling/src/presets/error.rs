//! Why settings make no pipeline.

use alloc::string::String;

use crate::selectors::{AdaptivePError, MirostatError};
use crate::stages::{
    AllowedTokensError, BadWordsError, ClassifierFreeGuidanceError, DryError,
    DynamicTemperatureError, EpsilonCutoffError, EtaCutoffError, ExponentialDecayError,
    ForcedEosError, LogitBiasError, MinLengthError, MinNewTokensError, MinPError,
    NoRepeatNgramError, OccurrencePenaltyError, RepetitionPenaltyError, SequenceBiasError,
    TemperatureError, TopHError, TopKError, TopNSigmaError, TopPError, TypicalError, XtcError,
};

/// One variant per stage that can refuse its value, with the name of the setting.
macro_rules! preset_error {
    ($($variant:ident($error:ty) = $key:literal,)*) => {
        /// Why settings make no pipeline.
        #[derive(Debug, Clone, PartialEq, thiserror::Error)]
        #[non_exhaustive]
        pub enum PresetError {
            $(
                #[doc = concat!("`", $key, "`.")]
                #[error(transparent)]
                $variant(#[from] $error),
            )*
            /// A setting outside what the engine accepts.
            #[error("{key} is {value}; it must be {domain}")]
            OutOfRange {
                /// The setting.
                key: &'static str,
                /// Its value.
                value: f64,
                /// What it may be.
                domain: &'static str,
            },
            /// A setting that names a token outside the vocabulary.
            #[error("{key} names token {id}; the vocabulary has {vocab_size}")]
            UnknownToken {
                /// The setting.
                key: &'static str,
                /// The token.
                id: u32,
                /// The vocabulary's size.
                vocab_size: usize,
            },
            /// A chain in which something follows a sampler that draws the token.
            #[error(
                "{key} has a drawing sampler (mirostat, mirostat_v2, adaptive_p) before its end; it must be the last"
            )]
            SelectorNotLast {
                /// The setting.
                key: &'static str,
            },
            /// A setting that would change the tokens and is not implemented.
            #[error("{key} is {value}; that is not available yet, leave it out")]
            Unsupported {
                /// The setting.
                key: String,
                /// Its value, as JSON.
                value: String,
            },
        }

        impl PresetError {
            /// The setting that is to blame, under its name in the config.
            pub fn key(&self) -> &str {
                match self {
                    Self::OccurrencePenalty(OccurrencePenaltyError::Presence(_)) => {
                        "presence_penalty"
                    }
                    $(Self::$variant(_) => $key,)*
                    Self::OutOfRange { key, .. }
                    | Self::UnknownToken { key, .. }
                    | Self::SelectorNotLast { key } => key,
                    Self::Unsupported { key, .. } => key,
                }
            }
        }
    };
}

preset_error! {
    AdaptiveP(AdaptivePError) = "adaptive_p",
    AllowedTokens(AllowedTokensError) = "allowed_token_ids",
    BadWords(BadWordsError) = "bad_words_ids",
    Dry(DryError) = "dry",
    DynamicTemperature(DynamicTemperatureError) = "dynatemp_range",
    EpsilonCutoff(EpsilonCutoffError) = "epsilon_cutoff",
    EtaCutoff(EtaCutoffError) = "eta_cutoff",
    ExponentialDecay(ExponentialDecayError) = "exponential_decay_length_penalty",
    ForcedEos(ForcedEosError) = "forced_eos_token_id",
    Guidance(ClassifierFreeGuidanceError) = "guidance_scale",
    LogitBias(LogitBiasError) = "logit_bias",
    MinLength(MinLengthError) = "min_length",
    MinNewTokens(MinNewTokensError) = "min_new_tokens",
    MinP(MinPError) = "min_p",
    Mirostat(MirostatError) = "mirostat",
    NoRepeatNgram(NoRepeatNgramError) = "no_repeat_ngram_size",
    OccurrencePenalty(OccurrencePenaltyError) = "frequency_penalty",
    RepetitionPenalty(RepetitionPenaltyError) = "repetition_penalty",
    SequenceBias(SequenceBiasError) = "sequence_bias",
    Temperature(TemperatureError) = "temperature",
    TopH(TopHError) = "top_h",
    TopK(TopKError) = "top_k",
    TopNSigma(TopNSigmaError) = "top_n_sigma",
    TopP(TopPError) = "top_p",
    Typical(TypicalError) = "typical_p",
    Xtc(XtcError) = "xtc",
}
