//! Watermarks. Their keys come from a file or the environment, so that no record has them.

use serde_json::Value;
use taper_sampling::presets::{VllmWatermark, WatermarkingConfig};

use crate::error::{RequestError, refuse};
use crate::knobs::kind::Kind;
use crate::knobs::knob::{Group, Knob};
use crate::request::{Request, WATERMARK_KEY, watermark_keys};
use crate::semantics::Semantics;

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        Group::Draw,
        "watermark",
        Kind::Json,
        "JSON",
        "Mark the text: under huggingface a watermarking_config, {\"greenlist_ratio\": 0.25, \
         \"bias\": 2} or {\"ngram_len\": 5}; under vllm a watermark_config, {\"algorithm\": \
         \"gumbel\", \"context_width\": 4}; {} for the defaults",
    )
    .of_hugging_face_and_vllm()
    .own(|request, value, _| mark(request, value.text())),
    Knob::new(
        Group::Draw,
        "watermark_key",
        Kind::File,
        "FILE",
        "The file of the watermark's key, a whole number, or of several; otherwise the environment's \
         TAPER_WATERMARK_KEY",
    )
    .of_hugging_face_and_vllm()
    .instead("a key is written nowhere; set TAPER_WATERMARK_KEY in the environment")
    .own(|request, value, _| {
        request.watermark_keys = watermark_keys(value.text())?;
        Ok(())
    }),
];

const OF_VLLM: &str = "algorithm (gumbel or dual_key_gumbel), alpha, context_width, \
                       deduplicate_contexts (none, single_turn or all) and \
                       deduplicate_contexts_max_history";
const OF_HUGGING_FACE: &str = "greenlist_ratio, bias, seeding_scheme (lefthash or selfhash) and \
                               context_width, or with ngram_len also context_history_size, \
                               sampling_table_size, sampling_table_seed and skip_first_ngram_calls";

/// Reads a config, and the key of the environment unless there is one.
fn mark(request: &mut Request, text: &str) -> Result<(), RequestError> {
    let refused = |domain: String| refuse("watermark", "hidden", domain);
    let Ok(config @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
        return refused("an object in JSON".to_owned());
    };
    let keys = ["key", "keys", "hashing_key"];
    if let Some(key) = keys.iter().find(|key| config.get(key).is_some()) {
        return refused(format!("without `{key}`: give it by --watermark-key or {WATERMARK_KEY}"));
    }
    if let Semantics::Vllm(settings) = &mut request.semantics {
        match serde_json::from_value::<VllmWatermark>(config) {
            Ok(config) => settings.config.watermark_config = Some(config),
            Err(_) => return refused(format!("an object of {OF_VLLM}")),
        }
    } else {
        match serde_json::from_value::<WatermarkingConfig>(config) {
            Ok(config) => request.config.watermarking_config = Some(config),
            Err(_) => return refused(format!("an object of {OF_HUGGING_FACE}")),
        }
    }
    if request.watermark_keys.is_empty()
        && let Some(text) = std::env::var_os(WATERMARK_KEY).filter(|text| !text.is_empty())
    {
        request.watermark_keys = watermark_keys(&text.to_string_lossy())?;
    }
    Ok(())
}
