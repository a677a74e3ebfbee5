#![no_main]

#[path = "../../crates/sampling/tests/suite/fuzz/generation_config.rs"]
mod generation_config;

libfuzzer_sys::fuzz_target!(|data: &[u8]| generation_config::run(data));
