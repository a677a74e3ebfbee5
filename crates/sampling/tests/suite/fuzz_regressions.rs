//! Inputs that once broke a fuzz target, replayed on stable, and some random ones beside them.

#[path = "fuzz/generation_config.rs"]
mod generation_config;
#[path = "fuzz/pipeline.rs"]
mod pipeline;
#[path = "fuzz/spoil.rs"]
mod spoil;

use spoil::{Spoiler, replay};
use taper_sampling::presets::{LlamaCppConfig, VllmConfig};
use taper_sampling::{DrawKey, Draws, Purpose};

/// Random bits, the same in every run.
fn bits() -> impl FnMut() -> u64 {
    let mut series = Draws::new(DrawKey::new(1)).series(Purpose::Custom(0));
    let mut next = 0;
    move || {
        next += 1;
        series.bits(next)
    }
}

#[test]
fn regressions_stay_fixed() {
    replay("pipeline", pipeline::run);
    replay("generation_config", generation_config::run);
}

#[test]
fn random_bytes_break_nothing() {
    let mut bits = bits();
    let mut byte = || bits() as u8;
    for _ in 0..20_000 {
        let len = usize::from(byte()) * 2;
        let data: Vec<u8> = (0..len).map(|_| byte()).collect();
        pipeline::run(&data);
    }
}

/// Every setting of each engine, and files that come with models.
fn configs() -> Vec<Vec<u8>> {
    let every_knob = r#"{"do_sample":true,"temperature":0.6,"top_k":20,"top_p":0.95,"min_p":0.05,
        "typical_p":0.9,"epsilon_cutoff":0.001,"eta_cutoff":0.002,"top_h":0.4,"sequence_bias":
        [[[1,2],-1.5]],"bad_words_ids":[[3],[4,5]],"suppress_tokens":[6],"begin_suppress_tokens":[7],
        "forced_bos_token_id":8,"forced_eos_token_id":[9,10],"remove_invalid_values":true,
        "exponential_decay_length_penalty":[2,1.25],"renormalize_logits":true,"guidance_scale":1.5,
        "num_beams":4,"min_length":3,"min_new_tokens":2,"max_new_tokens":4,"eos_token_id":[9,10],
        "repetition_penalty":1.1,"no_repeat_ngram_size":3,"early_stopping":"never","max_time":2.0,
        "stop_strings":["end"],"penalty_alpha":0.0,"constraints":[]}"#;
    let published = r#"{"do_sample":true,"top_k":64,"top_p":0.95,"eos_token_id":[1,106],
        "pad_token_id":0,"bos_token_id":2,"cache_implementation":"hybrid","transformers_version":
        "4.50.0.dev0"}"#;
    let mut configs = vec![every_knob.as_bytes().to_vec(), published.as_bytes().to_vec()];
    let everything_on = LlamaCppConfig {
        dynatemp_range: 0.5,
        top_n_sigma: 1.0,
        repeat_penalty: 1.1,
        frequency_penalty: 0.1,
        dry_multiplier: 0.8,
        dry_sequence_breakers: vec![vec![3], vec![4, 5]],
        xtc_probability: 0.5,
        logit_bias: vec![(6, -1.0)],
        ..LlamaCppConfig::engine_defaults()
    };
    for config in [everything_on, LlamaCppConfig::default()] {
        configs.push(serde_json::to_vec(&config).unwrap());
    }
    configs.push(serde_json::to_vec(&VllmConfig::default()).unwrap());
    configs
}

#[test]
fn spoilt_configs_break_nothing() {
    let (mut spoiler, configs) = (Spoiler(bits()), configs());
    for _ in 0..1500 {
        generation_config::run(&spoiler.spoil(&configs));
    }
}
