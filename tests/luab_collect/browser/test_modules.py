"""The pages' pure modules, one by one: geometry, rows of tiles, restoring, the way in, Markdown."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="module")
def module(birds, chromium) -> Any:
    """Calls a function of a module in the browser: `module("geometry.js", "fitted", *arguments)`."""
    page = chromium.new_page()
    page.goto(f"{birds.address}/work")

    def call(file: str, body: str, *arguments: Any) -> Any:
        code = f"async ([path, given]) => {{ const module = await import(path); return ({body})(...given); }}"
        return page.evaluate(code, [f"/static/{file}", list(arguments)])

    yield call
    page.close()


Call = Callable[..., Any]


@pytest.mark.parametrize(
    "fit, position, expected",
    [
        ("fill", "50% 50%", [10, 20, 300, 100]),
        ("contain", "50% 50%", [110, 20, 100, 100]),
        ("contain", "0% 50%", [10, 20, 100, 100]),
        ("contain", "100% 50%", [210, 20, 100, 100]),
        ("contain", "15px 50%", [25, 20, 100, 100]),
        ("cover", "50% 50%", [10, -80, 300, 300]),
        ("none", "50% 50%", [60, -30, 200, 200]),
        ("scale-down", "50% 50%", [110, 20, 100, 100]),
    ],
)
def test_object_fit(module: Call, fit, position, expected):
    found = module("geometry.js", "module.fitted", [10, 20, 300, 100], [200, 200], fit, position)
    assert found == expected


def test_borders_and_padding_are_scaled_with_the_box(module: Call):
    edges, laid = [1, 2, 3, 4], [100, 50]
    assert module("geometry.js", "module.inner", [0, 0, 100, 50], edges, laid) == [1, 2, 96, 44]
    assert module("geometry.js", "module.inner", [0, 0, 200, 100], edges, laid) == [2, 4, 192, 88]
    # Whole pixels of `offsetWidth` are no scale.
    assert module("geometry.js", "module.inner", [0, 0, 100.4, 50.4], edges, laid) == [1, 2, 96.4, 44.4]


def test_ratios_of_a_box(module: Call):
    assert module("geometry.js", "module.ratios", [10, 20, 200, 100], 60, 120) == [0.25, 1]
    assert module("geometry.js", "module.ratios", [10, 20, 0, 0], 60, 120) == [50, 100]  # not laid out yet


@pytest.mark.parametrize(
    ("box", "point", "expected"),
    [
        ([100, 50, 40, 200], [140, 250], True),
        ([100, 50, 40, 200], [99, 100], True),  # rounded to whole pixels
        ([100, 50, 40, 200], [98, 100], False),
        ([100, 50, 4, 200], [114, 60], True),  # too thin for a finger
        ([100, 50, 4, 200], [115, 60], False),
    ],
)
def test_a_press_means_a_box(module: Call, box, point, expected):
    assert module("geometry.js", "module.hits", box, *point) is expected


ROWS = [
    [0, 0, 50, 40],
    [60, 0, 100, 40],
    [170, 0, 30, 40],
    [0, 50, 120, 40],
    [130, 50, 70, 40],
    [0, 100, 200, 40],
]


@pytest.mark.parametrize(
    "index, key, expected",
    [
        (0, "ArrowRight", 1),
        (2, "ArrowRight", 3),
        (0, "ArrowLeft", None),
        (5, "ArrowRight", None),
        (0, "ArrowDown", 3),
        (2, "ArrowDown", 4),
        (5, "ArrowUp", 3),
        (4, "ArrowUp", 2),
        (1, "ArrowUp", None),
        (5, "ArrowDown", None),
        (3, "Home", 0),
        (3, "End", 5),
        (3, "a", None),
    ],
)
def test_arrow_keys_go_through_rows_of_different_lengths(module: Call, index, key, expected):
    assert module("grid.js", "module.neighbor", ROWS, index, key) == expected


def test_arrow_keys_follow_the_direction_of_writing(module: Call):
    assert module("grid.js", "module.neighbor", ROWS, 1, "ArrowRight", True) == 0


RESTORED = """(events) => {
    const state = module.restored(events);
    return { ...state, selected: [...state.selected], icons: [...state.icons], seen: [...state.seen] };
}"""


def test_a_page_is_restored_from_the_events_of_all_its_tabs(module: Call):
    events = [
        {"epoch": 2, "seq": 1, "kind": "deselect", "item": "a"},
        {"epoch": 1, "seq": 2, "kind": "select", "item": "a"},
        {"epoch": 1, "seq": 3, "kind": "select", "item": "b"},
    ]
    assert module("restore.js", RESTORED, events)["selected"] == ["b"]


def test_labels_are_restored_where_they_were_put_last(module: Call):
    kinds = [("pick", 1, 0), ("add", 1, 0.1), ("pick", 1, 0.1), ("relocate", 1, 0.6), ("add", 2, 0.3)]
    kinds += [("remove", 2, 0.3), ("pick", 7, 0), ("cancel", 7, 0)]
    events = [
        {"epoch": 1, "seq": n, "kind": kind, "icon": icon, "label": f"l{icon}", "x": x, "y": x}
        for n, (kind, icon, x) in enumerate(kinds, 1)
    ]
    events.append({"epoch": 1, "seq": 90, "kind": "category", "category": 2})
    state = module("restore.js", RESTORED, events)
    assert state["icons"] == [[1, {"label": "l1", "x": 0.6, "y": 0.6}]]
    assert (state["nextIcon"], state["seen"], state["category"]) == (8, [2], 2)


def test_only_a_submission_at_the_very_end_is_gone_on_with(module: Call):
    submit = {"epoch": 1, "seq": 9, "kind": "submit"}
    assert module("restore.js", "module.unansweredSubmit", [submit]) == {"epoch": 1, "seq": 9}
    later = {"epoch": 2, "seq": 1, "kind": "open"}
    assert module("restore.js", "module.unansweredSubmit", [later, submit]) is None
    assert module("restore.js", "module.unansweredSubmit", []) is None


@pytest.mark.parametrize(
    "search, hash_, expected",
    [
        ("", "#t=abc", {"platform": "link", "token": "abc"}),
        ("?token=x.y.z", "", {"platform": "prolific", "token": "x.y.z"}),
        (
            "?PROLIFIC_PID=p&STUDY_ID=s",
            "",
            {"platform": "prolific", "parameters": {"PROLIFIC_PID": "p", "STUDY_ID": "s"}},
        ),
        ("?worker=7", "", {"platform": "url", "parameters": {"worker": "7"}}),
        ("", "", None),
        ("", "#t=", None),
    ],
)
def test_who_comes_is_read_from_the_address(module: Call, search, hash_, expected):
    assert module("api.js", "module.entryOf", {"search": search, "hash": hash_}) == expected


MARKDOWN = """(html) => {
    const box = document.createElement("div");
    box.append(...module.fromMarkdown(html));
    return box.innerHTML;
}"""


@pytest.mark.parametrize(
    "html, expected",
    [
        ("<p>a <em>b</em></p>", "<p>a <em>b</em></p>"),
        ("<h1>T</h1>", "<h2>T</h2>"),
        ("<p onclick='x()' style='y' id='z'>a</p>", "<p>a</p>"),
        ("<script>x()</script><p>a</p>", "<p>a</p>"),
        ("<a href='javascript:x()'>a</a>", "<span>a</span>"),
        ("<svg><a href='https://e.org'>a</a></svg>", ""),
        ("<img src=x onerror=x() alt='bird'>", "bird"),
        ("<form><input name=a><b>c</b></form>", "c"),
    ],
)
def test_of_markdown_only_plain_elements_are_copied(module: Call, html, expected):
    assert module("dom.js", MARKDOWN, html) == expected


def test_links_leave_without_a_trace(module: Call):
    found = module("dom.js", MARKDOWN, "<a href='https://e.org/?a=1' onclick='x()'>a</a>")
    assert found == '<a href="https://e.org/?a=1" target="_blank" rel="noopener noreferrer">a</a>'


UPLOADS = """async (answers, events) => {
    const { Refused } = await import("/static/api.js");
    const sent = [];
    const post = async (path, text) => {
        const batch = JSON.parse(text);
        sent.push(batch.events.map((event) => event.seq));
        const answer = answers.shift() ?? { acked_through: batch.events.at(-1).seq };
        if (answer.status) throw new Refused(answer.status, answer);
        return answer;
    };
    const connection = { persist: (task) => task(), wake() {} };
    const journal = { acknowledge: async () => {} };
    const uploader = new module.Uploader({
        api: { post }, connection, journal, work: "w", changed() {}, stopped() {},
    });
    uploader.push(1, events);
    const code = await uploader.drain().then(() => null, (error) => error.code);
    uploader.close();
    return { sent, code, waiting: uploader.waiting };
}"""


LEFTOVERS = """async (status, code) => {
    const { Refused } = await import("/static/api.js");
    const [sent, settled] = [[], []];
    const post = async (path, text) => {
        if (path.endsWith("/submit")) return sent.push("submit");
        const batch = JSON.parse(text);
        sent.push(batch.epoch);
        if (batch.epoch === 1) throw new Refused(status, { error: code });
        return { acked_through: batch.events.at(-1).seq };
    };
    const journal = {
        works: async () => ["w"],
        unsent: async () => [1, 2].map((epoch) => ({ epoch, seq: 1, kind: "submit", t: 0 })),
        settle: async (work, epoch) => settled.push(epoch),
        acknowledge: async () => {},
        forget: async () => {},
    };
    const given = { api: { post }, journal, connection: { persist: (task) => task(), wake() {} } };
    const refused = await module.sendLeft(given);
    return { sent, settled, refused: refused.get("w").map((error) => error.code) };
}"""


@pytest.mark.parametrize(
    "status, code", [(409, "superseded"), (409, "conflict"), (409, "submitted"), (422, "event")]
)
def test_a_refused_epoch_is_settled_and_the_next_one_is_sent(module: Call, status, code):
    expected = {"sent": [1, 2, "submit"], "settled": [1], "refused": [code]}
    assert module("leftovers.js", LEFTOVERS, status, code) == expected


@pytest.mark.parametrize("status, code", [(404, "work"), (401, "session"), (403, "withdrawn")])
def test_what_another_caller_may_send_is_not_settled(module: Call, status, code):
    expected = {"sent": [1], "settled": [], "refused": [code]}
    assert module("leftovers.js", LEFTOVERS, status, code) == expected


def numbered(count: int, size: int = 0) -> list[dict[str, Any]]:
    return [{"seq": number, "kind": "move", "pad": "x" * size} for number in range(1, count + 1)]


@pytest.mark.parametrize(
    "answers, count, sent, code",
    [
        ([], 3, [[1, 2, 3]], None),
        ([{"acked_through": 2}], 3, [[1, 2, 3], [3]], None),
        ([{"status": 409, "error": "gap", "acked_through": 1}], 3, [[1, 2, 3], [2, 3]], None),
        ([{"status": 413, "error": "too_large"}], 2, [[1, 2], [1], [2]], None),
        ([{"status": 413, "error": "too_large"}], 1, [[1]], "too_large"),
        ([{"status": 409, "error": "conflict"}], 2, [[1, 2]], "conflict"),
        ([{"status": 422, "error": "event"}], 2, [[1, 2]], "event"),
    ],
)
def test_what_the_server_says_decides_what_is_sent_next(module: Call, answers, count, sent, code):
    found = module("uploader.js", UPLOADS, answers, numbered(count))
    assert found["code"] == code
    assert found["sent"] == sent
    assert found["waiting"] == (0 if code is None else count)


def test_events_that_the_server_lost_stop_the_page(module: Call):
    answers = [{"acked_through": 5}, {"status": 409, "error": "gap", "acked_through": 2}]
    assert module("uploader.js", UPLOADS, answers, numbered(9))["code"] == "gap"


def test_a_backlog_goes_in_batches_of_bounded_size(module: Call):
    found = module("uploader.js", UPLOADS, [], numbered(400, 2000))
    assert [number for batch in found["sent"] for number in batch] == list(range(1, 401))
    assert 4 <= len(found["sent"]) <= 6
