//! What stages and selectors do with candidates.
//!
//! Verbs that look (`read`, `measure`), that choose (`pick`), that change scores (`edit`), and that remove
//! (`cut`, `nearest`). Each leaves what it found out for the next, see [`known`](super::known).

mod cut;
mod edit;
mod measure;
mod nearest;
mod pick;
mod read;

pub use cut::{Edge, MassRule};
pub use read::Normaliser;
