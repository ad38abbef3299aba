//! What the store that is shared has cost, and what waits for its journal, as counters.

use nsdb::Store;

use crate::view::CounterView;

/// Events that the journal took, and those that did not fit into what waits for it; calls and bytes on the ensemble, none of a store of this host alone.
pub(super) fn of(store: &Store) -> Vec<CounterView> {
    let plain = |name: &str, value| CounterView { name: name.to_owned(), labels: Vec::new(), value };
    let backlog = store.backlog();
    let journal = [
        plain("l2gw_journal_lost_total", backlog.lost()),
        plain("l2gw_journal_written_total", backlog.settled()),
    ];
    journal.into_iter().chain(on_ensemble(store)).collect()
}

fn on_ensemble(store: &Store) -> Vec<CounterView> {
    let Some(ensemble) = store.ensemble() else { return Vec::new() };
    let costs = ensemble.costs();
    let view = |name: &str, label: &str, what: &str, value| CounterView {
        name: name.to_owned(),
        labels: vec![(label.to_owned(), what.to_owned())],
        value,
    };
    let calls =
        costs.calls().into_iter().map(|(what, value)| view("l2gw_store_calls_total", "call", what, value));
    let bytes =
        costs.bytes().into_iter().map(|(what, value)| view("l2gw_store_bytes_total", "call", what, value));
    calls.chain(bytes).collect()
}
