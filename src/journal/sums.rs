//! What records come to: each tenant's head, what is settled by window, what is open. The same sums make seals, are what a
//! start recovers, and what a check compares. Must never read a payload.

use std::collections::BTreeMap;

use super::format::seal::Net;
use super::format::{Chain, Flags, Frame, Held, Kind, Seal, TenantNumber, TenantSum, WindowId};
use crate::units::{Map, Wall};

/// All tenants' sums.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) tenants: Map<TenantNumber, Account>,
    /// The latest time a record says.
    pub(super) newest: Wall,
}

/// One tenant's.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) chain: Chain,
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) whole: Net,
    pub(super) windows: BTreeMap<WindowId, Net>,
    pub(super) open: BTreeMap<u64, Held>,
}

impl Sums {
    /// One more record.
    pub(super) fn take(&mut self, frame: &Frame<'_>) {
        let head = &frame.head;
        self.newest = self.newest.max(head.wall);
        let account = self.tenants.entry(head.tenant).or_default();
        account.count(frame);
        match head.kind {
            Kind::Intent => {
                account.open.insert(head.seq, held(frame));
            }
            Kind::Extend => {
                account.open.insert(head.about, held(frame));
            }
            Kind::End => {
                account.open.remove(&head.about);
                account.settle(frame);
            }
            Kind::Adjust | Kind::Gap => account.settle(frame),
            Kind::Boot
            | Kind::Checkpoint
            | Kind::Erase
            | Kind::Policy
            | Kind::Admin
            | Kind::Retire
            | Kind::Refusal => {}
        }
    }

    /// A finished segment, instead of its records.
    pub(super) fn absorb(&mut self, seal: &Seal) {
        self.newest = self.newest.max(seal.newest);
        for (number, sum) in &seal.tenants {
            let account = self.tenants.entry(*number).or_default();
            if sum.last_seq > 0 {
                if account.first_seq == 0 {
                    account.first_seq = sum.first_seq;
                }
                account.last_seq = sum.last_seq;
                account.chain = sum.chain;
            }
            account.bytes = account.bytes.saturating_add(sum.bytes);
            account.records = account.records.saturating_add(sum.records);
            account.whole = account.whole.plus(sum.whole);
            for (window, net) in &sum.windows {
                let entry = account.windows.entry(*window).or_default();
                *entry = entry.plus(*net);
            }
            account.open = sum.open.iter().cloned().collect();
        }
    }

    /// What a seal says of the records taken since the last one. What is open stays for the next.
    pub(super) fn finish(&mut self) -> Vec<(TenantNumber, TenantSum)> {
        let mut sums: Vec<_> = self
            .tenants
            .drain()
            .map(|(number, account)| (number, account.into_sum()))
            .collect();
        sums.sort_unstable_by_key(|(number, _)| *number);
        for (number, sum) in &sums {
            if !sum.open.is_empty() {
                let account = self.tenants.entry(*number).or_default();
                account.open = sum.open.iter().cloned().collect();
            }
        }
        sums
    }

    /// What was open when the segment began that is summed next.
    pub(super) fn carry(&mut self, before: &Self) {
        for (number, account) in &before.tenants {
            if !account.open.is_empty() {
                self.tenants.entry(*number).or_default().open = account.open.clone();
            }
        }
    }

    /// Adds the sums of one segment to those of all before it; what is open now is the segment's word.
    pub(super) fn add(&mut self, segment: &[(TenantNumber, TenantSum)], newest: Wall) {
        self.absorb(&Seal {
            newest,
            tenants: segment.to_vec(),
            ..Seal::default()
        });
    }
}

impl Account {
    fn count(&mut self, frame: &Frame<'_>) {
        if self.first_seq == 0 {
            self.first_seq = frame.head.seq;
        }
        self.last_seq = frame.head.seq;
        self.chain = frame.chain;
        self.records = self.records.saturating_add(1);
        let bytes = u64::try_from(frame.bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn settle(&mut self, frame: &Frame<'_>) {
        let gives = frame.head.flags.has(Flags::GIVES_BACK);
        let net = |amount| {
            if gives {
                Net {
                    given: amount,
                    ..Net::default()
                }
            } else {
                Net {
                    taken: amount,
                    ..Net::default()
                }
            }
        };
        self.whole = self.whole.plus(net(frame.head.whole));
        for (window, amount) in frame.windows.iter() {
            let entry = self.windows.entry(window).or_default();
            *entry = entry.plus(net(amount));
        }
    }

    fn into_sum(self) -> TenantSum {
        TenantSum {
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            chain: self.chain,
            bytes: self.bytes,
            records: self.records,
            whole: self.whole,
            windows: self.windows.into_iter().collect(),
            open: self.open.into_iter().collect(),
        }
    }
}

fn held(frame: &Frame<'_>) -> Held {
    Held {
        whole: frame.head.whole,
        windows: frame.windows.iter().collect(),
        wall: frame.head.wall,
    }
}
