//! ACCEPT: what the connection and the head say before anybody is known: the head guard's verdict, the `Host`
//! and `Origin` checks. And, once it is known whose request it is, which upstream and endpoint its target means.
//! Must never look at a body, and never trust a header about who is calling.

mod busy;
mod gone;

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use busy::Busy;
use gone::Gone;
use http::{HeaderMap, HeaderName, Method, Uri, Version, header, request::Parts};

use super::identify::TurnedAway;
use super::{Ground, Refusal};
use crate::limits::{Account, Order, Seat};
use crate::snapshot::{Entry, KeyDigest, Snapshot, Upstream, digest};
use crate::units::{Code, Dialect, Endpoint, HungUp, Phase, Secret};
use crate::wire::dialect::path::classify;

/// One client connection, as its trips see it; or one stream of an HTTP/2 connection, which is a trip's own.
pub struct Door {
    ground: Arc<Ground>,
    /// How it came in; of a stream, how its connection did.
    entry: Entry,
    /// The connection, where this is one of its streams.
    connection: Option<Arc<Self>>,
    /// Why the sidecar itself broke it off.
    severed: OnceLock<Code>,
    fault: Mutex<Option<HeadFault>>,
    busy: Busy,
    gone: Gone,
    begun: AtomicU64,
    /// Of a stream: whose trip it is, and what was ordered about the tenant when it began.
    under: OnceLock<(Arc<Account>, Order)>,
    /// Of a connection: what was ordered about its owner when the latest trip began.
    order: AtomicU32,
    /// Who waits for the trip under way to end.
    next: Mutex<Option<Waker>>,
    /// Whose it is: of the account of its latest request, whose address stands beside, to be compared without the lock.
    seat: Mutex<Option<Seat>>,
    owner: AtomicUsize,
    /// The credential this connection showed last, and its digest: most show one and the same.
    shown: Mutex<Option<(Secret, KeyDigest)>>,
}

/// What the head guard found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadFault {
    /// The reason.
    pub code: Code,
    /// What is wrong.
    pub what: &'static str,
}

/// What stands in for a head that was refused: the HTTP library parses this instead, so that the refusal
/// comes out in its turn and by the usual way. No caller can send it: the guard lets no HTTP/1.1 head without
/// `host` through (RFC 9112 §3.2).
pub const MARKER: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// The guard runs ahead of the trips: the fault it holds may belong to a later request, or to this one's body. A
/// stream of HTTP/2 is one request, and its fault that request's.
fn is_marker(parts: &Parts) -> bool {
    match parts.version {
        Version::HTTP_11 => !parts.headers.contains_key(header::HOST),
        version => version == Version::HTTP_2,
    }
}

impl Door {
    /// The door of a connection that came in like this, before its first request.
    pub fn new(ground: Arc<Ground>, entry: Entry) -> Self {
        Self {
            ground,
            entry,
            connection: None,
            severed: OnceLock::new(),
            fault: Mutex::default(),
            busy: Busy::default(),
            gone: Gone::default(),
            under: OnceLock::new(),
            order: AtomicU32::default(),
            begun: AtomicU64::default(),
            next: Mutex::default(),
            seat: Mutex::default(),
            owner: AtomicUsize::default(),
            shown: Mutex::default(),
        }
    }

    /// A door without a connection, of a trip whose caller has hung up.
    pub(super) fn nowhere(ground: &Arc<Ground>) -> Self {
        Self::new(Arc::clone(ground), Entry::default())
    }

    /// A stream of this connection.
    pub fn stream_of(connection: &Arc<Self>) -> Self {
        Self {
            connection: Some(Arc::clone(connection)),
            ..Self::new(Arc::clone(&connection.ground), Entry::default())
        }
    }

    /// How the connection came in.
    pub(super) fn entry(&self) -> &Entry {
        match &self.connection {
            Some(connection) => &connection.entry,
            None => &self.entry,
        }
    }

    /// What all trips share. Trips reach it through their connection's door: its count of owners is changed by all
    /// threads, a door's mostly by one.
    pub fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    /// The sidecar breaks the connection, or this stream of it, off; the first reason stays.
    pub fn sever(&self, why: Code) {
        let _ = self.severed.set(why);
    }

    /// Why it was broken off by the sidecar, if it was.
    pub fn severed(&self) -> Option<Code> {
        let own = self.severed.get().copied();
        own.or_else(|| self.connection.as_ref()?.severed())
    }

    /// How many trips have begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Notes the guard's verdict on this connection; the first one stays.
    pub fn condemn(&self, fault: HeadFault) {
        let mut held = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert(fault);
    }

    /// Makes a connection without a trip under way leave, to make room; false if one is. From here on it takes none.
    pub fn make_leave(&self) -> bool {
        self.busy.make_leave()
    }

    /// Whether it has been made to leave. Once a trip has entered, the answer stays.
    pub(super) fn is_leaving(&self) -> bool {
        let connection = self.connection.as_ref();
        connection
            .map_or(&self.busy, |door| &door.busy)
            .is_leaving()
    }

    /// The trip of this stream, if it is one, is this tenant's, and has begun under these orders.
    pub(super) fn obeys(&self, account: Arc<Account>, order: Order) {
        if self.connection.is_some() {
            let _ = self.under.set((account, order));
        }
    }

    /// Whether the operator has ordered the end of the trip under way since it began. Who polls its answer sees that
    /// there; this is for an answer that waits for its caller, and is not polled.
    pub fn is_cut(&self) -> bool {
        if let Some((account, order)) = self.under.get() {
            return order.is_cut_by(account.order());
        }
        let order = Order::of(self.order.load(Ordering::Relaxed));
        let seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = seat.as_ref().filter(|_| self.is_busy());
        owner.is_some_and(|seat| order.is_cut_by(seat.account().order()))
    }

    /// Names its owner, for comparisons; zero before the first request.
    pub fn owner(&self) -> usize {
        self.owner.load(Ordering::Relaxed)
    }

    /// The connection is this tenant's from now on, unless the tenant has as many as it may have: so many that is.
    pub(super) fn belongs_to(&self, account: &Arc<Account>) -> Result<(), u32> {
        if let Some(connection) = &self.connection {
            return connection.belongs_to(account);
        }
        // The seat keeps the account alive, so no other can have its address.
        if self.owner() == Arc::as_ptr(account).addr() {
            return Ok(());
        }
        let seat = account.seat()?;
        let mut held = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        self.owner
            .store(Arc::as_ptr(seat.account()).addr(), Ordering::Relaxed);
        let before = held.replace(seat);
        drop(held);
        drop(before);
        Ok(())
    }

    /// Whether a trip of this connection is under way.
    pub fn is_busy(&self) -> bool {
        self.busy.is_busy()
    }

    /// A trip begins, under these orders about its tenant.
    pub(super) fn enter(&self, order: Order) {
        self.order.store(order.word(), Ordering::Relaxed);
        self.busy.enter();
        self.begun.fetch_add(1, Ordering::Relaxed);
        if let Some(connection) = &self.connection {
            connection.enter(order);
        }
    }

    /// Of a door whose caller hung up before its answer began: what has become of that trip, if it ends by itself.
    pub(super) fn parts(&self, outcome: HungUp) {
        self.gone.notes(outcome);
    }

    /// What has become of it.
    pub(super) fn parted(&self) -> Option<HungUp> {
        self.gone.outcome()
    }

    /// The caller has hung up, and its trip goes on: for the connection it is over.
    pub(super) fn abandon(&self) {
        self.leave();
        self.gone.goes_on();
    }

    /// Whether that is so.
    pub(super) fn is_abandoned(&self) -> bool {
        self.gone.is_alone()
    }

    /// The connection is closed; whoever still knows the door takes no place of its tenant.
    pub fn vacate(&self) {
        let seat = self
            .seat
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(seat);
    }

    pub(super) fn leave(&self) {
        if self.gone.is_alone() {
            return;
        }
        self.busy.leave();
        let waits = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waits) = waits {
            waits.wake();
        }
        if let Some(connection) = &self.connection {
            connection.leave();
        }
    }

    /// Wakes this task when the trips of this many requests are over. False if they are now.
    pub fn wake_after(&self, requests: u64, waker: &Waker) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = self.is_busy() || self.begun.load(Ordering::Relaxed) < requests;
        if waits {
            *next = Some(waker.clone());
        }
        waits
    }

    /// The digest of a credential shown on this connection; worked out once for as long as it stays the same.
    pub(super) fn digest(&self, secret: &[u8]) -> KeyDigest {
        if let Some(connection) = &self.connection {
            return connection.digest(secret);
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, digest)) = &*shown
            && last.expose().as_bytes() == secret
        {
            return *digest;
        }
        let fresh = digest(secret);
        if let Ok(text) = std::str::from_utf8(secret) {
            *shown = Some((Secret::new(text.to_owned()), fresh));
        }
        fresh
    }

    /// The guard's verdict, if it has condemned the connection.
    pub fn fault(&self) -> Option<HeadFault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's head on its way from step to step; boxed, since every step hands it on.
pub(super) struct Asking {
    pub(super) parts: Parts,
    pub(super) target: Target,
    /// Which credential headers hold virtual keys.
    pub(super) spent: [bool; 3],
    /// The path token, if there is one; taken out of everything else.
    pub(super) token: Option<Box<str>>,
}

/// Where a request wants to go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) upstream: Arc<Upstream>,
    pub(super) endpoint: Endpoint,
    /// The path below the API base.
    pub(super) path: Box<str>,
    /// The query, without what would name a tenant.
    pub(super) query: Option<Box<str>>,
}

/// Whether the head may come in at all, whoever sent it.
pub(super) fn accept(
    snapshot: &Snapshot,
    door: &Door,
    parts: &Parts,
) -> Result<(), Box<TurnedAway>> {
    let checked = match door.fault().filter(|_| is_marker(parts)) {
        Some(fault) => Err(Refusal::new(fault.code, fault.what).closing()),
        None => check_door(snapshot, parts),
    };
    checked.map_err(|refusal| {
        Box::new(TurnedAway {
            refusal,
            dialect: shape_of(&parts.uri, &parts.headers),
            endpoint: Endpoint::Other,
            phase: Phase::Accept,
        })
    })
}

/// Finds what a request of a known tenant is aimed at; `spent` marks the carriers of its keys.
pub(super) fn aim(
    snapshot: &Snapshot,
    mut parts: Parts,
    spent: [bool; 3],
) -> Result<Box<Asking>, Box<TurnedAway>> {
    if let Some(claim) = snapshot.tenant_header() {
        parts.headers.remove(claim);
    }
    let (token, rest) = split_token(snapshot, parts.uri.path());
    match find(snapshot, &parts, rest) {
        Ok(target) => {
            let token = token.map(Box::from);
            Ok(Box::new(Asking {
                parts,
                target,
                spent,
                token,
            }))
        }
        Err(refusal) => Err(Box::new(TurnedAway {
            refusal,
            dialect: shape_of(&parts.uri, &parts.headers),
            endpoint: Endpoint::Other,
            phase: Phase::Peek,
        })),
    }
}

/// The token in the path, where path tokens are accepted.
pub(super) fn path_token<'p>(snapshot: &Snapshot, parts: &'p Parts) -> Option<&'p str> {
    split_token(snapshot, parts.uri.path()).0
}

/// Whose shape an answer to this request has, and which endpoint it means, so far as its head alone shows.
pub(super) fn seems(snapshot: &Snapshot, parts: &Parts) -> (Option<Dialect>, Endpoint) {
    let (_, rest) = split_token(snapshot, parts.uri.path());
    match find(snapshot, parts, rest) {
        Ok(target) => (Some(target.upstream.dialect), target.endpoint),
        Err(_) => (shape_of(&parts.uri, &parts.headers), Endpoint::Other),
    }
}

/// Who may knock: no page that rebinds DNS, no page of another origin, no tunnel.
fn check_door(snapshot: &Snapshot, parts: &Parts) -> Result<(), Refusal> {
    let upgrades = parts.headers.get_all(header::UPGRADE);
    // `h2c` is offered by some clients with every first request, and is nothing any more (RFC 9113 §3.1): it is ignored.
    let upgrades = upgrades
        .iter()
        .any(|to| !to.as_bytes().eq_ignore_ascii_case(b"h2c"));
    if parts.method == Method::CONNECT || upgrades {
        let text = "tunnels and protocol upgrades are not carried here";
        return Err(Refusal::new(Code::UpgradeDenied, text).closing());
    }
    if matches!(parts.method.as_str(), "TRACE" | "TRACK") {
        // The answer to it is the request, with the upstream's credential in it (RFC 9110 §9.3.8).
        let text = "a request that would be echoed with its credential is not sent";
        return Err(Refusal::new(Code::EndpointDenied, text));
    }
    let header = parts.headers.get(header::HOST);
    let header = header.map(|host| name_of(host.to_str().unwrap_or_default()));
    // Where both are, both count: what stands behind us may look at either (RFC 9112 §3.2.2).
    for host in parts.uri.host().into_iter().chain(header) {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.');
        if !snapshot.answers_host(host) {
            let text =
                format!("the host `{host}` is not answered here; hint: add it to `listen.hosts`");
            return Err(Refusal::new(Code::HostDenied, text));
        }
    }
    check_origin(snapshot, parts)
}

fn check_origin(snapshot: &Snapshot, parts: &Parts) -> Result<(), Refusal> {
    let allowed = match parts.headers.get(header::ORIGIN) {
        Some(origin) => origin
            .to_str()
            .is_ok_and(|origin| snapshot.answers_origin(&origin.to_ascii_lowercase())),
        // A page's plain GET has no `Origin`; browsers say where it comes from all the same (Fetch Metadata).
        None => parts
            .headers
            .get(const { HeaderName::from_static("sec-fetch-site") })
            .is_none_or(|site| matches!(site.as_bytes(), b"none" | b"same-origin")),
    };
    if allowed {
        return Ok(());
    }
    let text = "browser pages may not call from this origin; hint: add it to `listen.origins`";
    Err(Refusal::new(Code::OriginDenied, text))
}

/// A `Host` value without its port.
fn name_of(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    host.split(':').next().unwrap_or(host)
}

/// `/t/<token>/rest` to the token and `/rest`, where path tokens are accepted.
fn split_token<'p>(snapshot: &Snapshot, path: &'p str) -> (Option<&'p str>, &'p str) {
    if !snapshot.accepts_path_tokens() {
        return (None, path);
    }
    let Some(rest) = path.strip_prefix("/t/") else {
        return (None, path);
    };
    match rest.find('/') {
        Some(end) => (Some(&rest[..end]), &rest[end..]),
        None => (Some(rest), "/"),
    }
}

fn find(snapshot: &Snapshot, parts: &Parts, path: &str) -> Result<Target, Refusal> {
    let first = path.split('/').nth(1).unwrap_or_default();
    let (upstream, below) = match snapshot.upstream(first) {
        Some(upstream) => (upstream, &path[1 + first.len()..]),
        None if first == "v1" => (bare(snapshot, parts, path)?, path),
        None => return Err(no_upstream(snapshot, first)),
    };
    let classified = classify(upstream.dialect, &parts.method, below)
        .map_err(|fault| Refusal::new(fault.code(), fault.as_str()))?;
    Ok(Target {
        upstream: Arc::clone(upstream),
        endpoint: classified.endpoint,
        path: classified.path.into(),
        query: clean_query(parts.uri.query()),
    })
}

/// The upstream of a bare `/v1/…`: the only one of the dialect that the path and headers show.
fn bare<'s>(
    snapshot: &'s Snapshot,
    parts: &Parts,
    path: &str,
) -> Result<&'s Arc<Upstream>, Refusal> {
    let dialect = shape_of(&parts.uri, &parts.headers).unwrap_or(Dialect::OpenAi);
    snapshot.only_upstream(dialect).ok_or_else(|| {
        let text = format!(
            "`{}` fits no upstream or several of dialect `{dialect}`; hint: start the path with the upstream's name",
            path.chars().take(64).collect::<String>()
        );
        Refusal::new(Code::UpstreamUnknown, text)
    })
}

fn no_upstream(snapshot: &Snapshot, first: &str) -> Refusal {
    let names: Vec<_> = snapshot
        .upstreams()
        .iter()
        .map(|upstream| format!("`/{}`", upstream.name))
        .collect();
    let shown: String = first
        .chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect();
    let text = format!(
        "`/{shown}` names no upstream; hint: start the path with one of {}",
        names.join(", ")
    );
    Refusal::new(Code::UpstreamUnknown, text)
}

/// Which provider's shape a request has, from its path and headers alone.
fn shape_of(uri: &Uri, headers: &HeaderMap) -> Option<Dialect> {
    let path = uri.path();
    if headers.contains_key(const { HeaderName::from_static("anthropic-version") })
        || path.contains("/messages")
    {
        return Some(Dialect::Anthropic);
    }
    let openai = ["/chat/", "/responses", "/embeddings", "/openai", "/models"];
    openai
        .iter()
        .any(|part| path.contains(part))
        .then_some(Dialect::OpenAi)
}

/// The query without parameters that name a tenant, in any spelling; the rest stays as written.
fn clean_query(query: Option<&str>) -> Option<Box<str>> {
    let query = query?;
    if !query.split('&').any(names_tenant) {
        return Some(query.into());
    }
    let kept: Vec<_> = query
        .split('&')
        .filter(|pair| !names_tenant(pair))
        .collect();
    (!kept.is_empty()).then(|| kept.join("&").into())
}

/// Whether a pair names a tenant to anybody: `;` parts pairs for some readers, `[` opens an index, `+` is a space.
fn names_tenant(pair: &str) -> bool {
    // Decoded twice, since some readers do: what ends as a tenant's name must not pass.
    let decoded = percent_decoded(&percent_decoded(pair));
    [pair, &decoded]
        .iter()
        .flat_map(|text| text.split([';', '&']))
        .any(|part| {
            let name = part.split(['=', '[']).next().unwrap_or_default();
            let name =
                name.trim_matches(|byte: char| byte == '+' || byte.is_whitespace() || byte == '\0');
            super::forward::is_tenant_name(name)
        })
}

/// The text with its percent-escapes (RFC 3986 §2.1) read, where they are whole.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let escape = (*first == b'%').then(|| rest.get(..2)).flatten();
        let decoded = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = decoded {
            out.push(byte);
            bytes = &rest[2..];
        } else {
            out.push(*first);
            bytes = rest;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
