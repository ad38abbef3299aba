//! On a kernel with openvswitch.ko: what a kernel decides, and a gateway with its links around it. What takes longer is in `kernel_slow`.
//!
//! Each group of tests has a boot of its own; [`tests::lab`] shows how.

mod capture;
mod datapath;
mod demo;
mod dispatch;
mod faults;
mod gateway;
mod hands;
mod host;
mod lab;
mod links;
mod loops;
mod malformed;
mod overlay;
mod tunnels;
