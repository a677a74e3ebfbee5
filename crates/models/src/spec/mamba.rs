//! Mamba-2.

use super::{LinearSpec, NormSpec};

/// A Mamba-2 mixer: a short causal convolution, then a linear recurrence whose state every token
/// decays and adds to.
///
/// `input` maps the hidden state to a gate `z`, to the channels `x`, `B` and `C`, and to one step
/// `dt` per head. The channels pass through the convolution and `silu`. With `A = -exp(a_log)` and
/// `dt = softplus(dt + dt_bias)`, head `h` of group `g` keeps a state `S` of shape
/// `[head_dim, state_size]`:
///
/// `S = exp(dt A) S + dt x B_g^T`, `y = S C_g + D x`.
///
/// `y * silu(z)` is normed group by group and mapped back by `output`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MambaSpec {
    /// Heads; a multiple of `groups`.
    pub heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Numbers that the state holds for each of a head's channels.
    pub state_size: usize,
    /// Groups of heads that share `B` and `C`, and the norm's groups.
    pub groups: usize,
    /// Positions that the convolution sees, the token's own among them.
    pub kernel: usize,
    /// Hidden state to `z`, `x`, `B`, `C` and `dt`, in this order.
    pub input: LinearSpec,
    /// Full name of the convolution's weight, `[channels, 1, kernel]`.
    pub conv_weight: String,
    /// Full name of the convolution's bias, `[channels]`.
    pub conv_bias: Option<String>,
    /// Full name of what is added to `dt`, `[heads]`.
    pub dt_bias: String,
    /// Full name of the logarithm of the decay, `[heads]`.
    pub a_log: String,
    /// Full name of the factor on what goes past the state, `[heads]`.
    pub d: String,
    /// The norm's weight is as wide as all heads; each group is normed by itself.
    pub norm: NormSpec,
    /// Heads back to the hidden state.
    pub output: LinearSpec,
}

impl MambaSpec {
    /// Width of all heads together.
    pub fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Channels of the convolution: `x`, `B` and `C`.
    pub fn channels(&self) -> usize {
        self.inner() + 2 * self.groups * self.state_size
    }
}
