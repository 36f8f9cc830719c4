//! The fixed layout: which chains, rules and sets kpx programs, and how frontends are written
//! into the maps.
//!
//! The number of chains and rules does not depend on the number of Services. That is what makes
//! the kernel's work linear: with a chain or an anonymous map per Service it grows with the
//! square of their number.

mod balancer;
mod elements;
mod rule;
mod sets;
mod skeleton;

pub use balancer::{Balancer, Role};
pub use elements::Member;
pub(crate) use elements::{
    decode_destination, decode_key, decode_member, decode_range, decode_slot, decode_slot_key,
    encode_destination, encode_key, encode_member, encode_range, encode_slot, encode_slot_key,
    frontend_key,
};
pub use sets::{SetId, SetShape, SetTable};
pub use skeleton::Skeleton;
