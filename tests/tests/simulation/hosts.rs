//! Some schedules of several hosts that tell each other by the store which of them has which address; `simulation_slow` plays more.
//! [`tests::sim::hosts`] says what happens in one.

use tests::sim::hosts::{play_again, play_all};

/// `L2GW_SEED` repeats one schedule by its printed seed, `L2GW_CASES` says how many: 10 000 take some minutes.
#[test]
fn every_host_knows_where_an_address_is_when_all_is_mended() {
    play_all("simulation", 1, 100);
}

/// An address that flows alone heard was no word of the gateway that heard it; a revision made what was heard from another host, to be
/// believed for ten seconds, an address like any other. A gateway that lost a VLAN before it might say what it had heard never said it.
#[test]
fn what_has_failed_once_holds() {
    play_again("simulation", &[5_290, 6_679, 7_588, 9_718, 9_834]);
}
