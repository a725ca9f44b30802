//! Every dance that puts another text where a path leads, and that nothing is told of what matters to nobody.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::Watcher;

/// A dance: its name, what is there before, and what is done.
type Dance = (&'static str, fn(&Path), fn(&Path));

const DANCES: &[Dance] = &[
    ("written in place", plain, |at| put(&at.join("c/f"), "2")),
    ("moved over", plain, |at| {
        put(&at.join("c/new"), "2");
        mv(&at.join("c/new"), &at.join("c/f"));
    }),
    ("removed", plain, |at| {
        fs::remove_file(at.join("c/f")).unwrap();
    }),
    (
        "made when there was none",
        |at| dir(&at.join("c")),
        |at| {
            put(&at.join("c/f"), "2");
        },
    ),
    ("made with its directory", |_| {}, |at| dir(&at.join("c"))),
    ("allowed again", plain, |at| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(at.join("c/f"), mode).unwrap();
    }),
    ("its directory replaced", plain, |at| {
        dir(&at.join("d"));
        put(&at.join("d/f"), "2");
        mv(&at.join("c"), &at.join("old"));
        mv(&at.join("d"), &at.join("c"));
    }),
    ("its directory removed", plain, |at| {
        fs::remove_dir_all(at.join("c")).unwrap();
    }),
    ("a volume's swap", volume, |at| {
        dir(&at.join("c/..2"));
        put(&at.join("c/..2/f"), "2");
        symlink("..2", at.join("c/..tmp")).unwrap();
        mv(&at.join("c/..tmp"), &at.join("c/..data"));
    }),
    ("written behind a volume's links", volume, |at| {
        put(&at.join("c/..1/f"), "2");
    }),
    ("a release's link moved", releases, |at| {
        symlink("r2", at.join("tmp")).unwrap();
        mv(&at.join("tmp"), &at.join("current"));
    }),
    ("written behind a release's link", releases, |at| {
        put(&at.join("r1/conf/f"), "2");
    }),
    ("an absolute link made anew", absolute, |at| {
        put(&at.join("g"), "2");
        fs::remove_file(at.join("c/f")).unwrap();
        symlink(at.join("g"), at.join("c/f")).unwrap();
    }),
    ("the target of a dangling link made", dangling, |at| {
        put(&at.join("c/nowhere"), "2");
    }),
];

fn plain(at: &Path) {
    dir(&at.join("c"));
    put(&at.join("c/f"), "1");
}

fn volume(at: &Path) {
    dir(&at.join("c"));
    dir(&at.join("c/..1"));
    put(&at.join("c/..1/f"), "1");
    symlink("..1", at.join("c/..data")).unwrap();
    symlink("..data/f", at.join("c/f")).unwrap();
}

/// `c/f` -> `../current/conf/f`, `current` -> `r1`.
fn releases(at: &Path) {
    for release in ["r1", "r2"] {
        fs::create_dir_all(at.join(release).join("conf")).unwrap();
        put(&at.join(release).join("conf/f"), release);
    }
    symlink("r1", at.join("current")).unwrap();
    dir(&at.join("c"));
    symlink("../current/conf/f", at.join("c/f")).unwrap();
}

fn absolute(at: &Path) {
    dir(&at.join("c"));
    dir(&at.join("e"));
    put(&at.join("e/h"), "1");
    symlink(at.join("e/h"), at.join("c/f")).unwrap();
}

fn dangling(at: &Path) {
    dir(&at.join("c"));
    symlink("nowhere", at.join("c/f")).unwrap();
}

fn dir(path: &Path) {
    fs::create_dir(path).unwrap();
}

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn mv(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}

async fn told(watcher: &mut Watcher, what: &str) {
    let limit = Duration::from_secs(20);
    let change = tokio::time::timeout(limit, watcher.changed()).await;
    assert!(change.is_ok(), "not told: {what}");
}

#[tokio::test]
async fn every_dance_is_told() {
    for (name, before, dance) in DANCES {
        let home = TempDir::new().unwrap();
        before(home.path());
        let mut watcher = Watcher::aim(&[home.path().join("c/f")]).unwrap();
        assert!(!watcher.has_changed(), "{name}: nothing happened yet");
        dance(home.path());
        told(&mut watcher, name).await;
    }
}

#[tokio::test]
async fn a_change_of_any_directory_above_is_told() {
    let home = TempDir::new().unwrap();
    fs::create_dir_all(home.path().join("a/b/c")).unwrap();
    put(&home.path().join("a/b/c/f"), "1");
    let path = home.path().join("a/b/c/f");
    let mut watcher = Watcher::aim(&[path]).unwrap();
    mv(&home.path().join("a"), &home.path().join("old"));
    told(&mut watcher, "the directory two above is moved").await;
}

#[tokio::test]
async fn what_lies_beside_matters_to_nobody() {
    let home = TempDir::new().unwrap();
    let at = home.path();
    plain(at);
    dir(&at.join("c/many"));
    let mut watcher = Watcher::aim(&[at.join("c/f"), at.join("c/many")]).unwrap();
    for beside in ["c/.f.swp", "c/f~", "c/4913", "c/log", "c/many/.a.toml.swp"] {
        put(&at.join(beside), "x");
        fs::remove_file(at.join(beside)).unwrap();
    }
    fs::read(at.join("c/f")).unwrap();
    assert!(!watcher.has_changed());
    put(&at.join("c/many/a.toml"), "x");
    told(&mut watcher, "an entry of a watched directory").await;
}

#[tokio::test]
async fn many_files_beside_each_other_are_one_watch_and_too_many_directories_are_refused() {
    let home = TempDir::new().unwrap();
    let many: Vec<PathBuf> = (0..2_000)
        .map(|number| home.path().join(format!("{number}")))
        .collect();
    let watcher = Watcher::aim(&many).unwrap();
    let depth = home.path().components().count();
    assert!(watcher.places.len() <= depth, "{}", watcher.places.len());
    let apart: Vec<PathBuf> = (0..super::DIRECTORIES)
        .map(|number| {
            let directory = home.path().join(format!("d{number}"));
            dir(&directory);
            directory.join("f")
        })
        .collect();
    let error = Watcher::aim(&apart).unwrap_err();
    assert!(
        error.hint().is_some_and(|hint| hint.contains("the poll")),
        "{error}"
    );
}

#[tokio::test]
async fn links_in_a_circle_end() {
    let home = TempDir::new().unwrap();
    symlink("b", home.path().join("a")).unwrap();
    symlink("a", home.path().join("b")).unwrap();
    let mut watcher = Watcher::aim(&[home.path().join("a")]).unwrap();
    fs::remove_file(home.path().join("b")).unwrap();
    told(&mut watcher, "the circle is broken").await;
}
