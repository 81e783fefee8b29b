"""What people write means what it says, or is refused in one line that names the place and quotes no secret."""

import pytest

from universal_simulator.support.errors import InputError
from universal_simulator.support.files import read_mapping, read_value, read_yaml


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("017", 17), ("-08", -8), ("0o17", 15), ("0x1F", 31), ("1_000", 1000), ("1:30", "1:30"), ("1:30.5", "1:30.5"),
        ("0b11", "0b11"), ("1e3", 1000.0), (".5", 0.5), ("+1.5E-2", 0.015), (".inf", float("inf")), ("1.", 1.0),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("True", True), ("~", None), ("null", None), ("", None),
        ("2026-11-28", "2026-11-28"), ("=", "="), ("<<", "<<"), ("1.2.3", "1.2.3"), ("12e", "12e"), ("１２", "１２"),
    ],
)  # fmt: skip
def test_a_word_means_what_yaml_1_2_says_in_a_file_and_on_the_command_line(text, meaning):
    assert read_value("seed", text) == meaning
    if text != "<<":
        found = read_yaml(f"a: {text}", "here")["a"]
        assert (found, type(found)) == (meaning, type(meaning))


@pytest.mark.parametrize(
    "text",
    ["/data/run #3/u0.npy", "dir: x/u0.npy", "~/u0.npy", "*.npy", "&a", "@x", "%2F", "- 3", "| x", "!x", "#1", "?"],
)
def test_a_typed_path_keeps_all_its_letters(text):
    assert read_value("predict.input", text) == text


def test_a_key_is_a_word_whatever_it_looks_like_and_merging_keeps_the_own_value():
    text = "on: 1\n2: {3.0: x}\nnull: y\nbase: &b {p: 1, q: 2}\nheir: {<<: *b, q: 3}\nof_heir: {<<: *b, p: 0}\n"
    found = read_yaml(text, "here")
    assert found == {
        "on": 1, "2": {"3.0": "x"}, "null": "y", "base": {"p": 1, "q": 2}, "heir": {"p": 1, "q": 3},
        "of_heir": {"p": 0, "q": 2},
    }  # fmt: skip


@pytest.mark.parametrize(
    "content", [b"seed: 3\n", b"\xef\xbb\xbfseed: 3\n", b"seed: 3\r\n", b'{"seed": 3}', b"---\nseed: 3"]
)
def test_a_file_with_or_without_byte_order_mark_and_of_any_line_ending_is_read(content):
    assert read_mapping(content, "here") == {"seed": 3}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"seed: 3\nseed: 4\n", "line 2: seed stands twice"),
        (b"a: {1: x, '1': y}\n", "line 1: 1 stands twice"),
        ("purpose: fl\xe4chig\n".encode("latin-1"), "must be UTF-8, and byte 11 is not"),
        ("seed: 3\n".encode("utf-16"), "must be UTF-8, and byte 0 is not"),
        (b"seed: 3\n\tx: 4\n", "must be valid YAML; line 2"),
        (b"- seed\n", "must hold `name: value` pairs"),
        (b"seed 3\n", "must hold `name: value` pairs"),
        (b"a: 1\n---\nb: 2\n", "must be valid YAML; line 2"),
        (b"? [a, b]\n: c\n", "a key must be a word"),
        (b"a: !!python/object/apply:os.system [x]\n", "must be valid YAML; line 1"),
        (b"a: *nowhere\n", "must be valid YAML; line 1"),
        (b"a: " + b"[" * 5000, "must be valid YAML"),
        (b"a: " + b"9" * 5000 + b"\n", "must be valid YAML"),
        (b"a: \x00\n", "must be valid YAML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_one_line_that_names_it(content, line):
    with pytest.raises(InputError) as refused:
        read_mapping(content, "conf/local/parameters.yml")
    assert str(refused.value).startswith("conf/local/parameters.yml: ")
    assert line in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_line_about_a_file_quotes_nothing_of_it_as_it_may_hold_secrets():
    with pytest.raises(InputError) as refused:
        read_mapping(b"bucket:\n  secret: {TOPSECRET\n  key: x\n", "credentials.yml")
    assert "TOPSECRET" not in str(refused.value)
