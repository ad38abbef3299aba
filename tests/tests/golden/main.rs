//! What is written down is what happens: histories of an engine, sessions of the examples, captured frames.

mod captures;
mod examples;
mod histories;
