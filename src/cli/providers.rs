//! The providers that `run` works with when nothing is configured, under the credentials of the environment.
//! Must never put a credential's value into a text: a configuration names the variable.

use crate::config::values::KeyHeader;

const OPENAI_KEY: &str = "OPENAI_API_KEY";
const ANTHROPIC_KEY: &str = "ANTHROPIC_API_KEY";
/// A token, which Anthropic takes as `Bearer` only.
const ANTHROPIC_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";

/// The configuration: both providers, each with the first of its variables that is set.
pub(super) fn run_defaults(is_set: fn(&str) -> bool) -> String {
    let upstream = |name: &str, variables: &[(&str, KeyHeader)]| {
        let set = variables.iter().find(|(variable, _)| is_set(variable));
        let key = set.map_or_else(String::new, |(variable, header)| {
            let header = header.as_str();
            format!("key = \"${{env:{variable}}}\"\nkey_header = \"{header}\"\n")
        });
        format!("[upstreams.{name}]\ndialect = \"{name}\"\nurl = \"https://api.{name}.com\"\n{key}")
    };
    upstream("openai", &[(OPENAI_KEY, KeyHeader::Authorization)])
        + &upstream(
            "anthropic",
            &[
                (ANTHROPIC_KEY, KeyHeader::XApiKey),
                (ANTHROPIC_TOKEN, KeyHeader::Authorization),
            ],
        )
}

/// Said when no provider's credential can go along: the provider's own answer would name a key nobody gave it.
pub(super) fn missing_keys(is_set: fn(&str) -> bool) -> Option<&'static str> {
    let none = ![OPENAI_KEY, ANTHROPIC_KEY, ANTHROPIC_TOKEN]
        .into_iter()
        .any(is_set);
    none.then_some(
        "hint: none of `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` and `ANTHROPIC_AUTH_TOKEN` is set, so the providers will \
         answer 401; set one, or try `--simulate`",
    )
}

/// Whether the environment has a variable, and something in it.
pub(super) fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_as_bearer_and_a_key_before_it() {
        let keyed = |is_set| {
            let text = run_defaults(is_set);
            let lines = text.lines().filter(|line| line.starts_with("key"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let token = keyed(|name| name == ANTHROPIC_TOKEN);
        let expected = [
            "key = \"${env:ANTHROPIC_AUTH_TOKEN}\"",
            "key_header = \"authorization\"",
        ];
        assert_eq!(token, expected);
        assert!(missing_keys(|name| name == ANTHROPIC_TOKEN).is_none());
        let all = keyed(|_| true);
        assert_eq!(all.len(), 4, "{all:?}");
        assert_eq!(
            all[2..],
            [
                "key = \"${env:ANTHROPIC_API_KEY}\"",
                "key_header = \"x-api-key\""
            ]
        );
        assert!(keyed(|_| false).is_empty());
        assert!(missing_keys(|_| false).is_some());
    }
}
