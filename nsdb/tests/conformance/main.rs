//! One suite per trait, run on every backend. A new backend adds a `Backend` and a line in `on_every_backend!`.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "addresses.rs"]
mod addresses_cases;
mod backends;
#[path = "documents.rs"]
mod documents_cases;
#[path = "journal.rs"]
mod journal_cases;
#[path = "local.rs"]
mod local_cases;
#[path = "sessions.rs"]
mod sessions_cases;

/// Makes a test of every case on every backend: `documents::embedded::a_case`; of what hosts share, also on a real ensemble; of what
/// they remember, also on a real Cassandra node.
macro_rules! on_every_backend {
    ($suite:ident, $cases:ident, shared: $($case:ident),* $(,)?) => {
        mod $suite {
            on_every_backend!(@backend ensemble, OnEnsemble, $cases, $($case),*);
            on_every_backend!(@here $cases, $($case),*);
        }
    };
    ($suite:ident, $cases:ident, remembered: $($case:ident),* $(,)?) => {
        mod $suite {
            on_every_backend!(@backend cluster, OnCluster, $cases, $($case),*);
            on_every_backend!(@here $cases, $($case),*);
        }
    };
    ($suite:ident, $cases:ident: $($case:ident),* $(,)?) => {
        mod $suite {
            on_every_backend!(@here $cases, $($case),*);
        }
    };
    (@here $cases:ident, $($case:ident),*) => {
        on_every_backend!(@backend memory, Memory, $cases, $($case),*);
        on_every_backend!(@backend embedded, Embedded, $cases, $($case),*);
        on_every_backend!(@backend mixed, Mixed, $cases, $($case),*);
        on_every_backend!(@backend faultless, Faultless, $cases, $($case),*);
    };
    (@backend $module:ident, $backend:ident, $cases:ident, $($case:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some(fixture) = crate::backends::$backend::fixture().await {
                        crate::$cases::$case(fixture).await;
                    }
                }
            )*
        }
    };
}

on_every_backend!(documents, documents_cases, shared:
    an_empty_store_has_no_root,
    a_revision_is_read_back_whole,
    a_conflict_names_what_is_there_and_changes_nothing,
    one_of_many_writers_wins,
    a_reader_sees_a_whole_revision,
    watchers_hear_of_the_newest_revision,
    what_has_to_be_confirmed_says_so_for_as_long_as_it_is_kept,
    the_last_hundred_revisions_can_be_read,
    an_old_revision_published_again_keeps_its_shards,
    shards_out_of_use_are_collected_when_old,
    a_shard_used_again_is_not_collected,
    many_shards_are_read_by_name_and_their_pages_are_collected,
    a_collection_takes_nothing_that_is_being_published,
    an_unknown_shard_is_missing,
    what_is_too_large_is_refused,
);
on_every_backend!(sessions, sessions_cases, shared:
    a_session_lives_while_it_is_kept_alive,
    a_silent_session_ends_at_its_time,
    the_last_to_open_a_name_wins,
    a_lease_has_one_holder,
    a_lease_ends_with_its_session,
    tokens_grow,
    watchers_hear_of_every_change,
    giving_back_what_one_does_not_hold_does_nothing,
    bad_names_and_times_are_refused,
    what_a_session_says_is_there_as_long_as_it_is,
);
on_every_backend!(addresses, addresses_cases, shared:
    a_tail_begins_where_the_snapshot_ends,
    the_higher_counter_then_the_lower_host_counts,
    a_withdrawn_host_leaves_its_counters,
    a_word_that_is_repeated_after_its_farewell_does_not_come_back,
    two_inner_tags_of_one_segment_are_two_addresses,
    a_reader_that_fell_behind_follows_again,
    a_host_announces_only_its_own,
    segments_do_not_disturb_each_other,
    a_full_segment_keeps_what_it_has_and_forgets_the_longest_gone,
    racing_hosts_leave_every_reader_with_the_same,
);
on_every_backend!(journal, journal_cases, remembered:
    entries_come_back_in_the_order_they_were_written,
    a_query_narrows_by_kind_time_and_number,
    what_is_too_old_is_trimmed,
    the_whole_stays_within_its_size,
    a_long_entry_is_refused_and_nothing_written,
);
on_every_backend!(local, local_cases:
    what_is_saved_is_loaded,
    keys_are_listed_by_prefix,
    bad_keys_and_long_values_are_refused,
);
