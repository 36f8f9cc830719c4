//! The answer, as a value.

use ipnet::IpNet;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use smol_str::SmolStr;

use super::{Kernel, Source, Unserved};
use crate::frontend::{Destination, FrontendKey, FrontendKind};
use crate::state::TrafficPolicy;
use crate::topology::Verdict;
use crate::{NamespacedName, Protocol};

/// Why packets to a target go where they go.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What was asked about, as it was written.
    pub target: String,
    /// The name of the node whose rules are explained.
    pub node: SmolStr,
    /// The Service ports that the target stands for, one entry for each IP family.
    pub ports: Vec<ExplainedPort>,
    /// What happens to packets where the target is no Service's.
    pub unserved: Option<Unserved>,
    /// Whether the kernel holds what this says.
    pub kernel: Kernel,
}

/// A port of a Service, in one IP family.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPort {
    /// The Service.
    pub service: NamespacedName,
    /// The port's name; empty if it has none.
    pub port_name: SmolStr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port clients connect to.
    pub port: u16,
    /// The policy for the cluster IP.
    pub internal_traffic_policy: TrafficPolicy,
    /// The policy for all other frontends.
    pub external_traffic_policy: TrafficPolicy,
    /// Whether a client is to stay with its endpoint.
    pub session_affinity: Option<SessionAffinity>,
    /// What the hints of the endpoints come to, as a sentence.
    pub hints: String,
    /// Every endpoint, sorted.
    pub endpoints: Vec<ExplainedEndpoint>,
    /// The frontends asked for.
    pub frontends: Vec<ExplainedFrontend>,
    /// The port's other frontends.
    pub other_frontends: Vec<OtherFrontend>,
}

/// `ClientIP` session affinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionAffinity {
    /// After how many seconds without a new connection a client may get another endpoint.
    pub timeout_seconds: u64,
}

/// An endpoint, and why it is used or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedEndpoint {
    /// Its address and port.
    pub endpoint: Destination,
    /// Whether it is on this node.
    pub is_local: bool,
    /// What becomes of it in the cluster list.
    pub cluster: EndpointVerdict,
    /// What becomes of it in the local list.
    pub local: EndpointVerdict,
}

/// What becomes of an endpoint in a list: as JSON, whether it is used and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointVerdict(pub Verdict);

/// A frontend of a port that is only named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherFrontend {
    /// The address and port.
    pub frontend: FrontendKey,
    /// Why the Service has it.
    pub kind: FrontendKind,
}

/// A frontend, and where packets to it go.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedFrontend {
    /// The address and port.
    pub frontend: FrontendKey,
    /// Why the Service has it.
    pub kind: FrontendKind,
    /// The older Service that has the frontend in place of this one.
    pub lost_to: Option<NamespacedName>,
    /// The Services that want the frontend too and do not get it.
    pub refused_to: Vec<NamespacedName>,
    /// For a node port, on which addresses of the node it answers, as a phrase.
    pub answers_on: Option<String>,
    /// The virtual servers of IPVS that choose the endpoint, in the words of `ipvsadm`; empty if nftables
    /// does, or there is no endpoint.
    pub virtual_servers: Vec<String>,
    /// The only sources allowed; `None` for all.
    pub source_ranges: Option<Vec<IpNet>>,
    /// What happens to packets from each source; empty if the frontend is lost.
    pub paths: Vec<Path>,
}

/// What happens to packets from one source.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Path {
    /// The source.
    pub source: Source,
    /// What happens.
    pub outcome: Outcome,
    /// Why, as a sentence.
    pub reason: String,
    /// Which endpoints are chosen from, if any are.
    pub list: Option<EndpointList>,
    /// The endpoints chosen from, each as often as any other.
    pub endpoints: Vec<Destination>,
    /// Whether the endpoint sees the node's address in place of the source's.
    pub masquerade: Option<Masquerade>,
    /// The endpoints that see the node's address if they are the source themselves.
    pub hairpin: Vec<Destination>,
}

/// What happens to a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It goes to one of the endpoints, chosen at random.
    Balanced,
    /// It is answered with "port unreachable" (ICMP or ICMPv6).
    Rejected,
    /// It vanishes, so that the client tries again.
    Dropped,
    /// No rule of kpx takes it.
    Passed,
    /// What the kernel holds decides: the Service is not valid, so it is left as it is.
    Kept,
}

/// Which endpoints are chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EndpointList {
    /// The cluster list, as the traffic policy says.
    Cluster,
    /// The local list, as the traffic policy says.
    Local,
    /// The cluster list, though the traffic policy is `Local`: the source is a pod or the node.
    ShortCircuit,
}

/// Whether the source address is replaced by the node's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Masquerade {
    /// Whether it is.
    pub applies: bool,
    /// Why, as a sentence.
    pub reason: &'static str,
}

impl Serialize for EndpointVerdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(verdict) = self;
        let mut state = serializer.serialize_struct("EndpointVerdict", 2)?;
        state.serialize_field("used", &verdict.is_used())?;
        state.serialize_field("reason", super::reason::of_verdict(*verdict))?;
        state.end()
    }
}

impl Serialize for Destination {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for NamespacedName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for FrontendKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for FrontendKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::ClusterIp => "clusterIP",
            Self::ExternalIp => "externalIP",
            Self::LoadBalancer => "loadBalancer",
            Self::NodePort => "nodePort",
        })
    }
}

impl Serialize for TrafficPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        })
    }
}

impl Explanation {
    /// The explanation as a JSON object with the names of the fields in camel case.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}
