//! A sequence keeps its books in step, and refuses what would put them out of it.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::{
    Ask, Candidates, Constraint, Mask, MirostatV2, RepetitionPenalty, StageError, StepContext,
    TopP, stage_fn,
};

const ROW: [f32; 6] = [1.0, 0.5, 1.2, 0.8, 1.1, 0.2];

fn penalised() -> Pipeline {
    Pipeline::draw()
        .then(RepetitionPenalty::new(1.3).expect("in range"))
        .then(TopP::new(0.95).expect("in range"))
}

fn run(sequence: &mut Sequence, tokens: usize) -> Vec<u32> {
    let mut workspace = Workspace::new(ROW.len());
    (0..tokens)
        .map(|_| {
            let token = sequence.select(&ROW, &mut workspace).expect("a token").token;
            sequence.accept(token).expect("in the vocabulary");
            token
        })
        .collect()
}

/// The books kept by hand, as callers kept them before there was a sequence.
fn by_hand(pipeline: &Pipeline, key: DrawKey, prompt: &[u32], tokens: usize) -> Vec<u32> {
    let (mut history, mut memory) = (History::new(prompt), pipeline.new_memory());
    let mut workspace = Workspace::new(ROW.len());
    for step in 0..tokens as u64 {
        let step = Step::new(key.step(step)).history(&history).memory(&memory);
        let accepted = pipeline.select(&ROW, &step, &mut workspace).expect("a token").accepted();
        history.accept(accepted.token);
        memory.accept(&accepted);
    }
    history.generated().to_vec()
}

#[test]
fn the_tokens_are_those_of_books_kept_by_hand() {
    let mirostat = Pipeline::selecting(MirostatV2::new(2.0, 0.5).expect("in range"));
    for pipeline in [penalised(), mirostat] {
        let key = DrawKey::new(9).stream(2);
        let made = run(&mut pipeline.sequence(key).prompt(&[3, 3]), 20);
        assert_eq!(made, by_hand(&pipeline, key, &[3, 3], 20), "{pipeline}");
        let mut sampler = Sampler::new(pipeline.clone(), ROW.len()).seed(9).prompt(&[3, 3]);
        let drawn: Vec<u32> = (0..20).map(|_| sampler.next(&ROW).expect("a token")).collect();
        assert_eq!(drawn, by_hand(&pipeline, DrawKey::new(9), &[3, 3], 20), "{pipeline}");
        assert_eq!(sampler.history().generated(), drawn);
    }
}

#[test]
fn a_rollback_replays_and_a_redraw_does_not() {
    let mut sequence = penalised().sequence(DrawKey::new(5)).prompt(&[1]);
    let first = run(&mut sequence, 12);
    sequence.rollback(7).expect("generated");
    assert_eq!(run(&mut sequence, 7), first[5..]);
    // Fresh numbers at every redraw, wherever it is; those of the steps behind it are their own.
    let mut workspace = Workspace::new(ROW.len());
    let mut drawn = Vec::new();
    for _ in 0..40 {
        sequence.rollback(1).expect("generated");
        sequence.redraw();
        let token = sequence.select(&ROW, &mut workspace).expect("a token").token;
        sequence.accept(token).expect("in the vocabulary");
        drawn.push(token);
    }
    assert!((0..5).all(|id| drawn.contains(&id)), "{drawn:?}");
    sequence.rollback(12).expect("generated");
    assert_eq!(run(&mut sequence, 12), first);
}

#[test]
fn forks_part_and_leave_each_other_alone() {
    let mut sequence = penalised().sequence(DrawKey::new(5));
    run(&mut sequence, 3);
    let (mut same, mut other) = (sequence.fork(0), sequence.fork(1));
    let (own, replayed, parted) = (run(&mut sequence, 20), run(&mut same, 20), run(&mut other, 20));
    assert_eq!(own, replayed);
    assert_ne!(own, parted);
}

#[test]
fn a_place_gives_one_token_unless_told_otherwise() {
    let mut workspace = Workspace::new(ROW.len());
    let mut sequence = Pipeline::draw().sequence(DrawKey::new(5));
    let token = sequence.select(&ROW, &mut workspace).expect("a token").token;
    let refused = sequence.select(&ROW, &mut workspace).expect_err("the same numbers");
    assert_eq!(refused, SequenceError::NotAccepted { token }.into());
    sequence.replay();
    assert_eq!(sequence.select(&ROW, &mut workspace).expect("a token").token, token);
    // A step that failed has chosen nothing, and a look chooses nothing.
    sequence.accept(token).expect("in the vocabulary");
    assert!(sequence.select(&[f32::NAN; 6], &mut workspace).is_err());
    let given = Given::default();
    assert_eq!(sequence.process(&ROW, given, &mut workspace).expect("a row").len(), 6);
    sequence.select(&ROW, &mut workspace).expect("a token");
}

#[test]
fn what_puts_the_books_out_of_step_is_refused() {
    let mut workspace = Workspace::new(ROW.len());
    let mut sequence = penalised().sequence(DrawKey::new(0)).prompt(&[1, 6, 2]);
    let refused = sequence.select(&ROW, &mut workspace).expect_err("an unknown id");
    assert_eq!(
        refused.to_string(),
        "token 6, at place 1 of the text, is outside the vocabulary of 6; ids must be below that"
    );
    let mut sequence = penalised().sequence(DrawKey::new(0)).prompt(&[1]);
    sequence.accept(7).expect("no step has said how large the vocabulary is");
    assert!(sequence.select(&ROW, &mut workspace).is_err());
    sequence.rollback(1).expect("generated");
    let token = sequence.select(&ROW, &mut workspace).expect("a token").token;
    let unknown = SequenceError::UnknownToken { id: 7, at: 1, vocab_size: 6 };
    assert_eq!(sequence.accept(7), Err(unknown));
    sequence.accept(token).expect("the refused token has left everything as it was");
    assert_eq!(
        sequence.rollback(2).expect_err("beyond the prompt").to_string(),
        "2 tokens were to be taken back and 1 were generated; the prompt stays"
    );
    let mut sampler = Sampler::new(penalised(), 6);
    let unknown = SequenceError::UnknownToken { id: 6, at: 0, vocab_size: 6 };
    assert_eq!(sampler.accept(6), Err(unknown));
    assert!(Sampler::new(penalised(), 6).prompt(&[6]).next(&ROW).is_err());
}

#[test]
fn a_memory_of_another_pipeline_is_refused_as_such() {
    let mut workspace = Workspace::new(ROW.len());
    let mirostat = || Pipeline::selecting(MirostatV2::new(2.0, 0.5).expect("in range"));
    let (one, other) = (mirostat(), mirostat());
    let sequence = one.sequence(DrawKey::new(0));
    let refused = other.select(&ROW, &sequence.step(), &mut workspace).expect_err("foreign");
    assert_eq!(refused, SequenceError::ForeignPipeline.into());
    assert!(one.clone().select(&ROW, &sequence.step(), &mut workspace).is_ok());
}

#[test]
fn a_step_without_a_past_is_refused_by_what_needs_one() {
    let mut workspace = Workspace::new(ROW.len());
    let bare = Step::new(DrawKey::new(0));
    let told = |pipeline: &Pipeline, workspace: &mut Workspace| {
        pipeline.select(&ROW, &bare, workspace).expect_err("no past").to_string()
    };
    assert_eq!(
        told(&penalised(), &mut workspace),
        "repetition_penalty: this stage reads the text, and the step came without a history; select with a Sequence, or give the step one"
    );
    let mirostat = Pipeline::selecting(MirostatV2::new(2.0, 0.5).expect("in range"));
    assert_eq!(
        told(&mirostat, &mut workspace),
        "mirostat_v2: this stage remembers, and the step came without a memory; select with a Sequence, or give the step one of new_memory"
    );
}

#[test]
fn a_mask_for_one_step_holds_for_one_step() {
    let mut sampler = Sampler::new(Pipeline::greedy(), 6);
    let given = Given::default().allowed_ids(&[5, 1, 1]).ask(Ask::everything());
    let mut chosen = sampler.select(&ROW, given).expect("a token");
    assert_eq!((chosen.token, chosen.kept), (1, Some(2)));
    let stages = chosen.trace.expect("asked for").stages();
    assert_eq!((stages[0].stage.as_str(), stages[0].before, stages[0].after), ("allowed", 6, 2));
    assert_eq!((chosen.removed_by(2), chosen.removed_by(5)), (Some(1), None));
    sampler.accept(1).expect("in the vocabulary");
    assert_eq!(sampler.next(&ROW), Ok(2));
    let bits = Given::default().allowed_bits(&[0b10_1000]);
    assert_eq!(sampler.select(&ROW, bits).expect("a token").token, 3);
    sampler.replay();
    let mut told = |given: Given<'_>| sampler.select(&ROW, given).expect_err("none").to_string();
    let nothing = "allowed: the mask allows none of the 6 candidates that could be chosen; it must allow at least one";
    assert_eq!(told(Given::default().allowed_ids(&[])), nothing);
    assert_eq!(told(Given::default().allowed_bits(&[])), nothing);
    assert_eq!(
        told(Given::default().allowed_ids(&[6])),
        "allowed: token 6 is outside the vocabulary of 6"
    );
}

/// Allows what the prepared mask says, and counts how often one was worked out.
#[derive(Debug, Clone)]
struct Counting {
    mask: Option<[u32; 1]>,
    made: u32,
}

impl StageMemory for Counting {
    fn accept(&mut self, _: &Accepted) {
        self.mask = None;
    }

    fn rollback(&mut self, _: usize) {
        self.mask = None;
    }

    fn fork(&self) -> alloc::boxed::Box<dyn StageMemory> {
        alloc::boxed::Box::new(self.clone())
    }

    fn prepare(&mut self) {
        if self.mask.is_none() {
            self.made += 1;
            self.mask = Some([self.made & 1]);
        }
    }
}

impl Mask for Counting {
    fn allowed(&self) -> Result<&[u32], StageError> {
        self.mask.as_ref().map(<[u32; 1]>::as_slice).ok_or(StageError::NoMemory)
    }
}

#[test]
fn a_mask_is_prepared_once_a_step_and_blamed_for_allowing_nothing() {
    let constraint = Constraint::new(Counting { mask: None, made: 0 }).named("grammar");
    let mut sampler = Sampler::new(Pipeline::greedy().then(constraint), 6);
    sampler.prepare();
    assert_eq!(sampler.next(&ROW), Ok(0), "the mask of the first step allows token 0");
    let refused = sampler.next(&ROW).expect_err("the second allows nothing");
    assert!(refused.to_string().starts_with("grammar: the mask allows none of the 6"), "{refused}");
}

#[test]
fn a_guess_is_a_draw_of_the_draft() {
    let mut workspace = Workspace::new(ROW.len());
    let pipeline = penalised();
    let mut target = pipeline.sequence(DrawKey::new(3));
    for _ in 0..20 {
        let mut draft = target.fork(1);
        let guess = draft.guess(&ROW, &mut workspace).expect("a token");
        draft.accept(guess.token()).expect("in the vocabulary");
        let given = Given::default();
        let taken = target.select_with_guess(&ROW, given, &guess, &mut workspace);
        // The draft has the target's distribution.
        assert_eq!(taken.expect("a token").token, guess.token());
        target.accept(guess.token()).expect("in the vocabulary");
    }
}

#[test]
fn what_borrows_buffers_says_little_of_itself() {
    let mut sampler = Sampler::new(Pipeline::greedy(), 100_000);
    let row = alloc::vec![0.0; 100_000];
    let chosen = sampler.select(&row, Ask::everything()).expect("a token");
    let told = alloc::format!("{chosen:?}");
    assert!(told.starts_with("Selection { token: 0, logprob: Some("), "{told}");
    assert!(told.len() < 300, "{told}");
    let told = alloc::format!("{:?}", Workspace::new(100_000));
    assert_eq!(told, "Workspace { vocab_size: 100000, .. }");
}

#[test]
fn a_stage_may_be_chosen_at_run_time() {
    let ban = |c: &mut Candidates<'_>, _: &StepContext<'_>| c.keep_if(|id, _| id != 2);
    let boxed: alloc::boxed::Box<dyn crate::Stage> =
        alloc::boxed::Box::new(stage_fn("no_two", ban));
    let mut sampler = Sampler::new(Pipeline::greedy().then(boxed), 6);
    assert_eq!(sampler.next(&ROW), Ok(4));
    assert_eq!(sampler.pipeline().to_string(), "no_two → greedy");
}
