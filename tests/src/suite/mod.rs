//! What every datapath with a flow table must do, told once and run on each: on `fake` outside a kernel, on `ovs` in the lab.
//!
//! ```text
//!   case (ports, upcalls, flows, masks, edits, meters, counters, adoption)
//!     │ frames in, frames out, counters
//!     ▼
//!   Rig ──► FakeRig    links, frames and time in memory
//!         └─► KernelRig  veth pairs and packet sockets in namespaces, openvswitch.ko
//! ```
//! A case sees a datapath by its traits and its surroundings by a [`Rig`]; where two hosts speak with each other, by a [`pair::Pair`] of them
//! (tunnels, tunnel_ports, groups), each of which is listed in [`tunnel_cases!`]. What backends may do differently, a case asks of
//! [`datapath::Capabilities`] and [`Rig::effective_mask`]. [`datapath_cases!`] lists all cases, so a new one runs everywhere.
//!
//! [`datapath_cases!`]: crate::datapath_cases
//! [`tunnel_cases!`]: crate::tunnel_cases

pub mod adoption;
pub mod counters;
pub mod edits;
pub mod fake;
pub mod flows;
pub mod groups;
pub mod isolation;
pub mod kernel;
pub mod kernel_pair;
pub mod masks;
pub mod meters;
pub mod pair;
pub mod ports;
pub mod traffic;
pub mod tunnel_ports;
pub mod tunnels;
pub mod upcalls;

use std::future::Future;
use std::time::Duration;

use datapath::{FlowTable, Refusal};
use vlan::frame::Header;
use vlan::time::Instant;
use vlan::verdict::Consulted;

/// Surroundings of a datapath: links with something at their far ends, a clock, and another hand on the datapath.
pub trait Rig {
    /// The datapath under test.
    type Datapath: FlowTable;

    /// Makes the datapath, or adopts the one that is there.
    ///
    /// # Errors
    /// As the backend says.
    fn open(&mut self) -> impl Future<Output = Result<Self::Datapath, Refusal>>;

    /// Adds links that are up and have a carrier and an MTU of 1 500.
    fn add_links(&mut self, links: &[&str]);

    /// Removes a link, as when a network card is pulled.
    fn remove_link(&mut self, link: &str);

    /// Gives a link another name.
    fn rename_link(&mut self, link: &str, name: &str);

    /// Takes a link down, or up again.
    fn set_state(&mut self, link: &str, state: LinkState);

    /// Sets how many bytes of payload a link takes.
    fn set_mtu(&mut self, link: &str, mtu: u32);

    /// Frames arrive by a link, one after the other. When this returns, the datapath has dealt with them.
    fn inject(&mut self, link: &str, frames: &[Vec<u8>]);

    /// The frames that left by a link since this was last asked, in order.
    fn sent(&mut self, link: &str) -> Vec<Vec<u8>>;

    /// The frames that left by each of these links since they were last asked.
    fn sent_by(&mut self, links: &[&str]) -> Vec<Vec<Vec<u8>>> {
        links.iter().map(|link| self.sent(link)).collect()
    }

    /// Removes the datapath behind the back of whoever has it open.
    fn delete_datapath(&mut self);

    /// Has the upcalls of a link's port go elsewhere, as another program would that does not ask.
    fn steal_upcalls(&mut self, link: &str) -> impl Future<Output = ()>;

    /// What the clock says that flows are stamped with.
    fn now(&self) -> Instant;

    /// Lets this much time pass.
    fn pass(&mut self, span: Duration) -> impl Future<Output = ()>;

    /// What the backend makes of a mask for a key like this header.
    fn effective_mask(&self, asked: &Consulted, key: &Header) -> Consulted;

    /// What went wrong unseen, for backends that can tell.
    fn faults(&self) -> Vec<String>;
}

/// The administrative state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Frames may pass.
    Up,
    /// Nothing passes.
    Down,
}

/// Hands every case, group by group, to a macro of the caller's: `$run! { group: case, case, … }`. A case is the function
/// `tests::suite::group::case`, which takes a [`Rig`].
#[macro_export]
macro_rules! datapath_cases {
    ($run:ident) => {
        $run! { ports:
            a_link_becomes_a_port_and_keeps_its_number,
            a_port_is_released,
            a_link_that_is_not_there_is_named,
            a_pulled_link_takes_its_port_with_it,
            a_link_that_comes_again_is_a_port_again,
            a_renamed_link_is_the_same_port,
            a_port_counts_frames_and_bytes,
            a_link_takes_its_mtu_and_one_tag,
            what_is_too_long_is_told_apart_as_the_link_would,
            a_link_that_is_down_sends_nothing,
        }
        $run! { upcalls:
            a_frame_without_a_flow_comes_up_as_it_was,
            a_frame_that_ends_inside_its_second_tag_comes_without_a_key,
            no_more_come_than_were_asked_for,
            each_port_has_its_share,
            stragglers_of_a_port_are_taken_without_waiting,
            a_storm_that_is_read_costs_another_nothing,
            a_call_that_is_given_up_loses_nothing,
            whoever_loses_the_upcalls_is_told,
        }
        $run! { isolation:
            a_storm_that_nobody_reads_costs_another_nothing,
        }
        $run! { flows:
            a_flow_takes_frames_without_an_upcall,
            single_flows_tell_what_they_counted,
            a_withdrawn_flow_is_gone,
            a_flow_is_replaced_in_place,
            the_same_masked_key_under_another_id_is_replaced,
            the_same_id_with_another_key_is_moved,
            the_same_id_with_another_mask_is_moved,
            one_refused_change_stops_no_other,
            changes_of_one_flow_are_done_in_order,
            flows_and_their_frames_travel_together,
            a_withdrawn_flow_tells_what_it_counted,
            a_thousand_changes_travel_in_one_batch,
            a_dump_is_what_was_put,
            a_dumped_key_is_taken_back,
            a_flow_remembers_its_last_hit,
        }
        $run! { masks:
            a_mask_is_as_wide_as_the_fields_consulted,
            frames_with_fewer_tags_are_told_apart,
        }
        $run! { edits:
            tags_are_pushed_and_popped,
            a_clone_leaves_the_frame_as_it_was,
            an_empty_list_drops,
            a_tag_keeps_its_dei_by_capability,
            short_frames_are_padded_by_capability,
            executed_frames_go_out_in_order,
            an_executed_frame_is_padded,
            a_refused_frame_stops_no_other,
            a_flood_reaches_three_hundred_ports,
        }
        $run! { meters:
            a_meter_drops_what_exceeds_its_burst,
            a_meter_fills_up_again,
            a_fast_meter_with_a_small_burst_goes_on,
            a_meter_in_a_clone_stops_the_clone_only,
            a_meter_is_set_anew_and_removed,
            a_meter_without_a_rate_is_refused,
        }
        $run! { counters:
            every_frame_is_a_hit_or_a_miss,
            upcalls_that_nobody_hears_are_lost,
            upcalls_of_a_released_port_are_lost,
        }
        $run! { adoption:
            what_is_in_force_outlives_its_owner,
            teardown_leaves_nothing,
            a_second_owner_is_refused,
            a_datapath_that_is_gone_is_named_by_every_call,
        }
    };
}

/// As [`datapath_cases!`](crate::datapath_cases), for two hosts: a case takes a [`Pair`](crate::suite::pair::Pair).
#[macro_export]
macro_rules! tunnel_cases {
    ($run:ident) => {
        $run! { tunnels:
            frames_cross_both_ways,
            an_unknown_vni_or_sender_comes_up,
            a_copy_carries_its_vni_and_class,
            a_class_counts_where_the_mask_says_so,
            congestion_is_told_through_the_tunnel,
            tags_inside_stay,
            a_clone_to_another_host_leaves_the_frame_as_it_was,
            a_copy_that_is_too_long_for_the_underlay_is_told_apart,
            a_first_frame_takes_the_path_of_its_flow,
            executed_frames_cross_in_order,
            a_cut_frame_inside_is_named,
        }
        $run! { tunnel_ports:
            a_tunnel_is_no_port_among_links,
            a_tunnel_is_kept_or_made_anew,
            a_closed_tunnel_takes_nothing,
            a_tunnel_outlives_its_owner,
            teardown_leaves_no_tunnel,
            a_tunnel_that_cannot_be_is_refused,
            upcalls_of_a_tunnel_are_as_those_of_a_port,
            a_datapath_that_is_gone_is_named_by_every_call,
        }
        $run! { groups:
            a_group_sends_one_copy_to_each,
            a_group_takes_a_copy,
            a_group_is_replaced_in_place,
            a_meter_before_a_group_stops_it,
            a_group_is_named_from_anywhere,
            a_group_that_may_not_be_is_refused,
            a_group_reaches_three_hundred,
        }
    };
}
