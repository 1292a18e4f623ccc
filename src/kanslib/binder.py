"""Find out whether Binder runs this process: it deletes its machines, and with them what a learner has done."""

from __future__ import annotations

import os

from kanslib.i18n import tr_later

# BinderHub sets the first three for each session (binderhub/binderspawner_mixin.py get_env). Kubernetes sets the last
# one in each Pod beside a Service of the name `binder`, as on mybinder.org.
_VARIABLES = ("BINDER_REPO_URL", "BINDER_LAUNCH_HOST", "BINDER_REQUEST", "BINDER_SERVICE_HOST")

# mybinder.readthedocs.io, "About mybinder.org": a session ends after 10 minutes without activity
ENDS = tr_later("Binder deletes this machine after ten minutes without activity")


def is_here() -> bool:
    """Return True in a session of Binder."""
    return any(os.environ.get(name) for name in _VARIABLES)
