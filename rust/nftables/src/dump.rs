//! The kernel's tables as values.

//!
//! The kernel lists a hashed set by walking it from its start for every datagram, past what it has
//! already listed (`nf_tables_dump_set`, `net/netfilter/nf_tables_api.c`; `nft_rhash_walk`,
//! `net/netfilter/nft_set_hash.c`). Two things follow. The time is quadratic in the elements. And
//! while the kernel still resizes a set, which it does for a moment after many elements were added,
//! elements are left out or come twice without any sign of it. So the elements are counted, and
//! the list is taken again if their number is not the set's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kpx_netlink::{Attributes, Message, Transport};

use crate::chain::NFTA_CHAIN_NAME;
use crate::client::Listing;
use crate::element::{Entry, NFTA_SET_ELEM_LIST_ELEMENTS, join_intervals};
use crate::message::{
    self, NFPROTO_UNSPEC, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFT_MSG_GETSET, NFT_MSG_GETSETELEM,
    NFT_MSG_GETTABLE,
};
use crate::rule::Jumps;
use crate::table::NFTA_TABLE_NAME;
use crate::{
    Bytes, Chain, ChainContents, Client, Element, Family, Name, ObserveError, Rule, Ruleset, Set,
    SetContents, Table, TableContents, set,
};

/// How often the ruleset may change while it is listed before we give up.
const ATTEMPTS: u32 = 10;

/// The pause before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

impl<T: Transport> Client<T> {
    /// Reads all tables of a name, with what they own, as they are at one generation. Of dynamic
    /// sets the elements are left out.
    pub fn dump(&mut self, table_name: &str) -> Result<Ruleset, ObserveError> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(FIRST_PAUSE * (1 << attempt));
            }
            let generation = self.generation()?;
            let tables = self.dump_tables(table_name)?;
            if let Some(tables) = tables
                && self.generation()? == generation
            {
                return Ok(Ruleset { generation, tables });
            }
        }
        Err(ObserveError::Unsteady { attempts: ATTEMPTS })
    }

    /// Visits the elements of a set as they are found: while others write, one may be left out or
    /// come twice. Enough to read counters; a set that does not exist has no elements.
    pub fn visit_elements(
        &mut self,
        set: &Set,
        mut visit: impl FnMut(Element),
    ) -> Result<(), ObserveError> {
        let family = set.table.family as u8;
        let _ = self.list(
            NFT_MSG_GETSETELEM,
            family,
            "elements",
            |writer| set.emit_reference(writer),
            |entry| {
                let attributes = message::attributes(entry);
                for entry in attributes.get(NFTA_SET_ELEM_LIST_ELEMENTS)?.nested() {
                    if let Some(Entry::Element(element)) = Entry::parse(&entry.nested()) {
                        visit(element);
                    }
                }
                Some(())
            },
        )?;
        Ok(())
    }

    /// The names of all tables of all families, those kpx does not know among them.
    pub fn table_names(&mut self) -> Result<BTreeSet<Name>, ObserveError> {
        self.names(NFT_MSG_GETTABLE, "tables", |attributes| {
            Some(Name::from(attributes.get(NFTA_TABLE_NAME)?.as_str()?))
        })
    }

    /// The names of all chains of all families, each behind that of its table.
    pub fn chain_names(&mut self) -> Result<BTreeSet<(Name, Name)>, ObserveError> {
        self.names(NFT_MSG_GETCHAIN, "chains", |attributes| {
            Some((
                Name::from(attributes.get(NFTA_TABLE_NAME)?.as_str()?),
                Name::from(attributes.get(NFTA_CHAIN_NAME)?.as_str()?),
            ))
        })
    }

    /// All tables of the families that kpx knows.
    pub fn tables(&mut self) -> Result<Vec<Table>, ObserveError> {
        self.entries(NFT_MSG_GETTABLE, NFPROTO_UNSPEC, "tables", Table::parse)
    }

    /// The chains of all tables of a family, each behind its table.
    pub fn chains(&mut self, family: Family) -> Result<Vec<(Table, Name)>, ObserveError> {
        self.entries(
            NFT_MSG_GETCHAIN,
            family as u8,
            "chains",
            |entry, attributes| {
                let name = Name::from(attributes.get(NFTA_CHAIN_NAME)?.as_str()?);
                Some((Table::parse(entry, attributes)?, name))
            },
        )
    }

    /// The rules of all tables of a family that lead to other chains.
    pub fn jumps(&mut self, family: Family) -> Result<Vec<Jumps>, ObserveError> {
        self.entries(
            NFT_MSG_GETRULE,
            family as u8,
            "rules",
            |entry, attributes| Jumps::parse(Table::parse(entry, attributes)?, attributes),
        )
    }

    /// What a list has, as far as it can be read.
    fn entries<E>(
        &mut self,
        kind: u8,
        family: u8,
        what: &'static str,
        parse: impl Fn(&Message<'_>, &Attributes<'_>) -> Option<E>,
    ) -> Result<Vec<E>, ObserveError> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(FIRST_PAUSE * (1 << attempt));
            }
            let mut entries = Vec::new();
            let listing = self.list(
                kind,
                family,
                what,
                |_| (),
                |entry| {
                    entries.extend(parse(entry, &message::attributes(entry)));
                    Some(())
                },
            )?;
            if listing == Listing::Consistent {
                return Ok(entries);
            }
        }
        Err(ObserveError::Unsteady { attempts: ATTEMPTS })
    }

    fn names<N: Ord>(
        &mut self,
        kind: u8,
        what: &'static str,
        name: impl Fn(&Attributes<'_>) -> Option<N>,
    ) -> Result<BTreeSet<N>, ObserveError> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(FIRST_PAUSE * (1 << attempt));
            }
            let mut names = BTreeSet::new();
            let listing = self.list(
                kind,
                NFPROTO_UNSPEC,
                what,
                |_| (),
                |entry| {
                    names.insert(name(&message::attributes(entry))?);
                    Some(())
                },
            )?;
            if listing == Listing::Consistent {
                return Ok(names);
            }
        }
        Err(ObserveError::Unsteady { attempts: ATTEMPTS })
    }

    /// One attempt; `None` if the ruleset changed meanwhile.
    fn dump_tables(
        &mut self,
        table_name: &str,
    ) -> Result<Option<BTreeMap<Table, TableContents>>, ObserveError> {
        let mut tables = BTreeMap::new();
        let listing = self.list(
            NFT_MSG_GETTABLE,
            NFPROTO_UNSPEC,
            "tables",
            |_| (),
            |entry| {
                let table = Table::parse(entry, &message::attributes(entry));
                tables.extend(
                    table
                        .filter(|table| table.name == table_name)
                        .map(|table| (table, TableContents::default())),
                );
                Some(())
            },
        )?;
        if listing == Listing::Interrupted {
            return Ok(None);
        }
        for (table, contents) in &mut tables {
            let mut counts = HashMap::new();
            let is_steady = self.dump_chains(table, contents)? == Listing::Consistent
                && self.dump_rules(table, contents)? == Listing::Consistent
                && self.dump_sets(table, contents, &mut counts)? == Listing::Consistent;
            if !is_steady {
                return Ok(None);
            }
            // What packets add to a dynamic set is state, not ruleset.
            let written = |(_, set): &(&Name, &mut SetContents)| !set.set.flags.dynamic;
            for (name, set) in contents.sets.iter_mut().filter(written) {
                let count = counts.get(name).copied();
                if self.dump_elements(set, count)? == Listing::Interrupted {
                    return Ok(None);
                }
            }
        }
        Ok(Some(tables))
    }

    fn dump_chains(
        &mut self,
        table: &Table,
        contents: &mut TableContents,
    ) -> Result<Listing, ObserveError> {
        let family = table.family as u8;
        self.list(
            NFT_MSG_GETCHAIN,
            family,
            "chains",
            |_| (),
            |entry| {
                let attributes = message::attributes(entry);
                // The kernel lists the chains of all tables of the family.
                if Table::parse(entry, &attributes)? == *table {
                    let chain = Chain::parse(table.clone(), &attributes)?;
                    let rules = Vec::new();
                    contents
                        .chains
                        .insert(chain.name.clone(), ChainContents { chain, rules });
                }
                Some(())
            },
        )
    }

    fn dump_rules(
        &mut self,
        table: &Table,
        contents: &mut TableContents,
    ) -> Result<Listing, ObserveError> {
        let mut is_known = true;
        let listing = self.list(
            NFT_MSG_GETRULE,
            table.family as u8,
            "rules",
            |writer| table.emit(writer),
            |entry| {
                let attributes = message::attributes(entry);
                let rule = Rule::parse(Table::parse(entry, &attributes)?, &attributes)?;
                match contents.chains.get_mut(&rule.chain) {
                    Some(chain) => chain.rules.push(rule),
                    None => is_known = false,
                }
                Some(())
            },
        )?;
        // A rule in a chain that was not there before shows a change.
        Ok(if is_known {
            listing
        } else {
            Listing::Interrupted
        })
    }

    fn dump_sets(
        &mut self,
        table: &Table,
        contents: &mut TableContents,
        counts: &mut HashMap<Name, usize>,
    ) -> Result<Listing, ObserveError> {
        self.list(
            NFT_MSG_GETSET,
            table.family as u8,
            "sets",
            |writer| table.emit(writer),
            |entry| {
                let attributes = message::attributes(entry);
                let set = Arc::new(Set::parse(table, &attributes)?);
                // Elements that have timed out still count, and of intervals the kernel counts
                // now both ends and now one.
                if !set.flags.timeout
                    && !set.flags.interval
                    && let Some(count) = set::element_count(&attributes)
                {
                    counts.insert(set.name.clone(), count);
                }
                let elements = HashMap::new();
                contents
                    .sets
                    .insert(set.name.clone(), SetContents { set, elements });
                Some(())
            },
        )
    }

    /// Reads the elements of a set, of which the kernel says that there are `count`.
    fn dump_elements(
        &mut self,
        contents: &mut SetContents,
        count: Option<usize>,
    ) -> Result<Listing, ObserveError> {
        let set = Arc::clone(&contents.set);
        if set.key.is_empty() {
            return Ok(Listing::Consistent);
        }
        let mut starts: Vec<Element> = Vec::new();
        let mut ends: Vec<Bytes> = Vec::new();
        let mut listed = 0;
        let mut is_single = true;
        let listing = self.list(
            NFT_MSG_GETSETELEM,
            set.table.family as u8,
            "elements",
            |writer| set.emit_reference(writer),
            |entry| {
                let attributes = message::attributes(entry);
                for entry in attributes.get(NFTA_SET_ELEM_LIST_ELEMENTS)?.nested() {
                    listed += 1;
                    match Entry::parse(&entry.nested()) {
                        Some(Entry::Element(element)) if set.has_paired_intervals() => {
                            starts.push(element);
                        }
                        Some(Entry::Element(element)) => {
                            let key = element.key.clone();
                            is_single &= contents.elements.insert(key, Box::new(element)).is_none();
                        }
                        Some(Entry::IntervalEnd(end)) => ends.push(end),
                        None => {}
                    }
                }
                Some(())
            },
        )?;
        if !is_single || count.is_some_and(|count| count != listed) {
            return Ok(Listing::Interrupted);
        }
        join_intervals(&mut starts, &mut ends);
        contents.elements.extend(
            starts
                .into_iter()
                .map(|start| (start.key.clone(), Box::new(start))),
        );
        Ok(listing)
    }
}
