//! A pipeline from JSON, and back.

use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let json = r#"[{"stage": "temperature", "temperature": 0.8}, {"stage": "top_k", "k": 2}]"#;
    let pipeline = Pipeline::from_json(json)?;
    println!("{pipeline}\n{}", pipeline.to_json()?);
    println!("{}", Sampler::new(pipeline, 4).next(&[2.0, 7.5, 7.5, 1.0])?);
    Ok(())
}
