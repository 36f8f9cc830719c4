//! Hash maps and sets for what there are many of.
//!
//! `foldhash` is several times faster than the standard library's `SipHash`, and seeded at random, so
//! that keys chosen by whoever writes API objects do not collide on purpose.

use foldhash::fast::RandomState;

/// A map keyed by a hash.
pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
/// A set keyed by a hash.
pub type HashSet<T> = std::collections::HashSet<T, RandomState>;
