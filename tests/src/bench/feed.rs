//! How long an address is under way: from the word of one host until another host's daemon has it, through a real ensemble of three servers
//! and the product's own tasks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::feed::{FeedAsks, asks, keep_feed};
use agent::input::{FeedNews, Input};
use nsdb::zookeeper::{Coordinator, ZooKeeperSettings, make};
use nsdb::{
    AddressFeed, AddressKey, AddressRecord, HostId, Mac, Mobility, Presence, SegmentId, Store, StoreConfig,
    StorePlace,
};
use servers::{Ensemble, Options};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// How long words were under way.
#[derive(Debug, Clone, Copy)]
pub struct Delays {
    /// Addresses of the segment.
    pub addresses: u32,
    /// Moves a second of other addresses meanwhile.
    pub moves: u32,
    /// Half of the words took no longer.
    pub median: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The one that took longest.
    pub longest: Duration,
}

/// A host: its store, and the tasks that follow and announce for it.
struct Host {
    number: u32,
    store: Arc<Store>,
    asks: FeedAsks,
    news: mpsc::Receiver<Input>,
    said: u64,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// Measures so many words at each number of addresses, quiet and while others move.
///
/// # Errors
/// There are no servers, or a word does not arrive.
pub async fn measure(sizes: &[u32], words: usize) -> Result<Vec<Delays>, String> {
    let ensemble = Ensemble::start(Options::three()).map_err(|error| error.to_string())?;
    let servers: Vec<String> = ensemble.connection_string().split(',').map(str::to_owned).collect();
    let settings = ZooKeeperSettings::new(servers, "/bench", "this machine");
    let maker = Coordinator::open(settings.clone());
    make(&maker, None).await.map_err(|error| error.to_string())?;
    maker.close().await;
    let mut delays = Vec::new();
    for (addresses, vni) in sizes.iter().zip(8_000..) {
        let mut speaker = Host::start(1, &settings)?;
        let mut listener = Host::start(2, &settings)?;
        let mover = Host::start(3, &settings)?;
        speaker.fill(vni, *addresses).await?;
        listener.follow(vni, *addresses).await?;
        for moves in [0, MOVES] {
            let moving = (moves > 0)
                .then(|| AbortOnDropHandle::new(tokio::spawn(keep_moving(Arc::clone(&mover.store), vni))));
            tokio::time::sleep(BEFORE).await;
            let taken = time_words(&mut speaker, &mut listener, vni, words).await?;
            drop(moving);
            delays.push(Delays::of(*addresses, moves, taken));
        }
    }
    Ok(delays)
}

impl Delays {
    fn of(addresses: u32, moves: u32, mut taken: Vec<Duration>) -> Delays {
        taken.sort_unstable();
        let at = |share: f64| taken[((taken.len() - 1) as f64 * share).round() as usize];
        Delays { addresses, moves, median: at(0.5), p99: at(0.99), longest: at(1.0) }
    }
}

impl Host {
    fn start(number: u32, settings: &ZooKeeperSettings) -> Result<Host, String> {
        let config =
            StoreConfig { documents: StorePlace::Ensemble(settings.clone()), ..StoreConfig::in_memory() };
        let store = Arc::new(Store::open(config).map_err(|error| error.to_string())?);
        let (news, arrived) = mpsc::channel(1);
        let (asks, asked) = asks();
        let tasks = keep_feed(&store, asked, &news);
        Ok(Host { number, store, asks, news: arrived, said: 0, _tasks: tasks })
    }

    /// Says that it has so many addresses.
    async fn fill(&mut self, vni: u32, addresses: u32) -> Result<(), String> {
        let mut numbers = 0..addresses;
        loop {
            let words: Vec<AddressRecord> =
                numbers.by_ref().take(1_024).map(|number| self.word(vni, number)).collect();
            if words.is_empty() {
                return Ok(());
            }
            let said = self.store.announce(HostId(self.number), words).await;
            said.map_err(|error| error.to_string())?;
        }
    }

    /// Hears of a segment, until it has heard of all that is in it.
    async fn follow(&mut self, vni: u32, addresses: u32) -> Result<(), String> {
        self.asks.follow.send_replace(vec![vni]);
        let mut heard = 0;
        while heard < addresses as usize {
            heard += self.next_words().await?.len();
        }
        Ok(())
    }

    async fn next_words(&mut self) -> Result<Vec<AddressRecord>, String> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.news.recv()).await;
            match next.map_err(|_| "no word arrived".to_owned())? {
                Some(Input::Feed(FeedNews::Words(words) | FeedNews::Snapshot { records: words, .. })) => {
                    return Ok(words);
                }
                Some(_) => {}
                None => return Err("the tasks have ended".to_owned()),
            }
        }
    }

    /// The next word about an address.
    fn word(&mut self, vni: u32, number: u32) -> AddressRecord {
        self.said += 1;
        word(self.number, (vni, number), self.said)
    }
}

/// How long each of some words takes, one after the other, from where the engine hands it out until it is handed to another engine.
async fn time_words(
    speaker: &mut Host,
    listener: &mut Host,
    vni: u32,
    words: usize,
) -> Result<Vec<Duration>, String> {
    let mut taken = Vec::with_capacity(words);
    for _ in 0..words {
        let word = speaker.word(vni, TIMED);
        let began = Instant::now();
        speaker.asks.announce.send(vec![word]).await.map_err(|error| error.to_string())?;
        while !listener.next_words().await?.contains(&word) {}
        taken.push(began.elapsed());
        // It is answered before the next is said, as the engine does.
        speaker.news.recv().await;
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(taken)
}

/// Moves addresses to this host, [`MOVES`] a second: said a lot at a time, as an engine does that waits for the answer.
async fn keep_moving(store: Arc<Store>, vni: u32) {
    let mut ticks = tokio::time::interval(LOT_EVERY);
    let lot = MOVES / (1_000 / LOT_EVERY.as_millis() as u32);
    for round in 1.. {
        ticks.tick().await;
        let numbers = (0..lot).map(|number| 1_000_000 + (round as u32 * lot + number) % 10_000);
        let words = numbers.map(|number| word(3, (vni, number), round)).collect();
        if let Err(error) = store.announce(HostId(3), words).await {
            eprintln!("moves are not said: {error}");
        }
    }
}

fn word(owner: u32, (vni, number): (u32, u32), said: u64) -> AddressRecord {
    let [a, b, c, d] = number.to_be_bytes();
    let key = AddressKey { segment: SegmentId(vni.into()), inner: 0, mac: Mac([2, 0, a, b, c, d]) };
    let (owner, mobility) = (HostId(owner), Mobility(said));
    AddressRecord { key, owner, mobility, session: 1, number: said, by: vni, presence: Presence::Present }
}

/// Moves a second, of other addresses.
const MOVES: u32 = 1_000;
/// How often some of them are said.
const LOT_EVERY: Duration = Duration::from_millis(20);
/// The address whose words are timed.
const TIMED: u32 = 9_999_999;
const BETWEEN: Duration = Duration::from_millis(25);
const BEFORE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
