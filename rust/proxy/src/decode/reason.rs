//! Why an object, or a part of one, is not taken in.

use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;

use kpx_frames::Shortened;

/// Why an object is not valid as a whole: the field, and what is wrong with its value.
pub(super) type Reason = String;

/// How many reasons are kept for one object, so that a broken one costs no more memory than a
/// good one.
const REASONS_KEPT: usize = 16;

/// The parts of one object that are left out because they are not valid.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    reasons: Vec<Reason>,
    unnamed: usize,
}

impl LeftOut {
    /// Notes a part that is left out.
    pub(super) fn push(&mut self, reason: fmt::Arguments<'_>) {
        if self.reasons.len() < REASONS_KEPT {
            self.reasons.push(reason.to_string());
        } else {
            self.unnamed += 1;
        }
    }

    /// The reasons, and a count of those that were not kept.
    pub(super) fn into_reasons(mut self) -> Vec<Reason> {
        if self.unnamed > 0 {
            let more = format!("{} more parts are not valid", self.unnamed);
            self.reasons.push(more);
        }
        self.reasons
    }
}

/// Prints a value of the input in backticks, escaped, and cut where it is long.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char('`')?;
        Shortened(self.0).fmt(formatter)?;
        formatter.write_char('`')
    }
}

/// Reads a number that must be there and in range; `field` names it.
pub(super) fn required_number<T>(
    value: Option<i64>,
    range: RangeInclusive<T>,
    field: fmt::Arguments<'_>,
) -> Result<T, Reason>
where
    T: TryFrom<i64> + PartialOrd + fmt::Display,
{
    let Some(value) = value else {
        return Err(format!("{field}: missing"));
    };
    T::try_from(value)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (first, last) = (range.start(), range.end());
            format!("{field}: {value} is not between {first} and {last}")
        })
}

/// The ports that can be connected to.
pub(super) const PORTS: RangeInclusive<u16> = 1..=u16::MAX;

/// The most ports of an object: those of an EndpointSlice (`maxPorts`,
/// `pkg/apis/discovery/validation`). For Services the API sets no limit of its own, but etcd's limit
/// of 1.5 MiB for an object comes to fewer than this.
const MAX_PORTS: usize = 20_000;

/// Fails if an object has more ports than are taken in.
pub(super) fn bounded_ports(count: usize, field: &str) -> Result<(), Reason> {
    if count > MAX_PORTS {
        return Err(format!("{field}: {count} ports are more than {MAX_PORTS}"));
    }
    Ok(())
}
