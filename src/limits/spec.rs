//! What can be limited, and how a limit is written: plain data, made by whoever compiles the policy.
//! Must never hold state: what is left of a limit lives in the account.

use super::budget::BudgetSpec;
use std::time::Duration;

/// One tenant's limits. What is `None` (or zero, for the queue) is not limited (not available).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitSpec {
    /// Requests, each counted when it is admitted and never given back.
    pub requests: Option<Rate>,
    /// Input tokens: held by estimate, settled to the truth.
    pub input_tokens: Option<Rate>,
    /// Output tokens: held by the output cap, settled to the truth.
    pub output_tokens: Option<Rate>,
    /// Input and output tokens together.
    pub tokens: Option<Rate>,
    /// Requests in progress at once. A slot is held until the answer's last byte.
    pub streams: Option<u32>,
    /// Requests that are refused for what they are, before one is answered with nothing but that.
    pub refusals: Option<Rate>,
    /// Connections that may be the tenant's at once.
    pub connections: Option<u32>,
    /// How many requests may wait for room. Zero: nobody waits, what does not fit is refused at once.
    pub queue: u32,
    /// What may be spent.
    pub budgets: Vec<BudgetSpec>,
    /// How long one request may wait; [`LimitSpec::DEFAULT_QUEUE_WAIT`] when absent.
    pub queue_wait: Option<Duration>,
}

impl LimitSpec {
    /// How long a request waits in the queue when the policy does not say.
    pub const DEFAULT_QUEUE_WAIT: Duration = Duration::from_secs(10);

    /// The limit of one dimension.
    pub fn limit(&self, dimension: Dimension) -> Option<Limit> {
        match dimension {
            Dimension::Requests => self.requests.map(Limit::Rate),
            Dimension::InputTokens => self.input_tokens.map(Limit::Rate),
            Dimension::OutputTokens => self.output_tokens.map(Limit::Rate),
            Dimension::Tokens => self.tokens.map(Limit::Rate),
            Dimension::Streams => self.streams.map(Limit::Slots),
        }
    }
}

/// `amount` per `per`, with at most `burst` saved up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many units come back in one period. Zero: what was there at first is all there will be.
    pub amount: u64,
    /// The period. Zero is read as one nanosecond.
    pub per: Duration,
    /// The size of the bucket; one period's amount when absent. At least 1 unless `amount` is zero, since nothing
    /// could ever pass an empty bucket.
    pub burst: Option<u64>,
}

impl Rate {
    /// The most that can be taken at one instant.
    pub fn capacity(&self) -> u64 {
        let floor = u64::from(self.amount > 0);
        self.burst.unwrap_or(self.amount).max(floor)
    }
}

/// The things an account counts. The names are the config's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Requests per period.
    Requests,
    /// Input tokens per period.
    InputTokens,
    /// Output tokens per period.
    OutputTokens,
    /// Input and output tokens per period.
    Tokens,
    /// Requests in progress at once.
    Streams,
}

/// What becomes of an amount that was taken, when the request is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Gone, whatever happened.
    Spent,
    /// Replaced by the true amount; given back if there is none.
    Settled,
    /// Given back.
    Lent,
}

impl Dimension {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of their index.
    pub const ALL: [Self; 5] = [
        Self::Requests,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Tokens,
        Self::Streams,
    ];

    /// The config's name for it; also the metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Tokens => "tokens",
            Self::Streams => "streams",
        }
    }

    pub(super) const fn fate(self) -> Fate {
        match self {
            Self::Requests => Fate::Spent,
            Self::InputTokens | Self::OutputTokens | Self::Tokens => Fate::Settled,
            Self::Streams => Fate::Lent,
        }
    }
}

/// One limit as it stands, to be shown to whoever ran into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So much per period.
    Rate(Rate),
    /// So many at once.
    Slots(u32),
}

impl Limit {
    /// The most there can be at one instant: the bucket's size, or the number of slots.
    pub fn most(&self) -> u64 {
        match self {
            Self::Rate(rate) => rate.capacity(),
            Self::Slots(slots) => u64::from(*slots),
        }
    }
}
