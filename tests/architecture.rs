//! The house is what `src/ARCHITECTURE.md` says it is: floors, crates, sizes, names, bans.
//! Reads source text only; compiles nothing and knows nothing of what the code does.

#[path = "architecture/floors.rs"]
mod floors;
#[path = "architecture/proof.rs"]
mod proof;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::fs;
use std::io;
use std::path::Path;

use rules::{Tree, findings};
use source::Source;

#[test]
fn the_house_is_as_drawn() -> io::Result<()> {
    let found = findings(&read(Path::new(env!("CARGO_MANIFEST_DIR")))?);
    assert!(
        found.is_empty(),
        "{} findings:\n{}",
        found.len(),
        found.join("\n")
    );
    Ok(())
}

fn read(root: &Path) -> io::Result<Tree> {
    let mut sources = Vec::new();
    let mut other_files = Vec::new();
    let mut other_functions = Vec::new();
    let mut paths = Vec::new();
    walk(root, root, &mut paths)?;
    for path in paths {
        if path.starts_with("src/") && is_rust(&path) {
            sources.push(Source::new(&path, &fs::read_to_string(root.join(&path))?));
            continue;
        }
        if is_rust(&path) {
            let code = source::code_only(&fs::read_to_string(root.join(&path))?);
            other_functions.extend(
                source::functions(&code)
                    .into_iter()
                    .map(|function| function.name),
            );
        }
        other_files.push(path);
    }
    Ok(Tree {
        manifest: fs::read_to_string(root.join("Cargo.toml"))?,
        document: fs::read_to_string(root.join("src/ARCHITECTURE.md"))?,
        sources,
        other_files,
        other_functions,
    })
}

fn is_rust(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// Every file below `folder`, as a path from `root`, sorted; build output and other people's code are left out.
fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let skipped = ["target", ".git", "node_modules", ".venv"]
            .iter()
            .any(|skip| name == *skip);
        if entry.file_type()?.is_dir() && !skipped {
            walk(root, &path, found)?;
        } else if let Ok(inside) = path.strip_prefix(root)
            && entry.file_type()?.is_file()
        {
            found.push(inside.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
