//! Who is calling, where the connection itself says so: unix sockets, their files, and the users at their other ends.
//! Must never ask a process who it is: what counts is what the kernel says.

#![expect(
    clippy::disallowed_methods,
    reason = "a program that somebody else runs is waited for beside the sidecar"
)]

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use outrigger::app::Source;
use outrigger::host;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::stage::{PLAIN, Stage, Upstream, WHOLE, field, hash_of, json, within};

const ACME: &str = "key-of-acme-0123456789";
const GLOBEX: &str = "key-of-globex-0123456789";
const PATH: &str = "/openai/v1/chat/completions";

/// A sidecar with sockets in a directory that every user can enter, and an upstream that answers all and is told the tenant.
struct Scene {
    stage: Stage,
    directory: tempfile::TempDir,
    /// The heads that came to the upstream.
    seen: Arc<Mutex<Vec<String>>>,
    /// Who named the tenant of the last call, by the record.
    voucher: String,
    /// The heads of the last call.
    heads: Vec<String>,
}

/// What came of one call: the status, the refusal's code or nothing, and whose the record says it was.
type Outcome = (u16, String, String);

fn passed(tenant: &str) -> Outcome {
    (200, String::new(), tenant.into())
}

fn refused(code: &str) -> Outcome {
    let status = match code {
        "identity-conflict" => 403,
        "identity-malformed" => 400,
        _ => 401,
    };
    (status, code.into(), "_nobody".into())
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}\r\n")
}

impl Scene {
    /// `listen` goes into the list of `listen.proxy`, with `@` for the directory; the tenants have keys besides.
    async fn open(listen: &str, identity: &str, acme: &str, globex: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).expect("an open directory");
        let listen = listen.replace('@', directory.path().to_str().expect("a plain path"));
        let upstream = Upstream::bind().await;
        let text = format!(
            "[listen]\nproxy = [\"127.0.0.1:0\", {listen}]\ntelemetry = \"off\"\nadmin = \"off\"\n[identity]\n{identity}\n\
             [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\nkey = \"provider\"\nstamp = \"header\"\ntrust = \"internal\"\n\
             [tenants.acme]\nkeys = [\"{}\"]\n{acme}\n[tenants.globex]\nkeys = [\"{}\"]\n{globex}\n",
            upstream.at,
            hash_of(ACME),
            hash_of(GLOBEX),
        );
        let mut stage = Stage::with(upstream, Source::Text("test", text));
        let upstream = stage.take_upstream().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&seen);
        host::spawn("test-upstream", async move {
            loop {
                let mut peer = upstream.accept_any().await;
                let heads = Arc::clone(&heads);
                host::spawn("test-upstream", async move {
                    while let Some(asked) = peer.asked().await {
                        let text = String::from_utf8_lossy(&asked).into_owned();
                        heads.lock().expect("not poisoned").push(text);
                        peer.try_send(&json(WHOLE)).await;
                    }
                });
            }
        });
        Self {
            stage,
            directory,
            seen,
            voucher: String::new(),
            heads: Vec::new(),
        }
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// One call of our own over a socket of the directory, or over TCP if that has no name.
    async fn call(&mut self, socket: &str, fields: &str) -> Outcome {
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{fields}\r\n{PLAIN}",
            PLAIN.len()
        );
        let answer = if socket.is_empty() {
            let mut caller = self.stage.caller().await;
            caller.send(request.as_bytes()).await;
            caller.rest().await
        } else {
            let connected = within("the socket", UnixStream::connect(self.socket(socket))).await;
            let mut stream = connected.expect("a connection");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut answer = Vec::new();
            within("the answer", stream.read_to_end(&mut answer))
                .await
                .expect("an answer");
            answer
        };
        self.outcome(&String::from_utf8_lossy(&answer)).await
    }

    /// One call by another user.
    async fn call_as(&mut self, uid: u32, socket: &str, key: &str) -> Outcome {
        let mut curl = Command::new("curl");
        curl.args(["-si", "--max-time", "20", "--unix-socket"])
            .arg(self.socket(socket))
            .args(["-H", "content-type: application/json", "-d", PLAIN]);
        if !key.is_empty() {
            curl.args(["-H", &format!("authorization: Bearer {key}")]);
        }
        curl.arg(format!("http://localhost{PATH}"))
            .uid(uid)
            .gid(uid);
        let output = tokio::task::spawn_blocking(move || curl.output());
        let output = output.await.expect("a thread").expect("curl");
        self.outcome(&String::from_utf8_lossy(&output.stdout)).await
    }

    async fn outcome(&mut self, answer: &str) -> Outcome {
        let status = answer.get(9..12).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {answer}"));
        let code = field(answer, "outrigger-code").unwrap_or_default();
        let line = self.stage.record().await;
        let tenant = line["tenant"].as_str().expect("a tenant");
        self.voucher = line["voucher"].as_str().unwrap_or_default().to_owned();
        let stamped: Vec<String> = self.seen.lock().expect("not poisoned").drain(..).collect();
        self.heads.clone_from(&stamped);
        if status == 200 {
            let [head] = stamped.as_slice() else {
                panic!("one request at the upstream: {stamped:?}")
            };
            let stamps = head
                .lines()
                .filter(|line| line.to_lowercase().contains("tenant"));
            let stamps: Vec<_> = stamps.filter(|line| !line.starts_with("baggage")).collect();
            assert_eq!(stamps, [format!("x-tenant-id: {tenant}")], "{head}");
        } else {
            assert!(stamped.is_empty(), "refused, and sent on: {stamped:?}");
        }
        (status, code.into(), tenant.into())
    }
}

/// Whether this process can be somebody else for a moment; says so if not.
fn can_be_others() -> bool {
    let root = host::hardening::own_uid() == 0;
    if !root {
        eprintln!("skipped: only root can become somebody else");
    }
    root
}

#[tokio::test]
async fn a_tenants_own_socket_says_who_calls() {
    let mut scene = Scene::open(
        r#""unix:@/acme.sock?tenant=acme&mode=0660", "unix:@/all.sock?mode=0666""#,
        r#"accept = ["listener", "key"]"#,
        "",
        "",
    )
    .await;
    for (socket, fields, expected) in [
        ("acme.sock", String::new(), passed("acme")),
        ("acme.sock", bearer(ACME), passed("acme")),
        ("acme.sock", bearer(GLOBEX), refused("identity-conflict")),
        // A provider's key beside a proof that counts more proves nothing and harms nothing.
        ("acme.sock", bearer("sk-of-a-provider-1234"), passed("acme")),
        (
            "acme.sock",
            "x-tenant-id: globex\r\n".into(),
            passed("acme"),
        ),
        ("all.sock", String::new(), refused("identity-missing")),
        ("all.sock", bearer(GLOBEX), passed("globex")),
        ("", String::new(), refused("identity-missing")),
        (
            "",
            "x-tenant-id: acme\r\n".into(),
            refused("identity-missing"),
        ),
        ("", bearer(GLOBEX), passed("globex")),
    ] {
        let outcome = scene.call(socket, &fields).await;
        assert_eq!(outcome, expected, "{socket} {fields}");
    }
}

#[tokio::test]
async fn a_user_is_who_the_kernel_says_and_nobody_else() {
    if !can_be_others() {
        return;
    }
    let mut scene = Scene::open(
        r#""unix:@/all.sock?mode=0666", "unix:@/acme.sock?tenant=acme&mode=0666""#,
        r#"accept = ["uid", "listener", "key"]"#,
        "uids = [1001, 0]",
        "uids = [1002]",
    )
    .await;
    for (uid, socket, key, expected) in [
        (1001, "all.sock", "", passed("acme")),
        (1002, "all.sock", "", passed("globex")),
        (0, "all.sock", "", passed("acme")),
        (1001, "all.sock", ACME, passed("acme")),
        // The user counts more than the key, and there is no way around it.
        (1003, "all.sock", ACME, refused("identity-unknown")),
        (65_534, "all.sock", ACME, refused("identity-unknown")),
        (1001, "all.sock", GLOBEX, refused("identity-conflict")),
        (1001, "acme.sock", "", passed("acme")),
        (1002, "acme.sock", "", refused("identity-conflict")),
        (1003, "acme.sock", "", refused("identity-unknown")),
    ] {
        let outcome = scene.call_as(uid, socket, key).await;
        assert_eq!(outcome, expected, "{uid} {socket} {key}");
    }
    // Over a port there is no user.
    assert_eq!(scene.call("", "").await, refused("identity-missing"));
    assert_eq!(scene.call("", &bearer(ACME)).await, passed("acme"));
}

#[tokio::test]
async fn a_key_before_the_user_leaves_the_user_to_those_without_one() {
    if !can_be_others() {
        return;
    }
    let mut scene = Scene::open(
        r#""unix:@/all.sock?mode=0666""#,
        r#"accept = ["key", "uid"]"#,
        "uids = [1001]",
        "",
    )
    .await;
    for (uid, key, expected) in [
        (1001, "", passed("acme")),
        (1003, "", refused("identity-unknown")),
        (1003, GLOBEX, passed("globex")),
        (1001, GLOBEX, refused("identity-conflict")),
        (
            1001,
            "key-of-nobody-0123456789",
            refused("identity-unknown"),
        ),
    ] {
        let outcome = scene.call_as(uid, "all.sock", key).await;
        assert_eq!(outcome, expected, "{uid} {key}");
    }
}

#[tokio::test]
async fn a_users_namespace_makes_nobody_of_those_it_does_not_know() {
    if !can_be_others() {
        return;
    }
    // In a namespace of its own the caller is root, or any number it likes; outside it stays who it is.
    let mut scene = Scene::open(
        r#""unix:@/all.sock?mode=0666""#,
        r#"accept = ["uid"]"#,
        "uids = [0, 1001]",
        "uids = [1002]",
    )
    .await;
    let socket = scene.socket("all.sock");
    let script = format!(
        "exec curl -si --max-time 20 --unix-socket '{}' -H 'content-type: application/json' -d '{PLAIN}' http://localhost{PATH}",
        socket.display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "sh", "-c", &script])
        .uid(1002)
        .gid(1002);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("a thread").expect("unshare");
    if !output.status.success() {
        eprintln!("skipped: no user namespaces here: {output:?}");
        return;
    }
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(scene.outcome(&answer).await, passed("globex"));
}

#[tokio::test]
async fn a_sockets_file_has_its_mode_and_goes_away() {
    let scene = Scene::open(
        r#""unix:@/group.sock?mode=0660", "unix:@/own.sock""#,
        r#"accept = ["key"]"#,
        "",
        "",
    )
    .await;
    let paths = ["group.sock", "own.sock"].map(|name| scene.socket(name));
    for (path, mode) in paths.iter().zip([0o660, 0o600]) {
        let metadata = std::fs::symlink_metadata(path).expect("a file");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.mode() & 0o7777, mode, "{}", path.display());
    }
    assert_eq!(scene.stage.sidecar.sockets, paths);
    let ready = scene.socket("ready");
    scene
        .stage
        .sidecar
        .write_ready_file(&ready)
        .expect("a ready file");
    let ready = std::fs::read_to_string(ready).expect("a ready file");
    for path in &paths {
        let line = format!("proxy=unix:{}", path.display());
        assert!(ready.lines().any(|one| one == line), "{ready}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
async fn a_header_is_believed_from_those_only_who_may_speak_for_the_tenant_it_names() {
    let mut scene = Scene::open(
        r#""unix:@/gateway.sock?tenant=acme""#,
        "accept = [\"listener\", \"key\"]\nheader = \"X-Tenant-Id\"",
        "vouches = [\"globex\", \"team-*\"]",
        "[tenants.team-a]\n[tenants.other]",
    )
    .await;
    for (socket, fields, expected, voucher) in [
        // Who may, by either proof.
        (
            "",
            format!("{}x-tenant-id: globex\r\n", bearer(ACME)),
            passed("globex"),
            "acme",
        ),
        (
            "gateway.sock",
            "X-TENANT-ID:  team-a \r\n".into(),
            passed("team-a"),
            "acme",
        ),
        (
            "gateway.sock",
            format!("{}x-tenant-id: team-a\r\n", bearer(ACME)),
            passed("team-a"),
            "acme",
        ),
        // Itself, or without the header.
        (
            "gateway.sock",
            "x-tenant-id: acme\r\n".into(),
            passed("acme"),
            "",
        ),
        ("gateway.sock", String::new(), passed("acme"), ""),
        (
            "",
            format!("{}x-tenant-id: globex\r\n", bearer(GLOBEX)),
            passed("globex"),
            "",
        ),
        // Who may not, whether or not there is such a tenant.
        (
            "",
            format!("{}x-tenant-id: acme\r\n", bearer(GLOBEX)),
            refused("identity-conflict"),
            "",
        ),
        (
            "",
            format!("{}x-tenant-id: team-a\r\n", bearer(GLOBEX)),
            refused("identity-conflict"),
            "",
        ),
        (
            "gateway.sock",
            "x-tenant-id: other\r\n".into(),
            refused("identity-conflict"),
            "",
        ),
        (
            "gateway.sock",
            "x-tenant-id: Globex\r\n".into(),
            refused("identity-conflict"),
            "",
        ),
        (
            "gateway.sock",
            "x-tenant-id: nobody-at-all\r\n".into(),
            refused("identity-conflict"),
            "",
        ),
        (
            "gateway.sock",
            "x-tenant-id: team-b\r\n".into(),
            refused("identity-unknown"),
            "",
        ),
        // The header alone.
        (
            "",
            "x-tenant-id: globex\r\n".into(),
            refused("identity-missing"),
            "",
        ),
        (
            "",
            format!(
                "{}x-tenant-id: globex\r\n",
                bearer("key-of-nobody-0123456789")
            ),
            refused("identity-unknown"),
            "",
        ),
        // A voucher's word does not mend two proofs that disagree.
        (
            "gateway.sock",
            format!("{}x-tenant-id: globex\r\n", bearer(GLOBEX)),
            refused("identity-conflict"),
            "",
        ),
    ] {
        let outcome = scene.call(socket, &fields).await;
        assert_eq!(outcome, expected, "{socket} {fields}");
        assert_eq!(scene.voucher, voucher, "{socket} {fields}");
    }
}

#[tokio::test]
async fn a_header_that_two_readers_could_read_differently_names_nobody() {
    let mut scene = Scene::open(
        r#""unix:@/gateway.sock?tenant=acme""#,
        "accept = [\"listener\", \"key\"]\nheader = \"x-tenant-id\"",
        "vouches = [\"*\"]",
        "",
    )
    .await;
    let long = format!("x-tenant-id: {}\r\n", "g".repeat(129));
    for fields in [
        "x-tenant-id: globex\r\nx-tenant-id: globex\r\n",
        "x-tenant-id: acme\r\nX-Tenant-Id: globex\r\n",
        "x-tenant-id: globex\r\nx_tenant_id: acme\r\n",
        "x_tenant_id: globex\r\n",
        "X_Tenant-ID: globex\r\n",
        "x.tenant.id: globex\r\n",
        "x-tenant-id:\r\n",
        "x-tenant-id: globex,acme\r\n",
        "x-tenant-id: globex acme\r\n",
        "x-tenant-id: _nobody\r\n",
        "x-tenant-id: *\r\n",
        "x-tenant-id: glob\u{e9}x\r\n",
        "x-tenant-id: ../globex\r\n",
        long.as_str(),
    ] {
        for proof in [String::new(), bearer(GLOBEX)] {
            let socket = if proof.is_empty() { "gateway.sock" } else { "" };
            let outcome = scene.call(socket, &format!("{proof}{fields}")).await;
            assert_eq!(outcome, refused("identity-malformed"), "{socket} {fields}");
        }
    }
    // What else claims a tenant is taken out, as ever.
    let fields = "x-tenant-id: globex\r\nx-tenant: acme\r\ntenant: acme\r\nx-tenant-name: acme\r\nconnection: x-tenant-id\r\n";
    assert_eq!(scene.call("gateway.sock", fields).await, passed("globex"));
}

#[tokio::test]
async fn a_header_of_another_name_goes_nowhere_either() {
    let mut scene = Scene::open(
        r#""unix:@/gateway.sock?tenant=acme""#,
        "accept = [\"listener\", \"key\"]\nheader = \"x-org\"",
        "vouches = [\"*\"]",
        "",
    )
    .await;
    for (fields, expected) in [
        ("x-org: globex\r\n", passed("globex")),
        ("x-org: acme\r\nx-tenant-id: globex\r\n", passed("acme")),
        ("x_org: globex\r\n", refused("identity-malformed")),
    ] {
        let outcome = scene.call("gateway.sock", fields).await;
        assert_eq!(outcome, expected, "{fields}");
        let said = scene.heads.join("\n");
        assert!(!said.to_lowercase().contains("org:"), "{said}");
    }
}
