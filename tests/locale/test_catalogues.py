"""The catalogues: the template is fresh, translations keep their placeholders, and Korean can be written."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from tests.docs.pages import ROOT
from tests.locale.gates import faults, particles_after_placeholders

LOCALE = ROOT / "src" / "kanslib" / "locale"
MAKE = "run: python docs/make_catalogue.py"


def ids(catalog: Catalog) -> set[object]:
    return {message.id for message in catalog}


def test_template_has_every_message_of_the_code(template: Catalog) -> None:
    committed = read_po(io.BytesIO((LOCALE / "kanslib.pot").read_bytes()))
    assert ids(committed) ^ ids(template) == set(), MAKE


def test_template_has_messages_of_every_kind(template: Catalog) -> None:
    assert {
        "Remove exactly what [bold]kans up[/] and live chapters created.",
        "What else rules may ask of the packet",
        "One node leads two VIPs. What does an ARP scan show for their addresses?",
        "two MAC addresses, one for each VIP",
        "{one} or {other}",
        "service",
    } <= ids(template)


def test_catalogues_have_no_faults() -> None:
    assert {path.parts[-3]: found for path in LOCALE.glob("*/LC_MESSAGES/*.po") if (found := faults_in(path))} == {}


def faults_in(path: Path) -> list[str]:
    with path.open("rb") as file:
        return list(faults(read_po(file)))


@pytest.mark.parametrize(
    "text",
    [
        "{name}은 리더입니다", "{name}는", "{node}이 꺼졌습니다", "{node}가", "{a}을 {b} 노드로", "{vip}를 찾습니다",
        "{a}와 {b}", "{a}과 {b}", "{n:.1f}로 바뀝니다", "{network}으로 갑니다", "“{name}”이 없습니다",
        "<b>{name}</b>는",
        "{name!r}를", "{name}은(는) 없습니다", "{name}(으)로", "{name}이란 무엇입니까", "[bold]{name}[/]을 보세요",
        "{a}로부터", "{a}와의 충돌",
    ],
)  # fmt: skip
def test_particle_after_a_placeholder_is_caught(text: str) -> None:
    assert len(particles_after_placeholders(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "{name} 노드는 리더입니다", "{n}개가 있습니다", "{node}에서 {target}까지", "{name}의 주소",
        "{seconds:.0f}초를 기다립니다",
        "{name}입니다", "{n}번째", "리더: {name}", "{file}: 이 파일이 없습니다", "{count}가지 방법",
        "{name}이름", "{a}도 {b}만",
    ],
)  # fmt: skip
def test_placeholder_before_another_word_is_not_caught(text: str) -> None:
    assert particles_after_placeholders(text) == []


def test_faults_name_wrong_placeholders_and_particles() -> None:
    catalog = Catalog("ko")
    catalog.add("{node} leads", "{node} 노드가 리더입니다")
    catalog.add("no {what}", "{was} 없음")
    catalog.add("{name} is down", "{name}은 꺼졌습니다")
    catalog.add("{a:.1f} s", "{a:.1f")
    catalog.add("braces { stay", "괄호 { 그대로")
    catalog.add("the packet {is|is not} {{a|b}} whole", "패킷이 온전{합니다|하지 않습니다}")
    catalog.add("set {name} {{holds|does not hold}}", "{name} 집합에 VALUE 주소가 {{있습니다|없습니다}}")
    assert [fault.partition(":")[0] for fault in faults(catalog)] == [
        "'{was} 없음'", "'{name}은 꺼졌습니다'", "'{a", "'패킷이 온전{합니다|하지 않습니다}'"
    ]  # fmt: skip
