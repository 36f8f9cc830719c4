//! Commands to IPVS: their bytes, what the kernel in memory makes of them, and the real one.

#[cfg(test)]
mod client;
#[cfg(test)]
mod commands;
#[cfg(test)]
#[cfg(target_endian = "little")]
mod encoding;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod timing;
