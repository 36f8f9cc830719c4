//! A node with Services of each kind, over a ruleset in memory.

use std::io;

use kpx_nftables::fake::{FakeError, FakeRuleset};
use kpx_nftables::{Operation, Ruleset, TransactionError};
use serde_json::{Value, json};

use crate::explain::{ExplainError, Explanation};
use crate::{CommitFailure, Config, Dataplane, Proxier};

pub(super) const NODE: &str = "192.0.2.1";
pub(super) const POD: &str = "10.244.1.9";
pub(super) const CLIENT: &str = "198.51.100.7";
pub(super) const STRANGER: &str = "203.0.113.99";

/// A ruleset in memory that can be made unreadable.
#[derive(Default)]
pub(super) struct Kernel {
    pub(super) ruleset: FakeRuleset,
    pub(super) is_forbidden: bool,
}

impl CommitFailure for FakeError {
    fn position(&self) -> Option<(usize, Option<usize>)> {
        Some((self.operation, self.element))
    }

    fn is_refusal(&self) -> bool {
        true
    }

    fn is_uncertain(&self) -> bool {
        false
    }

    fn is_busy(&self) -> bool {
        false
    }
}

impl Dataplane for Kernel {
    type ObserveError = io::Error;
    type CommitError = FakeError;

    fn observe(&mut self) -> Result<Ruleset, io::Error> {
        if self.is_forbidden {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        Ok(self.ruleset.ruleset().clone())
    }

    fn generation(&mut self) -> Result<u32, Self::ObserveError> {
        self.observe().map(|ruleset| ruleset.generation)
    }

    fn commit(
        &mut self,
        operations: impl Iterator<Item = Result<Operation, TransactionError>>,
        _: Option<u32>,
    ) -> Result<u32, FakeError> {
        let transaction = operations.collect::<Result<_, _>>().unwrap();
        self.ruleset.apply(&transaction)?;
        Ok(self.ruleset.ruleset().generation)
    }
}

pub(super) struct Fixture {
    pub(super) proxier: Proxier<Kernel>,
}

impl Fixture {
    /// A node `a` in zone `z`, with these options beside its name, fed but not programmed.
    pub(super) fn new(options: &Value, objects: &[Value]) -> Self {
        let mut config = json!({"node_name": "a"});
        for (name, value) in options.as_object().unwrap() {
            config[name] = value.clone();
        }
        let config = Config::from_json(&config.to_string()).unwrap();
        let mut proxier = Proxier::new(config, Kernel::default());
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "a", "labels": {"topology.kubernetes.io/zone": "z"}},
            "status": {"addresses": [
                {"type": "InternalIP", "address": NODE},
                {"type": "InternalIP", "address": "2001:db8::1"},
                {"type": "ExternalIP", "address": "192.0.2.2"},
            ]},
        });
        let range = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
            "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": ["10.96.0.0/16", "fd00:96::/112"]},
        });
        for object in [node, range].iter().chain(objects) {
            proxier.feed(object.to_string().as_bytes()).unwrap();
        }
        assert_eq!(proxier.state().rejections(), [] as [&crate::Rejection; 0]);
        Self { proxier }
    }

    pub(super) fn programmed(options: &Value, objects: &[Value]) -> Self {
        let mut fixture = Self::new(options, objects);
        fixture.sync();
        fixture
    }

    pub(super) fn sync(&mut self) {
        let plan = self.proxier.plan_all().unwrap();
        self.proxier.apply(&plan).unwrap();
    }

    pub(super) fn explain(&mut self, target: &str, source: Option<&str>) -> Explanation {
        self.proxier.explain(target, source).unwrap()
    }

    pub(super) fn refuse(&mut self, target: &str, source: Option<&str>) -> ExplainError {
        self.proxier.explain(target, source).unwrap_err()
    }
}

/// A Service with one port, 80/tcp, on 10.96.0.`number` and, if it is no plain one, node port
/// 30000 + `number`, load balancer 203.0.113.`number` and external IP 198.51.100.`number`.
pub(super) fn service(name: &str, number: u8, spec: &Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": "default", "name": name,
            "creationTimestamp": format!("2026-01-01T00:00:{:02}Z", number % 60),
        },
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": format!("10.96.0.{number}"),
            "externalIPs": [format!("198.51.100.{number}")],
            "ports": [{"name": "http", "port": 80, "nodePort": 30000 + u32::from(number)}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": format!("203.0.113.{number}")}]}},
    });
    for (field, value) in spec.as_object().unwrap() {
        service["spec"][field] = value.clone();
    }
    service
}

/// A slice of a Service.
pub(super) fn slice(service: &str, endpoints: &[Value]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default", "name": service,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": endpoints,
    })
}

/// A ready endpoint on a node.
pub(super) fn endpoint(address: &str, node: &str) -> Value {
    json!({"addresses": [address], "nodeName": node})
}

/// An endpoint with other fields than a ready one has.
pub(super) fn endpoint_with(address: &str, node: &str, fields: &Value) -> Value {
    let mut endpoint = endpoint(address, node);
    for (field, value) in fields.as_object().unwrap() {
        endpoint[field] = value.clone();
    }
    endpoint
}
