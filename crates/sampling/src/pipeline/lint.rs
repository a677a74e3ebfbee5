//! What is wrong with a pipeline that cannot mean what it says.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::selectors::Selector;
use crate::stage::{Role, Stage};

/// A remark about a [`Pipeline`](crate::Pipeline), from [`Pipeline::lints`](crate::Pipeline::lints). Nothing of
/// this is an error: each pipeline does what it says, and these say what is unlikely to be meant.
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::greedy().then(Temperature::new(0.7)?);
/// assert_eq!(
///     pipeline.lints()[0].to_string(),
///     "temperature does nothing before greedy, which takes the best candidate anyway",
/// );
/// # Ok::<(), SettingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lint {
    /// A stage whose setting leaves every row as it is.
    #[error("{stage} does nothing with this setting")]
    Idle {
        /// The stage.
        stage: String,
    },
    /// A stage whose setting does what is unlikely to be meant.
    #[error("{stage} {what}")]
    Unlikely {
        /// The stage.
        stage: String,
        /// What it does.
        what: &'static str,
    },
    /// A stage of a kind that is there already, with nothing but others of its kind to tell them
    /// apart.
    #[error("{stage} comes twice")]
    Twice {
        /// The stage.
        stage: String,
    },
    /// A stage that never changes who is the best, and a selector that takes the best.
    #[error("{stage} does nothing before {selector}, which takes the best candidate anyway")]
    BeforeBest {
        /// The stage.
        stage: String,
        /// The selector.
        selector: String,
    },
    /// An edit that sees only what a cut has left.
    #[error("{edit} comes after {cut} and changes nothing about what {cut} removed; put it first")]
    EditAfterCut {
        /// The edit.
        edit: String,
        /// The cut.
        cut: String,
    },
    /// A ban that may take everything that a cut has left.
    #[error("{ban} comes after {cut} and fails where it bans all that {cut} left; put it first")]
    BanAfterCut {
        /// The ban.
        ban: String,
        /// The cut.
        cut: String,
    },
    /// A stage that mends NaN and +∞, behind one that refuses them.
    #[error("{repair} comes after {cut}, which refuses what it would mend; put it first")]
    RepairAfterCut {
        /// The stage that mends.
        repair: String,
        /// The cut.
        cut: String,
    },
}

pub(crate) fn lints(stages: &[Arc<dyn Stage>], selector: &dyn Selector) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut cut: Option<String> = None;
    for (i, stage) in stages.iter().enumerate() {
        let name = stage.name().to_string();
        let role = stage.role();
        if stage.is_idle() {
            found.push(Lint::Idle { stage: name.clone() });
        }
        if let Some(what) = stage.warning() {
            found.push(Lint::Unlikely { stage: name.clone(), what });
        }
        // A penalty over another window, or a second mask, may well be meant.
        let once = |earlier: &dyn Stage| match role {
            Role::Scale | Role::Cut => true,
            Role::Ban | Role::Repair => {
                stage.settings().is_some() && earlier.settings() == stage.settings()
            }
            Role::Edit | Role::Other => false,
        };
        if stages[..i].iter().any(|earlier| earlier.name() == name && once(earlier)) {
            found.push(Lint::Twice { stage: name.clone() });
        }
        let to_the_best = stages[i..].iter().all(|s| matches!(s.role(), Role::Scale | Role::Cut));
        if selector.takes_best() && to_the_best {
            let selector = selector.name().to_string();
            found.push(Lint::BeforeBest { stage: name.clone(), selector });
        }
        match (role, &cut) {
            (Role::Cut, None) => cut = Some(name),
            (Role::Edit, Some(cut)) => {
                found.push(Lint::EditAfterCut { edit: name, cut: cut.clone() });
            }
            (Role::Ban, Some(cut)) => {
                found.push(Lint::BanAfterCut { ban: name, cut: cut.clone() });
            }
            (Role::Repair, Some(cut)) => {
                found.push(Lint::RepairAfterCut { repair: name, cut: cut.clone() });
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn told(pipeline: &Pipeline) -> Vec<alloc::string::String> {
        pipeline.lints().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pipeline_in_the_usual_order_is_fine() {
        let pipeline = Pipeline::draw()
            .then(RemoveInvalidValues)
            .then(RepetitionPenalty::new(1.2).unwrap())
            .then(SuppressTokens::new(&[3]))
            .then(Temperature::new(0.7).unwrap())
            .then(TopK::new(50).unwrap())
            .then(TopP::new(0.9).unwrap());
        assert!(pipeline.lints().is_empty());
        // Who is the best does change.
        assert!(Pipeline::greedy().then(Typical::new(0.9).unwrap()).lints().is_empty());
        let penalised = Pipeline::greedy().then(RepetitionPenalty::new(1.2).unwrap());
        assert!(penalised.lints().is_empty());
    }

    #[test]
    fn a_threshold_of_nothing_is_remarked_on() {
        let xtc = |probability, threshold| {
            told(&Pipeline::draw().then(Xtc::new(probability, threshold).unwrap()))
        };
        let least = "xtc leaves only the least likely candidate where it acts: its threshold is 0";
        assert_eq!(xtc(1.0, 0.0), [least]);
        // It is 0 as an f32.
        assert_eq!(xtc(0.5, 1e-60), [least]);
        assert_eq!(xtc(0.0, 0.0), ["xtc does nothing with this setting"]);
        assert!(xtc(1.0, 0.1).is_empty());
    }

    #[test]
    fn a_ban_comes_twice_where_it_bans_the_same() {
        let bans = |ids: &[&[u32]]| {
            let ban = |pipeline: Pipeline, ids: &&[u32]| pipeline.then(SuppressTokens::new(ids));
            told(&ids.iter().fold(Pipeline::draw(), ban))
        };
        assert_eq!(bans(&[&[3, 5], &[3, 5]]), ["suppress_tokens comes twice"]);
        assert!(bans(&[&[3, 5], &[3]]).is_empty());
    }

    #[test]
    fn each_remark_is_made() {
        let pipeline = Pipeline::greedy()
            .then(Temperature::new(1.0).unwrap())
            .then(TopP::new(0.9).unwrap())
            .then(RepetitionPenalty::new(1.2).unwrap())
            .then(SuppressTokens::new(&[3]))
            .then(RemoveInvalidValues)
            .then(TopP::new(0.8).unwrap());
        assert_eq!(
            told(&pipeline),
            [
                "temperature does nothing with this setting",
                "repetition_penalty comes after top_p and changes nothing about what top_p removed; put it first",
                "suppress_tokens comes after top_p and fails where it bans all that top_p left; put it first",
                "remove_invalid_values comes after top_p, which refuses what it would mend; put it first",
                "top_p comes twice",
                "top_p does nothing before greedy, which takes the best candidate anyway",
            ]
        );
    }
}
