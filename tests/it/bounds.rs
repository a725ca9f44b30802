//! What is bounded, from the outside: whoever meets a bound is told its name, nobody else notices, and all that was
//! taken comes back.

mod buffers;
mod connections;
mod descriptors;
mod listeners;
mod refusals;
mod slow;

use outrigger::app::Source;

use crate::stage::{Stage, Upstream, hash_of, post};

const PATH: &str = "/openai/v1/chat/completions";

/// A sidecar with the tenants `loud` and `quiet`, who prove themselves by keys; `top` stands before all tables, `loud`
/// in the table of the loud one.
async fn two_tenants(top: &str, loud: &str) -> Stage {
    let upstream = Upstream::bind().await;
    let text = config(&upstream, top, loud);
    Stage::with(upstream, Source::Text("test", text))
}

/// The same, with more in the table of the listeners.
async fn listening(listen: &str, loud: &str) -> Stage {
    let upstream = Upstream::bind().await;
    let text = config(&upstream, "", loud).replace("[listen]\n", &format!("[listen]\n{listen}\n"));
    Stage::with(upstream, Source::Text("test", text))
}

fn config(upstream: &Upstream, top: &str, loud: &str) -> String {
    format!(
        "{top}\n[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n[identity]\naccept = [\"key\"]\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\nkey = \"provider\"\n\
         [tenants.quiet]\nkeys = [\"{}\"]\n[tenants.loud]\nkeys = [\"{}\"]\n{loud}\n",
        upstream.at,
        hash_of("key-quiet"),
        hash_of("key-loud"),
    )
}

/// A request of that tenant.
fn request(tenant: &str, question: &str) -> Vec<u8> {
    let request = String::from_utf8(post(PATH, question)).expect("a text");
    let key = format!("\r\nauthorization: Bearer key-{tenant}\r\n\r\n");
    request.replacen("\r\n\r\n", &key, 1).into_bytes()
}

/// A question of about so many bytes.
fn question(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#)
}
