//! What is no configuration is refused in words, and nothing waits for it; what is half written is waited for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::stat::Mode;
use outrigger::app::{Outcome, Source};
use outrigger::config::OutCode;
use outrigger::units::{Boot, Clock, Wall};
use tempfile::TempDir;

use super::Filed;
use crate::serve::outrigger;
use crate::stage::{Stage, StillClock, Upstream, config, within};

/// What stands in the place of a file, and what is said of it.
type Oddity = (&'static str, fn(&Path), &'static str);

const ODDITIES: &[Oddity] = &[
    ("a pipe", pipe, "is no regular file"),
    (
        "a directory",
        |at| std::fs::create_dir(at).expect("a directory"),
        "is no regular file",
    ),
    ("a device", |at| link("/dev/zero", at), "is no regular file"),
    ("nothing", |_| {}, "does not exist"),
    (
        "a link to nothing",
        |at| link("/nowhere/at/all", at),
        "is a link to `/nowhere/at/all`, which does not exist",
    ),
    (
        "a link to itself",
        |at| link("odd.toml", at),
        "filesystem loop",
    ),
    ("a huge file", huge, "larger than 16777216 bytes"),
    (
        "no text",
        |at| std::fs::write(at, [b'a', 0xff]).expect("a file"),
        "byte 1 is not UTF-8",
    ),
];

fn pipe(at: &Path) {
    nix::unistd::mkfifo(at, Mode::S_IRWXU).expect("a pipe");
}

fn link(target: &str, at: &Path) {
    std::os::unix::fs::symlink(target, at).expect("a link");
}

/// A hole costs no disk.
fn huge(at: &Path) {
    let file = std::fs::File::create(at).expect("a file");
    file.set_len(17 << 20).expect("a hole");
}

#[tokio::test]
async fn what_is_no_file_is_refused_at_the_start() {
    for (name, make, expected) in ODDITIES {
        let home = TempDir::new().expect("a directory");
        make(&home.path().join("odd.toml"));
        for verb in ["check", "serve"] {
            let mut command = outrigger(home.path());
            command.args([verb, "--config", "odd.toml"]);
            let output = within(name, command.output()).await.expect("the program");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{name}");
            assert!(said.contains(expected), "{verb}, {name}: {said}");
        }
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused_by_a_reload_and_forgotten_when_it_is_one_again() {
    let filed = Filed::open("").await;
    let file = filed.path("outrigger.toml");
    let good = std::fs::read(&file).expect("a file");
    for (name, make, _) in ODDITIES {
        std::fs::remove_file(&file).expect("a file");
        make(&file);
        let before = filed.generation();
        let problems = filed.rejected();
        assert!(problems.contains("cannot read `"), "{name}: {problems}");
        assert_eq!(filed.generation(), before);
        match std::fs::symlink_metadata(&file) {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir(&file).expect("a directory"),
            Ok(_) => std::fs::remove_file(&file).expect("a file"),
            Err(_) => {}
        }
        std::fs::write(&file, &good).expect("a file");
        assert!(matches!(
            filed.stage.sidecar.reloader.poll(),
            Outcome::Unchanged
        ));
        assert!(
            filed.stage.sidecar.ground.live.rejected().is_none(),
            "{name}"
        );
        assert_eq!(
            filed
                .stage
                .metric("outrigger_config_last_reload_successful", ""),
            1
        );
    }
}

#[tokio::test]
async fn a_file_that_became_empty_is_no_new_configuration() {
    let filed = Filed::open("").await;
    let file = filed.path("outrigger.toml");
    let good = std::fs::read(&file).expect("a file");
    std::fs::write(&file, "\n").expect("a file");
    let problems = filed.rejected();
    assert!(
        problems.contains(&OutCode::Emptied.to_string())
            && problems.contains("is empty, and was not before"),
        "{problems}"
    );
    assert_eq!(filed.generation(), 1);
    std::fs::write(&file, &good).expect("a file");
    assert!(matches!(
        filed.stage.sidecar.reloader.reload(),
        Outcome::Unchanged
    ));
    // Somebody who means it says so.
    std::fs::write(&file, "# defaults\n").expect("a file");
    filed.published();
    std::fs::write(&file, "").expect("a file");
    assert!(filed.rejected().contains(&OutCode::Emptied.to_string()));
}

/// A clock that stands close behind the last write, or a while after it.
#[derive(Default)]
struct Beside(AtomicU64);

impl Clock for Beside {
    fn boot(&self) -> Boot {
        Boot(1_000_000_000)
    }

    fn wall(&self) -> Wall {
        Wall(self.0.load(Ordering::SeqCst))
    }
}

impl Beside {
    fn stand(&self, file: &Path, after: u64) {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(file).expect("a file");
        let millis = metadata.ctime() * 1_000 + metadata.ctime_nsec() / 1_000_000;
        let millis = u64::try_from(millis).expect("a time after 1970");
        self.0.store(millis + after, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_half_written_file_is_waited_for_and_one_written_for_ever_is_not() {
    let upstream = Upstream::bind().await;
    let text = |streams: &str| config(upstream.at, &format!("limits.streams = {streams}"));
    let (good, half) = (text("2"), text(""));
    let home = TempDir::new().expect("a directory");
    let file = home.path().join("outrigger.toml");
    std::fs::write(&file, text("1")).expect("a file");
    let clock = Arc::new(Beside::default());
    clock.stand(&file, 60_000);
    let time = Arc::clone(&clock) as Arc<dyn Clock>;
    let source = Source::File(file.clone());
    let stage = Stage::timed(upstream, source, time, Arc::new(StillClock::default()));
    let reloader = &stage.sidecar.reloader;
    let rejected = || stage.metric("outrigger_config_reloads_total", "rejected");

    std::fs::write(&file, &half).expect("a file");
    clock.stand(&file, 100);
    assert!(matches!(reloader.poll(), Outcome::Unsettled));
    assert!(matches!(reloader.told(), Outcome::Unsettled));
    std::fs::write(&file, &good).expect("a file");
    clock.stand(&file, 250);
    assert!(matches!(reloader.poll(), Outcome::Published(_)));
    assert_eq!(rejected(), 0);

    std::fs::write(&file, &half).expect("a file");
    clock.stand(&file, 1);
    let looks = std::iter::repeat_with(|| reloader.poll());
    let unsettled = looks.take_while(|outcome| matches!(outcome, Outcome::Unsettled));
    assert_eq!(unsettled.count(), 8);
    assert_eq!(rejected(), 1, "what is written for ever is read as it is");
}
