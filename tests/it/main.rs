//! The one integration binary: everything that is tested through real sockets, real processes and whole files.

#[cfg(test)]
mod cli;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
