//! Problems as text: for people with a snippet of the source, for machines in one line.
//! Must never show source text that did not pass `Sources::lines`.

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle,
};

use super::problem::{Problem, Severity};
use super::site::{Site, Sources};

/// Whether to use terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// ANSI colours.
    Colour,
}

/// All problems for people, an empty line between them.
pub fn human(problems: &[Problem], sources: &Sources, paint: Paint) -> String {
    let mut out = String::new();
    for problem in problems {
        out.push_str(&one(problem, sources, paint));
        out.push_str("\n\n");
    }
    out
}

/// All problems for machines: one line each, `file:line:column: error[OUT-0003]: message`.
pub fn lines(problems: &[Problem], sources: &Sources) -> String {
    problems
        .iter()
        .map(|problem| line(problem, sources) + "\n")
        .collect()
}

/// One problem in one line, its hint in brackets.
pub fn line(problem: &Problem, sources: &Sources) -> String {
    let place = problem
        .site
        .map(|site| format!("{}: ", sources.locate(site)));
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})"));
    let severity = problem.severity.as_str();
    clean(&format!(
        "{}{severity}[{}]: {}{}",
        place.unwrap_or_default(),
        problem.code,
        problem.message,
        hint.unwrap_or_default()
    ))
}

/// The text without control characters: a name in a file must not steer the terminal it is shown on.
fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if letter.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                letter
            }
        })
        .collect()
}

fn one(problem: &Problem, sources: &Sources, paint: Paint) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let code = problem.code.to_string();
    let mut group = Group::with_title(level.primary_title(clean(&problem.message)).id(code));
    let primary = problem.site.map(|site| Mark {
        site,
        label: None,
        kind: AnnotationKind::Primary,
    });
    let second = problem.secondary.as_ref().map(|(site, label)| Mark {
        site: *site,
        label: Some(label),
        kind: AnnotationKind::Context,
    });
    for window in windows(primary.into_iter().chain(second).collect(), sources) {
        group = match window.text.len() {
            0..=LONGEST => group.element(window.snippet()),
            _ => group.element(window.place(sources)),
        };
    }
    if let Some(hint) = &problem.hint {
        group = group.element(Level::HELP.with_name("hint").message(clean(hint)));
    }
    let renderer = match paint {
        Paint::Plain => Renderer::plain(),
        Paint::Colour => Renderer::styled(),
    };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

/// Lines together longer than this are not shown, only named: nobody reads them, and laying them out takes long.
const LONGEST: usize = 4096;

/// A site to point at.
struct Mark<'p> {
    site: Site,
    label: Option<&'p String>,
    kind: AnnotationKind,
}

/// The lines around one or two marks: whole files may be megabytes.
struct Window<'p> {
    path: String,
    text: String,
    start: usize,
    first_line: usize,
    marks: Vec<Mark<'p>>,
}

/// Marks close to each other share a window.
fn windows<'p>(marks: Vec<Mark<'p>>, sources: &Sources) -> Vec<Window<'p>> {
    let mut windows: Vec<Window<'p>> = Vec::new();
    for mark in marks {
        let near = windows.iter().position(|window| {
            let other = window.marks[0].site;
            other.file == mark.site.file && other.start.abs_diff(mark.site.start) < 2000
        });
        match near {
            Some(at) => windows[at].marks.push(mark),
            None => windows.push(Window {
                path: String::new(),
                text: String::new(),
                start: 0,
                first_line: 1,
                marks: vec![mark],
            }),
        }
    }
    for window in &mut windows {
        window.fill(sources);
    }
    windows
}

impl<'p> Window<'p> {
    fn fill(&mut self, sources: &Sources) {
        let from = self
            .marks
            .iter()
            .map(|mark| mark.site.start)
            .min()
            .unwrap_or(0);
        let to = self
            .marks
            .iter()
            .map(|mark| mark.site.end)
            .max()
            .unwrap_or(0);
        let Some(file) = self.marks.first().map(|mark| mark.site.file) else {
            return;
        };
        let lines = sources.lines(file, from, to);
        self.path = sources
            .path(file)
            .map_or_else(String::new, |path| path.display().to_string());
        self.start = lines.start;
        self.first_line = lines.number as usize;
        self.text = lines.text;
    }

    fn place(self, sources: &Sources) -> Origin<'p> {
        let place = self.marks.first().map(|mark| sources.locate(mark.site));
        let (line, column) = place.map_or((1, 1), |place| (place.line, place.column));
        Origin::path(self.path)
            .line(line as usize)
            .char_column(column as usize)
    }

    fn snippet(self) -> Snippet<'p, annotate_snippets::Annotation<'p>> {
        let annotations: Vec<_> = self
            .marks
            .iter()
            .map(|mark| {
                let at = |byte: u32| {
                    (byte as usize)
                        .saturating_sub(self.start)
                        .min(self.text.len())
                };
                let span =
                    border(&self.text, at(mark.site.start))..border(&self.text, at(mark.site.end));
                mark.kind.span(span).label(mark.label.map(String::as_str))
            })
            .collect();
        Snippet::source(self.text)
            .path(self.path)
            .line_start(self.first_line)
            .annotations(annotations)
    }
}

/// The nearest character border at or before a byte.
fn border(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
