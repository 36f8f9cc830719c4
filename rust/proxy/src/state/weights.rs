//! How much of a Service's connections its endpoints take.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

/// The most entries of a map of weights: bounds what an annotation makes us look at per endpoint.
const MAX_ENTRIES: usize = 256;

/// The greatest weight (`IPVS` takes more, but a sum over all endpoints must not overflow).
const MAX_WEIGHT: u32 = 65_535;

/// The weights of a Service's endpoints, by their addresses: `10.244.1.7=3, 10.244.2.0/24=2, *=1`.
///
/// A range stands for all endpoints within, such as the pods of one node; the longest range that
/// matches counts. An endpoint that nothing matches has the weight 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The longest ranges first.
    ranges: Vec<(IpNet, u32)>,
    others: u32,
}

/// A map of weights that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// An entry is no `KEY=WEIGHT`.
    #[error("`{0}` is not of the form `ADDRESS=WEIGHT`, `CIDR=WEIGHT` or `*=WEIGHT`")]
    Entry(String),
    /// A weight is no number in range.
    #[error("the weight `{0}` is not between 1 and {MAX_WEIGHT}")]
    Weight(String),
    /// Two entries are for the same endpoints.
    #[error("`{0}` is given twice")]
    Repeated(String),
    /// There are more entries than are read.
    #[error("there are more than {MAX_ENTRIES} entries")]
    TooMany,
}

impl Weights {
    /// The weight of an endpoint.
    pub fn of(&self, address: IpAddr) -> u32 {
        let mut ranges = self.ranges.iter();
        let found = ranges.find(|(range, _)| range.contains(&address));
        found.map_or(self.others, |(_, weight)| *weight)
    }
}

impl FromStr for Weights {
    type Err = WeightsError;

    fn from_str(text: &str) -> Result<Self, WeightsError> {
        let (mut ranges, mut others) = (Vec::<(IpNet, u32)>::new(), None);
        let entries = text.split(',').map(str::trim);
        for (index, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
            if index == MAX_ENTRIES {
                return Err(WeightsError::TooMany);
            }
            let malformed = || WeightsError::Entry(entry.to_owned());
            let (key, weight) = entry.split_once('=').ok_or_else(malformed)?;
            let (key, weight) = (key.trim(), weight.trim());
            let weight = weight
                .parse()
                .ok()
                .filter(|weight| (1..=MAX_WEIGHT).contains(weight))
                .ok_or_else(|| WeightsError::Weight(weight.to_owned()))?;
            let repeated = || WeightsError::Repeated(key.to_owned());
            if key == "*" {
                if others.replace(weight).is_some() {
                    return Err(repeated());
                }
                continue;
            }
            let range = key.parse().or_else(|_| key.parse().map(IpAddr::into));
            let range: IpNet = range
                .map(|range: IpNet| range.trunc())
                .map_err(|_| malformed())?;
            if ranges.iter().any(|(known, _)| *known == range) {
                return Err(repeated());
            }
            ranges.push((range, weight));
        }
        ranges.sort_unstable_by_key(|(range, _)| (std::cmp::Reverse(range.prefix_len()), *range));
        Ok(Self {
            ranges,
            others: others.unwrap_or(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_range_counts() {
        let weights: Weights = "10.244.0.0/16=2, 10.244.1.7 = 5,10.244.1.0/24=3,fd00::/64=9,*=4"
            .parse()
            .unwrap();
        for (address, weight) in [
            ("10.244.1.7", 5),
            ("10.244.1.8", 3),
            ("10.244.2.8", 2),
            ("10.0.0.1", 4),
            ("fd00::5", 9),
            ("fd01::5", 4),
        ] {
            assert_eq!(weights.of(address.parse().unwrap()), weight, "{address}");
        }
        let empty: Weights = "".parse().unwrap();
        assert_eq!(empty.of("10.0.0.1".parse().unwrap()), 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, reason) in [
            ("10.0.0.1", "`10.0.0.1` is not of the form"),
            ("web-0=3", "`web-0=3` is not of the form"),
            ("10.0.0.1=0", "the weight `0` is not between"),
            ("10.0.0.1=-1", "the weight `-1` is not between"),
            ("*=65536", "the weight `65536` is not between"),
            ("10.0.0.1=1,10.0.0.1/32=2", "`10.0.0.1/32` is given twice"),
            ("*=1,*=2", "`*` is given twice"),
        ] {
            let error = text.parse::<Weights>().unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
        let many = "10.0.0.1=1,".repeat(MAX_ENTRIES + 1);
        assert!(many.parse::<Weights>().is_err());
    }
}
