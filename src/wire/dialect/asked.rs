//! What a governed request asks: read once from a finished scan, held as indices into it, without copies.
//! Must never decide what is allowed; it only makes sure that nothing governed can be read in two ways.

use std::fmt;

use crate::units::{Code, Dialect, Endpoint, Tokens};
use crate::wire::form::{Form, FormFault, FormFaultKind};
use crate::wire::json_scan::{self, Kind, Member, Paths, Scan};

mod form;
mod read;

/// The input tokens that one inline media item is estimated at.
pub const MEDIA_TOKENS: Tokens = 1000;

/// The governed members of an endpoint's requests: the paths to scan for, and what each means.
#[derive(Debug)]
pub struct Governed {
    dialect: Dialect,
    endpoint: Endpoint,
    paths: Paths,
    names: &'static [&'static str],
    roles: Vec<Role>,
    /// The parts that are governed where requests may be forms.
    form: &'static [&'static str],
}

impl Governed {
    /// The table of an endpoint; `None` if its requests are not governed by their body.
    pub fn of(dialect: Dialect, endpoint: Endpoint) -> Option<&'static Self> {
        match dialect {
            Dialect::OpenAi => super::openai::governed(endpoint),
            Dialect::Anthropic => super::anthropic::governed(endpoint),
        }
    }

    /// The paths to scan the body for.
    pub const fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Reads what is asked from a finished scan for [`Governed::paths`].
    ///
    /// # Errors
    /// If the body is not an object, or a governed member has a kind of value it cannot have.
    pub fn read(&self, scan: Scan) -> Result<Asked, AskFault> {
        read::read(self, scan)
    }

    pub(super) fn compile(
        dialect: Dialect,
        endpoint: Endpoint,
        tables: &[&[(&'static str, Role)]],
    ) -> Self {
        let rows = || tables.iter().copied().flatten();
        let names: Vec<&'static str> = rows().map(|&(name, _)| name).collect();
        let names: &[&str] = names.leak();
        let roles = rows().map(|&(_, role)| role).collect();
        Self {
            dialect,
            endpoint,
            paths: Paths::compile(names),
            names,
            roles,
            form: form::names(endpoint, names),
        }
    }
}

/// What a governed path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Model,
    /// A model that may answer or help instead: fallbacks, advisors, image and moderation models.
    OtherModel,
    /// `fallbacks`: a list, or the word `default`.
    Fallbacks,
    /// An entry of `fallbacks`: a model id, or an object with a `model`.
    Fallback,
    Stream,
    StreamOptions,
    IncludeUsage,
    OutputCap,
    /// A count that multiplies the output: `n`, `best_of`.
    Choices,
    /// Governed only so that it is a list: `tools`, `models`.
    List,
    Tool,
    ToolKind,
    NestedToolKind,
    /// Where a `shell` tool runs.
    ShellPlace,
    /// A member that switches something hosted on by being there, under its own name.
    Hosted(&'static str),
    StoredPrompt,
    Background,
    Store,
    /// A provider-side object, by id or list of ids.
    Reference(ReferenceKind),
    /// A provider-side object, by id; an object here has its own governed members.
    ReferenceOrObject(ReferenceKind),
    ItemKind,
    ItemId,
    /// What an item is, sealed: with it, the provider needs to keep nothing.
    ItemContent,
    /// `service_tier`.
    ServiceTier,
    /// `speed`.
    Speed,
    /// Where the model shall run.
    InferenceGeo,
    /// How long a prompt's cache shall live.
    CacheLife,
    User,
    SafetyIdentifier,
    Metadata,
    TenantMetadata,
    CacheKey,
}

/// What kind of provider-side state a request refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKind {
    /// An earlier response (`previous_response_id`, `comparison_response_id`).
    Response,
    /// A conversation or thread.
    Conversation,
    /// An item of an earlier response (`item_reference`).
    Item,
    /// An uploaded or generated file.
    File,
    /// A code container.
    Container,
    /// A vector store.
    VectorStore,
    /// Deferred work (`background_options.continuation_id`).
    Continuation,
    /// A generated audio clip.
    Audio,
    /// An uploaded skill.
    Skill,
}

impl ReferenceKind {
    /// The word used in messages and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Conversation => "conversation",
            Self::Item => "item",
            Self::File => "file",
            Self::Container => "container",
            Self::VectorStore => "vector-store",
            Self::Continuation => "continuation",
            Self::Audio => "audio",
            Self::Skill => "skill",
        }
    }
}

/// A reference to provider-side state, and the governed path it stands at. Each path is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it refers to.
    pub kind: ReferenceKind,
    /// Where, as the table writes it: `$.previous_response_id`.
    pub path: &'static str,
}

/// A governed member that has a kind of value its path cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskFault {
    /// Where, as the table writes it: `$.model`.
    pub path: &'static str,
    /// The offset of the value.
    pub at: usize,
    /// What should be there.
    pub expected: &'static str,
}

impl AskFault {
    /// The refusal this becomes.
    pub const fn code(&self) -> Code {
        Code::BodyMalformed
    }
}

impl fmt::Display for AskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "byte {}: `{}` must be {}",
            self.at, self.path, self.expected
        )
    }
}

impl std::error::Error for AskFault {}

/// The refusal that a scan's fault becomes.
pub const fn scan_code(fault: &json_scan::Fault) -> Code {
    match fault {
        json_scan::Fault::TooDeep { .. } => Code::BodyTooDeep,
        json_scan::Fault::Duplicate { .. } | json_scan::Fault::Variant { .. } => {
            Code::BodyAmbiguous
        }
        json_scan::Fault::Malformed { .. }
        | json_scan::Fault::TooLong { .. }
        | json_scan::Fault::TooMany { .. } => Code::BodyMalformed,
    }
}

/// The refusal that a form's fault becomes.
pub const fn form_code(fault: &FormFault) -> Code {
    match fault.kind {
        FormFaultKind::Boundary | FormFaultKind::Ambiguous => Code::BodyAmbiguous,
        FormFaultKind::Outside
        | FormFaultKind::Ends
        | FormFaultKind::Head(_)
        | FormFaultKind::TooMuch(_)
        | FormFaultKind::Value => Code::BodyMalformed,
    }
}

/// What a governed request asks. `null` counts as absent everywhere.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of the request, each a JSON boolean or a presence"
)]
pub struct Asked {
    /// The endpoint it was read for.
    pub endpoint: Endpoint,
    /// Whether the answer shall be streamed.
    pub stream: bool,
    /// OpenAI's `stream_options.include_usage`, if it is there.
    pub include_usage: Option<bool>,
    /// The largest output cap that is given, in tokens per choice.
    pub output_cap: Option<Tokens>,
    /// How many times the output is generated (`n`, `best_of`), at least 1.
    pub choices: u64,
    /// Anthropic's `fallbacks: "default"`: the provider picks another model by itself.
    pub default_fallbacks: bool,
    /// A prompt stored at the provider, which may name a model of its own.
    pub stored_prompt: bool,
    /// Whether the work goes on after the answer.
    pub background: bool,
    /// Whether the provider may keep the answer, if the request says.
    pub store: Option<bool>,
    /// The provider-side state it refers to.
    pub references: Vec<Reference>,
    /// The first governed path at which it asks the provider to keep something for later.
    pub keeps: Option<&'static str>,
    /// The input's tokens: a quarter of its text bytes, rounded up, and [`MEDIA_TOKENS`] for each inline media item.
    pub input_estimate: Tokens,
    pub(super) dialect: Dialect,
    pub(super) sites: Sites,
    pub(super) scan: Scan,
    /// The form that it came in, if it did: the scan is of what its governed parts say.
    pub(super) form: Option<Box<Form>>,
    hosted: Vec<Hosted>,
    other_models: Vec<u32>,
    tiers: Vec<u32>,
}

impl Asked {
    /// The model that is asked for.
    pub fn model(&self) -> Option<&str> {
        self.text(self.sites.model?)
    }

    /// Every other model that may answer or take part: fallbacks, advisors, image and moderation models.
    /// Each with the governed path it stands at.
    pub fn other_models(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.placed(&self.other_models)
    }

    /// Every tool that runs at the provider, by its type as written (`web_search_20260318`), and the members that
    /// switch one on by being there (`mcp_servers`, `web_search_options`). Unknown types count.
    pub fn hosted_tools(&self) -> impl Iterator<Item = &str> {
        self.hosted.iter().filter_map(|hosted| match *hosted {
            Hosted::Kind(at) => self.text(at),
            Hosted::Member(name) => Some(name),
        })
    }

    /// Every service tier and speed that is asked for, each with the governed path it stands at.
    pub fn tiers(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.placed(&self.tiers)
    }

    /// The service tier that is asked for.
    pub fn service_tier(&self) -> Option<&str> {
        self.text(self.sites.service_tier?)
    }

    /// Where the model shall run, in Anthropic's words.
    pub fn inference_geo(&self) -> Option<&str> {
        self.text(self.sites.inference_geo?)
    }

    /// The OpenAI cache key that is asked for.
    pub fn cache_key(&self) -> Option<&str> {
        self.text(self.sites.cache_key?)
    }

    /// The scan it was read from.
    pub const fn scan(&self) -> &Scan {
        &self.scan
    }

    pub(super) fn member(&self, at: u32) -> Option<&Member> {
        self.scan.members().get(usize::try_from(at).ok()?)
    }

    /// The texts of these members, each with its path.
    fn placed<'a>(&'a self, members: &'a [u32]) -> impl Iterator<Item = (&'a str, &'static str)> {
        members.iter().filter_map(|&at| {
            let governed = Governed::of(self.dialect, self.endpoint)?;
            Some((self.text(at)?, governed.paths.name(self.member(at)?.path)))
        })
    }

    fn text(&self, at: u32) -> Option<&str> {
        let member = self.member(at)?;
        if member.kind == Kind::String {
            self.scan.text(member)
        } else {
            None
        }
    }
}

/// Where the members that can be edited are: indices into the scan's members.
#[derive(Clone, Debug, Default)]
pub(super) struct Sites {
    pub(super) model: Option<u32>,
    pub(super) stream_options: Option<u32>,
    pub(super) include_usage: Option<u32>,
    pub(super) output_caps: Vec<u32>,
    pub(super) user: Option<u32>,
    pub(super) safety_identifier: Option<u32>,
    pub(super) metadata: Option<u32>,
    pub(super) tenant_metadata: Vec<u32>,
    pub(super) cache_key: Option<u32>,
    pub(super) store: Option<u32>,
    pub(super) service_tier: Option<u32>,
    pub(super) inference_geo: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Hosted {
    Kind(u32),
    Member(&'static str),
}

#[cfg(test)]
mod tests;
