//! Elements as text, which only their set can read.

use std::fmt::{self, Display, Formatter};

use super::value::{write_comment, write_duration, write_fields};
use crate::expression::Counter;
use crate::{Data, Element, Set, SetKind};

/// An element with the set that says how to read it; made by [`Set::display_element`].
#[derive(Clone, Copy, Debug)]
pub struct DisplayElement<'a> {
    set: &'a Set,
    element: &'a Element,
}

/// The key of an element with the set that says how to read it; made by [`Set::display_key`].
#[derive(Clone, Copy, Debug)]
pub struct DisplayKey<'a> {
    set: &'a Set,
    element: &'a Element,
}

impl Set {
    /// The text of an element: `10.96.0.10 . tcp . 80 comment "default/web" : goto lb-2`.
    pub const fn display_element<'a>(&'a self, element: &'a Element) -> DisplayElement<'a> {
        DisplayElement { set: self, element }
    }

    /// The text of an element's key alone: `10.96.0.10 . tcp . 80`.
    pub const fn display_key<'a>(&'a self, element: &'a Element) -> DisplayKey<'a> {
        DisplayKey { set: self, element }
    }
}

impl Display for DisplayKey<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Element { key, key_end, .. } = self.element;
        write_fields(f, &self.set.key, key, key_end.as_deref())
    }
}

impl Display for DisplayElement<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { set, element } = self;
        set.display_key(element).fmt(f)?;
        if let Some(timeout) = element.timeout {
            f.write_str(" timeout ")?;
            write_duration(f, timeout)?;
        }
        if let Some(Counter { packets, bytes }) = element.counter {
            write!(f, " counter packets {packets} bytes {bytes}")?;
        }
        write_comment(f, element.comment.as_deref())?;
        match (&element.data, &set.kind) {
            (Data::None, _) => Ok(()),
            (Data::Verdict(verdict), _) => write!(f, " : {verdict}"),
            (Data::Value(value), kind) => {
                let fields = match kind {
                    SetKind::Map(fields) => fields.as_slice(),
                    SetKind::Set | SetKind::VerdictMap => &[],
                };
                f.write_str(" : ")?;
                write_fields(f, fields, value, None)
            }
        }
    }
}
