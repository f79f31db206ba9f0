//! The items of a list, one by one while its body comes: a page of whole Nodes has megabytes, of which
//! little is looked at.

use serde::Deserialize;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;

/// Takes the text of a list apart. It tells items by brackets alone; whether they and the rest are what
/// they are to be is found when they are decoded.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// The list without its items.
    rest: Vec<u8>,
    /// An item as far as it has come.
    item: Vec<u8>,
    /// How many brackets are open.
    depth: usize,
    /// Whether the second of them is that of the items.
    is_inside: bool,
    is_in_text: bool,
    is_escaped: bool,
}

/// What stands around the items.
#[derive(Deserialize)]
struct Rest {
    metadata: ListMeta,
    /// An empty list may say null. What is no object was left here, and is refused.
    #[serde(rename = "items")]
    _items: Option<[(); 0]>,
}

impl Items {
    /// Hands over each item that has come to its end.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        take: &mut dyn FnMut(&[u8]) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        while let Some(end) = self.read_item(bytes) {
            take(&self.item)?;
            self.item.clear();
            bytes = &bytes[end..];
        }
        Ok(())
    }

    /// What the list says of itself, after all of it was read.
    pub(super) fn metadata(&self) -> serde_json::Result<ListMeta> {
        serde_json::from_slice::<Rest>(&self.rest).map(|rest| rest.metadata)
    }

    /// Reads until an item is whole, and returns where it ends.
    fn read_item(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if self.is_in_text {
                self.is_in_text = self.is_escaped || *byte != b'"';
                self.is_escaped = !self.is_escaped && *byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.is_in_text = true,
                b'{' | b'[' => {
                    if self.is_inside && self.depth == 2 {
                        self.rest.extend_from_slice(&bytes[start..at]);
                        start = at;
                    }
                    self.is_inside |= self.depth == 1 && *byte == b'[';
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.is_inside && self.depth == 2 {
                        self.item.extend_from_slice(&bytes[start..=at]);
                        return Some(at + 1);
                    }
                    self.is_inside &= self.depth > 1;
                }
                b',' if self.is_inside && self.depth == 2 => {
                    self.rest.extend_from_slice(&bytes[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        let begun = if self.is_inside && self.depth > 2 { &mut self.item } else { &mut self.rest };
        begun.extend_from_slice(&bytes[start..]);
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The items and the metadata of a text that comes in pieces of a size.
    fn apart(text: &str, size: usize) -> serde_json::Result<(Vec<Value>, ListMeta)> {
        let (mut items, mut found) = (Items::default(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            items.read(piece, &mut |item| serde_json::from_slice(item).map(|item| found.push(item)))?;
        }
        let metadata = items.metadata()?;
        Ok((found, metadata))
    }

    #[test]
    fn what_is_no_list_or_ends_early_is_an_error() {
        for text in [
            "",
            "x",
            "[]",
            "{}",
            "]}",
            r#"{"metadata": {}, "items": [{"a": 1}"#,
            r#"{"metadata": {}, "items": [{"a": "}"#,
            r#"{"metadata": {}, "items": [{"a": 1], "b": 2}"#,
            r#"{"metadata": {}, "items": [{"a" 1}]}"#,
            r#"{"metadata": {}, "items": [1, 2]}"#,
            r#"{"metadata": {}, "items": [{}]} {}"#,
            r#"{"metadata": [], "items": 7}"#,
        ] {
            assert!(apart(text, 3).is_err(), "{text}");
        }
        for text in [r#"{"metadata": {}, "items": null}"#, r#"{"metadata": {}}"#] {
            assert_eq!(apart(text, 2).unwrap().0, Vec::<Value>::new());
        }
    }

    fn item() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(Value::from),
            "[a{}\\[\\],:\"\\\\é\n]{0,9}".prop_map(Value::from)
        ];
        let any = leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a{}\\[\\]\"\\\\]{0,3}", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[a-c]", any, 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn every_item_comes_once_and_in_order(
            items in prop::collection::vec(item(), 0..5), size in 1_usize..40, is_pretty: bool, is_last: bool,
        ) {
            let head = json!({"kind": "NodeList", "metadata": {"resourceVersion": "7", "continue": "a[{\"b"}});
            let print = |value: &Value| {
                if is_pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }.unwrap()
            };
            let (head, list) = (print(&head), print(&Value::from(items.clone())));
            // The metadata may come behind the items.
            let text = if is_last {
                format!("{},\n\"items\": {list} }}", head.strip_suffix('}').unwrap())
            } else {
                format!("{{\"items\":{list},{}", &head[1..])
            };
            let (found, metadata) = apart(&text, size).unwrap();
            prop_assert_eq!(found, items);
            prop_assert_eq!(metadata.continue_.as_deref(), Some("a[{\"b"));
        }
    }
}
