//! Answers calls: makes a guest and signs its token.
use crate::domain;
use souk_contracts::user::v1::{self as pb, UserService};
use souk_host::Resources;
use souk_kernel::Timestamp;
use souk_rpc::{BoxFuture, Cx, Result};

/// The service's answers.
pub struct User {
    pub own: Resources,
}

impl UserService for User {
    fn start_guest_session(
        &self,
        _cx: Cx,
        _request: pb::StartGuestSessionRequest,
    ) -> BoxFuture<'_, Result<pb::StartGuestSessionResponse>> {
        let claims = domain::guest(self.own.ids.new_id(), self.own.ids.uuid(), self.own.clock.now());
        let response = pb::StartGuestSessionResponse {
            token: self.own.signer.sign(&claims),
            expires_at: Some(souk_rpc::time::to_proto(Timestamp::from_unix_s(claims.exp))),
            subject: claims.sub,
        };
        Box::pin(std::future::ready(Ok(response)))
    }
}
