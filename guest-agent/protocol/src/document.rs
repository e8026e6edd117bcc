//! How Go's JSON decoder sees a document: an absent field and a `null` are both the field's zero value.

use serde::{Deserialize, Deserializer};

/// Reads a value, taking `null` for the type's default.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Declares structs whose fields are named in PascalCase on the wire and read as Go reads them.
///
/// `Option<Vec<_>>` and `Option<BTreeMap<_>>` are Go's slices and maps: `None` is written `null`. Go's
/// `omitempty` is one of the `skip_serializing_if` paths of this crate's `omit` module.
macro_rules! documents {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident: $type:ty ),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(deserialize_with = "crate::document::or_default")]
                pub $field: $type,
            )*
        }
    )*};
}

/// Conditions under which Go's `omitempty` leaves a field out.
pub(crate) mod omit {
    /// Zero, false, empty text, empty list: all are the default of their type.
    pub(crate) fn zero<T: Default + PartialEq>(value: &T) -> bool {
        *value == T::default()
    }

    /// An absent or an empty list or map.
    pub(crate) fn empty<T: IsEmpty>(value: &T) -> bool {
        value.is_empty()
    }

    /// What can be empty.
    pub(crate) trait IsEmpty {
        fn is_empty(&self) -> bool;
    }
    impl<T> IsEmpty for Option<Vec<T>> {
        fn is_empty(&self) -> bool {
            self.as_ref().is_none_or(Vec::is_empty)
        }
    }
    impl<K, V> IsEmpty for Option<std::collections::BTreeMap<K, V>> {
        fn is_empty(&self) -> bool {
            self.as_ref()
                .is_none_or(std::collections::BTreeMap::is_empty)
        }
    }
}
