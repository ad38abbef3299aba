//! The tables: made by the first host that finds none, brought to a newer form by one host at a time, refused where they are newer than
//! this program.
//!
//! | version | what it has |
//! |---|---|
//! | 1 | `about`, `stretches`, `journal` |

use std::time::Duration;

use scylla::client::session::Session;
use scylla::errors::ExecutionError;
use scylla::statement::SerialConsistency;
use scylla::statement::unprepared::Statement;
use scylla::value::{CqlValue, Row};
use sha2::{Digest, Sha256};
use tokio::time::sleep;
use tracing::info;
use uuid::Uuid;

use super::refusal::Refusal;
use super::settings::CassandraSettings;

/// Sees to it that the tables are there, in the form that this program knows.
pub(super) async fn make(session: &Session, settings: &CassandraSettings) -> Result<(), Refusal> {
    let making = Making { session, settings, keyspace: settings.quoted(), turn: Uuid::new_v4().to_string() };
    for _ in 0..LOOKS {
        match making.version().await? {
            Some(found) if found == VERSION => return Ok(()),
            Some(found) if found > VERSION => {
                return Err(Refusal::new(format!(
                    "the tables of keyspace {} are of version {found}, this program knows version {VERSION}: start the newer program",
                    settings.keyspace
                )));
            }
            _ => {}
        }
        if making.take_turn().await? {
            let made = making.make_tables().await;
            let back = making.give_turn_back().await;
            made?;
            back?;
        } else {
            sleep(LOOK_AGAIN).await;
        }
    }
    Err(Refusal::new("another host makes the tables, and is not done yet"))
}

struct Making<'a> {
    session: &'a Session,
    settings: &'a CassandraSettings,
    keyspace: String,
    /// By this the turn is known as one's own.
    turn: String,
}

impl Making<'_> {
    /// The version of the tables; `None` where there are none, though there is a place to take turns then.
    async fn version(&self) -> Result<Option<u32>, Refusal> {
        let there = self.tables().await?;
        let has = |name: &str| there.iter().any(|table| table == name);
        if !has("about") {
            self.make_place_for_turns().await?;
            return Ok(None);
        }
        let sql = format!("SELECT value FROM {}.about WHERE name = 'version'", self.keyspace);
        let found = self.session.query_unpaged(sql, ()).await?.into_rows_result()?;
        let row = found.maybe_first_row::<(String,)>().map_err(|error| Refusal::new(error.to_string()))?;
        let read = |(text,): (String,)| {
            text.parse().map_err(|_| {
                let keyspace = &self.settings.keyspace;
                Refusal::new(format!(
                    "keyspace {keyspace} has a table `about` that is not ours: its version is {text:?}"
                ))
            })
        };
        let version = row.map(read).transpose()?;
        // Somebody may have dropped one of them.
        let is_whole = TABLES.iter().all(|(name, _)| has(name));
        Ok(version.filter(|version| is_whole || *version > VERSION))
    }

    /// Which tables the keyspace has; none if it is not there.
    async fn tables(&self) -> Result<Vec<String>, Refusal> {
        let sql = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
        let keyspace = self.settings.keyspace.to_lowercase();
        let found = self.session.query_unpaged(sql, (keyspace,)).await?.into_rows_result()?;
        let names = found.rows::<(String,)>().map_err(|error| Refusal::new(error.to_string()))?;
        Ok(names.filter_map(|name| Some(name.ok()?.0)).collect())
    }

    /// The keyspace, and the table by which hosts take turns. Two hosts may do this at one time, so the table's identifier is given: tables
    /// that two nodes made of one name with two identifiers would be two.
    async fn make_place_for_turns(&self) -> Result<(), Refusal> {
        let keyspace = &self.keyspace;
        let sql = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let found = self.session.query_unpaged(sql, (keyspace.to_lowercase(),)).await?.into_rows_result()?;
        if found.rows_num() == 0 {
            let (datacenter, copies) = self.copies().await?;
            info!(%keyspace, %datacenter, copies, "makes the keyspace of the journal");
            let datacenter = datacenter.replace('\'', "''");
            self.change(format!(
                "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = \
                 {{'class': 'NetworkTopologyStrategy', '{datacenter}': {copies}}}"
            ))
            .await?;
        }
        let table =
            format!("CREATE TABLE IF NOT EXISTS {keyspace}.about (name text PRIMARY KEY, value text)");
        self.change(format!("{table} WITH ID = '{}'", identifier_of_about(&self.settings.keyspace))).await
    }

    /// The data centre of the keyspace, and how many copies it has: as many as there are nodes, three at most.
    async fn copies(&self) -> Result<(String, usize), Refusal> {
        let datacenter = match &self.settings.datacenter {
            Some(datacenter) => datacenter.clone(),
            None => {
                let sql = "SELECT data_center FROM system.local";
                let found = self.session.query_unpaged(sql, ()).await?.into_rows_result()?;
                let row = found.first_row::<(String,)>();
                row.map_err(|error| Refusal::new(error.to_string()))?.0
            }
        };
        let state = self.session.get_cluster_state();
        let is_there = |node: &&std::sync::Arc<scylla::cluster::Node>| {
            node.datacenter.as_deref() == Some(datacenter.as_str())
        };
        let copies = state.get_nodes_info().iter().filter(is_there).count().clamp(1, MOST_COPIES);
        Ok((datacenter, copies))
    }

    /// Whether it is this host's turn to make tables: of all data centres, since the tables are of all. A turn that is not given back ends by
    /// itself.
    async fn take_turn(&self) -> Result<bool, Refusal> {
        let sql = format!(
            "INSERT INTO {}.about (name, value) VALUES ('turn', ?) IF NOT EXISTS USING TTL {TURN_SECS}",
            self.keyspace
        );
        let answer = self.session.query_unpaged(in_turn(sql), (&self.turn,)).await?.into_rows_result()?;
        let row = answer.first_row::<Row>().map_err(|error| Refusal::new(error.to_string()))?;
        // Who has the turn is said where it is not given; what is said besides differs between servers.
        let value = |name: &str| {
            let (place, _) = answer.column_specs().get_by_name(name)?;
            row.columns.get(place)?.as_ref()
        };
        let is_given = value("[applied]").and_then(CqlValue::as_boolean) == Some(true);
        Ok(is_given || value("value").and_then(CqlValue::as_text) == Some(&self.turn))
    }

    async fn give_turn_back(&self) -> Result<(), Refusal> {
        let sql = format!("DELETE FROM {}.about WHERE name = 'turn' IF value = ?", self.keyspace);
        self.session.query_unpaged(in_turn(sql), (&self.turn,)).await?;
        Ok(())
    }

    /// Makes what is missing, and writes down last that all is there.
    async fn make_tables(&self) -> Result<(), Refusal> {
        let keyspace = &self.keyspace;
        // Another host may have had its turn meanwhile.
        if self.version().await? == Some(VERSION) {
            return Ok(());
        }
        info!(%keyspace, version = VERSION, "makes the tables of the journal");
        for (_, table) in TABLES {
            self.change(table.replace("KEYSPACE", keyspace)).await?;
        }
        self.change(format!("INSERT INTO {keyspace}.about (name, value) VALUES ('version', '{VERSION}')"))
            .await
    }

    /// Whoever makes something waits until all nodes know it.
    async fn change(&self, sql: String) -> Result<(), Refusal> {
        let mut statement = Statement::new(sql);
        statement.set_request_timeout(Some(self.settings.patience * MAKING_PATIENCES));
        let done: Result<_, ExecutionError> = self.session.query_unpaged(statement, ()).await;
        done.map(drop).map_err(Refusal::from)
    }
}

/// A statement by which hosts of all data centres take turns.
fn in_turn(sql: String) -> Statement {
    let mut statement = Statement::new(sql);
    statement.set_serial_consistency(Some(SerialConsistency::Serial));
    statement
}

/// The identifier of the table `about` of a keyspace, the same whoever makes it (RFC 9562, version 8).
fn identifier_of_about(keyspace: &str) -> Uuid {
    let digest = Sha256::digest(format!("l2gw {}.about", keyspace.to_lowercase()));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The form of the tables that this program knows.
const VERSION: u32 = 1;
/// The tables of version 1. Entries end by their own time to live; a window of compaction is a day, so what ended is dropped by the file.
const TABLES: &[(&str, &str)] = &[
    (
        "stretches",
        "CREATE TABLE IF NOT EXISTS KEYSPACE.stretches (host text, stretch int, day bigint, first bigint, last bigint, \
     earliest timestamp, latest timestamp, bytes bigint, PRIMARY KEY (host, stretch))",
    ),
    (
        "journal",
        "CREATE TABLE IF NOT EXISTS KEYSPACE.journal (host text, stretch int, number bigint, run uuid, kind text, at timestamp, \
     size int, body blob, PRIMARY KEY ((host, stretch), number, run)) WITH compaction = \
     {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': '1'}",
    ),
];
/// Copies of each row, where there are so many nodes.
const MOST_COPIES: usize = 3;
/// Seconds after which a turn ends that its host does not give back.
const TURN_SECS: u32 = 30;
/// How often it is looked whether the tables are there, and how long between two looks.
const LOOKS: u32 = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// To make a table takes longer than to write a row.
const MAKING_PATIENCES: u32 = 3;
