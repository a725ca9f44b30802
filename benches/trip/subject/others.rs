//! nginx and `HAProxy` as people run them in front of an upstream: kept connections on both sides, nothing held back, no access log.
//!
//! It owns their configuration, which is written for each start. It must never give them fewer workers than the
//! bare proxy has, nor let them keep a file that they would not keep in a deployment.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Under, program};
use crate::bare;
use crate::wires::{Http, Wires};

/// What both are told.
pub(super) struct Place<'a> {
    pub(super) upstream: SocketAddr,
    pub(super) listen: SocketAddr,
    pub(super) dir: &'a Path,
    pub(super) wires: Wires,
    /// Who signed the upstream's certificate.
    pub(super) authority: PathBuf,
}

/// An address that is free now. Another may take it before the program does; then that does not start.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

impl Place<'_> {
    /// nginx: a master and its workers. Under callgrind a single process, because a worker would not be counted.
    pub(super) fn nginx(&self, path: &Path, under: Under<'_>) -> io::Result<Command> {
        let processes = match under {
            Under::Nothing => format!("worker_processes {};", bare::workers()?),
            Under::Callgrind { .. } => "master_process off;".to_owned(),
        };
        let Self {
            upstream,
            listen,
            dir,
            wires,
            authority,
        } = self;
        let spoken = match wires.client {
            Http::One => "",
            Http::Two => " http2",
        };
        let (scheme, sealed) = if wires.tls {
            let authority = authority.display();
            let sealed = format!(
                "proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {authority};
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_name localhost;"
            );
            ("https", sealed)
        } else {
            ("http", String::new())
        };
        let config = dir.join("nginx.conf");
        let here = dir.display();
        let text = format!(
            r#"daemon off;
{processes}
pid {here}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {here}/nginx-body;
    proxy_temp_path {here}/nginx-proxy;
    fastcgi_temp_path {here}/nginx-fastcgi;
    uwsgi_temp_path {here}/nginx-uwsgi;
    scgi_temp_path {here}/nginx-scgi;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    upstream model {{
        server {upstream};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen} reuseport{spoken};
        location / {{
            proxy_pass {scheme}://model;
            {sealed}
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"#
        );
        std::fs::write(&config, text)?;
        let mut command = program(path, under);
        // The log that it would otherwise try to open before it reads its configuration.
        command.args(["-e", "stderr", "-p"]).arg(dir);
        command.arg("-c").arg(config);
        Ok(command)
    }

    /// `HAProxy`: one process with a thread per worker.
    pub(super) fn haproxy(&self, path: &Path, under: Under<'_>) -> io::Result<Command> {
        let Self {
            upstream,
            listen,
            dir,
            wires,
            authority,
        } = self;
        let spoken = match wires.client {
            Http::One => "",
            Http::Two => " proto h2",
        };
        let sealed = format!(
            "ssl verify required verifyhost localhost ca-file {} alpn",
            authority.display()
        );
        let reached = match (wires.upstream, wires.tls) {
            (Http::One, false) => String::new(),
            (Http::Two, false) => "proto h2".to_owned(),
            (Http::One, true) => format!("{sealed} http/1.1"),
            (Http::Two, true) => format!("{sealed} h2"),
        };
        let config = dir.join("haproxy.cfg");
        let text = format!(
            "global
    nbthread {}
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option http-no-delay
    http-reuse always
frontend agents
    bind {listen}{spoken}
    default_backend model
backend model
    server model {upstream} {reached}
",
            bare::workers()?
        );
        std::fs::write(&config, text)?;
        let mut command = program(path, under);
        command.arg("-db").arg("-f").arg(config);
        Ok(command)
    }
}
