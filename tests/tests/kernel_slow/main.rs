//! On a kernel with openvswitch.ko, as `kernel`, where it takes longer: attacks, both lowerings side by side, daemons killed in a row, the demo of
//! several hosts.

mod attack;
mod backends;
mod demo;
mod restart;
mod words;
