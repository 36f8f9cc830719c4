//! Rulesets as text, as a fake and as a packet's way, each held against the real `nft` and the kernel.

#[cfg(test)]
mod bytecode;
#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod display;
#[cfg(test)]
#[cfg(feature = "testing")]
mod fake;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod rules;
#[cfg(test)]
#[cfg(feature = "testing")]
mod trace;
