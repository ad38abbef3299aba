//! Every case of the datapath suite on openvswitch.ko.

use datapath::ovs::UpcallSockets;
use tests::suite::kernel::KernelRig;

macro_rules! in_a_kernel {
    ($group:ident: $($case:ident),+ $(,)?) => {
        tests::kernel_tests! {
            group $group;

            $(fn $case() { on_kernel(async |rig: &mut KernelRig| tests::suite::$group::$case(rig).await) })+
        }
    };
}

tests::datapath_cases!(in_a_kernel);

fn on_kernel(case: impl AsyncFnOnce(&mut KernelRig)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut rig = KernelRig::new(UpcallSockets::default());
    runtime.block_on(case(&mut rig));
}
