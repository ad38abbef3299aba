//! What goes wrong around a gateway on a real kernel: its state directory, its clock, its links' names, an operator in a hurry. Each has
//! a named outcome, and frames go on. Datapaths that vanish and daemons that stand still are in `kernel_slow::restart`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::door::{Accepted, Proposal};
use l2gw::config;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::time::{ClockId, clock_gettime, clock_settime};
use tests::lab::flood::Flood;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::kernel;
use tests::lab::standard;
use tests::lab::testbed::{Testbed, ports};

tests::kernel_tests! {
    group state;

    fn a_full_disk_refuses_a_change_by_name_and_frames_go_on() {
        let mut testbed = Testbed::prepare("gw", &standard::file(), &standard::SIDES);
        let disk = SmallDisk::mount(&testbed.gateway.state(), "8m");
        testbed.gateway.start_up();
        let ballast = disk.fill();
        let (files, mut refusal) = (two_files(&testbed), None);
        for number in 0..500 {
            let file = files[number % 2].to_string_lossy().into_owned();
            if let Err((code, said)) = testbed.gateway.l2gw(&["apply", &file]) {
                refusal = Some((number, code, said));
                break;
            }
        }
        let (fitted, code, said) = refusal.expect("a change that finds no space");
        println!("{fitted} changes fitted; then: {said}");
        assert_eq!(code, 1);
        assert!(said.contains("no space left"), "{said}");
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        assert!(ports(&testbed.deliver("leaf1", &flood)).contains(&"vm8"), "frames go on");
        fs::remove_file(ballast).expect("the ballast to go");
        let file = files[(fitted + 1) % 2].to_string_lossy().into_owned();
        testbed.gateway.l2gw(&["apply", &file]).expect("a change when there is space again");
        let file = files[fitted % 2].to_string_lossy().into_owned();
        let said = testbed.gateway.l2gw(&["apply", &file]).expect("and the one that found none");
        assert!(said.contains("in force"), "{said}");
    }

    fn a_read_only_state_directory_is_named_and_the_kernel_goes_on_meanwhile() {
        let mut testbed = Testbed::prepare("gw", &standard::file(), &standard::SIDES);
        let disk = SmallDisk::mount(&testbed.gateway.state(), "16m");
        testbed.gateway.start_up();
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        assert_eq!(testbed.gateway.stop().code(), Some(0));
        disk.remount(MsFlags::MS_RDONLY);
        let (file, state) = (testbed.gateway.file(), testbed.gateway.state());
        let arguments = ["run", &file.to_string_lossy(), "--host", "gw1", "--state", &state.to_string_lossy()];
        let (code, said) = testbed.gateway.l2gw(&arguments).expect_err("a start without a state directory");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&*state.to_string_lossy()) && said.contains("read-only file system"), "{said}");
        testbed.tap("vm8").drain();
        testbed.tap("leaf1").send(&there);
        assert_eq!(testbed.count("vm8", 1), 1, "the kernel goes on");
        disk.remount(MsFlags::empty());
        testbed.gateway.start_up();
        assert!(testbed.gateway.log().contains("adopted:"), "{}", testbed.gateway.log());
    }
}

tests::kernel_tests! {
    group around;

    /// On a person's own kernel the clock is left alone, and only the rest is looked at.
    fn a_clock_that_is_set_forth_and_back_ages_nothing_and_stops_nothing() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        let upcalls = testbed.gateway.counter("l2gw_upcalls_total", &[]);
        for seconds in [3_600, -7_200, 3_600] {
            if kernel::is_inside() {
                step_clock(seconds);
            }
            // Statistics are read twice a second, addresses age by the second.
            std::thread::sleep(Duration::from_millis(1_200));
            testbed.tap("vm8").drain();
            testbed.tap("leaf1").send(&there);
            assert_eq!(testbed.count("vm8", 1), 1, "after {seconds} s");
        }
        assert_eq!(testbed.gateway.counter("l2gw_upcalls_total", &[]), upcalls, "no flow went");
        let ages: Vec<u64> = testbed.gateway.macs().iter().map(|one| one.age_ms).collect();
        assert!(ages.len() >= 2 && ages.iter().all(|age| *age < 60_000), "{ages:?}");
        testbed.gateway.l2gw(&["flush", "macs"]).expect("l2gw flush macs");
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &flood)), ["vm8", "vm8b"]);
    }

    fn a_link_under_another_name_is_no_link_of_ours_until_its_name_is_back() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &flood)), ["vm8", "vm8b"]);
        rename(&testbed, "vm8b", "other");
        testbed.gateway.wait_for("vm8b to have no link", |gateway| gateway.port("vm8b").why == "no such link");
        assert_eq!(ports(&testbed.deliver("leaf1", &flood)), ["vm8"], "no frame leaves by the link of another name");
        rename(&testbed, "other", "vm8b");
        testbed.gateway.wait_until_up();
        assert_eq!(ports(&testbed.deliver("leaf1", &flood)), ["vm8", "vm8b"]);
    }

    fn a_thousand_changes_in_a_minute_lose_no_frame_of_a_vlan_that_they_do_not_meet() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        let descriptions = two_files(&testbed).map(|file| config::load(&file).expect("a file that is right").description);
        let memory = testbed.gateway.resident_kib();
        let tap = testbed.outside().tap("vm8");
        let flood = Flood::start(testbed.outside().tap("leaf1"), Some(Duration::from_millis(5)), move |_| there.clone());
        let begun = Instant::now();
        for number in 0..1_000 {
            let description = descriptions[number % 2].clone();
            let proposal = Proposal::new(&description, "test", "");
            let accepted: Accepted = testbed.gateway.client().send("/v1/topology", &proposal).expect("a change that is taken");
            assert!(accepted.is_new, "change {number}");
        }
        let took = begun.elapsed();
        testbed.gateway.wait_for("the last to be in force", |gateway| {
            let status = gateway.status();
            status.settled && status.revision == 1_001
        });
        let sent = flood.stop();
        testbed.settle("vm8b");
        let came = tap.drain().iter().filter(|frame| frame.get(6..12) == Some(&PHYS[..])).count() as u64;
        let grown = testbed.gateway.resident_kib().saturating_sub(memory);
        let stored = fs::metadata(testbed.gateway.state().join("state.redb")).expect("the state file").len();
        println!("1000 changes in {took:?}, {sent} frames sent, {came} came, memory grew {grown} KiB, the state file is {stored} bytes");
        assert!(took < Duration::from_secs(60), "{took:?}");
        assert_eq!(came, sent, "frames of VLAN 8 while VLAN 5 changed");
        assert!(grown < 64 << 10 && stored < 64 << 20);
    }
}

/// The standard file with vm5 in VLAN 8, and as it is.
fn two_files(testbed: &Testbed) -> [PathBuf; 2] {
    let files = ["moved.toml", "usual.toml"].map(|name| testbed.gateway.file().with_file_name(name));
    fs::write(&files[0], standard::file_with_port_on("vm5", "vub8")).expect("a file");
    fs::write(&files[1], standard::file()).expect("a file");
    files
}

/// The kernel renames no link that is up.
fn rename(testbed: &Testbed, link: &str, name: &str) {
    let links = testbed.gateway.netns().links();
    links.set_down(link);
    links.rename(link, name);
    links.set_up(name);
}

fn step_clock(seconds: i64) {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("the time");
    let then = nix::sys::time::TimeSpec::new(now.tv_sec() + seconds, now.tv_nsec());
    clock_settime(ClockId::CLOCK_REALTIME, then).expect("a clock that may be set");
}

/// A tmpfs of a size. Dropping it unmounts it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, size: &str) -> SmallDisk {
        fs::create_dir_all(path).expect("a directory");
        let options = format!("size={size},mode=0700");
        mount(Some("l2gw"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).expect("a tmpfs");
        SmallDisk(path.to_owned())
    }

    /// Writes until nothing more fits; the file that it wrote.
    fn fill(&self) -> PathBuf {
        use std::io::Write;
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).expect("a file");
        while file.write_all(&[1; 4_096]).is_ok() {}
        ballast
    }

    fn remount(&self, flags: MsFlags) {
        mount(None::<&str>, &self.0, None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>)
            .expect("a remount");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const VM: Mac = [0x52, 0x54, 0, 0, 0, 2];
