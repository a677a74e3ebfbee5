//! The recurrence of Mamba-2, in chunks.
//!
//! Within a chunk the recurrence is written out: token `i` reads what token `j` left, weighted by
//! `C_i B_j` and by the decay between them, which is a product of matrices as attention is. Between
//! chunks the state is carried. (Dao and Gu, "Transformers are SSMs", 2024, section 6.)

use candle_core::{Device, Result, Tensor};

/// Tokens that are written out at once. The work for each grows with it, the number of steps that
/// wait for one another shrinks.
const CHUNK: usize = 32;

/// What the tokens of one row bring, all in `f32`.
pub(super) struct Channels {
    /// `[n, heads, head_dim]`.
    pub(super) x: Tensor,
    /// `[n, groups, state_size]`.
    pub(super) b: Tensor,
    /// `[n, groups, state_size]`.
    pub(super) c: Tensor,
    /// `[n, heads]`, above 0.
    pub(super) dt: Tensor,
}

/// What each token reads, `[n, heads, head_dim]`, and the last state, from the decay rates
/// `a` (`[heads]`, below 0) and the first state `[heads, head_dim, state_size]`.
pub(super) fn scan(channels: &Channels, a: &Tensor, start: &Tensor) -> Result<(Tensor, Tensor)> {
    let n = channels.x.dim(0)?;
    let (mut state, mut parts) = (start.clone(), Vec::new());
    for first in (0..n).step_by(CHUNK) {
        let part = |of: &Tensor| of.narrow(0, first, CHUNK.min(n - first));
        let Channels { x, b, c, dt } = channels;
        let chunk = Channels { x: part(x)?, b: part(b)?, c: part(c)?, dt: part(dt)? };
        let (y, next) =
            if chunk.x.dim(0)? == 1 { one(&chunk, a, &state) } else { step(&chunk, a, &state) }?;
        parts.push(y);
        state = next;
    }
    Ok((Tensor::cat(&parts, 0)?, state))
}

/// A chunk of one token, as each step of decoding has it: the recurrence itself, without the tables
/// of which row follows which, which would have to be sent to a GPU for every layer and token.
fn one(chunk: &Channels, a: &Tensor, state: &Tensor) -> Result<(Tensor, Tensor)> {
    let (_, heads, dim) = chunk.x.dims3()?;
    let (_, groups, size) = chunk.b.dims3()?;
    let shared = heads / groups * dim;
    let brought = chunk.x.broadcast_mul(&chunk.dt.unsqueeze(2)?)?.reshape((groups, shared, 1))?;
    let left = brought.matmul(&chunk.b.reshape((groups, 1, size))?)?;
    let decay = chunk.dt.broadcast_mul(a)?.exp()?.reshape((heads, 1, 1))?;
    let next = (state.broadcast_mul(&decay)? + left.reshape((heads, dim, size))?)?;
    let c = chunk.c.reshape((groups, size, 1))?;
    let y = next.reshape((groups, shared, size))?.matmul(&c)?;
    Ok((y.reshape((1, heads, dim))?, next))
}

/// One chunk.
fn step(chunk: &Channels, a: &Tensor, state: &Tensor) -> Result<(Tensor, Tensor)> {
    let (n, heads, dim) = chunk.x.dims3()?;
    let (groups, size) = (chunk.b.dim(1)?, chunk.b.dim(2)?);
    let shared = heads / groups;
    let by_group = |x: &Tensor| x.transpose(0, 1)?.contiguous();
    let (b, c) = (by_group(&chunk.b)?, by_group(&chunk.c)?);
    let brought = by_group(&chunk.x.broadcast_mul(&chunk.dt.unsqueeze(2)?)?)?;
    let decay = Decay::new(&chunk.dt.broadcast_mul(a)?.t()?.contiguous()?)?;

    // What the tokens of the chunk read of one another.
    let matches = c.matmul(&b.t()?)?.unsqueeze(1)?;
    let between = decay.between.reshape((groups, shared, n, n))?;
    let weights = between.broadcast_mul(&matches)?.reshape((heads, n, n))?;
    let of_chunk = weights.matmul(&brought)?;

    // What they read of the state that they found.
    let found = state.reshape((groups, shared * dim, size))?;
    let of_past = c.matmul(&found.t()?)?.reshape((groups, n, shared, dim))?;
    let of_past = of_past.transpose(1, 2)?.reshape((heads, n, dim))?;
    let y = (of_chunk + of_past.broadcast_mul(&decay.from_start)?)?;

    // What they leave.
    let left = brought.broadcast_mul(&decay.to_end)?.transpose(1, 2)?;
    let left = left.reshape((groups, shared * dim, n))?.matmul(&b)?.reshape((heads, dim, size))?;
    let next = (state.broadcast_mul(&decay.from_start.narrow(1, n - 1, 1)?)? + left)?;
    Ok((y.transpose(0, 1)?.contiguous()?, next))
}

/// Factors by which what is there shrinks within a chunk.
struct Decay {
    /// From token `j` to token `i`, 0 where `i` comes first: `[heads, i, j]`.
    between: Tensor,
    /// From the start of the chunk to behind each token: `[heads, n, 1]`.
    from_start: Tensor,
    /// From behind each token to the end: `[heads, n, 1]`.
    to_end: Tensor,
}

impl Decay {
    /// From the logarithm of what each token's step lets stand, `[heads, n]`.
    fn new(log: &Tensor) -> Result<Self> {
        let n = log.dim(1)?;
        let reached = triangle(n, log.device(), |row, column| column <= row)?;
        let passed = triangle(n, log.device(), |row, column| column < row)?;
        // The sums over `j + 1..=i` are taken each by itself. As differences of running sums they
        // would lose their digits where the decay is fast.
        let log = log.unsqueeze(2)?;
        let sums = reached.broadcast_matmul(&log.broadcast_mul(&passed)?)?;
        let from_start = reached.broadcast_matmul(&log)?.exp()?;
        let to_end = sums.narrow(1, n - 1, 1)?.transpose(1, 2)?.exp()?;
        Ok(Self { between: sums.exp()?.broadcast_mul(&reached)?, from_start, to_end })
    }
}

/// `[n, n]` with 1 where `counts` says so of row and column, and 0 elsewhere.
fn triangle(n: usize, device: &Device, counts: fn(usize, usize) -> bool) -> Result<Tensor> {
    let cells = (0..n).flat_map(|row| (0..n).map(move |column| (row, column)));
    let values = cells.map(|(row, column)| f32::from(u8::from(counts(row, column)))).collect();
    Tensor::from_vec(values, (n, n), device)
}
