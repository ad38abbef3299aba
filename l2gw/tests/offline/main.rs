//! The command line without a daemon: what `check`, `plan` and `trace` say of files and frames.

mod check;
mod one_door;
mod trace;
