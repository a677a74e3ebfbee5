//! What can be wrong with the tensors of a model.

/// Why weights are not those of a spec.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The weights lack a tensor that the config asks for.
    #[error("tensor `{name}` is missing from the weights; expected it with shape {expected:?}")]
    MissingTensor {
        /// Name of the tensor.
        name: String,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// A tensor of the weights is shaped otherwise than the config says.
    #[error("tensor `{name}` has shape {got:?}; expected {expected:?}")]
    WrongShape {
        /// Name of the tensor.
        name: String,
        /// The shape that it has.
        got: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// The weights hold tensors that the config has no place for, so one of the two is wrong.
    #[error(
        "the weights hold {count} tensors that this config has no place for, the first of them \
         `{first}`; the config describes another model"
    )]
    ExtraTensors {
        /// The first of them by name.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// The tensor library failed.
    #[error("tensor library: {0}")]
    Backend(#[from] candle_core::Error),
}
