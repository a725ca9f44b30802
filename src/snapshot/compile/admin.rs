//! `[admin]` and `listen.admin` to who may operate the sidecar.

use super::{Bench, Overlay};
use crate::config::raw::AdminToken;
use crate::config::values::{AdminAddress, OrOff, Role};
use crate::config::{OutCode, Problem, Raw, Site};
use crate::snapshot::admin::Token;
use crate::snapshot::{AdminRights, digest};

/// Shorter tokens could be guessed.
const SHORTEST_TOKEN: usize = 24;

impl Bench<'_> {
    pub(super) fn admin(&mut self, raw: &Raw, overlay: &Overlay) -> AdminRights {
        let admin = &raw.admin;
        let mut rights = AdminRights::default();
        for (list, role) in [(&admin.read, Role::Read), (&admin.operate, Role::Operate)] {
            let callers = list.iter().flat_map(|list| &list.value);
            rights
                .callers
                .extend(callers.map(|caller| (caller.value, role)));
        }
        for token in &admin.tokens {
            self.check_token(&rights, token.token.site, token.token.value.expose());
            self.check_scope(raw, token);
            rights.tokens.push(Token {
                name: token.name.value.as_str().into(),
                digest: digest(token.token.value.expose().as_bytes()),
                role: token.role.value,
                tenant: token.tenant.as_ref().map(|tenant| tenant.value.clone()),
            });
        }
        // A session of `run` has no admin listener at all.
        if overlay.session.is_none() {
            self.check_admin_listeners(raw);
        }
        rights
    }

    /// Whoever sees one tenant only can change nothing, its own limits least of all.
    fn check_scope(&mut self, raw: &Raw, token: &AdminToken) {
        let Some(tenant) = &token.tenant else { return };
        if token.role.value != Role::Read {
            let message = "a token for one tenant can only look".to_owned();
            let hint = "set `role = \"read\"`";
            self.error(OutCode::Conflict, token.role.site, message, hint);
        }
        let mut written = raw.tenants.iter();
        if !raw.tenants.is_empty() && written.all(|one| one.id.value != tenant.value) {
            let message = format!("there is no tenant `{}`", tenant.value);
            let hint = "see `[tenants.*]`";
            self.error(OutCode::UnknownReference, tenant.site, message, hint);
        }
    }

    fn check_token(&mut self, so_far: &AdminRights, site: Site, token: &str) {
        if token.len() < SHORTEST_TOKEN {
            let message = format!("an admin token has at least {SHORTEST_TOKEN} characters");
            let hint = "`outrigger keys new` makes one";
            self.error(OutCode::InvalidValue, site, message, hint);
        } else if so_far.of_token(token.as_bytes()).is_some() {
            let message = "two admin tokens are the same".to_owned();
            self.error(
                OutCode::Conflict,
                site,
                message,
                "each name has a token of its own",
            );
        }
    }

    /// A port is open to every process of the machine; and who cannot get in need not be listed.
    fn check_admin_listeners(&mut self, raw: &Raw) {
        let listeners = raw.listen.admin();
        let is_tcp = |at: &AdminAddress| matches!(at, AdminAddress::Tcp(_));
        let named = raw.listen.admin.as_ref().map(|admin| &admin.value);
        if let Some(OrOff::On(list)) = named
            && raw.admin.tokens.is_empty()
            && let Some(tcp) = list.iter().find(|at| is_tcp(&at.value))
        {
            let message = "an admin listener on TCP needs a token".to_owned();
            let hint = "set `role` and `token` under `[admin.tokens.NAME]`, or listen on a unix socket only";
            self.error(OutCode::ListenerExposed, tcp.site, message, hint);
        }
        if let Some(token) = raw.admin.tokens.first()
            && !listeners.iter().any(is_tcp)
        {
            let message = "nothing asks for an admin token";
            let problem = Problem::warning(OutCode::Ineffective, token.name.site, message);
            self.problem(problem.hint("add a loopback address to `listen.admin`"));
        }
        let callers = [&raw.admin.read, &raw.admin.operate];
        if let Some(callers) = callers.into_iter().flatten().next()
            && listeners.iter().all(is_tcp)
        {
            let message = "no admin socket asks who calls";
            let problem = Problem::warning(OutCode::Ineffective, callers.site, message);
            self.problem(problem.hint("add a unix socket to `listen.admin`"));
        }
    }
}
