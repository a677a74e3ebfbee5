//! From flags to a run on an engine.

use serde_json::Map;
use taper_runner::engine::{Dialect, EngineError, Prompt, Server, own_semantics};
use taper_runner::knobs::{self, KnobValue, Turned};
use taper_runner::sampling::GenerationConfig;
use taper_runner::{Request, Semantics};

use crate::cli::args::GenerateArgs;
use crate::cli::chat;
use crate::cli::failure::{Failure, remark};
use crate::cli::settings::Flags;

/// Flags of what needs the model in this process.
const LOCAL: [&str; 12] = [
    "--model",
    "--revision",
    "--random-weights",
    "--device",
    "--dtype",
    "--dump",
    "--prompt-lookup-num-tokens",
    "--max-matching-ngram-size",
    "--draft-model",
    "--num-assistant-tokens",
    "--print-pipeline",
    "--prompt-logprobs",
];

/// Knobs whose mere presence says that tokens are to be drawn.
const DRAWING: [&str; 5] = ["temperature", "top_k", "top_p", "min_p", "typical_p"];

/// Refuses flags that have no meaning for a run on an engine.
pub(super) fn check(flags: &Flags, here: bool) -> Result<(), Failure> {
    let local = |name: &str| LOCAL.iter().any(|flag| flag.strip_prefix("--") == Some(name));
    match flags.named(local).first() {
        Some(flag) => {
            Err(Failure::Usage(format!("{flag}: the model is the engine's; leave it out")))
        }
        None if !here && !flags.named(|name| name == "trace").is_empty() => Err(Failure::usage(
            "--trace: an engine does not show its stages; leave it out, or use --sample here",
        )),
        None => Ok(()),
    }
}

/// The rules that give the flags their meaning, where `--semantics` does not name them: Hugging Face's
/// as in a local run, but the engine's own where a flag has no effect under Hugging Face's.
fn rules(turned: &Turned, dialect: Dialect) -> Option<&'static str> {
    let given = |names: &[&str]| names.iter().any(|name| turned.get(name).is_some());
    if given(&["semantics"]) {
        return None;
    }
    let at_zero =
        |value: &KnobValue| *value == KnobValue::Whole(0) || *value == KnobValue::Number(0.0);
    let cold = turned.get("temperature").is_some_and(at_zero);
    let foreign = turned.check_engine().is_err();
    let drawing = given(&DRAWING) && !cold && !given(&["do_sample", "num_beams"]);
    match own_semantics(dialect) {
        own @ (Semantics::LlamaCpp(_) | Semantics::Vllm(_)) if foreign || drawing => {
            Some(own.name())
        }
        _ => None,
    }
}

/// Turns the knob of whose rules count, where the flags do not.
pub(super) fn with_rules(typed: &Turned, dialect: Dialect) -> Result<Turned, Failure> {
    let mut turned = typed.clone();
    if let Some(rules) = rules(typed, dialect) {
        let knob = knobs::find("semantics").map_err(Failure::usage)?;
        turned.turn(knob, KnobValue::Text(rules.to_owned()));
    }
    Ok(turned)
}

/// What the flags ask for; the prompt comes later.
pub(super) fn request(args: &GenerateArgs, flags: &Flags) -> Result<Request, Failure> {
    let turned = &args.knobs.turned;
    let refused = |error| flags.blame(error, args, None);
    turned.check_engine().map_err(refused)?;
    for name in ["forced_prefix", "negative_prompt", "negative_prompt_ids"] {
        if turned.get(name).is_some() {
            let what = "no engine has such a setting; leave it out, or run it without --engine";
            return Err(Failure::Usage(format!("--{}: {what}", name.replace('_', "-"))));
        }
    }
    let user = turned.config().map_err(refused)?;
    let semantics = args.semantics(&GenerationConfig::default(), &Map::new()).map_err(refused)?;
    semantics.validate(&user).map_err(|error| refused(error.into()))?;
    let mut request = Request::new(Vec::new());
    request.config = user;
    request.semantics = semantics;
    args.apply(&mut request, flags, None)?;
    Ok(request)
}

/// The prompt that the flags give, before a server is asked anything.
pub(super) fn prompt(args: &GenerateArgs) -> Result<Prompt, Failure> {
    if args.chat.chat {
        let chat = chat::conversation(args)?;
        if chat.documents.is_some() {
            return Err(Failure::usage(
                "--documents: an engine's template takes none; leave it out",
            ));
        }
        let (messages, tools) = (chat.messages, chat.tools);
        return Ok(Prompt::chat(messages, tools, chat.enable_thinking));
    }
    match (&args.prompt_ids, args.prompt.as_deref()) {
        (Some(ids), _) if ids.0.is_empty() => {
            Err(Failure::usage("--prompt-ids: the prompt is empty"))
        }
        (Some(ids), _) => Ok(Prompt::Ids(ids.0.clone())),
        (None, Some("")) => Err(Failure::usage(taper_runner::RequestError::EmptyPrompt)),
        (None, Some(text)) => Ok(Prompt::Text(text.to_owned())),
        (None, None) => Err(Failure::usage(
            "the prompt is missing; give a text, - for standard input, or --prompt-ids 1,2,3",
        )),
    }
}

/// The prompt as the server is best given it.
pub(super) fn settled(server: &Server, prompt: Prompt) -> Result<Prompt, EngineError> {
    match prompt {
        Prompt::Text(text) => server.prompt(&text),
        Prompt::Ids(ids) => server.profile.check_ids(&ids).map(|()| Prompt::Ids(ids)),
        chat => {
            let sent = server.chat(&chat)?;
            if let Some(why) = sent.differs {
                remark(&format!("the chat goes through the server's own template: {why}"));
            }
            Ok(sent.prompt)
        }
    }
}

/// What is shown of a prompt.
pub(super) fn shown(args: &GenerateArgs, server: &Server, prompt: &Prompt) -> String {
    match (&args.prompt, prompt) {
        (Some(text), _) => text.clone(),
        (None, Prompt::Ids(ids)) => {
            let own = server.profile.tokenizer().and_then(|own| own.decode(ids));
            let text = own.or_else(|| server.detokenize(ids).ok().flatten());
            text.unwrap_or_else(|| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
        }
        (None, _) => String::new(),
    }
}
