//! Every case of the datapath suite on the in-memory twin: as openvswitch.ko is, and as one that keeps DEI and pads.

use datapath::fake::Options;
use tests::suite::fake::FakeBench;

macro_rules! in_memory {
    ($group:ident: $($case:ident),+ $(,)?) => {
        mod $group {
            $(
                #[tokio::test]
                async fn $case() {
                    for options in super::variants() {
                        let mut bench = super::FakeBench::new(options);
                        tests::suite::$group::$case(&mut bench).await;
                    }
                }
            )+
        }
    };
}

tests::datapath_cases!(in_memory);

fn variants() -> [Options; 2] {
    let as_the_kernel = Options::default();
    [as_the_kernel, Options { keeps_dei: true, pads: true, ..as_the_kernel }]
}
