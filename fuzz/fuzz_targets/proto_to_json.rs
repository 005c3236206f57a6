#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (schema, all) = souk_fuzz::contract();
    souk_transcode::fuzzing::proto_to_json_target(schema, *all, bytes);
});
