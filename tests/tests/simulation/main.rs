//! Random gateways and random frames against the reference, and against each other. What takes longer is in `simulation_slow`.

mod backends;
mod forwarding;
mod hosts;
mod loops;
mod moves;
