//! Descriptors: the sidecar takes no more connections than it has some for, and one that has none left rests, says so
//! once, and goes on when some come back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::cli::process::{Place, Served, until};
use crate::stage::sum;

const CONFIG: &str = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nadmin = \"off\"\n\
    [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n";

fn connect(served: &Served, name: &str) -> TcpStream {
    TcpStream::connect(served.at(name)).expect("a listener")
}

fn get(served: &Served, path: &str) -> String {
    let mut stream = connect(served, "telemetry");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("an open connection");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn metric(served: &Served, name: &str) -> u64 {
    sum(&get(served, "/metrics"), name, "")
}

fn place() -> Place {
    let place = Place::new();
    place.write("outrigger.toml", CONFIG);
    place
}

#[test]
fn connections_are_refused_before_probes_find_no_descriptor() {
    let place = place();
    let served = place.serve_with_files(160, &["serve"]);
    until("it says how many it takes", || {
        place.log().contains("\"connections\":16,\"wanted\":4096")
    });
    let busy: Vec<_> = (0..40).map(|_| connect(&served, "proxy")).collect();
    until("some are refused", || {
        metric(&served, "outrigger_connections_refused_total") > 0
    });
    assert!(metric(&served, "outrigger_connections_open") <= 16);
    assert!(get(&served, "/healthz").ends_with("ok\n"));
    drop(busy);
}

#[test]
fn a_listener_without_descriptors_rests_and_comes_back() {
    let files = metric(&place().serve(&["serve"]), "process_open_fds");
    let place = place();
    // One of these was the probe's.
    let served = place.serve_with_files(files + 2, &["serve"]);
    let hoard: Vec<_> = (0..20).map(|_| connect(&served, "proxy")).collect();
    until("it rests", || place.log().contains("accepting rests"));
    drop(hoard);
    until("it comes back", || {
        metric(&served, "outrigger_accept_rests_total") > 0
    });
    let told = place.log().matches("accepting rests").count();
    assert!(told <= 2, "once for each listener: {}", place.log());
    assert!(get(&served, "/healthz").ends_with("ok\n"));
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let place = place();
    let served = place.serve_into("/dev/full", &["serve"]);
    // Whatever is answered writes a line.
    let mut stream = connect(&served, "proxy");
    stream
        .write_all(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("an open connection");
    stream.read_to_end(&mut Vec::new()).expect("an answer");
    until("a lost line is counted", || {
        metric(&served, "outrigger_log_lost_total") > 0
    });
    let health = get(&served, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    assert!(health.contains("the log cannot be written"), "{health}");
}
