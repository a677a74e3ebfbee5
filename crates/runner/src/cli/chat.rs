//! From flags to a conversation, and to the tokens of its prompt.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use taper_runner::models::LoadedModel;
use taper_runner::{Chat, ChatTemplate};

use super::args::GenerateArgs;
use super::failure::Failure;
use super::input::{OBJECTS, read_for};

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
        let turns = objects("--messages", path)?;
        if let Some(at) = turns.iter().position(|turn| !turn["role"].is_string()) {
            let what = "expected an object with a `role`, which is a text";
            return Err(blame("--messages", path, &format!("entry {at}: {what}")));
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
    let list = |flag, path: &Option<PathBuf>| {
        path.as_ref().map(|path| objects(flag, path).map(Value::Array)).transpose()
    };
    chat.tools = list("--tools", &args.chat.tools)?;
    chat.documents = list("--documents", &args.chat.documents)?;
    Ok(chat)
}

fn blame(flag: &str, path: &Path, why: &dyn Display) -> Failure {
    Failure::usage(format!("{flag} {}: {why}", path.display()))
}

/// The list of objects that a file holds.
fn objects(flag: &str, path: &Path) -> Result<Vec<Value>, Failure> {
    let blame = |why: &dyn Display| blame(flag, path, why);
    let text = read_for(flag, path, OBJECTS)?;
    let list: Value = serde_json::from_str(&text).map_err(|error| blame(&error))?;
    let Value::Array(list) = list else {
        return Err(blame(&"expected a list of objects"));
    };
    if let Some(at) = list.iter().position(|entry| !entry.is_object()) {
        return Err(blame(&format!("entry {at}: expected an object")));
    }
    if let Some(number) = long_integer(&text) {
        return Err(blame(&format!("{number}: expected an integer of at most 64 bits")));
    }
    Ok(list)
}

/// An integer of JSON that would be read as a float, and be printed as one.
fn long_integer(text: &str) -> Option<&str> {
    let mut outside = true;
    let mut escaped = false;
    let mut tokens = text.split(|c: char| {
        let ends = outside && !(c.is_ascii_alphanumeric() || "+-.".contains(c));
        match c {
            _ if escaped => escaped = false,
            '\\' if !outside => escaped = true,
            '"' => outside = !outside,
            _ => {}
        }
        ends
    });
    tokens.find(|token| {
        let digits = token.strip_prefix('-').unwrap_or(token);
        let integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        integer && token.parse::<i64>().is_err() && token.parse::<u64>().is_err()
    })
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
