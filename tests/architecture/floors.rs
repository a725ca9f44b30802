//! The house as the document draws it: the floors table of `src/ARCHITECTURE.md` and the crates of `Cargo.toml`.
//! Must never hold a list of its own: what the document does not say is not allowed.

use std::collections::{BTreeMap, BTreeSet};

/// The floors table.
#[derive(Debug, Default)]
pub(crate) struct Floors {
    rooms: BTreeMap<String, Room>,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) floor: u32,
    /// External crates it may use.
    pub(crate) grants: BTreeSet<String>,
}

impl Floors {
    /// Reads the table whose head is `floor | room | what lives there | may use`.
    pub(crate) fn parse(document: &str) -> Self {
        let mut rooms = BTreeMap::new();
        let table = document
            .lines()
            .skip_while(|line| cells(line) != ["floor", "room", "what lives there", "may use"])
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        for line in table {
            let cells = cells(line);
            let [floor, names, _, grants] = cells.as_slice() else {
                continue;
            };
            let Ok(floor) = floor.parse() else { continue };
            for name in quoted(names) {
                let name = match name {
                    "lib.rs" | "main.rs" => name,
                    _ => name.trim_end_matches(".rs").trim_end_matches('/'),
                };
                let grants = quoted(grants).map(str::to_owned).collect();
                rooms.insert(name.to_owned(), Room { floor, grants });
            }
        }
        Self { rooms }
    }

    pub(crate) fn room(&self, name: &str) -> Option<&Room> {
        self.rooms.get(name)
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = (&str, &Room)> {
        self.rooms.iter().map(|(name, room)| (name.as_str(), room))
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim()
        .trim_matches('|')
        .split('|')
        .map(str::trim)
        .collect()
}

/// Every text between backquotes.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The crates a manifest depends on, by the names code calls them, without those for tests or the build.
pub(crate) fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
            // `[dependencies.name]` is a crate of its own.
            if let Some(name) = line.strip_prefix("[dependencies.") {
                found.insert(name.trim_end_matches(']').replace('-', "_"));
            }
        } else if (section == "[dependencies]" || section.ends_with(".dependencies]"))
            && let Some((name, _)) = line.split_once('=')
            && !line.starts_with('#')
        {
            found.insert(name.trim().trim_end_matches(".workspace").replace('-', "_"));
        }
    }
    found
}
