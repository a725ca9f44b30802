//! A serving process finds a new configuration by itself, whatever dance put it there, without a poll; and by the poll
//! alone. A dance under way is no news: nothing is rejected, and nothing is read twice for it.

use std::os::unix::fs::symlink;
use std::path::Path;

use outrigger::config::OutCode;
use tempfile::TempDir;

use super::move_over;
use crate::serve::{Served, outrigger, outrigger_behind};
use crate::stage::{Caller, hash_of, until};

/// A configuration that shows by its hash alone what it is, and is found by the watch alone.
fn text(number: u32) -> String {
    with(number, "poll = \"off\"")
}

fn with(number: u32, reload: &str) -> String {
    format!(
        "# {number}\n[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n[reload]\n{reload}\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n"
    )
}

fn generation(number: u32) -> String {
    format!("outrigger_config_generation {number}")
}

/// The next generation runs, and there was no noise on the way.
async fn quietly(served: &Served, number: u32) {
    let published = number - 1;
    served
        .shows(&[
            &generation(number),
            &format!("outrigger_config_reloads_total{{result=\"published\"}} {published}"),
            "outrigger_config_reloads_total{result=\"rejected\"} 0",
            "outrigger_config_last_reload_successful 1",
            "outrigger_config_watching 1",
        ])
        .await;
}

fn put(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).expect("a file");
}

fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).expect("a rename");
}

#[tokio::test]
async fn a_write_a_move_and_a_file_made_anew_are_seen_at_once() {
    let served = Served::start(&text(1)).await;
    let file = served.home.path().join("outrigger.toml");
    put(&file, text(2));
    quietly(&served, 2).await;
    move_over(&file, &text(3));
    quietly(&served, 3).await;
    std::fs::remove_file(&file).expect("a file");
    put(&file, text(4));
    quietly(&served, 4).await;
    // What an editor leaves beside it is nobody's business.
    put(&served.home.path().join(".outrigger.toml.swp"), "x");
    put(&served.home.path().join("outrigger.toml~"), text(1));
    put(&file, text(5));
    quietly(&served, 5).await;
}

#[tokio::test]
async fn a_mounted_volume_that_swaps_its_link_is_seen_with_its_tenants() {
    let home = TempDir::new().expect("a directory");
    let at = home.path().join("conf");
    let version = |name: &str, number, tenants: &[&str]| {
        let directory = at.join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        put(&directory.join("outrigger.toml"), text(number));
        for tenant in tenants {
            let keyed = format!("[tenants.{tenant}]\nkeys = [\"{}\"]\n", hash_of(tenant));
            put(&directory.join(format!("{tenant}.toml")), keyed);
        }
    };
    version("..1", 1, &["a"]);
    symlink("..1", at.join("..data")).expect("a link");
    symlink("..data/outrigger.toml", at.join("outrigger.toml")).expect("a link");
    std::fs::create_dir(at.join("tenants.d")).expect("a directory");
    symlink("../..data/a.toml", at.join("tenants.d/a.toml")).expect("a link");
    symlink("conf/outrigger.toml", home.path().join("outrigger.toml")).expect("a link");
    symlink("conf/tenants.d", home.path().join("tenants.d")).expect("a link");
    let command = outrigger(home.path());
    let served = Served::start_in(home, command).await;
    assert_eq!(status(&served, "a").await, "403");
    assert_eq!(status(&served, "b").await, "401");

    version("..2", 2, &["a", "b"]);
    symlink("../..data/b.toml", at.join("tenants.d/b.toml")).expect("a link");
    symlink("..2", at.join("..data_tmp")).expect("a link");
    rename(&at.join("..data_tmp"), &at.join("..data"));
    std::fs::remove_dir_all(at.join("..1")).expect("a directory");
    quietly(&served, 2).await;
    assert_eq!(status(&served, "b").await, "403");
}

/// What a key opens: the endpoint is refused to those who are known.
async fn status(served: &Served, key: &str) -> String {
    let mut caller = Caller::connect(served.proxy).await;
    let request = format!(
        "GET /openai/v1/nothing HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    caller.send(request.as_bytes()).await;
    caller.answer().await.0[9..12].to_owned()
}

#[tokio::test]
async fn a_directory_replaced_whole_and_one_that_comes_later_are_seen() {
    let home = TempDir::new().expect("a directory");
    let at = home.path().to_path_buf();
    for (name, number) in [("conf", 1), ("next", 2)] {
        std::fs::create_dir(at.join(name)).expect("a directory");
        put(&at.join(name).join("outrigger.toml"), text(number));
    }
    symlink("conf/outrigger.toml", at.join("outrigger.toml")).expect("a link");
    let command = outrigger(&at);
    let served = Served::start_in(home, command).await;
    rename(&at.join("conf"), &at.join("old"));
    rename(&at.join("next"), &at.join("conf"));
    quietly(&served, 2).await;

    let keyed = |key: &str| format!("[tenants.a]\nkeys = [\"{}\"]\n", hash_of(key));
    std::fs::create_dir(at.join("tenants.d")).expect("a directory");
    put(&at.join("tenants.d/a.toml"), keyed("k1"));
    quietly(&served, 3).await;
    assert_eq!(status(&served, "k1").await, "403");
    // The whole directory is another now.
    std::fs::create_dir(at.join("new.d")).expect("a directory");
    put(&at.join("new.d/a.toml"), keyed("k2"));
    rename(&at.join("tenants.d"), &at.join("old.d"));
    rename(&at.join("new.d"), &at.join("tenants.d"));
    quietly(&served, 4).await;
    assert_eq!(status(&served, "k1").await, "401");
    assert_eq!(status(&served, "k2").await, "403");
}

#[tokio::test]
async fn without_a_watch_the_poll_finds_it() {
    let served = Served::start(&with(1, "watch = \"off\"\npoll = \"10ms\"")).await;
    move_over(
        &served.home.path().join("outrigger.toml"),
        &with(2, "watch = \"off\"\npoll = \"10ms\""),
    );
    served
        .shows(&[&generation(2), "outrigger_config_watching 0"])
        .await;
    // And a reload can bring the watch. Whole at once: a look may come between any two writes.
    move_over(&served.home.path().join("outrigger.toml"), &text(3));
    quietly(&served, 3).await;
}

#[tokio::test]
async fn where_the_kernel_gives_no_watch_the_poll_is_left_and_that_is_said_once() {
    let home = TempDir::new().expect("a directory");
    let polls = |number| with(number, "poll = \"10ms\"");
    put(&home.path().join("outrigger.toml"), polls(1));
    let limit = "echo 0 > /proc/sys/user/max_inotify_instances";
    let Some(command) = outrigger_behind(limit, home.path()) else {
        return;
    };
    let served = Served::start_in(home, command).await;
    let file = served.home.path().join("outrigger.toml");
    for number in [2, 3] {
        put(&file, polls(number));
        let published = format!(
            "outrigger_config_reloads_total{{result=\"published\"}} {}",
            number - 1
        );
        served
            .shows(&[&published, "outrigger_config_watching 0"])
            .await;
    }
    let told: Vec<_> = served
        .lines()
        .into_iter()
        .filter(|line| line["left"] == "the poll")
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let why = told[0]["why"].as_str().expect("a reason");
    assert!(why.contains("EMFILE"), "{why}");
    let health = served.ctl("health").await;
    let state: serde_json::Value = serde_json::from_slice(&health.stdout).expect("a document");
    assert!(
        state["watch"]
            .as_str()
            .is_some_and(|why| why.contains("EMFILE")),
        "{state}"
    );
}

#[tokio::test]
async fn a_file_that_is_a_mount_of_its_own_is_warned_about() {
    let home = TempDir::new().expect("a directory");
    let polls = |number| with(number, "poll = \"10ms\"");
    put(&home.path().join("outrigger.toml"), polls(1));
    put(&home.path().join("original"), polls(1));
    let mount = "mount --bind original outrigger.toml";
    let Some(mut check) = outrigger_behind(mount, home.path()) else {
        return;
    };
    let output = check.arg("check").output().await.expect("the program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains(&format!("warning[{}]", OutCode::Pinned))
            && said.contains("outrigger.toml` is a mount of its own"),
        "{said}"
    );

    let command = outrigger_behind(mount, home.path()).expect("as before");
    let served = Served::start_in(home, command).await;
    until("the warning", || {
        served.lines().into_iter().any(|line| {
            let text = line["text"].as_str().unwrap_or_default();
            line["message"] == "config has warnings" && text.contains(&OutCode::Pinned.to_string())
        })
    })
    .await;
    // The one kind of write that a mount lets through is found by the poll.
    put(&served.home.path().join("original"), polls(2));
    served.shows(&[&generation(2)]).await;
}
