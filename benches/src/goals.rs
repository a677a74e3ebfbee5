//! What is to be reached at 128 256 tokens on one thread, in `flat`, `peaked` and `ties` alike.

/// A bound on `(ours − less) / (over · times)`.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The group of benches.
    pub group: &'static str,
    /// The contender that is taken off, if any: what an addition costs is a difference.
    pub less: Option<&'static str>,
    /// The floor.
    pub over: &'static str,
    /// So many floors are allowed for.
    pub times: f64,
    /// The bound.
    pub at_most: f64,
    /// The bound in words.
    pub words: &'static str,
}

/// A bound on how many times as long a peer takes, at least.
#[derive(Debug, Clone, Copy)]
pub struct PeerGoal {
    /// The group of benches.
    pub group: &'static str,
    /// The input; `None` is each.
    pub input: Option<&'static str>,
    /// The peer.
    pub peer: &'static str,
    /// The bound.
    pub at_least: f64,
}

const MAX: &str = "floor_max";
const SUM_EXP: &str = "floor_sum_exp";

const fn of(group: &'static str, over: &'static str, at_most: f64, words: &'static str) -> Goal {
    Goal { group, less: None, over, times: 1.0, at_most, words }
}

/// The goals of ours against the floors.
pub const GOALS: [Goal; 12] = [
    of("greedy", MAX, 1.5, "1.5 × max pass"),
    of("top_k50", MAX, 5.0, "5 × max pass"),
    of("top_k50_top_p09", MAX, 5.0, "5 × max pass"),
    of("min_p005", MAX, 4.0, "4 × max pass"),
    of("top_p09", SUM_EXP, 2.5, "2.5 × sum-of-exp pass"),
    of("typical", SUM_EXP, 5.0, "5 × sum-of-exp pass"),
    of("hf_chat", "floor_top_k50_top_p09", 2.0, "2 × our top_k50_top_p09"),
    Goal {
        less: Some("taper_bare"),
        ..of("logprob_rank", SUM_EXP, 1.3, "+ 1.3 sum-of-exp passes")
    },
    Goal {
        less: Some("taper_bare"),
        // Temperature and top-k see all tokens; top-p sees the fifty that top-k left.
        times: 2.0,
        ..of("trace_on", SUM_EXP, 1.5, "+ 1.5 sum-of-exp passes a dense stage, of two")
    },
    Goal {
        less: Some("taper_bare"),
        times: 2.0,
        ..of("trace_top_p09", SUM_EXP, 1.5, "+ 1.5 sum-of-exp passes a dense stage, of two")
    },
    of("beam_step", "floor_log_softmax_top_k", 1.3, "1.3 × 8 × (log-softmax pass + our top-k)"),
    of("batch_64_rows", "floor_singles_per_core", 1.15, "1.15 × 64 single calls ÷ cores"),
];

const fn peer(
    group: &'static str,
    input: Option<&'static str>,
    peer: &'static str,
    at_least: f64,
) -> PeerGoal {
    PeerGoal { group, input, peer, at_least }
}

/// The goals of ours against peers.
pub const PEER_GOALS: [PeerGoal; 15] = [
    peer("top_k50_top_p09", None, "candle", 20.0),
    peer("top_k50_top_p09", None, "token_sampling", 20.0),
    peer("top_k50_top_p09", None, "llama_cpp", 8.0),
    peer("top_k50_top_p09", None, "llm_samplers", 100.0),
    peer("top_k50_top_p09", None, "huggingface", 50.0),
    peer("top_p09", Some("peaked"), "candle", 10.0),
    peer("top_p09", Some("peaked"), "token_sampling", 10.0),
    peer("top_p09", Some("peaked"), "llama_cpp", 8.0),
    peer("top_p09", Some("flat"), "candle", 100.0),
    peer("top_p09", Some("flat"), "token_sampling", 100.0),
    peer("top_p09", Some("flat"), "llama_cpp", 40.0),
    peer("top_p09", Some("peaked"), "llm_samplers", 100.0),
    peer("top_p09", Some("flat"), "llm_samplers", 100.0),
    peer("top_p09", Some("peaked"), "huggingface", 50.0),
    peer("top_p09", Some("flat"), "huggingface", 50.0),
];
