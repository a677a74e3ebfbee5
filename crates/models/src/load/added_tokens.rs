//! What the files beside a `tokenizer.json` change about its added tokens, by the rules of
//! transformers 5 for a tokenizer without a class of its own.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, Tokenizer};

use super::{LoadError, read_json};

/// Special tokens by name, in the order in which they are added.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The files beside a `tokenizer.json`.
pub(super) struct Changes {
    path: PathBuf,
    /// `tokenizer_config.json`, and what older folders have in `special_tokens_map.json` over it.
    config: Option<Map<String, Value>>,
    /// `added_tokens.json` with the ids there, which counts where the config lists no added tokens.
    older: Vec<(u64, Token)>,
}

/// A token as a file has it; transformers leaves open what it does not say.
#[derive(Clone, PartialEq)]
struct Token {
    content: String,
    flags: [bool; 3],
    normalized: Option<bool>,
    special: bool,
    /// Whether it stands there as its text alone.
    bare: bool,
}

impl Token {
    fn bare(content: &str) -> Self {
        let flags = [false; 3];
        Self { content: content.to_owned(), flags, normalized: None, special: true, bare: true }
    }

    fn added(&self) -> AddedToken {
        let [single_word, lstrip, rstrip] = self.flags;
        AddedToken::from(self.content.clone(), self.special)
            .single_word(single_word)
            .lstrip(lstrip)
            .rstrip(rstrip)
            .normalized(self.normalized.unwrap_or(!self.special))
    }
}

impl Changes {
    pub(super) fn of_folder(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join("tokenizer_config.json");
        let config = read_json(&path)?;
        let config = config.map(|config| object(&path, "the file", config)).transpose()?;
        let mut changes = Self { path, config, older: Vec::new() };
        if changes.get(LISTED).is_none() {
            changes.read_older(folder)?;
        }
        Ok(changes)
    }

    /// Reads the files that count where the config does not list the added tokens.
    fn read_older(&mut self, folder: &Path) -> Result<(), LoadError> {
        let path = folder.join("special_tokens_map.json");
        let map = read_json(&path)?.map(|map| object(&path, "the file", map)).transpose()?;
        let mut unnamed = None;
        for (name, mut value) in map.into_iter().flatten() {
            if let Some(token) = value.as_object_mut().filter(|_| name != EXTRA) {
                token.insert("special".to_owned(), json!(true));
            }
            let config = self.config.get_or_insert_default();
            match (config.get_mut(&name), value) {
                (Some(Value::Array(known)), Value::Array(tokens)) if name == EXTRA => {
                    let new: Vec<_> = tokens.into_iter().filter(|it| !known.contains(it)).collect();
                    known.extend(new);
                }
                (_, value) if name == UNNAMED => unnamed = Some(value),
                (_, value) => drop(config.insert(name, value)),
            }
        }
        let path = folder.join("added_tokens.json");
        if let Some(added) = read_json(&path)? {
            self.older = self.added_by_id(&path, added)?;
        }
        if let (Some(value), Some(config)) = (unnamed, &mut self.config)
            && ![EXTRA, UNNAMED].iter().any(|key| config.contains_key(*key))
        {
            config.insert(UNNAMED.to_owned(), value);
        }
        Ok(())
    }

    /// The tokens of `added_tokens.json`: special are those that the config calls so.
    fn added_by_id(&self, path: &Path, added: Value) -> Result<Vec<(u64, Token)>, LoadError> {
        let mut special = self.extra()?;
        for name in NAMES {
            special.extend(self.get(name).map(|value| self.token(name, value)).transpose()?);
        }
        let mut tokens = Vec::new();
        for (content, id) in object(path, "the file", added)? {
            let number = id.as_u64().ok_or_else(|| refused(path, &content, &id, "an id"))?;
            let special = special.iter().any(|token| token.content == content);
            tokens.push((number, Token { special, bare: false, ..Token::bare(&content) }));
        }
        Ok(tokens)
    }

    /// `tokenizer_config.json` as it counts.
    pub(super) fn into_config(self) -> Option<Value> {
        self.config.map(Value::Object)
    }

    /// Takes the changes over.
    pub(super) fn apply(&self, tokenizer: &mut Tokenizer, path: &Path) -> Result<(), LoadError> {
        let own = tokenizer.get_added_tokens_decoder();
        let taken = |id: u64| u32::try_from(id).is_ok_and(|id| own.contains_key(&id));
        let mut listed = self.listed()?;
        listed.extend(self.older.iter().filter(|(id, _)| !taken(*id)).cloned());
        listed.sort_by_key(|(id, _)| *id);
        let own: Vec<AddedToken> = own.into_values().collect();
        let listed = listed.into_iter().map(|(_, token)| token);
        let mut tokens: Vec<Token> = listed.filter(|token| !own.contains(&token.added())).collect();
        let known: HashSet<String> = own
            .iter()
            .map(|token| &token.content)
            .chain(tokens.iter().map(|token| &token.content))
            .cloned()
            .collect();
        let named = self.named()?;
        for token in named.iter().cloned().chain(self.extra()?) {
            if !known.contains(&token.content) && !tokens.contains(&token) {
                tokens.push(token);
            }
        }
        let names: HashSet<&str> = named.iter().map(|token| &*token.content).collect();
        for token in &mut tokens {
            token.special |= names.contains(&*token.content);
        }
        let added = tokenizer.add_tokens(tokens.iter().map(Token::added));
        added.map_err(|error| LoadError::Tokenizer {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        tokenizer.set_encode_special_tokens(self.flag("split_special_tokens")?);
        Ok(())
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.config.as_ref()?.get(key).filter(|value| !value.is_null())
    }

    fn flag(&self, key: &str) -> Result<bool, LoadError> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| refused(&self.path, key, value, "true or false"))
    }

    /// The added tokens that the config lists, each with its id, which says their order.
    fn listed(&self) -> Result<Vec<(u64, Token)>, LoadError> {
        let Some(value) = self.get(LISTED) else { return Ok(Vec::new()) };
        let wrong = |key: &str, value| {
            refused(&self.path, key, value, "added tokens by their ids, each an object")
        };
        let listed = value.as_object().ok_or_else(|| wrong(LISTED, value))?;
        let mut tokens = Vec::new();
        for (id, value) in listed {
            let key = format!("{LISTED}.{id}");
            let number = id.trim().parse().ok().filter(|_| value.is_object());
            let number = number.ok_or_else(|| wrong(&key, value))?;
            tokens.push((number, self.token(&key, value)?));
        }
        Ok(tokens)
    }

    /// Special tokens by name: those of every model, and those that the config names besides.
    fn named(&self) -> Result<Vec<Token>, LoadError> {
        let mut named = Vec::new();
        for name in NAMES {
            if let Some(value) = self.get(name) {
                named.push(self.token(name, value)?);
            }
        }
        let config = self.config.iter().flatten();
        for (name, value) in config.filter(|(name, _)| name.ends_with("_token")) {
            let is_token = value.is_string() || value.is_object();
            if is_token && !NAMES.contains(&&**name) {
                named.push(self.token(name, value)?);
            }
        }
        if let Some(other) = self.get(EXTRA).filter(|it| !it.is_array() && !it.is_object()) {
            return Err(refused(&self.path, EXTRA, other, "tokens in a list or by name"));
        }
        for key in [EXTRA, "model_specific_special_tokens"] {
            for (name, value) in self.get(key).and_then(Value::as_object).into_iter().flatten() {
                named.push(self.token(&format!("{key}.{name}"), value)?);
            }
        }
        Ok(named)
    }

    /// Special tokens without a name.
    fn extra(&self) -> Result<Vec<Token>, LoadError> {
        let listed = |value: &&Value| value.as_array().is_some_and(|tokens| !tokens.is_empty());
        let (key, value) = match (self.get(EXTRA).filter(listed), self.get(UNNAMED)) {
            (Some(value), _) => (EXTRA, value),
            (None, Some(value)) => (UNNAMED, value),
            (None, None) => return Ok(Vec::new()),
        };
        let wrong = || refused(&self.path, key, value, "a list of tokens");
        value.as_array().ok_or_else(wrong)?.iter().map(|value| self.token(key, value)).collect()
    }

    fn token(&self, key: &str, value: &Value) -> Result<Token, LoadError> {
        let wrong = |key: &str, value, expected| refused(&self.path, key, value, expected);
        if let Some(text) = value.as_str() {
            return Ok(Token::bare(text));
        }
        let content = value["content"].as_str().ok_or_else(|| {
            wrong(key, value, "a token: a text, or an object with the text as its `content`")
        })?;
        let flag = |name: &str| match &value[name] {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            other => Err(wrong(&format!("{key}.{name}"), other, "true or false")),
        };
        let mut flags = [false; 3];
        for (own, name) in flags.iter_mut().zip(["single_word", "lstrip", "rstrip"]) {
            *own = flag(name)?.unwrap_or(false);
        }
        let (normalized, special) = (flag("normalized")?, flag("special")?.unwrap_or(false));
        Ok(Token { content: content.to_owned(), flags, normalized, special, bare: false })
    }
}

const LISTED: &str = "added_tokens_decoder";
const EXTRA: &str = "extra_special_tokens";
/// The older name of the same.
const UNNAMED: &str = "additional_special_tokens";

fn object(path: &Path, key: &str, value: Value) -> Result<Map<String, Value>, LoadError> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(refused(path, key, &other, "an object")),
    }
}

fn refused(path: &Path, key: &str, value: &Value, expected: &'static str) -> LoadError {
    let found = value.to_string();
    let found = if found.len() < 80 { found } else { format!("a value of {} bytes", found.len()) };
    LoadError::TokenizerSetting { path: path.to_owned(), key: key.to_owned(), found, expected }
}
