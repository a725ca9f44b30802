//! Who may knock at the sidecar's own doors, whatever they ask: no page that rebinds DNS, no page of another origin.
//! The content type plays no part, and no origin is excepted: nobody's page has business here. Must never be the only
//! check of a door that changes something.

use http::uri::Authority;
use http::{HeaderName, Request, header};

use crate::snapshot::Snapshot;

/// Whether the request may be looked at.
///
/// # Errors
/// What to tell whoever sent it.
pub(super) fn check<B>(request: &Request<B>, snapshot: &Snapshot) -> Result<(), &'static str> {
    if request.headers().contains_key(header::ORIGIN) || is_of_a_page(request) {
        return Err("browser pages may not call here");
    }
    if !answers(request, snapshot) {
        return Err("this host is not answered here; hint: add it to `listen.hosts`");
    }
    Ok(())
}

/// A page's plain GET has no `Origin`; browsers say all the same that a page asks (Fetch Metadata). `none` is a person who
/// typed the address.
fn is_of_a_page<B>(request: &Request<B>) -> bool {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    request
        .headers()
        .get_all(SITE)
        .iter()
        .any(|site| site.as_bytes() != b"none")
}

/// Whether every `Host` is one that no web page can make a browser take for its own (DNS rebinding).
fn answers<B>(request: &Request<B>, snapshot: &Snapshot) -> bool {
    let headers = request.headers().get_all(header::HOST).iter();
    let headers = headers.map(|host| host.to_str().unwrap_or_default());
    let named = request.uri().authority().map(Authority::as_str);
    headers.chain(named).all(|host| {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority.host().trim_matches(['[', ']']);
        snapshot.answers_host(name.trim_end_matches('.'))
    })
}
