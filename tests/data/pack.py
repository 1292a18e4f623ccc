"""Make reference-raw.tar.xz of a folder of raw recordings: `python tests/data/pack.py FOLDER OUT [MARK]`.

Every folder with a file of the pattern MARK (`*/acts.ndjson`) goes in, whole, unless a file of it holds what must not
be public.
The same folder makes the same tar; the same liblzma makes the same bytes of it.
"""

from __future__ import annotations

import io
import lzma
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

# keys, certificates, tokens (JSON Web Tokens start so), contents of Secrets, hashes of passwords, homes of people
FORBIDDEN = re.compile(
    rb"PRIVATE KEY-----|BEGIN CERTIFICATE-----|client-(?:key|certificate)-data|\beyJ[\w-]{16,}"
    rb'|"kind":\s*"Secret"|\bkind: Secret\b|\$[0-9][a-z]?\$\w{8,}|token["\s:=]+[a-z0-9]{6}\.[a-z0-9]{16}\b'
    rb"|(?:/home|/root|/Users)/\w"
)


def files(folder: Path, mark: str = "*/acts.ndjson") -> Iterator[Path]:
    """What is packed of a folder of raw recordings, in order of its name."""
    recordings = [path.parent for path in folder.glob(mark)]
    return iter(sorted(path for one in recordings for path in one.rglob("*") if path.is_file()))


def tarred(folder: Path, mark: str = "*/acts.ndjson") -> bytes:
    """The tar of a folder of raw recordings; ValueError for a file with something secret in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in files(folder, mark):
            content = path.read_bytes()
            if found := FORBIDDEN.search(content):
                raise ValueError(f"{path}, byte {found.start()}: not to be published")
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size = len(content)  # no time, no owner, mode 0644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def main(folder: str, out: str, mark: str = "*/acts.ndjson") -> None:
    content = tarred(Path(folder), mark)
    packed = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
    Path(out).write_bytes(packed)
    print(f"{out}: {len(list(files(Path(folder), mark))):,} files, {len(content):,} bytes, packed {len(packed):,}")


if __name__ == "__main__":
    main(*sys.argv[1:])
