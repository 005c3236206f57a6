//! The contract that the fuzz targets transcode: the one of the tests, with every kind of field.
use souk_transcode::{MessageId, Schema};
use std::path::Path;
use std::sync::OnceLock;

/// The compiled contract and its widest message.
pub fn contract() -> &'static (Schema, MessageId) {
    static CONTRACT: OnceLock<(Schema, MessageId)> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let chassis = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chassis");
        let folders = [chassis.join("transcode/tests"), chassis.join("rpc/proto")];
        let mut compiler = protox::Compiler::new(folders).expect("the folders exist");
        compiler.include_imports(true);
        compiler.open_file("everything.proto").expect("the test contract is well formed");
        let schema = Schema::from_bytes(&compiler.encode_file_descriptor_set()).expect("the set compiles");
        let all = schema.message("every.v1.All").expect("defined in everything.proto");
        (schema, all)
    })
}
