//! Content bundles: clients see their summaries (drp-api.md 8.4, 11.2).

use formwork_model::{InstalledContent, Object};
use serde_json::Value;

use super::Behaviour;

/// How content bundles behave.
pub(super) struct Contents;

impl Behaviour for Contents {
    fn shown(&self, object: &dyn Object) -> Option<Value> {
        let content = object.as_any().downcast_ref::<InstalledContent>()?;
        serde_json::to_value(content.summary()).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        auth::Caller,
        commands::contents::{self, Installation},
        testing::{Site, Wishes},
    };

    #[tokio::test]
    async fn content_event_has_the_summary() {
        let site = Site::new(Wishes::default());
        let mut feed = site.endpoint.store.feed();
        let content = json!({"meta": {"Name": "told", "Order": "7"}, "sections": {"profiles": {"pp": {}}}});
        let content = serde_json::from_value(content).unwrap();
        let how = Installation::default();
        let summary = contents::install(&site.endpoint, &Caller::operator(), content, how).await.unwrap();
        let entry = feed.next().await.unwrap();
        let told = site.endpoint.hub.of(&entry);
        let event = told.iter().find(|told| told.r#type == "contents").unwrap();
        let event: serde_json::Value = serde_json::from_str(event.text().as_str()).unwrap();
        assert_eq!((&event["Action"], &event["Key"]), (&json!("create"), &json!("told")));
        assert_eq!(event["Object"], serde_json::to_value(&summary).unwrap());
        assert_eq!(
            (&event["Object"]["meta"]["Order"], &event["Object"]["Counts"]["profiles"]),
            (&json!("7"), &json!(1))
        );
        assert_eq!(told.iter().filter(|told| told.r#type == "profiles").count(), 1);
    }
}
