//! Why a trip stops before an answer: a refusal of ours, or a fault on the way to the upstream.
//! Must never carry what the tenant may not see: every text here is shown to the caller.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::Door;
use crate::limits::{Broke, Denied};
use crate::snapshot::Rule;
use crate::units::Code;
use crate::upstream::Fault;

/// The end of a trip without an upstream's answer.
#[derive(Debug)]
pub enum Stop {
    /// Outrigger said no.
    Refused(Refusal),
    /// The upstream could not be had.
    Failed(Fault),
    /// The caller went away while its request was being read.
    Gone,
    /// The sidecar's own shutdown has come to its deadline.
    Drained,
    /// The operator ended all that the tenant had under way.
    Cut,
}

impl Stop {
    /// The same stop in the light of what the head guard found: a body that broke off because its framing was
    /// faulty is refused for that.
    pub(super) fn seen_by(self, door: &Door) -> Self {
        match door.fault() {
            Some(fault) if matches!(self, Self::Gone) => {
                Refusal::new(fault.code, fault.what).closing().into()
            }
            _ => self,
        }
    }
}

/// A refusal: what, why, which rule, until when.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The stable reason.
    pub code: Code,
    /// What the caller is told: what, why, what to do.
    pub text: Cow<'static, str>,
    /// The rule that decided.
    pub rule: Option<Arc<Rule>>,
    /// The JSON path it is about.
    pub param: Option<&'static str>,
    /// What was met, if it was a limit or a budget.
    pub met: Option<Met>,
    /// Whether the connection must not be used again.
    pub closes: bool,
}

/// What there was too little of.
#[derive(Clone, Debug)]
pub enum Met {
    /// A limit.
    Limit(Denied),
    /// A budget.
    Budget(Box<Broke>),
}

/// What the caller of a suspended tenant is told.
pub(super) const SUSPENDED: &str =
    "this tenant is suspended; whoever runs the sidecar can resume it";

/// What the caller is told whose answer an operator cut.
pub(super) const CUT: &str = "whoever runs the sidecar ended what this tenant had under way";

/// A `retry-after` is never longer than this: SDKs sleep for as long as it says.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

impl Refusal {
    /// A refusal with its reason and text.
    pub fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: text.into(),
            rule: None,
            param: None,
            met: None,
            closes: false,
        }
    }

    /// The same, by this rule.
    #[must_use]
    pub fn by(mut self, rule: &Arc<Rule>) -> Self {
        self.rule = Some(Arc::clone(rule));
        self
    }

    /// The same, about this member of the request.
    #[must_use]
    pub fn about(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    /// The same; the connection is closed after it.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// A limit was met.
    pub fn limited(code: Code, denied: Denied, text: String) -> Self {
        Self {
            met: Some(Met::Limit(denied)),
            ..Self::new(code, text)
        }
    }

    /// A budget was met.
    pub fn broke(broke: Broke, text: String) -> Self {
        Self {
            met: Some(Met::Budget(Box::new(broke))),
            ..Self::new(Code::BudgetExhausted, text)
        }
    }

    /// The limit that was met.
    pub fn denied(&self) -> Option<&Denied> {
        match &self.met {
            Some(Met::Limit(denied)) => Some(denied),
            Some(Met::Budget(_)) | None => None,
        }
    }

    /// The budget that was met.
    pub fn budget(&self) -> Option<&Broke> {
        match &self.met {
            Some(Met::Budget(broke)) => Some(broke),
            Some(Met::Limit(_)) | None => None,
        }
    }

    /// When trying again makes sense; only for what waiting can help.
    pub fn retry_after(&self) -> Option<Duration> {
        if !self.code.retryable() {
            return None;
        }
        let wanted = self
            .denied()
            .map_or(Duration::from_secs(1), |denied| denied.retry_after);
        Some(wanted.min(LONGEST_RETRY))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            // The upstream has done nothing wrong.
            Fault::Caller(_) => Self::Gone,
            fault => Self::Failed(fault),
        }
    }
}
