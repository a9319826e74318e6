"""What `project.yaml` may become once there is work, and what would give stored answers another meaning."""

import pytest
import yaml
from fastapi.testclient import TestClient
from fixtures.finished_work import all_work, make_project
from fixtures.shops import Annotator, add_people, event, make_shop

from luab_collect.commands import run
from luab_collect.export.building import ItemToRow
from luab_collect.export.run import export
from luab_collect.project import Project
from luab_collect.server.app import create_app
from luab_collect.server.studio import Studio
from luab_collect.store.opening import ProjectStore
from luab_data.errors import SourceError

CAT, CAR = {"name": "cat", "category": "pets"}, {"name": "car", "category": "roads"}
BUS = {"name": "bus", "category": "roads"}


def serving(folder, work=True):
    """A server of the project runs; with `work` an annotator does a page. Then it ends."""
    studio = Studio(ProjectStore(Project.read(folder)))
    if work:
        [token] = add_people(studio.store, "Ann")
        ann = Annotator(TestClient(create_app(studio)), token).consent()
        if studio.project.task == "select":
            ann.finish()
        else:
            _, base, epoch = ann.begin()
            icon = {"icon": 1, "label": "car"}
            events = [event(1, "open"), event(2, "category", category=1), event(3, "add", **icon)]
            assert ann.send(base, epoch, [*events, event(4, "submit")]).status_code == 200
            assert ann.post(f"{base}/submit", {"epoch": epoch, "last_seq": 4}).status_code == 200
    studio.close()


def change(folder, **settings):
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | settings))


@pytest.fixture(params=["select", "place"])
def task(request):
    return request.param


@pytest.fixture
def street(tmp_path):
    make_shop(tmp_path / "street", "place", images=4)
    serving(tmp_path / "street")
    return tmp_path / "street"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": [CAT]}, "classes lacks car, which it had"),
        (
            {"classes": [CAT, CAR | {"name": "auto"}]},
            "lacks car.*new auto, which annotators were not offered",
        ),
        ({"classes": [CAT, CAR, BUS]}, "classes has the new bus, which annotators were not offered"),
        ({"classes": [CAR, CAT]}, r"by number \(`categories: \[\"pets\", \"roads\"\]` keeps their order"),
        (
            {"categories": ["roads", "pets"]},
            "categories of icons are roads, pets, and were pets, roads",
        ),
        ({"classes": [CAT, CAR | {"category": "streets"}]}, "were pets, roads, stored by number. Undo"),
        ({"task": "select", "images_per_page": 3}, "task is select, and was place"),
    ],
    ids=["removed", "renamed", "added", "reordered", "categories", "category renamed", "task"],
)
def test_what_would_be_misread_is_refused_by_every_command(street, tmp_path, changed, message):
    change(street, **changed)
    for command in (["review"], ["export", "--out", str(tmp_path / "out")], ["status"]):
        with pytest.raises(SourceError, match=message) as refused:
            run(command[0], [str(street), *command[1:]])
        assert "1 page of work stored" in str(refused.value) and "Undo that" in str(refused.value)
    with pytest.raises(SourceError, match=message):
        run("serve", [str(street), "--port", "0", "--admin-port", "0"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"classes": [CAR, CAT], "categories": ["pets", "roads"]},
        {"classes": [CAT | {"definition": "A pet."}, CAR | {"links": ["https://example.org/"]}]},
        {"overlap": 3, "pages_per_hit": 7, "lease_minutes": 5.0, "language": "en", "quality": {"fast": 0.1}},
    ],
    ids=["classes in another order", "definitions", "how work is shared out"],
)
def test_what_is_harmless_is_taken_and_read_as_before(street, tmp_path, changed):
    change(street, **changed)
    run("export", [str(street), "--out", str(tmp_path / "out")])
    import datasets

    (row,) = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    names = [each["name"] for each in changed.get("classes", [CAT, CAR])]
    assert [names[number] for number in row["labels"]] == ["car"]
    assert [each["category_name"] for each in row["annotations"][0]["category_histories"]] == ["roads"]


def test_pages_of_select_name_what_changed(tmp_path):
    make_shop(tmp_path / "shop")
    serving(tmp_path / "shop")
    change(tmp_path / "shop", images_per_page=4, seed=3)
    with pytest.raises(SourceError, match=r"images_per_page is 4, and was 3; seed is 3, and was 0 after the"):
        run("review", [str(tmp_path / "shop")])
    change(tmp_path / "shop", images_per_page=3, seed=0, pages_per_hit=5)
    run("review", [str(tmp_path / "shop")])
    change(tmp_path / "shop", task="place", images_per_page=1)
    with pytest.raises(SourceError, match="task is place, and was select"):
        run("review", [str(tmp_path / "shop")])


def test_before_anybody_has_worked_the_next_server_takes_a_change(task, tmp_path):
    """And what it served with is what counts, whatever other commands read meanwhile."""
    folder = tmp_path / "shop"
    make_shop(folder, task)
    serving(folder, work=False)
    classes = [{"name": "cat"}, {"name": "dog"}, {"name": "owl"}] if task == "select" else [CAT, CAR, BUS]
    change(folder, classes=classes)
    run("status", [str(folder)])
    serving(folder)
    run("status", [str(folder)])
    change(folder, classes=classes[:2])
    if task == "place":
        with pytest.raises(SourceError, match="classes lacks bus"):
            run("status", [str(folder)])
    else:
        run("status", [str(folder)])  # no page asks about it


def test_an_icon_has_another_address_when_another_class_has_its_number(tmp_path):
    """Browsers keep icons: with the number alone they would show the one of the class that had it before."""
    folder = tmp_path / "shop"
    files = {"cat.svg": "<svg/>", "car.svg": "<svg/>"}
    both = [CAT | {"icon": "cat.svg"}, CAR | {"icon": "car.svg"}]
    make_shop(folder, "place", _files=files, classes=both, categories=["pets", "roads"])

    def addresses():
        studio = Studio(ProjectStore(Project.read(folder)))
        [token] = add_people(studio.store, "Ann")
        client = TestClient(create_app(studio))
        found = Annotator(client, token).get("/api/project").json()["classes"]
        assert all(client.get(each["icon"]).status_code == 200 for each in found)
        studio.close()
        return {each["icon"] for each in found}

    before = addresses()
    change(folder, classes=both[::-1])
    assert len(before) == 2 and not before & addresses()


def test_a_killed_export_does_not_go_on_with_other_numbers_of_classes(tmp_path, monkeypatch):
    files = [f"{name}/{n}.png" for name in ("cat", "dog") for n in range(2)]
    project = make_project(tmp_path, "select", files, "cat\ndog\n", images_per_page=8)
    works = all_work(project, 1, lambda _, item, name: (0.5, 0.5) if item.file.startswith(name) else None)
    seen = []

    def killed(self, pair):
        seen.append(pair.id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ItemToRow, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            export(project, works, tmp_path / "out")
    plan = (tmp_path / ".out.partial" / "plan.json").read_text()
    change(project.folder, classes=[{"name": "dog"}, {"name": "cat"}])
    with monkeypatch.context() as patch:
        patch.setattr(ItemToRow, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            export(Project.read(project.folder), works, tmp_path / "out")
    assert (tmp_path / ".out.partial" / "plan.json").read_text() != plan
