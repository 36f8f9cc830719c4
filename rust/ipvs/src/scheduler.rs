//! Schedulers: how a service chooses a destination.

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;
use thiserror::Error;

use crate::Flags;

/// How a service chooses a destination for a new connection.
///
/// Its name is the one the kernel knows, of the module `ip_vs_NAME` (`net/netfilter/ipvs`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheduler {
    /// Round robin.
    #[default]
    RoundRobin,
    /// Weighted round robin.
    WeightedRoundRobin,
    /// The fewest connections.
    LeastConnection,
    /// The fewest connections for its weight.
    WeightedLeastConnection,
    /// By a hash of the source.
    SourceHashing {
        /// Choose another destination if the one hashed to takes nothing (`sh-fallback`).
        fallback: bool,
        /// Hash the source's port too (`sh-port`).
        port: bool,
    },
    /// By Maglev hashing of the source.
    MaglevHashing {
        /// Choose another destination if the one hashed to takes nothing (`mh-fallback`).
        fallback: bool,
        /// Hash the source's port too (`mh-port`).
        port: bool,
    },
    /// The shortest expected delay.
    ShortestExpectedDelay,
    /// An idle destination, else the shortest expected delay.
    NeverQueue,
    /// By a hash of the destination address.
    DestinationHashing,
    /// The greatest weight takes everything.
    WeightedFailover,
    /// The greatest weight until it has as many connections.
    WeightedOverflow,
    /// One that kpx never asks for, as found in the kernel.
    Other(SmolStr),
}

/// A name that is no scheduler's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{name}` is not a scheduler: it is none of {}", Scheduler::NAMES.join(", "))]
pub struct UnknownScheduler {
    /// The name.
    pub name: SmolStr,
}

impl Scheduler {
    /// The names that can be asked for. Hashing schedulers take `-fallback` and `-port` behind
    /// theirs, in this order, such as `mh-fallback-port`.
    pub const NAMES: [&'static str; 11] = [
        "rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq", "dh", "fo", "ovf",
    ];

    /// The kernel's name.
    pub fn name(&self) -> &str {
        match self {
            Self::RoundRobin => "rr",
            Self::WeightedRoundRobin => "wrr",
            Self::LeastConnection => "lc",
            Self::WeightedLeastConnection => "wlc",
            Self::SourceHashing { .. } => "sh",
            Self::MaglevHashing { .. } => "mh",
            Self::ShortestExpectedDelay => "sed",
            Self::NeverQueue => "nq",
            Self::DestinationHashing => "dh",
            Self::WeightedFailover => "fo",
            Self::WeightedOverflow => "ovf",
            Self::Other(name) => name,
        }
    }

    /// The flags of the service that belong to the scheduler.
    pub(crate) fn flags(&self) -> Flags {
        match self {
            Self::SourceHashing { fallback, port } | Self::MaglevHashing { fallback, port } => {
                let fallback = if *fallback {
                    Flags::SCHEDULER_1
                } else {
                    Flags::NONE
                };
                let port = if *port {
                    Flags::SCHEDULER_2
                } else {
                    Flags::NONE
                };
                fallback | port
            }
            _ => Flags::NONE,
        }
    }

    /// The scheduler of a service found in the kernel.
    pub(crate) fn observed(name: &str, flags: Flags) -> Self {
        let (fallback, port) = (
            flags.contains(Flags::SCHEDULER_1),
            flags.contains(Flags::SCHEDULER_2),
        );
        match name {
            "sh" => Self::SourceHashing { fallback, port },
            "mh" => Self::MaglevHashing { fallback, port },
            name => name.parse().unwrap_or_else(|_| Self::Other(name.into())),
        }
    }

    fn named(name: &str, fallback: bool, port: bool) -> Option<Self> {
        Some(match name {
            "sh" => Self::SourceHashing { fallback, port },
            "mh" => Self::MaglevHashing { fallback, port },
            _ if fallback || port => return None,
            "rr" => Self::RoundRobin,
            "wrr" => Self::WeightedRoundRobin,
            "lc" => Self::LeastConnection,
            "wlc" => Self::WeightedLeastConnection,
            "sed" => Self::ShortestExpectedDelay,
            "nq" => Self::NeverQueue,
            "dh" => Self::DestinationHashing,
            "fo" => Self::WeightedFailover,
            "ovf" => Self::WeightedOverflow,
            _ => return None,
        })
    }
}

impl FromStr for Scheduler {
    type Err = UnknownScheduler;

    fn from_str(text: &str) -> Result<Self, UnknownScheduler> {
        let (rest, port) = match text.strip_suffix("-port") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (name, fallback) = match rest.strip_suffix("-fallback") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        Self::named(name, fallback, port).ok_or_else(|| UnknownScheduler { name: text.into() })
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())?;
        if self.flags().contains(Flags::SCHEDULER_1) {
            formatter.write_str("-fallback")?;
        }
        if self.flags().contains(Flags::SCHEDULER_2) {
            formatter.write_str("-port")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_asked_for() {
        let suffixed = ["mh", "sh"].iter().flat_map(|name| {
            ["-fallback", "-port", "-fallback-port"].map(|suffix| format!("{name}{suffix}"))
        });
        let plain = Scheduler::NAMES.iter().map(ToString::to_string);
        for text in plain.chain(suffixed) {
            let scheduler: Scheduler = text.parse().unwrap();
            assert_eq!(scheduler.to_string(), text);
            let again = Scheduler::observed(scheduler.name(), scheduler.flags());
            assert_eq!(again, scheduler);
        }
    }

    #[test]
    fn an_unknown_name_is_named() {
        for text in [
            "",
            "fastest",
            "rr-port",
            "mh-port-fallback",
            "mh-fallback-fallback",
        ] {
            let error = text.parse::<Scheduler>().unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`{text}` is not a scheduler"))
            );
        }
        assert_eq!(
            Scheduler::observed("lblc", Flags::NONE),
            Scheduler::Other("lblc".into())
        );
    }
}
