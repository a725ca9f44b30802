//! Sockets that the service manager has opened for this process, by the protocol of `sd_listen_fds(3)`. Must never keep
//! one that programs started from here would inherit, nor touch what lies in the file system: it is the manager's.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockType, SockaddrLike as _, SockaddrStorage};
use nix::sys::socket::{getsockname, getsockopt, sockopt};

use super::Error;
use super::net::{TcpListener, UnixListener};

/// The variables that speak of them; nobody else is meant.
pub const VARIABLES: [&str; 4] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
];

/// The first descriptor that is handed over.
const FIRST: RawFd = 3;
/// More than this are no mistake one should go along with.
const MOST: u16 = 1024;

/// The sockets that were handed over and not taken yet; what is left is closed with it.
#[derive(Debug, Default)]
pub struct HandedSockets(Vec<HandedSocket>);

#[derive(Debug)]
struct HandedSocket {
    number: u16,
    name: String,
    descriptor: OwnedFd,
}

/// What was handed over under a name.
#[derive(Debug)]
pub enum HandedListener {
    /// A port.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

impl HandedSockets {
    /// What this process was started with; nothing, if others were meant. To be called before anything is opened, and gives
    /// what there is to the first caller only.
    ///
    /// # Errors
    /// If what is said does not hold.
    pub fn of_environment() -> Result<Self, Error> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let variable = |name| std::env::var(name).ok();
        let own = std::process::id().to_string();
        let is_ours = variable("LISTEN_PID").is_some_and(|pid| pid == own);
        let Some(count) = variable("LISTEN_FDS").filter(|_| is_ours) else {
            return Ok(Self::default());
        };
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(Self::default());
        }
        let names = variable("LISTEN_FDNAMES").unwrap_or_default();
        let told = told(&count, &names).ok_or_else(|| {
            let source = io::ErrorKind::InvalidInput.into();
            Error::new("take over", "$LISTEN_FDS", source).with_hint(
                "the number of sockets, and as many names in `$LISTEN_FDNAMES`, if it is set",
            )
        })?;
        let taken = told.into_iter().map(|(number, name)| take(number, name));
        taken.collect::<Result<_, _>>().map(Self)
    }

    /// Takes those of that name, in their order.
    pub fn named(&mut self, name: &str) -> Vec<OwnedFd> {
        let those = self.0.extract_if(.., |socket| socket.name == name);
        those.map(|socket| socket.descriptor).collect()
    }

    /// Takes the one of that number.
    pub fn numbered(&mut self, number: u16) -> Vec<OwnedFd> {
        let those = self.0.extract_if(.., |socket| socket.number == number);
        those.map(|socket| socket.descriptor).collect()
    }

    /// What nobody has taken: number and name of each.
    pub fn left(&self) -> impl Iterator<Item = (u16, &str)> {
        self.0
            .iter()
            .map(|socket| (socket.number, socket.name.as_str()))
    }
}

impl HandedListener {
    /// Listens on what was handed over under `name`. Must run inside a runtime.
    ///
    /// # Errors
    /// If it is no stream socket that listens, or an abstract one.
    pub fn new(descriptor: OwnedFd, name: &str) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::new("listen on", name, source);
        let unfit = |hint| failed(io::ErrorKind::InvalidInput.into()).with_hint(hint);
        let kind = getsockopt(&descriptor, sockopt::SockType);
        let listens = getsockopt(&descriptor, sockopt::AcceptConn);
        if kind != Ok(SockType::Stream) || listens != Ok(true) {
            return Err(unfit(
                "it is no stream socket that listens; use `ListenStream=` and no `Accept=`",
            ));
        }
        let address = getsockname::<SockaddrStorage>(std::os::fd::AsRawFd::as_raw_fd(&descriptor));
        let address = address.map_err(|errno| failed(errno.into()))?;
        match address.family() {
            Some(AddressFamily::Inet | AddressFamily::Inet6) => TcpListener::handed(descriptor)
                .map(Self::Tcp)
                .map_err(failed),
            Some(AddressFamily::Unix) => {
                let place = address.as_unix_addr();
                if place.is_some_and(|place| place.as_abstract().is_some()) {
                    return Err(unfit(
                        "whoever runs on the machine can open an abstract socket; give it a path",
                    ));
                }
                let path = place.and_then(nix::sys::socket::UnixAddr::path);
                let path = path.map_or_else(|| name.into(), std::path::Path::to_path_buf);
                UnixListener::handed(descriptor, path)
                    .map(Self::Unix)
                    .map_err(failed)
            }
            _ => Err(unfit("it is neither TCP nor a unix socket")),
        }
    }
}

/// The descriptors that are spoken of, each with its name; without names they have the usual one.
fn told(count: &str, names: &str) -> Option<Vec<(u16, String)>> {
    let count: u16 = count.parse().ok().filter(|count| *count <= MOST)?;
    let names: Vec<&str> = if names.is_empty() {
        vec!["unknown"; usize::from(count)]
    } else {
        names.split(':').collect()
    };
    let numbers = (3..).take(usize::from(count));
    (names.len() == usize::from(count))
        .then(|| numbers.zip(names.into_iter().map(str::to_owned)).collect())
}

#[expect(
    unsafe_code,
    reason = "descriptors that this process was started with have no owner yet"
)]
fn take(number: u16, name: String) -> Result<HandedSocket, Error> {
    let raw = RawFd::from(number);
    debug_assert!(
        raw >= FIRST,
        "the first three are no sockets of the manager"
    );
    let failed = |errno: nix::Error| {
        Error::new("take over", format!("descriptor {number}"), errno.into())
            .with_hint("`$LISTEN_FDS` says that it was handed over")
    };
    // SAFETY: it is only borrowed to ask whether it is open; if it is not, the call says so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(raw) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(failed)?;
    // SAFETY: it is open, as just seen, and nobody owns it: the manager opened it for this very process (`$LISTEN_PID`)
    // before it ran, this is called once in its life, and before it opens anything that could have got the number.
    let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
    Ok(HandedSocket {
        number,
        name,
        descriptor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_belong_together_or_nothing_is_believed() {
        let named = |number, name: &str| (number, name.to_owned());
        let two = told("2", "proxy:acme").unwrap();
        assert_eq!(two, [named(3, "proxy"), named(4, "acme")]);
        assert_eq!(told("1", "").unwrap(), [named(3, "unknown")]);
        assert_eq!(told("0", "").unwrap(), []);
        for (count, names) in [
            ("2", "proxy"),
            ("1", "a:b"),
            ("-1", ""),
            ("x", ""),
            ("", ""),
            ("1025", ""),
        ] {
            assert_eq!(told(count, names), None, "{count} {names}");
        }
    }

    #[test]
    fn what_does_not_listen_is_no_listener() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let why = HandedListener::new(one.into(), "fd:proxy").unwrap_err();
        assert!(
            format!("{why:#}").contains("no stream socket that listens"),
            "{why:#}"
        );
        let datagram = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(HandedListener::new(datagram.into(), "fd:proxy").is_err());
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(HandedListener::new(file.into(), "fd:proxy").is_err());
    }
}
