//! The settings that a file recommends for sampling.

use serde_json::{Map, Value as Json, json};

use super::error::GgufError;
use super::metadata::{Metadata, Value};

const PREFIX: &str = "general.sampling.";
const SUPPRESSED: &str = "tokenizer.ggml.suppress_tokens";

/// Those that llama.cpp reads, as `LLAMA_MODEL_META_KEY_SAMPLING_*` of its `llama.h` has them.
const NAMES: [&str; 12] = [
    "sequence",
    "top_k",
    "top_p",
    "min_p",
    "xtc_probability",
    "xtc_threshold",
    "temp",
    "penalty_last_n",
    "penalty_repeat",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
];

/// The settings by their keys, as llama.cpp sees them: it makes texts of numbers, with six
/// decimals. They are checked where they are used.
pub(super) fn recommended(
    metadata: &Metadata,
    tokens: usize,
) -> Result<Map<String, Json>, GgufError> {
    let mut settings = Map::new();
    for name in NAMES {
        let key = format!("{PREFIX}{name}");
        let value = match metadata.get(&key) {
            // llama.cpp passes over lists.
            None | Some(Value::List(_)) => continue,
            Some(Value::Natural(number)) => json!(number),
            Some(Value::Whole(number)) => json!(number),
            Some(Value::Real(number)) => json!(rounded(*number)),
            Some(Value::Flag(flag)) => json!(flag),
            Some(Value::Text(text)) => json!(text),
            Some(Value::Bytes(bytes)) => json!(String::from_utf8_lossy(bytes)),
        };
        settings.insert(key, value);
    }
    // llama.cpp passes over what is no token.
    if let Some(ids) = metadata.optional_ids(SUPPRESSED, tokens)? {
        settings.insert(SUPPRESSED.to_owned(), json!(ids));
    }
    Ok(settings)
}

/// A number that is none stays a text, for JSON has no such number.
fn rounded(number: f64) -> Json {
    let text = format!("{number:.6}");
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => json!(number),
        _ => json!(text),
    }
}
