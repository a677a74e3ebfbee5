//! What can be wrong with a GGUF file.

/// Why a GGUF file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The version of the format is another.
    #[error("GGUF version {found}; expected 2 or 3, little-endian")]
    Version {
        /// What the file says.
        found: u32,
    },
    /// The file ends early, or claims to hold more than it does.
    #[error("truncated, or damaged: {what} needs {needed} bytes and {left} are left")]
    Truncated {
        /// What was being read.
        what: String,
        /// Bytes that it takes, at least.
        needed: u64,
        /// Bytes that there are.
        left: u64,
    },
    /// A count that no model has.
    #[error("{what} is {count}; at most {limit} is accepted")]
    Absurd {
        /// What is counted.
        what: String,
        /// What the file says.
        count: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// A name stands there twice.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// A name is empty.
    #[error("the name of {0} is empty")]
    NoName(&'static str),
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8")]
    Text(String),
    /// A value of a kind that the format does not have, or that no key used here has.
    #[error(
        "`{key}` has values of type {code}; expected a type from 0 to 12, and no list of lists"
    )]
    ValueType {
        /// The key.
        key: String,
        /// What the file says.
        code: u32,
    },
    /// A key that has no default is absent.
    #[error("the key `{0}` is missing")]
    MissingKey(String),
    /// A value is not what its key takes.
    #[error("`{key}` is {found}; expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// No such architecture can be loaded from a GGUF file.
    #[error("general.architecture `{found}` is not supported; supported: {}", supported.join(", "))]
    Architecture {
        /// What the file says.
        found: String,
        /// What can be loaded.
        supported: Vec<&'static str>,
    },
    /// A tensor is stored in a type that cannot be read.
    #[error("tensor `{name}` is stored as type {code}; supported: {supported}")]
    TensorType {
        /// The tensor.
        name: String,
        /// The number of its type.
        code: u32,
        /// The types that can be read.
        supported: &'static str,
    },
    /// A tensor is shaped or placed as none can be.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The tokenizer that the keys describe cannot be made.
    #[error("the tokenizer: {0}")]
    Tokenizer(String),
    /// A pre-tokenizer that is not known.
    #[error("tokenizer.ggml.pre `{found}` is not supported; supported: {}", supported.join(", "))]
    PreTokenizer {
        /// What the file says.
        found: String,
        /// What is known.
        supported: Vec<&'static str>,
    },
    /// The tokenizer and the embedding table have different sizes.
    #[error(
        "the tokenizer has {tokenizer} tokens and the embedding table {vocab_size}; the file is \
         damaged"
    )]
    TokenizerSize {
        /// Tokens of the tokenizer.
        tokenizer: usize,
        /// Rows of the table.
        vocab_size: usize,
    },
}
