//! Whole rulesets as text.

use std::fmt::{self, Display, Formatter};

use crate::{ChainContents, Ruleset, SetContents, Table, TableContents};

/// Reads like `nft list ruleset`, in the same order each time: sets before chains, both by name,
/// elements by key, rules as they run.
impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.tables
            .iter()
            .try_for_each(|(table, contents)| write_table(f, table, contents))
    }
}

fn write_table(f: &mut Formatter<'_>, table: &Table, contents: &TableContents) -> fmt::Result {
    writeln!(f, "table {table} {{")?;
    let mut separator = "";
    for contents in contents.sets.values() {
        f.write_str(separator)?;
        write_set(f, contents)?;
        separator = "\n";
    }
    for contents in contents.chains.values() {
        f.write_str(separator)?;
        write_chain(f, contents)?;
        separator = "\n";
    }
    writeln!(f, "}}")
}

fn write_set(f: &mut Formatter<'_>, contents: &SetContents) -> fmt::Result {
    let SetContents { set, elements } = contents;
    writeln!(
        f,
        "\t{} {} {{",
        if set.is_map() { "map" } else { "set" },
        set.name
    )?;
    set.write_declaration(f, "\t\t", "\n")?;
    let mut sorted: Vec<_> = elements.values().collect();
    sorted.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    for (index, element) in sorted.iter().enumerate() {
        f.write_str(if index == 0 {
            "\t\telements = { "
        } else {
            ",\n\t\t\t     "
        })?;
        set.display_element(element).fmt(f)?;
    }
    if !sorted.is_empty() {
        writeln!(f, " }}")?;
    }
    writeln!(f, "\t}}")
}

fn write_chain(f: &mut Formatter<'_>, contents: &ChainContents) -> fmt::Result {
    let ChainContents { chain, rules } = contents;
    writeln!(f, "\tchain {} {{", chain.name)?;
    if let Some(base) = &chain.base {
        writeln!(f, "\t\t{base}")?;
    }
    for rule in rules {
        writeln!(f, "\t\t{}", rule.display_statements())?;
    }
    writeln!(f, "\t}}")
}
