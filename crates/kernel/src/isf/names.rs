//! Names for types: ISF refers to them by name, while BTF has several of one name, and others without one.

use std::collections::HashMap;

use crate::btf::{Id, Type, Types};

/// The type that each name belongs to.
pub(super) struct Names<'a>(HashMap<&'a str, Id>);

impl<'a> Names<'a> {
    pub(super) fn of(types: &Types<'a>) -> Names<'a> {
        let mut owners = HashMap::new();
        for id in 1..types.count() as Id {
            if let Some(Type::Composite(crate::btf::Composite { name, .. }) | Type::Enum { name, .. }) =
                types.get(id)
                && !name.is_empty()
            {
                owners.entry(name).or_insert(id);
            }
        }
        Names(owners)
    }

    /// The name of a type: its own, unless another has that.
    pub(super) fn of_id(&self, id: Id, own: &str) -> String {
        match self.0.get(own) {
            Some(&owner) if owner == id => own.to_owned(),
            Some(_) => format!("{own}_{id}"),
            None => format!("unnamed_{id}"),
        }
    }

    /// The type of this name.
    pub(super) fn get(&self, name: &str) -> Option<Id> {
        self.0.get(name).copied()
    }
}
