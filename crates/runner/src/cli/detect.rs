//! `taper detect`.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;
use taper_runner::models::LoadedModel;
use taper_runner::sampling::presets::{
    SynthIdConfig, VllmWatermark, VllmWatermarkAlgorithm, WatermarkingConfig,
};
use taper_runner::sampling::watermark::WatermarkKey;
use taper_runner::{
    DetectError, Detected, Detector, WATERMARK_KEY, tokenize_plain, watermark_keys,
};

use super::args::{Format, ModelArgs};
use super::failure::Failure;
use super::generate::load_model;
use super::input::{self, read, read_for};
use super::text::show;
use super::values::{self, Ids};

/// Which scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scheme {
    /// vLLM's Gumbel
    Gumbel,
    /// vLLM's Gumbel with two keys
    DualKeyGumbel,
    /// Hugging Face's green list
    GreenList,
    /// Hugging Face's SynthID
    SynthId,
}

/// The text, and how it may have been marked.
#[derive(Debug, Args)]
pub(super) struct DetectArgs {
    /// The file with the text, without its prompt; `-` for standard input
    file: Option<String>,

    /// The text itself, instead of a file
    #[arg(long, value_name = "TEXT", value_parser = values::stop_string, conflicts_with = "file")]
    text: Option<String>,

    /// The text as token ids instead: no model is loaded
    #[arg(
        long, value_name = "IDS", value_parser = values::ids, conflicts_with_all = ["file", "text"]
    )]
    ids: Option<Ids>,

    /// Which scheme
    #[arg(long, value_enum)]
    scheme: Scheme,

    #[arg(
        long,
        value_name = "JSON",
        default_value = "{}",
        hide_default_value = true,
        help = "Its settings, as an object under the engine's names: {\"context_width\": 4} [the engine's \
                defaults]"
    )]
    watermark: String,

    #[arg(
        long,
        value_name = "FILE",
        help = "The file of its key, a whole number, or of several; otherwise the environment's \
                TAPER_WATERMARK_KEY"
    )]
    watermark_key: Option<PathBuf>,

    /// Tokens in the vocabulary, for a green list [the model's]
    #[arg(long, value_name = "N", value_parser = values::count)]
    vocab_size: Option<usize>,

    /// A token that does not count at the beginning of a green list's text
    #[arg(long, value_name = "ID", value_parser = values::id)]
    bos: Option<u32>,

    /// A few lines, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    model: ModelArgs,
}

pub(super) fn run(args: &DetectArgs) -> Result<(), Failure> {
    let text = args.file.as_deref().map(read).transpose()?.or_else(|| args.text.clone());
    if text.is_none() && args.ids.is_none() {
        let what =
            "the text is missing; give a file, - for standard input, --text TEXT, or --ids 1,2,3";
        return Err(Failure::usage(what));
    }
    let keys = args.keys()?;
    let needs_size = args.scheme == Scheme::GreenList && args.vocab_size.is_none();
    let load = || load_model(&args.model, "--model", &args.model.model);
    let loaded = (text.is_some() || needs_size).then(load).transpose()?;
    let detector = args.detector(keys, loaded.as_ref())?;
    let tokens = args.tokens(text.as_deref(), loaded.as_ref())?;
    let found = detector.detect(&tokens).map_err(|error| match error {
        DetectError::Setting(refused) if refused.key() == "watermark_key" => {
            Failure::Usage(format!(
                "--watermark-key: {refused}; give a file, or {WATERMARK_KEY} in the environment"
            ))
        }
        DetectError::Setting(refused) => Failure::Usage(format!("--watermark: {refused}")),
        error => Failure::Usage(error.to_string()),
    })?;
    if args.format == Format::Text {
        return show(&lines(&found));
    }
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, &found).map_err(std::io::Error::from)?;
    writeln!(stdout)?;
    Ok(())
}

impl DetectArgs {
    /// Those of the file, or of the environment.
    fn keys(&self) -> Result<Vec<WatermarkKey>, Failure> {
        let (from, text) = match &self.watermark_key {
            Some(path) => {
                let text = read_for("--watermark-key", path, input::WATERMARK_KEY)?;
                ("--watermark-key", text)
            }
            None => match std::env::var_os(WATERMARK_KEY).filter(|text| !text.is_empty()) {
                Some(text) => (WATERMARK_KEY, text.to_string_lossy().into_owned()),
                None => return Ok(Vec::new()),
            },
        };
        watermark_keys(&text).map_err(|error| Failure::Usage(format!("{from}: {error}")))
    }

    fn detector(
        &self,
        keys: Vec<WatermarkKey>,
        loaded: Option<&LoadedModel>,
    ) -> Result<Detector, Failure> {
        let refused = |why: &dyn std::fmt::Display| {
            Failure::Usage(format!("--watermark: it must be the scheme's settings in JSON: {why}"))
        };
        let config: Value =
            serde_json::from_str(&self.watermark).map_err(|error| refused(&error))?;
        if ["key", "keys", "hashing_key"].iter().any(|key| config.get(key).is_some()) {
            return Err(refused(&"a key belongs in the file of --watermark-key"));
        }
        let vocab_size = self.vocab_size.or_else(|| Some(loaded?.model.vocab_size()));
        let vocab_size = vocab_size.unwrap_or_default();
        let hugging_face = |config| Detector::HuggingFace {
            config,
            keys: keys.clone(),
            vocab_size,
            bos: self.bos,
        };
        Ok(match self.scheme {
            Scheme::Gumbel | Scheme::DualKeyGumbel => {
                let read = serde_json::from_value::<VllmWatermark>(config);
                let config = read.map_err(|error| refused(&error))?;
                let algorithm = match self.scheme {
                    Scheme::Gumbel => VllmWatermarkAlgorithm::Gumbel,
                    _ => VllmWatermarkAlgorithm::DualKeyGumbel,
                };
                Detector::Vllm(VllmWatermark { algorithm, ..config }, keys)
            }
            Scheme::GreenList => {
                let read = serde_json::from_value(config).map(WatermarkingConfig::GreenList);
                hugging_face(read.map_err(|error| refused(&error))?)
            }
            Scheme::SynthId => {
                let read = serde_json::from_value::<SynthIdConfig>(config);
                let config = read.map_err(|error| refused(&error))?;
                hugging_face(WatermarkingConfig::SynthId(config))
            }
        })
    }

    fn tokens(
        &self,
        text: Option<&str>,
        loaded: Option<&LoadedModel>,
    ) -> Result<Vec<u32>, Failure> {
        match text {
            Some(text) => {
                let tokenizer = loaded.and_then(|loaded| loaded.tokenizer.as_ref());
                tokenize_plain(tokenizer, text).map_err(|error| Failure::Usage(error.to_string()))
            }
            None => Ok(self.ids.iter().flat_map(|ids| ids.0.iter().copied()).collect()),
        }
    }
}

fn lines(found: &Detected) -> String {
    let mut text = format!("{}: {} tokens, {} scored\n", found.scheme, found.tokens, found.scored);
    let number = |p: Option<f64>| p.map_or_else(|| "none".to_owned(), |p| format!("{p:.3e}"));
    let name = match found.scheme {
        "green-list" => "z",
        "synth-id" => "mean g",
        _ => "score",
    };
    // A write to a string does not fail.
    let _ = write!(text, "{:<12}{name} {:.4}", "engine", found.score);
    if let Some(green) = found.green {
        let _ = write!(text, ", {green} green");
    }
    let _ = writeln!(text, ", p-value {}", number(found.p_value));
    if let Some(weighted) = found.weighted_score {
        let p_value = number(found.weighted_p_value);
        let _ =
            writeln!(text, "{:<12}mean g {weighted:.4}, p-value {p_value} (normal)", "weighted");
    }
    let (scored, score) = (found.exact_scored, found.exact_score);
    let p_value = number(Some(found.exact_p_value));
    let _ = writeln!(text, "{:<12}{scored} scored, score {score:.4}, p-value {p_value}", "exact");
    text
}
