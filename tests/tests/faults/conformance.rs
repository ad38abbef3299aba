//! Every case of the datapath suite on the in-memory twin: as openvswitch.ko is, as one that keeps DEI and pads, and inside the faulty
//! wrapper when that has no faults.

use datapath::fake::Options;
use datapath::faulty::{Faults, Faulty};
use tests::suite::fake::FakeRig;

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
