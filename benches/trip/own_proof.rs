//! The harness proves itself before it measures: right answers pass in any pieces, wrong ones do not.
//!
//! A bench has no test runner, so this runs at every start and takes a millisecond. It must never be skipped:
//! without it a proxy that changes bytes could look fast.

mod prices;

use std::io;

use crate::histogram::Histogram;
use crate::scan::{self, Answer, Compared};
use crate::traffic::{self, Ask, Expected};
use crate::upstream;

/// An error names what the harness would have got wrong.
pub(crate) fn prove() -> io::Result<()> {
    for (ask, wire) in [
        (Ask::Plain, upstream::plain_answer()),
        (Ask::Stream, upstream::stream_answer().concat()),
    ] {
        answers(ask, &wire)?;
        requests(ask)?;
    }
    percentiles()?;
    prices::prove()
}

fn answers(ask: Ask, wire: &[u8]) -> io::Result<()> {
    bodies(traffic::expected(ask))?;
    for piece in [1, 7, wire.len()] {
        demand(accepts(ask, wire, piece), "a right answer is taken")?;
    }
    let body = scan::head_end(wire).unwrap_or(0);
    for at in [
        body + 12,
        usize::midpoint(body, wire.len()),
        wire.len() - 12,
    ] {
        demand(
            !accepts(ask, &changed(wire, at), 7),
            "a changed answer is noticed",
        )?;
    }
    let short = wire.get(..wire.len() - 1).unwrap_or_default();
    demand(!accepts(ask, short, 7), "a cut answer is noticed")?;
    let long = [wire, b"x"].concat();
    demand(
        !accepts(ask, &long, long.len()),
        "a longer answer is noticed",
    )?;
    let refused = [b"HTTP/1.1 429 ", wire.get(13..).unwrap_or_default()].concat();
    demand(!accepts(ask, &refused, 7), "a refusal is noticed")
}

/// Bodies alone, as HTTP/2 brings them.
fn bodies(expected: &'static Expected) -> io::Result<()> {
    let takes = |bytes: &[u8]| {
        let mut compared = Compared::new(expected);
        bytes.chunks(7).all(|piece| compared.take(piece).is_ok())
            && compared.must_be_whole().is_ok()
    };
    let right = &expected.bytes;
    demand(takes(right), "a right body is taken")?;
    demand(!takes(&changed(right, 12)), "a changed body is noticed")?;
    let short = right.get(..right.len() - 1).unwrap_or_default();
    demand(!takes(short), "a cut body is noticed")?;
    demand(
        !takes(&[right, &b"x"[..]].concat()),
        "a longer body is noticed",
    )
}

fn accepts(ask: Ask, wire: &[u8], piece: usize) -> bool {
    let mut answer = Answer::new(traffic::expected(ask));
    wire.chunks(piece).all(|piece| answer.feed(piece).is_ok()) && answer.is_done()
}

fn requests(ask: Ask) -> io::Result<()> {
    for slot in [0, traffic::SLOTS - 1] {
        let body = traffic::request_body(ask, slot);
        demand(
            body.len() == traffic::REQUEST_BYTES,
            "a request has its size",
        )?;
        demand(
            serde_json::from_slice::<serde_json::Value>(&body).is_ok(),
            "a request is JSON",
        )?;
        demand(
            traffic::recognise(&body) == Some((ask, slot)),
            "a right request is recognised",
        )?;
        for at in [3, 200, traffic::REQUEST_BYTES - 1] {
            demand(
                traffic::recognise(&changed(&body, at)).is_none(),
                "a changed request is noticed",
            )?;
        }
    }
    Ok(())
}

fn percentiles() -> io::Result<()> {
    let mut histogram = Histogram::new();
    (1..=1000).for_each(|micros| histogram.add(micros * 1000));
    for (permille, true_nanos) in [(500, 500_000), (990, 990_000), (1000, 1_000_000)] {
        let off = histogram.percentile(permille).abs_diff(true_nanos);
        demand(off * 100 <= true_nanos, "a percentile is right within 1 %")?;
    }
    Ok(())
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes
}

fn demand(held: bool, what: &str) -> io::Result<()> {
    if held {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the harness is broken: not true that {what}"
    )))
}
