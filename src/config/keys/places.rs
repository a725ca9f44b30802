//! The key table by section: a large configuration asks for every key of every tenant, and no text should be put
//! together for that. Must never know a name that is not in the table.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Key, all};

/// A section, with `*` for chosen names.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Its path; empty at the top.
    pub(crate) path: &'static str,
    /// The names that may stand in it, each once, in the order of the table.
    pub(crate) names: Vec<&'static str>,
    /// The paths of these names.
    paths: Vec<&'static str>,
    /// Their keys, where they are settings and not sections.
    keys: Vec<Option<&'static Key>>,
}

impl Place {
    /// The top of a file.
    pub(crate) fn top() -> &'static Self {
        at("")
    }

    /// The setting of that name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.get(self.position(name)?).copied().flatten()
    }

    /// The section of that name, which is `*` for one that the operator has chosen.
    pub(crate) fn below(&self, name: &str) -> &'static Self {
        let path = self.position(name).and_then(|at| self.paths.get(at));
        path.map_or(&NOWHERE, |path| at(path))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }
}

static NOWHERE: Place = Place {
    path: "",
    names: Vec::new(),
    paths: Vec::new(),
    keys: Vec::new(),
};

fn at(path: &str) -> &'static Place {
    PLACES.get(path).unwrap_or(&NOWHERE)
}

static PLACES: LazyLock<HashMap<&'static str, Place>> = LazyLock::new(|| {
    let mut places: HashMap<&str, Place> = HashMap::new();
    for key in all() {
        let dots = key.path.match_indices('.').map(|(dot, _)| dot);
        let mut from = 0_usize;
        for end in dots.chain([key.path.len()]) {
            let section = &key.path[..from.saturating_sub(1)];
            let place = places.entry(section).or_default();
            place.path = section;
            let name = &key.path[from..end];
            let known = place.position(name).unwrap_or_else(|| {
                place.names.push(name);
                place.paths.push(&key.path[..end]);
                place.keys.push(None);
                place.names.len() - 1
            });
            if end == key.path.len() {
                place.keys[known] = Some(key);
            }
            from = end + 1;
        }
    }
    places
});

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[test]
    fn every_key_is_found_by_its_names_and_no_other() {
        for key in all() {
            let (section, name) = key.split();
            let sections = section.split('.').filter(|name| !name.is_empty());
            let place = sections.fold(Place::top(), |place, name| place.below(name));
            assert_eq!(place.path, section);
            let found = place.key(name).map(|key| key.path);
            assert_eq!(found, Some(key.path));
            assert_eq!(find(key.path).map(|key| key.path), Some(key.path));
        }
        assert!(Place::top().key("listen").is_none(), "a section is no key");
        assert!(Place::top().below("no").names.is_empty());
        assert!(Place::top().below("listen").key("no").is_none());
    }
}
