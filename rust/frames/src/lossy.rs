//! Bytes that are not all UTF-8, so that the objects in them that are can be read.

/// Text in which every sequence of bytes that is no UTF-8 is replaced by a question mark, and
/// where those are. It is no longer than the bytes were.
#[derive(Debug)]
pub struct LossyText {
    text: String,
    /// Offsets into the text, ascending.
    replaced: Vec<usize>,
}

impl LossyText {
    /// Replaces what is no UTF-8.
    pub fn new(bytes: &[u8]) -> Self {
        let mut lossy = Self {
            text: String::with_capacity(bytes.len()),
            replaced: Vec::new(),
        };
        for chunk in bytes.utf8_chunks() {
            lossy.text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                lossy.replaced.push(lossy.text.len());
                lossy.text.push('?');
            }
        }
        lossy
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many sequences were replaced.
    pub fn count(&self) -> usize {
        self.replaced.len()
    }

    /// How many of them are in `part`, a slice of the text.
    pub fn count_in(&self, part: &str) -> usize {
        let start = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let end = start.saturating_add(part.len());
        self.replaced.partition_point(|offset| *offset < end)
            - self.replaced.partition_point(|offset| *offset < start)
    }
}
