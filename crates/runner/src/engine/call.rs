//! A request to an engine.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Collector};
use super::dialect::Dialect;
use super::error::{BadAnswer, EngineError};
use super::shapes::{Asked, Shape};
use super::translate::translate;
use super::wanted::Wanted;

/// What to continue.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Prompt {
    /// Tokens.
    Ids(Vec<u32>),
    /// A text, which the engine makes tokens of.
    Text(String),
    /// Messages, which the engine puts through its own template.
    Chat {
        /// A list of objects with a role.
        messages: Value,
        /// Tools to offer.
        tools: Option<Value>,
        /// Whether the model is to think first, where its template asks.
        enable_thinking: Option<bool>,
    },
}

impl Prompt {
    /// Messages: a list of objects with a role.
    pub fn chat(messages: Value, tools: Option<Value>, enable_thinking: Option<bool>) -> Self {
        Self::Chat { messages, tools, enable_thinking }
    }

    /// How it is sent, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ids(_) => "ids",
            Self::Text(_) => "text",
            Self::Chat { .. } => "chat",
        }
    }
}

/// A request, translated and ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The endpoint.
    pub path: &'static str,
    /// The body.
    pub body: Value,
    /// Whether the answer comes as a stream.
    pub stream: bool,
    /// Texts that are asked for.
    pub choices: usize,
    /// The seed that is sent; `None` where nothing is drawn.
    pub seed: Option<u64>,
    pub(super) asked: Asked,
    pub(super) shape: Shape,
}

/// The seed that an engine is sent for one of ours: itself where the engine takes it as it is, and
/// otherwise another that depends on it alone.
pub fn seed_for(dialect: Dialect, seed: u64) -> u64 {
    let folded = |modulus: u64| {
        // A step of SplitMix64, so that seeds that differ in high bits alone stay apart.
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        1 + (mixed ^ (mixed >> 31)) % (modulus - 1)
    };
    match dialect {
        // Modulo 2³², of which the last means another one each time.
        Dialect::LlamaCpp if seed >= u64::from(u32::MAX) => folded(u64::from(u32::MAX)),
        // 0 means another one each time.
        Dialect::Max if seed == 0 => folded(u64::from(u32::MAX)),
        Dialect::Max | Dialect::Vllm | Dialect::SgLang | Dialect::OpenAi if seed >= 1 << 63 => {
            folded(1 << 63)
        }
        // torch takes 64 bits, and numpy 32.
        Dialect::Transformers if seed >= 1 << 32 => folded(1 << 32),
        _ => seed,
    }
}

/// What else a call needs to know.
#[derive(Debug, Clone, Default)]
pub(super) struct Around<'a> {
    /// The model's name at the server.
    pub(super) model: Option<&'a str>,
    /// Alternatives at each token; `None` for no log-probabilities at all.
    pub(super) top: Option<usize>,
    pub(super) seed: u64,
    /// Tokens that transformers must be told of: end, beginning.
    pub(super) special: (Vec<u32>, Option<u32>),
    pub(super) stream: bool,
}

impl Call {
    pub(super) fn new(
        dialect: Dialect,
        wanted: &Wanted,
        prompt: &Prompt,
        around: &Around<'_>,
    ) -> Result<Self, EngineError> {
        let fields = translate(wanted, dialect)?;
        let chat = matches!(prompt, Prompt::Chat { .. });
        let shape = match dialect {
            _ if chat => Shape::Chat,
            Dialect::LlamaCpp => Shape::Native,
            Dialect::SgLang => Shape::SgLang,
            _ => Shape::Legacy,
        };
        let keeps_stops = matches!(dialect, Dialect::Max | Dialect::Transformers);
        let asked = Asked {
            stops: wanted.stops.clone(),
            stop_tokens: wanted.stop_tokens.clone(),
            eos: wanted.eos.clone().unwrap_or_default(),
            keeps_stops,
            names_stops: matches!(dialect, Dialect::LlamaCpp | Dialect::Vllm | Dialect::SgLang)
                && !(chat && dialect == Dialect::LlamaCpp),
        };
        // Where a stop string stays in the text it is cut off when all of the text is there.
        let beams = wanted.number("num_beams").is_some_and(|beams| beams > 1.0);
        let stream = around.stream && !beams && (!keeps_stops || wanted.stops.is_empty());
        let seed = (!wanted.greedy).then(|| seed_for(dialect, around.seed));
        let parts = Parts { dialect, wanted, prompt, around, stream, seed };
        let body = match dialect {
            Dialect::LlamaCpp => parts.llama_cpp(fields),
            Dialect::SgLang if !chat => parts.sglang(fields),
            Dialect::Transformers => parts.transformers(fields)?,
            _ => parts.openai(fields),
        };
        let path = match shape {
            Shape::Native => "/completion",
            Shape::Legacy => "/v1/completions",
            Shape::Chat => "/v1/chat/completions",
            Shape::SgLang => "/generate",
        };
        let body = Value::Object(body);
        Ok(Self { path, body, stream, choices: wanted.sequences, seed, asked, shape })
    }

    /// Reads an answer that did not come over a connection. How long it took is not known.
    ///
    /// # Errors
    ///
    /// When it is not what such an engine sends, or is not whole.
    pub fn read(&self, body: Value) -> Result<Answer, BadAnswer> {
        let mut collector = Collector::new(self.choices, false);
        let heard = self.shape.read(body, &self.asked).map_err(BadAnswer::new)?;
        collector.take(heard).map_err(BadAnswer::new)?;
        collector.check().map_err(BadAnswer::new)?;
        Ok(collector.into_answer())
    }
}

/// What bodies are made of.
struct Parts<'a> {
    dialect: Dialect,
    wanted: &'a Wanted,
    prompt: &'a Prompt,
    around: &'a Around<'a>,
    stream: bool,
    seed: Option<u64>,
}

type Body = Map<String, Value>;

impl Parts<'_> {
    fn put_prompt(&self, body: &mut Body, ids: &str, text: &str) {
        match self.prompt {
            Prompt::Ids(tokens) => drop(body.insert(ids.to_owned(), json!(tokens))),
            Prompt::Text(words) => drop(body.insert(text.to_owned(), json!(words))),
            Prompt::Chat { messages, tools, enable_thinking } => {
                body.insert("messages".to_owned(), messages.clone());
                if let Some(tools) = tools {
                    body.insert("tools".to_owned(), tools.clone());
                }
                if let Some(think) = enable_thinking {
                    let told = json!({ "enable_thinking": think });
                    body.insert("chat_template_kwargs".to_owned(), told);
                }
            }
        }
    }

    fn llama_cpp(&self, fields: Body) -> Body {
        let mut body = Body::new();
        self.put_prompt(&mut body, "prompt", "prompt");
        body.extend(fields);
        let chat = matches!(self.prompt, Prompt::Chat { .. });
        let limit = if chat { "max_tokens" } else { "n_predict" };
        set(&mut body, limit, json!(self.wanted.max_new_tokens));
        set(&mut body, "stop", json!(self.wanted.stops));
        set(&mut body, "stream", json!(self.stream));
        // With a prompt of which a part is kept from before, the last bits of logits differ.
        set(&mut body, "cache_prompt", json!(false));
        set(&mut body, "n_keep", json!(0));
        set(&mut body, "ignore_eos", json!(false));
        // 0 where nothing is drawn: the default would be another one each time.
        set(&mut body, "seed", json!(self.seed.unwrap_or(0)));
        if self.wanted.sequences > 1 {
            set(&mut body, "n", json!(self.wanted.sequences));
        }
        if chat {
            self.put_model(&mut body);
            self.put_chat_logprobs(&mut body);
            self.put_usage(&mut body);
        } else {
            set(&mut body, "return_tokens", json!(true));
            set(&mut body, "post_sampling_probs", json!(false));
            set(&mut body, "n_probs", json!(self.around.top.map_or(0, |top| top.max(1))));
        }
        body
    }

    fn sglang(&self, fields: Body) -> Body {
        let mut body = Body::new();
        self.put_prompt(&mut body, "input_ids", "text");
        let mut params = fields;
        set(&mut params, "max_new_tokens", json!(self.wanted.max_new_tokens));
        set(&mut params, "stop", json!(self.wanted.stops));
        set(&mut params, "n", json!(self.wanted.sequences));
        if let Some(seed) = self.seed {
            set(&mut params, "sampling_seed", json!(seed));
        }
        set(&mut body, "sampling_params", Value::Object(params));
        set(&mut body, "stream", json!(self.stream));
        set(&mut body, "return_logprob", json!(self.around.top.is_some()));
        if let Some(top) = self.around.top {
            set(&mut body, "top_logprobs_num", json!(top));
            set(&mut body, "return_text_in_logprobs", json!(true));
        }
        body
    }

    fn transformers(&self, fields: Body) -> Result<Body, EngineError> {
        let mut body = Body::new();
        self.put_prompt(&mut body, "prompt", "prompt");
        self.put_model(&mut body);
        let mut config = fields;
        let (eos, bos) = &self.around.special;
        let eos = self.wanted.eos.as_ref().unwrap_or(eos);
        if eos.is_empty() && self.wanted.eos.is_none() {
            // The config that is sent takes the place of the model's own.
            let why = "transformers must be told which token ends a text";
            let what = format!("{why}; give --tokenizer DIR, or --eos-token-id");
            return Err(EngineError::Refused(what));
        }
        set(&mut config, "eos_token_id", json!(eos));
        if let Some(first) = eos.first() {
            set(&mut config, "pad_token_id", json!(first));
        }
        if let Some(bos) = bos {
            set(&mut config, "bos_token_id", json!(bos));
        }
        if !self.wanted.stops.is_empty() {
            set(&mut config, "stop_strings", json!(self.wanted.stops));
        }
        if let Some(least) = self.wanted.knobs.get("min_tokens") {
            set(&mut config, "min_new_tokens", least.clone());
        }
        set(&mut body, "max_tokens", json!(self.wanted.max_new_tokens));
        if let Some(seed) = self.seed {
            set(&mut body, "seed", json!(seed));
        }
        set(&mut body, "stream", json!(self.stream));
        set(&mut body, "generation_config", json!(Value::Object(config).to_string()));
        Ok(body)
    }

    fn openai(&self, fields: Body) -> Body {
        let mut body = Body::new();
        self.put_prompt(&mut body, "prompt", "prompt");
        self.put_model(&mut body);
        body.extend(fields);
        set(&mut body, "max_tokens", json!(self.wanted.max_new_tokens));
        // OpenAI refuses an empty list.
        if self.dialect == Dialect::OpenAi && self.wanted.stops.is_empty() {
            body.remove("stop");
        } else {
            set(&mut body, "stop", json!(self.wanted.stops));
        }
        if self.dialect != Dialect::Max {
            set(&mut body, "n", json!(self.wanted.sequences));
        }
        if let Some(seed) = self.seed {
            set(&mut body, "seed", json!(seed));
        }
        set(&mut body, "stream", json!(self.stream));
        self.put_usage(&mut body);
        if matches!(self.dialect, Dialect::Vllm | Dialect::Max) {
            set(&mut body, "return_token_ids", json!(true));
        }
        if matches!(self.prompt, Prompt::Chat { .. }) {
            self.put_chat_logprobs(&mut body);
        } else if let Some(top) = self.around.top {
            set(&mut body, "logprobs", json!(top));
            if self.dialect == Dialect::Vllm {
                // Otherwise two tokens of the same text are one.
                set(&mut body, "return_tokens_as_token_ids", json!(true));
            }
        }
        body
    }

    fn put_model(&self, body: &mut Body) {
        if let Some(model) = self.around.model {
            set(body, "model", json!(model));
        }
    }

    fn put_usage(&self, body: &mut Body) {
        if self.stream {
            set(body, "stream_options", json!({ "include_usage": true }));
        }
    }

    fn put_chat_logprobs(&self, body: &mut Body) {
        if let Some(top) = self.around.top {
            set(body, "logprobs", json!(true));
            set(body, "top_logprobs", json!(top));
        }
    }
}

fn set(body: &mut Body, name: &str, value: Value) {
    body.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_that_an_engine_would_change_are_mapped() {
        for seed in [0, 1, 7, 4_294_967_294] {
            assert_eq!(seed_for(Dialect::LlamaCpp, seed), seed);
        }
        // −1 is random, and 2³² would be 0.
        for seed in [u64::from(u32::MAX), 1 << 32, 1 << 40, u64::MAX] {
            let sent = seed_for(Dialect::LlamaCpp, seed);
            assert!(sent > 0 && sent < u64::from(u32::MAX), "{seed}: {sent}");
        }
        assert_ne!(seed_for(Dialect::LlamaCpp, 1 << 40), seed_for(Dialect::LlamaCpp, 1 << 41));
        assert_ne!(seed_for(Dialect::Max, 0), 0);
        assert_eq!(seed_for(Dialect::Vllm, (1 << 63) - 1), (1 << 63) - 1);
        assert!(seed_for(Dialect::Vllm, 1 << 63) < 1 << 63);
        assert_eq!(seed_for(Dialect::Vllm, 0), 0);
    }
}
