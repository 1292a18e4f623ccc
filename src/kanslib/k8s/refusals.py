"""What kubectl prints for a refusal, read as who refuses and in which words. Pure.

k8s.io/kubectl v0.31 pkg/cmd/util/helpers.go StandardErrorMessage, statusCausesToAggrError, AddSourceToErr.
"""

from __future__ import annotations

import re

from kanslib.exceptions import RefusedError
from kanslib.k8s.schema import versions

_START = re.compile(r"(?m)^(?:Error from server(?: \(\w+\))?: |error: |The (?=\S+ \".*?\" is invalid))")
_SOURCE = re.compile(r'(?s)^error when .*"STDIN": ')
_WEBHOOK = re.compile(r'admission webhook "\S+\.metallb\.io" denied the request')
# no answer came, so nobody refuses
_NO_ANSWER = re.compile(
    r"Error from server \((Timeout|ServerTimeout|ServiceUnavailable|TooManyRequests)\)|error: timed out|.*etcdserver:"
)


def read_refusal(printed: str) -> RefusedError | None:
    """Return the first refusal in what kubectl wrote to standard error; None where nobody refused anything.

    >>> read_refusal('Error from server (NotFound): error when creating "STDIN": namespaces "shop" not found').message
    'namespaces "shop" not found'
    >>> read_refusal("Unable to connect to the server: EOF") is None
    True
    """
    starts = list(_START.finditer(printed))
    if not starts or _NO_ANSWER.match(printed, starts[0].start()):
        return None
    end = starts[1].start() if len(starts) > 1 else len(printed)
    text = printed[starts[0].end() : end].strip()
    if starts[0][0] == "error: ":
        return RefusedError("kubectl", text)
    if starts[0][0] == "The ":
        return RefusedError("kube-apiserver", _as_sent(text))
    message = _SOURCE.sub("", text)
    return RefusedError("metallb webhook" if _WEBHOOK.match(message) else "kube-apiserver", message)


def _as_sent(text: str) -> str:
    r"""Return the API server's words for an invalid object, from the list that kubectl makes of them.

    >>> _as_sent('Deployment "web" is invalid: \n* spec.replicas: Invalid value: -1\n* spec.selector: Required value')
    'Deployment.apps "web" is invalid: [spec.replicas: Invalid value: -1, spec.selector: Required value]'
    """
    head, _, errors = text.partition(" is invalid: ")
    kind, _, name = head.partition(" ")
    group = next((version.rpartition("/")[0] for version in versions(kind)), "")
    listed = errors.strip().removeprefix("* ").split("\n* ")
    described = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    return f"{'.'.join(filter(None, [kind, group]))} {name} is invalid: {described}"
