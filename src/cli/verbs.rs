//! The verbs, each from its words to its exit code.

use std::fmt::Write as _;
use std::io::{IsTerminal, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use super::args::{self, CheckFormat, KeysVerb};
use super::providers::{is_set, missing_keys, run_defaults};
use crate::app::{
    self, Error, Logging, Options, Sidecar, Source, Verbosity, child_environment, control, find,
    log_format, run_child, simulator, simulator_rules,
};
use crate::config::{Severity, render};
use crate::host::{HandedSockets, Signal, Signals, hardening, tasks};
use crate::process::{ListenAddress, ProcessEvent, tell, watch_panics};
use crate::simulator::{Credentials, Rules, Script, Simulator};
use crate::snapshot::{Overlay, digest};
use crate::trip::Total;
use crate::units::{Secret, TenantId};

/// Data goes to standard output.
pub(super) fn say(text: &str) {
    // A reader that closed early wants no more.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// Everything else goes to standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

pub(super) fn serve(serve: args::Serve) -> Result<ExitCode, Error> {
    watch_panics();
    // Before anything is opened that could get their numbers.
    let handed = HandedSockets::of_environment()?;
    let mut options = Options::new(find(serve.config.config.as_deref())?);
    options.state = serve.state;
    options.handed = handed;
    options.log_format = log_format(serve.log.log_format.as_deref())?;
    let runtime = tasks::runtime(tasks::default_workers())?;
    if serve.simulate {
        let at =
            runtime.block_on(async { simulator(any_port(), Simulator::new(Script::default())) })?;
        options.overlay.simulator = Some(at);
    }
    let prepared = Sidecar::prepare(options)?;
    let boot = prepared.boot().clone();
    let logging = Logging::start(boot.log_format, boot.log_queue, Verbosity::Normal)?;
    harden();
    let served = runtime.block_on(async {
        let mut signals = Signals::listen(&Signal::CONTROL)?;
        let sidecar = prepared.start(&logging)?;
        if let Some(path) = &serve.ready_file {
            sidecar.write_ready_file(path)?;
        }
        control(sidecar, &mut signals).await
    });
    logging.flush();
    // Ends the tasks, and with them the admin socket's file; a resolver that hangs is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    served.map(|()| ExitCode::SUCCESS)
}

fn harden() {
    for (what, outcome) in [
        ("memory of the process", hardening::harden()),
        ("core dumps", hardening::refuse_cores()),
        ("open files", hardening::raise_descriptors().map(|_| ())),
    ] {
        if let Err(why) = outcome {
            tell(ProcessEvent::HardeningIncomplete { what, why: &why });
        }
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(super) fn run(run: args::Run) -> Result<ExitCode, Error> {
    watch_panics();
    // Meant for this process, which listens on a port of its own, and not for the agent.
    drop(HandedSockets::of_environment()?);
    let mut hint = None;
    let source = match find(run.config.config.as_deref())? {
        Source::Text(..) => {
            hint = (!run.simulate).then(|| missing_keys(is_set)).flatten();
            Source::Text("built in", run_defaults(is_set))
        }
        file @ Source::File(_) => file,
    };
    let key = new_key()?;
    let tenant = session_tenant(&source, run.tenant.as_deref())?;
    let mut options = Options::new(source);
    options.private = Some(any_port());
    options.log_format = log_format(run.log.log_format.as_deref())?;
    options.overlay = Overlay {
        session: Some((tenant.clone(), digest(key.expose().as_bytes()))),
        simulator: None,
    };
    let runtime = tasks::runtime(tasks::default_workers())?;
    if run.simulate {
        let at =
            runtime.block_on(async { simulator(any_port(), Simulator::new(Script::default())) })?;
        options.overlay.simulator = Some(at);
    }
    let mut prepared = Sidecar::prepare(options)?;
    if run.print_env {
        print_env(&prepared);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(hint) = hint {
        complain(hint);
    }
    let verbosity = if run.verbose {
        Verbosity::Normal
    } else {
        Verbosity::Quiet
    };
    prepared.log_requests(run.verbose);
    let boot = prepared.boot();
    let logging = Logging::start(boot.log_format, boot.log_queue, verbosity)?;
    if let Err(why) = hardening::harden() {
        tell(ProcessEvent::HardeningIncomplete {
            what: "memory of the process",
            why: &why,
        });
    }
    let outcome = runtime.block_on(async {
        let sidecar = prepared.start(&logging)?;
        let ground = std::sync::Arc::clone(&sidecar.ground);
        let exit = run_child(sidecar, run.command, &key).await?;
        Ok::<_, Error>((exit, ground))
    });
    logging.flush();
    runtime.shutdown_background();
    let (exit, ground) = outcome?;
    summary(&tenant, &ground.totals);
    Ok(ExitCode::from(exit.code()))
}

fn summary(tenant: &TenantId, totals: &crate::trip::Totals) {
    complain(&format!(
        "outrigger: tenant {tenant}: {}, {} refused, {} input and {} output tokens",
        count(totals.of(Total::Requests), "request"),
        totals.of(Total::Refused),
        totals.of(Total::Input),
        totals.of(Total::Output),
    ));
}

/// The tenant of `run`: the one named, else the only one written, else the default.
fn session_tenant(source: &Source, named: Option<&str>) -> Result<TenantId, Error> {
    let raw = source.load().raw;
    if let Some(named) = named {
        let id = named
            .parse()
            .map_err(|why| Error::Usage(format!("`--tenant {named}` is no tenant id: {why}")))?;
        return if raw.tenants.is_empty() || raw.tenants.iter().any(|one| one.id.value == id) {
            Ok(id)
        } else {
            Err(Error::Usage(format!(
                "`--tenant {named}` names no tenant of the configuration\nhint: there are {}",
                some_of(&raw.tenants)
            )))
        };
    }
    let fixed = raw
        .identity
        .as_ref()
        .and_then(|identity| identity.tenant.as_ref());
    match (fixed, raw.tenants.as_slice()) {
        (Some(fixed), _) => Ok(fixed.value.clone()),
        (None, [only]) => Ok(only.id.value.clone()),
        (None, []) => crate::config::defaults::FIXED_TENANT
            .parse()
            .map_err(|why| Error::Usage(format!("the default tenant: {why}"))),
        (None, many) => Err(Error::Usage(format!(
            "the configuration has {} tenants\nhint: say which one with `--tenant`: {}",
            many.len(),
            some_of(many)
        ))),
    }
}

/// The first few names.
fn some_of(tenants: &[crate::config::raw::Tenant]) -> String {
    const FEW: usize = 8;
    let names: Vec<_> = tenants
        .iter()
        .take(FEW)
        .map(|tenant| format!("`{}`", tenant.id.value))
        .collect();
    let rest = if tenants.len() > FEW { ", …" } else { "" };
    names.join(", ") + rest
}

fn print_env(prepared: &app::Prepared) {
    let wrapped = child_environment(
        &prepared.snapshot(),
        "127.0.0.1:PORT",
        "SESSION_KEY",
        std::env::vars_os(),
    );
    let mut text = String::from("# PORT and SESSION_KEY are made anew for each run\n");
    for name in wrapped
        .remove
        .iter()
        .filter(|name| wrapped.set.iter().all(|(set, _)| set != *name))
    {
        let _ = writeln!(text, "unset {name}");
    }
    for (name, value) in &wrapped.set {
        let _ = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
    }
    say(&text);
}

pub(super) fn check(check: &args::Check) -> Result<ExitCode, Error> {
    let source = find(check.config.config.as_deref())?;
    let (loaded, problems, proofs) = app::problems(&source);
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let warnings = problems.len() - errors;
    let paint = if std::io::stderr().is_terminal() {
        render::Paint::Colour
    } else {
        render::Paint::Plain
    };
    let text = match check.format {
        CheckFormat::Human => render::human(&problems, &loaded.sources, paint),
        CheckFormat::Lines => render::lines(&problems, &loaded.sources),
    };
    if !text.is_empty() {
        complain(text.trim_end());
    }
    let name = match &source {
        Source::File(path) => path.display().to_string(),
        Source::Text(..) => "no configuration file found, so the defaults".to_owned(),
    };
    let found = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
    if errors > 0 || (check.deny_warnings && warnings > 0) {
        complain(&format!("{name}: {found}"));
        return Ok(ExitCode::from(Error::Config(String::new()).exit_code()));
    }
    say(&format!(
        "{name}: ok, {}, {}, hash {}",
        count(loaded.raw.tenants.len(), "tenant"),
        count(warnings, "warning"),
        loaded.hash
    ));
    if let Some(proofs) = proofs {
        say(&proofs);
    }
    Ok(ExitCode::SUCCESS)
}

/// A number of things, as people say it.
fn count(number: impl TryInto<u64>, thing: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {thing}"),
        many => format!("{many} {thing}s"),
    }
}

pub(super) fn read_stdin() -> Result<String, Error> {
    let mut text = String::new();
    std::io::stdin()
        .take(64 << 20)
        .read_to_string(&mut text)
        .map_err(|why| Error::Usage(format!("standard input: {why}")))?;
    Ok(text)
}

pub(super) fn keys(keys: &args::Keys) -> Result<ExitCode, Error> {
    let key = match keys.verb {
        KeysVerb::New => {
            let key = new_key()?;
            say(&format!("key  {}", key.expose()));
            key
        }
        KeysVerb::Hash => Secret::new(read_stdin()?.trim().to_owned()),
    };
    if key.expose().is_empty() {
        return Err(Error::Usage("standard input holds no key".to_owned()));
    }
    say(&format!(
        "hash sha256:{}",
        hex(&digest(key.expose().as_bytes()))
    ));
    Ok(ExitCode::SUCCESS)
}

/// A key of 256 random bits, with a prefix that secret scanners can know.
fn new_key() -> Result<Secret, Error> {
    let bytes = app::random_bytes()?;
    Ok(Secret::new(format!("outrigger_{}", hex(&bytes))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn simulate(simulate: &args::Simulate) -> Result<ExitCode, Error> {
    watch_panics();
    let mut script = simulate.script;
    if simulate.open {
        script.credentials = Credentials::Optional;
    }
    let rules = simulate.rules.as_deref().map(simulator_rules);
    let rules = rules.transpose()?.unwrap_or_else(Rules::default);
    let provider = Simulator::with_rules(script, rules.seeded(simulate.seed));
    let runtime = tasks::runtime(tasks::default_workers())?;
    hardening::raise_descriptors()?;
    runtime.block_on(async {
        let mut signals = Signals::listen(&Signal::CONTROL)?;
        let at = simulator(simulate.listen, provider)?;
        if let Some(path) = &simulate.ready_file {
            app::write_ready_file(path, &[("simulator", ListenAddress::Tcp(at))])?;
        }
        complain(&format!(
            "simulated model upstream at http://{at} (OpenAI and Anthropic dialects)"
        ));
        loop {
            match signals.next().await {
                Signal::Interrupt | Signal::Quit | Signal::Terminate => break,
                Signal::Hangup | Signal::User1 | Signal::User2 | Signal::Window => {}
            }
        }
        Ok::<_, Error>(())
    })?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
