//! What operators order is on record and outlives the process, and what becomes of budgets when the record is lost: with the
//! binary, killed as a machine would kill it. Must never depend on the time of day but for what it reads of it.

use std::io::{Read as _, Write as _};
use std::path::Path;

use serde_json::Value;

use crate::cli::process::{Place, Served};

const CONFIG: &str = r#"
[listen]
proxy = "127.0.0.1:0"
telemetry = "127.0.0.1:0"
[upstreams.openai]
dialect = "openai"
url = "http://127.0.0.1:9"
[identity]
tenant = "acme"
[policies.careful]
journal.on_lost = "ON_LOST"
[tenants.acme]
policy = "careful"
budgets.total = { amount = "10 USD", per = "total" }
budgets.daily = { amount = "10 USD", per = "day" }
[journal]
"#;

struct House {
    place: Place,
    served: Option<Served>,
}

impl House {
    fn new(on_lost: &str) -> Self {
        let place = Place::new();
        place.write("outrigger.toml", &CONFIG.replace("ON_LOST", on_lost));
        let mut house = Self {
            place,
            served: None,
        };
        house.start();
        house
    }

    fn state(&self) -> std::path::PathBuf {
        self.place.path("state")
    }

    /// Ends what runs without a word of warning, and starts another.
    fn restart(&mut self) {
        self.served = None;
        std::fs::remove_file(self.place.path("ready")).unwrap();
        self.start();
    }

    fn start(&mut self) {
        let args = ["serve", "--config", "outrigger.toml", "--state", "state"];
        self.served = Some(self.place.serve(&args));
    }

    fn says(&self, words: &str) -> String {
        let mut args: Vec<&str> = words.split(' ').collect();
        args.extend(["--state", "state"]);
        let ended = self.place.run(&args);
        assert_eq!(ended.code, Some(0), "{words}: {ended:?}");
        ended.out
    }

    fn budget(&self, name: &str) -> Value {
        let all = self.says("budget show --json");
        let lines = all.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut found = lines.filter(|line: &Value| line["budget"] == name);
        found.next().unwrap_or_else(|| panic!("no {name} in {all}"))
    }

    fn get(&self, path: &str) -> (u16, String) {
        let at = self.served.as_ref().unwrap().at("telemetry");
        let mut stream = std::net::TcpStream::connect(at).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }
}

#[test]
fn what_was_topped_up_and_frozen_is_so_after_a_crash() {
    let mut house = House::new("full");
    house.says("budget topup acme total 2.50");
    house.says("budget topup acme daily 1");
    house.says("budget freeze acme daily");
    house.says("budget freeze acme daily");
    house.restart();
    assert_eq!(house.budget("total")["limit_usd"], "12.50");
    let daily = house.budget("daily");
    assert_eq!(
        (&daily["frozen"], &daily["limit_usd"]),
        (&Value::Bool(true), &"11.00".into())
    );
    house.says("budget unfreeze acme daily");
    house.says("budget topup acme total 0.50");
    house.restart();
    assert_eq!(house.budget("total")["limit_usd"], "13.00");
    assert_eq!(house.budget("daily")["frozen"], false);
    // Who ordered it is on the tenant's own record.
    let said = orders(&house.state());
    let actions: Vec<_> = said.iter().map(|order| order["action"].clone()).collect();
    assert_eq!(
        actions,
        ["topup", "topup", "freeze", "freeze", "unfreeze", "topup"]
    );
    assert!(
        said.iter()
            .all(|order| order["by"].as_str().unwrap().starts_with("uid:"))
    );
}

#[test]
fn what_a_call_cost_is_corrected_by_a_record_of_its_own() {
    let house = House::new("full");
    house.says("budget topup acme total 1");
    house.says("budget correct acme 1 0.25 --why late-price");
    house.says("budget correct acme 1 0.05 --less --why credit");
    let costs = house.says("costs --by tenant --format json");
    let row: Value = serde_json::from_str(costs.trim()).unwrap();
    assert_eq!(row["tenant"], "acme");
    assert_eq!(row["total_nano_usd"], 200_000_000, "{row}");
    // Budgets are left alone, and so is what never was.
    assert_eq!(house.budget("total")["spent_usd"], "0.00");
    let args = "budget correct acme 99 1 --why x --state state";
    let ended = house.place.run(&args.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("no record 99"), "{ended:?}");
}

fn orders(state: &Path) -> Vec<Value> {
    use outrigger::journal::{Reader, Wanted};
    let mut orders = Vec::new();
    let wanted = Wanted {
        tenant: Some("acme".parse().unwrap()),
        ..Wanted::default()
    };
    Reader::open(&state.join("journal")).read(&wanted, &mut |line| {
        orders.extend(
            line.payload
                .map(|payload| serde_json::from_slice(payload).unwrap()),
        );
        std::ops::ControlFlow::Continue(())
    });
    orders
}

#[test]
fn budgets_whose_record_is_lost_wait_for_an_operator_where_that_was_chosen() {
    // The first start has no record either, and says so until somebody has looked.
    let mut house = House::new("refuse");
    assert_eq!(house.budget("total")["state_lost"], true);
    let (status, text) = house.get("/readyz");
    assert_eq!(status, 200);
    assert!(
        text.starts_with("ready\n") && text.contains("journal is lost"),
        "{text}"
    );
    house.restart();
    assert_eq!(
        house.budget("daily")["state_lost"],
        true,
        "a second start does not make it whole"
    );
    assert!(
        house
            .says("ctl health")
            .contains("part of the journal is lost")
    );
    assert!(
        house
            .get("/metrics")
            .1
            .contains("\noutrigger_journal_lost 1\n")
    );
    assert!(house.says("ctl acknowledge").contains("go on"));
    assert!(house.says("ctl acknowledge").contains("nothing"));
    assert_eq!(house.budget("total")["state_lost"], false);
    assert!(
        house
            .get("/metrics")
            .1
            .contains("\noutrigger_journal_lost 0\n")
    );
    house.restart();
    assert_eq!(house.budget("total")["state_lost"], false);
    // Somebody takes the record away.
    house.served = None;
    std::fs::remove_dir_all(house.state().join("journal")).unwrap();
    house.restart();
    assert_eq!(house.budget("total")["state_lost"], true);
    assert!(!house.says("ctl health").contains("rejected"));
}

#[test]
fn of_a_budget_whose_record_is_lost_a_fraction_can_be_left() {
    let house = House::new("fraction");
    assert_eq!(house.budget("total")["left_usd"], "0.00");
    let daily = house.budget("daily");
    let left: f64 = daily["left_usd"].as_str().unwrap().parse().unwrap();
    assert!((0.0..=10.0).contains(&left), "{daily}");
    house.says("budget topup acme total 1");
    assert_eq!(house.budget("total")["left_usd"], "1.00");
}

#[test]
fn rules_about_a_record_need_one() {
    let place = Place::new();
    let text = CONFIG.replace("ON_LOST", "refuse").replace("[journal]", "");
    place.write("outrigger.toml", &text);
    let checked = place.run(&["check", "--config", "outrigger.toml"]);
    assert_eq!(checked.code, Some(78), "{checked:?}");
    let told = format!("{}{}", checked.out, checked.err);
    assert!(
        told.contains("no") && told.contains("journal.on_lost"),
        "{told}"
    );
    let text = text.replace("journal.on_lost = \"refuse\"", "");
    place.write("outrigger.toml", &text);
    let checked = place.run(&["check", "--config", "outrigger.toml"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let told = format!("{}{}", checked.out, checked.err);
    assert!(
        told.contains("budgets begin anew whenever the sidecar starts"),
        "{told}"
    );
}
