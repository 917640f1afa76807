//! Scratch.
fn main() {
    wsceiling::run::drive::worker::run(std::io::stdin(), std::io::stdout()).unwrap();
}
