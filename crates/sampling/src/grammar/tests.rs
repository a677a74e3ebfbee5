use alloc::string::String;
use alloc::vec;

use super::*;
use crate::{Constraint, DrawKey, Pipeline, Step, Workspace};

/// A token a byte, some longer ones, `<pad>` and two EOS tokens.
fn vocabulary() -> (Vec<Vec<u8>>, GrammarVocabulary) {
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    for longer in ["true", "false", "\": ", "{\"", "12", ", \"", "<pad>", "<eos>", "<end>"] {
        tokens.push(longer.as_bytes().to_vec());
    }
    let vocabulary = GrammarVocabulary::new(&tokens, &[PAD], &EOS).expect("a vocabulary");
    (tokens, vocabulary)
}

const PAD: u32 = 262;
const EOS: [u32; 2] = [263, 264];

fn allowed(grammar: &Grammar) -> Vec<u32> {
    let mut grammar = grammar.clone();
    grammar.prepare();
    let words = grammar.allowed().expect("there is a mask");
    let bit = |id: &u32| words.get(*id as usize / 32).is_some_and(|w| w >> (id % 32) & 1 == 1);
    (0..265).filter(bit).collect()
}

fn accept(grammar: &mut Grammar, token: u32) {
    grammar.accept(&Accepted { token, probability: Some(1.0) });
}

const SCHEMA: &str = r#"{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}},
    "required": ["a", "b"], "additionalProperties": false}"#;

const LARK: &str = "start: item (\",\" item)*\nitem: /[0-9]+/ | \"(\" start \")\"\n";

#[test]
fn json_has_whitespace_only_if_its_schema_asks() {
    let (_, vocabulary) = vocabulary();
    let begins = |schema: &str| {
        let mut grammar = Grammar::json_schema(schema, &vocabulary).expect("a schema");
        "{".bytes().for_each(|byte| accept(&mut grammar, u32::from(byte)));
        allowed(&grammar).contains(&u32::from(b'\n'))
    };
    assert!(!begins(r#"{"type": "object"}"#));
    assert!(begins(r#"{"type": "object", "x-guidance": {"whitespace_flexible": true}}"#));
}

/// A walk through a grammar: at each step one of the allowed tokens, by a fixed rule.
fn walk(grammar: &mut Grammar, mut seed: u32, steps: usize) {
    for _ in 0..steps {
        let tokens = allowed(grammar);
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        accept(grammar, tokens[seed as usize / 65_536 % tokens.len()]);
        if grammar.tokens.last().is_some_and(|token| EOS.contains(token)) {
            break;
        }
    }
}

fn grammars() -> [Grammar; 3] {
    let (_, vocabulary) = vocabulary();
    [
        Grammar::json_schema(SCHEMA, &vocabulary).expect("a schema"),
        Grammar::regex("[a-c]{2,4}(é|ü)?", &vocabulary).expect("a pattern"),
        Grammar::lark(LARK, &vocabulary).expect("a grammar"),
    ]
}

#[test]
fn the_text_is_a_sentence_of_the_grammar() {
    let (tokens, _) = vocabulary();
    for seed in 0..40 {
        let [mut schema, mut regex, mut lark] = grammars();
        let text = |grammar: &mut Grammar| {
            walk(grammar, seed, 400);
            let all = grammar.tokens.iter().filter(|token| !EOS.contains(token));
            let bytes: Vec<u8> = all.flat_map(|&id| tokens[id as usize].clone()).collect();
            let ended = grammar.tokens.last().is_some_and(|token| EOS.contains(token));
            ended.then(|| String::from_utf8(bytes).expect("characters are whole at the end"))
        };
        if let Some(json) = text(&mut schema) {
            let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            assert!(value["a"].is_number() && value["b"].is_boolean(), "{json}");
        }
        let word = text(&mut regex).expect("words are short");
        let (letters, rest) = word.split_at(word.find(['é', 'ü']).unwrap_or(word.len()));
        assert!((2..=4).contains(&letters.len()) && rest.chars().count() <= 1, "{word}");
        assert!(letters.bytes().all(|byte| (b'a'..=b'c').contains(&byte)), "{word}");
        if let Some(list) = text(&mut lark) {
            assert_eq!(list.matches('(').count(), list.matches(')').count(), "{list}");
        }
    }
}

#[test]
fn eos_may_come_where_the_text_is_complete_and_nowhere_else() {
    let (_, vocabulary) = vocabulary();
    let mut grammar = Grammar::regex("ab?", &vocabulary).expect("a pattern");
    let (a, b) = (u32::from(b'a'), u32::from(b'b'));
    assert_eq!(allowed(&grammar), [a]);
    assert!(!grammar.is_complete());
    accept(&mut grammar, a);
    assert!(grammar.is_complete());
    assert_eq!(allowed(&grammar), [b, EOS[0], EOS[1]]);
    accept(&mut grammar, b);
    assert_eq!(allowed(&grammar), EOS, "nothing else can follow");
    accept(&mut grammar, EOS[1]);
    assert_eq!(allowed(&grammar), EOS);
}

/// Against a matcher that reads the tokens that are left from the beginning.
#[test]
fn a_rollback_is_as_if_the_tokens_had_never_come() {
    for seed in 0..20_u32 {
        for fresh in grammars() {
            let mut grammar = fresh.clone();
            walk(&mut grammar, seed, 30);
            let whole = grammar.tokens.clone();
            for back in [1, 3, 7, 100] {
                let kept = whole.len().saturating_sub(back);
                let mut rolled = grammar.clone();
                rolled.rollback(back);
                let mut read = fresh.clone();
                whole[..kept].iter().for_each(|&token| accept(&mut read, token));
                assert_eq!(rolled.tokens, read.tokens);
                assert_eq!(allowed(&rolled), allowed(&read), "{back} of {whole:?}");
                // And from there on.
                walk(&mut rolled, seed + 1, 5);
                walk(&mut read, seed + 1, 5);
                assert_eq!(rolled.tokens, read.tokens);
                assert_eq!(allowed(&rolled), allowed(&read));
            }
        }
    }
}

#[test]
fn a_fork_goes_its_own_way() {
    for fresh in grammars() {
        let mut grammar = fresh.clone();
        walk(&mut grammar, 5, 2);
        let before = allowed(&grammar);
        let forked = grammar.fork();
        let any: &dyn core::any::Any = &*forked;
        let mut other = any.downcast_ref::<Grammar>().expect("a grammar").clone();
        walk(&mut other, 9, 12);
        let advanced = other.tokens.len() - grammar.tokens.len();
        assert_eq!(allowed(&grammar), before, "the other one went on");
        other.rollback(advanced);
        assert_eq!((allowed(&other), &other.tokens), (before, &grammar.tokens));
    }
}

#[test]
fn a_token_that_is_not_allowed_is_an_error_until_it_is_taken_back() {
    let (_, vocabulary) = vocabulary();
    for wrong in [u32::from(b'x'), PAD, EOS[0], 9_999] {
        let mut grammar = Grammar::regex("ab", &vocabulary).expect("a pattern");
        let before = allowed(&grammar);
        accept(&mut grammar, wrong);
        assert!(matches!(grammar.allowed(), Err(StageError::Other(_))), "{wrong}");
        accept(&mut grammar, u32::from(b'a'));
        assert!(grammar.allowed().is_err());
        grammar.rollback(2);
        assert_eq!(allowed(&grammar), before, "{wrong}");
    }
}

#[test]
fn the_stage_names_itself_and_needs_its_memory() {
    let [schema, ..] = grammars();
    let pipeline = Pipeline::greedy().then(Constraint::new(schema).named("grammar"));
    assert_eq!(pipeline.to_string(), "grammar → greedy");
    let mut memory = pipeline.new_memory();
    memory.accept(&Accepted { token: u32::from(b'x'), probability: Some(1.0) });
    memory.prepare();
    let step = Step::new(DrawKey::new(0)).memory(&memory);
    let error = pipeline.select(&[0.0; 265], &step, &mut Workspace::new(265)).expect_err("an x");
    assert!(error.to_string().contains("grammar"), "{error}");
}

#[test]
fn what_can_not_be_used_is_refused_with_the_reason() {
    let (_, vocabulary) = vocabulary();
    let refused = [
        (Grammar::json_schema("{", &vocabulary), "the schema is not JSON: "),
        (
            Grammar::json_schema(r#"{"type": "wat"}"#, &vocabulary),
            "the JSON schema cannot be used: ",
        ),
        (
            Grammar::json_schema(r##"{"$ref": "#/none"}"##, &vocabulary),
            "the JSON schema cannot be used: ",
        ),
        (Grammar::json_schema("false", &vocabulary), "the JSON schema cannot be used: "),
        (Grammar::regex("a(", &vocabulary), "the regular expression cannot be used: "),
        (Grammar::regex("(?=a)b", &vocabulary), "the regular expression cannot be used: "),
        (Grammar::lark("", &vocabulary), "the grammar cannot be used: "),
        (Grammar::lark("start: other", &vocabulary), "the grammar cannot be used: "),
    ];
    for (refused, beginning) in refused {
        let message = refused.expect_err(beginning).to_string();
        assert!(message.starts_with(beginning) && message.len() > beginning.len() + 3, "{message}");
        assert!(!message.contains("backtrace") && !message.contains("non-verbose"), "{message}");
    }
}

#[test]
fn a_vocabulary_must_be_able_to_end() {
    let tokens = vec![b"a".to_vec(), b"<eos>".to_vec()];
    let message = |special: &[u32], eos: &[u32]| {
        GrammarVocabulary::new(&tokens, special, eos).expect_err("refused").to_string()
    };
    let head = "the vocabulary cannot be used with a grammar: ";
    assert_eq!(
        message(&[], &[]),
        [head, "it has no EOS token; a text must be able to end"].concat()
    );
    assert_eq!(message(&[2], &[1]), [head, "token 2 is outside the vocabulary of 2"].concat());
    let long = vec![vec![b'a'; 1024], b"<eos>".to_vec()];
    let error = GrammarVocabulary::new(&long, &[], &[1]).expect_err("too long");
    assert_eq!(error.to_string(), [head, "token 0 has 1024 bytes; 1023 is the most"].concat());
}

/// An EOS in the text of the vocabulary is no EOS.
#[test]
fn the_name_of_a_special_token_is_not_the_token() {
    let (_, vocabulary) = vocabulary();
    let grammar = Grammar::regex("<pad>|<eos>", &vocabulary).expect("a pattern");
    assert_eq!(allowed(&grammar), [u32::from(b'<')]);
}

/// A caller may have it worked out while the model computes, and after the last token it is not.
#[test]
fn a_mask_is_worked_out_when_it_is_prepared() {
    let [mut grammar, ..] = grammars();
    grammar.accept(&Accepted { token: u32::from(b'{'), probability: None });
    assert_eq!(grammar.allowed(), Err(StageError::NotPrepared));
    grammar.prepare();
    let prepared = allowed(&grammar);
    assert!(grammar.allowed().is_ok() && prepared.contains(&u32::from(b'"')));
}
