#![no_main]

#[path = "../../crates/models/tests/suite/fuzz/gguf.rs"]
mod gguf;
#[path = "../../crates/models/tests/suite/fuzz/infer.rs"]
mod infer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| gguf::run(data));
