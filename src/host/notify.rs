//! Telling the service manager how it goes: the datagrams of `sd_notify(3)`, over the socket it names in the environment.
//! Must never make the service depend on being heard, nor wait long for it.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::Error;

/// The way to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
}

/// A manager that does not read is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

impl Notifier {
    /// The manager that `$NOTIFY_SOCKET` names; `None` if there is none.
    ///
    /// # Errors
    /// If there is one that cannot be told anything.
    pub fn of_environment() -> Result<Option<Self>, Error> {
        match std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) {
            Some(name) => Self::to(&name).map(Some),
            None => Ok(None),
        }
    }

    /// The manager at that address: an absolute path, or `@` and an abstract name.
    ///
    /// # Errors
    /// If it is neither, or there is no socket to be had.
    pub fn to(name: &OsStr) -> Result<Self, Error> {
        let failed = |source| Error::new("notify", name.to_string_lossy(), source);
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
            [b'/', ..] => SocketAddr::from_pathname(name),
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        let address = address.map_err(failed)?;
        let socket = UnixDatagram::unbound().map_err(failed)?;
        socket.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// It serves, or serves again after a reload.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// A reload begins; [`Notifier::ready`] ends it. The time tells the manager that this is the one it asked for.
    pub fn reloading(&self) {
        let now = monotonic_micros();
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=reloading\n"
        ));
    }

    /// How it goes, in words.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}\n"));
    }

    /// The shutdown begins.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={status}\n"));
    }

    /// It is alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    /// What is not heard cannot be told either.
    fn send(&self, text: &str) {
        let _ = self.socket.send_to_addr(text.as_bytes(), &self.address);
    }
}

/// How long the manager waits for a sign of life of this process, if it waits for one (`sd_watchdog_enabled(3)`).
pub fn watchdog() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    let pid = variable("WATCHDOG_PID");
    watchdog_of(variable("WATCHDOG_USEC")?.as_str(), pid.as_deref())
}

fn watchdog_of(micros: &str, pid: Option<&str>) -> Option<Duration> {
    let micros: u64 = micros.parse().ok().filter(|micros| *micros > 0)?;
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
    is_ours.then(|| Duration::from_micros(micros))
}

fn monotonic_micros() -> u64 {
    let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else {
        return 0;
    };
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_address_are_heard_at() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let name = format!("@outrigger-test-{}", std::process::id());
        let abstracted = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        for (hears, said) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str()),
            (
                UnixDatagram::bind_addr(&abstracted).unwrap(),
                OsStr::new(&name),
            ),
        ] {
            let tells = Notifier::to(said).unwrap();
            let told = || {
                let mut bytes = [0; 256];
                let length = hears.recv(&mut bytes).unwrap();
                String::from_utf8_lossy(&bytes[..length]).into_owned()
            };
            tells.ready("2 tenants");
            assert_eq!(told(), "READY=1\nSTATUS=2 tenants\n");
            let before = monotonic_micros();
            tells.reloading();
            let text = told();
            let micros = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            let micros: u64 = micros.lines().next().unwrap().parse().unwrap();
            assert!((before..=monotonic_micros()).contains(&micros), "{text}");
            tells.stopping("draining");
            assert_eq!(told(), "STOPPING=1\nSTATUS=draining\n");
            tells.alive();
            assert_eq!(told(), "WATCHDOG=1\n");
        }
    }

    #[test]
    fn a_manager_that_is_gone_or_elsewhere_stops_nothing() {
        let place = tempfile::tempdir().unwrap();
        let gone = place.path().join("gone");
        Notifier::to(gone.as_os_str()).unwrap().ready("");
        for odd in ["relative", "vsock:2:1", ""] {
            assert!(Notifier::to(OsStr::new(odd)).is_err(), "{odd}");
        }
        let long = format!("/{}", "x".repeat(200));
        assert!(Notifier::to(OsStr::new(&long)).is_err());
    }

    #[test]
    fn a_watchdog_is_ours_if_it_names_us_or_nobody() {
        let own = std::process::id().to_string();
        let thirty = Some(Duration::from_secs(30));
        assert_eq!(watchdog_of("30000000", None), thirty);
        assert_eq!(watchdog_of("30000000", Some(&own)), thirty);
        assert_eq!(watchdog_of("30000000", Some("1")), None);
        for odd in ["0", "", "-1", "30s"] {
            assert_eq!(watchdog_of(odd, None), None, "{odd}");
        }
    }
}
