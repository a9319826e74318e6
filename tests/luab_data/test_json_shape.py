"""JSON Lines whose keys are known by counting: fast for usual rows, and never wrong about hidden keys."""

import json

import pytest

from luab_data.rows.formats.json_shape import DEPTH, _alike


def lines(*rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


USUAL = {"image": "cat/1.png", "label": "cat", "click": {"x": 0.5, "y": 0.25}}


@pytest.mark.parametrize(
    "others",
    [
        [USUAL] * 3,
        [{**USUAL, "click": None}, USUAL],
        [{**USUAL, "label": "at 12:30, see http://x.y"}],
        [{**USUAL, "click": [{"x": 0.5, "y": 0.5}] * 4}],
        [{"image": "cat/1.png"}],
    ],
)
def test_usual_rows_are_not_parsed(others):
    assert _alike(lines(USUAL, *others))
    assert _alike(lines(*others, USUAL).rstrip(b"\n"))


MANY = [USUAL] * 2000  # more than are looked at one by one


@pytest.mark.parametrize(
    "odd",
    [
        b'{"image": "a", "other": 1}\n',
        b'{"image" : "a", "other" : 1}\n',
        b'{"image": "a", "other"\t:1}\n',
        b'{"image": "a", "": 1}\n',
        b'{"im\\u0061ge": "a", "other": 1}\n',
        b'{"label": ":", "other": 1}\n',
        b'{"image": ":image"}\n',
        b"[1]\n",
        b'{"image": ' + b"[" * DEPTH + b"]" * DEPTH + b"}\n",
        b'{"image": 1}, {"other": 1}\n',
        b'\n{"image": 1}\n',
    ],
)
def test_rows_with_anything_else_are_parsed(odd):
    assert _alike(lines(*MANY))
    assert not _alike(lines(*MANY) + odd)
