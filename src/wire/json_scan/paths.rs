//! The governed paths, compiled once into a trie that the scanner walks as containers open.
//! Must never match by anything but position and key.

/// A governed path: its index in the list it was compiled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u16);

/// A compiled list of governed paths.
#[derive(Debug)]
pub struct Paths {
    nodes: Vec<Node>,
    names: &'static [&'static str],
    longest_key: usize,
}

/// A place in a document: the root, a key's value, or an element of an array.
#[derive(Debug)]
pub(super) struct Node {
    /// The governed path that ends here.
    path: Option<PathId>,
    /// That path, or the first one that leads through here; for messages.
    witness: PathId,
    /// Its governed keys, sorted by length.
    keys: Vec<Key>,
    /// Whether only its presence counts: a string there is found, however long, but has no text.
    presence: bool,
    /// Its governed elements.
    element: NodeId,
    /// Where in `keys` the keys of each length begin; `starts[n]..starts[n + 1]` are those of `n` bytes.
    starts: [u8; MAX_KEY + 2],
}

/// A governed key of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Where its value is.
    pub(super) node: NodeId,
    /// The name's [`first_word`].
    first: u64,
}

/// An index into the trie; [`NodeId::CONTENT`] is everywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u16);

impl NodeId {
    pub(super) const ROOT: Self = Self(0);
    pub(super) const CONTENT: Self = Self(u16::MAX);
}

/// A key that matched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    /// The key as it is governed.
    pub(super) key: &'static Key,
    /// The key's ordinal among its node's keys, below 128.
    pub(super) bit: u8,
    /// Whether it is that key byte for byte, not only when letter case is ignored.
    pub(super) exact: bool,
}

/// The longest governed key, in bytes.
pub(super) const MAX_KEY: usize = 63;

/// The most governed keys in one object.
const MAX_KEYS: usize = 128;

impl Paths {
    /// Compiles a list of paths such as `$.model` and `$.tools[*].type`. [`PathId`] is the index in this list. A `?` at
    /// the end asks for presence only: a string there has no text, and may be of any length.
    ///
    /// # Panics
    /// On a path that does not start with `$`, has an empty, over-long (63 bytes) or non-ASCII key, or makes an
    /// object with more than 128 governed keys. The list is part of the program, so any test that touches it finds out.
    pub fn compile(list: &'static [&'static str]) -> Self {
        let mut paths = Self {
            nodes: vec![Node::new(PathId(0))],
            names: list,
            longest_key: 0,
        };
        for (index, path) in list.iter().enumerate() {
            assert!(index < usize::from(u16::MAX), "too many governed paths");
            #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
            paths.add(PathId(index as u16), path);
        }
        for node in &mut paths.nodes {
            node.sort();
        }
        paths
    }

    /// The path as it was written, without a `?`; empty if the id is not of this list.
    pub fn name(&self, path: PathId) -> &'static str {
        self.names
            .get(usize::from(path.0))
            .map(|name| name.strip_suffix('?').unwrap_or(name))
            .unwrap_or_default()
    }

    /// The id of a path as it was written.
    pub fn id(&self, name: &str) -> Option<PathId> {
        let index = self.names.iter().position(|&known| known == name)?;
        u16::try_from(index).ok().map(PathId)
    }

    fn add(&mut self, id: PathId, path: &'static str) {
        let (path, presence) = path
            .strip_suffix('?')
            .map_or((path, false), |path| (path, true));
        let mut rest = path.strip_prefix('$').unwrap_or_default();
        assert!(
            path.starts_with('$'),
            "a governed path starts with `$`: {path}"
        );
        let mut at = NodeId::ROOT;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[*]") {
                at = self.element_of(at, id);
                rest = after;
            } else {
                let (key, after) = first_key(rest);
                let fits = !key.is_empty() && key.len() <= MAX_KEY && key.is_ascii();
                assert!(fits, "a governed path cannot be read: {path}");
                at = self.key_of(at, key, id);
                rest = after;
            }
        }
        if let Some(node) = self.nodes.get_mut(usize::from(at.0)) {
            node.path = Some(id);
            node.presence = presence;
            node.witness = id;
        }
    }

    fn element_of(&mut self, at: NodeId, id: PathId) -> NodeId {
        let found = self.element(at);
        if found != NodeId::CONTENT {
            return found;
        }
        let new = self.grow(id);
        if let Some(node) = self.nodes.get_mut(usize::from(at.0)) {
            node.element = new;
        }
        new
    }

    fn key_of(&mut self, at: NodeId, name: &'static str, id: PathId) -> NodeId {
        let keys = self.node(at).map_or(&[][..], |node| &node.keys);
        if let Some(key) = keys.iter().find(|key| key.name == name) {
            return key.node;
        }
        assert!(
            keys.len() < MAX_KEYS,
            "too many governed keys in one object at `{name}`"
        );
        self.longest_key = self.longest_key.max(name.len());
        let new = self.grow(id);
        if let Some(node) = self.nodes.get_mut(usize::from(at.0)) {
            node.keys.push(Key {
                name,
                node: new,
                first: first_word(name.as_bytes()),
            });
        }
        new
    }

    fn grow(&mut self, witness: PathId) -> NodeId {
        let at = self.nodes.len();
        assert!(at < usize::from(u16::MAX), "too many governed paths");
        self.nodes.push(Node::new(witness));
        u16::try_from(at).map_or(NodeId::CONTENT, NodeId)
    }

    fn node(&self, at: NodeId) -> Option<&Node> {
        self.nodes.get(usize::from(at.0))
    }

    /// The governed path that ends at a place.
    pub(super) fn path(&self, at: NodeId) -> Option<PathId> {
        self.node(at).and_then(|node| node.path)
    }

    /// Whether only the presence of a value at a place counts.
    pub(super) fn presence(&self, at: NodeId) -> bool {
        self.node(at).is_some_and(|node| node.presence)
    }

    /// The governed path that ends at a place, or the first that leads through it.
    pub(super) fn witness(&self, at: NodeId) -> PathId {
        self.node(at).map_or(PathId(0), |node| node.witness)
    }

    /// The place of an array's elements.
    pub(super) fn element(&self, at: NodeId) -> NodeId {
        self.node(at).map_or(NodeId::CONTENT, |node| node.element)
    }

    /// A place, if any key of an object there is governed.
    pub(super) fn keyed(&self, at: NodeId) -> Option<&Node> {
        self.node(at).filter(|node| !node.keys.is_empty())
    }

    /// The length of the longest governed key.
    pub(super) fn longest_key(&self) -> usize {
        self.longest_key
    }
}

/// The key that is another only when letter case is ignored.
#[cold]
fn variant(keys: &'static [Key], from: u8, key: &[u8]) -> Option<Match> {
    let is_alike = |known: &Key| known.name.as_bytes().eq_ignore_ascii_case(key);
    let found = (from..)
        .zip(keys)
        .filter(|(_, known)| is_alike(known))
        .last()?;
    Some(Match {
        key: found.1,
        bit: found.0,
        exact: false,
    })
}

/// Which bits of a first word belong to a key of this length.
const KEPT: [u64; 9] = [
    0,
    u64::MAX >> 56,
    u64::MAX >> 48,
    u64::MAX >> 40,
    u64::MAX >> 32,
    u64::MAX >> 24,
    u64::MAX >> 16,
    u64::MAX >> 8,
    u64::MAX,
];

/// The first eight bytes of a key, or all of a shorter one, as a number.
pub(super) fn first_word(key: &[u8]) -> u64 {
    key.iter()
        .take(8)
        .rev()
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The bit of each byte in which letters of different case differ.
const CASE: u64 = 0x2020_2020_2020_2020;

/// The key that `rest` begins with, and what follows it: `.key`, or `['key']` for one with a `.` in it.
fn first_key(rest: &'static str) -> (&'static str, &'static str) {
    if let Some(quoted) = rest.strip_prefix("['") {
        return quoted.split_once("']").unwrap_or_default();
    }
    let keyed = rest.strip_prefix('.').unwrap_or_default();
    keyed.split_at(keyed.find(['.', '[']).unwrap_or(keyed.len()))
}

impl Node {
    /// Looks up an ASCII key; an exact match goes before one that ignores letter case. `first` is its
    /// [`first_word`], with anything behind the end of a shorter key.
    #[expect(
        clippy::inline_always,
        reason = "its caller is the loop that all time is spent in"
    )]
    #[inline(always)]
    pub(super) fn lookup(&'static self, key: &[u8], first: u64) -> Option<Match> {
        let from = *self.starts.get(key.len())?;
        let to = *self.starts.get(key.len() + 1)?;
        let keys = self.keys.get(usize::from(from)..usize::from(to))?;
        let first = first & KEPT[key.len().min(8)];
        let mut alike = false;
        for (bit, known) in (from..).zip(keys) {
            if known.first == first && (key.len() <= 8 || known.name.as_bytes() == key) {
                return Some(Match {
                    key: known,
                    bit,
                    exact: true,
                });
            }
            // Letters that differ only in case differ only in this bit.
            alike |= (known.first ^ first) & !CASE == 0;
        }
        if alike {
            variant(keys, from, key)
        } else {
            None
        }
    }

    fn new(witness: PathId) -> Self {
        Self {
            path: None,
            witness,
            keys: Vec::new(),
            presence: false,
            element: NodeId::CONTENT,
            starts: [0; MAX_KEY + 2],
        }
    }

    fn sort(&mut self) {
        self.keys.sort_by_key(|key| key.name.len());
        for (length, start) in self.starts.iter_mut().enumerate() {
            let shorter = self
                .keys
                .iter()
                .filter(|key| key.name.len() < length)
                .count();
            *start = u8::try_from(shorter).unwrap_or(u8::MAX);
        }
    }
}
