//! What happened in the engine.
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use super::TextMap;
use crate::document::omit;
use serde::{Deserialize, Serialize};

/// One event. The first three fields repeat others for clients of long ago, for containers and images only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    #[serde(skip_serializing_if = "omit::zero")]
    pub status: String,
    #[serde(skip_serializing_if = "omit::zero")]
    pub id: String,
    #[serde(skip_serializing_if = "omit::zero")]
    pub from: String,
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(rename = "Action")]
    pub action: String,
    #[serde(rename = "Actor")]
    pub actor: EventActor,
    #[serde(rename = "scope", skip_serializing_if = "omit::zero")]
    pub scope: String,
    #[serde(skip_serializing_if = "omit::zero")]
    pub time: i64,
    #[serde(rename = "timeNano", skip_serializing_if = "omit::zero")]
    pub time_nano: i64,
}

documents! {
    /// To what it happened.
    pub struct EventActor {
        #[serde(rename = "ID")]
        pub id: String,
        pub attributes: TextMap,
    }
}
