//! One binary for all integration tests: each one links the tensor library.

mod bad_folders;
mod executors;
mod families;
// It writes to /dev/full and reads /proc.
#[cfg(target_os = "linux")]
mod files;
mod fuzz_regressions;
mod gguf;
mod gguf_bad;
mod gguf_keys;
mod gguf_parts;
mod golden;
mod loading;
mod observing;
mod refusals;
mod rows;
mod together;
mod training;
mod vocabularies;
