"""Packet tests of the backend IPVS alone, for kernels that have it: those of `tests/vm`."""
