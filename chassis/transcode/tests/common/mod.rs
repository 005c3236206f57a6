//! The test contract, compiled as a build script would.
#![allow(dead_code, reason = "each test file uses its part")]
use protox::prost_reflect::DescriptorPool;
use souk_transcode::{Fault, Limits, MessageId, Schema, json_to_proto, proto_to_json};
use std::path::Path;

/// The bytes of the descriptor set of `everything.proto`.
pub fn descriptors() -> Vec<u8> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler =
        protox::Compiler::new([here.join("tests"), here.join("../rpc/proto")]).expect("the folders exist");
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file("everything.proto").expect("the test contract is well formed");
    compiler.encode_file_descriptor_set()
}

pub fn pool() -> DescriptorPool {
    DescriptorPool::decode(descriptors().as_slice()).expect("just encoded")
}

pub struct Bench {
    pub schema: Schema,
}

impl Bench {
    pub fn new() -> Self {
        Self { schema: Schema::from_bytes(&descriptors()).expect("the set compiles") }
    }

    pub fn id(&self, name: &str) -> MessageId {
        self.schema.message(&format!("every.v1.{name}")).expect("defined in everything.proto")
    }

    pub fn read(&self, message: &str, json: &str) -> Result<Vec<u8>, Fault> {
        let mut proto = Vec::new();
        json_to_proto(&self.schema, self.id(message), json.as_bytes(), &mut proto, &Limits::default())
            .map(|()| proto)
    }

    pub fn write(&self, message: &str, proto: &[u8]) -> String {
        let mut json = Vec::new();
        proto_to_json(&self.schema, self.id(message), proto, &mut json).expect("has a JSON form");
        String::from_utf8(json).expect("JSON is UTF-8")
    }

    /// Reads and writes again.
    pub fn echo(&self, message: &str, json: &str) -> Result<String, Fault> {
        self.read(message, json).map(|proto| self.write(message, &proto))
    }
}
