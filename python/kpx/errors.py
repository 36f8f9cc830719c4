"""Everything kpx raises on purpose, one tree under `KpxError`.

Each class is named by the act that failed. The native core raises the same classes.
"""

__all__ = [
    "AgentRunning",
    "ClusterUnreadable",
    "CommitFailed",
    "ConfigurationInvalid",
    "CountFailed",
    "DecodeFailed",
    "DemoFailed",
    "ExplainFailed",
    "FlushFailed",
    "KpxError",
    "ListenFailed",
    "ManifestUnreadable",
    "ObserveFailed",
    "QuestionInvalid",
    "TakeOverFailed",
    "VerifyFailed",
    "YamlInvalid",
]


class KpxError(Exception):
    """The base of every error of kpx.

    Attributes:
        message: What failed and on what, lower case and without a trailing period.
        hint: What the reader can do about it, if anything is known.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        """Keeps the message and the hint apart, so that they can be shown apart."""
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The message alone."""
        return self.message


class ConfigurationInvalid(KpxError):
    """A flag, a configuration file or the configuration of a `Proxier` does not make sense."""


class YamlInvalid(KpxError):
    """A stream is no YAML, or holds what JSON cannot. The message starts with the place."""


class ManifestUnreadable(KpxError):
    """A manifest is missing, truncated or malformed."""


class ClusterUnreadable(KpxError):
    """The API server could not be reached, or did not answer what was asked."""


class DecodeFailed(KpxError):
    """A frame given to the core is no JSON object."""


class ObserveFailed(KpxError):
    """The kernel's tables could not be read. Nothing was written."""


class QuestionInvalid(KpxError):
    """A name, a record type or an address of a DNS question is none."""


class ExplainFailed(KpxError):
    """The target or the source of an explanation is none, or no Service has the target's name."""


class CommitFailed(KpxError):
    """The kernel refused a transaction. Nothing of it was applied."""


class TakeOverFailed(KpxError):
    """What kube-proxy left behind cannot be removed. What kpx programmed is not affected."""


class FlushFailed(KpxError):
    """Stale flows could not be deleted. What is programmed is not affected."""


class AgentRunning(KpxError):
    """Another agent programs this node already."""


class ListenFailed(KpxError):
    """An address to serve names, health or metrics on cannot be listened on."""


class CountFailed(KpxError):
    """Connections cannot be counted: nothing is programmed, or not with counters."""


class VerifyFailed(KpxError):
    """What the kernel holds cannot be read a second time, by libnftables, to be compared."""


class DemoFailed(KpxError):
    """The demo could not be set up, or did not behave as it should."""
