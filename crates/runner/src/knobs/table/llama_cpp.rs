//! Knobs that llama.cpp's rules alone know.

use super::of_llama;
use crate::knobs::kind::{Choice, Kind, Range, Texts, Whole};
use crate::knobs::knob::{Group, Knob, Needs, Setter};
use crate::semantics::MirostatVersion;

const VERSIONS: Kind =
    Kind::OneOf(&[Choice { name: "0", note: "off" }, Choice::plain("1"), Choice::plain("2")]);

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        Group::Draw,
        "samplers",
        Kind::Samplers,
        "NAME;NAME",
        "The stages in order; with `adaptive_p` among them, that draws",
    )
    .default("`penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature`")
    .gguf("general.sampling.sequence")
    .under(None, Some(of_llama!(samplers)), None),
    Knob::new(
        Group::Scores,
        "repeat_last_n",
        Kind::Whole(Whole::NATURAL_SWITCH),
        "N",
        "How many tokens back the three penalties look, 0 to turn them off",
    )
    .default("64")
    .usual(0.0, 256.0)
    .gguf("general.sampling.penalty_last_n")
    .under(None, Some(of_llama!(repeat_last_n)), None),
    Knob::new(
        Group::Scores,
        "repeat_penalty",
        Kind::Number(Range::above(0.0, " (1 is off)")),
        "R",
        "Make tokens that occurred less likely: above 1",
    )
    .default("1")
    .usual(0.5, 2.0)
    .kin("repetition_penalty")
    .gguf("general.sampling.penalty_repeat")
    .under(None, Some(of_llama!(repeat_penalty)), None),
    Knob::new(
        Group::Scores,
        "dry_multiplier",
        Kind::Number(Range::ANY),
        "M",
        "How hard to penalise tokens that prolong a repetition, 0 for not at all",
    )
    .default("0")
    .usual(0.0, 2.0)
    .under(None, Some(of_llama!(dry_multiplier)), None),
    Knob::new(
        Group::Scores,
        "dry_base",
        Kind::Number(Range::from(1.0)),
        "B",
        "How the penalty grows with the repetition",
    )
    .default("1.75")
    .usual(1.0, 4.0)
    .needs(Needs::Dry)
    .under(None, Some(of_llama!(dry_base)), None),
    Knob::new(
        Group::Scores,
        "dry_allowed_length",
        Kind::Whole(Whole::NATURAL),
        "N",
        "Repetitions up to this length are free",
    )
    .default("2")
    .usual(0.0, 20.0)
    .needs(Needs::Dry)
    .under(None, Some(of_llama!(dry_allowed_length)), None),
    Knob::new(
        Group::Scores,
        "dry_penalty_last_n",
        Kind::Whole(Whole::NATURAL_SWITCH),
        "N",
        "How many tokens back to look for repetitions, 0 to turn DRY off",
    )
    .default("64")
    .usual(0.0, 256.0)
    .needs(Needs::Dry)
    .under(None, Some(of_llama!(dry_penalty_last_n)), None),
    Knob::new(
        Group::Scores,
        "dry_sequence_breakers",
        Kind::Texts(Texts::Escaped),
        "TEXT",
        "A text that no repetition reaches across; may be given several times, `none` for no such \
         text",
    )
    .aliases(&["dry-sequence-breaker"])
    .default(r#"\n : " *"#)
    .needs(Needs::Dry)
    .under(
        None,
        Some(Setter {
            name: "dry_sequence_breakers",
            put: |found, value| super::put(&mut found.settings.dry_sequence_breakers, value),
        }),
        None,
    ),
    Knob::new(
        Group::Cuts,
        "top_n_sigma",
        Kind::Number(Range::ANY),
        "N",
        "Keep scores at most N standard deviations below the best, 0 and below for all",
    )
    .aliases(&["top-nsigma"])
    .default("-1")
    .usual(-1.0, 5.0)
    .under(None, Some(of_llama!(top_n_sigma)), None),
    Knob::new(
        Group::Cuts,
        "xtc_probability",
        Kind::Number(Range::from(0.0).up_to(1.0).noted(" (0 is off)")),
        "P",
        "How often XTC acts: it removes every token above --xtc-threshold except the least likely \
         of them",
    )
    .default("0")
    .usual(0.0, 1.0)
    .gguf("general.sampling.xtc_probability")
    .under(None, Some(of_llama!(xtc_probability)), None),
    Knob::new(
        Group::Cuts,
        "xtc_threshold",
        Kind::Number(Range::from(0.0).up_to(1.0).noted(" (above 0.5 is off)")),
        "P",
        "Tokens at least this likely count for XTC; above 0.5 turns XTC off",
    )
    .default("0.1")
    .usual(0.0, 0.5)
    .needs(Needs::Xtc)
    .gguf("general.sampling.xtc_threshold")
    .under(None, Some(of_llama!(xtc_threshold)), None),
    Knob::new(
        Group::Cuts,
        "min_keep",
        Kind::Whole(Whole::SWITCH),
        "N",
        "Fewest tokens that typical-p, top-p, min-p and XTC leave",
    )
    .default("0")
    .usual(0.0, 10.0)
    .under(None, Some(of_llama!(min_keep)), None),
    Knob::new(
        Group::Temperature,
        "dynatemp_range",
        Kind::Number(Range::NOT_NEGATIVE),
        "R",
        "Let the temperature follow the entropy, this far to both sides, 0 for a fixed one",
    )
    .default("0")
    .usual(0.0, 2.0)
    .under(None, Some(of_llama!(dynatemp_range)), None),
    Knob::new(
        Group::Temperature,
        "dynatemp_exponent",
        Kind::Number(Range::NOT_NEGATIVE),
        "E",
        "How the temperature rises with the entropy",
    )
    .aliases(&["dynatemp-exp"])
    .default("1")
    .usual(0.0, 4.0)
    .needs(Needs::DynamicTemperature)
    .under(None, Some(of_llama!(dynatemp_exponent)), None),
    Knob::new(
        Group::Draw,
        "mirostat",
        VERSIONS,
        "0|1|2",
        "Draw by mirostat, version 1 or 2, in place of all stages but logit bias and temperature; 0 \
         for not",
    )
    .default("0")
    .beside_mirostat()
    .gguf("general.sampling.mirostat")
    .under(
        None,
        Some(Setter {
            name: "mirostat",
            put: |found, value| {
                found.mirostat = MirostatVersion::numbered(value.to()?);
                Ok(())
            },
        }),
        None,
    ),
    Knob::new(
        Group::Draw,
        "mirostat_tau",
        Kind::Number(Range::NOT_NEGATIVE),
        "TAU",
        "The surprise in bits that mirostat aims at",
    )
    .aliases(&["mirostat-ent"])
    .default("5")
    .usual(0.0, 10.0)
    .needs(Needs::Mirostat)
    .beside_mirostat()
    .gguf("general.sampling.mirostat_tau")
    .under(None, Some(of_llama!(mirostat_tau)), None),
    Knob::new(
        Group::Draw,
        "mirostat_eta",
        Kind::Number(Range::NOT_NEGATIVE),
        "ETA",
        "How fast mirostat follows it",
    )
    .aliases(&["mirostat-lr"])
    .default("0.1")
    .usual(0.0, 1.0)
    .needs(Needs::Mirostat)
    .beside_mirostat()
    .gguf("general.sampling.mirostat_eta")
    .under(None, Some(of_llama!(mirostat_eta)), None),
    Knob::new(
        Group::Draw,
        "adaptive_target",
        Kind::Number(Range::finite("").up_to(1.0).noted(" (below 0 is off)")),
        "P",
        "The probability that `adaptive_p` aims at, below 0 for a plain draw",
    )
    .default("-1")
    .usual(-1.0, 1.0)
    .needs(Needs::AdaptiveP)
    .under(None, Some(of_llama!(adaptive_target)), None),
    Knob::new(
        Group::Draw,
        "adaptive_decay",
        Kind::Number(Range::from(0.0).up_to(0.99)),
        "D",
        "How much of its past `adaptive_p` keeps from token to token",
    )
    .default("0.9")
    .usual(0.0, 0.99)
    .needs(Needs::AdaptiveP)
    .under(None, Some(of_llama!(adaptive_decay)), None),
];
