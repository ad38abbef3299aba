//! A document read, written and read again: the three agree, or a reader and a writer do not know the same format.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema;

/// Reads bytes as a document of a caller's, of a version.
///
/// # Errors
/// What came back as something else, or could not be written although it was read.
pub fn reread_document<T>(version: u8, bytes: &[u8]) -> Result<Result<T, schema::SchemaError>, String>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let document = match schema::decode::<T>(version, bytes) {
        Ok(document) => document,
        Err(error) => return Ok(Err(error)),
    };
    let again = schema::encode(version, &document).map_err(|error| format!("{document:?}: {error}"))?;
    expect_same(&document, schema::decode(version, &again).ok())?;
    Ok(Ok(document))
}

/// Whether the same came back.
pub(crate) fn expect_same<T: PartialEq + std::fmt::Debug>(there: &T, again: Option<T>) -> Result<(), String> {
    match again {
        Some(again) if again == *there => Ok(()),
        again => Err(format!("{there:?} came back as {again:?}")),
    }
}
