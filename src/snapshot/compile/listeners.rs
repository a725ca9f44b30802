//! What the addresses that agents call say of themselves, but for who calls there. Must never let a bound pass in silence
//! that bounds nothing.

use super::Bench;
use crate::config::raw::Raw;
use crate::config::values::{ProxyAddress, ProxyHanded, ProxyPort, ProxySocket};
use crate::config::{OutCode, Problem};

impl Bench<'_> {
    /// Whether an address has a bound of connections that all addresses together meet first.
    pub(super) fn check_places(&mut self, raw: &Raw) {
        let total = raw.listen.connections();
        for address in raw.listen.proxy.iter().flat_map(|list| &list.value) {
            let (ProxyAddress::Tcp(ProxyPort { connections, .. })
            | ProxyAddress::Unix(ProxySocket { connections, .. })
            | ProxyAddress::Handed(ProxyHanded { connections, .. })) = &address.value;
            let Some(own) = connections.filter(|own| *own > total) else {
                continue;
            };
            let message = format!(
                "all addresses together have {total} connections, so a bound of {own} has no effect"
            );
            let hint = "give it fewer, or raise `listen.connections`";
            self.problem(Problem::warning(OutCode::Ineffective, address.site, message).hint(hint));
        }
    }
}
