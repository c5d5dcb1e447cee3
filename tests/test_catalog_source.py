"""No YAML file can crash the reader, hang it or grow without bound; each fault has its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.catalog.document import Document, Position
from runtime.catalog.source import LARGEST_FILE, read_document, shown_path
from runtime.catalog.tree import LARGEST_DEPTH, MOST_VALUES

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.catalog.faults import Fault


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("source") / "x.yaml"


def read(file: Path, content: str | bytes) -> tuple[Document | None, tuple[Fault, ...]]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_document(file)


def data_of(file: Path, content: str) -> Any:
    document, faults = read(file, content)
    assert faults == ()
    assert document is not None
    return document.data


ONE_FAULT = [
    ("", "1:1: the file is empty"),
    ("# only a comment\n", "1:1: the file is empty"),
    ("a text", "1:1: the file must be a mapping at its top level"),
    ("\n- a\n", "2:1: the file must be a mapping at its top level"),
    ("a:\n\tb: 1", "2:1: not readable as YAML: found character '\\t'"),
    ("a: 1\n---\nb: 2", "2:1: not readable as YAML: but found another document"),
    ("a: 1\nb: [1,\n", "3:1: not readable as YAML: expected the node content"),
    ("a: 1\nb: [1\n", "3:1: not readable as YAML: expected ',' or ']'"),
    ("a: 'x\n", "2:1: not readable as YAML: found unexpected end of stream"),
    ("a: b: c", "1:5: not readable as YAML: mapping values are not allowed here"),
    ("a: *b", "1:4: not readable as YAML: found undefined alias 'b'"),
    (
        "a: &x 1\nb: &x 2",
        "2:4: not readable as YAML: second occurrence (found duplicate anchor 'x'",
    ),
    ("a: @b", "1:4: not readable as YAML: found character '@'"),
    ("a: \x07", "1:4: not readable as YAML: unacceptable character #x0007"),
    ('a: "\\U00110000"', "1:7: not readable as YAML: a number beyond all bounds"),
    ('a: "\\UFFFFFFFF"', "1:7: not readable as YAML: a number beyond all bounds"),
    (f"%YAML 1.{'9' * 5000}\n---\na: 1", "1:9: not readable as YAML: a number beyond all bounds"),
    ('a: "\\ud800"', "1:4: half a character"),
    ("a: 1\na: 2", "2:1: key 'a' is already at line 1"),
    ("a: {b: 1, c: 2, b: 3}", "1:17: key 'b' is already at line 1"),
    ("on: 1", "1:1: a key must be text, and YAML does not read 'on' as text"),
    ("1: 1", "1:1: a key must be text, and YAML does not read '1' as text"),
    (": 1", "1:1: not readable as YAML: expected <block end>, but found ':'"),
    ("? ~\n: 1", "1:3: a key must be text, and YAML does not read '~' as text"),
    ("? [a]\n: 1", "1:3: a key must be text, and YAML does not read 'a list or mapping' as"),
    ("a: .nan", "1:4: '.nan' is no number that can be used"),
    ("a: 1.0e+999", "1:4: '1.0e+999' is no number that can be used"),
    ("a: !!int x", "1:4: 'x' is no whole number that can be used"),
    ("a: !!int ''", "1:4: '' is no whole number that can be used"),
    ("a: !!bool maybe", "1:4: 'maybe' is no boolean that can be used"),
    ("a: !!python/object:os.system x", "1:4: unknown tag '!!python/object:os.system'"),
    ("a: !!seq {b: c}", "1:4: unknown tag '!!seq'"),
    ("a: !!map [b]", "1:4: unknown tag '!!map'"),
    ("a: !!str [b]", "1:4: unknown tag '!!str'"),
    ("? !!str {b: c}\n: 1", "1:3: a key must be text"),
    ("a: !!set {b}", "1:4: unknown tag '!!set'"),
    ("a: !mine [b]", "1:4: unknown tag '!mine'"),
    ("a: &a [*a]", "1:4: this contains itself through an alias"),
    ("a: &a {b: *a}", "1:4: this contains itself through an alias"),
    ("a: &a {<<: *a, b: 1}", "1:4: this contains itself through an alias"),
    ("a: {<<: 3}", "1:9: '<<' takes a mapping"),
    ("a: " + "[" * 100 + "]" * 100, f"nested more than {LARGEST_DEPTH} levels deep"),
    ("[" * 10_000, f"nested more than {LARGEST_DEPTH} levels deep"),
    ("- " * 10_000, f"nested more than {LARGEST_DEPTH} levels deep"),
    ("a: [" + "1," * MOST_VALUES + "]", f"more than {MOST_VALUES:,} values"),
    ("a: 1" + ":00" * 100_000, "1:4: '1:00:00:"),
]


@pytest.mark.parametrize(
    ("content", "expected"), ONE_FAULT, ids=[each[0][:30] for each in ONE_FAULT]
)
def test_bad_yaml_is_one_fault_at_its_place(file: Path, content: str, expected: str) -> None:
    _, (fault,) = read(file, content)
    assert expected in str(fault)
    assert fault.todo
    assert len(fault.what) < 300


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1\nb: \xff", "2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a: ä\n".encode("utf-16"), "1:1: byte 0xff is not UTF-8"),
        (b"\xef\xbb\xbfa: \xc3\xa4\xff", "1:5: byte 0xff is not UTF-8"),
        (b"a: " + b"x" * LARGEST_FILE, "1:1: the file is larger than 1 MiB"),
    ],
)
def test_bytes_that_are_no_text_are_a_fault(file: Path, content: bytes, expected: str) -> None:
    document, (fault,) = read(file, content)
    assert document is None
    assert expected in str(fault)


@pytest.mark.parametrize("link", ["[*{0},*{0},*{0}]", "{{<<: [*{0},*{0},*{0}]}}", "[*{0}]"])
def test_an_alias_bomb_ends_at_the_allowance(file: Path, link: str) -> None:
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {link.format(f'a{n - 1}')}" for n in range(1, 2000))]
    document, (fault,) = read(file, "\n".join(lines))
    assert document is None
    assert "each alias counted as what it stands for" in fault.what


def test_many_aliases_of_an_open_list_end_at_the_allowance(file: Path) -> None:
    inner = "*r," * 20_000
    document, (fault,) = read(file, f"r: &r\n  - &x [{inner}]\n" + "  - *x\n" * 20_000)
    assert document is None
    assert "each alias counted as what it stands for" in fault.what


def test_anchors_and_merges_work_and_own_keys_win(file: Path) -> None:
    content = """\
base: &base {x: 1, y: [1]}
more: &more {<<: *base, z: 3, y: 2}
copy: *base
mine: {<<: *more, x: 9}
both: {<<: [*base, *more], w: 0}
"""
    data = data_of(file, content)
    assert data["copy"] == {"x": 1, "y": [1]}
    assert data["mine"] == {"x": 9, "y": 2, "z": 3}
    assert data["both"] == {"x": 1, "y": [1], "z": 3, "w": 0}


def test_what_looks_like_a_date_is_the_text_it_looks_like(file: Path) -> None:
    assert data_of(file, "a: 2024-01-01\nb: =\nc: <<") == {"a": "2024-01-01", "b": "=", "c": "<<"}


def test_scalars_are_what_yaml_says(file: Path) -> None:
    content = "a: 010\nb: 0x1F\nc: 1_000\nd: off\ne: ~\nf: '1'\ng: 1.5\nh: 1e3\n"
    expected = {"a": 8, "b": 31, "c": 1000, "d": False, "e": None, "f": "1", "g": 1.5, "h": "1e3"}
    assert data_of(file, content) == expected


def test_a_byte_order_mark_moves_no_column(file: Path) -> None:
    document, _ = read(file, b"\xef\xbb\xbfa: 1\n")
    assert document is not None
    assert document.spot(("a",)).value == Position(1, 4)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_does(file: Path, end: str) -> None:
    document, _ = read(file, end.join(["a:", "  - b", "  - {ç: 'd', e: f}"]))
    assert document is not None
    assert document.spot(("a", 1, "e")).key == Position(3, 14)
    assert document.spot(("a", 1, "e", "not", "there")).value == Position(3, 17)
    assert document.spot(("a", 1, "e")).raw == "f"


def test_a_file_name_with_odd_characters_stays_on_one_line(tmp_path: Path) -> None:
    assert shown_path(tmp_path / "a\nb\udcff.yaml").endswith("/a\\nb\\udcff.yaml")


TEXT = st.text(st.sampled_from("ab:{}[]&*<!|>'\"#%@-?, \n\t\r0.~é\x85\u2028"), max_size=60)


@example(b"\xef\xbb\xbf")
@example(b"a: !!float 1:2:x")
@example(b"? \n? \n")
@example(b"&a &b c")
@example(b"--- \n...\n---\n")
@given(st.one_of(st.binary(max_size=60), TEXT.map(str.encode)))
def test_no_bytes_at_all_make_the_reader_raise(file: Path, content: bytes) -> None:
    document, faults = read(file, content)
    assert document is not None or faults
    lines = content.decode(errors="replace").removeprefix("\ufeff").splitlines() or [""]
    for fault in faults:
        assert 1 <= fault.line <= len(lines) + 1
        assert fault.column >= 1
        assert "\n" not in str(fault)


@example("a: [b?c]")
@example("a: !")
@example("a: |#\n  b")
@example("a: ? b")
@given(TEXT.map(lambda text: f"a: {text}"))
def test_a_file_says_the_same_whichever_parser_reads_it(file: Path, text: str) -> None:
    """What libyaml may read otherwise is left to PyYAML's own parser, as here by ``!``."""
    quick, other = read(file, f"{text}\n# ."), read(file, f"{text}\n# !")
    assert [document and document.data for document in (quick[0], other[0])].count(None) != 1
    if quick[0] is not None and other[0] is not None:
        assert repr(quick[0].data) == repr(other[0].data)
    assert [fault.what for fault in quick[1]] == [fault.what for fault in other[1]]
