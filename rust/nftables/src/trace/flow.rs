//! A packet's way through the hooks.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::machine::{Machine, Ruling, Transit};
use super::memory::Memory;
use super::{ConnectionState, Fate, Outcome, Packet, TraceError};
use crate::{ChainKind, Family, Hook, Name, Ruleset, TableContents};

/// Sends packets through a ruleset on a host with some addresses.
///
/// What rules add to sets is kept from one packet to the next.
#[derive(Clone, Debug)]
pub struct PacketFlow<'a> {
    ruleset: &'a Ruleset,
    local_addresses: BTreeSet<IpAddr>,
    memory: Memory,
}

impl<'a> PacketFlow<'a> {
    /// A host with these addresses, beside those of the loopback.
    pub fn new(ruleset: &'a Ruleset, local_addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let local_addresses = local_addresses.into_iter().collect();
        Self {
            ruleset,
            local_addresses,
            memory: Memory::default(),
        }
    }

    /// Sends a packet; `random` gives a number below its argument wherever a rule asks for one.
    ///
    /// # Errors
    ///
    /// If the ruleset could not be a kernel's, or has an expression that is unknown.
    pub fn send(
        &mut self,
        packet: &Packet,
        random: &mut dyn FnMut(u32) -> u32,
    ) -> Result<Outcome, TraceError> {
        let family = packet.family().ok_or(TraceError::Families)?;
        let transit = Transit {
            packet: packet.clone(),
            masqueraded: false,
            path: Vec::new(),
            local_addresses: &self.local_addresses,
            memory: &mut self.memory,
            random,
        };
        let mut walk = Walk {
            ruleset: self.ruleset,
            family,
            transit,
            settled: Settled::default(),
        };
        let ruling = walk.run()?;
        let Transit {
            packet,
            masqueraded,
            path,
            ..
        } = walk.transit;
        let verdict = match ruling {
            Ruling::Accept | Ruling::Translate => Fate::Accepted,
            Ruling::Drop => Fate::Dropped,
            Ruling::Reject => Fate::Rejected,
        };
        Ok(Outcome {
            verdict,
            destination: packet.destination,
            masqueraded,
            path,
        })
    }

    /// All that may become of a packet, each with its probability. The sets stay as they are.
    ///
    /// # Errors
    ///
    /// As [`PacketFlow::send`].
    pub fn outcomes(&self, packet: &Packet) -> Result<Vec<(Outcome, f64)>, TraceError> {
        let mut outcomes = Vec::new();
        // The numbers position so far, each with its modulus; the next round counts them up.
        let mut draws: Vec<(u32, u32)> = Vec::new();
        loop {
            let mut position = 0;
            let outcome = self.clone().send(packet, &mut |modulus| {
                if position == draws.len() {
                    draws.push((0, modulus));
                }
                position += 1;
                draws[position - 1].0
            })?;
            let probability = draws
                .iter()
                .map(|(_, modulus)| 1.0 / f64::from(*modulus))
                .product();
            outcomes.push((outcome, probability));
            while draws
                .pop_if(|(number, modulus)| *number + 1 >= *modulus)
                .is_some()
            {}
            match draws.last_mut() {
                Some((number, _)) => *number += 1,
                None => return Ok(outcomes),
            }
        }
    }
}

/// `NF_IP_PRI_NAT_DST` and `NF_IP_PRI_NAT_SRC` (`uapi/linux/netfilter_ipv4.h`).
const DESTINATION_NAT_PRIORITY: i32 = -100;
const SOURCE_NAT_PRIORITY: i32 = 100;

/// Which addresses of a connection are settled.
#[derive(Clone, Copy, Debug, Default)]
struct Settled {
    destination: bool,
    source: bool,
}

/// A packet's walk from hook to hook.
struct Walk<'a, 't> {
    ruleset: &'a Ruleset,
    family: Family,
    transit: Transit<'t>,
    settled: Settled,
}

impl<'a> Walk<'a, '_> {
    /// Follows the kernel's packet path (`ip_rcv`, `ip_forward`, `ip_output` and their IPv6 kin):
    /// routing is asked again after the destination was translated.
    fn run(&mut self) -> Result<Ruling, TraceError> {
        let mut hooks = vec![Hook::Postrouting, Hook::Output];
        if self.transit.packet.input_interface.is_some() {
            hooks = vec![Hook::Prerouting];
        }
        while let Some(hook) = hooks.pop() {
            let ruling = self.pass(hook)?;
            if matches!(ruling, Ruling::Drop | Ruling::Reject) {
                return Ok(ruling);
            }
            let is_local = self.transit.is_local(self.transit.packet.destination.ip());
            match hook {
                Hook::Prerouting if is_local => hooks.push(Hook::Input),
                Hook::Prerouting => hooks.extend([Hook::Postrouting, Hook::Forward]),
                // What this host sends to itself comes in again by the loopback.
                Hook::Postrouting if self.transit.packet.input_interface.is_none() && is_local => {
                    self.transit.packet.input_interface = Some(Name::new_static("lo"));
                    hooks.push(Hook::Prerouting);
                }
                Hook::Postrouting | Hook::Input | Hook::Forward | Hook::Output => {}
            }
        }
        Ok(Ruling::Accept)
    }

    /// Runs the base chains of a hook in order.
    fn pass(&mut self, hook: Hook) -> Result<Ruling, TraceError> {
        for (kind, name, contents) in self.base_chains(hook) {
            if kind == ChainKind::Nat && !self.may_translate(hook) {
                continue;
            }
            match Machine::new(contents, &mut self.transit).run(name)? {
                Ruling::Accept => {}
                Ruling::Translate => self.settle(hook),
                ruling @ (Ruling::Drop | Ruling::Reject) => return Ok(ruling),
            }
        }
        self.settle(hook);
        Ok(Ruling::Accept)
    }

    /// The base chains of a hook by priority. All translation is done at one place, whatever the
    /// priorities of its chains; they only order the chains among themselves
    /// (`nf_nat_proto.c`, `nf_nat_ipv4_ops`).
    fn base_chains(&self, hook: Hook) -> Vec<(ChainKind, &'a Name, &'a TableContents)> {
        let tables = self
            .ruleset
            .tables
            .iter()
            .filter(|(table, _)| table.family == self.family);
        let chains = tables.flat_map(|(_, contents)| {
            contents
                .chains
                .iter()
                .map(move |(name, chain)| (chain.chain.base, name, contents))
        });
        let mut chains: Vec<_> = chains
            .filter_map(|(base, name, contents)| Some((base?, name, contents)))
            .filter(|(base, ..)| base.hook == hook)
            .collect();
        chains.sort_by_key(|(base, ..)| {
            let place = match (base.kind, hook) {
                (ChainKind::Filter, _) => base.priority,
                (ChainKind::Nat, Hook::Prerouting | Hook::Output) => DESTINATION_NAT_PRIORITY,
                (ChainKind::Nat, Hook::Postrouting | Hook::Input | Hook::Forward) => {
                    SOURCE_NAT_PRIORITY
                }
            };
            (place, base.priority)
        });
        chains
            .into_iter()
            .map(|(base, name, contents)| (base.kind, name, contents))
            .collect()
    }

    /// Whether the rules of a hook may still translate: only the first packet is translated by
    /// rules, and each of its addresses at one hook.
    const fn may_translate(&self, hook: Hook) -> bool {
        let is_settled = match hook {
            Hook::Prerouting | Hook::Output => self.settled.destination,
            Hook::Postrouting | Hook::Input => self.settled.source,
            Hook::Forward => true,
        };
        matches!(self.transit.packet.state, ConnectionState::New) && !is_settled
    }

    /// Notes that the rules of a hook translated, or that they did not: conntrack does not ask
    /// again.
    const fn settle(&mut self, hook: Hook) {
        match hook {
            Hook::Prerouting | Hook::Output => self.settled.destination = true,
            Hook::Postrouting | Hook::Input => self.settled.source = true,
            Hook::Forward => {}
        }
    }
}
