//! What a token says.
use crate::{Kind, Principal, principal::SERVICE_PREFIX};
use serde::{Deserialize, Serialize};
use souk_kernel::Timestamp;

/// Who issues all tokens.
pub const ISSUER: &str = "souk";

/// The audience of tokens that every service accepts: those of people.
pub const AUDIENCE_ALL: &str = "souk";

/// The claims of a token (RFC 7519, RFC 9068), times in whole seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it: [`ISSUER`].
    pub iss: String,
    /// Who it stands for: `gst_…`, `stf_…`, `svc:order`.
    pub sub: String,
    /// For whom it is: [`AUDIENCE_ALL`] or the name of one service.
    pub aud: String,
    /// From when on it is worthless.
    pub exp: i64,
    /// From when on it counts.
    pub nbf: i64,
    /// When it was issued.
    pub iat: i64,
    /// Its own id, for logs and denylists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// What sort of caller it is.
    pub kind: Kind,
    /// What a member of staff may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// On whose behalf a service acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<String>,
}

impl Claims {
    /// Claims that count from `now` on for `ttl_s` seconds.
    pub fn new(subject: impl Into<String>, kind: Kind, audience: &str, now: Timestamp, ttl_s: i64) -> Self {
        let now_s = now.unix_s();
        Self {
            iss: ISSUER.to_owned(),
            sub: subject.into(),
            aud: audience.to_owned(),
            exp: now_s.saturating_add(ttl_s),
            nbf: now_s,
            iat: now_s,
            jti: String::new(),
            kind,
            roles: Vec::new(),
            act: None,
        }
    }

    /// The same with its own id.
    #[must_use]
    pub fn with_id(mut self, jti: impl Into<String>) -> Self {
        self.jti = jti.into();
        self
    }

    /// The same with roles.
    #[must_use]
    pub fn with_roles(mut self, roles: Vec<String>) -> Self {
        self.roles = roles;
        self
    }

    /// The same on somebody's behalf.
    #[must_use]
    pub fn on_behalf_of(mut self, owner: Option<&str>) -> Self {
        self.act = owner.map(str::to_owned);
        self
    }

    /// Whether subject, kind and actor fit together: only services are `svc:…`, and only they act for others.
    pub(crate) fn is_coherent(&self) -> bool {
        match self.kind {
            Kind::Service => self.sub.len() > SERVICE_PREFIX.len() && self.sub.starts_with(SERVICE_PREFIX),
            Kind::Guest | Kind::Customer | Kind::Staff => {
                !self.sub.is_empty() && !self.sub.starts_with(SERVICE_PREFIX) && self.act.is_none()
            }
        }
    }

    pub(crate) fn into_principal(self) -> Principal {
        Principal {
            subject: self.sub,
            kind: self.kind,
            roles: self.roles,
            actor_for: self.act,
            expires: Timestamp::from_unix_us(self.exp.saturating_mul(1_000_000)),
        }
    }
}
