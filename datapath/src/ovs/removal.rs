//! Removing a datapath that nobody drives, without opening it: its links are free again, whoever made it.

use std::future::Future;

use super::dp::Description;
use super::families::Families;
use super::family::{refuse, unreadable};
use super::socket::Home;
use super::transact::Transactor;
use super::underlay::{Underlay, device_of};
use super::{Ovs, Refusal, RefusalCause, dp, first, vport};

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// What went with the datapath; none if there was none.
    pub datapath: Option<Held>,
    /// The name of the device by which it reached other hosts, if it had one or had left one.
    pub tunnel: Option<String>,
}

/// What a datapath had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// The links that were its ports, by name; they are free again.
    pub links: Vec<String>,
    /// How many flows it had.
    pub flows: u64,
}

impl Ovs {
    /// Removes the datapath `name` with its ports, flows and meters, and the device of its tunnel, as
    /// [`Datapath::teardown`](crate::Datapath::teardown) does for one that is open; none is no error. Nothing is made.
    ///
    /// The namespace is that of the thread that calls this function, and a tokio runtime is around there.
    ///
    /// # Errors
    /// No openvswitch.ko, not permitted, or a live program hears the upcalls of the datapath ([`RefusalCause::Busy`]).
    pub fn remove(name: &str) -> impl Future<Output = Result<Removed, Refusal>> + Send + use<> {
        let name = name.to_owned();
        let opened = Home::here().and_then(|home| Ok((Transactor::open(&home)?, home)));
        async move {
            let what = format!("remove datapath {name}");
            let (transactor, home) = opened.map_err(|error| refuse(&*what, error.into()))?;
            let datapath = remove(&name, &what, transactor, &home).await?;
            let gone = Underlay::of(&home, &name).remove().await.map_err(|denial| refuse(what, denial))?;
            Ok(Removed { datapath, tunnel: gone.then(|| device_of(&name)) })
        }
    }
}

async fn remove(
    name: &str,
    what: &str,
    mut transactor: Transactor,
    home: &Home,
) -> Result<Option<Held>, Refusal> {
    let families = Families::resolve(&mut transactor).await?;
    let found = match transactor.ask_written(dp::find(families.datapath, name)).await {
        // The name may be a link's that is no datapath.
        Err(denial) if denial.is(libc::ENODEV) => return Ok(None),
        found => found.map_err(|denial| refuse(what, denial))?,
    };
    let found = first(&found, dp::read).map_err(|why| unreadable(what, &why))?;
    let ports = transactor.ask_written(vport::list(families.vport, found.dp)).await;
    let ports = ports.map_err(|denial| refuse(what, denial))?;
    let ports = ports.iter().map(|reply| vport::read(reply)).collect::<Result<Vec<_>, _>>();
    let mut ports = ports.map_err(|why| unreadable(what, &why))?;
    ports.retain(|port| port.port.no != vport::LOCAL);
    if let Some(port_id) = hearer(home, &found, &ports).map_err(|error| refuse(what, error.into()))? {
        let what = format!("{what}, whose upcalls the socket with netlink port id {port_id} hears");
        return Err(Refusal { what, cause: RefusalCause::Busy });
    }
    let delete = dp::delete(families.datapath, found.dp);
    transactor.ask_written(delete).await.map_err(|denial| refuse(what, denial))?;
    let links =
        ports.into_iter().map(|port| port.port.link).filter(|link| *link != device_of(name)).collect();
    Ok(Some(Held { links, flows: found.counters.flows }))
}

/// The live socket that the upcalls of a datapath go to, if there is one.
pub(super) fn hearer(
    home: &Home,
    found: &Description,
    ports: &[vport::Description],
) -> std::io::Result<Option<u32>> {
    let port_ids = match &found.by_cpu {
        Some(port_ids) => port_ids.clone(),
        None => ports.iter().filter_map(|port| port.upcalls_to).collect(),
    };
    home.first_taken(&port_ids)
}
