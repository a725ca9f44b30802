//! What a reload leaves alone: a tenant that the new files describe as the old ones did is the same one, warm for those who
//! serve it, and the work is done by a thread that lets those who serve go first.

use std::sync::Arc;

use nix::sys::signal::Signal;
use outrigger::app::Source;
use outrigger::snapshot::Tenant;
use tempfile::TempDir;

use super::Filed;
use crate::serve::Served;
use crate::stage::{Stage, Upstream, hash_of, until};

impl Filed {
    fn tenant(&self, id: &str) -> Arc<Tenant> {
        let snapshot = self.stage.sidecar.ground.live.take();
        let id = id.parse().expect("an id");
        Arc::clone(snapshot.tenant(&id).expect("a tenant"))
    }

    fn upstream(&self, name: &str) -> Arc<outrigger::snapshot::Upstream> {
        let snapshot = self.stage.sidecar.ground.live.take();
        Arc::clone(snapshot.upstream(name).expect("an upstream"))
    }
}

/// Three tenants under two policies, with what is written before and behind them.
fn three(before: &str, models: &str, limits: &str, behind: &str) -> String {
    let head = "[upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n[identity]\naccept = [\"key\"]\n\
        [listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n";
    let tenants = [
        ("acme", "open", ""),
        ("globex", "close", ""),
        ("initech", "open", limits),
    ];
    let tenants = tenants.map(|(id, policy, more)| {
        let key = hash_of(id);
        format!("[tenants.{id}]\npolicy = \"{policy}\"\nkeys = [\"{key}\"]\n{more}\n")
    });
    let policies = format!(
        "[policies.open]\nmodels.allow = [\"*\"]\n{before}\n[policies.close]\nmodels.allow = [{models}]\n"
    );
    format!("{head}{policies}{}{behind}\n", tenants.concat())
}

#[tokio::test]
async fn who_is_described_as_before_is_the_same_tenant_and_who_is_not_is_another() {
    let upstream = Upstream::bind().await;
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("outrigger.toml");
    let write = |text: String| std::fs::write(&file, text).expect("a file");
    write(three("", "\"a\"", "", ""));
    let stage = Stage::with(upstream, Source::File(file.clone()));
    let filed = Filed { stage, directory };
    let ids = ["acme", "globex", "initech"];
    let same = |old: &[Arc<Tenant>; 3]| {
        let mut pairs = ids.iter().zip(old);
        std::array::from_fn(|_| {
            let (id, old) = pairs.next().expect("three");
            Arc::ptr_eq(&filed.tenant(id), old)
        })
    };
    let first = ids.map(|id| filed.tenant(id));
    let upstream = filed.upstream("openai");

    write(three("", "\"a\"", "", "[tenants.hooli]"));
    assert_eq!(filed.published(), 2);
    assert_eq!(same(&first), [true, true, true], "somebody else came");
    assert!(Arc::ptr_eq(&filed.upstream("openai"), &upstream));

    write(three("", "\"b\"", "", ""));
    assert_eq!(filed.published(), 3);
    assert_eq!(same(&first), [true, false, true], "a policy changed");

    write(three("", "\"b\"", "limits.streams = 3", ""));
    assert_eq!(filed.published(), 4);
    assert_eq!(same(&first), [true, false, false], "and limits");
    let (old, new) = (&first[2], filed.tenant("initech"));
    assert!(
        Arc::ptr_eq(new.account(), old.account()),
        "what was spent stays spent"
    );
    let second = ids.map(|id| filed.tenant(id));

    write(three(
        "# a line\n# and another",
        "\"b\"",
        "limits.streams = 3",
        "",
    ));
    assert_eq!(filed.published(), 5);
    let moved = [true, false, true];
    assert_eq!(
        same(&second),
        moved,
        "its rule stands a line lower now, and says so"
    );
}

/// The threads of a process with their names, niceness and policy (proc(5)).
fn threads(pid: nix::unistd::Pid) -> Vec<(String, i32, u32)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat"));
    let stats = tasks.flatten().filter_map(|task| stat(task).ok());
    stats
        .map(|stat| {
            let (before, behind) = stat.rsplit_once(") ").expect("fields");
            let name = before.split_once(" (").expect("a name").1.to_owned();
            let field = |number: usize| behind.split(' ').nth(number - 3).expect("a field");
            let (nice, policy) = (field(19).parse(), field(41).parse());
            (name, nice.expect("a number"), policy.expect("a number"))
        })
        .collect()
}

#[tokio::test]
async fn a_reload_gives_way_to_those_who_serve() {
    let config = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n[identity]\naccept = [\"key\"]\n\
        [reload]\nwatch = \"off\"\npoll = \"off\"\n";
    let served = Served::start(config).await;
    let file = served.home.path().join("outrigger.toml");
    // Enough to be seen at it.
    let many = |round: u32| {
        let tenants = (0..2000).map(|number| format!("[tenants.t{number}]\n"));
        format!("{config}# {round}\n{}", tenants.collect::<String>())
    };
    let (mut round, mut seen) = (0, Vec::new());
    until("a reload under way", || {
        if round % 50 == 0 {
            std::fs::write(&file, many(round)).expect("a file");
            served.signal(Signal::SIGHUP);
        }
        round += 1;
        seen = threads(served.pid());
        seen.iter()
            .any(|(name, nice, _)| name == "reload" && *nice == 10)
    })
    .await;
    for (name, nice, policy) in seen {
        let is_batch = policy == 3;
        assert!(
            name == "reload" || (nice == 0 && !is_batch),
            "{name}: {nice}, {policy}"
        );
    }
}
