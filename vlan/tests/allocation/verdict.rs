//! A verdict allocates nothing: every allocation of the thread is counted while known stations speak to each other.

use allocation_counter::measure;
use vlan::addr::MacAddr;
use vlan::trace::Silent;
use vlan::verdict::{Decision, Verdict};

use world::{NOW, Size, World};

#[path = "../../benches/verdict/world.rs"]
mod world;

const FRAMES: usize = 4_096;

/// The first round may still grow the verdict's own lists; from the second on they are reused.
#[test]
fn neither_judging_nor_learning_a_known_station_allocates() {
    for size in [Size::SMALL, Size::LARGE] {
        let mut world = World::new(size, FRAMES, 1);
        // Some to everybody: the longest list of copies there is.
        for (_, header) in world.frames.iter_mut().step_by(7) {
            header.dst = MacAddr::BROADCAST;
        }
        let mut verdict = Verdict::default();
        assert!(forward(&mut world, &mut verdict) * 2 > FRAMES, "most frames are forwarded");
        let learning = measure(|| {
            forward(&mut world, &mut verdict);
        });
        let looking = measure(|| judge(&world, &mut verdict));
        assert_eq!((learning.count_total, looking.count_total), (0, 0), "{size:?}, {FRAMES} frames each");
    }
}

/// What is counted is counted: a new station needs room.
#[test]
fn new_stations_are_seen_to_allocate() {
    let mut world = World::new(Size::SMALL, 1, 1);
    let (port, mut header) = world.frames.remove(0);
    let mut verdict = Verdict::default();
    let learning = measure(|| {
        for number in 0..1_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            header.src = MacAddr([0x56, 0, a, b, c, d]);
            world.switch.forward(NOW, port, &header, &mut verdict, &mut Silent);
        }
    });
    assert!(learning.count_total > 0, "1000 stations were learned without memory");
}

/// How many were forwarded.
fn forward(world: &mut World, verdict: &mut Verdict) -> usize {
    let mut forwarded = 0;
    for (port, header) in &world.frames {
        world.switch.forward(NOW, *port, header, verdict, &mut Silent);
        forwarded += usize::from(verdict.decision == Decision::Forward);
    }
    forwarded
}

fn judge(world: &World, verdict: &mut Verdict) {
    for (port, header) in &world.frames {
        world.switch.judge(NOW, *port, header, verdict, &mut Silent);
    }
}
