"""Make docs/reference from the docstrings, and from the help texts of `kans`: `python docs/make_reference.py`.

A test compares the committed pages with what this makes.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Made by docs/make_reference.py from the docstrings. Change those, and run it again. -->"
# a page: its title, its first sentence, and what it shows: a module, or one object of a module
PAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "kanslib": (
        "kanslib",
        "Open a lab; every exception that kanslib raises on purpose.",
        (
            *(f"kanslib:{name}" for name in ("open_lab", "simulate", "outages", "node_losses", "expected_outages")),
            "kanslib.exceptions",
        ),
    ),
    "lab": ("Lab", "What a notebook holds: one object, asked the same way of every backend.", ("kanslib.lab.lab:Lab",)),
    "observation": (
        "Observation",
        "What was watched around an action.",
        tuple(f"kanslib.lab.observation:{name}" for name in ("Observation", "ARPObservation", "BGPObservation")),
    ),
    "iptables": ("kanslib.iptables", "", ("kanslib.iptables",)),
    "nftables": ("kanslib.nftables", "", ("kanslib.nftables",)),
    "packets": (
        "kanslib.packets",
        "Captures as bytes: frames, and the messages in them.",
        tuple(f"kanslib.packets.{name}" for name in ("capture", "arp", "bgp", "bgp_fsm", "table")),
    ),
    "metallb": (
        "kanslib.metallb",
        "What MetalLB decides, as pure functions.",
        tuple(
            f"kanslib.metallb.{name}"
            for name in ("election", "allocation", "config", "bgp", "memberlist", "expected_outage")
        ),
    ),
    "k8s": (
        "kanslib.k8s",
        "Kubernetes objects, and the rules that kube-proxy makes of them.",
        tuple(f"kanslib.k8s.{name}" for name in ("kubeproxy", "kubeproxy_nftables", "objects", "endpoints")),
    ),
    "course": (
        "kanslib.course",
        "What the chapters apply and read.",
        ("kanslib.course.manifests", "kanslib.course.dumps"),
    ),
    "recording": (
        "kanslib.recording",
        "Recordings: how they are read, and what is in their manifest.",
        ("kanslib.recording:Recording", "kanslib.recording.format"),
    ),
}


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    package = _resolve(griffe.load("kanslib", search_paths=[ROOT / "src"]))
    if not isinstance(package, griffe.Module):
        raise TypeError(f"{package.path}: expected a package")
    made = {"kans": f"{NOTE}\n\n{_commands()}"}
    for name, (title, words, parts) in PAGES.items():
        sections = [section for part in parts for section in _part(package, part, alone=len(parts) == 1)]
        made[name] = "\n\n".join([NOTE, f"# {title}", *filter(None, [words]), *sections]) + "\n"
    return made


def _commands() -> str:
    """Return the help of every command, as typer writes it in Markdown, without its HTML."""
    command = [sys.executable, "-m", "typer", "kanslib.cli.app", "utils", "docs", "--name", "kans"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = html.unescape(re.sub(r"</?span[^>]*>", "", text)).strip() + "\n"
    # typer cuts what a command does to 45 characters; its section begins with all of it
    whole = dict(re.findall(r"^## `kans ([\w-]+)`\n\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL))
    return re.sub(
        r"^\* `(\w[\w-]*)`: .*$",
        lambda found: f"* `{found[1]}`: {' '.join(whole[found[1]].split())}",
        text,
        flags=re.MULTILINE,
    )


def _part(package: griffe.Module, part: str, alone: bool) -> Iterator[str]:
    """Yield the sections of a module (its own heading unless it is `alone` on the page), or of one object."""
    path, _, name = part.partition(":")
    module = package
    for step in path.split(".")[1:]:
        module = module.modules[step]
    if name:
        yield from _sections(_resolve(module[name]), "##")
        return
    if not alone:
        yield f"## {path}"
    yield _markdown(module)
    for member in _exported(module):
        yield from _sections(member, "##" if alone else "###")


def _resolve(found: griffe.Object | griffe.Alias) -> griffe.Object:
    return found.final_target if isinstance(found, griffe.Alias) else found


def _exported(module: griffe.Module) -> list[griffe.Object]:
    """Return the documented functions, classes and then exceptions that a module exports, or else defines."""
    exported = [one for one in module.members.values() if not one.name.startswith("_")]
    exported = [one for one in exported if (one.name in module.exports if module.exports else not one.is_alias)]
    shown = [one for one in map(_resolve, exported) if one.docstring and (one.is_function or one.is_class)]
    return sorted(shown, key=lambda one: (one.is_class, _is_exception(one)))


def _members(parent: griffe.Class) -> list[griffe.Object]:
    """Return the documented public members of a class, also those that it inherits within kanslib."""
    members = [*parent.members.values(), *parent.inherited_members.values()]
    return [one for one in map(_resolve, members) if one.docstring and not one.name.startswith("_")]


def _is_exception(found: griffe.Object) -> bool:
    return found.is_class and found.name.endswith(("Error", "Warning"))


def _sections(found: griffe.Object, heading: str) -> Iterator[str]:
    """Yield the heading, the signature and the words of a function or class, and then those of its members."""
    name = found.name if not found.parent or not found.parent.is_class else f"{found.parent.name}.{found.name}"
    yield f"{heading} {name}"
    yield f"```python\n{_signature(found)}\n```"
    yield _markdown(found)
    if isinstance(found, griffe.Class):
        for member in _members(found):
            yield from _sections(member, f"{heading}#")


def _signature(found: griffe.Object) -> str:
    if isinstance(found, griffe.Attribute):
        return f"{found.name}: {found.annotation}"
    if isinstance(found, griffe.Class):
        return f"class {found.name}{_break_parameters(_fields(found))}"
    if not isinstance(found, griffe.Function):
        raise TypeError(f"{found.path}: expected a class, a function or an attribute")
    return _break_parameters(found.signature())


def _fields(found: griffe.Class) -> str:
    """Return the bases of an exception, or the fields of a dataclass, NamedTuple or Struct; nothing for others."""
    if _is_exception(found):
        return f"({', '.join(map(str, found.bases))})"
    if "dataclass" in found.labels:
        return found.signature().removeprefix(found.name)
    if not {"NamedTuple", "_Strict"} & set(map(str, found.bases)):
        return ""
    fields = (one for one in found.attributes.values() if "property" not in one.labels)
    return f"({', '.join(f'{one.name}: {_without_metadata(str(one.annotation))}' for one in fields)})"


def _without_metadata(annotation: str) -> str:
    return re.sub(r"^Annotated\[(.*?), Meta\(.*\)\]$", r"\1", annotation)


def _break_parameters(text: str) -> str:
    """Return a signature with a line for each parameter where it is longer than 100 characters."""
    return re.sub(r"\((.*)\)", _one_parameter_a_line, text, count=1) if len(text) > 100 else text


def _one_parameter_a_line(parameters: re.Match[str]) -> str:
    lines = [""]
    for part in parameters[1].split(", "):
        is_whole = sum(map(lines[-1].count, "[(")) == sum(map(lines[-1].count, "])"))
        lines = [*lines, part] if is_whole else [*lines[:-1], f"{lines[-1]}, {part}"]
    return "(\n    " + ",\n    ".join(lines[1:]) + ",\n)"


def _markdown(found: griffe.Object) -> str:
    """Return a docstring as Markdown, without doctest's options."""
    text = found.docstring.value if found.docstring else ""
    return "\n\n".join(map(_paragraph, re.sub(r" *# doctest: .*", "", text).split("\n\n")))


def _paragraph(text: str) -> str:
    """Return a paragraph in Markdown: examples as Python, and what is laid out in columns as it is."""
    if text.startswith(">>> "):
        return f"```python\n{text}\n```"
    return f"```text\n{text}\n```" if re.search(r"\S {2,}\S|^[├└]", text, re.MULTILINE) else text


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / f"{name}.md").write_text(text)
