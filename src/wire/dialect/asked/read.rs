//! One pass over the governed members, in document order: each is checked for its kind and noted.
//! Must never skip a member whose kind it does not expect.

use super::{AskFault, Asked, Governed, Hosted, Reference, ReferenceKind, Role, Sites};
use crate::units::{Dialect, Endpoint, Tokens};
use crate::wire::json_scan::{Kind, Member, Scan};

pub(super) fn read(governed: &Governed, scan: Scan) -> Result<Asked, AskFault> {
    if scan.root != Some(Kind::Object) {
        return Err(AskFault {
            path: "$",
            at: 0,
            expected: "an object",
        });
    }
    let input_estimate = estimate(governed.endpoint, &scan);
    let mut reader = Reader::new(governed, input_estimate);
    for (at, member) in scan.members().iter().enumerate() {
        // A scan records at most 65,536 members.
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        reader.take(&scan, at, member)?;
    }
    Ok(reader.done(scan))
}

fn estimate(endpoint: Endpoint, scan: &Scan) -> Tokens {
    let media = u64::from(scan.media_items).saturating_mul(super::MEDIA_TOKENS);
    let text = scan.text_bytes.div_ceil(4);
    // Token arrays have no text: a token's id and its comma are about six bytes.
    let ids = match endpoint {
        Endpoint::Embeddings | Endpoint::Completions => {
            u64::try_from(scan.len).unwrap_or(u64::MAX) / 6
        }
        _ => 0,
    };
    text.max(ids).saturating_add(media)
}

struct Reader<'g> {
    governed: &'g Governed,
    asked: Asked,
    item: Option<Item>,
    shells: Vec<(u32, u32)>,
    local_shells: Vec<u32>,
}

/// An entry of `input`, as far as it was read.
struct Item {
    parent: u32,
    kind: ItemKind,
    has_id: bool,
    has_content: bool,
}

/// What an entry's id is to it.
enum ItemKind {
    /// All there is; also of an entry without a type.
    Reference,
    /// All there is, unless its sealed content is there too.
    Reasoning,
    /// A name.
    Other,
}

impl<'g> Reader<'g> {
    fn new(governed: &'g Governed, input_estimate: Tokens) -> Self {
        let asked = Asked {
            endpoint: governed.endpoint,
            stream: false,
            include_usage: None,
            output_cap: None,
            choices: 1,
            default_fallbacks: false,
            stored_prompt: false,
            background: false,
            store: None,
            references: Vec::new(),
            keeps: None,
            input_estimate,
            dialect: governed.dialect,
            sites: Sites::default(),
            scan: Scan::default(),
            form: None,
            hosted: Vec::new(),
            other_models: Vec::new(),
            tiers: Vec::new(),
        };
        Self {
            governed,
            asked,
            item: None,
            shells: Vec::new(),
            local_shells: Vec::new(),
        }
    }

    fn take(&mut self, scan: &Scan, at: u32, member: &Member) -> Result<(), AskFault> {
        let Some(&role) = self.governed.roles.get(usize::from(member.path.0)) else {
            return Ok(());
        };
        self.note_site(role, at);
        if member.kind == Kind::Null && !matches!(role, Role::ItemKind | Role::Tool) {
            return Ok(());
        }
        match role {
            Role::Model | Role::User | Role::SafetyIdentifier | Role::CacheKey => {
                self.must_be(member, Kind::String, "a string")
            }
            Role::StreamOptions | Role::StoredPrompt | Role::Metadata => {
                self.asked.stored_prompt |= role == Role::StoredPrompt;
                self.must_be(member, Kind::Object, "an object")
            }
            Role::List => self.must_be(member, Kind::Array, "an array"),
            Role::Tool => self.must_be(member, Kind::Object, "an object"),
            Role::Stream | Role::IncludeUsage | Role::Background | Role::Store => {
                self.switch(role, member)
            }
            Role::OutputCap | Role::Choices => self.number(role, scan, member),
            Role::OtherModel | Role::Fallbacks | Role::Fallback => {
                self.fallback(role, scan, at, member)
            }
            Role::ToolKind | Role::NestedToolKind | Role::ShellPlace => {
                self.tool(role, scan, at, member)
            }
            Role::Hosted(name) => {
                if member.kind != Kind::False && !(member.kind == Kind::Array && member.empty) {
                    self.asked.hosted.push(Hosted::Member(name));
                }
                Ok(())
            }
            Role::Reference(kind) | Role::ReferenceOrObject(kind) => {
                self.reference(role, kind, member)
            }
            Role::ItemKind | Role::ItemId | Role::ItemContent => self.item(role, scan, member),
            Role::ServiceTier | Role::Speed => {
                self.asked.tiers.push(at);
                self.must_be(member, Kind::String, "a string")
            }
            Role::InferenceGeo => self.must_be(member, Kind::String, "a string"),
            Role::CacheLife => self.cache_life(scan, member),
            Role::TenantMetadata => Ok(()),
        }
    }

    fn note_site(&mut self, role: Role, at: u32) {
        let sites = &mut self.asked.sites;
        let site = match role {
            Role::Model => &mut sites.model,
            Role::StreamOptions => &mut sites.stream_options,
            Role::IncludeUsage => &mut sites.include_usage,
            Role::User => &mut sites.user,
            Role::SafetyIdentifier => &mut sites.safety_identifier,
            Role::Metadata => &mut sites.metadata,
            Role::CacheKey => &mut sites.cache_key,
            Role::Store => &mut sites.store,
            Role::ServiceTier => &mut sites.service_tier,
            Role::InferenceGeo => &mut sites.inference_geo,
            Role::OutputCap => return sites.output_caps.push(at),
            Role::TenantMetadata => return sites.tenant_metadata.push(at),
            _ => return,
        };
        *site = Some(at);
    }

    fn switch(&mut self, role: Role, member: &Member) -> Result<(), AskFault> {
        let on = match member.kind {
            Kind::True => true,
            Kind::False => false,
            _ => return Err(self.fault(member, "`true` or `false`")),
        };
        match role {
            Role::Stream => self.asked.stream = on,
            Role::IncludeUsage => self.asked.include_usage = Some(on),
            Role::Background => self.asked.background = on,
            _ => self.asked.store = Some(on),
        }
        Ok(())
    }

    fn number(&mut self, role: Role, scan: &Scan, member: &Member) -> Result<(), AskFault> {
        let value = scan
            .integer(member)
            .ok_or_else(|| self.fault(member, "a whole number"))?;
        if role == Role::OutputCap {
            self.asked.output_cap = self.asked.output_cap.max(Some(value));
        } else {
            self.asked.choices = self.asked.choices.max(value);
        }
        Ok(())
    }

    fn fallback(
        &mut self,
        role: Role,
        scan: &Scan,
        at: u32,
        member: &Member,
    ) -> Result<(), AskFault> {
        match (role, member.kind) {
            (Role::OtherModel | Role::Fallback, Kind::String) => self.asked.other_models.push(at),
            (Role::Fallbacks, Kind::String) if scan.text(member) == Some("default") => {
                self.asked.default_fallbacks = true;
            }
            (Role::Fallbacks, Kind::Array) | (Role::Fallback, Kind::Object) => {}
            (Role::Fallbacks, _) => return Err(self.fault(member, "a list or `default`")),
            _ => return Err(self.fault(member, "a model id")),
        }
        Ok(())
    }

    fn tool(&mut self, role: Role, scan: &Scan, at: u32, member: &Member) -> Result<(), AskFault> {
        self.must_be(member, Kind::String, "a string")?;
        let kind = scan.text(member).unwrap_or_default();
        if role == Role::ShellPlace {
            if kind == "local" {
                self.local_shells.push(member.index);
            }
            return Ok(());
        }
        let hosted = match self.governed.dialect {
            Dialect::OpenAi => crate::wire::dialect::openai::is_hosted(kind),
            Dialect::Anthropic => crate::wire::dialect::anthropic::is_hosted(kind),
        };
        // A group within a group would hide its tools from the table.
        let hosted = hosted || (role == Role::NestedToolKind && kind == "namespace");
        if hosted && role == Role::ToolKind && kind == "shell" {
            self.shells.push((member.index, at));
        } else if hosted {
            self.asked.hosted.push(Hosted::Kind(at));
        }
        Ok(())
    }

    fn reference(
        &mut self,
        role: Role,
        kind: ReferenceKind,
        member: &Member,
    ) -> Result<(), AskFault> {
        match (role, member.kind) {
            (_, Kind::String) => self.refer(kind, self.governed.paths.name(member.path)),
            (Role::Reference(_), Kind::Array) => {
                if !member.empty {
                    self.refer(kind, self.governed.paths.name(member.path));
                }
            }
            (Role::ReferenceOrObject(_), Kind::Object) => self.keep(member),
            _ => return Err(self.fault(member, "an id")),
        }
        Ok(())
    }

    /// A cache outlives the call in any case; what is said here is for how long. The provider's shortest is its usual one.
    fn cache_life(&mut self, scan: &Scan, member: &Member) -> Result<(), AskFault> {
        self.must_be(member, Kind::String, "a string")?;
        if !matches!(scan.text(member), Some("in_memory" | "in-memory" | "30m")) {
            self.keep(member);
        }
        Ok(())
    }

    fn keep(&mut self, member: &Member) {
        let path = self.governed.paths.name(member.path);
        self.asked.keeps.get_or_insert(path);
    }

    fn refer(&mut self, kind: ReferenceKind, path: &'static str) {
        if !self.asked.references.iter().any(|known| known.path == path) {
            self.asked.references.push(Reference { kind, path });
        }
    }

    fn item(&mut self, role: Role, scan: &Scan, member: &Member) -> Result<(), AskFault> {
        if member.kind != Kind::Null {
            self.must_be(member, Kind::String, "a string")?;
        }
        let found = member.kind == Kind::String;
        if self
            .item
            .as_ref()
            .is_none_or(|item| item.parent != member.parent)
        {
            self.end_item();
            self.item = Some(Item {
                parent: member.parent,
                kind: ItemKind::Reference,
                has_id: false,
                has_content: false,
            });
        }
        if let Some(item) = &mut self.item {
            if role == Role::ItemId {
                item.has_id = true;
            } else if role == Role::ItemContent {
                // Not just the quotes.
                item.has_content = found && member.value.len() > 2;
            } else if found {
                item.kind = match scan.text(member) {
                    // A generated image is sent again by its id alone, too.
                    Some("item_reference" | "image_generation_call") => ItemKind::Reference,
                    Some("reasoning") => ItemKind::Reasoning,
                    Some(_) | None => ItemKind::Other,
                };
            }
        }
        Ok(())
    }

    fn end_item(&mut self) {
        let refers = self.item.take().is_some_and(|item| match item.kind {
            ItemKind::Reference => item.has_id,
            ItemKind::Reasoning => item.has_id && !item.has_content,
            ItemKind::Other => false,
        });
        if refers {
            self.refer(ReferenceKind::Item, "$.input[*].id");
        }
    }

    fn done(mut self, scan: Scan) -> Asked {
        self.end_item();
        // Both lists are in document order.
        for (tool, at) in std::mem::take(&mut self.shells) {
            if self.local_shells.binary_search(&tool).is_err() {
                self.asked.hosted.push(Hosted::Kind(at));
            }
        }
        self.asked.scan = scan;
        self.asked
    }

    fn must_be(&self, member: &Member, kind: Kind, expected: &'static str) -> Result<(), AskFault> {
        if member.kind == kind {
            Ok(())
        } else {
            Err(self.fault(member, expected))
        }
    }

    fn fault(&self, member: &Member, expected: &'static str) -> AskFault {
        AskFault {
            path: self.governed.paths.name(member.path),
            at: member.value.start,
            expected,
        }
    }
}
