//! The doors that agents come in by: ports, sockets, and what the service manager has opened. Must never open one before
//! all are there, so that a failure leaves nothing half open.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::boot::Boot;
use super::sidecar::{bind, spawn_vital};
use super::vital::Vitals;
use crate::config::values::{Handed, ProxyHanded, ProxyPort, ProxySocket};
use crate::edge::{self, Doorway, Gate, LocalDoor, Stage};
use crate::host::{self, HandedListener, HandedSockets, TcpListener, UnixListener};
use crate::meters::Registry;
use crate::process::{ListenAddress, ProcessEvent, tell};

/// All of them, bound, each with the gate of its address.
#[derive(Default)]
pub(super) struct ProxyDoors {
    ports: Vec<(TcpListener, Arc<Gate>)>,
    locals: Vec<(LocalDoor, Arc<Gate>)>,
}

impl ProxyDoors {
    /// Binds what the configuration names, and takes what was handed over for it.
    ///
    /// # Errors
    /// If one cannot be had.
    pub(super) fn open(
        boot: &Boot,
        mut handed: HandedSockets,
        registry: &Registry,
    ) -> Result<Self, host::Error> {
        let mut doors = Self::default();
        for ProxyPort { at, connections } in &boot.proxy {
            let listener = bind(at.0, IN_USE)?;
            let name = ListenAddress::Tcp(listener.address()).to_string();
            let gate = Gate::new(&name, *connections, registry);
            doors.ports.push((listener, gate));
        }
        for socket in &boot.sockets {
            let name = ListenAddress::Unix(&socket.path).to_string();
            let gate = Gate::new(&name, socket.connections, registry);
            doors.locals.push((local(socket)?, gate));
        }
        for socket in &boot.handed {
            let gate = Gate::new(&socket.which.to_string(), socket.connections, registry);
            doors.take(socket, &gate, &mut handed)?;
        }
        for (number, name) in handed.left() {
            tell(ProcessEvent::SocketUnused { number, name });
        }
        Ok(doors)
    }

    /// What goes by that name: a unit may have several, and they have one gate.
    fn take(
        &mut self,
        wanted: &ProxyHanded,
        gate: &Arc<Gate>,
        handed: &mut HandedSockets,
    ) -> Result<(), host::Error> {
        let name = wanted.which.to_string();
        let found = match &wanted.which {
            Handed::Name(name) => handed.named(name),
            Handed::Number(number) => handed.numbered(*number),
        };
        if found.is_empty() {
            return Err(missing(&name));
        }
        for descriptor in found {
            match HandedListener::new(descriptor, &name)? {
                HandedListener::Tcp(_) if wanted.tenant.is_some() => return Err(nameless(&name)),
                HandedListener::Tcp(listener) => self.ports.push((listener, Arc::clone(gate))),
                HandedListener::Unix(listener) => {
                    let tenant = wanted.tenant.clone();
                    let local = LocalDoor { listener, tenant };
                    self.locals.push((local, Arc::clone(gate)));
                }
            }
        }
        Ok(())
    }

    /// Lets agents in. Gives the ports and the paths.
    pub(super) fn listen(
        self,
        doorway: &Arc<Doorway>,
        stage: &watch::Sender<Stage>,
        ended: &Vitals,
    ) -> (Vec<SocketAddr>, Vec<PathBuf>) {
        let (mut ports, mut paths) = (Vec::new(), Vec::new());
        for (local, gate) in self.locals {
            let path = local.listener.path().to_path_buf();
            told(ListenAddress::Unix(&path));
            paths.push(path);
            let listens = edge::listen(local, gate, Arc::clone(doorway), stage.subscribe());
            spawn_vital("proxy-listener", listens, ended);
        }
        for (listener, gate) in self.ports {
            let address = listener.address();
            told(ListenAddress::Tcp(address));
            ports.push(address);
            let listens = edge::listen(listener, gate, Arc::clone(doorway), stage.subscribe());
            spawn_vital("proxy-listener", listens, ended);
        }
        (ports, paths)
    }
}

const IN_USE: &str =
    "another process listens there, perhaps another sidecar; stop it or set `listen.proxy`";

fn told(address: ListenAddress<'_>) {
    let role = "proxy";
    tell(ProcessEvent::ListenerBound { role, address });
}

fn local(socket: &ProxySocket) -> Result<LocalDoor, host::Error> {
    Ok(LocalDoor {
        listener: UnixListener::bind(&socket.path, socket.mode)?,
        tenant: socket.tenant.clone(),
    })
}

fn missing(name: &str) -> host::Error {
    let source = std::io::ErrorKind::NotFound.into();
    host::Error::new("take over", name, source).with_hint(
        "the service manager has handed over no such socket: is its `.socket` unit started, and `FileDescriptorName=` the same?",
    )
}

fn nameless(name: &str) -> host::Error {
    let source = std::io::ErrorKind::InvalidInput.into();
    host::Error::new("listen on", name, source).with_hint(
        "it is a port, which proves nothing about who calls: only a unix socket has a tenant",
    )
}
