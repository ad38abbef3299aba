//! `l2gw run` and `l2gw-agent` as processes, on a datapath in memory, with its command line as its clients.

#[path = "daemon/agent_program.rs"]
mod agent_program;
#[path = "daemon/door.rs"]
mod door;
#[path = "daemon/file.rs"]
mod file;
#[path = "daemon/frames.rs"]
mod frames;
#[path = "daemon/life.rs"]
mod life;
#[path = "daemon/lists.rs"]
mod lists;
#[path = "daemon/process.rs"]
mod process;
#[path = "daemon/record.rs"]
mod record;
#[path = "daemon/revisions.rs"]
mod revisions;
#[path = "daemon/socket.rs"]
mod socket;
#[path = "daemon/stop.rs"]
mod stop;
#[path = "daemon/text.rs"]
mod text;
#[path = "daemon/unread.rs"]
mod unread;
#[path = "daemon/verbs.rs"]
mod verbs;
#[path = "daemon/words.rs"]
mod words;
