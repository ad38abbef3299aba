//! Some schedules of several hosts that tell each other by the store which of them has which address; `simulation_slow` plays more.
//! [`tests::sim::hosts`] says what happens in one.

use tests::sim::hosts::play_all;

/// `L2GW_SEED` repeats one schedule by its printed seed, `L2GW_CASES` says how many: 10 000 take some minutes.
#[test]
fn every_host_knows_where_an_address_is_when_all_is_mended() {
    play_all("simulation", 1, 100);
}
