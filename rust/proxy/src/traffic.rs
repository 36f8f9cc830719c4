//! How many connections Services and endpoints got, as the counters of elements tell.
//!
//! An element counts from when it was made. One that is replaced, because its endpoint moved to
//! another slot or its frontend got another number of endpoints, begins anew; so a meter sums up
//! differences between readings, and takes a count that fell for a beginning.

use std::collections::BTreeMap;

use kpx_netlink::Transport;
use kpx_nftables::{Client, Data, Element, Family, Name, ObserveError};
use serde::Serialize;

use crate::frontend::{Destination, FrontendKey};
use crate::hash::HashMap;
use crate::layout::{SetId, SetTable, decode_destination, decode_key, decode_slot_key};

/// For how many readings an element that is not found is remembered: the kernel leaves elements out
/// of a list while it resizes a set, and they have not begun anew when they are back.
const MISSES: u8 = 3;

/// The connections between two readings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// How many elements count.
    pub counting: usize,
    /// How many elements could count, but do not.
    pub silent: usize,
    /// What each Service got, by name.
    pub services: BTreeMap<String, ServiceTraffic>,
}

/// The connections of one Service between two readings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceTraffic {
    /// Connections, and flows of datagrams, that were sent to an endpoint.
    pub connections: u64,
    /// Packets that found no endpoint and were rejected or dropped.
    pub refused: u64,
    /// The connections of each endpoint, by its address and port.
    pub endpoints: BTreeMap<String, u64>,
}

/// Adds up what counters say, from reading to reading.
#[derive(Debug, Default)]
pub struct Meter {
    counts: HashMap<Counted, Count>,
    is_read: bool,
}

/// What one element counts. Another endpoint in the same slot is another thing to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Counted {
    set: SetId,
    key: FrontendKey,
    endpoint: Option<(u32, Destination)>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    packets: u64,
    misses: u8,
}

/// What is new of an element.
#[derive(Clone, Copy, Debug, Default)]
struct Increase {
    packets: u64,
    /// Whether some of it may be missing, as the element began anew.
    is_partial: bool,
}

/// What is new of a frontend.
#[derive(Debug, Default)]
struct Frontend {
    owner: Name,
    dispatched: u64,
    refused: u64,
    endpoints: BTreeMap<Destination, u64>,
    /// Whether some of what endpoints got may be missing.
    is_partial: bool,
}

/// What is being read.
#[derive(Debug, Default)]
struct Reading {
    frontends: HashMap<FrontendKey, Frontend>,
    counting: usize,
    silent: usize,
}

impl Meter {
    /// Reads the counters, and tells what they counted since the last reading; of the first, that
    /// is nothing. While others write, what an element that is replaced just then counted is lost.
    pub fn read<T: Transport>(
        &mut self,
        client: &mut Client<T>,
        sets: &SetTable,
    ) -> Result<Traffic, ObserveError> {
        let mut reading = Reading::default();
        for family in Family::ALL {
            for id in SetId::ALL.into_iter().filter(|id| id.is_counted()) {
                client.visit_elements(sets.get(family, id), |element| {
                    self.visit(&mut reading, family, id, &element);
                })?;
            }
        }
        Ok(self.finish(reading))
    }

    fn visit(&mut self, reading: &mut Reading, family: Family, set: SetId, element: &Element) {
        let Some((key, endpoint)) = decode(family, set, element) else {
            return;
        };
        let frontend = reading.frontends.entry(key).or_default();
        if let (None, Some(owner)) = (endpoint, &element.comment) {
            frontend.owner = owner.clone();
        }
        if let Some((_, destination)) = endpoint {
            frontend.endpoints.entry(destination).or_default();
        }
        let Some(counter) = element.counter else {
            reading.silent += 1;
            return;
        };
        reading.counting += 1;
        let element = Counted { set, key, endpoint };
        let increase = self.increase(element, counter.packets);
        match (endpoint, set) {
            (Some((_, destination)), _) => {
                *frontend.endpoints.entry(destination).or_default() += increase.packets;
                frontend.is_partial |= increase.is_partial;
            }
            (None, SetId::ServiceIps | SetId::ServiceNodePorts) => {
                frontend.dispatched = increase.packets;
            }
            (None, _) => frontend.refused += increase.packets,
        }
    }

    fn increase(&mut self, element: Counted, packets: u64) -> Increase {
        let misses = 0;
        let before = self.counts.insert(element, Count { packets, misses });
        match before {
            _ if !self.is_read => Increase::default(),
            Some(before) if before.packets <= packets => Increase {
                packets: packets - before.packets,
                is_partial: false,
            },
            _ => Increase {
                packets,
                is_partial: true,
            },
        }
    }

    fn finish(&mut self, reading: Reading) -> Traffic {
        self.is_read = true;
        self.counts.retain(|_, count| {
            count.misses += 1;
            count.misses <= MISSES
        });
        let mut traffic = Traffic {
            counting: reading.counting,
            silent: reading.silent,
            services: BTreeMap::new(),
        };
        for frontend in reading.frontends.into_values() {
            let (service, _) = frontend.owner.rsplit_once(':').unwrap_or_default();
            if service.is_empty() {
                continue;
            }
            let service = traffic.services.entry(service.to_owned()).or_default();
            service.connections += frontend.connections();
            service.refused += frontend.refused;
            for (endpoint, connections) in frontend.endpoints {
                *service.endpoints.entry(endpoint.to_string()).or_default() += connections;
            }
        }
        traffic
    }
}

impl Frontend {
    /// The connections: those of its endpoints, whose elements stay when the number of endpoints
    /// changes. If one of them began anew, what the frontend's own element says if that is more.
    fn connections(&self) -> u64 {
        let of_endpoints = self.endpoints.values().sum();
        if self.is_partial {
            self.dispatched.max(of_endpoints)
        } else {
            of_endpoints
        }
    }
}

impl Traffic {
    /// The traffic as a JSON object with the names of the fields.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The frontend of an element, and for that of an endpoint its slot and endpoint.
fn decode(
    family: Family,
    set: SetId,
    element: &Element,
) -> Option<(FrontendKey, Option<(u32, Destination)>)> {
    match &element.data {
        Data::Value(value) => {
            let (key, slot) = decode_slot_key(family, set.is_node_port(), &element.key)?;
            Some((key, Some((slot, decode_destination(family, value)?))))
        }
        _ => Some((decode_key(family, set.is_node_port(), &element.key)?, None)),
    }
}

#[cfg(test)]
mod tests;
