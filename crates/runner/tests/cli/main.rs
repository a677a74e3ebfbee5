//! The program and the library as a user meets them.

mod bad_input;
mod beams;
mod chat;
mod conform;
mod detokenizer;
mod dump;
mod engines;
mod explore;
// It writes to /dev/full and reads /proc.
#[cfg(target_os = "linux")]
mod files;
mod fuzz_regressions;
mod gguf;
mod grammar;
mod guidance;
mod habits;
mod inspect;
mod json;
mod loading;
mod numbers;
mod pipeline;
mod properties;
#[cfg(feature = "engines")]
mod remote;
mod report;
mod runs;
mod score;
mod settings;
mod shards;
mod speculation;
mod support;
mod sweep;
mod sweep_bad_input;
mod sweep_kills;
mod sweep_lessons;
mod text;
mod threads;
mod watermarks;
