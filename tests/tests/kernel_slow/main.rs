//! On a kernel with openvswitch.ko, as `kernel`, where it takes longer: attacks, both lowerings side by side, daemons killed in a row.

mod attack;
mod backends;
mod restart;
mod words;
