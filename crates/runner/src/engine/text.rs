//! The tokenizer that prompts are cut by on this side.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use taper_models::tokenizers::Tokenizer;
use taper_models::{LoadOptions, load, load_tokenizer, locate};

use super::error::EngineError;
use super::server::Server;
use crate::chat::{Chat, ChatError, ChatTemplate};

/// A text with what tokenizers differ in: cases, digits, signs, accents, other scripts, line breaks.
const PROBE: &str =
    "The old lighthouse, naïve and 1207 m high:\n\tfn main() { let x = [3.5, 'é']; } Ω 東京!";

/// A tokenizer of this side, with the special tokens of its model.
#[derive(Debug, Clone)]
pub struct OwnTokenizer {
    name: String,
    tokenizer: Tokenizer,
    eos: Vec<u32>,
    bos: Option<u32>,
    template: Option<Arc<ChatTemplate>>,
}

impl OwnTokenizer {
    /// Reads the tokenizer of a Hugging Face folder, a model in its cache, a GGUF file or `builtin`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] when there is none.
    pub fn read(name: &str) -> Result<Self, EngineError> {
        let refuse = |what: String| EngineError::Refused(format!("--tokenizer {name}: {what}"));
        let missing = || refuse("there is no tokenizer.json".to_owned());
        #[cfg(feature = "builtin")]
        if name == "builtin" {
            let loaded = taper_models::load_builtin(&LoadOptions::default());
            return Self::of(name, loaded.map_err(|error| refuse(error.to_string()))?)
                .ok_or_else(missing);
        }
        let path = locate(name, None).map_err(|error| refuse(error.to_string()))?;
        if path.is_file() {
            let loaded = load(&path, &LoadOptions::default());
            return Self::of(name, loaded.map_err(|error| refuse(error.to_string()))?)
                .ok_or_else(missing);
        }
        let tokenizer = load_tokenizer(&path).map_err(|error| refuse(error.to_string()))?;
        let tokenizer = tokenizer.ok_or_else(missing)?;
        let (eos, bos) = special_of(&path);
        let template = template_of(&path).map(Arc::new);
        Ok(Self { name: name.to_owned(), tokenizer, eos, bos, template })
    }

    fn of(name: &str, loaded: taper_models::LoadedModel) -> Option<Self> {
        let config = loaded.generation_config.clone().unwrap_or_else(|| loaded.config.clone());
        Some(Self {
            name: name.to_owned(),
            eos: ids(&config["eos_token_id"]),
            bos: ids(&config["bos_token_id"]).first().copied(),
            template: ChatTemplate::of(&loaded).ok().map(Arc::new),
            tokenizer: loaded.tokenizer?,
        })
    }

    /// The tokens that end a text, and the one that begins it.
    pub fn special(&self) -> (Vec<u32>, Option<u32>) {
        (self.eos.clone(), self.bos)
    }

    /// What its model's template makes of a chat, as text and as tokens; `None` without a template.
    pub fn render(&self, chat: &Chat) -> Option<Result<(String, Vec<u32>), ChatError>> {
        let template = self.template.as_ref()?;
        Some(template.render(chat).map(|text| {
            // The template has put the special tokens where they belong.
            let encoding = self.tokenizer.encode(text.as_str(), false);
            let ids = encoding.map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default();
            (text, ids)
        }))
    }

    /// How many tokens there are.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The tokenizer itself.
    pub fn inner(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        crate::request::tokenize(Some(&self.tokenizer), text)
            .map_err(|error| EngineError::Refused(error.to_string()))
    }

    /// The text of tokens.
    pub fn decode(&self, ids: &[u32]) -> Option<String> {
        self.tokenizer.decode(ids, true).ok()
    }

    /// Compares with the server's own. Not how a text is cut, in which a GGUF file's tokenizer may
    /// differ from the one that it was made of, but which text the tokens stand for.
    pub(super) fn probe(&self, server: &Server) -> Result<(), EngineError> {
        let other = |what: &str| {
            let what = format!("--tokenizer {}: it is another model's: {what}", self.name);
            Err(server.client().other(what))
        };
        if let Some(size) = server.profile.vocab_size
            && self.vocab_size() > size
        {
            let own = self.vocab_size();
            return other(&format!("it has {own} tokens, and the engine's model {size}"));
        }
        let encoding = self.tokenizer.encode(PROBE, false);
        let Ok(encoding) = encoding else { return Ok(()) };
        let ids = encoding.get_ids();
        let ours = self.tokenizer.decode(ids, false).unwrap_or_default();
        if let Some(theirs) = server.detokenize(ids)?
            && theirs.trim() != ours.trim()
        {
            return other("its tokens stand for other texts");
        }
        Ok(())
    }
}

/// The chat template of a folder, if there is one that can be read.
fn template_of(folder: &Path) -> Option<ChatTemplate> {
    let own = std::fs::read_to_string(folder.join("chat_template.jinja")).ok();
    let config = std::fs::read(folder.join("tokenizer_config.json")).unwrap_or_default();
    let config: Option<Value> = serde_json::from_slice(&config).ok();
    ChatTemplate::of_files(own.as_deref(), config.as_ref()).ok()
}

/// The tokens that end and begin a text, by the files of a folder.
fn special_of(folder: &Path) -> (Vec<u32>, Option<u32>) {
    let read = |name: &str| -> Value {
        let text = std::fs::read(folder.join(name)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    };
    let files = [read("generation_config.json"), read("config.json")];
    let first = |key: &str| files.iter().map(|file| ids(&file[key])).find(|ids| !ids.is_empty());
    (
        first("eos_token_id").unwrap_or_default(),
        first("bos_token_id").and_then(|ids| ids.first().copied()),
    )
}

fn ids(value: &Value) -> Vec<u32> {
    let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(list) => list.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}
