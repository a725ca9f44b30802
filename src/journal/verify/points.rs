//! The lines of checkpoints: each signed, each following the one before, each about a frame that is there. Must never take a
//! line's word for its place.

use std::collections::BTreeMap;

use super::Check;
use super::fault::{Invalid, Why};
use crate::journal::format::{Chain, CheckpointLine, Frame, Mark, hash};
use crate::journal::keys::is_signed;

/// The lines of this journal.
#[derive(Default)]
pub(in crate::journal) struct Points {
    /// Those not yet met in the records.
    ahead: BTreeMap<Mark, CheckpointLine>,
    /// All of them, by number: the hash of each line.
    digests: BTreeMap<u64, Chain>,
    latest: Option<(u64, Chain)>,
}

impl Points {
    /// A segment that is gone has no places any more.
    pub(super) fn forget(&mut self, segment: u64) {
        self.ahead.retain(|mark, _| mark.segment != segment);
    }
}

impl Check<'_> {
    /// Reads the lines that were written beside a segment.
    pub(super) fn read_points(&mut self, segment: u64) {
        let Some(bytes) = self.lines(segment) else {
            return;
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut offset = 0;
        // A line without its end was torn by a crash while it was written.
        for text in text
            .split_inclusive('\n')
            .filter(|text| text.ends_with('\n'))
        {
            let line = text.trim_end_matches('\n');
            if let Some(line) = self.point(segment, line) {
                self.points.ahead.insert(line.mark, line);
            } else {
                self.find(Invalid::of(Why::PointSignature).at(segment, offset));
            }
            offset += u64::try_from(text.len()).unwrap_or_default();
        }
    }

    fn point(&mut self, segment: u64, text: &str) -> Option<CheckpointLine> {
        let (line, signed, signature) = CheckpointLine::parse(text)?;
        let digest = CheckpointLine::digest(text);
        let latest = self.points.latest.replace((line.number, digest));
        let follows = latest
            .is_none_or(|(number, digest)| line.number == number + 1 && line.previous == digest);
        let good = follows
            && line.journal == self.journal
            && line.mark.segment == segment
            && is_signed(&self.public, signed.as_bytes(), &signature);
        if good {
            self.points.digests.insert(line.number, digest);
        }
        good.then_some(line)
    }

    /// A checkpoint's frame: if a line is about this place, it is about this frame.
    pub(super) fn reach_point(&mut self, mark: Mark, frame: &Frame<'_>) {
        let Some(line) = self.points.ahead.remove(&mark) else {
            return;
        };
        if hash(frame.bytes) == line.frame {
            self.verdict.checkpoints += 1;
        } else {
            self.find(Invalid::of(Why::Checkpoint).at(mark.segment, mark.offset));
        }
    }

    /// What was signed about a segment, and is not in it.
    pub(super) fn missing_points(&mut self, segment: u64) {
        let (ahead, later) = std::mem::take(&mut self.points.ahead)
            .into_iter()
            .partition(|(mark, _)| mark.segment == segment);
        self.points.ahead = later;
        let ahead: BTreeMap<Mark, CheckpointLine> = ahead;
        for (mark, _) in ahead {
            self.find(Invalid::of(Why::Truncated).at(mark.segment, mark.offset));
        }
    }

    /// What was kept elsewhere is here, too.
    pub(super) fn elsewhere(&mut self, lines: &str) {
        let first = self.points.digests.keys().next().copied();
        let last = self.points.digests.keys().last().copied().unwrap_or(0);
        for text in lines.lines().filter(|text| !text.is_empty()) {
            let Some((line, signed, signature)) = CheckpointLine::parse(text) else {
                self.find(Invalid::of(Why::PointSignature));
                continue;
            };
            let place = |why| Invalid::of(why).at(line.mark.segment, line.mark.offset);
            if line.journal != self.journal {
                self.find(place(Why::OtherKey));
            } else if !is_signed(&self.public, signed.as_bytes(), &signature) {
                self.find(place(Why::PointSignature));
            } else if line.number > last {
                self.find(place(Why::RolledBack));
            } else if first.is_some_and(|first| line.number < first) {
                self.verdict.too_old += 1;
            } else if self.points.digests.get(&line.number) != Some(&CheckpointLine::digest(text)) {
                self.find(place(Why::Forked));
            }
        }
    }
}
