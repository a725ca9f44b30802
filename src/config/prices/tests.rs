//! The book that comes with the program is a file without a fault.

use super::{BUILT_IN, built_in};
use crate::config::{System, load_text, render};

#[test]
fn the_book_has_no_problems_and_says_where_it_is_from() {
    let loaded = load_text("prices.toml", BUILT_IN, &System);
    assert_eq!(render::lines(&loaded.problems, &loaded.sources), "");
    let book = built_in();
    assert!(book.models.len() >= 80, "{}", book.models.len());
    for provider in &book.providers {
        let name = &provider.name.value;
        assert!(provider.source.is_some(), "{name}");
        assert!(provider.as_of.is_some(), "{name}");
    }
    for model in &book.models {
        let provider = &model.provider.value;
        let known = book
            .providers
            .iter()
            .any(|known| known.name.value == *provider);
        assert!(known, "{provider} of {}", model.model.value);
    }
}

#[test]
fn no_model_stands_in_the_book_twice() {
    let mut names: Vec<_> = built_in()
        .models
        .iter()
        .map(|model| (model.provider.value.as_str(), model.model.value.as_str()))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
