//! The built program from outside, as a client meets it. One binary, so that everything it shares is used.

mod common;
mod limits;
mod protocol;
