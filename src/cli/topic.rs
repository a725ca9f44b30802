//! What `outrigger explain TOPIC` says: about a configuration key, an error code of the configuration, the code of a
//! refusal, or an endpoint. Must never need a configuration.

use crate::app::Error;
use crate::config::{OutCode, explain, explain_code, nearest_key};
use crate::units::{Blame, Code, Endpoint, Opening};

/// The text about a topic.
///
/// # Errors
/// If it is none of the four; says what was probably meant.
pub(super) fn topic(topic: &str) -> Result<String, Error> {
    if let Some(code) = OutCode::from_text(topic) {
        return Ok(explain_code(code));
    }
    if let Some(code) = Code::ALL.iter().find(|code| code.as_str() == topic) {
        return Ok(refusal(*code));
    }
    explain(topic)
        .or_else(|| Endpoint::from_word(topic).map(endpoint))
        .ok_or_else(|| unknown(topic))
}

fn unknown(topic: &str) -> Error {
    let hint = nearest_key(topic).map_or_else(
        || {
            "a key is written as in `policies.standard.models.allow` or `models.allow`, a section as in `listen`, \
             an error code as in `OUT-0007`, a refusal as in `model-denied`, an endpoint as in `batches`"
                .to_owned()
        },
        |near| format!("did you mean `{near}`?"),
    );
    Error::Usage(format!(
        "`{topic}` is no configuration key, error code, refusal or endpoint\nhint: {hint}"
    ))
}

/// What an endpoint is, what opens it, and what the rules do not see of it.
fn endpoint(endpoint: Endpoint) -> String {
    let opens = match endpoint.opening() {
        Opening::Always => "open under every policy: its requests are read and judged".to_owned(),
        Opening::Listed => format!("opened by `endpoints.allow = [\"{endpoint}\"]` or `[\"*\"]`"),
        Opening::ByWord => {
            format!("opened by `endpoints.allow = [\"{endpoint}\"]`; `*` does not open it")
        }
    };
    let unseen = match endpoint.unseen() {
        "" => "the rules see all of it".to_owned(),
        unseen => format!("not seen: {unseen}"),
    };
    format!("{endpoint}: {}\n  {opens}\n  {unseen}\n", endpoint.paths())
}

/// What a refusal is, how it is sent, and who can do something about it.
fn refusal(code: Code) -> String {
    let acts = match code.blame() {
        Blame::Tenant => "the agent, or whoever writes its tenant's policy",
        Blame::Upstream => "the provider",
        Blame::Operator => "whoever runs this sidecar",
        Blame::Outrigger => "whoever maintains Outrigger: it is a bug",
    };
    let retry = if code.retryable() {
        "may succeed later by itself (`x-should-retry: true`)"
    } else {
        "will not succeed by itself (`x-should-retry: false`)"
    };
    format!(
        "{code}: refused with status {}\n  {}\n  The same request {retry}.\n  Who can act: {acts}.\n",
        code.status(),
        code.meaning(),
    )
}
