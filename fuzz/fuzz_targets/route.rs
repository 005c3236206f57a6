#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| souk_gateway::route::fuzz_target(bytes));
