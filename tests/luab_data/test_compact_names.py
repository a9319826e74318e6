"""Folders that are packed hold what they held, in whatever order they are asked for."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from luab_data.sources.compact_names import STAYS, CompactNames


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.text(max_size=3), st.text(max_size=3))))
def test_it_is_a_dict_of_dicts(steps):
    packed, plain = CompactNames(), {}
    for folder, name, text in steps:
        assert (folder in packed) == (folder in plain)
        packed[folder][name] = plain.setdefault(folder, {})[name] = text
    assert {folder: packed[folder] for folder in plain} == plain


def test_folder_by_folder_takes_a_tenth_of_the_memory_and_coming_back_does_not_pack_forever(monkeypatch):
    names = [[f"n{folder:08d}_{number}" for number in range(1300)] for folder in range(30)]
    sizes = []
    for packing in (True, False):
        if not packing:
            monkeypatch.setattr("luab_data.sources.compact_names.STAYS", -1)
        tracemalloc.start()
        folders = CompactNames()
        for number, of_folder in enumerate(names):
            for name in of_folder:
                folders[str(number)][str(name.encode(), "ascii")] = ""
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert sizes[0] < sizes[1] / 10
    monkeypatch.undo()
    packings = []
    monkeypatch.setattr(
        "luab_data.sources.compact_names.json.dumps", lambda content: packings.append(1) or "{}"
    )
    folders = CompactNames()
    for number in range(1000):
        folders[str(number % 2)]
    assert len(packings) <= 2 * (STAYS + 2)
