//! A list that comes piece by piece, cut into lists of a few of its items each.

/// How many bytes of items make a page, at least.
const PAGE: usize = 256 << 10;

/// Cuts a list (`ServiceList`, `List`...) into pages while its bytes come, so that it never is in
/// memory as a whole. A page is a list of its own: what the list says of itself before its items,
/// some of the items, and nothing behind them; the last page has the rest.
///
/// Nothing is checked: what is no JSON, or no list, or does not say its `kind` before its items,
/// as the API server does, makes one page, which the decoder judges.
#[derive(Debug)]
pub struct ListPages {
    page: usize,
    /// All up to the bracket that opens the items; empty until that comes.
    head: Vec<u8>,
    /// What came since, or, without a head, all that came.
    rest: Vec<u8>,
    /// How much of the rest was looked at.
    seen: usize,
    /// How many braces and brackets are open there.
    depth: usize,
    is_in_string: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the items.
    Head,
    /// In the list of items.
    Items,
    /// Behind it, or in what is not to be cut.
    Tail,
}

impl Default for ListPages {
    fn default() -> Self {
        Self::of_size(PAGE)
    }
}

impl ListPages {
    /// Cuts pages of so many bytes of items at least.
    pub(super) const fn of_size(page: usize) -> Self {
        Self {
            page,
            head: Vec::new(),
            rest: Vec::new(),
            seen: 0,
            depth: 0,
            is_in_string: false,
            place: Place::Head,
        }
    }

    /// Takes bytes in; gives a page once enough items are complete.
    pub fn add(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.rest.extend_from_slice(bytes);
        let end = self.scan()?;
        let page = [&self.head, &self.rest[..end], b"]}"].concat();
        // The comma behind the last item goes.
        self.rest.drain(..=end);
        self.seen -= end + 1;
        Some(page)
    }

    /// The last page, once all bytes have come.
    pub fn finish(self) -> Vec<u8> {
        [self.head, self.rest].concat()
    }

    /// Looks at what came; gives the position of the last comma between items, if there are enough
    /// before it.
    fn scan(&mut self) -> Option<usize> {
        let mut last_comma = None;
        while let Some(byte) = self.rest.get(self.seen) {
            match (byte, self.is_in_string) {
                // What is escaped may be yet to come.
                (b'\\', true) if self.seen + 1 == self.rest.len() => break,
                (b'\\', true) => self.seen += 1,
                (b'"', _) => self.is_in_string = !self.is_in_string,
                (_, true) => {}
                (b'[', _) if self.opens_items() => {
                    self.head = self.rest.drain(..=self.seen).collect();
                    self.seen = 0;
                    self.depth = 0;
                    self.place = Place::Items;
                    continue;
                }
                (b'{' | b'[', _) => self.depth += 1,
                (b'}' | b']', _) => match self.depth.checked_sub(1) {
                    Some(depth) => self.depth = depth,
                    None => self.place = Place::Tail,
                },
                (b',', _) if self.place == Place::Items && self.depth == 0 => {
                    last_comma = Some(self.seen);
                }
                _ => {}
            }
            if self.place == Place::Tail {
                self.seen = self.rest.len();
                break;
            }
            self.seen += 1;
        }
        last_comma.filter(|end| *end >= self.page)
    }

    /// Whether the bracket at hand opens the items of a list that said what it is.
    fn opens_items(&self) -> bool {
        if self.place != Place::Head || self.depth != 1 {
            return false;
        }
        let before = &self.rest[..self.seen];
        let key = before
            .trim_ascii_end()
            .strip_suffix(b":")
            .and_then(|key| key.trim_ascii_end().strip_suffix(b"\"items\""));
        let contains = |name: &[u8]| before.windows(name.len()).any(|part| part == name);
        // Behind a backslash it is the end of a longer key.
        key.is_some_and(|before| !before.ends_with(b"\\"))
            && contains(b"\"kind\"")
            && contains(b"\"apiVersion\"")
    }
}

#[cfg(test)]
mod tests;
