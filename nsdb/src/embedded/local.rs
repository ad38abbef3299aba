//! [`Local`] in the file.

use crate::embedded::Embedded;
use crate::embedded::tables::LOCAL;
use crate::error::StoreError;
use crate::local::{self, Local, LocalError};

impl Embedded {
    /// What was saved under `key`, for who cannot wait.
    pub(crate) fn load_now(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.file.read(|reading| reading.table(LOCAL)?.load(key.as_bytes()))
    }
}

impl Local for Embedded {
    async fn save(&self, key: &str, value: Vec<u8>) -> Result<(), LocalError> {
        local::check(key, &value)?;
        let (key, bytes) = (key.to_owned(), value.len());
        self.writer
            .run(
                bytes,
                move |writing| writing.table(LOCAL)?.save(key.as_bytes(), &value).map(|_| Ok(())),
                |()| (),
            )
            .await
    }

    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, LocalError> {
        local::check(key, &[])?;
        Ok(self.load_now(key)?)
    }

    async fn delete(&self, key: &str) -> Result<bool, LocalError> {
        local::check(key, &[])?;
        let key = key.to_owned();
        self.writer.run(0, move |writing| Ok(Ok(writing.table(LOCAL)?.remove(key.as_bytes())?)), |_| ()).await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, LocalError> {
        let keys = self.file.read(|reading| {
            let local = reading.table(LOCAL)?;
            let keys = local.keys_while(prefix.as_bytes(), |key| key.starts_with(prefix.as_bytes()))?;
            let text = |key: Vec<u8>| {
                String::from_utf8(key).map_err(|e| local.damaged(e.as_bytes(), "its key is not text"))
            };
            keys.into_iter().map(text).collect()
        })?;
        Ok(keys)
    }
}
