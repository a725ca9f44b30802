//! The names of fields that are to be taken out of a head: mostly a handful, so they need no allocation. Must never
//! forget one.

use http::header::{HeaderMap, HeaderName};

/// Some names.
#[derive(Default)]
pub(super) struct Names {
    first: [Option<HeaderName>; FEW],
    count: usize,
    more: Vec<HeaderName>,
}

/// `connection`, a credential, a length, and one or two more.
const FEW: usize = 5;

impl Names {
    pub(super) fn push(&mut self, name: HeaderName) {
        match self.first.get_mut(self.count) {
            Some(place) => *place = Some(name),
            None => self.more.push(name),
        }
        self.count += 1;
    }

    pub(super) fn extend(&mut self, names: Vec<HeaderName>) {
        for name in names {
            self.push(name);
        }
    }

    fn all(&self) -> impl Iterator<Item = &HeaderName> {
        self.first
            .iter()
            .map_while(Option::as_ref)
            .chain(&self.more)
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, name: &HeaderName) -> bool {
        self.all().any(|known| known == name)
    }

    /// Takes the fields out.
    pub(super) fn leave(&self, headers: &mut HeaderMap) {
        for name in self.all() {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_forgotten() {
        let mut headers = HeaderMap::new();
        let mut names = Names::default();
        let all: Vec<HeaderName> = (0..12)
            .filter_map(|at| HeaderName::try_from(format!("x-{at}")).ok())
            .collect();
        for (at, name) in all.iter().enumerate() {
            headers.insert(name, at.into());
            if at % 4 != 3 {
                names.push(name.clone());
            }
        }
        names.leave(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-11", "x-3", "x-7"]);
        assert!(names.has(&all[10]) && !names.has(&all[11]));
    }
}
