//! Who may operate the sidecar, and as what: callers of the admin socket by the kernel's word, callers over TCP by a
//! token. Must never keep a token itself, and never tell by its timing how much of one was right.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{KeyDigest, digest};
use crate::config::values::{CallerId, Role};
use crate::units::TenantId;

/// Who may call, beside root and the sidecar's own user.
#[derive(Clone, Debug, Default)]
pub struct AdminRights {
    pub(super) callers: Vec<(CallerId, Role)>,
    pub(super) tokens: Vec<Token>,
}

/// A token by its digest.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) name: Box<str>,
    pub(super) digest: KeyDigest,
    pub(super) role: Role,
    pub(super) tenant: Option<TenantId>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, {})", self.name, self.role.as_str())
    }
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right<'r> {
    /// The token's name.
    pub name: &'r str,
    /// The role.
    pub role: Role,
    /// The tenant whose it sees only what is; `None` sees everything.
    pub tenant: Option<&'r TenantId>,
}

impl AdminRights {
    /// The role of whoever has that user and that group, if it has one.
    pub fn of_caller(&self, uid: u32, gid: u32) -> Option<Role> {
        let is_it = |caller: &CallerId| match caller {
            CallerId::User(user) => *user == uid,
            CallerId::Group(group) => *group == gid,
        };
        let roles = self.callers.iter().filter(|(caller, _)| is_it(caller));
        roles.map(|(_, role)| *role).max()
    }

    /// Whose token that is. Digests are compared, each with all of it, and all of them every time.
    pub fn of_token(&self, presented: &[u8]) -> Option<Right<'_>> {
        let presented = digest(presented);
        let mut found = None;
        for token in &self.tokens {
            if verify_slices_are_equal(&token.digest, &presented).is_ok() {
                found = Some(Right {
                    name: &token.name,
                    role: token.role,
                    tenant: token.tenant.as_ref(),
                });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{AdminRights, Right, Token, digest};
    use crate::config::values::{CallerId, Role};

    #[test]
    fn the_larger_role_holds_and_a_stranger_has_none() {
        let rights = AdminRights {
            callers: vec![
                (CallerId::Group(7), Role::Operate),
                (CallerId::User(1000), Role::Read),
            ],
            tokens: Vec::new(),
        };
        assert_eq!(rights.of_caller(1000, 1000), Some(Role::Read));
        assert_eq!(rights.of_caller(1000, 7), Some(Role::Operate));
        assert_eq!(rights.of_caller(7, 1000), None, "a uid is no gid");
    }

    #[test]
    fn a_token_is_known_by_all_of_it() {
        let token = |name: &str, text: &[u8], role| Token {
            name: name.into(),
            digest: digest(text),
            role,
            tenant: None,
        };
        let rights = AdminRights {
            callers: Vec::new(),
            tokens: vec![
                token("ops", b"a-long-secret", Role::Operate),
                token("scrape", b"another-secret", Role::Read),
            ],
        };
        let right = |name, role| {
            let tenant = None;
            Some(Right { name, role, tenant })
        };
        assert_eq!(
            rights.of_token(b"a-long-secret"),
            right("ops", Role::Operate)
        );
        assert_eq!(
            rights.of_token(b"another-secret"),
            right("scrape", Role::Read)
        );
        for wrong in [&b""[..], b"a-long-secre", b"a-long-secret ", b"ops"] {
            assert_eq!(rights.of_token(wrong), None);
        }
    }
}
