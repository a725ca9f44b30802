//! The smaller facts: clock, ids, tasks, files, hardening, `/proc`.

use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::units::{Clock, IdSource, RequestId, Wall};

#[test]
fn the_clock_runs_forward_and_agrees_with_the_system() {
    let (first, second) = (SystemClock.boot(), SystemClock.boot());
    assert!(second >= first && first.0 > 0);
    let epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let wall = Duration::from_millis(SystemClock.wall().0);
    assert!(
        epoch.abs_diff(wall) < Duration::from_mins(1),
        "{epoch:?} and {wall:?}"
    );
}

#[test]
fn ids_never_repeat_across_threads_and_keep_the_time() {
    let now = Wall(0x0123_4567_89ab);
    let threads = std::thread::scope(|scope| {
        let many = || {
            (0..10_000)
                .map(|_| SystemIds.next(now))
                .collect::<Vec<RequestId>>()
        };
        let all: Vec<_> = (0..4).map(|_| scope.spawn(many)).collect();
        all.into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    let all: HashSet<RequestId> = threads.into_iter().flatten().collect();
    assert_eq!(all.len(), 40_000);
    assert!(
        all.iter()
            .all(|id| id.to_string().starts_with("01234567-89ab-7"))
    );
    // Each of the 74 free bits is set in some ids and clear in others.
    let bits = |fold: fn(u8, u8) -> u8, start: u8| {
        all.iter().fold([start; 32], |mut seen, id| {
            let digits = id.to_string().replace('-', "").into_bytes();
            seen.iter_mut().zip(digits).for_each(|(seen, digit)| {
                let value = char::from(digit).to_digit(16).unwrap();
                *seen = fold(*seen, u8::try_from(value).unwrap());
            });
            seen
        })
    };
    assert_eq!(
        bits(|seen, digit| seen | digit, 0)[13..],
        [[0xf; 3].as_slice(), &[0xb], &[0xf; 15]].concat()
    );
    assert_eq!(
        bits(|seen, digit| seen & digit, 0xf)[13..],
        [[0; 3].as_slice(), &[0x8], &[0; 15]].concat()
    );
}

#[tokio::test]
async fn tasks_are_counted_until_they_end_however_they_end() {
    let count = |name: &str| {
        tasks::alive()
            .into_iter()
            .find(|(it, _)| *it == name)
            .map(|(_, count)| count)
    };
    assert_eq!(count("test-ends"), None);
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let ends = spawn("test-ends", async move { wait.await.is_ok() });
    assert_eq!(count("test-ends"), Some(1), "counted before it first runs");
    go.send(()).unwrap();
    assert!(ends.await.unwrap());
    assert_eq!(count("test-ends"), Some(0));

    let aborted = spawn("test-aborted", std::future::pending::<()>());
    aborted.abort();
    assert!(aborted.await.unwrap_err().is_cancelled());
    assert_eq!(count("test-aborted"), Some(0));

    let panics = spawn("test-panics", async { panic!("on purpose") });
    assert!(panics.await.unwrap_err().is_panic());
    assert_eq!(count("test-panics"), Some(0));

    let named = thread("test-thread", || {
        std::thread::current().name().map(str::to_owned)
    });
    assert_eq!(
        named.unwrap().join().unwrap().as_deref(),
        Some("test-thread")
    );
    assert_eq!(count("test-thread"), Some(0));
}

#[test]
fn naming_a_task_costs_its_future_eight_bytes() {
    let future = async {
        let large = [0_u8; 4096];
        tokio::task::yield_now().await;
        large.len()
    };
    let size = size_of_val(&future);
    assert_eq!(tasks::named_size(future), size + 8);
}

#[test]
fn runtimes_run() {
    let workers = tasks::default_workers();
    assert!(workers.get() >= 1 && workers.get() <= 4);
    let runtime = tasks::runtime(workers).unwrap();
    let name = runtime.block_on(async {
        spawn("test-runtime", async {
            std::thread::current().name().map(str::to_owned)
        })
        .await
    });
    assert_eq!(name.unwrap().as_deref(), Some("outrigger-work"));
    let small = tasks::small_runtime().unwrap();
    let here = small.block_on(async {
        spawn("test-runtime", async { std::thread::current().id() })
            .await
            .unwrap()
    });
    assert_eq!(here, std::thread::current().id());
}

#[test]
fn reading_stops_at_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, "12345").unwrap();
    assert_eq!(files::read_capped(&path, 5).unwrap(), b"12345");
    let error = files::read_capped(&path, 4).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    let error = files::read_capped(&directory.path().join("none"), 5).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("none`: no such file or directory (ENOENT)"),
        "{error}"
    );
}

#[test]
fn fingerprints_change_with_the_file_and_only_then() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (
        directory.path().join("file"),
        directory.path().join("other"),
    );
    let take = || files::Fingerprint::take([&path, &other]);
    let absent = take();
    assert_eq!(absent, take());
    std::fs::write(&path, "one").unwrap();
    let one = take();
    assert_ne!(one, absent);
    assert_eq!(one, take());
    std::fs::write(&path, "two and more").unwrap();
    let two = take();
    assert_ne!(two, one);
    // Replaced by rename, as editors and `ConfigMap`s do, with the same size and time of modification.
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let new = directory.path().join("new");
    std::fs::write(&new, "two and mord").unwrap();
    std::fs::File::options()
        .write(true)
        .open(&new)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    std::fs::rename(&new, &path).unwrap();
    assert_ne!(take(), two);
}

#[test]
fn lists_are_sorted_filtered_and_bounded() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b.toml", "a.toml", ".hidden.toml", "a.toml~", "readme.md"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    let names = files::list(directory.path(), "toml", 2).unwrap();
    assert_eq!(
        names,
        ["a.toml", "b.toml"].map(|name| directory.path().join(name))
    );
    assert!(files::list(directory.path(), "toml", 1).is_err());
    assert!(
        files::list(&directory.path().join("none"), "toml", 1)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn private_directories_are_made_or_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/journal");
    files::private_dir(&path).unwrap();
    for made in [&path, &directory.path().join("state")] {
        assert_eq!(std::fs::metadata(made).unwrap().mode() & 0o777, 0o700);
    }
    let chmod = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(0o755);
    files::private_dir(&path).unwrap();
    chmod(0o775);
    let error = files::private_dir(&path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    std::fs::write(path.join("file"), "").unwrap();
    assert!(files::private_dir(&path.join("file")).is_err());
}

/// Hardened in a process of its own, as it would keep other tests from looking into theirs.
#[test]
fn a_hardened_process_is_not_dumpable_and_still_knows_itself() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "host::tests::inner_hardens", "--ignored"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

#[test]
#[ignore = "started by `a_hardened_process_is_not_dumpable_and_still_knows_itself`"]
fn inner_hardens() {
    use nix::sys::resource::{Resource, getrlimit};
    hardening::tune_allocator();
    hardening::harden().unwrap();
    assert!(!nix::sys::prctl::get_dumpable().unwrap());
    hardening::refuse_cores().unwrap();
    assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap().0, 0);
    let raised = hardening::raise_descriptors().unwrap();
    assert_eq!(
        getrlimit(Resource::RLIMIT_NOFILE).unwrap(),
        (raised, raised)
    );
    let facts = ProcessFacts::read();
    assert!(facts.resident_bytes.unwrap() > 100_000, "{facts:?}");
    assert!(facts.open_fds.unwrap() >= 3, "{facts:?}");
    assert_eq!(facts.max_fds, Some(raised));
    assert!(facts.cpu.is_some());
    let age = SystemClock.wall().0 - facts.started.unwrap().0;
    assert!(age < 60_000, "started {age} ms ago");
}

#[test]
fn open_descriptors_are_counted() {
    // Other tests open some meanwhile; two hundred of our own stand out.
    let before = ProcessFacts::read().open_fds.unwrap();
    let held: Vec<_> = (0..200)
        .map(|_| std::fs::File::open("/dev/null").unwrap())
        .collect();
    let after = ProcessFacts::read().open_fds.unwrap();
    assert!(
        after >= before + 100,
        "{before}, then {after} with {} more",
        held.len()
    );
}

#[tokio::test]
async fn signals_arrive_by_name() {
    let mut signals = Signals::listen(&[Signal::User2, Signal::Window]).unwrap();
    for signal in [Signal::Window, Signal::User2] {
        nix::sys::signal::kill(nix::unistd::getpid(), signal.number()).unwrap();
        assert_eq!(signals.next().await, signal);
    }
    assert_eq!(Signal::User2.as_str(), "SIGUSR2");
}

#[test]
fn mount_points_are_read_with_their_escapes() {
    let table = b"36 35 98:0 /mnt1 /etc/a\\040b rw,noatime master:1 - ext3 /dev/root rw\n37 35 0:1 / /x\\134y rw - tmpfs t rw\nshort\n";
    let points = super::mounts::points(table);
    assert_eq!(points, [Path::new("/etc/a b"), Path::new("/x\\y")]);
    assert!(super::mounts::pinned(&["/proc/self/status".into(), "/nowhere".into()]).is_empty());
}
