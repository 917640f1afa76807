//! Tells the program which compiler built it and how: both change what the generator can do per core.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let compiler = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(compiler).arg("-V").output().ok().filter(|output| output.status.success());
    if let Some(version) = version.and_then(|output| String::from_utf8(output.stdout).ok()) {
        println!("cargo:rustc-env=WSCEILING_RUSTC={}", version.trim());
    }
    for (name, ours) in [("TARGET", "WSCEILING_TARGET"), ("OPT_LEVEL", "WSCEILING_OPT_LEVEL")] {
        if let Ok(value) = env::var(name) {
            println!("cargo:rustc-env={ours}={value}");
        }
    }
}
