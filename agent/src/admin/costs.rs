//! What the store that is shared has cost, as counters.

use nsdb::Store;

use crate::view::CounterView;

/// Calls and bytes on the ensemble; none of a store of this host alone.
pub(super) fn of(store: &Store) -> Vec<CounterView> {
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
