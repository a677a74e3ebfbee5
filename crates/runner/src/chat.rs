//! Chats: from messages to a prompt, through the model's own template.
//!
//! Templates are written for Jinja as Hugging Face transformers sets it up. Here minijinja renders
//! them, with what that set-up adds: `raise_exception`, `strftime_now`, `tojson` as Python's
//! `json.dumps`, `{% generation %}`, and the methods of Python's strings and dictionaries.

mod apart;
mod clock;
mod filters;
mod json;
mod methods;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::Value as Json;
use taper_models::LoadedModel;
use taper_models::tokenizers::Tokenizer;

/// Steps that a template may take. A conversation of a thousand turns takes a small part of it; a
/// template that comes with a model from anywhere may loop for ever.
const FUEL: u64 = 500_000;

/// Bytes of a template. Published ones are a fifth as long, and how deeply one can nest is limited by
/// its length alone.
const LONGEST: usize = 1 << 17;

/// A model's chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    special_tokens: BTreeMap<String, String>,
}

/// A conversation, and what else a template is told.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Chat {
    /// The messages, as a list of objects with a `role` and a `content`.
    pub messages: Json,
    /// Whether to end with what begins the model's turn.
    pub add_generation_prompt: bool,
    /// Given to the template if it is there; what it means is up to the template.
    pub enable_thinking: Option<bool>,
    /// Tools to offer, as a list of JSON schemas.
    pub tools: Option<Json>,
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
    #[error("the chat template can not be rendered: {0}")]
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
        let source = without_generation(source);
        let environment = Arc::new(apart::run(|| environment(source))?);
        Ok(Self { environment, special_tokens })
    }

    /// The template that came with a model.
    ///
    /// # Errors
    ///
    /// [`ChatError::NoTemplate`], and as [`new`](Self::new).
    pub fn of(loaded: &LoadedModel) -> Result<Self, ChatError> {
        let config = loaded.tokenizer_config.as_ref();
        let own = || config.and_then(|config| named_template(&config["chat_template"]));
        let source = loaded.chat_template.as_deref().or_else(own).ok_or(ChatError::NoTemplate)?;
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
        if !chat.messages.is_array() {
            let what = "expected a list of objects with a `role` and a `content`";
            return Err(ChatError::Messages(what.to_owned()));
        }
        let (environment, chat) = (self.environment.clone(), chat.clone());
        let special_tokens = self.special_tokens.clone();
        apart::run(move || {
            let template = environment.get_template("chat").map_err(|error| syntax(&error))?;
            let context = Context::new(&chat, &special_tokens);
            template.render(Serde(context)).map_err(|error| failure(&error))
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

/// An engine set up as transformers sets up its own, with this template.
fn environment(source: String) -> Result<Environment<'static>, ChatError> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|error| syntax(&error))?,
    );
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(methods::call);
    filters::limit(&mut environment);
    environment.add_filter("tojson", json::dumps);
    environment.add_function("raise_exception", raise);
    environment.add_function("strftime_now", |format: String| clock::format_now(&format));
    environment.add_template_owned("chat", source).map_err(|error| syntax(&error))?;
    Ok(environment)
}

/// What a template sees. transformers always passes tools, and what else the caller names.
#[derive(Serialize)]
struct Context<'a> {
    messages: &'a Json,
    tools: &'a Option<Json>,
    documents: Option<()>,
    add_generation_prompt: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_thinking: Option<bool>,
    #[serde(flatten)]
    special_tokens: &'a BTreeMap<String, String>,
}

impl<'a> Context<'a> {
    fn new(chat: &'a Chat, special_tokens: &'a BTreeMap<String, String>) -> Self {
        Self {
            messages: &chat.messages,
            tools: &chat.tools,
            documents: None,
            add_generation_prompt: chat.add_generation_prompt,
            enable_thinking: chat.enable_thinking,
            special_tokens,
        }
    }
}

/// The template itself, or of several the one that is for chats.
fn named_template(value: &Json) -> Option<&str> {
    let default = || {
        let named = value.as_array()?.iter().find(|named| named["name"] == "default")?;
        named["template"].as_str()
    };
    value.as_str().or_else(default)
}

/// `{% generation %}` marks what the model has said, for training. It renders what it holds, as an
/// `if` does that is always true.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let word =
            tag.trim_start_matches(['{', '%', '-', '+']).trim_end_matches(['}', '%', '-', '+']);
        match word.trim() {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out + rest
}

/// What `raise_exception` was given.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn raise(message: &Value) -> Result<Value, Error> {
    let message = message.to_string();
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

fn syntax(error: &Error) -> ChatError {
    ChatError::Syntax { line: error.line().unwrap_or(1), reason: reason(error) }
}

fn failure(error: &Error) -> ChatError {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(Raised(message)) = inner.downcast_ref() {
            return ChatError::Refused(message.clone());
        }
        source = inner.source();
    }
    ChatError::Render { line: error.line().unwrap_or(1), reason: reason(error) }
}

fn reason(error: &Error) -> String {
    let kind = error.kind().to_string();
    error.detail().map_or_else(|| kind.clone(), |detail| format!("{kind}: {detail}"))
}

#[cfg(test)]
mod tests;
