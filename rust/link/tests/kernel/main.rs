//! The real kernel, in a network namespace of each test's own.
//!
//! Debian's kernels have dummy devices as a module, which `make test-vm` boots. Where a kernel has
//! no such module, what is tested is that kpx says so.

#[cfg(test)]
mod devices;
