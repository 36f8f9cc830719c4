//! Everything that a zone holds.

use kpx_proxy::NamespacedName;

use crate::Name;
use crate::lookup::{protocol_label, service_below};
use crate::records::{RecordSet, RecordType};
use crate::service_names::ServiceNames;
use crate::zones::Zones;

/// The types of records that names other than the apex have.
const TYPES: [RecordType; 6] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::SRV,
    RecordType::PTR,
    RecordType::TXT,
];

impl Zones {
    /// Every record set of a zone, the SOA record first: what a question for each name and type
    /// would be answered with.
    pub fn record_sets(&self, zone: &Name, now: u32) -> Vec<RecordSet> {
        let mut sets = vec![self.soa(zone, now)];
        self.collect(zone, &[RecordType::NS], now, &mut sets);
        if *zone == self.config.zone {
            for labels in [&["ns", "dns"][..], &["dns-version"]] {
                let name = Name::from_labels(labels.iter().copied());
                if let Some(name) = name.and_then(|name| name.below(zone)) {
                    self.collect(&name, &TYPES, now, &mut sets);
                }
            }
            for (service, names) in self.services() {
                for name in self.names_of(&service, &names) {
                    self.collect(&name, &TYPES, now, &mut sets);
                }
            }
        } else {
            for address in self.addresses() {
                if let Some(name) = Name::of_address(*address)
                    && self.zone_of(&name) == Some(zone)
                {
                    self.collect(&name, &[RecordType::PTR], now, &mut sets);
                }
            }
        }
        sets
    }

    fn names_of(&self, service: &NamespacedName, names: &ServiceNames) -> Vec<Name> {
        let zone = &self.config.zone;
        let Some(own) = service_below(service, zone, None) else {
            return Vec::new();
        };
        let mut all = vec![own.clone()];
        let mut labels: Vec<&str> = names
            .endpoints
            .iter()
            .map(|one| one.label.as_str())
            .collect();
        labels.dedup();
        all.extend(
            labels
                .iter()
                .filter_map(|label| Name::from_labels([*label])?.below(&own)),
        );
        for (port, protocol) in names.named_ports() {
            let protocol = str::from_utf8(protocol_label(protocol)).unwrap_or_default();
            let name = Name::from_labels([format!("_{port}").as_str(), protocol]);
            all.extend(name.and_then(|name| name.below(&own)));
        }
        all
    }

    fn collect(&self, name: &Name, types: &[RecordType], now: u32, sets: &mut Vec<RecordSet>) {
        for record_type in types {
            let Some(answer) = self.lookup(name, *record_type, now) else {
                continue;
            };
            let own = answer.answer.into_iter().next();
            if let Some(set) = own.filter(|set| {
                let data = set.records.first().map(|record| record.data.record_type());
                data == Some(*record_type) && !sets.last().is_some_and(|last| last == set)
            }) {
                sets.push(set);
            }
        }
    }
}
