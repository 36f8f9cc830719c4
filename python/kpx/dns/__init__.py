"""The names of Services: watched, served beside health and metrics, and written for others."""

from kpx.dns.zone_file import ZoneFile, ZoneFileUnwritable, write_zone_file, zone_text

__all__ = ["ZoneFile", "ZoneFileUnwritable", "write_zone_file", "zone_text"]
