//! The one integration binary: everything that is tested through real sockets, real processes and whole files.

mod corpus;
