//! The one integration binary: everything that is tested through real sockets, real processes and whole files.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod archive;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod h2;
#[cfg(test)]
mod h2out;
#[cfg(test)]
mod hangup;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod inbound;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod ordered;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod panic;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod racing;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod run;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod summed;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod tampered;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod terms;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod views;
