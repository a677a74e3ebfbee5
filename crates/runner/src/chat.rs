//! Chats: from messages to a prompt, through the model's own template.
//!
//! Templates are written for jinja2 as Hugging Face transformers sets it up, and [`jinja`] renders them
//! as Python does.

mod apart;
mod clock;
mod jinja;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use taper_models::LoadedModel;
use taper_models::tokenizers::Tokenizer;

pub(crate) use clock::seconds;
use jinja::{Raise, Template, UNSUPPORTED};

/// Bytes of a template. Published ones are a fifth as long, and how deeply one can nest is limited by
/// its length alone.
const LONGEST: usize = 1 << 17;

/// A model's chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    template: Arc<Template>,
    special_tokens: BTreeMap<String, String>,
}

/// A conversation, and what else a template is told.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Chat {
    /// The messages, as a list of objects. The template sees every key of them, as it is and in order.
    pub messages: Json,
    /// Whether to end with what begins the model's turn.
    pub add_generation_prompt: bool,
    /// Given to the template if it is there; what it means is up to the template.
    pub enable_thinking: Option<bool>,
    /// Tools to offer, as a list of JSON schemas.
    pub tools: Option<Json>,
    /// Documents to answer from, as a list of objects.
    pub documents: Option<Json>,
    /// The time that `strftime_now` tells, in seconds since 1970; `None` for the clock's. A prompt with
    /// the date in it is the same tomorrow only if this is said.
    pub now: Option<u64>,
}

impl Chat {
    /// A conversation that the model is to continue.
    pub fn new(messages: Json) -> Self {
        Self { messages, add_generation_prompt: true, ..Self::default() }
    }
}

/// Why there is no prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The model has no template.
    #[error(
        "the model has no chat template; expected chat_template.jinja, or `chat_template` in \
         tokenizer_config.json"
    )]
    NoTemplate,
    /// The template is not Jinja.
    #[error("the chat template, line {line}: {reason}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The template refuses the conversation.
    #[error("the chat template refuses the conversation: {0}")]
    Refused(String),
    /// The template failed.
    #[error("the chat template fails in line {line}: {reason}")]
    Render {
        /// Where, from 1.
        line: usize,
        /// What went wrong.
        reason: String,
    },
    /// The template is longer than any.
    #[error("the chat template has {bytes} bytes; at most {LONGEST} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The template asks for more than a program can give it.
    #[error("the chat template cannot be rendered: {0}")]
    Broken(String),
    /// The messages are no conversation.
    #[error("the messages: {0}")]
    Messages(String),
}

impl ChatTemplate {
    /// A template from its source, which may use `special_tokens` by name.
    ///
    /// # Errors
    ///
    /// [`ChatError::Syntax`], [`ChatError::TooLong`] and [`ChatError::Broken`].
    ///
    /// # Example
    ///
    /// ```
    /// use serde_json::json;
    /// use taper_runner::{Chat, ChatTemplate};
    ///
    /// let source = "{% for m in messages %}{{ bos }}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    /// let tokens = [("bos".to_owned(), "<s>".to_owned())].into();
    /// let template = ChatTemplate::new(source, tokens)?;
    /// let chat = Chat::new(json!([{"role": "user", "content": "Hello"}]));
    /// assert_eq!(template.render(&chat)?, "<s>user: Hello\n");
    /// # Ok::<(), taper_runner::ChatError>(())
    /// ```
    pub fn new(source: &str, special_tokens: BTreeMap<String, String>) -> Result<Self, ChatError> {
        if source.len() > LONGEST {
            return Err(ChatError::TooLong { bytes: source.len() });
        }
        let source = source.to_owned();
        let template = apart::run(move || Template::new(&source).map_err(|error| syntax(&error)))?;
        Ok(Self { template: Arc::new(template), special_tokens })
    }

    /// The template that came with a model.
    ///
    /// # Errors
    ///
    /// [`ChatError::NoTemplate`], and as [`new`](Self::new).
    pub fn of(loaded: &LoadedModel) -> Result<Self, ChatError> {
        Self::of_files(loaded.chat_template.as_deref(), loaded.tokenizer_config.as_ref())
    }

    /// The template of a `chat_template.jinja`, if there is one, or of a `tokenizer_config.json`.
    pub(crate) fn of_files(own: Option<&str>, config: Option<&Json>) -> Result<Self, ChatError> {
        let in_config = || config.and_then(|config| named_template(&config["chat_template"]));
        let source = own.or_else(in_config).ok_or(ChatError::NoTemplate)?;
        let entries = config.and_then(Json::as_object).into_iter().flatten();
        let tokens =
            entries.filter(|(name, _)| name.ends_with("_token")).filter_map(|(name, token)| {
                let text = token.as_str().or_else(|| token["content"].as_str())?;
                Some((name.clone(), text.to_owned()))
            });
        Self::new(source, tokens.collect())
    }

    /// The prompt.
    ///
    /// # Errors
    ///
    /// When the template refuses the conversation, fails or does not end, and when the messages are no
    /// list.
    pub fn render(&self, chat: &Chat) -> Result<String, ChatError> {
        let objects =
            |list: &Json| list.as_array().is_some_and(|items| items.iter().all(Json::is_object));
        if !objects(&chat.messages) {
            return Err(ChatError::Messages("expected a list of objects".to_owned()));
        }
        if chat.tools.as_ref().is_some_and(|tools| !objects(tools)) {
            return Err(ChatError::Messages("tools: expected a list of objects".to_owned()));
        }
        if chat.documents.as_ref().is_some_and(|documents| !objects(documents)) {
            return Err(ChatError::Messages("documents: expected a list of objects".to_owned()));
        }
        let (template, chat) = (self.template.clone(), chat.clone());
        let special_tokens = self.special_tokens.clone();
        apart::run(move || {
            clock::set(chat.now);
            let names = names(chat, special_tokens);
            let names = names.iter().map(|(name, value)| (name.as_str(), value));
            template.render(names).map_err(|error| failure(&error))
        })
    }
}

impl ChatTemplate {
    /// The token that ends the model's turn: the special one that the template puts behind what an
    /// assistant has said. `None` if it puts none there, or refuses so short a conversation.
    pub fn end_of_turn(&self, tokenizer: &Tokenizer) -> Option<u32> {
        const SAID: &str = "said";
        let turn = |role: &str| serde_json::json!({ "role": role, "content": SAID });
        let mut chat = Chat::new(Json::Array(vec![turn("user"), turn("assistant")]));
        chat.add_generation_prompt = false;
        let text = self.render(&chat).ok()?;
        let (_, after) = text.rsplit_once(SAID)?;
        let encoding = tokenizer.encode(after, false).ok()?;
        let first = *encoding.get_ids().first()?;
        tokenizer
            .get_added_tokens_decoder()
            .get(&first)
            .filter(|token| token.special)
            .map(|_| first)
    }
}

/// What a template sees. transformers always passes tools and documents, and what else the caller
/// names; what is named goes before the special tokens.
fn names(chat: Chat, special_tokens: BTreeMap<String, String>) -> Vec<(String, Json)> {
    let mut names = vec![
        ("messages".to_owned(), chat.messages),
        ("tools".to_owned(), chat.tools.unwrap_or(Json::Null)),
        ("documents".to_owned(), chat.documents.unwrap_or(Json::Null)),
        ("add_generation_prompt".to_owned(), Json::Bool(chat.add_generation_prompt)),
    ];
    let thinking = chat.enable_thinking.map(|on| ("enable_thinking".to_owned(), Json::Bool(on)));
    names.extend(thinking);
    names.extend(special_tokens.into_iter().map(|(name, text)| (name, Json::String(text))));
    names
}

/// The template itself, or of several the one that is for chats.
fn named_template(value: &Json) -> Option<&str> {
    let default = || {
        let named = value.as_array()?.iter().find(|named| named["name"] == "default")?;
        named["template"].as_str()
    };
    value.as_str().or_else(default)
}

fn syntax(error: &Raise) -> ChatError {
    ChatError::Syntax { line: error.line.max(1), reason: error.message.clone() }
}

fn failure(error: &Raise) -> ChatError {
    match error.kind {
        "TemplateError" => ChatError::Refused(error.message.clone()),
        "limit" => ChatError::Broken(error.message.clone()),
        UNSUPPORTED => ChatError::Render { line: error.line.max(1), reason: error.message.clone() },
        kind => {
            let reason = format!("{kind}: {}", error.message);
            ChatError::Render { line: error.line.max(1), reason }
        }
    }
}

#[cfg(test)]
mod tests;
