//! A running sidecar: everything made, bound and started, in the order that lets each part find the others.
//! Must never be ready before it listens, nor listen before its configuration is whole.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::Error;
use super::boot::{Boot, Source, state_directory};
use super::doors::ProxyDoors;
use super::level::LevelKeeper;
use super::logging::Logging;
use super::lost::Lost;
use super::record;
use super::reload::{Reloader, Settings, Warnings, compile_whole, has_errors, labels};
use super::tide;
use super::vital::Vitals;
use crate::config::values::{AdminAddress, LogFormat, OnOff};
use crate::config::{Loaded, render};
use crate::edge::{self, AdminCall, AdminDoor, Archive, Doorway, Patience, Ready, Stage};
use crate::host::{
    self, HandedSockets, SystemClock, SystemIds, TcpListener, UnixListener, files, hardening,
};
use crate::meters::Registry;
use crate::process::{ListenAddress, ProcessEvent, tell};
use crate::snapshot::{Accounts, Live, Overlay, Snapshot, TrustStore, World};
use crate::trip::{Ground, Recorder, Shutdown, Totals};
use crate::units::{Clock, IdSource, Wall};
use crate::upstream::Dialer;

/// What the command line decides about a sidecar.
pub struct Options {
    /// Its configuration.
    pub source: Source,
    /// What is laid over it.
    pub overlay: Overlay,
    /// Listen here instead of where the configuration says, without telemetry and admin (`run`).
    pub private: Option<SocketAddr>,
    /// The state directory, if named.
    pub state: Option<PathBuf>,
    /// What the service manager has opened.
    pub handed: HandedSockets,
    /// How log lines look, whatever the configuration says.
    pub log_format: Option<LogFormat>,
    /// What time it is; a test may bring its own.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from; a test may bring its own.
    pub ids: Arc<dyn IdSource>,
}

impl Options {
    /// The usual sidecar of that configuration.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            overlay: Overlay::default(),
            private: None,
            state: None,
            handed: HandedSockets::default(),
            log_format: None,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
        }
    }
}

/// A sidecar whose configuration is whole, and that does not listen yet.
pub struct Prepared {
    loaded: Loaded,
    /// When the loading began.
    began: Wall,
    warnings: Warnings,
    boot: Boot,
    state: PathBuf,
    options: Options,
    live: Arc<Live>,
    world: World,
    recorder: Option<Recorder>,
    lost: Lost,
}

/// A sidecar that serves.
pub struct Sidecar {
    /// Where agents call; port 0 resolved.
    pub proxy: Vec<SocketAddr>,
    /// And in the file system.
    pub sockets: Vec<PathBuf>,
    /// Metrics and probes; port 0 resolved.
    pub telemetry: Option<SocketAddr>,
    /// The admin ports; port 0 resolved.
    pub admin: Vec<SocketAddr>,
    /// What its trips share.
    pub ground: Arc<Ground>,
    /// What is lost of the record of what was spent.
    pub lost: Lost,
    /// Reads the configuration again.
    pub reloader: Arc<Reloader>,
    /// Calls from the admin socket.
    pub calls: mpsc::Receiver<AdminCall>,
    /// The names of tasks that ended and must not.
    pub ended: mpsc::Receiver<&'static str>,
    /// What asks the tasks that must not hang.
    pub vitals: Vitals,
    /// How much is logged.
    pub level: LevelKeeper,
    ready: Arc<Ready>,
    stage: watch::Sender<Stage>,
    doorway: Arc<Doorway>,
}

impl Sidecar {
    /// Loads and compiles.
    ///
    /// # Errors
    /// The configuration's problems, rendered.
    pub fn prepare(options: Options) -> Result<Prepared, Error> {
        let began = options.clock.wall();
        let loaded = options.source.load();
        let state = state_directory(options.state.as_deref());
        let boot = Boot::of(&loaded.raw, &state)
            .private(options.private)
            .formatted(options.log_format);
        let world = World {
            accounts: Arc::new(Accounts::new(boot.buffers, connections(boot.connections))),
            registry: Arc::new(Registry::new(env!("CARGO_PKG_VERSION"), labels(&loaded))),
            trust: Arc::new(TrustStore::default()),
        };
        let (now, wall) = (options.clock.boot(), options.clock.wall());
        let compiled =
            compile_whole(&loaded, &options.overlay, &world, 1, now).map_err(|problems| {
                debug_assert!(has_errors(&problems), "only errors reject a configuration");
                Error::Config(render::human(
                    &problems,
                    &loaded.sources,
                    render::Paint::Plain,
                ))
            })?;
        let warnings = Warnings::of(&compiled, &loaded);
        let live = Live::new(compiled, now, wall);
        let (recorder, lost) = match &boot.journal {
            Some(journal) => {
                let careful = live.take().is_careful();
                let accounts = (&world.accounts, careful);
                let (recorder, lost) = record::open(journal, &state, accounts, &options.clock)?;
                (Some(recorder), lost)
            }
            None => (None, Lost::nothing(&world.accounts)),
        };
        Ok(Prepared {
            loaded,
            began,
            warnings,
            boot,
            state,
            options,
            live,
            world,
            recorder,
            lost,
        })
    }
}

impl Prepared {
    /// The facts read once.
    pub fn boot(&self) -> &Boot {
        &self.boot
    }

    /// The compiled snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.live.take().to_owner()
    }

    /// Whether there are request lines, whatever the configuration says (`run`).
    pub fn log_requests(&mut self, wanted: bool) {
        self.boot.log_requests = if wanted { OnOff::On } else { OnOff::Off };
    }

    /// Binds and starts everything. Must run inside the data plane's runtime.
    ///
    /// # Errors
    /// If a socket cannot be bound, or a thread started.
    pub fn start(self, logging: &Logging) -> Result<Sidecar, Error> {
        let Self {
            loaded,
            began,
            warnings,
            boot,
            state,
            mut options,
            live,
            world,
            recorder,
            lost,
        } = self;
        let handed = std::mem::take(&mut options.handed);
        let (clock, ids) = (Arc::clone(&options.clock), Arc::clone(&options.ids));
        let registry = Arc::clone(&world.registry);
        tell_bounds(&world, &boot);
        let pool = usize::try_from(boot.pool).unwrap_or(usize::MAX);
        let ground = Arc::new(Ground {
            live: Arc::clone(&live),
            dialer: Dialer::new(pool, Arc::clone(&clock), Arc::clone(&registry)),
            registry: Arc::clone(&registry),
            log: (boot.log_requests == OnOff::On).then(|| logging.queue()),
            journal: recorder,
            clock: Arc::clone(&clock),
            ids,
            shutdown: Shutdown::default(),
            totals: Totals::default(),
        });
        let doorway = Doorway::new(
            Arc::clone(&ground),
            usize::try_from(boot.head_bytes).unwrap_or(usize::MAX),
            Patience {
                head: boot.head_timeout,
                idle: boot.idle_timeout,
                write: boot.write_timeout,
            },
            usize::try_from(world.accounts.connections()).unwrap_or(usize::MAX),
        );
        let (stage, _) = watch::channel(Stage::Open);
        let (end, ended) = Vitals::new();
        let doors = ProxyDoors::open(&boot, handed, &registry)?;
        let (proxy, sockets) = doors.listen(&doorway, &stage, &end);
        let ready = Arc::new(Ready::default());
        let telemetry = boot
            .telemetry
            .map(|at| telemetry(at, &ground, &ready, &end))
            .transpose()?;
        let (call, calls) = mpsc::channel(16);
        let admin = admin((&boot, &state), call, &ground, &end)?;
        keep_pool(&ground, &end);
        let tide = tide::watch(Arc::clone(&doorway), Arc::clone(world.accounts.buffers()));
        host::spawn("memory-watch", tide);
        announce(&live, &world, &options.source, clock.as_ref());
        warnings.tell();
        ready.set(true);
        let level = LevelKeeper::new(logging.levels(), live.take().log_level());
        let reloader = Reloader::new(options, state, world, live, (&loaded, began));
        let listeners = proxy.len() + sockets.len() + usize::from(telemetry.is_some());
        tell(ProcessEvent::Started {
            version: env!("CARGO_PKG_VERSION"),
            listeners,
        });
        Ok(Sidecar {
            proxy,
            sockets,
            telemetry,
            admin,
            ground,
            lost,
            reloader: Arc::new(reloader),
            calls,
            ended,
            vitals: end,
            level,
            ready,
            stage,
            doorway,
        })
    }
}

impl Sidecar {
    /// Writes where it listens to a file, one `name=address` a line, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_ready_file(&self, path: &Path) -> Result<(), Error> {
        let proxy = self.proxy.iter().copied().map(ListenAddress::Tcp);
        let sockets = self.sockets.iter().map(|path| ListenAddress::Unix(path));
        let mut lines: Vec<_> = proxy.chain(sockets).map(|at| ("proxy", at)).collect();
        let telemetry = self.telemetry.map(ListenAddress::Tcp);
        lines.extend(telemetry.map(|at| ("telemetry", at)));
        let admin = self.admin.iter().copied().map(ListenAddress::Tcp);
        lines.extend(admin.map(|at| ("admin", at)));
        write_ready_file(path, &lines)
    }

    /// Wakes every connection, so that what an account was ordered to cut ends now. Costs each of them one poll.
    pub fn nudge(&self) {
        self.stage.send_modify(|_| ());
        self.ground.shutdown.nudge();
    }

    /// Stops taking work, lets what runs finish, and cuts what does not within the deadline. Returns how many
    /// trips were cut.
    pub async fn drain(&self) -> usize {
        self.ready.set(false);
        self.ground.registry.process().draining();
        let shutdown = &self.ground.shutdown;
        tell(ProcessEvent::DrainStarted {
            open: shutdown.open(),
        });
        self.stage.send_replace(Stage::Draining);
        let Settings {
            drain: (limit, idle),
            ..
        } = self.reloader.settings();
        let quiet = async {
            loop {
                let begun = shutdown.begun();
                tokio::time::sleep(idle).await;
                if shutdown.open() == 0 && shutdown.begun() == begun {
                    return;
                }
            }
        };
        match tokio::time::timeout(limit, quiet).await {
            Ok(()) => {
                tell(ProcessEvent::DrainEnded { cut: 0 });
                0
            }
            Err(_) => self.cut().await,
        }
    }

    /// Writes, signs and closes the journal, if there is one: nothing more is recorded. Blocks.
    pub fn close(&self) {
        if let Some(recorder) = &self.ground.journal {
            recorder.journal().close();
        }
    }

    /// Ends every running trip now, a begun answer with its dialect's own error, and gives the bytes a moment to
    /// leave. Returns how many there were.
    pub async fn cut(&self) -> usize {
        let open = self.ground.shutdown.open();
        self.ground.shutdown.cut();
        self.stage.send_replace(Stage::Cutting);
        let gone = async {
            while self.doorway.open() > 0 || self.ground.shutdown.tails().open() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // The answers are ended; a client that does not read its last bytes is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), gone).await;
        tell(ProcessEvent::DrainEnded { cut: open });
        open
    }
}

/// As many connections as are wanted, or as the descriptors are good for: each call takes one on both sides, and what
/// else needs some (probes, the operator, the log) must not find them gone.
fn connections(wanted: u32) -> u32 {
    const RESERVED: u64 = 128;
    const LEAST: u64 = 8;
    let files = hardening::most_descriptors().unwrap_or(u64::MAX);
    let most = (files.saturating_sub(RESERVED) / 2).max(LEAST);
    u32::try_from(most).unwrap_or(u32::MAX).min(wanted)
}

fn tell_bounds(world: &World, boot: &Boot) {
    world.registry.process().buffers_bounded(boot.buffers);
    let connections = world.accounts.connections();
    if connections < boot.connections {
        tell(ProcessEvent::DescriptorsFew {
            connections,
            wanted: boot.connections,
        });
    }
}

/// Writes a ready file: one `name=address` a line.
///
/// # Errors
/// If the file cannot be written.
pub fn write_ready_file(path: &Path, lines: &[(&str, ListenAddress<'_>)]) -> Result<(), Error> {
    let mut text = String::new();
    for (name, address) in lines {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name}={address}");
    }
    files::write_whole(path, text.as_bytes()).map_err(Error::Host)
}

pub(super) fn spawn_vital(
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
    ended: &Vitals,
) {
    host::spawn(name, ended.vital(name).watch(task));
}

const IN_USE_TELEMETRY: &str = "another process listens there, perhaps another sidecar; stop it or set `listen.telemetry`, which may be `off`";

const IN_USE_ADMIN: &str =
    "another process listens there, perhaps another sidecar; stop it or set `listen.admin`";

/// Binds; an address that is taken is explained by the setting that names it.
pub(super) fn bind(address: SocketAddr, in_use: &'static str) -> Result<TcpListener, host::Error> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => error.with_hint(in_use),
        _ => error,
    })
}

/// Telemetry has a thread and a runtime of its own: a busy data plane never makes a probe late.
fn telemetry(
    at: SocketAddr,
    ground: &Arc<Ground>,
    ready: &Arc<Ready>,
    ended: &Vitals,
) -> Result<SocketAddr, Error> {
    let runtime = host::tasks::small_runtime()?;
    let listener = {
        let _inside = runtime.enter();
        bind(at, IN_USE_TELEMETRY)?
    };
    let address = listener.address();
    tell(ProcessEvent::ListenerBound {
        role: "telemetry",
        address: ListenAddress::Tcp(address),
    });
    let served = edge::telemetry(listener, Arc::clone(ground), Arc::clone(ready));
    let served = ended.vital("telemetry-listener").watch(served);
    host::thread("outrigger-telem", move || runtime.block_on(served))?;
    Ok(address)
}

/// Opens every admin listener; gives the ports.
fn admin(
    (boot, state): (&Boot, &Path),
    calls: mpsc::Sender<AdminCall>,
    ground: &Arc<Ground>,
    ended: &Vitals,
) -> Result<Vec<SocketAddr>, Error> {
    let ground = Arc::clone(ground);
    let archive = Archive::new(state.to_path_buf());
    let door = &AdminDoor {
        calls,
        ground,
        archive,
    };
    let mut ports = Vec::new();
    for at in &boot.admin {
        match at {
            AdminAddress::Unix(path) => admin_socket(path, boot.admin_shared, door, ended)?,
            AdminAddress::Tcp(address) => {
                let listener = bind(*address, IN_USE_ADMIN)?;
                let address = listener.address();
                tell(ProcessEvent::ListenerBound {
                    role: "admin",
                    address: ListenAddress::Tcp(address),
                });
                ports.push(address);
                let served = edge::admin_port(listener, door.clone());
                spawn_vital("admin-port", served, ended);
            }
        }
    }
    Ok(ports)
}

fn admin_socket(path: &Path, shared: bool, door: &AdminDoor, ended: &Vitals) -> Result<(), Error> {
    if let Some(directory) = path.parent() {
        files::private_dir(directory)?;
    }
    let listener = UnixListener::bind_private(path)?;
    if shared {
        listener.open_to_all()?;
    }
    tell(ProcessEvent::ListenerBound {
        role: "admin",
        address: ListenAddress::Unix(path),
    });
    let served = edge::admin_socket(listener, door.clone());
    spawn_vital("admin-listener", served, ended);
    Ok(())
}

/// Closes upstream connections that were idle for too long.
fn keep_pool(ground: &Arc<Ground>, ended: &Vitals) {
    let ground = Arc::clone(ground);
    let sweeps = async move {
        let mut every = tokio::time::interval(Duration::from_secs(1));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            ground.dialer.pool().sweep();
        }
    };
    spawn_vital("pool-keeper", sweeps, ended);
}

fn announce(live: &Live, world: &World, source: &Source, clock: &dyn Clock) {
    let snapshot = live.take();
    world.registry.process().config_loaded(
        snapshot.generation(),
        snapshot.hash(),
        &[],
        clock.wall(),
    );
    tell(ProcessEvent::ConfigLoaded {
        generation: snapshot.generation(),
        hash: snapshot.hash(),
        tenants: snapshot.tenants().len(),
        from: &source.to_string(),
    });
}
