"""The part of the demo that runs inside namespaces of its own; `kpx demo` starts it there."""

import sys

from kpx import report
from kpx.demo.isolation import require_isolation
from kpx.demo.scenario import play
from kpx.errors import KpxError

if __name__ == "__main__":
    try:
        require_isolation()
        play()
    except KpxError as failure:
        sys.stdout.flush()
        report.error(failure)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
