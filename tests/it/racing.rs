//! A thousand callers at once and money for fifty of them. Must never count on who comes first.

use outrigger::host::{self, hardening};
use outrigger::units::Wall;
use tokio::sync::mpsc;

use crate::stage::{Stage, json, post, within};

const CALLERS: usize = 1_000;
const ADMITTED: usize = 50;
/// Each caller takes two descriptors of this process, each call that is let in two more; and what else is open.
const DESCRIPTORS: u64 = 2_400;

const CHAT: &str = "/openai/v1/chat/completions";

/// Five dollars; a token of input costs a thousandth of a dollar, one of output two.
const FIVE: &str = "budgets.total = { amount = \"5 USD\", per = \"total\" }\n\
    [prices.models.\"openai/m\"]\ninput = \"1000\"\noutput = \"2000\"\n";

/// A question that may cost a dime: each of its bytes may be a token, and what is left of a hundred goes into the output.
fn dime() -> (String, u64) {
    let with = |cap: u64| format!(r#"{{"model":"m","max_tokens":{cap},"messages":[]}}"#);
    let bytes = |question: &str| u64::try_from(question.len()).expect("short");
    let even = bytes(&with(10)).next_multiple_of(2);
    let cap = (100 - even) / 2;
    let question = with(cap);
    let padding = usize::try_from(even - bytes(&question)).expect("short");
    (format!("{question}{}", " ".repeat(padding)), cap)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_racing_calls_of_a_dime_against_five_dollars_admit_fifty() {
    let limit = hardening::raise_descriptors().expect("a limit");
    if limit < DESCRIPTORS {
        println!("skipped: {limit} descriptors, and a thousand callers need {DESCRIPTORS}");
        return;
    }
    let stage = Stage::open(FIVE).await;
    let (question, cap) = dime();
    let request = post(CHAT, &question);
    let mut callers = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        callers.push(stage.caller().await);
    }
    let (tell, mut told) = mpsc::channel(CALLERS);
    for mut caller in callers {
        let (tell, request) = (tell.clone(), request.clone());
        host::spawn("test-caller", async move {
            caller.send(&request).await;
            let (head, body) = caller.answer().await;
            tell.send((head, body)).await.expect("a listener");
        });
    }
    // Nobody who is let in is answered until everybody else has been.
    for _ in ADMITTED..CALLERS {
        let (head, body) = within("a refusal", told.recv()).await.expect("a caller");
        assert!(head.starts_with("HTTP/1.1 402 "), "{head}{body}");
    }
    let now = Wall(1_800_000_000_000);
    let held = stage.account("acme").budgets(now).remove(0);
    assert_eq!((held.held.0, held.spent.0), (5_000_000_000, 0));
    let input = question.len();
    let usage = format!(
        r#"{{"id":"c","object":"chat.completion","model":"m","choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{cap},"total_tokens":{}}}}}"#,
        question.len() + usize::try_from(cap).expect("short"),
    );
    for _ in 0..ADMITTED {
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        peer.send(&json(&usage)).await;
        peer.close_after().await;
        let (head, body) = within("an answer", told.recv()).await.expect("a caller");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
    }
    stage.upstream.unused().await;
    stage.at_rest().await;
    let spent = stage.account("acme").budgets(now).remove(0);
    assert_eq!((spent.held.0, spent.spent.0), (0, 5_000_000_000));
}
