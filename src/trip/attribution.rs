//! Whose work a request is within its tenant: the agent, session and user that it names itself. Attributed, and never
//! trusted: nothing here keeps anybody from anything. Must never take a name that would be read differently elsewhere.

use http::{HeaderMap, HeaderName};

use super::Refusal;
use crate::limits::Who;
use crate::units::Code;

const AGENT: HeaderName = HeaderName::from_static("outrigger-agent");
const SESSION: HeaderName = HeaderName::from_static("outrigger-session");
const USER: HeaderName = HeaderName::from_static("outrigger-user");

/// The longest name.
const LONGEST: usize = 128;

/// What a request says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Attribution {
    agent: Option<Box<str>>,
    session: Option<Box<str>>,
    user: Option<Box<str>>,
}

impl Attribution {
    /// As its headers say.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        // Most heads have none, and one look at their names costs less than three searches.
        if !headers
            .keys()
            .any(|name| name.as_str().starts_with("outrigger-"))
        {
            return Ok(Self::default());
        }
        Ok(Self {
            agent: named(headers, &AGENT)?,
            session: named(headers, &SESSION)?,
            user: named(headers, &USER)?,
        })
    }

    pub(super) fn who(&self) -> Who<'_> {
        Who {
            agent: self.agent.as_deref(),
            session: self.session.as_deref(),
            user: self.user.as_deref(),
        }
    }
}

fn named(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Box<str>>, Refusal> {
    let Some(first) = headers.get(name) else {
        return Ok(None);
    };
    let text = first.to_str().ok().filter(|text| is_name(text));
    match text {
        Some(text) if headers.get_all(name).iter().nth(1).is_none() => Ok(Some(text.into())),
        Some(_) | None => {
            let text = format!(
                "`{name}` must stand once, and be 1 to {LONGEST} of `[A-Za-z0-9_.:@-]` that begin with a letter or digit"
            );
            Err(Refusal::new(Code::AttributionMalformed, text))
        }
    }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:@-".contains(&byte);
    let first = text.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.len() <= LONGEST
        && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn agent(values: &[&str]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AGENT, HeaderValue::from_str(value).unwrap());
        }
        let found = Attribution::of(&headers).map_err(|_| ())?;
        Ok(found.who().agent.map(str::to_owned))
    }

    #[test]
    fn a_name_is_taken_as_it_stands_or_refused() {
        assert_eq!(agent(&[]), Ok(None));
        assert_eq!(agent(&["scout-7@eu"]), Ok(Some("scout-7@eu".to_owned())));
        let long = "x".repeat(LONGEST + 1);
        for wrong in ["", "_other", "a b", "a,b", "é", long.as_str()] {
            assert_eq!(agent(&[wrong]), Err(()), "{wrong:?}");
        }
        assert_eq!(agent(&["a", "a"]), Err(()));
    }
}
