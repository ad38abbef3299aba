//! Every case of the datapath suite on the in-memory twin: as openvswitch.ko is, as one that keeps DEI and pads, and inside the faulty
//! wrapper when that has no faults.

use datapath::fake::Options;
use datapath::faulty::{Faults, Faulty};
use tests::suite::Rig;
use tests::suite::fake::{FakePair, FakeRig};
use tests::suite::pair::{Family, Pair};

macro_rules! in_memory {
    ($group:ident: $($case:ident),+ $(,)?) => {
        mod $group {
            $(
                #[tokio::test]
                async fn $case() {
                    use tests::suite::$group::$case;

                    let as_the_kernel = super::Options::default();
                    let abler = super::Options { keeps_dei: true, pads: true, ..as_the_kernel };
                    for options in [as_the_kernel, abler] {
                        $case(&mut super::FakeRig::new(options)).await;
                    }
                    let wrap = |datapath| super::Faulty::new(datapath, super::Faults::none());
                    $case(&mut super::FakeRig::wrapped(as_the_kernel, wrap)).await;
                }
            )+
        }
    };
}

tests::datapath_cases!(in_memory);

macro_rules! in_memory_of_two {
    ($group:ident: $($case:ident),+ $(,)?) => {
        mod $group {
            $(
                #[tokio::test]
                async fn $case() {
                    use tests::suite::$group::$case;

                    let as_the_kernel = super::Options::default();
                    for family in [super::Family::V4, super::Family::V6] {
                        super::on_two(as_the_kernel, family, async |pair| $case(pair).await).await;
                    }
                    let wrap = |datapath| super::Faulty::new(datapath, super::Faults::none());
                    $case(&mut super::FakePair::wrapped(as_the_kernel, super::Family::V4, wrap)).await;
                }
            )+
        }
    };
}

tests::tunnel_cases!(in_memory_of_two);

/// No case asks for anything that a program should not.
async fn on_two(options: Options, family: Family, case: impl AsyncFnOnce(&mut FakePair)) {
    let mut pair = FakePair::wrapped(options, family, |datapath| datapath);
    case(&mut pair).await;
    for faults in [pair.near().faults(), pair.far().faults()] {
        assert_eq!(faults, [""; 0], "on {family:?}");
    }
}
