//! The inputs that the fuzz target keeps hold on any toolchain: see `ci/fuzz`.

#[path = "../fuzz/check.rs"]
mod check;

use wsceiling_generator::codec;

#[test]
fn every_kept_input_passes_the_checks_of_the_fuzz_target() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/session");
    let mut inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 50, "only {} inputs", inputs.len());
    for path in inputs {
        let input = std::fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| check::session(&input));
        assert!(outcome.is_ok(), "{}", path.display());
    }
}
