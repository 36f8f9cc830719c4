//! From a question to its answer.

use std::net::IpAddr;

use kpx_proxy::state::EndpointPort;
use kpx_proxy::{NamespacedName, Protocol};
use serde_json::{Value, json};
use smallvec::SmallVec;

use crate::Name;
use crate::records::{Data, Record, RecordSet, RecordType};
use crate::service_names::{EndpointName, ServiceNames, Target};
use crate::zones::Zones;

/// How many aliases are followed (CoreDNS follows as many).
const ALIASES_FOLLOWED: usize = 10;
/// The time to live of `dns-version`, in seconds (CoreDNS, plugin `kubernetes`).
const VERSION_TTL: u32 = 28_800;
/// The version of the specification that names follow (its section 2.2).
const VERSION: &str = "1.1.0";
/// The highest time to live of an SOA record, in seconds (CoreDNS).
const SOA_MAX_TTL: u32 = 300;

/// How an answer turned out (RFC 1035, 4.1.1; RFC 6891, 6.1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Rcode {
    /// The name exists, whether or not it has records of the type.
    #[default]
    NoError = 0,
    /// The question is malformed.
    FormErr = 1,
    /// The answer is not known now.
    ServFail = 2,
    /// The name does not exist.
    NxDomain = 3,
    /// The operation is not supported.
    NotImp = 4,
    /// The question is not for this server.
    Refused = 5,
    /// A name exists that should not (RFC 2136, 2.2); like the next four, from other servers only.
    YxDomain = 6,
    /// A record set exists that should not.
    YxRrset = 7,
    /// A record set that should exist does not.
    NxRrset = 8,
    /// The server is not authoritative, or the request is not authorized.
    NotAuth = 9,
    /// A name is not in the zone.
    NotZone = 10,
    /// The version of EDNS is not supported.
    BadVers = 16,
}

impl Rcode {
    /// Every outcome.
    pub const ALL: [Self; 12] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::YxDomain,
        Self::YxRrset,
        Self::NxRrset,
        Self::NotAuth,
        Self::NotZone,
        Self::BadVers,
    ];

    /// The outcome of a number; that of a failure for one that is not assigned.
    pub(crate) fn of_number(number: u8) -> Self {
        let found = Self::ALL.into_iter().find(|one| *one as u8 == number);
        found.unwrap_or(Self::ServFail)
    }

    /// The mnemonic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::YxRrset => "YXRRSET",
            Self::NxRrset => "NXRRSET",
            Self::NotAuth => "NOTAUTH",
            Self::NotZone => "NOTZONE",
            Self::BadVers => "BADVERS",
        }
    }
}

/// The answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// How it turned out.
    pub rcode: Rcode,
    /// The answer section: aliases that were followed, then what was asked for.
    pub answer: SmallVec<[RecordSet; 1]>,
    /// The authority section: the SOA record of a negative answer.
    pub authority: Option<RecordSet>,
    /// The additional section: the addresses of targets.
    pub additional: Vec<RecordSet>,
    /// The Services the answer comes from.
    pub services: SmallVec<[NamespacedName; 1]>,
    /// Where the last alias leads, if that is in none of the zones.
    pub outside: Option<Name>,
}

impl Answer {
    /// What a question for a name in none of the zones is answered with.
    pub fn refused() -> Self {
        Self {
            rcode: Rcode::Refused,
            ..Self::default()
        }
    }

    /// The answer as a JSON object: `rcode`, `answer`, `authority` and `additional` (lists of records
    /// with `name`, `ttl`, `type`, `data` and, where it stands for one, `endpoint`), `services`, and
    /// `outside`.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&json!({
            "rcode": self.rcode.as_str(),
            "answer": records_json(&self.answer),
            "authority": records_json(self.authority.as_slice()),
            "additional": records_json(&self.additional),
            "services": self.services.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "outside": self.outside.as_ref().map(ToString::to_string),
        }))
    }
}

fn records_json(sets: &[RecordSet]) -> Vec<Value> {
    let records = sets.iter().flat_map(|set| {
        set.records.iter().map(|record| {
            json!({
                "name": set.owner.to_string(),
                "ttl": set.ttl,
                "type": record.data.record_type().to_string(),
                "data": record.data.to_string(),
                "endpoint": record.endpoint,
            })
        })
    });
    records.collect()
}

/// What there is of a name and type.
enum Found {
    /// Records of the type.
    Records(RecordSet),
    /// The name exists, without records of the type.
    NoData,
    /// The name does not exist.
    NoName,
    /// The name is not in any zone.
    Outside,
    /// What there is, is not known yet.
    Unknown,
}

impl Zones {
    /// Answers a question; `None` if the name is in none of the zones. `now` is in seconds since
    /// 1970.
    pub fn lookup(&self, name: &Name, record_type: RecordType, now: u32) -> Option<Answer> {
        let mut answer = Answer::default();
        let mut name = name.clone();
        for followed in 0..=ALIASES_FOLLOWED {
            match self.find(&name, record_type, now, &mut answer.services) {
                Found::Outside if followed == 0 => return None,
                Found::Outside => answer.outside = Some(name.clone()),
                Found::Unknown => answer.rcode = Rcode::ServFail,
                Found::NoData | Found::NoName if !self.is_complete => {
                    answer.rcode = Rcode::ServFail;
                }
                Found::NoData => answer.authority = self.soa_above(&name, now),
                Found::NoName => {
                    answer.rcode = Rcode::NxDomain;
                    answer.authority = self.soa_above(&name, now);
                }
                Found::Records(set) => {
                    let alias = match set.records.first().map(|record| &record.data) {
                        Some(Data::Cname(target)) if is_followed(record_type) => {
                            Some(target.clone())
                        }
                        _ => None,
                    };
                    answer.additional.extend(self.additional(&set));
                    answer.answer.push(set);
                    let Some(target) = alias else { break };
                    // A loop ends where it would begin again.
                    if answer.answer.iter().any(|set| set.owner == target) {
                        break;
                    }
                    name = target;
                    continue;
                }
            }
            break;
        }
        Some(answer)
    }

    /// The SOA record of a zone.
    pub(crate) fn soa(&self, zone: &Name, now: u32) -> RecordSet {
        let ttl = self.config.ttl.min(SOA_MAX_TTL);
        let below = |labels: &[&str]| {
            let name = Name::from_labels(labels.iter().copied());
            name.and_then(|name| name.below(&self.config.zone))
                .unwrap_or_else(|| self.config.zone.clone())
        };
        let data = Data::Soa {
            server: below(&["ns", "dns"]),
            mailbox: below(&["hostmaster"]),
            serial: self.serial(now),
            minimum: ttl,
        };
        set(zone, ttl, [record(data)])
    }

    fn soa_above(&self, name: &Name, now: u32) -> Option<RecordSet> {
        Some(self.soa(self.zone_of(name)?, now))
    }

    /// The zone a name is in: the longest that matches.
    pub(crate) fn zone_of(&self, name: &Name) -> Option<&Name> {
        let zones = std::iter::once(&self.config.zone).chain(&self.config.reverse_zones);
        zones
            .filter(|zone| name.labels_below(zone).is_some())
            .max_by_key(|zone| zone.as_wire().len())
    }

    fn find(
        &self,
        name: &Name,
        record_type: RecordType,
        now: u32,
        services: &mut SmallVec<[NamespacedName; 1]>,
    ) -> Found {
        if let Some(labels) = name.labels_below(&self.config.zone) {
            return self.find_forward(name, &labels, record_type, now, services);
        }
        let apex = self.config.reverse_zones.iter().find(|zone| *zone == name);
        if let Some(zone) = apex {
            return self.find_apex(zone, record_type, now);
        }
        let is_in_zone = self.zone_of(name).is_some();
        match self.find_reverse(name, record_type, services) {
            Found::NoName | Found::NoData if !is_in_zone => {
                if self.is_complete || address_range(name).is_none() {
                    Found::Outside
                } else {
                    // It may be the name of an address that is not known yet.
                    Found::Unknown
                }
            }
            found => found,
        }
    }

    fn find_apex(&self, zone: &Name, record_type: RecordType, now: u32) -> Found {
        match record_type {
            RecordType::SOA | RecordType::ANY => Found::Records(self.soa(zone, now)),
            RecordType::NS => Found::Records(set(
                zone,
                self.config.ttl,
                self.name_server().map(|name| record(Data::Ns(name))),
            )),
            _ => Found::NoData,
        }
    }

    fn name_server(&self) -> Option<Name> {
        Name::from_labels(["ns", "dns"])?.below(&self.config.zone)
    }

    fn find_forward(
        &self,
        name: &Name,
        labels: &[&[u8]],
        record_type: RecordType,
        now: u32,
        services: &mut SmallVec<[NamespacedName; 1]>,
    ) -> Found {
        let ttl = self.config.ttl;
        let exists = |is_there: bool| {
            if is_there {
                Found::NoData
            } else {
                Found::NoName
            }
        };
        match labels {
            [] => self.find_apex(name, record_type, now),
            [b"dns-version"] if matches!(record_type, RecordType::TXT | RecordType::ANY) => {
                Found::Records(set(name, VERSION_TTL, [record(Data::Txt(VERSION))]))
            }
            [b"dns-version" | b"dns"] => Found::NoData,
            [b"ns", b"dns"] => {
                let addresses = self.own_addresses();
                let addresses = addresses.into_iter().filter(|one| is_of(*one, record_type));
                found(set(name, ttl, addresses.map(address_record)))
            }
            [b"svc"] => exists(self.has_services()),
            [namespace, b"svc"] => exists(self.has_namespace(text(namespace))),
            [before @ .., service, namespace, b"svc"] => {
                let (namespace, service) = (text(namespace), text(service));
                let Some(names) = self.service(namespace, service) else {
                    return Found::NoName;
                };
                services.push(NamespacedName {
                    namespace: namespace.into(),
                    name: service.into(),
                });
                self.find_in_service(name, before, names, record_type)
            }
            _ => Found::NoName,
        }
    }

    /// The addresses of the name server: the cluster addresses of the Services it is an endpoint
    /// of, or its own (CoreDNS, `plugin/kubernetes/ns.go`).
    fn own_addresses(&self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for address in &self.config.addresses {
            let owners = self
                .owners(address)
                .iter()
                .filter(|owner| !owner.is_cluster_ip);
            let services =
                owners.filter_map(|one| self.service(&one.service.namespace, &one.service.name));
            let before = addresses.len();
            for names in services {
                if let Target::ClusterIps { addresses: own, .. } = &names.target {
                    addresses.extend(own.iter().copied());
                }
            }
            if addresses.len() == before {
                addresses.push(*address);
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    fn find_in_service(
        &self,
        name: &Name,
        before: &[&[u8]],
        names: &ServiceNames,
        record_type: RecordType,
    ) -> Found {
        let ttl = self.config.ttl;
        let is_headless = matches!(names.target, Target::Endpoints);
        if is_headless && !self.is_complete {
            // A part of the endpoints is not an answer.
            return Found::Unknown;
        }
        match before {
            [] => {
                if let Target::ExternalName(target) = &names.target {
                    let alias = record(Data::Cname(target.clone()));
                    return Found::Records(set(name, ttl, [alias]));
                }
                if matches!(record_type, RecordType::SRV) {
                    let records = service_records(names, name, |_| true);
                    return found(set(name, ttl, records));
                }
                let addresses = target_addresses(names, record_type);
                found(set(name, ttl, addresses))
            }
            [label] if label.first() == Some(&b'_') => {
                let is_protocol =
                    |(_, protocol): &(_, Protocol)| protocol_label(*protocol) == *label;
                if names.named_ports().iter().any(is_protocol) {
                    Found::NoData
                } else {
                    Found::NoName
                }
            }
            [label] => {
                let endpoints = names.of_label(label);
                if endpoints.is_empty() {
                    return Found::NoName;
                }
                found(set(
                    name,
                    ttl,
                    endpoint_addresses(endpoints.iter(), record_type),
                ))
            }
            [port, protocol] => {
                let Some((b'_', port)) = port.split_first() else {
                    return Found::NoName;
                };
                let is_port = |one: &EndpointPort| {
                    one.name.as_bytes().eq_ignore_ascii_case(port)
                        && !port.is_empty()
                        && protocol_label(one.protocol) == *protocol
                };
                let Some(service) = service_name(name, 2) else {
                    return Found::NoName;
                };
                let records = service_records(names, &service, is_port);
                if records.is_empty() {
                    Found::NoName
                } else if matches!(record_type, RecordType::SRV | RecordType::ANY) {
                    Found::Records(set(name, ttl, records))
                } else {
                    Found::NoData
                }
            }
            _ => Found::NoName,
        }
    }

    fn find_reverse(
        &self,
        name: &Name,
        record_type: RecordType,
        services: &mut SmallVec<[NamespacedName; 1]>,
    ) -> Found {
        let Some((first, last)) = address_range(name) else {
            return Found::NoName;
        };
        if first != last {
            return if self.has_address_in(first, last) {
                Found::NoData
            } else {
                Found::NoName
            };
        }
        let owners = self.owners(&first);
        if owners.is_empty() {
            return Found::NoName;
        }
        let own = owners.iter().find(|owner| owner.is_cluster_ip);
        let mut records = Vec::new();
        for owner in own.map_or(owners, std::slice::from_ref) {
            let key = &owner.service;
            let Some(names) = self.service(&key.namespace, &key.name) else {
                continue;
            };
            services.push(key.as_ref().clone());
            if owner.is_cluster_ip {
                let target = service_below(key, &self.config.zone, None);
                records.extend(target.map(|name| record(Data::Ptr(name))));
                continue;
            }
            let of_address = names.by_address().filter(|one| one.address == first);
            // By label, too: an endpoint in two slices is here twice.
            let mut labels: Vec<_> = of_address.map(|endpoint| &*endpoint.label).collect();
            labels.dedup();
            records.extend(labels.into_iter().filter_map(|label| {
                let target = service_below(key, &self.config.zone, Some(label))?;
                Some(Record {
                    data: Data::Ptr(target),
                    endpoint: Some(first),
                })
            }));
        }
        if !matches!(record_type, RecordType::PTR | RecordType::ANY) {
            return Found::NoData;
        }
        found(set(name, self.config.ttl, records))
    }

    /// The addresses of the targets of SRV records, and of name servers.
    fn additional(&self, answer: &RecordSet) -> Vec<RecordSet> {
        let mut sets: Vec<RecordSet> = Vec::new();
        for record in &answer.records {
            let (Data::Srv { target, .. } | Data::Ns(target)) = &record.data else {
                continue;
            };
            for record_type in [RecordType::A, RecordType::AAAA] {
                if let Found::Records(set) = self.find(target, record_type, 0, &mut SmallVec::new())
                    && !sets.contains(&set)
                {
                    sets.push(set);
                }
            }
        }
        sets
    }
}

/// Whether an alias is not itself what was asked for (RFC 1034, 3.6.2).
fn is_followed(record_type: RecordType) -> bool {
    !matches!(record_type, RecordType::CNAME | RecordType::ANY)
}

/// The label of a protocol (RFC 2782).
pub(crate) fn protocol_label(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Tcp => b"_tcp",
        Protocol::Udp => b"_udp",
        Protocol::Sctp => b"_sctp",
    }
}

/// The name of a Service, or of an endpoint in it.
pub(crate) fn service_below(
    service: &NamespacedName,
    zone: &Name,
    endpoint: Option<&str>,
) -> Option<Name> {
    let labels = endpoint
        .into_iter()
        .chain([&*service.name, &service.namespace, "svc"]);
    Name::from_labels(labels)?.below(zone)
}

/// A name without its first labels.
fn service_name(name: &Name, labels: usize) -> Option<Name> {
    let mut wire = name.as_wire();
    for _ in 0..labels {
        let (&length, tail) = wire.split_first()?;
        wire = tail.get(usize::from(length)..)?;
    }
    Some(Name::from_wire(wire))
}

fn set(owner: &Name, ttl: u32, records: impl IntoIterator<Item = Record>) -> RecordSet {
    RecordSet {
        owner: owner.clone(),
        ttl,
        records: records.into_iter().collect(),
    }
}

fn found(set: RecordSet) -> Found {
    if set.records.is_empty() {
        Found::NoData
    } else {
        Found::Records(set)
    }
}

fn record(data: Data) -> Record {
    Record {
        data,
        endpoint: None,
    }
}

fn address_record(address: IpAddr) -> Record {
    record(Data::of_address(address))
}

/// Whether an address is of the family of a type; for `ANY`, of the first family there is.
fn is_of(address: IpAddr, record_type: RecordType) -> bool {
    match record_type {
        RecordType::A | RecordType::ANY => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        _ => false,
    }
}

fn target_addresses(names: &ServiceNames, record_type: RecordType) -> Vec<Record> {
    match &names.target {
        Target::ClusterIps { addresses, .. } => {
            let addresses = addresses.iter().copied();
            addresses
                .filter(|address| is_of(*address, record_type))
                .map(address_record)
                .collect()
        }
        Target::Endpoints => endpoint_addresses(names.by_address(), record_type),
        Target::ExternalName(_) => Vec::new(),
    }
}

/// The distinct addresses of endpoints, which are in the order of their addresses.
fn endpoint_addresses<'a>(
    endpoints: impl Iterator<Item = &'a EndpointName>,
    record_type: RecordType,
) -> Vec<Record> {
    let mut records = Vec::new();
    for endpoint in endpoints.filter(|endpoint| is_of(endpoint.address, record_type)) {
        let record = Record {
            data: Data::of_address(endpoint.address),
            endpoint: Some(endpoint.address),
        };
        if records.last() != Some(&record) {
            records.push(record);
        }
    }
    records
}

/// The SRV records of a Service, for the ports that are asked for.
fn service_records(
    names: &ServiceNames,
    service: &Name,
    is_wanted: impl Fn(&EndpointPort) -> bool,
) -> Vec<Record> {
    match &names.target {
        Target::ExternalName(_) => Vec::new(),
        Target::ClusterIps { ports, .. } => {
            let wanted = ports.iter().filter(|port| is_wanted(port));
            let records = wanted.map(|port| {
                record(Data::Srv {
                    weight: 100,
                    port: port.port,
                    target: service.clone(),
                })
            });
            let mut records: Vec<_> = records.collect();
            records.dedup();
            records
        }
        Target::Endpoints => {
            let mut places: Vec<(&EndpointName, u16)> = Vec::new();
            for endpoint in &names.endpoints {
                for port in names
                    .ports_of(endpoint)
                    .iter()
                    .filter(|port| is_wanted(port))
                {
                    places.push((endpoint, port.port));
                }
            }
            places.sort_by_key(|(endpoint, port)| (&endpoint.label, *port));
            places.dedup_by_key(|(endpoint, port)| (&endpoint.label, *port));
            // As many shares as places (CoreDNS counts those of both families twice).
            let weight = u16::try_from(100 / places.len().max(1)).unwrap_or(1).max(1);
            let records = places.into_iter().filter_map(|(endpoint, port)| {
                let target = Name::from_labels([&*endpoint.label])?.below(service)?;
                Some(Record {
                    data: Data::Srv {
                        weight,
                        port,
                        target,
                    },
                    endpoint: Some(endpoint.address),
                })
            });
            records.collect()
        }
    }
}

/// Labels are compared as text; one that is none of ours is not found.
fn text(label: &[u8]) -> &str {
    str::from_utf8(label).unwrap_or_default()
}

/// The first and the last address below a reverse name (RFC 1035, 3.5; RFC 3596, 2.5).
fn address_range(name: &Name) -> Option<(IpAddr, IpAddr)> {
    let labels: Vec<&[u8]> = name.labels().collect();
    match labels.as_slice() {
        [octets @ .., b"in-addr", b"arpa"] if octets.len() <= 4 => {
            let (mut first, mut last) = ([0; 4], [255; 4]);
            for (place, label) in octets.iter().rev().enumerate() {
                let octet: u8 = text(label).parse().ok()?;
                // `010` is another name than `10`.
                if octet.to_string().as_bytes() != *label {
                    return None;
                }
                (first[place], last[place]) = (octet, octet);
            }
            Some((first.into(), last.into()))
        }
        [nibbles @ .., b"ip6", b"arpa"] if nibbles.len() <= 32 => {
            let (mut first, mut last) = ([0_u8; 16], [255_u8; 16]);
            for (place, label) in nibbles.iter().rev().enumerate() {
                let nibble = u8::from_str_radix(text(label), 16).ok()?;
                if label.len() != 1 {
                    return None;
                }
                let shift = if place % 2 == 0 { 4 } else { 0 };
                let mask: u8 = 0xf << shift;
                first[place / 2] = (first[place / 2] & !mask) | (nibble << shift);
                last[place / 2] = (last[place / 2] & !mask) | (nibble << shift);
            }
            Some((first.into(), last.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
