//! A line of the table.

use taper_models::LoadedModel;
use taper_sampling::GenerationConfig;

use super::Kind;
use super::value::{KnobValue, Mismatch};
use crate::error::RequestError;
use crate::request::Request;
use crate::semantics::{Recommended, Vllm};

pub(super) const HUGGING_FACE: &str = "huggingface";
pub(super) const LLAMA_CPP: &str = "llama.cpp";
const VLLM: &str = "vllm";

/// A setting that a person can turn.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Knob {
    /// Its name in a spec; with dashes for underscores that of the flag.
    pub name: &'static str,
    /// Other names of the flag, without the dashes before it.
    pub aliases: &'static [&'static str],
    /// The engines that know it, as [`Semantics::name`](crate::Semantics::name) calls them.
    pub engines: &'static [&'static str],
    /// What its value is, and in which range.
    pub kind: Kind,
    /// What `--help` calls its value.
    pub placeholder: &'static str,
    /// What it does.
    pub help: &'static str,
    /// The value that it has if it is not turned, in words; empty if there is none.
    pub default: &'static str,
    /// Between which values it mostly lies: the ends of a slider.
    pub usual: Option<(f64, f64)>,
    /// What it is about.
    pub group: Group,
    /// Beside what it has an effect.
    pub needs: Needs,
    /// Whether it has an effect where mirostat draws.
    pub beside_mirostat: bool,
    /// Whether the greedy control of a sweep has it in common with the other settings.
    pub of_control: bool,
    /// Another engine's knob for the same.
    pub kin: Option<&'static str>,
    /// The key under which a GGUF file recommends a value.
    pub gguf: Option<&'static str>,
    /// Why it is no knob of a spec, and what there is instead; `None` if it is one.
    pub instead: Option<&'static str>,
    pub(super) config: Option<Setter<GenerationConfig>>,
    pub(super) llama_cpp: Option<Setter<Recommended>>,
    pub(super) vllm: Option<Setter<Vllm>>,
    pub(super) own: Option<Own>,
}

/// What knobs are about. Those from guidance to the draw act in this order in a pipeline of Hugging Face's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Group {
    /// The text itself.
    Text,
    /// Whose rules, and the randomness.
    Rules,
    /// The scores of single tokens: guidance, penalties, bans, forced tokens.
    Scores,
    /// How sharp the distribution is.
    Temperature,
    /// Which tokens are left.
    Cuts,
    /// How one of them is chosen.
    Draw,
    /// Searches with several beams.
    Beams,
    /// The form of the text.
    Form,
    /// How much is generated, and when it stops.
    Length,
}

/// Beside what a knob has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needs {
    /// It always has one.
    Nothing,
    /// Where tokens are drawn, and at a temperature above 0.
    Drawing,
    /// Several beams.
    Beams,
    /// XTC.
    Xtc,
    /// DRY.
    Dry,
    /// A temperature that follows the entropy.
    DynamicTemperature,
    /// Mirostat.
    Mirostat,
    /// Adaptive-p.
    AdaptiveP,
}

/// Where a knob's value goes in an engine's config.
#[derive(Debug)]
pub(super) struct Setter<C> {
    /// The engine's own name, which the JSON has too.
    pub(super) name: &'static str,
    pub(super) put: fn(&mut C, &KnobValue) -> Result<(), Mismatch>,
}

impl<C> Clone for Setter<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Setter<C> {}

/// What the runner itself makes of a value, with the model if there is one.
pub(super) type Own =
    fn(&mut Request, &KnobValue, Option<&LoadedModel>) -> Result<(), RequestError>;

impl Knob {
    pub(super) const fn new(
        group: Group,
        name: &'static str,
        kind: Kind,
        placeholder: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            engines: &[HUGGING_FACE, LLAMA_CPP, VLLM],
            kind,
            placeholder,
            help,
            default: "",
            usual: None,
            group,
            needs: Needs::Nothing,
            beside_mirostat: false,
            of_control: false,
            kin: None,
            gguf: None,
            instead: None,
            config: None,
            llama_cpp: None,
            vllm: None,
            own: None,
        }
    }

    /// A setting that every engine has in the request's own config.
    pub(super) const fn shared(mut self, config: Setter<GenerationConfig>) -> Self {
        self.config = Some(config);
        self
    }

    pub(super) const fn under(
        mut self,
        config: Option<Setter<GenerationConfig>>,
        llama_cpp: Option<Setter<Recommended>>,
        vllm: Option<Setter<Vllm>>,
    ) -> Self {
        self.engines = match (config.is_some(), llama_cpp.is_some(), vllm.is_some()) {
            (true, true, true) | (false, false, false) => &[HUGGING_FACE, LLAMA_CPP, VLLM],
            (true, true, false) => &[HUGGING_FACE, LLAMA_CPP],
            (true, false, true) => &[HUGGING_FACE, VLLM],
            (false, true, true) => &[LLAMA_CPP, VLLM],
            (true, false, false) => &[HUGGING_FACE],
            (false, true, false) => &[LLAMA_CPP],
            (false, false, true) => &[VLLM],
        };
        (self.config, self.llama_cpp, self.vllm) = (config, llama_cpp, vllm);
        self
    }

    /// A setting that the runner acts on.
    pub(super) const fn own(mut self, own: Own) -> Self {
        self.own = Some(own);
        self
    }

    pub(super) const fn of_hugging_face(mut self) -> Self {
        self.engines = &[HUGGING_FACE];
        self
    }

    pub(super) const fn of_hugging_face_and_vllm(mut self) -> Self {
        self.engines = &[HUGGING_FACE, VLLM];
        self
    }

    pub(super) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(super) const fn usual(mut self, least: f64, most: f64) -> Self {
        self.usual = Some((least, most));
        self
    }

    pub(super) const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    pub(super) const fn beside_mirostat(mut self) -> Self {
        self.beside_mirostat = true;
        self
    }

    pub(super) const fn of_control(mut self) -> Self {
        self.of_control = true;
        self
    }

    pub(super) const fn kin(mut self, kin: &'static str) -> Self {
        self.kin = Some(kin);
        self
    }

    pub(super) const fn gguf(mut self, key: &'static str) -> Self {
        self.gguf = Some(key);
        self
    }

    pub(super) const fn instead(mut self, instead: &'static str) -> Self {
        self.instead = Some(instead);
        self
    }

    /// Its flag: `--top-k`.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// What an engine, and the JSON under its rules, calls it; `None` if the engine does not know it.
    pub fn name_under(&self, engine: &str) -> Option<&'static str> {
        if !self.engines.contains(&engine) {
            return None;
        }
        let name = match engine {
            LLAMA_CPP => self.llama_cpp.map(|setter| setter.name),
            VLLM => self.vllm.map(|setter| setter.name),
            _ => self.config.map(|setter| setter.name),
        };
        Some(name.unwrap_or(self.name))
    }

    /// The engine's own knob for what this one is under another engine.
    pub fn kin_under(&self, engine: &str) -> Option<&'static Knob> {
        let kin = super::named(self.kin?)?;
        kin.engines.contains(&engine).then_some(kin)
    }

    /// The heading in `--help`, which names the engines where not all know it.
    pub fn heading(&self) -> Option<String> {
        Some(match self.group {
            Group::Text => return None,
            Group::Rules => "Rules and randomness".to_owned(),
            Group::Form => "Form of the text (a build with --features llguidance)".to_owned(),
            Group::Length => "How much".to_owned(),
            _ if self.engines.len() == 3 => "Decoding".to_owned(),
            _ => format!("Decoding under {}", self.engines.join(", ")),
        })
    }

    /// Whether the request's config has it and means the same under all rules.
    pub fn is_shared(&self) -> bool {
        self.config.is_some() && self.llama_cpp.is_none() && self.engines.len() == 3
    }

    /// Whether it says how to decode, and not when to stop or what to report.
    pub fn is_decoding(&self) -> bool {
        (Group::Scores..=Group::Beams).contains(&self.group)
    }

    /// Sets what llama.cpp starts from, which has nothing of what another engine alone knows.
    pub(crate) fn set_llama_cpp(
        &self,
        found: &mut Recommended,
        value: &KnobValue,
    ) -> Result<(), Mismatch> {
        self.llama_cpp.map_or(Ok(()), |setter| (setter.put)(found, value))
    }

    /// The value that a word of the command line stands for.
    ///
    /// # Errors
    ///
    /// What it must be.
    pub fn parse(&self, text: &str) -> Result<KnobValue, String> {
        self.kind.parse(text)
    }
}

impl PartialEq for Knob {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Knob {}
