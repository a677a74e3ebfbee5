//! The specs that come with the program, and what each is there to show.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use taper_runner::experiment::{
    Plan, Record, Records, Row, Shipped, Spec, Summary, SweepOptions, sweep,
};
use taper_runner::models::{LoadOptions, load_builtin};

/// Runs a spec of the program on the model of the program, without what only a reader looks at.
fn lesson(name: &str) -> (Summary, Vec<Record>) {
    let mut spec = Spec::parse(Shipped::find(name).unwrap().text).unwrap();
    (spec.trace, spec.top_logprobs) = (false, 0);
    run(&spec)
}

/// The same as the program does it.
fn lesson_in_full(name: &str) -> (Summary, Vec<Record>) {
    run(&Spec::parse(Shipped::find(name).unwrap().text).unwrap())
}

fn run(spec: &Spec) -> (Summary, Vec<Record>) {
    let model = load_builtin(&LoadOptions::default()).unwrap();
    let plan = Plan::new(spec, &model, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let swept =
        sweep(&plan, &dir, SweepOptions::default(), &stop, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((swept.made, swept.missing, swept.failed), (spec.count(), 0, 0));
    (Summary::read(&dir).unwrap(), Records::read(&dir).unwrap().records)
}

fn rows(summary: &Summary) -> Vec<&Row> {
    let all = summary.rows.iter().filter(|row| row.prompt.is_none());
    all.filter(|row| !summary.manifest.settings[row.setting].control).collect()
}

fn metric(row: &Row, name: &str) -> f64 {
    row.metric(name).unwrap().mean
}

/// Whether numbers never go down by more than noise, and go up in all.
fn rises(numbers: &[f64], noise: f64) -> bool {
    numbers.windows(2).all(|pair| pair[1] >= pair[0] - noise) && numbers.last() > numbers.first()
}

#[test]
fn greedy_has_no_seed_and_sampling_has() {
    let (summary, records) = lesson("greedy_vs_sampling");
    let (greedy, sampling) = (summary.row("greedy").unwrap(), summary.row("sampling").unwrap());
    assert_eq!((greedy.runs, greedy.unique), (20, 2));
    assert!(sampling.unique >= 18, "{}", sampling.unique);
    assert_eq!(greedy.jaccard_within.unwrap().min, 1.0);
    assert!(sampling.jaccard_within.unwrap().mean < 0.5);
    assert!(metric(sampling, "nll") > metric(greedy, "nll"));
    let best = |record: &Record| record.steps.iter().all(|step| step.rank == Some(1));
    assert!(records.iter().filter(|record| record.label == "greedy").all(best));
}

#[test]
fn variety_grows_with_the_temperature() {
    let (summary, _) = lesson("temperature");
    let rows = rows(&summary);
    let of = |name: &str| rows.iter().map(|row| metric(row, name)).collect::<Vec<_>>();
    assert!(rises(&of("nll"), 0.0), "{:?}", of("nll"));
    let unique: Vec<f64> = rows.iter().map(|row| row.unique as f64).collect();
    assert!(rises(&unique, 2.0), "{unique:?}");
    let alike: Vec<f64> = rows.iter().map(|row| -row.jaccard_within.unwrap().mean).collect();
    assert!(rises(&alike, 0.02), "{alike:?}");
    // Colder is nearer to greedy.
    let near = |row: &&Row| {
        let pairs = summary.between.iter();
        -pairs.filter(|pair| pair.settings == (0, row.setting)).map(|p| p.jaccard.mean).sum::<f64>()
    };
    let near: Vec<f64> = rows.iter().map(near).collect();
    assert!(rises(&near, 0.02), "{near:?}");
}

#[test]
fn top_k_of_one_is_not_greedy_where_logits_tie() {
    let (summary, records) = lesson_in_full("top_k");
    let row = |dtype: &str, k: usize| {
        let label = format!("logits_dtype={dtype} top_k={k}");
        summary.row(&label).unwrap_or_else(|| panic!("no setting {label}"))
    };
    for k in 1..=5 {
        assert_eq!(row("f32", k).kept, Some((k, k)));
    }
    assert_eq!(row("f32", 1).unique, 3);
    assert!(row("bf16", 1).kept.unwrap().1 > 1);
    assert!(row("bf16", 1).unique > 3);
    let tied = |record: &&Record| record.label == "logits_dtype=bf16 top_k=1";
    let kept = records.iter().filter(tied).flat_map(|record| &record.steps);
    let ties = |step: &taper_runner::experiment::StepRecord| {
        let cut = step.stages.iter().find(|stage| stage.stage == "top_k").unwrap();
        (step.kept.unwrap() > 1) == (cut.ties > 0)
    };
    assert!(kept.clone().all(ties));
    assert!(kept.clone().any(|step| step.rank.unwrap() > 1));
}

#[test]
fn a_small_top_p_leaves_nuclei_of_one() {
    let (summary, records) = lesson("top_p");
    let rows = rows(&summary);
    assert_eq!((rows[0].kept, rows[0].unique), (Some((1, 1)), 2));
    let kept: Vec<f64> = rows.iter().map(|row| metric(row, "kept")).collect();
    assert!(rises(&kept, 0.0), "{kept:?}");
    let greedy =
        |prompt: usize| records.iter().find(|r| r.control && r.id.prompt == prompt).unwrap();
    let smallest = records.iter().filter(|record| record.label == "top_p=0.01");
    smallest.for_each(|record| assert_eq!(record.tokens, greedy(record.id.prompt).tokens));
    // The same p keeps one token where the model is sure and many where it is not.
    let (least, most) = rows.last().unwrap().kept.unwrap();
    assert!(least == 1 && most > 10, "{least} to {most}");
}

#[test]
fn variety_shrinks_with_min_p() {
    let (summary, _) = lesson("min_p");
    let rows = rows(&summary);
    let fewer = |of: &dyn Fn(&Row) -> f64| rows.iter().map(|row| -of(row)).collect::<Vec<_>>();
    assert!(rises(&fewer(&|row| metric(row, "kept")), 0.0));
    assert!(rises(&fewer(&|row| metric(row, "nll")), 0.05));
    let unique = fewer(&|row| row.unique as f64);
    assert!(rises(&unique, 1.0), "{unique:?}");
    // Of 1: as likely as the best.
    assert_eq!(rows.last().unwrap().unique, 2);
}

#[test]
fn limits_cut_off_and_floors_hold_back_the_end() {
    let (summary, records) = lesson("min_max_new_tokens");
    let reasons = |label: &str| &summary.row(label).unwrap().finish_reasons;
    let lengths = |label: &str| {
        let of = records.iter().filter(|record| record.label == label);
        let lengths: Vec<usize> = of.map(|record| record.tokens.len()).collect();
        (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap())
    };
    assert_eq!(lengths("just 20"), (20, 20));
    assert!(lengths("at most 4").1 <= 4 && lengths("at most 60").1 <= 60);
    assert!(reasons("at most 60").contains_key("eos"), "{:?}", reasons("at most 60"));
    assert!(lengths("at most 60").0 < 40);
    let (least, most) = lengths("40 to 60");
    assert!(least > 40 && most <= 60, "{least} to {most}");
}

#[test]
fn structure_and_not_wording_moves_the_entropy() {
    let (summary, _) = lesson("haiku_prompts");
    let of = |structure: &str| -> Vec<f64> {
        let prompts = &summary.manifest.prompts;
        let named =
            |row: &&Row| row.prompt.is_some_and(|at| prompts[at].name.starts_with(structure));
        summary.rows.iter().filter(named).map(|row| metric(row, "entropy")).collect()
    };
    let structures = [of("rhyme"), of("list"), of("open")];
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let means = structures.each_ref().map(|of| mean(of));
    let between = means.iter().map(|m| (m - mean(&means)).powi(2)).sum::<f64>() / 3.0;
    let within = structures.iter().zip(means);
    let within = within.map(|(of, m)| of.iter().map(|x| (x - m).powi(2)).sum::<f64>() / 3.0);
    let within = within.sum::<f64>() / 3.0;
    assert!(between > 2.0 * within, "between {between}, within {within}: {structures:?}");
}

#[test]
fn redraws_come_as_often_as_the_selector_says() {
    let (_, records) = lesson_in_full("per_token_probabilities");
    let (mut steps, mut chi) = (0, 0.0);
    for step in records.iter().flat_map(|record| &record.steps) {
        assert_eq!(step.redraws.iter().map(|redraw| redraw.count).sum::<usize>(), 1000);
        assert_eq!(step.top.len(), 5);
        // Nothing is cut, so that what the selector saw is the model's own distribution.
        assert!((step.logprob.unwrap().exp() - step.probability.unwrap()).abs() < 1e-6);
        for top in &step.top {
            let p = top.logprob.exp();
            let found = step.redraws.iter().find(|redraw| redraw.token == top.token);
            let count = found.map_or(0, |redraw| redraw.count) as f64;
            let deviation = (1000.0 * p * (1.0 - p)).sqrt();
            if deviation > 2.0 {
                steps += 1;
                chi += ((count - 1000.0 * p) / deviation).powi(2);
            }
        }
    }
    // The seeds are fixed: this holds or does not hold for ever.
    let mean = chi / f64::from(steps);
    assert!(steps > 20 && (0.5..1.6).contains(&mean), "{mean} over {steps} tokens");
}

#[test]
fn beams_find_likelier_texts_and_the_penalty_sets_their_length() {
    let (summary, records) = lesson("beams");
    let total = |record: &Record| record.steps.iter().filter_map(|step| step.logprob).sum::<f64>();
    let ended = records.iter().filter(|record| record.prompt == "Many bees make a");
    for record in ended.filter(|r| r.knobs.get("length_penalty") == Some(&0.0.into())) {
        let greedy = records.iter().find(|r| r.control && r.id.prompt == record.id.prompt).unwrap();
        // Without a penalty the score is the probability of the whole text.
        assert!((record.score.unwrap() - total(record)).abs() < 1e-3);
        assert!(total(record) > total(greedy) + 1.0, "{}: {}", record.label, record.text);
    }
    let length = |penalty: &str| {
        let of = rows(&summary).into_iter();
        let of = of.filter(|row| summary.manifest.settings[row.setting].label.ends_with(penalty));
        of.map(|row| metric(row, "length")).sum::<f64>()
    };
    let lengths = ["=-2.0", "=0.0", "=1.0", "=2.0"].map(length);
    assert!(rises(&lengths, 0.0), "{lengths:?}");
    // One run for each prompt and setting: there is no seed that could matter.
    assert!(rows(&summary).iter().all(|row| row.runs == 2));
}

#[test]
fn blocking_n_grams_ends_loops() {
    let (summary, _) = lesson("repetition");
    let repeated = |label: &str| metric(summary.row(label).unwrap(), "repetition");
    assert!(repeated("greedy") > 0.5, "{}", repeated("greedy"));
    assert_eq!(repeated("no_repeat_ngram_size=2"), 0.0);
    assert_eq!(repeated("no_repeat_ngram_size=4"), 0.0);
    assert!(repeated("repetition_penalty=1.5") < 0.2, "{}", repeated("repetition_penalty=1.5"));
    // What is blocked is what the model wanted.
    let nll = |label: &str| metric(summary.row(label).unwrap(), "nll");
    assert!(nll("no_repeat_ngram_size=2") > nll("greedy"));
}

#[test]
fn the_same_numbers_are_not_the_same_distribution() {
    let (summary, records) = lesson_in_full("semantics");
    let row = |engine: &str| summary.row(engine).unwrap();
    // Cuts before the temperature see the sharper distribution: of the same row they keep less.
    let first = |engine: &str, prompt: usize| {
        let mut of = records.iter().filter(|r| r.label == engine && r.id.prompt == prompt);
        of.next().unwrap().steps[0].kept.unwrap()
    };
    for prompt in 0..2 {
        assert!(first("llama.cpp", prompt) < first("huggingface", prompt));
    }
    assert!(metric(row("llama.cpp"), "nll") < metric(row("huggingface"), "nll"));
    let order = |engine: &str| {
        let record = records.iter().find(|record| record.label == engine).unwrap();
        let stages = record.steps[0].stages.iter().map(|stage| stage.stage.clone());
        let cuts = ["temperature", "min_p", "top_k", "top_p"];
        stages.filter(|stage| cuts.contains(&stage.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(order("huggingface"), ["temperature", "top_k", "top_p", "min_p"]);
    assert_eq!(order("llama.cpp"), ["top_k", "top_p", "min_p", "temperature"]);
    assert_eq!(order("vllm"), ["temperature", "min_p", "top_k", "top_p"]);
}
