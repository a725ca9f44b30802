//! Real children of `sh`. The two tests that would disturb others in one process start this test binary again.

use std::io::{BufRead, BufReader};
use std::process::{Command as StdCommand, Stdio};

use super::*;

#[tokio::test]
async fn codes_and_signals_become_exit_codes() {
    let cases = [
        ("exit 0", Exit::Code(0), 0),
        ("exit 3", Exit::Code(3), 3),
        ("exit 255", Exit::Code(255), 255),
        ("kill -TERM $$", Exit::Signal(15), 143),
        ("kill -KILL $$", Exit::Signal(9), 137),
    ];
    let mut signals = Signals::listen(&[]).unwrap();
    for (script, exit, code) in cases {
        let child = Child::launch(&shell(script)).unwrap();
        let ended = child.wait(&mut signals).await.unwrap();
        assert_eq!((ended, ended.code()), (exit, code), "{script}");
    }
}

#[tokio::test]
async fn the_environment_is_edited_and_otherwise_kept() {
    let mut launch =
        shell(r#"test "$SET" = "a b" && test -z "${CARGO_MANIFEST_DIR+x}" && test -n "$PATH""#);
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "set by cargo"
    );
    launch.set = vec![("SET".into(), "a b".into())];
    launch.remove = vec!["CARGO_MANIFEST_DIR".into(), "SET".into()];
    let ended = Child::launch(&launch)
        .unwrap()
        .wait(&mut Signals::listen(&[]).unwrap())
        .await;
    assert_eq!(ended.unwrap(), Exit::Code(0));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let launch = |program: &str| {
        Child::launch(&Launch {
            program: program.into(),
            ..Launch::default()
        })
    };
    let error = launch("no-such-program-of-outrigger").unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "cannot start `no-such-program-of-outrigger`: no such file or directory (ENOENT)\n\
         hint: no such program; check the spelling and `PATH`"
    );
    let error = launch("/etc/passwd").unwrap_err();
    assert_eq!(error.hint(), Some("the file is not executable"));
}

/// TERM and the user signals arrive at the child whether or not there is a terminal.
#[tokio::test]
async fn signals_are_handed_on() {
    for signal in [Signal::Terminate, Signal::User1, Signal::Hangup] {
        let mut child = StdCommand::new(std::env::current_exe().unwrap());
        child.args([
            "--exact",
            "host::child::tests::inner_runs_a_child",
            "--ignored",
            "--nocapture",
        ]);
        let mut child = child
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        assert!(
            lines.any(|line| line.ends_with("child is ready")),
            "{signal:?}"
        );
        kill(
            Pid::from_raw(i32::try_from(child.id()).unwrap()),
            signal.number(),
        )
        .unwrap();
        let told: Vec<String> = lines.collect();
        let expected = format!("child got {}", &signal.as_str()[3..]);
        assert!(
            told.iter().any(|line| line.ends_with(&expected)),
            "{told:?}"
        );
        assert!(
            told.iter().any(|line| line.ends_with("ended Code(7)")),
            "{told:?}"
        );
        assert!(child.wait().unwrap().success());
    }
}

/// Not a test of its own: what [`signals_are_handed_on`] starts.
#[tokio::test]
#[ignore = "started by `signals_are_handed_on`"]
async fn inner_runs_a_child() {
    let mut signals = Signals::listen(&Signal::FORWARDED).unwrap();
    let script = r#"
        for name in TERM USR1 HUP; do trap "echo child got $name; exit 7" $name; done
        echo child is ready
        while :; do sleep 0.02; done"#;
    let ended = Child::launch(&shell(script))
        .unwrap()
        .wait(&mut signals)
        .await
        .unwrap();
    println!("ended {ended:?}");
}

/// What the child leaves behind is reaped, and the child's own status is left to whoever waits for it.
#[test]
fn orphans_are_reaped_and_the_child_is_not() {
    let status = StdCommand::new(std::env::current_exe().unwrap())
        .args(["--exact", "host::child::tests::inner_reaps", "--ignored"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Not a test of its own: adopts orphans as PID 1 would, which would take the children of other tests.
#[test]
#[ignore = "started by `orphans_are_reaped_and_the_child_is_not`"]
fn inner_reaps() {
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    // The shell says the number of a grandchild that it does not wait for, and ends.
    let parent = StdCommand::new("sh")
        .args(["-c", "sh -c 'exit 0' & echo $!"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = parent.wait_with_output().unwrap();
    let orphan: i32 = String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let orphan = Pid::from_raw(orphan);
    // Wait until it has ended, without reaping.
    let ended = waitid(Id::Pid(orphan), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    if ended != Err(Errno::ECHILD) {
        ended.unwrap();
        reap_orphans(Pid::from_raw(1));
    }
    assert_eq!(
        waitpid(orphan, Some(WaitPidFlag::WNOHANG)),
        Err(Errno::ECHILD)
    );

    let mut own = StdCommand::new("true").spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(own.id()).unwrap());
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    reap_orphans(pid);
    assert!(own.wait().unwrap().success(), "its status was taken");
}

#[test]
fn only_what_a_terminal_sends_to_the_group_may_stay() {
    let stay = Signal::FORWARDED
        .into_iter()
        .filter(|signal| comes_to_the_group(*signal));
    assert_eq!(
        stay.collect::<Vec<_>>(),
        [Signal::Interrupt, Signal::Quit, Signal::Window]
    );
}

fn shell(script: &str) -> Launch {
    Launch {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        ..Launch::default()
    }
}
