//! Knobs that the runner itself acts on.

use super::of_hf;
use crate::grammar::TextGrammar;
use crate::knobs::kind::{Choice, Kind, Range, Texts, Whole};
use crate::knobs::knob::{Group, Knob, Needs, Setter};
use crate::logits_dtype::LogitsDtype;
use crate::request::{OnError, SearchMode, tie_policy, tokenize, tokenize_plain};

const ENGINES: Kind =
    Kind::OneOf(&[Choice::plain("huggingface"), Choice::plain("llama.cpp"), Choice::plain("vllm")]);
const TIES: Kind = Kind::OneOf(&[
    Choice::plain("keep-all"),
    Choice::plain("lowest-id"),
    Choice::plain("highest-id"),
    Choice::plain("random"),
    Choice::plain("error"),
]);
const DTYPES: Kind =
    Kind::OneOf(&[Choice::plain("f32"), Choice::plain("f16"), Choice::plain("bf16")]);
const ACTIONS: Kind = Kind::OneOf(&[Choice::plain("refuse"), Choice::plain("argmax")]);
const MODES: Kind = Kind::OneOf(&[
    Choice::plain("huggingface"),
    Choice::plain("canonical"),
    Choice::plain("stochastic"),
]);
const IDS: Kind = Kind::Ids { none: false, alone: false };

pub(super) const RULES: &[Knob] = &[
    Knob::new(
        Group::Text,
        "forced_prefix",
        Kind::Text { blank: false },
        "TEXT",
        "A text that what is generated has to begin with",
    )
    .of_control()
    .own(|request, value, loaded| {
        if let Some(loaded) = loaded {
            request.forced_prefix = tokenize_plain(loaded.tokenizer.as_ref(), value.text())?;
        }
        Ok(())
    }),
    Knob::new(
        Group::Rules,
        "semantics",
        ENGINES,
        "ENGINE",
        "Whose settings, defaults, order of stages and tie rules: huggingface, llama.cpp or vllm",
    )
    .default("huggingface"),
    Knob::new(
        Group::Rules,
        "ties",
        TIES,
        "POLICY",
        "Which of several equal scores a cut keeps, instead of the engine's own rule: keep-all, \
         lowest-id, highest-id, random or error",
    )
    .own(|request, value, _| {
        request.ties = tie_policy(value.text());
        Ok(())
    }),
    Knob::new(
        Group::Rules,
        "logits_dtype",
        DTYPES,
        "TYPE",
        "Round logits to bf16 or f16 before sampling, as a model run in that type would; f32 \
         leaves them",
    )
    .default("f32")
    .of_control()
    .own(|request, value, _| {
        request.logits_dtype = LogitsDtype::named(value.text()).unwrap_or_default();
        Ok(())
    }),
    Knob::new(
        Group::Rules,
        "seed",
        Kind::Whole(Whole::SEED),
        "N",
        "Names the randomness: the same seed gives the same tokens. Drawn and reported if not given",
    )
    .instead("`seeds` lists them")
    .own(|request, value, _| {
        request.seed = value.to().ok();
        Ok(())
    }),
    Knob::new(
        Group::Rules,
        "on_error",
        ACTIONS,
        "ACTION",
        "What to do when no token can be chosen, as when a logit is NaN: end with the error \
         (refuse), or take the best finite logit (argmax)",
    )
    .default("refuse")
    .own(|request, value, _| {
        let argmax = value.text() == "argmax";
        request.on_error = if argmax { OnError::Argmax } else { OnError::Refuse };
        Ok(())
    }),
];

pub(super) const SEARCH: Knob = Knob::new(
    Group::Beams,
    "search",
    MODES,
    "MODE",
    "How beams search: as huggingface does, canonical (without its heuristics) or stochastic (texts \
     drawn without replacement; needs --do-sample true)",
)
.default("huggingface")
.of_hugging_face()
.needs(Needs::Beams)
.own(|request, value, _| {
    request.search = SearchMode::named(value.text()).unwrap_or_default();
    Ok(())
});

pub(super) const NEGATIVE_PROMPT: Knob = Knob::new(
    Group::Scores,
    "negative_prompt",
    Kind::Text { blank: true },
    "TEXT",
    "The text that --guidance-scale moves away from",
)
.default("the last token of the prompt")
.of_hugging_face()
.own(|request, value, loaded| {
    if let Some(loaded) = loaded {
        request.negative_prompt = Some(tokenize(loaded.tokenizer.as_ref(), value.text())?);
    }
    Ok(())
});

pub(super) const NEGATIVE_PROMPT_IDS: Knob = Knob::new(
    Group::Scores,
    "negative_prompt_ids",
    IDS,
    "IDS",
    "The negative prompt as token ids instead",
)
.of_hugging_face()
.instead("give `negative_prompt`, which is the text")
.own(|request, value, _| {
    request.negative_prompt = value.to().ok();
    Ok(())
});

pub(super) const FORM_AND_LENGTH: &[Knob] = &[
    Knob::new(
        Group::Form,
        "json_schema",
        Kind::File,
        "FILE|JSON",
        "JSON that this schema allows; a file, or the schema itself if it begins with {",
    )
    .of_control()
    .own(|request, value, _| {
        request.grammar = Some(TextGrammar::JsonSchema(value.text().to_owned()));
        Ok(())
    }),
    Knob::new(
        Group::Form,
        "regex",
        Kind::File,
        "RE",
        "What this regular expression matches as a whole",
    )
    .of_control()
    .own(|request, value, _| {
        request.grammar = Some(TextGrammar::Regex(value.text().to_owned()));
        Ok(())
    }),
    Knob::new(
        Group::Form,
        "grammar",
        Kind::File,
        "FILE",
        "What this grammar derives, in llguidance's variant of Lark's notation",
    )
    .of_control()
    .own(|request, value, _| {
        request.grammar = Some(TextGrammar::Lark(value.text().to_owned()));
        Ok(())
    }),
    Knob::new(
        Group::Length,
        "num_return_sequences",
        Kind::Whole(Whole::COUNT),
        "N",
        "How many sequences to draw",
    )
    .default("1")
    .instead("a run is one sequence; `runs` says how many there are")
    .shared(of_hf!(num_return_sequences)),
    Knob::new(
        Group::Length,
        "best_of",
        Kind::Whole(Whole::COUNT),
        "N",
        "Draw N sequences and show the best: those with the highest mean log-probability under the \
         model itself",
    )
    .own(|request, value, _| {
        request.best_of = value.to().ok();
        Ok(())
    }),
    Knob::new(
        Group::Length,
        "max_new_tokens",
        Kind::Whole(Whole::COUNT),
        "N",
        "Most tokens to generate",
    )
    .default("128, unless the model says otherwise")
    .usual(1.0, 512.0)
    .of_control()
    .shared(of_hf!(max_new_tokens)),
    Knob::new(
        Group::Length,
        "max_length",
        Kind::Whole(Whole::COUNT),
        "N",
        "Most tokens, prompt included",
    )
    .of_control()
    .shared(of_hf!(max_length)),
    Knob::new(
        Group::Length,
        "max_time",
        Kind::Number(Range::SECONDS),
        "SECONDS",
        "Stop after so many seconds",
    )
    .instead("a run must not depend on the clock")
    .shared(of_hf!(max_time)),
    Knob::new(
        Group::Length,
        "eos_token_id",
        Kind::Ids { none: true, alone: true },
        "IDS",
        "Tokens that end the text, instead of the model's own; `none` to go on regardless",
    )
    .of_control()
    .shared(of_hf!(eos_token_id)),
    Knob::new(
        Group::Length,
        "stop_strings",
        Kind::Texts(Texts::Plain),
        "TEXT",
        "A text to stop before; may be given several times",
    )
    .of_control()
    .shared(of_hf!(stop_strings)),
];
