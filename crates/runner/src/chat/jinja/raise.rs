//! What ends a template early: an error of Python's, by its class and words, or a refusal of ours.

/// The class of what is not done here although Python does it. It is never a different prompt.
pub(in crate::chat) const UNSUPPORTED: &str = "unsupported";

/// An exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::chat) struct Raise {
    /// Python's name of its class, or [`UNSUPPORTED`].
    pub(in crate::chat) kind: &'static str,
    pub(in crate::chat) message: String,
    /// Where in the template, from 1; 0 while it is not known.
    pub(in crate::chat) line: usize,
}

/// What a step of a template comes to.
pub(super) type Outcome<T> = Result<T, Box<Raise>>;

pub(super) fn raise(kind: &'static str, message: impl Into<String>) -> Box<Raise> {
    Box::new(Raise { kind, message: message.into(), line: 0 })
}

pub(super) fn type_error(message: impl Into<String>) -> Box<Raise> {
    raise("TypeError", message)
}

pub(super) fn value_error(message: impl Into<String>) -> Box<Raise> {
    raise("ValueError", message)
}

pub(super) fn unsupported(message: impl Into<String>) -> Box<Raise> {
    raise(UNSUPPORTED, message)
}

pub(super) fn syntax_error(line: usize, message: impl Into<String>) -> Box<Raise> {
    Box::new(Raise { kind: "TemplateSyntaxError", message: message.into(), line })
}
