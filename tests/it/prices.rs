//! What calls cost: the golden answers of `tests/prices/`, each priced to the pico-dollar from its bytes on the wire, and
//! which prices hold for which upstream.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::Path;
use std::sync::Arc;

use outrigger::config::{Loaded, System, load_text, render};
use outrigger::meters::Registry;
use outrigger::prices::{Basis, Terms};
use outrigger::snapshot::{Accounts, Compiled, Overlay, Snapshot, TrustStore, World, compile};
use outrigger::units::{Boot, Counted, Dialect, Endpoint, Line, Speed, Tier, Usage, Wall};
use outrigger::wire::dialect::tally::Meter;

pub(crate) fn compiled(text: &str) -> (Loaded, Compiled) {
    let world = World {
        accounts: Arc::new(Accounts::default()),
        registry: Arc::new(Registry::new("test", 0)),
        trust: Arc::new(TrustStore::default()),
    };
    let loaded = load_text("outrigger.toml", text, &System);
    match compile(
        &loaded,
        &Overlay::default(),
        &world,
        None,
        1,
        Boot::default(),
    ) {
        Ok(compiled) => (loaded, compiled),
        Err(problems) => panic!("{}", render::lines(&problems, &loaded.sources)),
    }
}

fn snapshot(text: &str) -> Arc<Snapshot> {
    Arc::clone(compiled(text).1.snapshot())
}

/// What an answer was found to be worth.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    lines: BTreeMap<String, u128>,
    total: u64,
    estimated: bool,
    unpriced: bool,
    inconsistent: bool,
}

/// One answer of the golden set.
struct Case<'a>(&'a toml::Table);

impl Case<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str().expect("a text"))
    }

    fn number(&self, key: &str) -> u64 {
        let number = self
            .0
            .get(key)
            .map_or(0, |value| value.as_integer().expect("a number"));
        u64::try_from(number).expect("no negative number")
    }

    fn flag(&self, key: &str) -> bool {
        self.0
            .get(key)
            .is_some_and(|value| value.as_bool().expect("a flag"))
    }

    fn expected(&self) -> Found {
        let lines = self.0["lines"].as_table().expect("a table of lines");
        let lines = lines.iter().map(|(line, pico)| {
            let pico = pico.as_integer().expect("a number");
            (
                line.clone(),
                u128::try_from(pico).expect("no negative number"),
            )
        });
        Found {
            lines: lines.collect(),
            total: self.number("total"),
            estimated: self.flag("estimated"),
            unpriced: self.flag("unpriced"),
            inconsistent: self.flag("inconsistent"),
        }
    }

    /// Prices the payload, pushed in pieces of that size.
    fn found(&self, snapshot: &Snapshot, piece: usize) -> Found {
        let endpoint = Endpoint::from_word(self.text("endpoint").expect("an endpoint"));
        let endpoint = endpoint.expect("a known endpoint");
        let dialect = match endpoint {
            Endpoint::Messages | Endpoint::CountTokens => Dialect::Anthropic,
            _ => Dialect::OpenAi,
        };
        let mut meter = if self.flag("stream") {
            Meter::sse(dialect, endpoint)
        } else {
            Meter::json(dialect, endpoint)
        };
        let payload = self.text("payload").expect("a payload");
        for piece in payload.as_bytes().chunks(piece) {
            meter.push(piece);
        }
        let usage = meter.usage(self.number("estimate"));
        let facts = meter.facts();
        let terms = Terms {
            regional: self.flag("regional"),
            at: Wall(self.number("at")),
            ..Terms::of(facts.service_tier, facts.speed, facts.inference_geo)
        };
        let book = snapshot.prices();
        let provider = self.text("provider").unwrap_or(dialect.as_str());
        let provider = book.provider(provider).expect("a provider of the book");
        let model = facts.model.or_else(|| self.text("model")).expect("a model");
        let bill = book.bill(provider, model, &usage.value(), &meter.passes(), &terms);
        let lines = bill.cost.lines();
        Found {
            lines: lines
                .map(|(line, sum)| (line.as_str().to_owned(), sum.0))
                .collect(),
            total: bill.cost.total.0,
            estimated: matches!(usage, Counted::Estimated(_)),
            unpriced: bill.cost.unpriced,
            inconsistent: facts.contradicts || bill.cost.inconsistent,
        }
    }
}

#[test]
fn every_golden_answer_costs_what_its_provider_bills() {
    let snapshot = snapshot("");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prices");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for file in ["openai-chat", "openai-responses", "anthropic", "others"] {
        let text = read_to_string(folder.join(file).with_extension("toml")).expect("a file");
        let table: toml::Table = text.parse().expect("a file of cases");
        for case in table["case"].as_array().expect("cases") {
            let case = Case(case.as_table().expect("a case"));
            seen += 1;
            let name = case.text("name").expect("a name");
            let document = case.text("document").expect("a document");
            assert!(document.len() > 10, "{name}: {document}");
            let expected = case.expected();
            for piece in [usize::MAX, 7, 1] {
                let found = case.found(&snapshot, piece);
                if found != expected {
                    wrong.push(format!("{file}, {name}, in pieces of {piece}:\n  found    {found:?}\n  expected {expected:?}"));
                    break;
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {seen}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(seen >= 140, "{seen}");
}

/// What a million tokens of input cost at an upstream, and how the price was found.
fn input(snapshot: &Snapshot, upstream: &str, model: &str) -> (u64, Basis) {
    let pricing = snapshot.upstream(upstream).expect("an upstream").pricing;
    let priced = snapshot.prices().find(pricing.provider, model);
    let usage = Usage {
        input: 100_000,
        ..Usage::default()
    };
    let terms = Terms {
        regional: pricing.regional,
        ..Terms::of(None, Speed::Standard, None)
    };
    (priced.cost(&usage, &terms).total.0 / 100_000, priced.basis)
}

#[test]
fn an_upstream_costs_what_its_provider_does_by_name_then_by_host_then_by_dialect() {
    let upstream = |name: &str, dialect: &str, url: &str, more: &str| {
        format!("[upstreams.{name}]\ndialect = \"{dialect}\"\nurl = \"{url}\"\n{more}\n")
    };
    let text = [
        upstream("o", "openai", "https://api.openai.com", ""),
        upstream("eu", "openai", "https://eu.api.openai.com/v1", ""),
        upstream("groq", "openai", "https://api.groq.com/openai/v1", ""),
        upstream("gateway", "openai", "http://gateway.internal", ""),
        upstream("claude", "anthropic", "http://gateway.internal", ""),
        upstream(
            "zone",
            "openai",
            "https://mine.openai.azure.com/openai/v1",
            "provider = \"azure-eu\"",
        ),
        upstream(
            "world",
            "openai",
            "https://mine.openai.azure.com/openai/v1",
            "",
        ),
        upstream("own", "openai", "http://llm.internal:8000", ""),
        upstream(
            "named",
            "openai",
            "http://10.0.0.1:8000",
            "provider = \"local\"",
        ),
        "[prices.providers.local]\nhosts = [\"llm.*\"]\n".to_owned(),
        "[prices.models.\"local/*\"]\ninput = 0\noutput = 0\n".to_owned(),
        "[prices.models.\"local/llama\"]\ninput = \"0.25\"\noutput = 1\n".to_owned(),
        "[prices.models.\"openai/gpt-6-sol\"]\ninput = 1.5\noutput = 7.5\n".to_owned(),
    ]
    .concat();
    let (loaded, compiled) = compiled(&text);
    assert_eq!(render::lines(&compiled.warnings, &loaded.sources), "");
    let snapshot = compiled.snapshot();
    let cost = |upstream, model| input(snapshot, upstream, model);
    assert_eq!(cost("o", "gpt-6.1-sol"), (2_000, Basis::Name));
    assert_eq!(cost("eu", "gpt-6.1-sol-2026-09-17"), (2_200, Basis::Alias));
    assert_eq!(
        cost("eu", "gpt-5.1"),
        (1_250, Basis::Name),
        "from before regions cost more"
    );
    assert_eq!(cost("groq", "openai/gpt-oss-120b"), (150, Basis::Name));
    assert_eq!(cost("gateway", "gpt-6.1-sol"), (2_000, Basis::Name));
    assert_eq!(cost("claude", "claude-opus-5-5"), (4_000, Basis::Name));
    assert_eq!(cost("zone", "gpt-6.1-sol"), (2_400, Basis::Name));
    assert_eq!(cost("world", "gpt-6.1-sol"), (2_000, Basis::Name));
    assert_eq!(cost("own", "llama"), (250, Basis::Name));
    assert_eq!(cost("named", "qwen"), (0, Basis::Pattern));
    // What is written replaces the whole entry, its region's multiplier and its tiers included.
    assert_eq!(cost("o", "gpt-6-sol"), (1_500, Basis::Name));
    assert_eq!(cost("eu", "gpt-6-sol"), (1_500, Basis::Name));
    let flex = Terms {
        tier: Some(Tier::Flex),
        ..Terms::default()
    };
    let pricing = snapshot.upstream("o").expect("an upstream").pricing;
    let usage = Usage {
        input: 1000,
        cache_read: 1000,
        ..Usage::default()
    };
    let cost = snapshot
        .prices()
        .find(pricing.provider, "gpt-6-sol")
        .cost(&usage, &flex);
    assert_eq!(cost.line(Line::CachedInput).0, 1000 * 1_500_000);
}

#[test]
fn prices_that_nothing_uses_are_told() {
    let text = "[upstreams.o]\ndialect = \"openai\"\nurl = \"https://api.openai.com\"\n\
                [upstreams.own]\ndialect = \"openai\"\nurl = \"http://10.0.0.1\"\nprovider = \"lokal\"\n\
                [prices.models.\"local/*\"]\ninput = 0\noutput = 0\n";
    let (loaded, compiled) = compiled(text);
    assert_eq!(
        render::lines(&compiled.warnings, &loaded.sources),
        "outrigger.toml:7:12: warning[OUT-0022]: no model of the provider `lokal` has prices (write some, for example `[prices.models.\"lokal/*\"]`; until then its calls cost the dearest prices of the book)\n\
         outrigger.toml:8:16: warning[OUT-0022]: no upstream's calls cost the prices of the provider `local` (write `provider = \"local\"` in the upstream that is meant)\n"
    );
    // Not nothing: the dearest prices there are.
    assert_eq!(
        input(compiled.snapshot(), "own", "llama"),
        (30_000, Basis::Unpriced)
    );
}
