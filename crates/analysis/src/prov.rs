//! Who made or changed what from what, as W3C PROV-JSON.
//!
//! Processes are activities, files and connections entities, users agents. An entity stands for a name over the whole
//! trace, not for one version of what it had in it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::process::{Named, Process};
use crate::report::Report;

/// A document of PROV-JSON.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    prefix: BTreeMap<&'static str, &'static str>,
    entity: BTreeMap<String, Value>,
    activity: BTreeMap<String, Value>,
    agent: BTreeMap<String, Value>,
    used: BTreeMap<String, Value>,
    was_generated_by: BTreeMap<String, Value>,
    was_derived_from: BTreeMap<String, Value>,
    was_invalidated_by: BTreeMap<String, Value>,
    was_informed_by: BTreeMap<String, Value>,
    was_associated_with: BTreeMap<String, Value>,
    /// The entities' identifiers, by kind and name.
    #[serde(skip)]
    known: BTreeMap<(&'static str, String), String>,
}

impl Provenance {
    /// The provenance in a report: of the processes that did something, and of those that they descend from.
    pub fn of(report: &Report) -> Provenance {
        let prefix = [("pandacap", "https://github.com/pandacap/pandacap/provenance#")].into();
        let mut document = Provenance { prefix, ..Provenance::default() };
        let shown = report.shown();
        for (place, process) in report.processes.iter().enumerate().filter(|(place, _)| shown[*place]) {
            document.process(place, process);
        }
        document
    }

    fn process(&mut self, place: usize, process: &Process) {
        let activity = activity(place);
        let arguments: Vec<&[String]> = process
            .programs
            .iter()
            .map(|program| &*program.arguments)
            .filter(|all| !all.is_empty())
            .collect();
        self.activity.insert(
            activity.clone(),
            json!({
                "prov:label": process.name,
                "pandacap:pid": process.pid,
                "pandacap:began": process.began.unwrap_or_default(),
                "pandacap:commands": arguments.iter().map(|all| all.join(" ")).collect::<Vec<_>>(),
            }),
        );
        if let Some(parent) = process.parent {
            let informed = json!({ "prov:informed": activity, "prov:informant": self::activity(parent) });
            relate(&mut self.was_informed_by, informed);
        }
        let users = process.changes.iter().map(|change| change.after.euid);
        let mut users: Vec<u32> = [process.credentials.euid].into_iter().chain(users).collect();
        users.sort_unstable();
        users.dedup();
        for user in users {
            let agent = format!("pandacap:user-{user}");
            self.agent
                .entry(agent.clone())
                .or_insert_with(|| json!({ "prov:label": format!("user {user}") }));
            relate(&mut self.was_associated_with, json!({ "prov:activity": activity, "prov:agent": agent }));
        }
        for program in &process.programs {
            self.uses(&activity, "file", &program.file, program.instructions.unwrap_or_default());
        }
        for file in &process.files {
            if file.read > 0 || file.mapped || (file.written == 0 && !file.to_write) {
                self.uses(&activity, "file", &file.path, 0);
            }
            if file.written > 0 {
                self.generates(&activity, "file", &file.path, 0);
            }
        }
        for connection in &process.connections {
            let name =
                connection.socket.as_ref().map_or_else(|| connection.address.clone(), ToString::to_string);
            if connection.read > 0 || connection.written == 0 {
                self.uses(&activity, "connection", &name, connection.instructions);
            }
            if connection.written > 0 {
                self.generates(&activity, "connection", &name, connection.instructions);
            }
        }
        for change in &process.names {
            let entity = self.entity("file", &change.path);
            match change.what {
                Named::Removed => relate(
                    &mut self.was_invalidated_by,
                    json!({ "prov:entity": entity, "prov:activity": activity,
                            "pandacap:instructions": change.instructions }),
                ),
                _ => self.generates(&activity, "file", &change.path, change.instructions),
            }
            if let Some(from) = &change.from {
                let source = self.entity("file", from);
                let derived = json!({ "prov:generatedEntity": entity, "prov:usedEntity": source,
                                      "prov:activity": activity });
                relate(&mut self.was_derived_from, derived);
            }
        }
    }

    /// The identifier of what has this name.
    fn entity(&mut self, kind: &'static str, name: &str) -> String {
        let next = format!("pandacap:{kind}-{}", self.known.len() + 1);
        let identifier = self.known.entry((kind, name.to_owned())).or_insert(next).clone();
        let described = || json!({ "prov:label": name, "prov:type": format!("pandacap:{kind}") });
        self.entity.entry(identifier.clone()).or_insert_with(described);
        identifier
    }

    fn uses(&mut self, activity: &str, kind: &'static str, name: &str, instructions: u64) {
        let entity = self.entity(kind, name);
        let used = json!({ "prov:activity": activity, "prov:entity": entity,
                           "pandacap:instructions": instructions });
        relate(&mut self.used, used);
    }

    fn generates(&mut self, activity: &str, kind: &'static str, name: &str, instructions: u64) {
        let entity = self.entity(kind, name);
        let generated = json!({ "prov:entity": entity, "prov:activity": activity,
                                "pandacap:instructions": instructions });
        relate(&mut self.was_generated_by, generated);
    }
}

/// The identifier of the process at a place in the report.
fn activity(place: usize) -> String {
    format!("pandacap:process-{}", place + 1)
}

/// Adds a relation, which needs no name.
fn relate(relations: &mut BTreeMap<String, Value>, relation: Value) {
    relations.insert(format!("_:{}", relations.len() + 1), relation);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Access, Credentials, Event, Line};

    #[test]
    fn a_file_leads_to_its_maker_and_to_what_that_read() {
        let credentials = Credentials::default();
        let used = |path: &str, read, written| Event::Used {
            path: path.to_owned(),
            read,
            written,
            mapped: false,
            socket: None,
        };
        let events = [
            (1, Event::Started { parent: 1, name: "cp".to_owned(), credentials, kernel: false }),
            (2, Event::Opened { path: "/a".to_owned(), fd: 3, access: Access::Read, create: false }),
            (3, used("/a", 5, 0)),
            (4, used("/b", 0, 5)),
            (5, Event::Renamed { from: "/b".to_owned(), to: "/c".to_owned() }),
            (6, Event::Removed { path: "/a".to_owned() }),
        ];
        let lines =
            events.map(|(instructions, event)| Ok::<_, ()>(Line { instructions, pid: Some(7), event }));
        let document = serde_json::to_value(Provenance::of(&Report::of(lines).unwrap())).unwrap();
        let entity = |label: &str| {
            let entities = document["entity"].as_object().unwrap();
            entities.iter().find(|(_, entity)| entity["prov:label"] == label).unwrap().0.clone()
        };
        let process = "pandacap:process-1";
        assert_eq!(document["activity"][process]["prov:label"], "cp");
        assert_eq!(document["used"]["_:1"]["prov:entity"], *entity("/a"));
        assert_eq!(document["wasGeneratedBy"]["_:1"]["prov:entity"], *entity("/b"));
        let derived = &document["wasDerivedFrom"]["_:1"];
        assert_eq!(
            (&derived["prov:generatedEntity"], &derived["prov:usedEntity"]),
            (&entity("/c").into(), &entity("/b").into())
        );
        assert_eq!(document["wasInvalidatedBy"]["_:1"]["prov:entity"], *entity("/a"));
        assert_eq!(document["wasAssociatedWith"]["_:1"]["prov:agent"], "pandacap:user-0");
    }
}
