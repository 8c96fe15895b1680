//! Whose is it: what an answer or a notification carries of owners, compared with the account.

use serde_json::{Map, Value};

/// What disagrees with the account's settings, without the values that were sent. `None`: nothing does.
///
/// An owner that the account has no setting for cannot be compared and says nothing.
pub(crate) fn disagreement(settings: &Map<String, Value>, owners: &[(&'static str, String)]) -> Option<String> {
    owners.iter().find_map(|(name, value)| {
        let ours = match settings.get(*name)? {
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.clone(),
            Value::Null => return None,
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
        };
        (ours != *value).then(|| format!("its {name} is not the account's"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_compared_with_settings() {
        // An owner equal to the setting agrees, another one does not, one without a setting says nothing.
        let settings = serde_json::json!({"mch_id": "1900", "number": 7, "empty": "", "null": null});
        let settings = settings.as_object().expect("an object");
        let table = [
            (vec![], true),
            (vec![("mch_id", "1900")], true),
            (vec![("mch_id", "1901")], false),
            (vec![("mch_id", "1900"), ("number", "8")], false),
            (vec![("number", "7")], true),
            (vec![("empty", "x"), ("null", "y"), ("absent", "z")], true),
        ];
        for (owners, agrees) in table {
            let owners: Vec<_> = owners.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            assert_eq!(disagreement(settings, &owners).is_none(), agrees, "{owners:?}");
        }
    }
}
