//! Returns as they are called.
use super::Orders;
use souk_contracts::order::v1 as pb;
use souk_kernel::{Code, Error};
use souk_rpc::Cx;

impl Orders {
    pub(super) async fn request_return(
        &self,
        _: Cx,
        _: pb::RequestReturnRequest,
    ) -> Result<pb::Return, Error> {
        Err(not_yet())
    }

    pub(super) async fn get_return(&self, _: Cx, _: pb::GetReturnRequest) -> Result<pb::Return, Error> {
        Err(not_yet())
    }

    pub(super) async fn cancel_return(&self, _: Cx, _: pb::CancelReturnRequest) -> Result<pb::Return, Error> {
        Err(not_yet())
    }

    pub(super) async fn approve_return(
        &self,
        _: Cx,
        _: pb::ApproveReturnRequest,
    ) -> Result<pb::Return, Error> {
        Err(not_yet())
    }

    pub(super) async fn reject_return(&self, _: Cx, _: pb::RejectReturnRequest) -> Result<pb::Return, Error> {
        Err(not_yet())
    }

    pub(super) async fn receive_return(
        &self,
        _: Cx,
        _: pb::ReceiveReturnRequest,
    ) -> Result<pb::Return, Error> {
        Err(not_yet())
    }

    pub(super) async fn inspect_return(
        &self,
        _: Cx,
        _: pb::InspectReturnRequest,
    ) -> Result<pb::Return, Error> {
        Err(not_yet())
    }

    pub(super) async fn record_return(&self, _: Cx, _: pb::RecordReturnRequest) -> Result<pb::Return, Error> {
        Err(not_yet())
    }

    pub(super) async fn list_returns(
        &self,
        _: Cx,
        _: pb::ListReturnsRequest,
    ) -> Result<Vec<pb::Return>, Error> {
        Err(not_yet())
    }
}

fn not_yet() -> Error {
    Error::new(Code::Unimplemented, "UNIMPLEMENTED", "returns are not taken yet")
}
