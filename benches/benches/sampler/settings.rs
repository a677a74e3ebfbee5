//! The settings that are timed: a pipeline, the same in the reference, and in the peers' terms.

use taper_sampling::presets::{LlamaCppConfig, llama_cpp};
use taper_sampling::reference::List;
use taper_sampling::*;

/// A decoding setting.
pub(crate) struct Setting {
    pub(crate) group: &'static str,
    pub(crate) pipeline: Pipeline,
    /// The same in the reference, on a row with a text before it.
    pub(crate) naive: fn(&mut List, &[u32]),
    /// The same, a little wider, for peers whose sums are rounded and whose ties are their own.
    pub(crate) wide: fn(&mut List, &[u32]),
    pub(crate) greedy: bool,
}

const LOWEST: TiePolicy = TiePolicy::LowestId;
const ALL: TiePolicy = TiePolicy::KeepAll;
/// As wide as `0.9` gets in a single-precision sum over a vocabulary.
const WIDE: f64 = 0.901;

fn top_p(list: &mut List, p: f64, ties: TiePolicy) {
    list.keep_mass(p, MassRule::Reach, 1, ties);
}

fn penalised(list: &mut List, text: &[u32]) {
    list.repetition_penalty(1.1, text, &[]);
    list.no_repeat_ngram(3, text);
    list.divide(0.7);
}

fn dry(list: &mut List, text: &[u32]) {
    list.dry((0.8, 1.75, 2), &[], text);
}

fn k50() -> TopK {
    TopK::new(50).expect("in range")
}

fn p09() -> TopP {
    TopP::new(0.9).expect("in range")
}

pub(crate) fn top_k50_top_p09() -> Pipeline {
    Pipeline::draw().then(k50()).then(p09())
}

pub(crate) fn settings(vocab_size: usize) -> Vec<Setting> {
    let mut all = cuts();
    all.extend(chats(vocab_size));
    all
}

/// One cut and a draw, and the best token.
fn cuts() -> Vec<Setting> {
    let setting =
        |group, pipeline, naive, wide| Setting { group, pipeline, naive, wide, greedy: false };
    vec![
        Setting {
            greedy: true,
            ..setting("greedy", Pipeline::greedy(), |_, _| (), |list, _| list.keep_top(1, ALL))
        },
        setting(
            "top_k50",
            Pipeline::draw().then(k50()),
            |list, _| list.keep_top(50, LOWEST),
            |list, _| list.keep_top(50, ALL),
        ),
        setting(
            "top_k50_top_p09",
            top_k50_top_p09(),
            |list, _| {
                list.keep_top(50, LOWEST);
                top_p(list, 0.9, LOWEST);
            },
            // candle's top-p goes by the share of the whole row.
            |list, _| list.keep_top(50, ALL),
        ),
        setting(
            "top_p09",
            Pipeline::draw().then(p09()),
            |list, _| top_p(list, 0.9, LOWEST),
            |list, _| top_p(list, WIDE, ALL),
        ),
        setting(
            "min_p005",
            Pipeline::draw().then(MinP::new(0.05).expect("in range")),
            |list, _| list.min_p(0.05),
            |list, _| list.min_p(0.049_99),
        ),
        setting(
            "typical",
            Pipeline::draw().then(Typical::new(0.9).expect("in range")),
            |list, _| list.typical(f64::from(0.9_f32), MassRule::Reach, 1, LOWEST),
            |list, _| list.typical(WIDE, MassRule::Reach, 1, ALL),
        ),
    ]
}

/// Settings with a text before the row.
fn chats(vocab_size: usize) -> Vec<Setting> {
    let engine = LlamaCppConfig { repeat_penalty: 1.1, ..LlamaCppConfig::engine_defaults() };
    vec![
        Setting {
            group: "hf_chat",
            pipeline: Pipeline::draw()
                .then(RepetitionPenalty::new(1.1).expect("in range"))
                .then(NoRepeatNgram::new(3).expect("in range"))
                .then(Temperature::new(0.7).expect("in range"))
                .then(k50())
                .then(p09()),
            naive: |list, text| {
                penalised(list, text);
                list.keep_top(50, LOWEST);
                top_p(list, 0.9, LOWEST);
            },
            wide: |list, text| {
                penalised(list, text);
                list.keep_top(50, ALL);
            },
            greedy: false,
        },
        Setting {
            group: "llama_cpp_default",
            pipeline: llama_cpp(&engine, vocab_size, None).expect("good settings"),
            naive: |list, text| {
                list.repetition_penalty(1.1, &text[text.len() - 64..], &[]);
                list.keep_top(40, LOWEST);
                top_p(list, f64::from(0.95_f32), LOWEST);
                list.min_p(f64::from(0.05_f32));
                list.divide(0.8);
            },
            wide: |list, text| {
                list.repetition_penalty(1.1, &text[text.len() - 64..], &[]);
                list.keep_top(40, ALL);
            },
            greedy: false,
        },
        Setting {
            group: "dry",
            pipeline: Pipeline::draw().then(Dry::new(0.8, 1.75, 2).expect("in range")).then(k50()),
            naive: |list, text| {
                dry(list, text);
                list.keep_top(50, LOWEST);
            },
            wide: |list, text| {
                dry(list, text);
                list.keep_top(50, ALL);
            },
            greedy: false,
        },
    ]
}

impl Setting {
    /// The token of the naive reference.
    pub(crate) fn naive_token(&self, row: &[f32], text: &[u32], draws: Draws) -> Option<u32> {
        let mut list = List::new(row, draws);
        (self.naive)(&mut list, text);
        if self.greedy { list.argmax(LOWEST) } else { list.pick(draws.unit(Purpose::Select, 0)) }
    }
}
