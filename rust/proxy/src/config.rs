//! What the operator decides, as the core reads it.

use std::net::IpAddr;

use ipnet::IpNet;
use kpx_ipvs::Scheduler;
use kpx_nftables::Family;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use smol_str::SmolStr;
use thiserror::Error;

use crate::frontend::family_of;
use crate::state::Node;

/// The configuration of a proxier: JSON with the field names below.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of the node the proxier serves; an endpoint is local if it names this node.
    pub node_name: SmolStr,
    /// The addresses of pods in the cluster, at most one range of each family.
    #[serde(default)]
    pub cluster_cidrs: Vec<IpNet>,
    /// How to tell that a packet comes from a pod of this node.
    #[serde(default)]
    pub detect_local_mode: DetectLocalMode,
    /// The bridge, or the prefix of interface names, for the modes that need one.
    #[serde(default)]
    pub detect_local_interface: Option<SmolStr>,
    /// On which of the node's addresses node ports answer: CIDRs, or the single word `primary`;
    /// empty for all.
    #[serde(default = "primary")]
    pub nodeport_addresses: Vec<SmolStr>,
    /// Whether connections to cluster IPs are masqueraded whatever their source.
    #[serde(default)]
    pub masquerade_all: bool,
    /// Whether elements count the connections of each frontend and endpoint.
    #[serde(default)]
    pub counters: bool,
    /// When the proxier was started, in seconds since the epoch: changes of endpoints that are
    /// older do not count as programmed by it. `None` if nobody asks how long changes took.
    #[serde(default)]
    pub started_at: Option<f64>,
    /// What chooses an endpoint for a connection.
    #[serde(default)]
    pub backend: Backend,
    /// How IPVS chooses, for Services that do not say.
    #[serde(default, deserialize_with = "scheduler")]
    pub ipvs_scheduler: Scheduler,
    /// The bit of the packet mark that asks for masquerading, 0 to 31.
    #[serde(default = "masquerade_bit")]
    pub masquerade_bit: u8,
}

/// What chooses an endpoint for a connection (`mode` of `KubeProxyConfiguration`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A map of nftables.
    #[default]
    Nftables,
    /// A virtual server of IPVS; nftables does the rest.
    Ipvs,
}

fn scheduler<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scheduler, D::Error> {
    let name = SmolStr::deserialize(deserializer)?;
    name.parse().map_err(D::Error::custom)
}

fn primary() -> Vec<SmolStr> {
    vec![SmolStr::new_static("primary")]
}

fn masquerade_bit() -> u8 {
    14
}

/// How to tell that a packet comes from a pod of this node (`detectLocalMode` of
/// `KubeProxyConfiguration`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum DetectLocalMode {
    /// Its source is in the cluster's pod range.
    #[default]
    ClusterCIDR,
    /// Its source is in the node's pod range.
    NodeCIDR,
    /// It comes in by a bridge.
    BridgeInterface,
    /// It comes in by an interface whose name starts so.
    InterfaceNamePrefix,
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The JSON is not what [`Config`] describes.
    #[error("configuration: `{field}` is not valid")]
    Parse {
        /// The field at fault; `.` for the whole.
        field: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The node has no name.
    #[error("the node name is empty")]
    NodeName,
    /// It is for another node than before.
    #[error("the node cannot become `{0}`")]
    OtherNode(SmolStr),
    /// It is for another backend than before.
    #[error("the backend cannot change while the agent runs")]
    OtherBackend,
    /// Two ranges of one family.
    #[error("`{first}` and `{second}` are two cluster CIDRs of one family; give one of each")]
    ClusterCidrs {
        /// The range that came first.
        first: IpNet,
        /// The range that came second.
        second: IpNet,
    },
    /// A mode that needs an interface has none, or the kernel would not take its name.
    #[error("detect-local mode `{mode:?}` needs an interface name of 1 to 15 bytes, not `{name}`")]
    Interface {
        /// The mode.
        mode: DetectLocalMode,
        /// The name given.
        name: SmolStr,
    },
    /// A node-port address that is neither a CIDR nor `primary` on its own.
    #[error("node-port address `{0}` is neither a CIDR nor the single word `primary`")]
    NodePortAddress(SmolStr),
    /// A mark bit that does not exist.
    #[error("masquerade bit {0} is not between 0 and 31")]
    MasqueradeBit(u8),
}

impl Config {
    /// Reads and checks a configuration.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let mut json = serde_json::Deserializer::from_str(json);
        let config: Self =
            serde_path_to_error::deserialize(&mut json).map_err(|error| ConfigError::Parse {
                field: error.path().to_string(),
                source: error.into_inner(),
            })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.node_name.is_empty() {
            return Err(ConfigError::NodeName);
        }
        for (index, second) in self.cluster_cidrs.iter().enumerate() {
            let same = |first: &&IpNet| family_of(first.addr()) == family_of(second.addr());
            if let Some(first) = self.cluster_cidrs[..index].iter().find(same) {
                return Err(ConfigError::ClusterCidrs {
                    first: *first,
                    second: *second,
                });
            }
        }
        if matches!(
            self.detect_local_mode,
            DetectLocalMode::BridgeInterface | DetectLocalMode::InterfaceNamePrefix
        ) {
            let name = self.detect_local_interface.clone().unwrap_or_default();
            if !(1..=15).contains(&name.len()) {
                return Err(ConfigError::Interface {
                    mode: self.detect_local_mode,
                    name,
                });
            }
        }
        if !self.nodeport_primary() {
            for address in &self.nodeport_addresses {
                if address.parse::<IpNet>().is_err() {
                    return Err(ConfigError::NodePortAddress(address.clone()));
                }
            }
        }
        if self.masquerade_bit > 31 {
            return Err(ConfigError::MasqueradeBit(self.masquerade_bit));
        }
        Ok(())
    }

    /// The mark that asks for masquerading.
    pub fn masquerade_mark(&self) -> u32 {
        1 << self.masquerade_bit
    }

    fn nodeport_primary(&self) -> bool {
        matches!(self.nodeport_addresses.as_slice(), [only] if only == "primary")
    }

    /// How packets from pods of this node are recognised in a family.
    pub fn local_detector(&self, family: Family, node: Option<&Node>) -> LocalDetector {
        let of_family = |ranges: &[IpNet]| {
            ranges
                .iter()
                .copied()
                .find(|range| family_of(range.addr()) == family)
        };
        let interface = || self.detect_local_interface.clone().unwrap_or_default();
        match self.detect_local_mode {
            DetectLocalMode::ClusterCIDR => of_family(&self.cluster_cidrs).into(),
            DetectLocalMode::NodeCIDR => node.and_then(|node| of_family(&node.pod_cidrs)).into(),
            DetectLocalMode::BridgeInterface => LocalDetector::Interface(interface()),
            DetectLocalMode::InterfaceNamePrefix => LocalDetector::InterfacePrefix(interface()),
        }
    }

    /// On which addresses of a family node ports answer.
    ///
    /// A loopback address is never among them. A list without a CIDR of the family means all
    /// addresses of the family, as does `primary` on a node whose addresses are not known.
    pub fn nodeport_addresses(&self, family: Family, node: Option<&Node>) -> NodePortAddresses {
        let addresses = node
            .map(|node| node.addresses.as_slice())
            .unwrap_or_default();
        let own = addresses
            .iter()
            .copied()
            .filter(|address| family_of(*address) == family && !address.is_loopback());
        if self.nodeport_primary() {
            let own = own.take(1).collect();
            return node.map_or(NodePortAddresses::All, |_| NodePortAddresses::These(own));
        }
        let ranges: Vec<IpNet> = self
            .nodeport_addresses
            .iter()
            .filter_map(|range| range.parse().ok())
            .filter(|range: &IpNet| family_of(range.addr()) == family)
            .collect();
        if ranges.is_empty() || ranges.iter().any(|range| range.prefix_len() == 0) {
            return NodePortAddresses::All;
        }
        NodePortAddresses::Within(ranges)
    }
}

/// How a packet from a pod of this node is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalDetector {
    /// It is not.
    None,
    /// By its source address.
    Source(IpNet),
    /// By the interface it comes in by.
    Interface(SmolStr),
    /// By how the name of that interface starts.
    InterfacePrefix(SmolStr),
}

impl From<Option<IpNet>> for LocalDetector {
    fn from(range: Option<IpNet>) -> Self {
        range.map_or(Self::None, Self::Source)
    }
}

/// On which of the node's addresses node ports answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// On every address of the node but loopback.
    All,
    /// On these.
    These(Vec<IpAddr>),
    /// On every address of the node within these ranges.
    Within(Vec<IpNet>),
}
