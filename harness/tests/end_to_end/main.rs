//! The whole way, as a user goes it: the program against real servers, and against servers that lie, hang and die.

mod loads;
mod outcomes;
mod scenarios;
mod stopping;
mod support;
