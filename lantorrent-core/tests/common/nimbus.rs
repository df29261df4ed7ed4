//! Recorded connections to a node of version 0.2: testdata/nimbus-0.2.json.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Vectors {
    pub(crate) from_client: Vec<FromClient>,
    pub(crate) to_node: Vec<Connection>,
}

#[derive(Deserialize)]
pub(crate) struct FromClient {
    pub(crate) wrote: String,
}

#[derive(Deserialize)]
pub(crate) struct Connection {
    pub(crate) name: String,
    pub(crate) sent: String,
    pub(crate) received: Option<String>,
    // Tests of the codecs have no files to look at.
    #[allow(dead_code)]
    pub(crate) files_after: BTreeMap<String, u64>,
}

pub(crate) fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../testdata/nimbus-0.2.json")).unwrap()
}
