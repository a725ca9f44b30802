//! Floor 1, the wire: bytes in, facts and splices out. Every parser here takes its input in any pieces
//! and finds the same facts. Must never do IO, read a clock, know a tenant or decide a policy.

mod block;
pub mod chunked;
pub mod dialect;
pub mod error_body;
pub mod form;
pub mod frames;
pub mod head;
pub mod json_scan;
pub mod sse;
