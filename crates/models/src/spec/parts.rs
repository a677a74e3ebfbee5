//! The parts that every kind of layer is put together from.

/// `down(act(gate(x)) * up(x))`, or `down(act(up(x)))` without a gate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MlpSpec {
    /// What gates.
    pub gate: GateSpec,
    /// What is gated.
    pub up: LinearSpec,
    /// Back to the hidden state.
    pub down: LinearSpec,
    /// What makes it more than a linear map.
    pub activation: Activation,
}

/// Where the gate of an [`MlpSpec`] comes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GateSpec {
    /// There is none.
    None,
    /// A map of its own.
    Separate(LinearSpec),
    /// The first half of what `up` maps to, which is then twice as wide; the second half is gated.
    Fused,
}

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * Phi(x)`, with the normal distribution's own `Phi`.
    Gelu,
    /// The same with `Phi` approximated by a hyperbolic tangent.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2`.
    SquaredRelu,
}

/// A norm over the last dimension, computed in `f32`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NormSpec {
    /// Which norm.
    pub kind: NormKind,
    /// Full name of the weight, a tensor of shape `[size]`.
    pub weight: String,
    /// Width of what is normalised.
    pub size: usize,
    /// Added to the mean square.
    pub eps: f64,
}

/// The norms that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + eps) * weight`.
    Rms,
    /// `x / sqrt(mean(x^2) + eps) * (1 + weight)`.
    RmsPlusOne,
    /// `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`.
    Layer {
        /// Full name of the bias, a tensor of shape `[size]`.
        bias: String,
    },
}

impl NormSpec {
    /// The root-mean-square norm stored as `{name}.weight`.
    pub fn rms(name: &str, size: usize, eps: f64) -> Self {
        Self { kind: NormKind::Rms, weight: format!("{name}.weight"), size, eps }
    }

    /// The same, with a weight that is stored less one.
    pub fn rms_plus_one(name: &str, size: usize, eps: f64) -> Self {
        Self { kind: NormKind::RmsPlusOne, ..Self::rms(name, size, eps) }
    }

    /// The layer norm stored as `{name}.weight` and `{name}.bias`.
    pub fn layer(name: &str, size: usize, eps: f64) -> Self {
        let bias = format!("{name}.bias");
        Self { kind: NormKind::Layer { bias }, ..Self::rms(name, size, eps) }
    }
}

/// `x W^T + b`, for a `W` of shape `[outputs, inputs]`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LinearSpec {
    /// Full name of the weight.
    pub weight: String,
    /// Full name of the bias, a tensor of shape `[outputs]`.
    pub bias: Option<String>,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// How the weight is stored.
    pub layout: MatrixLayout,
}

/// Which dimension of a stored matrix comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatrixLayout {
    /// `[outputs, inputs]`.
    OutputsFirst,
    /// `[inputs, outputs]`.
    InputsFirst,
}

impl LinearSpec {
    /// The map stored as `{name}.weight` and, if it has one, `{name}.bias`.
    pub fn new(name: &str, inputs: usize, outputs: usize, bias: bool) -> Self {
        Self {
            weight: format!("{name}.weight"),
            bias: bias.then(|| format!("{name}.bias")),
            inputs,
            outputs,
            layout: MatrixLayout::OutputsFirst,
        }
    }

    /// The shape in which the weight is stored.
    pub fn stored_shape(&self) -> [usize; 2] {
        match self.layout {
            MatrixLayout::OutputsFirst => [self.outputs, self.inputs],
            MatrixLayout::InputsFirst => [self.inputs, self.outputs],
        }
    }
}
