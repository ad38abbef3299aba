//! `l2gw run` as a process, on a datapath in memory, with its command line as its clients.

#[path = "daemon/life.rs"]
mod life;
#[path = "daemon/process.rs"]
mod process;
#[path = "daemon/socket.rs"]
mod socket;
#[path = "daemon/verbs.rs"]
mod verbs;
