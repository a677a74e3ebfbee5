//! A pipeline and a row out of arbitrary bytes, and what must hold of them.

use taper_sampling::*;

/// Reads numbers off a byte string; zeros once it is used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn u8(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes([self.u8(), self.u8(), self.u8(), self.u8()])
    }

    fn f32(&mut self) -> f32 {
        f32::from_bits(self.u32())
    }

    /// Half of them ordinary knobs, half arbitrary bits.
    fn knob(&mut self) -> f64 {
        match self.u8() {
            n @ 0..=127 => f64::from(n) / 64.0,
            _ => f64::from_bits(u64::from(self.u32()) << 32 | u64::from(self.u32())),
        }
    }
}

fn ties(byte: u8) -> TiePolicy {
    use TiePolicy::{Error, HighestId, KeepAll, LowestId, Random};
    [KeepAll, LowestId, HighestId, Random, Error][usize::from(byte) % 5]
}

/// The stage that the next bytes stand for; `None` where a constructor refuses them.
fn stage(bytes: &mut Bytes<'_>) -> Option<Box<dyn Stage>> {
    Some(match bytes.u8() % 8 {
        0 => Box::new(Temperature::new(bytes.knob()).ok()?),
        1 => Box::new(TopK::new(usize::from(bytes.u8())).ok()?.ties(ties(bytes.u8()))),
        2 => Box::new(TopP::new(bytes.knob()).ok()?.ties(ties(bytes.u8()))),
        3 => Box::new(MinP::new(bytes.knob()).ok()?),
        4 => Box::new(RepetitionPenalty::new(bytes.knob()).ok()?),
        5 => Box::new(NoRepeatNgram::new(usize::from(bytes.u8() % 5)).ok()?),
        6 => {
            let (floor, least) = (bytes.f32(), usize::from(bytes.u8() % 4));
            Box::new(stage_fn("from", move |c, _| c.keep_from(floor, Edge::Drop, least)))
        }
        _ => {
            let (id, score) = (bytes.u32() % 64, bytes.f32());
            Box::new(stage_fn("restore", move |c, _| c.restore(id, score)))
        }
    })
}

/// Never a panic; a token only if it is listed with a finite score; the same token when traced.
pub(crate) fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut pipeline = if bytes.u8() % 2 == 0 { Pipeline::draw() } else { Pipeline::greedy() };
    for _ in 0..bytes.u8() % 6 {
        if let Some(stage) = stage(&mut bytes) {
            pipeline.push(stage);
        }
    }
    let history: Vec<u32> = (0..bytes.u8() % 16).map(|_| u32::from(bytes.u8() % 64)).collect();
    let history = History::new(&history);
    let key = DrawKey::new(u64::from(bytes.u32())).step(u64::from(bytes.u8()));
    let row: Vec<f32> =
        bytes.0.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();

    let mut workspace = Workspace::new(row.len());
    let step = Step::new(key).history(&history);
    let bare = pipeline.select(&row, &step, &mut workspace).map(|chosen| chosen.token);
    let full = step.ask(Ask { top_logprobs: 4, ..Ask::everything() });
    match (bare, pipeline.select(&row, &full, &mut workspace)) {
        (Ok(token), Ok(mut chosen)) => {
            assert_eq!(token, chosen.token);
            let score = chosen.candidates().get(token).expect("a chosen token is listed");
            assert!(score.is_finite());
            assert!(chosen.kept.is_some_and(|kept| kept >= 1));
        }
        (bare, full) => {
            // As text, since a refused NaN does not equal itself.
            let (bare, full) = (bare.map_err(|e| e.to_string()), full.map(|s| s.token));
            assert_eq!(
                bare,
                full.map_err(|e| e.to_string()),
                "a trace must not change the outcome"
            );
        }
    }
}
