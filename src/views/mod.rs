//! Floor 6, the views: what people ask of the journals of one or many instances. Each reads files, also while a sidecar
//! writes them, and answers in lines. Must never write, lock or change anything, nor let a name that a caller chose reach a
//! terminal or a spreadsheet as anything but text.

mod audit;
mod cell;
mod costs;
mod entry;
mod error;
mod focus;
mod instances;
mod margin;
mod moment;
mod ocsf;
mod proof;

pub use audit::{json, line};
pub use costs::{Bill, By, Costs};
pub use entry::{Entry, Facts};
pub use error::ViewError;
pub use instances::{Instances, Query};
pub use margin::{Margin, Revenues, Verdict};
pub use moment::moment;
pub use ocsf::event;
pub use proof::{Proof, Validity, prove, prove_until};
