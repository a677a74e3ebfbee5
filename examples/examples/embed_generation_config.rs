//! The settings that come with a model, in Hugging Face's order.

use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = r#"{"do_sample": true, "temperature": 0.6, "top_k": 20, "eos_token_id": [2, 3]}"#;
    let config: GenerationConfig = serde_json::from_str(file)?; // of generation_config.json
    let mut sampler = Sampler::new(presets::huggingface(&config, None)?, 4);
    let token = sampler.next(&[2.0, 7.5, 7.5, 1.0])?;
    println!("{token}, {}", if config.eos_ids().contains(&token) { "the end" } else { "go on" });
    Ok(())
}
