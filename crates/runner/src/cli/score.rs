//! `taper score`.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Instant;

use taper_runner::models::LoadedModel;
use taper_runner::{
    Expectation, RequestError, Score, ScoreOptions, ScoreTotals, ScoredText, Scorer, TokenScore,
    TopToken,
};

use super::args::{Format, ScoreArgs};
use super::failure::Failure;
use super::generate::{load_model, run_failure};
use super::input::read;
use super::interrupt::watch_for_ctrl_c;
use super::settings::Flags;
use super::style::Style;
use super::text::show;
use super::trace::quoted;

pub(super) fn run(args: &ScoreArgs, flags: &Flags) -> Result<(), Failure> {
    // Before the model is loaded, which may take a while, and while Ctrl-C still ends the program at
    // once: a pipe may be silent for long.
    let text = args.file.as_deref().map(read).transpose()?.or_else(|| args.text.clone());
    let cancelled = watch_for_ctrl_c()?;
    if text.is_none() && args.prompt_ids.is_none() {
        let what = "the text is missing; give a file, - for standard input, --text TEXT, or --prompt-ids 1,2,3";
        return Err(Failure::usage(what));
    }
    let dump = args.dump.read()?;
    let began = Instant::now();
    let loaded = load(args, flags, text.is_some())?;
    let load_s = began.elapsed().as_secs_f64();
    let text = args.text(text, &loaded).map_err(|error| blame(&error, args))?;
    let tokens = text.tokens.clone();
    let scorer = Scorer::new(&loaded, text, args.options()).map_err(|error| blame(&error, args))?;
    if let Some(dump) = &dump {
        dump.check(&loaded)?;
        check_length(tokens.len(), &loaded)?;
    }
    let goes_on = || !cancelled.load(Ordering::Relaxed);
    let failed = |error| run_failure(error, &args.model.model);
    let mut score = scorer.run_while(goes_on).map_err(failed)?;
    score.timing.load_s = Some(load_s);
    print(&score, args.format)?;
    if cancelled.load(Ordering::Relaxed) {
        return Err(Failure::Cancelled);
    }
    dump.map_or(Ok(()), |dump| dump.write(&loaded, &args.model.model, &tokens))
}

#[cfg(feature = "engines")]
fn load(args: &ScoreArgs, flags: &Flags, has_text: bool) -> Result<LoadedModel, Failure> {
    if args.remote.is_given() {
        return super::engine::load_here(&args.remote, flags, has_text).map(|(loaded, _)| loaded);
    }
    load_model(&args.model, "--model", &args.model.model)
}

#[cfg(not(feature = "engines"))]
fn load(args: &ScoreArgs, _: &Flags, _: bool) -> Result<LoadedModel, Failure> {
    load_model(&args.model, "--model", &args.model.model)
}

impl ScoreArgs {
    /// What was read from the file, or the ids.
    fn text(&self, read: Option<String>, loaded: &LoadedModel) -> Result<ScoredText, RequestError> {
        let ids = self.prompt_ids.iter().flat_map(|ids| ids.0.iter().copied());
        match read {
            Some(text) => ScoredText::tokenize(loaded.tokenizer.as_ref(), &text),
            None => Ok(ScoredText::of_tokens(ids.collect())),
        }
    }

    fn options(&self) -> ScoreOptions {
        ScoreOptions {
            window: self.window,
            stride: self.stride,
            top_logprobs: self.top_logprobs,
            logprob_ids: self.logprob_ids.clone().map(|ids| ids.0).unwrap_or_default(),
        }
    }
}

fn print(score: &Score, format: Format) -> Result<(), Failure> {
    if format == Format::Text {
        return show(&table(score, Style::of_stdout()));
    }
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, score).map_err(std::io::Error::from)?;
    writeln!(stdout)?;
    Ok(())
}

/// Says where the setting came from that is to blame.
fn blame(error: &RequestError, args: &ScoreArgs) -> Failure {
    let from = match (error.key(), args.prompt_ids.is_some()) {
        (Some(key), _) => format!("--{}: ", key.replace('_', "-")),
        (None, true) => "--prompt-ids: ".to_owned(),
        (None, false) => String::new(),
    };
    let what = match error {
        RequestError::NoTokenizer => {
            "the model has no tokenizer.json; give the text by --prompt-ids".to_owned()
        }
        _ => error.to_string(),
    };
    Failure::Usage(from + &what)
}

/// A dump is of one pass, which has to see the whole text.
fn check_length(tokens: usize, loaded: &LoadedModel) -> Result<(), Failure> {
    let most = loaded.model.context_length();
    if tokens > most {
        let what = format!("--dump: the text has {tokens} tokens; the model holds at most {most}");
        return Err(Failure::Usage(what));
    }
    Ok(())
}

fn table(score: &Score, style: Style) -> String {
    let head = format!(
        "{:>6} {:>7}  {:<20} {:>9} {:>7} {:>8}",
        "place", "id", "token", "logprob", "rank", "entropy"
    );
    let mut text = style.bold(&head) + "\n";
    for (place, token) in score.tokens.iter().enumerate() {
        text += &row(place, token);
        text += &listed(token.top.as_deref(), token.asked.as_deref());
        text.push('\n');
    }
    if let Some(Expectation { entropy, top, asked, .. }) = &score.next {
        let place = score.tokens.len();
        let _ = write!(text, "{place:>6} {:>7}  {:<20} {:>9} {:>7} {entropy:>8.3}", "", "", "", "");
        text += &listed(top.as_deref(), asked.as_deref());
        text.push('\n');
    }
    text.push('\n');
    text += &totals(&score.totals);
    if score.totals.tokens > score.window {
        let _ = write!(text, " · windows of {}, every {}", score.window, score.stride);
    }
    text + "\n"
}

fn row(place: usize, token: &TokenScore) -> String {
    let number = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.3}"));
    let rank = token.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string());
    let (logprob, entropy) = (number(token.logprob), number(token.entropy));
    let (id, text) = (token.token, quoted(&token.text, token.token));
    format!("{place:>6} {id:>7}  {text:<20} {logprob:>9} {rank:>7} {entropy:>8}")
}

/// What else is listed at a place: the model's best tokens, then those that were asked for.
fn listed(top: Option<&[TopToken]>, asked: Option<&[TopToken]>) -> String {
    let list = |name: &str, tokens: Option<&[TopToken]>| {
        let one = |t: &TopToken| format!("{} {:.3}", quoted(&t.text, t.token), t.logprob);
        let tokens = tokens.map(|tokens| tokens.iter().map(one).collect::<Vec<_>>().join(", "));
        tokens.map_or_else(String::new, |tokens| format!("  {name} {tokens}"))
    };
    list("best", top) + &list("asked", asked)
}

/// The sums in one line.
fn totals(totals: &ScoreTotals) -> String {
    let mut parts = vec![
        format!("{} tokens, {} scored", totals.tokens, totals.scored),
        format!("nll {:.3} nats", totals.nll),
    ];
    parts.extend(totals.perplexity.map(|perplexity| format!("perplexity {perplexity:.4}")));
    if let (Some(bits), Some(bytes)) = (totals.bits_per_byte, totals.bytes) {
        parts.push(format!("{bits:.4} bits a byte over {bytes} bytes"));
    }
    parts.join(" · ")
}
