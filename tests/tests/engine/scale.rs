//! What `make bench-scale` measures can be measured: the same program at small sizes, whose figures nobody judges.

use std::process::Command;

#[test]
fn the_measuring_of_scale_runs_and_tells_every_part() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-scale")).arg("--quick").output();
    let output = output.expect("the program bench-scale");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    for row in [
        "one link that loses its carrier",
        "one first frame",
        "one slice of 256 flows, all hit",
        "one page of `show macs`",
        "one tick while all addresses expire, on average",
        "`l2gw check`, CPU",
        "`l2gw run`, until all ports are up",
        "`l2gw apply` of 50 new ports, until up",
        "SIGTERM until gone, in the middle of the start",
        "first frame, quiet: p99",
        "first frame, a flood of new addresses: p99",
        "first frame, revisions applied: p99",
        "first frame, mass expiry",
    ] {
        assert!(said.contains(row), "no row {row:?} in\n{said}");
    }
}
