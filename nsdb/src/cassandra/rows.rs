//! The statements, and what rows are.

use std::fmt;

use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use scylla::client::session::Session;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use uuid::Uuid;

use super::ledger::{Run, Stretch, size};
use super::refusal::Refusal;
use crate::clock::WallTime;
use crate::journal::entry::{EntryId, EntryKind, JournalEntry, NewEntry, Query};

/// A cluster that has our tables.
pub(super) struct Connected {
    pub(super) session: Session,
    pub(super) statements: Statements,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connected")
    }
}

/// What is asked of the cluster, each understood by it once.
pub(super) struct Statements {
    read_stretches: PreparedStatement,
    write_stretch: PreparedStatement,
    remove_stretch: PreparedStatement,
    write_entry: PreparedStatement,
    read_newest: PreparedStatement,
    read_last: PreparedStatement,
    read_oldest: PreparedStatement,
    remove_oldest: PreparedStatement,
}

impl Statements {
    pub(super) async fn prepare(session: &Session, keyspace: &str) -> Result<Self, Refusal> {
        let prepare = async |sql: &str| -> Result<PreparedStatement, Refusal> {
            let mut statement = session.prepare(sql.replace("KEYSPACE", keyspace)).await?;
            // The same numbers again: what is written twice is there once.
            statement.set_is_idempotent(true);
            Ok(statement)
        };
        let mut read_newest = prepare(
            "SELECT number, kind, at, body FROM KEYSPACE.journal WHERE host = ? AND stretch = ? ORDER BY number DESC",
        )
        .await?;
        read_newest.set_page_size(ROWS_A_PAGE);
        Ok(Self {
            read_newest,
            read_last: prepare(
                "SELECT number FROM KEYSPACE.journal WHERE host = ? AND stretch = ? ORDER BY number DESC LIMIT 1",
            )
            .await?,
            read_stretches: prepare(
                "SELECT stretch, day, first, last, earliest, latest, bytes FROM KEYSPACE.stretches WHERE host = ?",
            )
            .await?,
            write_stretch: prepare(
                "INSERT INTO KEYSPACE.stretches (host, stretch, day, first, last, earliest, latest, bytes) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?",
            )
            .await?,
            remove_stretch: prepare("DELETE FROM KEYSPACE.stretches WHERE host = ? AND stretch = ?").await?,
            write_entry: prepare(
                "INSERT INTO KEYSPACE.journal (host, stretch, number, run, kind, at, size, body) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?",
            )
            .await?,
            read_oldest: prepare(
                "SELECT number, at, size FROM KEYSPACE.journal WHERE host = ? AND stretch = ? AND number >= ? LIMIT 1000",
            )
            .await?,
            remove_oldest: prepare(
                "DELETE FROM KEYSPACE.journal WHERE host = ? AND stretch = ? AND number <= ?",
            )
            .await?,
        })
    }
}

/// Whose rows are written, which run of its daemon that is, and for how many seconds they are to be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) host: &'a str,
    pub(super) run: Uuid,
    pub(super) ttl: i32,
}

/// An entry as far as one needs it to let it go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Old {
    pub(super) number: u64,
    pub(super) at: WallTime,
    pub(super) bytes: u64,
}

impl Connected {
    pub(super) async fn stretches(&self, host: &str) -> Result<Vec<Stretch>, Refusal> {
        type Row = (i32, i64, i64, i64, CqlTimestamp, CqlTimestamp, i64);
        let rows = self.session.execute_iter(self.statements.read_stretches.clone(), (host,)).await?;
        let rows = rows.rows_stream::<Row>().map_err(|error| Refusal::new(error.to_string()))?;
        let stretch = |(number, day, first, last, earliest, latest, bytes): Row| Stretch {
            number,
            day,
            first: unsigned(first),
            last: unsigned(last),
            earliest: wall(earliest),
            latest: wall(latest),
            bytes: unsigned(bytes),
        };
        Ok(rows.map_ok(stretch).try_collect().await?)
    }

    /// Writes what is known of a stretch. It goes with the last of its entries.
    pub(super) async fn write_stretch(&self, writer: Writer<'_>, stretch: &Stretch) -> Result<(), Refusal> {
        let Stretch { number, day, first, last, earliest, latest, bytes } = *stretch;
        let (from, to) = (stamp(earliest), stamp(latest));
        let values =
            (writer.host, number, day, signed(first), signed(last), from, to, signed(bytes), writer.ttl);
        self.session.execute_unpaged(&self.statements.write_stretch, values).await?;
        Ok(())
    }

    /// Writes the stretch first, so that whoever reads knows of all that may be in it.
    pub(super) async fn write_run(
        &self,
        writer: Writer<'_>,
        run: &Run,
        entries: &[NewEntry],
    ) -> Result<(), Refusal> {
        self.write_stretch(writer, &run.stretch).await?;
        let mut pieces = Vec::new();
        let (mut begin, mut bytes) = (0, 0);
        for (index, entry) in entries.iter().enumerate() {
            if index > begin && bytes + size(entry) > BATCH_BYTES {
                pieces.push(begin..index);
                (begin, bytes) = (index, 0);
            }
            bytes += size(entry);
        }
        pieces.push(begin..entries.len());
        let write = |piece: std::ops::Range<usize>| {
            let first = run.first + piece.start as u64;
            self.write_piece(writer, run.stretch.number, first, &entries[piece])
        };
        stream::iter(pieces).map(Ok).try_for_each_concurrent(BATCHES_AT_ONCE, write).await
    }

    async fn write_piece(
        &self,
        writer: Writer<'_>,
        stretch: i32,
        first: u64,
        entries: &[NewEntry],
    ) -> Result<(), Refusal> {
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        entries.iter().for_each(|_| batch.append_statement(self.statements.write_entry.clone()));
        let value = |(index, entry): (usize, &'_ NewEntry)| {
            let number = signed(first + index as u64);
            let bytes = i32::try_from(size(entry)).unwrap_or(i32::MAX);
            let (kind, at, body) = (entry.kind.as_str().to_owned(), stamp(entry.at), entry.body.clone());
            (writer.host, stretch, number, writer.run, kind, at, bytes, body, writer.ttl)
        };
        let values: Vec<_> = entries.iter().enumerate().map(value).collect();
        self.session.batch(&batch, values).await?;
        Ok(())
    }

    /// The entries of a stretch that match, the newest first, until there are enough.
    pub(super) async fn matching(
        &self,
        host: &str,
        stretch: i32,
        query: &Query,
        most: usize,
    ) -> Result<Vec<JournalEntry>, Refusal> {
        type Row = (i64, String, CqlTimestamp, Vec<u8>);
        let rows = self.session.execute_iter(self.statements.read_newest.clone(), (host, stretch)).await?;
        let mut rows = rows.rows_stream::<Row>().map_err(|error| Refusal::new(error.to_string()))?;
        let mut found = Vec::new();
        while found.len() < most {
            let Some((number, kind, at, body)) = rows.try_next().await? else { break };
            let unread = |error| Refusal::new(format!("entry {number} of {host} is damaged: {error}"));
            let (kind, at) = (EntryKind::new(kind).map_err(unread)?, wall(at));
            if query.matches(&kind, at) {
                found.push(JournalEntry { id: EntryId(unsigned(number)), kind, at, body });
            }
        }
        Ok(found)
    }

    /// The number of the newest entry of a stretch.
    pub(super) async fn last(&self, host: &str, stretch: i32) -> Result<Option<u64>, Refusal> {
        let rows = self.session.execute_unpaged(&self.statements.read_last, (host, stretch)).await?;
        let rows = rows.into_rows_result()?;
        let row = rows.maybe_first_row::<(i64,)>().map_err(|error| Refusal::new(error.to_string()))?;
        Ok(row.map(|(number,)| unsigned(number)))
    }

    /// Some of the oldest entries of a stretch.
    pub(super) async fn oldest(&self, host: &str, stretch: &Stretch) -> Result<Vec<Old>, Refusal> {
        type Row = (i64, CqlTimestamp, i32);
        let values = (host, stretch.number, signed(stretch.first));
        let rows = self.session.execute_unpaged(&self.statements.read_oldest, values).await?;
        let rows = rows.into_rows_result()?;
        let rows = rows.rows::<Row>().map_err(|error| Refusal::new(error.to_string()))?;
        let old = |row: Result<Row, _>| {
            let (number, at, bytes) =
                row.map_err(|error: scylla::errors::DeserializationError| Refusal::new(error.to_string()))?;
            Ok(Old { number: unsigned(number), at: wall(at), bytes: unsigned(i64::from(bytes)) })
        };
        rows.map(old).collect()
    }

    /// Removes the entries of a stretch up to a number.
    pub(super) async fn remove_oldest(&self, host: &str, stretch: i32, last: u64) -> Result<(), Refusal> {
        let values = (host, stretch, signed(last));
        self.session.execute_unpaged(&self.statements.remove_oldest, values).await?;
        Ok(())
    }

    pub(super) async fn remove_stretch(&self, host: &str, stretch: i32) -> Result<(), Refusal> {
        self.session.execute_unpaged(&self.statements.remove_stretch, (host, stretch)).await?;
        Ok(())
    }
}

fn stamp(at: WallTime) -> CqlTimestamp {
    CqlTimestamp(signed(at.as_millis()))
}

fn wall(at: CqlTimestamp) -> WallTime {
    WallTime::from_millis(unsigned(at.0))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Bytes of one batch, which goes to one partition: several are under way at a time, and one that is not answered costs little to send again.
const BATCH_BYTES: u64 = 24 << 10;
/// Entries that are read at a time: of the largest, some megabytes.
const ROWS_A_PAGE: i32 = 200;
/// Batches that are under way at one time.
const BATCHES_AT_ONCE: usize = 8;
