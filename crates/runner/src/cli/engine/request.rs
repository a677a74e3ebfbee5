//! From flags to a run on an engine.

use serde_json::Map;
use taper_runner::engine::{Dialect, EngineError, Prompt, Server, own_semantics};
use taper_runner::sampling::GenerationConfig;
use taper_runner::{OnError, Request, Semantics};

use crate::cli::args::{Engine, GenerateArgs, OnErrorArg};
use crate::cli::chat;
use crate::cli::failure::Failure;
use crate::cli::generate::blame;
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

/// Flags whose mere presence says that tokens are to be drawn.
const DRAWING: [&str; 5] = ["--temperature", "--top-k", "--top-p", "--min-p", "--typical-p"];

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
pub(super) fn rules(args: &GenerateArgs, flags: &Flags, dialect: Dialect) -> Engine {
    let given = |names: &[&str]| {
        names.iter().any(|name| {
            flags.for_setting(&name.trim_start_matches('-').replace('-', "_")).is_some()
        })
    };
    if given(&["--semantics"]) || args.engine.pipeline.is_some() {
        return args.engine.semantics;
    }
    let cold = args.decoding.temperature == Some(0.0);
    let foreign = flags.check(Engine::HuggingFace).is_err();
    let drawing = given(&DRAWING) && !cold && !given(&["--do-sample", "--num-beams"]);
    match own_semantics(dialect) {
        Semantics::LlamaCpp(_) if foreign || drawing => Engine::LlamaCpp,
        Semantics::Vllm(_) if foreign || drawing => Engine::Vllm,
        _ => Engine::HuggingFace,
    }
}

/// What the flags ask for; the prompt comes later.
pub(super) fn request(args: &GenerateArgs, flags: &Flags) -> Result<Request, Failure> {
    flags.check(args.engine.semantics)?;
    let user = args.config()?;
    let semantics = args.semantics(&GenerationConfig::default(), &Map::new());
    let semantics = semantics.map_err(|error| blame(&error, args, flags, None))?;
    semantics.validate(&user).map_err(|error| blame(&error, args, flags, None))?;
    let mut request = Request::new(Vec::new());
    request.config = user;
    request.semantics = semantics;
    request.grammar = args.grammar.read()?;
    request.ties = args.engine.ties;
    request.seed = args.engine.seed;
    request.on_error = match args.engine.on_error {
        OnErrorArg::Refuse => OnError::Refuse,
        OnErrorArg::Argmax => OnError::Argmax,
    };
    request.logits_dtype = args.engine.logits_dtype.unwrap_or_default();
    request.best_of = args.stopping.best_of;
    let needs_tokens = [
        ("--forced-prefix", args.forced_prefix.is_some()),
        ("--negative-prompt", args.hugging_face.negative_prompt.is_some()),
        ("--negative-prompt-ids", args.hugging_face.negative_prompt_ids.is_some()),
    ];
    for (flag, given) in needs_tokens {
        if given {
            let what = "no engine has such a setting; leave it out, or run it without --engine";
            return Err(Failure::Usage(format!("{flag}: {what}")));
        }
    }
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
        Prompt::Ids(ids) => server.check_ids(&ids).map(|()| Prompt::Ids(ids)),
        chat => Ok(chat),
    }
}

/// What is shown of a prompt.
pub(super) fn shown(args: &GenerateArgs, server: &Server, prompt: &Prompt) -> String {
    match (&args.prompt, prompt) {
        (Some(text), _) => text.clone(),
        (None, Prompt::Ids(ids)) => {
            let own = server.tokenizer().and_then(|own| own.decode(ids));
            let text = own.or_else(|| server.detokenize(ids).ok().flatten());
            text.unwrap_or_else(|| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
        }
        (None, _) => String::new(),
    }
}
