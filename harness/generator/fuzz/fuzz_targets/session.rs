//! Any bytes of a server, cut in any way. What must hold is in `check.rs`.

#![no_main]

#[path = "../../src/codec/mod.rs"]
#[allow(dead_code, reason = "the harness uses more of it")]
mod codec;

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::session(input));
