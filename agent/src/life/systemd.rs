//! What systemd is told, where it runs the daemon.

use tracing::warn;

/// Tells it; without systemd, nobody.
pub(super) fn tell(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "systemd cannot be told");
    }
}
