//! Which known name was probably meant.
//! Must never suggest something that is not close: a wrong hint costs more than none.

/// Names longer than this are not compared: nobody typed them by accident.
const LONGEST: usize = 64;

/// The nearest of the names, if one is near enough: a third of the letters may differ, one always may;
/// or it is one of the words of a longer name (`api_key` for `key`).
pub(super) fn nearest<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let part = |name: &&str| word.split(['_', '-']).any(|part| part == *name);
    misspelt(word, names.clone()).or_else(|| names.into_iter().find(part))
}

/// The nearest of the names, if the word looks like a slip of the pen.
pub(super) fn misspelt<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (distance(word, name), name))
        .filter(|&(distance, name)| distance <= allowed && distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// How many letters to insert, remove, replace or swap with their neighbour (the restricted
/// Damerau-Levenshtein distance); letter case and `-` for `_` are free.
fn distance(left: &str, right: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.chars()
            .map(|letter| {
                if letter == '-' {
                    '_'
                } else {
                    letter.to_ascii_lowercase()
                }
            })
            .collect()
    };
    let (left, right) = (fold(left), fold(right));
    if left.len() > LONGEST || right.len() > LONGEST {
        return usize::MAX;
    }
    let mut older = vec![0; right.len() + 1];
    let mut old: Vec<usize> = (0..=right.len()).collect();
    for (row, &letter) in left.iter().enumerate() {
        let mut new = vec![row + 1; right.len() + 1];
        for (column, &other) in right.iter().enumerate() {
            let replaced = old[column] + usize::from(letter != other);
            let mut best = replaced.min(old[column + 1] + 1).min(new[column] + 1);
            let swapped =
                row > 0 && column > 0 && letter == right[column - 1] && left[row - 1] == other;
            if swapped {
                best = best.min(older[column - 1] + 1);
            }
            new[column + 1] = best;
        }
        older = std::mem::replace(&mut old, new);
    }
    old[right.len()]
}
