//! The words of the command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::config::duration;
use crate::config::money::BudgetName;
use crate::config::values::{LogFormat, LogLevel};
use crate::host::SystemClock;
use crate::simulator::Script;
use crate::units::{AmountFault, Clock as _, NanoUsd, TenantId, Wall};
use crate::views::moment;

/// A sidecar that makes the tenant the spine of everything an AI agent does.
#[derive(Debug, Parser)]
#[command(
    name = "outrigger",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Serve agents, until told to stop
    Serve(Serve),
    /// Run one agent with a sidecar of its own: `outrigger run -- python agent.py`
    Run(Run),
    /// Check a configuration, and contact nothing
    Check(Check),
    /// Say which rule decides about a request, or what a key or code means: `outrigger explain model-denied`
    Explain(Explain),
    /// Make virtual keys
    Keys(Keys),
    /// Serve the simulated model upstream
    Simulate(Simulate),
    /// Show, top up and freeze the budgets of a running sidecar
    Budget(Budget),
    /// Say what calls cost, by tenant, model, agent or day, from the journals of one or many sidecars
    Costs(Costs),
    /// Read the record of every action, and prove that nobody changed it
    Audit(Audit),
    /// Talk to a running sidecar
    Ctl(Ctl),
    /// Make what packages hold: manual pages, shell completions, the configuration's schema
    Generate(Generate),
}

/// Which configuration, shared by most verbs.
#[derive(Args, Clone, Debug)]
pub(super) struct Config {
    /// The configuration file [default: $`OUTRIGGER_CONFIG`, ./outrigger.toml, $`XDG_CONFIG_HOME/outrigger/outrigger.toml`, /etc/outrigger/outrigger.toml]
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// How the log looks, shared by the verbs that write one.
#[derive(Args, Clone, Debug)]
pub(super) struct LogArgs {
    /// How log lines look [default: $`OUTRIGGER_LOG_FORMAT`, `log.format` of the configuration]
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(LogFormat::WORDS))]
    pub(super) log_format: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) config: Config,
    /// Where the admin socket and other state lie [default: $`STATE_DIRECTORY`, $`XDG_STATE_HOME/outrigger`]
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Write the addresses to this file once all listeners answer
    #[arg(long, value_name = "FILE")]
    pub(super) ready_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// Send everything to the built-in simulated model upstream
    #[arg(long)]
    pub(super) simulate: bool,
}

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) config: Config,
    /// The tenant the agent works for [default: the only one]
    #[arg(long, short, value_name = "TENANT")]
    pub(super) tenant: Option<String>,
    /// Send everything to the built-in simulated model upstream
    #[arg(long)]
    pub(super) simulate: bool,
    /// Print the environment the agent would get, as shell commands, and run nothing
    #[arg(long)]
    pub(super) print_env: bool,
    /// Write request lines to standard error too
    #[arg(long)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// The agent and its arguments
    #[arg(
        trailing_var_arg = true,
        value_name = "CMD",
        required_unless_present = "print_env"
    )]
    pub(super) command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) config: Config,
    /// How problems are printed
    #[arg(long, value_enum, default_value = "human")]
    pub(super) format: CheckFormat,
    /// Fail on warnings too
    #[arg(long)]
    pub(super) deny_warnings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum CheckFormat {
    /// With the line and a caret
    Human,
    /// One line each
    Lines,
}

#[derive(Args, Debug)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) config: Config,
    /// A configuration key (`models.allow`), a section (`listen`), an error code (`OUT-0007`) or a refusal (`model-denied`)
    #[arg(value_name = "KEY|CODE")]
    pub(super) topic: Option<String>,
    /// The tenant that asks
    #[arg(long, short, value_name = "TENANT", conflicts_with = "topic")]
    pub(super) tenant: Option<String>,
    /// Or who calls, to be identified: the unix socket it connects to, or `fd:NAME` [default: a port]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["topic", "tenant"])]
    pub(super) socket: Option<PathBuf>,
    /// The number of the user it runs as
    #[arg(long, value_name = "UID", conflicts_with_all = ["topic", "tenant"])]
    pub(super) uid: Option<u32>,
    /// The hash of the key it shows
    #[arg(long, value_name = "sha256:HASH", conflicts_with_all = ["topic", "tenant"])]
    pub(super) key: Option<String>,
    /// The tenant it names in `identity.header`
    #[arg(long, value_name = "TENANT", conflicts_with_all = ["topic", "tenant"])]
    pub(super) header: Option<String>,
    /// The upstream that is asked [default: the first]
    #[arg(long, short, value_name = "NAME")]
    pub(super) upstream: Option<String>,
    /// The model that is asked for
    #[arg(long, short, value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// The method
    #[arg(long, default_value = "POST")]
    pub(super) method: String,
    /// The path below the upstream [default: the dialect's main endpoint]
    #[arg(long)]
    pub(super) path: Option<String>,
    /// The request's body; `-` reads it from standard input
    #[arg(long, value_name = "JSON")]
    pub(super) body: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Keys {
    #[command(subcommand)]
    pub(super) verb: KeysVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysVerb {
    /// Make a key: the secret for the agent, and its hash for the configuration
    New,
    /// Print the hash of a key read from standard input
    Hash,
}

#[derive(Args, Debug)]
pub(super) struct Generate {
    #[command(subcommand)]
    pub(super) verb: GenerateVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum GenerateVerb {
    /// Print the manual page, or write those of all verbs into a directory
    Man {
        /// Where to write them
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the completions of a shell
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the JSON schema of the configuration
    Schema,
}

#[derive(Args, Debug)]
#[command(after_long_help = SCRIPTS)]
pub(super) struct Simulate {
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8479")]
    pub(super) listen: SocketAddr,
    /// Write the address to this file once it listens
    #[arg(long, value_name = "FILE")]
    pub(super) ready_file: Option<PathBuf>,
    /// Serve callers without a credential too
    #[arg(long)]
    pub(super) open: bool,
    /// How every answer is: words such as `slow-20ms`, `pace-5ms`, `chunks-50`, `fault-429`, `fault-stall`, joined by `+`
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) script: Script,
    /// Rules by which single requests are answered otherwise
    #[arg(long, value_name = "FILE")]
    pub(super) rules: Option<PathBuf>,
    /// Where the draws of `chance=` and `fault-any` begin
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(super) seed: u64,
}

/// What `simulate` can be told.
const SCRIPTS: &str = "\
Words, joined by `+`. A request may bring its own, in its model name
(`sim-fault-cut+sim-slow-20ms`) or as headers (`x-sim-fault: cut`):
  slow-TIME first-TIME    waits before the head of the answer, before a stream's first byte
  pace-TIME pace-yield    waits between the frames of a stream; each frame in a write of its own
  chunks-N bytes-N        how many deltas, about how many bytes
  cached-N reasoning-N    tokens reported so
  coding-gzip             compressed, for those who accept it
  usage-missing usage-late usage-twice
                          usage is not told, told after the event that ends a stream, told twice
  flaky-STATUS            fails first tries with that status
  fault-STATUS            that error, in the provider's shape
  fault-hang fault-stall  no answer at all; silence half way
  fault-cut fault-event   dropped half way between events; the provider's error event half way
  fault-drop fault-head   closed without a byte; closed in the middle of the head
  fault-torn fault-reset  closed in the middle of an event; reset there
  fault-half              ends in the middle of an event, or of a plain answer, as if it were whole
  fault-short fault-long  a declared length that is too short, or too long
  fault-chunk             a chunk size that is no number
  fault-garbage fault-twice
                          bytes behind the answer that are no HTTP; a second answer, unasked
  fault-trickle           byte by byte, `pace` apart
  fault-interim           two interim answers first
  fault-early             answered before the request's body is read (not by model name)
  fault-close             closed behind an answer that did not say so
  fault-any               one of the words above, drawn from the seed

Rules, one a line; the first that holds decides:
  path=/v1/messages nth=2 -> fault-reset
  model=gpt-slow* -> slow-200ms+chunks-50
  every=10 -> usage-late
  chance=5% -> fault-any
  path=/v1/responses -> replay captured.http
  * -> pace-5ms
`nth`, `every` and `chance` count the requests for which the rest of the line holds.

A file to replay, looked for beside the rules, holds answers as the bytes they were, and between
them lines such as `%% answer` (begins the answer to the next request), `%% wait 20ms`,
`%% trickle 5ms`, `%% close`, `%% reset` and `%% silence`.";

#[derive(Args, Debug)]
pub(super) struct Ctl {
    #[command(flatten)]
    pub(super) way: Way,
    #[command(subcommand)]
    pub(super) verb: CtlVerb,
}

/// How a running sidecar is reached, and how its answer is printed.
#[derive(Args, Debug)]
pub(super) struct Way {
    /// Where the sidecar's state lies [default: $`STATE_DIRECTORY`, $`XDG_STATE_HOME/outrigger`]
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) state: Option<PathBuf>,
    /// The admin door itself: the path of its socket, or `http://127.0.0.1:8472`
    #[arg(long, alias = "socket", value_name = "PATH|URL", global = true)]
    pub(super) admin: Option<String>,
    /// The file of the token to show over TCP
    #[arg(long, value_name = "FILE", requires = "admin", global = true)]
    pub(super) token_file: Option<PathBuf>,
    /// Print the answer as JSON, one document per line
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Budget {
    #[command(flatten)]
    pub(super) way: Way,
    #[command(subcommand)]
    pub(super) verb: BudgetVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum BudgetVerb {
    /// List the budgets: what each has, what was spent and is held of it, when it begins anew
    Show(Tenants),
    /// Add to a budget for its window of now; the next one has what the configuration says
    Topup {
        /// Whose
        #[arg(value_name = "TENANT")]
        tenant: TenantId,
        /// Which, by its name in the configuration
        #[arg(value_name = "BUDGET")]
        budget: BudgetName,
        /// How much, in US dollars: `25` or `0.50`
        #[arg(value_name = "USD", value_parser = dollars)]
        amount: NanoUsd,
        /// Of which agent, session or user, where the budget is one for each
        #[arg(long, value_name = "NAME", value_parser = part)]
        of: Option<String>,
    },
    /// Change afterwards what a call cost, by a record of its own; budgets are left alone
    Correct {
        /// Whose
        #[arg(value_name = "TENANT")]
        tenant: TenantId,
        /// Which call: the number of its intent, as `audit show` has it
        #[arg(value_name = "RECORD")]
        about: u64,
        /// How much it cost more than was settled, in US dollars
        #[arg(value_name = "USD", value_parser = dollars)]
        amount: NanoUsd,
        /// It cost so much less
        #[arg(long)]
        less: bool,
        /// Why, for whoever reads the record
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        why: String,
    },
    /// Let nothing more be spent of a budget; what is under way goes on
    Freeze {
        /// Whose
        #[arg(value_name = "TENANT")]
        tenant: TenantId,
        /// Which
        #[arg(value_name = "BUDGET")]
        budget: BudgetName,
    },
    /// Let a frozen budget be spent again
    Unfreeze {
        /// Whose
        #[arg(value_name = "TENANT")]
        tenant: TenantId,
        /// Which
        #[arg(value_name = "BUDGET")]
        budget: BudgetName,
    },
}

/// Words that can stand in a target as they are, but for spaces.
fn reason(text: &str) -> Result<String, &'static str> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " _.,:;@/()-".contains(letter);
    if text.is_empty() || text.len() > 200 || !text.chars().all(plain) {
        return Err("use up to 200 of `[A-Za-z0-9 _.,:;@/()-]`");
    }
    Ok(text.to_owned())
}

fn dollars(text: &str) -> Result<NanoUsd, AmountFault> {
    NanoUsd::parse(text)
}

/// A name that needs no escaping in a target.
fn part(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:@-".contains(&byte);
    if text.is_empty() || !text.bytes().all(plain) {
        return Err("use `[A-Za-z0-9_.:@-]`");
    }
    Ok(text.to_owned())
}

#[derive(Debug, Subcommand)]
pub(super) enum CtlVerb {
    /// Read the configuration again; fails if it is rejected
    Reload,
    /// Stop taking work, and end when there is none
    Drain,
    /// Say how it is; fails if it does not answer
    Health,
    /// Say which configuration runs, setting by setting, and why the last change was rejected
    Config,
    /// List the tenants with their limits and what is left of them
    Tenants(Tenants),
    /// Say how much is logged, or change it for a while
    Loglevel(Loglevel),
    /// Go on although part of the journal is lost, as `health` says
    Acknowledge,
    /// Refuse a tenant from now on, until it is resumed or the sidecar ends
    Suspend {
        /// Whom
        #[arg(value_name = "TENANT")]
        tenant: TenantId,
        /// End what it has under way, too
        #[arg(long)]
        cut: bool,
    },
    /// Take a suspended tenant back
    Resume {
        /// Whom
        #[arg(value_name = "TENANT")]
        tenant: TenantId,
    },
}

#[derive(Args, Debug)]
pub(super) struct Tenants {
    /// Only this one
    #[arg(value_name = "TENANT", conflicts_with_all = ["after", "limit"])]
    pub(super) tenant: Option<TenantId>,
    /// Only those behind this one, in the order of their ids
    #[arg(long, value_name = "TENANT")]
    pub(super) after: Option<TenantId>,
    /// So many at most
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u32>,
}

#[derive(Args, Debug)]
pub(super) struct Loglevel {
    /// The new level
    #[arg(value_name = "LEVEL", value_parser = PossibleValuesParser::new(LogLevel::WORDS))]
    pub(super) level: Option<String>,
    /// For how long; then what the configuration says holds again [default: 10m]
    #[arg(long = "for", value_name = "TIME", value_parser = duration, requires = "level")]
    pub(super) span: Option<Duration>,
}

/// Whose journals are read, shared by the verbs that read some.
#[derive(Args, Debug)]
pub(super) struct States {
    /// Where a sidecar's state lies; several are read as one [default: $`STATE_DIRECTORY`, $`XDG_STATE_HOME/outrigger`]
    #[arg(long = "state", value_name = "DIR", global = true)]
    pub(super) states: Vec<PathBuf>,
}

/// Which of the records, shared by the verbs that read some.
#[derive(Args, Debug)]
pub(super) struct Records {
    /// Only this tenant's
    #[arg(long, short, value_name = "TENANT")]
    pub(super) tenant: Option<TenantId>,
    /// From this time on: `2026-11-24`, `2026-11-24T09:00:00Z`, or how long ago: `24h`
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) since: Option<Wall>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) until: Option<Wall>,
}

fn time(text: &str) -> Result<Wall, &'static str> {
    if let Ok(ago) = duration(text) {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(Wall(SystemClock.wall().0.saturating_sub(ago)));
    }
    moment(text)
}

#[derive(Args, Debug)]
pub(super) struct Costs {
    #[command(flatten)]
    pub(super) states: States,
    #[command(flatten)]
    pub(super) records: Records,
    /// What a row is about; several, with commas, make a row for each combination
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        value_delimiter = ',',
        default_value = "tenant"
    )]
    pub(super) by: Vec<CostsBy>,
    /// The configuration that says what each tenant brings in (`revenue`): its margin is shown too
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// How they are printed
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: CostsFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum CostsBy {
    Tenant,
    Model,
    Upstream,
    Agent,
    Session,
    User,
    Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum CostsFormat {
    /// A table
    Text,
    /// A document for each row, in nano-dollars
    Json,
    /// A line for each row, in dollars
    Csv,
    /// FOCUS 1.2: a line for each day, tenant, upstream and model
    Focus,
}

#[derive(Args, Debug)]
pub(super) struct Audit {
    #[command(flatten)]
    pub(super) states: States,
    #[command(subcommand)]
    pub(super) verb: AuditVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditVerb {
    /// Show the latest records
    Show(AuditShow),
    /// Show the latest records, and those that come
    Tail(AuditShow),
    /// Check every record against its chain, its seal and what was signed; ends with 0 if all is as it was written, with 1
    /// if not, and with 2 if nothing can be said
    Verify {
        /// A file of checkpoints that was kept elsewhere: shows what was cut off or put back
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Print all records, one document per line
    Export {
        #[command(flatten)]
        records: Records,
        /// What the documents look like
        #[arg(long, value_enum, default_value = "jsonl")]
        format: AuditFormat,
    },
    /// Forget the key of everything a tenant's records say so far: amounts stay, and every chain with them; nothing else can be read again
    Erase(AuditErase),
}

#[derive(Args, Debug)]
pub(super) struct AuditErase {
    /// Whose
    #[arg(long, short, value_name = "TENANT")]
    pub(super) tenant: TenantId,
    /// It cannot be undone, and is meant
    #[arg(long)]
    pub(super) yes: bool,
    /// The admin door of the sidecar that has the journal open: the path of its socket, or `http://127.0.0.1:8472` [default: `admin.sock` in the state directory]
    #[arg(long, value_name = "PATH|URL")]
    pub(super) admin: Option<String>,
    /// The file of the token to show over TCP
    #[arg(long, value_name = "FILE", requires = "admin")]
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct AuditShow {
    #[command(flatten)]
    pub(super) records: Records,
    /// So many at most, the latest
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(super) limit: u32,
    /// One document per line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum AuditFormat {
    /// What stands in the clear, and under `entry` what was sealed
    Jsonl,
    /// OCSF 1.6, API Activity
    Ocsf,
}
