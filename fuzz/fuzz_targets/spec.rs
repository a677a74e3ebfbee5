#![no_main]

#[path = "../../crates/runner/tests/cli/fuzz/spec.rs"]
mod spec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| spec::run(data));
