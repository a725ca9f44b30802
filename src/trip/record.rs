//! RECORD: the end of every trip, exactly once, on every path: the hold is settled to the truth, the meters
//! moved, the request line written. It is a `Drop`, so that no exit can forget it.
//! Must never do IO, and never fail.

mod decision;
mod money;
mod parting;
mod place;
mod used;
mod words;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Response, StatusCode};

use super::accept::Target;
use super::attribution::Attribution;
use super::decide::Verdict;
use super::forward::is_event_stream;
use super::identify::TurnedAway;
use super::price::{self, Quote};
use super::{Door, Ground, Refusal};
use crate::config::values::{OnMismatch, Proof};
use crate::journal::OpenEntry;
use crate::limits::{Account, Hold, Lease, Order, Who};
use crate::meters::Direction;
use crate::snapshot::{Held, Policy, Snapshot, Tenant, Upstream};
use crate::spine::Spine;
use crate::units::{Boot, Code, Ending, Endpoint, HungUp, Phase, RequestId, TenantId, Wall};
use crate::upstream::{AnswerBody, Sent};
use crate::wire::dialect::asked::Asked;
use crate::wire::dialect::tally::Meter;
use decision::Decision;
pub(super) use money::Affords;
use place::Place;
use words::{clip, clipped};

/// A trip under way: the spine, what it holds, and what is known of it so far. Dropping it is its end.
/// Boxed from the start, since it is handed on from the steps to the answer's body.
pub(super) struct Run {
    door: Arc<Door>,
    spine: Spine,
    phase: Phase,
    ending: Option<Ending>,
    endpoint: Endpoint,
    /// What the operator had ordered about the tenant when it began.
    order: Order,
    upstream: Option<Arc<Upstream>>,
    question: Question,
    answer: Answered,
    hold: Option<Hold>,
    /// What it is held to cost, where money is budgeted.
    quote: Option<Box<Quote>>,
    /// Its intent in the journal, from when it was written.
    entry: Option<OpenEntry>,
    /// The room its body takes, until the answer begins: by then the upstream has it.
    lease: Option<Arc<Lease>>,
    sent: Sent,
    admitted_at: Boot,
    /// Since when it waits in the queue.
    queued: Option<Boot>,
    queue_wait: Option<Duration>,
    code: Option<Code>,
    /// Why an answer was cut.
    cause: Option<Code>,
    decision: Decision,
    /// What has become of it since its caller hung up.
    hung_up: Option<HungUp>,
}

/// What was asked.
#[derive(Default)]
struct Question {
    /// What proved the tenant, or who named it.
    by: Option<Proof>,
    /// Who named the tenant.
    voucher: Option<TenantId>,
    /// Whose it is within the tenant, as it says itself.
    attribution: Attribution,
    model: Option<Box<str>>,
    /// What was sent, where it is another.
    model_sent: Option<Box<str>>,
    stream: bool,
    background: bool,
    retry: Option<u64>,
    input_estimate: u64,
    /// What the output was taken for, where a caller that hangs up pays for that.
    output_estimate: u64,
    tier: Option<Box<str>>,
    key_source: Option<KeySource>,
}

impl Question {
    /// The model that was sent, as far as one was named.
    fn sent_model(&self) -> Option<&str> {
        self.model_sent.as_deref().or(self.model.as_deref())
    }
}

/// Whose credential a request shows to its upstream.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeySource {
    /// The tenant's own.
    Own,
    /// The upstream's, which tenants share.
    Shared,
    /// The agent's own, passed on.
    Agent,
    /// Nobody's.
    None,
}

impl KeySource {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shared => "shared",
            Self::Agent => "agent",
            Self::None => "none",
        }
    }
}

/// What came back.
#[derive(Default)]
struct Answered {
    status: Option<StatusCode>,
    left_at: Option<Boot>,
    head_at: Option<Boot>,
    first_at: Option<Boot>,
    bytes: u64,
    /// Bytes that came when the caller had gone.
    unheard: u64,
    pieces: u64,
    is_stream: bool,
    /// Whether the caller gets the head.
    committed: bool,
    meter: Option<Meter>,
    place: Place,
}

/// Which try this is, as the official SDKs count.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");

impl Run {
    /// A trip of a known tenant.
    pub(super) fn open(
        door: &Arc<Door>,
        tenant: Arc<Tenant>,
        snapshot: Held,
        id: (RequestId, Wall),
        headers: &HeaderMap,
    ) -> Box<Self> {
        let mut run = Self::start(door, tenant, snapshot, id);
        let retry = headers.get(RETRY_COUNT);
        run.question.retry = retry
            .and_then(|count| count.to_str().ok())
            .and_then(|count| count.parse().ok());
        run
    }

    /// A trip of nobody, to be refused.
    pub(super) fn of_nobody(
        door: &Arc<Door>,
        snapshot: Held,
        id: (RequestId, Wall),
        away: &TurnedAway,
    ) -> Box<Self> {
        let nobody = Arc::clone(snapshot.nobody());
        // Unlimited: what has no identity is refused whatever it comes over.
        let _ = door.belongs_to(nobody.account());
        let mut run = Self::start(door, nobody, snapshot, id);
        run.endpoint = away.endpoint;
        run.phase = away.phase;
        run
    }

    fn start(
        door: &Arc<Door>,
        tenant: Arc<Tenant>,
        snapshot: Held,
        (id, wall): (RequestId, Wall),
    ) -> Box<Self> {
        let ground = door.ground();
        let at = (ground.clock.boot(), wall);
        let order = tenant.account().order();
        let spine = Spine::open(tenant, snapshot, id, at);
        spine.meters().opened();
        door.enter(order);
        ground.shutdown.enter();
        Box::new(Self {
            door: Arc::clone(door),
            spine,
            phase: Phase::Accept,
            ending: None,
            endpoint: Endpoint::Other,
            order,
            upstream: None,
            question: Question::default(),
            answer: Answered::default(),
            hold: None,
            quote: None,
            entry: None,
            lease: None,
            sent: Sent::default(),
            admitted_at: at.0,
            queued: None,
            queue_wait: None,
            code: None,
            cause: None,
            decision: Decision::default(),
            hung_up: None,
        })
    }

    pub(super) fn ground(&self) -> &Arc<Ground> {
        self.door.ground()
    }

    pub(super) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    pub(super) fn spine(&self) -> &Spine {
        &self.spine
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        self.spine.snapshot()
    }

    pub(super) fn tenant(&self) -> &Arc<Tenant> {
        self.spine.tenant()
    }

    pub(super) fn policy(&self) -> &Policy {
        self.spine.tenant().policy()
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        self.spine.tenant().account()
    }

    /// The operator's orders under which the trip began.
    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Whether the operator has ordered its end since.
    pub(super) fn is_cut(&self) -> bool {
        self.order.is_cut_by(self.account().order())
    }

    pub(super) fn upstream(&self) -> Option<&Arc<Upstream>> {
        self.upstream.as_ref()
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    pub(super) fn sent(&self) -> &Sent {
        &self.sent
    }

    pub(super) fn now(&self) -> Boot {
        self.ground().clock.boot()
    }

    pub(super) fn until(&self, when: Boot) -> Duration {
        when.since(self.now())
    }

    /// The trip is about to be admitted; what time it is.
    pub(super) fn admits(&mut self) -> Boot {
        self.admitted_at = self.now();
        self.admitted_at
    }

    /// Proven by this; or another tenant, which was proven so, said whose it is.
    pub(super) fn proven(&mut self, by: Proof, voucher: Option<TenantId>) {
        self.question.by = Some(by);
        self.question.voucher = voucher;
    }

    /// Takes down whose it is within the tenant, as it says itself.
    pub(super) fn attributes(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.question.attribution = Attribution::of(headers)?;
        Ok(())
    }

    /// Whose it is within the tenant.
    pub(super) fn who(&self) -> Who<'_> {
        self.question.attribution.who()
    }

    /// What the request is aimed at is known.
    pub(super) fn aims(&mut self, target: &Target) {
        self.endpoint = target.endpoint;
        self.upstream = Some(Arc::clone(&target.upstream));
    }

    /// The trip has come to this step.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// What is asked is known.
    pub(super) fn asks(&mut self, asked: &Asked) {
        self.question.model = asked.model().map(clip);
        self.question.stream = asked.stream;
        self.question.background = asked.background;
        self.question.tier = asked.service_tier().map(clip);
        self.question.input_estimate = asked.input_estimate;
    }

    /// What will be sent is known; a model only where the request names one.
    pub(super) fn sends(&mut self, verdict: &Verdict) {
        let model = &verdict.model;
        let rewritten = self.question.model.as_deref() != Some(clipped(model));
        self.question.model_sent = (rewritten && !model.is_empty()).then(|| clip(model));
        if verdict.checks_geo {
            self.answer.place = Place::Awaited;
        }
    }

    /// The trip begins to wait in the queue.
    pub(super) fn waits(&mut self) {
        self.spine.meters().queued();
        self.queued = Some(self.now());
    }

    /// The wait is over; the end of the trip ends it too.
    pub(super) fn waited(&mut self) {
        if let Some(since) = self.queued.take() {
            let waited = self.admits().since(since);
            self.spine.meters().dequeued(waited);
            self.queue_wait = Some(waited);
        }
    }

    /// The trip holds a place in the tenant's limits, until its end.
    pub(super) fn holds(&mut self, hold: Hold, quote: Option<Box<Quote>>) {
        self.hold = Some(hold);
        self.quote = quote;
    }

    /// The intent is written.
    pub(super) fn records(&mut self, entry: Option<OpenEntry>) {
        self.entry = entry;
    }

    /// The trip holds a body that is not small.
    pub(super) fn keeps(&mut self, lease: Option<Lease>) {
        self.lease = lease.map(Arc::new);
    }

    /// The room that its body takes, to go along with it.
    pub(super) fn lease(&self) -> Option<Arc<Lease>> {
        self.lease.clone()
    }

    /// The request is about to leave, with this key. It was admitted just now: nothing between the two waits.
    pub(super) fn leaves(&mut self, key: KeySource) {
        self.question.key_source = Some(key);
        self.answer.left_at = Some(self.admitted_at);
    }

    /// The answer's head is here.
    pub(super) fn answered(&mut self, response: &Response<AnswerBody>, meter: Option<Meter>) {
        self.answer.head_at = Some(self.now());
        self.lease = None;
        self.answer.status = Some(response.status());
        self.answer.is_stream = is_event_stream(response.headers());
        self.answer.meter = meter;
        self.phase = Phase::Meter;
    }

    /// The answer's head goes on to the caller: its status cannot change any more.
    pub(super) fn commits(&mut self) {
        self.answer.committed = true;
    }

    /// A piece of the answer's body, before anything is taken out of it.
    pub(super) fn tally(&mut self, piece: &[u8]) {
        self.answer.pieces = self.answer.pieces.saturating_add(1);
        if let Some(meter) = &mut self.answer.meter {
            meter.push(piece);
        }
    }

    /// What the policy wants of an answer that has just said that its model ran where it may not.
    pub(super) fn strays(&mut self) -> Option<OnMismatch> {
        if !matches!(self.answer.place, Place::Awaited) {
            return None;
        }
        let meter = self.answer.meter.as_ref()?;
        let rules = self.spine.tenant().policy().inference_geo.as_ref();
        let strays = self.answer.place.hears(meter.facts().inference_geo, rules);
        rules.filter(|_| strays).map(|rules| rules.mismatch)
    }

    /// What has come of the answer has been passed on, and more is to come.
    pub(super) fn pauses(&mut self) {
        if self.answer.pieces > 0 && self.answer.first_at.is_none() {
            self.answer.first_at = Some(self.now());
        }
    }

    /// What has been read of the answer.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.answer.meter.as_ref()
    }

    /// The model that was asked of the upstream.
    pub(super) fn sent_model(&self) -> Option<&str> {
        self.question.sent_model()
    }

    /// The service tier that was asked for.
    pub(super) fn tier_asked(&self) -> Option<&str> {
        self.question.tier.as_deref()
    }

    /// Whether the work goes on after the answer.
    pub(super) fn is_background(&self) -> bool {
        self.question.background
    }

    /// When the answer's head came.
    pub(super) fn head_at(&self) -> Boot {
        self.answer.head_at.unwrap_or_else(|| self.now())
    }

    /// Bytes that went to the caller.
    pub(super) fn delivered(&mut self, bytes: usize) {
        let to = match self.ending {
            Some(Ending::CallerGone) => &mut self.answer.unheard,
            Some(_) | None => &mut self.answer.bytes,
        };
        *to = to.saturating_add(bytes as u64);
    }

    /// Whether the answer is a stream of events.
    pub(super) fn is_event_stream(&self) -> bool {
        self.answer.is_stream
    }

    /// Whether it is one, and its usage is read.
    pub(super) fn is_metered_stream(&self) -> bool {
        self.answer.is_stream && self.answer.meter.is_some()
    }

    /// How many events of the answer have passed.
    pub(super) fn events(&self) -> u64 {
        self.answer
            .meter
            .as_ref()
            .map_or(0, |meter| meter.facts().events)
    }

    /// The trip ends like this; the first call decides.
    pub(super) fn ends(&mut self, ending: Ending) {
        match self.ending {
            None => self.ending = Some(ending),
            Some(Ending::CallerGone) => self.was_heard_out(ending),
            Some(_) => {}
        }
    }

    /// The refusal that follows stands in for one with this code.
    pub(super) fn instead_of(&mut self, code: Code) {
        self.cause = Some(code);
    }

    /// Whether the body was looked at, and nothing was admitted.
    pub(super) fn was_looked_at(&self) -> bool {
        self.upstream.is_some() && matches!(self.phase, Phase::Peek | Phase::Decide)
    }

    /// The trip ends with this refusal.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        self.ends(Ending::Refused);
        self.code = Some(refusal.code);
        self.decision = Decision::Refused(refusal.rule.clone());
        self.answer.status = StatusCode::from_u16(refusal.code.status()).ok();
    }

    /// The trip ends with this code, and like this.
    pub(super) fn fails(&mut self, code: Code, ending: Ending) {
        self.ends(ending);
        self.code = Some(code);
        if self.answer.status.is_none() {
            self.answer.status = StatusCode::from_u16(code.status()).ok();
        }
    }

    /// The answer is stopped in the middle, for this cause; what the caller is told says `cut`.
    pub(super) fn cuts(&mut self, cause: Code, ending: Ending) {
        self.fails(Code::Cut, ending);
        self.cause = Some(cause);
    }

    /// The trip ends by a bug of ours.
    pub(super) fn breaks(mut self) {
        self.fails(Code::Internal, Ending::Broken);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let now = self.now();
        if std::thread::panicking() {
            self.ending = None;
            if self.answer.committed {
                self.cuts(Code::Internal, Ending::Broken);
            } else {
                self.answer.status = None;
                self.fails(Code::Internal, Ending::Broken);
            }
        }
        let ending = self.ending.unwrap_or_else(|| self.given_up());
        self.waited();
        if ending == Ending::CallerGone {
            self.parts();
        }
        let usage = self.usage();
        let cost = usage.and_then(|usage| price::bill(self, usage));
        let settled = self.settle(now, usage, cost.as_ref());
        self.ground().totals.add(ending, usage);
        let meters = self.spine.meters();
        meters.request(self.endpoint, ending);
        if let Some(code) = self.code {
            meters.refusal(code);
        }
        if let Some(usage) = usage {
            meters.tokens(usage);
        }
        if let Some(cost) = &cost {
            meters.cost(cost.total(usage));
        }
        for crossing in &settled.crossings {
            meters.threshold(crossing.percent);
        }
        let succeeded = self.answer.status.is_some_and(|status| status.is_success());
        let whole = ending == Ending::Complete && succeeded;
        if let Some(stray) = self.answer.place.closes(whole) {
            self.spine.meters().stray(stray);
        }
        if let Some(hung_up) = self.hung_up {
            self.spine.meters().hang_up(hung_up);
        }
        let meters = self.spine.meters();
        let waited = !self.went_on_alone();
        if waited {
            meters.duration(now.since(self.spine.started()));
        }
        let heard = waited || self.answer.bytes > 0;
        if self.answer.pieces > 0 {
            // An answer that came in one piece began when it ended.
            self.answer.first_at.get_or_insert(now);
        }
        let meters = self.spine.meters();
        if let Some(first) = self.answer.first_at.filter(|_| heard) {
            meters.first_token(first.since(self.spine.started()));
        }
        meters.bytes(Direction::Request, self.sent.bytes());
        meters.bytes(Direction::Response, self.answer.bytes);
        meters.closed();
        self.write_down(now, (ending, usage), (cost.as_ref(), &settled));
        if let Some(log) = &self.ground().log {
            log.note(&self.spine, now, |line| {
                self.facts(line, ending, usage);
                words::money(line, cost.as_ref(), &settled.crossings);
            });
        }
        self.door.leave();
        self.ground().shutdown.leave();
    }
}

impl Run {
    /// How a trip ends that nobody ended: the caller hung up, or the sidecar hung up on it.
    #[cold]
    fn given_up(&mut self) -> Ending {
        let severed = self.door.severed();
        let Some(cause) = severed.filter(|_| !self.door.is_abandoned()) else {
            return Ending::CallerGone;
        };
        self.code = Some(Code::Cut);
        self.cause = Some(cause);
        match cause {
            Code::Draining => Ending::Drained,
            _ => Ending::CutOff,
        }
    }
}
