//! Floor 8, the command line: words to calls. The only place that prints for people and picks exit codes.
//! Must never know how anything works.

mod args;
mod audit;
mod budget;
mod costs;
mod ctl;
mod explain;
mod generate;
mod providers;
mod told;
mod topic;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Verb};

use crate::app::Error;

/// Parses the command line, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if generate::asks_version(&words) {
        verbs::say(&generate::version());
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => return unparsed(&asked),
    };
    let outcome = match cli.verb {
        Verb::Serve(serve) => verbs::serve(serve),
        Verb::Run(run) => verbs::run(run),
        Verb::Check(check) => verbs::check(&check),
        Verb::Explain(explain) => explain::explain(&explain),
        Verb::Keys(keys) => verbs::keys(&keys),
        Verb::Simulate(simulate) => verbs::simulate(&simulate),
        Verb::Budget(money) => budget::budget(&money),
        Verb::Costs(costs) => costs::costs(costs),
        Verb::Audit(audit) => audit::audit(audit),
        Verb::Ctl(control) => ctl::ctl(&control),
        Verb::Generate(generate) => generate::generate(&generate),
    };
    outcome.unwrap_or_else(|error| {
        verbs::complain(&error.to_string());
        ExitCode::from(error.exit_code())
    })
}

/// Help and version, which were asked for, or what is wrong with the words; the latter ends like every other misuse.
fn unparsed(asked: &clap::Error) -> ExitCode {
    // A reader that closed early wants no more.
    let _ = asked.print();
    if asked.use_stderr() {
        ExitCode::from(Error::Usage(String::new()).exit_code())
    } else {
        ExitCode::SUCCESS
    }
}
