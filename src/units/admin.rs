//! The words of the admin door: what an operator can ask for, and what became of it. They name log fields, metric labels and
//! the verbs of `outrigger ctl`. Must never hold what was asked about: that is free text.

macro_rules! words {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $item:literal])* $variant:ident $word:literal,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $item])* $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in labels and logs.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)* } }
        }
    )*};
}

words! {
    /// What an operator can ask for.
    AdminVerb {
        /// Whether all is well.
        Health "health",
        /// Which configuration runs, and which was rejected.
        Config "config",
        /// Who there is, and what each has left.
        Tenants "tenants",
        /// What was spent of the budgets, and what is left.
        Budgets "budgets",
        /// What it cost.
        Costs "costs",
        /// What was done.
        Audit "audit",
        /// Whether anybody changed the record of it.
        Verify "verify",
        /// How much is logged.
        LogLevel "loglevel",
        /// Read the configuration again.
        Reload "reload",
        /// Stop taking work, and end when there is none.
        Drain "drain",
        /// Log more or less, for a while or until told otherwise.
        SetLogLevel "set-loglevel",
        /// Refuse a tenant.
        Suspend "suspend",
        /// Take a tenant back.
        Resume "resume",
        /// Add to a budget, for its window of now.
        TopUp "topup",
        /// Let nothing more be spent of a budget.
        Freeze "freeze",
        /// Let it be spent again.
        Unfreeze "unfreeze",
        /// Change afterwards what a call cost.
        Correct "correct",
        /// What was lost of the journal is known: go on.
        Acknowledge "acknowledge",
        /// Forget the key of what a tenant's records say.
        Erase "erase",
        /// None of these.
        Unknown "unknown",
    }
    /// What became of it.
    AdminOutcome {
        /// It was done.
        Done "done",
        /// It was tried and did not work.
        Failed "failed",
        /// Whoever called may not ask for it, or did not say who they are.
        Denied "denied",
        /// No such verb, or nothing it could be done to.
        Unknown "unknown",
        /// Too many callers at once.
        Busy "busy",
    }
}
