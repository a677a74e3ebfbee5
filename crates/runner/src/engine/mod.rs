//! Engines that serve a model over HTTP: what they are asked, and what of their answers is kept.
//!
//! An engine samples on its own side. taper translates the settings of a run into the engine's own
//! fields ([`rows`] lists them), sends every field so that no default of the server has a part in
//! the result, refuses what the engine would ignore or clamp, and shows what the engine says. What
//! it does not say is absent, never guessed.

mod address;
mod answer;
mod call;
mod chats;
mod dialect;
mod error;
mod events;
mod http;
mod outcome;
mod profile;
mod sampled_here;
mod server;
mod shapes;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod translate;
mod wanted;

pub use self::address::{Address, Key};
pub use self::answer::{Answer, Choice, Counts, Likely, Piece, TokenLogprob};
pub use self::call::{Call, Prompt, seed_for};
pub use self::chats::SentChat;
pub use self::dialect::Dialect;
pub use self::error::{BadAnswer, EngineError};
pub use self::http::Limits;
pub use self::outcome::{
    EngineFacts, LogprobKind, RemoteOutcome, RemoteSequence, RemoteStep, RemoteTiming, RemoteTop,
};
pub use self::profile::Profile;
pub use self::sampled_here::{EngineModel, rows_needed};
pub use self::server::{Connect, Server};
pub use self::table::{Cell, Row, rows};
pub use self::text::OwnTokenizer;
pub use self::translate::translate;
pub use self::wanted::{Wanted, own_semantics};
