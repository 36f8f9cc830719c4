//! Why an object is not taken in.

use std::fmt::{self, Write as _};

use serde::Deserialize;

/// Why an object is rejected that is no JSON (RFC 8259, section 8.1).
pub const NOT_UTF8: &str = "not UTF-8";

/// How many characters of a value or a cause are shown.
const CHARACTERS_SHOWN: usize = 80;

/// Prints text of the input escaped, and cut where it is long.
#[derive(Clone, Copy, Debug)]
pub struct Shortened<'a>(pub &'a str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(CHARACTERS_SHOWN) {
            if character.is_control() {
                write!(formatter, "{}", character.escape_debug())?;
            } else {
                formatter.write_char(character)?;
            }
        }
        if characters.next().is_some() {
            formatter.write_str("...")?;
        }
        Ok(())
    }
}

/// Reads an object once more, to find the field that has a wrong type: its path, and what is wrong.
/// `None` if the object can be read.
pub fn wrong_field<'de, T: Deserialize<'de>>(object: &'de str) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    let (path, cause) = (error.path().to_string(), cause(error.inner()));
    // The path to the object itself is a dot.
    Some(if path == "." {
        cause
    } else {
        format!("{path}: {cause}")
    })
}

/// What an error says, without the place in the text, which may be one item of many.
pub fn cause(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(cause, _)| cause);
    Shortened(message).to_string()
}
