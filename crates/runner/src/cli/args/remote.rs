//! The flags that name an engine.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use taper_runner::engine::{
    Address, Connect, Dialect, EngineError, Key, Limits, OwnTokenizer, Server,
};

use crate::cli::failure::Failure;
use crate::cli::values;

/// The variable that a key is in.
const KEY: &str = "TAPER_ENGINE_KEY";

/// Bytes of a file with a key.
const KEY_BYTES: u64 = 64 << 10;

/// What the flags stand under.
pub(in crate::cli) const ELSEWHERE: &str = "On an engine that serves the model";

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = ELSEWHERE)]
pub(in crate::cli) struct RemoteArgs {
    /// Run on the engine at this address instead of here, such as `http://127.0.0.1:8080`; in `sweep`
    /// several may be given. A key is read from the variable `TAPER_ENGINE_KEY`
    #[arg(long, value_name = "URL", group = "elsewhere")]
    pub(in crate::cli) engine: Vec<String>,

    /// How it is spoken to: auto (it is asked), llama.cpp, vllm, sglang, max, transformers or openai
    #[arg(long, value_name = "DIALECT", default_value = "auto", requires = "elsewhere", value_parser = dialect)]
    pub(in crate::cli) dialect: MaybeDialect,

    /// The model's name there [the only one]
    #[arg(long, value_name = "NAME", requires = "elsewhere", value_parser = values::word)]
    pub(in crate::cli) engine_model: Option<String>,

    /// The tokenizer that makes tokens of prompts: a folder, a GGUF file, or `builtin` [the engine's
    /// own]
    #[arg(long, value_name = "DIR", requires = "elsewhere")]
    pub(in crate::cli) tokenizer: Option<String>,

    /// Choose tokens there, by the engine's sampler, or here, by this program's from the rows of
    /// log-probabilities that the engine gives
    #[arg(long, value_enum, value_name = "there|here", default_value_t = Sample::There, requires = "engine")]
    pub(in crate::cli) sample: Sample,

    /// The key, in a file instead of the variable
    #[arg(long, value_name = "FILE", requires = "engine")]
    pub(in crate::cli) engine_key_file: Option<PathBuf>,

    /// Send prompts and key without TLS to another machine
    #[arg(long, requires = "engine")]
    pub(in crate::cli) allow_http: bool,

    /// Give up on a request after so many seconds [600]
    #[arg(long, value_name = "SECONDS", requires = "engine", value_parser = values::seconds)]
    pub(in crate::cli) engine_timeout: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Sample {
    There,
    Here,
}

/// A dialect, or that of the server that is found.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct MaybeDialect(pub(in crate::cli) Option<Dialect>);

fn dialect(name: &str) -> Result<MaybeDialect, String> {
    if name == "auto" {
        return Ok(MaybeDialect(None));
    }
    let dialect: Result<Dialect, EngineError> = name.parse();
    dialect.map(|dialect| MaybeDialect(Some(dialect))).map_err(|error| error.to_string())
}

impl RemoteArgs {
    /// Whether the run is made elsewhere.
    pub(in crate::cli) fn is_given(&self) -> bool {
        !self.engine.is_empty()
    }

    /// Whether tokens are chosen elsewhere.
    pub(in crate::cli) fn is_there(&self) -> bool {
        self.is_given() && self.sample == Sample::There
    }

    /// The one address.
    pub(in crate::cli) fn one(&self) -> Result<Connect, Failure> {
        match self.engine.as_slice() {
            [url] => self.connect(url),
            _ => Err(Failure::usage("--engine: give one; only `sweep` takes several")),
        }
    }

    /// What is needed to find the engine at an address.
    pub(in crate::cli) fn connect(&self, url: &str) -> Result<Connect, Failure> {
        let mut connect = Connect::new(Address::parse(url, self.allow_http)?);
        connect.dialect = self.dialect.0;
        connect.model.clone_from(&self.engine_model);
        connect.key = self.key()?;
        if let Some(seconds) = self.engine_timeout {
            connect.limits = Limits { request: Duration::from_secs_f64(seconds), ..connect.limits };
        }
        Ok(connect)
    }

    /// The tokenizer that was named.
    pub(in crate::cli) fn own_tokenizer(&self) -> Result<Option<OwnTokenizer>, Failure> {
        Ok(self.tokenizer.as_deref().map(OwnTokenizer::read).transpose()?)
    }

    /// Finds the engine, and lets the tokenizer be compared.
    pub(in crate::cli) fn server(
        connect: Connect,
        own: Option<OwnTokenizer>,
    ) -> Result<Server, Failure> {
        let server = Server::connect(connect)?;
        Ok(match own {
            Some(own) => server.with_tokenizer(own)?,
            None => server,
        })
    }

    fn key(&self) -> Result<Option<Key>, Failure> {
        if let Some(path) = &self.engine_key_file {
            let flag = format!("--engine-key-file {}", path.display());
            let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("{flag}: {why}"));
            let size = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
            if size > KEY_BYTES {
                return Err(wrong(&"expected a key, not so much"));
            }
            let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
            return Ok(Some(Key::new(&text, &flag)?));
        }
        match std::env::var(KEY) {
            Ok(text) if !text.is_empty() => Ok(Some(Key::new(&text, KEY)?)),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Failure::usage(format!("{KEY}: expected ASCII")))
            }
            _ => Ok(None),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Cancelled => Self::Cancelled,
            error if error.is_refusal() => Self::Usage(error.to_string()),
            error => Self::Run(error.to_string()),
        }
    }
}
