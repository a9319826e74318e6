"""The report's forms: terminal, Markdown, model card and page; with names that try to break out of them."""

import html
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from huggingface_hub import ModelCard

from luab_eval.report.galleries import Exhibit, Gallery, Look
from luab_eval.report.markdown import eval_results, markdown, update_card
from luab_eval.report.page import Made, chart, page
from luab_eval.report.table import Model, Row, Table, p_texts
from luab_eval.report.terminal import terminal
from luab_eval.statistics.bootstrap import Difference, Estimate

HOSTILE = '<script>alert("1")</script>|`*_[x](javascript:1)\n\x1b[31m" onerror="1\u202e{{ 7 * 7 }}'
PIXEL = "data:image/webp;base64,UklGRg=="
VOID = {"meta", "img", "br", "rect", "line"}


def estimate(value: float, half: float = 0.01, seeds: int = 1) -> Estimate:
    return Estimate(value, value - half, value + half, seeds)


def row(name: str, plain: float, luab: float | None, p: float = 0.001, **changes) -> Row:
    """A benchmark of a model "plain" and, unless `luab` is None, of another."""
    models = {"plain": estimate(plain)} | ({} if luab is None else {"luab": estimate(luab)})
    differences = {} if luab is None else {"luab": Difference(estimate(luab - plain), p, min(1.0, 3 * p))}
    fields = {"title": name, "metric": "accuracy", "higher_is_better": True, "images": 1000} | changes
    return Row(name, estimates=models, differences=differences, **fields)


@pytest.fixture
def table() -> Table:
    rows = (
        row("imagenet", 0.761, 0.765, title="ImageNet", p=0.3),
        row("imagenet_c", 1.12, 1.04, title="ImageNet-C", metric="mce", higher_is_better=False),
        row("imagenet_a", 0.02, None, title="ImageNet-A"),
    )
    return Table((Model("plain"), Model("luab")), rows, level=0.95, resamples=2000)


def renamed(name: str) -> Table:
    """A table in which everything that comes from outside is called `name`."""
    rows = (Row("a", name, name, True, 9, name, None, {name: estimate(0.5), "b": estimate(0.4)}),)
    return Table((Model(name, name), Model("b")), rows, 0.95, 2000, {name: name})


def test_terminal_shows_figures_intervals_direction_and_what_differs(table):
    lines = terminal(table).splitlines()
    assert lines[0].split() == ["benchmark", "metric", "plain", "luab"]
    assert lines[2].split() == [
        "ImageNet",
        "accuracy",
        "↑",
        "76.1",
        "[75.1,",
        "77.1]",
        "76.5",
        "[75.5,",
        "77.5]",
    ]
    assert lines[3].split()[:4] == ["ImageNet-C", "mCE", "↓", "112.0"]
    assert "104.0* [103.0, 105.0]" in lines[3]
    assert lines[4].split()[-1] == "-"
    assert len({line.index("[") for line in lines[2:5]}) == 1, "intervals stand under one another"


def test_terminal_lets_no_control_character_through():
    shown = terminal(renamed(HOSTILE))
    assert not set(shown) & {"\x1b", "\u202e"}
    # A header, its rule, one row, a blank line and the notes: no name made a line of its own.
    assert shown.splitlines()[3] == ""
    assert len(shown.splitlines()[shown.splitlines().index("Not run:") :]) == 2


def test_what_was_not_run_takes_one_line_each(table):
    skipped = {f"benchmark_{number}": f"not in /data; get it from {'x' * 200}" for number in range(3)}
    absent = replace(table, skipped=skipped)
    for lines in (terminal(absent).splitlines(), markdown(absent).splitlines()):
        assert [line.split(":")[0].strip(" -").replace("\\", "") for line in lines[-3:]] == list(skipped)
    text = page(absent)
    assert text.count("<li><bdi>benchmark_") == 3 and "Not run: 3" in text


def test_the_page_says_when_how_and_from_what_it_was_made(table):
    made = Made("2026-01-02 03:04 UTC", f"luab evaluate --model {HOSTILE}", {"luab": ["runs/luab-seed0"]})
    text = page(table, made=made)
    assert "2026-01-02 03:04 UTC" in text and "runs/luab-seed0" in text
    assert "luab evaluate --model &lt;script&gt;" in text and "<script" not in text


def test_p_values_below_what_the_resamples_can_show():
    clear = Difference(estimate(0.1), p=1 / 2001, p_holm=2 / 2001, p_is_bound=True)
    assert p_texts(clear) == ("< 0.0005", "< 0.001")
    assert p_texts(Difference(estimate(0.1), p=0.0123, p_holm=0.0246)) == ("0.012", "0.025")
    # An exact test has no such bound.
    assert p_texts(Difference(estimate(0.1), p=1e-30, p_holm=0.0006)) == ("< 0.0001", "0.0006")


def test_markdown_table(table):
    lines = markdown(table).splitlines()
    assert lines[0] == "| Benchmark | Metric | plain | luab | Images |"
    assert lines[3] == "| ImageNet-C | mCE ↓ | 112.0 [111.0, 113.0] | 104.0\\* [103.0, 105.0] | 1,000 |"
    assert lines[4] == "| ImageNet-A | accuracy ↑ | 2.0 [1.0, 3.0] | - | 1,000 |"


def test_markdown_shows_hostile_names_as_they_are():
    markdown_it = pytest.importorskip("markdown_it")
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(markdown(renamed(HOSTILE)))
    inline = [token for token in tokens if token.type == "inline"]
    assert {child.type for token in inline for child in token.children} <= {
        "text",
        "softbreak",
        "text_special",
    }
    texts = ["".join(child.content for child in token.children) for token in inline]
    shown = HOSTILE.replace("\n\x1b", "\ufffd").replace("\u202e", "\ufffd")
    assert texts[:5] == ["Benchmark", "Metric", shown, "b", "Images"]
    assert texts[5:7] == [shown, f"{shown.replace('_', ' ')} ↑"]


def test_model_index_reads_back(table, tmp_path):
    card = tmp_path / "README.md"
    update_card(card, table, "luab")
    data = ModelCard.load(card).data
    assert data.model_name == "luab"
    assert data.eval_results == eval_results(table, "luab")
    first, second = data.eval_results
    assert (first.dataset_type, first.metric_type, first.metric_value) == ("imagenet", "accuracy", 0.765)
    assert second.metric_args["interval"] == [1.03, 1.05]
    assert "| ImageNet-C | mCE ↓ |" in card.read_text(encoding="utf-8")


def test_a_card_keeps_the_rest_and_older_results(table, tmp_path):
    card = tmp_path / "README.md"
    card.write_text(
        "---\nlicense: mit\ntags:\n- vision\n---\n# My model\n\nTrained at night.\n", encoding="utf-8"
    )
    older = Table(table.models, (row("objectnet", 0.3, 0.4), row("imagenet", 0.1, 0.1)), 0.95, 2000)
    update_card(card, older, "luab")
    update_card(card, table, "luab")
    once = card.read_text(encoding="utf-8")
    update_card(card, table, "luab")
    assert card.read_text(encoding="utf-8") == once
    loaded = ModelCard.load(card)
    assert (loaded.data.license, loaded.data.tags) == ("mit", ["vision"])
    assert loaded.text.lstrip().startswith("# My model\n\nTrained at night.\n")
    assert loaded.text.count("## Evaluation") == 1
    values = {result.dataset_type: result.metric_value for result in loaded.data.eval_results}
    assert values == {"objectnet": 0.4, "imagenet": 0.765, "imagenet_c": 1.04}


class Page(HTMLParser):
    """A page's tags, checked to be properly nested, its attributes and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def gallery(name: str) -> Gallery:
    looks = (
        Look("plain", name, 0.9, False, PIXEL, "wrong"),
        Look(name, "tench", 0.8, True, "", "right"),
    )
    return Gallery(name, 12, (Exhibit(name, name, PIXEL, (96, 64), looks),), ("plain", name))


def test_page_says_it_all(table):
    shown = Page(page(table, [gallery("goldfish")]))
    text = " ".join("".join(shown.text).split())
    for said in (
        "76.1 [75.1, 77.1]",
        "not evaluated",
        "-8.0* better",
        "1 of 12 images",
        "✗ wrong",
        "goldfish, 90%",
    ):
        assert said in text, said
    assert "1 of 12 images, only" not in text
    alone = " ".join("".join(Page(page(table, [replace(gallery("b"), models=("plain",))])).text).split())
    assert "1 of 12 images, only of plain of the 2 models" in alone
    assert len(shown.all("table")) == 1
    assert all(header["scope"] in ("row", "col") for header in shown.all("th"))
    assert shown.all("svg")[0]["aria-label"] == "plain, ImageNet: 76.1, interval [75.1, 77.1]"
    # A model without attention has a caption and no picture.
    assert len(shown.all("img")) == 2
    assert all(image["alt"] and image["src"] == PIXEL for image in shown.all("img"))


def test_page_needs_nothing_from_elsewhere_and_runs_nothing(table):
    text = page(table, [gallery("goldfish")])
    shown = Page(text)
    assert {tag for tag, _ in shown.tags} & {"script", "link", "iframe", "object", "form", "base"} == set()
    assert not [name for name, _ in shown.attributes if name.startswith("on")]
    assert all(value.startswith("data:") for name, value in shown.attributes if name in ("src", "href"))
    assert "url(" not in text and "@import" not in text
    policy = next(meta["content"] for meta in shown.all("meta") if "http-equiv" in meta)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_page_shows_hostile_names_as_they_are():
    text = page(renamed(HOSTILE), [gallery(HOSTILE)])
    plain = Page(page(renamed("name"), [gallery("name")]))
    shown = Page(text)
    # The same tags with the same attributes as with a harmless name: nothing broke out.
    assert [(tag, list(attributes)) for tag, attributes in shown.tags] == [
        (tag, list(attributes)) for tag, attributes in plain.tags
    ]
    assert "<script" not in text and "\u202e" not in text and "\x1b" not in text
    assert html.escape(HOSTILE.partition("\n")[0]).replace("&quot;", "&#34;") in text


def test_bars_begin_at_zero_and_reach_their_figures():
    drawn = chart(row("a", 0.5, 0.8))
    assert drawn["ticks"] == [(0, "0"), (25, "25"), (50, "50"), (75, "75"), (100, "100")]
    assert drawn["bars"]["luab"] == {"start": 0, "width": 80, "low": 79, "high": 81}
    # 1% beside 7%: the axis ends at 8%.
    small = chart(row("a", 0.01, 0.07))
    assert [text for _, text in small["ticks"]] == ["0", "2", "4", "6", "8"]
    assert small["bars"]["plain"] == {"start": 0, "width": 12.5, "low": 0, "high": 25}


def test_bars_of_gaps_and_of_rates_above_one():
    gap = chart(row("a", -0.02, 0.05))
    assert [text for _, text in gap["ticks"]] == ["-4", "-2", "0", "2", "4", "6"]
    assert gap["bars"]["plain"] == {"start": 20, "width": 20, "low": 10, "high": 30}
    assert gap["bars"]["luab"]["start"] == 40
    mce = chart(row("a", 1.12, 0.6))
    assert mce["ticks"][-1] == (100, "125")
    assert chart(row("a", 0.0, 0.0))["bars"]["plain"]["width"] == 0
