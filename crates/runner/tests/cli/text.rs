//! What the program prints for people to read.

use crate::support::{Folder, generate, llama, taper, taper_reading};

const GREEDY: [&str; 5] = ["x", "--do-sample", "false", "--eos-token-id", "none"];

#[test]
fn the_trace_is_a_table_with_a_row_and_its_reasons_for_each_token() {
    let ran = generate(&["x", "--seed", "1", "--max-new-tokens", "3", "--trace"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<_> = ran.stdout.lines().collect();
    let start = |text: &str| lines.iter().position(|line| line.starts_with(text)).unwrap();
    assert_eq!(lines[0], "model    llama");
    assert_eq!(lines[1], "prompt   \"x\", 2 tokens");
    assert_eq!(lines[2], "rules    huggingface");
    assert_eq!(lines[3], "stages   temperature 0.6 → top_k 50 → top_p 0.9 → draw");
    assert_eq!(lines[4], "seed     1");
    for word in ["logprob", "rank", "final", "stages"] {
        assert!(start(word) > 1, "{word} is explained");
    }
    let header: Vec<_> = lines[start("step")].split_whitespace().collect();
    let columns = ["step", "token", "logprob", "rank", "final", "temperature", "top_k", "top_p"];
    assert_eq!(header, columns);
    for n in 1..=3 {
        let at = start(&format!("{n:>4}  "));
        let row = lines[at];
        assert!(row.contains(" 288→50 -") && row.contains("→"), "{row}");
        let best = lines[at + 1];
        assert!(best.starts_with("      model's best: "), "{best}");
        assert_eq!(best.matches(" %").count(), 5, "{best}");
        // Columns stand below their heads.
        let column = |line: &str, word: &str| line.split(word).next().unwrap().chars().count();
        assert_eq!(column(lines[start("step")], "top_k"), column(row, "288→50"), "{row}");
    }
    assert!(!ran.stdout.contains('\x1b'), "no colours where there is no terminal");
}

#[test]
fn a_prompt_may_come_through_a_pipe() {
    let llama = llama();
    for command in ["generate", "inspect"] {
        let args = |prompt| {
            let model = ["--model", llama.to_str().unwrap(), "--max-new-tokens", "3"];
            [&[command, prompt], &model[..], &["--seed", "5"]].concat()
        };
        // One line break is the shell's; a second belongs to the text.
        let pipes = [("a\nb", "a\nb"), ("a\nb", "a\nb\n"), ("ä", "ä\r\n"), ("a\n", "a\n\n")];
        for (prompt, piped) in pipes {
            let (named, ran) = (taper(args(prompt)), taper_reading(piped.as_bytes(), args("-")));
            assert_eq!((ran.code, ran.stdout), (Some(0), named.stdout), "{command} {piped:?}");
        }
        let ran = taper_reading(b"\n", args("-"));
        assert_eq!(ran.stderr, "error: the prompt is empty; it must have at least one token\n");
        let ran = taper_reading(b"abc\xff", args("-"));
        let want = "error: standard input: it must be UTF-8, and is not from byte 3 on\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), want));
    }
}

#[test]
fn the_last_line_counts() {
    let ran = generate(&[&GREEDY[..], &["--max-new-tokens", "5"]].concat());
    let parts: Vec<_> = ran.stderr.trim_end().split(" · ").collect();
    assert_eq!(parts[..3], ["prompt 2 tokens", "generated 5 tokens", "finished: length"]);
    assert!(parts[3].ends_with(" tokens/s"), "{}", ran.stderr);
    assert_eq!(ran.stderr.contains("peak memory"), cfg!(target_os = "linux"));
}

#[test]
fn a_knob_without_effect_is_pointed_out() {
    let ran = generate(&[&GREEDY[..], &["--max-new-tokens", "1", "--top-k", "3"]].concat());
    let note = ran.stderr.lines().next().unwrap();
    assert_eq!(note, "note: without --do-sample true there is no effect of --top-k");
}

#[test]
fn stages_in_an_order_that_can_not_mean_what_it_says_are_remarked_on() {
    let chain = ["x", "--semantics", "llama.cpp", "--samplers", "top_k;penalties;temperature"];
    let knobs = ["--top-k", "5", "--repeat-penalty", "1.2", "--max-new-tokens", "1"];
    let ran = generate(&[&chain[..], &knobs].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let note = "note: repetition_penalty comes after top_k and changes nothing about what top_k \
                removed; put it first";
    assert_eq!(ran.stderr.lines().next(), Some(note));
}

#[test]
fn ties_that_a_cut_met_are_told() {
    // With all rows of the output matrix equal, all logits are.
    let folder = Folder::new();
    folder.edit_head(|head, row| {
        let (first, others) = head.split_at_mut(row);
        others.chunks_exact_mut(row).for_each(|other| other.copy_from_slice(first));
    });
    let args = ["x", "--seed", "1", "--top-k", "3", "--top-p", "1", "--max-new-tokens", "1"];
    let traced = |ties: &[&str]| folder.run(&[&args[..], &["--trace"], ties].concat());
    let kept = traced(&[]);
    assert!(kept.stdout.contains("top_k: 288 equal scores met at its boundary"), "{kept:?}");
    assert!(kept.stdout.contains("   288\n"), "Hugging Face keeps all of them: {kept:?}");
    let lowest = traced(&["--ties", "lowest-id"]);
    assert!(lowest.stdout.contains("   288→3 -99.0 %\n"), "{lowest:?}");
    let refused = traced(&["--ties", "error"]);
    assert_eq!(refused.code, Some(1));
    let why = "error: sequence 0, step 0: top_k: 288 candidates tie";
    assert!(refused.stderr.contains(why), "{refused:?}");
}

#[test]
fn several_sequences_are_shown_one_after_the_other() {
    let args = ["x", "--seed", "1", "--max-new-tokens", "3", "--num-return-sequences", "2"];
    for more in [&[][..], &["--trace"]] {
        let ran = generate(&[&args[..], more].concat());
        let heads: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("──")).collect();
        assert_eq!(heads.len(), 2);
        assert_eq!(heads[1], "── sequence 2: 3 tokens, length ──");
        assert!(ran.stderr.contains("finished: length ×2"), "{}", ran.stderr);
    }
}

#[test]
fn the_families_are_listed() {
    let ran = taper(["models"]);
    assert_eq!(ran.code, Some(0));
    for family in taper_runner::models::families::supported() {
        assert!(ran.stdout.lines().any(|line| line.starts_with(family)), "{family}");
    }
}

#[test]
fn help_and_version_are_clap_s_own() {
    let help = taper(["generate", "--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("--no-repeat-ngram-size"));
    let version = taper(["--version"]);
    assert_eq!(version.stdout, format!("taper {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(taper::<&str>([]).code, Some(2));
}
