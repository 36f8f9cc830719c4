//! Where rules may stand, seen from the hooks that lead to them.

use std::collections::BTreeSet;

use super::Rejection;
use super::operation::{data_target, lookups, targets};
use crate::expression::LookupResult;
use crate::{BaseChain, ChainContents, ChainKind, Expression, Hook, Name, Rule, TableContents};

/// `NFT_JUMP_STACK_SIZE` (`linux/netfilter.h` of the kernel): how deep chains may call.
const MAX_DEPTH: usize = 16;

/// Walks all chains that hooks lead to, as `nft_chain_validate` does (`nf_tables_api.c`).
pub(super) fn validate(contents: &TableContents) -> Result<(), Rejection> {
    contents
        .chains
        .values()
        .try_for_each(|chain| match chain.chain.base {
            Some(base) => validate_chain(contents, base, chain, 0),
            None => Ok(()),
        })
}

fn validate_chain(
    contents: &TableContents,
    base: BaseChain,
    chain: &ChainContents,
    depth: usize,
) -> Result<(), Rejection> {
    if depth >= MAX_DEPTH {
        return Err(Rejection::TooManyLinks);
    }
    for rule in &chain.rules {
        if !rule
            .expressions
            .iter()
            .all(|expression| is_allowed(expression, base))
        {
            return Err(Rejection::Unsupported);
        }
        for target in targets(rule).chain(map_targets(contents, rule)) {
            let target = contents.chains.get(target).ok_or(Rejection::NotFound)?;
            validate_chain(contents, base, target, depth + 1)?;
        }
    }
    Ok(())
}

/// The chains that a rule leads to by its verdict maps, each once.
fn map_targets<'a>(contents: &'a TableContents, rule: &'a Rule) -> impl Iterator<Item = &'a Name> {
    let maps = lookups(rule).filter(|(_, result)| *result == Some(LookupResult::Verdict));
    let sets = maps.filter_map(|(name, _)| contents.sets.get(name));
    let elements = sets.flat_map(|set| set.elements.values());
    let targets: BTreeSet<_> = elements
        .filter_map(|element| data_target(&element.data))
        .collect();
    targets.into_iter()
}

/// Whether an expression can work at a hook: the destination is translated before routing, the
/// source after it, and an error is sent only while it can be routed.
fn is_allowed(expression: &Expression, base: BaseChain) -> bool {
    let is_nat = base.kind == ChainKind::Nat;
    match expression {
        Expression::DestinationNat(_) => {
            is_nat && matches!(base.hook, Hook::Prerouting | Hook::Output)
        }
        Expression::Masquerade(_) => is_nat && base.hook == Hook::Postrouting,
        Expression::Reject(_) => base.hook != Hook::Postrouting,
        _ => true,
    }
}
