//! The page as a whole, the label limit, and that the cells stand in the order of the words.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use super::*;
use crate::units::{Code, Counted, Ending, Endpoint, Usage, Wall};

#[test]
fn the_page_of_a_small_world() {
    let registry = Registry::new("0.1.0", 10);
    let process = registry.process();
    process.config_loaded(3, "ab12", &["listen.proxy"], Wall(1_700_000_000_250));
    process.reloaded(ReloadResult::Unchanged);
    process.watching(true);
    process.snapshot_born();
    process.connection_opened();
    process.connection_opened();
    process.connection_closed();
    process.upstream_connect(ConnectResult::Ok);
    process.upstream_connect(ConnectResult::Tls);
    let acme = registry.tenant(&id("acme"));
    acme.opened();
    acme.queued();
    acme.queued();
    acme.dequeued(Duration::from_millis(1500));
    acme.request(Endpoint::Messages, Ending::Complete);
    acme.request(Endpoint::Messages, Ending::Complete);
    acme.request(Endpoint::Other, Ending::Broken);
    acme.refusal(Code::RateLimited);
    let usage = Usage {
        input: 10,
        cache_read: 4,
        cache_write: 3,
        output: 7,
        reasoning: 2,
        ..Usage::default()
    };
    acme.tokens(Counted::Reported(usage));
    acme.tokens(Counted::Estimated(Usage {
        output: 5,
        ..Usage::default()
    }));
    acme.duration(Duration::from_millis(5));
    acme.duration(Duration::from_secs(601));
    acme.first_token(Duration::from_micros(5_001));
    acme.bytes(Direction::Request, 100);
    acme.bytes(Direction::Response, 2_000);
    acme.log_dropped();
    let facts = ProcessFacts {
        resident_bytes: Some(8_388_608),
        open_fds: Some(12),
        max_fds: Some(1024),
        cpu: Some(Duration::from_millis(1_250)),
        started: Some(Wall(1_700_000_000_000)),
        tasks: vec![("connection", 1)],
    };
    let page = registry.render(&facts, &[], None);
    for line in EXPECTED.lines() {
        assert!(
            page.lines().any(|it| it == line),
            "no line `{line}` in\n{page}"
        );
    }
    check_format(&page);
}

const EXPECTED: &str = r#"outrigger_build_info{version="0.1.0"} 1
outrigger_config_generation 3
outrigger_config_info{generation="3",sha256="ab12"} 1
outrigger_config_restart_pending{key="listen.proxy"} 1
outrigger_config_last_reload_successful 1
outrigger_config_last_reload_success_timestamp_seconds 1700000000.25
outrigger_config_reloads_total{result="published"} 0
outrigger_config_reloads_total{result="unchanged"} 1
outrigger_config_watching 1
outrigger_snapshots_alive 1
outrigger_connections_open 1
outrigger_connections_refused_total 0
outrigger_upstream_connects_total{result="ok"} 1
outrigger_upstream_connects_total{result="tls"} 1
outrigger_upstream_connects_total{result="refused"} 0
outrigger_tenants_labelled 1
outrigger_tasks{task="connection"} 1
outrigger_draining 0
process_resident_memory_bytes 8388608
process_cpu_seconds_total 1.25
process_start_time_seconds 1700000000
outrigger_requests_total{tenant="acme",endpoint="messages",ending="complete"} 2
outrigger_requests_total{tenant="acme",endpoint="other",ending="broken"} 1
outrigger_refusals_total{tenant="acme",code="rate-limited"} 1
outrigger_tokens_total{tenant="acme",kind="input",source="reported"} 10
outrigger_tokens_total{tenant="acme",kind="output",source="reported"} 7
outrigger_tokens_total{tenant="acme",kind="cache_read",source="reported"} 4
outrigger_tokens_total{tenant="acme",kind="cache_write",source="reported"} 3
outrigger_tokens_total{tenant="acme",kind="reasoning",source="reported"} 2
outrigger_tokens_total{tenant="acme",kind="output",source="estimated"} 5
outrigger_request_duration_seconds_bucket{tenant="acme",le="0.005"} 1
outrigger_request_duration_seconds_bucket{tenant="acme",le="600"} 1
outrigger_request_duration_seconds_bucket{tenant="acme",le="+Inf"} 2
outrigger_request_duration_seconds_sum{tenant="acme"} 601.005
outrigger_request_duration_seconds_count{tenant="acme"} 2
outrigger_first_token_seconds_bucket{tenant="acme",le="0.005"} 0
outrigger_first_token_seconds_bucket{tenant="acme",le="0.01"} 1
outrigger_first_token_seconds_sum{tenant="acme"} 0.005001
outrigger_bytes_total{tenant="acme",direction="request"} 100
outrigger_bytes_total{tenant="acme",direction="response"} 2000
outrigger_open_requests{tenant="acme"} 1
outrigger_queue_waiting{tenant="acme"} 1
outrigger_queue_wait_seconds_total{tenant="acme"} 1.5
outrigger_log_dropped_total{tenant="acme"} 1
outrigger_log_dropped_total{tenant="_nobody"} 0
outrigger_log_dropped_total{tenant="_other"} 0"#;

/// What the text format demands of any page: HELP and TYPE before a family's samples, each family in one piece and once,
/// no series twice, a number at the end of each line.
fn check_format(page: &str) {
    let (mut helped, mut family, mut kind) = ("", "", "");
    let mut families = HashSet::new();
    let mut series = HashSet::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split(' ').next().unwrap();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            (family, kind) = rest.split_once(' ').unwrap();
            assert_eq!(helped, family, "`{family}` without help");
            assert!(families.insert(family), "family `{family}` twice");
            let total = family.ends_with("_total");
            assert_eq!(kind == "counter", total, "`{family}` is a {kind}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let suffix = name
                .split('{')
                .next()
                .and_then(|name| name.strip_prefix(family))
                .unwrap_or_else(|| panic!("`{name}` outside its family"));
            let allowed: &[&str] = match kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(allowed.contains(&suffix), "`{name}` outside its family");
            assert!(series.insert(name), "series `{name}` twice");
            assert!(value.parse::<f64>().is_ok(), "`{value}` is no number");
        }
    }
    assert!(page.ends_with('\n'));
}

/// Every cell has its own label: the arrays are indexed by the words' positions.
#[test]
fn each_word_counts_in_its_own_cell() {
    let registry = Registry::new("0", 10);
    let acme = registry.tenant(&id("acme"));
    let facts = ProcessFacts::default();
    for &endpoint in Endpoint::ALL {
        for ending in Ending::ALL {
            let line = format!(
                "outrigger_requests_total{{tenant=\"acme\",endpoint=\"{endpoint}\",ending=\"{ending}\"}} 1\n"
            );
            assert!(!registry.render(&facts, &[], None).contains(&line));
            acme.request(endpoint, ending);
            assert!(registry.render(&facts, &[], None).contains(&line), "{line}");
        }
    }
    for &code in Code::ALL {
        acme.refusal(code);
        let line = format!("outrigger_refusals_total{{tenant=\"acme\",code=\"{code}\"}} 1\n");
        assert!(registry.render(&facts, &[], None).contains(&line), "{line}");
    }
    for result in ConnectResult::ALL {
        registry.process().upstream_connect(result);
        let line = format!(
            "outrigger_upstream_connects_total{{result=\"{}\"}} 1\n",
            result.as_str()
        );
        assert!(registry.render(&facts, &[], None).contains(&line), "{line}");
    }
}

#[test]
fn tenants_past_the_limit_share_one_label() {
    let registry = Registry::new("0", 2);
    for name in ["a", "b", "c", "d"] {
        registry
            .tenant(&id(name))
            .request(Endpoint::Models, Ending::Complete);
    }
    registry
        .tenant(&id("a"))
        .request(Endpoint::Models, Ending::Complete);
    registry
        .tenant(&TenantId::nobody())
        .request(Endpoint::Models, Ending::Refused);
    let lines: Vec<String> = requests(&registry);
    assert_eq!(
        lines,
        [
            "_nobody refused 1",
            "_other complete 2",
            "a complete 2",
            "b complete 1"
        ]
    );

    registry.limit_labels(3);
    registry
        .tenant(&id("c"))
        .request(Endpoint::Models, Ending::Complete);
    registry.limit_labels(0);
    registry
        .tenant(&id("a"))
        .request(Endpoint::Models, Ending::Complete);
    let lines = requests(&registry);
    assert_eq!(
        lines,
        [
            "_nobody refused 1",
            "_other complete 2",
            "a complete 3",
            "b complete 1",
            "c complete 1"
        ]
    );
}

fn requests(registry: &Registry) -> Vec<String> {
    let page = registry.render(&ProcessFacts::default(), &[], None);
    let mut lines: Vec<String> = page
        .lines()
        .filter(|line| line.starts_with("outrigger_requests_total{"))
        .map(|line| {
            let words: Vec<&str> = line.split('"').collect();
            format!(
                "{} {}{}",
                words[1],
                words[5],
                words[6].trim_start_matches('}')
            )
        })
        .collect();
    lines.sort();
    lines
}

/// A tenant that never called costs nothing, and one label set is born once however many ask at a time.
#[test]
fn meters_are_born_once() {
    let registry = Registry::new("0", 10);
    assert!(
        !registry
            .render(&ProcessFacts::default(), &[], None)
            .contains("acme")
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                registry
                    .tenant(&id("acme"))
                    .request(Endpoint::Models, Ending::Complete);
            });
        }
    });
    assert_eq!(requests(&registry), ["acme complete 8"]);
}

/// From a tenant's first use on, before anything counted: what an alert's rate must see rise from zero.
#[test]
fn few_series_are_there_from_the_start() {
    let registry = Registry::new("0", 10);
    registry.tenant(&id("acme"));
    let page = registry.render(&ProcessFacts::default(), &[], None);
    let mut lines: Vec<&str> = page
        .lines()
        .filter(|line| line.contains("{tenant=\"acme\"") && !line.contains("_bucket{"))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "outrigger_buffered_bytes{tenant=\"acme\"} 0",
            "outrigger_bytes_total{tenant=\"acme\",direction=\"request\"} 0",
            "outrigger_bytes_total{tenant=\"acme\",direction=\"response\"} 0",
            "outrigger_cost_usd_total{tenant=\"acme\",source=\"estimated\"} 0.00",
            "outrigger_cost_usd_total{tenant=\"acme\",source=\"reported\"} 0.00",
            "outrigger_first_token_seconds_count{tenant=\"acme\"} 0",
            "outrigger_first_token_seconds_sum{tenant=\"acme\"} 0",
            "outrigger_log_dropped_total{tenant=\"acme\"} 0",
            "outrigger_open_requests{tenant=\"acme\"} 0",
            "outrigger_queue_wait_seconds_total{tenant=\"acme\"} 0",
            "outrigger_queue_waiting{tenant=\"acme\"} 0",
            "outrigger_request_duration_seconds_count{tenant=\"acme\"} 0",
            "outrigger_request_duration_seconds_sum{tenant=\"acme\"} 0",
            "outrigger_tenant_connections{tenant=\"acme\"} 0",
        ]
    );
}

/// Every update is an addition, so none is lost and a gauge comes back to where it was, whoever else counts.
#[test]
fn nothing_is_lost_between_threads() {
    let registry = Registry::new("0", 10);
    let acme = registry.tenant(&id("acme"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    acme.opened();
                    acme.request(Endpoint::Models, Ending::Complete);
                    acme.refusal(Code::RateLimited);
                    acme.bytes(Direction::Request, 3);
                    acme.duration(Duration::from_secs(1));
                    acme.closed();
                }
                acme.opened();
            });
        }
    });
    let page = registry.render(&ProcessFacts::default(), &[], None);
    for line in [
        "outrigger_open_requests{tenant=\"acme\"} 4\n",
        "outrigger_refusals_total{tenant=\"acme\",code=\"rate-limited\"} 4000\n",
        "outrigger_bytes_total{tenant=\"acme\",direction=\"request\"} 12000\n",
        "outrigger_request_duration_seconds_sum{tenant=\"acme\"} 4000\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
    assert_eq!(requests(&registry), ["acme complete 4000"]);
}

/// A fact that can no longer be read is no number; a task that is gone is none; what was never known is not there.
#[test]
fn facts_that_go_away_do_not_stay_on_the_page() {
    let registry = Registry::new("0", 10);
    let page = registry.render(&ProcessFacts::default(), &[], None);
    assert!(!page.contains("process_") && !page.contains("outrigger_tasks"));
    let facts = ProcessFacts {
        open_fds: Some(12),
        tasks: vec![("connection", 3), ("unlisted", 1)],
        ..ProcessFacts::default()
    };
    let page = registry.render(&facts, &[], None);
    assert!(page.contains("process_open_fds 12\n") && !page.contains("process_max_fds"));
    assert!(page.contains("outrigger_tasks{task=\"unlisted\"} 1\n"));
    let page = registry.render(
        &ProcessFacts {
            tasks: vec![("connection", 2)],
            ..ProcessFacts::default()
        },
        &[],
        None,
    );
    for line in [
        "process_open_fds NaN\n",
        "outrigger_tasks{task=\"connection\"} 2\n",
        "outrigger_tasks{task=\"unlisted\"} 0\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
    check_format(&page);
}

/// The hash is a label: the recorder would show the old one forever beside the new one.
#[test]
fn only_the_config_that_runs_is_on_the_page() {
    let registry = Registry::new("0", 10);
    registry.process().config_loaded(1, "aa", &[], Wall(1_000));
    registry.process().config_loaded(2, "bb", &[], Wall(2_000));
    let page = registry.render(&ProcessFacts::default(), &[], None);
    let infos: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("outrigger_config_info"))
        .collect();
    assert_eq!(
        infos,
        ["outrigger_config_info{generation=\"2\",sha256=\"bb\"} 1"]
    );
}

/// A stray macro anywhere must reach no page: handles come from births alone.
#[test]
fn the_recorder_is_not_global() {
    let registry = Registry::new("0", 10);
    metrics::with_recorder(|global| {
        let from = metrics::Metadata::new("stray", metrics::Level::INFO, None);
        let key = metrics::Key::from_static_name("stray_total");
        metrics::Recorder::register_counter(global, &key, &from).increment(1);
    });
    assert!(
        !registry
            .render(&ProcessFacts::default(), &[], None)
            .contains("stray")
    );
}

#[test]
fn a_rejected_config_shows_and_the_next_good_one_heals() {
    let registry = Registry::new("0", 10);
    let line = |value: u8| format!("outrigger_config_last_reload_successful {value}\n");
    registry.process().config_loaded(1, "aa", &[], Wall(1_000));
    registry.process().reloaded(ReloadResult::Rejected);
    let page = registry.render(&ProcessFacts::default(), &[], None);
    assert!(
        page.contains(&line(0)) && page.contains("outrigger_config_generation 1\n"),
        "{page}"
    );
    registry.process().reloaded(ReloadResult::Unchanged);
    assert!(
        registry
            .render(&ProcessFacts::default(), &[], None)
            .contains(&line(1))
    );
}

/// By the recorder and by us alike.
#[test]
fn label_values_are_escaped() {
    let registry = Registry::new("a\"b\\c\nd", 10);
    registry
        .process()
        .config_loaded(1, "a\"b\\c\nd", &[], Wall(1_000));
    let page = registry.render(&ProcessFacts::default(), &[], None);
    for line in [
        "outrigger_build_info{version=\"a\\\"b\\\\c\\nd\"} 1\n",
        "outrigger_config_info{generation=\"1\",sha256=\"a\\\"b\\\\c\\nd\"} 1\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
}

fn id(name: &str) -> TenantId {
    TenantId::from_str(name).unwrap()
}
