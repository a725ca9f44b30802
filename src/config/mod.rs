//! Floor 1, the configuration: text in, [`Raw`] and [`Problem`]s out. The only reader of operator input.
//! Must never decide what a setting means across sections (that is the snapshot's), and never ignore a key.
//!
//! Read [`raw`] for what there is, [`keys`] for what each key means, [`load()`] for how files become settings.

pub mod defaults;
mod fill;
pub mod keys;
mod load;
mod mask;
pub mod money;
mod node;
mod parse;
pub mod prices;
pub mod problem;
pub mod raw;
mod read;
mod reference;
pub mod render;
mod schema;
mod section;
mod setting;
mod settings;
pub mod site;
mod stray;
mod suggest;
mod syntax;
pub mod values;

pub use load::{Environment, Fingerprint, Loaded, ReadError, System, load, load_text};
pub use problem::{OutCode, Problem, Severity};
pub use raw::Raw;
pub use reference::{explain, explain_code, nearest_key, reference};
pub use schema::schema;
pub use site::{Origin, Place, Site, Sited, Sources};

/// A duration as the configuration writes it: `10m`.
///
/// # Errors
/// How to write one.
pub fn duration(text: &str) -> Result<std::time::Duration, &'static str> {
    parse::duration(text).map_err(|flaw| flaw.hint)
}

/// The hash of a virtual key, as a configuration writes it.
pub fn key_hash(text: &str) -> Option<values::KeyHash> {
    parse::key_hash(text).ok()
}

/// Loads hostile text, renders every problem both ways and prints the settings: for the fuzzer and the replay of its corpus.
#[doc(hidden)]
pub fn fuzz_config(data: &[u8]) {
    struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, name: &str) -> Option<String> {
            name.starts_with('A').then(|| name.to_lowercase())
        }

        fn read(&self, path: &std::path::Path, _: u64) -> Result<Vec<u8>, ReadError> {
            Ok(path.as_os_str().as_encoded_bytes().to_vec())
        }

        fn list(&self, _: &std::path::Path) -> Result<Vec<std::path::PathBuf>, ReadError> {
            Ok(Vec::new())
        }
    }

    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let loaded = load_text("outrigger.toml", text, &Nothing);
    let shown = [
        render::human(&loaded.problems, &loaded.sources, render::Paint::Plain),
        render::lines(&loaded.problems, &loaded.sources),
        format!("{:?}", loaded.raw),
    ];
    std::hint::black_box(shown);
}

#[cfg(test)]
mod tests;
