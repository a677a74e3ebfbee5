#![no_main]

#[path = "../../crates/runner/tests/cli/fuzz/chat_template.rs"]
mod chat_template;

libfuzzer_sys::fuzz_target!(|data: &[u8]| chat_template::run(data));
