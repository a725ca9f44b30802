//! Tells the program what it is made of, for `outrigger --version --json`. Must never fail a build: what cannot be found
//! out, as the commit in a source archive, is left out.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=OUTRIGGER_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    for (name, from) in [
        ("OUTRIGGER_TARGET", "TARGET"),
        ("OUTRIGGER_PROFILE", "PROFILE"),
    ] {
        tell(name, env::var(from).ok());
    }
    let rustc = env::var("RUSTC").ok();
    tell(
        "OUTRIGGER_RUSTC",
        rustc.and_then(|rustc| said(&rustc, &["--version"])),
    );
    // Whoever builds a package says which commit it is made from.
    tell("OUTRIGGER_COMMIT", env::var("OUTRIGGER_COMMIT").ok());
}

/// What a program says in one line.
fn said(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn tell(name: &str, value: Option<String>) {
    if let Some(value) = value.filter(|value| !value.is_empty() && !value.contains('\n')) {
        println!("cargo::rustc-env={name}={value}");
    }
}
