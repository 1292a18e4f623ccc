"""Chapter 03 with a small Korean catalogue: plurals, particles, numbers, units and the order of words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from kanslib import i18n, iptables
from kanslib.exceptions import UnknownNameError
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.exercise import format_answer
from kanslib.exercises.messages import translate
from kanslib.i18n import all_of, any_of
from kanslib.packets import arp, capture
from tests.locale.gates import faults, forms
from tests.types import OpenLab

# Korean has one form for any number, its verbs stand at the end, and its particles follow a word of ours
TEXTS: dict[str | tuple[str, str], str] = {
    "One node leads two VIPs. What does an ARP scan show for their addresses?":
        "한 노드가 VIP 두 개를 이끕니다. ARP 스캔은 두 주소에 대해 무엇을 보여 줍니까?",
    "two MAC addresses, one for each VIP": "VIP마다 하나씩, 서로 다른 MAC 주소 두 개",
    "the same MAC address for both": "둘 다 같은 MAC 주소",
    "Which machines answer when a client asks for the address of svc1?":
        "클라이언트가 svc1의 주소를 물으면 어느 기계가 대답합니까?",
    "{answer}, and no other.": "{answer}뿐이고, 다른 기계는 대답하지 않습니다.",
    "Every node hears the question.": "모든 노드가 질문을 듣습니다.",
    "Hint {place} ({more})": "힌트 {place} ({more})", ("{n} more", "{n} more"): "{n}개 남음",
    "Not yet: {faults}.": "아직 아닙니다: {faults}.",
    "not {names}": "{names} 제외",
    ("{n} is missing", "{n} are missing"): "{n}개가 빠졌습니다",
    ("{n:,} question", "{n:,} questions"): "질문 {n:,}개",
    "Written down. Now look.": "적었습니다. 이제 확인하세요.",
    "(none: {why})": "(없음: {why})",
    "no two machines answered for one address around {action}":
        "{action} 전후에 한 주소에 대해 두 기계가 대답한 적이 없습니다",
    "no {what} named {name!r}{guess}\nknown: {names}":
        "{name!r} — 이런 이름의 {what} 항목은 없습니다{guess}\n목록: {names}",
    "service": "서비스", "(did you mean {name!r}?)": "({name!r} 말입니까?)",
    "{one} or {other}": "{one} 또는 {other}", "{one} and {other}": "{one} 및 {other}",
    "{number:g} {unit}": "{number:g}{unit}",
    "Requests to {vip}: {path}.": "{vip} 주소로 가는 요청: {path}.",
    "frame {number} of {source}": "{source} 파일의 프레임 {number}",
    "frame of {size} bytes": "{size}바이트 프레임",
    "the packet {is|is not} a later fragment": "패킷이 뒤쪽 조각{입니다|이 아닙니다}",
    "set {name} {{holds|does not hold}}": "{name} 집합에 VALUE 주소가 {{있습니다|없습니다}}",
    "assumed that {assumption}": "가정: {assumption}",
    "hardware {hardware}, protocol {protocol:#06x}: not for IPv4 over Ethernet":
        "하드웨어 {hardware}, 프로토콜 {protocol:#06x}: 이더넷 위의 IPv4용이 아닙니다",
}  # fmt: skip


def catalogue() -> Catalog:
    catalog = Catalog("ko")
    for english, korean in TEXTS.items():
        catalog.add(english, korean if isinstance(english, str) else (korean,))
    return catalog


@pytest.fixture(autouse=True)
def korean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = tmp_path / "ko" / "LC_MESSAGES" / "kanslib.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as out:
        write_mo(out, catalogue())
    monkeypatch.setenv(i18n.FOLDER_VARIABLE, str(tmp_path))
    with i18n.use("ko_KR.UTF-8"):
        yield


def test_catalogue_has_messages_of_the_code_and_no_faults(template: Catalog) -> None:
    known = {one.id for one in template}
    assert [text for text in TEXTS if text not in known and forms(text) not in known] == []
    assert list(faults(catalogue())) == []


def test_chapter(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    lab.at("apply-services")
    guess = lab.predict("one-machine-for-two")
    assert "두 주소에 대해 무엇을" in repr(guess)
    assert "적었습니다" in str(guess.answer("own"))
    view = lab.exercise("who-answers-for-svc1")
    assert "어느 기계가 대답합니까?" in repr(view)
    assert "아직 아닙니다: svc9 제외; 1개가 빠졌습니다." in str(view.check(["svc9"]))
    assert str(view.hint()) == "힌트 1 (1개 남음): 모든 노드가 질문을 듣습니다."
    assert "Myk8s-worker뿐이고, 다른 기계는 대답하지 않습니다." in str(view.solution())
    seen = lab.observation()
    assert "(없음: apply-services 전후에 한 주소에 대해 두 기계가 대답한 적이 없습니다)" in repr(seen.arp.conflicts())
    assert "svc1 172.18.255.200: 질문 1개" in seen.arp.timeline().describe()
    assert "172.18.255.200 주소로 가는 요청: mypc → myk8s-worker → webpod1 또는 webpod2." in lab.map().describe()


def test_name_of_no_service(open_lab: OpenLab) -> None:
    with pytest.raises(UnknownNameError, match=r"'svc8' — 이런 이름의 서비스 항목은 없습니다 \('svc"):
        open_lab("arp").leader("svc8")


def test_unit_stands_close_to_its_number() -> None:
    exercise = next(one for one in CATALOG.values() if one.kind == "number" and one.unit)
    assert format_answer(translate(exercise), 3.0) == f"3{exercise.unit}"


def test_verb_stands_at_the_end() -> None:
    rules = iptables.parse(
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -f -j ACCEPT\n"
        "-A FORWARD -m set --match-set bad src -j ACCEPT\nCOMMIT\n"
    )
    packet = iptables.Packet("192.0.2.1", "192.0.2.2", dport=80, in_interface="eth0")
    said = "\n".join(way.explain() for way in rules.trace(packet))
    assert "가정: bad 집합에 192.0.2.1 주소가 없습니다" in said
    assert "가정: 패킷이 뒤쪽 조각이 아닙니다" in said


def test_words_between_several() -> None:
    assert (any_of("abc"), all_of("ab")) == ("a 또는 b 또는 c", "a 및 b")


def test_frames() -> None:
    assert str(capture.Frame(0.0, bytes(20), 20)) == "20바이트 프레임"
    with pytest.raises(ValueError, match=r"ARP: 하드웨어 0, 프로토콜 0x0000: 이더넷 위의"):
        arp.ARP.parse(bytes(28))
