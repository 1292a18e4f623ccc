"""The catalogues: the template is fresh, translations keep their placeholders, and Korean can be written."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from tests.docs.pages import ROOT
from tests.locale.gates import faults, forms, hard_to_translate, particles_after_placeholders

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
        "{a}로부터", "{a}와의 충돌", "{name}였습니다", "{name}이었습니다", "{name}예요", "{name}이에요",
        "{name} 을 찾습니다",
        "VALUE가 있습니다", "`{name}`은", "[bold]{name}[/bold]을", "**{name}**이", "{name}…를", "{name}（{a}）은",
        "_{name}_와",
        "{name}이라는", "{name}라고",
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
        "{name}이름", "{a}도 {b}만", "{n} 이 노드", "{a} 및 {b}", "VALUE 주소가", "{vip}/32를", "{name}들은",
        "{n:.1f}초는",
    ],
)  # fmt: skip
def test_placeholder_before_another_word_is_not_caught(text: str) -> None:
    assert particles_after_placeholders(text) == []


def test_no_message_has_a_part_of_a_word_at_a_placeholder(template: Catalog) -> None:
    texts = [text for message in template for text in forms(message.id) if message.id]
    left = [text for text in texts if hard_to_translate(text)]
    assert [text for text in left if "IPv{" not in text] == [], "give each form a message of its own"


@pytest.mark.parametrize(
    "text",
    [
        "no {kind}s here", "a {kind}", "an {name} of {what}", "{name}'s leader", "{node}’s speaker", "un{what}",
        "{n} endpoint(s)", "{a}ed by {b}", "pre{name!r}", "{verb}ing {target}", "{n} address(es)",
    ],
)  # fmt: skip
def test_part_of_a_word_at_a_placeholder_is_found(text: str) -> None:
    assert hard_to_translate(text)


@pytest.mark.parametrize(
    "text",
    [
        "the {kind}", "by {name}", "{a} and {b}", "{n:,} s", "({name})", "“{name}”", "kind={name}", "{name}: {what}",
        "the packet {is|is not} whole", "lab.at({name!r})", "{folder}/{file}", "set {name} {{holds|does not hold}}",
    ],
)  # fmt: skip
def test_whole_word_beside_a_placeholder_is_not_found(text: str) -> None:
    assert hard_to_translate(text) == []


def test_faults_name_wrong_placeholders_and_particles() -> None:
    catalog = Catalog("ko")
    catalog.add("{node} leads", "{node} 노드가 리더입니다")
    catalog.add("1,234.5", "1234")
    catalog.add("no {what}", "{was} 없음")
    catalog.add("{name} is down", "{name}은 꺼졌습니다")
    catalog.add("{a:.1f} s", "{a:.1f")
    catalog.add("braces { stay", "괄호 { 그대로")
    catalog.add("the packet {is|is not} {{a|b}} whole", "패킷이 온전{합니다|하지 않습니다}")
    catalog.add("set {name} {{holds|does not hold}}", "{name} 집합에 VALUE 주소가 {{있습니다|없습니다}}")
    assert [fault.partition(":")[0] for fault in faults(catalog)] == [
        "'1234'", "'{was} 없음'", "'{name}은 꺼졌습니다'", "'{a", "'패킷이 온전{합니다|하지 않습니다}'"
    ]  # fmt: skip
