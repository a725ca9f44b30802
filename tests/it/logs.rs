//! How the log looks, and who decides it: the flag before the variable, the variable before the configuration.

use std::path::Path;

use crate::serve::{Served, outrigger};
use crate::stage::{until, within};

/// The look of the lines that a session with these words and that variable writes under a configuration that says so.
async fn look(words: &[&str], variable: &str, written: &str) -> Result<&'static str, String> {
    let home = tempfile::TempDir::new().expect("a directory");
    std::fs::write(home.path().join("outrigger.toml"), written).expect("a file");
    let mut command = outrigger(home.path());
    command
        .args(["run", "--simulate", "--verbose"])
        .args(words)
        .args(["--", "true"]);
    command.env("OUTRIGGER_LOG_FORMAT", variable);
    let output = within("the session", command.output())
        .await
        .expect("the program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("{:?}: {said}", output.status.code()));
    }
    let line = said
        .lines()
        .find(|line| line.contains("started"))
        .expect("a line");
    Ok(match line {
        line if serde_json::from_str::<serde_json::Value>(line).is_ok() => "json",
        line if line
            .split(' ')
            .any(|pair| pair == "level=INFO" || pair == "level=info") =>
        {
            "logfmt"
        }
        _ => "text",
    })
}

#[tokio::test]
async fn the_flag_comes_before_the_variable_and_that_before_the_configuration() {
    let (text, json) = ("[log]\nformat = \"text\"\n", "[log]\nformat = \"json\"\n");
    for (words, variable, written, expected) in [
        (&[][..], "", "", "json"),
        (&[], "", text, "text"),
        (&[], "logfmt", text, "logfmt"),
        (&["--log-format", "json"], "logfmt", text, "json"),
        (&["--log-format", "logfmt"], "", json, "logfmt"),
        (&["--log-format", "text"], "json", "", "text"),
        // Nobody but a terminal is shown text by itself.
        (&["--log-format", "auto"], "text", text, "json"),
    ] {
        let seen = look(words, variable, written).await;
        assert_eq!(
            seen.as_deref(),
            Ok(expected),
            "{words:?} {variable:?} {written:?}"
        );
    }
}

#[tokio::test]
async fn a_format_that_is_none_is_a_usage_error() {
    let by_variable = look(&[], "yaml", "").await.expect_err("no format");
    assert!(by_variable.starts_with("Some(64)"), "{by_variable}");
    assert!(
        by_variable.contains("`yaml` is no log format, as `$OUTRIGGER_LOG_FORMAT` says"),
        "{by_variable}"
    );
    let by_flag = look(&["--log-format", "yaml"], "", "")
        .await
        .expect_err("no format");
    assert!(
        by_flag.starts_with("Some(64)") && by_flag.contains("logfmt"),
        "{by_flag}"
    );
}

/// What the configuration says of it does not wait for a restart that would change nothing.
#[tokio::test]
async fn a_configuration_that_is_overruled_waits_for_no_restart() {
    let config = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n[reload]\nwatch = \"off\"\npoll = \"off\"\n";
    for (format, is_told) in [("json", false), ("", true)] {
        let variables = [("OUTRIGGER_LOG_FORMAT", Path::new(format))];
        let served = Served::start_with(config, &variables).await;
        let file = served.home.path().join("outrigger.toml");
        let text = format!("{config}[log]\nformat = \"text\"\n");
        std::fs::write(&file, text).expect("a file");
        assert!(served.ctl("reload").await.status.success());
        // The call is told last.
        until("the reload to be told", || {
            let lines = served.lines();
            lines.iter().any(|line| line["verb"] == "reload")
        })
        .await;
        let waits = |line: &serde_json::Value| line.to_string().contains("log.format");
        let told = served.lines().iter().any(waits);
        assert_eq!(told, is_told, "{:?}", served.lines());
    }
}
