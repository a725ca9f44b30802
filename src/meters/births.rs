//! Births: the one place where a counter or gauge gets its name and labels. Must never be reached on a hot path more
//! than once per handle, nor install the recorder globally: what is not born here reaches no page.

use std::sync::OnceLock;

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

/// The recorder that every handle is registered on.
///
/// It forgets nothing: no idle timeout is set, because a counter that vanishes and returns at zero is a lie. Counters and
/// gauges are single cells that it reads when it renders, so it needs no upkeep; only its histograms would (see `histogram`).
pub(super) struct Births {
    recorder: PrometheusRecorder,
}

impl Births {
    /// Describes the families once, here: descriptions given twice before a page is rendered would pile up.
    pub(super) fn new(families: &[&[&Family]]) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        for family in families.iter().copied().flatten() {
            let name = KeyName::from_const_str(family.name);
            let help = SharedString::const_str(family.help);
            match family.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram => recorder.describe_histogram(name, None, help),
            }
        }
        Self { recorder }
    }

    /// A counter at zero, or the one that was born with the same labels.
    pub(super) fn counter(&self, family: &Family, labels: Vec<Label>) -> Counter {
        self.recorder.register_counter(&key(family, labels), &FROM)
    }

    /// A gauge at zero, or the one that was born with the same labels.
    pub(super) fn gauge(&self, family: &Family, labels: Vec<Label>) -> Gauge {
        self.recorder.register_gauge(&key(family, labels), &FROM)
    }

    /// Every family that has a series, in no order, each in one piece.
    pub(super) fn text(&self) -> String {
        self.recorder.handle().render()
    }
}

/// What all series of one name share.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Without backslash and line break.
    pub(super) help: &'static str,
}

/// What `# TYPE` says.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Family {
    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        let kind = Kind::Counter;
        Self { name, kind, help }
    }

    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        let kind = Kind::Gauge;
        Self { name, kind, help }
    }

    pub(super) const fn histogram(name: &'static str, help: &'static str) -> Self {
        let kind = Kind::Histogram;
        Self { name, kind, help }
    }
}

/// Counters that differ in one label, each born when it first counts; the row itself takes memory only then.
pub(super) struct Row<const N: usize>(OnceLock<Box<[OnceLock<Counter>; N]>>);

impl<const N: usize> Row<N> {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The counter at this place, which must be below `N`. After its birth: two loads.
    pub(super) fn at(&self, place: usize, birth: impl FnOnce() -> Counter) -> &Counter {
        let cells = self
            .0
            .get_or_init(|| Box::new([const { OnceLock::new() }; N]));
        cells[place].get_or_init(birth)
    }
}

/// A whole number as a gauge takes it.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats by the format; exact up to 2^53, and beyond it nobody counts bytes one by one"
)]
pub(super) const fn float(value: u64) -> f64 {
    value as f64
}

fn key(family: &Family, labels: Vec<Label>) -> Key {
    Key::from_parts(KeyName::from_const_str(family.name), labels)
}

/// The recorder asks who registers, and ignores the answer.
static FROM: Metadata<'static> = Metadata::new("outrigger", Level::INFO, None);
