//! Logits and greedy tokens of every family in every type, against the CPU in `f32`.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use taper_models::{Decoder, DecoderSpec, LanguageModel, Want, random};
use taper_runner::sampling::{GenerationConfig, OneOrMany};
use taper_runner::{Generation, Request, Source};

use crate::Error;
use crate::session::{Session, prompt};

/// The configs of the tiny models that the tests have, by what they are called there.
const TINY: [(&str, &str); 14] = [
    ("gemma3", include_str!("../../../crates/models/testdata/gemma3/config.json")),
    ("gemma3_capped", include_str!("../../../crates/models/testdata/gemma3_capped/config.json")),
    ("gemma3_text", include_str!("../../../crates/models/testdata/gemma3_text/config.json")),
    (
        "gemma3_text_hub",
        include_str!("../../../crates/models/testdata/gemma3_text_hub/config.json"),
    ),
    ("gpt2", include_str!("../../../crates/models/testdata/gpt2/config.json")),
    ("llama", include_str!("../../../crates/models/testdata/llama/config.json")),
    ("llama_tied", include_str!("../../../crates/models/testdata/llama_tied/config.json")),
    ("mistral", include_str!("../../../crates/models/testdata/mistral/config.json")),
    ("nemotron_h", include_str!("../../../crates/models/testdata/nemotron_h/config.json")),
    ("phi", include_str!("../../../crates/models/testdata/phi/config.json")),
    ("qwen2", include_str!("../../../crates/models/testdata/qwen2/config.json")),
    ("qwen3", include_str!("../../../crates/models/testdata/qwen3/config.json")),
    ("qwen3_moe", include_str!("../../../crates/models/testdata/qwen3_moe/config.json")),
    ("smollm3", include_str!("../../../crates/models/testdata/smollm3/config.json")),
];

/// The prompt is longer than the windows and than a chunk of Mamba; the rest comes one by one.
const PROMPT: usize = 40;
const STEPS: usize = 8;
/// What the order of a sum may cost in `f32`, for logits of size 1.
const F32_TOLERANCE: f32 = 1e-4;

type Weights = HashMap<String, Tensor>;

/// Prints a line for each model and type; returns how many differ.
pub(crate) fn check(device: &Device) -> Result<usize, Error> {
    println!("{:<16} {:<5} {:>10} {:>10}", "model", "type", "distance", "limit");
    let mut failed = 0;
    for (name, config) in TINY {
        let spec = DecoderSpec::from_config(&serde_json::from_str(config)?)?;
        let weights = random::init(&spec, 7, 1.0)?;
        let on = |dtype, device| Decoder::new(&spec, &weights, dtype, device);
        let reference = logits(&on(DType::F32, &Device::Cpu)?)?;
        let largest = reference.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            // In half precision the CPU's own distance is the measure; the tests hold that to twice
            // the distance of Hugging Face transformers.
            let limit = match dtype {
                DType::F32 => F32_TOLERANCE * largest,
                _ => 2.0 * distance(&logits(&on(dtype, &Device::Cpu)?)?, &reference),
            };
            let got = distance(&logits(&on(dtype, device)?)?, &reference);
            let ok = got <= limit;
            failed += usize::from(!ok);
            let mark = if ok { "" } else { "  DIFFERS" };
            println!("{name:<16} {:<5} {got:>10.2e} {limit:>10.2e}{mark}", dtype.as_str());
        }
        failed += usize::from(!generates_the_same(name, &spec, &weights, device)?);
    }
    Ok(failed)
}

/// All logits of a prompt and of some tokens after it.
fn logits(model: &Decoder) -> Result<Vec<f32>, Error> {
    let tokens = prompt(PROMPT + STEPS, model.vocab_size());
    let mut session = Session::new(model);
    let mut all = session.append(&tokens[..PROMPT], Want::All)?.to_vec();
    for token in &tokens[PROMPT..] {
        all.extend_from_slice(session.append(&[*token], Want::Last)?);
    }
    Ok(all)
}

/// NaN where either has one.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}

/// Greedy runs in `f32`. Random weights leave no ties, so the tokens are the same.
fn generates_the_same(
    name: &str,
    spec: &DecoderSpec,
    weights: &Weights,
    device: &Device,
) -> Result<bool, Error> {
    let run = |device: &Device| -> Result<Vec<u32>, Error> {
        let model = Decoder::new(spec, weights, DType::F32, device)?;
        let mut request = Request::new(prompt(PROMPT, spec.vocab_size));
        request.config = GenerationConfig {
            max_new_tokens: Some(24),
            eos_token_id: Some(OneOrMany::from(Vec::new())),
            ..GenerationConfig::default()
        };
        let source = Source { name, model: &model, tokenizer: None };
        Generation::new(source, request)?.map(|step| Ok(step?.token)).collect()
    };
    let (here, there) = (run(&Device::Cpu)?, run(device)?);
    if here != there {
        println!("{name:<16} generates {there:?}, the CPU {here:?}  DIFFERS");
    }
    Ok(here == there)
}
