"""Packet tests: the real CLI programs a real kernel, and real connections judge it."""
