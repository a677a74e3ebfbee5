//! A model that never saw JSON writes it: each step may only take a token that leaves the text on the
//! way to an object of the schema, and EOS only where the object is whole.
//!
//! ```text
//! cargo run --release -p taper-examples --features llguidance --example json_schema
//! ```

use serde_json::Value;
use taper_models::{LoadOptions, LoadedModel, load_builtin};
use taper_runner::{FinishReason, Generation, Request, TextGrammar, tokenize};

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 20},
        "trade": {"enum": ["baker", "miller", "keeper of the light"]},
        "age": {"type": "integer", "minimum": 18, "maximum": 99},
        "boats": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 3}
    },
    "required": ["name", "trade", "age", "boats"],
    "additionalProperties": false
}"#;

/// The text that a seed gives.
fn write(model: &LoadedModel, seed: u64) -> Result<String, Box<dyn std::error::Error>> {
    let mut request = Request::new(tokenize(model.tokenizer.as_ref(), "The old lighthouse")?);
    request.config.do_sample = Some(true);
    request.config.temperature = Some(0.8);
    request.config.max_new_tokens = Some(300);
    request.config.eos_token_id = taper_runner::model_config(model)?.eos_token_id;
    request.grammar = Some(TextGrammar::JsonSchema(SCHEMA.to_owned()));
    request.seed = Some(seed);
    let mut generation = Generation::new(model, request)?;
    for step in &mut generation {
        step?;
    }
    let mut outcome = generation.into_outcome();
    let sequence = outcome.sequences.swap_remove(0);
    match sequence.finish_reason {
        FinishReason::Eos => Ok(sequence.text),
        other => Err(format!("seed {seed} ended by {}: {}", other.name(), sequence.text).into()),
    }
}

/// What the schema says, once more, in Rust.
fn is_valid(value: &Value) -> bool {
    let length = |value: &Value| value.as_str().map(|text| text.chars().count());
    let trades = ["baker", "miller", "keeper of the light"];
    value.as_object().is_some_and(|object| object.len() == 4)
        && length(&value["name"]).is_some_and(|length| (1..=20).contains(&length))
        && value["trade"].as_str().is_some_and(|trade| trades.contains(&trade))
        && value["age"].as_u64().is_some_and(|age| (18..=99).contains(&age))
        && value["boats"].as_array().is_some_and(|boats| {
            boats.len() <= 3 && boats.iter().all(|boat| length(boat).is_some_and(|n| n <= 12))
        })
}

fn run(seeds: u64) -> Result<(), Box<dyn std::error::Error>> {
    let model = load_builtin(&LoadOptions::default())?;
    for seed in 0..seeds {
        let text = write(&model, seed)?;
        let value: Value = serde_json::from_str(&text)?;
        if !is_valid(&value) {
            return Err(format!("seed {seed} breaks the schema: {text}").into());
        }
        if write(&model, seed)? != text {
            return Err(format!("seed {seed} gives two texts").into());
        }
        println!("{text}");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    run(20)
}

#[test]
fn every_seed_writes_an_object_of_the_schema() {
    run(20).expect("valid, and the same each time");
}
