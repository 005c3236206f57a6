#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (schema, all) = souk_fuzz::contract();
    souk_transcode::fuzzing::json_to_proto_target(schema, *all, bytes);
});
