//! What an agent calls: drawn from a seed, so that a run can be had again. Must never draw from anything else.

use std::fmt::Write as _;

use outrigger::simulator::Fault;

/// The tenants; the last two are near their limits.
pub(super) const TENANTS: [&str; 4] = ["wide", "open", "rated", "narrow"];

/// The secret of a tenant.
pub(super) fn key(tenant: &str) -> String {
    format!("key-of-{tenant}")
}

/// Numbers from a seed (splitmix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: u64, lane: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (lane << 17))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("small");
        usize::try_from(self.next() % bound).expect("small")
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) tenant: usize,
    pub(super) kind: Kind,
    pub(super) stream: bool,
    /// Whether a chat stream asks for usage itself.
    pub(super) counted: bool,
    pub(super) fault: Option<(&'static str, Fault)>,
    pub(super) usage: &'static str,
    pub(super) chunks: usize,
    pub(super) bytes: usize,
    pace: &'static str,
    pub(super) manner: Manner,
    pub(super) nonce: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Chat,
    Responses,
    Messages,
    Embeddings,
    CountTokens,
    Models,
}

/// How the caller behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Reads,
    /// A little at a time.
    Slowly,
    /// Until so much has come.
    Until(usize),
    /// Not at all.
    Leaves,
}

impl Call {
    pub(super) fn drawn(dice: &mut Dice, nonce: &str) -> Self {
        let kind = dice.pick(&[
            Kind::Chat,
            Kind::Chat,
            Kind::Chat,
            Kind::Responses,
            Kind::Responses,
            Kind::Messages,
            Kind::Messages,
            Kind::Embeddings,
            Kind::CountTokens,
            Kind::Models,
        ]);
        let generates = matches!(kind, Kind::Chat | Kind::Responses | Kind::Messages);
        let fault = dice
            .one_in(2)
            .then(|| match dice.below(Fault::WORDS.len() + 5) {
                0 => ("429", Fault::Status(429)),
                1 => ("500", Fault::Status(500)),
                2 => ("529", Fault::Status(529)),
                3 => ("503", Fault::Status(503)),
                4 => ("early", Fault::Early),
                at => Fault::WORDS[at - 5],
            });
        // The silent ones take the sidecar's whole patience, so they are rarer.
        let fault = match fault {
            Some((_, Fault::Hang | Fault::Stall | Fault::Trickle)) if !dice.one_in(8) => None,
            fault => fault,
        };
        let manner = match dice.below(16) {
            0 => Manner::Leaves,
            1 | 2 => Manner::Until(1 + dice.below(3000)),
            3 => Manner::Slowly,
            _ => Manner::Reads,
        };
        let bytes = generates && dice.one_in(12);
        let (bytes, chunks, pace) = match fault {
            // It would take minutes.
            Some((_, Fault::Trickle)) => (0, dice.below(8), ""),
            _ if bytes => (5_000 + dice.below(120_000), 60, ""),
            _ => (
                0,
                dice.pick(&[0, 0, 1, 7, 60]),
                dice.pick(&["", "", "yield", "1ms"]),
            ),
        };
        Self {
            tenant: dice.below(TENANTS.len()),
            kind,
            stream: generates && dice.one_in(2),
            counted: dice.one_in(2),
            fault,
            usage: dice.pick(&["", "", "", "missing", "late", "twice"]),
            chunks,
            bytes,
            pace,
            manner,
            nonce: nonce.to_owned(),
        }
    }

    /// What the user says.
    pub(super) fn said(&self) -> String {
        format!("say {} now", self.nonce)
    }

    /// The request as HTTP/1.1 writes it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (path, body) = self.body();
        let mut head = match &body {
            Some(body) => format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n", body.len()),
            None => format!("GET {path} HTTP/1.1\r\n"),
        };
        head.push_str("host: localhost\r\n");
        for (name, value) in self.fields() {
            write!(head, "{name}: {value}\r\n").expect("text");
        }
        format!("{head}\r\n{}", body.unwrap_or_default()).into_bytes()
    }

    /// What its head says besides its frame.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let key = key(TENANTS[self.tenant]);
        let mut fields = vec![("authorization", format!("Bearer {key}"))];
        if self.kind != Kind::Models {
            fields.push(("content-type", "application/json".into()));
        }
        if matches!(self.kind, Kind::Messages | Kind::CountTokens) {
            fields.push(("anthropic-version", "2026-10-21".into()));
        }
        let number = |number: usize| match number {
            0 => String::new(),
            number => number.to_string(),
        };
        let orders = [
            (
                "x-sim-fault",
                self.fault.map_or("", |(word, _)| word).to_owned(),
            ),
            ("x-sim-usage", self.usage.to_owned()),
            ("x-sim-pace", self.pace.to_owned()),
            ("x-sim-chunks", number(self.chunks)),
            ("x-sim-bytes", number(self.bytes)),
        ];
        let orders = orders.into_iter().filter(|(_, value)| !value.is_empty());
        fields.extend(orders);
        fields
    }

    pub(super) fn body(&self) -> (&'static str, Option<String>) {
        let said = self.said();
        let stream = if self.stream { ",\"stream\":true" } else { "" };
        let messages = format!("\"messages\":[{{\"role\":\"user\",\"content\":\"{said}\"}}]");
        match self.kind {
            Kind::Chat => {
                let counted = if self.stream && self.counted {
                    ",\"stream_options\":{\"include_usage\":true}"
                } else {
                    ""
                };
                (
                    "/openai/v1/chat/completions",
                    Some(format!("{{\"model\":\"m\",{messages}{stream}{counted}}}")),
                )
            }
            Kind::Responses => (
                "/openai/v1/responses",
                Some(format!("{{\"model\":\"m\",\"input\":\"{said}\"{stream}}}")),
            ),
            Kind::Messages => (
                "/anthropic/v1/messages",
                Some(format!(
                    "{{\"model\":\"m\",\"max_tokens\":1000000,{messages}{stream}}}"
                )),
            ),
            Kind::Embeddings => (
                "/openai/v1/embeddings",
                Some(format!(
                    "{{\"model\":\"m\",\"input\":\"{said}\",\"dimensions\":8}}"
                )),
            ),
            Kind::CountTokens => (
                "/anthropic/v1/messages/count_tokens",
                Some(format!("{{\"model\":\"m\",{messages}}}")),
            ),
            Kind::Models => ("/openai/v1/models", None),
        }
    }

    /// What the simulator reports: four bytes of text are a token.
    pub(super) fn tokens(&self) -> (u64, u64) {
        let said = self.said().len();
        let heard = match self.kind {
            Kind::Chat | Kind::Messages => said + "user".len(),
            Kind::Responses | Kind::Embeddings => said,
            Kind::CountTokens | Kind::Models => return (0, 0),
        };
        let overhead = match (self.stream, self.kind) {
            (true, _) => 0,
            (false, Kind::Chat) => 611,
            (false, Kind::Responses) => 1044,
            (false, _) => 489,
        };
        let text = match self.bytes {
            0 => "This is a simulated answer to: ".len() + said,
            bytes => bytes - overhead,
        };
        let text = text.max(self.chunks * 4);
        let tokens = |bytes: usize| u64::try_from(bytes.div_ceil(4)).expect("small");
        (
            tokens(heard),
            if self.kind == Kind::Embeddings {
                0
            } else {
                tokens(text)
            },
        )
    }
}
