//! Knobs that vLLM's rules alone know.

use super::of_vllm;
use crate::knobs::kind::{Kind, Texts, Whole};
use crate::knobs::knob::{Group, Knob, Setter};

const IDS: Kind = Kind::Ids { none: false, alone: false };

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(Group::Scores, "allowed_token_ids", IDS, "IDS", "The only tokens that may appear")
        .under(None, None, Some(of_vllm!(allowed_token_ids))),
    Knob::new(
        Group::Scores,
        "bad_words",
        Kind::Texts(Texts::Word),
        "TEXT",
        "A text that must not appear; may be given several times",
    )
    .under(
        None,
        None,
        Some(Setter {
            name: "bad_words",
            put: |settings, value| super::put(&mut settings.bad_words, value),
        }),
    ),
    Knob::new(
        Group::Scores,
        "min_tokens",
        Kind::Whole(Whole::SWITCH),
        "N",
        "Do not end before so many new tokens",
    )
    .default("0")
    .kin("min_new_tokens")
    .under(None, None, Some(of_vllm!(min_tokens))),
    Knob::new(
        Group::Scores,
        "stop_token_ids",
        IDS,
        "IDS",
        "Tokens that end the text besides the model's own",
    )
    .under(None, None, Some(of_vllm!(stop_token_ids))),
];
