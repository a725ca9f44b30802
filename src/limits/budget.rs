//! What a tenant may spend: budgets, each with what was spent and what is held of it in the window of now.
//! Must never let a window begin twice (a clock that goes back refills nothing), nor let anything held be forgotten.

mod book;
mod past;
mod purse;
mod purses;

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::calendar::Period;
use crate::units::{NanoUsd, Wall, WindowId};
pub(super) use book::{Budgets, Share};
pub(super) use past::freezes;

/// One budget as the configuration says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetSpec {
    /// Its name, which refusals, metrics and commands use; its state goes by it across reloads.
    pub name: Arc<str>,
    /// How much may be spent in a window.
    pub amount: NanoUsd,
    /// How long a window is.
    pub period: Period,
    /// By whose clocks.
    pub zone: TimeZone,
    /// Whether it is the tenant's, or one for each of its agents, sessions or users.
    pub scope: Scope,
    /// What there is of it where the record of what was spent is lost.
    pub on_lost: OnLost,
}

impl BudgetSpec {
    /// The window of one agent, session or user (or of nobody in particular) that began then.
    fn window(&self, of: &str, start: i64) -> WindowId {
        WindowId::of(&self.name, self.scope.as_str(), of, start)
    }
}

/// What there is of a budget whose state is lost: the record was deleted, damaged, or put back to an older one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnLost {
    /// All of it, as if nothing had been spent that is not known of.
    #[default]
    Full,
    /// As much as of the window's time is left.
    Fraction,
    /// Nothing, until an operator says that it is to go on.
    Refuse,
}

/// Whose a budget is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The tenant's.
    #[default]
    Tenant,
    /// One for each value of `outrigger-agent`.
    Agent,
    /// One for each value of `outrigger-session`.
    Session,
    /// One for each value of `outrigger-user`.
    User,
}

impl Scope {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::User => "user",
        }
    }
}

/// Whose work a request is, within its tenant. Said by the caller: it attributes, and protects nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who<'a> {
    /// The agent.
    pub agent: Option<&'a str>,
    /// The session.
    pub session: Option<&'a str>,
    /// The user.
    pub user: Option<&'a str>,
}

impl<'a> Who<'a> {
    fn part(self, scope: Scope) -> &'a str {
        let value = match scope {
            Scope::Tenant => None,
            Scope::Agent => self.agent,
            Scope::Session => self.session,
            Scope::User => self.user,
        };
        value.unwrap_or_default()
    }
}

/// What a request would cost at most, and when it asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// The amount to hold.
    pub amount: NanoUsd,
    /// The time on the wall.
    pub at: Wall,
    /// Whose it is.
    pub who: Who<'a>,
}

/// A claim that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    amount: NanoUsd,
    at: Wall,
    agent: Option<Box<str>>,
    session: Option<Box<str>>,
    user: Option<Box<str>>,
}

impl Waiting {
    pub(super) fn of(claim: &Claim<'_>) -> Self {
        Self {
            amount: claim.amount,
            at: claim.at,
            agent: claim.who.agent.map(Box::from),
            session: claim.who.session.map(Box::from),
            user: claim.who.user.map(Box::from),
        }
    }

    pub(super) fn as_claim(&self) -> Claim<'_> {
        Claim {
            amount: self.amount,
            at: self.at,
            who: Who {
                agent: self.agent.as_deref(),
                session: self.session.as_deref(),
                user: self.user.as_deref(),
            },
        }
    }
}

/// Which budget has too little left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broke {
    /// Its name.
    pub budget: Arc<str>,
    /// Whose it is.
    pub scope: Scope,
    /// How much there is in a window, top-ups included.
    pub limit: NanoUsd,
    /// What was spent of it.
    pub spent: NanoUsd,
    /// What requests under way hold of it.
    pub held: NanoUsd,
    /// When it begins anew; `None` if never, or if it is for an operator to say.
    pub resets: Option<Wall>,
    /// Whether an operator has frozen it.
    pub frozen: bool,
    /// Whether nothing may be spent because what was spent before is not known.
    pub lost: bool,
}

impl Broke {
    /// What could still be held.
    pub fn left(&self) -> NanoUsd {
        if self.frozen || self.lost {
            return NanoUsd::ZERO;
        }
        self.limit.minus(self.spent).minus(self.held)
    }
}

/// A budget as it stands, for those who look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetState {
    /// Its name.
    pub budget: Arc<str>,
    /// Whose it is.
    pub scope: Scope,
    /// The agent, session or user, if it is one's; empty for those that named none, `_other` past the bound.
    pub of: Box<str>,
    /// How long a window is.
    pub period: Period,
    /// How much there is in the window of now, top-ups included.
    pub limit: NanoUsd,
    /// What was spent.
    pub spent: NanoUsd,
    /// What is held.
    pub held: NanoUsd,
    /// When it begins anew, if ever.
    pub resets: Option<Wall>,
    /// Whether it is frozen.
    pub frozen: bool,
    /// Whether nothing may be spent because what was spent before is not known.
    pub lost: bool,
}

/// A budget has passed one of its thresholds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The budget.
    pub budget: Arc<str>,
    /// Whose it is.
    pub scope: Scope,
    /// The agent, session or user.
    pub of: Box<str>,
    /// The threshold, in percent of the limit.
    pub percent: u8,
    /// What was spent.
    pub spent: NanoUsd,
    /// The limit.
    pub limit: NanoUsd,
}

/// Where a budget is said to be nearly, and wholly, used up; in percent of it.
pub const THRESHOLDS: [u8; 3] = [80, 90, 100];

/// How many agents, sessions or users of one budget are told apart; the others share one.
pub(super) const PARTS: usize = 1_000;

/// What the others are called.
pub(super) const OTHERS: &str = "_other";

/// What became of what a request held.
#[derive(Debug, Default)]
pub struct Settled {
    /// What it cost, by the windows it counts in.
    pub windows: Vec<Held>,
    /// The thresholds of budgets that this has passed.
    pub crossings: Vec<Crossing>,
}

/// What a request holds of one budget, as the journal writes it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The budget and its window.
    pub window: WindowId,
    /// How much.
    pub amount: NanoUsd,
}
