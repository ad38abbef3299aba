//! Schedules of several hosts that tell each other by the store which of them has which address: more of those of `simulation`.

use tests::sim::hosts::play_all;

#[test]
fn every_host_knows_where_an_address_is_when_all_is_mended() {
    play_all("simulation_slow", 101, 600);
}
