//! The journal's own chain and what vouches for all others: starts, checkpoints, what was deleted. Written by the writer
//! alone, with the pen in its hand. Must never sign what the disk may not have.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use super::book::Book;
use super::error::JournalError;
use super::format::checkpoint::ChainHead;
use super::format::{
    Chain, CheckpointLine, Flags, Head, InTheClear, Kind, Mark, TenantNumber, compose, frame_bytes,
    hash,
};
use super::line::Shared;
use super::pen::Pen;
use super::places::Places;
use crate::host;
use crate::units::{NanoUsd, Wall};

/// Where the journal's own chain and its checkpoints stand.
pub(super) struct Own {
    pub(super) seq: u64,
    pub(super) chain: Chain,
    pub(super) wall: Wall,
    /// The latest checkpoint's number, and the hash of its line.
    pub(super) point: u64,
    pub(super) point_digest: Chain,
    /// The file of the current segment's lines.
    points: Option<(u64, File)>,
    frame: Vec<u8>,
}

/// A checkpoint that is written, but not yet known to be on the disk.
pub(super) struct Pending {
    mark: Mark,
    frame: Chain,
    wall: Wall,
}

impl Own {
    pub(super) fn new(seq: u64, chain: Chain, wall: Wall, point: u64, point_digest: Chain) -> Self {
        Self {
            seq,
            chain,
            wall,
            point,
            point_digest,
            points: None,
            frame: Vec::new(),
        }
    }

    /// Writes a record of the journal's own.
    pub(super) fn write(
        &mut self,
        shared: &Shared,
        pen: &mut Pen,
        kind: Kind,
        payload: &[u8],
    ) -> std::io::Result<()> {
        self.wall = self.wall.max(shared.clock.wall());
        let head = Head {
            kind,
            flags: Flags::CLEAR,
            tenant: TenantNumber::JOURNAL,
            seq: self.seq + 1,
            about: 0,
            wall: self.wall,
            whole: NanoUsd::ZERO,
        };
        self.frame.clear();
        let chain = compose(
            &mut self.frame,
            &head,
            &[],
            payload,
            &InTheClear,
            self.chain,
        );
        pen.write_own(shared, &self.frame)?;
        self.seq += 1;
        self.chain = chain;
        Ok(())
    }

    /// Writes the heads of the books that moved. `None` if there is no room for that now.
    pub(super) fn write_heads(
        &mut self,
        shared: &Shared,
        pen: &mut Pen,
    ) -> std::io::Result<Option<Pending>> {
        let needed = frame_bytes(0, (pen.moved.len() + 64) * 48);
        if shared.left() < i64::try_from(needed).unwrap_or(i64::MAX) {
            return Ok(None);
        }
        let moved = std::mem::take(&mut pen.moved);
        let heads: Vec<ChainHead> = moved.iter().map(head_of).collect();
        let mut pieces = heads.chunks(ChainHead::MOST - 1).peekable();
        let mut payload = Vec::new();
        loop {
            payload.clear();
            let piece = pieces.next().unwrap_or_default();
            for head in piece {
                head.write(&mut payload);
            }
            // Itself last: the chain of its own records binds the pieces together.
            let own = ChainHead {
                tenant: TenantNumber::JOURNAL,
                seq: self.seq,
                chain: self.chain,
            };
            own.write(&mut payload);
            let mark = Mark {
                segment: pen.head.number,
                offset: pen.at,
            };
            self.write(shared, pen, Kind::Checkpoint, &payload)?;
            if pieces.peek().is_none() {
                return Ok(Some(Pending {
                    mark,
                    frame: hash(&self.frame),
                    wall: self.wall,
                }));
            }
        }
    }

    /// Signs a checkpoint that the disk has, and writes its line.
    pub(super) fn sign(
        &mut self,
        shared: &Shared,
        places: &Places,
        pending: &Pending,
    ) -> Result<(), JournalError> {
        let keyring = shared.keyring();
        let line = CheckpointLine {
            journal: keyring.journal,
            number: self.point + 1,
            wall: pending.wall,
            mark: pending.mark,
            frame: pending.frame,
            previous: self.point_digest,
        };
        let signature = keyring.sign(line.signed().as_bytes());
        drop(keyring);
        let text = line.with_signature(&signature);
        let segment = pending.mark.segment;
        if self.points.as_ref().is_none_or(|(of, _)| *of != segment) {
            let path = places.points(segment);
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&path)
                .map_err(|source| host::Error::new("open", path.to_string_lossy(), source))?;
            self.points = Some((segment, file));
        }
        if let Some((_, file)) = &mut self.points {
            file.write_all(format!("{text}\n").as_bytes())
                .map_err(|source| host::Error::new("write", "checkpoints", source))?;
        }
        self.point += 1;
        self.point_digest = CheckpointLine::digest(&text);
        Ok(())
    }
}

fn head_of(book: &Arc<Book>) -> ChainHead {
    let mut pages = book.pages();
    pages.moved = false;
    ChainHead {
        tenant: pages.number,
        seq: pages.written,
        chain: pages.written_chain,
    }
}
