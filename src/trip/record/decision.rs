//! What was decided about a trip, and by which rule. A refusal's rule stands in the line of the log too; what let a call pass,
//! only in the journal. Must never say that a call was allowed which was not.

use std::sync::Arc;

use super::Run;
use crate::snapshot::Rule;
use crate::spine::{Line, name};

/// What was decided; a limit may refuse what the policy has allowed.
#[derive(Default)]
pub(super) enum Decision {
    /// It never came to that.
    #[default]
    Open,
    /// It may pass; no rule is needed where everybody may.
    Allowed(Option<Arc<Rule>>),
    /// It may not, by this rule if there is one.
    Refused(Option<Arc<Rule>>),
}

impl Run {
    /// It may pass.
    pub(in crate::trip) fn allowed(&mut self, rule: Option<Arc<Rule>>) {
        self.decision = Decision::Allowed(rule);
    }

    /// The rule that refused it.
    pub(super) fn refused_by(&self) -> Option<&Rule> {
        match &self.decision {
            Decision::Refused(rule) => rule.as_deref(),
            Decision::Open | Decision::Allowed(_) => None,
        }
    }

    /// What was decided, for the journal; the rule of a refusal stands among the facts of the line.
    pub(super) fn decision(&self, line: &mut Line<'_>) {
        let (word, rule) = match &self.decision {
            Decision::Open => return,
            Decision::Allowed(rule) => ("allowed", rule.as_deref()),
            Decision::Refused(_) => ("refused", None),
        };
        line.word(name!("decision"), word);
        if let Some(rule) = rule {
            line.shown(name!("rule"), rule);
        }
    }
}
