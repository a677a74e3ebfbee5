//! The peers' samplers, each set up once and then asked for a token a step, as a program would.

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use llm_samplers::prelude as llm;
use llm_samplers::prelude::Sampler as _;
use rand::{SeedableRng, rngs::StdRng};
use token_sampling as ts;

/// A peer with its setting: each call is a step.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) step: Box<dyn FnMut() -> u32>,
}

/// Those of the peers that have the setting, on this row.
pub(crate) fn peers(group: &str, row: &[f32], text: &[u32]) -> Vec<Peer> {
    let candle = candle_setting(group).map(|sampling| candle(sampling, row));
    let llm = llm_chain(group).map(|chain| llm_samplers(chain, row));
    let ts = ts_chain(group).map(|chain| token_sampling(chain, row, text));
    [candle, llm, ts].into_iter().flatten().collect()
}

fn candle_setting(group: &str) -> Option<Sampling> {
    let temperature = 1.0;
    Some(match group {
        "greedy" => Sampling::ArgMax,
        "top_k50" => Sampling::TopK { k: 50, temperature },
        "top_k50_top_p09" => Sampling::TopKThenTopP { k: 50, p: 0.9, temperature },
        "top_p09" => Sampling::TopP { p: 0.9, temperature },
        _ => return None,
    })
}

/// The tensor is there already: that is what a model in candle gives.
fn candle(sampling: Sampling, row: &[f32]) -> Peer {
    let logits = Tensor::new(row, &Device::Cpu).expect("a tensor");
    let mut processor = LogitsProcessor::from_sampling(7, sampling);
    let step = move || processor.sample(&logits).expect("a token");
    Peer { name: "candle", step: Box::new(step) }
}

fn llm_chain(group: &str) -> Option<llm::SamplerChain> {
    let mut chain = llm::SamplerChain::new();
    match group {
        "greedy" => {
            chain.push_sampler(llm::SampleGreedy::new());
            return Some(chain);
        }
        "top_k50" => chain.push_sampler(llm::SampleTopK::new(50, 1)),
        "top_k50_top_p09" => chain
            .push_sampler(llm::SampleTopK::new(50, 1))
            .push_sampler(llm::SampleTopP::new(0.9, 1)),
        "top_p09" => chain.push_sampler(llm::SampleTopP::new(0.9, 1)),
        "min_p005" => chain.push_sampler(llm::SampleMinP::new(0.05, 1)),
        "typical" => chain.push_sampler(llm::SampleLocallyTypical::new(0.9, 1)),
        _ => return None,
    };
    chain.push_sampler(llm::SampleRandDistrib::new());
    Some(chain)
}

/// Its chain consumes a list that it wants built from the row at every step.
fn llm_samplers(mut chain: llm::SamplerChain, row: &[f32]) -> Peer {
    let rng = Box::new(StdRng::seed_from_u64(7));
    let mut resources = llm::SimpleSamplerResources::new(Some(rng), Some(Vec::new()));
    let row = row.to_vec();
    let step = move || {
        let mut logits = llm::Logits::try_from_iter(row.iter().copied()).expect("a clean row");
        chain.sample_token(&mut resources, &mut logits).expect("a step").expect("a token")
    };
    Peer { name: "llm_samplers", step: Box::new(step) }
}

fn ts_chain(group: &str) -> Option<ts::SamplerChain> {
    let chain = ts::SamplerChain::new();
    let top_p = ts::TopP { p: 0.9, min_keep: 1 };
    let penalties = ts::Penalties { last_n: 64, repeat: 1.1, freq: 0.0, presence: 0.0 };
    Some(match group {
        "greedy" => chain.push(ts::Greedy),
        "top_k50" => chain.push(ts::TopK { k: 50 }).push(ts::Dist),
        "top_k50_top_p09" => chain.push(ts::TopK { k: 50 }).push(top_p).push(ts::Dist),
        "top_p09" => chain.push(top_p).push(ts::Dist),
        "min_p005" => chain.push(ts::MinP { p: 0.05, min_keep: 1 }).push(ts::Dist),
        "typical" => chain.push(ts::Typical { p: 0.9, min_keep: 1 }).push(ts::Dist),
        "llama_cpp_default" => {
            ts::SamplerChain::llama_default(ts::ChainConfig { penalties, ..Default::default() })
        }
        "dry" => {
            let (multiplier, base, allowed_length, last_n) = (0.8, 1.75, 2, -1);
            let dry = ts::Dry { multiplier, base, allowed_length, last_n, breakers: Vec::new() };
            chain.push(dry).push(ts::TopK { k: 50 }).push(ts::Dist)
        }
        _ => return None,
    })
}

fn token_sampling(mut chain: ts::SamplerChain, row: &[f32], text: &[u32]) -> Peer {
    let (mut row, text) = (row.to_vec(), text.to_vec());
    let mut rng = ts::SplitMix64::new(7);
    let step = move || chain.sample(&mut row, &text, &mut rng).expect("a token");
    Peer { name: "token_sampling", step: Box::new(step) }
}
