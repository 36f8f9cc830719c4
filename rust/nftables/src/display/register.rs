//! What the registers hold while a rule is read, as text.

use std::fmt::{self, Write};
use std::mem::discriminant;

use super::value::{Format, prefix_length};
use crate::expression::{Bitwise, Compare, CompareOperator, Register};
use crate::{Bytes, DataType};

/// The 32-bit words of the register file.
const WORDS: usize = 16;

/// What a register holds.
#[derive(Clone, Debug)]
pub(super) enum Symbol {
    /// Something loaded from the packet, the connection or the host.
    Loaded(Loaded),
    /// A constant.
    Constant(Bytes),
    /// What a map gave for a key.
    Mapped(String),
}

/// Something loaded, and the bits that were masked or flipped since.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    /// The expression as text.
    text: String,
    /// How its value reads.
    format: Format,
    /// How many bytes were loaded.
    length: usize,
    /// The mask and the flipped bits.
    bits: Option<(Bytes, Bytes)>,
}

/// The bits of a mask and a flip as `nft` writes them: `(value & and ^ xor) | or`.
struct Operators {
    and: Bytes,
    xor: Bytes,
    or: Bytes,
}

impl Operators {
    /// Bits that the mask clears and the flip sets come out set whatever they were.
    fn new(mask: &[u8], flip: &[u8]) -> Self {
        let pairs = || mask.iter().zip(flip);
        Self {
            and: pairs().map(|(mask, flip)| mask | flip).collect(),
            xor: pairs().map(|(mask, flip)| mask & flip).collect(),
            or: pairs().map(|(mask, flip)| !mask & flip).collect(),
        }
    }
}

impl Symbol {
    /// A value of `length` bytes that was just loaded.
    pub(super) fn loaded(text: impl Into<String>, format: Format, length: usize) -> Self {
        Self::Loaded(Loaded {
            text: text.into(),
            format,
            length,
            bits: None,
        })
    }

    /// The number of words the value takes, as far as it is known.
    fn words(&self) -> u8 {
        let length = match self {
            Self::Loaded(loaded) => loaded.length,
            Self::Constant(value) => value.len(),
            Self::Mapped(_) => 1,
        };
        u8::try_from(length.div_ceil(4).max(1)).unwrap_or(u8::MAX)
    }

    /// Writes the value; a constant reads as `format`, or as what its length suggests.
    pub(super) fn write(&self, out: &mut String, format: Option<Format>) -> fmt::Result {
        match self {
            Self::Loaded(loaded) => loaded.write(out),
            Self::Mapped(text) => out.write_str(text),
            Self::Constant(value) => format
                .unwrap_or(match value.len() {
                    1 => Format::Data(DataType::InetProto),
                    2 => Format::Data(DataType::InetService),
                    4 => Format::Data(DataType::Ipv4Address),
                    16 => Format::Data(DataType::Ipv6Address),
                    _ => Format::Number,
                })
                .write(out, value),
        }
    }

    /// The value after a mask and a flip.
    fn with_bits(self, bitwise: &Bitwise) -> Self {
        let bits = Some((bitwise.mask.clone(), bitwise.xor.clone()));
        match self {
            Self::Loaded(loaded) if loaded.bits.is_none() => {
                Self::Loaded(Loaded { bits, ..loaded })
            }
            other => {
                let mut text = String::from("( ");
                // Writing to a string cannot fail.
                let _ = other.write(&mut text, None);
                text.push_str(" )");
                let length = bitwise.mask.len();
                Self::Loaded(Loaded {
                    text,
                    format: Format::Number,
                    length,
                    bits,
                })
            }
        }
    }
}

impl Loaded {
    /// Writes the expression with the operators that were applied to it.
    fn write(&self, out: &mut String) -> fmt::Result {
        out.write_str(&self.text)?;
        let Some((mask, flip)) = &self.bits else {
            return Ok(());
        };
        let Operators { and, xor, or } = Operators::new(mask, flip);
        for (operator, value, neutral) in [('&', and, u8::MAX), ('^', xor, 0), ('|', or, 0)] {
            if value.iter().any(|&byte| byte != neutral) {
                write!(out, " {operator} ")?;
                self.format.write(out, &value)?;
            }
        }
        Ok(())
    }

    /// Writes a comparison the way `nft` reads it: prefixes as prefixes, states as states.
    fn write_comparison(&self, out: &mut String, compare: &Compare) -> fmt::Result {
        let Compare {
            operator, value, ..
        } = compare;
        let is_equal = *operator == CompareOperator::Equal;
        if let Some(length) = self.prefix() {
            let mut address = value.clone();
            address.resize(self.address_length(), 0);
            write!(out, "{} {}", self.text, if is_equal { "" } else { "!= " })?;
            self.format.write(out, &address)?;
            if length as usize == self.address_length() * 8 {
                return Ok(());
            }
            return write!(out, "/{length}");
        }
        match (self.format, &self.bits) {
            (Format::ConnectionState, Some((mask, flip)))
                if !is_equal && flip.iter().chain(value).all(|&byte| byte == 0) =>
            {
                write!(out, "{} ", self.text)?;
                return self.format.write(out, mask);
            }
            // Without an operator a state is a mask, and so is what remains of one.
            (_, Some(_)) | (Format::ConnectionState, None) => {
                self.write(out)?;
                out.write_str(if is_equal { " == " } else { " != " })?;
            }
            (_, None) => write!(out, "{} {}", self.text, if is_equal { "" } else { "!= " })?,
        }
        self.format.write(out, value)
    }

    /// The length of the prefix that an address is cut to, in bits.
    fn prefix(&self) -> Option<u32> {
        match &self.bits {
            _ if self.address_length() == 0 => None,
            None => u32::try_from(self.length * 8).ok(),
            Some((mask, flip)) => prefix_length(mask.iter().copied())
                .filter(|_| mask.len() == self.address_length())
                .filter(|_| flip.iter().all(|&byte| byte == 0)),
        }
    }

    /// The length of the address; 0 for what is no address.
    const fn address_length(&self) -> usize {
        match self.format {
            Format::Data(data_type @ (DataType::Ipv4Address | DataType::Ipv6Address)) => {
                data_type.length()
            }
            _ => 0,
        }
    }
}

/// What each word of the register file holds.
#[derive(Debug, Default)]
pub(super) struct Registers {
    /// The values by the word they start at, and whether something has read them.
    words: [Option<(Symbol, bool)>; WORDS],
}

impl Registers {
    /// Puts a value into a register, over what stood there.
    pub(super) fn store(&mut self, register: Register, symbol: Symbol) {
        let start = usize::from(register.0);
        let end = start + usize::from(symbol.words());
        for (word, slot) in self.words.iter_mut().enumerate().take(end) {
            let stored_end = slot
                .as_ref()
                .map_or(0, |(stored, _)| word + usize::from(stored.words()));
            if stored_end > start {
                *slot = None;
            }
        }
        if let Some(slot) = self.words.get_mut(start) {
            *slot = Some((symbol, false));
        }
    }

    /// Puts what a map gave into a register. How long it is only the map knows: the key that was
    /// just read is taken to be overwritten.
    pub(super) fn store_mapped(&mut self, register: Register, text: String) {
        let start = usize::from(register.0) + 1;
        for slot in self.words.iter_mut().skip(start) {
            if slot.as_ref().is_some_and(|(_, is_read)| *is_read) {
                *slot = None;
            }
        }
        self.store(register, Symbol::Mapped(text));
    }

    /// What stands in a register.
    pub(super) fn get(&self, register: Register) -> Option<&Symbol> {
        let (symbol, _) = self.words.get(usize::from(register.0))?.as_ref()?;
        Some(symbol)
    }

    /// Masks and flips bits of a register.
    pub(super) fn apply(&mut self, bitwise: &Bitwise) {
        if let Some(symbol) = self.get(bitwise.source).cloned() {
            self.store(bitwise.destination, symbol.with_bits(bitwise));
        }
    }

    /// The text of a comparison.
    pub(super) fn comparison(&mut self, compare: &Compare) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = match self.get(compare.source) {
            Some(Symbol::Loaded(loaded)) => loaded.write_comparison(&mut out, compare),
            _ => write!(out, "reg {} {:?}", compare.source.0, compare.value),
        };
        self.mark_read(compare.source);
        out
    }

    /// The text of a single value.
    pub(super) fn value(&mut self, register: Register, format: Option<Format>) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = match self.get(register) {
            Some(symbol) => symbol.write(&mut out, format),
            None => write!(out, "reg {}", register.0),
        };
        self.mark_read(register);
        out
    }

    /// The text of the values that start at a register and follow one another, all loaded or all
    /// constant. A rule loads a key just before it looks the key up, so a value that was read
    /// before does not belong to a key, unless the key begins with such a one.
    pub(super) fn concatenation(&mut self, register: Register) -> String {
        let starts_unread = self.is_unread(register);
        let mut out = self.value(register, None);
        let mut next = register;
        while let Some(symbol) = self.get(next) {
            let kind = discriminant(symbol);
            next = Register(next.0.saturating_add(symbol.words()));
            let is_alike = self
                .get(next)
                .is_some_and(|symbol| discriminant(symbol) == kind);
            if !is_alike || starts_unread && !self.is_unread(next) {
                break;
            }
            out.push_str(" . ");
            out.push_str(&self.value(next, None));
        }
        out
    }

    fn is_unread(&self, register: Register) -> bool {
        matches!(
            self.words.get(usize::from(register.0)),
            Some(Some((_, false)))
        )
    }

    fn mark_read(&mut self, register: Register) {
        if let Some(Some((_, is_read))) = self.words.get_mut(usize::from(register.0)) {
            *is_read = true;
        }
    }
}
