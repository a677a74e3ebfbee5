//! Knobs that more than one engine knows.

use super::{of_hf, of_llama, of_vllm};
use crate::knobs::kind::{Kind, Range, Whole};
use crate::knobs::knob::{Group, Knob, Needs, Setter};

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        Group::Temperature,
        "temperature",
        Kind::Number(Range::ANY),
        "T",
        "Divides the logits: below 1 sharper, above 1 flatter, 0 for the best token each time",
    )
    .aliases(&["temp"])
    .default("1; llama.cpp: 0.8")
    .usual(0.0, 2.0)
    .needs(Needs::Drawing)
    .beside_mirostat()
    .gguf("general.sampling.temp")
    .under(
        Some(of_hf!(temperature)),
        Some(of_llama!(temperature)),
        Some(of_vllm!(temperature)),
    ),
    Knob::new(
        Group::Cuts,
        "top_k",
        Kind::Whole(Whole::ANY),
        "K",
        "Keep the K best tokens, 0 for all",
    )
    .default("50; llama.cpp: 40; vllm: 0")
    .usual(0.0, 100.0)
    .needs(Needs::Drawing)
    .gguf("general.sampling.top_k")
    .under(Some(of_hf!(top_k)), Some(of_llama!(top_k)), Some(of_vllm!(top_k))),
    Knob::new(
        Group::Cuts,
        "top_p",
        Kind::Number(Range::ANY),
        "P",
        "Keep the best tokens that hold the share P of the probability, 1 for all",
    )
    .default("1; llama.cpp: 0.95")
    .usual(0.0, 1.0)
    .needs(Needs::Drawing)
    .gguf("general.sampling.top_p")
    .under(Some(of_hf!(top_p)), Some(of_llama!(top_p)), Some(of_vllm!(top_p))),
    Knob::new(
        Group::Cuts,
        "min_p",
        Kind::Number(Range::ANY),
        "P",
        "Keep tokens at least P times as likely as the best, 0 for all",
    )
    .default("0; llama.cpp: 0.05")
    .usual(0.0, 1.0)
    .needs(Needs::Drawing)
    .gguf("general.sampling.min_p")
    .under(Some(of_hf!(min_p)), Some(of_llama!(min_p)), Some(of_vllm!(min_p))),
    Knob::new(
        Group::Cuts,
        "typical_p",
        Kind::Number(Range::ANY),
        "P",
        "Keep the tokens whose surprise is closest to average, until they hold the share P, 1 for \
         all",
    )
    .aliases(&["typ-p", "typical"])
    .default("1")
    .usual(0.0, 1.0)
    .needs(Needs::Drawing)
    .under(Some(of_hf!(typical_p)), Some(of_llama!(typ_p)), None),
    Knob::new(
        Group::Scores,
        "repetition_penalty",
        Kind::Number(Range::above(0.0, " (1 is off)")),
        "R",
        "Make tokens that occurred less likely: above 1",
    )
    .default("1")
    .usual(0.5, 2.0)
    .kin("repeat_penalty")
    .under(Some(of_hf!(repetition_penalty)), None, Some(of_vllm!(repetition_penalty))),
    Knob::new(
        Group::Scores,
        "frequency_penalty",
        Kind::Number(Range::ANY),
        "F",
        "Taken off a token's score each time it occurred",
    )
    .default("0")
    .usual(-2.0, 2.0)
    .under(None, Some(of_llama!(frequency_penalty)), Some(of_vllm!(frequency_penalty))),
    Knob::new(
        Group::Scores,
        "presence_penalty",
        Kind::Number(Range::ANY),
        "F",
        "Taken off a token's score if it occurred",
    )
    .default("0")
    .usual(-2.0, 2.0)
    .under(None, Some(of_llama!(presence_penalty)), Some(of_vllm!(presence_penalty))),
    Knob::new(
        Group::Scores,
        "logit_bias",
        Kind::LogitBias,
        "ID:BIAS,…",
        "What to add to the logits of tokens: 5:1.5,7:-inf",
    )
    .beside_mirostat()
    .under(
        None,
        Some(Setter {
            name: "logit_bias",
            // Before what the model's file suppresses.
            put: |found, value| {
                found.settings.config.logit_bias.splice(..0, value.to::<Vec<_>>()?);
                Ok(())
            },
        }),
        Some(of_vllm!(logit_bias)),
    ),
];
