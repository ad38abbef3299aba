//! Every case of the datapath suite on openvswitch.ko.

use datapath::ovs::Options;
use tests::suite::kernel::KernelBench;

macro_rules! in_a_kernel {
    ($group:ident: $($case:ident),+ $(,)?) => {
        tests::kernel_tests! {
            group $group;

            $(fn $case() { on_kernel(async |bench: &mut KernelBench| tests::suite::$group::$case(bench).await) })+
        }
    };
}

tests::datapath_cases!(in_a_kernel);

fn on_kernel(case: impl AsyncFnOnce(&mut KernelBench)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut bench = KernelBench::new(Options::default());
    runtime.block_on(case(&mut bench));
}
