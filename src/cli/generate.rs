//! What packages are made of: manual pages, shell completions, the schema of the configuration, and what this program is.
//! Must never say what the words and the key table do not.

use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};

use super::args::{Cli, Generate, GenerateVerb};
use super::verbs::say;
use crate::app::Error;
use crate::config::schema;

pub(super) fn generate(generate: &Generate) -> Result<ExitCode, Error> {
    match &generate.verb {
        GenerateVerb::Man { dir } => match dir {
            Some(dir) => pages(dir)?,
            None => write(&page(Cli::command())),
        },
        GenerateVerb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), NAME, &mut script);
            write(&script);
        }
        GenerateVerb::Schema => say(&schema()),
    }
    Ok(ExitCode::SUCCESS)
}

const NAME: &str = "outrigger";

/// Text that was made here is text.
fn write(text: &[u8]) {
    say(&String::from_utf8_lossy(text));
}

/// One page, in roff (man(7)).
fn page(command: Command) -> Vec<u8> {
    let mut page = Vec::new();
    // Writing into memory cannot fail.
    let _ = clap_mangen::Man::new(command).render(&mut page);
    page
}

/// A page for the program and one for each verb, named as `man` finds them.
fn pages(dir: &Path) -> Result<(), Error> {
    let mut cli = Cli::command();
    cli.build();
    std::fs::create_dir_all(dir).map_err(|source| unwritten(dir, &source))?;
    let mut left = vec![(NAME.to_owned(), cli)];
    while let Some((name, command)) = left.pop() {
        for verb in command
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
        {
            left.push((format!("{name}-{}", verb.get_name()), verb.clone()));
        }
        let path = dir.join(format!("{name}.1"));
        // What a page is called stands in its head too.
        let command = command.display_name(name.clone());
        std::fs::write(&path, page(command)).map_err(|source| unwritten(&path, &source))?;
        say(&path.to_string_lossy());
    }
    Ok(())
}

fn unwritten(path: &Path, why: &std::io::Error) -> Error {
    Error::Usage(format!("cannot write `{}`: {why}", path.display()))
}

/// `outrigger --version --json`, in either order and with nothing else.
pub(super) fn asks_version(words: &[std::ffi::OsString]) -> bool {
    let is = |word: &std::ffi::OsString, names: &[&str]| names.iter().any(|name| word == name);
    match words {
        [one, other] => {
            let (version, json) = (&["--version", "-V"][..], &["--json"][..]);
            (is(one, version) && is(other, json)) || (is(one, json) && is(other, version))
        }
        _ => false,
    }
}

/// What this program is, as one JSON object. `commit` is there where the build was told it (`OUTRIGGER_COMMIT`).
pub(super) fn version() -> String {
    let parts = [
        ("version", Some(env!("CARGO_PKG_VERSION"))),
        ("commit", option_env!("OUTRIGGER_COMMIT")),
        ("arch", Some(std::env::consts::ARCH)),
        ("os", Some(std::env::consts::OS)),
        ("minimum_rust", Some(env!("CARGO_PKG_RUST_VERSION"))),
        ("license", Some(env!("CARGO_PKG_LICENSE"))),
    ];
    // None of these holds a quote or a backslash: they are versions, hashes and names of machines.
    let members = parts.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some(format!(
            "\"{name}\":\"{}\"",
            value.replace(['"', '\\'], "'")
        ))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
