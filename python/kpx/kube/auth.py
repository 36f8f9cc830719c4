"""Where the API server is, and who we are to it."""

import os
from typing import TYPE_CHECKING

from kpx.errors import ClusterUnreadable

if TYPE_CHECKING:
    from kubernetes.client import Configuration

__all__ = ["load_configuration"]


def load_configuration(kubeconfig: str | None, context: str | None) -> "Configuration":
    """Loads the client's configuration.

    Args:
        kubeconfig: A kubeconfig file, or several with `:` between them.
        context: A context of it, other than its current one. With a context and no file, the file
            is `~/.kube/config`. Without both, the service account of the Pod we run in is used.

    Raises:
        ClusterUnreadable: There is no such file, context or service account, or it is malformed.
    """
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

    configuration = Configuration()
    try:
        if kubeconfig is None and context is None:
            load_incluster_config(client_configuration=configuration)
        else:
            load_kube_config(
                config_file=kubeconfig and os.path.expanduser(kubeconfig),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
    except ConfigException as failure:
        if kubeconfig is None and context is None:
            raise ClusterUnreadable(
                "no cluster to read: this is not a Pod with a service account",
                "pass manifests with `-f`, or a cluster with `--kubeconfig`",
            ) from failure
        raise ClusterUnreadable(
            f"cannot use the kubeconfig `{kubeconfig or '~/.kube/config'}`: {_flat(failure)}"
        ) from failure
    except Exception as failure:
        # The loader lets out what YAML, base64, plug-ins and file access raise, of no common type.
        raise ClusterUnreadable(
            f"cannot use the kubeconfig `{kubeconfig or '~/.kube/config'}`: {_flat(failure)}"
        ) from failure
    return configuration


def _flat(failure: Exception) -> str:
    return " ".join(str(failure).split()) or type(failure).__name__
