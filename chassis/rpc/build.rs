//! Generates the chassis' own contracts, and apart from them a small service for the tests.
use souk_rpc_build::Build;
use std::path::PathBuf;

fn main() {
    let own = Build::new()
        .include("proto")
        .file("proto/souk/feed/v1/feed.proto")
        .file("proto/souk/ops/v1/ops.proto");
    own.run().expect("the chassis' own protos are well-formed");

    let out_dir =
        PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it for build scripts")).join("test");
    std::fs::create_dir_all(&out_dir).expect("the output folder is ours to write");
    let echo =
        Build::new().include("proto").include("tests/proto").files_under("tests/proto").out_dir(out_dir);
    echo.run().expect("the test protos are well-formed");
    println!("cargo:rerun-if-changed=tests/proto");
}
