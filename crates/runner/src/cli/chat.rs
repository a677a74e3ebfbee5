//! From flags to a conversation, and to the tokens of its prompt.

use serde_json::{Value, json};
use taper_runner::models::LoadedModel;
use taper_runner::{Chat, ChatTemplate};

use super::args::GenerateArgs;
use super::failure::Failure;
use super::input::{MESSAGES, read_for};

/// What a chat begins with: its prompt, and the tokens that end the model's turn.
pub(super) struct Opening {
    pub(super) prompt: Vec<u32>,
    pub(super) end_of_turn: Option<u32>,
}

/// The conversation that the flags describe.
pub(super) fn conversation(args: &GenerateArgs) -> Result<Chat, Failure> {
    let mut messages = Vec::new();
    if let Some(system) = &args.chat.system {
        messages.push(json!({ "role": "system", "content": system }));
    }
    if let Some(path) = &args.chat.messages {
        let blame = |why: String| Failure::usage(format!("--messages {}: {why}", path.display()));
        let text = read_for("--messages", path, MESSAGES)?;
        let turns: Vec<Value> =
            serde_json::from_str(&text).map_err(|error| blame(error.to_string()))?;
        let is_turn = |turn: &Value| turn["role"].is_string() && turn.get("content").is_some();
        if let Some(at) = turns.iter().position(|turn| !is_turn(turn)) {
            let what = "expected an object with a `role`, which is a text, and a `content`";
            return Err(blame(format!("entry {at}: {what}")));
        }
        messages.extend(turns);
    }
    if let Some(prompt) = &args.prompt {
        messages.push(json!({ "role": "user", "content": prompt }));
    }
    if messages.is_empty() {
        return Err(Failure::usage("--chat: nothing was said; give a prompt, or --messages FILE"));
    }
    let mut chat = Chat::new(Value::Array(messages));
    chat.enable_thinking = args.chat.enable_thinking;
    Ok(chat)
}

/// The conversation through the model's own template.
pub(super) fn open(chat: &Chat, loaded: &LoadedModel) -> Result<Opening, Failure> {
    let blame = |error: &dyn std::fmt::Display| Failure::usage(format!("--chat: {error}"));
    let tokenizer = loaded.tokenizer.as_ref();
    let tokenizer = tokenizer.ok_or_else(|| blame(&"the model has no tokenizer.json"))?;
    let template = ChatTemplate::of(loaded).map_err(|error| blame(&error))?;
    let text = template.render(chat).map_err(|error| blame(&error))?;
    // The template has put the special tokens where they belong.
    let encoding = tokenizer.encode(text, false).map_err(|error| blame(&error))?;
    Ok(Opening {
        prompt: encoding.get_ids().to_vec(),
        end_of_turn: template.end_of_turn(tokenizer),
    })
}
