//! How each type of value is read from a node of the tree: one `impl Setting` per type, so that `read` is a list of names.
//! Must never return a value it reported.

use std::time::Duration;

use super::keys::{self, Key, Kind};
use super::money::{self, BudgetWindow, Revenue, ZoneName};
use super::node::Node;
use super::parse::{self, Flaw};
use super::prices;
use super::problem::OutCode;
use super::raw::{OwnCredential, Rewrite};
use super::section::{Context, Section};
use super::settings;
use super::site::{Origin, Sited};
use super::suggest;
use super::values::{
    AbsolutePath, AdminAddress, AnyOr, BudgetScope, CallerId, Credentials, Date, Glob, HangUp,
    HoldFor, HostName, HttpVersion, JournalMode, KeyHash, KeyHeader, ListenAddress, LogFormat,
    LogLevel, Note, OnJournalFailure, OnLostState, OnMismatch, OnOff, OnRevoke, OrOff, Pem,
    Permission, PolicyName, Proof, ProviderName, ProviderRetention, ProxyAddress, Rate, Region,
    Role, Stamp, StreamUsage, TenantHeader, Trust, UnknownModel, UpstreamUrl, WebOrigin,
};
use crate::units::{Dialect, Endpoint, IdError, NanoUsd, Secret, TenantId, UpstreamName};

/// A type a setting can have.
pub(super) trait Setting: Sized {
    /// The value, or reports.
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>>;
}

impl Section<'_> {
    /// A setting of this section, if it is written and good.
    pub(super) fn get<T: Setting>(
        &self,
        context: &mut Context<'_>,
        name: &str,
    ) -> Option<Sited<T>> {
        let node = self.node(name)?;
        settings::note(&mut context.written, node.key, &node.shown, node.site);
        T::read(&node, context)
    }

    /// A setting that must be written.
    pub(super) fn require<T: Setting>(
        &self,
        context: &mut Context<'_>,
        name: &str,
    ) -> Option<Sited<T>> {
        if !self.has(name) {
            self.missing(context, name);
        }
        self.get(context, name)
    }
}

impl Setting for Duration {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let span = node.parsed(context, parse::duration)?;
        let (Kind::Duration(least, most) | Kind::DurationOrOff(least, most)) = node.key.kind else {
            return Some(span);
        };
        within(node, context, span, least, most, parse::duration_text)
    }
}

impl Setting for u64 {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        if let Kind::Size(least, most) = node.key.kind {
            let size = node.parsed(context, parse::size)?;
            return within(node, context, size, least, most, parse::size_text);
        }
        let (Kind::Count(least, most) | Kind::Counts(least, most)) = node.key.kind else {
            node.wrong_type(context);
            return None;
        };
        node.count(context, least, most)
    }
}

impl Setting for u32 {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let number = u64::read(node, context)?;
        Self::try_from(number.value)
            .ok()
            .map(|value| Sited::new(value, number.site))
    }
}

impl Setting for bool {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        node.flag(context)
    }
}

/// Reports a value out of its bounds.
fn within<T: PartialOrd + Copy>(
    node: &Node<'_>,
    context: &mut Context<'_>,
    value: Sited<T>,
    least: T,
    most: T,
    show: fn(T) -> String,
) -> Option<Sited<T>> {
    if (least..=most).contains(&value.value) {
        return Some(value);
    }
    let what = format!("expected {} to {}", show(least), show(most));
    node.reject(context, OutCode::InvalidValue, &what, "");
    None
}

impl<T: Setting> Setting for OrOff<T> {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        if let Some(off) = word_alone(node, context, "off") {
            return Some(off.map(|()| Self::Off));
        }
        Some(T::read(node, context)?.map(Self::On))
    }
}

impl<T: Setting> Setting for AnyOr<T> {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        if let Some(any) = word_alone(node, context, "*") {
            return Some(any.map(|()| Self::Any));
        }
        Some(T::read(node, context)?.map(Self::One))
    }
}

/// Whether the text is that one word, filled in or not; reports nothing.
fn word_alone(node: &Node<'_>, context: &mut Context<'_>, word: &str) -> Option<Sited<()>> {
    let text = node.value.as_str()?;
    if context.peek(text, node.key).as_deref() != Some(word) {
        return None;
    }
    node.text(context).map(|text| text.map(|_| ()))
}

/// Lists; broken elements are reported and left out.
impl<T: Setting> Setting for Vec<Sited<T>> {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let alone =
            matches!(node.key.kind, Kind::Addresses | Kind::AdminAddresses) && node.value.is_str();
        let values: Self = if alone {
            T::read(node, context).into_iter().collect()
        } else {
            let elements = node.list(context)?;
            if elements.is_empty()
                && matches!(
                    node.key.kind,
                    Kind::Addresses | Kind::AdminAddresses | Kind::Words(_)
                )
            {
                node.reject(
                    context,
                    OutCode::InvalidValue,
                    "expected at least one",
                    "leave the key out for its default",
                );
                return None;
            }
            elements
                .iter()
                .filter_map(|element| T::read(element, context))
                .collect()
        };
        Some(Sited::new(values, node.site))
    }
}

/// `models.rewrite`: a table, whose order counts.
impl Setting for Vec<Rewrite> {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let entries = node.entries(context)?;
        let mut rewrites = Self::new();
        for (name, entry) in entries {
            let from = parse::glob(&name.value);
            if let Err(flaw) = &from {
                entry.reject(
                    context,
                    flaw.code,
                    &format!("expected {} on the left", flaw.expected),
                    flaw.hint,
                );
            }
            let to = entry.parsed(context, parse::model);
            if let (Ok(from), Some(to)) = (from, to) {
                rewrites.push(Rewrite {
                    from: Sited::new(from, name.site),
                    to,
                });
            }
        }
        Some(Sited::new(rewrites, node.site))
    }
}

/// `credentials`: a table of secrets by upstream.
impl Setting for Vec<OwnCredential> {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let mut credentials = Self::new();
        for (name, entry) in node.entries(context)? {
            let upstream = name.value.parse::<UpstreamName>();
            if upstream.is_err() {
                entry.reject(
                    context,
                    OutCode::BadName,
                    "expected an upstream's name on the left",
                    "",
                );
            }
            settings::note_own(&mut context.written, entry.key, &entry.shown, entry.site);
            let key = Secret::read(&entry, context);
            if let (Ok(upstream), Some(key)) = (upstream, key) {
                let upstream = Sited::new(upstream, name.site);
                credentials.push(OwnCredential { upstream, key });
            }
        }
        Some(Sited::new(credentials, node.site))
    }
}

impl Setting for Secret {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let secret = node.parsed(context, |text| {
            parse::secret(text).map(|()| Self::new(text.to_owned()))
        })?;
        Some(secret)
    }
}

macro_rules! parsed {
    ($($kind:ty: $parse:expr;)*) => {$(
        impl Setting for $kind {
            fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
                node.parsed(context, $parse)
            }
        }
    )*};
}

parsed! {
    AbsolutePath: parse::absolute_path;
    AdminAddress: parse::admin_address;
    BudgetWindow: money::window;
    NanoUsd: money::amount;
    ZoneName: money::zone;
    CallerId: parse::caller;
    Date: prices::text::date;
    Glob: parse::glob;
    HostName: parse::host;
    KeyHash: parse::key_hash;
    ListenAddress: parse::address;
    Note: prices::text::note;
    Pem: parse::pem;
    ProviderName: prices::text::provider;
    ProxyAddress: parse::proxy;
    PolicyName: |text| parse::policy_name(text).map_err(bad_name);
    Rate: parse::rate;
    Region: parse::region;
    Revenue: money::revenue;
    String: parse::model;
    TenantId: |text| text.parse().map_err(bad_name);
    TenantHeader: parse::tenant_header;
    UpstreamName: |text| text.parse().map_err(bad_name);
    UpstreamUrl: parse::url;
    WebOrigin: parse::origin;
}

fn bad_name(_: IdError) -> Flaw {
    Flaw {
        code: OutCode::BadName,
        expected: "a name",
        hint: "use `[A-Za-z0-9]`, then also `_`, `.` and `-`, up to 128 bytes",
    }
}

/// Words of a closed list, with the nearest one as a hint.
fn word<T>(
    node: &Node<'_>,
    context: &mut Context<'_>,
    words: &[&str],
    from: fn(&str) -> Option<T>,
) -> Option<Sited<T>> {
    let text = node.text(context)?;
    if let Some(value) = from(&text.value) {
        return Some(Sited {
            value,
            site: text.site,
            origin: text.origin,
        });
    }
    if text.origin == Origin::Written && keys::planned_word(node.key.path, &text.value) {
        let what = format!("`{}` is not built in this version", text.value);
        let hint = format!("this version has {}", list(words));
        node.reject(context, OutCode::NotBuilt, &what, &hint);
        return None;
    }
    let near = suggest::nearest(&text.value, words.iter().copied());
    let hint = match near.filter(|_| text.origin == Origin::Written) {
        Some(near) => format!("did you mean `{near}`?"),
        None if words.len() > SHORT => format!("`outrigger explain {}` lists them", node.key.path),
        None => String::new(),
    };
    let one = if words.len() > SHORT {
        "another word".to_owned()
    } else {
        format!("one of {}", list(words))
    };
    let what = format!("expected {one}{}", node.quote(&text));
    node.reject(context, OutCode::InvalidValue, &what, &hint);
    None
}

/// More words than this are not listed in a message.
const SHORT: usize = 8;

fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

macro_rules! worded {
    ($($kind:ident)*) => {$(
        impl Setting for $kind {
            fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
                word(node, context, Self::WORDS, Self::from_word)
            }
        }
    )*};
}

worded!(BudgetScope Credentials HangUp HoldFor HttpVersion JournalMode OnJournalFailure OnLostState KeyHeader LogFormat LogLevel OnMismatch OnOff OnRevoke Permission Proof ProviderRetention Role Stamp StreamUsage Trust UnknownModel);

impl Setting for Dialect {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let from = |text: &str| {
            Self::ALL
                .into_iter()
                .find(|dialect| dialect.as_str() == text)
        };
        word(node, context, node.key.words(), from)
    }
}

impl Setting for Endpoint {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        word(node, context, node.key.words(), Self::from_word)
    }
}

impl Key {
    /// The words of a key that takes words.
    pub(super) const fn words(&self) -> &'static [&'static str] {
        let (Kind::Word(words) | Kind::Words(words) | Kind::WordsOrAll(words)) = self.kind else {
            return &[];
        };
        words
    }
}
