//! The providers' languages: which endpoint a path is, what a request asks, where its bytes may be spliced,
//! what an answer used. Facts in, facts and splices out; must never know a tenant or decide what is allowed.

pub mod anthropic;
pub mod asked;
pub mod model_list;
mod needle;
pub mod openai;
pub mod path;
pub mod splice;
pub mod tally;
pub mod usage_chunk;
