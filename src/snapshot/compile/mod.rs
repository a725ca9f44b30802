//! From what the files say to what is true: resolves names, fills in defaults, and finds every problem
//! that one section alone cannot show. Compiles whole or not at all. Must never touch what runs: limits
//! change size only when the result is adopted.

mod admin;
mod budgets;
mod hang_ups;
mod journal;
mod kept;
mod listeners;
mod own_keys;
mod policies;
mod prices;
mod proofs;
mod tenants;
mod upstreams;

pub use prices::Pricing;

use std::net::SocketAddr;
use std::sync::Arc;

use kept::Kept;

use super::{Accounts, Alive, KeyDigest, Rule, Snapshot, TrustStore};
use crate::config::{Loaded, OutCode, Place, Problem, Severity, Site, Sources};
use crate::limits::{Account, LimitSpec};
use crate::meters::Registry;
use crate::units::{Boot, TenantId};

/// What outlives snapshots and is shared by all of them.
#[derive(Clone)]
pub struct World {
    /// The limits' state.
    pub accounts: Arc<Accounts>,
    /// The meters.
    pub registry: Arc<Registry>,
    /// TLS.
    pub trust: Arc<TrustStore>,
}

/// What the command line lays over the files.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// The one tenant served (`run --tenant`) and the digest of the key made for this session.
    pub session: Option<(TenantId, KeyDigest)>,
    /// All upstreams are the simulator at this address.
    pub simulator: Option<SocketAddr>,
}

/// A compiled snapshot that is not current yet.
pub struct Compiled {
    pub(super) snapshot: Arc<Snapshot>,
    resizes: Vec<(Arc<Account>, LimitSpec)>,
    accounts: Arc<Accounts>,
    /// What is odd but not wrong.
    pub warnings: Vec<Problem>,
}

impl Compiled {
    /// The snapshot, for those who only look (`check`, `explain`).
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub(super) fn adopt(self, now: Boot) -> Arc<Snapshot> {
        for (account, spec) in &self.resizes {
            account.resize(spec, now);
        }
        self.accounts
            .buffers()
            .share_among(self.snapshot.tenants.len());
        self.accounts
            .forget(|id| self.snapshot.tenants.contains_key(id));
        self.snapshot
    }
}

/// Compiles a configuration. What says the same in `previous`, which is what runs, is taken over from there and not only
/// made alike: it is warm for those who serve, its meters are found, and its limits need not be set.
///
/// # Errors
/// All problems, warnings included, if one of them is an error.
pub fn compile(
    loaded: &Loaded,
    overlay: &Overlay,
    world: &World,
    previous: Option<&Snapshot>,
    generation: u64,
    now: Boot,
) -> Result<Compiled, Vec<Problem>> {
    let mut bench = Bench {
        sources: &loaded.sources,
        problems: loaded.problems.clone(),
        world,
        kept: Kept::of(previous),
        now,
        resizes: Vec::new(),
    };
    let book = bench.book(&loaded.raw);
    let upstreams = bench.upstreams(&loaded.raw, overlay, &book);
    let policies = bench.policies(&loaded.raw, &upstreams);
    let people = bench.people(&loaded.raw, overlay, &policies, &upstreams);
    let admin = bench.admin(&loaded.raw, overlay);
    bench.check_journal(&loaded.raw);
    if bench
        .problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Err(bench.problems);
    }
    let listen = &loaded.raw.listen;
    let texts = |list: &mut dyn Iterator<Item = String>| list.map(String::into_boxed_str).collect();
    let hosts = listen.hosts.iter().flat_map(|list| &list.value);
    let origins = listen.origins.iter().flat_map(|list| &list.value);
    let snapshot = Arc::new(Snapshot {
        generation,
        hash: loaded.hash.clone().into_boxed_str(),
        identity: people.identity,
        tenants: people.tenants,
        nobody: people.nobody,
        upstreams,
        prices: book,
        trust: Arc::clone(&world.trust),
        hosts: texts(&mut hosts.map(|host| host.value.to_string())),
        origins: texts(&mut origins.map(|origin| origin.value.to_string())),
        admin,
        log_level: loaded.raw.log.level(),
        settings: loaded.settings.clone().into_boxed_str(),
        _alive: Alive::enter(&world.registry),
    });
    Ok(Compiled {
        snapshot,
        resizes: bench.resizes,
        accounts: Arc::clone(&world.accounts),
        warnings: bench.problems,
    })
}

/// The workbench of one compilation.
struct Bench<'a> {
    sources: &'a Sources,
    problems: Vec<Problem>,
    world: &'a World,
    kept: Kept<'a>,
    now: Boot,
    resizes: Vec<(Arc<Account>, LimitSpec)>,
}

impl Bench<'_> {
    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn error(&mut self, code: OutCode, site: Site, message: String, hint: &str) {
        self.problem(Problem::error(code, site, message).hint(hint));
    }

    /// The rule of a key, with its place.
    fn rule(&self, key: String, site: Option<Site>) -> Arc<Rule> {
        let origin = site.map_or(super::Origin::BuiltIn, |site| {
            let Place { path, line, .. } = self.sources.locate(site);
            super::Origin::Line(Arc::from(path.to_string_lossy()), line)
        });
        Arc::new(Rule {
            key: key.into_boxed_str(),
            origin,
        })
    }
}
