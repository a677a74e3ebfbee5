#![no_main]

#[path = "../../crates/sampling/tests/suite/fuzz/pipeline.rs"]
mod pipeline;

libfuzzer_sys::fuzz_target!(|data: &[u8]| pipeline::run(data));
