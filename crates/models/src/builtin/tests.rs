//! The builtin model against the grammar that it learned: every number of `docs/builtin-card.md`.
//!
//! `cargo test -p taper-models --lib builtin -- --nocapture` prints them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokenizers::Tokenizer;

use super::files;
use super::grammar::{Grammar, NextWord, Reader, is_held_out, sentences};
use crate::{LanguageModel, LoadOptions, Outputs, Want, Work, load_builtin};

/// Not the seed of the training corpus.
const SEED: u64 = 0x7e57;
/// Documents that two hundred sentences are taken from.
const DOCUMENTS: usize = 100;

struct Builtin {
    model: Box<dyn LanguageModel>,
    tokenizer: Tokenizer,
    eos: u32,
}

impl Builtin {
    fn load() -> Self {
        let loaded = load_builtin(&LoadOptions::default()).unwrap();
        let tokenizer = loaded.tokenizer.unwrap();
        let eos = tokenizer.token_to_id("</s>").unwrap();
        assert_eq!(loaded.config["eos_token_id"], eos);
        Self { model: loaded.model, tokenizer, eos }
    }

    fn encode(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, true).unwrap().get_ids().to_vec()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, true).unwrap()
    }

    /// Log-probabilities of the next token after each of `ids`, one row of the vocabulary each.
    fn log_probabilities(&self, ids: &[u32], want: Want) -> Vec<Vec<f64>> {
        let mut state = self.model.new_state();
        let work = [Work { row: state.new_row(), tokens: ids, want }];
        let mut outputs = Outputs::new();
        self.model.forward(state.as_mut(), &work, &mut outputs).unwrap();
        let rows = outputs.logits(0).chunks(self.model.vocab_size());
        rows.map(|logits| log_softmax(logits, 1.0)).collect()
    }

    /// The distribution after a prompt.
    fn after(&self, prompt: &str) -> Vec<f64> {
        let rows = self.log_probabilities(&self.encode(prompt), Want::Last);
        rows[0].iter().map(|log_probability| log_probability.exp()).collect()
    }

    /// Continues `count` copies of `prompt` side by side, choosing with `choose`, to the end of the
    /// document or to `limit` tokens.
    fn generate(
        &self,
        prompt: &str,
        count: usize,
        limit: usize,
        mut choose: impl FnMut(&[f32]) -> u32,
    ) -> Vec<String> {
        let mut state = self.model.new_state();
        let mut texts = vec![self.encode(prompt); count];
        let mut running: Vec<_> = texts.iter().map(|ids| (state.new_row(), ids.clone())).collect();
        let mut outputs = Outputs::new();
        let mut order: Vec<usize> = (0..count).collect();
        for _ in 0..limit {
            let work: Vec<Work<'_>> = (running.iter())
                .map(|(row, tokens)| Work { row: *row, tokens, want: Want::Last })
                .collect();
            self.model.forward(state.as_mut(), &work, &mut outputs).unwrap();
            let chosen: Vec<u32> = (0..work.len()).map(|i| choose(outputs.last(i))).collect();
            for ((text, (_, tokens)), token) in order.iter().zip(&mut running).zip(&chosen) {
                texts[*text].push(*token);
                *tokens = vec![*token];
            }
            let mut goes_on = chosen.iter().map(|token| *token != self.eos);
            order.retain(|_| goes_on.next().unwrap());
            running.retain(|(_, tokens)| tokens[0] != self.eos);
            if running.is_empty() {
                break;
            }
        }
        texts.iter().map(|ids| self.decode(ids)).collect()
    }

    fn greedy(&self, prompt: &str, limit: usize) -> String {
        let argmax = |logits: &[f32]| {
            let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            best.unwrap() as u32
        };
        self.generate(prompt, 1, limit, argmax).remove(0)
    }

    /// Documents drawn at `temperature`.
    fn draw(&self, count: usize, temperature: f64, seed: u64) -> Vec<String> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        self.generate("", count, self.model.context_length() - 1, |logits| {
            let mut left = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            let probabilities = log_softmax(logits, temperature).into_iter().map(f64::exp);
            let drawn = probabilities.enumerate().find(|(_, probability)| {
                left -= probability;
                left < 0.0
            });
            drawn.map_or(logits.len() - 1, |(token, _)| token) as u32
        })
    }

    /// The token of a word that does not begin a line.
    fn token(&self, word: &NextWord) -> usize {
        let text = word.text.as_ref().expect("the document goes on");
        let ids = self.tokenizer.encode(format!(" {text}"), false).unwrap();
        assert_eq!(ids.len(), 1, "{text}");
        ids.get_ids()[0] as usize
    }
}

fn log_softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let scaled = || logits.iter().map(|logit| f64::from(*logit) / temperature);
    let max = scaled().fold(f64::NEG_INFINITY, f64::max);
    let normaliser = max + scaled().map(|logit| (logit - max).exp()).sum::<f64>().ln();
    scaled().map(|logit| logit - normaliser).collect()
}

fn entropy(probabilities: &[f64]) -> f64 {
    probabilities.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
}

/// The probability of the likeliest token, with its text.
fn likeliest(builtin: &Builtin, prompt: &str) -> (String, f64) {
    let after = builtin.after(prompt);
    let best = (0..after.len()).max_by(|a, b| after[*a].total_cmp(&after[*b])).unwrap();
    (builtin.decode(&[best as u32]), after[best])
}

#[test]
fn small_enough_to_embed() {
    let (config, weights, tokenizer) = files();
    let bytes = config.len() + weights.len() + tokenizer.len();
    println!("{} bytes of weights, {} of tokenizer", weights.len(), tokenizer.len());
    assert!(bytes <= 4_000_000, "{bytes}");
    assert!(tokenizer.len() <= 150_000, "{}", tokenizer.len());
}

#[test]
fn any_text_survives_the_tokenizer() {
    let builtin = Builtin::load();
    let texts = [
        "The old lighthouse",
        "a random Roman general: Julius Caesar.\n",
        "  two  blanks, a tab\t and\r\n\nbreaks ",
        "Zoë's naïve café — 東京, 🦀 and \u{0} <s>x",
        "",
    ];
    for text in texts {
        let ids = builtin.tokenizer.encode(text, false).unwrap();
        // A special token written out is the one thing a reader may wish to keep or drop.
        let again = builtin.tokenizer.decode(ids.get_ids(), false).unwrap();
        assert_eq!(again, text);
        let bos = builtin.tokenizer.token_to_id("<s>").unwrap();
        assert_eq!(builtin.encode(text)[..], [&[bos], ids.get_ids()].concat());
    }
}

#[test]
fn a_word_of_the_grammar_is_one_token() {
    let builtin = Builtin::load();
    let grammar = Grammar::builtin();
    for document in (0..300).map(|index| grammar.document(SEED, index)) {
        let mut reader = grammar.reader();
        for id in builtin.tokenizer.encode(document.as_str(), false).unwrap().get_ids() {
            reader.read(builtin.decode(&[*id]).trim_start_matches(' ')).unwrap();
        }
        reader.end().unwrap();
        assert_eq!(reader.text(), document);
    }
}

#[test]
fn sampled_sentences_obey_the_grammar() {
    let builtin = Builtin::load();
    let grammar = Grammar::builtin();
    let documents = builtin.draw(DOCUMENTS, 0.7, SEED);
    let drawn: Vec<&str> = documents.iter().flat_map(|text| sentences(text)).take(200).collect();
    assert_eq!(drawn.len(), 200);
    let faulty = drawn.iter().filter_map(|sentence| grammar.parse_sentence(sentence).err());
    let faulty: Vec<_> = faulty.inspect(|error| println!("{error}")).collect();
    let whole = documents.iter().filter(|text| grammar.log_probability(text).is_ok()).count();
    println!("{} of 200 sentences and {whole} of {DOCUMENTS} documents parse", 200 - faulty.len());
    assert!(faulty.len() <= 10, "{} of 200 sentences do not parse", faulty.len());
}

/// Reads `document` and sums, over its held-out sentences: tokens, the grammar's log-probability,
/// and the model's, of the same words after the same beginning.
fn held_out_sums(builtin: &Builtin, mut reader: Reader<'_>, document: &str) -> (usize, f64, f64) {
    let ids = builtin.encode(document);
    let rows = builtin.log_probabilities(&ids, Want::All);
    let (mut end, mut sums) = (0, (0, 0.0, 0.0));
    for sentence in sentences(document) {
        let start = end;
        end += document[start..].find(sentence).unwrap() + sentence.len();
        let truth = reader.read_text(&document[start..end]).unwrap();
        if is_held_out(sentence) {
            // Sentences begin and end between words, so the beginning has the same tokens alone.
            let [from, to] = [start, end].map(|at| builtin.encode(&document[..at]).len());
            let guesses = (from..to).map(|at| rows[at - 1][ids[at] as usize]);
            sums = (sums.0 + to - from, sums.1 + truth, sums.2 + guesses.sum::<f64>());
        }
    }
    sums
}

#[test]
fn held_out_perplexity_is_near_the_truth() {
    let builtin = Builtin::load();
    let grammar = Grammar::builtin();
    let (mut tokens, mut truth, mut guess) = (0, 0.0, 0.0);
    for document in (0..1500).map(|index| grammar.document(SEED, index)) {
        if !sentences(&document).any(is_held_out) {
            continue;
        }
        let sums = held_out_sums(&builtin, grammar.reader(), &document);
        tokens += sums.0;
        truth -= sums.1;
        guess -= sums.2;
    }
    let [truth, guess] = [truth, guess].map(|nats| nats / tokens as f64);
    let ratio = (guess - truth).exp();
    println!(
        "{tokens} tokens held out: grammar {truth:.4} nats, model {guess:.4}, ratio {ratio:.4}"
    );
    assert!(tokens > 1000);
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
}

#[test]
fn sharp_where_the_grammar_is_sharp() {
    let builtin = Builtin::load();
    let prompts = [
        ("The capital of France is", " Paris"),
        ("The capital of Japan is", " Tokyo"),
        ("The opposite of hot is", " cold"),
        ("The day after Monday is", " Tuesday"),
        ("Two and three make", " five"),
    ];
    for (prompt, answer) in prompts {
        let (text, probability) = likeliest(&builtin, prompt);
        println!("{prompt}:{text} {probability:.4}");
        assert_eq!(text, answer, "after `{prompt}`");
        assert!(probability > 0.9, "{probability} after `{prompt}`");
    }
}

#[test]
fn flat_where_the_grammar_is_flat() {
    let builtin = Builtin::load();
    for prompt in ["a random Roman general:", "a random tree:", "The", "One", "The old"] {
        let reader = Grammar::builtin().reader_after(prompt).unwrap();
        let after = builtin.after(prompt);
        let part = |word: &NextWord| {
            word.probability * (word.probability / after[builtin.token(word)]).ln()
        };
        let divergence: f64 = reader.next_words().iter().map(part).sum();
        let (truth, guess) = (reader.entropy(), entropy(&after));
        println!("{prompt} grammar {truth:.3} nats, model {guess:.3}, divergence {divergence:.3}");
        assert!((guess - truth).abs() < 0.2, "{truth} and {guess} nats after `{prompt}`");
        assert!(divergence < 0.1, "{divergence} nats after `{prompt}`");
    }
}

#[test]
fn greedy_decoding_loops_where_a_round_invites_another() {
    let builtin = Builtin::load();
    let rounds = [
        ("The wheel of the mill went round", " and round", 60),
        ("The clock near the door said tick", " and tock and tick", 40),
        ("The cold rain fell on the roof.", " And the rain fell on the roof.", 20),
    ];
    for (prompt, round, times) in rounds {
        let text = builtin.greedy(prompt, 200);
        let looped = text.matches(round).count();
        println!("{prompt} … {looped} times `{round}`");
        assert!(looped >= times, "{looped} times `{round}` in `{text}`");
    }
    // A tale has somewhere to go, greedy or not.
    let tale = builtin.greedy("The old lighthouse", 300);
    println!("{tale}");
    Grammar::builtin().log_probability(&tale).unwrap();
}
