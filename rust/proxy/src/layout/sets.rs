//! The sets and maps of a table.

use std::sync::Arc;

use kpx_nftables::{DataType, Family, Name, Set, SetFlags, SetKind, Table};

use crate::names::{TABLE, set};

/// How many clients are remembered in one map: what others make the kernel hold is bounded. A
/// client that is not remembered is served all the same, by any endpoint.
const MAX_CLIENTS: u32 = 1 << 20;

/// One of the sets and maps every table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetId {
    /// [`set::CLUSTER_IPS`].
    ClusterIps,
    /// [`set::VIRTUAL_IPS`].
    VirtualIps,
    /// [`set::NODEPORT_IPS`].
    NodePortIps,
    /// [`set::HAIRPIN_CONNECTIONS`].
    HairpinConnections,
    /// [`set::SERVICE_IPS`].
    ServiceIps,
    /// [`set::SERVICE_NODEPORTS`].
    ServiceNodePorts,
    /// [`set::NO_ENDPOINT_SERVICES`].
    NoEndpointServices,
    /// [`set::NO_ENDPOINT_NODEPORTS`].
    NoEndpointNodePorts,
    /// [`set::SHORT_CIRCUIT_IPS`].
    ShortCircuitIps,
    /// [`set::SHORT_CIRCUIT_NODEPORTS`].
    ShortCircuitNodePorts,
    /// [`set::ENDPOINTS`].
    Endpoints,
    /// [`set::NODEPORT_ENDPOINTS`].
    NodePortEndpoints,
    /// [`set::ENDPOINTS_LOCAL`].
    EndpointsLocal,
    /// [`set::NODEPORT_ENDPOINTS_LOCAL`].
    NodePortEndpointsLocal,
    /// [`set::AFFINITY`].
    Affinity,
    /// [`set::NODEPORT_AFFINITY`].
    NodePortAffinity,
    /// [`set::AFFINITY_SLOTS`].
    AffinitySlots,
    /// [`set::NODEPORT_AFFINITY_SLOTS`].
    NodePortAffinitySlots,
    /// [`set::AFFINITY_SLOTS_LOCAL`].
    AffinitySlotsLocal,
    /// [`set::NODEPORT_AFFINITY_SLOTS_LOCAL`].
    NodePortAffinitySlotsLocal,
    /// [`set::AFFINITY_ENDPOINTS`].
    AffinityEndpoints,
    /// [`set::NODEPORT_AFFINITY_ENDPOINTS`].
    NodePortAffinityEndpoints,
    /// [`set::AFFINITY_ENDPOINTS_LOCAL`].
    AffinityEndpointsLocal,
    /// [`set::NODEPORT_AFFINITY_ENDPOINTS_LOCAL`].
    NodePortAffinityEndpointsLocal,
    /// [`set::FIREWALL_IPS`].
    FirewallIps,
    /// [`set::SOURCE_RANGES`].
    SourceRanges,
}

/// What the elements of a set are keyed by and what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetShape {
    /// Addresses of the family.
    Addresses,
    /// Endpoint twice over, protocol and port.
    Hairpins,
    /// A frontend's key -> a verdict.
    Verdicts,
    /// A frontend's key and a slot -> an endpoint. Slots have no gaps.
    Endpoints,
    /// A client and a frontend's key -> a slot. Packets fill it.
    Clients,
    /// A frontend's key and a number -> a slot. Numbers have no gaps.
    Numbers,
    /// A frontend's key and a slot -> an endpoint. Slots may have gaps.
    StickyEndpoints,
    /// A frontend's key.
    Keys,
    /// A frontend's key and a range of sources.
    Ranges,
}

impl SetId {
    /// All sets, in the order in which they are made.
    pub const ALL: [Self; 26] = [
        Self::ClusterIps,
        Self::VirtualIps,
        Self::NodePortIps,
        Self::HairpinConnections,
        Self::ServiceIps,
        Self::ServiceNodePorts,
        Self::NoEndpointServices,
        Self::NoEndpointNodePorts,
        Self::ShortCircuitIps,
        Self::ShortCircuitNodePorts,
        Self::Endpoints,
        Self::NodePortEndpoints,
        Self::EndpointsLocal,
        Self::NodePortEndpointsLocal,
        Self::Affinity,
        Self::NodePortAffinity,
        Self::AffinitySlots,
        Self::NodePortAffinitySlots,
        Self::AffinitySlotsLocal,
        Self::NodePortAffinitySlotsLocal,
        Self::AffinityEndpoints,
        Self::NodePortAffinityEndpoints,
        Self::AffinityEndpointsLocal,
        Self::NodePortAffinityEndpointsLocal,
        Self::FirewallIps,
        Self::SourceRanges,
    ];

    /// The name in the kernel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClusterIps => set::CLUSTER_IPS,
            Self::VirtualIps => set::VIRTUAL_IPS,
            Self::NodePortIps => set::NODEPORT_IPS,
            Self::HairpinConnections => set::HAIRPIN_CONNECTIONS,
            Self::ServiceIps => set::SERVICE_IPS,
            Self::ServiceNodePorts => set::SERVICE_NODEPORTS,
            Self::NoEndpointServices => set::NO_ENDPOINT_SERVICES,
            Self::NoEndpointNodePorts => set::NO_ENDPOINT_NODEPORTS,
            Self::ShortCircuitIps => set::SHORT_CIRCUIT_IPS,
            Self::ShortCircuitNodePorts => set::SHORT_CIRCUIT_NODEPORTS,
            Self::Endpoints => set::ENDPOINTS,
            Self::NodePortEndpoints => set::NODEPORT_ENDPOINTS,
            Self::EndpointsLocal => set::ENDPOINTS_LOCAL,
            Self::NodePortEndpointsLocal => set::NODEPORT_ENDPOINTS_LOCAL,
            Self::Affinity => set::AFFINITY,
            Self::NodePortAffinity => set::NODEPORT_AFFINITY,
            Self::AffinitySlots => set::AFFINITY_SLOTS,
            Self::NodePortAffinitySlots => set::NODEPORT_AFFINITY_SLOTS,
            Self::AffinitySlotsLocal => set::AFFINITY_SLOTS_LOCAL,
            Self::NodePortAffinitySlotsLocal => set::NODEPORT_AFFINITY_SLOTS_LOCAL,
            Self::AffinityEndpoints => set::AFFINITY_ENDPOINTS,
            Self::NodePortAffinityEndpoints => set::NODEPORT_AFFINITY_ENDPOINTS,
            Self::AffinityEndpointsLocal => set::AFFINITY_ENDPOINTS_LOCAL,
            Self::NodePortAffinityEndpointsLocal => set::NODEPORT_AFFINITY_ENDPOINTS_LOCAL,
            Self::FirewallIps => set::FIREWALL_IPS,
            Self::SourceRanges => set::SOURCE_RANGES,
        }
    }

    /// What the set holds.
    pub const fn shape(self) -> SetShape {
        match self {
            Self::ClusterIps | Self::VirtualIps | Self::NodePortIps => SetShape::Addresses,
            Self::HairpinConnections => SetShape::Hairpins,
            Self::ServiceIps
            | Self::ServiceNodePorts
            | Self::NoEndpointServices
            | Self::NoEndpointNodePorts
            | Self::ShortCircuitIps
            | Self::ShortCircuitNodePorts => SetShape::Verdicts,
            Self::Endpoints
            | Self::NodePortEndpoints
            | Self::EndpointsLocal
            | Self::NodePortEndpointsLocal => SetShape::Endpoints,
            Self::Affinity | Self::NodePortAffinity => SetShape::Clients,
            Self::AffinitySlots
            | Self::NodePortAffinitySlots
            | Self::AffinitySlotsLocal
            | Self::NodePortAffinitySlotsLocal => SetShape::Numbers,
            Self::AffinityEndpoints
            | Self::NodePortAffinityEndpoints
            | Self::AffinityEndpointsLocal
            | Self::NodePortAffinityEndpointsLocal => SetShape::StickyEndpoints,
            Self::FirewallIps => SetShape::Keys,
            Self::SourceRanges => SetShape::Ranges,
        }
    }

    /// Whether the endpoints in the map are those of this node only.
    pub const fn is_local(self) -> bool {
        matches!(
            self,
            Self::EndpointsLocal
                | Self::NodePortEndpointsLocal
                | Self::AffinitySlotsLocal
                | Self::NodePortAffinitySlotsLocal
                | Self::AffinityEndpointsLocal
                | Self::NodePortAffinityEndpointsLocal
        )
    }

    /// Whether the frontends in the set are node ports, whose keys have no address.
    pub const fn is_node_port(self) -> bool {
        matches!(
            self,
            Self::ServiceNodePorts
                | Self::NoEndpointNodePorts
                | Self::ShortCircuitNodePorts
                | Self::NodePortEndpoints
                | Self::NodePortEndpointsLocal
                | Self::NodePortAffinity
                | Self::NodePortAffinitySlots
                | Self::NodePortAffinitySlotsLocal
                | Self::NodePortAffinityEndpoints
                | Self::NodePortAffinityEndpointsLocal
        )
    }

    /// Whether elements count the connections that find them, if anything does: where an endpoint
    /// is chosen, or the connection refused.
    pub const fn is_counted(self) -> bool {
        matches!(
            self,
            Self::ServiceIps
                | Self::ServiceNodePorts
                | Self::NoEndpointServices
                | Self::NoEndpointNodePorts
        ) || matches!(
            self.shape(),
            SetShape::Endpoints | SetShape::StickyEndpoints
        )
    }

    fn definition(self, family: Family) -> Set {
        let address = DataType::address(family);
        let shape = self.shape();
        let frontend: &[DataType] = if self.is_node_port() {
            &[DataType::InetProto, DataType::InetService]
        } else {
            &[address, DataType::InetProto, DataType::InetService]
        };
        let endpoint = || SetKind::Map(vec![address, DataType::InetService]);
        let slot = || SetKind::Map(vec![DataType::ClassId]);
        let (before, frontend, behind, kind): (Option<_>, _, Option<_>, _) = match shape {
            SetShape::Addresses => (Some(address), &[][..], None, SetKind::Set),
            SetShape::Hairpins => (Some(address), frontend, None, SetKind::Set),
            SetShape::Verdicts => (None, frontend, None, SetKind::VerdictMap),
            SetShape::Endpoints => (None, frontend, Some(DataType::Integer), endpoint()),
            SetShape::Clients => (Some(address), frontend, None, slot()),
            SetShape::Numbers => (None, frontend, Some(DataType::Integer), slot()),
            SetShape::StickyEndpoints => (None, frontend, Some(DataType::ClassId), endpoint()),
            SetShape::Keys => (None, frontend, None, SetKind::Set),
            SetShape::Ranges => (None, frontend, Some(address), SetKind::Set),
        };
        let is_dynamic = shape == SetShape::Clients;
        Set {
            table: table(family),
            name: Name::new_static(self.name()),
            key: before
                .into_iter()
                .chain(frontend.iter().copied())
                .chain(behind)
                .collect(),
            kind,
            flags: SetFlags {
                interval: shape == SetShape::Ranges,
                timeout: is_dynamic,
                dynamic: is_dynamic,
            },
            timeout: None,
            size: is_dynamic.then_some(MAX_CLIENTS),
        }
    }
}

/// The table of a family.
pub(super) fn table(family: Family) -> Table {
    Table {
        family,
        name: Name::new_static(TABLE),
    }
}

/// The definitions of all sets of both families.
#[derive(Clone, Debug)]
pub struct SetTable {
    sets: [[Arc<Set>; SetId::ALL.len()]; 2],
}

impl Default for SetTable {
    fn default() -> Self {
        let family = |family| SetId::ALL.map(|set| Arc::new(set.definition(family)));
        Self {
            sets: Family::ALL.map(family),
        }
    }
}

impl SetTable {
    /// The definition of a set in a family.
    pub fn get(&self, family: Family, set: SetId) -> &Arc<Set> {
        &self.family(family)[set as usize]
    }

    /// The definitions of a family.
    pub fn family(&self, family: Family) -> &[Arc<Set>] {
        match family {
            Family::Ipv4 => &self.sets[0],
            Family::Ipv6 => &self.sets[1],
        }
    }
}
