//! The names of all Services, and the zones they are in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use kpx_proxy::NamespacedName;
use serde::Deserialize;
use smallvec::SmallVec;
use smol_str::SmolStr;
use thiserror::Error;

use crate::service_names::{ServiceNames, Target};
use crate::{Name, NameError};

type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

/// The highest time to live that is taken, in seconds (CoreDNS, plugin `kubernetes`).
const MAX_TTL: u32 = 3600;

/// Which zones there are, as configured.
#[derive(Clone, Debug)]
pub struct ZoneConfig {
    /// The zone of the cluster.
    pub zone: Name,
    /// The zones of reverse names. Of other reverse names, those of known addresses are answered.
    pub reverse_zones: Vec<Name>,
    /// The time to live of records, in seconds.
    pub ttl: u32,
    /// The addresses of the name server itself, for `ns.dns.<zone>`.
    pub addresses: Vec<IpAddr>,
}

/// A configuration that does not make sense.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ZoneConfigError {
    /// It is no JSON, or has other keys.
    #[error("the DNS configuration cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// A zone is no name.
    #[error("a zone has no valid name")]
    Zone(#[from] NameError),
    /// The time to live is too long.
    #[error("a time to live of {0} s is more than {MAX_TTL} s")]
    Ttl(u32),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConfig {
    zone: String,
    #[serde(default)]
    reverse_zones: Vec<String>,
    ttl: u32,
    #[serde(default)]
    addresses: Vec<IpAddr>,
}

impl ZoneConfig {
    /// Reads a configuration: a JSON object with `zone`, `reverse_zones`, `ttl` and `addresses`.
    pub fn from_json(text: &str) -> Result<Self, ZoneConfigError> {
        let written: WrittenConfig = serde_json::from_str(text)?;
        if written.ttl > MAX_TTL {
            return Err(ZoneConfigError::Ttl(written.ttl));
        }
        let reverse_zones = written.reverse_zones.iter().map(|zone| Name::parse(zone));
        Ok(Self {
            zone: Name::parse(&written.zone)?,
            reverse_zones: reverse_zones.collect::<Result<_, _>>()?,
            ttl: written.ttl,
            addresses: written.addresses,
        })
    }
}

/// A Service that an address belongs to.
#[derive(Clone, Debug)]
pub(crate) struct AddressOwner {
    pub(crate) service: Arc<NamespacedName>,
    /// Whether the address is the Service's own, not an endpoint's.
    pub(crate) is_cluster_ip: bool,
}

/// The names of all Services.
#[derive(Debug)]
pub struct Zones {
    pub(crate) config: ZoneConfig,
    /// By namespace, then name. A namespace without a name is not here.
    services: HashMap<SmolStr, HashMap<SmolStr, Arc<ServiceNames>>>,
    /// Sorted, so that the names above them can be told from those that do not exist.
    addresses: BTreeMap<IpAddr, SmallVec<[AddressOwner; 1]>>,
    /// Whether everything the cluster has is known, so that a name that is not here is nowhere.
    pub(crate) is_complete: bool,
    /// The second of the last change.
    changed: u32,
    /// The serial of everything before that second.
    previous_serial: u32,
}

impl Zones {
    /// Zones without a name. `now` is in seconds since 1970.
    pub fn new(config: ZoneConfig, now: u32) -> Self {
        Self {
            config,
            services: HashMap::default(),
            addresses: BTreeMap::new(),
            is_complete: false,
            changed: now.saturating_sub(1),
            previous_serial: now,
        }
    }

    /// The serial of the zones. What changes within a second becomes a new serial when the second is
    /// over, so that equal serials mean equal zones, and serials do not run ahead of the clock.
    pub fn serial(&self, now: u32) -> u32 {
        if now > self.changed {
            self.previous_serial.max(self.changed.saturating_add(1))
        } else {
            self.previous_serial
        }
    }

    /// Says that everything the cluster has is known now.
    pub fn complete(&mut self) {
        self.is_complete = true;
    }

    /// How many Services have a name.
    pub fn service_count(&self) -> usize {
        self.services.values().map(HashMap::len).sum()
    }

    /// Replaces the names of a Service, or removes them.
    pub(crate) fn set(&mut self, name: &NamespacedName, names: Option<ServiceNames>, now: u32) {
        self.previous_serial = self.serial(now);
        self.changed = self.changed.max(now);
        let names = names.map(Arc::new);
        let before = match &names {
            Some(names) => {
                let namespace = self.services.entry(name.namespace.clone()).or_default();
                namespace.insert(name.name.clone(), Arc::clone(names))
            }
            None => self.remove(name),
        };
        let before = before.as_deref().map(owned_addresses).unwrap_or_default();
        let after = names.as_deref().map(owned_addresses).unwrap_or_default();
        let service = Arc::new(name.clone());
        for address in before
            .iter()
            .filter(|one| after.binary_search(one).is_err())
        {
            self.disown(*address, name);
        }
        for (address, is_cluster_ip) in after {
            if before.binary_search(&(address, is_cluster_ip)).is_err() {
                let owners = self.addresses.entry(address).or_default();
                owners.push(AddressOwner {
                    service: Arc::clone(&service),
                    is_cluster_ip,
                });
            }
        }
    }

    fn remove(&mut self, name: &NamespacedName) -> Option<Arc<ServiceNames>> {
        let namespace = self.services.get_mut(&name.namespace)?;
        let removed = namespace.remove(&name.name);
        if namespace.is_empty() {
            self.services.remove(&name.namespace);
        }
        removed
    }

    fn disown(&mut self, (address, is_cluster_ip): (IpAddr, bool), name: &NamespacedName) {
        if let Some(owners) = self.addresses.get_mut(&address) {
            owners.retain(|owner| {
                owner.is_cluster_ip != is_cluster_ip || owner.service.as_ref() != name
            });
            if owners.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    /// Whether any Service has a name.
    pub(crate) fn has_services(&self) -> bool {
        !self.services.is_empty()
    }

    /// Whether a namespace has a Service with a name.
    pub(crate) fn has_namespace(&self, namespace: &str) -> bool {
        self.services.contains_key(namespace)
    }

    /// The names of a Service.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&Arc<ServiceNames>> {
        self.services.get(namespace)?.get(name)
    }

    /// Every Service with its names, in the order of namespaces and names.
    pub(crate) fn services(&self) -> Vec<(NamespacedName, Arc<ServiceNames>)> {
        let mut services: Vec<_> = self
            .services
            .iter()
            .flat_map(|(namespace, services)| {
                services.iter().map(|(name, names)| {
                    let namespace = namespace.clone();
                    let name = name.clone();
                    (NamespacedName { namespace, name }, Arc::clone(names))
                })
            })
            .collect();
        services.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        services
    }

    /// The Services an address belongs to.
    pub(crate) fn owners(&self, address: &IpAddr) -> &[AddressOwner] {
        self.addresses.get(address).map_or(&[], SmallVec::as_slice)
    }

    /// Whether there is a known address from one to another.
    pub(crate) fn has_address_in(&self, first: IpAddr, last: IpAddr) -> bool {
        self.addresses.range(first..=last).next().is_some()
    }

    /// Every known address.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &IpAddr> {
        self.addresses.keys()
    }
}

/// The addresses of a Service and of its endpoints, sorted.
fn owned_addresses(names: &ServiceNames) -> Vec<(IpAddr, bool)> {
    let endpoints = names.addresses().into_iter();
    let mut addresses: Vec<_> = endpoints.map(|address| (address, false)).collect();
    if let Target::ClusterIps { addresses: own, .. } = &names.target {
        addresses.extend(own.iter().map(|address| (*address, true)));
    }
    addresses.sort_unstable();
    addresses
}
