//! The examples that claim something, in one program: linking candle once is enough.

mod custom_stages;
mod peers;
