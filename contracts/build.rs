//! Generates messages, service traits, clients and policies from the contracts in `proto/`.
use souk_rpc_build::Build;
use std::path::Path;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the workspace");
    let build = Build::new()
        .include(root.join("proto"))
        .include(root.join("chassis/rpc/proto"))
        .files_under(root.join("proto"))
        .describe(root.join("chassis/rpc/proto/souk/ops/v1/ops.proto"))
        .external(".souk.feed.v1", "::souk_rpc::feed");
    build.run().unwrap_or_else(|error| panic!("the contracts do not build: {error}"));
}
