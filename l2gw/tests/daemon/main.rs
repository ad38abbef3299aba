//! `l2gw run` and `l2gw-agent` as processes, on a datapath in memory, with its command line as its clients.

mod accepted;
mod agent_program;
mod cassandra;
mod door;
mod file;
mod frames;
mod hosts;
mod life;
mod lists;
mod nsdb;
mod port;
mod process;
mod record;
mod revisions;
mod share_costs;
mod shared;
mod socket;
mod stop;
mod text;
mod unconfirmed;
mod unconfirmed_shared;
mod unread;
mod verbs;
mod words;
