//! wsceiling.
fn main() {}
