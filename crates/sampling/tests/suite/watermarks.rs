//! Watermarks: the functions of their engines, twins, what is unbiased and what is not, and p-values of
//! texts that are not marked.

use proptest::prelude::*;
use serde_json::Value;
use taper_sampling::reference::{Green, List};
use taper_sampling::watermark::*;
use taper_sampling::*;

use crate::support::{cases, row};

fn key(key: u64) -> WatermarkKey {
    WatermarkKey::new(key)
}

/// Numbers below `bound`, the same on every run.
fn numbers(seed: u64, bound: u64) -> impl FnMut() -> u32 {
    let mut series = Draws::new(DrawKey::new(seed)).series(Purpose::Custom(31));
    let mut next = 0;
    move || {
        next += 1;
        (series.bits(next) % bound) as u32
    }
}

fn history(prompt: &[u32], generated: &[u32]) -> History {
    let mut history = History::new(prompt);
    for &id in generated {
        history.accept(id);
    }
    history
}

/// The origin of the cases is told in `testdata/README.md`.
#[test]
fn uniforms_are_those_of_vllm() {
    let mut seen = 0;
    for line in include_str!("../../testdata/watermark_philox.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect(line);
        let context = case["context"].as_array().expect("a list").iter();
        let context: Vec<u32> = context.map(|id| id.as_i64().expect("an id") as u32).collect();
        let philox = Philox::new(key(case["key"].as_u64().expect("a key")));
        let mut numbers = philox.under(context.into_iter());
        let token = case["token"].as_u64().expect("an id") as u32;
        assert_eq!(u64::from(numbers.bits(token)), case["uint32"].as_u64().expect("bits"));
        let want = case["uniform"].as_f64().expect("a number") as f32;
        assert_eq!(numbers.uniform(token), want);
        seen += 1;
    }
    assert_eq!(seen, 84);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(100)))]

    #[test]
    fn the_selector_agrees_with_its_twin(row in row(), secret: u64, width in 1..6_usize) {
        let text: Vec<u32> = (0..width as u32 + 2).map(|i| i * 7 % row.len() as u32).collect();
        let history = history(&[1], &text);
        let step = Step::new(DrawKey::new(1)).history(&history);
        let marked = GumbelWatermark::new(key(secret), width).unwrap().scope(ContextScope::None);
        let mut workspace = Workspace::new(row.len());
        let got = Pipeline::selecting(marked).select(&row, &step, &mut workspace).unwrap().token;
        let context = text[text.len() - width..].to_vec();
        let noise = |id| Philox::new(key(secret)).under(context.clone().into_iter()).gumbel(id);
        prop_assert_eq!(Some(got), List::new(&row, step_draws()).pick_by_noise(noise));
    }

    #[test]
    fn green_lists_agree_with_their_twin(
        row in row(),
        secret in 0..1_u64 << 63,
        width in 1..4_usize,
        own: bool,
        ratio in 0.05..0.95_f64,
    ) {
        let scheme = if own { SeedingScheme::SelfHash } else { SeedingScheme::LeftHash };
        // The twin permutes a million entries for each candidate.
        prop_assume!(!own || row.len() < 60 && secret % 20 == 0);
        let text = [3, 1, 4, 1].map(|id| id % row.len() as u32);
        let history = history(&text[..2], &text[2..]);
        let green = GreenList::new(key(secret), ratio, 1.5).unwrap();
        let green = green.context_width(width).unwrap().scheme(scheme);
        let pipeline = Pipeline::greedy().then(green);
        let mut workspace = Workspace::new(row.len());
        let step = Step::new(DrawKey::new(1)).history(&history);
        let left = pipeline.process(&row, &step, &mut workspace).unwrap();
        let mut twin = List::new(&row, step_draws());
        let green = Green { key: secret, ratio, bias: 1.5, scheme, width };
        twin.green_list(green, &text, row.len());
        for entry in twin.entries() {
            prop_assert_eq!(left.get(entry.id), Some(entry.score), "token {}", entry.id);
        }
    }

    #[test]
    fn tournaments_agree_with_their_twin(
        row in prop::collection::vec(-9.0..9.0_f32, 1..40),
        secrets in prop::collection::vec(0..1_000_u64, 1..12),
        ngram_len in 2..5_usize,
        top_k in 1..40_usize,
    ) {
        let keys: Vec<_> = secrets.iter().copied().map(key).collect();
        let text: Vec<u32> = (0..5).map(|i| i * 3 % row.len() as u32).collect();
        let history = history(&[0], &text);
        let stage = SynthId::new(&keys, ngram_len).unwrap().context_history_size(0);
        let pipeline = Pipeline::draw().then(TopK::new(top_k).unwrap()).then(stage);
        let mut workspace = Workspace::new(row.len());
        let step = Step::new(DrawKey::new(1)).history(&history);
        let left = pipeline.process(&row, &step, &mut workspace).unwrap();
        let detector = SynthIdDetector::new(&keys, ngram_len).unwrap();
        let mut twin = List::new(&row, step_draws());
        twin.keep_top(top_k, TiePolicy::LowestId);
        twin.synth_id(keys.len(), |id, round| {
            let mut ngram = text[text.len() + 1 - ngram_len..].to_vec();
            ngram.push(id);
            detector.g_values(&ngram).unwrap()[0][round]
        });
        for entry in twin.entries() {
            let got = left.get(entry.id).expect("listed");
            // What a winner of every round leaves over may cancel to nothing.
            if entry.score > -25.0 {
                prop_assert!((got - entry.score).abs() < 1e-4, "{got} {}", entry.score);
            }
        }
    }
}

fn step_draws() -> Draws {
    Draws::new(DrawKey::new(1))
}

/// Where a context came before, the token depends on the seed.
#[test]
fn a_context_is_marked_once_in_its_scope() {
    use ContextScope::{All, None, SingleTurn};
    // Whether the step after this text is marked: then two seeds agree on all of 40 rows.
    let marked = |scope, max_history, prompt: &[u32], generated: &[u32]| {
        let history = history(prompt, generated);
        let mark = GumbelWatermark::new(key(9), 2).unwrap().scope(scope).max_history(max_history);
        let pipeline = Pipeline::selecting(mark);
        let mut workspace = Workspace::new(40);
        let mut token = |seed, shift: usize| {
            let row: Vec<f32> = (0..40).map(|i| ((i + shift) % 3) as f32).collect();
            let step = Step::new(DrawKey::new(seed)).history(&history);
            pipeline.select(&row, &step, &mut workspace).unwrap().token
        };
        (0..40).all(|shift| token(1, shift) == token(2, shift))
    };
    assert!(marked(SingleTurn, 0, &[], &[]), "the empty context is one too");
    assert!(marked(SingleTurn, 0, &[5, 6], &[7, 8]));
    assert!(!marked(SingleTurn, 0, &[], &[5, 6, 1, 5, 6]));
    assert!(marked(None, 0, &[], &[5, 6, 1, 5, 6]));
    assert!(marked(SingleTurn, 0, &[5, 6, 1], &[5, 6]), "the prompt is not searched");
    assert!(!marked(All, 0, &[5, 6, 1], &[5, 6]));
    assert!(!marked(All, 0, &[5, 6, 1], &[7]), "the context is not full");
    assert!(marked(All, 0, &[5, 6, 1], &[7, 8]));
    assert!(!marked(SingleTurn, 3, &[], &[5, 6, 1, 5, 6]), "[5, 6] stands before the third last");
    assert!(marked(SingleTurn, 2, &[], &[5, 6, 1, 5, 6]));
    assert!(!marked(SingleTurn, 0, &[], &[4, 4, 4]));
}

type OfKey = fn(u64) -> Pipeline;

/// Over keys each scheme that claims it draws from the distribution; the critical values have a chance
/// of 10⁻⁶ each.
#[test]
#[cfg_attr(debug_assertions, ignore = "slow where nothing is optimised: `cargo test --release`")]
fn over_keys_draws_follow_the_distribution() {
    let odds = [0.4_f64, 0.25, 0.2, 0.1, 0.05];
    let row = odds.map(|p| p.ln() as f32);
    let trials = 40_000;
    let history = history(&[], &[3, 1, 4]);
    let pipelines: [(&str, OfKey); 3] = [
        ("gumbel", |secret| Pipeline::selecting(GumbelWatermark::new(key(secret), 2).unwrap())),
        ("dual key", |secret| {
            Pipeline::selecting(DualKeyGumbel::new(key(secret), 2, 0.3).unwrap())
        }),
        ("synth id", |secret| {
            let keys: Vec<_> = (0..6).map(|i| key((secret * 6 + i) * 7919)).collect();
            let stage = SynthId::new(&keys, 3).unwrap().sampling_table(1 << 10, secret).unwrap();
            Pipeline::draw().then(stage)
        }),
    ];
    for (name, pipeline) in pipelines {
        let mut workspace = Workspace::new(row.len());
        let mut counts = [0_u32; 5];
        for secret in 0..trials {
            let step = Step::new(DrawKey::new(secret)).history(&history);
            let chosen = pipeline(secret).select(&row, &step, &mut workspace).unwrap();
            counts[chosen.token as usize] += 1;
        }
        let term = |(&count, p): (&u32, f64)| {
            let expected = p * trials as f64;
            (f64::from(count) - expected).powi(2) / expected
        };
        let statistic: f64 = counts.iter().zip(odds).map(term).sum();
        assert!(statistic < 33.38, "{name}: chi-squared {statistic} of 4 degrees: {counts:?}");
    }
}

type Exactly = fn(u64, &[u32]) -> f64;

/// Exact p-values of texts that are not marked, each under a key of its own: under one key all texts
/// share its green tokens, which are a little more or less than their share. The empirical distribution
/// may rise above the diagonal, by the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart, and the
/// mean leave a half, each by as much as it does by a chance of about 10⁻⁶.
#[test]
#[cfg_attr(debug_assertions, ignore = "slow where nothing is optimised: `cargo test --release`")]
fn p_values_of_unmarked_texts_are_uniform() {
    let texts: u64 = 1_000;
    let most = (1e6_f64.ln() / (2.0 * texts as f64)).sqrt();
    let far = 4.9 / (12.0 * texts as f64).sqrt();
    let detectors: [(&str, Exactly); 5] = [
        ("gumbel", |secret, text| {
            GumbelDetector::new(key(secret), 4).unwrap().detect(text).exact.p_value
        }),
        ("dual key", |secret, text| {
            let detector = DualKeyGumbelDetector::new(key(secret), 4, 0.1).unwrap();
            detector.detect(text).exact.p_value
        }),
        ("lefthash", |secret, text| {
            let detector = GreenListDetector::new(key(secret), 0.25, 300).unwrap();
            detector.detect(text).unwrap().exact.p_value
        }),
        ("selfhash", |secret, text| {
            let detector = GreenListDetector::new(key(secret), 0.25, 300).unwrap();
            let detector = detector.scheme(SeedingScheme::SelfHash).context_width(3).unwrap();
            detector.detect(text).unwrap().exact.p_value
        }),
        ("synth id", |secret, text| {
            let keys: Vec<_> = (1..10).map(|i| key(secret * i % 1_000_000_007)).collect();
            let detector = SynthIdDetector::new(&keys, 5).unwrap();
            let detector = detector.sampling_table(1 << 12, 3).unwrap();
            detector.detect(text).unwrap().exact.p_value
        }),
    ];
    for (name, detect) in detectors {
        let p_value = |seed: u64| {
            let mut next = numbers(seed, 300);
            // A third of it again, so that contexts repeat.
            let mut text: Vec<u32> = (0..120).map(|_| next()).collect();
            text.extend_from_within(20..60);
            detect(15_485_863 + seed * 104_729, &text)
        };
        let mut all: Vec<f64> = (0..texts).map(p_value).collect();
        all.sort_by(f64::total_cmp);
        let above = |(i, p): (usize, &f64)| (i + 1) as f64 / texts as f64 - p;
        let risen = all.iter().enumerate().map(above).fold(0.0, f64::max);
        assert!(risen < most, "{name}: {risen} above the diagonal");
        let mean = all.iter().sum::<f64>() / texts as f64;
        // Counts come in steps, so that a p-value is a little more than a half on average.
        assert!((0.5 - far..0.53 + far).contains(&mean), "{name}: the mean is {mean}");
    }
}

/// What the engines' approximations do with a text in a loop, and what the exact p-values do.
#[test]
fn a_loop_is_no_evidence() {
    let mut fooled = 0;
    for secret in 0..20 {
        let mut next = numbers(secret, 300);
        let phrase: Vec<u32> = (0..12).map(|_| next()).collect();
        let text = phrase.repeat(20);
        let detector = GumbelDetector::new(key(secret), 2).unwrap().deduplicated(false);
        let found = detector.detect(&text);
        fooled += u32::from(found.p_value < 1e-3);
        assert!(found.exact.p_value > 1e-4, "{found:?}");
        assert!(found.exact.scored < 20);
    }
    assert!(fooled >= 4, "{fooled}");
}

#[test]
fn marked_texts_are_found_and_others_are_not() {
    let row = [0.0_f32; 64];
    let keys = [5, 6, 7, 8, 9, 10, 11].map(key);
    let green = GreenList::new(key(5), 0.5, 4.0).unwrap();
    let text = |pipeline: Pipeline| {
        let mut sampler = Sampler::new(pipeline, row.len()).seed(3).prompt(&[1, 2]);
        (0..80).for_each(|_| {
            sampler.next(&row).unwrap();
        });
        sampler.history().generated().to_vec()
    };
    let texts = [
        text(Pipeline::selecting(GumbelWatermark::new(key(5), 3).unwrap())),
        text(Pipeline::selecting(DualKeyGumbel::new(key(5), 3, 0.1).unwrap())),
        text(Pipeline::draw().then(green)),
        text(Pipeline::draw().then(SynthId::new(&keys, 4).unwrap())),
        text(Pipeline::draw()),
    ];
    let green = GreenListDetector::new(key(5), 0.5, row.len()).unwrap();
    for (made_by, text) in texts.iter().enumerate() {
        let found = [
            GumbelDetector::new(key(5), 3).unwrap().detect(text).exact.p_value,
            DualKeyGumbelDetector::new(key(5), 3, 0.1).unwrap().detect(text).exact.p_value,
            green.detect(text).unwrap().exact.p_value,
            SynthIdDetector::new(&keys, 4).unwrap().detect(text).unwrap().exact.p_value,
        ];
        for (scheme, p_value) in found.into_iter().enumerate() {
            let is_found = p_value < 1e-4;
            assert_eq!(is_found, scheme == made_by, "{scheme} in a text of {made_by}: {p_value}");
        }
    }
}

#[test]
fn marks_after_cuts_are_where_they_belong() {
    let mark = SynthId::new(&[key(1)], 5).unwrap();
    let green = GreenList::new(key(1), 0.5, 1.0).unwrap();
    let pipeline = Pipeline::draw().then(TopK::new(5).unwrap()).then(mark).then(green);
    assert_eq!(pipeline.lints(), []);
}

#[test]
fn a_key_is_never_shown() {
    let secret = 981_237_465_u64;
    let keys = [key(secret), key(7)];
    let pipelines = [
        Pipeline::selecting(GumbelWatermark::new(key(secret), 4).unwrap()),
        Pipeline::selecting(DualKeyGumbel::new(key(secret), 4, 0.25).unwrap()),
        Pipeline::draw().then(GreenList::new(key(secret), 0.25, 2.0).unwrap()),
        Pipeline::draw().then(SynthId::new(&keys, 5).unwrap()),
    ];
    for pipeline in &pipelines {
        let json = pipeline.to_json().expect("data");
        let shown = [json.clone(), format!("{pipeline:?}"), pipeline.to_string()];
        for shown in shown {
            assert!(!shown.contains(&secret.to_string()), "{shown}");
        }
        assert_ne!(pipeline, &Pipeline::from_json("[]").unwrap());
        let refused = Pipeline::from_json(&json).unwrap_err().to_string();
        assert!(refused.contains("key") && refused.contains("missing"), "{refused}");
    }
    let with_key =
        format!(r#"[{{"select": "gumbel_watermark", "key": {secret}, "context_width": 4}}]"#);
    let read = Pipeline::from_json(&with_key).unwrap();
    assert_eq!(read.to_json(), pipelines[0].to_json());
    assert_ne!(read, pipelines[0], "keys are not told, so two pipelines may differ");
    let wrong = with_key.replace(&secret.to_string(), "-981237465");
    let refused = Pipeline::from_json(&wrong).unwrap_err().to_string();
    assert!(!refused.contains("981237465"), "{refused}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let told = |refused: SettingError| refused.to_string();
    let large = key(1 << 63);
    let cases = [
        (
            told(GumbelWatermark::new(key(1), 0).unwrap_err()),
            "context_width is 0; it must be at least 1",
        ),
        (
            told(DualKeyGumbel::new(key(1), 4, 1.5).unwrap_err()),
            "alpha is 1.5; it must be in 0..=1",
        ),
        (
            told(GreenList::new(key(1), 1.0, 2.0).unwrap_err()),
            "greenlist_ratio is 1; it must be above 0 and below 1",
        ),
        (
            told(GreenList::new(key(1), f64::NAN, 2.0).unwrap_err()),
            "greenlist_ratio is NaN; it must be above 0 and below 1",
        ),
        (
            told(GreenList::new(key(1), 0.5, f64::INFINITY).unwrap_err()),
            "bias is inf; it must be finite",
        ),
        (
            told(GreenList::new(large, 0.5, 2.0).unwrap_err()),
            "hashing_key is hidden; it must be in 0..2^63",
        ),
        (told(SynthId::new(&[], 5).unwrap_err()), "keys is empty; it must be at least one key"),
        (told(SynthId::new(&[large], 5).unwrap_err()), "keys is hidden; it must be in 0..2^63"),
        (
            told(SynthId::new(&[key(1)], 1).unwrap_err()),
            "ngram_len is 1; it must be at least 2 (a token and one before it)",
        ),
        (
            told(SynthId::new(&[key(1)], 2).unwrap().sampling_table(0, 0).unwrap_err()),
            "sampling_table_size is 0; it must be in 1..=2^24",
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
    let detector = GreenListDetector::new(key(1), 0.5, 10).unwrap();
    let refused = detector.detect(&[3]).unwrap_err().to_string();
    assert_eq!(refused, "the text has 1 tokens; at least 2 are needed to score one");
    let refused = detector.detect(&[3, 10]).unwrap_err().to_string();
    assert_eq!(refused, "the text has token 10; the vocabulary has 10");
}
