#![no_main]

#[path = "../../crates/models/tests/suite/fuzz/model_folder.rs"]
mod model_folder;
#[path = "../../crates/models/tests/suite/fuzz/infer.rs"]
mod infer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| model_folder::run(data));
