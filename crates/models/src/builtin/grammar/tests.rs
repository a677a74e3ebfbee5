//! What the grammar promises: that its probabilities are the ones it draws by, that what it draws
//! is English, and that what is held out is never drawn.

use std::collections::HashMap;

use super::*;

/// Not the seed of the training corpus.
const SEED: u64 = 0x7e57;

/// A grammar of the test's own.
fn grammar(source: &str) -> Result<Grammar, GrammarError> {
    Ok(Grammar { tables: source::read(&[source])? })
}

fn documents(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|index| Grammar::builtin().document(SEED, index))
}

#[test]
fn probabilities_are_those_of_the_definition() {
    let source = "rule document\n  3x A {pet} and {a} {pet}.\n  1x Nothing{again}\n\
                  rule again\n  !\n  2x ?\nclass pet\n  cat owl*3 ape\n";
    let grammar = grammar(source).unwrap();
    // The unweighted entries weigh 1 and 1/sqrt(3), being first and third.
    let total = 1.0 + 3.0 + 1.0 / 3f64.sqrt();
    let next = grammar.reader_after("A cat and").unwrap().next_words();
    assert_eq!(next[0].text.as_deref(), Some("an"));
    assert!((next[0].probability - (total - 1.0) / total).abs() < 1e-12);
    let expected = 0.75 / total * 3.0 / total;
    assert!((grammar.log_probability("A cat and an owl.").unwrap() - expected.ln()).abs() < 1e-12);
    let expected = 0.25f64 * 2.0 / 3.0;
    assert!((grammar.log_probability("Nothing?").unwrap() - expected.ln()).abs() < 1e-12);
}

#[test]
fn drawn_texts_follow_the_probabilities() {
    // Drawing and reading are two ways through the machine.
    let count = 20_000;
    let mut seen: HashMap<(usize, String), f64> = HashMap::new();
    for text in documents(count) {
        for (place, word) in words::split(&text).into_iter().take(2).enumerate() {
            if place == 0 || text.starts_with("The ") {
                *seen.entry((place, word.to_owned())).or_default() += 1.0;
            }
        }
    }
    let beginnings = [Grammar::builtin().reader(), Grammar::builtin().reader_after("The").unwrap()];
    for (place, reader) in beginnings.iter().enumerate() {
        let total: f64 =
            seen.iter().filter(|((at, _), _)| *at == place).map(|(_, count)| count).sum();
        for NextWord { text, probability } in reader.next_words() {
            let key = (place, text.unwrap());
            let share = seen.get(&key).copied().unwrap_or_default() / total;
            // Five standard deviations and one count.
            let tolerance = 5.0 * (probability * (1.0 - probability) / total).sqrt() + 1.0 / total;
            assert!((share - probability).abs() < tolerance, "{key:?}: {share}, {probability}");
        }
    }
}

#[test]
fn every_document_is_read_back() {
    let grammar = Grammar::builtin();
    for text in documents(150) {
        let mut reader = grammar.reader();
        let mut log_probability = 0.0;
        for word in words::split(&text) {
            let total: f64 = reader.next_words().iter().map(|next| next.probability).sum();
            assert!((total - 1.0).abs() < 1e-9, "{total} after `{}`", reader.text());
            log_probability += reader.read(word).unwrap();
        }
        log_probability += reader.end().unwrap();
        assert_eq!(reader.text(), text);
        assert!((grammar.log_probability(&text).unwrap() - log_probability).abs() < 1e-9);
        for sentence in sentences(&text) {
            grammar.parse_sentence(sentence).unwrap();
        }
    }
}

#[test]
fn articles_and_capitals_agree_with_what_follows() {
    for text in documents(2000) {
        let list = |sentence: &str| sentence.starts_with("a random");
        for sentence in sentences(&text).filter(|sentence| !list(sentence)) {
            let first = sentence.trim_start_matches('"').chars().next().unwrap();
            assert!(first.is_uppercase(), "{sentence}");
        }
        for pair in words::split(&text).windows(2) {
            let vowel = pair[1].starts_with(['a', 'e', 'i', 'o', 'u']) || pair[1] == "honest";
            let agrees = match pair[0].to_lowercase().as_str() {
                "a" => !vowel,
                "an" => vowel,
                _ => true,
            };
            assert!(agrees, "{pair:?}");
        }
    }
}

#[test]
fn a_tale_keeps_its_hero_and_its_find() {
    let grammar = Grammar::builtin();
    let beginning = "Nora was a kind baker who lived alone in an old inn by the grey sea. \
                     One cold morning, Nora found a silver key near the door. The";
    let next = |text: &str| grammar.reader_after(text).unwrap().next_words();
    assert!(next(beginning).iter().any(|word| word.text.as_deref() == Some("key")));
    assert!(!next(beginning).iter().any(|word| word.text.as_deref() == Some("map")));
    let error = grammar.reader_after(&format!("{beginning} map")).unwrap_err();
    assert!(error.to_string().starts_with("the grammar does not write `map` after `Nora was"));
}

#[test]
fn large_and_open_where_it_is_open() {
    let grammar = Grammar::builtin();
    let words = grammar.vocabulary().len();
    let (mut nats, mut open) = (0.0, 0);
    for text in documents(400).filter(|text| text.len() > 400) {
        let mut reader = grammar.reader();
        for word in words::split(&text) {
            let entropy = reader.entropy();
            if entropy > 1e-9 {
                nats += entropy;
                open += 1;
            }
            reader.read(word).unwrap();
        }
    }
    let mean = nats / f64::from(open);
    println!("{words} words; {mean:.3} nats a word over the {open} open places of some tales");
    assert!(words >= 1000, "{words}");
    assert!(mean > 2.0, "{mean}");
}

#[test]
fn held_out_sentences_are_absent_from_training() {
    let grammar = Grammar::builtin();
    let (mut long, mut held_out) = (0, 0);
    for index in 0..3000 {
        for sentence in sentences(&grammar.document(SEED, index)) {
            let words = words::split(sentence).iter().filter(|w| w.len() > 2).count();
            long += usize::from(words >= HELD_OUT_WORDS);
            held_out += usize::from(is_held_out(sentence));
        }
        for sentence in sentences(&grammar.training_document(SEED, index)) {
            assert!(!is_held_out(sentence), "{sentence}");
        }
    }
    let share = held_out as f64 / long as f64;
    assert!((0.015..0.035).contains(&share), "{held_out} of {long}");
    assert!(!is_held_out("The capital of France is Paris."));
}

#[test]
fn a_document_is_its_seed_and_its_number() {
    let grammar = Grammar::builtin();
    assert_eq!(grammar.document(SEED, 3), grammar.document(SEED, 3));
    assert_ne!(grammar.document(SEED, 3), grammar.document(SEED, 4));
    assert_ne!(grammar.document(SEED, 3), grammar.document(SEED + 1, 3));
}

#[test]
fn what_the_grammar_does_not_write() {
    let grammar = Grammar::builtin();
    let message = |text| grammar.log_probability(text).unwrap_err().to_string();
    let expected = "the grammar does not write `London` after `The capital of France is`";
    assert_eq!(message("The capital of France is London."), expected);
    assert_eq!(message("The old"), "the grammar does not end after `The old`");
    let expected = "the words of `The  old` are not set apart by single blanks";
    assert_eq!(message("The  old"), expected);
    assert_eq!(
        grammar.parse_sentence("Colourless ideas sleep.").unwrap_err().to_string(),
        "the grammar has no sentence `Colourless ideas sleep.`"
    );
    assert_eq!(grammar.parse_sentence("The capital of France is Paris.").unwrap(), "capital_fact");
}

#[test]
fn faulty_sources_are_named() {
    let cases = [
        ("  word", "in `  word`: is indented, but no header stands above it"),
        ("rule start\n  x", "in `rule document`: there is no such rule to begin with"),
        ("rule document\n  {pet}", "in `rule document`: `pet` is not defined as a class or a rule"),
        ("rule document\n  {pet", "in `rule document`: a brace is not closed"),
        ("rule document", "in `rule document`: has nothing to choose from"),
        ("rule document\n  x\nrule document\n  y", "in `rule document`: is defined twice"),
        (
            "rule document\n  x\nlist y\n  z",
            "in `list y`: `list` is none of rule, sentence, class, union",
        ),
        ("rule document\n  x\nclass y\n  z*much", "in `class y`: `much` is no weight"),
        (
            "rule document\n  x\nclass y : one two\n  z",
            "in `class y : one two`: the entry [\"z\"] has not 2 fields",
        ),
        ("class p\n  x\nrule document\n  {p.q}", "in `rule document`: no field `q`"),
        (
            "rule document\n  x\nunion y z",
            "in `union y z`: `z` is not defined as a class or a rule",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(grammar(source).unwrap_err().to_string(), expected);
    }
}
