//! Chats as tokens of this side's template, where the engine's own makes the same of them.

use serde_json::{Map, Value, json};

use super::call::Prompt;
use super::dialect::Dialect;
use super::error::EngineError;
use super::server::Server;
use super::text::OwnTokenizer;
use crate::chat::Chat;
use crate::told::shortened;

/// A chat as an engine is sent it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SentChat {
    /// Tokens, or messages for the engine's own template.
    pub prompt: Prompt,
    /// Why it is sent as messages though there is a template on this side; `None` where there is none,
    /// or no way to compare the two.
    pub differs: Option<String>,
}

impl SentChat {
    /// A prompt that there is nothing to say of.
    pub(crate) fn of(prompt: Prompt) -> Self {
        Self { prompt, differs: None }
    }
}

/// What this side's template makes of a chat.
struct Ours {
    text: String,
    ids: Vec<u32>,
}

impl Server {
    /// A prompt as this engine is best given it. A chat goes as tokens where the tokenizer that was given
    /// has a template, and the server shows that its own makes the same of this chat (llama.cpp's
    /// `/apply-template`, vLLM's `/tokenize`); otherwise as messages, through the server's.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached.
    pub fn chat(&self, prompt: &Prompt) -> Result<SentChat, EngineError> {
        let as_is = |differs| SentChat { prompt: prompt.clone(), differs };
        let known = matches!(self.profile.dialect, Dialect::LlamaCpp | Dialect::Vllm);
        let Prompt::Chat { messages, tools, enable_thinking } = prompt else {
            return Ok(as_is(None));
        };
        let Some(own) = self.profile.tokenizer().filter(|_| known) else { return Ok(as_is(None)) };
        let chat = Chat {
            tools: tools.clone(),
            enable_thinking: *enable_thinking,
            ..Chat::new(messages.clone())
        };
        let ours = match own.render(&chat) {
            None => return Ok(as_is(None)),
            Some(Err(why)) => return Ok(as_is(Some(format!("the tokenizer's template: {why}")))),
            Some(Ok((text, ids))) => Ours { text, ids },
        };
        let same = match self.profile.dialect {
            Dialect::LlamaCpp => self.same_text(own, prompt, &ours),
            _ => self.same_ids(prompt, &ours),
        };
        match same {
            Ok(None) => Ok(SentChat { prompt: Prompt::Ids(ours.ids), differs: None }),
            Ok(differs) => Ok(as_is(differs)),
            Err(error @ (EngineError::Status { .. } | EngineError::Answer { .. })) => {
                Ok(as_is(Some(format!("it does not show what its template makes: {error}"))))
            }
            Err(error) => Err(error),
        }
    }

    /// Compares texts: a GGUF file's tokenizer may cut the same text otherwise.
    fn same_text(
        &self,
        own: &OwnTokenizer,
        prompt: &Prompt,
        ours: &Ours,
    ) -> Result<Option<String>, EngineError> {
        let answer = self.client().post("/apply-template", &body(prompt))?;
        let Some(theirs) = answer["prompt"].as_str() else {
            return Err(self.client().odd("/apply-template answers without a prompt"));
        };
        // The server leaves out the token that begins a text where its tokenizer puts it there.
        let begins = own.special().1.and_then(|bos| own.inner().id_to_token(bos));
        let begins = begins.as_deref().unwrap_or_default();
        let plain = |text: &'_ str| text.strip_prefix(begins).unwrap_or(text).to_owned();
        let (ours, theirs) = (plain(&ours.text), plain(theirs));
        Ok((ours != theirs).then(|| differ(&ours, &theirs)))
    }

    fn same_ids(&self, prompt: &Prompt, ours: &Ours) -> Result<Option<String>, EngineError> {
        let mut body = body(prompt);
        body["model"] = json!(self.profile.model);
        body["add_generation_prompt"] = json!(true);
        let answer = self.client().post("/tokenize", &body)?;
        let theirs: Option<Vec<u32>> = serde_json::from_value(answer["tokens"].clone()).ok();
        let Some(theirs) = theirs else {
            return Err(self.client().odd("/tokenize answers without tokens"));
        };
        Ok((ours.ids != theirs).then(|| differ(&format!("{:?}", ours.ids), &format!("{theirs:?}"))))
    }
}

/// The messages with what else a template is told.
fn body(prompt: &Prompt) -> Value {
    let mut body = Map::new();
    if let Prompt::Chat { messages, tools, enable_thinking } = prompt {
        body.insert("messages".to_owned(), messages.clone());
        if let Some(tools) = tools {
            body.insert("tools".to_owned(), tools.clone());
        }
        if let Some(think) = enable_thinking {
            let told = json!({ "enable_thinking": think });
            body.insert("chat_template_kwargs".to_owned(), told);
        }
    }
    Value::Object(body)
}

/// Where two prompts part.
fn differ(ours: &str, theirs: &str) -> String {
    let common = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| {
        let start = (0..=common).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        format!("{:?}", shortened(&text[start..]))
    };
    let (ours, theirs) = (from(ours), from(theirs));
    format!(
        "the tokenizer's template and the server's part where one has {ours} and the other {theirs}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_part_at_a_character() {
        let said = differ("<s>é!", "<s>è!");
        assert!(said.ends_with("one has \"é!\" and the other \"è!\""), "{said}");
        assert!(differ("ab", "abc").ends_with("one has \"\" and the other \"c\""));
    }
}
