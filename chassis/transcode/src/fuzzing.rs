//! What the fuzz targets do with their bytes. It stands here and not in the targets so that an ordinary test
//! can replay the corpus.
use crate::to_json::thoroughly;
use crate::{Limits, MessageId, Schema, check_json, json_to_proto, proto_to_json};

/// Any bytes as JSON for any message: no panic, and what is accepted can be written and read again.
pub fn json_to_proto_target(schema: &Schema, message: MessageId, bytes: &[u8]) {
    let limits = Limits::default();
    let mut proto = Vec::new();
    if json_to_proto(schema, message, bytes, &mut proto, &limits).is_err() {
        assert!(proto.is_empty(), "a fault left bytes behind");
        return;
    }
    check_json(bytes, limits.depth).expect("what was accepted is JSON");
    let (mut json, mut again) = (Vec::new(), Vec::new());
    if proto_to_json(schema, message, &proto, &mut json).is_err() {
        return; // a mask or a number inside a Value that has no JSON form
    }
    json_to_proto(schema, message, &json, &mut again, &limits).expect("our own output is accepted");
}

/// Any bytes as a protobuf message: no panic, the output is JSON, and the short way and the thorough one agree.
pub fn proto_to_json_target(schema: &Schema, message: MessageId, bytes: &[u8]) {
    let (mut json, mut thorough) = (Vec::new(), Vec::new());
    let outcome = proto_to_json(schema, message, bytes, &mut json);
    assert_eq!(outcome, thoroughly(schema, message, bytes, &mut thorough));
    assert_eq!(json, thorough);
    match outcome {
        Ok(()) => check_json(&json, usize::MAX).expect("the output is JSON"),
        Err(_) => assert!(json.is_empty(), "a fault left bytes behind"),
    }
}

/// Any bytes as a descriptor set: no panic, and what compiles can be used.
pub fn descriptor_target(bytes: &[u8]) {
    let Ok(schema) = Schema::from_bytes(bytes) else { return };
    for message in schema.messages() {
        let Some(id) = schema.message(&message.name) else { continue };
        json_to_proto_target(&schema, id, b"{}");
        proto_to_json_target(&schema, id, b"");
        proto_to_json_target(&schema, id, bytes);
    }
}
