//! What a call may cost, before it leaves, and what it did cost, when it is over. Part of ADMIT and RECORD. Must never let
//! a call that costs something pass a budget unpriced, nor price by the request what the answer has told.

use super::Refusal;
use super::decide::{Allowed, AllowedBody, Verdict};
use super::record::Run;
use crate::config::values::HoldFor;
use crate::limits::{Broke, Claim};
use crate::prices::{Asked as Terms, Bill, Terms as Served, Unknown};
use crate::units::{Code, Counted, Endpoint, NanoUsd, Usage};
use crate::wire::dialect::asked::Asked;
use crate::wire::dialect::tally::Meter;

/// The input tokens an inline image, recording or document is taken for at most.
const MEDIA_MOST: u64 = 8_000;
/// What a prompt has besides its text, where the body is no measure because there are media in it.
const FRAMING: u64 = 1_024;
/// The searches and fetches a provider is taken to make for one call that lets it.
const HOSTED_CALLS: u32 = 10;
/// By how many tokens a hold grows while an answer streams; and how many must be held at least beyond what has come, so that
/// what comes next was held before it was made.
const STEP: u64 = 1_024;
const LEAD: u64 = 512;
/// How many times as much output as its cap allows an answer may seem to have before the cap is not believed.
const BEYOND_DOUBT: u64 = 2;
/// The smallest cap that is put into a request: providers refuse smaller ones (OpenAI, `max_output_tokens`).
const LEAST_CAP: u64 = 16;

/// What a call is held to cost.
#[derive(Clone, Debug)]
pub(super) struct Quote {
    /// Whether it is the most the call can cost.
    is_full: bool,
    /// The models that may answer, the one that is asked for first.
    models: Vec<Box<str>>,
    terms: Terms,
    input: u64,
    /// Of all choices together.
    output: u64,
    choices: u64,
    /// The cap of all choices together, if there is one.
    most: Option<u64>,
    /// Whether the endpoint has an output cap that can be changed.
    is_capped: bool,
}

/// Whether calls of an endpoint cost money, as far as anybody here can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Billing {
    /// They cost nothing, or nothing by use.
    Free,
    /// They report what they used.
    Metered,
    /// They cost something, and do not say what.
    Unknown,
}

fn billing(endpoint: Endpoint) -> Billing {
    match endpoint {
        Endpoint::Models
        | Endpoint::CountTokens
        | Endpoint::ResponsesInputTokens
        | Endpoint::Moderations
        | Endpoint::ResponseState
        | Endpoint::Files
        | Endpoint::Skills => Billing::Free,
        Endpoint::ChatCompletions
        | Endpoint::Responses
        | Endpoint::ResponsesCompact
        | Endpoint::Embeddings
        | Endpoint::Messages
        | Endpoint::Completions
        | Endpoint::Decisions
        | Endpoint::ImageGenerations
        | Endpoint::ImageEdits
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Complete => Billing::Metered,
        Endpoint::ClientSecrets
        | Endpoint::Images
        | Endpoint::Audio
        | Endpoint::Videos
        | Endpoint::Batches
        | Endpoint::VectorStores
        | Endpoint::Containers
        | Endpoint::Training
        | Endpoint::Realtime
        | Endpoint::Assistants
        | Endpoint::ManagedAgents
        | Endpoint::Administration
        | Endpoint::Other => Billing::Unknown,
    }
}

impl Quote {
    /// What to hold of the tenant's budgets for a call; `None` where nothing is budgeted, or it costs nothing.
    pub(super) fn of(run: &Run, allowed: &mut Allowed) -> Result<Option<Self>, Refusal> {
        let endpoint = allowed.asking.target.endpoint;
        let budgeted = run.tenant().is_budgeted();
        let (AllowedBody::Governed { asked, verdict, .. }, Billing::Metered) =
            (&mut allowed.body, billing(endpoint))
        else {
            return unmetered(budgeted, endpoint);
        };
        known(run, verdict, asked)?;
        if !budgeted {
            return Ok(None);
        }
        let is_full = match run.policy().hold {
            HoldFor::Full => true,
            HoldFor::Extend => false,
            HoldFor::Auto => !asked.stream,
        };
        Ok(Some(if is_full {
            Self::full(run, asked, verdict, endpoint)
        } else {
            Self::likely(run, asked, verdict)
        }))
    }

    /// The most it can cost.
    fn full(run: &Run, asked: &Asked, verdict: &mut Verdict, endpoint: Endpoint) -> Self {
        let is_capped = super::decide::has_output(endpoint);
        if is_capped && verdict.output_cap.is_none() {
            let most = run.policy().models.uncapped_output;
            verdict.cap((most / asked.choices.max(1)).max(1));
        }
        let output = match endpoint {
            Endpoint::Embeddings => 0,
            _ => verdict.output_cap.unwrap_or(super::decide::DEFAULT_OUTPUT),
        };
        let scan = asked.scan();
        let input = if scan.media_items == 0 {
            // No tokenizer makes more tokens than there are bytes, and the JSON around the text is more than what the
            // provider puts around it.
            u64::try_from(scan.len).unwrap_or(u64::MAX)
        } else {
            let media = u64::from(scan.media_items).saturating_mul(MEDIA_MOST);
            let text = scan.text_bytes.saturating_mul(2).saturating_add(FRAMING);
            text.saturating_add(media)
        };
        Self {
            is_full: true,
            models: models(asked, verdict),
            terms: terms(run, asked),
            input,
            output: output.saturating_mul(asked.choices),
            choices: asked.choices.max(1),
            most: None,
            is_capped,
        }
    }

    /// What it is likely to cost at first; more is held as its answer comes.
    fn likely(run: &Run, asked: &Asked, verdict: &Verdict) -> Self {
        let likely = run.account().likely(&verdict.model, asked.input_estimate);
        let cap = verdict.output_cap.unwrap_or(u64::MAX);
        let output = likely
            .output
            .saturating_add(LEAD)
            .min(cap)
            .saturating_mul(asked.choices);
        Self {
            is_full: false,
            models: models(asked, verdict),
            terms: terms(run, asked),
            input: likely.input,
            output: if has_no_output(asked.endpoint) {
                0
            } else {
                output
            },
            choices: asked.choices.max(1),
            most: verdict
                .output_cap
                .map(|cap| cap.saturating_mul(asked.choices)),
            is_capped: false,
        }
    }

    /// What it comes to.
    pub(super) fn amount(&self, run: &Run) -> NanoUsd {
        self.amount_at(run, self.output)
    }

    fn amount_at(&self, run: &Run, output: u64) -> NanoUsd {
        let Some(upstream) = run.upstream() else {
            return NanoUsd::ZERO;
        };
        let book = run.snapshot().prices();
        let provider = upstream.pricing.provider;
        let each = self.models.iter().map(|model| {
            let priced = book.find(provider, model);
            priced.rates.most(self.input, output, &self.terms)
        });
        each.max().unwrap_or_default()
    }

    /// What it asks of the budgets.
    pub(super) fn claim<'r>(&self, run: &'r Run) -> Claim<'r> {
        Claim {
            amount: self.amount(run),
            at: run.spine().started_wall(),
            who: run.who(),
        }
    }

    /// Holds less, so that the call fits into what is left of a budget: by a smaller output cap, or, where more is held as
    /// the answer comes, by beginning with less. False if what is left is worth no call.
    pub(super) fn clamp(&mut self, run: &Run, allowed: &mut Allowed, broke: &Broke) -> bool {
        let left = broke.left();
        if !self.is_full {
            let most = largest(self.output, |output| self.amount_at(run, output) <= left);
            self.output = most;
            return most >= LEAD;
        }
        let AllowedBody::Governed { verdict, .. } = &mut allowed.body else {
            return false;
        };
        let most = largest(self.output / self.choices, |cap| {
            self.amount_at(run, cap.saturating_mul(self.choices)) <= left
        });
        if !self.is_capped || most < LEAST_CAP {
            return false;
        }
        verdict.cap(most);
        self.output = most.saturating_mul(self.choices);
        true
    }

    /// What the output can come to at most, where the request says and the answer keeps to it. Its length is an estimate
    /// while it comes, so that only one of twice the length is beyond doubt.
    fn at_most(&self, output: u64) -> Option<u64> {
        self.most
            .filter(|most| output <= most.saturating_mul(BEYOND_DOUBT))
    }

    /// Whether more must be held before so much output goes on; then for how much output.
    pub(super) fn outgrown(&self, output: u64) -> Option<u64> {
        let most = self.at_most(output);
        let is_all = self.is_full || most.is_some_and(|most| self.output >= most);
        if is_all || output.saturating_add(LEAD) < self.output {
            return None;
        }
        let wanted = output.saturating_add(STEP);
        Some(most.map_or(wanted, |most| wanted.min(most)))
    }

    /// What it comes to to go on to so much output.
    pub(super) fn more(&self, run: &Run, to: u64) -> NanoUsd {
        self.amount_at(run, to).minus(self.amount(run))
    }

    /// How far `left` goes at most towards `to`; `None` if that is too little to let `output` go on.
    pub(super) fn as_far_as(
        &self,
        run: &Run,
        (output, to): (u64, u64),
        left: NanoUsd,
    ) -> Option<u64> {
        let most = largest(to, |to| self.more(run, to) <= left);
        (most > output.saturating_add(LEAD)).then_some(most)
    }

    /// The output that is held for.
    pub(super) fn output(&self) -> u64 {
        self.output
    }

    /// Now so much output is held for.
    pub(super) fn grown(&mut self, to: u64) {
        self.output = to;
    }
}

/// The largest number below `beyond` that fits, where what fits does so with every smaller one.
fn largest(mut beyond: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let mut most = 0;
    while beyond.saturating_sub(most) > 1 {
        let between = most + (beyond - most) / 2;
        if fits(between) {
            most = between;
        } else {
            beyond = between;
        }
    }
    most
}

/// What a call claims of the budgets before its body is read: that there is anything left.
pub(super) fn least(run: &Run) -> Option<Claim<'_>> {
    let costs = run.tenant().is_budgeted() && billing(run.endpoint()) == Billing::Metered;
    costs.then(|| Claim {
        amount: NanoUsd::ZERO,
        at: run.spine().started_wall(),
        who: run.who(),
    })
}

fn has_no_output(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Embeddings)
}

fn unmetered(budgeted: bool, endpoint: Endpoint) -> Result<Option<Quote>, Refusal> {
    if budgeted && billing(endpoint) == Billing::Unknown {
        let text = format!(
            "calls of the endpoint `{endpoint}` cost money and do not say how much, and this tenant's money is budgeted"
        );
        return Err(Refusal::new(Code::CostUnknown, text));
    }
    Ok(None)
}

/// Whether there are prices for every model that may answer, where there must be.
fn known(run: &Run, verdict: &Verdict, asked: &Asked) -> Result<(), Refusal> {
    let book = run.snapshot().prices();
    let Some(upstream) = run.upstream().filter(|_| book.unknown == Unknown::Refuse) else {
        return Ok(());
    };
    let all = models(asked, verdict);
    let provider = upstream.pricing.provider;
    let Some(unknown) = all
        .iter()
        .find(|model| !book.find(provider, model).is_known())
    else {
        return Ok(());
    };
    let shown: String = unknown.chars().take(128).collect();
    let text = format!(
        "there is no price for the model `{shown}`, and calls without one are refused; hint: `[prices]`"
    );
    Err(Refusal::new(Code::CostUnknown, text).about("$.model"))
}

fn models(asked: &Asked, verdict: &Verdict) -> Vec<Box<str>> {
    let main = std::iter::once(verdict.model.as_str());
    let others = asked.other_models().map(|(model, _)| model);
    main.chain(others).map(Box::from).collect()
}

/// What the request leaves open that prices depend on.
fn terms(run: &Run, asked: &Asked) -> Terms {
    let said = |at: &str| {
        asked
            .tiers()
            .find(|(_, path)| path.ends_with(at))
            .map(|(word, _)| word)
    };
    let mut terms = Terms::of(said("tier"), said("speed"), asked.inference_geo());
    terms.regional = run
        .upstream()
        .is_some_and(|upstream| upstream.pricing.regional);
    if asked
        .hosted_tools()
        .any(|tool| tool.starts_with("web_search"))
    {
        terms.web_searches = HOSTED_CALLS;
    }
    if asked
        .hosted_tools()
        .any(|tool| tool.starts_with("web_fetch"))
    {
        terms.web_fetches = HOSTED_CALLS;
    }
    terms
}

/// What a call did cost.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    pub(super) bill: Bill,
    /// What is charged: the bill, unless nobody could say what was used.
    amount: NanoUsd,
}

impl Charge {
    pub(super) fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// As sure as the usage it was worked out from.
    pub(super) fn total(&self, usage: Option<Counted<Usage>>) -> Counted<NanoUsd> {
        match usage {
            Some(Counted::Reported(_)) => Counted::Reported(self.amount),
            Some(Counted::Estimated(_)) | None => Counted::Estimated(self.amount),
        }
    }
}

/// The bill for a call that is over, by what its answer told.
pub(super) fn bill(run: &Run, usage: Counted<Usage>) -> Option<Charge> {
    let upstream = run.upstream()?;
    if billing(run.endpoint()) != Billing::Metered || usage == Counted::Estimated(Usage::default())
    {
        return None;
    }
    let meter = run.meter();
    let facts = meter.map(Meter::facts).unwrap_or_default();
    let model = facts.model.or_else(|| run.sent_model()).unwrap_or_default();
    let passes = meter.map(Meter::passes).unwrap_or_default();
    let terms = Served {
        regional: upstream.pricing.regional,
        at: run.spine().started_wall(),
        ..Served::of(facts.service_tier, facts.speed, facts.inference_geo)
            .or_asked(facts.service_tier, run.tier_asked())
    };
    let book = run.snapshot().prices();
    let bill = book.bill(
        upstream.pricing.provider,
        model,
        &usage.value(),
        &passes,
        &terms,
    );
    // Work that goes on after its answer is charged what it may cost: nobody here will hear of it again.
    // So is what the policy takes for answered to its end when the caller hangs up.
    let unknown = run.is_background() || run.pays_its_hold();
    let amount = if unknown && matches!(usage, Counted::Estimated(_)) {
        bill.cost.total.max(run.held())
    } else {
        bill.cost.total
    };
    Some(Charge { bill, amount })
}
