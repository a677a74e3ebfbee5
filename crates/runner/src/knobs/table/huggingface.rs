//! Knobs that Hugging Face's rules alone know.

use super::of_hf;
use super::runner::{NEGATIVE_PROMPT, NEGATIVE_PROMPT_IDS, SEARCH};
use crate::knobs::kind::{Choice, Kind, Range, Whole};
use crate::knobs::knob::{Group, Knob, Needs, Setter};

const NAMES: Kind =
    Kind::OneOf(&[Choice::plain("true"), Choice::plain("false"), Choice::plain("never")]);
const IDS: Kind = Kind::Ids { none: false, alone: false };
const SHARE: Range = Range::from(0.0).below(1.0).noted(" (0 is off)");

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        Group::Draw,
        "do_sample",
        Kind::Bool,
        "BOOL",
        "Draw tokens; otherwise take the most likely one each time",
    )
    .default("false; alone: true")
    .under(Some(of_hf!(do_sample)), None, None),
    Knob::new(
        Group::Scores,
        "guidance_scale",
        Kind::Number(Range::finite(" (1 is off)")),
        "G",
        "Classifier-free guidance: 1 is off; larger moves further from the negative prompt",
    )
    .default("1")
    .usual(0.0, 5.0)
    .under(Some(of_hf!(guidance_scale)), None, None),
    NEGATIVE_PROMPT,
    NEGATIVE_PROMPT_IDS,
    Knob::new(
        Group::Scores,
        "sequence_bias",
        Kind::SequenceBias,
        "IDS:BIAS;…",
        "What to add to the score of a sequence's last token: 1,2:-4.5;3:1",
    )
    .under(Some(of_hf!(sequence_bias)), None, None),
    Knob::new(
        Group::Scores,
        "no_repeat_ngram_size",
        Kind::Whole(Whole::SWITCH),
        "N",
        "Let no N tokens in a row occur twice, 0 for no such rule",
    )
    .default("0")
    .usual(0.0, 10.0)
    .under(Some(of_hf!(no_repeat_ngram_size)), None, None),
    Knob::new(
        Group::Scores,
        "bad_words_ids",
        Kind::Sequences,
        "IDS;IDS",
        "Sequences of tokens that must not appear: 1,2;3",
    )
    .under(Some(of_hf!(bad_words_ids)), None, None),
    Knob::new(
        Group::Scores,
        "min_length",
        Kind::Whole(Whole::SWITCH),
        "N",
        "Do not end before so many tokens, prompt included",
    )
    .default("0")
    .under(Some(of_hf!(min_length)), None, None),
    Knob::new(
        Group::Scores,
        "min_new_tokens",
        Kind::Whole(Whole::SWITCH),
        "N",
        "Do not end before so many new tokens; wins over --min-length",
    )
    .kin("min_tokens")
    .under(Some(of_hf!(min_new_tokens)), None, None),
    Knob::new(
        Group::Scores,
        "forced_bos_token_id",
        Kind::Id,
        "ID",
        "Forces this token first, if the prompt is a single token (translation models)",
    )
    .under(Some(of_hf!(forced_bos_token_id)), None, None),
    Knob::new(
        Group::Scores,
        "forced_eos_token_id",
        Kind::Ids { none: false, alone: true },
        "IDS",
        "Tokens of which one must be the last if the length limit is reached",
    )
    .under(Some(of_hf!(forced_eos_token_id)), None, None),
    Knob::new(
        Group::Scores,
        "remove_invalid_values",
        Kind::Bool,
        "BOOL",
        "Mend NaN and infinities among the scores instead of failing",
    )
    .default("false")
    .under(Some(of_hf!(remove_invalid_values)), None, None),
    Knob::new(
        Group::Scores,
        "exponential_decay_length_penalty",
        Kind::Decay,
        "START,FACTOR",
        "Make the end likelier by a factor for each token after the START-th: 20,1.05",
    )
    .under(Some(of_hf!(exponential_decay_length_penalty)), None, None),
    Knob::new(Group::Scores, "suppress_tokens", IDS, "IDS", "Tokens that must not appear").under(
        Some(of_hf!(suppress_tokens)),
        None,
        None,
    ),
    Knob::new(
        Group::Scores,
        "begin_suppress_tokens",
        IDS,
        "IDS",
        "Tokens that must not be the first",
    )
    .under(Some(of_hf!(begin_suppress_tokens)), None, None),
    Knob::new(
        Group::Cuts,
        "top_h",
        Kind::Number(Range::above(0.0, "").up_to(1.0)),
        "H",
        "Keep the best tokens that hold the share H of the entropy",
    )
    .usual(0.0, 1.0)
    .needs(Needs::Drawing)
    .under(Some(of_hf!(top_h)), None, None),
    Knob::new(
        Group::Cuts,
        "epsilon_cutoff",
        Kind::Number(SHARE),
        "P",
        "Keep tokens at least this likely, 0 for all",
    )
    .default("0")
    .usual(0.0, 0.1)
    .needs(Needs::Drawing)
    .under(Some(of_hf!(epsilon_cutoff)), None, None),
    Knob::new(
        Group::Cuts,
        "eta_cutoff",
        Kind::Number(SHARE),
        "P",
        "Like --epsilon-cutoff, with a lower limit where the distribution is flat; 0 for all",
    )
    .default("0")
    .usual(0.0, 0.1)
    .needs(Needs::Drawing)
    .under(Some(of_hf!(eta_cutoff)), None, None),
    Knob::new(
        Group::Cuts,
        "renormalize_logits",
        Kind::Bool,
        "BOOL",
        "Turn the scores into log-probabilities at the end",
    )
    .default("false")
    .under(Some(of_hf!(renormalize_logits)), None, None),
    Knob::new(
        Group::Beams,
        "num_beams",
        Kind::Whole(Whole::COUNT),
        "N",
        "Beam search: keep the N best partial texts at each step",
    )
    .default("1, no search")
    .usual(1.0, 10.0)
    .under(Some(of_hf!(num_beams)), None, None),
    Knob::new(
        Group::Beams,
        "num_beam_groups",
        Kind::Whole(Whole::COUNT),
        "N",
        "Divide the beams into groups, which pay for tokens that earlier groups took",
    )
    .default("1")
    .usual(1.0, 10.0)
    .needs(Needs::Beams)
    .under(Some(of_hf!(num_beam_groups)), None, None),
    Knob::new(
        Group::Beams,
        "diversity_penalty",
        Kind::Number(Range::NOT_NEGATIVE),
        "F",
        "Subtracted from a token's score for each beam of an earlier group that just took it",
    )
    .default("0")
    .usual(0.0, 2.0)
    .needs(Needs::Beams)
    .under(Some(of_hf!(diversity_penalty)), None, None),
    Knob::new(
        Group::Beams,
        "length_penalty",
        Kind::Number(Range::finite("")),
        "X",
        "Divide a beam's log-probability by its length to this power: above 0 favours long texts, \
         below 0 short ones",
    )
    .default("1")
    .usual(-2.0, 2.0)
    .needs(Needs::Beams)
    .under(Some(of_hf!(length_penalty)), None, None),
    Knob::new(
        Group::Beams,
        "early_stopping",
        NAMES,
        "true|false|never",
        "Stop a search when N texts are complete (true), when it looks as if nothing better will \
         come (false), or when nothing better can come (never)",
    )
    .default("false")
    .needs(Needs::Beams)
    .under(Some(of_hf!(early_stopping)), None, None),
    SEARCH,
];
