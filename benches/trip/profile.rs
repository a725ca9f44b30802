//! callgrind's profiles, instruction by instruction, and the difference of two of them.
//!
//! It must never lose a cost: what the lines of a profile add up to is compared with what the profile says of itself.

use std::collections::HashMap;
use std::io;

/// A function, by number; the same in all profiles that were added.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Function(usize);

/// Instructions, signed: a difference may be negative somewhere.
pub(crate) type Cost = i64;

/// Profiles added and taken away.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// Object and name of each function.
    names: Vec<(String, String)>,
    numbers: HashMap<(String, String), Function>,
    /// What was spent at an address of a function itself.
    pub(crate) own: HashMap<(Function, u64), Cost>,
    /// What was spent in a function (and below) when it was called from there.
    pub(crate) calls: HashMap<(Function, u64, Function), Cost>,
    /// What the profiles say of themselves.
    pub(crate) total: Cost,
}

impl Profile {
    /// The file that a function was loaded from.
    pub(crate) fn object(&self, function: Function) -> &str {
        self.names
            .get(function.0)
            .map_or("", |(object, _)| object.as_str())
    }

    /// All functions.
    pub(crate) fn functions(&self) -> impl Iterator<Item = Function> + use<> {
        (0..self.names.len()).map(Function)
    }

    /// Adds a profile `times` (1, or -1 to take it away). An error when it is not what callgrind writes with
    /// `--dump-instr=yes`, or when its lines do not add up to its own sum.
    pub(crate) fn add(&mut self, text: &str, times: Cost) -> io::Result<()> {
        let mut reading = Reading::default();
        for (index, line) in text.lines().enumerate() {
            self.line(&mut reading, line, times)
                .ok_or_else(|| broken(&format!("line {} is not understood: {line}", index + 1)))?;
        }
        if !reading.is_by_instruction || reading.said == 0 {
            return Err(broken("it is not by instruction, or says no sum"));
        }
        if reading.seen != reading.said {
            let what = format!(
                "its lines add up to {} and not to {}",
                reading.seen, reading.said
            );
            return Err(broken(&what));
        }
        self.total += reading.said * times;
        Ok(())
    }

    fn line(&mut self, reading: &mut Reading, line: &str, times: Cost) -> Option<()> {
        if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            return self.cost(reading, line, times);
        }
        let Some((key, value)) = line.split_once('=') else {
            return reading.header(line);
        };
        match key {
            "ob" => reading.object = named(&mut reading.objects, value)?,
            "cob" => reading.called_object = Some(named(&mut reading.objects, value)?),
            "fn" => {
                let name = named(&mut reading.functions, value)?;
                reading.within = Some(self.number(&reading.object, &name));
            }
            "cfn" => {
                let name = named(&mut reading.functions, value)?;
                let object = reading.called_object.take();
                let object = object.as_ref().unwrap_or(&reading.object);
                reading.called = Some(self.number(object, &name));
            }
            "calls" => reading.is_call = true,
            // Files by line come from the debug information of the program itself, inlined functions and all.
            "fl" | "fi" | "fe" | "cfi" | "cfl" => {}
            _ => return reading.header(line),
        }
        Some(())
    }

    fn cost(&mut self, reading: &mut Reading, line: &str, times: Cost) -> Option<()> {
        let mut fields = line.split_ascii_whitespace();
        let address = place(fields.next()?, reading.address)?;
        let _line = fields.next()?;
        let cost: Cost = fields.next().map_or(Some(0), |cost| cost.parse().ok())?;
        reading.address = address;
        let within = reading.within?;
        if std::mem::take(&mut reading.is_call) {
            *self
                .calls
                .entry((within, address, reading.called?))
                .or_default() += cost * times;
        } else {
            reading.seen += cost;
            *self.own.entry((within, address)).or_default() += cost * times;
        }
        Some(())
    }

    fn number(&mut self, object: &str, name: &str) -> Function {
        let key = (object.to_owned(), name.to_owned());
        *self.numbers.entry(key).or_insert_with_key(|key| {
            self.names.push(key.clone());
            Function(self.names.len() - 1)
        })
    }
}

/// What is known in the middle of a profile.
#[derive(Default)]
struct Reading {
    objects: HashMap<String, String>,
    functions: HashMap<String, String>,
    object: String,
    within: Option<Function>,
    called_object: Option<String>,
    called: Option<Function>,
    /// Whether the next cost is that of a call.
    is_call: bool,
    address: u64,
    seen: Cost,
    said: Cost,
    is_by_instruction: bool,
}

impl Reading {
    /// Anything else that callgrind writes is a header, of which three matter.
    fn header(&mut self, line: &str) -> Option<()> {
        match line.split_once(": ") {
            Some(("positions", positions)) => self.is_by_instruction = positions == "instr line",
            Some(("events", events)) if events != "Ir" => return None,
            Some(("totals", sum)) => self.said = sum.trim().parse().ok()?,
            _ => {}
        }
        Some(())
    }
}

/// `(7) a name` the first time and `(7)` from then on.
fn named(known: &mut HashMap<String, String>, value: &str) -> Option<String> {
    let (number, name) = value.split_once(')')?;
    let name = name.trim_start();
    if name.is_empty() {
        return known.get(number).cloned();
    }
    known.insert(number.to_owned(), name.to_owned());
    Some(name.to_owned())
}

/// An address, or how far it is from the one before.
fn place(field: &str, before: u64) -> Option<u64> {
    if let Some(digits) = field.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    match field.split_at_checked(1)? {
        ("*", "") => Some(before),
        ("+", by) => before.checked_add(by.parse().ok()?),
        ("-", by) => before.checked_sub(by.parse().ok()?),
        _ => None,
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("callgrind's profile: {what}"))
}
