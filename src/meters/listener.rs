//! The meters of one address that agents call. As many as the configuration names; must never carry a tenant.

use metrics::{Counter, Gauge, Label};

use super::births::{Births, Family};

/// How many connections have come in by an address.
pub struct ListenerMeters {
    open: Gauge,
    refused: Counter,
}

impl ListenerMeters {
    pub(super) fn new(births: &Births, name: &str) -> Self {
        let labels = || vec![Label::new("listener", name.to_owned())];
        Self {
            open: births.gauge(&OPEN, labels()),
            refused: births.counter(&REFUSED, labels()),
        }
    }

    /// A caller connected; pair with [`ListenerMeters::connection_closed`].
    pub fn connection_opened(&self) {
        self.open.increment(1);
    }

    /// A caller's connection is closed.
    pub fn connection_closed(&self) {
        self.open.decrement(1);
    }

    /// A connection was closed at once, because the address has as many as it may have.
    pub fn connection_refused(&self) {
        self.refused.increment(1);
    }
}

/// The families that the recorder keeps.
pub(super) const FAMILIES: [&Family; 2] = [&OPEN, &REFUSED];

const OPEN: Family = Family::gauge(
    "outrigger_listener_connections",
    "Connections of callers, by the address they came in by.",
);
const REFUSED: Family = Family::counter(
    "outrigger_listener_connections_refused_total",
    "Connections of callers closed at once because the address had as many as it may have.",
);
