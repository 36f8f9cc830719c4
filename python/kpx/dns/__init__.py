"""The names of Services for other programs: zone files."""

from kpx.dns.zone_file import ZoneFileUnwritable, write_zone_file, zone_text

__all__ = ["ZoneFileUnwritable", "write_zone_file", "zone_text"]
