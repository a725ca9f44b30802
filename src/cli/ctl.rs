//! The operator's side of the admin socket.

use std::process::ExitCode;

use super::args::{Ctl, CtlVerb};
use super::verbs::{complain, say};
use crate::app::{Error, admin_socket, call};
use crate::host::tasks;

pub(super) fn ctl(control: &Ctl) -> Result<ExitCode, Error> {
    let (method, path) = match control.verb {
        CtlVerb::Reload => ("POST", "/reload"),
        CtlVerb::Drain => ("POST", "/drain"),
        CtlVerb::Health => ("GET", "/health"),
        CtlVerb::Config => ("GET", "/config"),
    };
    let socket = control
        .socket
        .clone()
        .unwrap_or_else(|| admin_socket(control.state.as_deref()));
    let runtime = tasks::small_runtime()?;
    let answer = runtime.block_on(call(&socket, method, path))?;
    if let Some(problems) = &answer.problems {
        complain(problems.trim_end());
    }
    say(&answer.text);
    Ok(if answer.done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
