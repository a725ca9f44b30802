//! What `outrigger explain TOPIC` says: about a configuration key, an error code of the configuration, or the code of a
//! refusal. Must never need a configuration.

use crate::app::Error;
use crate::config::{OutCode, explain, explain_code, nearest_key};
use crate::units::{Blame, Code};

/// The text about a topic.
///
/// # Errors
/// If it is none of the three; says what was probably meant.
pub(super) fn topic(topic: &str) -> Result<String, Error> {
    if let Some(code) = OutCode::from_text(topic) {
        return Ok(explain_code(code));
    }
    if let Some(code) = Code::ALL.iter().find(|code| code.as_str() == topic) {
        return Ok(refusal(*code));
    }
    explain(topic).ok_or_else(|| unknown(topic))
}

fn unknown(topic: &str) -> Error {
    let hint = nearest_key(topic).map_or_else(
        || {
            "a key is written as in `policies.standard.models.allow` or `models.allow`, a section as in `listen`, \
             an error code as in `OUT-0007`, a refusal as in `model-denied`"
                .to_owned()
        },
        |near| format!("did you mean `{near}`?"),
    );
    Error::Usage(format!(
        "`{topic}` is no configuration key, error code or refusal\nhint: {hint}"
    ))
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
